"""Lordosis, segment angles and sacral slope, in the posture of the scan (usually lying).

Angles (°) between endplates, projected on the mean sagittal plane. Lordosis: upper endplate of L1 to upper endplate of S1,
positive when the spine is hollow behind.
Segment angle: upper endplate of the upper to upper endplate of the lower vertebra, so that the segment angles from L1/L2 to
L5/S1 add up to the lordosis. Sacral
slope: upper endplate of S1 to the scan's horizontal (axial) plane, positive when it falls forward.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Level
from kambin.geometry import Frame, Plane, unit
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, NotMeasurable, Quantity
from kambin.spine import Endplate, MotionSegment, SpineModel, Vertebra

LORDOSIS = Quantity(
    key="lordosis",
    symbol="LL",
    name="lumbar lordosis L1–S1",
    unit="°",
    definition="Angle between the upper endplates of L1 and S1 in the mean sagittal plane, positive when hollow "
    "behind; in the scan's posture.",
    plausible=(-20.0, 95.0),
    published=PUBLISHED.get("lordosis", {}),
)
SEGMENT_ANGLE = Quantity(
    key="segment_angle",
    symbol="SA",
    name="segment angle",
    unit="°",
    definition="Angle between the upper endplates of the two vertebrae in the mean sagittal plane, positive when lordotic.",
    plausible=(-20.0, 45.0),
    published=PUBLISHED.get("segment_angle", {}),
)
SACRAL_SLOPE = Quantity(
    key="sacral_slope",
    symbol="SS",
    name="sacral slope",
    unit="°",
    definition="Angle between the upper endplate of S1 and the scan's axial plane in the mean sagittal plane, "
    "positive when it falls forward.",
    plausible=(0.0, 80.0),
    published=PUBLISHED.get("sacral_slope", {}),
)


def _upper_endplate(vertebra: Vertebra | None, level: Level) -> Endplate:
    if vertebra is None:
        raise NotMeasurable(f"{level} is not labelled")
    if vertebra.upper_endplate is None:
        raise NotMeasurable(f"the upper endplate of {level} is not in the field of view or was not found")
    return vertebra.upper_endplate


def tilt_deg(normal: np.ndarray, frame: Frame) -> float:
    """How far a cranial normal leans forward in a frame's sagittal plane, degrees."""
    return float(np.degrees(np.arctan2(normal @ frame.anterior, normal @ frame.cranial)))


def _evidence(frame: Frame, **plates: Endplate) -> Evidence:
    curves, planes = [], []
    for name, plate in plates.items():
        words = name.replace("_", " ")
        points = frame.local(plate.points_mm)
        middle = points[np.abs(points[:, 0] - np.median(points[:, 0])) <= 3.0]
        ends = plate.points_mm[[0, 0]] if not len(middle) else frame.world(middle[[middle[:, 1].argmin(), middle[:, 1].argmax()]])
        curves.append(EvidenceCurve(words, Plane(plate.plane.origin_mm, plate.plane.normal).projected(ends), role="measure"))
        planes.append(EvidencePlane(words, plate.plane.origin_mm, plate.plane.normal))
    return Evidence(curves=tuple(curves), planes=tuple(planes), view="sagittal")


def lordosis(model: SpineModel) -> tuple[float, Evidence]:
    """LL, degrees.

    Raises
    ------
    NotMeasurable
        When L1 or S1 or its upper endplate is missing.
    """
    upper = _upper_endplate(model.vertebra(Level.L1), Level.L1)
    lower = _upper_endplate(model.vertebra(Level.S1), Level.S1)
    frame = model.patient_frame
    value = tilt_deg(lower.plane.normal, frame) - tilt_deg(upper.plane.normal, frame)
    return value, _evidence(frame, upper_endplate_of_L1=upper, upper_endplate_of_S1=lower)


def segment_angle(model: SpineModel, segment: MotionSegment) -> tuple[float, Evidence]:
    """SA of one segment, degrees.

    Raises
    ------
    NotMeasurable
        When an upper endplate is missing.
    """
    upper = _upper_endplate(segment.upper, segment.upper.level)
    lower = _upper_endplate(segment.lower, segment.lower.level)
    frame = model.patient_frame
    value = tilt_deg(lower.plane.normal, frame) - tilt_deg(upper.plane.normal, frame)
    return value, _evidence(frame, upper_endplate_above=upper, upper_endplate_below=lower)


def sacral_slope(model: SpineModel) -> tuple[float, Evidence]:
    """SS, degrees.

    Raises
    ------
    NotMeasurable
        When S1 or its upper endplate is missing.
    """
    plate = _upper_endplate(model.vertebra(Level.S1), Level.S1)
    vertical = np.array([0.0, 0.0, 1.0])
    anterior = model.patient_frame.anterior
    upright = Frame.from_cranial_anterior(plate.plane.origin_mm, vertical, unit(anterior - anterior[2] * vertical))
    return tilt_deg(plate.plane.normal, upright), _evidence(upright, upper_endplate_of_S1=plate)
