"""Segmentation, scan and model files, read back by other programs' libraries and by our own reader."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from io_write_models import small_model, small_scan
from kambin import io
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.io.appearance import code_of
from kambin.io.model_file import _whole, load_model, save_model
from kambin.io.nifti_writer import write_nifti
from kambin.io.seg_nrrd import write_seg_nrrd
from kambin.spine import Vertebra


@pytest.fixture
def seg(tmp_path: Path) -> Path:
    model = small_model()
    path = tmp_path / "segmentation.seg.nrrd"
    write_seg_nrrd(model.grid, model.labels, model.table, path)
    return path


def _segments(header: dict) -> list[dict]:
    """Segments as 3D Slicer's own reader takes them from the header."""
    result = []
    while f"Segment{len(result)}_ID" in header:
        prefix = f"Segment{len(result)}_"
        result.append({key.removeprefix(prefix): value for key, value in header.items() if key.startswith(prefix)})
    return result


def test_seg_nrrd_of_another_day_is_the_same_file(seg: Path) -> None:
    head = seg.read_bytes().partition(b"\n\n")[0]
    assert b"#" not in head  # pynrrd writes the time there


def test_seg_nrrd_names_every_segment(seg: Path) -> None:
    voxels, header = nrrd.read(str(seg))
    segments = {segment["ID"]: segment for segment in _segments(header)}
    assert set(segments) == {"vertebra_L4", "vertebra_L5", "disc_L4"}
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert segments["vertebra_L4"]["Name"] == "L4 vertebra"
    for segment in segments.values():
        where = np.argwhere(voxels == int(segment["LabelValue"]))
        extent = [int(n) for n in segment["Extent"].split()]
        assert extent == [n for axis in range(3) for n in (where[:, axis].min(), where[:, axis].max())]
        assert all(0 <= float(channel) <= 1 for channel in segment["Color"].split())
    terminology = segments["disc_L4"]["Tags"].split("TerminologyEntry:")[1].rstrip("|").split("~")
    assert terminology[1] == "SCT^123037004^Anatomical Structure"
    assert terminology[2] == "SCT^84020006^L4/L5 disc"
    assert len(terminology) == 7


def test_slicerio_reads_the_segments(seg: Path) -> None:
    slicerio = pytest.importorskip("slicerio", reason="slicerio, 3D Slicer's reader of its own files, is not installed")
    segmentation = slicerio.read_segmentation(str(seg))
    assert {segment["name"] for segment in segmentation["segments"]} == {"L4 vertebra", "L5 vertebra", "L4 disc"}
    by_name = {segment["name"]: segment for segment in segmentation["segments"]}
    assert by_name["L5 vertebra"]["terminology"]["type"] == ["SCT", "49668003", "L5 vertebra"]


def test_seg_nrrd_lies_where_the_labels_lay_by_simpleitk(seg: Path) -> None:
    model = small_model()
    image = sitk.ReadImage(str(seg))
    for index in ((0, 0, 0), (39, 35, 23), (11, 5, 7)):
        right, anterior, cranial = model.grid.world(index)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), (-right, -anterior, cranial), atol=1e-6)
    l4 = int(next(s for s in _segments(nrrd.read_header(str(seg))) if s["ID"] == "vertebra_L4")["LabelValue"])
    found = sitk.GetArrayFromImage(image).transpose(2, 1, 0) == l4
    np.testing.assert_array_equal(found, model.labels == 300)


def test_our_own_reader_reads_it_back(seg: Path) -> None:
    model = small_model()
    back = io.read_segmentation(seg, scheme="kambin")
    assert back.grid.is_close(model.grid, 1e-6)
    for structure in set(model.table.values()):
        labels = [label for label, named in model.table.items() if named == structure]
        np.testing.assert_array_equal(back.mask(structure), np.isin(model.labels, labels))


