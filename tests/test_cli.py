"""The command line: its answers, its exit statuses, and that nothing half-written ever stays.

Where a whole run is needed the three rooms between files and files are replaced by small hand-made values; that they work on real
scans is the matter of test_cli_real.py.
"""

# ruff: noqa: ARG001, ARG005 - fixtures are asked for by name, stand-ins have the signatures of what they stand for

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

import kambin.measurement
import kambin.pipeline.plans
import kambin.reconstruction
import kambin.report
from io_write_models import small_measurements, small_model, small_scan
from kambin.anatomy.structures import Side
from kambin.cli import main
from kambin.errors import InputError
from kambin.io.manifest import Manifest
from kambin.io.nifti_writer import write_nifti
from kambin.pipeline import outputs
from kambin.planning import Plans
from kambin.volume import Scan

FILES = {
    "evidence.mrk.json", "manifest.json", "measurements.csv", "measurements.json", "model.npz", "plan.json", "plan.mrk.json", "report.html",
    "scan.nii.gz", "scene.glb", "segmentation.seg.nrrd", "models/aorta.stl", "models/disc_L4.stl", "models/pedicle_L4_left.stl",
    "models/vertebra_L4.stl", "models/vertebra_L5.stl",
}  # fmt: skip


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(leaving.value.code or 0), out, err


def files_of(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(autouse=True)
def _keep_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A label map in Kambin's own scheme: L4 and L5 as in `small_model`."""
    model = small_model()
    values = np.zeros(model.grid.shape, dtype=np.uint8)
    from kambin.anatomy.schemes import builtin_scheme

    ids = {structure: label for label, structure in builtin_scheme("kambin").table.items()}
    for label, structure in model.table.items():
        values[model.labels == label] = ids[structure]
    path = tmp_path / "in" / "labels.nii.gz"
    path.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(values, model.grid.world_from_voxel), path)
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "ct.nii.gz"
    write_nifti(small_scan(), path)
    return path


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> dict:
    """Small values in place of what reconstruction, measurement and report make; what they were given is kept."""
    seen: dict = {}

    def reconstruct(segmentation, *, progress=None):
        seen["segmentation"] = segmentation
        progress("reconstructing", 0.5)
        return small_model()

    def measure(model, *, progress=None):
        seen["model"] = model
        return small_measurements()

    def plan(model, *, approaches, levels, sides, wishes, progress=None):
        return Plans((), {("L4/L5", Side.LEFT, "tf-peld"): "two boxes have no foramen"})

    def build_report(model, measurements, scan, *, plans, title, progress=None):
        seen.update(scan=scan, title=title, plans=plans)
        return f"<html><title>{title}</title>{[row.value for row in measurements.rows]}</html>"

    monkeypatch.setattr(kambin.reconstruction, "reconstruct", reconstruct)
    monkeypatch.setattr(kambin.measurement, "measure", measure, raising=False)
    monkeypatch.setattr(kambin.pipeline.plans, "plan", plan)
    monkeypatch.setattr(kambin.report, "build_report", build_report)
    return seen


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "run"


def test_run_writes_everything_and_says_so(capsys, rooms, labels, scan, out) -> None:
    status, said, err = call(capsys, "run", scan, "--labels", labels, "--scheme", "kambin", "-o", out)
    assert status == 0
    assert files_of(out) == FILES
    assert err.startswith("warning: Two boxes")
    assert said.index("L4/L5") < said.index(str(out))
    assert "33.3? / –" in said  # one decimal, ? for the doubt; the right side could not be measured
    assert [p.name for p in out.parent.iterdir()] == ["run"]
    assert isinstance(rooms["scan"], Scan)
    assert rooms["title"] == "ct"


def test_manifest_tells_what_went_in_and_what_came_out(capsys, rooms, labels, scan, out) -> None:
    call(capsys, "run", scan, "-l", labels, "-s", "kambin", "-o", out, "--lowest", "L5")
    document = json.loads((out / "manifest.json").read_text())
    assert {record["name"] for record in document["outputs"]} == FILES - {"manifest.json"}
    for record in document["outputs"]:
        content = (out / record["name"]).read_bytes()
        assert record["sha256"] == hashlib.sha256(content).hexdigest()
        assert record["size_bytes"] == len(content)
    assert [(record["role"], record["sha256"]) for record in document["inputs"]] == [
        ("scan", hashlib.sha256(scan.read_bytes()).hexdigest()),
        ("labels", hashlib.sha256(labels.read_bytes()).hexdigest()),
    ]
    assert document["parameters"]["schemes"] == ["kambin"]
    assert document["parameters"]["lowest"] == "L5"
    assert [stage["name"] for stage in document["stages"]] == ["reconstruct", "measure", "plan", "report"]
    assert document["started"] <= document["finished"]
    assert document["environment"]["numpy"] == np.__version__
    assert document["doubts"][0]["severity"] == "warning"


