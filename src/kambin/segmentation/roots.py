"""Which nerve root each voxel belongs to: told by the foramen that it passes, under the pedicle of its own vertebra."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.segmentation.column_line import ColumnLine
from kambin.segmentation.paths import reached_from, ways
from kambin.segmentation.places import IntArray, Places

_FORAMEN_MM = (9.0, 25.0)
"""How far from the midline a root passes its foramen."""
_BELOW = 0.1
"""It passes below the middle of its vertebra: by so much of the way to the next one, the limit between two lies lower than halfway."""
_NEAR_MM = 12.0
_SPECK_MM3 = 15.0
_LEAST_MM3 = 12.0

PlaceOf = Callable[[FloatArray], FloatArray]
"""From millimetres along the column to vertebrae counted from the lowest, its middle being 0; -1 and less is the sacrum."""


def root_owners(roots: Places, line: ColumnLine, place_of: PlaceOf) -> tuple[IntArray, dict[int, tuple[int, Side]]]:
    """For each voxel the number of its root (-1 where it is none's), and what each number stands for.

    A root is named by the vertebra, counted from the lowest, under whose pedicle it passes; -1 is the first of the sacrum.
    """
    owner = np.full(len(roots), -1, dtype=np.int64)
    if not len(roots):
        return owner, {}
    local = line.local(roots.mm)
    # Where it passes its foramen a root lies nearer to the middle of its own vertebra than to any other.
    rank = np.maximum(np.round(place_of(local[:, 2]) + _BELOW).astype(np.int64), -1)
    code = 2 * (rank + 1) + (local[:, 0] > 0)
    in_foramen = (np.abs(local[:, 0]) > _FORAMEN_MM[0]) & (np.abs(local[:, 0]) < _FORAMEN_MM[1])
    seeds = np.full(len(roots), -1, dtype=np.int64)
    for piece in np.unique(roots.pieces[in_foramen]):
        mine = in_foramen & (roots.pieces == piece)
        seeds[mine] = _alike(code[mine], local[mine, 2], roots.grid.voxel_volume_mm3)
    owner, _ = reached_from(ways(roots, shy_of_bridges=True), seeds)
    owner = _with_loose(roots, local, owner)
    return owner, {int(n): (int(n) // 2 - 1, Side.RIGHT if n % 2 else Side.LEFT) for n in np.unique(owner[owner >= 0])}


def _alike(codes: IntArray, along: FloatArray, voxel_mm3: float) -> IntArray:
    """The same root for voxels of one piece on one side, unless they reach over more than one foramen."""
    result = codes.copy()
    for right in (0, 1):
        side = np.flatnonzero(codes % 2 == right)
        if not len(side):
            continue
        values, counts = np.unique(codes[side], return_counts=True)
        low, high = np.percentile(along[side], [3, 97])
        if high - low < 26.0:
            result[side] = values[counts.argmax()]
            continue
        small = values[counts * voxel_mm3 < max(_LEAST_MM3, 0.2 * counts.max() * voxel_mm3)]
        for value in small:
            big = [v for v in values if v not in small]
            result[side[codes[side] == value]] = min(big, key=lambda v: abs(int(v) - int(value)))
    return result


def _with_loose(roots: Places, local: FloatArray, owner: IntArray) -> IntArray:
    """Pieces that pass no foramen, given to the nearest root of their side."""
    result = owner.copy()
    known = np.flatnonzero(owner >= 0)
    if not len(known):
        return result
    tree = cKDTree(roots.mm[known])
    for piece in np.unique(roots.pieces[owner < 0]):
        mine = np.flatnonzero((roots.pieces == piece) & (owner < 0))
        if len(mine) * roots.grid.voxel_volume_mm3 < _SPECK_MM3:
            continue
        distance, nearest = tree.query(roots.mm[mine], distance_upper_bound=_NEAR_MM)
        if np.isfinite(distance.min()):
            candidate = int(owner[known[nearest[int(distance.argmin())]]])
            if (local[mine, 0].mean() > 0) == bool(candidate % 2):
                result[mine] = candidate
    return result
