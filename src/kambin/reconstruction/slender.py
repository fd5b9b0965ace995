"""Plates, rods and gaps one voxel thick: found in a mask, and held together when its distance field is refined.

Laminae, the pars and the spikes of processes are such at the voxel sizes of quick segmentations. They are few among the voxels, so
everything here works on lists of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

NEIGHBOURS: IntArray = np.array([o for o in np.ndindex(3, 3, 3) if o != (1, 1, 1)], dtype=np.int64) - 1


def slender(mask: BoolArray) -> BoolArray:
    """True voxels of plates and rods one voxel thick. The mask must be false, or of one value, two voxels around.

    They are the voxels outside every 2 x 2 x 2 block, where they reach away from the blocks or join two places of them. A single
    voxel or ridge upon a broad face is neither, and is left to the smoothing.
    """
    thick = _opened(mask)
    rest = mask & ~thick
    result = np.zeros_like(mask)
    where = np.argwhere(rest)
    if not len(where):
        return result
    shape = np.asarray(mask.shape)
    around = np.clip(where[:, None] + NEIGHBOURS, 0, shape - 1)
    touches = thick[tuple(np.moveaxis(around, -1, 0))]
    kept = where[~touches.any(axis=1)]
    for _ in range(2):
        # What lies within two voxels of a part away from the blocks belongs to it.
        grown = np.clip((kept[:, None] + NEIGHBOURS).reshape(-1, 3), 0, shape - 1)
        kept = np.unique(np.concatenate([kept, grown[rest[tuple(grown.T)]]]), axis=0)
    result[tuple(kept.T)] = True
    contacts = np.unique(around[touches], axis=0)
    if len(contacts):
        pieces, places = _components(where, mask.shape), _components(contacts, mask.shape)
        rank = _rank(_flat(around, mask.shape), _flat(contacts, mask.shape))
        met = np.where(rank >= 0, places[rank] + 1, 0)
        owner = np.broadcast_to(pieces[:, None], met.shape)[met > 0].astype(np.int64)
        pairs = np.unique(owner * (int(places.max()) + 2) + met[met > 0]) // (int(places.max()) + 2)
        joins = np.bincount(pairs, minlength=int(pieces.max()) + 1) >= 2
        result[tuple(where[joins[pieces]].T)] = True
    return result


def bridged(
    field: Float32Array, mask: BoolArray, thin: BoolArray, factors: tuple[int, int, int], scale_mm: float
) -> Float32Array:
    """The refined field (changed in place) with a rod laid between `thin` voxels that meet at an edge or a corner only.

    An oblique plate one voxel thick consists of such steps; interpolation would cut it into strips there.
    """
    where = np.argwhere(thin)
    if not len(where):
        return field
    last = np.asarray(mask.shape) - 1

    def at(offset: IntArray) -> BoolArray:
        return np.asarray(mask[tuple(np.clip(where + offset, 0, last).T)], dtype=np.bool_)

    for step in NEIGHBOURS[np.count_nonzero(NEIGHBOURS, axis=1) >= 2]:
        meets = at(step)
        for choice in {tuple(int(d) for d in step * np.array(c)) for c in np.ndindex(2, 2, 2)} - {(0, 0, 0), tuple(map(int, step))}:
            meets &= ~at(np.array(choice))
        pairs = where[meets]
        if len(pairs):
            offsets, values = _rod(step, factors, scale_mm)
            place = (pairs * np.asarray(factors))[:, None, :] + offsets
            flat = np.ravel_multi_index(tuple(np.moveaxis(place, -1, 0)), field.shape, mode="clip")
            np.minimum.at(field.reshape(-1), flat.ravel(), np.broadcast_to(values, flat.shape).ravel())
    return field


def _opened(values: BoolArray) -> BoolArray:
    """The union of all 2 x 2 x 2 blocks of true voxels."""
    blocks = values
    for axis in range(3):
        blocks = _ends(blocks, axis)[0] & _ends(blocks, axis)[1]
    for axis in range(3):
        wider = np.zeros([n + (a == axis) for a, n in enumerate(blocks.shape)], dtype=bool)
        low, high = _ends(wider, axis)
        low |= blocks
        high |= blocks
        blocks = wider
    return blocks


def _ends(values: BoolArray, axis: int) -> tuple[BoolArray, BoolArray]:
    """Views without the last and without the first layer along an axis."""
    whole = [slice(None)] * 3
    low, high = list(whole), list(whole)
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return values[tuple(low)], values[tuple(high)]


def _components(voxels: IntArray, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Number (from 0) of the connected piece that each voxel of a sorted list belongs to, neighbours at corners included."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    around = np.clip(voxels[:, None] + NEIGHBOURS[:13], 0, np.asarray(shape) - 1)
    near = _rank(_flat(around, shape), _flat(voxels, shape))
    first = np.broadcast_to(np.arange(len(voxels))[:, None], near.shape)[near >= 0]
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, near[near >= 0])), shape=(len(voxels), len(voxels)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)


def _flat(voxels: IntArray, shape: tuple[int, ...]) -> IntArray:
    """Flat (C order) indices of voxels, shape (..., 3) to (...)."""
    return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(voxels, -1, 0)), shape), dtype=np.int64)


def _rank(wanted: IntArray, sorted_list: IntArray) -> IntArray:
    """Where in a sorted list each number stands; -1 where it does not."""
    rank = np.minimum(np.searchsorted(sorted_list, wanted), len(sorted_list) - 1)
    return np.where(sorted_list[rank] == wanted, rank, -1)


def _rod(step: IntArray, factors: tuple[int, int, int], scale_mm: float) -> tuple[IntArray, Float32Array]:
    """Offsets on the fine lattice around a segment of one diagonal step, and the level of a rod about one voxel thick there."""
    axes = [np.arange(min(0, int(d)) * f - f, max(0, int(d)) * f + f + 1) for d, f in zip(step, factors, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = offsets / np.asarray(factors)
    along = np.clip(voxels @ step / float(step @ step), 0, 1)
    # Where only some of the axes are refined, no sample lies near the rod's middle: it is made thick enough to meet some.
    steps = np.asarray(factors)[step != 0]
    radius = 0.72 if steps.min() == 1 < steps.max() else 0.5
    level = (np.linalg.norm(voxels - along[:, None] * step, axis=1) - radius) * scale_mm
    near = level < 0.3 * scale_mm
    return offsets[near], level[near].astype(np.float32)
