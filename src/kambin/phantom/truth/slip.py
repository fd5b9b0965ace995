"""True slip: corners where the line along the posterior wall meets the line along the endplate, in the mid-sagittal plane."""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Level
from kambin.geometry import FloatArray, Frame
from kambin.phantom.truth.anatomy import Bone
from kambin.phantom.truth.endplates import Segment
from kambin.phantom.truth.plane import Flat, curves, finely, holds, hull
from kambin.phantom.truth.value import Unknown

_SACRAL_MM = 15.0
"""How far below its endplate the wall of S1 is followed."""


def slip(segment: Segment, step: float) -> dict[str, float]:
    """SL (mm) and SL% of one segment."""
    upper, _, lower = segment.space.whole()
    along = segment.bottom.normal() @ segment.frame.axes
    flat = along - (along @ segment.frame.right) * segment.frame.right
    across = Frame.from_cranial_anterior(segment.frame.origin_mm, flat, segment.frame.anterior)
    back_above, _ = _edges(upper, across, step, upper=False)
    back_below, front_below = _edges(lower, across, step, upper=True)
    value, depth = back_above - back_below, front_below - back_below
    return {"SL": value, "SL%": 100.0 * value / depth}


def _edges(bone: Bone, frame: Frame, step: float, *, upper: bool) -> tuple[float, float]:
    """Anterior coordinates of the posterior corner and of the front end of one endplate."""
    outline = _body_outline(bone, frame, step)
    centre = frame.local(bone.frame.origin_mm)[1:]
    corners = hull(outline)
    if bone.level is Level.S1:
        middle = np.array([centre[0], centre[1] - 0.5 * _SACRAL_MM])
        near_end = corners
    else:
        middle = centre
        near_end = corners[(corners[:, 1] > centre[1]) == upper]
    wall = _edge_met(corners, middle, np.array([-1.0, 0.0]))
    plate = _edge_met(corners, middle, np.array([0.0, 1.0 if upper else -1.0]))
    corner = _crossing(wall, plate)
    return float(corner[0]), float(near_end[:, 0].max())


def _body_outline(bone: Bone, frame: Frame, step: float) -> FloatArray:
    """The outline of the bone in the frame's mid-sagittal plane that holds the body; of S1 the part near its endplate."""
    centre = frame.local(bone.frame.origin_mm)[1:]
    plane, inside = Flat.sagittal(frame), centre
    level = plane.level(bone.shape)
    if bone.level is Level.S1:
        inside = centre - np.array([0.0, 0.5 * _SACRAL_MM])
        whole = level

        def level(points: FloatArray) -> FloatArray:
            below, aside = centre[1] - _SACRAL_MM - points[:, 1], np.abs(points[:, 0] - centre[0]) - 24.0
            return np.asarray(np.max([whole(points), below, aside], axis=0))

    sheet = finely(level, (centre[0] - 28.0, centre[0] + 28.0), (centre[1] - 26.0, centre[1] + 26.0), 0.5 * step)
    for loop in curves(sheet):
        if holds(loop, inside):
            return loop
    raise Unknown(f"the body of {bone.level} does not reach the mid-sagittal plane")


def _edge_met(corners: FloatArray, start: FloatArray, way: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The edge of a convex outline that a ray from within leaves it by: a wall's, from rim to rim where it is hollow."""
    first, last = corners, np.roll(corners, -1, axis=0)
    side = (first - start) @ np.array([-way[1], way[0]]), (last - start) @ np.array([-way[1], way[0]])
    crosses = np.flatnonzero((side[0] > 0) != (side[1] > 0))
    ahead = [i for i in crosses if (0.5 * (first[i] + last[i]) - start) @ way > 0]
    index = max(ahead, key=lambda i: float(np.linalg.norm(last[i] - first[i])))
    return first[index], last[index]


def _crossing(one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]) -> FloatArray:
    along, across = one[1] - one[0], other[1] - other[0]
    share = np.linalg.solve(np.stack([along, -across], axis=1), other[0] - one[0])
    return np.asarray(one[0] + share[0] * along)
