"""The lowest value of a field along many straight lines at once: the heart of the search.

A distance cannot change faster than one looks for it: where it is 7 mm above the lowest value met so far, the next 7 mm of the line hold
nothing lower and are skipped. A line of 150 mm is done in some twenty looks.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.planning.field import DistanceField, Float32Array, between_samples

STEP_MM = 0.5
"""The shortest step. The lowest value between two looks is at most a quarter of a millimetre lower; where a line passes a surface,
neither towards nor away, some hundredths."""
_CHUNK = 1 << 14
_FEW = 8


def lowest_along(
    field: DistanceField, starts_mm: npt.ArrayLike, directions: npt.ArrayLike, length_mm: float
) -> tuple[Float32Array, Float32Array]:
    """For each line the lowest value of the field, and how far from the line's start it is met.

    Parameters
    ----------
    field
        One whose values change by at most a millimetre a millimetre: a distance, or the smallest of several less their margins.
    starts_mm, directions
        RAS points and unit directions, shape (n, 3) or broadcast to it.
    length_mm
        Of the lines.

    Returns
    -------
    lowest_mm, where_mm
        Shape (n,) each.
    """
    starts, along = np.broadcast_arrays(np.asarray(starts_mm, dtype=np.float64), np.asarray(directions, dtype=np.float64))
    if len(starts) <= _FEW:
        return _lowest_of_few(field, starts, along, length_mm)
    if len(starts) <= _CHUNK:
        return _lowest(field, starts, along, length_mm)
    chunks = [slice(first, first + _CHUNK) for first in range(0, len(starts), _CHUNK)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = list(pool.map(lambda part: _lowest(field, starts[part], along[part], length_mm), chunks))
    lowest, where = (np.concatenate(values) for values in zip(*found, strict=True))
    return lowest, where


def _lowest_of_few(field: DistanceField, starts: FloatArray, directions: FloatArray, length: float) -> tuple[Float32Array, Float32Array]:
    """Looks everywhere: for a few lines that is quicker than to ask again and again."""
    distance = np.linspace(0.0, length, int(np.ceil(length / (0.8 * STEP_MM))) + 1)
    values = field.at(starts[:, None] + distance[:, None] * directions[:, None])
    where = values.argmin(axis=1)
    return values[np.arange(len(starts)), where], distance[where].astype(np.float32)


def _lowest(field: DistanceField, starts: FloatArray, directions: FloatArray, length: float) -> tuple[Float32Array, Float32Array]:
    inverse = field.grid.voxel_from_world[:3, :3]
    origin = field.grid.voxel(starts).T.astype(np.float32)
    step = (inverse @ directions.T).astype(np.float32)
    lowest = np.full(len(starts), np.inf, dtype=np.float32)
    where = np.zeros(len(starts), dtype=np.float32)
    distance = np.zeros(len(starts), dtype=np.float32)
    lines = np.arange(len(starts))
    while len(lines):
        value = between_samples(field.distance_mm, origin + distance * step)
        so_far = lowest[lines]
        lower = value < so_far
        lowest[lines[lower]], where[lines[lower]] = value[lower], distance[lower]
        going = distance < length
        distance = np.minimum(distance + np.maximum(value - np.minimum(value, so_far), np.float32(STEP_MM)), np.float32(length))
        lines, distance, origin, step = lines[going], distance[going], origin[:, going], step[:, going]
    return lowest, where
