"""The digital patient as a whole: nothing runs through anything else, the population is the published one, bad wishes are refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.cli import main
from kambin.errors import InputError
from kambin.phantom import PatientParameters, build_patient, levels_of, sample, simulate, view_of
from kambin.phantom.morphometry import LUMBAR, VERTEBRAE
from kambin.phantom.raster import paint_signal
from kambin.phantom.tissue import Tissue
from kambin.pipeline import phantom as pipeline_phantom
from kambin.volume import Grid, Scan

SOFT = (Kind.NERVE_ROOT, Kind.DURAL_SAC)
HARD = (Kind.VERTEBRA, Kind.SACRUM, Kind.HIP, Kind.DISC)


@pytest.fixture(scope="module")
def patients() -> dict[str, object]:
    herniation = {"herniation_l4l5_mm": 6.0, "herniation_lateral_mm": 7.0}
    wear = {"slip_l4l5_mm": 5.0, "facet_hypertrophy_l4l5_mm": 3.0, "scoliosis_deg": 20.0}
    worn = PatientParameters().changed(herniation | wear)
    return {"mean": build_patient(PatientParameters()), "worn": build_patient(worn), "seed 3": build_patient(sample(3))}


def points_around_spine(spacing: float = 1.5) -> np.ndarray:
    grid = Grid.axis_aligned((int(110 / spacing), int(130 / spacing), int(250 / spacing)), spacing, (-55.0, -90.0, -150.0))
    return grid.world(np.indices(grid.shape).reshape(3, -1).T).T.astype(np.float32)


def inside(patient, structure: Structure, points: np.ndarray) -> np.ndarray:
    shape = patient.shapes[structure]
    box = shape.box
    near = np.flatnonzero((points > box.low_mm[:, None]).all(axis=0) & (points < box.high_mm[:, None]).all(axis=0))
    result = np.full(points.shape[1], 1e3, dtype=np.float32)
    result[near] = shape(points[:, near])
    return result


@pytest.mark.parametrize("name", ["mean", "worn", "seed 3"])
def test_nerves_run_through_neither_bone_nor_disc(patients, name: str) -> None:
    patient = patients[name]
    points = points_around_spine()
    hard = np.min([inside(patient, s, points) for s in patient.shapes if s.kind in HARD], axis=0)
    deep = hard < -0.8
    for structure in patient.shapes:
        if structure.kind in SOFT:
            both = int(np.count_nonzero(deep & (inside(patient, structure, points) < -0.3)))
            assert both * 1.5**3 < 60.0, (structure.key, both)


@pytest.mark.parametrize("name", ["mean", "seed 3"])
def test_vertebrae_and_discs_share_no_space(patients, name: str) -> None:
    patient = patients[name]
    points = points_around_spine()
    levels = {s: inside(patient, s, points) for s in patient.shapes if s.kind in HARD}
    structures = list(levels)
    for index, one in enumerate(structures):
        for other in structures[index + 1 :]:
            both = int(np.count_nonzero((levels[one] < -0.6) & (levels[other] < -0.6)))
            assert both * 1.5**3 < 40.0, (one.key, other.key, both)


def test_each_root_passes_under_its_pedicle(patients) -> None:
    """Seen from the side each ganglion lies below its own pedicle and above the next one, behind the body, before the facets."""
    patient = patients["mean"]
    places = list(patient.column.vertebrae.values())
    for place, below in pairwise(places):
        for side in Side:
            shape = patient.shapes[Structure(Kind.NERVE_ROOT, place.level, side)]
            size = place.size
            right = side.sign * 0.5 * (size.canal_width_mm + size.pedicle_width_mm)
            heights = np.arange(-30.0, 20.0, 0.25)
            behind = np.arange(-2.0, 14.0, 0.25)
            local = np.array([[right, place.wall_mm - b, h] for h in heights for b in behind])
            level = shape(place.frame.world(local).T).reshape(len(heights), len(behind))
            found = np.argwhere(level < 0)
            assert len(found), (place.level, side)
            top, bottom = heights[found[:, 0].max()], heights[found[:, 0].min()]
            pedicle_bottom = place.height_mm / 2 - 1.5 - size.pedicle_height_mm
            assert top < pedicle_bottom, (place.level, side)
            next_top = place.frame.local(below.frame.world([right, below.wall_mm, below.height_mm / 2]))[2]
            assert bottom > next_top


def test_mean_man_is_mirrored_left_to_right(patients) -> None:
    patient = patients["mean"]
    rng = np.random.default_rng(2)
    points = rng.uniform((-60, -70, -140), (60, 30, 110), (20_000, 3)).T
    mirrored = points * np.array([[-1.0], [1.0], [1.0]])
    whole = (Kind.SACRUM, Kind.DURAL_SAC)
    for structure in (Structure(Kind.VERTEBRA, Level.L4), Structure(Kind.DISC, Level.L5), *(Structure(kind) for kind in whole)):
        shape = patient.shapes[structure]
        assert np.abs(shape(points) - shape(mirrored)).max() < 1e-6, structure.key
    left, right = (patient.shapes[Structure(Kind.NERVE_ROOT, Level.L5, side)] for side in Side)
    assert np.abs(left(points) - right(mirrored)).max() < 1e-6


def test_lordosis_slope_and_discs_are_those_asked_for(patients) -> None:
    column, parameters = patients["mean"].column, patients["mean"].parameters
    plate = column.vertebrae[Level.L1].endplate(upper=True)
    lean = np.degrees(np.arctan2(column.sacrum.cranial[1], column.sacrum.cranial[2]) - np.arctan2(plate.cranial[1], plate.cranial[2]))
    assert lean == pytest.approx(parameters.lordosis_deg, abs=1e-6)
    assert np.degrees(np.arctan2(column.sacrum.cranial[1], column.sacrum.cranial[2])) == pytest.approx(parameters.sacral_slope_deg)


def test_labels_fill_vertebrae_with_their_parts(patients) -> None:
    patient = patients["mean"]
    numbers = {s: n for n, s in enumerate([*patient.shapes, *patient.parts], start=1)}
    grid = Grid.axis_aligned((70, 70, 50), 1.5, (-52.0, -80.0, -75.0))
    whole, parts = (patient.labels(grid, numbers, parts=wanted) for wanted in (False, True))
    four = numbers[Structure(Kind.VERTEBRA, Level.L4)]
    found = {s for s, n in numbers.items() if (parts[whole == four] == n).any()}
    assert found == {s for s in patient.parts if s.level is Level.L4}
    assert np.array_equal(parts[whole != four] == four, np.zeros(np.count_nonzero(whole != four), dtype=bool))


def test_population_has_the_published_spread() -> None:
    drawn = [sample(seed) for seed in range(300)]
    men = [p for p in drawn if p.sex == "male"]
    women = [p for p in drawn if p.sex == "female"]
    assert 110 < len(men) < 190
    for people, stature in ((men, 176.0), (women, 163.0)):
        assert np.mean([p.stature_cm for p in people]) == pytest.approx(stature, abs=1.5)
    # Panjabi 1992: the L3 upper endplate is 44.1 mm wide (SEM 0.9 of 12 spines of either sex).
    widths = [VERTEBRAE[Level.L3].upper_width_mm * p.bone_scale for p in drawn]
    assert np.mean(widths) == pytest.approx(44.1, abs=3.0)
    assert 1.5 < np.std(widths) < 4.0
    assert np.mean([p.lordosis_deg for p in drawn]) == pytest.approx(46.0, abs=3.0)  # Moussallem 2014, lying
    assert np.corrcoef([p.age_years for p in drawn], [p.degeneration for p in drawn])[0, 1] > 0.5


def test_sizes_spread_as_published() -> None:
    """Bodies of L2 to L5 on CT, n = 87 (Clouthier 2023): width 39.4 to 58.8, range / 4.9 = SD 4.0. Disc heights: Shin 2024. Pedicles:
    Zindrick 1987 and, at L5 of men, Cook 2021.
    """
    drawn = [sample(seed) for seed in range(300)]
    assert np.std([46.7 * p.bone_scale for p in drawn]) == pytest.approx(4.0, rel=0.35)
    for segment, spread in zip(("l1l2", "l2l3", "l3l4", "l4l5", "l5s1"), (1.4, 1.6, 1.6, 1.75, 1.9), strict=True):
        assert np.std([p.at("disc_height", segment) for p in drawn]) == pytest.approx(spread, rel=0.35), segment
    widths = [VERTEBRAE[Level.L5].pedicle_width_mm * p.bone_scale * p.pedicle_width_scale for p in drawn]
    assert 2.3 < np.std(widths) < 4.1


def test_same_seed_same_patient() -> None:
    assert sample(11) == sample(11)
    assert sample(11) != sample(12)
    assert sample(11, {"sex": "male"}).sex == "male"
    assert sample(11, {"disc_height_l5s1_mm": 6.0}).disc_height_l5s1_mm == 6.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"disc_height_l5s1_mm": 40.0}, "disc_height_l5s1_mm: expected a number from 2 to 18, found 40"),
        ({"disc_hight_l5s1_mm": 6.0}, "did you mean disc_height_l5s1_mm"),
        ({"sex": "other"}, "expected one of female, male"),
        ({"aortic_bifurcation_level": 5.0, "caval_confluence_level": 4.0}, "no higher than 0.2 vertebrae above"),
        ({"lordosis_deg": 80.0, "sacral_slope_deg": 20.0}, "at most 32 more than sacral_slope_deg"),
    ],
)
def test_impossible_patients_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        PatientParameters().changed(changes)


def kambin(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def test_command_writes_a_patient_that_measures(tmp_path: Path, capsys) -> None:
    made = tmp_path / "made"
    common = ("--mean", "--scanner", "ct-thin", "--spacing", "2.5", "--no-truth", "--quiet")
    assert kambin("phantom", "-o", str(made), *common, "--set", "disc_height_l5s1_mm=8") == 0
    assert sorted(p.name for p in made.iterdir()) == ["labels.nii.gz", "manifest.json", "parameters.json", "scan.nii.gz"]
    assert json.loads((made / "parameters.json").read_text())["disc_height_l5s1_mm"] == 8.0
    assert kambin("phantom", "-o", str(made), *common) == 2  # an earlier output is there
    again = tmp_path / "again"
    assert kambin("phantom", "-o", str(again), *common, "--set", "disc_height_l5s1_mm=8") == 0
    for name in ("labels.nii.gz", "scan.nii.gz", "parameters.json"):
        assert (made / name).read_bytes() == (again / name).read_bytes(), name
    capsys.readouterr()
    scan = Scan.read(made / "scan.nii.gz")
    assert scan.provenance["simulated"]
    assert "no human being" in scan.provenance["doubts"][0]


def test_an_interrupted_cohort_goes_on(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = ("phantom", "--seed", "5", "--count", "3", "--spacing", "6", "--size", "60", "--no-truth", "--quiet")
    assert kambin(*cohort, "-o", str(tmp_path / "whole")) == 0
    place, write = tmp_path / "out", pipeline_phantom._write_patient

    def interrupted(order: Any, index: int, *rest: Any) -> None:
        if index == 1:
            raise KeyboardInterrupt
        write(order, index, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline_phantom, "_write_patient", interrupted)
        assert kambin(*cohort, "-o", str(place)) == 130
        assert {p.name for p in place.iterdir()} == {"cohort.json", "patient-00005"}
    assert kambin(*cohort, "-o", str(place), "--scanner", "ct-thin") == 2
    assert "beginning of another order (other: scanner)" in capsys.readouterr().err
    first = (place / "patient-00005" / "scan.nii.gz").stat().st_mtime_ns
    assert kambin(*cohort, "-o", str(place)) == 0
    assert (place / "patient-00005" / "scan.nii.gz").stat().st_mtime_ns == first
    names = {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()}
    assert names == {p.relative_to(tmp_path / "whole").as_posix() for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    for name in names - {"manifest.json"}:
        assert (place / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert kambin(*cohort, "-o", str(place)) == 2
    assert "holds an earlier run" in capsys.readouterr().err
    assert kambin(*cohort, "-o", str(place), "--overwrite") == 0


def test_a_cohort_interrupted_before_its_first_patient_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline_phantom, "_write_patient", interrupted)
    assert kambin("phantom", "--count", "2", "-o", str(tmp_path / "out"), "--quiet") == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scanner", "pet"), "expected one of t2-space"),
        (("--set", "disc_height_l5s1_mm=40"), "from 2 to 18"),
        (("--set", "l5s1"), "expected NAME=VALUE"),
        (("--spacing", "0"), "above 0"),
        (("--spacing", "0.06"), "at most"),
        (("--size", "0"), "above 0"),
        (("--size", "200,200"), "one or three"),
        (("--size", "1999"), "at most"),
        (("--turned", "15"), "three numbers"),
        (("--level", "L6/S1"), "which this patient has, found 'L6/S1'"),
        (("--level", "L4/L5", "--size", "30"), "holds all of L4/L5"),
        (("--seed", "-1"), "from 0 on"),
        (("--count", "0"), "1 to 10000"),
    ],
)
def test_command_refuses_what_cannot_be(arguments: tuple[str, ...], told: str, tmp_path: Path, capsys) -> None:
    assert kambin("phantom", "-o", str(tmp_path / "out"), "--quiet", *arguments) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def made_elsewhere(folder: Path, hash_seed: str, cores: int) -> dict[str, str]:
    """Checksums of a patient's files, made by a process of its own that sees so many cores."""
    arguments = ["phantom", "-o", str(folder), "--seed", "5", "--spacing", "5", "--size", "80", "--no-truth", "--quiet"]
    program = f"import os; os.cpu_count = lambda: {cores}; from kambin.cli import main; main({arguments})"
    numbers = {name: str(cores) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **numbers, "PYTHONHASHSEED": hash_seed}, check=True)
    names = ("scan.nii.gz", "labels.nii.gz", "parameters.json")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    assert made_elsewhere(tmp_path / "one", "0", 1) == made_elsewhere(tmp_path / "three", "1", 3)


