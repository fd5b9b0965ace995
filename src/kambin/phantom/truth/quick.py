"""The same shapes, evaluated only where they matter: far parts of a union are not looked at.

A part of a union or a cut is taken at the points in its box and a margin around it, and elsewhere counts as very far away. What comes
out is the shape's own level, to the last bits, wherever that is small, which is all that surfaces need.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kambin.phantom.compose import Common, Cut, Offset, Union
from kambin.phantom.field import Field, Points, Values

CAP_MM = 3.0
"""No level is larger than this."""
_MARGIN_MM = 9.5
"""Beyond this distance from its box the level of a part is larger than the cap and the widest fillet: levels are nearly distances."""
_FAR = 1e3
"""Beyond all fillets, lest these blend what was not looked at."""


class Quick:
    """A field's level up to a cap.

    Parameters
    ----------
    shape
        The field.
    """

    def __init__(self, shape: Field) -> None:
        self.box, self.slope = shape.box, shape.slope
        self._shape = _Near(shape)

    def __call__(self, points: Points) -> Values:
        return np.minimum(self._shape(points), CAP_MM)


class _Near:
    """A field where it is near, and so its parts."""

    def __init__(self, shape: Field) -> None:
        self.box, self.slope = shape.box, shape.slope
        room = self.box.grown(_MARGIN_MM)
        self._low, self._high = room.low_mm, room.high_mm
        self._shape = _of_near_parts(shape)

    def __call__(self, points: Points) -> Values:
        near = np.ones(points.shape[1], dtype=bool)
        for k in range(3):
            near &= (points[k] > self._low[k]) & (points[k] < self._high[k])
        if near.all():
            return self._shape(points)
        result = np.full(points.shape[1], _FAR, dtype=points.dtype)
        if near.any():
            result[near] = self._shape(points[:, near])
        return result


def _of_near_parts(shape: Field) -> Field:
    """A composed shape whose parts are looked at only near them; blending stays the shape's own."""
    if isinstance(shape, Union):
        return replace(shape, parts=tuple(_Near(part) for part in shape.parts))
    if isinstance(shape, Cut):
        return replace(shape, whole=_Near(shape.whole), tools=tuple(_Near(tool) for tool in shape.tools))
    if isinstance(shape, Offset):
        return replace(shape, shape=_of_near_parts(shape.shape))
    if isinstance(shape, Common):
        # A part that is far away leaves nothing in common: all of them are looked at.
        return replace(shape, parts=tuple(_of_near_parts(part) for part in shape.parts))
    return shape
