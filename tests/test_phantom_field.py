"""Implicit shapes and their painting: against closed forms, and against looking at every voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kambin.geometry import Frame
from kambin.phantom.compose import Balls, Blocks, Common, Cut, Findings, Offset, Placed, Union, levels, spans
from kambin.phantom.field import Ellipsoid, EllipticRod, Field, HalfSpace, RoundCone, RoundedBox, capsule, slab
from kambin.phantom.raster import Layer, Piece, paint_labels, paint_signal
from kambin.phantom.tissue import Tissue
from kambin.volume import Grid

UPRIGHT = Frame(np.zeros(3), np.eye(3))
TURNED = Frame(np.array([3.0, -2.0, 5.0]), Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix())
SHAPES: dict[str, Field] = {
    "ball": capsule((0, 0, 0), (0, 0, 1e-9), 9.0),
    "capsule": capsule((-8, 0, 0), (9, 4, -3), 5.0),
    "cone": capsule((-8, 0, 0), (9, 4, -3), 7.0, 3.0),
    "ellipsoid": Ellipsoid(TURNED, (12.0, 7.0, 5.0)),
    "box": RoundedBox(TURNED, (12.0, 7.0, 5.0), 2.0),
    "rod": EllipticRod(TURNED, (-10.0, 0.0, 10.0), ((6.0, 4.0), (5.0, 6.0), (4.0, 7.0))),
    "plate": slab((-9, 0, 2), (8, 3, -2), (0, 0, 1), 8.0, 2.5),
    "union": Union((capsule((-8, 0, 0), (9, 4, -3), 5.0), Ellipsoid(TURNED, (12.0, 7.0, 5.0)), capsule((0, 0, -12), (0, 0, 12), 3.0)), 4.0),
    "cut": Cut(RoundedBox(TURNED, (12.0, 9.0, 8.0), 2.0), (capsule((-20, 0, 0), (20, 0, 0), 4.0),), 1.5),
    "common": Common((Ellipsoid(UPRIGHT, (12.0, 9.0, 8.0)), HalfSpace(np.zeros(3), np.array([0.0, 0.6, 0.8]))), 1.0),
    "placed": Placed(Union((capsule((-8, 0, 0), (9, 4, -3), 5.0), capsule((0, 0, -12), (0, 0, 12), 3.0)), 3.0), TURNED),
    "grown": Offset(capsule((-8, 0, 0), (9, 4, -3), 5.0), 1.5),
}


def around(spacing: float, half: float = 24.0, rotation: np.ndarray | None = None) -> Grid:
    n = int(np.ceil(2 * half / spacing))
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if rotation is None else rotation) * spacing
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (n - 1) / 2)
    return Grid((n, n, n), affine)


def volume(shape: Field, spacing: float) -> float:
    """By partial volume, so that it converges fast."""
    picture = paint_signal([Piece(shape, (Layer(Tissue.MARROW),))], around(spacing), {Tissue.MARROW: (1.0,)}, (0.0,))
    return float(picture.sum(dtype=np.float64)) * spacing**3


@pytest.mark.parametrize("name", SHAPES)
@given(seed=st.integers(0, 2**31))
def test_no_level_exceeds_its_slope_times_the_distance(name: str, seed: int) -> None:
    """Between two points of different sign lies a surface: neither level may tell that it is further away than the other point."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(-20, 20, (3, 2000))
    step = rng.normal(size=(3, 2000)) * rng.choice([0.5, 2.0, 5.0], 2000)
    shape = SHAPES[name]
    here, there = shape(start), shape(start + step)
    apart = np.linalg.norm(step, axis=0)[here * there < 0]
    farthest = np.maximum(np.abs(here), np.abs(there))[here * there < 0]
    assert (farthest <= shape.slope * apart + 1e-6).all()


@pytest.mark.parametrize("name", SHAPES)
def test_box_holds_all_that_is_inside(name: str) -> None:
    points = np.random.default_rng(7).uniform(-28, 28, (3, 200_000))
    inside = points[:, SHAPES[name](points) < 0]
    box = SHAPES[name].box
    assert inside.shape[1] > 500
    assert (box.low_mm - 1e-6 <= inside.T).all()
    assert (box.high_mm + 1e-6 >= inside.T).all()


def test_volumes_of_closed_forms() -> None:
    length = float(np.linalg.norm([17, 4, -3]))
    truths = {
        "ball": 4 / 3 * np.pi * 9**3,
        "capsule": np.pi * 25 * length + 4 / 3 * np.pi * 125,
        "ellipsoid": 4 / 3 * np.pi * 12 * 7 * 5,
        # A box with rounded edges: Steiner's formula for the box within it.
        "box": (20 * 10 * 6) + 2 * (20 * 10 + 10 * 6 + 20 * 6) * 2 + np.pi * 4 * (20 + 10 + 6) + 4 / 3 * np.pi * 8,
    }
    for name, truth in truths.items():
        assert volume(SHAPES[name], 0.5) == pytest.approx(truth, rel=2e-3), name


