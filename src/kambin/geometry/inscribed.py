"""The largest triangle and the largest circle within a plane outline."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray
from kambin.geometry.section import Section, convex_outline

CLOSE = 0.0005
"""Of an outline's extent: how nearly the circle's radius is told."""
_FIRST = 12
"""Squares along the longer side to begin with."""
_TOGETHER = 4096
"""Points whose distances are told at once, so that memory stays small."""


def largest_triangle(outline: FloatArray) -> FloatArray:
    """Corners, shape (3, 2), of the largest triangle between points of an outline: they are corners of its convex hull.

    Parameters
    ----------
    outline
        A closed curve's points, shape (n, 2). Fewer than three that are not in line give a triangle without area.
    """
    corners = convex_outline(outline)
    offset = corners[:, None] - corners[None]  # [i, j]: from j to i
    twice = np.abs(offset[:, None, :, 0] * offset[None, :, :, 1] - offset[:, None, :, 1] * offset[None, :, :, 0])
    return corners[list(np.unravel_index(int(twice.argmax()), twice.shape))]


def largest_circle(outline: FloatArray) -> tuple[FloatArray, float]:
    """Centre, shape (2,), and radius of the largest circle within an outline, the radius to `CLOSE` of the outline's extent.

    Squares of the plane are split until none that is left could hold a larger circle's centre. Radius 0: no area.

    Parameters
    ----------
    outline
        A closed curve's points, shape (n, 2), in order. It need not be convex.
    """
    low, high = outline.min(axis=0), outline.max(axis=0)
    within = Section((outline,))
    extent = float((high - low).max())
    half = 0.5 * extent / _FIRST
    axes = [np.arange(a + half, b + half, 2.0 * half) for a, b in zip(low, high, strict=True)]
    middles = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    best, radius = 0.5 * (low + high), 0.0
    quarters = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)])
    while len(middles):
        away = _distance(outline, middles)
        depth = np.where(within.contains(middles), away, -away)
        if depth.max() > radius:
            best, radius = middles[int(depth.argmax())], float(depth.max())
        middles = middles[depth + np.sqrt(2.0) * half > radius + CLOSE * extent]
        middles = (middles[:, None] + half * quarters).reshape(-1, 2)
        half *= 0.5
    return best, radius


def _distance(outline: FloatArray, points: FloatArray) -> FloatArray:
    """How far points are from a closed curve, shape (n,)."""
    along = np.roll(outline, -1, axis=0) - outline
    square = np.maximum(np.square(along).sum(axis=1), 1e-18)
    result = np.empty(len(points))
    for start in range(0, len(points), _TOGETHER):
        offset = points[start : start + _TOGETHER, None] - outline
        share = np.clip(np.einsum("ijk,jk->ij", offset, along) / square, 0.0, 1.0)
        result[start : start + _TOGETHER] = np.linalg.norm(offset - share[..., None] * along, axis=-1).min(axis=1)
    return result
