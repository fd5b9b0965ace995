"""The truth against what is known in closed form: boxes, balls, tubes, and the anatomy's own parameters."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from types import MappingProxyType

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame
from kambin.phantom.compose import Cut, Union
from kambin.phantom.field import Box, Ellipsoid, EllipticRod, Field, HalfSpace, RoundedBox, capsule
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.patient import Patient, build_patient
from kambin.phantom.truth import SCHEMA, text_of, values_of
from kambin.phantom.truth.anatomy import Anatomy, Bone, Space, anatomy_of
from kambin.phantom.truth.endplates import pose, segment_of
from kambin.phantom.truth.foramen import half_of, lateral_hole
from kambin.phantom.truth.heights import body_heights, body_width_and_depth, disc_heights, disc_wedge
from kambin.phantom.truth.hole import hole_about
from kambin.phantom.truth.nearest import distance, from_point
from kambin.phantom.truth.pedicle import pedicle_neck
from kambin.phantom.truth.plane import Flat, Sheet, curves, feret, finely, gap, largest, longest_chord, signed_area
from kambin.phantom.truth.quick import Quick
from kambin.phantom.truth.sections import crest_top, section
from kambin.phantom.truth.slip import slip
from kambin.phantom.truth.value import Unknown, at_two_steps

HERE = Frame(np.zeros(3), np.eye(3))


def turned(degrees: float, about: str = "right", origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Frame:
    """The world's axes turned: about *right* the top leans back, about *anterior* to the right."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    axes = [[1, 0, 0], [0, c, s], [0, -s, c]] if about == "right" else [[c, 0, -s], [0, 1, 0], [s, 0, c]]
    return Frame(np.array(origin), np.array(axes, dtype=float))


def block(frame: Frame, half: tuple[float, float, float]) -> Field:
    return RoundedBox(frame, half, 0.05)


def stack(slipped_mm: float = 0.0, wedge_deg: float = 0.0, gap_mm: float = 10.0) -> Anatomy:
    """Two brick vertebrae and a brick disc between them; the upper one leans and lies forward as told, about the disc's middle."""
    tilt = turned(wedge_deg)
    upper_frame = Frame(tilt.world([0.0, slipped_mm, gap_mm / 2 + 13.0]), tilt.axes)
    lower_frame = Frame(np.array([0.0, 0.0, -gap_mm / 2 - 13.0]), np.eye(3))
    half = (24.0, 17.0, 13.0)
    bones = {}
    for level, frame in ((Level.L4, upper_frame), (Level.L5, lower_frame)):
        shape = block(frame, half)
        bones[level] = Bone(level, shape, shape, frame, 13.0, -17.0)
    disc = block(HERE, (20.0, 14.0, gap_mm / 2))
    shapes = {Structure(Kind.DISC, Level.L4): disc}
    space = Space("L4/L5", bones[Level.L4], bones[Level.L5], disc, HERE)
    return Anatomy(shapes, bones, (space,))


@pytest.fixture(scope="module")
def patient() -> Patient:
    return build_patient(PatientParameters())


@pytest.mark.parametrize("step", [0.5, 0.25])
def test_brick_vertebra(step: float) -> None:
    anatomy = stack()
    posed = pose(anatomy.bones[Level.L5], step)
    found = {**body_heights(posed, step), **body_width_and_depth(posed, step)}
    expected = {"VHa": 26.0, "VHm": 26.0, "VHp": 26.0, "VW": 48.0, "VD": 34.0}
    assert found == pytest.approx(expected, abs=0.01)


def test_disc_space_of_bricks_that_lean() -> None:
    """Wedge, heights and slip of two planes that meet at a known angle."""
    wedge = 8.0
    segment = segment_of(stack(wedge_deg=wedge), stack(wedge_deg=wedge).spaces[0], 0.25)
    assert disc_wedge(segment)["DW"] == pytest.approx(wedge, abs=0.02)
    lean = math.degrees(math.atan2(segment.frame.cranial[1], segment.frame.cranial[2]))
    assert lean == pytest.approx(-wedge / 2, abs=0.05)
    heights = disc_heights(segment, 0.25)
    assert heights["DHa"] > heights["DHm"] > heights["DHp"]
    # Both planes lean by half the wedge in the mid-plane's frame: the height grows by twice its tangent per millimetre.
    assert heights["DHa"] - heights["DHp"] == pytest.approx(0.8 * 34.0 * 2 * math.tan(math.radians(wedge / 2)), rel=0.03)


