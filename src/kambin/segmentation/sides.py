"""Left and right: muscles and hip bones by the midline of the column, iliac vessels by the branch that they are of."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from kambin.geometry import FloatArray
from kambin.segmentation.paths import reached_from, ways
from kambin.segmentation.places import BoolArray, Places

_WHOLE = 0.9
"""A piece with this share of it on one side is wholly of that side."""
_JOINT_MM = 4.0


def right_of(places: Places, lateral_mm: FloatArray) -> BoolArray:
    """Which voxels are of the right side: whole pieces where they can be, cut at the midline where they reach over it."""
    right = lateral_mm > 0
    share = places.mean_by_piece(right.astype(np.float64))
    whole = (share >= _WHOLE) | (share <= 1.0 - _WHOLE)
    return np.asarray(np.where(whole[places.pieces], share[places.pieces] > 0.5, right))


def right_branch(vessel: Places, lateral_mm: FloatArray, along_mm: FloatArray, stem: Places) -> BoolArray:
    """Which voxels of a forked vessel are of its right branch.

    The branches begin beside each other and often both on one side of the midline, so they are told by their far ends: a voxel is of the
    branch whose end is nearer along the vessel, the fork being as near to both.

    Parameters
    ----------
    vessel
        Both branches.
    lateral_mm, along_mm
        Of its voxels.
    stem
        What they fork from; may be empty.
    """
    right = right_of(vessel, lateral_mm)
    for piece in np.flatnonzero(vessel.piece_mm3 > 0.1 * max(len(vessel), 1) * vessel.grid.voxel_volume_mm3):
        mine = np.flatnonzero(vessel.pieces == piece)
        ends = _ends(lateral_mm[mine], along_mm[mine])
        if ends is None:
            if 0.25 < np.mean(lateral_mm[mine][along_mm[mine] < np.median(along_mm[mine])] > 0) < 0.75:
                right[mine] = lateral_mm[mine] > 0
                continue
            # One branch alone: of the side that its lower end is on.
            lowest = mine[along_mm[mine] <= np.percentile(along_mm[mine], 15)]
            right[mine] = _to_the_right(vessel, mine, lateral_mm, float(np.median(lateral_mm[lowest])))
            continue
        graph = ways(vessel.some(vessel.pieces == piece))
        distances = []
        for end in ends:
            seeds = np.full(len(mine), -1, dtype=np.int64)
            seeds[end] = 0
            distances.append(reached_from(graph, seeds)[1])
        right[mine] = lateral_mm[mine] > 0  # of crumbs that no way leads to
        met = np.isfinite(distances[0]) & np.isfinite(distances[1])
        if not met.any():
            continue
        to_left, to_right, mine = distances[0][met], distances[1][met], mine[met]
        difference = to_left - to_right  # grows from the left end to the right one
        right[mine] = difference > _at_the_fork(vessel.mm[mine], difference, to_left + to_right, along_mm[mine], stem)
    return right


def _to_the_right(vessel: Places, mine: np.ndarray, lateral: FloatArray, end_mm: float) -> bool:
    """The side of a branch that is apart from the other, by where its lower end lies among all of the vessel."""
    others = lateral[vessel.pieces != vessel.pieces[mine[0]]]
    if len(others) > 0.3 * len(mine):
        return bool(end_mm > np.median(others))
    return end_mm > 0


def _ends(lateral: FloatArray, along: FloatArray) -> tuple[np.ndarray, np.ndarray] | None:
    """Where a piece ends on the left and on the right; None where it does not fork."""
    low = along <= np.percentile(along, 40)
    split = np.sort(lateral[low])
    if len(split) < 10:
        return None
    steps = np.diff(split)
    widest = int(steps.argmax())
    if steps[widest] < 6.0 or min(widest + 1, len(split) - widest - 1) < 0.1 * len(split):
        return None
    middle = 0.5 * (split[widest] + split[widest + 1])
    result = []
    for side in (low & (lateral < middle), low & (lateral > middle)):
        candidates = np.flatnonzero(side)
        result.append(candidates[along[candidates] <= np.percentile(along[candidates], 8)])
    return result[0], result[1]


def _at_the_fork(points: FloatArray, difference: FloatArray, total: FloatArray, along: FloatArray, stem: Places) -> float:
    """The difference of ways at the fork: at the stem, else at the highest place on the way from end to end."""
    if len(stem):
        distance, _ = cKDTree(stem.mm).query(points, distance_upper_bound=_JOINT_MM)
        joint = np.isfinite(distance)
        if np.count_nonzero(joint) >= 3:
            return float(np.median(difference[joint]))
    on_the_way = total < total.min() + 6.0
    top = on_the_way & (along > np.percentile(along[on_the_way], 95))
    return float(np.median(difference[top]))
