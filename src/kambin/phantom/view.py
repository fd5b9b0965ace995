"""Where a scanner looks: the whole column, or one level, and the grid that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Level, Structure, segment_name
from kambin.errors import InputError
from kambin.geometry import FloatArray
from kambin.phantom.field import Field, Points
from kambin.phantom.patient import Patient
from kambin.phantom.scanner import grid_about, middle_mm
from kambin.volume import Grid

_STEP_MM = 1.0
"""Between the points at which a grid is asked whether it holds a level."""


def view_of(
    patient: Patient,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    turned_deg: Sequence[float] = (0.0, 0.0, 0.0),
    level: str | None = None,
) -> Grid:
    """A grid about the middle of the patient's vertebrae, or about one level.

    Parameters
    ----------
    shape, spacing_mm, turned_deg
        As for `grid_about`.
    level
        A disc, such as ``L4/L5``, or a lumbar vertebra's body, such as ``L4``, that the grid shall hold whole.

    Raises
    ------
    InputError
        When the grid is absurd, the patient has no such level, or the field of view misses a part of it.
    """
    if level is None:
        return grid_about(middle_mm(patient.pieces), shape, spacing_mm, turned_deg)
    levels = levels_of(patient)
    if level not in levels:
        raise InputError("level", f"expected one of {', '.join(levels)}, which this patient has, found {level!r}")
    inside = _inside(levels[level])
    grid = grid_about(0.5 * (inside.min(axis=1) + inside.max(axis=1)), shape, spacing_mm, turned_deg)
    voxel = grid.voxel(inside.T)
    if (voxel < -0.5).any() or (voxel > np.asarray(grid.shape) - 0.5).any():
        needed, found = (_text(n) for n in (np.ptp(inside, axis=1), np.asarray(grid.shape) * grid.spacing_mm))
        raise InputError(
            "level", f"expected a field of view that holds all of {level}, {needed} mm along the body's axes, found one of {found} mm"
        )
    return grid


def levels_of(patient: Patient) -> dict[str, Field]:
    """What a level is, by name, cranial to caudal: each lumbar vertebra's body, and the disc under each vertebra."""
    levels = sorted((name.level for name in patient.shapes if name.kind is Kind.VERTEBRA and name.level), key=lambda level: level.rank)
    found: dict[str, Field] = {}
    for upper, lower in pairwise((*levels, Level.S1)):
        if body := patient.parts.get(Structure(Kind.BODY, upper)):
            found[upper.value] = body.own
        if disc := patient.shapes.get(Structure(Kind.DISC, upper)):
            found[segment_name(upper, lower)] = disc
    return found


def _inside(shape: Field) -> Points:
    """Points all through a shape, (3, n)."""
    axes = [np.arange(low, high + _STEP_MM, _STEP_MM) for low, high in zip(shape.box.low_mm, shape.box.high_mm, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    return points[:, np.asarray(shape(points)) < 0]


def _text(lengths_mm: FloatArray) -> str:
    return " x ".join(f"{length:.0f}" for length in lengths_mm)
