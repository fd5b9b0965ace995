"""Segmenting a scan: tiny networks whose answer is known in closed form, by the library and by the command."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

import kambin.segmentation.predict as at_work
from dicom_maker import save, series_of
from kambin.anatomy.structures import Kind, Structure
from kambin.cli import main
from kambin.cli.segment import memory_bytes
from kambin.errors import InputError, OutputError
from kambin.io import read_scan, read_segmentation
from kambin.pipeline.segment import SegmentOrder, segment_file, segment_scan
from kambin.segmentation.bundle import read_model
from kambin.segmentation.checks import has_spine, refuse_unfit
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.hounsfield import looks_like_ct, without_soft_hips
from kambin.segmentation.predict import Means, predict
from kambin.volume import Grid, Scan
from tiny_models import blur_onnx, thresholds_onnx, write_model

BODY, DISC = Structure.from_key("vertebral_body_L4"), Structure.from_key("disc_L4")
CPU = Means("cpu")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Class 1 (a body) above 50, class 2 (a disc) above 150."""
    return write_model(tmp_path / "tiny")


def phantom(grid: Grid) -> np.ndarray:
    """A block of 100 with a block of 180 on its cranial side, in noise below 20; by the place in space of each voxel."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    values = np.random.default_rng(3).uniform(0, 20, grid.shape)
    values[(np.abs(world - (0, 0, -4)) < (12, 9, 8)).all(axis=-1)] = 100
    values[(np.abs(world - (0, 0, 9)) < (12, 9, 4)).all(axis=-1)] = 180
    return values.astype(np.float32)


def a_scan(shape=(40, 34, 30), spacing=1.0, **known) -> Scan:
    size = np.array(shape) - 1
    grid = Grid.axis_aligned(shape, spacing, -size * np.broadcast_to(spacing, 3) / 2)
    return Scan(grid, phantom(grid), **known)


def on_disk(scan: Scan, path: Path, orientation: str = "RAS") -> Path:
    image = nibabel.Nifti1Image(np.asarray(scan.values), scan.grid.world_from_voxel)
    target = nibabel.orientations.axcodes2ornt(tuple(orientation))
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), target))
    nibabel.save(turned, path)
    return path


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    return on_disk(a_scan(), tmp_path / "scan.nii.gz")


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


# --- what is computed ---


def test_thresholds_are_found_voxel_by_voxel(tiny) -> None:
    scan = a_scan()
    found = predict(scan, read_model(tiny), CPU)
    np.testing.assert_array_equal(found.classes, np.digitize(scan.values, [50, 150]))
    # scores 20 (k x - offset): at 100 (x = 0 on the window) they are 0, 10, 0
    at_100 = 1 / (1 + 2 * np.exp(-10.0))
    assert np.abs(found.confidence[scan.values == 100] / 255 - at_100).max() <= 0.5 / 255 + 1e-6


def test_a_network_that_looks_around_gives_the_blur_of_the_whole_scan_away_from_tiles_borders(tmp_path) -> None:
    """The filter's reach is 2 voxels; the weights of the tiles' outermost ones are a thousandth of those in their middle."""
    from scipy.ndimage import uniform_filter

    model = read_model(write_model(tmp_path / "blur", blur_onnx(edge=-0.2, width=5), classes=["background", "disc_L4"]))
    scan = a_scan((40, 36, 44))
    blurred = uniform_filter(np.clip(scan.values, 0, 200).astype(float) / 100 - 1, 5, mode="constant", cval=0.0)
    found = predict(scan, model, Means("cpu", skip_air=False))
    sure = np.abs(blurred + 0.2) > 0.05
    inner = (slice(3, -3),) * 3
    np.testing.assert_array_equal(found.classes[inner][sure[inner]], (blurred > -0.2)[inner][sure[inner]])


@pytest.mark.parametrize("kind", ["percentile", "zscore"])
def test_ct_is_cut_to_its_window_before_it_is_measured(tmp_path, kind) -> None:
    plain = read_model(write_model(tmp_path / "plain", normalisation={"kind": kind}))
    cutting = read_model(write_model(tmp_path / "cutting", normalisation={"kind": kind, "ct": [10, 150]}))
    scan = a_scan()
    values = np.array(scan.values)
    values[:4], values[-4:] = -1000, 3000
    ct, cut, mr = Scan(scan.grid, values, "CT"), Scan(scan.grid, np.clip(values, 10, 150), "CT"), Scan(scan.grid, values, "MR")
    found = predict(ct, cutting, CPU).classes
    np.testing.assert_array_equal(found, predict(cut, plain, CPU).classes)
    assert (found != predict(ct, plain, CPU).classes).any()
    np.testing.assert_array_equal(predict(mr, cutting, CPU).classes, predict(mr, plain, CPU).classes)


@pytest.mark.parametrize("spacing", [1.0, 2.0, (0.5, 0.7, 2.0)])
def test_another_voxel_size_gives_the_same_shapes(tmp_path, spacing) -> None:
    """Blocks keep their volume to half a voxel of the scan all around; the outline of thick slices too."""
    tiny = write_model(tmp_path / "tiny", spacing_mm=spacing if isinstance(spacing, float) else list(spacing))
    scan = a_scan((46, 42, 22), (1.0, 1.0, 2.0))
    found = predict(scan, read_model(tiny), CPU).classes
    truth = np.digitize(scan.values, [50, 150])
    for number in (1, 2):
        inside, either = (found == number) & (truth == number), (found == number).sum() + (truth == number).sum()
        assert 2 * inside.sum() / either > 0.85


@pytest.mark.parametrize("orientation", ["LPS", "SRA", "PIR", "AIL"])
@pytest.mark.parametrize("spacing", [None, [1.3, 1.3, 1.3]])
def test_another_orientation_in_the_file_gives_the_same_labels(tmp_path, orientation, spacing) -> None:
    tiny = write_model(tmp_path / "tiny", spacing_mm=spacing)
    scan = a_scan((30, 26, 20), (1.0, 1.1, 2.0))
    usual = segment_scan(read_scan(on_disk(scan, tmp_path / "a.nii.gz")), SegmentOrder(tiny, CPU)).segmentation
    turned = segment_scan(read_scan(on_disk(scan, tmp_path / "b.nii.gz", orientation)), SegmentOrder(tiny, CPU)).segmentation
    assert turned.grid.is_close(usual.grid)
    np.testing.assert_array_equal(turned.labels, usual.labels)


def test_the_same_scan_as_dicom_gives_the_same_classes(tmp_path) -> None:
    scan = read_scan(save(tmp_path / "series", series_of(8)))
    low, high = float(scan.values.min()), float(scan.values.max())
    model = read_model(write_model(tmp_path / "tiny", normalisation={"kind": "window", "low": low, "high": high}, spacing_mm=1.5))
    again = read_scan(on_disk(scan, tmp_path / "same.nii.gz", "PIR"))
    found = predict(scan, model, CPU).classes
    assert set(np.unique(found)) == {0, 1, 2}
    np.testing.assert_array_equal(predict(again, model, CPU).classes, found)


@pytest.mark.parametrize("shape", [(5, 40, 34), (20, 20, 3), (2, 30, 30)])
def test_tiny_scans_are_padded(tiny, shape) -> None:
    grid = Grid.axis_aligned(shape, 1.0)
    values = np.full(shape, 100.0, dtype=np.float32)
    values[0] = 10
    found = predict(Scan(grid, values), read_model(tiny), CPU)
    np.testing.assert_array_equal(found.classes, (values > 50).astype(np.uint8))


def test_tiles_without_a_patient_are_left_out(tiny) -> None:
    grid = Grid.axis_aligned((16, 16, 160), 1.0)
    values = np.zeros(grid.shape, dtype=np.float32)
    values[:, :, 60:90] = 100
    scan, model = Scan(grid, values), read_model(tiny)
    found, all_of_it = predict(scan, model, CPU), predict(scan, model, Means("cpu", skip_air=False))
    assert all_of_it.skipped == 0
    assert found.computed + found.skipped == all_of_it.computed
    assert found.skipped > found.computed
    np.testing.assert_array_equal(found.classes, all_of_it.classes)


def test_a_coarse_look_bounds_what_is_done(tmp_path) -> None:
    """The scan is a long block of "trunk" with a body in it; only about the body is worked at full resolution."""
    classes = ["background", "trunk", "vertebral_body_L4"]
    fine = thresholds_onnx((-0.5, 0.5))
    folder = write_model(
        tmp_path / "two", fine, classes=classes, spacing_mm=1.0,
        coarse={"model": "coarse.onnx", "classes": classes, "spacing_mm": 4.0, "patch": [16, 16, 16]},
    )  # fmt: skip
    (folder / "coarse.onnx").write_bytes(fine)
    grid = Grid.axis_aligned((60, 60, 200), 1.0)
    values = np.zeros(grid.shape, dtype=np.float32)
    values[4:-4, 4:-4] = 100
    values[20:44, 20:40, 90:115] = 190
    scan, model = Scan(grid, values), read_model(folder)
    found = predict(scan, model, CPU)
    alone = read_model(write_model(tmp_path / "one", fine, classes=classes, spacing_mm=1.0))
    everywhere = predict(scan, alone, Means("cpu", skip_air=False))
    assert found.computed < 0.5 * everywhere.computed
    np.testing.assert_array_equal(found.classes == 2, everywhere.classes == 2)
    assert (found.classes != everywhere.classes).mean() < 0.1  # the trunk's outline is the coarse look's far away
    values[values == 190] = 100
    nothing = predict(Scan(grid, values), model, CPU)
    assert nothing.computed == 0
    assert set(np.unique(nothing.classes)) == {0, 1}


def test_less_memory_gives_the_same_and_takes_less(tmp_path, monkeypatch) -> None:
    """Twelve classes over the whole scan would take 12 x 4 bytes a voxel; the budget allows a sixth of that."""
    bodies = [f"vertebral_body_{level}" for level in ("T12", "L1", "L2", "L3", "L4", "L5")]
    keys = ["background", *bodies, "sacrum", "aorta", "psoas", "trunk", "disc"]
    edges = tuple(np.linspace(-0.9, 0.9, len(keys) - 1))
    model = read_model(write_model(tmp_path / "many", thresholds_onnx(edges), classes=keys, patch=[32, 32, 32]))
    grid = Grid.axis_aligned((96, 96, 160), 1.0)
    values = np.random.default_rng(1).uniform(0, 200, grid.shape).astype(np.float32)
    scan = Scan(grid, values)
    whole = 4 * len(keys) * values.size
    monkeypatch.setattr(at_work, "_LEAST_ROOM", 1 << 20)
    monkeypatch.setattr(at_work, "_ENGINE_BYTES", 0)  # tracemalloc sees NumPy's memory alone
    peaks, classes = [], []
    for budget in (10 * whole, 4 * values.size + 2 * values.size + 9_500_000):
        tracemalloc.start()
        classes.append(predict(scan, model, Means("cpu", budget)).classes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert peaks[-1] < budget
    np.testing.assert_array_equal(classes[0], classes[1])
    levels = 100 * (1 + np.array(edges))
    sure = np.abs(values[..., None] - levels).min(axis=-1) > 0.01
    np.testing.assert_array_equal(classes[0][sure], np.digitize(values, levels)[sure])
    assert peaks[1] < peaks[0]
    assert peaks[1] < 0.35 * whole


def test_out_of_memory_goes_on_in_smaller_tiles_and_then_says_so(tiny, monkeypatch) -> None:
    scan, model = a_scan((64, 64, 40)), read_model(write_model(tiny, patch=[64, 64, 32]))
    opened, real = [], at_work.open_runtime

    def short_of_memory(network, description, tile, device, **known):
        opened.append(tile)
        if np.prod(tile) > 40_000:
            raise MemoryError
        return real(network, description, tile, device, **known)

    monkeypatch.setattr(at_work, "open_runtime", short_of_memory)
    found = predict(scan, model, CPU)
    assert opened == [(64, 64, 32), (32, 64, 32), (32, 32, 32)]
    assert "smaller than the model was trained on" in found.notes[0]
    np.testing.assert_array_equal(found.classes, np.digitize(scan.values, [50, 150]))

    def none_left(*_, **__):
        raise MemoryError

    monkeypatch.setattr(at_work, "open_runtime", none_left)
    with pytest.raises(InputError, match=r"memory: expected enough.*found too little"):
        predict(scan, model, CPU)
    with pytest.raises(InputError, match=r"--memory: expected at least 0.17 GB for a scan of 64 x 64 x 40 voxels, found 0.00 GB"):
        predict(scan, model, Means("cpu", 1_000_000))


def test_a_network_of_one_size_is_used_on_smaller_scans(tmp_path) -> None:
    """Files exported for one size of tile: the scan is padded to that."""
    content = thresholds_onnx(size=(24, 24, 24))
    model = read_model(write_model(tmp_path / "fixed", content, patch=[24, 24, 24], multiple=8))
    scan = a_scan((20, 40, 15))
    np.testing.assert_array_equal(predict(scan, model, CPU).classes, np.digitize(scan.values, [50, 150]))


# --- what is refused ---


def unfit(values: np.ndarray, modality: str | None = None, *, wants: str | None = "MR", force: bool = False, tmp_path: Path) -> None:
    model = read_model(write_model(tmp_path / "tiny", modality=wants))
    refuse_unfit(Scan(Grid.axis_aligned(values.shape, 1.0), values, modality), model.description, "x.nii", force)


NOISE = np.random.default_rng(4).normal(100, 30, (12, 12, 12)).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "modality", "expected"),
    [
        (NOISE[:, :, :1], "MR", "x.nii: expected a volume of several slices, found a single slice"),
        (np.where(NOISE > 150, np.nan, NOISE), "MR", "expected finite intensities, found NaN or infinity in"),
        (np.full((4, 4, 4), 7.0), "MR", "expected a scan of more than one intensity, found 7 everywhere"),
        (NOISE, "CT", "expected MR for the model tiny, found CT.*--force"),
        (NOISE * 10 - 1000, None, "expected MR for the model tiny, found CT"),
        (np.repeat(np.arange(6, dtype=np.int16), 600).reshape(36, 10, 10), None, "what looks like a label map"),
    ],
)
def test_scans_that_cannot_be_segmented_are_refused(tmp_path, values, modality, expected) -> None:
    with pytest.raises(InputError, match=expected):
        unfit(values, modality, tmp_path=tmp_path)


def test_force_uses_a_model_on_another_modality_but_not_on_nothing(tmp_path) -> None:
    unfit(NOISE, "CT", force=True, tmp_path=tmp_path)
    unfit(NOISE, "CT", wants=None, tmp_path=tmp_path)
    unfit(NOISE, None, tmp_path=tmp_path)
    with pytest.raises(InputError, match="more than one intensity"):
        unfit(np.zeros((4, 4, 4)), force=True, tmp_path=tmp_path)


def test_a_spine_is_told_from_specks() -> None:
    grid, known = Grid.axis_aligned((40, 40, 40), 1.0), ClassSet.from_keys(["background", "trunk", "disc"])
    classes = np.ones(grid.shape, dtype=np.uint8)
    assert not has_spine(classes, known, grid)
    classes[::4, ::4, ::4] = 2
    assert not has_spine(classes, known, grid)
    classes[5:20, 5:20, 5:20] = 2
    assert has_spine(classes, known, grid)


def column() -> Scan:
    """Five oval bodies, a disc below each, and a wedge for a sacrum; 70, 110 and 150 in noise below 20, voxels of 2 mm."""
    grid = Grid.axis_aligned((40, 40, 125), 2.0, (-39.0, -39.0, -120.0))
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    values = np.random.default_rng(0).uniform(0, 20, grid.shape)
    oval = (x / 24) ** 2 + (y / 17) ** 2 < 1
    for base in 34.0 * np.arange(5) - 40:
        values[oval & (z >= base) & (z < base + 26)] = 70
        values[oval & (z >= base - 8) & (z < base)] = 110
    values[(np.abs(x) < 40 + 0.4 * (z + 48)) & (np.abs(y) < 20) & (z < -48) & (z > -115)] = 150
    return Scan(grid, values.astype(np.float32))


def test_classes_without_levels_are_named_by_anatomy(tmp_path) -> None:
    classes = ["background", "vertebral_body", "disc", "sacrum"]
    tiny = write_model(tmp_path / "tiny", thresholds_onnx((-0.6, -0.1, 0.3)), classes=classes, naming="anatomy", patch=[32, 32, 64])
    scan = column()
    made = segment_scan(scan, SegmentOrder(tiny, CPU)).segmentation
    levels = ("L1", "L2", "L3", "L4", "L5")
    assert {s.key for s in made.structures} == {"sacrum", *(f"vertebral_body_{n}" for n in levels), *(f"disc_{n}" for n in levels)}
    np.testing.assert_array_equal(made.mask(made.find(Kind.BODY)), scan.values == 70)
    heights = [np.argwhere(made.mask(Structure.from_key(f"disc_{n}")))[:, 2].mean() for n in levels]
    assert heights == sorted(heights, reverse=True)


def test_pytorch_and_the_engines_are_not_loaded_before_they_are_needed() -> None:
    code = "import sys, kambin.cli.segment, kambin.pipeline.segment; print(' '.join(m for m in sys.modules if '.' not in m))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"torch", "monai", "onnx", "onnxruntime", "openvino"}


# --- files and the command ---


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seg.nrrd"])
def test_a_label_map_is_written_that_reads_back(tmp_path, tiny, scan_file, ending) -> None:
    place, sure = tmp_path / f"out{ending}", tmp_path / "sure.nii.gz"
    result = segment_file(scan_file, place, SegmentOrder(tiny, CPU), confidence=sure)
    back = read_segmentation(place, scheme="kambin")
    np.testing.assert_array_equal(back.labels, result.segmentation.labels)
    assert back.grid.is_close(read_scan(scan_file).grid)
    assert set(back.structures) == {BODY, DISC}
    np.testing.assert_array_equal(back.mask(DISC), a_scan().values == 180)
    shares = nibabel.load(sure)
    assert shares.get_data_dtype() == np.uint8
    np.testing.assert_allclose(shares.get_fdata(), result.confidence / 255, atol=1e-6)
    assert {p.name for p in tmp_path.iterdir()} == {"tiny", "scan.nii.gz", place.name, sure.name}


def test_mean_confidence_by_structure_is_kept(tiny) -> None:
    made = segment_scan(a_scan(), SegmentOrder(tiny, CPU)).segmentation
    told = made.provenance["segmented_by"]
    assert set(told["confidence"]) == {BODY.key, DISC.key}
    assert told["confidence"][BODY.key] == pytest.approx(1 / (1 + 2 * np.exp(-10.0)), abs=0.003)
    assert told["sha256"] == read_model(tiny).network.sha256


def test_sides_that_a_model_leaves_open_are_split_and_levels_left_out(tmp_path) -> None:
    tiny = write_model(tmp_path / "tiny", classes=["background", "sacrum", "psoas"])
    scan = a_scan()
    made = segment_scan(scan, SegmentOrder(tiny, CPU)).segmentation
    assert {s.key for s in made.structures} == {"sacrum", "psoas_left", "psoas_right"}
    assert any("split at the midline" in doubt for doubt in made.doubts)
    tiny = write_model(tmp_path / "tiny", classes=["background", "sacrum", "disc"])
    made = segment_scan(scan, SegmentOrder(tiny, CPU)).segmentation
    assert {s.key for s in made.structures} == {"sacrum"}
    assert any("the level of disc could not be told" in doubt for doubt in made.doubts)


def test_what_the_published_ct_system_tells_apart_is_kept_without_levels(tmp_path) -> None:
    tiny = write_model(tmp_path / "tiny", classes=["background", "vertebra", "nerve_root"])
    made = segment_scan(a_scan(), SegmentOrder(tiny, CPU)).segmentation
    assert {s.key for s in made.structures} == {"vertebra", "nerve_root_left", "nerve_root_right"}
    assert max(made.table) < 256
    assert not any("could not be told" in doubt for doubt in made.doubts)


def test_the_command_says_what_it_found(capsys, tmp_path, tiny, scan_file) -> None:
    status, out, err = call(capsys, "segment", scan_file, "-o", tmp_path / "seg.nii.gz", "--model", tiny, "--device", "cpu")
    assert status == 0, err
    assert "L4 disc" in out
    assert "not for clinical use" in out
    assert "tiny" in out
    status, out, _ = call(capsys, "segment", scan_file, "-o", tmp_path / "s2.seg.nrrd", "-m", tiny, "--json", "--memory", "500MB")
    document = json.loads(out)
    assert status == document["status"] == 0
    assert [s["key"] for s in document["structures"]] == [DISC.key, BODY.key]
    voxels = int((a_scan().values == 180).sum())
    assert document["structures"][0]["voxels"] == voxels
    assert document["structures"][0]["volume_ml"] == pytest.approx(voxels / 1000, abs=1e-3)
    assert document["made_by"]["model"] == "tiny"


def test_no_spine_in_view_is_status_2_and_no_file(capsys, tmp_path, tiny) -> None:
    noise = np.random.default_rng(0).uniform(0, 40, (30, 30, 30)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / "leg.nii.gz")
    status, out, err = call(capsys, "segment", tmp_path / "leg.nii.gz", "-o", tmp_path / "seg.nii.gz", "-m", tiny)
    assert (status, out) == (2, "")
    assert "no spine in view" in err
    assert not (tmp_path / "seg.nii.gz").exists()
    status, _, err = call(capsys, "run", tmp_path / "leg.nii.gz", "-o", tmp_path / "run", "-m", tiny)
    assert status == 2
    assert "no spine in view" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["seg.txt"], "ends in .nii.gz, .nii, .seg.nrrd"),
        (["no/such/seg.nii.gz"], "expected a folder to write into"),
        (["there.nii.gz"], "found a file there. Give --overwrite"),
        (["scan.nii.gz", "--overwrite"], "found the scan itself"),
        (["seg.nii.gz", "--confidence", "seg.nii.gz"], "another file than that of the label map"),
        (["seg.nii.gz", "--confidence", "sure.seg.nrrd"], "--confidence"),
        (["seg.nii.gz", "--device", "abacus"], "--device: expected auto, cpu, gpu"),
        (["seg.nii.gz", "--memory", "much"], "--memory: expected an amount"),
        (["seg.nii.gz", "--memory", "3MB"], "at least 100MB"),
        (["seg.nii.gz", "--model", "no-such-model"], "expected the name of a model or the file of one"),
    ],
)
@pytest.mark.usefixtures("tiny", "scan_file")
def test_wrong_arguments_are_one_clear_error(capsys, tmp_path, monkeypatch, arguments, expected) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.nii.gz").write_bytes(b"somebody's")
    before = {p.name: p.stat().st_size for p in tmp_path.iterdir()}
    status, out, err = call(capsys, "segment", "scan.nii.gz", "-m", "tiny", "-o", *arguments)
    assert (status, out) == (2, "")
    assert expected in err.replace("\n", " ")
    assert {p.name: p.stat().st_size for p in tmp_path.iterdir()} == before


def test_a_volume_in_time_is_refused(capsys, tmp_path, tiny) -> None:
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((8, 8, 8, 3)), np.eye(4)), tmp_path / "4d.nii.gz")
    status, _, err = call(capsys, "segment", tmp_path / "4d.nii.gz", "-o", tmp_path / "s.nii.gz", "-m", tiny)
    assert status == 2
    assert "three axes" in err


def test_nothing_half_written_stays_when_writing_fails(tmp_path, tiny, scan_file, monkeypatch) -> None:
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kambin.pipeline.segment.write_shares", full)
    with pytest.raises(OutputError, match="No space left"):
        segment_file(scan_file, tmp_path / "s.nii.gz", SegmentOrder(tiny, CPU), confidence=tmp_path / "c.nii.gz")
    assert {p.name for p in tmp_path.iterdir()} == {"tiny", "scan.nii.gz"}


@pytest.mark.parametrize(("text", "expected"), [("2GB", 2_000_000_000), ("800 mb", 800_000_000), ("1.5GiB", 1_610_612_736)])
def test_amounts_of_memory_are_read(text, expected) -> None:
    assert memory_bytes(text) == expected


def test_a_run_without_labels_is_a_run_with_the_labels_that_it_made(capsys, tmp_path, tiny, scan_file, monkeypatch) -> None:
    """Reconstruction and what follows are replaced by small values; what they are given is compared."""
    import kambin.reconstruction
    from io_write_models import small_model

    given = []

    def reconstruct(segmentation, **_):
        given.append(segmentation)
        return small_model()

    monkeypatch.setattr(kambin.reconstruction, "reconstruct", reconstruct)
    first, second = tmp_path / "first", tmp_path / "second"
    status, _, err = call(capsys, "reconstruct", scan_file, "-o", first, "-m", tiny, "--device", "cpu", "-q")
    assert status == 0, err
    labels = first / "labels.nii.gz"
    assert call(capsys, "reconstruct", scan_file, "-l", labels, "-s", "kambin", "-o", second, "-q")[0] == 0
    np.testing.assert_array_equal(given[0].labels, given[1].labels)
    assert given[0].table == given[1].table
    np.testing.assert_array_equal(given[0].grid.world_from_voxel, given[1].grid.world_from_voxel)
    manifest = json.loads((first / "manifest.json").read_text())
    assert [entry["role"] for entry in manifest["inputs"]] == ["scan", "model"]
    assert manifest["parameters"]["segmentation"]["sha256"] == read_model(tiny).network.sha256
    assert {"labels.nii.gz", "confidence.nii.gz"} <= {entry["name"] for entry in manifest["outputs"]}


# --- what Hounsfield units tell ---


def test_on_ct_hip_bone_without_a_cortex_near_is_muscle() -> None:
    """Two plates called hip bone, 30 mm apart: one of marrow with a cortex, one of muscle."""
    grid = Grid.axis_aligned((60, 40, 30), (1.0, 1.0, 2.0))
    classes, values = np.ones(grid.shape, dtype=np.uint8), np.full(grid.shape, -100.0, dtype=np.float32)
    classes[10:22, 5:35], values[10:22, 5:35] = 2, 40.0
    values[10, 5:35] = values[21, 5:35] = 700.0
    classes[40:55, 5:35], values[40:55, 5:35] = 2, 55.0
    known = ClassSet((Structure(Kind.TRUNK), Structure(Kind.HIP)))
    found, told = without_soft_hips(classes, Scan(grid, values, modality="CT"), known)
    assert (found[10:22, 5:35] == 2).all()
    assert (found[40:55] == 1).all()
    assert told == "27 cm³ found as hip bone, too far from anything as bright as bone, were left out."
    assert (classes[40:55, 5:35] == 2).all()  # what was given is not changed
    values[22:31, 20] = 200.0  # a calcified strand up to 10 mm from the muscle's nearest layer
    assert int((without_soft_hips(classes, Scan(grid, values, modality="CT"), known)[0][40:55] == 2).sum()) == len(range(30))
    nothing = np.zeros(grid.shape, dtype=np.uint8)
    assert without_soft_hips(nothing, Scan(grid, values), known) == (nothing, None)


@pytest.mark.parametrize(
    ("modality", "lowest", "expected"), [("CT", 0.0, True), ("MR", -1000.0, False), (None, -1000.0, True), (None, -500.0, False)]
)
def test_ct_is_told_by_its_name_else_by_its_air(modality, lowest, expected) -> None:
    scan = a_scan(modality=modality)
    values = np.array(scan.values)
    values[0, 0, 0] = lowest
    assert looks_like_ct(Scan(scan.grid, values, modality=modality)) is expected
