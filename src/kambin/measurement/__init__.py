"""One small file a quantity; `measure` takes them all."""

from kambin.measurement.measure import measure
from kambin.measurement.result import (
    Evidence,
    EvidenceCurve,
    EvidencePlane,
    EvidencePoint,
    Measurement,
    Measurements,
    NotMeasurable,
    Published,
    Quantity,
)

__all__ = [
    "Evidence",
    "EvidenceCurve",
    "EvidencePlane",
    "EvidencePoint",
    "Measurement",
    "Measurements",
    "NotMeasurable",
    "Published",
    "Quantity",
    "measure",
]
