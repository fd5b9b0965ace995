"""The true window between two arches, seen from behind: how high on each side of the spinous process, how wide from facet to facet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Field
from kambin.phantom.truth.endplates import Segment
from kambin.phantom.truth.plane import Sheet, sampled
from kambin.phantom.truth.value import Unknown
from kambin.phantom.truth.view import view_of

_OUT_MM, _BEHIND_MM, _HEIGHTS_MM = 24.0, 60.0, (-24.0, 20.0)
_CANAL_MM = 7.0
"""What lies further forward than this behind the disc space is left out: bodies, disc, and the wall of S1, which slopes backwards."""
_JOINT_OVERLAP_MM, _NEAREST_JOINT_MM = 5.0, 6.0
"""A facet joint begins where the arches overlap by more than this, no nearer to the midline than that."""
_STRETCH_MM = 3.0


@dataclass(frozen=True, eq=False)
class HalfWindow:
    """One half of a window, seen from behind along the segment's anterior axis.

    Parameters
    ----------
    height_mm
        From arch to arch, mean over the three millimetres where that is most.
    facet_mm
        Distance of the facet from the mid-sagittal plane, halfway up.
    """

    height_mm: float
    facet_mm: float


def interlaminar_height(segment: Segment, side: Side, step: float) -> dict[str, float]:
    """IWh, mm, of one half."""
    return {"IWh": half_window(segment, side, step).height_mm}


def interlaminar_width(segment: Segment, step: float) -> dict[str, float]:
    """IWw, mm: from facet to facet."""
    return {"IWw": sum(half_window(segment, side, step).facet_mm for side in Side)}


def half_window(segment: Segment, side: Side, step: float) -> HalfWindow:
    """One half of the window.

    Raises
    ------
    Unknown
        When the arches cover each other there, or no facet bounds it.
    """
    upper, _, lower = segment.space.whole()
    above, below = (_from_behind(segment, side, bone.shape, step) for bone in (upper, lower))
    top, bottom = _lowest(above), -_lowest(replace(below, second_mm=-below.second_mm[::-1], level=below.level[:, ::-1]))
    height, place = _highest_stretch(above.first_mm, top - bottom)
    if not height > 0:
        raise Unknown(f"the arches leave no {side} window between them at {segment.space.name}")
    middle = 0.5 * float((top[place] + bottom[place]).mean())
    out = above.first_mm[(place.start + place.stop) // 2 :]
    row = np.column_stack([out, np.full(len(out), middle)])
    free = np.minimum(sampled(above, row), sampled(below, row))
    met = int((free < 0).argmax())
    if not met:
        raise Unknown(f"no facet bounds the {side} window between the arches at {segment.space.name}")
    return HalfWindow(height, float(out[met - 1] + above.step_mm * free[met - 1] / (free[met - 1] - free[met])))


def _from_behind(segment: Segment, side: Side, shape: Field, step: float) -> Sheet:
    """A bone's silhouette from behind over one half, (out, cranial); its bodies do not count."""
    frame = segment.frame
    behind = Frame(frame.origin_mm, np.stack([-frame.anterior, frame.right, frame.cranial]))
    start = -segment.back_mm + _CANAL_MM
    across = (0.0, _OUT_MM) if side is Side.RIGHT else (-_OUT_MM, 0.0)
    sheet = view_of(behind, 1, (shape,), (start, start + _BEHIND_MM), across, _HEIGHTS_MM).silhouette(step)
    return sheet if side is Side.RIGHT else replace(sheet, first_mm=-sheet.first_mm[::-1], level=sheet.level[::-1])


def _lowest(sheet: Sheet) -> FloatArray:
    """Second coordinate at which a shape begins in each column, from below, shape (n,); NaN where it has none."""
    inside = sheet.level < 0
    index = inside.argmax(axis=1)
    column = np.flatnonzero(inside.any(axis=1) & (index > 0))
    free, bone = sheet.level[column, index[column] - 1], sheet.level[column, index[column]]
    result = np.full(len(inside), np.nan)
    result[column] = sheet.second_mm[index[column] - 1] + sheet.step_mm * free / (free - bone)
    return result


def _highest_stretch(out: FloatArray, height: FloatArray) -> tuple[float, slice]:
    """The greatest mean height over a stretch of columns medial to the joint, and those columns."""
    joint = (out >= _NEAREST_JOINT_MM) & ~(height > -_JOINT_OVERLAP_MM)
    inner = int(joint.argmax()) if joint.any() else len(out)
    wide = round(_STRETCH_MM / float(out[1] - out[0])) + 1
    if inner < wide:
        return 0.0, slice(0, 0)
    mean = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(height[:inner], nan=-np.inf), wide).mean(axis=1)
    best = int(mean.argmax())
    return float(mean[best]), slice(best, best + wide)
