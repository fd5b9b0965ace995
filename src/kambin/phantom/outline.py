"""A closed outline in a plane, smooth through a few points, and the distance to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.phantom.field import Values

_AT_ONCE = 1 << 15


@dataclass(frozen=True, eq=False)
class Outline:
    """A closed polygon.

    Parameters
    ----------
    corners
        Shape (n, 2), in turn; the last is joined to the first.
    """

    corners: FloatArray

    @classmethod
    def through(cls, points: npt.ArrayLike, pieces: int = 4) -> Outline:
        """Smoothly through points (a centripetal Catmull-Rom spline), each stretch in so many straight pieces."""
        p = np.asarray(points, dtype=np.float64)
        before, after, beyond = np.roll(p, 1, axis=0), np.roll(p, -1, axis=0), np.roll(p, -2, axis=0)
        gaps = np.sqrt(np.linalg.norm(np.stack([p - before, after - p, beyond - after]), axis=-1))[..., None]
        slope_here = (p - before) / gaps[0] - (after - before) / (gaps[0] + gaps[1]) + (after - p) / gaps[1]
        slope_next = (after - p) / gaps[1] - (beyond - p) / (gaps[1] + gaps[2]) + (beyond - after) / gaps[2]
        m0, m1 = slope_here * gaps[1], slope_next * gaps[1]
        share = (np.arange(pieces) / pieces)[:, None, None]
        square, cube = share * share, share * share * share
        curve = (2 * cube - 3 * square + 1) * p + (cube - 2 * square + share) * m0
        curve = curve + (3 * square - 2 * cube) * after + (cube - square) * m1
        return cls(curve.transpose(1, 0, 2).reshape(-1, 2))

    def level(self, u: Values, v: Values) -> Values:
        """Distance to the outline, negative inside; shape (n,). Exact."""
        nearest = np.full_like(u, np.inf)
        inside = np.zeros(u.shape, dtype=bool)
        ends = np.roll(self.corners, -1, axis=0)
        edges = np.hstack([self.corners, ends - self.corners, ends[:, 1:]])
        # A few points are looked at with all edges at once, many edge by edge.
        at_once = max(1, min(len(edges), _AT_ONCE // max(u.size, 1)))
        for first in range(0, len(edges), at_once):
            u0, v0, du, dv, v1 = (column.astype(u.dtype)[:, None] for column in edges[first : first + at_once].T)
            pu, pv = u - u0, v - v0
            share = np.clip((pu * du + pv * dv) / (du * du + dv * dv), 0, 1)
            off_u, off_v = pu - share * du, pv - share * dv
            np.minimum(nearest, (off_u * off_u + off_v * off_v).min(axis=0), out=nearest)
            # Crossing number: the edges that pass the point's height on its right.
            spans = (v >= v0) != (v >= v1)
            crossed = spans & ((pu * dv < pv * du) == (dv > 0))
            inside ^= np.logical_xor.reduce(crossed, axis=0)
        distance = np.sqrt(nearest)
        return np.where(inside, -distance, distance)
