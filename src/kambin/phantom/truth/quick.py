"""The same shapes, evaluated only where they matter: in each small cell of space only those parts that can matter there.

A shape changes by at most its slope a millimetre, so its levels and those of its parts in the middle of a cell tell which of them
can make the surface anywhere in it. That is found once for each cell that is ever asked about. What comes out is the shape's own level,
to the last bits, wherever that is small, which is all that surfaces need.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kambin.phantom.compose import Common, Cut, Offset, Placed, Union, blended_minimum
from kambin.phantom.field import Field, Points, Values, into

CAP_MM = 3.0
"""No level is larger than this, nor its negative smaller."""
_CELL_MM = 3.0
_RADIUS_MM = 0.5 * np.sqrt(3.0) * _CELL_MM
"""No point of a cell is further from its middle."""
_MARGIN_MM = 9.5
"""Beyond this distance from its box the level of a shape is larger than the cap: levels are nearly distances."""
_FAR = 1e3
"""Beyond all fillets, lest these blend what was not looked at."""
_UNKNOWN, _OUTSIDE, _NEAR, _INSIDE = range(4)
Cells = npt.NDArray[np.intp]


class Quick:
    """A field's level up to a cap.

    Parameters
    ----------
    shape
        The field.
    """

    def __init__(self, shape: Field) -> None:
        self.box, self.slope = shape.box, shape.slope
        room = self.box.grown(_MARGIN_MM)
        self._low = room.low_mm
        self._counts = np.maximum(np.ceil((room.high_mm - room.low_mm) / _CELL_MM).astype(np.intp), 1)
        total = int(self._counts.prod())
        self._shape, self._parts = shape, _parts_of(shape, total)
        self._state = np.full(total, _UNKNOWN, dtype=np.int8)

    def __call__(self, points: Points) -> Values:
        result = np.full(points.shape[1], CAP_MM, dtype=points.dtype)
        place = np.floor((points - self._low[:, None]) / _CELL_MM).astype(np.intp)
        within = np.flatnonzero(((place >= 0) & (place < self._counts[:, None])).all(axis=0))
        cells = np.ravel_multi_index(tuple(place[:, within]), tuple(self._counts))
        self._learn(cells)
        state = self._state[cells]
        result[within[state == _INSIDE]] = -CAP_MM
        near = within[state == _NEAR]
        if len(near):
            result[near] = np.clip(self._parts.level(points[:, near], cells[state == _NEAR]), -CAP_MM, CAP_MM)
        return result

    def _learn(self, cells: Cells) -> None:
        """Find what matters in cells that have not been asked about before."""
        new = np.unique(cells[self._state[cells] == _UNKNOWN])
        if not len(new):
            return
        place = np.stack(np.unravel_index(new, tuple(self._counts)))
        middles = self._low[:, None] + _CELL_MM * (place + 0.5)
        level, reach = self._shape(middles), CAP_MM + self.slope * _RADIUS_MM
        self._state[new] = np.select([level > reach, level < -reach], [_OUTSIDE, _INSIDE], _NEAR)
        near = np.abs(level) <= reach
        self._parts.learn(new[near], middles[:, near])


class _Whole:
    """A shape that has no parts, or none that are known."""

    def __init__(self, shape: Field) -> None:
        self.shape = shape

    def learn(self, cells: Cells, middles: Points) -> None:
        """Nothing: it matters wherever it is asked for."""

    def level(self, points: Points, cells: Cells) -> Values:  # noqa: ARG002
        return self.shape(points)


class _Shrunk(_Whole):
    """An offset shape."""

    def __init__(self, shape: Offset, total: int) -> None:
        super().__init__(shape)
        self.inner, self.by_mm = _parts_of(shape.shape, total), shape.by_mm

    def learn(self, cells: Cells, middles: Points) -> None:
        self.inner.learn(cells, middles)

    def level(self, points: Points, cells: Cells) -> Values:
        return self.inner.level(points, cells) - self.by_mm


class _Moved(_Whole):
    """A shape in a frame of its own."""

    def __init__(self, shape: Placed, total: int) -> None:
        super().__init__(shape)
        self.inner, self.frame = _parts_of(shape.shape, total), shape.frame

    def learn(self, cells: Cells, middles: Points) -> None:
        self.inner.learn(cells, into(self.frame, middles))

    def level(self, points: Points, cells: Cells) -> Values:
        return self.inner.level(into(self.frame, points), cells)


class _Joined(_Whole):
    """The blended minimum of several levels, some negated; or the negative of that.

    Parameters
    ----------
    sign, signs
        Of the whole, and of each part.
    """

    def __init__(self, shape: Field, parts: Sequence[Field], sign: int, signs: Sequence[int], width_mm: float, total: int) -> None:
        super().__init__(shape)
        self.parts, self.sign, self.signs, self.width_mm = [_parts_of(part, total) for part in parts], sign, signs, width_mm
        self.reach = _RADIUS_MM * np.array([part.slope for part in parts])[:, None]
        self.wanted = np.zeros((len(parts), total), dtype=bool)

    def learn(self, cells: Cells, middles: Points) -> None:
        level = np.stack([sign * part.shape(middles) for part, sign in zip(self.parts, self.signs, strict=True)])
        wanted = level - self.reach <= (level + self.reach).min(axis=0) + self.width_mm
        self.wanted[:, cells] = wanted
        for part, where in zip(self.parts, wanted, strict=True):
            part.learn(cells[where], middles[:, where])

    def level(self, points: Points, cells: Cells) -> Values:
        several = []
        for part, sign, wanted in zip(self.parts, self.signs, self.wanted, strict=True):
            chosen = np.flatnonzero(wanted[cells])
            if len(chosen) == len(cells):
                several.append(sign * part.level(points, cells))
            elif len(chosen):
                several.append(np.full(len(cells), _FAR, dtype=points.dtype))
                several[-1][chosen] = sign * part.level(points[:, chosen], cells[chosen])
        return self.sign * blended_minimum(several, self.width_mm)


def _parts_of(shape: Field, total: int) -> _Whole:
    """A composed shape as its parts; blending stays the shape's own."""
    if isinstance(shape, Union):
        return _Joined(shape, shape.parts, 1, [1] * len(shape.parts), shape.fillet_mm, total)
    if isinstance(shape, Cut):
        return _Joined(shape, (shape.whole, *shape.tools), -1, [-1] + [1] * len(shape.tools), shape.round_mm, total)
    if isinstance(shape, Common):
        return _Joined(shape, shape.parts, -1, [-1] * len(shape.parts), shape.round_mm, total)
    if isinstance(shape, Offset):
        return _Shrunk(shape, total)
    if isinstance(shape, Placed):
        return _Moved(shape, total)
    return _Whole(shape)
