"""Sections of exact shapes: levels on a plane lattice that is fine only where the surface is, and the curves that they bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Field

_COARSE_MM = 1.5
_BAND = 0.87
"""Where the interpolated level lies nearer to zero than this many times the spacing of the lattice that it comes from, the exact one is
taken: creases between lattice points hide no more."""
_FINER = 2.5
"""How many times finer each lattice is than the one before, at most."""

LevelOf = Callable[[FloatArray], FloatArray]
"""Levels of plane points of shape (n, 2)."""


@dataclass(frozen=True, eq=False)
class Flat:
    """A plane of space with two axes in it.

    Parameters
    ----------
    origin_mm
        RAS, shape (3,).
    first, second
        Perpendicular unit vectors.
    """

    origin_mm: FloatArray
    first: FloatArray
    second: FloatArray

    @classmethod
    def axial(cls, frame: Frame) -> Flat:
        """(right, anterior) of a frame."""
        return cls(frame.origin_mm, frame.right, frame.anterior)

    @classmethod
    def sagittal(cls, frame: Frame, right_mm: float = 0.0) -> Flat:
        """(anterior, cranial) of a frame, at a distance to the right."""
        return cls(frame.origin_mm + right_mm * frame.right, frame.anterior, frame.cranial)

    def world(self, plane_mm: FloatArray) -> FloatArray:
        """RAS of plane points, shape (..., 2) to (..., 3)."""
        return np.asarray(self.origin_mm + plane_mm[..., :1] * self.first + plane_mm[..., 1:] * self.second)

    def level(self, shape: Field) -> LevelOf:
        """The levels of a shape on the plane."""
        return lambda points: np.asarray(shape(np.ascontiguousarray(self.world(points).T)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Sheet:
    """Levels on a regular plane lattice.

    Parameters
    ----------
    first_mm, second_mm
        Its coordinates, shapes (n,) and (m,).
    level
        Shape (n, m), negative inside.
    """

    first_mm: FloatArray
    second_mm: FloatArray
    level: FloatArray

    @property
    def step_mm(self) -> float:
        return float(self.first_mm[1] - self.first_mm[0])

    def points(self) -> FloatArray:
        """Shape (n, m, 2)."""
        return np.stack(np.meshgrid(self.first_mm, self.second_mm, indexing="ij"), axis=-1)


def axis(low: float, high: float, step: float) -> FloatArray:
    """Equally spaced coordinates that cover a range."""
    return np.asarray(low + step * np.arange(int(np.ceil((high - low) / step)) + 1), dtype=np.float64)


def finely(
    level: LevelOf,
    first: tuple[float, float],
    second: tuple[float, float],
    step: float,
    coarse: float = _COARSE_MM,
    about: tuple[float, float] | None = None,
) -> Sheet:
    """Levels on a fine lattice: exact near the surface, interpolated from coarser lattices elsewhere.

    Parameters
    ----------
    level
        Of plane points.
    first, second
        The window.
    step, coarse
        Of the finest and the coarsest lattice, mm.
    about
        Where only the piece that holds a point matters: that point. Elsewhere levels stay rough.
    """
    lattice = (axis(*first, coarse), axis(*second, coarse))
    points = np.stack(np.meshgrid(*lattice, indexing="ij"), axis=-1)
    values = level(points.reshape(-1, 2)).reshape(points.shape[:-1])
    return refined(level, Sheet(lattice[0], lattice[1], values), (first, second), step, about)


def refined(
    level: LevelOf,
    rough: Sheet,
    window: tuple[tuple[float, float], tuple[float, float]],
    step: float,
    about: tuple[float, float] | None = None,
) -> Sheet:
    """A rough sheet's levels on a fine lattice over a window, by way of lattices between; as `finely`."""
    sheet, count = rough, max(int(np.ceil(np.log(rough.step_mm / step) / np.log(_FINER) - 1e-6)), 1)
    for pitch in rough.step_mm * (step / rough.step_mm) ** (np.arange(1, count + 1) / count):
        fine = (axis(*window[0], pitch), axis(*window[1], pitch))
        guess = spread(sheet.level, (sheet.first_mm, sheet.second_mm), fine)
        sheet = near_surface(level, guess, fine, _BAND * sheet.step_mm, about)
    return sheet


def near_surface(
    level: LevelOf, guess: FloatArray, fine: tuple[FloatArray, FloatArray], band: float, about: tuple[float, float] | None = None
) -> Sheet:
    """A sheet of guessed levels made exact where they are small (and belong to the piece about a point)."""
    near = np.abs(guess) < band
    if about is not None:
        near &= _piece_about(guess < band, fine, about)
    points = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)
    result = guess.copy()
    if near.any():
        result[near] = level(points[near])
    return Sheet(fine[0], fine[1], result)


