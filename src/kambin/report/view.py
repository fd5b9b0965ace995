"""An orthographic view: where the picture's plane lies in the patient, and where each patient point falls in the picture.

The same value serves the slices, the 3D pictures and the drawings on both, so a line drawn over a picture lies where the picture
shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, unit


@dataclass(frozen=True, eq=False)
class View:
    """A parallel projection onto a picture of `width_px` by `height_px`.

    Parameters
    ----------
    centre_mm
        RAS point shown at the picture's centre, shape (3,).
    across, up
        RAS directions of the picture's right-hand and upper edge, orthogonal, shape (3,) each.
    mm_per_px
        Millimetres of one picture unit, the same in both directions.
    width_px, height_px
        Size of the picture in its own units (pixels at normal resolution).

    Raises
    ------
    ValueError
        When the two directions are not orthogonal, or the scale or the size is not positive.
    """

    centre_mm: FloatArray
    across: FloatArray
    up: FloatArray
    mm_per_px: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        across, up = unit(self.across), unit(self.up)
        if abs(float(across @ up)) > 1e-6:
            raise ValueError(f"expected orthogonal directions across and up, found {across.tolist()} and {up.tolist()}")
        if self.mm_per_px <= 0 or self.width_px < 1 or self.height_px < 1:
            raise ValueError(f"expected a positive scale and size, found {self.mm_per_px}, {self.width_px} x {self.height_px}")
        object.__setattr__(self, "centre_mm", np.array(self.centre_mm, dtype=np.float64))
        object.__setattr__(self, "across", across)
        object.__setattr__(self, "up", up)

    @property
    def towards_viewer(self) -> FloatArray:
        """Unit vector out of the picture, to the eye."""
        return np.asarray(np.cross(self.across, self.up), dtype=np.float64)

    def project(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Picture coordinates (from the upper left corner, x to the right, y down) of RAS points, shape (..., 3) to (..., 2)."""
        offset = np.asarray(points_mm, dtype=np.float64) - self.centre_mm
        x = self.width_px / 2.0 + offset @ self.across / self.mm_per_px
        y = self.height_px / 2.0 - offset @ self.up / self.mm_per_px
        return np.stack([x, y], axis=-1)

    def depth_mm(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Distance of RAS points in front of the picture plane (positive toward the eye), shape (..., 3) to (...)."""
        offset = np.asarray(points_mm, dtype=np.float64) - self.centre_mm
        return np.asarray(offset @ self.towards_viewer, dtype=np.float64)

    def unproject(self, pixels: npt.ArrayLike) -> FloatArray:
        """RAS points of the picture plane at picture coordinates, shape (..., 2) to (..., 3): the inverse of `project`."""
        p = np.asarray(pixels, dtype=np.float64)
        right = (p[..., 0] - self.width_px / 2.0) * self.mm_per_px
        upward = (self.height_px / 2.0 - p[..., 1]) * self.mm_per_px
        return np.asarray(self.centre_mm + right[..., None] * self.across + upward[..., None] * self.up, dtype=np.float64)

    def lattice_mm(self, samples_per_px: float = 1.0) -> FloatArray:
        """RAS points at the centres of a regular raster that fills the picture, shape (rows, columns, 3), first row on top."""
        columns = max(1, round(self.width_px * samples_per_px))
        rows = max(1, round(self.height_px * samples_per_px))
        x = (np.arange(columns) + 0.5) * self.width_px / columns - self.width_px / 2.0
        y = self.height_px / 2.0 - (np.arange(rows) + 0.5) * self.height_px / rows
        along = x[:, None] * (self.mm_per_px * self.across)
        upward = y[:, None] * (self.mm_per_px * self.up) + self.centre_mm
        return np.asarray(upward[:, None, :] + along[None, :, :], dtype=np.float64)
