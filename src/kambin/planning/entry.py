"""Where a way in meets the skin, and how far from the midline that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind
from kambin.geometry import FloatArray, Frame
from kambin.measurement.result import NotMeasurable
from kambin.planning.channel import Channel
from kambin.spine import Solid, SpineModel

_STEP_MM = 1.0
_FARTHEST_MM = 400.0


@dataclass(frozen=True, eq=False)
class Entry:
    """Point *d*, where the axis meets the skin.

    Parameters
    ----------
    point_mm
        RAS, shape (3,).
    depth_mm
        From the target to it.
    midline_mm
        The skin of the back in the mid-sagittal plane at the same height, RAS, shape (3,).
    line_b_mm
        Straight from there to the entry.
    arc_mm
        The same along the skin.
    """

    point_mm: FloatArray
    depth_mm: float
    midline_mm: FloatArray
    line_b_mm: float
    arc_mm: float


def skin_entry(model: SpineModel, frame: Frame, channel: Channel) -> Entry:
    """Where a channel's axis leaves the body.

    Parameters
    ----------
    model
        With the trunk among its solids.
    frame
        Of the segment: its mid-sagittal plane is the midline, and Line B lies in its axial plane.
    channel
        Whose axis is followed, beyond its length if need be.

    Raises
    ------
    NotMeasurable
        When the model has no skin, or the axis leaves the field of view first.
    """
    trunk = model.solid(Kind.TRUNK)
    if trunk is None:
        raise NotMeasurable("no skin (trunk) is labelled")
    depth = _leaves(trunk, model, channel)
    point = channel.at(depth)
    plane = frame.moved_to(point)
    midline, arc = _from_midline(trunk, plane, float(plane.local(frame.origin_mm)[0]))
    return Entry(point, depth, midline, float(np.linalg.norm(point - midline)), arc)


def _leaves(trunk: Solid, model: SpineModel, channel: Channel) -> float:
    """How far out the axis leaves the trunk."""
    steps = np.arange(0.0, _FARTHEST_MM, _STEP_MM)
    points = channel.at(steps)
    level = trunk.sample(points).astype(np.float64)
    # What else is labelled may be left out of the trunk: the skin is where it ends for good.
    inside = np.flatnonzero(level < 0)
    if not len(inside) or inside[-1] + 1 == len(steps):
        raise NotMeasurable("the trajectory does not leave the body" if len(inside) else "the target does not lie inside the skin")
    first = int(inside[-1]) + 1
    share = level[first - 1] / (level[first - 1] - level[first])
    depth = float(steps[first - 1] + share * _STEP_MM)
    # A trunk that fills the field of view ends at its border, which is no skin.
    voxel = model.grid.voxel(channel.at(depth))
    if (voxel < 0.75).any() or (voxel > np.asarray(model.grid.shape) - 1.75).any():
        raise NotMeasurable(f"the trajectory leaves the field of view {depth:.0f} mm out, before it meets the skin")
    return depth


def _from_midline(trunk: Solid, plane: Frame, middle: float) -> tuple[FloatArray, float]:
    """The skin of the back in the midline, and how far the plane's origin is from it along the skin."""
    loops = trunk.section(plane).loops
    if not loops:
        raise NotMeasurable("the skin has no outline at the height of the entry")
    outline = loops[0]
    following = np.roll(outline, -1, axis=0)
    crosses = np.flatnonzero((outline[:, 0] < middle) != (following[:, 0] < middle))
    if not len(crosses):
        raise NotMeasurable("the skin of the back lies outside the field of view in the midline")
    start, end = outline[crosses], following[crosses]
    share = (middle - start[:, 0]) / (end[:, 0] - start[:, 0])
    depth = start[:, 1] + share * (end[:, 1] - start[:, 1])
    behind = int(depth.argmin())
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(following - outline, axis=1))])
    at_middle = length[crosses[behind]] + share[behind] * (length[crosses[behind] + 1] - length[crosses[behind]])
    at_entry = length[int(np.linalg.norm(outline, axis=1).argmin())]
    way = abs(at_entry - at_middle)
    return plane.world([middle, float(depth[behind]), 0.0]), float(min(way, length[-1] - way))