def test_json_is_one_object(capsys, rooms, labels, out) -> None:
    status, said, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, "--json")
    document = json.loads(said)
    assert (status, err) == (0, "")
    assert (document["measured"], document["not_measurable"]) == (2, 1)
    assert document["folder"] == str(out)
    assert document["doubts"][0]["text"].startswith("Two boxes")
    assert not (out / "scan.nii.gz").exists()


def test_quiet_says_nothing(capsys, rooms, labels, out) -> None:
    assert call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, "--quiet", "--no-report") == (0, "", "")
    assert not (out / "report.html").exists()


def test_stages_one_by_one_give_the_same_files(capsys, rooms, labels, scan, out, tmp_path) -> None:
    call(capsys, "run", scan, "-l", labels, "-s", "kambin", "-o", out)
    staged = tmp_path / "staged"
    assert call(capsys, "reconstruct", scan, "-l", labels, "-s", "kambin", "-o", staged)[0] == 0
    for stage in ("measure", "plan", "report"):
        assert call(capsys, stage, staged)[0] == 0
    assert files_of(staged) == FILES
    for name in FILES - {"manifest.json"}:
        assert (staged / name).read_bytes() == (out / name).read_bytes(), name
    first, second = (Manifest.read(folder / "manifest.json") for folder in (out, staged))
    assert first.outputs == second.outputs
    assert [p for p in staged.iterdir() if p.name.startswith(".")] == []


def test_measuring_anew_gives_the_same_bytes_and_keeps_the_report(capsys, rooms, labels, out) -> None:
    call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out)
    before = {name: (out / name).read_bytes() for name in ("measurements.json", "measurements.csv", "evidence.mrk.json", "report.html")}
    status, _, err = call(capsys, "measure", out)
    assert status == 0
    assert "earlier measurements" not in err
    assert before == {name: (out / name).read_bytes() for name in before}


def test_measuring_otherwise_says_that_the_report_is_old(capsys, rooms, labels, out, monkeypatch) -> None:
    call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out)
    fewer = kambin.Measurements(small_measurements().rows[:1])
    monkeypatch.setattr(kambin.measurement, "measure", lambda model, progress: fewer, raising=False)
    assert "earlier measurements" in call(capsys, "measure", out)[2]
    assert "earlier measurements" not in call(capsys, "report", out)[2]
    assert len(json.loads((out / "measurements.json").read_text())["rows"]) == 1


def test_the_modality_survives_the_run_folder(capsys, rooms, labels, scan, out, monkeypatch) -> None:
    monkeypatch.setattr("kambin.pipeline.inputs.read_scan", lambda path, spacing_scale: small_scan())
    call(capsys, "run", scan, "-l", labels, "-s", "kambin", "-o", out)
    assert rooms["scan"].modality == "CT"


def test_an_earlier_run_is_kept_unless_overwriting_is_asked_for(capsys, rooms, labels, out) -> None:
    arguments = ("run", "-l", labels, "-s", "kambin", "-o", out)
    call(capsys, *arguments)
    stamp = (out / "manifest.json").stat().st_mtime_ns
    status, said, err = call(capsys, *arguments)
    assert (status, said) == (2, "")
    assert err.count("\n") == 1
    assert "earlier run" in err
    assert "--overwrite" in err
    assert (out / "manifest.json").stat().st_mtime_ns == stamp
    status, _, _ = call(capsys, *arguments, "--overwrite", "--no-report")
    assert status == 0
    assert files_of(out) == FILES - {"report.html", "scan.nii.gz"}  # replaced whole, not mixed
    assert [p.name for p in out.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_folder_of_somebody_elses_is_never_touched(capsys, rooms, labels, out, overwrite) -> None:
    out.mkdir(parents=True)
    (out / "thesis.txt").write_text("years of work")
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, *overwrite)
    assert status == 2
    assert "no earlier run" in err
    assert files_of(out) == {"thesis.txt"}


def test_an_earlier_run_with_other_files_in_it_is_not_replaced(capsys, rooms, labels, out) -> None:
    call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out)
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("keep")
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, "--overwrite")
    assert status == 2
    assert "notes/mine.txt" in err
    assert (out / "notes" / "mine.txt").read_text() == "keep"


def test_an_empty_folder_is_used(capsys, rooms, labels, out) -> None:
    out.mkdir(parents=True)
    assert call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, "-q")[0] == 0
    assert "manifest.json" in files_of(out)


@pytest.mark.parametrize("where", ["", "sub"])
def test_a_file_in_the_place_of_the_folder_is_said(capsys, rooms, labels, tmp_path, where) -> None:
    place = tmp_path / "taken"
    place.write_text("a file")
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", place / where)
    assert status == 2
    assert str(place) in err
    assert place.read_text() == "a file"


