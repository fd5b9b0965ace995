"""Sacrum and hip bones of the digital patient against published dimensions, and against each other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import FloatArray
from kambin.phantom.bend import Arc, Bend
from kambin.phantom.column import Column, build_column
from kambin.phantom.compose import Offset
from kambin.phantom.femur import femur_pieces
from kambin.phantom.field import Field
from kambin.phantom.hip import HEAD_MM, build_hips, pelvic_frame
from kambin.phantom.ilium import into_chart
from kambin.phantom.morphometry import S1_DEPTH_MM, S1_WIDTH_MM
from kambin.phantom.outline import Outline
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.sacral_block import S5_END_MM, SacralBlock, SacralCanal, at
from kambin.phantom.sacrum import SacrumShape, build_sacrum, superior_pieces
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import build_vertebra, vertebral_pieces

PATIENTS: Mapping[str, Mapping[str, float]] = {
    "mean": {},
    "flat sacrum": {"sacral_slope_deg": 15.0, "lordosis_deg": 30.0},
    "steep sacrum": {"sacral_slope_deg": 60.0, "lordosis_deg": 80.0},
    "small": {"bone_scale": 0.8, "pelvis_width_mm": 230.0},
    "large": {"bone_scale": 1.25, "pelvis_width_mm": 330.0, "trunk_width_mm": 400.0},
    "thick uneven joints": {"facet_hypertrophy_l5s1_mm": 6.0, "facet_tropism_deg": 15.0, "facet_angle_offset_deg": 18.0},
    "scoliotic": {"scoliosis_deg": 40.0, "canal_scale": 1.3},
    "high crests, slipped": {"crest_over_l4l5_mm": 30.0, "slip_l5s1_mm": 15.0},
    "low crests, narrow, thin disc": {"crest_over_l4l5_mm": -25.0, "pelvis_width_mm": 230.0, "disc_height_l5s1_mm": 6.0},
}


class Pelvis:
    """One patient's column, sacrum and hips."""

    def __init__(self, **changes: float) -> None:
        self.parameters = PatientParameters().changed(changes)
        self.column: Column = build_column(self.parameters)
        self.sacrum: SacrumShape = build_sacrum(self.parameters, self.column)
        self.hips = build_hips(self.parameters, self.column)

    def hip(self, side: Side) -> Field:
        return self.hips[Structure(Kind.HIP, None, side)]

    def l5(self) -> Field:
        """The fifth lumbar vertebra, kept clear of the sacrum's articular processes."""
        place, segments, thick = self.column.vertebrae[Level.L5], self.column.segments, self.parameters.facet_hypertrophy_l5s1_mm
        pieces = vertebral_pieces(place, segments["l4l5"], segments["l5s1"], (0.0, thick))
        gap = segments["l5s1"].joints[Side.LEFT].size.gap_mm
        return build_vertebra(place, pieces, tuple(Offset(p, gap) for p in superior_pieces(self.parameters, self.column).values())).whole

    def bones(self) -> list[Field]:
        return [self.sacrum.whole, self.hip(Side.LEFT), self.hip(Side.RIGHT)]

    def around(self, count: int, seed: int = 0) -> FloatArray:
        """Random points in and around the pelvis, shape (3, count)."""
        random = np.random.default_rng(seed).uniform(-1.0, 1.0, (3, count))
        middle = self.column.sacrum.origin_mm + np.array([0.0, 0.0, -55.0])
        return np.asarray(random * np.array([[165.0], [115.0], [145.0]]) * max(1.0, self.column.scale) + middle[:, None])


@pytest.fixture(scope="module")
def mean() -> Pelvis:
    return Pelvis()


@pytest.fixture(scope="module", params=PATIENTS, ids=str)
def pelvis(request: pytest.FixtureRequest) -> Pelvis:
    return Pelvis(**PATIENTS[request.param])


def extent(shape: Field, start: FloatArray, direction: FloatArray, longest: float = 120.0, step: float = 0.05) -> float:
    """How far the inside of a shape reaches from a point along a direction until it first ends, mm; 0 where the point is outside."""
    along = np.arange(0.0, longest, step)
    outside = shape(start[:, None] + direction[:, None] * along) >= 0
    return float(along[np.argmax(outside)]) if outside.any() else longest


