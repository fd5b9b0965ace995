"""NIfTI in, whatever its storage; every bad file told in one sentence. The files are written by nibabel."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kambin.errors import InputError
from kambin.io import describe, read_scan, read_segmentation
from kambin.volume import Grid, Scan, Segmentation
from storages import STORAGES, oblique_grids, stored

SHAPE = (6, 5, 4)
RNG = np.random.default_rng(0)


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0]) if affine is None else affine), path)
    return path


def patched(path: Path, **fields: object) -> Path:
    """The file with header fields overwritten on disk, past the library's own checks."""
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(bytes(content))
    return path


def scan_values() -> np.ndarray:
    return RNG.integers(-1000, 2000, size=SHAPE).astype(np.int16)


@settings(max_examples=40, deadline=None)
@given(oblique_grids(), st.sampled_from(STORAGES), st.sampled_from([".nii", ".nii.gz"]))
def test_any_storage_gives_the_same_scan(grid: Grid, storage: tuple[tuple[int, ...], tuple[bool, ...]], suffix: str) -> None:
    array = np.arange(np.prod(grid.shape), dtype=np.int16).reshape(grid.shape)
    other, other_grid = stored(array, grid, *storage)
    with tempfile.TemporaryDirectory() as folder:
        scan = read_scan(write(Path(folder) / f"scan{suffix}", other, other_grid.world_from_voxel))
    assert np.array_equal(scan.values, array)
    assert np.abs(scan.grid.world_from_voxel - grid.world_from_voxel).max() < 1e-9


def test_scaling_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(scan_values(), np.eye(4))
    image.header.set_slope_inter(2, -1024)
    nib.save(image, tmp_path / "scaled.nii.gz")
    expected = nib.load(tmp_path / "scaled.nii.gz").get_fdata()
    assert np.allclose(read_scan(tmp_path / "scaled.nii.gz").values, expected)


def test_a_ct_s_padding_is_air(tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(-1024, 1500, (20, 20, 20)).astype(np.int16)
    padded = array.copy()
    padded[:4], array[:4] = -3024, -1024
    np.testing.assert_array_equal(read_scan(write(tmp_path / "ct.nii.gz", padded)).values, array)


def test_values_far_below_that_are_no_padding_stay(tmp_path: Path) -> None:
    phase = np.random.default_rng(1).integers(-4096, 4095, (20, 20, 20)).astype(np.int16)
    np.testing.assert_array_equal(read_scan(write(tmp_path / "phase.nii.gz", phase)).values, phase)
    phase[:5] = -4096
    np.testing.assert_array_equal(read_scan(write(tmp_path / "masked.nii.gz", phase)).values, phase)


def test_nifti_2_reads_too(tmp_path: Path) -> None:
    values = scan_values()
    nib.save(nib.Nifti2Image(values, np.eye(4)), tmp_path / "two.nii")
    assert np.array_equal(read_scan(tmp_path / "two.nii").values, values)


def test_provenance_is_the_file_s(tmp_path: Path) -> None:
    import hashlib

    path = write(tmp_path / "scan.nii.gz", scan_values(), np.diag([-1.0, 1, 1, 1]))
    scan = Scan.read(path)
    assert scan.provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert scan.provenance["file"] == "scan.nii.gz"
    assert scan.provenance["stored_orientation"] == "LAS"
    assert scan.modality is None


def test_a_qform_alone_is_enough(tmp_path: Path) -> None:
    image = nib.Nifti1Image(scan_values(), None)
    image.set_qform(np.diag([-2.0, 2, 2, 1]), code=1)
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "q.nii")
    assert read_scan(tmp_path / "q.nii").provenance["stored_orientation"] == "LAS"


def test_sform_and_qform_that_differ_are_a_doubt(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
    image.set_sform(np.diag([-1.0, 1, 1, 1]), code=2)
    image.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "two.nii")
    scan = read_scan(tmp_path / "two.nii")
    assert "sform and qform differ by up to 10.0 mm; the sform was used" in scan.provenance["doubts"][0]
    assert scan.provenance["stored_orientation"] == "LAS"


def test_metres_become_millimetres(tmp_path: Path) -> None:
    image = nib.Nifti1Image(scan_values(), np.diag([0.002, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "m.nii")
    scan = read_scan(tmp_path / "m.nii")
    assert scan.grid.spacing_mm == pytest.approx([2, 2, 3])
    assert "meter" in scan.provenance["doubts"][0]


def test_trailing_axes_of_one_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.nii", scan_values()[..., None, None])
    assert read_scan(path).values.shape == SHAPE


def test_spacing_scale_is_along_the_stored_axes(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 3.0, 5], [-2.0, 0, 0, 6], [0, 1.0, 0, 7], [0, 0, 0, 1]])
    path = write(tmp_path / "s.nii", np.ones(SHAPE, np.uint8), affine)
    scan = read_scan(path, spacing_scale=(1.5, 2, 1))
    assert scan.grid.spacing_mm == pytest.approx([3, 3, 2])  # right from axis 2, anterior from axis 0, cranial from axis 1
    first = Grid(SHAPE, affine).world([0, 0, 0])
    assert np.abs(scan.grid.corners_mm() - first).min() < 2  # still about the first voxel
    assert "multiplied by 1.5 x 2 x 1" in scan.provenance["doubts"][0]
    with pytest.raises(InputError, match="three positive factors"):
        read_scan(path, spacing_scale=(0, 1, 1))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_scan(tmp_path / "none.nii.gz")


