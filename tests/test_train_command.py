"""`kambin train` the whole way: from folders of small scans to a model and its test in their own voxels; and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

import kambin.segmentation.published as published
from kambin.anatomy.structures import Structure
from kambin.cli import main
from kambin.cli.door import Terminated
from kambin.errors import InputError, OutputError
from kambin.io import read_scan
from kambin.io.nifti_writer import write_nifti
from kambin.pipeline.train import train_system
from kambin.pipeline.train_cases import TrainOrder, read_data
from kambin.pipeline.train_results import mean_of, read_rows, summary
from kambin.segmentation.bundle import read_model
from kambin.segmentation.overlap import overlaps
from kambin.segmentation.predict import predict
from kambin.segmentation.targets import class_map, class_table
from kambin.volume import Scan
from training_cases import KEYS, NUMBERS, TINY, blocks, write_nnunet, write_patients


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "SYSTEMS", {"tiny": TINY, "tiny-ct": replace(TINY, key="tiny-ct", modality="CT")})


def order(data: Path, **changes: object) -> TrainOrder:
    return TrainOrder("tiny", str(data), device="cpu", **changes)  # type: ignore[arg-type]


def test_from_files_to_a_model_and_its_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_patients(tmp_path / "data"), tmp_path / "out"
    options = ["--fold", "1", "--epochs", "6", "--out", str(out), "--device", "cpu", "--json"]
    with pytest.raises(SystemExit) as leaving:
        main(["train", "--system", "tiny", "--data", str(data), *options])
    told = json.loads(capsys.readouterr().out)
    assert leaving.value.code == 0, told
    assert {path.name for path in out.iterdir()} >= {
        "training.json", "fold.json", "log.csv", "last.pt", "best.pt", "model.zip", "metrics.csv", "results.json",
    }  # fmt: skip
    fold = json.loads((out / "fold.json").read_text())
    assert sorted(fold["train"] + fold["validation"] + fold["test"]) == [f"patient-{n}" for n in range(5)]
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [(row["case"], row["class"]) for row in rows] == [(fold["test"][0], key) for key in KEYS]
    # what is tested is counted in the scan's own voxels
    labels = np.asarray(nibabel.load(data / fold["test"][0] / "labels.nii.gz").dataobj)
    disc = int(np.count_nonzero(labels == next(n for n in np.unique(labels) if n == 124)))
    assert int(rows[0]["true_voxels"]) == disc
    results = json.loads((out / "results.json").read_text())
    assert results["test"]["disc_L5"]["dice"]["mean"] == pytest.approx(float(rows[0]["dice"]))
    assert read_model(out / "model.zip").description.classes == TINY.classes
    assert len((out / "log.csv").read_text().splitlines()) == 7
    assert [row.key for row in read_rows(out / "metrics.csv")] == list(KEYS)


@pytest.mark.parametrize("preset", ["full", "cpu"])
def test_the_written_model_segments_as_the_network_that_was_tested(preset: str, tmp_path: Path) -> None:
    """By the program's own way through OpenVINO and tiles, without PyTorch; at once, and in windows."""
    data = write_patients(tmp_path / "data")
    result = train_system(order(data, preset=preset, epochs=4), tmp_path / "out")
    (case,) = {row.case for row in result.rows}
    scan, labels = (read_scan(data / case / name) for name in ("scan.nii.gz", "labels.nii.gz"))
    found = predict(scan, read_model(result.model)).classes
    truth = class_map(labels.values, class_table(TINY, {NUMBERS[key]: Structure.from_key(key) for key in KEYS}).numbers)
    # tiles lie a little differently from windows, so a few voxels of the windowed one may differ
    for row, again in zip(result.rows, overlaps(found, truth, len(TINY.classes)), strict=True):
        assert again.dice == pytest.approx(row.overlap.dice, abs=0.01 if preset == "full" else 0.1), row.key