def local(pelvis: Pelvis, right: float, anterior: float, cranial: float) -> FloatArray:
    return pelvis.column.sacrum.world([right, anterior, cranial])


def reach(shape: Field, direction: FloatArray, spacing: float = 4.0) -> FloatArray:
    """The point of a shape that lies furthest along a direction: a coarse grid, refined about its best points."""
    low, high = shape.box.low_mm, shape.box.high_mm
    axes = [np.arange(a, b, spacing) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    points = points[:, shape(points) < 0]
    for finer in (1.0, 0.25, 0.05):
        best = points[:, np.argsort(direction @ points)[-12:]]
        offsets = (np.indices((11, 11, 11)).reshape(3, -1) - 5) * finer
        points = (best[:, :, None] + offsets[:, None, :]).reshape(3, -1)
        points = points[:, shape(points) < 0]
    return np.asarray(points[:, np.argmax(direction @ points)])


# --- coordinates --------------------------------------------------------------------------------------------------------------------


def test_bent_coordinates_come_back() -> None:
    bend = Bend((17.0, 0.0), 0.5, 50.0, (Arc(58.0, 1.0), Arc(38.0, 0.8)))
    for s in np.linspace(-20.0, 170.0, 39):
        for t in (-8.0, 0.0, 25.0):
            _right, y, z = bend.point(0.0, float(s), t)
            found = [float(c[0]) for c in bend.coordinates(np.array([y]), np.array([z]))]
            np.testing.assert_allclose(found, [s, t], atol=1e-9)


def test_an_arc_turns_by_its_angle_and_keeps_its_length() -> None:
    bend = Bend((0.0, 0.0), 0.3, 10.0, (Arc(60.0, 1.2),))
    points = np.array([bend.point(0.0, float(s), 0.0)[1:] for s in np.linspace(10.0, 70.0, 4001)])
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).sum() == pytest.approx(60.0, abs=1e-4)
    first, last = points[1] - points[0], points[-1] - points[-2]
    assert np.arccos(first @ last / np.linalg.norm(first) / np.linalg.norm(last)) == pytest.approx(1.2, abs=2e-3)


def test_outline_is_the_distance_to_a_polygon() -> None:
    """A square's distance has a closed form."""
    square = Outline(np.array([[-3.0, -3.0], [3.0, -3.0], [3.0, 3.0], [-3.0, 3.0]]))
    u, v = np.random.default_rng(4).uniform(-8.0, 8.0, (2, 5000))
    over = np.stack([np.abs(u), np.abs(v)]) - 3.0
    expected = np.hypot(*np.maximum(over, 0)) + np.minimum(over.max(axis=0), 0)
    np.testing.assert_allclose(square.level(u, v), expected, atol=1e-12)
    many = np.tile(u, 20), np.tile(v, 20)
    np.testing.assert_array_equal(square.level(*many)[:5000], square.level(u, v))


