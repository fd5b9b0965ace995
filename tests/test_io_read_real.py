"""Real scans and label maps of other programs, where they are present."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.io import describe, read_scan, read_segmentation
from kambin.volume import Segmentation
from kambin.volume.scan import looks_like_labels

LUMBAR = (Level.L1, Level.L2, Level.L3, Level.L4, Level.L5)


def centroid(seg: Segmentation, kind: Kind, level: Level | None = None, side: Side | None = None) -> np.ndarray:
    return seg.grid.world(np.argwhere(seg.mask(Structure(kind, level, side))).mean(axis=0))


def check_anatomy(seg: Segmentation, kind: Kind = Kind.VERTEBRA) -> None:
    """What holds in any patient: vertebrae in order above the sacrum, the aorta left of the vena cava, sides on their sides."""
    heights = [centroid(seg, kind, level)[2] for level in LUMBAR] + [centroid(seg, Kind.SACRUM)[2]]
    assert all(a - b > 15 for a, b in pairwise(heights))
    for sided in {s.kind for s in seg.structures if s.side is not None and s.level is None}:
        assert centroid(seg, sided, side=Side.RIGHT)[0] > centroid(seg, sided, side=Side.LEFT)[0]
    if seg.find(Kind.AORTA):
        assert centroid(seg, Kind.AORTA)[0] < centroid(seg, Kind.VENA_CAVA)[0]


@pytest.mark.parametrize(
    ("name", "scheme", "counts"),
    [
        ("example_seg_v1_full_5de6e4d", "totalsegmentator-v1", {"vertebra_L5": 2443, "sacrum": 7761, "hip_bone_left": 13914}),
        ("example_seg_v2_fast_HEAD", "totalsegmentator-v2", {"vertebra_L5": 2508, "vertebra_S1": 1796, "common_iliac_vein_right": 1151}),
    ],
)
def test_totalsegmentator(data_dir: Path, name: str, scheme: str, counts: dict[str, int]) -> None:
    seg = read_segmentation(data_dir / "ct-totalsegmentator" / f"{name}.nii.gz", scheme=scheme)
    check_anatomy(seg)
    found = {s.key: n for s, n in seg.voxel_counts().items()}
    assert {key: found[key] for key in counts} == counts
    assert seg.doubts == ()


def test_totalsegmentator_by_the_wrong_scheme(data_dir: Path) -> None:
    with pytest.raises(InputError, match="names in the file contradict the scheme"):
        read_segmentation(data_dir / "ct-totalsegmentator" / "example_seg_v2_fast_HEAD.nii.gz", scheme="totalsegmentator-v1")


def test_a_scan_as_labels(data_dir: Path) -> None:
    with pytest.raises(InputError, match="looks like a scan"):
        read_segmentation(data_dir / "ct-totalsegmentator" / "example_ct.nii.gz", scheme="totalsegmentator-v2")


def test_spineps_pair(data_dir: Path) -> None:
    folder = data_dir / "labels-spineps"
    pair = (folder / "spine_semantic_ref.nii.gz", folder / "spine_instance_ref.nii.gz")
    with pytest.raises(InputError, match="--lowest L5"):
        read_segmentation(*pair, scheme="spineps")
    seg = read_segmentation(*pair, scheme="spineps", lowest=Level.L5)
    check_anatomy(seg, Kind.BODY)
    found = {s.key: n for s, n in seg.voxel_counts().items()}
    assert found["vertebral_body_L5"] == 38538
    assert found["disc_L5"] == 10718
    assert found["spinal_canal"] == 38431 + 8190
    assert "surrounds label 61" in seg.doubts[0]
    for kind in (Kind.TRANSVERSE, Kind.SUPERIOR_ARTICULAR, Kind.INFERIOR_ARTICULAR):
        assert centroid(seg, kind, Level.L3, Side.RIGHT)[0] > centroid(seg, kind, Level.L3, Side.LEFT)[0]


SPL = {
    7: "aorta", 8: "vena_cava", 131: "psoas_right", 231: "psoas_left", 299: "hip_bone", 501: "vertebra_L1", 502: "vertebra_L2",
    503: "vertebra_L3", 504: "vertebra_L4", 505: "vertebra_L5", 551: "disc_L5", 552: "disc_L4", 600: "sacrum",
}  # fmt: skip


def test_spl_atlas_by_a_scheme_of_our_own(data_dir: Path, tmp_path: Path) -> None:
    lines = "".join(f'{number} = "{key}"\n' for number, key in SPL.items())
    (tmp_path / "spl.toml").write_text(f'unlisted = "ignore"\n[labels]\n{lines}')
    path = data_dir / "labels-spl" / "seg.nrrd"
    seg = read_segmentation(path, scheme=tmp_path / "spl.toml", spacing_scale=(1.5, 1.5, 2.0))
    check_anatomy(seg)
    assert seg.grid.spacing_mm == pytest.approx([1.40625, 1.40625, 3.0])
    assert any("hip bone" in doubt for doubt in seg.doubts)
    assert seg.voxel_counts()[Structure(Kind.VERTEBRA, Level.L4)] == 12907
    (tmp_path / "strict.toml").write_text(f"[labels]\n{lines}")
    with pytest.raises(InputError, match=r"found also 3 \(181482 voxels\)"):
        read_segmentation(path, scheme=tmp_path / "strict.toml")


def test_dicom_series(data_dir: Path) -> None:
    scan = read_scan(data_dir / "ct-acrin-dicom" / "series")
    assert scan.grid.shape == (512, 512, 99)
    assert scan.grid.spacing_mm == pytest.approx([0.976562, 0.976562, 4.25], abs=1e-5)
    assert scan.modality == "CT"
    assert scan.values.min() == -1024
    top = scan.values[:, :, 80:90].astype(float)  # through the liver
    middle = int(np.argwhere(top > -300)[:, 0].mean())
    soft = ((top > 20) & (top < 120)).sum(axis=(1, 2))
    assert soft[middle:].sum() > 1.2 * soft[:middle].sum()  # it makes the patient's right the denser side
    bone, body = np.argwhere(scan.values[::4, ::4] > 250), np.argwhere(scan.values[::4, ::4] > -300)
    assert bone[:, 1].mean() < body[:, 1].mean()  # the spine is behind
    told = json.dumps(dict(scan.provenance))
    assert "ACRIN-FLT-Breast_001" not in told


def test_the_dicom_series_and_its_nifti_are_one_scan(data_dir: Path, tmp_path: Path) -> None:
    """Written by SimpleITK in another storage order, with the scanner's padding of -3024 left in it."""
    folder = data_dir / "ct-acrin-dicom" / "series"
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    assert sitk.GetArrayViewFromImage(image).min() == -3024
    sitk.WriteImage(sitk.DICOMOrient(image, "PSR"), tmp_path / "psr.nii.gz")
    one, other = read_scan(folder), read_scan(tmp_path / "psr.nii.gz")
    assert one.grid.is_close(other.grid)
    np.testing.assert_array_equal(one.values, other.values)