@pytest.mark.parametrize("forward", [-3.0, 0.0, 5.0])
def test_slip_of_bricks(forward: float) -> None:
    anatomy = stack(slipped_mm=forward)
    found = slip(segment_of(anatomy, anatomy.spaces[0], 0.25), 0.25)
    assert found["SL"] == pytest.approx(forward, abs=0.05)
    assert found["SL%"] == pytest.approx(100 * forward / 34.0, abs=0.2)


def test_wedge_is_unmoved_by_turning_the_whole() -> None:
    anatomy = stack(wedge_deg=6.0)
    turn = turned(20.0, "anterior", (5.0, -7.0, 9.0))

    def moved(field: Field) -> Field:
        from kambin.phantom.compose import Placed

        return Placed(field, turn)

    bones = {
        level: Bone(level, moved(b.shape), moved(b.body), Frame(turn.world(b.frame.origin_mm), b.frame.axes @ turn.axes), 13.0, -17.0)
        for level, b in anatomy.bones.items()
    }
    disc = moved(anatomy.spaces[0].disc)  # type: ignore[arg-type]
    space = Space("L4/L5", bones[Level.L4], bones[Level.L5], disc, Frame(turn.origin_mm, turn.axes))
    segment = segment_of(Anatomy({}, bones, (space,)), space, 0.25)
    still = segment_of(anatomy, anatomy.spaces[0], 0.25)
    assert disc_wedge(segment)["DW"] == pytest.approx(disc_wedge(still)["DW"], abs=0.03)
    assert disc_heights(segment, 0.25) == pytest.approx(disc_heights(still, 0.25), abs=0.02)


def test_pedicle_that_is_an_oblique_waisted_rod() -> None:
    """The smallest section of a rod that is narrowest in its middle is the ellipse there, however it lies in the bone."""
    width, height, inwards = 9.0, 14.0, 18.0
    ahead = np.array([-math.sin(math.radians(inwards)), math.cos(math.radians(inwards)), 0.0])
    middle = np.array([16.0, -20.0, 5.0])
    frame = Frame.from_cranial_anterior(middle, [0.0, 0.0, 1.0], ahead)
    small, large = (width / 2, height / 2), (0.75 * width, 0.75 * height)
    rods = [
        EllipticRod(frame.moved_to(middle + 5.0 * ahead), (-5.0, 5.0), (small, large)),
        EllipticRod(frame.moved_to(middle - 5.0 * ahead), (-5.0, 5.0), (large, small)),
        # Over the seam of the two, which is no inside of either.
        EllipticRod(frame, (-1.0, 1.0), (small, small)),
    ]
    body = block(HERE, (24.0, 15.0, 13.0))
    lamina = block(Frame(np.array([14.0, -34.0, 0.0]), np.eye(3)), (10.0, 4.0, 12.0))
    bone = Bone(Level.L4, Union((body, lamina, *rods)), body, HERE, 13.0, -15.0, {Side.RIGHT: middle}, 10.0)
    neck = pedicle_neck(pose(bone, 0.5), Side.RIGHT, 0.5)
    assert neck.area_mm2 == pytest.approx(math.pi * width * height / 4, rel=0.01)
    assert neck.width_mm == pytest.approx(width, abs=0.05)
    assert neck.height_mm == pytest.approx(height, abs=0.05)


def test_foramen_that_is_a_round_tunnel() -> None:
    """Seen from the side, a straight tunnel through two blocks is a disc of its own radius."""
    radius = 6.0
    tunnel = capsule((-60.0, -22.0, 5.0), (60.0, -22.0, 5.0), radius)
    anatomy = stack()
    wall = block(Frame(np.array([0.0, -30.0, 0.0]), np.eye(3)), (40.0, 15.0, 40.0))
    upper, lower = anatomy.bones[Level.L4], anatomy.bones[Level.L5]
    pierced = Cut(Union((upper.shape, wall)), (tunnel,))
    bones = {Level.L4: Bone(Level.L4, pierced, upper.body, upper.frame, 13.0, -17.0), Level.L5: lower}
    space = Space("L4/L5", bones[Level.L4], lower, anatomy.spaces[0].disc, HERE)
    segment = segment_of(Anatomy({}, bones, (space,)), space, 0.5)
    hole = lateral_hole(half_of(segment, Side.LEFT, 10.0, 20.0), 0.2)
    assert hole.area_mm2 == pytest.approx(math.pi * radius**2, rel=0.003)
    assert hole.bridges == ()


