"""The C-arm's angles for the view down a needle: its barrel seen end-on, its tip and hub one dot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.spine import SpineModel


@dataclass(frozen=True, slots=True)
class CArm:
    """How a C-arm is turned from the antero-posterior view.

    Parameters
    ----------
    oblique_deg
        Towards the side of the needle: 0 straight from behind, 90 straight from that side.
    cranio_caudal_deg
        The end of the beam behind the patient raised towards the head (positive) or lowered towards the feet.
    """

    oblique_deg: float
    cranio_caudal_deg: float

    def towards_the_eye(self, frame: Frame, side: Side) -> FloatArray:
        """The unit vector along the beam, out of the back, RAS, shape (3,): the inverse of `down_the_barrel`."""
        turn, rise = np.radians([self.oblique_deg, self.cranio_caudal_deg])
        out, behind = side.sign * np.sin(turn), np.cos(turn)
        return np.asarray(np.array([out * np.cos(rise), -behind * np.cos(rise), np.sin(rise)]) @ frame.axes)


def down_the_barrel(direction: FloatArray, frame: Frame, side: Side) -> CArm:
    """The angles of the view along a needle.

    Parameters
    ----------
    direction
        From the needle's tip outwards, RAS, of length one, shape (3,).
    frame
        Whose *anterior* and *cranial* the angles are counted from: a segment's, or the scan's.
    side
        Of the needle.
    """
    right, anterior, cranial = frame.axes @ direction
    oblique = np.degrees(np.arctan2(side.sign * right, -anterior))
    return CArm(float(oblique), float(np.degrees(np.arcsin(np.clip(cranial, -1.0, 1.0)))))


def scan_frame(model: SpineModel) -> Frame:
    """The scan's own directions, about its middle: *cranial* is square to its axial slices."""
    columns = model.grid.world_from_voxel[:3, :3]
    middle = model.grid.world((np.asarray(model.grid.shape) - 1) / 2)
    return Frame.from_cranial_anterior(middle, np.cross(columns[:, 0], columns[:, 1]), columns[:, 1])