def test_describe_dicom(data_dir: Path) -> None:
    info = describe(data_dir / "ct-acrin-dicom" / "series")
    assert (info.modality, info.patient_position, info.orientation) == ("CT", "head first, supine", "LPS")
    assert [(each.number, each.slices, each.reason) for each in info.series] == [(2, 99, None)]
    json.dumps(info.to_dict())


@pytest.mark.parametrize("name", ["mr-sct/t2_lumbar", "mr-vb1/VB1_02", "mr-vb2/VB2_02", "mr-vb3/VB3_01", "mr-ivd/IVD_11"])
def test_mr_scans(data_dir: Path, name: str) -> None:
    path = data_dir / f"{name}.nii.gz"
    scan, info = read_scan(path), describe(path)
    assert info.content == "scan"
    assert scan.grid.orientation == "RAS"
    assert sorted(scan.values.shape) == sorted(info.shape)


def test_expert_bodies_by_a_scheme_of_our_own(data_dir: Path, tmp_path: Path) -> None:
    keys = ["L5", "L4", "L3", "L2", "L1", "T12"]
    rows = "".join(f"{number},vertebral_body_{level}\n" for number, level in enumerate(keys, 1))
    (tmp_path / "bodies.csv").write_text(f"id,structure\n{rows}7,ignore\n")
    seg = read_segmentation(data_dir / "mr-vb2" / "VB2_02_seg.nii.gz", scheme=tmp_path / "bodies.csv")
    heights = [centroid(seg, Kind.BODY, Level(level))[2] for level in keys]
    assert all(b - a > 20 for a, b in pairwise(heights))
    assert describe(data_dir / "mr-vb2" / "VB2_02_seg.nii.gz").content == "label map"


def test_scans_and_label_maps_are_told_apart(data_dir: Path) -> None:
    for path in sorted(data_dir.rglob("*.nii.gz")):
        is_labels = "_seg" in path.name or "_ref" in path.name or "_vertebrae" in path.name
        assert looks_like_labels(read_scan(path).values) == is_labels, path.name