def _piece_about(region: npt.NDArray[np.bool_], fine: tuple[FloatArray, FloatArray], point: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """The connected piece of a region that holds a point; all of it where none does."""
    from scipy.ndimage import label

    place = tuple(int(np.abs(along - at).argmin()) for along, at in zip(fine, point, strict=True))
    pieces, _ = label(region, np.ones((3, 3)))
    return np.asarray(pieces == pieces[place]) if pieces[place] else region


def spread(values: FloatArray, rough: tuple[FloatArray, FloatArray], fine: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Bilinear interpolation from one lattice to another; beyond the border its values go on."""
    (i, u), (j, v) = (weights(a, b) for a, b in zip(rough, fine, strict=True))
    low = values[i][:, j] * (1 - v) + values[i][:, j + 1] * v
    high = values[i + 1][:, j] * (1 - v) + values[i + 1][:, j + 1] * v
    return np.asarray(low * (1 - u[:, None]) + high * u[:, None])


def weights(rough: FloatArray, fine: FloatArray) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """For linear interpolation: the lattice point before each place, and how far on the way to the next the place lies."""
    place = np.clip((fine - rough[0]) / (rough[1] - rough[0]), 0, len(rough) - 1 - 1e-9)
    index = np.minimum(place.astype(np.int64), len(rough) - 2)
    return index, place - index


def sampled(sheet: Sheet, points: FloatArray) -> FloatArray:
    """Levels of a sheet at plane points (n, 2), bilinear."""
    (i, u), (j, v) = weights(sheet.first_mm, points[:, 0]), weights(sheet.second_mm, points[:, 1])
    level = sheet.level
    low, high = level[i, j] * (1 - v) + level[i, j + 1] * v, level[i + 1, j] * (1 - v) + level[i + 1, j + 1] * v
    return np.asarray(low * (1 - u) + high * u)


def curves(sheet: Sheet) -> list[FloatArray]:
    """The closed zero curves of a sheet, each of shape (n, 2), the first point not repeated."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(sheet.first_mm, sheet.second_mm, sheet.level.T, line_type=LineType.Separate).lines(0.0)
    closed = [np.asarray(line, dtype=np.float64) for line in lines]
    return [line[:-1] for line in closed if len(line) > 3 and np.allclose(line[0], line[-1])]


def signed_area(loop: FloatArray) -> float:
    """Area within a loop, positive when it runs anticlockwise."""
    x, y = loop[:, 0], loop[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def holds(loop: FloatArray, point: npt.ArrayLike) -> bool:
    """Whether a loop goes round a point."""
    x, y = (loop - np.asarray(point, dtype=np.float64)).T
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    cross = (y > 0) != (y2 > 0)
    at = x[cross] + (x2[cross] - x[cross]) * y[cross] / (y[cross] - y2[cross])
    return bool((at > 0).sum() % 2)


def centroid(loop: FloatArray) -> FloatArray:
    """Of the area within a loop."""
    x, y = loop[:, 0], loop[:, 1]
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    cross = x * y2 - x2 * y
    return np.asarray([((x + x2) * cross).sum(), ((y + y2) * cross).sum()]) / float(3.0 * cross.sum())


def largest(loops: list[FloatArray]) -> FloatArray | None:
    """The loop with the largest area; None where there is no loop."""
    return max(loops, key=lambda loop: abs(signed_area(loop)), default=None)


def extent(points: FloatArray, direction: npt.ArrayLike) -> float:
    """How far points reach along a direction."""
    along = points @ np.asarray(direction, dtype=np.float64)
    return float(along.max() - along.min())


def hull(points: FloatArray) -> FloatArray:
    """The convex hull, anticlockwise."""
    from scipy.spatial import ConvexHull

    return np.asarray(points[ConvexHull(points).vertices])


def feret(points: FloatArray) -> float:
    """The largest distance between two points."""
    corners = hull(points)
    return float(np.linalg.norm(corners[:, None] - corners[None], axis=-1).max())


def gap(one: FloatArray, other: FloatArray) -> float:
    """The shortest distance between two loops that do not cross; 0 where one lies in the other."""
    if holds(one, other[0]) or holds(other, one[0]):
        return 0.0
    return min(_to_edges(one, other), _to_edges(other, one))


def _to_edges(points: FloatArray, loop: FloatArray) -> float:
    """From points to the edges of a loop."""
    start, along = loop, np.roll(loop, -1, axis=0) - loop
    length = np.maximum(np.square(along).sum(axis=1), 1e-18)
    offset = points[:, None] - start[None]
    place = np.clip((offset * along).sum(axis=-1) / length, 0, 1)
    return float(np.linalg.norm(offset - place[..., None] * along, axis=-1).min())


def longest_chord(loop: FloatArray, step: float) -> float:
    """The longest chord of a loop along its second axis."""
    start, end = loop, np.roll(loop, -1, axis=0)
    best = 0.0
    for at in axis(float(loop[:, 0].min()) + 0.5 * step, float(loop[:, 0].max()) - 0.5 * step, step):
        crosses = (start[:, 0] > at) != (end[:, 0] > at)
        share = (at - start[crosses, 0]) / (end[crosses, 0] - start[crosses, 0])
        depth = np.sort(start[crosses, 1] + share * (end[crosses, 1] - start[crosses, 1]))
        if len(depth) >= 2:
            best = max(best, float((depth[1::2] - depth[: 2 * (len(depth) // 2) : 2]).max()))
    return best
