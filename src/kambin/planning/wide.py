"""The room along wide tubes: a field of distances ends before it reaches from their axis to what lies beyond their wall."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, unit
from kambin.planning.field import REACH_MM, DistanceField
from kambin.planning.lowest import lowest_along

_BEYOND_MM = 5.0
"""Room that a field must be able to tell: the largest margin and some."""
_LINES = 32


def room_along(field: DistanceField, starts_mm: FloatArray, directions: npt.ArrayLike, radius_mm: float, length_mm: float) -> FloatArray:
    """How far the walls of tubes keep from what a field measures, negative where they reach in, shape (n,).

    Of a narrow tube the lowest distance along its axis, less its radius. In a wide one the distances are read on a ring of lines half way
    to the wall: whatever lies further out is as much nearer to one of them, to 0.05 mm. What lies further in is read on the axis.

    Parameters
    ----------
    field
        Distances, or the smallest of several less their margins.
    starts_mm, directions
        Inner ends and unit directions of the axes, shape (n, 3) each.
    radius_mm, length_mm
        Of all tubes.
    """
    starts, along = np.broadcast_arrays(np.asarray(starts_mm, dtype=np.float64), np.asarray(directions, dtype=np.float64))
    inner = lowest_along(field, starts, along, length_mm)[0].astype(np.float64)
    if radius_mm + _BEYOND_MM <= REACH_MM or not len(starts):
        return inner - radius_mm
    half = radius_mm / 2
    across = unit(np.cross(along, np.eye(3)[np.abs(along).argmin(axis=1)]))
    third = np.cross(along, across)
    turn = (np.arange(_LINES) * 2 * np.pi / _LINES)[:, None, None]
    ring = starts + half * (np.cos(turn) * across + np.sin(turn) * third)
    outer = lowest_along(field, ring.reshape(-1, 3), np.broadcast_to(along, ring.shape).reshape(-1, 3), length_mm)[0]
    room = outer.reshape(_LINES, -1).min(axis=0).astype(np.float64) + half - radius_mm
    return np.asarray(np.minimum(room, np.where(inner < half, inner - radius_mm, np.inf)))
