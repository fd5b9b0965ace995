"""NRRD, Slicer segmentations and MetaImage; written by pynrrd and SimpleITK."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from kambin.errors import InputError
from kambin.io import describe, read_scan, read_segmentation
from kambin.volume import Grid
from storages import STORAGES, oblique_grids, rotation, stored

SHAPE = (6, 5, 4)
SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "LPS": (-1, -1, 1),
    "left-posterior-superior": (-1, -1, 1),
}
VALUES = np.random.default_rng(0).integers(-1000, 2000, size=SHAPE).astype(np.int16)


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None, space: str = "left-posterior-superior", **more: object) -> Path:
    affine = np.diag([2.0, 2.0, 3.0, 1.0]) if affine is None else affine
    inner = np.diag([*SPACES[space], 1]) @ affine
    header = {"space": space, "space directions": inner[:3, :3].T, "space origin": inner[:3, 3], **more}
    nrrd.write(str(path), array, {key: value for key, value in header.items() if value is not None}, index_order="F")
    return path


@settings(max_examples=40, deadline=None)
@given(oblique_grids(), st.sampled_from(STORAGES), st.sampled_from(sorted(SPACES)))
def test_any_storage_and_space_gives_the_same_scan(grid: Grid, storage: tuple, space: str) -> None:
    array = np.arange(np.prod(grid.shape), dtype=np.int16).reshape(grid.shape)
    other, other_grid = stored(array, grid, *storage)
    with tempfile.TemporaryDirectory() as folder:
        scan = read_scan(write(Path(folder) / "scan.nrrd", other, other_grid.world_from_voxel, space))
    assert np.array_equal(scan.values, array)
    assert np.abs(scan.grid.world_from_voxel - grid.world_from_voxel).max() < 1e-9


@settings(max_examples=10, deadline=None)
@given(oblique_grids(), st.sampled_from(STORAGES))
def test_metaimage_agrees_with_simpleitk(grid: Grid, storage: tuple) -> None:
    array = np.arange(np.prod(grid.shape), dtype=np.int16).reshape(grid.shape)
    other, other_grid = stored(array, grid, *storage)
    image = sitk.GetImageFromArray(np.ascontiguousarray(other.transpose(2, 1, 0)))
    lps = np.diag([-1, -1, 1]) @ other_grid.world_from_voxel[:3]
    image.SetSpacing(other_grid.spacing_mm.tolist())
    image.SetDirection((lps[:, :3] / other_grid.spacing_mm).ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(image, f"{folder}/scan.mha", useCompression=True)
        sitk.WriteImage(image, f"{folder}/pair.mhd")
        for name in ("scan.mha", "pair.mhd"):
            scan = read_scan(f"{folder}/{name}")
            assert np.array_equal(scan.values, array)
            assert np.allclose(scan.grid.world_from_voxel, grid.world_from_voxel, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"space": None, "space dimension": 3}, "which side is left is unknown"),
        ({"space directions": None}, "found no space directions"),
        ({"space origin": None}, "found no space origin"),
        ({"space directions": np.diag([0.0, 1, 1])}, "expected a positive spacing.*found 0 x 1 x 1"),
        ({"space directions": np.array([[1.0, 0, 0], [0, 1, 0], [np.inf, 0, 1]])}, "expected a positive spacing"),
        ({"space units": ["m", "m", "m"]}, "space units of mm"),
    ],
)
def test_nrrd_without_a_place(tmp_path: Path, change: dict, told: str) -> None:
    if "space" in change:
        path = tmp_path / "x.nrrd"
        nrrd.write(str(path), VALUES, {"space dimension": 3, "space directions": np.eye(3), "space origin": np.zeros(3)})
    else:
        path = write(tmp_path / "x.nrrd", VALUES, **change)
    with pytest.raises(InputError, match=told):
        read_scan(path)


def test_damaged_nrrd(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nrrd", VALUES)
    content = path.read_bytes()
    for damaged in (content[:-30], content[:60], b"", b"hello"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="ends early or is damaged"):
            read_scan(path)


def test_nrrd_of_four_axes(tmp_path: Path) -> None:
    path = tmp_path / "x.nrrd"
    directions = np.vstack([np.full(3, np.nan), np.eye(3)])
    header = {"space": "LPS", "space directions": directions, "space origin": np.zeros(3), "kinds": ["list", "domain", "domain", "domain"]}
    nrrd.write(str(path), np.zeros((2, *SHAPE), np.int16), header)
    with pytest.raises(InputError, match="one volume of three axes"):
        read_scan(path)


def segments(path: Path, layers: np.ndarray, *entries: tuple[str, int, int]) -> Path:
    """As 3D Slicer writes it: one layer is a plain volume, several are stacked along a first axis of kind ``list``."""
    header: dict = {"space": "left-posterior-superior", "space origin": np.zeros(3)}
    if layers.ndim == 4:
        header |= {"kinds": ["list", "domain", "domain", "domain"], "space directions": np.vstack([np.full(3, np.nan), np.eye(3)])}
    else:
        header |= {"kinds": ["domain"] * 3, "space directions": np.eye(3)}
    for index, (name, value, layer) in enumerate(entries):
        header |= {f"Segment{index}_Name": name, f"Segment{index}_ID": f"Segment_{index}"}
        header |= {f"Segment{index}_LabelValue": str(value), f"Segment{index}_Layer": str(layer)}
    nrrd.write(str(path), layers, header)
    return path


def test_slicer_segments_are_read_by_name(tmp_path: Path) -> None:
    layer = np.zeros(SHAPE, np.uint8)
    layer[0], layer[1] = 1, 2
    path = segments(tmp_path / "a.seg.nrrd", layer, ("vertebrae L5", 2, 0), ("L4 vertebra", 1, 0))
    seg = read_segmentation(path, scheme="totalsegmentator-v2")
    assert {s.key for s in seg.structures} == {"vertebra_L4", "vertebra_L5"}
    lps_first = seg.labels[-1]  # x grows to the left in the file, to the right here
    assert {seg.table[int(n)].key for n in np.unique(lps_first)} == {"vertebra_L4"}
    assert [entry.name for entry in describe(path).labels] == ["L4 vertebra", "vertebrae L5"]


def test_slicer_layers_are_merged_and_overlaps_told(tmp_path: Path) -> None:
    layers = np.zeros((2, *SHAPE), np.uint8)
    layers[0, :3], layers[1, 2:5] = 1, 1
    path = segments(tmp_path / "a.seg.nrrd", layers, ("sacrum", 1, 0), ("hip_left", 1, 1))
    seg = read_segmentation(path, scheme="totalsegmentator-v2")
    assert {s.key: n for s, n in seg.voxel_counts().items()} == {"sacrum": 40, "hip_bone_left": 60}
    assert "overlap in 20 voxels" in seg.doubts[0]


def test_nameless_segments_are_read_by_value(tmp_path: Path) -> None:
    path = segments(tmp_path / "a.seg.nrrd", np.full(SHAPE, 27, np.uint8), ("Segment_27", 27, 0))
    assert read_segmentation(path, scheme="totalsegmentator-v2").structures[0].key == "vertebra_L5"


def test_segments_of_no_scheme(tmp_path: Path) -> None:
    path = segments(tmp_path / "a.seg.nrrd", np.ones(SHAPE, np.uint8), ("my tumour", 1, 0))
    with pytest.raises(InputError, match="found also 'my tumour'"):
        read_segmentation(path, scheme="totalsegmentator-v2")


def mha(path: Path, **fields: str | None) -> Path:
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "1 1 2",
        "DimSize": "6 5 4",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    } | fields
    header["ElementDataFile"] = header.pop("ElementDataFile")  # the last line of any header
    text = "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None)
    path.write_bytes(text.encode() + np.ascontiguousarray(VALUES.T).tobytes())
    return path


def test_metaimage_by_hand(tmp_path: Path) -> None:
    scan = read_scan(mha(tmp_path / "x.mha"))
    assert np.array_equal(scan.values, VALUES[::-1, ::-1])
    assert scan.grid.spacing_mm == pytest.approx([1, 1, 2])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ElementSpacing": "1 0 2"}, "expected a positive spacing.*found 1 x 0 x 2"),
        ({"ElementSpacing": "1 nan 2"}, "found 1 x nan x 2"),
        ({"ElementSpacing": "1 -1 2"}, "found 1 x -1 x 2"),
        ({"ElementSpacing": "one 1 2"}, "a spacing in numbers"),
        ({"ElementSpacing": None}, "expected its spacing"),
        ({"Offset": None}, "expected its position"),
        ({"TransformMatrix": None}, "which side is left is unknown"),
        (
            {
                "NDims": "4",
                "DimSize": "6 5 2 2",
                "TransformMatrix": "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
                "Offset": "0 0 0 0",
                "ElementSpacing": "1 1 1 1",
            },
            "one volume of three axes",
        ),
        ({"ElementNumberOfChannels": "2", "DimSize": "6 5 2"}, "one number a voxel, found 2"),
    ],
)
def test_bad_metaimage(tmp_path: Path, fields: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_scan(mha(tmp_path / "x.mha", **fields))


def test_damaged_metaimage(tmp_path: Path) -> None:
    path = mha(tmp_path / "x.mha")
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(InputError, match="ends early or is damaged"):
        read_scan(path)
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match="no MetaImage header"):
        read_scan(path)


def test_an_oblique_nrrd_and_mha_agree_with_simpleitks_reader(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation(8, 1, -1, 1) / 64, (3, -4, 5)
    path = write(tmp_path / "x.nrrd", VALUES, affine)
    theirs, scan = sitk.ReadImage(str(path)), read_scan(path)
    for index in ((0, 0, 0), (5, 4, 3), (1, 2, 3)):
        lps = np.array(theirs.TransformIndexToPhysicalPoint(index))
        voxel = np.rint(scan.grid.voxel(lps * [-1, -1, 1])).astype(int)
        assert np.allclose(scan.grid.world(voxel), lps * [-1, -1, 1], atol=1e-6)
        assert scan.values[tuple(voxel)] == theirs.GetPixel(index)
