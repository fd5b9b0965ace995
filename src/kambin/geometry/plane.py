"""Planes in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry.frame import FloatArray, unit


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through `origin_mm` with unit `normal`; the signed distance is positive on the side the normal points to."""

    origin_mm: FloatArray
    normal: FloatArray

    def __post_init__(self) -> None:
        origin = np.array(self.origin_mm, dtype=np.float64)
        normal = unit(self.normal)
        origin.setflags(write=False)
        normal.setflags(write=False)
        object.__setattr__(self, "origin_mm", origin)
        object.__setattr__(self, "normal", normal)

    def signed_distance_mm(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Signed distances of points, shape (..., 3) to (...)."""
        offset = np.asarray(points_mm, dtype=np.float64) - self.origin_mm
        return np.asarray(offset @ self.normal, dtype=np.float64)

    def projected(self, points_mm: npt.ArrayLike) -> FloatArray:
        """The nearest point of the plane to each point, shape (..., 3)."""
        points = np.asarray(points_mm, dtype=np.float64)
        return np.asarray(points - self.signed_distance_mm(points)[..., None] * self.normal, dtype=np.float64)

    @classmethod
    def fit(cls, points_mm: npt.ArrayLike, towards: npt.ArrayLike) -> Plane:
        """Least-squares plane through points, shape (n, 3), its normal on the side of the direction `towards`.

        Raises
        ------
        ValueError
            With fewer than three points, or when all of them lie on one line.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        if points.ndim != 2 or points.shape[0] < 3:
            raise ValueError(f"expected at least three points, found shape {points.shape}")
        centre = points.mean(axis=0)
        _, spread, directions = np.linalg.svd(points - centre, full_matrices=False)
        if spread[1] < 1e-9 * max(float(spread[0]), 1.0):
            raise ValueError("expected points that span a plane, found points on one line")
        normal = directions[2]
        return cls(centre, normal if normal @ np.asarray(towards, dtype=np.float64) >= 0 else -normal)
