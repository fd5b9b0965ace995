"""Right-handed orthonormal frames named by anatomy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def unit(vector: npt.ArrayLike) -> FloatArray:
    """The vector scaled to length one, along the last axis.

    Raises
    ------
    ValueError
        When its length is zero or not finite.
    """
    v = np.asarray(vector, dtype=np.float64)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    if not np.isfinite(length).all() or (length < 1e-12).any():
        raise ValueError(f"expected a vector with a direction, found {v.tolist()}")
    return np.asarray(v / length, dtype=np.float64)


def angle_deg(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Unsigned angle between two vectors, 0 to 180 degrees (accurate near 0 and 180 too)."""
    a, b = unit(first), unit(second)
    return float(np.degrees(2.0 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))))


@dataclass(frozen=True, eq=False)
class Frame:
    """An anatomical frame: an origin and the patient directions *right*, *anterior*, *cranial*.

    Local coordinates are millimetres along (right, anterior, cranial), in that order.

    Parameters
    ----------
    origin_mm
        RAS position of the frame's origin, shape (3,).
    axes
        Rows are the unit vectors right, anterior, cranial in RAS, shape (3, 3), a proper rotation.

    Raises
    ------
    ValueError
        When the axes are not orthonormal and right-handed to 1e-6.
    """

    origin_mm: FloatArray
    axes: FloatArray

    def __post_init__(self) -> None:
        origin = np.array(self.origin_mm, dtype=np.float64)
        axes = np.array(self.axes, dtype=np.float64)
        if origin.shape != (3,) or axes.shape != (3, 3):
            raise ValueError(f"expected an origin of shape (3,) and axes of (3, 3), found {origin.shape} and {axes.shape}")
        if not np.allclose(axes @ axes.T, np.eye(3), atol=1e-6) or np.linalg.det(axes) < 0:
            raise ValueError(f"expected orthonormal right-handed axes, found {axes.tolist()}")
        origin.setflags(write=False)
        axes.setflags(write=False)
        object.__setattr__(self, "origin_mm", origin)
        object.__setattr__(self, "axes", axes)

    @classmethod
    def from_cranial_anterior(cls, origin_mm: npt.ArrayLike, cranial: npt.ArrayLike, anterior: npt.ArrayLike) -> Frame:
        """The frame with exactly this *cranial*; *anterior* is made orthogonal to it, *right* completes.

        Raises
        ------
        ValueError
            When the two directions are parallel or zero.
        """
        up = unit(cranial)
        forward = np.asarray(anterior, dtype=np.float64)
        forward = unit(forward - (forward @ up) * up)
        return cls(np.asarray(origin_mm, dtype=np.float64), np.stack([np.cross(forward, up), forward, up]))

    @property
    def right(self) -> FloatArray:
        return np.asarray(self.axes[0])

    @property
    def anterior(self) -> FloatArray:
        return np.asarray(self.axes[1])

    @property
    def cranial(self) -> FloatArray:
        return np.asarray(self.axes[2])

    def local(self, world_mm: npt.ArrayLike) -> FloatArray:
        """(right, anterior, cranial) millimetres of RAS points, shape (..., 3)."""
        return np.asarray((np.asarray(world_mm, dtype=np.float64) - self.origin_mm) @ self.axes.T, dtype=np.float64)

    def world(self, local_mm: npt.ArrayLike) -> FloatArray:
        """RAS points of (right, anterior, cranial) millimetres, shape (..., 3)."""
        return np.asarray(np.asarray(local_mm, dtype=np.float64) @ self.axes + self.origin_mm, dtype=np.float64)

    def moved_to(self, origin_mm: npt.ArrayLike) -> Frame:
        """The same directions about another origin."""
        return Frame(np.asarray(origin_mm, dtype=np.float64), self.axes)


def turned(angles_deg: npt.ArrayLike) -> FloatArray:
    """The turn about the right, then the anterior, then the cranial axis, shape (3, 3).

    >>> turned((0.0, 0.0, 90.0)).round(6)[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(np.asarray(angles_deg, dtype=np.float64))):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[one, one] = step[two, two] = math.cos(angle)
        step[one, two], step[two, one] = -math.sin(angle), math.sin(angle)
        result = step @ result
    return result
