"""The superior articular processes of the sacrum, told apart by where they stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.reconstruction.vertebrae import Posed

_FOOT_MM = -2.0
"""Where a process begins, above the plane of the S1 endplate: it rises from the ala at about that plane."""
_BEHIND_MM = 2.0
"""How far behind the body's posterior wall it begins at least."""
_BESIDE_MM = 8.0
"""Nearer to the midline than this stands the median crest."""


def sacral_processes(posed: Posed) -> dict[Structure, npt.NDArray[np.bool_]]:
    """Masks of the two processes on the solid's grid: the bone behind the body that stands up beside the canal.

    Empty for a sacrum whose canal was not found; a side without such bone is left out.
    """
    if posed.foramen is None:
        return {}
    inside = posed.solid.level_mm < 0.0
    local = posed.frame.local(posed.solid.grid.world(np.argwhere(inside)))
    centre = posed.frame.local(posed.foramen.centre_mm)
    behind = (local[:, 1] <= posed.wall_mm(0.0) - _BEHIND_MM) & (local[:, 2] >= _FOOT_MM)
    result = {}
    for side in Side:
        chosen = behind & (side.sign * (local[:, 0] - centre[0]) >= _BESIDE_MM)
        if chosen.any():
            mask = np.zeros(inside.shape, dtype=bool)
            mask[inside] = chosen
            result[Structure(Kind.SUPERIOR_ARTICULAR, Level.S1, side)] = mask
    return result
