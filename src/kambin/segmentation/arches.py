"""Which vertebra each voxel of the posterior arches belongs to.

Arches touch their neighbours at the facet joints, and spinous processes hang down beside the next vertebra, so neither pieces nor
heights tell them apart. What tells is the way through bone, from the pedicles and from the spinous processes: it crosses a joint
only where that is shorter by far than staying within the vertebra.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from kambin.geometry import FloatArray
from kambin.segmentation.column_order import Column
from kambin.segmentation.level_count import steps, vertebrae_along
from kambin.segmentation.paths import reached_from, ways
from kambin.segmentation.places import IntArray, Places

_TOUCHING_MM = 2.6
_MIDLINE_MM = 7.0
_BEHIND_MM = 26.0
"""Behind the bodies' middles by more than this lie laminae and spinous processes, no pedicles."""
_FAR_MM = 30.0
"""A loose piece farther than this from every vertebra is none of theirs."""
_SPECK_MM3 = 250.0
_BEGINS = 0.08
"""A spinous process begins beside the middle of its body, this much of the way to the next one above it."""
_ONE_SPINOUS = 1.45
"""Two spinous processes together are longer than this, by a body's height."""
_LATE_MM = 10.0
"""Laminae lie nearer to the joints than pedicles do: so much they start behind them."""
OF_SACRUM, OF_HIGHER = -2, -3
_HANGS_BY = 0.62
"""How far a spinous process lies below the middle of its body, by the body's height, where no other tells."""


def arch_owners(arches: Places, bodies: Places, column: Column) -> IntArray:
    """For each voxel of the arches the number of its body (`Column.bodies`), `OF_SACRUM`, `OF_HIGHER` (above them all), or -1."""
    if not len(arches) or not column.bodies:
        return np.full(len(arches), -1, dtype=np.int64)
    local = column.line.local(arches.mm)
    pedicles = _pedicle_seeds(arches, local, bodies, column)
    spinous = _midline_seeds(arches, local, column)
    seeds = np.where(spinous >= 0, spinous, pedicles)
    owner, _ = reached_from(ways(arches, shy_of_bridges=True), seeds, np.where(spinous >= 0, _LATE_MM, 0.0))
    owner = _with_loose_pieces(arches, local, owner, bodies, column)
    count = len(column.bodies)
    owner[owner == count] = OF_HIGHER
    owner[owner == count + 1] = OF_SACRUM
    return owner


def _pedicle_seeds(arches: Places, local: FloatArray, bodies: Places, column: Column) -> IntArray:
    """Arch voxels that touch the upper three quarters of a body."""
    seeds = np.full(len(arches), -1, dtype=np.int64)
    reach = max(_TOUCHING_MM, 1.1 * float(arches.grid.spacing_mm.max()))
    near = np.flatnonzero(np.hypot(local[:, 0], local[:, 1]) < 45.0)
    mine = column.owner >= 0
    distance, nearest = cKDTree(bodies.mm[mine]).query(arches.mm[near], distance_upper_bound=reach)
    found = np.isfinite(distance)
    number = column.owner[mine][nearest[found]]
    low = np.array([body.low_mm + 0.2 * body.height_mm for body in column.bodies])
    high = np.array([body.high_mm + 3.0 for body in column.bodies])
    place = local[near[found], 2]
    good = (place > low[number]) & (place < high[number])
    seeds[near[found][good]] = number[good]
    return seeds


def _midline_pieces(arches: Places, local: FloatArray) -> list[IntArray]:
    """The voxels of each spinous process, as far as they are apart from each other in the midline."""
    import cc3d

    strip = np.flatnonzero((np.abs(local[:, 0]) < _MIDLINE_MM) & (local[:, 1] < -_BEHIND_MM))
    if not len(strip):
        return []
    voxels = arches.voxels[strip]
    start = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - start + 1, dtype=np.uint8)
    mask[tuple((voxels - start).T)] = 1
    pieces = np.asarray(cc3d.connected_components(mask, connectivity=6))[tuple((voxels - start).T)]
    order = np.argsort(pieces, kind="stable")
    groups = np.split(strip[order], np.flatnonzero(np.diff(pieces[order])) + 1)
    return [group for group in groups if len(group) * arches.grid.voxel_volume_mm3 > _SPECK_MM3]


