"""One side of a motion segment seen obliquely, as on a C-arm: what each line of sight meets, and how nearly it passes what it misses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.geometry.hole import Lattice
from kambin.measurement.lateral import posterior_edge_mm
from kambin.spine import MotionSegment
from kambin.volume import Grid

_WINDOW_MM = ((-18.0, 24.0), (-14.0, 16.0))
_MIDDLE_MM = (14.0, 3.0)
"""The window's middle: out from the mid-sagittal plane, and cranial of the disc mid-plane; in depth the disc space's posterior edge."""
_PITCH_MM, SIGHT_STEP_MM = 0.4, 0.6
_SIGHT_MM = (-28.0, 36.0)
FAR_MM = 3.0
"""Levels count up to this distance."""


class Sampled(Protocol):
    """What tells levels on a lattice: a solid, or several that were joined."""

    def sample_box(self, origin_mm: npt.ArrayLike, steps_mm: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class ObliqueView:
    """One side of a segment seen obliquely, along its disc or from above or below.

    Parameters
    ----------
    origin_mm
        The window's middle, RAS.
    sight, first, second
        Towards the eye, and the picture's axes: unit vectors, RAS.
    oblique_deg, cranial_deg
        The angles of that.
    """

    origin_mm: FloatArray
    sight: FloatArray
    first: FloatArray
    second: FloatArray
    oblique_deg: float
    cranial_deg: float
    lattice: Lattice

    @classmethod
    def of(
        cls, segment: MotionSegment, side: Side, oblique_deg: float, cranial_deg: float = 0.0, pitch_mm: float = _PITCH_MM
    ) -> ObliqueView:
        frame = segment.frame
        out, turn, rise = side.sign * frame.right, np.radians(oblique_deg), np.radians(cranial_deg)
        middle = frame.world([side.sign * _MIDDLE_MM[0], posterior_edge_mm(segment), _MIDDLE_MM[1]])
        level = np.sin(turn) * out - np.cos(turn) * frame.anterior
        sight = np.cos(rise) * level + np.sin(rise) * frame.cranial
        first = np.cos(turn) * out + np.sin(turn) * frame.anterior
        second = np.cos(rise) * frame.cranial - np.sin(rise) * level
        return cls(middle, sight, first, second, oblique_deg, cranial_deg, Lattice.window(*_WINDOW_MM, pitch_mm))

    def levels(self, shapes: Iterable[Sampled], sight_mm: tuple[float, float] = _SIGHT_MM, step_mm: float = SIGHT_STEP_MM) -> FloatArray:
        """The smallest level of some shapes along each line of sight, nearest to the eye first, shape (n, m, k)."""
        pitch = self.lattice.pitch_mm
        shape = (*self.lattice.shape, int((sight_mm[1] - sight_mm[0]) / step_mm) + 1)
        start = self.origin_mm + self.lattice.first_mm[0] * self.first + self.lattice.second_mm[0] * self.second
        steps = np.stack([pitch * self.first, pitch * self.second, -step_mm * self.sight])
        result = np.full(shape, FAR_MM)
        for each in shapes:
            np.minimum(result, each.sample_box(start + sight_mm[1] * self.sight, steps, shape), out=result)
        return result

    def voxel_mm(self, grid: Grid) -> float:
        """How wide a voxel of a grid is across the line of sight, along that of the picture's axes where it is wider."""
        steps = grid.world_from_voxel[:3, :3]
        return float(max(np.linalg.norm(steps.T @ axis) for axis in (self.first, self.second)))

    def world(self, plane_mm: FloatArray) -> FloatArray:
        """RAS of plane points, shape (..., 2) to (..., 3)."""
        return np.asarray(self.origin_mm + plane_mm[..., :1] * self.first + plane_mm[..., 1:] * self.second)


@dataclass(frozen=True, eq=False)
class _Joined:
    """Several solids as one: the smallest of their levels on a lattice."""

    grid: Grid
    level_mm: npt.NDArray[np.float32]

    def sample_box(self, origin_mm: npt.ArrayLike, steps_mm: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        from scipy.ndimage import affine_transform

        matrix = self.grid.voxel_from_world[:3, :3] @ np.asarray(steps_mm).T
        offset = self.grid.voxel(np.asarray(origin_mm, dtype=np.float64))
        found = affine_transform(self.level_mm, matrix, offset, output_shape=shape, order=1, mode="constant", cval=FAR_MM, prefilter=False)
        return np.asarray(found, dtype=np.float32)


def joined(shapes: Iterable[Sampled], frame: Frame, middle_mm: FloatArray, half_mm: float, step_mm: float) -> Sampled:
    """Several shapes as one, on a cube of samples along a frame's axes: `FAR_MM` beyond it, and linear between samples.

    Parameters
    ----------
    middle_mm, half_mm
        The cube's middle, RAS, and half its edge.
    step_mm
        How far apart its samples are.
    """
    reach = np.arange(-half_mm, half_mm + 1e-9, step_mm)
    affine = np.eye(4)
    affine[:3, :3] = step_mm * frame.axes.T
    affine[:3, 3] = middle_mm + reach[0] * frame.axes.sum(axis=0)
    grid = Grid((len(reach),) * 3, affine)
    level = np.full(grid.shape, FAR_MM, dtype=np.float32)
    for each in shapes:
        np.minimum(level, each.sample_box(affine[:3, 3], affine[:3, :3].T, grid.shape), out=level)
    return _Joined(grid, level)
