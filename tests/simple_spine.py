"""A motion segment of boxes and upright cylinders by their signed distances: what a plan finds in it is known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Level, Side, Structure
from kambin.geometry import Frame, Plane
from kambin.planning.around import Around, Region
from kambin.planning.fields import Fields
from kambin.planning.obstacles import surroundings
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.spine import Endplate, MotionSegment, Solid, SpineModel, Vertebra
from kambin.volume import Grid

Points = npt.NDArray[np.float64]
Shape = Callable[[Points], Points]
FRAME = Frame(np.zeros(3), np.eye(3))


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Shape:
    """Exact outside too, so that its edges are not round within."""
    middle, half = (np.array(low) + high) / 2, (np.array(high) - low) / 2

    def level(points: Points) -> Points:
        beyond = np.abs(points - middle) - half
        return np.asarray(np.linalg.norm(np.maximum(beyond, 0.0), axis=-1) + np.minimum(beyond.max(axis=-1), 0.0))

    return level


def upright(x: float, y: float, radius: float, low: float = -45.0, high: float = 45.0) -> Shape:
    """A cylinder along the z axis."""

    def level(points: Points) -> Points:
        across = np.hypot(points[..., 0] - x, points[..., 1] - y) - radius
        return np.asarray(np.maximum(across, np.maximum(low - points[..., 2], points[..., 2] - high)))

    return level


def union(*shapes: Shape) -> Shape:
    return lambda points: np.min([shape(points) for shape in shapes], axis=0)


def solid_of(level: Shape, low: tuple[float, float, float], high: tuple[float, float, float], spacing_mm: float = 0.8) -> Solid:
    """Sampled over a box that holds it, clipped as reconstructed solids are."""
    size = tuple(int(n) for n in np.ceil((np.array(high) - low) / spacing_mm) + 1)
    grid = Grid.axis_aligned((size[0], size[1], size[2]), spacing_mm, low)
    values = np.clip(level(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1).astype(np.float64))), -4.0, 4.0).astype(np.float32)
    return Solid(grid, values, zero_surface(guarded(values), grid))


def around_simple(
    upper: Solid, lower: Solid, disc: Solid, others: Mapping[Structure, Solid], side: Side, region: Region
) -> tuple[SpineModel, Around]:
    """L4/L5 of those shapes, its frame at the origin, with all that lies about it."""
    plate = np.stack(np.meshgrid([-18.0, 0.0, 18.0], [-18.0, 0.0, 14.0], [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    above, below = (
        Endplate(plate + np.array([0.0, 0.0, height]), Plane(np.array([0.0, 0.0, height]), np.array([0.0, 0.0, -np.sign(height)])))
        for height in (5.0, -5.0)
    )
    bones = [Vertebra(level, solid, FRAME, {}, None, None, True) for level, solid in ((Level.L4, upper), (Level.L5, lower))]
    segment = MotionSegment(bones[0], bones[1], FRAME, disc, False, above, below)
    grid = Grid.axis_aligned((2, 2, 2), 1.0, [0.0, 0.0, 0.0])
    model = SpineModel(grid, np.zeros(grid.shape, dtype=np.uint16), {}, tuple(bones), (segment,), {}, dict(others), FRAME)
    fields = Fields(model)
    found = surroundings(model, segment, side)
    about = {obstacle: fields.of(obstacle) for obstacle in found.obstacles}
    return model, Around(segment, side, about, None, found.missing, region, fields)