def test_codes_are_those_of_dicom_context_groups() -> None:
    assert code_of(Structure(Kind.VERTEBRA, Level.L5)).value == "49668003"
    assert code_of(Structure(Kind.DISC, Level.L5)).meaning == "L5/S1 disc"
    assert code_of(Structure(Kind.HIP, side=Side.LEFT)).value == "29836001"
    assert code_of(Structure(Kind.LAMINA, Level.L4, Side.LEFT)).value == "123037004"


def test_scan_keeps_values_and_place(tmp_path: Path) -> None:
    scan = small_scan()
    write_nifti(scan, tmp_path / "scan.nii.gz")
    back = io.read_scan(tmp_path / "scan.nii.gz")
    assert back.grid.is_close(scan.grid, 1e-4)
    np.testing.assert_array_equal(back.values, scan.values)
    image = sitk.ReadImage(str(tmp_path / "scan.nii.gz"))
    x, y, z = image.TransformIndexToPhysicalPoint((3, 4, 5))
    assert image.GetPixel(3, 4, 5) == pytest.approx(10 * -x + 3 * -y + z, abs=0.51)


def assert_same(was: object, is_now: object, where: str) -> None:
    """Both are equal in every field, number for number; mappings in their order too. Walks whatever fields there are."""
    if isinstance(was, np.ndarray):
        assert isinstance(is_now, np.ndarray), where
        assert (was.dtype, was.shape) == (is_now.dtype, is_now.shape), where
        assert was.tobytes() == is_now.tobytes(), where
    elif is_dataclass(was):
        assert type(was) is type(is_now), where
        for each in fields(was):
            assert_same(getattr(was, each.name), getattr(is_now, each.name), f"{where}.{each.name}")
    elif isinstance(was, Mapping):
        assert list(was) == list(is_now), where
        for key, value in was.items():
            assert_same(value, is_now[key], f"{where}[{key}]")
    elif isinstance(was, tuple | list):
        assert len(was) == len(is_now), where
        for index, (one, other) in enumerate(zip(was, is_now, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    else:
        assert was == is_now, where


def test_model_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model = replace(small_model(), provenance={"file": "boxes.nii.gz", "nested": {"third": 1 / 3}})
    save_model(model, tmp_path / "model.npz")
    assert_same(model, load_model(tmp_path / "model.npz"), "model")


def test_a_field_that_is_not_saved_is_noticed() -> None:
    @dataclass(frozen=True, eq=False)
    class Grown(Vertebra):
        scoliosis_deg: float = 3.0

    assert {each.name for each in fields(Grown)} - {each.name for each in fields(Vertebra)} == {"scoliosis_deg"}
    entry = {each.name: None for each in fields(Vertebra)}
    with pytest.raises(TypeError, match="scoliosis_deg"):
        _whole(entry, Grown)


def test_model_keeps_what_is_one_thing_one_thing(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "model.npz")
    back = load_model(tmp_path / "model.npz")
    assert back.segments[0].upper is back.vertebrae[0]
    assert back.segments[0].upper_endplate is back.vertebrae[0].lower_endplate


def test_same_model_same_bytes(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "a.npz")
    save_model(load_model(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_model_needs_no_pickle(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        names = [name for name in archive.files if name != "model.json"]
        assert len(names) > 10
        assert all(archive[name].dtype != object for name in names)


@pytest.mark.parametrize("damage", ["absent", "empty", "text", "cut", "no json", "flipped"])
def test_damaged_models_are_refused_with_one_clear_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.npz"
    if damage != "absent":
        save_model(small_model(), path)
        whole = path.read_bytes()
        if damage in ("empty", "text", "cut"):
            path.write_bytes({"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2]}[damage])
        elif damage == "flipped":
            middle = len(whole) // 3
            path.write_bytes(whole[:middle] + bytes(255 - b for b in whole[middle : middle + 64]) + whole[middle + 64 :])
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("other.txt", "x")
    with pytest.raises(InputError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
