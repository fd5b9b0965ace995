"""The whole digital patient: every structure as an exact shape, in one frame, in painting order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.phantom.column import Column, build_column
from kambin.phantom.disc import build_disc, over_upper_plate
from kambin.phantom.field import Cut, Field, HalfSpace, Offset
from kambin.phantom.ligament import build_cartilage, build_fat, build_flava, build_interspinous, pieces_of
from kambin.phantom.morphometry import LUMBAR, S1_DEPTH_MM, S1_WIDTH_MM, SEGMENTS
from kambin.phantom.nerves import build_roots
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.sac import build_sac
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import VertebraShape, build_vertebra, vertebral_pieces

CORTEX_MM = 0.9


@dataclass(frozen=True, eq=False)
class Patient:
    """One patient.

    Parameters
    ----------
    parameters
        What it was made from.
    column
        Where its vertebrae, discs and joints lie; the origin of space is the middle of L3.
    pieces
        All tissues in painting order, for the scanners.
    shapes
        Every named structure; a point belongs to the last one that holds it.
    """

    parameters: PatientParameters
    column: Column
    pieces: tuple[Piece, ...]
    shapes: Mapping[Structure, Field]


def build_patient(parameters: PatientParameters) -> Patient:
    """The patient that the parameters describe."""
    column = build_column(parameters)
    vertebrae = _vertebrae(column, parameters)
    discs = _discs(column, parameters)
    flava = build_flava(column, parameters)
    sac = build_sac(column, parameters, (*(piece.shape for piece in discs if piece.structure), *flava))
    roots = tuple(_outside(piece, sac[0].shape) for piece in build_roots(column, parameters))
    bone = (Layer(Tissue.CORTICAL_BONE), Layer(Tissue.MARROW, CORTEX_MM))
    bones = tuple(Piece(shape.whole, bone, Structure(Kind.VERTEBRA, level)) for level, shape in vertebrae.items())
    pieces = (
        Piece(build_fat(column), (Layer(Tissue.FAT),)),
        *pieces_of(build_interspinous(column), Tissue.LIGAMENT),
        *pieces_of(build_cartilage(column), Tissue.CARTILAGE),
        *pieces_of(flava, Tissue.LIGAMENT),
        *discs,
        *bones,
        *roots,
        *sac,
    )
    shapes = {piece.structure: piece.shape for piece in pieces if piece.structure is not None}
    return Patient(parameters, column, pieces, shapes)


def _outside(root: Piece, sac: Field) -> Piece:
    """A root from where it leaves the sac."""
    return Piece(Cut(root.shape, (sac,)), root.layers, root.structure)


def _vertebrae(column: Column, parameters: PatientParameters) -> dict[Level, VertebraShape]:
    segments = list(column.segments.values())
    pieces = {}
    for index, (level, place) in enumerate(column.vertebrae.items()):
        above = segments[index - 1] if index else None
        over, under = (parameters.at("facet_hypertrophy", SEGMENTS[max(i, 0)]) for i in (index - 1, index))
        thick = (over, under)
        pieces[level] = vertebral_pieces(place, above, segments[index], thick)
    result = {}
    for index, (level, place) in enumerate(column.vertebrae.items()):
        others = []
        for neighbour, kind, segment in ((index - 1, Kind.INFERIOR_ARTICULAR, index - 1), (index + 1, Kind.SUPERIOR_ARTICULAR, index)):
            if 0 <= neighbour < len(LUMBAR):
                gap = segments[segment].joints[Side.LEFT].size.gap_mm
                others += [Offset(pieces[LUMBAR[neighbour]][Structure(kind, LUMBAR[neighbour], side)], gap) for side in Side]
        result[level] = build_vertebra(place, pieces[level], tuple(others))
    return result


def _discs(column: Column, parameters: PatientParameters) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for segment, level, lower in zip(column.segments.values(), LUMBAR, (*LUMBAR[1:], None), strict=True):
        if lower is None:
            size = (S1_WIDTH_MM * column.scale, S1_DEPTH_MM * column.scale)
            plane = HalfSpace(column.sacrum.origin_mm, column.sacrum.cranial)
            pieces += build_disc(segment, column.vertebrae[level], size, plane, parameters)
        else:
            place = column.vertebrae[lower]
            size = (place.size.upper_width_mm, place.size.upper_depth_mm)
            pieces += build_disc(segment, column.vertebrae[level], size, over_upper_plate(place), parameters)
    return tuple(pieces)


__all__ = ["Patient", "Side", "build_patient"]
