"""Shapes made of shapes: unions with fillets, cuts, what several share, grown and placed ones.

Amid a group of points it is found out first which of a shape's parts can matter there, from their levels in the group's middle and how fast
these can change; only those are then looked at point by point. Small groups begin with what was found for the larger one around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from kambin.geometry import Frame
from kambin.phantom.field import Box, Field, Points, Values, into

Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


class Spans(NamedTuple):
    """A shape's level in the middle of each of several balls, and bounds of it anywhere in them; shape (balls,) each."""

    middle: Values
    low: Values
    high: Values

    def negated(self) -> Spans:
        return Spans(-self.middle, -self.high, -self.low)

    def raised(self, by: np.floating[Any]) -> Spans:
        return Spans(self.middle + by, self.low + by, self.high + by)

    def greater(self, other: Spans) -> Spans:
        """Of the greater of two levels."""
        return Spans(*(np.maximum(one, two) for one, two in zip(self, other, strict=True)))

    def less(self, other: Spans) -> Spans:
        """Of one level less another."""
        return Spans(self.middle - other.middle, self.low - other.high, self.high - other.low)


class Findings:
    """Which parts of composed shapes can matter in which of a number of balls.

    Parameters
    ----------
    count
        Number of balls.
    coarser, within
        What was found for larger balls, and for each ball the number of the larger one that holds it.
    """

    def __init__(self, count: int, coarser: Findings | None = None, within: Places | None = None) -> None:
        self.count, self._coarser, self._within = count, coarser, within
        self._wanted: dict[Field, Mask] = {}
        self._known: dict[Field, Mask] = {}

    def candidates(self, shape: Field, parts: int, balls: Places) -> Mask:
        """Which of a shape's parts may matter as far as the larger balls tell, shape (parts, balls)."""
        if self._coarser is None or self._within is None or shape not in self._coarser._wanted:
            return np.ones((parts, len(balls)), dtype=bool)
        around = self._within[balls]
        return self._coarser._wanted[shape][:, around] | ~self._coarser._known[shape][around]

    def note(self, shape: Field, balls: Places, wanted: Mask) -> None:
        """Keep which of a shape's parts matter."""
        if shape not in self._wanted:
            self._wanted[shape] = np.zeros((len(wanted), self.count), dtype=bool)
            self._known[shape] = np.zeros(self.count, dtype=bool)
        # A shape that stands in two places, as on both sides, is looked at where either asks for it.
        self._wanted[shape][:, balls] |= wanted
        self._known[shape][balls] = True

    def unknown(self, shape: Field, balls: Places) -> Mask:
        """For which balls nothing has been found out about a shape."""
        return ~self._known[shape][balls] if shape in self._known else np.ones(len(balls), dtype=bool)

    def wanted(self, shape: Field, balls: Places) -> Mask:
        """Which of a shape's parts matter, shape (parts, balls)."""
        return self._wanted[shape][:, balls]


@dataclass(frozen=True, eq=False, slots=True)
class Balls:
    """Where it is to be found out which parts of a shape can matter.

    Parameters
    ----------
    middle
        Shape (3, balls).
    radius_mm
        Of all of them.
    numbers
        Of each ball among those of the findings.
    findings
        Where the result is kept.
    """

    middle: Points
    radius_mm: float
    numbers: Places
    findings: Findings

    def some(self, chosen: Places) -> Balls:
        return Balls(self.middle[:, chosen], self.radius_mm, self.numbers[chosen], self.findings)

    def at(self, middle: Points, radius_mm: float) -> Balls:
        """The same balls in other coordinates."""
        return Balls(middle, radius_mm, self.numbers, self.findings)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Points in small groups, so that a composed shape can leave out what is too far away to matter in a group.

    Parameters
    ----------
    points
        Shape (3, blocks, points in each).
    middle
        A point amid each group, shape (3, blocks).
    radius_mm
        No point of a group is further from its middle.
    balls
        Those that hold the groups, where something is known about them already.
    """

    points: Points
    middle: Points
    radius_mm: float
    balls: Balls = field(default=cast(Balls, None))

    def __post_init__(self) -> None:
        if self.balls is None:
            count = self.middle.shape[1]
            object.__setattr__(self, "balls", Balls(self.middle, self.radius_mm, np.arange(count), Findings(count)))

    @classmethod
    def within(cls, balls: Balls, points: Points) -> Blocks:
        return cls(points, balls.middle, balls.radius_mm, balls)

    def some(self, chosen: Places) -> Blocks:
        return Blocks.within(self.balls.some(chosen), self.points[:, chosen])

    def moved_into(self, frame: Frame) -> Blocks:
        points = into(frame, self.points.reshape(3, -1)).reshape(self.points.shape)
        return Blocks.within(self.balls.at(into(frame, self.middle), self.radius_mm), points)


def levels(shape: Field, blocks: Blocks) -> Values:
    """The level at every point of the blocks, shape (blocks, points in each); as the shape's own call, only sooner."""
    composed = getattr(shape, "on_blocks", None)
    if composed is not None:
        return np.asarray(composed(blocks))
    return shape(blocks.points.reshape(3, -1)).reshape(blocks.points.shape[1:])