@pytest.mark.parametrize("step", [0.2, 0.1])
def test_open_rim_is_closed_in_its_mouth(step: float) -> None:
    """A disc with a funnel-shaped way out: the bridge lies where they meet, and the area is the disc's."""
    at = np.arange(-15.0, 15.0 + step / 2, step)
    x, y = np.meshgrid(at, at, indexing="ij")
    ring = np.minimum(6.0 - np.hypot(x, y), 3.0)
    way = np.where(x > 0, 1.5 + 0.3 * np.maximum(x - 6.0, 0.0) - np.abs(y), -3.0)
    sheet = Sheet(at, at, np.maximum(ring, way))
    hole = hole_about(sheet, np.hypot(x, y) < 4.0)
    assert len(hole.bridges) == 1
    assert np.linalg.norm(hole.bridges[0][1] - hole.bridges[0][0]) == pytest.approx(3.0, abs=2 * step)
    # Between the circle's own chord and the neck's end at x = 6 lies next to nothing.
    assert hole.area_mm2 == pytest.approx(math.pi * 36.0, rel=0.01)


def test_hole_without_a_rim_has_no_size() -> None:
    at = np.arange(-10.0, 10.1, 0.25)
    x, _ = np.meshgrid(at, at, indexing="ij")
    with pytest.raises(Unknown, match="open"):
        hole_about(Sheet(at, at, 8.5 - np.abs(x)), np.abs(x) < 3.0)


def test_section_of_an_ellipsoid_converges_as_the_square_of_the_step() -> None:
    shape = Ellipsoid(turned(17.0, "anterior"), (9.0, 6.0, 20.0))
    # An ellipse cut by a plane turned by t about its second axis: its first half axis is that of the ellipse's own section.
    t = math.radians(17.0)
    first = 1.0 / math.sqrt((math.cos(t) / 9.0) ** 2 + (math.sin(t) / 20.0) ** 2)
    errors = []
    for step in (0.4, 0.2):
        loop = section(shape, HERE, step)[0]
        errors.append(abs(abs(signed_area(loop)) / (math.pi * first * 6.0) - 1.0))
        assert feret(loop) == pytest.approx(2 * first, rel=1e-3)
        assert longest_chord(loop, step) == pytest.approx(12.0, rel=1e-3)
    assert errors[1] < 1e-3
    assert errors[1] < 0.45 * errors[0]


def test_gap_of_two_tubes() -> None:
    tubes = [capsule((x, 0.0, -30.0), (x, 0.0, 30.0), r) for x, r in ((-8.0, 5.0), (9.0, 4.0))]
    loops = [section(tube, HERE, 0.25)[0] for tube in tubes]
    assert gap(*loops) == pytest.approx(17.0 - 9.0, abs=0.005)
    assert gap(loops[0], loops[0] * 0.5 + loops[0].mean(axis=0) * 0.5) == 0.0


def test_distance_between_a_ball_and_a_tube() -> None:
    ball = Ellipsoid(Frame(np.array([3.0, 20.0, 1.0]), np.eye(3)), (6.0, 6.0, 6.0))
    tube = capsule((-30.0, 0.0, 0.0), (30.0, 0.0, 0.0), 2.5)
    away, before = distance(ball, tube, 0.05)
    exact = math.hypot(20.0, 1.0)
    assert away == pytest.approx(exact - 8.5, abs=1e-3)
    assert before == pytest.approx(away, abs=0.01)
    assert distance(ball, Ellipsoid(HERE, (20.0, 20.0, 20.0)), 0.05)[0] == 0.0
    assert from_point(np.array([0.0, 10.0, 0.0]), tube, 0.05)[0] == pytest.approx(7.5, abs=1e-3)


def test_top_of_a_ball() -> None:
    hip = Ellipsoid(Frame(np.array([-80.0, 10.0, -40.0]), np.eye(3)), (20.0, 20.0, 20.0))
    anatomy = Anatomy(MappingProxyType({Structure(Kind.HIP, side=Side.LEFT): hip}), {}, ())
    up = np.array([0.0, math.sin(0.2), math.cos(0.2)])
    # The top of a dome is flat: its height is known far better than its place.
    found = crest_top(anatomy, Side.LEFT, up, 0.5)
    assert found == pytest.approx(np.array([-80.0, 10.0, -40.0]) + 20.0 * up, abs=1.0)
    assert found @ up == pytest.approx(np.array([-80.0, 10.0, -40.0]) @ up + 20.0, abs=0.05)


def test_bound_holds_for_a_value_of_known_order() -> None:
    found = at_two_steps(lambda step: {"x": 3.0 + 0.2 * step}, 0.5)["x"]
    assert abs(found[0] - 3.0) <= found[1]


def test_quick_levels_are_the_fields_own_near_surfaces(patient: Patient) -> None:
    rng = np.random.default_rng(1)
    shape = patient.shapes[Structure(Kind.VERTEBRA, Level.L4)]
    box: Box = shape.box
    points = rng.uniform(box.low_mm[:, None], box.high_mm[:, None], (3, 40_000))
    own, quick = shape(points), Quick(shape)(points)
    near = np.abs(own) < 0.5
    assert near.sum() > 500
    assert own[near] == pytest.approx(quick[near], abs=1e-9)
    assert ((own < 0) == (quick < 0)).all()