def test_unknown_suffix(tmp_path: Path) -> None:
    (tmp_path / "scan.txt").write_text("hello")
    with pytest.raises(InputError, match=r"expected one of \.nii"):
        read_scan(tmp_path / "scan.txt")


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999])
def test_truncated_gz(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "cut.nii.gz", scan_values())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match=r"cut\.nii\.gz: the compressed file ends early or is damaged"):
        read_scan(path)


def test_truncated_plain_and_inside_gz(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.nii", scan_values())
    content = path.read_bytes()[:-20]
    path.write_bytes(content)
    (tmp_path / "cut2.nii.gz").write_bytes(gzip.compress(content))
    for name in ("cut.nii", "cut2.nii.gz"):
        with pytest.raises(InputError, match="ends early or is damaged"):
            read_scan(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not a nifti file at all", b"\0" * 400])
def test_not_nifti(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.nii").write_bytes(content)
    with pytest.raises(InputError, match="no NIfTI header"):
        read_scan(tmp_path / "x.nii")


def test_neither_sform_nor_qform(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "lost.nii", scan_values()), sform_code=0, qform_code=0)
    with pytest.raises(InputError, match="expected an sform or a qform, found neither"):
        read_scan(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -2.0])
def test_bad_spacing(tmp_path: Path, bad: float) -> None:
    path = patched(write(tmp_path / "bad.nii", scan_values()), pixdim=[1, 2, bad, 2, 0, 0, 0, 0])
    with pytest.raises(InputError, match=r"expected a positive spacing.*found 2 x (nan|inf|0|-2) x 2"):
        read_scan(path)


@pytest.mark.parametrize(("row", "told"), [([np.nan, 0, 0, 0], "finite"), ([0, 0, 0, 0], "singular")])
def test_bad_sform(tmp_path: Path, row: list[float], told: str) -> None:
    path = patched(write(tmp_path / "bad.nii", scan_values()), srow_x=row)
    with pytest.raises(InputError, match=told):
        read_scan(path)


def test_four_dimensions(tmp_path: Path) -> None:
    path = write(tmp_path / "four.nii", np.zeros((*SHAPE, 3), np.int16))
    with pytest.raises(InputError, match=r"one volume of three axes, found an array of shape \(6, 5, 4, 3\)"):
        read_scan(path)


def test_two_dimensions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="three axes"):
        read_scan(write(tmp_path / "two.nii", np.zeros((6, 5), np.int16)))


def test_colours(tmp_path: Path) -> None:
    colour = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(InputError, match="one number a voxel"):
        read_scan(write(tmp_path / "rgb.nii", colour))


def test_skewed_axes_are_straightened_and_said(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(10))
    scan = read_scan(write(tmp_path / "skew.nii", np.ones((10, 10, 10), np.float32), affine))
    columns = scan.grid.world_from_voxel[:3, :3] / scan.grid.spacing_mm
    assert np.allclose(columns.T @ columns, np.eye(3), atol=1e-6)
    assert "10.0 degrees off right angles" in scan.provenance["doubts"][0]


# ------------------------------------------------------------------------------------------------------------- label maps


