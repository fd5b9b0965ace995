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
_ABOUT = 5


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
    chord = float(np.linalg.norm(point - midline))
    return Entry(point, depth, midline, chord, max(arc, chord))  # the outline's corners are a few tenths of a millimetre apart


def _leaves(trunk: Solid, model: SpineModel, channel: Channel) -> float:
    """How far out the axis leaves the trunk.

    The trunk's own label leaves out whatever else is labelled, so the way is followed to where no label is left, and the skin is looked
    for there.
    """
    steps = np.arange(0.0, _FARTHEST_MM, _STEP_MM)
    voxel = np.round(model.grid.voxel(channel.at(steps))).astype(int)
    inside = np.all((voxel >= 0) & (voxel < np.asarray(model.grid.shape)), axis=1)
    labelled = np.zeros(len(steps), dtype=bool)
    labelled[inside] = model.labels[tuple(voxel[inside].T)] != 0
    if not labelled.any():
        raise NotMeasurable("the target does not lie inside the skin")
    last = int(np.flatnonzero(labelled)[-1])
    if last + 1 == len(steps) or not bool(inside[last + 1]):
        raise NotMeasurable(f"the trajectory leaves the field of view {steps[last]:.0f} mm out, before it meets the skin")
    near = steps[max(last - _ABOUT, 0) : last + _ABOUT]
    level = trunk.sample(channel.at(near)).astype(np.float64)
    leaves = np.flatnonzero((level[:-1] < 0) & (level[1:] >= 0))
    if not len(leaves):
        raise NotMeasurable(f"the labels end {steps[last]:.0f} mm out along the trajectory, and no skin is there")
    first = int(leaves[-1])
    return float(near[first] + _STEP_MM * level[first] / (level[first] - level[first + 1]))


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