def test_outline_passes_through_its_points() -> None:
    angles = np.linspace(0.0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([10.0 * np.cos(angles), 10.0 * np.sin(angles)], axis=1)
    outline = Outline.through(circle, 6)
    np.testing.assert_allclose(outline.level(*circle.T), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(outline.corners, axis=1), 10.0, atol=0.06)


# --- the sacrum against papers --------------------------------------------------------------------------------------------------------


def test_endplate_has_the_size_of_s1(mean: Pelvis) -> None:
    for direction, size in (([1.0, 0.0, 0.0], S1_WIDTH_MM), ([0.0, 1.0, 0.0], S1_DEPTH_MM)):
        axis = np.array(direction) @ mean.column.sacrum.axes
        # The posterior wall is hollow by a millimetre and a half, and walls taper at once below the rim.
        spot = local(mean, 0.0, 0.0, -2.0)
        assert extent(mean.sacrum.whole, spot, axis) + extent(mean.sacrum.whole, spot, -axis) == pytest.approx(size, abs=3.0)


def test_endplate_surface_is_where_its_level_is_nought(mean: Pelvis) -> None:
    u = np.random.default_rng(1).uniform(-1.0, 1.0, (2, 400))
    x, y = 17.0 * u[0], 11.0 * u[1]
    z = -mean.sacrum.endplate_level(x, y, np.zeros_like(x))
    surface = mean.sacrum.whole(mean.column.sacrum.world(np.stack([x, y, z], axis=1)).T)
    np.testing.assert_allclose(surface, 0.0, atol=0.05)
    assert z.min() == pytest.approx(-0.3, abs=0.02)


def test_breadth(mean: Pelvis) -> None:
    """112 +- 6 between the alae."""
    widest = [abs(reach(mean.sacrum.whole, np.array([sign, 0.0, 0.0]))[0]) for sign in (-1.0, 1.0)]
    assert sum(widest) == pytest.approx(112.0, abs=3.0)


def test_length_and_hollow(mean: Pelvis) -> None:
    """Promontory to S5 straight 105 +- 10; the front is hollow by 16 to 20, deepest at S3."""
    body, frame = SacralBlock(mean.column.scale), mean.column.sacrum
    places = np.linspace(2.0, S5_END_MM, 200)
    front = frame.world(np.array([at(body, 0.0, float(s), 0.0) for s in places]))
    np.testing.assert_allclose(mean.sacrum.whole(front.T)[40:-6], 0.0, atol=1.6)
    chord = front[-1] - front[0]
    assert np.linalg.norm(chord) == pytest.approx(105.0, abs=5.0)
    off = np.linalg.norm(np.cross(front - front[0], chord / np.linalg.norm(chord)), axis=1)
    assert 14.5 <= off.max() <= 20.0
    assert 0.45 <= off.argmax() / len(places) <= 0.75


def test_canal_narrows_as_published(mean: Pelvis) -> None:
    """31 x 15 at S1, 22 x 9 at S2, 17 x 5 at S3, 13 x 4 at S4."""
    body = SacralBlock(mean.column.scale)
    canal = SacralCanal(mean.column.scale, 1.0)
    for s, depth, width, middle in ((24.0, 15.0, 31.0, 33.0), (50.0, 9.0, 22.0, 21.0), (70.0, 5.5, 17.0, 14.8), (90.0, 4.5, 13.0, 9.3)):
        spot = at(body, 0.0, s, middle)
        back = at(body, 0.0, s, middle + 1.0) - spot
        assert extent(canal, spot, back) + extent(canal, spot, -back) == pytest.approx(depth, abs=1.2)
        assert 2.0 * extent(canal, spot, np.array([1.0, 0.0, 0.0])) == pytest.approx(width, abs=1.5)


def test_canal_is_free_of_bone(pelvis: Pelvis) -> None:
    points = pelvis.around(200_000)
    inside = points[:, pelvis.sacrum.canal(points) < -0.3]
    assert inside.shape[1] > 20
    assert (pelvis.sacrum.whole(inside) > 0).all()


def test_canal_goes_on_from_the_lumbar_one(mean: Pelvis) -> None:
    start = local(mean, 0.0, -0.5 * S1_DEPTH_MM - 8.0, -6.0)
    assert mean.sacrum.canal(start[:, None])[0] < -5.0
    assert mean.sacrum.canal(local(mean, 0.0, -0.5 * S1_DEPTH_MM - 8.0, -0.1)[:, None])[0] < 0.0


def test_foramina_are_free_and_of_published_width(pelvis: Pelvis) -> None:
    assert set(pelvis.sacrum.foramina) == {(number, side) for number in (1, 2, 3, 4) for side in Side}
    for (number, _side), line in pelvis.sacrum.foramina.items():
        share = np.linspace(0.0, 1.0, 25)[:, None]
        dense = np.vstack([a + share * (b - a) for a, b in pairwise(line)])
        assert (pelvis.sacrum.whole(dense.T) > (1.6 if number < 3 else 1.2) * pelvis.column.scale).all()
        assert pelvis.sacrum.canal(line[:1].T)[0] < 0


@pytest.mark.parametrize(("number", "width", "apart"), [(1, 12.2, 31.0), (2, 13.1, 29.0), (3, 10.4, 28.0), (4, 8.4, 27.0)])
def test_ventral_foramina(mean: Pelvis, number: int, width: float, apart: float) -> None:
    """S1 12.97 x 12.23, S2 12.85 x 13.13 (Saluja 2018); 31, 29, 28, 27 between their inner rims."""
    lines = [mean.sacrum.foramina[number, side] for side in Side]
    inner = []
    for line in lines:
        # Three millimetres within the pelvic surface.
        spot = 0.6 * line[3] + 0.4 * line[2]
        ways = [np.array([sign, 0.0, 0.0]) for sign in (-1.0, 1.0)]
        free = [extent(Negative(mean.sacrum.whole), spot, way, 30.0) for way in ways]
        assert sum(free) == pytest.approx(width, abs=2.0)
        inner.append(abs(spot[0] - local(mean, 0, 0, 0)[0]) - min(free[0], free[1]))
    assert sum(inner) == pytest.approx(apart, abs=3.5)


class Negative:
    """What a shape is not."""

    def __init__(self, shape: Field) -> None:
        self.shape, self.box, self.slope = shape, shape.box, shape.slope

    def __call__(self, points: FloatArray) -> FloatArray:
        return np.asarray(-self.shape(points))


def test_articular_processes_meet_the_joints(pelvis: Pelvis) -> None:
    for side in Side:
        joint = pelvis.column.segments["l5s1"].joints[side]
        assert pelvis.sacrum.whole(joint.frame.world([0.0, -0.5 * joint.size.gap_mm - 2.0, 0.0])[:, None])[0] < 0
        assert pelvis.sacrum.whole(joint.frame.origin_mm[:, None])[0] > 0
        part = pelvis.sacrum.parts[Structure(Kind.SUPERIOR_ARTICULAR, Level.S1, side)]
        assert part(joint.frame.world([0.0, -0.5 * joint.size.gap_mm - 2.0, 2.0])[:, None])[0] < 0


def test_top_of_the_ala_lies_on_it(pelvis: Pelvis) -> None:
    for side in Side:
        top = pelvis.sacrum.ala_top(side)
        up = pelvis.column.sacrum.cranial
        assert pelvis.sacrum.whole((top - 3.0 * up)[:, None])[0] < 0
        assert abs(pelvis.sacrum.whole(top[:, None])[0]) < 1.5


# --- the hips against papers ----------------------------------------------------------------------------------------------------------


def test_crests_are_as_high_and_the_pelvis_as_wide_as_asked(pelvis: Pelvis) -> None:
    disc, sides = pelvis.column.segments["l4l5"].frame, []
    # Where the disc leans to one side the mean of both sides is as asked: the pelvis stays symmetrical.
    up = disc.cranial - (disc.cranial @ pelvis.column.sacrum.right) * pelvis.column.sacrum.right
    for side in Side:
        top = reach(pelvis.hip(side), up)
        sides.append(float((top - disc.origin_mm) @ disc.cranial))
    assert np.mean(sides) == pytest.approx(pelvis.parameters.crest_over_l4l5_mm, abs=0.5)
    width = sum(
        abs(reach(pelvis.hip(side), side.sign * pelvis.column.sacrum.right)[0] - pelvis.column.sacrum.origin_mm[0]) for side in Side
    )
    assert width == pytest.approx(pelvis.parameters.pelvis_width_mm, abs=0.5)


def test_crest_tops_and_spines(mean: Pelvis) -> None:
    """Crest tops 85 +- 8 from the midline; anterior superior spines 225 +- 20 apart, posterior ones 85 +- 12."""
    frame, hip = pelvic_frame(mean.parameters, mean.column), mean.hip(Side.RIGHT)
    top, front = (frame.local(reach(hip, direction)) for direction in (frame.cranial, unit_of(frame, [0.3, 1.0, 0.6])))
    behind = frame.local(reach(hip, -frame.anterior))
    assert top[0] == pytest.approx(88.0, abs=10.0)
    assert 2 * front[0] == pytest.approx(235.0, abs=22.0)
    assert 2 * behind[0] == pytest.approx(85.0, abs=12.0)


def unit_of(frame: object, direction: list[float]) -> FloatArray:
    vector = np.array(direction) @ frame.axes  # type: ignore[attr-defined]
    return np.asarray(vector / np.linalg.norm(vector))


def test_acetabulum(mean: Pelvis) -> None:
    """A ball of 50 fits in; pelvic incidence 50 +- 10, 105 to 115 from S1, 85 from the midline."""
    frame, hip = pelvic_frame(mean.parameters, mean.column), mean.hip(Side.RIGHT)
    head = frame.world([85.0, 20.0, -104.0])
    direction = np.random.default_rng(2).normal(size=(3, 4000))
    direction /= np.linalg.norm(direction, axis=0)
    assert (hip(head[:, None] + 24.8 * direction) > 0).all()
    walls = hip(head[:, None] + 26.5 * direction) < 0
    assert 0.4 < walls.mean() < 0.75
    sagittal = (head - mean.column.sacrum.origin_mm) @ np.stack([mean.column.sacrum.anterior, mean.column.sacrum.cranial]).T
    assert np.linalg.norm(sagittal) == pytest.approx(108.0, abs=6.0)
    assert np.degrees(np.arctan2(sagittal[0], -sagittal[1])) == pytest.approx(50.0, abs=3.0)


def test_wing_is_thin_in_the_middle_and_thick_along_its_crest(mean: Pelvis) -> None:
    """6 to 10 amid the fossa, 12 to 20 along the crest."""
    frame, hip = pelvic_frame(mean.parameters, mean.column), mean.hip(Side.RIGHT)
    points = np.random.default_rng(3).uniform([55.0, -40.0, -25.0], [145.0, 60.0, 60.0], (400_000, 3))
    u, v, _w = into_chart(points.T)
    points = frame.world(points).T
    level = hip(points)
    shell = np.abs(level) < 0.2

    def through(chosen: FloatArray) -> FloatArray:
        """From points on the surface along its normal to the other side, mm."""
        start = points[:, chosen][:, :60]
        nudged = np.stack([hip(start + 1e-3 * axis[:, None]) for axis in np.eye(3)]) - hip(start)
        normal = nudged / np.linalg.norm(nudged, axis=0)
        along = np.arange(0.5, 30.0, 0.1)
        ways = start[:, :, None] - normal[:, :, None] * along
        inside = hip(ways.reshape(3, -1)).reshape(-1, len(along)) < 0
        return np.asarray(along[np.argmin(inside, axis=1)])

    fossa = through(shell & (np.abs(u - 42) < 12) & (np.abs(v - 5) < 10))
    crest = through(shell & (np.abs(u - 70) < 8) & (v > 14) & (v < 22))
    assert 6.0 <= np.median(fossa) <= 10.0
    assert 11.0 <= np.median(crest) <= 20.0


def test_obturator_foramen_is_open_and_the_ring_closed(mean: Pelvis) -> None:
    frame, hip = pelvic_frame(mean.parameters, mean.column), mean.hip(Side.RIGHT)
    ring = [[50.0, 54.0, -101.0], [12.0, 66.0, -118.0], [22.0, 39.0, -144.0], [48.0, -8.0, -156.0], [58.0, -22.0, -136.0]]
    assert (hip(frame.world(ring).T) < 0).all()
    hole = frame.world([[38.0, 28.0, -128.0], [42.0, 22.0, -132.0], [36.0, 36.0, -124.0]])
    assert (hip(hole.T) > 4.0).all()


def test_symphysis(mean: Pelvis) -> None:
    frame = pelvic_frame(mean.parameters, mean.column)
    spot = frame.world([0.0, 62.0, -122.0])
    free = sum(extent(Negative(mean.hip(side)), spot, side.sign * frame.right, 10.0) for side in Side)
    assert free == pytest.approx(5.0, abs=0.3)


def test_sacro_iliac_gap(pelvis: Pelvis) -> None:
    """2 to 4 mm over the joint, bone on both sides."""
    frame, scale = pelvis.column.sacrum, pelvis.column.scale
    for side in Side:
        for anterior, cranial in ((-5.0, -20.0), (-10.0, -25.0), (-12.0, -32.0)):
            start = frame.world(np.array([side.sign * 30.0, anterior, cranial]) * scale)
            along = np.arange(0.0, 60.0 * scale, 0.05)
            points = start[:, None] + side.sign * frame.right[:, None] * along
            sacrum, hip = pelvis.sacrum.whole(points) < 0, pelvis.hip(side)(points) < 0
            last, first = along[np.flatnonzero(sacrum)[-1]], along[np.argmax(hip)]
            assert hip.any()
            # Along the right axis the sheet is met aslant.
            assert 1.8 <= (first - last) / scale <= 5.5


# --- as shapes ----------------------------------------------------------------------------------------------------------------------


def test_bones_do_not_overlap(pelvis: Pelvis) -> None:
    points = pelvis.around(120_000)
    inside = np.array([bone(points) < 0 for bone in (*pelvis.bones(), pelvis.l5())])
    assert (inside.sum(axis=0) <= 1).all()
    assert inside.any(axis=1).all()


def test_disc_space_is_free(pelvis: Pelvis) -> None:
    segment, frame = pelvis.column.segments["l5s1"], pelvis.column.sacrum
    scale = pelvis.column.scale
    random = np.random.default_rng(5).uniform(-1.0, 1.0, (20_000, 3))
    points = frame.world(random * np.array([0.5 * S1_WIDTH_MM, 0.5 * S1_DEPTH_MM, segment.height_mm / scale]) * scale)
    x, y, z = frame.local(points).T
    above = pelvis.sacrum.endplate_level(x, y, z) > 0.1
    outline = np.square(x / (0.5 * S1_WIDTH_MM * scale)) + np.square(y / (0.5 * S1_DEPTH_MM * scale)) < 1
    chosen = points[above & outline].T
    assert all((bone(chosen) > 0).all() for bone in pelvis.bones())


def test_slope_bounds_hold(pelvis: Pelvis) -> None:
    points = pelvis.around(25_000, seed=3)
    random = np.random.default_rng(6)
    step = random.choice([0.02, 0.3, 2.0, 6.0], points.shape[1])
    direction = random.normal(size=points.shape)
    other = points + direction / np.linalg.norm(direction, axis=0) * step
    for shape in (*pelvis.bones(), pelvis.sacrum.canal, *pelvis.sacrum.parts.values()):
        assert (np.abs(shape(other) - shape(points)) <= shape.slope * step * 1.001 + 1e-9).all()


def test_boxes_hold_the_bones(pelvis: Pelvis) -> None:
    points = pelvis.around(60_000, seed=4)
    for shape in (*pelvis.bones(), pelvis.sacrum.canal):
        inside = points[:, shape(points) < 0]
        assert (inside >= shape.box.low_mm[:, None]).all()
        assert (inside <= shape.box.high_mm[:, None]).all()


def test_left_and_right_mirror_each_other(mean: Pelvis) -> None:
    points = mean.around(20_000, seed=7)
    mirrored = points * np.array([[-1.0], [1.0], [1.0]])
    np.testing.assert_allclose(mean.sacrum.whole(points), mean.sacrum.whole(mirrored), atol=1e-9)
    np.testing.assert_allclose(mean.hip(Side.LEFT)(points), mean.hip(Side.RIGHT)(mirrored), atol=1e-9)


def test_single_precision_tells_the_same(mean: Pelvis) -> None:
    points = mean.around(20_000, seed=8)
    for shape in mean.bones():
        single = shape(points.astype(np.float32))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, shape(points.astype(np.float32).astype(np.float64)), atol=2e-3)


