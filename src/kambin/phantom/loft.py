"""Soft shapes: tubes along smooth curves, and lofts whose section changes smoothly with height.

Both are read off a `Profile`, a table of smooth functions of one coordinate, so that a level costs a few look-ups whatever the length
of the shape. Neither is an exact distance away from its surface; both measure at their construction how fast they change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Box, Field, Points, Values, into, magnitude, power_of, smooth_maximum

_STEP_MM = 0.5
_SLOPE_POINTS = 3000
_SLOPE_MARGIN = 1.2
_TINY = 1e-6
_FAR_MM = 12.0
"""Further from a tube's surface than this its level stays the same: the nearest point of a bent curve is only sought nearby."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Smooth functions of one coordinate, tabulated closely; constant beyond their ends.

    Parameters
    ----------
    start_mm
        Coordinate of the first entry.
    step_mm
        Between entries.
    table
        One row a function, shape (functions, entries).
    """

    start_mm: float
    step_mm: float
    table: FloatArray

    @classmethod
    def through(cls, at_mm: npt.ArrayLike, values: npt.ArrayLike, *, with_slopes: Sequence[int] = ()) -> Profile:
        """Functions through knots, which never overshoot between them (piecewise cubic, Fritsch and Carlson 1980).

        Parameters
        ----------
        at_mm
            Coordinates of at least two knots, in any order, all different; shape (knots,).
        values
            Shape (knots, functions).
        with_slopes
            Functions whose derivatives follow as further rows.
        """
        at = np.asarray(at_mm, dtype=np.float64)
        order = np.argsort(at)
        curve = PchipInterpolator(at[order], np.asarray(values, dtype=np.float64)[order], axis=0)
        low, high = float(at.min()), float(at.max())
        places = np.linspace(low, high, max(2, round((high - low) / _STEP_MM) + 1))
        rows = np.asarray(curve(places), dtype=np.float64).T
        slopes = np.asarray(curve(places, 1), dtype=np.float64).T[list(with_slopes)]
        return cls(low, float(places[1] - places[0]), np.ascontiguousarray(np.concatenate([rows, slopes])))

    @property
    def end_mm(self) -> float:
        return float(self.start_mm + self.step_mm * (self.table.shape[1] - 1))

    @property
    def places_mm(self) -> FloatArray:
        """The coordinates of the entries."""
        return np.asarray(self.start_mm + self.step_mm * np.arange(self.table.shape[1]), dtype=np.float64)

    def __call__(self, at: Values) -> list[Values]:
        """Each function at each coordinate, of the coordinates' own precision; not to be written to."""
        kind, last = at.dtype.type, self.table.shape[1] - 1
        place = np.clip((at - kind(self.start_mm)) * kind(1 / self.step_mm), 0, last)
        index = np.minimum(place.astype(np.intp), last - 1)
        share = place - index.astype(at.dtype)
        values, rises = self._single if at.dtype == np.float32 else self._double
        # The index lies in the table already; asking for "clip" only spares another check.
        found = iter(rises.take(index, axis=1, mode="clip") * share + values.take(index, axis=1, mode="clip"))
        same = (np.broadcast_to(kind(value), at.shape) for value in self.table[self.constant, 0])
        return [next(same if constant else found) for constant in self.constant]

    @cached_property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Which functions are the same everywhere, shape (functions,)."""
        return np.asarray(np.ptp(self.table, axis=1) == 0)

    @cached_property
    def _double(self) -> tuple[Values, Values]:
        return self._varying(np.dtype(np.float64))

    @cached_property
    def _single(self) -> tuple[Values, Values]:
        return self._varying(np.dtype(np.float32))

    def _varying(self, kind: np.dtype[Any]) -> tuple[Values, Values]:
        """The functions that change, and their rise from each entry to the next."""
        rows = self.table[~self.constant].astype(kind)
        return rows, np.diff(rows, axis=1)


@dataclass(frozen=True, slots=True)
class Section:
    """The outline of a loft at one height: an ellipse, or a squarer outline, its front and back of different depth.

    Parameters
    ----------
    z_mm
        Height.
    right_mm, anterior_mm
        Its middle, where it is widest.
    half_mm
        Half axes: to the sides, to the front, to the back (before it is turned).
    turn_deg
        Counter-clockwise seen from above: its front turns to the patient's left.
    power
        2 for an ellipse, more for squarer outlines.
    furrow_mm
        Depth and half width of a furrow along the middle of its back.
    """

    z_mm: float
    right_mm: float
    anterior_mm: float
    half_mm: tuple[float, float, float]
    turn_deg: float = 0.0
    power: float = 2.0
    furrow_mm: tuple[float, float] = (0.0, 20.0)


@dataclass(frozen=True, eq=False)
class Loft:
    """An outline that changes smoothly with height, with level ends.

    Parameters
    ----------
    profile
        Eight functions of height, in the order of `Section`.
    round_mm
        Width of the rounding of the edges at its ends.
    """

    profile: Profile
    round_mm: float = 4.0
    box: Box = field(init=False)
    slope: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", self._box())
        object.__setattr__(self, "slope", measured_slope(self))

    def _box(self) -> Box:
        right, ahead, side, front, back, turn, power, _furrow, _width = self.profile.table[:, :, None]
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        cosine, sine = np.cos(angle), np.sin(angle)
        u = side * np.sign(cosine) * np.abs(cosine) ** (2 / power)
        v = np.where(sine > 0, front, back) * np.sign(sine) * np.abs(sine) ** (2 / power)
        x = right + u * np.cos(turn) - v * np.sin(turn)
        y = ahead + u * np.sin(turn) + v * np.cos(turn)
        # Between two of 64 points a smooth outline bulges by less than a two-hundredth of its size.
        margin = 0.2 + 0.005 * float(max(side.max(), front.max(), back.max()))
        low = np.array([x.min() - margin, y.min() - margin, self.profile.start_mm])
        return Box(low, np.array([x.max() + margin, y.max() + margin, self.profile.end_mm]))

    def __call__(self, points: Points) -> Values:
        x, y, z = points
        kind = x.dtype.type
        right, ahead, side, front, back, turn, power, furrow, width = self.profile(z)
        u, v = x - right, y - ahead
        if self.profile.table[5].any():
            cosine, sine = np.cos(turn), np.sin(turn)
            u, v = u * cosine + v * sine, v * cosine - u * sine
        smallest = np.minimum(side, np.minimum(front, back))
        deep = front if self._is_even else np.where(v > 0, front, back)
        level = outline_level(u, v, side, deep, self._power(power), smallest)
        if self.profile.table[7].any():
            bump = np.square(np.maximum(1 - np.square(u / width), 0))
            level += furrow * bump * np.clip(-v / (kind(0.5) * back), 0, 1)
        half = 0.5 * (self.profile.end_mm - self.profile.start_mm)
        ends = np.abs(z - kind(self.profile.start_mm + half)) - kind(half)
        return smooth_maximum(level, ends, self.round_mm)

    def _power(self, power: Values) -> Values | float:
        """One number where it is the same everywhere, which is quicker."""
        return float(self.profile.table[6, 0]) if self.profile.constant[6] else power

    @cached_property
    def _is_even(self) -> bool:
        """Whether front and back are alike."""
        return bool(np.array_equal(self.profile.table[3], self.profile.table[4]))


def loft(sections: Sequence[Section], round_mm: float = 4.0) -> Loft:
    """The `Loft` through sections given in any order."""
    rows = [(s.right_mm, s.anterior_mm, *s.half_mm, np.radians(s.turn_deg), s.power, *s.furrow_mm) for s in sections]
    return Loft(Profile.through([s.z_mm for s in sections], rows), round_mm)


def outline_level(u: Values, v: Values, a: Values | float, b: Values | float, power: Values | float, smallest: Values | float) -> Values:
    """About the distance to the outline ``|u/a|^power + |v/b|^power = 1``, negative inside; exact on it to first order.

    `smallest` is the least half axis: the level in the middle, where there is no direction to tell one from another.
    """
    kind = u.dtype.type
    p = kind(power) if isinstance(power, float) else power
    scaled_u, scaled_v = np.abs(u / a), np.abs(v / b)
    if isinstance(power, float) and power == 2.0:
        far = np.sqrt(np.square(scaled_u) + np.square(scaled_v))
        steep = np.sqrt(np.square(scaled_u / a) + np.square(scaled_v / b)) / np.maximum(far, kind(_TINY))
    else:
        pu, pv = power_of(scaled_u, p - 1), power_of(scaled_v, p - 1)
        total = np.maximum(pu * scaled_u + pv * scaled_v, kind(_TINY) ** 3)
        far = power_of(total, 1 / p)
        steep = np.sqrt(np.square(pu / a) + np.square(pv / b)) * far / total
    # Value over gradient; towards the middle, where its direction is undefined, the smaller half axis takes over.
    reach = np.minimum(1 / np.maximum(steep, kind(_TINY)), kind(3) * smallest)
    result: Values = (far - 1) * (smallest + (reach - smallest) * np.square(np.minimum(far, 1)))
    return result


@dataclass(frozen=True, eq=False)
class Tube:
    """A tube along a curve that runs from bottom to top without turning back, of round or elliptic section; its ends are round.

    Parameters
    ----------
    profile
        Six functions of height: right, anterior, half width (across, level), half thickness, and the derivatives of the first two.
    """

    profile: Profile
    box: Box = field(init=False)
    slope: float = field(init=False)

    def __post_init__(self) -> None:
        right, ahead, wide, thick = self.profile.table[:4]
        reach = np.maximum(wide, thick)
        middle = np.stack([right, ahead, self.profile.places_mm])
        object.__setattr__(self, "box", Box((middle - reach).min(axis=1), (middle + reach).max(axis=1)))
        object.__setattr__(self, "slope", measured_slope(self))

    @cached_property
    def is_round(self) -> bool:
        return bool(np.array_equal(self.profile.table[2], self.profile.table[3]))

    def __call__(self, points: Points) -> Values:
        x, y, z = points
        kind = x.dtype.type
        low, high = kind(self.profile.start_mm), kind(self.profile.end_mm)
        foot = np.clip(z, low, high)
        # The nearest point of the curve: from the point at the same height, two steps along the tangent.
        for _ in range(2):
            right, ahead, _wide, _thick, tx, ty = self.profile(foot)
            along = ((x - right) * tx + (y - ahead) * ty + z - foot) / (1 + tx * tx + ty * ty)
            foot = np.clip(foot + along, low, high)
        right, ahead, wide, thick, tx, ty = self.profile(foot)
        dx, dy, dz = x - right, y - ahead, z - foot
        if self.is_round:
            return np.asarray(np.minimum(np.sqrt(dx * dx + dy * dy + dz * dz) - wide, kind(_FAR_MM)))
        length = np.sqrt(1 + tx * tx + ty * ty)
        # Across: to the right and level with the tangent; through: what is perpendicular to both.
        flat = np.sqrt(1 + tx * tx)
        across = (dx - tx * dz) / flat
        through = (dy * (1 + tx * tx) - ty * (tx * dx + dz)) / (flat * length)
        rest = np.sqrt(np.maximum(dx * dx + dy * dy + dz * dz - across * across - through * through, 0))
        level = outline_level(across, np.sqrt(through * through + rest * rest), wide, thick, 2.0, np.minimum(wide, thick))
        return np.asarray(np.minimum(level, kind(_FAR_MM)))


def tube(points_mm: npt.ArrayLike, half_width_mm: npt.ArrayLike, half_thickness_mm: npt.ArrayLike | None = None) -> Tube:
    """The `Tube` through points.

    Parameters
    ----------
    points_mm
        Shape (n, 3), each lower than the one before, or each higher.
    half_width_mm, half_thickness_mm
        At each point or one for all; without the second the section is round.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    wide = np.broadcast_to(np.asarray(half_width_mm, dtype=np.float64), len(points))
    thick = wide if half_thickness_mm is None else np.broadcast_to(np.asarray(half_thickness_mm, dtype=np.float64), len(points))
    columns = np.stack([points[:, 0], points[:, 1], wide, thick], axis=1)
    return Tube(Profile.through(points[:, 2], columns, with_slopes=(0, 1)))