def test_windows_of_patches_go_the_whole_way_too_and_the_same_command_goes_on(tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data")
    first = train_system(order(data, preset="cpu", epochs=1), tmp_path / "parts")
    second = train_system(order(data, preset="cpu", epochs=2), tmp_path / "parts")
    whole = train_system(order(data, preset="cpu", epochs=2), tmp_path / "whole")
    assert (len(first.log), len(second.log)) == (1, 2)
    assert second.log[1].loss == whole.log[1].loss
    assert (tmp_path / "parts" / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()
    assert read_model(second.model).description.stride == (5, 5, 5)
    with pytest.raises(InputError, match="seed is 1 and was 0"):
        train_system(order(data, preset="cpu", epochs=2, seed=1), tmp_path / "parts")


def test_cases_labelled_in_part_are_honoured(tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", keys=("disc_L5",))
    found = read_data(order(data), TINY, TINY.setting("full"), lambda _text, _done: None)
    rest = len(TINY.classes)
    assert found.targets.membership()[rest].tolist() == [True, False, True, True]
    for case in found.prepared.values():
        assert set(np.unique(case.classes)) == {1, rest}  # no voxel is taken for background
    assert "5 of 5 cases are labelled in part" in found.notes[0]
    assert "never labelled, so never learnt: psoas_left, psoas_right" in found.notes[1]
    result = train_system(order(data, epochs=1), tmp_path / "out")
    undefined = [row for row in result.rows if row.key != "disc_L5"]
    assert all(np.isnan(row.overlap.dice) for row in undefined)


def some_data(tmp_path: Path) -> Path:
    return write_nnunet(tmp_path / "data")


def outside(folder: Path) -> None:
    """One label more, in the table and in one of the maps."""
    document = json.loads((folder / "dataset.json").read_text())
    document["labels"]["aorta"] = 9
    (folder / "dataset.json").write_text(json.dumps(document))
    for case in ("case0", "case3"):
        _, labels = blocks(0)
        values = np.zeros(labels.values.shape, np.uint8)
        values[6:10, 6:8, 4:8], values[0, 0, 0] = 1, 9
        write_nifti(Scan(labels.grid, values), folder / "labelsTr" / f"{case}.nii.gz")


def ct(folder: Path) -> None:
    scan, _ = blocks(2)
    write_nifti(Scan(scan.grid, (scan.values - 1000).astype(np.int16)), folder / "imagesTr" / "case2_0000.nii.gz")
    document = json.loads((folder / "dataset.json").read_text()) | {"channel_names": {"0": "image"}}
    (folder / "dataset.json").write_text(json.dumps(document))


def said_ct(folder: Path) -> None:
    document = json.loads((folder / "dataset.json").read_text()) | {"channel_names": {"0": "CT"}}
    (folder / "dataset.json").write_text(json.dumps(document))


def constant(folder: Path) -> None:
    scan, _ = blocks(1)
    write_nifti(Scan(scan.grid, np.full(scan.values.shape, 7, np.int16)), folder / "imagesTr" / "case1_0000.nii.gz")


def moved(folder: Path) -> None:
    scan, _ = blocks(1)
    write_nifti(Scan(scan.grid.crop((0, 0, 0), (16, 16, 11)), scan.values[:, :, :11]), folder / "imagesTr" / "case1_0000.nii.gz")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (outside, r"outside the classes of tiny, with the number of cases: aorta \(2\)"),
        (ct, r"case2_0000.nii.gz: expected MR, found CT \(by its intensities\)"),
        (said_ct, r"expected MR, found CT \(the file says so\)"),
        (constant, "all its voxels are 7"),
        (moved, "found 16 x 16 x 12 voxels for its 16 x 16 x 11"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_before_anything_is_written(
    spoil: Callable[[Path], None], text: str, tmp_path: Path
) -> None:
    data = some_data(tmp_path)
    spoil(data)
    with pytest.raises(InputError, match=text):
        train_system(order(data), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_labels_are_background_or_unknown_when_that_is_asked_for(tmp_path: Path) -> None:
    data = some_data(tmp_path)
    outside(data)
    corners = {}
    for others in ("background", "unknown"):
        found = read_data(order(data, others=others, fold=2), TINY, TINY.setting("full"), lambda _text, _done: None)
        case = next(found.prepared[name] for name in ("case0", "case3") if name in found.prepared)
        corners[others] = int(case.classes[0, 0, 0])
    assert corners == {"background": 0, "unknown": 255}


def test_force_takes_another_modality(tmp_path: Path) -> None:
    data = some_data(tmp_path)
    said_ct(data)
    assert read_data(order(data, force=True), TINY, TINY.setting("full"), lambda _text, _done: None).prepared


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fold": 5}, "expected one of 0 to 4"),
        ({"preset": "huge"}, "expected one of full, cpu"),
        ({"epochs": 0}, "at least 1"),
        ({"others": "keep"}, "refuse, background, unknown"),
        ({"seed": -1}, "from 0 on"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(changes: dict[str, object], text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        train_system(order(some_data(tmp_path), **changes), tmp_path / "out")


def test_a_fold_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no case to test"):
        train_system(order(write_nnunet(tmp_path / "data", 3), fold=4), tmp_path / "out")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="left alone"):
        train_system(order(some_data(tmp_path)), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("stop", "status"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interruption_says_what_is_kept(
    stop: type[BaseException], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: object, **_more: object) -> None:
        raise stop

    monkeypatch.setattr("kambin.pipeline.train.train_system", interrupted)
    with pytest.raises(SystemExit) as leaving:
        main(["train", "--system", "tiny", "--data", "x", "--out", "place"])
    assert leaving.value.code == status
    assert "every finished epoch is kept in place" in capsys.readouterr().err


def test_the_summary_is_of_what_is_defined(tmp_path: Path) -> None:
    result = train_system(order(some_data(tmp_path), epochs=1), tmp_path / "out")
    table = summary(TINY, result.rows)
    values = [row.overlap.dice for row in result.rows]
    assert table["mean"]["dice"][0] == pytest.approx(mean_of(values))
    assert table["disc_L5"]["dice"][2] == 1
    assert np.isnan(mean_of([float("nan")]))
