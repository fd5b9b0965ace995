"""DICOM in: series sorted out, slices put in their places, and every irregularity told."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from dicom_maker import AXIAL, PDF, REPORT, ct_slice, document, enhanced, field, save, series_of
from kambin.errors import InputError
from kambin.io import describe, read_scan
from kambin.volume import Scan

SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def assert_field(scan: Scan, tolerance: float = 0.51) -> None:
    """Every voxel holds the field's value at its own place."""
    ras = scan.grid.world(np.moveaxis(np.indices(scan.grid.shape), 0, -1))
    assert np.abs(scan.values - field(ras * [-1, -1, 1])).max() <= tolerance


def test_a_folder(tmp_path: Path) -> None:
    scan = read_scan(save(tmp_path / "ct", series_of()))
    assert scan.modality == "CT"
    assert scan.grid.shape == (6, 5, 6)
    assert scan.grid.spacing_mm == pytest.approx([1, 2, 3])
    assert scan.values.dtype == np.int16
    assert_field(scan)


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, OBLIQUE])
def test_any_orientation_agrees_with_gdcm(tmp_path: Path, directions: tuple[float, ...]) -> None:
    normal = np.cross(directions[:3], directions[3:])
    folder = save(tmp_path / "ct", series_of(5, tuple(3 * normal), directions=directions))
    scan = read_scan(folder)
    assert_field(scan)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()
    assert scan.values.size == np.prod(theirs.GetSize())
    for index in np.ndindex(*theirs.GetSize()):
        ras = np.array(theirs.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        voxel = scan.grid.voxel(ras)
        assert np.allclose(voxel, np.rint(voxel), atol=1e-4)
        assert scan.values[tuple(np.rint(voxel).astype(int))] == theirs.GetPixel(index)


def test_one_file_stands_for_its_series(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", series_of())
    save(folder, series_of(4, number=2), prefix="other")
    scan = read_scan(folder / "im002.dcm")
    assert scan.grid.shape[2] == 6
    assert_field(scan)


def test_files_without_extension_and_subfolders(tmp_path: Path) -> None:
    slices = series_of()
    save(tmp_path / "ct" / "a", slices[:3], suffix="")
    save(tmp_path / "ct" / "b", slices[3:], suffix="")
    (tmp_path / "ct" / "notes.txt").write_text("not DICOM")
    scan = read_scan(tmp_path / "ct")
    assert_field(scan)
    assert scan.provenance["passed_over"] == ["1 file that is not DICOM"]
    assert read_scan(tmp_path / "ct" / "a" / "im000").grid.shape[2] == 3


def test_a_zip_agrees_with_its_folder(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", series_of())
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "ct")
    zipped, plain = read_scan(archive), read_scan(folder)
    assert np.array_equal(zipped.values, plain.values)
    assert zipped.grid.is_close(plain.grid)
    assert zipped.provenance["sha256"] == plain.provenance["sha256"]


def test_a_damaged_zip(tmp_path: Path) -> None:
    save(tmp_path / "ct", series_of())
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "ct"))
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(InputError, match="zip ends early or is damaged"):
        read_scan(archive)


def test_nothing_of_the_patient_in_the_provenance(tmp_path: Path) -> None:
    scan = read_scan(save(tmp_path / "ct", series_of(PatientPosition="HFS", Manufacturer="Maker")))
    told = json.dumps(dict(scan.provenance))
    assert not any(secret in told for secret in ("Secret", "Person", "4711", "1970"))
    assert scan.provenance["manufacturer"] == "Maker"
    assert describe(tmp_path / "ct").patient_position == "head first, supine"


def test_rescale_of_each_slice_and_fractions(tmp_path: Path) -> None:
    uid = generate_uid()
    slices = [ct_slice((-10, -20, 3 * k), instance=k, series=uid, slope=0.5 if k % 2 else 0.25, intercept=-1000.0 - k) for k in range(4)]
    scan = read_scan(save(tmp_path / "ct", slices))
    assert_field(scan)
    assert scan.values.dtype == np.float32