def labels(*numbers: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for index, number in enumerate(numbers):
        array[index % SHAPE[0], index // SHAPE[0], 1] = number
    return array


def with_names(path: Path, array: np.ndarray, names: dict[int, str]) -> Path:
    """As TotalSegmentator's --ml writes it: an XML label table in extension 0."""
    entries = "".join(f'<Label Key="{k}" Red="0" Green="0" Blue="0" Alpha="1"><![CDATA[{n}]]></Label>' for k, n in names.items())
    table = f'<VolumeInformation Index="0"><LabelTable>{entries}</LabelTable></VolumeInformation>'
    text = f'<?xml version="1.0"?> <CaretExtension>{table}</CaretExtension>'
    image = nib.Nifti1Image(array, np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, text.encode()))
    nib.save(image, path)
    return path


def test_floats_that_are_whole_are_labels(tmp_path: Path) -> None:
    seg = read_segmentation(write(tmp_path / "l.nii", labels(18, 19).astype(np.float64)), scheme="totalsegmentator-v1")
    assert [s.key for s in seg.structures] == ["vertebra_L4", "vertebra_L5"]


@pytest.mark.parametrize(
    "array",
    [
        labels(27).astype(np.float32) + 0.25,
        np.full(SHAPE, np.nan, np.float32),
        -labels(27).astype(np.int16),
        np.full(SHAPE, 70000, np.int32),
    ],
    ids=["fractions", "nan", "negative", "large"],
)
def test_a_scan_given_as_labels(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(InputError, match="this looks like a scan, not labels"):
        read_segmentation(write(tmp_path / "s.nii", array), scheme="totalsegmentator-v2")


def test_too_many_values_are_a_scan(tmp_path: Path) -> None:
    array = np.arange(1200, dtype=np.int16).reshape(12, 10, 10)
    with pytest.raises(InputError, match="at most 1000 different ones, found 1200"):
        read_segmentation(write(tmp_path / "s.nii", array), scheme="totalsegmentator-v2")


def test_labels_given_as_a_scan_are_fine(tmp_path: Path) -> None:
    assert read_scan(write(tmp_path / "l.nii", labels(27))).values.max() == 27


def test_unknown_ids_are_told_with_their_voxels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scheme totalsegmentator-v2, found also 118 \(1 voxel\), 200 \(2 voxels\)"):
        read_segmentation(write(tmp_path / "l.nii", labels(27, 200, 118, 200)), scheme="totalsegmentator-v2")


def test_known_but_unused_ids_are_noted(tmp_path: Path) -> None:
    seg = read_segmentation(write(tmp_path / "l.nii", labels(27, 1, 33)), scheme="totalsegmentator-v2")
    assert dict(seg.provenance["not_used_voxels"]) == {"spleen": 1, "vertebrae_T11": 1}


def test_nothing_known_in_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="structures that Kambin knows, found none"):
        read_segmentation(write(tmp_path / "l.nii", labels(1)), scheme="totalsegmentator-v2")


def test_header_names_that_agree(tmp_path: Path) -> None:
    path = with_names(tmp_path / "l.nii.gz", labels(27, 25), {27: "vertebrae_L5", 25: "sacrum", 5: "something else, not in the map"})
    assert len(read_segmentation(path, scheme="totalsegmentator-v2").structures) == 2
    assert [entry.name for entry in describe(path).labels] == ["sacrum", "vertebrae_L5"]


def test_header_names_that_contradict(tmp_path: Path) -> None:
    path = with_names(tmp_path / "l.nii.gz", labels(27), {27: "vertebrae_L5"})
    with pytest.raises(InputError, match=r"27 is 'vertebrae_L5' in the file and 'vertebrae_T8' in the scheme totalsegmentator-v1"):
        read_segmentation(path, scheme="totalsegmentator-v1")


def masks(folder: Path, shape: tuple[int, int, int] = SHAPE, **boxes: slice) -> Path:
    folder.mkdir(exist_ok=True)
    for name, box in boxes.items():
        array = np.zeros(shape, np.uint8)
        array[box] = 1
        write(folder / f"{name}.nii.gz", array)
    return folder


def test_a_folder_of_masks(tmp_path: Path) -> None:
    folder = masks(tmp_path / "seg", vertebrae_L5=slice(0, 2), sacrum=slice(2, 4), liver=slice(4, 6))
    seg = read_segmentation(folder, scheme="totalsegmentator-v2")
    assert {s.key: n for s, n in seg.voxel_counts().items()} == {"sacrum": 40, "vertebra_L5": 40}
    assert seg.doubts == ()


def test_a_folder_of_masks_that_overlap(tmp_path: Path) -> None:
    folder = masks(tmp_path / "seg", vertebrae_L5=slice(0, 3), sacrum=slice(2, 4))
    seg = read_segmentation(folder, scheme="totalsegmentator-v2")
    assert "overlap in 20 voxels" in seg.doubts[0]


def test_a_folder_of_masks_on_two_grids(tmp_path: Path) -> None:
    masks(tmp_path / "seg", vertebrae_L5=slice(0, 3))
    masks(tmp_path / "seg", (6, 6, 6), sacrum=slice(2, 4))
    with pytest.raises(InputError, match="masks on one grid"):
        read_segmentation(tmp_path / "seg", scheme="totalsegmentator-v2")


def test_a_folder_with_names_of_no_scheme(tmp_path: Path) -> None:
    folder = masks(tmp_path / "seg", vertebrae_L5=slice(0, 3), kneecap=slice(3, 4))
    with pytest.raises(InputError, match=r"found also kneecap\.nii\.gz"):
        read_segmentation(folder, scheme="totalsegmentator-v2")


def test_a_folder_without_masks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected mask files"):
        read_segmentation(tmp_path, scheme="totalsegmentator-v2")


def test_a_folder_with_a_label_map_in_it(tmp_path: Path) -> None:
    write(tmp_path / "vertebrae_L5.nii", labels(1, 2))
    with pytest.raises(InputError, match="mask of one structure"):
        read_segmentation(tmp_path, scheme="totalsegmentator-v2")


def test_reading_is_the_same_by_every_door(tmp_path: Path) -> None:
    path = write(tmp_path / "l.nii", labels(27, 28))
    first, second = Segmentation.read(path, scheme="totalsegmentator-v2"), read_segmentation(str(path), scheme=["totalsegmentator-v2"])
    assert np.array_equal(first.labels, second.labels)


def test_as_many_schemes_as_maps(tmp_path: Path) -> None:
    path = write(tmp_path / "l.nii", labels(27, 28))
    with pytest.raises(InputError, match="one for each of the 1, found 2"):
        read_segmentation(path, scheme=["totalsegmentator-v2", "verse"])