def spans(shape: Field, balls: Balls) -> Spans:
    """The shape's level amid each ball, and its bounds there; what is found out about the shape's parts is kept with the balls."""
    composed = getattr(shape, "in_balls", None)
    if composed is not None:
        return cast(Spans, composed(balls))
    return around(shape, shape(balls.middle), balls.radius_mm)


def around(shape: Field, middle: Values, radius_mm: float) -> Spans:
    """The bounds that a shape's slope sets."""
    reach = middle.dtype.type(shape.slope * radius_mm)
    return Spans(middle, middle - reach, middle + reach)


def _joined_spans(shape: Field, parts: Sequence[Field], signs: Sequence[int], balls: Balls, width_mm: float) -> Spans:
    """Of the blended minimum of a shape's parts (some negated); which of them can matter is noted."""
    count, kind = len(balls.numbers), balls.middle.dtype
    candidates = balls.findings.candidates(shape, len(parts), balls.numbers)
    middle, low, high = (np.full((len(parts), count), np.inf, dtype=kind) for _ in range(3))
    for row, (part, sign, where) in enumerate(zip(parts, signs, candidates, strict=True)):
        chosen = np.flatnonzero(where)
        if len(chosen):
            found = spans(part, balls if len(chosen) == count else balls.some(chosen))
            middle[row, chosen], low[row, chosen], high[row, chosen] = found if sign > 0 else found.negated()
    least_high = high.min(axis=0)
    wanted = candidates & (low <= least_high + kind.type(width_mm))
    balls.findings.note(shape, balls.numbers, wanted)
    own = around(shape, blended_minimum(list(middle), width_mm), balls.radius_mm)
    # Each other part draws the smallest level down by at most a quarter of the fillet's width.
    drawn_down = kind.type(0.25 * max(width_mm, 0.0)) * (wanted.sum(axis=0, dtype=kind) - 1)
    return Spans(own.middle, np.maximum(own.low, low.min(axis=0) - drawn_down), np.minimum(own.high, least_high))


def _joined(shape: Field, parts: Sequence[Field], signs: Sequence[int], blocks: Blocks, width_mm: float) -> Values:
    """The blended minimum of a shape's parts (some negated) where each is looked at only in those blocks where it can matter."""
    balls = blocks.balls
    unknown = balls.findings.unknown(shape, balls.numbers)
    if unknown.any():
        _joined_spans(shape, parts, signs, balls.some(np.flatnonzero(unknown)), width_mm)
    wanted = balls.findings.wanted(shape, balls.numbers)
    smallest = np.full(blocks.points.shape[1:], 1e3, dtype=blocks.points.dtype)
    found: list[tuple[Places | slice, Values]] = []
    for part, sign, where in zip(parts, signs, wanted, strict=True):
        chosen = np.flatnonzero(where)
        if len(chosen):
            everywhere = len(chosen) == len(where)
            values = levels(part, blocks if everywhere else blocks.some(chosen))
            values = values if sign > 0 else -values
            found.append((slice(None) if everywhere else chosen, values))
            smallest[found[-1][0]] = np.minimum(smallest[found[-1][0]], values)
    if width_mm <= 0.0 or len(found) < 2:
        return smallest
    # The smallest level itself blends with itself by the most there is, which is taken back.
    result = smallest + smallest.dtype.type(0.25 * width_mm)
    for chosen_or_all, values in found:
        result[chosen_or_all] -= _blending(values - smallest[chosen_or_all], width_mm)
    return result


def _blending(above: Values, width_mm: float) -> Values:
    """How far a level that lies `above` the smallest one draws it down."""
    near = np.maximum(width_mm - above, 0)
    near *= near
    near *= near.dtype.type(0.25 / width_mm)
    return np.asarray(near)