def test_bone_volumes_are_human(mean: Pelvis) -> None:
    """About 210 ml of sacrum and 380 ml of hip bone in a man of this width (CT)."""
    points = mean.around(150_000, seed=9)
    box_ml = 8 * 165.0 * 115.0 * 145.0 / 1000.0
    sacrum, left, right = ((bone(points) < 0).mean() * box_ml for bone in mean.bones())
    assert sacrum == pytest.approx(210.0, rel=0.2)
    assert left == pytest.approx(380.0, rel=0.2)
    assert right == pytest.approx(left, rel=0.05)


def test_femoral_heads_lie_in_their_sockets(pelvis: Pelvis) -> None:
    """The bone of the head clear of the hip's by its cartilage, and nothing else of the femur in the hip bone but that."""
    pieces = femur_pieces(pelvis.parameters, pelvis.column)
    frame, scale = pelvic_frame(pelvis.parameters, pelvis.column), pelvis.column.scale
    for side, (shaft, cover, end) in zip(Side, (pieces[:3], pieces[3:]), strict=True):
        assert cover.layers[0].tissue is Tissue.CARTILAGE
        centre = frame.world(HEAD_MM * np.array([side.sign, 1, 1]) * scale)
        assert float(end.shape(centre[:, None])[0]) < -20 * scale
        around = np.random.default_rng(2).normal(size=(3, 4000))
        around = centre[:, None] + scale * 60.0 * np.random.default_rng(3).random(4000) * around / np.linalg.norm(around, axis=0)
        both = (pelvis.hip(side)(around) < -1.5) & (end.shape(around) < -1.5)
        assert not both.any()
        low = frame.world(np.array([side.sign * 118.0, 12.0, -180.0]) * scale)
        assert float(shaft.shape(low[:, None])[0]) < -7 * scale
