"""From a scan's grid to that of a network and back: both lie along the same axes, one voxel size apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.segmentation.bundle_fields import Triple
from kambin.volume import Grid

FloatArray = npt.NDArray[np.float32]
_AS_IS = 0.05
"""Voxels that differ by less than this share are left as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One axis of a scan and the same axis as a network has it; their middles lie on each other.

    Parameters
    ----------
    scan
        Voxels of the scan.
    model
        Voxels of the network's image.
    ratio
        A voxel of the network's image over one of the scan.
    """

    scan: int
    model: int
    ratio: float

    @classmethod
    def of(cls, voxels: int, spacing_mm: float, wanted_mm: float | None) -> Axis:
        """An axis of a scan for a network that wants voxels of that size, or any (None)."""
        ratio = 1.0 if wanted_mm is None else round(wanted_mm / spacing_mm, 6)
        if abs(ratio - 1) < _AS_IS:
            return cls(voxels, voxels, 1.0)
        return cls(voxels, max(1, math.ceil(voxels / ratio - 1e-6)), ratio)

    @property
    def is_same(self) -> bool:
        return self.ratio == 1.0

    def scan_positions(self) -> npt.NDArray[np.float64]:
        """Where the network's voxels lie, in indices of the scan."""
        return np.asarray((np.arange(self.model) - 0.5 * (self.model - 1)) * self.ratio + 0.5 * (self.scan - 1), dtype=np.float64)

    def model_positions(self) -> npt.NDArray[np.float64]:
        """Where the scan's voxels lie, in indices of the network's image."""
        return np.asarray((np.arange(self.scan) - 0.5 * (self.scan - 1)) / self.ratio + 0.5 * (self.model - 1), dtype=np.float64)

    def matrix(self, start: int, stop: int) -> FloatArray:
        """From the scan's values along the axis to the network's voxels `start` up to `stop`, shape (stop - start, scan).

        A triangle about each voxel: linear interpolation where the network's voxels are the smaller ones, else as wide as one of them on
        either side, so that what is finer than they are is averaged and not picked at random.
        """
        reach = max(1.0, self.ratio)
        apart = np.abs(np.arange(self.scan)[None] - self.scan_positions()[start:stop, None])
        weights = np.maximum(0.0, 1.0 - apart / reach)
        alone = weights.sum(axis=1) == 0  # beyond the outermost voxel's middle
        weights[alone, np.argmin(apart[alone], axis=1)] = 1.0
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Rescaling:
    """A scan's grid and that of a network, axis by axis.

    Parameters
    ----------
    axes
        Right, anterior, cranial.
    """

    axes: tuple[Axis, Axis, Axis]

    @classmethod
    def of(cls, grid: Grid, spacing_mm: tuple[float, float, float] | None) -> Rescaling:
        """For a scan and a network with voxels of that size, or any (None)."""
        wanted: Sequence[float | None] = spacing_mm or (None, None, None)
        x, y, z = (Axis.of(n, float(s), w) for n, s, w in zip(grid.shape, grid.spacing_mm, wanted, strict=True))
        return cls((x, y, z))

    @property
    def model_shape(self) -> Triple:
        """Voxels of the whole scan as the network has it."""
        x, y, z = self.axes
        return (x.model, y.model, z.model)

    def spacing_mm(self, grid: Grid) -> tuple[float, float, float]:
        """The size of the network's voxels on a scan of that grid."""
        x, y, z = (float(s) * axis.ratio for s, axis in zip(grid.spacing_mm, self.axes, strict=True))
        return (x, y, z)

    def image(self, values: npt.NDArray[np.generic], box: tuple[slice, slice, slice] | None = None) -> FloatArray:
        """The scan with the network's voxels, or a box of them, in single precision.

        The axis that loses most voxels goes first; no more than the result and what one axis leaves is held at a time.
        """
        whole = box or tuple(slice(0, n) for n in self.model_shape)
        result: npt.NDArray[np.generic] = values
        for index in sorted(range(3), key=lambda i: (whole[i].stop - whole[i].start) / self.axes[i].scan):
            axis, part = self.axes[index], whole[index]
            if axis.is_same:
                result = result[tuple(part if i == index else slice(None) for i in range(3))]
            else:
                result = _along(result, axis.matrix(part.start, part.stop), index)
        return np.array(result, dtype=np.float32, order="C")


def _along(values: npt.NDArray[np.generic], matrix: FloatArray, axis: int) -> FloatArray:
    """A matrix times an array's values along an axis, a slice at a time."""
    shape = [len(matrix) if a == axis else n for a, n in enumerate(values.shape)]
    result = np.empty(shape, dtype=np.float32)
    if axis == 0:
        for index in range(values.shape[1]):
            np.matmul(matrix, values[:, index].astype(np.float32), out=result[:, index])
        return result
    for index in range(values.shape[0]):
        sheet = values[index].astype(np.float32)
        result[index] = matrix @ sheet if axis == 1 else sheet @ matrix.T
    return result


def grid_of(grid: Grid, rescaling: Rescaling) -> Grid:
    """Where the network's voxels are."""
    affine = np.array(grid.world_from_voxel)
    affine[:3, 3] = grid.world([axis.scan_positions()[0] for axis in rescaling.axes])
    affine[:3, :3] *= [axis.ratio for axis in rescaling.axes]
    return Grid(rescaling.model_shape, affine)
