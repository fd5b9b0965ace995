"""The way between the laminae: on boxes and cylinders, where all is known, and on a digital patient against the measures and meshes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from digital_man import piece_of_the_mean_man
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry.mesh_distance import closest_points_between
from kambin.measurement.interlaminar_window import interlaminar_height, interlaminar_width
from kambin.measurement.result import NotMeasurable
from kambin.planning.approaches import APPROACHES
from kambin.planning.around import Around
from kambin.planning.fields import Fields
from kambin.planning.interlaminar import INTERLAMINAR, INTERLAMINAR_WISHES, POSTERIOR, plan_interlaminar
from kambin.planning.reaming import level_of
from kambin.planning.result import Plan
from kambin.planning.way import NOT_POSSIBLE, POSSIBLE
from kambin.spine import SpineModel, SurfaceMesh
from simple_spine import FRAME, Shape, around_simple, box, solid_of, union, upright

DISC_MM = 20.0
FACET_MM = 14.0
BEHIND, BEFORE = -45.0, -38.0
"""The laminae, from back to front."""
SAC = (0.0, -27.0, 6.0)


def arch(above_mm: float | None = None, below_mm: float | None = None) -> Shape:
    """A lamina that ends at a height, with facets on either side that reach past the other arch's; and a body far in front of it."""
    low, high = (above_mm, 30.0) if above_mm is not None else (-30.0, below_mm)
    assert low is not None
    assert high is not None
    reach = (-12.0, 30.0) if above_mm is not None else (-30.0, 12.0)
    facets = [box((x, BEHIND, reach[0]), (x + 8.0, BEFORE, reach[1])) for x in (FACET_MM, -FACET_MM - 8.0)]
    body = upright(0.0, 0.0, DISC_MM, 5.0, 30.0) if above_mm is not None else upright(0.0, 0.0, DISC_MM, -30.0, -5.0)
    return union(box((-20.0, BEHIND, low), (20.0, BEFORE, high)), *facets, body)


def laminae(top_mm: float, bottom_mm: float, side: Side, root: tuple[float, float, float] | None = None) -> tuple[SpineModel, Around]:
    """Two arches with a window between those heights, a disc, a dural sac and, beside it, a root on one side."""
    low, high = (-30.0, -50.0, -34.0), (30.0, 26.0, 34.0)
    others = {Structure(Kind.DURAL_SAC): solid_of(upright(*SAC), (-12.0, -40.0, -49.0), (12.0, -14.0, 49.0))}
    if root is not None:
        x, y, radius = -side.sign * root[0], root[1], root[2]
        ends = (x - 6.0, y - 6.0, -49.0), (x + 6.0, y + 6.0, 49.0)
        others[Structure(Kind.NERVE_ROOT, Level.L5, side)] = solid_of(upright(x, y, radius), *ends, spacing_mm=0.5)
    disc = solid_of(upright(0.0, 0.0, DISC_MM, -5.0, 5.0), (-24.0, -24.0, -9.0), (24.0, 24.0, 9.0))
    bones = [solid_of(shape, low, high) for shape in (arch(above_mm=top_mm), arch(below_mm=bottom_mm))]
    return around_simple(bones[0], bones[1], disc, others, side, POSTERIOR)


def test_the_window_and_the_shoulder_are_where_they_were_put() -> None:
    for side in (Side.LEFT, Side.RIGHT):
        plan = plan_interlaminar(*laminae(6.0, -5.0, side, root=(-9.0, -25.0, 2.0)), INTERLAMINAR_WISHES)
        assert plan.figures["window_height_mm"] == pytest.approx(11.0, abs=0.2)
        assert plan.figures["window_width_mm"] == pytest.approx(2 * FACET_MM, abs=0.3)
        assert plan.target_mm == pytest.approx([side.sign * 11.0, -np.sqrt(DISC_MM**2 - 11.0**2), 0.0], abs=0.15)
        assert plan.verdict.word == POSSIBLE
        assert not any("root" in text for text in plan.warnings if "L5" in text)


