"""One real patient in the numbers, the file formats and the storage of the other tools: the same anatomy, the same measures.

No map of these tools is at hand, so TotalSegmentator's is written again as each of them would write it. The numbers stand here as the
tools publish them, not as the project's own tables have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from kambin.anatomy import Kind, Level, Structure
from kambin.measurement import Measurements, measure
from kambin.reconstruction import reconstruct
from kambin.volume import Grid, Segmentation
from storages import stored

LEVELS = (Level.L3, Level.L4, Level.L5)
VESSELS = ("aorta", "vena_cava", *(f"common_iliac_{kind}_{side}" for kind in ("artery", "vein") for side in ("left", "right")))
LPS = ((0, 1, 2), (True, True, False))  # order and flips of the axes of a RAS array
PIR = ((1, 2, 0), (True, True, False))
LIA = ((0, 2, 1), (True, True, False))


def vertebrae(l3: int, l4: int, l5: int) -> dict[str, int]:
    return {"vertebra_L3": l3, "vertebra_L4": l4, "vertebra_L5": l5}


def discs(l3: int, l4: int, l5: int) -> dict[str, int]:
    return {"disc_L3": l3, "disc_L4": l4, "disc_L5": l5}


def pelvis(left: int, right: int, sacrum: int) -> dict[str, int]:
    return {"hip_bone_left": left, "hip_bone_right": right, "sacrum": sacrum}


def psoas(left: int, right: int) -> dict[str, int]:
    return {"psoas_left": left, "psoas_right": right}


def vessels(*numbers: int) -> dict[str, int]:
    return dict(zip(VESSELS, numbers, strict=True))


@dataclass(frozen=True)
class Map:
    """How one tool writes one map."""

    scheme: str
    numbers: dict[str, int]
    type: Any = np.uint8
    storage: tuple[tuple[int, ...], tuple[bool, ...]] = LPS
    ending: str = ".nii.gz"


TOOLS: dict[str, tuple[Map, ...]] = {
    "totalspineseg": (Map("totalspineseg", {**vertebrae(43, 44, 45), **discs(94, 95, 100), "sacrum": 50}, storage=LIA),),
    "spider": (Map("spider", {**vertebrae(3, 2, 1), **discs(203, 202, 201)}, np.uint16, PIR, ".mha"),),
    "verse": (Map("verse", {**vertebrae(22, 23, 24), "sacrum": 26}, storage=PIR),),
    "nv-segment": (
        Map(
            "nv-segment",
            {
                **vertebrae(35, 34, 33), **discs(134, 134, 134), **pelvis(95, 96, 97), **psoas(106, 107), **vessels(6, 7, 58, 59, 60, 61),
            },
            np.float32,
        ),
    ),
    "ctspinopelvic1k": (
        Map(
            "ctspinopelvic1k",
            {**vertebrae(22, 23, 24), **pelvis(30, 31, 26), **psoas(66, 67), **vessels(68, 69, 70, 71, 72, 73)},
            np.int16,
        ),
    ),
    "totalsegmentator-mr and -vertebrae-mr": (
        Map(
            "totalsegmentator-mr",
            {
                **vertebrae(19, 19, 19), **discs(20, 20, 20), **pelvis(38, 39, 18), **psoas(48, 49), **vessels(23, 24, 26, 27, 28, 29),
            },
            storage=PIR,
        ),
        Map("totalsegmentator-vertebrae-mr", {**vertebrae(4, 3, 2), "sacrum": 1}, storage=PIR),
    ),
    "totalsegmentator-vertebrae-mr": (Map("totalsegmentator-vertebrae-mr", {**vertebrae(4, 3, 2), "sacrum": 1}, np.int32),),
}  # fmt: skip


@dataclass(frozen=True)
class Patient:
    """A real anatomy, and what it measures."""

    segmentation: Segmentation
    measurements: Measurements

    @classmethod
    def of(cls, segmentation: Segmentation) -> Patient:
        return cls(segmentation, measure(reconstruct(segmentation)))


@pytest.fixture(scope="module")
def without_discs(data_dir: Path) -> Patient:
    """TotalSegmentator's map of a CT at 3 mm, cut down to L3 to L5 and what lies around them."""
    whole = Segmentation.read(data_dir / "ct-totalsegmentator" / "example_seg_v1_full_5de6e4d.nii.gz", scheme="totalsegmentator-v1")
    table = {n: s for n, s in whole.table.items() if s.level is None or s.level in LEVELS}
    labels = np.where(np.isin(whole.labels, list(table)), whole.labels, 0).astype(np.uint16)
    bone = np.nonzero(whole.mask([s for s in table.values() if s.level is not None]))
    window = [(max(int(i.min()) - 10, 0), min(int(i.max()) + 11, n)) for i, n in zip(bone, labels.shape, strict=True)]
    cut = labels[tuple(slice(*each) for each in window)]
    return Patient.of(Segmentation(whole.grid.crop(*np.transpose(window)), np.ascontiguousarray(cut), table))


