"""Implicit shapes: a number for every point of space, negative inside, whose zero is the surface. No resolution anywhere.

Points are arrays of shape (3, n): the rows are coordinates in millimetres. A field need not be a distance, but it is never more
than `slope` times the distance to the surface: where its value exceeds ``slope * r`` no surface lies within ``r``, which lets a whole
block of voxels be decided at once (`kambin.phantom.raster`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, Frame

Points = npt.NDArray[np.floating[Any]]
Values = npt.NDArray[np.floating[Any]]
_TINY = 1e-9
_LEAST = 1e-30


@dataclass(frozen=True, eq=False, slots=True)
class Box:
    """An axis-aligned box of the frame a field lives in.

    Parameters
    ----------
    low_mm, high_mm
        Corners, shape (3,).
    """

    low_mm: FloatArray
    high_mm: FloatArray

    @classmethod
    def everywhere(cls) -> Box:
        """All of a body and far beyond: the box of what has no end."""
        return cls(np.full(3, -1e4), np.full(3, 1e4))

    @classmethod
    def around(cls, points_mm: npt.ArrayLike, margin_mm: float = 0.0) -> Box:
        """The smallest box around points of shape (n, 3), widened by a margin."""
        points = np.atleast_2d(np.asarray(points_mm, dtype=np.float64))
        return cls(points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm)

    @classmethod
    def enclosing(cls, boxes: Sequence[Box]) -> Box:
        return cls(np.min([b.low_mm for b in boxes], axis=0), np.max([b.high_mm for b in boxes], axis=0))

    def common(self, other: Box) -> Box:
        """The overlap; empty overlaps collapse to a box without extent."""
        low = np.maximum(self.low_mm, other.low_mm)
        return Box(low, np.maximum(np.minimum(self.high_mm, other.high_mm), low))

    def grown(self, margin_mm: float) -> Box:
        return Box(self.low_mm - margin_mm, self.high_mm + margin_mm)

    @property
    def corners_mm(self) -> FloatArray:
        """Shape (8, 3)."""
        pick = np.indices((2, 2, 2)).reshape(3, 8).T
        return np.where(pick == 0, self.low_mm, self.high_mm)


class Field(Protocol):
    """An implicit shape."""

    @property
    def box(self) -> Box:
        """Contains all points inside the shape."""
        ...

    @property
    def slope(self) -> float:
        """The field's size is at most this times the distance to the surface."""
        ...

    def __call__(self, points: Points) -> Values:
        """The level at points of shape (3, n), negative inside; shape (n,), of the points' own precision."""
        ...


def _rows(vector: npt.ArrayLike, like: Points) -> Points:
    """A vector as a column of the points' precision."""
    return np.asarray(vector, dtype=like.dtype).reshape(3, 1)


@dataclass(frozen=True, eq=False)
class RoundCone:
    """A ball swept along a line while its radius changes: a capsule where both radii are one. Exact distance.

    Parameters
    ----------
    start_mm, end_mm
        Shape (3,).
    start_radius_mm, end_radius_mm
        Positive; the ends are balls.

    Raises
    ------
    ValueError
        When a radius is not positive.
    """

    start_mm: FloatArray
    end_mm: FloatArray
    start_radius_mm: float
    end_radius_mm: float
    slope: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        if not (self.start_radius_mm > 0 and self.end_radius_mm > 0):
            raise ValueError(f"expected positive radii, found {self.start_radius_mm} and {self.end_radius_mm}")

    @property
    def box(self) -> Box:
        one, two = Box.around(self.start_mm, self.start_radius_mm), Box.around(self.end_mm, self.end_radius_mm)
        return Box.enclosing([one, two])

    def __call__(self, points: Points) -> Values:
        axis = np.asarray(self.end_mm, dtype=np.float64) - self.start_mm
        length = float(np.linalg.norm(axis))
        shrink = self.start_radius_mm - self.end_radius_mm
        if length <= abs(shrink) + _TINY:
            big = max((self.start_radius_mm, 0), (self.end_radius_mm, 1))
            centre = (self.start_mm, self.end_mm)[big[1]]
            return np.asarray(np.sqrt(np.square(points - _rows(centre, points)).sum(axis=0)) - points.dtype.type(big[0]))
        x, y, z = points - _rows(self.start_mm, points)
        ux, uy, uz = (points.dtype.type(c) for c in axis / length)
        along = x * ux + y * uy + z * uz
        squared = np.maximum(x * x + y * y + z * z - along * along, 0)
        # The mantle is a cone tilted by this sine; its foot on the axis lies before or behind the point's own.
        sine = shrink / length
        cosine = float(np.sqrt(1.0 - sine * sine))
        nearest = along if sine == 0 else along - np.sqrt(squared) * points.dtype.type(sine / cosine)
        foot = np.clip(nearest, 0, points.dtype.type(length))
        along -= foot
        squared += along * along
        return np.asarray(np.sqrt(squared) - (points.dtype.type(self.start_radius_mm) - foot * points.dtype.type(sine)))


