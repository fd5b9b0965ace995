"""Shapes made of shapes: unions with fillets, cuts, what several share, grown and placed ones.

In a group of points each looks only at those of its parts that can matter there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import Frame
from kambin.phantom.field import Box, Field, Points, Values, into


@dataclass(frozen=True, eq=False, slots=True)
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
    """

    points: Points
    middle: Points
    radius_mm: float

    def some(self, chosen: npt.NDArray[np.intp]) -> Blocks:
        return Blocks(self.points[:, chosen], self.middle[:, chosen], self.radius_mm)

    def moved_into(self, frame: Frame) -> Blocks:
        shape = self.points.shape
        return Blocks(into(frame, self.points.reshape(3, -1)).reshape(shape), into(frame, self.middle), self.radius_mm)


def levels(shape: Field, blocks: Blocks) -> Values:
    """The level at every point of the blocks, shape (blocks, points in each); as the shape's own call, only sooner."""
    composed = getattr(shape, "on_blocks", None)
    if composed is not None:
        return np.asarray(composed(blocks))
    return shape(blocks.points.reshape(3, -1)).reshape(blocks.points.shape[1:])


def _joined(parts: Sequence[Field], signs: Sequence[int], blocks: Blocks, width_mm: float) -> Values:
    """The blended minimum of several levels (some negated) where each is looked at only in those blocks where it can matter."""
    middles = np.stack([sign * part(blocks.middle) for part, sign in zip(parts, signs, strict=True)])
    reach = np.array([part.slope * blocks.radius_mm for part in parts], dtype=middles.dtype)[:, None]
    wanted = middles - reach <= (middles + reach).min(axis=0) + width_mm
    smallest = np.full(blocks.points.shape[1:], 1e3, dtype=blocks.points.dtype)
    found: list[tuple[npt.NDArray[np.intp] | slice, Values]] = []
    for part, sign, where in zip(parts, signs, wanted, strict=True):
        chosen = np.flatnonzero(where)
        if len(chosen):
            everywhere = len(chosen) == len(where)
            values = sign * levels(part, blocks if everywhere else blocks.some(chosen))
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

    @property
    def box(self) -> Box:
        return Box.enclosing([part.box for part in self.parts]).grown(self.fillet_mm / 4)

    @property
    def slope(self) -> float:
        return max(part.slope for part in self.parts)

    def __call__(self, points: Points) -> Values:
        return blended_minimum([part(points) for part in self.parts], self.fillet_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return _joined(self.parts, [1] * len(self.parts), blocks, self.fillet_mm)


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

    @property
    def box(self) -> Box:
        return self.whole.box

    @property
    def slope(self) -> float:
        return max(self.whole.slope, *(tool.slope for tool in self.tools))

    def __call__(self, points: Points) -> Values:
        return -blended_minimum([-self.whole(points), *(tool(points) for tool in self.tools)], self.round_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return -_joined((self.whole, *self.tools), [-1] + [1] * len(self.tools), blocks, self.round_mm)


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

    @property
    def box(self) -> Box:
        result = self.parts[0].box
        for part in self.parts[1:]:
            result = result.common(part.box)
        return result

    @property
    def slope(self) -> float:
        return max(part.slope for part in self.parts)

    def __call__(self, points: Points) -> Values:
        return -blended_minimum([-part(points) for part in self.parts], self.round_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return -_joined(self.parts, [-1] * len(self.parts), blocks, self.round_mm)


@dataclass(frozen=True, eq=False)
class Offset:
    """A shape grown (or, negative, shrunk) by about a distance."""

    shape: Field
    by_mm: float

    @property
    def box(self) -> Box:
        return self.shape.box.grown(max(self.by_mm, 0.0) * 1.5)

    @property
    def slope(self) -> float:
        return self.shape.slope

    def __call__(self, points: Points) -> Values:
        return self.shape(points) - points.dtype.type(self.by_mm)

    def on_blocks(self, blocks: Blocks) -> Values:
        return levels(self.shape, blocks) - blocks.points.dtype.type(self.by_mm)


@dataclass(frozen=True, eq=False)
class Placed:
    """A shape given in the coordinates (right, anterior, cranial) of a frame, placed where that frame is."""

    shape: Field
    frame: Frame

    @property
    def box(self) -> Box:
        return Box.around(self.frame.world(self.shape.box.corners_mm))

    @property
    def slope(self) -> float:
        return self.shape.slope

    def __call__(self, points: Points) -> Values:
        return self.shape(into(self.frame, points))

    def on_blocks(self, blocks: Blocks) -> Values:
        return levels(self.shape, blocks.moved_into(self.frame))