@pytest.mark.parametrize("index", range(5))
def test_disc_height_is_the_parameter(patient: Patient, index: int) -> None:
    """The middle height is told where it is measured, but for the mid-plane's own tilt and the curve of the hollows."""
    anatomy = anatomy_of(patient)
    space = anatomy.spaces[index]
    name = space.name.replace("/", "").lower()
    found = disc_heights(segment_of(anatomy, space, 0.5), 0.5)
    assert found["DHm"] == pytest.approx(patient.parameters.at("disc_height", name), abs=0.08)


def test_slip_is_the_parameter() -> None:
    """The parameter moves the vertebra along the disc's mid-plane; slip is read along the lower endplate, some degrees from it."""
    slipped = build_patient(PatientParameters(slip_l4l5_mm=6.0))
    level = build_patient(PatientParameters())
    found = []
    for one in (slipped, level):
        anatomy = anatomy_of(one)
        found.append(slip(segment_of(anatomy, anatomy.spaces[4], 0.5), 0.5)["SL"])
    assert found[0] - found[1] == pytest.approx(6.0, abs=0.2)


def test_pedicle_is_as_wide_as_told(patient: Patient) -> None:
    """At L2 to L4 nothing but the pedicle itself lies in the section; it is cut across, and what joins it adds a little."""
    anatomy = anatomy_of(patient)
    for level in (Level.L2, Level.L3, Level.L4):
        size = patient.column.vertebrae[level].size
        neck = pedicle_neck(pose(anatomy.bones[level], 0.5), Side.LEFT, 0.5)
        assert size.pedicle_width_mm - 0.1 < neck.width_mm < 1.06 * size.pedicle_width_mm
        assert size.pedicle_height_mm - 0.1 < neck.height_mm < 1.06 * size.pedicle_height_mm


def test_missing_structures_give_reasons() -> None:
    anatomy = stack()
    found = {(row.symbol, row.level, row.side): row for row in values_of(anatomy)}
    assert found["DHm", "L4/L5", None].value == pytest.approx(10.0, abs=0.02)
    for key, words in (
        (("CA", "L4/L5", None), "dural sac"),
        (("OC", "L4/L5", None), "left psoas"),
        (("ICH", "L4/L5", Side.LEFT), "hip bone"),
        (("PW", "L4", Side.RIGHT), "pedicle"),
        (("SS", "S1", None), "sacrum"),
        (("ND", "L4/L5", Side.LEFT), "nerve root"),
        (("SKp", "L4/L5", None), "trunk"),
    ):
        row = found[key]
        assert row.value is None
        assert row.bound is None
        assert row.status == "not_measurable"
        assert words in (row.reason or "")


def test_one_segment_of_the_patient(patient: Patient) -> None:
    """Every row has a value with a bound or a reason; left is right in a patient whose spine is symmetric."""
    whole = anatomy_of(patient)
    levels = (Level.L4, Level.L5)
    values = values_of(Anatomy(whole.shapes, {level: whole.bones[level] for level in levels}, whole.spaces[4:5]))
    rows = {(row.symbol, row.level, row.side): row for row in values}
    assert len(rows) == len(values)
    for (symbol, level, side), row in rows.items():
        assert (row.value is None) == (row.reason is not None)
        if symbol in ("FA", "FH", "PW", "PH", "ND", "NP") and side is not None:
            other = rows[symbol, level, side.opposite]
            assert row.value is not None
            assert row.bound is not None
            assert other.bound is not None
            assert row.value == pytest.approx(other.value, abs=row.bound + other.bound)
    document = json.loads(text_of(values, asdict(patient.parameters)))
    assert document["schema"] == SCHEMA
    assert {row["quantity"] for row in document["rows"]} == {quantity["key"] for quantity in document["quantities"]}


def test_flat_sections_know_their_plane() -> None:
    loop = largest(curves(finely(Flat.sagittal(HERE, 3.0).level(Ellipsoid(HERE, (5.0, 5.0, 5.0))), (-8.0, 8.0), (-8.0, 8.0), 0.2)))
    assert loop is not None
    assert abs(signed_area(loop)) == pytest.approx(math.pi * 16.0, rel=2e-3)
    above = HalfSpace(np.array([0.0, 0.0, 5.0]), np.array([0.0, 0.0, -1.0]))
    assert not curves(finely(Flat.axial(HERE).level(above), (-4.0, 4.0), (-4.0, 4.0), 0.5))
