"""True angles between upper endplates in the mean sagittal plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kambin.anatomy.structures import Level
from kambin.geometry import FloatArray, Frame, unit
from kambin.phantom.truth.endplates import Posed
from kambin.phantom.truth.value import Unknown


def patient_frame(posed: Mapping[Level, Posed]) -> Frame:
    """The column as a whole: cranial from its lowest to its highest lumbar (or thoracic) body, anterior their mean."""
    frames = [bone.frame for level, bone in posed.items() if level is not Level.S1]
    if len(frames) < 2:
        raise Unknown("the column has fewer than two vertebrae")
    cranial = frames[0].origin_mm - frames[-1].origin_mm
    middle = np.mean([frame.origin_mm for frame in frames], axis=0)
    return Frame.from_cranial_anterior(middle, cranial, np.mean([frame.anterior for frame in frames], axis=0))


def tilt_deg(normal: FloatArray, frame: Frame) -> float:
    """How far a cranial normal leans forward in a frame's sagittal plane."""
    return float(np.degrees(np.arctan2(normal @ frame.anterior, normal @ frame.cranial)))


def between(posed: Mapping[Level, Posed], upper: Level, lower: Level) -> float:
    """Angle between the upper endplates of two bones, degrees, positive when lordotic."""
    frame = patient_frame(posed)
    above, below = (_posed(posed, level) for level in (upper, lower))
    return tilt_deg(below.upper_normal, frame) - tilt_deg(above.upper_normal, frame)


def sacral_slope(posed: Mapping[Level, Posed]) -> float:
    """Of the upper endplate of S1 to the axial plane of RAS, degrees."""
    bone, vertical = _posed(posed, Level.S1), np.array([0.0, 0.0, 1.0])
    anterior = patient_frame(posed).anterior
    upright = Frame.from_cranial_anterior(bone.frame.origin_mm, vertical, unit(anterior - anterior[2] * vertical))
    return tilt_deg(bone.upper_normal, upright)


def _posed(posed: Mapping[Level, Posed], level: Level) -> Posed:
    if level not in posed:
        raise Unknown(f"this patient has no {'sacrum' if level is Level.S1 else level}")
    return posed[level]