def test_the_roomiest_channel_runs_midway_between_the_laminae() -> None:
    """A window as high as the channel is wide: all the room that there is lies straight between the arches, half way up."""
    plan = plan_interlaminar(*laminae(4.0, -4.0, Side.LEFT), INTERLAMINAR_WISHES)
    first = plan.ways[0]
    assert plan.target_mm[0] == pytest.approx(-6.0, abs=0.15)  # of the sac alone
    assert first.slack_mm == pytest.approx(4.0 - 4.0 + 1.0, abs=0.2)
    middle = first.channel.at((first.channel.target_mm[1] - (BEHIND + BEFORE) / 2) / -first.channel.direction[1])
    assert middle[2] == pytest.approx(0.0, abs=0.25)
    assert first.channel.cranial_deg(FRAME) == pytest.approx(0.0, abs=4.0)
    # what is tried without the search has no more room
    rng = np.random.default_rng(1)
    model, around = laminae(4.0, -4.0, Side.LEFT)
    assert model.segments[0].name == plan.level
    free = around.free(INTERLAMINAR_WISHES.margins_mm)
    start = first.channel.target_mm + rng.uniform(-2, 2, (4000, 1, 3)) * [1, 0, 1]
    turn = np.radians(rng.uniform(-30, 20, (4000, 2)))
    ways = np.stack([np.sin(turn[:, 0]), -np.cos(turn[:, 0]) * np.cos(turn[:, 1]), np.cos(turn[:, 0]) * np.sin(turn[:, 1])], axis=1)
    lowest = free.at(start + np.arange(0.0, 60.0, 0.5)[:, None] * ways[:, None]).min(axis=1)
    assert lowest.max() - 4.0 <= first.slack_mm + 0.2


def test_under_a_low_window_bone_is_counted() -> None:
    plan = plan_interlaminar(*laminae(1.5, -2.0, Side.RIGHT), INTERLAMINAR_WISHES)
    channel = plan.ways[0].channel
    assert plan.verdict.word == NOT_POSSIBLE
    rng = np.random.default_rng(0)
    low, high = np.array([-25.0, BEHIND, -20.0]), np.array([25.0, BEFORE, 20.0])
    points = rng.uniform(low, high, (400_000, 3))
    bone = np.minimum(arch(above_mm=1.5)(points), arch(below_mm=-2.0)(points)) < 0
    true = float((bone & (level_of(channel, points) < 0)).mean() * np.prod(high - low))
    assert true > 50
    assert plan.figures["bone_mm3"] == pytest.approx(true, rel=0.06)
    assert any("of bone lie in the way" in text for text in plan.warnings)
    # and it spares what is soft: that comes first
    assert all(each.room_mm is None or each.room_mm >= -3.0 for each in plan.ways[0].clearances if each.obstacle.group in ("nerve", "dura"))


def test_where_neither_sac_nor_root_is_seen_and_no_pedicle_there_is_no_way() -> None:
    model, _ = laminae(5.0, -5.0, Side.LEFT)
    bare = replace(model, solids={})
    with pytest.raises(NotMeasurable, match="no left pedicle"):
        plan_interlaminar(bare, Around.of(bare, bare.segments[0], Side.LEFT, POSTERIOR), INTERLAMINAR_WISHES)


@pytest.fixture(scope="module")
def man() -> SpineModel:
    """L5 and S1 of the mean man."""
    return piece_of_the_mean_man((-40.0, -95.0, -110.0), (40.0, 8.0, -44.0), 1.2)


@pytest.fixture(scope="module")
def fields(man: SpineModel) -> Fields:
    return Fields(man)


def planned(model: SpineModel, side: Side, fields: Fields | None = None) -> Plan:
    segment = model.segment("L5/S1")
    assert segment is not None
    return plan_interlaminar(model, Around.of(model, segment, side, POSTERIOR, fields), INTERLAMINAR_WISHES)


@pytest.fixture(scope="module")
def plans(man: SpineModel, fields: Fields) -> dict[Side, Plan]:
    return {side: planned(man, side, fields) for side in Side}