def test_an_empty_name_is_not_the_present_folder(capsys, rooms, labels, tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", "")
    assert status == 2
    assert "--output" in err
    assert not files_of(tmp_path / "here")


def test_a_run_that_finished_there_meanwhile_is_kept(capsys, rooms, labels, out, monkeypatch) -> None:
    def measure(model, *, progress=None):
        out.mkdir()
        (out / "manifest.json").write_text("the other run's")
        return small_measurements()

    monkeypatch.setattr(kambin.measurement, "measure", measure)
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out)
    assert status == 2
    assert "earlier run" in err
    assert files_of(out.parent) == {"run/manifest.json"}
    assert (out / "manifest.json").read_text() == "the other run's"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a file's name be any bytes")
def test_names_of_files_in_another_encoding_are_read_and_written(capsys, rooms, labels, scan, tmp_path) -> None:
    old = os.fsdecode(b"caf\xe9")
    named = labels.rename(labels.with_name(old + ".nii.gz"))
    scanned = scan.rename(scan.with_name(old + "-ct.nii.gz"))
    status, said, err = call(capsys, "run", scanned, "-l", named, "-s", "kambin", "-o", tmp_path / old, "--json")
    assert (status, err) == (0, "")
    assert json.loads(said)["folder"] == str(tmp_path / old)
    assert files_of(tmp_path / old) == FILES
    records = Manifest.read(tmp_path / old / "manifest.json").inputs
    assert {record.name for record in records} == {str(named), str(scanned)}
    assert call(capsys, "report", tmp_path / old)[0] == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere, so nothing is forbidden here")
def test_a_place_that_may_not_be_written_to_is_said(capsys, rooms, labels, tmp_path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", locked / "run")
    assert status == 2
    assert "written" in err


def _raise(error: BaseException):
    def raiser(*_args, **_kwargs):
        raise error

    return raiser


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full"),
        (InputError("labels.nii.gz", "expected a spine, found a box"), 2, "expected a spine"),
        (ZeroDivisionError("division by zero"), 1, "--debug"),
        (MemoryError(), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
@pytest.mark.parametrize("at", ["write_glb", "write_markups"])
def test_whatever_goes_wrong_nothing_stays(capsys, rooms, labels, out, monkeypatch, error, status, said, at) -> None:
    monkeypatch.setattr(outputs, at, _raise(error))
    got, stdout, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out)
    assert (got, stdout) == (status, "")
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not out.parent.parent.exists()  # the folders above it were made for it


def test_whatever_goes_wrong_the_earlier_run_stays(capsys, rooms, labels, out, monkeypatch) -> None:
    call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out)
    before = {name: (out / name).read_bytes() for name in files_of(out)}
    monkeypatch.setattr(outputs, "write_markups", _raise(OSError(errno.ENOSPC, "No space left on device")))
    for arguments in (("run", "-l", labels, "-s", "kambin", "-o", out, "--overwrite"), ("measure", out)):
        status, _, err = call(capsys, *arguments)
        assert status == 2
        assert "MB free" in err
        assert "MB needed" in err
        assert {name: (out / name).read_bytes() for name in files_of(out)} == before
        assert [p.name for p in out.parent.iterdir()] == ["run"]


def test_errors_as_json_have_the_same_status(capsys, rooms, labels, out, monkeypatch) -> None:
    status, said, _ = call(capsys, "run", "-l", labels, "-s", "totalsegmentator", "-o", out, "--json")
    document = json.loads(said)
    assert (status, document["status"]) == (2, 2)
    assert document["error"]["type"] == "InputError"
    assert "totalsegmentator-v2" in document["error"]["hint"]
    monkeypatch.setattr(kambin.reconstruction, "reconstruct", _raise(RuntimeError("odd")))
    status, said, _ = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, "--json")
    assert (status, json.loads(said)["status"]) == (1, 1)
    status, said, _ = call(capsys, "run", "--json", "--no-such-option")
    assert (status, json.loads(said)["error"]["type"]) == (2, "UsageError")


def test_debug_shows_the_traceback(capsys, rooms, labels, out, monkeypatch) -> None:
    monkeypatch.setattr(kambin.reconstruction, "reconstruct", _raise(RuntimeError("odd")))
    status, _, err = call(capsys, "run", "-l", labels, "-s", "kambin", "-o", out, "--debug")
    assert status == 1
    assert "Traceback" in err


def test_the_label_map_given_as_the_scan_is_refused(capsys, rooms, labels, out, tmp_path) -> None:
    link = tmp_path / "ct.nii.gz"
    link.symlink_to(labels)
    for scan in (labels, link):
        status, said, err = call(capsys, "run", scan, "-l", labels, "-s", "kambin", "-o", out)
        assert (status, said, err.count("\n")) == (2, "", 1)
        assert "found the label map itself" in err
    assert not out.exists()


