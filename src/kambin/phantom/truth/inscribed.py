"""What an outline can hold: its largest triangle and its largest circle. Plane coordinates in millimetres."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray
from kambin.phantom.truth.plane import hull


def largest_triangle(outline: FloatArray) -> FloatArray:
    """The triangle of largest area with its corners on an outline, shape (3, 2)."""
    corners = hull(outline)
    best, found = -1.0, corners[:3]
    for i in range(len(corners) - 2):
        a, rest = corners[i], corners[i + 1 :]
        offset = rest - a
        twice = np.abs(offset[:, None, 0] * offset[None, :, 1] - offset[:, None, 1] * offset[None, :, 0])
        at = np.unravel_index(int(twice.argmax()), twice.shape)
        if twice[at] > best:
            best, found = float(twice[at]), np.stack([a, rest[at[0]], rest[at[1]]])
    return found


def largest_circle(outline: FloatArray) -> tuple[FloatArray, float]:
    """Centre and radius of the largest circle within an outline: lattices that close in on it."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    best, radius, half = 0.5 * (low + high), 0.0, 0.5 * (high - low)
    share = np.linspace(-1.0, 1.0, 11)
    lattice = np.stack(np.meshgrid(share, share, indexing="ij"), axis=-1).reshape(-1, 2)
    for _ in range(7):
        points = best + half * lattice
        depth = _depth(outline, points)
        if depth.max() > radius:
            best, radius = points[int(depth.argmax())], float(depth.max())
        half = 0.35 * half
    return best, radius


def _depth(outline: FloatArray, points: FloatArray) -> FloatArray:
    """Distance of points to the outline they lie in; 0 outside it."""
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    offset = points[:, None] - start
    share = np.clip((offset * along).sum(axis=-1) / np.maximum(np.square(along).sum(axis=1), 1e-18), 0.0, 1.0)
    away = np.sqrt(np.square(offset - share[..., None] * along).sum(axis=-1)).min(axis=1)
    y, end = start[:, 1], np.roll(start, -1, axis=0)
    crosses = (y > points[:, None, 1]) != (end[:, 1] > points[:, None, 1])
    rise = np.where(along[:, 1] == 0.0, 1.0, along[:, 1])
    beyond = start[:, 0] + (points[:, None, 1] - y) / rise * along[:, 0] > points[:, None, 0]
    return np.where((crosses & beyond).sum(axis=1) % 2 == 1, away, 0.0)
