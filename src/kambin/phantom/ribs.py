"""The eleventh and twelfth ribs, for the sake of pictures: round bars from the column around the flank. They have no name in label maps.

The twelfth is about 110 mm long and slopes down by 40 degrees, the eleventh twice as long (recalled).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.phantom.column import Column
from kambin.phantom.column_line import column_line
from kambin.phantom.compose import Common, Offset, Union
from kambin.phantom.field import capsule
from kambin.phantom.marrow import bone_layers
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Piece
from kambin.phantom.skin import build_trunk, build_wall

# From the middle of T12: away, ahead, up; mean man's millimetres. Beyond the second point the share of the flank's half width is given.
_TWELFTH = ((23.0, -14.0, 4.0), (44.0, -36.0, -4.0), (0.50, -40.0, -20.0), (0.70, -26.0, -42.0), (0.80, -12.0, -58.0))
_ELEVENTH = ((22.0, -12.0, 34.0), (46.0, -38.0, 26.0), (0.62, -36.0, 6.0), (0.84, -4.0, -22.0), (0.92, 26.0, -46.0), (0.93, 46.0, -60.0))
_RADIUS_MM = 4.2


def rib_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """The lower two pairs, within the wall of the trunk."""
    line = column_line(parameters, column)
    wall = build_wall(parameters, line, build_trunk(parameters, line))
    middle = column.vertebrae[Level.T12].frame.origin_mm
    half = float(wall.profile(np.array([middle[2]]))[2][0])
    inside = Offset(wall, -1.0)
    layers = bone_layers(parameters, Kind.VERTEBRA, Level.T12)
    pieces = []
    for rows in (_ELEVENTH, _TWELFTH):
        for side in Side:
            points = []
            for away, ahead, up in rows:
                right = away * column.scale if away > 1.0 else away * half
                points.append(middle + np.array([side.sign * right, ahead * column.scale, up * column.scale]))
            bars = [capsule(a, b, _RADIUS_MM, _RADIUS_MM) for a, b in pairwise(points)]
            # Its first part lies behind the wall's muscles.
            pieces += [Piece(Union(tuple(bars[:2]), 2.0), layers), Piece(Common((Union(tuple(bars[1:]), 2.0), inside), 1.0), layers)]
    return tuple(pieces)