def test_a_view_of_one_level_holds_it_at_any_turn(patients) -> None:
    for turned in ((0.0, 0.0, 0.0), (20.0, -15.0, 30.0)):
        grid = view_of(patients["mean"], (80, 80, 60), (1.0, 1.0, 1.0), turned, "L4/L5")
        labels = patients["mean"].labels(grid, {Structure(Kind.DISC, Level.L4): 1, Structure(Kind.DISC, Level.L3): 2})
        assert grid.obliquity_deg > 10 or turned == (0.0, 0.0, 0.0)
        assert not any(np.take(labels == 1, index, axis).any() for axis in range(3) for index in (0, -1))
        whole = patients["mean"].labels(view_of(patients["mean"], (80, 80, 200), (1.0, 1.0, 1.0)), {Structure(Kind.DISC, Level.L4): 1})
        assert np.count_nonzero(labels == 1) == pytest.approx(np.count_nonzero(whole), rel=0.01)


def test_a_view_that_misses_its_level_is_refused(patients) -> None:
    with pytest.raises(InputError, match="holds all of L4/L5"):
        view_of(patients["mean"], (80, 80, 8), (1.0, 1.0, 1.0), level="L4/L5")
    with pytest.raises(InputError, match="expected one of T12, T12/L1"):
        view_of(patients["mean"], (80, 80, 80), (1.0, 1.0, 1.0), level="C3")