@pytest.fixture(scope="module")
def with_discs(without_discs: Patient) -> Patient:
    """The same with discs: the voxels between the endplates that belong to nothing else."""
    plain = without_discs.segmentation
    labels, table = plain.labels.copy(), dict(plain.table)
    places = plain.grid.world(np.moveaxis(np.indices(plain.grid.shape), 0, -1))
    for segment in reconstruct(plain).segments:
        number = max(table) + 1
        labels[(segment.disc.sample(places) < 0) & (labels == 0)] = number
        table[number] = Structure(Kind.DISC, segment.upper.level)
    return Patient.of(Segmentation(plain.grid, labels, table))


def without(kind: Kind, segmentation: Segmentation) -> Segmentation:
    table = {n: s for n, s in segmentation.table.items() if s.kind is not kind}
    labels = np.where(np.isin(segmentation.labels, list(table)), segmentation.labels, 0).astype(np.uint16)
    return Segmentation(segmentation.grid, labels, table)


def written(folder: Path, segmentation: Segmentation, one: Map) -> Path:
    """The structures that a tool knows, in its numbers, as it stores them."""
    values = np.zeros(segmentation.labels.shape, one.type)
    for structure in segmentation.structures:
        if structure.key in one.numbers:
            values[segmentation.mask(structure)] = one.numbers[structure.key]
    array, grid = stored(values, segmentation.grid, *one.storage)
    path = folder / f"{one.scheme}{one.ending}"
    if one.ending == ".mha":
        write_metaimage(array, grid, path)
    else:
        nib.save(nib.Nifti1Image(array, grid.world_from_voxel), path)
    return path


def write_metaimage(array: np.ndarray, grid: Grid, path: Path) -> None:
    """As ITK writes: in LPS, the first axis fastest."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.world_from_voxel
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose()))
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / grid.spacing_mm).ravel().tolist())
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("tool", TOOLS)
def test_another_tools_numbers_give_the_same_anatomy_and_measures(
    tool: str, with_discs: Patient, without_discs: Patient, tmp_path: Path
) -> None:
    maps = TOOLS[tool]
    known = {key for one in maps for key in one.numbers}
    truth = with_discs if any(key.startswith("disc") for key in known) else without_discs
    if "sacrum" not in known:  # it has a say in the pose of L5
        truth = Patient.of(without(Kind.SACRUM, truth.segmentation))
    paths = [written(tmp_path, truth.segmentation, one) for one in maps]
    read = Segmentation.read(*paths, scheme=[one.scheme for one in maps], lowest="L5" if tool == "spider" else None)

    assert read.grid.is_close(truth.segmentation.grid)
    expected = {s for s in truth.segmentation.structures if s.key in known}
    assert set(read.structures) == expected
    for structure in expected:
        np.testing.assert_array_equal(read.mask(structure), truth.segmentation.mask(structure), structure.key)

    found = measure(reconstruct(read))
    compared = {row.quantity.symbol for row in found.rows if row.is_measured and same(row, truth.measurements)}
    assert {"FA", "FH", "FW", "DHa", "DHm", "DHp", "SL", "VHa", "VW", "VD", "PW", "PH"} <= compared
    if "aorta" in known:
        assert {"OC", "DAA", "DIVC", "PI"} <= compared


def same(row: Any, truth: Measurements) -> bool:
    """Assert that a row's value is the truth's."""
    (twin,) = (other for other in truth.find(row.quantity.symbol, row.level) if other.side is row.side)
    assert twin.value == pytest.approx(row.value, abs=1e-4), (row.quantity.symbol, row.level, row.side, twin.reason)
    return True
