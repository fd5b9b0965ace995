"""Slip (listhesis) of a vertebra on the one below.

Offset (mm) of the posterior corner of the upper vertebra's lower endplate from the posterior corner of the lower vertebra's upper
endplate, along the lower endplate's anterior direction in the mid-sagittal plane: positive when the upper vertebra lies too far forward
(anterolisthesis). A corner is where the line along the posterior wall meets the line along the endplate (`body_corner`). In per cent of
the depth of the lower vertebra's upper endplate (Meyerding, Taillard).
"""

from __future__ import annotations

import numpy as np

from kambin.geometry import unit
from kambin.measurement.body_corner import body_edges
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment

SLIP = Quantity(
    key="slip_mm",
    symbol="SL",
    name="slip",
    unit="mm",
    definition="Offset of the posterior corners (posterior wall line, endplate line) of the facing endplates along the lower endplate "
    "in the mid-sagittal plane; positive when the upper vertebra lies forward.",
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


def slip(segment: MotionSegment) -> dict[Quantity, tuple[float, Evidence]]:
    """Slip of one segment, mm and %.

    Raises
    ------
    NotMeasurable
        When an endplate is not there, or a body does not reach the mid-sagittal plane.
    """
    above, below = segment.upper.lower_endplate, segment.lower.upper_endplate
    if above is None or below is None:
        raise NotMeasurable("an endplate is not in the field of view")
    normal = below.plane.normal
    forward = unit(segment.frame.anterior - (segment.frame.anterior @ normal) * normal)
    upper_back = body_edges(segment.upper, above, segment.frame).back_mm
    edges = body_edges(segment.lower, below, segment.frame)
    lower_back, lower_front = edges.back_mm, edges.front_mm
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