@dataclass(frozen=True, eq=False)
class Egg:
    """An ellipsoid whose level stays gentle far from it and inside, however flat it is.

    Parameters
    ----------
    frame
        Centre and axes.
    half_mm
        Half axes along right, anterior and cranial.
    """

    frame: Frame
    half_mm: tuple[float, float, float]
    slope: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", measured_slope(self))

    @property
    def box(self) -> Box:
        reach = np.sqrt(np.square(self.frame.axes * np.asarray(self.half_mm)[:, None]).sum(axis=0))
        return Box(self.frame.origin_mm - reach, self.frame.origin_mm + reach)

    def __call__(self, points: Points) -> Values:
        half = np.asarray(self.half_mm, dtype=points.dtype).reshape(3, 1)
        scaled = into(self.frame, points) / half
        far, steep = magnitude(scaled), magnitude(scaled / half)
        smallest = points.dtype.type(min(self.half_mm))
        reach = np.minimum(far / np.maximum(steep, points.dtype.type(_TINY)), 2 * smallest)
        result: Values = (far - 1) * (smallest + (reach - smallest) * np.square(np.minimum(far, 1)))
        return result


def measured_slope(shape: Field) -> float:
    """The steepest gradient found in and around a shape's box, with a fifth to spare."""
    box = shape.box.grown(12.0)
    # A fixed seed: the same shape has the same slope in every run.
    points = np.random.default_rng(7).uniform(box.low_mm, box.high_mm, (_SLOPE_POINTS, 3)).T
    half = 0.125
    squares = np.zeros(points.shape[1])
    for axis in range(3):
        step = np.zeros((3, 1))
        step[axis] = half
        squares += np.square((shape(points + step) - shape(points - step)) / (2 * half))
    return float(max(1.0, _SLOPE_MARGIN * np.sqrt(squares.max())))
