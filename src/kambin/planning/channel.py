"""A straight round channel, from its target out through the skin, and how surgeons name its direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame, unit


@dataclass(frozen=True, eq=False)
class Channel:
    """A capsule: all points within `radius_mm` of its axis. A needle is a thin one.

    Parameters
    ----------
    target_mm
        The inner end of the axis, RAS, shape (3,).
    direction
        From the target outwards, of length one, shape (3,).
    radius_mm, length_mm
        Half the diameter, and the length of the axis; both positive.

    Raises
    ------
    ValueError
        When a size is not positive or the direction has no length.
    """

    target_mm: FloatArray
    direction: FloatArray
    radius_mm: float = 4.0
    length_mm: float = 150.0

    def __post_init__(self) -> None:
        if not (self.radius_mm > 0 and self.length_mm > 0):
            raise ValueError(f"expected a positive radius and length, found {self.radius_mm} and {self.length_mm} mm")
        object.__setattr__(self, "target_mm", np.asarray(self.target_mm, dtype=np.float64))
        object.__setattr__(self, "direction", unit(self.direction))

    @property
    def outer_end_mm(self) -> FloatArray:
        return self.at(self.length_mm)

    def at(self, distance_mm: npt.ArrayLike) -> FloatArray:
        """Points of the axis so far from the target, shape (...) to (..., 3)."""
        along = np.asarray(distance_mm, dtype=np.float64)[..., None]
        return np.asarray(self.target_mm + along * self.direction)

    def alpha_deg(self, frame: Frame) -> float:
        """Seen along *cranial*, the angle between the axis and the coronal plane: 0 straight sideways, 90 straight backwards."""
        right, anterior, _ = frame.axes @ self.direction
        return float(np.degrees(np.arctan2(-anterior, abs(right))))

    def cranial_deg(self, frame: Frame) -> float:
        """The angle between the axis and the axial plane, positive where it comes from above."""
        return float(np.degrees(np.arcsin(np.clip(frame.cranial @ self.direction, -1.0, 1.0))))

    def turned_by_deg(self, other: Channel) -> float:
        """The angle between the axes of two channels."""
        return float(np.degrees(np.arccos(np.clip(self.direction @ other.direction, -1.0, 1.0))))


def direction_of(frame: Frame, side: Side, alpha_deg: npt.ArrayLike, cranial_deg: npt.ArrayLike) -> FloatArray:
    """Unit directions of given angles on one side: the inverse of `alpha_deg` and `cranial_deg`, shape (...) to (..., 3)."""
    alpha, rise = np.broadcast_arrays(np.radians(alpha_deg), np.radians(cranial_deg))
    local = np.stack([side.sign * np.cos(alpha) * np.cos(rise), -np.sin(alpha) * np.cos(rise), np.sin(rise)], axis=-1)
    return np.asarray(local @ frame.axes)
