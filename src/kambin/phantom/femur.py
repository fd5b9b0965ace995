"""The upper ends of the thigh bones, for the sake of pictures: what lies in the hip's socket. They have no name in label maps.

Of the mean man: head 47 wide, neck 127 degrees to the shaft and 12 forward, 50 from the head's centre to the shaft's axis (recalled).
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Side
from kambin.phantom.column import Column
from kambin.phantom.column_line import column_line
from kambin.phantom.compose import Common, Offset, Union
from kambin.phantom.field import Field, capsule
from kambin.phantom.hip import HEAD_MM, HEAD_RADIUS_MM, Mirrored, pelvic_frame
from kambin.phantom.marrow import bone_layers
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.skin import build_trunk
from kambin.phantom.tissue import Tissue

_NECK_MM, _INCLINATION_DEG, _ANTEVERSION_DEG = 50.0, 127.0, 12.0
_SHAFT_MM, _SHAFT_LEAN_DEG = 220.0, 7.0
_CARTILAGE_MM, _CORTEX_OF_SHAFT_MM = 1.5, 6.0
_BENEATH_SKIN_MM = 6.0


def femur_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """Head with its cartilage, neck, trochanters and the beginning of the shaft, on both sides; to be painted before the hip bones."""
    frame = pelvic_frame(parameters, column)
    inside = Offset(build_trunk(parameters, column_line(parameters, column)), -_BENEATH_SKIN_MM)
    ends, shaft = _end_and_shaft()
    cover = capsule(HEAD_MM, HEAD_MM, HEAD_RADIUS_MM)
    hollow = bone_layers(parameters, Kind.HIP)
    solid = (hollow[0], Layer(hollow[-1].tissue, _CORTEX_OF_SHAFT_MM))
    pieces = []
    for side in Side:
        for shape, layers in ((shaft, solid), (cover, (Layer(Tissue.CARTILAGE),)), (ends, hollow)):
            pieces.append(Piece(Common((Mirrored(shape, frame, side, column.scale), inside), 1.0), layers))
    return tuple(pieces)


def _end_and_shaft() -> tuple[Field, Field]:
    """Of the right side, upright, for the mean man's size."""
    steep, forward = np.radians(_INCLINATION_DEG - 90.0), np.radians(_ANTEVERSION_DEG)
    along = np.array([np.cos(steep) * np.cos(forward), -np.cos(steep) * np.sin(forward), -np.sin(steep)])
    root = HEAD_MM + _NECK_MM * along
    down = np.array([-np.sin(np.radians(_SHAFT_LEAN_DEG)), 0.0, -np.cos(np.radians(_SHAFT_LEAN_DEG))])
    head = capsule(HEAD_MM, HEAD_MM, HEAD_RADIUS_MM - _CARTILAGE_MM)
    neck = capsule(HEAD_MM + 12.0 * along, root, 14.5, 17.0)
    greater = capsule(root + np.array([2.0, -4.0, 2.0]), root + np.array([9.0, -9.0, 20.0]), 16.0, 10.0)
    lesser = capsule(root + 38.0 * down, root + 40.0 * down + np.array([-13.0, -11.0, 0.0]), 13.0, 6.5)
    metaphysis = capsule(root, root + 55.0 * down, 18.0, 14.5)
    end = Union((head, Union((neck, greater, lesser, metaphysis), 8.0)), 3.0)
    return end, capsule(root + 30.0 * down, root + _SHAFT_MM * down, 15.5, 14.0)
