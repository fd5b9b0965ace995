"""Distances along channels: against closed forms, and against exact mesh distances found without any field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from kambin.anatomy.structures import Side
from kambin.geometry import Frame
from kambin.geometry.mesh_distance import closest_points_between
from kambin.planning.channel import Channel, direction_of
from kambin.planning.exact import axis_to_surface
from kambin.planning.field import REACH_MM, DistanceField, distance_field, lattice_about, rough_distance_field
from kambin.planning.lowest import lowest_along
from kambin.planning.search import Cone, roomiest_lines, targets_about
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.spine import Solid, SurfaceMesh
from kambin.volume import Grid

Level = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
FRAME = Frame(np.zeros(3), np.eye(3))


def solid_of(level: Level, half_mm: float = 24.0, spacing_mm: float = 0.8) -> Solid:
    """A solid sampled from a signed distance, clipped as reconstructed ones are."""
    count = int(2 * half_mm / spacing_mm) + 1
    grid = Grid.axis_aligned((count, count, count), spacing_mm, [-half_mm] * 3)
    points = grid.world(np.stack(np.indices(grid.shape), axis=-1))
    values = np.clip(level(points), -4.0, 4.0).astype(np.float32)
    return Solid(grid, values, zero_surface(guarded(values), grid))


def sphere(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.linalg.norm(points - [2.0, -3.0, 1.0], axis=-1) - 9.0


def tube(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Along the z axis, 5 mm thick, with round ends."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.sqrt(x**2 + y**2 + np.maximum(np.abs(z) - 14.0, 0.0) ** 2) - 2.5


def torus(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, y, z = np.moveaxis(points, -1, 0)
    return np.hypot(np.hypot(x, y) - 12.0, z) - 4.0


def plate(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A slab so wide that it is a plane to whatever is before its middle; its edges are round."""
    beyond = np.abs(points) - [18.0, 18.0, 1.0]
    return np.linalg.norm(np.maximum(beyond, 0.0), axis=-1) + np.minimum(beyond.max(axis=-1), 0.0) - 2.0


SHAPES = {"sphere": sphere, "tube": tube, "torus": torus, "plate": plate}


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> tuple[Level, Solid, DistanceField]:
    level = SHAPES[request.param]
    solid = solid_of(level)
    # a lattice askew to the solid's own, as a segment's is
    turn = Frame.from_cranial_anterior(np.zeros(3), [0.2, -0.3, 1.0], [0.1, 1.0, 0.2])
    return level, solid, distance_field(solid, lattice_about(turn, [-36.0] * 3, [36.0] * 3))


def random_channels(count: int, seed: int) -> list[Channel]:
    rng = np.random.default_rng(seed)
    return [Channel(rng.uniform(-14, 14, 3), rng.normal(size=3), 3.0, rng.uniform(5, 25)) for _ in range(count)]


def test_fields_are_the_distance_and_negative_inside(shape: tuple[Level, Solid, DistanceField]) -> None:
    level, _, field = shape
    points = np.random.default_rng(1).uniform(-18, 18, (20_000, 3))
    true = level(points)
    # where a channel's axis can come to lie beside what it must not touch
    beside = (true > -1.0) & (true < REACH_MM - 1.5)
    assert beside.sum() > 2_000
    error = field.at(points[beside]) - true[beside]
    assert np.quantile(np.abs(error), 0.99) < 0.2
    assert abs(error.mean()) < 0.05
    assert (field.at(points[true < -0.4]) < 0).all()


def test_a_rough_field_is_off_by_a_millimetre_at_most(shape: tuple[Level, Solid, DistanceField]) -> None:
    level, solid, field = shape
    rough = rough_distance_field(solid, field.grid)
    points = np.random.default_rng(6).uniform(-18, 18, (20_000, 3))
    true = level(points)
    beside = (true > 0.5) & (true < REACH_MM - 3.0)
    error = rough.at(points[beside]) - true[beside]
    assert np.abs(error).max() < 1.1
    assert np.quantile(np.abs(error), 0.95) < 0.45
    assert abs(error.mean()) < 0.2
    assert (rough.at(points[true < -1.0]) < 0).all()


def test_channels_are_as_far_as_the_closed_form_says(shape: tuple[Level, Solid, DistanceField]) -> None:
    level, _, field = shape
    for channel in random_channels(60, seed=2):
        true = float(level(channel.at(np.linspace(0.0, channel.length_mm, 4_000))).min())
        if -1.0 < true < REACH_MM - 2.0:
            found, where = lowest_along(field, channel.target_mm[None], channel.direction[None], channel.length_mm)
            assert found[0] == pytest.approx(true, abs=0.2 if true < 6.0 else 0.3)
            assert float(level(channel.at(where[0]))) == pytest.approx(true, abs=0.3)


