"""Muscles of the pelvis: what lies on both sides of the iliac wing, the great gluteal muscle behind it, and those around the hip joint.

Gluteus medius and minimus outside and the iliacus inside arise from the wing itself, so they are told on its chart: thin below the crest,
thicker the farther from it, bone on their one side. The others are lofts. Places and thicknesses were read off one contrast-enhanced CT
of an adult. All may run beneath bones, which are painted over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kambin.anatomy.structures import Side
from kambin.phantom.column import Column
from kambin.phantom.column_line import ColumnLine, column_line
from kambin.phantom.compose import Common, Union
from kambin.phantom.field import Box, Field, Points, Values, smooth_maximum
from kambin.phantom.hip import Mirrored, fitted_wing, pelvic_frame
from kambin.phantom.ilium import RIDGE, Wing, into_chart
from kambin.phantom.loft import Loft, Section, loft, measured_slope
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.tissue import Material, Tissue

_FAR_MM = 34.0
"""Further off than this the wing's tilt at the foot of a point says nothing any more."""
_SPARE_MM = 2.0
"""No muscle on the wing comes nearer to that."""
_FASCIA_MM = 0.8
"""Of fat between the great gluteal muscle and those beneath it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What of one side of the iliac wing a muscle arises from, and how thick it lies there on the mean man.

    Parameters
    ----------
    outside
        1 for the outer side, -1 for the fossa.
    rim_mm, most_mm, half_at_mm
        Thickness from the wing's middle at the rim, the most it comes near to, and the depth below the rim at which it is amid both.
    inset_mm
        How far within the wing's outline it ends.
    from_mm
        The place of the chart at which it begins, counted forwards: the sacroiliac joint and what is behind it bear no iliacus.
    """

    outside: float
    rim_mm: float
    most_mm: float
    half_at_mm: float
    inset_mm: float
    from_mm: float


_GLUTEAL = Origin(outside=1.0, rim_mm=5.0, most_mm=36.0, half_at_mm=20.0, inset_mm=1.0, from_mm=-60.0)
_ILIACUS = Origin(outside=-1.0, rim_mm=5.0, most_mm=32.0, half_at_mm=24.0, inset_mm=2.0, from_mm=16.0)


@dataclass(frozen=True, eq=False)
class OnWing:
    """What arises from one side of the right iliac wing, upright, for the mean man's size; it reaches into the bone.

    Parameters
    ----------
    wing
        The bone.
    origin
        Where on it.
    strength
        How thick, against the mean man's; where that would be more than the wing's chart can tell, no thicker than it can.
    """

    wing: Wing
    origin: Origin
    strength: float
    slope: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", measured_slope(self))

    @property
    def box(self) -> Box:
        return self.wing.box

    def __call__(self, points: Points) -> Values:
        kind, origin = points.dtype.type, self.origin
        u, v, w = into_chart(points)
        v = self.wing.still(v)
        middle, tilt = self.wing.sheet(u, v)
        edge = self.wing.outline.level(u, v)
        reach = kind(_FAR_MM) / np.sqrt(1 + tilt)
        out = np.clip(kind(origin.outside) * (w - middle) / np.sqrt(1 + tilt), -reach, reach)
        deep = np.maximum(-edge - kind(origin.inset_mm), 0)
        more = kind(self.strength * (origin.most_mm - origin.rim_mm)) * deep / (deep + kind(origin.half_at_mm))
        thick = np.minimum(kind(origin.rim_mm) + more, reach - kind(_SPARE_MM))
        behind = kind(origin.from_mm) - u - kind(RIDGE) * v
        level = smooth_maximum(out - thick, edge + kind(origin.inset_mm), 6.0)
        level = smooth_maximum(level, behind, 10.0)
        return np.asarray(smooth_maximum(level, -out - kind(1.0), 1.0))


# Relative to the middle of the sacral endplate: away, ahead, up; half axes; turn (the right one's, clockwise seen from above).
_GLUTEUS_MEDIUS = (
    (102.0, -22.0, 32.0, (10.0, 16.0), 45.0),
    (110.0, -16.0, 7.0, (15.0, 32.0), 38.0),
    (117.0, -8.0, -11.0, (19.0, 41.0), 34.0),
    (121.0, -3.0, -29.0, (21.0, 44.0), 30.0),
    (124.0, -1.0, -47.0, (23.0, 46.0), 26.0),
    (126.0, 0.0, -65.0, (25.0, 46.0), 22.0),
    (127.0, -2.0, -86.0, (27.0, 40.0), 15.0),
    (130.0, -4.0, -112.0, (20.0, 30.0), 10.0),
)
_GLUTEUS_MAXIMUS = (
    (74.0, -54.0, 14.0, (14.0, 8.0), 30.0),
    (82.0, -54.0, -11.0, (31.0, 15.0), 33.0),
    (88.0, -52.0, -29.0, (45.0, 20.0), 36.0),
    (90.0, -52.0, -47.0, (56.0, 25.0), 36.0),
    (90.0, -51.0, -65.0, (64.0, 29.0), 34.0),
    (87.0, -51.0, -85.0, (66.0, 31.0), 30.0),
    (82.0, -55.0, -105.0, (62.0, 29.0), 24.0),
    (79.0, -57.0, -130.0, (54.0, 27.0), 18.0),
    (86.0, -52.0, -160.0, (46.0, 23.0), 15.0),
)
_THIGH = (
    (96.0, 30.0, -84.0, (26.0, 22.0), 0.0),
    (98.0, 22.0, -104.0, (40.0, 40.0), 0.0),
    (96.0, 12.0, -130.0, (50.0, 52.0), 0.0),
    (92.0, 6.0, -165.0, (58.0, 60.0), 0.0),
    (90.0, 4.0, -195.0, (60.0, 62.0), 0.0),
)


def pelvic_pieces(parameters: PatientParameters, column: Column, under_skin: Field, flesh: Material) -> list[Piece]:
    """Both sides' muscles of the pelvis, for painting.

    Parameters
    ----------
    parameters, column
        The patient. The strength of the muscles of the back is that of the gluteal ones, the psoas's that of the iliacus.
    under_skin
        No muscle reaches beyond it.
    flesh
        What they are made of.
    """
    line, frame = column_line(parameters, column), pelvic_frame(parameters, column)
    wing = fitted_wing(parameters, column, frame)
    outer, inner = OnWing(wing, _GLUTEAL, parameters.back_muscle_scale), OnWing(wing, _ILIACUS, parameters.psoas_scale)
    pieces = []
    for side in Side:
        gluteal, iliacus = (Mirrored(shape, frame, side, column.scale) for shape in (outer, inner))
        thigh, medius, maximus = (_pelvic_loft(line, side, rows) for rows in (_THIGH, _GLUTEUS_MEDIUS, _GLUTEUS_MAXIMUS))
        for shape in (thigh, iliacus, Union((gluteal, medius), 10.0)):
            pieces.append(Piece(Common((shape, under_skin), 3.0), (Layer(flesh),)))
        pieces.append(Piece(Common((maximus, under_skin), 3.0), (Layer(Tissue.FAT), Layer(flesh, _FASCIA_MM))))
    return pieces


def _pelvic_loft(line: ColumnLine, side: Side, rows: Sequence[tuple[float, float, float, tuple[float, float], float]]) -> Loft:
    sections = []
    for away, ahead, up, (wide, deep), turn in rows:
        x, y, z = line.pelvic(side, away, ahead, up)
        wide, deep = wide * line.scale, deep * line.scale
        sections.append(Section(z, x, y, (wide, deep, deep), -side.sign * turn, 2.2))
    return loft(sections, 8.0)
