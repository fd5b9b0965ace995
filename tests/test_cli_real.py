"""A whole run by the command line on real scans and label maps, where they are; see conftest.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import trimesh

from kambin import io
from kambin.io.manifest import FileRecord, Manifest

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "schema" / "measurements-1.schema.json"


def kambin(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kambin", *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def run_folder(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "run"
    folder = data_dir / "ct-totalsegmentator"
    labels = folder / "example_seg_v1_full_5de6e4d.nii.gz"
    done = kambin(
        "run", folder / "example_ct.nii.gz", "-l", labels, "-s", "totalsegmentator-v1", "-o", out, "--json", "--no-report"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["measured"] > 60
    return out


def test_the_measurements_are_valid_and_cover_the_lumbar_levels(run_folder: Path) -> None:
    document = json.loads((run_folder / "measurements.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    measured = {(row["quantity"], row["level"], row["side"]) for row in document["rows"] if row["status"] == "measured"}
    for level in ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"):
        assert ("disc_height_middle", level, None) in measured
    for side in ("left", "right"):
        assert ("foraminal_area", "L4/L5", side) in measured


def test_measuring_again_gives_the_same_bits(run_folder: Path) -> None:
    before = (run_folder / "measurements.json").read_bytes()
    assert kambin("measure", run_folder, "--quiet").returncode == 0
    assert (run_folder / "measurements.json").read_bytes() == before


def test_the_manifest_is_true(run_folder: Path) -> None:
    for record in Manifest.read(run_folder / "manifest.json").outputs:
        assert FileRecord.of(run_folder / record.name, record.name) == record


def test_surfaces_lie_where_the_labels_lie(run_folder: Path, data_dir: Path) -> None:
    labels = data_dir / "ct-totalsegmentator" / "example_seg_v1_full_5de6e4d.nii.gz"
    segmentation = io.read_segmentation(labels, scheme="totalsegmentator-v1")
    for structure in segmentation.structures:
        if structure.key not in ("vertebra_L4", "aorta", "hip_bone_left", "hip_bone_right"):
            continue
        surface = trimesh.load(run_folder / "models" / f"{structure.key}.stl")
        assert surface.is_watertight
        centre = segmentation.grid.world(np.argwhere(segmentation.mask(structure)).mean(axis=0))
        np.testing.assert_allclose(surface.center_mass * [-1, -1, 1], centre, atol=1.5)  # LPS in the file


def test_the_segmentation_goes_in_again(run_folder: Path) -> None:
    back = io.read_segmentation(run_folder / "segmentation.seg.nrrd", scheme="kambin")
    assert {"vertebra_L4", "vertebral_body_L4"} & {structure.key for structure in back.structures}


def test_a_wrong_scale_is_refused_with_one_error(data_dir: Path, tmp_path: Path) -> None:
    labels = data_dir / "ct-totalsegmentator" / "example_seg_v1_full_5de6e4d.nii.gz"
    out = tmp_path / "run"
    done = kambin("run", "-l", labels, "-s", "totalsegmentator-v1", "-o", out, "--spacing-scale", "0.25", "--no-report")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