def test_padding_is_kept_out_of_ct(tmp_path: Path) -> None:
    slices = series_of(PixelPaddingValue=-2000, intercept=-1024.0)
    for dataset in slices:
        pixels = dataset.pixel_array.copy()
        pixels[0, 0], pixels[0, 1] = -2000, -50  # padding; and a stored value below -1024 HU
        dataset.PixelData = pixels.astype("<i2").tobytes()
        dataset["PixelPaddingValue"].VR = "SS"
    scan = read_scan(save(tmp_path / "ct", slices))
    assert scan.values.min() == -1024
    assert (scan.values == -1024).sum() == 2 * len(slices)


def test_mr_is_left_as_it_is(tmp_path: Path) -> None:
    scan = read_scan(save(tmp_path / "mr", series_of(modality="MR", intercept=-3000.0)))
    assert scan.modality == "MR"
    assert_field(scan)


def test_an_enhanced_multi_frame_file(tmp_path: Path) -> None:
    scan = read_scan(save(tmp_path / "ct", [enhanced()]) / "im000.dcm")
    assert scan.grid.shape == (6, 5, 6)
    assert_field(scan)
    assert describe(tmp_path / "ct").series[0].slices == 6


def test_a_tilted_gantry_is_straightened(tmp_path: Path) -> None:
    step = 2 * np.array([0, np.sin(np.radians(12)), np.cos(np.radians(12))])
    scan = read_scan(save(tmp_path / "ct", series_of(12, tuple(step), shape=(20, 8), spacing=(1.0, 1.0))))
    assert scan.provenance["gantry_tilt_deg"] == pytest.approx(12, abs=0.01)
    assert "resampled to a straight grid" in scan.provenance["doubts"][0]
    axes = scan.grid.world_from_voxel[:3, :3] / scan.grid.spacing_mm
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    ras = scan.grid.world(np.moveaxis(np.indices(scan.grid.shape), 0, -1))
    truth = field(ras * [-1, -1, 1])
    inside = scan.values > scan.values.min() + 1
    assert inside.sum() > 500
    assert np.median(np.abs(scan.values - truth)[inside]) < 1


# ------------------------------------------------------------------------------------------------------- what is beside it