def test_a_label_map_in_the_place_of_the_scan_is_a_doubt(capsys, rooms, labels, scan, out, tmp_path) -> None:
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(labels.read_bytes())
    assert call(capsys, "run", copy, "-l", labels, "-s", "kambin", "-o", out)[0] == 0
    assert any("looks like a label map" in doubt for doubt in rooms["segmentation"].doubts)
    call(capsys, "run", scan, "-l", labels, "-s", "kambin", "-o", out, "--overwrite")
    assert not any("looks like a label map" in doubt for doubt in rooms["segmentation"].doubts)


def test_what_reading_the_scan_left_open_is_a_doubt(capsys, rooms, labels, out, monkeypatch) -> None:
    odd = replace(small_scan(), provenance={"doubts": ["two slices were missing"]})
    monkeypatch.setattr("kambin.pipeline.inputs.read_scan", lambda path, spacing_scale: odd)
    call(capsys, "run", "ct.nii.gz", "-l", labels, "-s", "kambin", "-o", out)
    assert "two slices were missing" in rooms["segmentation"].doubts


def test_scan_elsewhere_than_the_labels_is_refused(capsys, rooms, labels, out, tmp_path) -> None:
    far = tmp_path / "far.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.diag([1, 1, 1, 1.0]) + np.eye(4, k=3) * 5000), far)
    status, _, err = call(capsys, "run", far, "-l", labels, "-s", "kambin", "-o", out)
    assert status == 2
    assert "overlap" in err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "-o", "o"], "--labels"),
        (["run", "x.nii", "-s", "verse", "-o", "o"], "--scheme"),
        (["run", "-l", "x.nii", "-o", "o"], "--scheme"),
        (["run", "-l", "x.nii", "-s", "verse"], "output"),
        (["run", "-l", "x.nii", "-s", "verse", "-o", "o"], "x.nii"),
        (["run", "-l", "x.nii", "-s", "verse", "-s", "spider", "-s", "spider", "-o", "o"], "3 schemes for 1"),
        (["run", "-l", "x.nii", "-s", "verse", "-o", "o", "--lowest", "L9"], "L9"),
        (["run", "-l", "x.nii", "-s", "verse", "-o", "o", "--spacing-scale", "1.5,2"], "three factors"),
        (["run", "-l", "x.nii", "-s", "verse", "-o", "o", "--spacing-scale", "1,0,1"], "positive"),
        (["run", "-l", "x.nii", "-s", "mine.toml", "-o", "o"], "mine.toml"),
        (["run", "-l", "x.nii", "-s", "total-segmentator-v2", "-o", "o"], "totalsegmentator-v2"),
        (["measure", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["info", "nowhere.nii"], "nowhere.nii"),
        (["schemes", "vers"], "verse"),
        (["no-such-command"], "no-such-command"),
        ([], "Usage"),
    ],
)
def test_bad_usage_ends_with_status_2_and_one_clear_error(capsys, tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *arguments)
    assert status == 2
    assert said in out + err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_version(capsys) -> None:
    assert call(capsys, "--version") == (0, f"kambin {kambin.__version__}\n", "")


def test_schemes(capsys) -> None:
    status, said, _ = call(capsys, "schemes", "--json")
    assert status == 0
    assert {"totalsegmentator-v1", "spineps", "kambin"} <= {scheme["name"] for scheme in json.loads(said)["schemes"]}
    status, said, _ = call(capsys, "schemes", "totalsegmentator-v2", "--json")
    assert json.loads(said)["labels"]["27"]["structure"] == "vertebra_L5"
    assert "L5 vertebra" in call(capsys, "schemes", "totalsegmentator-v2")[1]
    assert "spider" in call(capsys, "schemes")[1]


def test_info(capsys, labels, scan) -> None:
    status, said, _ = call(capsys, "info", scan)
    assert status == 0
    assert "30 × 28 × 26" in said
    status, said, _ = call(capsys, "info", labels, "--scheme", "kambin", "--json")
    document = json.loads(said)
    assert status == 0
    assert {"vertebra_L4", "vertebra_L5"} <= {label["structure"] for label in document["labels"]}


_SLOW = """
import sys, time
import kambin.reconstruction
def slow(segmentation, *, progress=None):
    print("started", flush=True)
    time.sleep(60)
kambin.reconstruction.reconstruct = slow
from kambin.cli import main
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(labels, out, sent, status) -> None:
    arguments = [sys.executable, "-c", _SLOW, "run", "-l", str(labels), "-s", "kambin", "-o", str(out)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert any(out.parent.iterdir())  # it is being written
    time.sleep(0.1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in err
    assert not out.parent.parent.exists()
