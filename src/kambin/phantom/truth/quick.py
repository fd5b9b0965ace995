"""The same shapes, evaluated only where they matter: far parts of a union are not looked at.

A part of a union or a cut is taken at the points in its box and a margin around it, and elsewhere counts as a fixed distance
away. What comes out is the shape's own level, to the last bits, wherever that is small, which is all that surfaces need.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kambin.phantom.field import Cut, Field, Points, Union, Values, smooth_minimum

CAP_MM = 3.0
"""No level is larger than this."""
_MARGIN_MM = 9.5
"""Beyond this distance from its box the level of a part is larger than the cap and the widest fillet: levels are nearly distances."""
_FAR = 1e3


class Quick:
    """A field's level up to a cap.

    Parameters
    ----------
    shape
        The field.
    """

    def __init__(self, shape: Field) -> None:
        self.shape, self.box, self.slope = shape, shape.box, shape.slope
        room = self.box.grown(_MARGIN_MM)
        self._low, self._high = room.low_mm, room.high_mm
        self._parts: tuple[Quick, ...] = ()
        self._cut = isinstance(shape, Cut)
        self._width = 0.0
        if isinstance(shape, Union):
            self._parts, self._width = tuple(Quick(part) for part in shape.parts), shape.fillet_mm
        elif isinstance(shape, Cut):
            self._parts, self._width = tuple(Quick(part) for part in (shape.whole, *shape.tools)), shape.round_mm

    def __call__(self, points: Points) -> Values:
        return np.minimum(self._level(points), CAP_MM)

    def _level(self, points: Points) -> Values:
        """Far points have a level beyond all fillets, lest these blend what was not looked at."""
        near = self._near(points)
        if near.all():
            return self._whole(points)
        result = np.full(points.shape[1], _FAR, dtype=points.dtype)
        if near.any():
            result[near] = self._whole(points[:, near])
        return result

    def _near(self, points: Points) -> npt.NDArray[np.bool_]:
        near = np.ones(points.shape[1], dtype=bool)
        for k in range(3):
            near &= (points[k] > self._low[k]) & (points[k] < self._high[k])
        return near

    def _whole(self, points: Points) -> Values:
        if not self._parts:
            return self.shape(points)
        sign = -1 if self._cut else 1
        level = sign * self._parts[0]._level(points)
        for part in self._parts[1:]:
            level = smooth_minimum(level, part._level(points), self._width)
        return sign * level
