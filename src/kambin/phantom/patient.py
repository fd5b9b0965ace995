"""The whole digital patient: every structure as an exact shape, in one frame, in painting order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.phantom.column import Column, build_column
from kambin.phantom.compose import Cut, Offset, Union
from kambin.phantom.disc import HeightOver, build_disc, over_upper_plate
from kambin.phantom.femur import femur_pieces
from kambin.phantom.field import Field, into
from kambin.phantom.hip import build_hips
from kambin.phantom.ligament import (
    INTERSPINOUS,
    build_anterior_ligament,
    build_cartilage,
    build_fat,
    build_flava,
    build_interspinous,
    canal_pieces,
    pieces_of,
)
from kambin.phantom.marrow import bone_layers, marrow_pieces
from kambin.phantom.morphometry import LUMBAR, S1_DEPTH_MM, S1_WIDTH_MM, SEGMENTS
from kambin.phantom.muscles import muscle_pieces
from kambin.phantom.nerves import build_roots
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece, Progress, divide_labels, named_shapes, paint_labels
from kambin.phantom.ribs import rib_pieces
from kambin.phantom.sac import build_sac
from kambin.phantom.sacrum import SacrumShape, build_sacrum, superior_pieces
from kambin.phantom.skin import skin_pieces
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Part, VertebraShape, build_vertebra, grown_to_sacrum, vertebral_pieces
from kambin.phantom.vessels import vessel_pieces
from kambin.phantom.viscera import visceral_pieces
from kambin.volume import Grid

_PSEUDARTHROSIS_MM = 0.8
"""Left between a transitional vertebra's wings and the sacrum."""


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
        Every named structure, vertebrae whole; a point belongs to the last one that holds it.
    parts
        Of each lumbar vertebra: they fill it without overlap.
    """

    parameters: PatientParameters
    column: Column
    pieces: tuple[Piece, ...]
    shapes: Mapping[Structure, Field]
    parts: Mapping[Structure, Part]

    def labels(
        self, grid: Grid, numbers: Mapping[Structure, int], *, parts: bool = True, progress: Progress | None = None
    ) -> npt.NDArray[np.uint16]:
        """A label map of the named structures.

        Parameters
        ----------
        grid
            Where its voxels are.
        numbers
            For each structure its label; structures without one are left out, and parts whose vertebra has none.
        parts
            Whether lumbar vertebrae are labelled by their parts, else whole.
        progress
            Called with the finished fraction.
        """
        shapes = [(numbers[name], shape) for name, shape in self.shapes.items() if name in numbers]
        result = paint_labels(shapes, grid, progress=None if progress is None else lambda done: progress(0.6 * done))
        levels = dict.fromkeys(name.level for name in self.parts if parts and name in numbers)
        divided = [level for level in levels if Structure(Kind.VERTEBRA, level) in numbers]
        for index, level in enumerate(divided):
            own = [(numbers[name], part.own) for name, part in self.parts.items() if name.level is level and name in numbers]
            divide_labels(result, grid, numbers[Structure(Kind.VERTEBRA, level)], own)
            if progress is not None:
                progress(0.6 + 0.4 * (index + 1) / len(divided))
        return result


def build_patient(parameters: PatientParameters) -> Patient:
    """The patient that the parameters describe."""
    column = build_column(parameters)
    sacrum = build_sacrum(parameters, column)
    vertebrae = _vertebrae(column, sacrum, parameters)
    discs = _discs(column, sacrum, parameters)
    transition = sacrum.transition if sacrum.freed is not None else None
    flava = build_flava(column, parameters, transition)
    sac = build_sac(column, sacrum, parameters, (*(piece.shape for piece in discs if piece.structure), *flava))
    bones = [Piece(shape, bone_layers(parameters, Kind.HIP), name) for name, shape in build_hips(parameters, column).items()]
    bones.append(Piece(sacrum.whole, bone_layers(parameters, Kind.SACRUM), Structure(Kind.SACRUM)))
    if sacrum.freed is not None:
        vertebrae[Level.L6] = sacrum.freed
    for level, shape in vertebrae.items():
        bones.append(Piece(shape.whole, bone_layers(parameters, Kind.VERTEBRA, level), Structure(Kind.VERTEBRA, level)))
    obstacles = (*(bone.shape for bone in bones), *(disc.shape for disc in discs if disc.structure))
    pieces = (
        *skin_pieces(parameters, column),
        *visceral_pieces(parameters, column),
        *muscle_pieces(parameters, column),
        *rib_pieces(parameters, column),
        *femur_pieces(parameters, column),
        *vessel_pieces(parameters, column),
        Piece(build_fat(column), (Layer(Tissue.FAT),)),
        *canal_pieces(column),
        *pieces_of((build_anterior_ligament(parameters, column),), Tissue.LIGAMENT),
        *pieces_of(build_interspinous(column), INTERSPINOUS),
        *pieces_of(build_cartilage(column, transition), Tissue.CARTILAGE),
        *pieces_of(flava, Tissue.LIGAMENT),
        *discs,
        *bones,
        *marrow_pieces(parameters, column),
        *(_outside(piece, sac[0].shape) for piece in build_roots(column, sacrum, parameters, obstacles)),
        *sac,
    )
    parts = {name: shape for vertebra in vertebrae.values() for name, shape in vertebra.parts.items()}
    return Patient(parameters, column, pieces, named_shapes(pieces), MappingProxyType(parts))


def _outside(root: Piece, sac: Field) -> Piece:
    """A root from where it leaves the sac."""
    return Piece(Cut(root.shape, (sac,)), root.layers, root.structure)


def _vertebrae(column: Column, sacrum: SacrumShape, parameters: PatientParameters) -> dict[Level, VertebraShape]:
    """The vertebrae, each kept clear of its neighbours' articular processes."""
    segments = list(column.segments.values())
    grown = {segment: parameters.at("facet_hypertrophy", segment) for segment in SEGMENTS}
    pieces: dict[Level, dict[Structure, Field]] = {}
    for index, (level, place) in enumerate(column.vertebrae.items()):
        above = segments[index - 1] if index else None
        over = grown[SEGMENTS[index - 1]] if index else 0.0
        pieces[level] = vertebral_pieces(place, above, segments[index], (over, grown[SEGMENTS[index]]))
    pieces[Level.S1] = superior_pieces(parameters, column)
    if parameters.sacralisation > 0:
        for side in Side:
            name = Structure(Kind.TRANSVERSE, Level.L5, side)
            wing = grown_to_sacrum(column.vertebrae[Level.L5], side, sacrum.ala_top(side), parameters.sacralisation)
            pieces[Level.L5][name] = Union((pieces[Level.L5][name], wing), 4.0)
    levels = (*LUMBAR, Level.S1)
    result = {}
    for index, (level, place) in enumerate(column.vertebrae.items()):
        clear_of: list[Field] = []
        if index:
            gap = segments[index - 1].joints[Side.LEFT].size.gap_mm
            clear_of += _processes(pieces[levels[index - 1]], Kind.INFERIOR_ARTICULAR, gap)
        gap = segments[index].joints[Side.LEFT].size.gap_mm
        clear_of += _processes(pieces[levels[index + 1]], Kind.SUPERIOR_ARTICULAR, gap)
        if level is Level.L5 and parameters.sacralisation > 0:
            clear_of.append(Offset(sacrum.whole, _PSEUDARTHROSIS_MM))
        result[level] = build_vertebra(place, pieces[level], tuple(clear_of))
    return result


def _processes(pieces: Mapping[Structure, Field], kind: Kind, gap_mm: float) -> list[Field]:
    return [Offset(shape, gap_mm) for name, shape in pieces.items() if name.kind is kind]


def _discs(column: Column, sacrum: SacrumShape, parameters: PatientParameters) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    over_s1: HeightOver = lambda points: sacrum.endplate_level(*into(sacrum.frame, points))  # noqa: E731
    for segment, level, lower in zip(column.segments.values(), LUMBAR, (*LUMBAR[1:], None), strict=True):
        if lower is None:
            size, over = (S1_WIDTH_MM * column.scale, S1_DEPTH_MM * column.scale), over_s1
        else:
            below = column.vertebrae[lower]
            size, over = (below.size.upper_width_mm, below.size.upper_depth_mm), over_upper_plate(below)
        pieces += build_disc(segment, column.vertebrae[level], size, over, parameters)
    if (transition := sacrum.transition) is not None:
        below = transition.second
        size = (below.size.upper_width_mm, below.size.upper_depth_mm)
        pieces += build_disc(transition.segment, transition.first, size, over_upper_plate(below), parameters)
    return tuple(pieces)