def test_a_freed_s1_gives_the_levels_of_six(patients) -> None:
    six = build_patient(PatientParameters(lumbarisation=1.0))
    assert list(levels_of(six))[-3:] == ["L5/L6", "L6", "L6/S1"]
    assert list(levels_of(patients["mean"]))[-3:] == ["L4/L5", "L5", "L5/S1"]


def test_every_lumbar_level_has_a_size() -> None:
    assert tuple(VERTEBRAE) == LUMBAR


def test_a_field_of_view_beside_the_patient_is_refused(patients) -> None:
    with pytest.raises(InputError, match="lies beside"):
        simulate(patients["mean"].pieces, "ct-thin", Grid.axis_aligned((20, 20, 20), 2.0, (900.0, 0.0, 0.0)))


def test_kidneys_and_bowel_change_no_other_label(patients) -> None:
    """They take their voxels from the trunk alone; where they are named there is what they are made of."""
    patient = patients["mean"]
    kidneys, bowel = [Structure(Kind.KIDNEY, side=side) for side in Side], Structure(Kind.BOWEL)
    numbers = {s: n for n, s in enumerate(patient.shapes, start=1)}
    grid = Grid.axis_aligned((72, 60, 60), 3.0, (-107.0, -70.0, -90.0))
    with_viscera = patient.labels(grid, numbers, parts=False)
    without = patient.labels(grid, {s: n for s, n in numbers.items() if s not in (*kidneys, bowel)}, parts=False)
    changed = with_viscera != without
    assert np.array_equal(np.unique(without[changed]), [numbers[Structure(Kind.TRUNK)]])
    assert set(np.unique(with_viscera[changed])) == {numbers[s] for s in (*kidneys, bowel)}
    # 85 to 200 ml each on CT; these have their upper poles in the grid.
    for kidney in kidneys:
        assert 70e3 < np.count_nonzero(with_viscera == numbers[kidney]) * 27.0 < 200e3
    gut = (Tissue.BOWEL_WALL, Tissue.BOWEL_CONTENT, Tissue.STOOL, Tissue.GAS)
    values = {layer.tissue: (float(layer.tissue in gut),) for piece in patient.pieces for layer in piece.layers}
    share = paint_signal(patient.pieces, grid, values, (0.0,))[0]
    assert share[with_viscera == numbers[bowel]].mean() > 0.9