def test_channels_are_as_far_as_the_mesh_is(shape: tuple[Level, Solid, DistanceField]) -> None:
    level, solid, field = shape
    compared = 0
    for channel in random_channels(40, seed=3):
        axis = SurfaceMesh(np.stack([channel.target_mm, channel.outer_end_mm, channel.outer_end_mm]), np.array([[0, 1, 2]]))
        if level(channel.at(np.linspace(0.0, channel.length_mm, 400))).min() < 0.5:
            continue  # surfaces that cross are at distance 0; depth is another matter
        true = closest_points_between(axis, solid.mesh).distance_mm
        if true < REACH_MM - 2.0:
            compared += 1
            found, _ = lowest_along(field, channel.target_mm[None], channel.direction[None], channel.length_mm)
            assert found[0] == pytest.approx(true, abs=0.2 if true < 6.0 else 0.3)
            assert axis_to_surface(channel, solid)[0] == pytest.approx(true, abs=1e-9)
    assert compared >= 5


def test_a_line_outside_every_field_meets_nothing() -> None:
    field = distance_field(solid_of(sphere), lattice_about(FRAME, [-30.0] * 3, [30.0] * 3))
    lowest, where = lowest_along(field, [[0.0, 0.0, 200.0]], [[0.0, 0.0, 1.0]], 50.0)
    assert lowest[0] == REACH_MM
    assert where[0] == 0.0
    assert len(lowest_along(field, np.empty((0, 3)), np.empty((0, 3)), 50.0)[0]) == 0


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("alpha", "cranial"), [(0.0, 0.0), (40.5, 0.0), (30.0, 25.0), (89.0, -10.0)])
def test_angles_are_those_of_the_direction(side: Side, alpha: float, cranial: float) -> None:
    frame = Frame.from_cranial_anterior([1.0, 2.0, 3.0], [0.1, 0.4, 1.0], [0.0, 1.0, 0.0])
    direction = direction_of(frame, side, alpha, cranial)
    channel = Channel(np.zeros(3), direction)
    assert channel.alpha_deg(frame) == pytest.approx(alpha, abs=1e-9)
    assert channel.cranial_deg(frame) == pytest.approx(cranial, abs=1e-9)
    assert np.sign(frame.right @ direction) == side.sign


def test_the_search_finds_the_hole_in_a_ring() -> None:
    """A ring 20 mm out stands across the only way: the roomiest line goes through its middle, with R - r to spare."""
    axis = direction_of(FRAME, Side.RIGHT, 41.0, 13.0)
    turned = Frame.from_cranial_anterior(20.0 * axis, axis, [0.0, 1.0, 0.0])
    ring = solid_of(lambda points: torus(turned.local(points)), half_mm=40.0)
    field = distance_field(ring, lattice_about(FRAME, [-45.0] * 3, [45.0] * 3))
    cone = Cone((20.0, 60.0), (-10.0, 30.0), tolerance_mm=0.0)
    lines = roomiest_lines(field, FRAME, Side.RIGHT, targets_about(FRAME, np.zeros(3), cone), cone, 60.0)
    best = int(np.argmax(lines.slack_mm))
    # The middle is as far from all sides of the ring: there a lattice cuts the distance off by up to half its spacing, never the other way.
    assert 12.0 - 4.0 - 0.5 < lines.slack_mm[best] < 12.0 - 4.0 + 0.1
    found = direction_of(FRAME, Side.RIGHT, lines.alpha_deg[best], lines.cranial_deg[best])
    assert np.degrees(np.arccos(found @ axis)) < 1.0


def test_the_search_is_global() -> None:
    """Among random spheres no random line has more room than the best one by a tenth of a millimetre."""
    rng = np.random.default_rng(5)
    centres = 26.0 * direction_of(FRAME, Side.LEFT, rng.uniform(0, 80, 14), rng.uniform(-25, 50, 14))

    def spheres(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.min([np.linalg.norm(points - centre, axis=-1) for centre in centres], axis=0) - 6.0

    field = distance_field(solid_of(spheres, half_mm=40.0), lattice_about(FRAME, [-45.0] * 3, [45.0] * 3))
    cone = Cone((10.0, 80.0), (-15.0, 45.0))
    targets = targets_about(FRAME, np.zeros(3), cone)
    assert len(targets) == 13
    lines = roomiest_lines(field, FRAME, Side.LEFT, targets, cone, 60.0)
    count = 100_000
    alpha, cranial = rng.uniform(10, 80, count), rng.uniform(-15, 45, count)
    random, _ = lowest_along(field, targets[rng.integers(13, size=count)], direction_of(FRAME, Side.LEFT, alpha, cranial), 60.0)
    assert random.max() <= lines.slack_mm.max() + 0.1
    assert len(lines.slack_mm) < count / 4