def test_clearances_are_those_of_the_meshes(plans: dict[Side, Plan]) -> None:
    compared = set()
    for plan in plans.values():
        for way in plan.ways:
            channel = way.channel
            axis = SurfaceMesh(np.stack([channel.target_mm, channel.outer_end_mm, channel.outer_end_mm]), np.array([[0, 1, 2]]))
            for clearance in way.clearances:
                if clearance.obstacle.without or clearance.room_mm is None or clearance.room_mm > 6:
                    continue
                true = min(closest_points_between(axis, solid.mesh).distance_mm for solid in clearance.obstacle.solids)
                assert clearance.room_mm + channel.radius_mm == pytest.approx(true, abs=0.2), clearance.obstacle.name
                compared.add(clearance.obstacle.name)
    assert {"traversing S1 root", "dural sac", "L5 inferior articular process", "S1 superior articular process"} <= compared


def test_both_sides_of_an_even_patient_are_planned_alike(plans: dict[Side, Plan]) -> None:
    left, right = (plans[side] for side in (Side.LEFT, Side.RIGHT))
    assert left.frame.local(left.target_mm) * [-1, 1, 1] == pytest.approx(right.frame.local(right.target_mm), abs=0.4)
    assert left.verdict.word == right.verdict.word
    assert left.ways[0].slack_mm == pytest.approx(right.ways[0].slack_mm, abs=0.3)
    for name, within in (("window_width_mm", 0.01), ("window_height_mm", 0.3), ("retract_mm", 1.0)):  # other ways are nearly as good
        assert left.figures[name] == pytest.approx(right.figures[name], abs=within), name


def test_the_window_is_that_of_the_measures(plans: dict[Side, Plan], man: SpineModel) -> None:
    segment = man.segment("L5/S1")
    assert segment is not None
    for side, plan in plans.items():
        assert plan.figures["window_width_mm"] == interlaminar_width(segment)[0]
        assert plan.figures["window_height_mm"] == interlaminar_height(segment, side)[0]
        assert {"IWw", "IWh", "way", "disc", "dural sac"} <= {curve.name for curve in plan.evidence.curves}


def test_the_way_ends_behind_the_shoulder_and_spares_what_is_soft(plans: dict[Side, Plan], man: SpineModel) -> None:
    root = man.solid(Kind.NERVE_ROOT, Level.S1, Side.LEFT)
    assert root is not None
    plan = plans[Side.LEFT]
    reach = -root.section(plan.frame).points[:, 0].min()
    assert plan.frame.local(plan.target_mm) @ [-1, 0, 0] == pytest.approx(reach, abs=1e-6)
    for plan in plans.values():
        for way in plan.ways:
            offset = plan.frame.local(way.channel.target_mm) - plan.frame.local(plan.target_mm)
            assert offset[1] == pytest.approx(-6.0)
            assert np.hypot(offset[0], offset[2]) <= 4.0 + 1e-6
        soft = [each.room_mm for each in plan.ways[0].clearances if each.obstacle.group in ("nerve", "dura") and each.room_mm is not None]
        assert min(soft) >= -3.0
        assert plan.figures["retract_mm"] == pytest.approx(max(0.0, -min(soft)))
        assert plan.verdict.word == (POSSIBLE if plan.ways[0].keeps_margins else NOT_POSSIBLE)


def test_alternatives_differ(plans: dict[Side, Plan]) -> None:
    for plan in plans.values():
        for index, way in enumerate(plan.ways):
            for other in plan.ways[:index]:
                apart = np.linalg.norm(way.channel.target_mm - other.channel.target_mm)
                assert way.channel.turned_by_deg(other.channel) >= 5.0 or apart >= 5.0


def test_without_a_root_the_plan_says_so_first(man: SpineModel) -> None:
    gone = Structure(Kind.NERVE_ROOT, Level.S1, Side.RIGHT)
    plan = planned(replace(man, solids={name: solid for name, solid in man.solids.items() if name != gone}), Side.RIGHT)
    assert plan.warnings[0].startswith("The traversing S1 root was not seen")
    assert "traversing S1 root" in plan.not_seen
    assert not plan.is_firm
    assert "traversing S1 root" not in {each.obstacle.name for each in plan.ways[0].clearances}


def test_it_is_a_way_in_that_kambin_knows() -> None:
    assert APPROACHES[INTERLAMINAR].plan is plan_interlaminar
