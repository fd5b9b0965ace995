"""What a network finds astray, taken away, and what it leaves open, closed; told in words where it is much."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects
from scipy.spatial import cKDTree

from kambin.geometry import FloatArray
from kambin.segmentation.places import BoolArray, Places
from kambin.volume import Grid

_HOLE_MM3 = 1500.0
_SPECK_MM3 = 200.0
TOLD_MM3 = 2000.0
"""From this volume on it is said what was left out."""


def near_the_largest(places: Places, share: float, within_mm: float) -> BoolArray:
    """Which voxels are of the largest piece, or of one with at least that share of its volume and no farther from it than that.

    A piece may be near the largest by way of another.
    """
    if not len(places):
        return np.zeros(0, dtype=bool)
    volume = places.piece_mm3
    keep = np.zeros(len(volume), dtype=bool)
    keep[volume.argmax()] = True
    candidates = [int(p) for p in np.argsort(-volume) if volume[p] >= max(share * volume.max(), _SPECK_MM3) and not keep[p]]
    step = max(1, len(places) // 40_000)
    while candidates:
        kept = keep[places.pieces]
        tree = cKDTree(places.mm[kept][::step])
        joined = [p for p in candidates if tree.query(places.mm[places.pieces == p][::step])[0].min() <= within_mm]
        if not joined:
            break
        keep[joined] = True
        candidates = [p for p in candidates if p not in joined]
    return np.asarray(keep[places.pieces])


def beside(places: Places, line_mm: FloatArray, within_mm: float) -> BoolArray:
    """Which voxels are of pieces that come so near to a line at least somewhere; lumps in the belly wall do not.

    Parameters
    ----------
    places
        The voxels.
    line_mm
        Points of the line, (n, 3).
    within_mm
        From the line to the piece's nearest voxel.
    """
    if not len(places):
        return np.zeros(0, dtype=bool)
    near = cKDTree(line_mm).query(places.mm, distance_upper_bound=within_mm)[0] <= within_mm
    return np.asarray((places.mean_by_piece(near.astype(np.float64)) > 0)[places.pieces])


def in_turn(places: Places, first: BoolArray, then: Callable[[Places], BoolArray]) -> BoolArray:
    """Which voxels two choices keep, the second one made among what the first has kept."""
    result = np.zeros(len(places), dtype=bool)
    result[first] = then(places.some(first))
    return result


def large_pieces(places: Places, share: float) -> BoolArray:
    """Which voxels are of pieces with at least that share of the largest one's volume, specks apart."""
    if not len(places):
        return np.zeros(0, dtype=bool)
    volume = places.piece_mm3
    return np.asarray((volume >= max(share * volume.max(), min(_SPECK_MM3, volume.max())))[places.pieces])


def large_and_near(places: Places, share: float, within_mm: float) -> BoolArray:
    """Which voxels are of large pieces, as `large_pieces` finds them, or of smaller ones, specks apart, as near as that to a large one."""
    large = large_pieces(places, share)
    if not large.any() or large.all():
        return large
    step = max(1, np.count_nonzero(large) // 40_000)
    tree = cKDTree(places.mm[large][::step])
    near = np.zeros(len(places), dtype=bool)
    near[~large] = tree.query(places.mm[~large], distance_upper_bound=within_mm)[0] <= within_mm
    joined = (places.mean_by_piece(near.astype(np.float64)) > 0) & (places.piece_mm3 >= _SPECK_MM3)
    return np.asarray(large | joined[places.pieces])


def with_holes_filled(labels: npt.NDArray[np.uint16], outside: tuple[int, ...], grid: Grid, box: tuple[slice, ...]) -> int:
    """Fill holes shut in by structures, each voxel as its nearest neighbour; changes `labels`, and returns how many voxels were filled.

    Parameters
    ----------
    labels
        The label map.
    outside
        Labels that count as nothing: 0, and the trunk's.
    grid
        Where its voxels are.
    box
        The part of it to look at.
    """
    import cc3d

    part = labels[box]
    empty = np.isin(part, outside)
    pieces = np.asarray(cc3d.connected_components(np.ascontiguousarray(empty).view(np.uint8), connectivity=6))
    size = np.bincount(pieces.ravel())
    small = size * grid.voxel_volume_mm3 <= _HOLE_MM3
    small[0] = False
    for axis in range(3):
        for end in (0, -1):
            small[np.unique(np.take(pieces, end, axis=axis))] = False
    count = 0
    for piece, where in enumerate(find_objects(pieces), start=1):
        if where is None or not small[piece]:
            continue
        around = tuple(slice(max(span.start - 1, 0), span.stop + 1) for span in where)
        hole = pieces[around] == piece
        nearest = distance_transform_edt(empty[around], sampling=tuple(grid.spacing_mm), return_distances=False, return_indices=True)
        part[around][hole] = part[around][tuple(axis[hole] for axis in nearest)]
        count += int(np.count_nonzero(hole))
    return count


def with_trunk_closed(labels: npt.NDArray[np.uint16], trunk: int) -> None:
    """Background shut in by the trunk made trunk; changes `labels`."""
    import cc3d

    empty = labels == 0
    pieces = np.asarray(cc3d.connected_components(empty.view(np.uint8), connectivity=6))
    outside = np.zeros(int(pieces.max()) + 1, dtype=bool)
    outside[0] = True
    for axis in range(3):
        for end in (0, -1):
            outside[np.unique(np.take(pieces, end, axis=axis))] = True
    labels[~outside[pieces]] = trunk
