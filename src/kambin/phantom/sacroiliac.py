"""The sacro-iliac joint: one curved sheet for both bones, so that they lie against each other everywhere and overlap nowhere.

Its course follows sections of one man's pelvis (Remus 2021, PLoS ONE 16:e0250456), brought to the published breadth of the sacrum.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kambin.phantom.field import Box, Points, Values, smooth_maximum

GAP_MM = 3.0
"""From bone to bone; 2 to 4 mm on CT."""
_ANTERIOR_X_MM, _AT_Z_MM, _LOWEST_Z_MM = 61.7, -15.0, -46.0
_TAPER = 0.40
_FALL_MM, _FALL_CENTRE_MM, _FALL_WIDTH_MM = 11.0, -24.0, 15.0
_STEEPEST = 1.0 / (1.0 + _TAPER**2 + (_FALL_MM / _FALL_WIDTH_MM) ** 2) ** 0.5


@dataclass(frozen=True, eq=False)
class Sheet:
    """What lies on one side of both joints, in the frame of the S1 endplate and of either side of the body.

    In front the sheet stands 10 to 20 degrees to the sagittal plane, in its middle 36: the joint runs backwards and inwards. Downwards
    the two sheets converge, as a wedge: the sacrum hangs between the ilia; below S2 they run straight down.

    Parameters
    ----------
    scale
        Of the patient's bones.
    lateral
        True for all that lies lateral of the sheet, False for what lies between the two.
    clear_mm
        By how much the shape is enlarged beyond the sheet.
    """

    scale: float
    lateral: bool
    clear_mm: float = 0.0
    slope: float = field(default=1.0, init=False)

    @property
    def box(self) -> Box:
        return Box.everywhere()

    def __call__(self, points: Points) -> Values:
        kind = points.dtype.type
        outward = self.outward(points)
        return (-outward if self.lateral else outward) - kind(self.clear_mm)

    def outward(self, points: Points) -> Values:
        """About the distance from the sheet, positive laterally; points in the frame of the S1 endplate."""
        x, y, z = points
        kind = points.dtype.type
        behind = (kind(_FALL_CENTRE_MM * self.scale) - y) * kind(1 / (_FALL_WIDTH_MM * self.scale))
        height = smooth_maximum(z, np.full_like(z, _LOWEST_Z_MM * self.scale), 16.0)
        sheet = kind(_ANTERIOR_X_MM * self.scale) + kind(_TAPER) * (height - kind(_AT_Z_MM * self.scale))
        sheet = sheet - kind(_FALL_MM * self.scale) * (1 + np.tanh(behind))
        return np.asarray((np.abs(x) - sheet) * kind(_STEEPEST))
