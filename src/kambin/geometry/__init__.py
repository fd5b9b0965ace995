"""Frames, planes, curves and sections: float64, millimetres, numpy and scipy only."""

from kambin.geometry.frame import FloatArray, Frame, angle_deg, turned, unit
from kambin.geometry.plane import Plane

__all__ = ["FloatArray", "Frame", "Plane", "angle_deg", "turned", "unit"]