def capsule(start_mm: npt.ArrayLike, end_mm: npt.ArrayLike, radius_mm: float, end_radius_mm: float | None = None) -> RoundCone:
    """A `RoundCone` from loose numbers; one radius makes a capsule."""
    end = radius_mm if end_radius_mm is None else end_radius_mm
    return RoundCone(np.asarray(start_mm, dtype=np.float64), np.asarray(end_mm, dtype=np.float64), radius_mm, end)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid along the axes of its frame. Distance to first order near the surface.

    Parameters
    ----------
    frame
        Centre and axes.
    half_mm
        Half axes along right, anterior and cranial.
    """

    frame: Frame
    half_mm: tuple[float, float, float]
    slope: float = field(default=2.5, init=False)

    @property
    def box(self) -> Box:
        reach = np.sqrt(np.square(self.frame.axes * np.asarray(self.half_mm)[:, None]).sum(axis=0))
        return Box(self.frame.origin_mm - reach, self.frame.origin_mm + reach)

    def __call__(self, points: Points) -> Values:
        local = into(self.frame, points)
        half = _rows(self.half_mm, points)
        scaled = local / half
        far, steep = magnitude(scaled), magnitude(scaled / half)
        return _value_over_gradient(far, steep, min(self.half_mm))


@dataclass(frozen=True, eq=False)
class RoundedBox:
    """A box along the axes of its frame, its edges rounded. Exact distance.

    Parameters
    ----------
    frame
        Centre and axes.
    half_mm
        Half sizes along right, anterior and cranial, rounding included.
    radius_mm
        Of the edges, at most the smallest half size.
    """

    frame: Frame
    half_mm: tuple[float, float, float]
    radius_mm: float
    slope: float = field(default=1.0, init=False)

    @property
    def box(self) -> Box:
        reach = np.abs(self.frame.axes * np.asarray(self.half_mm)[:, None]).sum(axis=0)
        return Box(self.frame.origin_mm - reach, self.frame.origin_mm + reach)

    def __call__(self, points: Points) -> Values:
        radius = min(self.radius_mm, *self.half_mm)
        over = np.abs(into(self.frame, points))
        over -= _rows(np.asarray(self.half_mm) - radius, points)
        x, y, z = np.maximum(over, 0)
        inside = np.minimum(np.maximum(np.maximum(over[0], over[1]), over[2]), 0)
        return np.asarray(np.sqrt(x * x + y * y + z * z) + inside - points.dtype.type(radius))


@dataclass(frozen=True, eq=False)
class HalfSpace:
    """All that lies against the direction of a normal.

    Parameters
    ----------
    point_mm
        On the plane.
    normal
        Unit vector pointing out of the shape.
    """

    point_mm: FloatArray
    normal: FloatArray
    slope: float = field(default=1.0, init=False)

    @property
    def box(self) -> Box:
        return Box.everywhere()

    def __call__(self, points: Points) -> Values:
        offset = float(np.dot(self.point_mm, self.normal))
        nx, ny, nz = (points.dtype.type(c) for c in self.normal)
        return np.asarray(points[0] * nx + points[1] * ny + points[2] * nz - points.dtype.type(offset))


def magnitude(vectors: Points) -> Values:
    """Of vectors of shape (3, n)."""
    x, y, z = vectors
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def into(frame: Frame, points: Points) -> Points:
    """Points of shape (3, n) in the coordinates of a frame."""
    axes = frame.axes.astype(points.dtype)
    x, y, z = points - _rows(frame.origin_mm, points)
    # Written out: a product of matrices may add in another order on another machine.
    result = np.empty_like(points)
    for row, (ax, ay, az) in zip(result, axes, strict=True):
        np.multiply(x, ax, out=row)
        row += y * ay
        row += z * az
    return result


def power_of(base: Values, exponent: Values | np.floating[Any]) -> Values:
    """Powers of numbers that are not negative, by logarithms: many times quicker than `np.power` in single precision."""
    logarithm = np.log(np.maximum(base, base.dtype.type(_LEAST)))
    logarithm *= exponent
    return np.asarray(np.exp(logarithm, out=logarithm))


def smooth_minimum(one: Values, other: Values, width_mm: float) -> Values:
    """The smaller of two levels; where they differ by less than the width, a parabola below both (by a quarter of it at most)."""
    smaller = np.minimum(one, other)
    if width_mm <= 0.0:
        return smaller
    near = np.abs(one - other)
    np.subtract(smaller.dtype.type(width_mm), near, out=near)
    np.maximum(near, 0, out=near)
    near *= near
    near *= smaller.dtype.type(0.25 / width_mm)
    smaller -= near
    return smaller


def smooth_maximum(one: Values, other: Values, width_mm: float) -> Values:
    """The larger of two levels, rounded as `smooth_minimum`."""
    return -smooth_minimum(-one, -other, width_mm)


@dataclass(frozen=True, eq=False)
class EllipticRod:
    """A straight rod of elliptic section whose half axes change evenly from station to station; flat ends.

    Parameters
    ----------
    frame
        The rod runs along its *anterior*.
    along_mm
        Places of the stations, ascending; the rod ends at the first and the last.
    half_mm
        Half axes along right and cranial at each station.
    """

    frame: Frame
    along_mm: tuple[float, ...]
    half_mm: tuple[tuple[float, float], ...]
    slope: float = field(default=2.7, init=False)

    @property
    def box(self) -> Box:
        right, up = np.max(self.half_mm, axis=0)
        low, high = np.array([-right, self.along_mm[0], -up]), np.array([right, self.along_mm[-1], up])
        return Box.around(self.frame.world(Box(low, high).corners_mm))

    def __call__(self, points: Points) -> Values:
        right, along, up = into(self.frame, points)
        kind = points.dtype.type
        halves = np.asarray(self.half_mm)
        a, b = (np.interp(along, self.along_mm, halves[:, k]).astype(kind) for k in range(2))
        ends = np.maximum(kind(self.along_mm[0]) - along, along - kind(self.along_mm[-1]))
        return np.asarray(np.maximum(ellipse_level(right, up, a, b), ends))


def ellipse_level(x: Values, y: Values, a: Values | float, b: Values | float) -> Values:
    """About the distance to an ellipse of half axes `a`, `b` in the plane, negative inside: exact on it to first order."""
    far = np.sqrt(np.square(x / a) + np.square(y / b))
    steep = np.sqrt(np.square(x / (a * a)) + np.square(y / (b * b)))
    return _value_over_gradient(far, steep, np.minimum(a, b))


_ELLIPSE_SLOPE = 2.5


def _value_over_gradient(far: Values, steep: Values, smallest: Values | float) -> Values:
    """Distance to an ellipse to first order, from its gauge (1 on it) and the gauge's gradient.

    Off the surface, where the quotient may tell the distance along the wrong axis, it is held to what the smallest half axis allows.
    """
    # On the very axis the quotient is nothing over nothing.
    first_order = np.where(far > _TINY, far / np.maximum(steep, _TINY), smallest)
    return np.asarray((far - 1) * np.minimum(first_order, far.dtype.type(_ELLIPSE_SLOPE) * smallest))


def slab(
    start_mm: npt.ArrayLike, end_mm: npt.ArrayLike, up: npt.ArrayLike, half_height_mm: float, half_thickness_mm: float
) -> RoundedBox:
    """A plate of bone with rounded edges from one point to another.

    Parameters
    ----------
    start_mm, end_mm
        Middles of its two ends, shape (3,).
    up
        The direction of its height, made perpendicular to the line between the ends.
    half_height_mm, half_thickness_mm
        Its half sizes across; it reaches beyond its ends by half its thickness.
    """
    start, end = np.asarray(start_mm, dtype=np.float64), np.asarray(end_mm, dtype=np.float64)
    half = 0.5 * float(np.linalg.norm(end - start))
    along = (end - start) / (2 * half)
    lifted = np.asarray(up, dtype=np.float64)
    frame = Frame.from_cranial_anterior((start + end) / 2, lifted - (lifted @ along) * along, along)
    return RoundedBox(frame, (half_thickness_mm, half + half_thickness_mm, half_height_mm), 0.95 * half_thickness_mm)
