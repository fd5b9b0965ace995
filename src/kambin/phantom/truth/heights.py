"""True heights, widths and depths of discs and vertebral bodies, and the wedge of discs."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Field
from kambin.phantom.truth.endplates import Posed, Segment, first_met, level_in, mid_sagittal_edges
from kambin.phantom.truth.plane import Flat, axis, curves, extent, finely, largest
from kambin.phantom.truth.value import Unknown

_EDGE = 0.1
"""The anterior and the posterior height are taken this share of the common depth inside its ends."""
_LINE_STEP = 0.2
"""Of the line that edges are looked for on, as a share of the endplates' step."""


def disc_heights(segment: Segment, step: float) -> dict[str, float]:
    """DHa, DHm and DHp of one segment, mm."""
    upper, _, lower = segment.space.whole()
    return _heights(("DHa", "DHm", "DHp"), (upper.shape, lower.shape), segment.frame, (0.0, 16.0), (0.0, -16.0), step)


def body_heights(posed: Posed, step: float) -> dict[str, float]:
    """VHa, VHm and VHp of one vertebra, mm."""
    half = posed.bone.half_height_mm
    return _heights(("VHa", "VHm", "VHp"), (posed.bone.shape,) * 2, posed.frame, (half + 7.0, 0.0), (-half - 7.0, 0.0), step)


def _heights(
    symbols: tuple[str, str, str],
    shapes: tuple[Field, Field],
    frame: Frame,
    above: tuple[float, float],
    below: tuple[float, float],
    step: float,
) -> dict[str, float]:
    """Distances between two surfaces along *cranial* in the mid-sagittal plane, at shares of their common depth.

    Parameters
    ----------
    shapes
        Whose surfaces lie above and below.
    above, below
        Where rays to each of them begin and end.
    """
    anterior = axis(-26.0, 26.0, _LINE_STEP * step)
    ends = []
    for shape, (start, stop) in zip(shapes, (above, below), strict=True):
        line = first_met(shape, frame, np.column_stack([np.zeros_like(anterior), anterior]), start, stop)
        ends.append(mid_sagittal_edges(line, anterior))
    back, front = max(end[0] for end in ends), min(end[1] for end in ends)
    at = back + np.array([1.0 - _EDGE, 0.5, _EDGE]) * (front - back)
    columns = np.column_stack([np.zeros(3), at])
    high, low = (first_met(shape, frame, columns, *way) for shape, way in zip(shapes, (above, below), strict=True))
    if not np.isfinite(high - low).all():
        raise Unknown("the endplates do not reach the mid-sagittal plane")
    return dict(zip(symbols, (high - low).tolist(), strict=True))


def disc_wedge(segment: Segment) -> dict[str, float]:
    """DW, degrees: between the planes of the two endplates in the sagittal plane."""
    lean = [np.degrees(np.arctan2(-normal[1], normal[2])) for normal in (segment.top.normal(), segment.bottom.normal())]
    return {"DW": float(lean[0] - lean[1])}


def body_width_and_depth(posed: Posed, step: float) -> dict[str, float]:
    """VW of the body alone and VD of the bone, mm, at mid-height."""
    frame = posed.frame
    loop = largest(curves(finely(Flat.axial(frame).level(posed.bone.body), (-40.0, 40.0), (-32.0, 32.0), 0.5 * step)))
    if loop is None:
        raise Unknown(f"the body of {posed.bone.level} does not reach its own mid-height")
    return {"VW": extent(loop, (1.0, 0.0)), "VD": _depth(posed.bone.shape, frame)}


def _depth(shape: Field, frame: Frame) -> float:
    """Chord of the bone through the frame's origin along *anterior*."""
    return sum(_way_out(shape, frame, np.array([0.0, sign, 0.0])) for sign in (-1.0, 1.0))


def _way_out(shape: Field, frame: Frame, way: FloatArray) -> float:
    """Distance from a frame's origin, inside a shape, to its surface."""
    at = axis(0.0, 32.0, 0.25)
    level = level_in(shape, frame, at[:, None] * way)
    if level[0] >= 0 or (level < 0).all():
        raise Unknown("the body has no surface on its own axis")
    out = int((level >= 0).argmax())
    low, high = at[out - 1], at[out]
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if level_in(shape, frame, (middle * way)[None])[0] < 0 else (low, middle)
    return float(0.5 * (low + high))
