"""Slip (listhesis) of a vertebra on the one below.

Offset (mm) of the posterior edge of the upper vertebra's lower endplate from the posterior edge of the lower vertebra's upper
endplate, along the lower
endplate's anterior direction in the mid-sagittal plane: positive when the upper vertebra lies too far forward
(anterolisthesis). In per cent of the depth of the
lower vertebra's upper endplate (Meyerding, Taillard).
"""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray, unit
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import Endplate, MotionSegment

SLIP = Quantity(
    key="slip_mm",
    symbol="SL",
    name="slip",
    unit="mm",
    definition="Offset of the posterior edges of the facing endplates along the lower endplate in the mid-sagittal "
    "plane; positive when the upper "
    "vertebra lies forward.",
    plausible=(-12.0, 25.0),
    published=PUBLISHED.get("slip_mm", {}),
)
SLIP_PERCENT = Quantity(
    key="slip_percent",
    symbol="SL%",
    name="slip of endplate depth",
    unit="%",
    definition="Slip as a fraction of the depth of the lower vertebra's upper endplate.",
    plausible=(-30.0, 75.0),
    published=PUBLISHED.get("slip_percent", {}),
)
_MIDLINE_MM = 4.0


def slip(segment: MotionSegment) -> dict[Quantity, tuple[float, Evidence]]:
    """Slip of one segment, mm and %.

    Raises
    ------
    NotMeasurable
        When an endplate does not reach the mid-sagittal plane.
    """
    above, below = segment.upper.lower_endplate, segment.lower.upper_endplate
    if above is None or below is None:
        raise NotMeasurable("an endplate is not in the field of view")
    normal = below.plane.normal
    forward = unit(segment.frame.anterior - (segment.frame.anterior @ normal) * normal)
    upper_back, _ = _edges(segment, above, forward)
    lower_back, lower_front = _edges(segment, below, forward)
    value = float((upper_back - lower_back) @ forward)
    depth = float((lower_front - lower_back) @ forward)
    foot = upper_back - ((upper_back - lower_back) @ normal) * normal
    evidence = Evidence(
        points=(EvidencePoint("posterior edge above", upper_back), EvidencePoint("posterior edge below", lower_back)),
        curves=(
            EvidenceCurve("slip", np.stack([lower_back, lower_back + value * forward]), role="measure"),
            EvidenceCurve("perpendicular", np.stack([foot, upper_back])),
            EvidenceCurve("endplate depth", np.stack([lower_back, lower_front])),
        ),
        facts={"endplate_depth_mm": round(depth, 3)},
        view="sagittal",
    )
    return {SLIP: (value, evidence), SLIP_PERCENT: (100.0 * value / depth, evidence)}


def _edges(segment: MotionSegment, plate: Endplate, forward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Posterior and anterior edge of an endplate near the mid-sagittal plane, RAS."""
    points = plate.points_mm[np.abs(segment.frame.local(plate.points_mm)[:, 0]) <= _MIDLINE_MM]
    if len(points) < 10:
        raise NotMeasurable(f"an endplate of {segment.name} does not reach the mid-sagittal plane")
    along = points @ forward
    # The mean of the extreme points of every lattice column: one ragged voxel does not decide.
    right = np.round(segment.frame.local(points)[:, 0])
    back = np.stack([points[right == k][along[right == k].argmin()] for k in np.unique(right)])
    front = np.stack([points[right == k][along[right == k].argmax()] for k in np.unique(right)])
    return back.mean(axis=0), front.mean(axis=0)
