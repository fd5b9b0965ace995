"""Ligaments, joint cartilage, the veins of the canal, and the fat that fills canal and foramina."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import Frame, unit
from kambin.phantom.column import Column, SegmentPlace, VertebraPlace
from kambin.phantom.column_line import column_line
from kambin.phantom.compose import Common, Cut, Offset, Union
from kambin.phantom.field import Ellipsoid, Field, RoundedBox, capsule, slab
from kambin.phantom.morphometry import LUMBAR
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.sac import Sweep, canal_stations
from kambin.phantom.tissue import Blend, Material, Tissue
from kambin.phantom.transition import Transition
from kambin.phantom.vertebra import Landmarks


def build_flava(column: Column, parameters: PatientParameters, freed: Transition | None = None) -> tuple[Field, ...]:
    """The ligamenta flava, two plates behind the canal at each segment from lamina to lamina and out to the facet joints.

    Parameters
    ----------
    freed
        A lumbarised S1 that has joints of its own below it.
    """
    places = [column.vertebrae[level] for level in LUMBAR]
    result: list[Field] = []
    for index, segment in enumerate(column.segments.values()):
        lower = places[index + 1] if index + 1 < len(places) else None
        result.append(Union(tuple(_flavum(places[index], lower, segment, side, parameters) for side in Side), 1.5))
    if freed is not None:
        result.append(Union(tuple(_flavum(freed.first, None, freed.segment, side, parameters) for side in Side), 1.5))
    return tuple(result)


def _flavum(upper: VertebraPlace, lower: VertebraPlace | None, segment: SegmentPlace, side: Side, parameters: PatientParameters) -> Field:
    """From the front of the upper lamina's lower half to the lower lamina's upper edge; its outer edge is the joint's capsule."""
    marks = Landmarks(upper)
    half = 0.5 * parameters.flavum_thickness_mm
    joint = segment.joints[side]
    size = upper.size
    top = marks.at(side.sign * 1.0, size.canal_depth_mm + half + 0.4, marks.pedicle_z_mm - 0.62 * size.lamina_height_mm)
    # The joint's inner front edge, in the height of the disc.
    front = _towards_front(joint.frame, segment.frame) * (0.5 * joint.size.width_mm - 0.5)
    corner = joint.frame.world([front, 0.0, -0.1 * joint.size.height_mm])
    edge = corner + segment.frame.right * (-side.sign * 0.6)
    middle = segment.frame.world([side.sign * 1.0, segment.frame.local(top)[1] + 1.0, -1.0])
    if lower is not None:
        below = Landmarks(lower)
        foot = below.at(side.sign * 1.0, lower.size.canal_depth_mm + half + 1.5, below.pedicle_z_mm - 0.12 * lower.size.lamina_height_mm)
        middle = (top + foot) / 2
        reach = 0.5 * float(np.linalg.norm(top - foot)) + 2.0
        up = unit(top - foot)
    else:
        reach, up = 9.0, segment.frame.cranial
    return slab(middle, edge, up, reach, half)


def _towards_front(joint: Frame, disc: Frame) -> float:
    """The sign of the joint's *right* axis that points to the front."""
    return 1.0 if float(joint.right @ disc.anterior) > 0 else -1.0


def build_cartilage(column: Column, freed: Transition | None = None) -> tuple[Field, ...]:
    """What fills the facet joints' gaps; `freed` as in `build_flava`."""
    result: list[Field] = []
    for segment in (*column.segments.values(), *(() if freed is None else (freed.segment,))):
        for joint in segment.joints.values():
            size = joint.size
            result.append(RoundedBox(joint.frame, (0.5 * size.width_mm - 0.5, 2.2, 0.5 * size.height_mm), 1.0))
    return tuple(result)


INTERSPINOUS = Blend(Tissue.LIGAMENT, Tissue.FAT, 0.4)
"""Fat lies between the fibres."""


