"""Where a transforaminal channel ends: point *b*, on the posterior border of the disc beneath the medial line of the pedicle."""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.measurement.pedicle_size import pedicle_outline_mm
from kambin.measurement.result import NotMeasurable
from kambin.spine import MotionSegment, Vertebra


def medial_pedicle_line_mm(segment: MotionSegment, side: Side) -> float:
    """How far along *right* of the segment's frame the medial borders of its pedicles lie, as they are seen from behind: of each the
    innermost point of its narrowest section, and the mean of those that were found.

    Raises
    ------
    NotMeasurable
        When no pedicle of that side was found.
    """
    found = [_medial_border_mm(vertebra, segment.frame, side) for vertebra in (segment.upper, segment.lower) if side in vertebra.pedicles]
    if not found:
        raise NotMeasurable(f"no {side} pedicle of {segment.upper.level} or {segment.lower.level} was found")
    return float(np.mean(found))


def _medial_border_mm(vertebra: Vertebra, frame: Frame, side: Side) -> float:
    try:
        outline = pedicle_outline_mm(vertebra, side)
    except NotMeasurable:  # of a pedicle without a section of its own, the border that its parts were told apart by
        outline = vertebra.pedicles[side].medial_mm[None]
    return float(side.sign * (side.sign * frame.local(outline)[:, 0]).min())


def point_b_mm(segment: MotionSegment, side: Side) -> FloatArray:
    """The target of the published transforaminal approach, RAS, shape (3,).

    Seen from behind, where the medial line of the pedicle crosses the middle line of the disc; in depth, on the disc's posterior border
    (`peld-l5s1`).

    Raises
    ------
    NotMeasurable
        When no pedicle of that side was found, or the disc does not reach out to its medial line.
    """
    right = medial_pedicle_line_mm(segment, side)
    return posterior_border_mm(segment, right, f"the medial line of the {side} pedicle")


def posterior_border_mm(segment: MotionSegment, right_mm: float, what: str) -> FloatArray:
    """The disc's posterior border in its mid-plane, so far along *right*, RAS, shape (3,).

    Raises
    ------
    NotMeasurable
        When the disc does not reach out to `what` lies there.
    """
    outlines = [loop for loop in segment.disc.section(segment.frame).loops if len(loop)]
    crossings = [depth for loop in outlines for depth in _depths_at(loop, right_mm)]
    if not crossings:
        raise NotMeasurable(f"the {segment.name} disc ends before {what}, {abs(right_mm):.1f} mm from the middle")
    return segment.frame.world([right_mm, min(crossings), 0.0])


def _depths_at(loop: FloatArray, right: float) -> list[float]:
    """The anterior coordinates at which a closed outline crosses the line at *right*."""
    start, end = loop, np.roll(loop, -1, axis=0)
    crosses = (start[:, 0] < right) != (end[:, 0] < right)
    start, end = start[crosses], end[crosses]
    share = (right - start[:, 0]) / (end[:, 0] - start[:, 0])
    return list(start[:, 1] + share * (end[:, 1] - start[:, 1]))
