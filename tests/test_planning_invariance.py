"""The same plan, in the patient's terms, from a scan that is turned, mirrored, or of other voxels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import kambin
from kambin.anatomy.schemes import builtin_scheme
from kambin.phantom import build_patient, sample
from kambin.planning import Plans, plan
from kambin.planning.way import WayIn
from kambin.volume import Grid, Segmentation
from lego import mirrored

LEVEL = "L4/L5"
APPROACHES = ("tf-peld", "needle-kambin", "interlaminar")
AXIS, TURN_DEG = np.array([0.6, -0.64, 0.48]), 20.0


def label_map(spacing_mm: float, turn: np.ndarray | None = None) -> Segmentation:
    """One random patient about L4/L5, on a grid that is turned about the middle."""
    size, middle = np.array([150.0, 160.0, 110.0]), np.array([0.0, -42.0, -12.0])
    shape = np.ceil(size / spacing_mm).astype(int)
    steps = spacing_mm * (np.eye(3) if turn is None else turn)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, middle - steps @ ((shape - 1) / 2)
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    scheme = builtin_scheme("kambin").table
    labels = build_patient(sample(4)).labels(grid, {s: n for n, s in scheme.items() if s is not None}, parts=False)
    present = set(np.unique(labels).tolist()) - {0}
    return Segmentation(grid, labels, {n: s for n, s in scheme.items() if n in present and s is not None})


def planned(labels: Segmentation) -> Plans:
    return plan(kambin.reconstruct(labels), approaches=APPROACHES, levels=[LEVEL])


@pytest.fixture(scope="module")
def scan() -> Segmentation:
    return label_map(1.4)


@pytest.fixture(scope="module")
def plans(scan: Segmentation) -> Plans:
    return planned(scan)


def assert_same(one: Plans, other: Plans, *, swap: bool = False, apart_mm: float = 0.25, apart_deg: float = 1.0) -> None:
    """Verdicts, angles, room to every structure and bone of the published placement and of the first way."""
    assert {*one.reasons.values()} == {*other.reasons.values()}
    assert len(one.plans) == len(APPROACHES) * 2
    for own in one.plans:
        twin = other.find(own.level, own.side.opposite if swap else own.side, own.approach)
        assert twin is not None
        assert twin.verdict.word == own.verdict.word, own.name
        if own.published is not None and twin.published is not None:
            assert angles(twin.published, twin.frame) == pytest.approx(angles(own.published, own.frame), abs=apart_deg)
            mine, theirs = (rooms(each, swapped) for each, swapped in ((own.published, swap), (twin.published, False)))
            assert theirs == pytest.approx({name: mine.get(name, np.nan) for name in theirs}, abs=apart_mm), own.name
        best, again = own.ways[0], twin.ways[0]
        assert again.slack_mm == pytest.approx(best.slack_mm, abs=apart_mm), own.name


def angles(way: WayIn, frame: kambin.geometry.Frame) -> tuple[float, float]:
    return way.channel.alpha_deg(frame), way.channel.cranial_deg(frame)


def rooms(way: WayIn, swap: bool) -> dict[str, float]:
    """Of what is within 5 mm, by names as they are on the other side."""
    found = {each.obstacle.name: each.room_mm for each in way.clearances if each.room_mm is not None and each.room_mm < 5.0}
    other = {"left": "right", "right": "left"}
    return {" ".join(other.get(word, word) if swap else word for word in name.split()): room for name, room in found.items()}


def test_turning_the_patient_with_the_grid_turns_the_plan(scan: Segmentation, plans: Plans) -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.radians(TURN_DEG) * AXIS).as_matrix()
    grid = Grid(scan.grid.shape, turn @ scan.grid.world_from_voxel)
    turned = planned(Segmentation(grid, scan.labels, scan.table))
    assert_same(plans, turned)
    for own in plans.plans:
        twin = turned.find(own.level, own.side, own.approach)
        assert twin is not None
        there = turn[:3, :3] @ own.target_mm + turn[:3, 3]
        assert np.linalg.norm(twin.target_mm - there) < 0.3, own.name


def test_mirroring_swaps_the_sides(scan: Segmentation, plans: Plans) -> None:
    assert_same(plans, planned(mirrored(scan)), swap=True)


def test_other_voxels_of_a_turned_scan_give_the_same_plan(plans: Plans) -> None:
    turn = Rotation.from_rotvec(np.radians(12.0) * AXIS).as_matrix()
    assert_same(plans, planned(label_map(1.1, turn)), apart_mm=0.8, apart_deg=2.5)