def _midline_seeds(arches: Places, local: FloatArray, column: Column) -> IntArray:
    """Each spinous process given to the vertebra beside whose middle it begins; what lies above or below all has a number of its own."""
    seeds = np.full(len(arches), -1, dtype=np.int64)
    numbers = np.array(steps(column.bodies, column.height_mm))
    place = np.ceil(vertebrae_along(column.bodies, 0, column.height_mm, local[:, 2]) - _BEGINS).astype(np.int64)
    count = len(column.bodies)
    owner_of = {int(number): index for index, number in enumerate(numbers)}
    for piece in _midline_pieces(arches, local):
        values, counts = np.unique(place[piece], return_counts=True)
        low, high = np.percentile(local[piece, 2], [3, 97])
        # Spinous processes that touch are parted where the lower one begins.
        one = counts.max() > 0.65 * len(piece) or high - low < _ONE_SPINOUS * column.height_mm
        for value in values[counts.argmax(), None] if one else values:
            owner = count if value > numbers[-1] else count + 1 if value < 0 else owner_of.get(int(value), -1)
            seeds[piece if one else piece[place[piece] == value]] = owner
    return seeds


def _with_loose_pieces(arches: Places, local: FloatArray, owner: IntArray, bodies: Places, column: Column) -> IntArray:
    """Pieces that no way leads to from any body: by height where they are arches, by nearness where they are specks."""
    result = owner.copy()
    loose = owner < 0
    if not loose.any():
        return result
    hang = _hanging(local, owner, column)
    middles = np.array([body.middle_mm for body in column.bodies])
    numbered = np.flatnonzero(column.owner >= 0)
    known = np.concatenate([arches.mm[~loose], bodies.mm[numbered]])
    known_owner = np.concatenate([owner[~loose], column.owner[numbered]])
    tree = cKDTree(known[::2])
    taken = {int(n) for n in np.unique(owner[(owner >= 0) & (np.abs(local[:, 0]) < _MIDLINE_MM) & (local[:, 1] < -_BEHIND_MM)])}
    for piece in np.unique(arches.pieces[loose]):
        mine = np.flatnonzero(loose & (arches.pieces == piece))
        distance, nearest = tree.query(arches.mm[mine[:: max(1, len(mine) // 500)]])
        if distance.min() > _FAR_MM or abs(local[mine, 0].mean()) > 45.0:
            continue
        if len(mine) * arches.grid.voxel_volume_mm3 < _SPECK_MM3 * 4:
            result[mine] = known_owner[::2][nearest[int(distance.argmin())]]
            continue
        miss = np.abs(local[mine, 2].mean() - (middles - hang))
        # A vertebra that has its spinous process already is a less likely owner of another.
        miss += np.array([0.3 * column.height_mm if number in taken else 0.0 for number in range(len(middles))])
        if miss.min() < 1.2 * column.height_mm:
            result[mine] = int(miss.argmin())
            taken.add(int(miss.argmin()))
    return result


def _hanging(local: FloatArray, owner: IntArray, column: Column) -> float:
    """How far this patient's spinous processes lie below the middles of their bodies."""
    behind = (owner >= 0) & (np.abs(local[:, 0]) < _MIDLINE_MM) & (local[:, 1] < -_BEHIND_MM)
    drops = [
        body.middle_mm - float(local[behind & (owner == body.number), 2].mean())
        for body in column.bodies
        if np.any(behind & (owner == body.number))
    ]
    return float(np.median(drops)) if drops else _HANGS_BY * column.height_mm
