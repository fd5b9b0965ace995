"""Shortest ways inside a set of voxels: who is reached first from where."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from kambin.geometry import FloatArray
from kambin.segmentation.places import IntArray, Places

_THIN_MM, _SHYNESS = 5.0, 4
"""A step where the set is this thin, from its middle to its outside, counts double; where it is half as thin, 17 times."""


def thickness_mm(places: Places) -> FloatArray:
    """For each voxel its distance from the outside of the set."""
    import edt

    mask, start = _box(places)
    depth = edt.edt(mask, anisotropy=tuple(places.grid.spacing_mm.tolist()), black_border=True)
    return np.asarray(depth[tuple((places.voxels - start).T)], dtype=np.float64)


def ways(places: Places, shy_of_bridges: bool = False) -> csr_matrix:
    """The graph of neighbouring voxels (18 neighbours), each edge as long as it is in millimetres.

    Parameters
    ----------
    places
        The set.
    shy_of_bridges
        Whether a step through a thin place counts as longer, so that ways keep to where the set is thick.
    """
    mask, start = _box(places)
    number = np.full(mask.shape, -1, dtype=np.int32)
    number[tuple((places.voxels - start).T)] = np.arange(len(places))
    cost = np.ones(len(places))
    if shy_of_bridges:
        cost += (_THIN_MM / np.maximum(thickness_mm(places), 0.3)) ** _SHYNESS
    linear = places.grid.world_from_voxel[:3, :3]
    rows, columns, lengths = [], [], []
    for step in product((-1, 0, 1), repeat=3):
        if step <= (0, 0, 0) or np.count_nonzero(step) == 3:
            continue
        here = tuple(slice(max(-d, 0), n - max(d, 0)) for d, n in zip(step, mask.shape, strict=True))
        there = tuple(slice(max(d, 0), n - max(-d, 0)) for d, n in zip(step, mask.shape, strict=True))
        one, other = number[here].ravel(), number[there].ravel()
        both = (one >= 0) & (other >= 0)
        one, other = one[both], other[both]
        rows.append(one)
        columns.append(other)
        lengths.append(0.5 * (cost[one] + cost[other]) * float(np.linalg.norm(linear @ np.array(step))))
    edges = (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(edges, shape=(len(places), len(places)))


def reached_from(graph: csr_matrix, seeds: IntArray, late_mm: FloatArray | None = None) -> tuple[IntArray, FloatArray]:
    """Who reaches each voxel first, and how far the way is.

    Parameters
    ----------
    graph
        From `ways`.
    seeds
        For each voxel the number of who starts there, -1 for nobody.
    late_mm
        For each voxel by how much who starts there is behind the others at the start; by default nobody is.

    Returns
    -------
    owner, distance
        -1 and infinity where nobody comes.
    """
    starts = np.flatnonzero(seeds >= 0)
    if not len(starts):
        return np.full(len(seeds), -1, dtype=np.int64), np.full(len(seeds), np.inf)
    # One more node for each owner, from which its seeds are as far as they are late.
    count, owners = len(seeds), int(seeds.max()) + 1
    edges = graph.tocoo()
    first = np.full(len(starts), 1e-6) if late_mm is None else late_mm[starts] + 1e-6
    rows, columns = np.concatenate([edges.row, starts]), np.concatenate([edges.col, count + seeds[starts]])
    whole = csr_matrix((np.concatenate([edges.data, first]), (rows, columns)), shape=(count + owners, count + owners))
    nodes = np.arange(count, count + owners)
    distance, _, source = dijkstra(whole, directed=False, indices=nodes, min_only=True, return_predecessors=True)
    distance = distance[:count]
    return np.where(np.isfinite(distance), source[:count] - count, -1).astype(np.int64), np.asarray(distance)


def _box(places: Places) -> tuple[npt.NDArray[np.bool_], IntArray]:
    start = places.voxels.min(axis=0)
    mask = np.zeros(places.voxels.max(axis=0) - start + 1, dtype=bool)
    mask[tuple((places.voxels - start).T)] = True
    return mask, start