def test_round_cone_touches_both_balls() -> None:
    """The mantle's volume: a frustum between the two circles where it touches the balls, with two spherical caps."""
    r, q, d = 7.0, 3.0, 20.0
    cone = RoundCone(np.zeros(3), np.array([d, 0.0, 0.0]), r, q)
    sine = (r - q) / d
    cosine = np.sqrt(1 - sine**2)
    big, small = r * cosine, q * cosine
    height = d - r * sine + q * sine
    frustum = np.pi * height / 3 * (big**2 + big * small + small**2)

    def beyond(radius: float, at: float) -> float:
        cap = radius - at
        return np.pi * cap**2 * (3 * radius - cap) / 3

    truth = frustum + (4 / 3 * np.pi * r**3 - beyond(r, r * sine)) + beyond(q, q * sine)
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = (-10.0, -10.0, -10.0)
    grid = Grid((80, 40, 40), affine)
    picture = paint_signal([Piece(cone, (Layer(Tissue.MARROW),))], grid, {Tissue.MARROW: (1.0,)}, (0.0,))
    assert float(picture.sum(dtype=np.float64)) * 0.125 == pytest.approx(truth, rel=2e-3)


def test_painted_volume_converges_with_the_square_of_the_spacing() -> None:
    truth = 4 / 3 * np.pi * 12 * 7 * 5
    errors = [abs(volume(SHAPES["ellipsoid"], spacing) - truth) for spacing in (1.6, 0.8, 0.4)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < errors[0] / 4
    assert errors[2] < 1e-3 * truth


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("oblique", [False, True])
def test_painting_by_blocks_is_looking_at_every_voxel(name: str, oblique: bool) -> None:
    rotation = Rotation.from_euler("xyz", (10, 25, -15), degrees=True).as_matrix() if oblique else None
    grid = around(0.9, rotation=rotation)
    points = grid.world(np.indices(grid.shape).reshape(3, -1).T).T
    level = SHAPES[name](points).reshape(grid.shape)
    painted = paint_labels([(3, SHAPES[name])], grid)
    differ = (painted == 3) != (level < 0)
    # Single precision decides only what lies on the surface.
    assert np.abs(level[differ]).max(initial=0.0) < 1e-4


@pytest.mark.parametrize("name", ["union", "cut", "common", "placed", "grown"])
def test_blocks_leave_out_nothing_that_matters(name: str) -> None:
    rng = np.random.default_rng(3)
    middle = rng.uniform(-20, 20, (3, 400))
    points = middle[:, :, None] + rng.uniform(-1.5, 1.5, (3, 400, 27))
    shape = SHAPES[name]
    by_blocks = levels(shape, Blocks(points, middle, 1.5 * np.sqrt(3.0)))
    at_once = shape(points.reshape(3, -1)).reshape(400, 27)
    assert np.abs(by_blocks - at_once).max() < 1e-9


@pytest.mark.parametrize("name", ["union", "cut", "common", "placed", "grown"])
def test_bounds_hold_everywhere_in_a_ball(name: str) -> None:
    rng = np.random.default_rng(4)
    middle, radius = rng.uniform(-20, 20, (3, 300)), 3.0
    away = rng.normal(size=(3, 300, 200))
    points = middle[:, :, None] + radius * away / np.linalg.norm(away, axis=0) * rng.uniform(0, 1, (300, 200))
    shape = SHAPES[name]
    found = spans(shape, Balls(middle, radius, np.arange(300), Findings(300)))
    level = shape(points.reshape(3, -1)).reshape(300, 200)
    assert np.abs(found.middle - shape(middle)).max() < 1e-9
    assert (level.min(axis=1) >= found.low - 1e-9).all()
    assert (level.max(axis=1) <= found.high + 1e-9).all()


def test_later_shapes_cover_earlier_ones_and_slabs_do_not_show() -> None:
    grid = Grid.axis_aligned((90, 40, 40), 0.5, (-22.0, -10.0, -10.0))
    first, second = capsule((-15, 0, 0), (15, 0, 0), 6.0), capsule((0, 0, 0), (0, 0, 1), 4.0)
    painted = paint_labels([(1, first), (2, second)], grid)
    assert painted[tuple(np.round(grid.voxel([0, 0, 0])).astype(int))] == 2
    for start in range(0, 90, 30):
        part = paint_labels([(1, first), (2, second)], grid.crop((start, 0, 0), (start + 30, 40, 40)))
        assert np.array_equal(part, painted[start : start + 30])


def test_layers_lie_at_their_depth() -> None:
    """A ball's core takes the share of its volume that its radius tells."""
    piece = Piece(SHAPES["ball"], (Layer(Tissue.CORTICAL_BONE), Layer(Tissue.MARROW, 2.0)))
    values = {Tissue.CORTICAL_BONE: (1.0, 0.0), Tissue.MARROW: (0.0, 1.0)}
    shell, core = paint_signal([piece], around(0.5), values, (0.0, 0.0)).sum(axis=(1, 2, 3), dtype=np.float64) * 0.125
    assert core == pytest.approx(4 / 3 * np.pi * 7**3, rel=3e-3)
    assert shell + core == pytest.approx(4 / 3 * np.pi * 9**3, rel=3e-3)


def test_a_cone_needs_radii() -> None:
    with pytest.raises(ValueError, match="positive radii"):
        capsule((0, 0, 0), (1, 0, 0), 0.0)
