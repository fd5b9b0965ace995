"""The way between psoas and vessels: on upright cylinders, where all is known, and on a digital patient against the measures and meshes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from digital_man import piece_of_the_mean_man
from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry.section import Section
from kambin.measurement.oblique_corridor import oblique_corridor, psoas_to_cava
from kambin.measurement.result import NotMeasurable
from kambin.planning.approaches import APPROACHES
from kambin.planning.around import Around
from kambin.planning.channel import direction_of
from kambin.planning.field import REACH_MM, DistanceField, lattice_about
from kambin.planning.oblique import ANTEROLATERAL, ENOUGH_MM, OBLIQUE, OBLIQUE_WISHES, plan_oblique
from kambin.planning.oblique_window import window
from kambin.planning.result import Plan
from kambin.planning.search import Cone
from kambin.planning.wide import room_along
from kambin.spine import SpineModel
from simple_spine import FRAME, around_simple, solid_of, upright

DISC_MM = 20.0
PSOAS = (-36.0, -12.0, 16.0)
VESSEL = (-10.0, 32.0, 9.0)
RADIUS_MM = OBLIQUE_WISHES.radius_mm


def cylinders(
    side: Side, vessel: tuple[float, float, float] = VESSEL, *, seen: bool = True, vessel_from: float = -45.0
) -> tuple[SpineModel, Around]:
    """A round disc, a psoas beside it and a vessel before it, on the left; on the right their mirror image."""

    def shape(x: float, y: float, radius: float, low: float, high: float) -> Any:
        x *= -side.sign
        reach = radius + 4.0
        return solid_of(upright(x, y, radius, low, high), (x - reach, y - reach, low - 4.0), (x + reach, y + reach, high + 4.0))

    name = Structure(Kind.AORTA) if side is Side.LEFT else Structure(Kind.VENA_CAVA)
    others = {name: shape(*vessel, vessel_from, 45.0)} | ({Structure(Kind.PSOAS, None, side): shape(*PSOAS, -45.0, 45.0)} if seen else {})
    column = (0.0, 0.0, DISC_MM)
    return around_simple(shape(*column, 5.0, 30.0), shape(*column, -30.0, -5.0), shape(*column, -5.0, 5.0), others, side, ANTEROLATERAL)


def beside(circle: tuple[float, float, float], angle_deg: float) -> tuple[float, float]:
    """From the axis through the centre at that angle to a cylinder on the left: how far forwards its middle lies, and its radius."""
    angle = np.radians(angle_deg)
    return float(np.dot(circle[:2], [np.sin(angle), np.cos(angle)])), circle[2]


@pytest.fixture(scope="module")
def simple() -> dict[Side, Plan]:
    return {side: plan_oblique(*cylinders(side), OBLIQUE_WISHES) for side in Side}


def test_the_figures_are_those_of_the_cylinders(simple: dict[Side, Plan]) -> None:
    plan = simple[Side.LEFT]
    angle = plan.figures["angle_deg"]
    assert isinstance(angle, float)
    assert plan.ways[0].channel.cranial_deg(FRAME) == pytest.approx(0.0, abs=1e-6)
    (muscle, thick), (vessel, wide) = beside(PSOAS, angle), beside(VESSEL, angle)
    assert plan.figures["corridor_mm"] == pytest.approx(np.hypot(26.0, 44.0) - 25.0, abs=0.1)
    assert plan.figures["window_mm"] == pytest.approx((vessel - wide) - (muscle + thick), abs=0.15)
    assert plan.figures["retract_psoas_mm"] == pytest.approx(max(0.0, RADIUS_MM + muscle + thick), abs=0.15)
    assert plan.figures["retract_vessel_mm"] == pytest.approx(max(0.0, 3.0 + RADIUS_MM + wide - vessel), abs=0.15)
    assert (plan.figures["vessel"], plan.figures["corridor"]) == ("aorta", "in front of the psoas")
    assert plan.verdict.word == "possible"
    # the tube's end stands on the disc
    assert np.linalg.norm(plan.ways[0].channel.target_mm) == pytest.approx(DISC_MM, abs=0.1)


def test_no_angle_is_worth_more(simple: dict[Side, Plan]) -> None:
    """The worth of every angle in closed form: room to the vessel up to enough of it, less a fifth of what the psoas is moved."""

    def worth(angle: float) -> float:
        (muscle, thick), (vessel, wide) = beside(PSOAS, angle), beside(VESSEL, angle)
        room = vessel - wide - RADIUS_MM - 3.0
        moved = max(0.0, RADIUS_MM + muscle + thick)
        return -1e3 if room < 0 or moved > 15.0 else min(room, ENOUGH_MM, 15.0 - moved) - 0.2 * moved - 0.05 * max(0.0, angle - 60.0)

    angle = simple[Side.LEFT].figures["angle_deg"]
    assert isinstance(angle, float)
    assert worth(angle) == pytest.approx(max(worth(each) for each in np.arange(0.0, 90.0, 0.1)), abs=0.2)


def test_the_other_side_is_its_mirror_image(simple: dict[Side, Plan]) -> None:
    left, right = (simple[side] for side in (Side.LEFT, Side.RIGHT))
    assert right.figures["vessel"] == "vena cava"
    for name in ("corridor_mm", "window_mm", "angle_deg", "retract_psoas_mm", "retract_vessel_mm"):
        assert right.figures[name] == pytest.approx(left.figures[name], abs=0.15), name
    assert right.verdict.word == left.verdict.word
    assert right.ways[0].channel.direction == pytest.approx(left.ways[0].channel.direction * [-1, 1, 1], abs=0.02)


def test_a_vessel_against_the_psoas_closes_the_way() -> None:
    wishes = OBLIQUE_WISHES.but(cone=Cone((-60.0, 0.0), (-5.0, 5.0), 0.0))  # not round the vessel's other side
    plan = plan_oblique(*cylinders(Side.LEFT, (-26.0, 13.0, 9.0)), wishes)
    assert plan.verdict.word == "not possible"
    assert plan.verdict.is_firm
    moved = plan.figures["retract_vessel_mm"]
    assert isinstance(moved, float)
    assert moved > 3.0 or plan.figures["retract_psoas_mm"] > 15.0  # type: ignore[operator]
    assert any("No way keeps all margins" in text for text in plan.warnings)


def test_what_is_not_seen_is_said() -> None:
    model, around = cylinders(Side.LEFT, seen=False)
    plan = plan_oblique(model, around, OBLIQUE_WISHES.but(cone=Cone((-50.0, -30.0), (-5.0, 5.0), 0.0)))
    assert plan.figures["corridor_mm"] is None
    assert plan.figures["retract_psoas_mm"] is None
    assert "left psoas" in plan.not_seen
    assert any("exiting L4 root was not seen" in text for text in plan.warnings)
    assert any("corridor's width is unknown: no left psoas is labelled" in text for text in plan.warnings)
    assert any("ureter" in text for text in plan.warnings)
    bare = Around(around.segment, around.side, {}, None, (), around.region, around.all_fields)
    with pytest.raises(NotMeasurable, match="neither the left psoas nor great vessels"):
        plan_oblique(model, bare, OBLIQUE_WISHES)


@pytest.mark.parametrize(
    ("side", "name"), [(Side.LEFT, "aorta or left common iliac artery"), (Side.RIGHT, "vena cava or right common iliac vein")]
)
def test_a_vessel_whose_label_ends_above_the_disc_is_not_seen_there(simple: dict[Side, Plan], side: Side, name: str) -> None:
    model, around = cylinders(side, vessel_from=8.0)
    plan = plan_oblique(model, around, OBLIQUE_WISHES.but(cone=Cone((-50.0, -30.0), (-5.0, 5.0), 0.0)))
    name = f"{name} at {around.segment.name}"
    assert name in plan.decisive_not_seen
    assert not plan.is_firm
    assert any("not kept clear of" in text and name in text for text in plan.warnings)
    assert not any("aorta" in other or "vena" in other for other in simple[side].not_seen)


def circle(x: float, y: float, radius: float) -> Section:
    turn = np.linspace(0.0, 2 * np.pi, 720, endpoint=False)
    return Section((np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1),))


def test_windows_of_circles() -> None:
    segment: Any = SimpleNamespace(frame=FRAME, name="L5/S1")
    found = {"left psoas": circle(-40, 0, 15), "left common iliac vein": circle(-20, 30, 5), "right common iliac artery": circle(15, 30, 4)}
    between = window(segment, Side.LEFT, found, np.zeros(2), 90.0)
    assert between.width_mm == pytest.approx(35.0 - 9.0, abs=1e-3)
    assert (between.behind, between.before, between.kind) == ("left common iliac vein", "right common iliac artery", "between the vessels")
    assert np.linalg.norm(between.ends_mm[1] - between.ends_mm[0]) == pytest.approx(between.width_mm)
    beside_psoas = window(segment, Side.LEFT, found, np.zeros(2), 30.0)
    forwards = np.array([np.sin(np.radians(30)), np.cos(np.radians(30))])
    assert beside_psoas.width_mm == pytest.approx((forwards @ [-20, 30] - 5) - (forwards @ [-40, 0] + 15), abs=1e-3)
    assert beside_psoas.kind == "in front of the psoas"
    closed = window(segment, Side.LEFT, found | {"aorta": circle(-30, 12, 8)}, np.zeros(2), 10.0)
    assert (closed.width_mm, closed.kind) == (0.0, "closed")
    with pytest.raises(NotMeasurable, match="vessel in front"):
        window(segment, Side.LEFT, {"left psoas": found["left psoas"]}, np.zeros(2), 30.0)


@pytest.mark.parametrize("radius", [4.0, 11.0, 15.0])
@pytest.mark.parametrize("place", [1.5, 3.0, 8.0, 12.0, 14.0, 17.0])
def test_room_along_tubes(radius: float, place: float) -> None:
    """A ball of 3 mm beside the axis: far beyond what a field holds for wide tubes, or small enough to be lost within one."""
    grid = lattice_about(FRAME, [-30.0, -30.0, -30.0], [30.0, 30.0, 30.0])
    centre = np.array([0.0, place * np.cos(0.3), place * np.sin(0.3)])
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    field = DistanceField(grid, np.minimum(np.linalg.norm(points - centre, axis=-1) - 3.0, REACH_MM).astype(np.float32))
    starts, along = np.array([[-25.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    room = float(room_along(field, starts, along, radius, 50.0)[0])
    assert room == pytest.approx(place - 3.0 - radius, abs=0.25) if place - 3.0 - radius < 1.5 else room > 1.0


@pytest.fixture(scope="module")
def lumbar_man() -> SpineModel:
    return piece_of_the_mean_man((-75.0, -45.0, -75.0), (75.0, 75.0, -10.0), 1.5)


def test_on_a_digital_patient(lumbar_man: SpineModel) -> None:
    assert lumbar_man.solid(Kind.TRUNK) is None  # all that he was cut out of is labelled: the skin lies outside
    segment = lumbar_man.segment("L4/L5")
    assert segment is not None
    plans = {}
    for side in Side:
        around = Around.of(lumbar_man, segment, side, ANTEROLATERAL)
        plan = plans[side] = plan_oblique(lumbar_man, around, OBLIQUE_WISHES)
        measured = (oblique_corridor if side is Side.LEFT else psoas_to_cava)(lumbar_man, segment)[0]
        assert plan.figures["corridor_mm"] == measured
        assert any(curve.name == "window" for curve in plan.evidence.curves)
        for way in plan.ways:
            keeps = all(each.room_mm is None or each.room_mm >= plan.wishes.margins_mm[each.obstacle.group] for each in way.clearances)
            assert way.keeps_margins == keeps
            angle = -way.channel.alpha_deg(plan.frame)
            assert 0.0 <= angle <= 90.0
            assert way.channel.direction == pytest.approx(
                direction_of(plan.frame, side, -angle, way.channel.cranial_deg(plan.frame)), abs=1e-6
            )
        moved = plan.figures["retract_psoas_mm"]
        assert moved == max(0.0, -next(each.room_mm or 0.0 for each in plan.ways[0].clearances if each.obstacle.group == "psoas"))
    # the vena cava lies nearer to its psoas than the aorta's left branch to its own
    assert plans[Side.RIGHT].figures["corridor_mm"] < plans[Side.LEFT].figures["corridor_mm"]  # type: ignore[operator]


def test_it_is_a_way_in_that_kambin_knows() -> None:
    assert APPROACHES[OBLIQUE].plan is plan_oblique
    assert APPROACHES[OBLIQUE].wishes.radius_mm == 9.0
    assert APPROACHES[OBLIQUE].wishes.but(radius_mm=4.0).margins_mm["psoas"] == -15.0