def build_interspinous(column: Column) -> tuple[Field, ...]:
    """Thin sheets between neighbouring spinous processes, with the supraspinous ligament along their tips."""
    places = [column.vertebrae[level] for level in LUMBAR]
    sheets: list[Field] = []
    tips = []
    for place in places:
        marks, size = Landmarks(place), place.size
        tips.append(marks.at(0.0, size.spinous_reach_mm - 1.0, marks.pedicle_z_mm - 0.5 * size.lamina_height_mm - 6.0))
    for upper, lower, tip_up, tip_down in zip(places[:-1], places[1:], tips[:-1], tips[1:], strict=True):
        a, b = Landmarks(upper).lamina_middle(), Landmarks(lower).lamina_middle()
        start, end = (a + b) / 2, (tip_up + tip_down) / 2
        sheets.append(slab(start, end, tip_up - tip_down, 0.5 * float(np.linalg.norm(tip_up - tip_down)), 1.3))
        sheets.append(capsule(tip_up, tip_down, 2.2))
    return tuple(sheets)


def canal_pieces(column: Column) -> tuple[Piece, ...]:
    """What lies between the bodies and the sac: the posterior longitudinal ligament, and the epidural veins beside and behind it."""
    _levels, front, back = canal_stations(column)
    right = column.sacrum.right
    pieces = []
    for index, (one, two) in enumerate(pairwise(zip(front, back, strict=True))):
        (top, behind), (low, _behind) = one, two
        # It bridges the hollow of the bodies, and veins fill what is left between.
        narrow = 4.0 if index % 2 else 5.0
        ligament = slab(top + 0.5 * behind, low + 0.5 * behind, behind, 0.5, narrow)
        pieces.append(Piece(ligament, (Layer(Tissue.LIGAMENT),)))
        for side in Side:
            away = side.sign * right * 8.5 * column.scale
            pieces.append(Piece(capsule(top + away + 1.2 * behind, low + away + 1.6 * behind, 1.3), _VEIN))
    for place in column.vertebrae.values():
        wall = [place.frame.world([side * 7.5 * column.scale, place.wall_mm - 0.2, 0.0]) for side in (-1.0, 1.0)]
        pieces.append(Piece(capsule(wall[0], wall[1], 1.5), _VEIN))
    return tuple(pieces)


_VEIN = (Layer(Blend(Tissue.SLOW_BLOOD, Tissue.FAT, 0.35)),)


def build_anterior_ligament(parameters: PatientParameters, column: Column) -> Field:
    """The anterior longitudinal ligament: a band before bodies and discs, which spans the bodies' waists."""
    hull = column_line(parameters, column).hull
    band = Cut(Offset(hull, 1.2), (hull,))
    low, high = hull.box.low_mm, hull.box.high_mm
    # Down to the promontory; in front of the column's rear half.
    foot = column.sacrum.origin_mm[2] - 8.0
    middle = np.array([0.5 * (low[0] + high[0]), 0.25 * low[1] + 0.75 * high[1], 0.5 * (foot + high[2])])
    half = (13.0 * column.scale, 0.5 * float(high[1] - low[1]), 0.5 * float(high[2] - foot))
    return Common((band, RoundedBox(Frame(middle, np.eye(3)), half, 1.0)))


def build_fat(column: Column) -> Field:
    """Fat where canal and foramina are: bone, disc, ligament, sac and nerves are painted over it."""
    levels, front, back = canal_stations(column)
    # A tube as wide as the widest canal; the bones around it are painted later.
    half = np.repeat([[14.5, 11.0]], len(levels), axis=0) * column.scale
    half[-2:] = [[12.0, 7.0], [8.0, 4.5]]
    canal = Sweep(front + back * half[:, 1:] * 0.92, half)
    parts: list[Field] = [canal]
    for level, segment in zip(LUMBAR, column.segments.values(), strict=True):
        marks = Landmarks(column.vertebrae[level])
        for side in Side:
            behind = segment.frame.local(marks.at(0, 3.5, 0))[1]
            middle = segment.frame.world([side.sign * (0.5 * marks.size.canal_width_mm + 6.0), behind, 7.0])
            parts.append(Ellipsoid(segment.frame.moved_to(middle), (11.0, 9.0, 15.0)))
    return Union(tuple(parts))


def pieces_of(shapes: tuple[Field, ...], tissue: Material) -> tuple[Piece, ...]:
    """Each shape as a nameless piece of one tissue."""
    return tuple(Piece(shape, (Layer(tissue),)) for shape in shapes)


__all__ = [
    "INTERSPINOUS",
    "build_anterior_ligament",
    "build_cartilage",
    "build_fat",
    "build_flava",
    "build_interspinous",
    "canal_pieces",
    "pieces_of",
]
