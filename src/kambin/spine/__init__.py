"""The values that describe one patient's spine."""

from kambin.spine.model import Doubt, Endplate, MotionSegment, PedicleNeck, Severity, SpineModel, Vertebra
from kambin.spine.solid import Solid, SurfaceMesh

__all__ = ["Doubt", "Endplate", "MotionSegment", "PedicleNeck", "Severity", "Solid", "SpineModel", "SurfaceMesh", "Vertebra"]
