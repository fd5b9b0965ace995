"""Disc heights (anterior, middle, posterior) and the wedge angle.

Heights (mm) between the two endplates along the segment's cranial axis, in the mid-sagittal plane: at the middle of their
common depth, and one tenth of
it inside the anterior and the posterior edge, where a rounded rim no longer counts. The wedge angle (°) lies between the
endplates' planes in the
sagittal plane, positive when the disc is higher in front.
"""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, NotMeasurable, Quantity
from kambin.spine import MotionSegment

_EDGE_FRACTION = 0.1
_MIDLINE_MM = 3.0


def _height(key: str, symbol: str, where: str) -> Quantity:
    return Quantity(
        key=key,
        symbol=symbol,
        name=f"{where} disc height",
        unit="mm",
        definition=f"Distance between the endplates along the segment's cranial axis in the mid-sagittal plane, {_WHERE[where]}.",
        plausible=(0.5, 24.0),
        published=PUBLISHED.get(key, {}),
    )


_WHERE = {
    "anterior": "a tenth of their common depth behind the anterior edge",
    "middle": "at the middle of their common depth",
    "posterior": "a tenth of their common depth before the posterior edge",
}
ANTERIOR = _height("disc_height_anterior", "DHa", "anterior")
MIDDLE = _height("disc_height_middle", "DHm", "middle")
POSTERIOR = _height("disc_height_posterior", "DHp", "posterior")
WEDGE = Quantity(
    key="disc_wedge_angle",
    symbol="DW",
    name="disc wedge angle",
    unit="°",
    definition="Angle between the two endplates' planes in the sagittal plane, positive when the disc is higher in front.",
    plausible=(-15.0, 35.0),
    published=PUBLISHED.get("disc_wedge_angle", {}),
)
_FRACTIONS = {ANTERIOR: 1.0 - _EDGE_FRACTION, MIDDLE: 0.5, POSTERIOR: _EDGE_FRACTION}


def disc_heights(segment: MotionSegment) -> dict[Quantity, tuple[float, Evidence]]:
    """DHa, DHm and DHp of one segment, mm.

    Raises
    ------
    NotMeasurable
        When the endplates do not reach the mid-sagittal plane.
    """
    top, bottom = (segment.frame.local(plate.points_mm) for plate in (segment.upper_endplate, segment.lower_endplate))
    top, bottom = (points[np.abs(points[:, 0]) <= _MIDLINE_MM] for points in (top, bottom))
    if len(top) < 10 or len(bottom) < 10:
        raise NotMeasurable(f"the endplates of {segment.name} do not reach the mid-sagittal plane")
    back, front = max(top[:, 1].min(), bottom[:, 1].min()), min(top[:, 1].max(), bottom[:, 1].max())
    result = {}
    for quantity, fraction in _FRACTIONS.items():
        at = back + fraction * (front - back)
        high, low = _height_at(top, at), _height_at(bottom, at)
        line = segment.frame.world([[0.0, at, low], [0.0, at, high]])
        evidence = Evidence(curves=(EvidenceCurve(quantity.symbol, line, role="measure"),), view="sagittal")
        result[quantity] = (high - low, evidence)
    return result


def _height_at(points: FloatArray, anterior_mm: float) -> float:
    """Mean height near one depth: a line fitted to the points within 1.5 mm of it."""
    near = points[np.abs(points[:, 1] - anterior_mm) <= 1.5]
    if len(near) < 3:
        raise NotMeasurable("the endplate has a gap in the mid-sagittal plane")
    offset = near[:, 1] - anterior_mm
    design = np.stack([np.ones(len(near)), offset], axis=1)
    return float(np.linalg.lstsq(design, near[:, 2], rcond=None)[0][0])


def disc_wedge(segment: MotionSegment) -> tuple[float, Evidence]:
    """Wedge angle of one segment, degrees."""
    planes = (segment.upper_endplate.plane, segment.lower_endplate.plane)
    axes = segment.frame.axes
    # Slope of each endplate in the sagittal plane: rise per millimetre forward.
    slopes = [-(axes[1] @ plane.normal) / (axes[2] @ plane.normal) for plane in planes]
    value = float(np.degrees(np.arctan(slopes[0]) - np.arctan(slopes[1])))
    names = ("endplate above", "endplate below")
    return value, Evidence(
        planes=tuple(EvidencePlane(name, plane.origin_mm, plane.normal) for name, plane in zip(names, planes, strict=True)), view="sagittal"
    )
