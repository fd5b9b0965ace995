"""The voxels of one class: where they are in the array, in the patient, and in which connected piece."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.volume import Grid

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Places:
    """Some voxels of a grid.

    Parameters
    ----------
    grid
        The whole grid.
    voxels
        Indices into it, shape (n, 3).
    pieces
        Which connected piece (26 neighbours) each belongs to, numbered from 0, shape (n,).
    """

    grid: Grid
    voxels: IntArray
    pieces: IntArray

    def __len__(self) -> int:
        return len(self.voxels)

    @cached_property
    def mm(self) -> FloatArray:
        return self.grid.world(self.voxels)

    @property
    def index(self) -> tuple[npt.NDArray[np.int64], ...]:
        """For ``array[places.index]``."""
        return tuple(self.voxels.T)

    @property
    def volume_mm3(self) -> float:
        return len(self) * self.grid.voxel_volume_mm3

    @cached_property
    def piece_mm3(self) -> FloatArray:
        """Volume of each piece."""
        return np.asarray(np.bincount(self.pieces, minlength=1) * self.grid.voxel_volume_mm3, dtype=np.float64)

    def mean_by_piece(self, values: FloatArray) -> FloatArray:
        """Mean over each piece of a value for each voxel; 0 for a number that no piece has."""
        counts = np.bincount(self.pieces, minlength=1)
        return np.asarray(np.bincount(self.pieces, values, minlength=1) / np.maximum(counts, 1))

    def some(self, chosen: BoolArray) -> Places:
        """Those chosen, with the numbers of their pieces kept."""
        return replace(self, voxels=self.voxels[chosen], pieces=self.pieces[chosen])


def places_of(class_map: npt.NDArray[np.uint8], number: int, box: tuple[slice, ...] | None, grid: Grid) -> Places:
    """The voxels of a class; `box` is where they lie (`scipy.ndimage.find_objects`), None where there are none."""
    import cc3d

    if box is None:
        return Places(grid, np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.int64))
    mask = np.ascontiguousarray(class_map[box] == number)
    pieces = np.asarray(cc3d.connected_components(mask.view(np.uint8), connectivity=26))
    voxels = np.argwhere(mask)
    numbers = pieces[tuple(voxels.T)].astype(np.int64) - 1
    return Places(grid, voxels + np.array([part.start for part in box]), numbers)