def blended_minimum(several: Sequence[Values], width_mm: float) -> Values:
    """The smallest of several levels, drawn down by each other one that lies less than the width above it, in no order."""
    smallest = several[0]
    for other in several[1:]:
        smallest = np.minimum(smallest, other)
    if width_mm <= 0.0 or len(several) < 2:
        return smallest
    result = smallest + smallest.dtype.type(0.25 * width_mm)
    for one in several:
        result -= _blending(one - smallest, width_mm)
    return result


@dataclass(frozen=True, eq=False)
class Union:
    """Several shapes as one; creases between them filled with a fillet.

    Parameters
    ----------
    parts
        At least one.
    fillet_mm
        Where two levels differ by less than this, they are blended; each other part adds at most a quarter of it.
    """

    parts: tuple[Field, ...]
    fillet_mm: float = 0.0

    @cached_property
    def box(self) -> Box:
        return Box.enclosing([part.box for part in self.parts]).grown(self.fillet_mm / 4)

    @cached_property
    def slope(self) -> float:
        return max(part.slope for part in self.parts)

    def __call__(self, points: Points) -> Values:
        return blended_minimum([part(points) for part in self.parts], self.fillet_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return _joined(self, self.parts, [1] * len(self.parts), blocks, self.fillet_mm)

    def in_balls(self, balls: Balls) -> Spans:
        return _joined_spans(self, self.parts, [1] * len(self.parts), balls, self.fillet_mm)


@dataclass(frozen=True, eq=False)
class Cut:
    """A shape without others, the new edges rounded.

    Parameters
    ----------
    whole
        What is cut.
    tools
        What is taken away.
    round_mm
        As `Union.fillet_mm`.
    """

    whole: Field
    tools: tuple[Field, ...]
    round_mm: float = 0.0

    @cached_property
    def box(self) -> Box:
        return self.whole.box

    @cached_property
    def slope(self) -> float:
        return max(self.whole.slope, *(tool.slope for tool in self.tools))

    def __call__(self, points: Points) -> Values:
        return -blended_minimum([-self.whole(points), *(tool(points) for tool in self.tools)], self.round_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return -_joined(self, (self.whole, *self.tools), [-1] + [1] * len(self.tools), blocks, self.round_mm)

    def in_balls(self, balls: Balls) -> Spans:
        return _joined_spans(self, (self.whole, *self.tools), [-1] + [1] * len(self.tools), balls, self.round_mm).negated()


@dataclass(frozen=True, eq=False)
class Common:
    """What several shapes share, the edges rounded.

    Parameters
    ----------
    parts
        At least one.
    round_mm
        As `Union.fillet_mm`.
    """

    parts: tuple[Field, ...]
    round_mm: float = 0.0

    @cached_property
    def box(self) -> Box:
        result = self.parts[0].box
        for part in self.parts[1:]:
            result = result.common(part.box)
        return result

    @cached_property
    def slope(self) -> float:
        return max(part.slope for part in self.parts)

    def __call__(self, points: Points) -> Values:
        return -blended_minimum([-part(points) for part in self.parts], self.round_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return -_joined(self, self.parts, [-1] * len(self.parts), blocks, self.round_mm)

    def in_balls(self, balls: Balls) -> Spans:
        return _joined_spans(self, self.parts, [-1] * len(self.parts), balls, self.round_mm).negated()


@dataclass(frozen=True, eq=False)
class Offset:
    """A shape grown (or, negative, shrunk) by about a distance."""

    shape: Field
    by_mm: float

    @cached_property
    def box(self) -> Box:
        return self.shape.box.grown(max(self.by_mm, 0.0) * 1.5)

    @cached_property
    def slope(self) -> float:
        return self.shape.slope

    def __call__(self, points: Points) -> Values:
        return self.shape(points) - points.dtype.type(self.by_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return levels(self.shape, blocks) - blocks.points.dtype.type(self.by_mm)

    def in_balls(self, balls: Balls) -> Spans:
        return spans(self.shape, balls).raised(balls.middle.dtype.type(-self.by_mm))


@dataclass(frozen=True, eq=False)
class Placed:
    """A shape given in the coordinates (right, anterior, cranial) of a frame, placed where that frame is."""

    shape: Field
    frame: Frame

    @cached_property
    def box(self) -> Box:
        return Box.around(self.frame.world(self.shape.box.corners_mm))

    @cached_property
    def slope(self) -> float:
        return self.shape.slope

    def __call__(self, points: Points) -> Values:
        return self.shape(into(self.frame, points))

    def on_blocks(self, blocks: Blocks) -> Values:
        return levels(self.shape, blocks.moved_into(self.frame))

    def in_balls(self, balls: Balls) -> Spans:
        return spans(self.shape, balls.at(into(self.frame, balls.middle), balls.radius_mm))
