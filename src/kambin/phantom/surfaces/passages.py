"""Ways through holes of a bone: the sacral foramina of a surface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.phantom.field import Box, Field

_STEP_MM = 1.5
_MARGIN_MM = 9.0
_LEAST_MM, _MOST_MM = 0.3, 4.0
"""Nearer to bone than the first there is no way; further from it than the second it is no better."""
_KNOTS = 6


def sacral_passages(sacrum: Field, expected: Mapping[tuple[int, Side], FloatArray]) -> dict[tuple[int, Side], FloatArray]:
    """Lines from the sacral canal out through the ventral foramina, shape (n, 3) each.

    Parameters
    ----------
    sacrum
        The bone.
    expected
        Where the model has them: each search starts and ends near the ends of a line. Where there is no way, the line itself is kept.
    """
    result = {}
    for key, line in expected.items():
        found = way_through(sacrum, line[0], line[-1], Box.around(line, _MARGIN_MM))
        result[key] = line if found is None else found
    return result


def way_through(bone: Field, start_mm: FloatArray, end_mm: FloatArray, within: Box) -> FloatArray | None:
    """The way from one place to another that keeps furthest from bone without many detours: a few points, shape (n, 3); None where none is.

    Parameters
    ----------
    bone
        What is not walked through.
    start_mm, end_mm
        Moved to the nearest free places.
    within
        Where the way may lead.
    """
    size = np.ceil((within.high_mm - within.low_mm) / _STEP_MM).astype(int) + 1
    nodes = np.indices(tuple(size)).reshape(3, -1).T
    points = within.low_mm + _STEP_MM * nodes
    clear = np.asarray(bone(points.T), dtype=np.float64)
    free = np.flatnonzero(clear > _LEAST_MM)
    number = np.full(len(nodes), -1)
    number[free] = np.arange(len(free))
    strides = np.array([size[1] * size[2], size[2], 1])
    rows, columns, costs = [], [], []
    for step in _STEPS:
        there = nodes[free] + step
        inside = ((there >= 0) & (there < size)).all(axis=1)
        one, two = free[inside], there[inside] @ strides
        both = number[two] >= 0
        rows.append(number[one[both]])
        columns.append(number[two[both]])
        room = np.minimum(np.minimum(clear[one[both]], clear[two[both]]), _MOST_MM)
        costs.append(float(np.linalg.norm(step)) / np.square(room))
    graph = coo_array((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(len(free), len(free))).tocsr()
    first, last = (_nearest_roomy(points[free], clear[free], place) for place in (start_mm, end_mm))
    far, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    if not np.isfinite(far[last]):
        return None
    chain = [last]
    while chain[-1] != first:
        chain.append(int(before[chain[-1]]))
    return _few(points[free][chain[::-1]])


_STEPS = tuple(np.array(step) - 1 for step in np.ndindex(3, 3, 3) if step > (1, 1, 1))
"""One of each pair of opposite steps to a neighbour."""


def _nearest_roomy(points: FloatArray, clear: FloatArray, place: FloatArray) -> int:
    """The free place near another that has some room about it."""
    return int(np.argmin(np.linalg.norm(points - place, axis=1) - 2.0 * np.minimum(clear, _MOST_MM)))


def _few(chain: FloatArray) -> FloatArray:
    """A jagged chain smoothed, and a few points along it at equal distances."""
    for _ in range(4):
        chain = np.vstack([chain[:1], 0.25 * chain[:-2] + 0.5 * chain[1:-1] + 0.25 * chain[2:], chain[-1:]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(chain, axis=0), axis=1))])
    at = np.linspace(0.0, along[-1], _KNOTS)
    return np.stack([np.interp(at, along, chain[:, k]) for k in range(3)], axis=1)
