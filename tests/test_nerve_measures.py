"""Line A, the room between facet and root, the root's distances and the interlaminar window: closed forms, and truth on the digital man."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from digital_man import piece_of_the_mean_man
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Plane
from kambin.measurement import Measurements, measure
from kambin.measurement.exiting_root import nerve_to_disc, nerve_to_pedicle
from kambin.measurement.facet_gap import FACET_GAPS, facet_gaps
from kambin.measurement.interlaminar_window import interlaminar_height, interlaminar_width
from kambin.measurement.line_a import facet_to_nerve
from kambin.measurement.result import NotMeasurable
from kambin.phantom import PatientParameters, build_patient
from kambin.phantom.truth import corridor, interlaminar
from kambin.phantom.truth.anatomy import anatomy_of
from kambin.phantom.truth.table import STEP_MM, Table
from kambin.reconstruction import reconstruct
from kambin.spine import Endplate, MotionSegment, PedicleNeck, Solid, SpineModel, Vertebra
from kambin.volume import Grid
from lego import LegoSpine
from simple_spine import FRAME, box, solid_of, union, upright

LOW, HIGH = (-30.0, -45.0, -30.0), (30.0, 25.0, 30.0)
FACET_AT, ROOT_AT = (12.0, -24.0), (18.0, -8.0)
FACET_RADIUS_MM, ROOT_RADIUS_MM = 4.0, 2.0
PEDICLE_OUT_MM = 15.0
SYMBOLS = ("Line A", "FN45", "FN60", "ND", "NP", "IWh", "IWw")


def model_of(
    upper: Solid, lower: Solid, others: Mapping[Structure, Solid], facet: Solid | None = None, pedicle: Solid | None = None
) -> SpineModel:
    """L4/L5 with its frame at the origin, discs' borders at 5 and -5, and the posterior edge of the disc space at -18."""
    plate = np.stack(np.meshgrid([-18.0, 0.0, 18.0], [-18.0, 0.0, 14.0], [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    heights = (np.array([0.0, 0.0, z]) for z in (5.0, -5.0))
    above, below = (Endplate(plate + middle, Plane(middle, -np.sign(middle))) for middle in heights)
    necks = {}
    for side in Side:
        edge = np.array([side.sign * PEDICLE_OUT_MM, -20.0, 20.0])
        necks[side] = PedicleNeck(edge, edge, edge, edge, edge)
    parts = [
        {Structure(kind, level, Side.RIGHT): part} if part is not None else {}
        for kind, level, part in ((Kind.PEDICLE, Level.L4, pedicle), (Kind.SUPERIOR_ARTICULAR, Level.L5, facet))
    ]
    bones = tuple(
        Vertebra(level, solid, FRAME, part, None, None, True, necks)
        for level, solid, part in ((Level.L4, upper, parts[0]), (Level.L5, lower, parts[1]))
    )
    disc = solid_of(box((-18.0, -18.0, -5.0), (18.0, 14.0, 5.0)), LOW, HIGH)
    segment = MotionSegment(bones[0], bones[1], FRAME, disc, False, above, below)
    grid = Grid.axis_aligned((2, 2, 2), 1.0, [0.0, 0.0, 0.0])
    return SpineModel(grid, np.zeros(grid.shape, dtype=np.uint16), {}, bones, (segment,), {}, dict(others), FRAME)


def root(x: float, y: float) -> dict[Structure, Solid]:
    """An upright root of L4 on the right."""
    return {Structure(Kind.NERVE_ROOT, Level.L4, Side.RIGHT): solid_of(upright(x, y, ROOT_RADIUS_MM, -28.0, 18.0), LOW, HIGH)}


@pytest.fixture(scope="module")
def rods() -> SpineModel:
    """A facet and a root that are upright rods, under a pedicle that is a box."""
    bone = solid_of(upright(*FACET_AT, FACET_RADIUS_MM, -28.0, 12.0), LOW, HIGH)
    pedicle = solid_of(box((9.0, -24.0, 20.0), (24.0, -2.0, 28.0)), LOW, HIGH)
    return model_of(pedicle, bone, root(*ROOT_AT), facet=bone, pedicle=pedicle)


@pytest.mark.parametrize(("index", "degrees"), [(0, 45.0), (1, 60.0)])
def test_room_between_two_rods(rods: SpineModel, index: int, degrees: float) -> None:
    value, evidence = facet_gaps(rods, rods.segments[0], Side.RIGHT)[FACET_GAPS[index]]
    across = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    assert value == pytest.approx((np.array(ROOT_AT) - FACET_AT) @ across - FACET_RADIUS_MM - ROOT_RADIUS_MM, abs=0.15)
    drawn = evidence.curves[0].points_mm
    assert np.linalg.norm(drawn[1] - drawn[0]) == pytest.approx(value)
    assert (drawn[1] - drawn[0])[:2] @ across == pytest.approx(value)
    assert drawn[:, 2] == pytest.approx([5.0, 5.0])


def test_room_is_negative_where_the_root_hides_behind_the_facet() -> None:
    bone = solid_of(upright(*FACET_AT, FACET_RADIUS_MM, -28.0, 12.0), LOW, HIGH)
    hidden = model_of(bone, bone, root(FACET_AT[0] - 3.0, FACET_AT[1] + 8.0), facet=bone)
    value, evidence = facet_gaps(hidden, hidden.segments[0], Side.RIGHT)[FACET_GAPS[0]]
    assert value == pytest.approx(5.0 * np.sqrt(0.5) - FACET_RADIUS_MM - ROOT_RADIUS_MM, abs=0.15)
    assert value < 0
    drawn = evidence.curves[0].points_mm
    assert np.linalg.norm(drawn[1] - drawn[0]) == pytest.approx(-value)


def test_root_to_disc_and_to_pedicle(rods: SpineModel) -> None:
    segment = rods.segments[0]
    to_pedicle, evidence = nerve_to_pedicle(rods, segment, Side.RIGHT)
    assert to_pedicle == pytest.approx(2.0, abs=0.1)
    assert np.linalg.norm(np.diff(evidence.curves[0].points_mm, axis=0)) == pytest.approx(to_pedicle)
    beside = replace(rods, solids=root(26.0, -8.0))
    assert nerve_to_disc(beside, segment, Side.RIGHT)[0] == pytest.approx(26.0 - 18.0 - ROOT_RADIUS_MM, abs=0.1)
    # Its middle lies on the disc's border.
    assert nerve_to_disc(replace(rods, solids=root(18.0, -8.0)), segment, Side.RIGHT)[0] == 0.0


def test_a_disc_that_nobody_labelled_has_no_distance(rods: SpineModel) -> None:
    with pytest.raises(NotMeasurable, match="no disc is labelled at L4/L5"):
        nerve_to_disc(rods, replace(rods.segments[0], disc_is_inferred=True), Side.RIGHT)


def test_point_a_is_where_two_outlines_meet() -> None:
    """An arch with its front at -25 down to 0, and a process as high as 8 with its front at -22: their outlines meet at (-25, 8) and,
    behind and below, at (-30, 0).
    """
    about = ((0.0, -42.0, -24.0), (18.0, -18.0, 30.0))
    arch = solid_of(box((6.0, -38.0, 0.0), (14.0, -25.0, 26.0)), *about, 0.5)
    process = solid_of(box((4.0, -30.0, -20.0), (8.0, -22.0, 8.0)), *about, 0.5)
    model = model_of(arch, process, root(18.0, -8.0))
    value, evidence = facet_to_nerve(model, model.segments[0], Side.RIGHT)
    a = np.array([8.0, -25.0, 8.0])  # midway between the middles of the two, 10 and 6
    assert evidence.points[0].position_mm == pytest.approx(a, abs=0.3)
    assert value == pytest.approx(np.hypot(10.0, 17.0) - ROOT_RADIUS_MM, abs=0.3)
    other = np.hypot(10.0, 22.0) - ROOT_RADIUS_MM
    assert evidence.facts["from_other_corners_mm"] == pytest.approx([other], abs=0.4)


def test_bones_that_run_along_each_other_are_a_doubt() -> None:
    """The arch has a notch of 0.8 mm above the process, between a lip in front and its body behind."""
    about = ((0.0, -42.0, -24.0), (18.0, -14.0, 30.0))
    lip, roof, behind = (
        box((6.0, -24.0, 7.6), (14.0, -22.0, 26.0)),
        box((6.0, -38.0, 8.8), (14.0, -22.0, 26.0)),
        box((6.0, -38.0, 0.0), (14.0, -27.0, 26.0)),
    )
    arch = solid_of(union(lip, roof, behind), *about, 0.4)
    process = solid_of(box((4.0, -30.0, -20.0), (12.0, -20.0, 8.0)), *about, 0.4)
    model = model_of(arch, process, root(18.0, -8.0))
    _, evidence = facet_to_nerve(model, model.segments[0], Side.RIGHT)
    assert evidence.points[0].position_mm[1] == pytest.approx(-22.0, abs=0.4)
    (doubt,) = evidence.doubts
    assert "run along each other at point a" in doubt


def test_outlines_that_do_not_meet_have_no_point_a() -> None:
    above, below = (
        solid_of(box((6.0, -38.0, 10.0), (14.0, -25.0, 26.0)), LOW, HIGH),
        solid_of(box((4.0, -30.0, -20.0), (8.0, -22.0, 0.0)), LOW, HIGH),
    )
    model = model_of(above, below, root(18.0, -8.0))
    with pytest.raises(NotMeasurable, match=r"do not meet at L4/L5.*no point a"):
        facet_to_nerve(model, model.segments[0], Side.RIGHT)


def arches(top_mm: float, bottom_mm: float, facet_mm: float) -> SpineModel:
    """A lamina with a spinous process before another, walls on both sides; what lies in front of the canal does not count."""
    lamina = box((-20.0, -40.0, top_mm), (20.0, -32.0, 26.0))
    spinous = box((-2.0, -44.0, bottom_mm + 0.5), (2.0, -32.0, 26.0))
    lower = box((-20.0, -40.0, -26.0), (20.0, -32.0, bottom_mm))
    walls = [box((min(s * facet_mm, s * 20.0), -40.0, -26.0), (max(s * facet_mm, s * 20.0), -30.0, 16.0)) for s in (-1, 1)]
    body = box((-20.0, -20.0, -20.0), (20.0, 15.0, 20.0))
    return model_of(solid_of(union(lamina, spinous), LOW, HIGH), solid_of(union(lower, body, *walls), LOW, HIGH), {})


@pytest.mark.parametrize(("top_mm", "bottom_mm", "facet_mm"), [(6.0, -4.0, 12.0), (3.0, 1.0, 10.0)])
def test_window_between_walls(top_mm: float, bottom_mm: float, facet_mm: float) -> None:
    segment = arches(top_mm, bottom_mm, facet_mm).segments[0]
    for side in Side:
        height, evidence = interlaminar_height(segment, side)
        assert height == pytest.approx(top_mm - bottom_mm, abs=0.2)
        ends = evidence.curves[0].points_mm
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(height, abs=1e-6)
        assert (side.sign * ends[:, 0] > 2.0).all()
    width, evidence = interlaminar_width(segment)
    assert width == pytest.approx(2.0 * facet_mm, abs=0.3)
    assert np.linalg.norm(np.diff(evidence.curves[0].points_mm, axis=0)) == pytest.approx(width, abs=0.3)


def test_arches_that_overlap_leave_no_window() -> None:
    segment = arches(-6.0, -2.0, 12.0).segments[0]
    with pytest.raises(NotMeasurable, match="no left window"):
        interlaminar_height(segment, Side.LEFT)


@pytest.fixture(scope="module")
def measured() -> Measurements:
    """The mean man's L5/S1."""
    return measure(piece_of_the_mean_man((-34.0, -84.0, -112.0), (34.0, 22.0, -26.0), 0.8))


def test_measured_as_they_are(measured: Measurements) -> None:
    """Against the exact shapes; the right side stands for both in the truth, since the mean man is even."""
    anatomy = anatomy_of(build_patient(PatientParameters()))
    table, space, side = Table(anatomy), anatomy.spaces[-1], Side.RIGHT
    segment = table.segment(space, STEP_MM)
    truth: dict[str, float] = {
        **corridor.line_a(anatomy, table.half(space, side, STEP_MM), side, STEP_MM),
        **corridor.facet_to_nerve(anatomy, segment, side, STEP_MM),
        **{symbol: value for symbol, (value, _) in corridor.nerve_to_disc(anatomy, space, side).items()},
        **{symbol: value for symbol, (value, _) in corridor.nerve_to_pedicle(anatomy, space, side).items()},
        **interlaminar.interlaminar_height(segment, side, STEP_MM),
    }
    for symbol, value in truth.items():
        for one in Side:
            assert measured.value(symbol, "L5/S1", one) == pytest.approx(value, abs=0.35), (symbol, one)
    width = interlaminar.interlaminar_width(segment, STEP_MM)["IWw"]
    assert measured.value("IWw", "L5/S1") == pytest.approx(width, abs=0.6)


def test_every_one_has_evidence_to_draw(measured: Measurements) -> None:
    for symbol in SYMBOLS:
        rows = measured.find(symbol, "L5/S1")
        assert len(rows) == (1 if symbol == "IWw" else 2)
        for row in rows:
            (own,) = (curve for curve in row.evidence.curves if curve.role == "measure")
            length = np.linalg.norm(own.points_mm[1] - own.points_mm[0])
            assert row.value is not None
            assert length == pytest.approx(abs(row.value), abs=0.3 if symbol == "IWw" else 1e-6), symbol


def test_without_roots_the_reason_is_said_and_the_window_stays() -> None:
    found = measure(reconstruct(LegoSpine(levels=(Level.L4, Level.L5)).segmentation(1.5)))
    for symbol in ("Line A", "FN45", "FN60", "ND", "NP"):
        for side in Side:
            (row,) = found.find(symbol, "L4/L5", side)
            assert row.value is None
            assert row.reason == f"no {side} root of L4 is labelled, which leaves through the L4/L5 foramen"
    assert all(row.is_measured for symbol in ("IWh", "IWw") for row in found.find(symbol, "L4/L5"))