def test_documents_reports_and_scouts_are_passed_over(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", series_of())
    scouts = series_of(2, number=7, directions=SAGITTAL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    save(folder, [document(PDF), document(REPORT, 98), *scouts], prefix="other")
    scan = read_scan(folder)
    assert_field(scan)
    told = " ".join(scan.provenance["passed_over"])
    assert "Encapsulated PDF" in told
    assert "Basic Text SR" in told
    assert "scout" in told


def test_a_scout_inside_the_series_is_left_out(tmp_path: Path) -> None:
    uid = generate_uid()
    scout = ct_slice((0, 0, 50), instance=1, series=uid, directions=SAGITTAL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    scan = read_scan(save(tmp_path / "ct", [*series_of(series=uid), scout]))
    assert_field(scan)


@pytest.mark.parametrize(("sop_class", "told"), [(PDF, "Encapsulated PDF"), (REPORT, "Basic Text SR")])
def test_a_document_alone(tmp_path: Path, sop_class: str, told: str) -> None:
    with pytest.raises(InputError, match=f"expected a CT or MR volume, found .*{told}"):
        read_scan(save(tmp_path / "doc", [document(sop_class)]))


def test_an_empty_folder_and_one_without_dicom(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match="expected DICOM files, found none"):
            read_scan(tmp_path)
        (tmp_path / "a.txt").write_text("no")


def test_a_file_that_only_claims_to_be_dicom(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"no")
    with pytest.raises(InputError, match="expected DICOM files, found none"):
        read_scan(tmp_path / "a.dcm")


def test_several_series_must_be_chosen(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", series_of(4, number=3))
    second = save(folder, series_of(5, number=4, first=100), prefix="b")
    with pytest.raises(InputError, match=r"found 2: series 3: CT 'series 3', 4 slices; series 4: .*Choose one by its number: ct#3"):
        read_scan(folder)
    assert read_scan(f"{second}#4").grid.shape[2] == 5
    assert read_scan(folder, series=3).grid.shape[2] == 4
    uid = str(pydicom.dcmread(folder / "b000.dcm").SeriesInstanceUID)
    assert read_scan(folder, series=uid).grid.shape[2] == 5
    with pytest.raises(InputError, match=r"expected one series '9', found no such series; there are series 3"):
        read_scan(f"{folder}#9")
    info = describe(folder)
    assert info.content == "several series"
    assert [each.number for each in info.series] == [3, 4]
    assert "choose one by its number: ct#3" in info.warnings[0]
    assert describe(f"{folder}#4").shape == (6, 5, 5)


def test_a_series_that_is_no_volume_cannot_be_chosen(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", [*series_of(), document(PDF, 8)])
    with pytest.raises(InputError, match="series 8 is not a volume: no images"):
        read_scan(f"{folder}#8")


# -------------------------------------------------------------------------------------------------------------- bad series


def bad(tmp_path: Path, slices: list) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(save(tmp_path / "bad", slices))
    assert "series 1" in str(caught.value)
    return str(caught.value)


def test_a_missing_slice(tmp_path: Path) -> None:
    slices = series_of(8)
    del slices[3]
    assert "missing slices: 1 between instance 6 and instance 4 (6.00 to 12.00 mm), where slices lie 3 mm apart" in bad(tmp_path, slices)


def test_a_doubled_slice(tmp_path: Path) -> None:
    uid = generate_uid()
    slices = [*series_of(series=uid), ct_slice((-10, -20, 6), instance=77, series=uid)]
    assert "doubled slices: instance 4 and instance 77 at 6.00 mm" in bad(tmp_path, slices)


def test_several_volumes_in_one_series(tmp_path: Path) -> None:
    uid = generate_uid()
    told = bad(tmp_path, [*series_of(series=uid), *series_of(series=uid)])
    assert "doubled slices" in told
    assert "holds several volumes" in told


def test_uneven_slices(tmp_path: Path) -> None:
    slices = series_of()
    slices[2].ImagePositionPatient = [-10, -20, 6.8]
    assert "unevenly spaced slices: expected steps of 3 mm" in bad(tmp_path, slices)


def test_a_shifted_slice(tmp_path: Path) -> None:
    slices = series_of()
    slices[2].ImagePositionPatient = [-14, -20, 6]
    assert "shifted slices: instance 4 lies 4.00 mm beside the line" in bad(tmp_path, slices)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"spacing": (1.0, 1.0)}, "expected one pixel spacing, found 1 x 2 mm (instance 6 and others) and 1 x 1 mm (instance 77)"),
        ({"directions": SAGITTAL}, "expected one orientation"),
        ({"shape": (4, 4)}, "expected one image size, found 6 x 5 (instance 6 and others) and 4 x 4 (instance 77)"),
    ],
)
def test_mixed_slices(tmp_path: Path, change: dict, told: str) -> None:
    uid = generate_uid()
    slices = [*series_of(series=uid), ct_slice((-10, -20, 18), instance=77, series=uid, **change)]
    message = bad(tmp_path, slices)
    assert "mixed slices" in message
    assert told in message


@pytest.mark.parametrize("name", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_slice_that_does_not_tell_its_place(tmp_path: Path, name: str) -> None:
    slices = series_of()
    delattr(slices[1], name)
    assert "im001.dcm does not tell its place" in bad(tmp_path, slices)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_bad_pixel_spacing(tmp_path: Path, value: float) -> None:
    assert "expected a positive spacing" in bad(tmp_path, series_of(PixelSpacing=[value, 1.0]))


def test_truncated_pixels(tmp_path: Path) -> None:
    slices = series_of()
    slices[2].PixelData = slices[2].PixelData[:-10]
    assert "the pixels of im002.dcm cannot be decoded" in bad(tmp_path, slices)


def test_two_slices_are_no_volume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer than 3 slices"):
        read_scan(save(tmp_path / "ct", series_of(2)))


def test_a_series_cannot_be_chosen_of_another_format(tmp_path: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match="expected a DICOM folder or zip"):
        read_scan(tmp_path / "a.nii", series=2)


def test_a_zip_without_dicom(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "no")
    with pytest.raises(InputError, match="expected DICOM files, found none"):
        read_scan(tmp_path / "a.zip")
