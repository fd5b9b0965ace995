"""RAS and LPS: the same millimetres, with the first two axes reversed. A half turn about the cranial axis; its own inverse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SIGNS = np.array([-1.0, -1.0, 1.0])


def lps_from_ras(points_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """LPS positions or directions of RAS ones, shape (..., 3)."""
    return np.asarray(np.asarray(points_mm, dtype=np.float64) * _SIGNS + 0.0)  # + 0.0 turns -0.0 into 0.0


def lps_affine_from_ras(world_from_voxel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The affine, 4 x 4, to LPS millimetres from the one to RAS millimetres."""
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(world_from_voxel, dtype=np.float64) + 0.0)
