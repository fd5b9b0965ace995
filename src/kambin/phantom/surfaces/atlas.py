"""An anatomy from surfaces: bones, discs, psoas and skin as they are, all else from the models of the digital patient laid along them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray
from kambin.phantom.column import Column
from kambin.phantom.compose import Common, Cut, Offset, Union
from kambin.phantom.disc import HeightOver, build_disc, over_upper_plate
from kambin.phantom.field import Box, Field, into
from kambin.phantom.ligament import (
    INTERSPINOUS,
    build_anterior_ligament,
    build_fat,
    build_flava,
    build_interspinous,
    canal_pieces,
    pieces_of,
)
from kambin.phantom.marrow import bone_layers, marrow_pieces
from kambin.phantom.morphometry import S1_DEPTH_MM, S1_WIDTH_MM, SEGMENTS, VERTEBRAE
from kambin.phantom.muscles import muscle_pieces
from kambin.phantom.nerves import build_roots
from kambin.phantom.parameters import PatientParameters, ranges
from kambin.phantom.patient import Patient
from kambin.phantom.population import sample
from kambin.phantom.raster import Layer, Piece, named_shapes
from kambin.phantom.ribs import rib_pieces
from kambin.phantom.sac import build_sac
from kambin.phantom.sacrum import SacrumShape, build_sacrum
from kambin.phantom.skin import SKIN_MM, SUPRASPINOUS_MM, skin_pieces
from kambin.phantom.surfaces.deform import Deformation, gentle_deformation, warp_of
from kambin.phantom.surfaces.landmarks import exits_mm, fitted_column
from kambin.phantom.surfaces.lattice import LatticeField, apart, mesh_field
from kambin.phantom.surfaces.passages import sacral_passages
from kambin.phantom.surfaces.surface_set import HIPS, LEVELS, SurfaceSet
from kambin.phantom.surfaces.warp import warped_patient
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Part, build_vertebra, vertebral_pieces
from kambin.phantom.vessels import vessel_pieces
from kambin.phantom.viscera import visceral_pieces

_SPACING_MM = {Kind.VERTEBRA: 0.6, Kind.DISC: 0.6, Kind.SACRUM: 0.7, Kind.HIP: 1.0, Kind.PSOAS: 1.2, Kind.TRUNK: 3.0}
_GAP_MM, _CARTILAGE_MM = 1.4, 1.3
"""Between the bones of a joint, where their surfaces would run into each other; and how far from both of them it is filled."""
_SAC_CLEAR_MM = 0.3
"""Between bone and the sac, beyond what the sac itself keeps."""
_NUCLEUS_CLEAR_MM = 0.5
_MUSCLE = (Layer(Tissue.MUSCLE),)
_ABOVE_MM, _BELOW_MM, _BESIDE_MM = 130.0, 30.0, 62.0
"""How much of the trunk is kept: over L1, under the hip bones and beside them."""
DRAWN = (
    "age_years",
    "variant",
    "degeneration",
    "flavum_thickness_mm",
    "root_scale",
    "conus_level",
    "aorta_diameter_mm",
    "vena_cava_diameter_mm",
    "aorta_offset_mm",
    "aortic_bifurcation_level",
    "caval_confluence_level",
    "back_muscle_scale",
)
"""What surfaces do not tell, and a draw of the population may."""
SETTABLE = (*DRAWN, "sac_scale")


@dataclass(frozen=True, eq=False)
class SurfaceAtlas:
    """An anatomy read off surfaces, once for all patients made of it.

    Parameters
    ----------
    surfaces
        Moved so that the origin lies near the middle of L3.
    shapes
        The named structures among them, bones kept apart at their joints.
    muscles
        Further muscles.
    column
        Where the vertebrae lie and how large they are; T12 is the mean man's.
    sacrum
        With its foramina.
    parameters
        Of the digital patient that comes nearest.
    """

    surfaces: SurfaceSet
    shapes: Mapping[Structure, LatticeField]
    muscles: tuple[Field, ...]
    column: Column
    sacrum: SacrumShape
    parameters: PatientParameters

    def drawn(self, seed: int | None, changes: Mapping[str, Any] | None = None) -> PatientParameters:
        """The parameters with what surfaces do not tell drawn from the population: age, vessels, roots, ligaments, back muscles, wear.

        Parameters
        ----------
        seed
            Of the draw; None for none.
        changes
            Numbers set by hand, of those that surfaces do not tell.

        Raises
        ------
        InputError
            When a number is not known, out of its range, or not among those.
        """
        given = dict(changes or {})
        parameters = self.parameters.changed(given)
        told = [name for name in given if name not in SETTABLE]
        if told:
            raise InputError("patient parameters", f"expected, with surfaces, some of {', '.join(SETTABLE)}, found {', '.join(told)}")
        if seed is None:
            return parameters
        person = sample(seed, {"sex": parameters.sex})
        return parameters.changed({name: getattr(person, name) for name in DRAWN} | given)

    def patient(self, parameters: PatientParameters | None = None, deformation: Deformation | None = None) -> Patient:
        """A patient of this anatomy.

        Parameters
        ----------
        parameters
            What the models add follows them (sizes of bones and discs are the surfaces'); by default the nearest ones.
        deformation
            Applied to everything, what the models add included.
        """
        still = _build(self, self.parameters if parameters is None else parameters)
        if deformation is None:
            return still
        return warped_patient(still, warp_of(deformation, self.column, self.around))

    def deformation(self, seed: int, strength: float = 1.0) -> Deformation:
        """A random deformation of this anatomy, at most as strong as that (1 is the usual spread)."""
        return gentle_deformation(seed, self.column, self.around, strength)

    @property
    def around(self) -> Box:
        """What holds all that surfaces show, and T12."""
        top = Box.around(self.column.vertebrae[Level.T12].frame.origin_mm, 60.0)
        return Box.enclosing([top, *(shape.box for shape in self.shapes.values())])


def read_atlas(surfaces: SurfaceSet) -> SurfaceAtlas:
    """The anatomy of a set of surfaces. Takes ten seconds or so.

    Raises
    ------
    InputError
        When a vertebra or the sacrum cannot be made out.
    """
    between = [surfaces[Structure(Kind.DISC, level)].centre_mm for level in (Level.L2, Level.L3)]
    surfaces = surfaces.moved(-np.mean(between, axis=0))
    bones = (*(Structure(Kind.VERTEBRA, level) for level in LEVELS), Structure(Kind.SACRUM))
    raw = {name: _field(surfaces, name) for name in bones}
    column, slope = fitted_column(surfaces, raw)
    raw |= _hips(surfaces, float(column.sacrum.origin_mm[0]))
    shapes = {name: apart(shape, [raw[other] for other in _neighbours(name) if other in raw], _GAP_MM) for name, shape in raw.items()}
    for name in surfaces.surfaces:
        if name.kind in (Kind.DISC, Kind.PSOAS):
            shapes[name] = _field(surfaces, name)
    if Structure(Kind.TRUNK) in surfaces.surfaces:
        shapes[Structure(Kind.TRUNK)] = _field(surfaces, Structure(Kind.TRUNK), _trunk_box(column, shapes))
    muscles = tuple(mesh_field(muscle.mesh, _SPACING_MM[Kind.PSOAS]) for muscle in surfaces.muscles)
    parameters = _nearest_parameters(column, slope, shapes)
    model = build_sacrum(parameters, column)
    whole = shapes[Structure(Kind.SACRUM)]
    sacrum = replace(model, whole=whole, parts={}, foramina=sacral_passages(whole, model.foramina))
    return SurfaceAtlas(surfaces, MappingProxyType(shapes), muscles, column, sacrum, parameters)


def _field(surfaces: SurfaceSet, name: Structure, within: Box | None = None) -> LatticeField:
    return mesh_field(surfaces[name].mesh, _SPACING_MM[name.kind], within)


def _hips(surfaces: SurfaceSet, middle_mm: float) -> dict[Structure, LatticeField]:
    """The hip bones; where they come in one piece, cut in the median plane."""
    result = {}
    for side in Side:
        name = Structure(Kind.HIP, side=side)
        if name in surfaces.surfaces:
            result[name] = _field(surfaces, name)
        else:
            low, high = np.full(3, -1e4), np.full(3, 1e4)
            (low if side is Side.RIGHT else high)[0] = middle_mm
            result[name] = _field(surfaces, HIPS[0], Box(low, high))
    return result


def _neighbours(name: Structure) -> tuple[Structure, ...]:
    """The bones that a bone has joints with."""
    column = [*(Structure(Kind.VERTEBRA, level) for level in LEVELS), Structure(Kind.SACRUM)]
    if name not in column:
        return (column[-1],)
    place = column.index(name)
    beside = column[max(place - 1, 0) : place] + column[place + 1 : place + 2]
    return (*beside, *HIPS[1:]) if name is column[-1] else tuple(beside)


def _trunk_box(column: Column, shapes: Mapping[Structure, LatticeField]) -> Box:
    """As much of the skin as surrounds column and pelvis, without the arms."""
    pelvis = Box.enclosing([shapes[name].box for name in HIPS[1:]])
    low, high = pelvis.low_mm - _BESIDE_MM, pelvis.high_mm + _BESIDE_MM
    low[1], high[1] = -1e4, 1e4
    low[2] = pelvis.low_mm[2] - _BELOW_MM
    high[2] = column.vertebrae[Level.L1].frame.origin_mm[2] + _ABOVE_MM
    return Box(low, high)


def _nearest_parameters(column: Column, slope_deg: float, shapes: Mapping[Structure, LatticeField]) -> PatientParameters:
    """The digital patient that comes nearest: what the models need to know of bones and trunk."""
    top = column.vertebrae[Level.L1].endplate(upper=True).cranial
    pelvis = Box.enclosing([shapes[name].box for name in HIPS[1:]])
    sizes = {level: column.vertebrae[level].size for level in LEVELS}
    canal = float(np.mean([size.canal_width_mm / VERTEBRAE[level].canal_width_mm for level, size in sizes.items()])) / column.scale
    depth = float(np.mean([size.canal_depth_mm / VERTEBRAE[level].canal_depth_mm for level, size in sizes.items()])) / column.scale
    found: dict[str, float] = {
        "bone_scale": column.scale,
        "sacral_slope_deg": slope_deg,
        "lordosis_deg": min(slope_deg - float(np.degrees(np.arctan2(top[1], top[2]))), slope_deg + 31.0),
        "canal_scale": canal,
        # Wide canals may be shallow: the sac fits into both.
        "sac_scale": min(depth / min(canal, 1.0), 1.0),
        "pelvis_width_mm": float(pelvis.high_mm[0] - pelvis.low_mm[0]),
        "crest_over_l4l5_mm": float(pelvis.high_mm[2] - column.segments["l4l5"].frame.origin_mm[2]),
    }
    found |= {f"disc_height_{name}_mm": column.segments[name].height_mm + 2.0 for name in SEGMENTS}
    trunk = shapes.get(Structure(Kind.TRUNK))
    if trunk is not None:
        found |= _girth(column, trunk)
        found["trunk_depth_mm"] = min(found["trunk_depth_mm"], found["trunk_width_mm"])
    allowed = ranges()
    return PatientParameters().changed({name: round(float(np.clip(value, *allowed[name])), 3) for name, value in found.items()})


def _girth(column: Column, trunk: Field) -> dict[str, float]:
    """Width and depth of a trunk at L3, and the fat behind L4."""
    l3, l4 = column.vertebrae[Level.L3], column.vertebrae[Level.L4]
    right, left, ahead, behind = (_out(trunk, l3.frame.origin_mm, d) for d in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)))
    tip = l4.frame.world([0.0, l4.wall_mm - l4.size.spinous_reach_mm, -14.0 * column.scale])
    fat = _out(trunk, tip, (0, -1, 0)) - SKIN_MM - SUPRASPINOUS_MM
    return {"trunk_width_mm": right + left, "trunk_depth_mm": ahead + behind, "posterior_fat_mm": fat}


def _out(shape: Field, start: FloatArray, direction: tuple[int, int, int]) -> float:
    far = exits_mm(shape, start[None], np.array(direction, dtype=np.float64), 400.0)[0]
    return float(far) if np.isfinite(far) else 0.0


def _build(atlas: SurfaceAtlas, parameters: PatientParameters) -> Patient:
    """As `kambin.phantom.patient.build_patient`, with the surfaces in place of the models' bones, discs, psoas and skin."""
    column = atlas.column
    vertebrae = _vertebrae(atlas)
    discs = _discs(atlas, parameters)
    flava = build_flava(column, parameters)
    hard = (*vertebrae.values(), atlas.sacrum.whole)
    solid_discs = tuple(disc.shape for disc in discs if disc.structure)
    # Real canals are not as roomy everywhere as the models', so bone keeps the sac out too.
    sac = build_sac(column, atlas.sacrum, parameters, (*(Offset(bone, _SAC_CLEAR_MM) for bone in hard), *solid_discs, *flava))
    bones = [Piece(atlas.shapes[name], bone_layers(parameters, Kind.HIP), name) for name in HIPS[1:]]
    bones.append(Piece(atlas.sacrum.whole, bone_layers(parameters, Kind.SACRUM), Structure(Kind.SACRUM)))
    for level, shape in vertebrae.items():
        bones.append(Piece(shape, bone_layers(parameters, Kind.VERTEBRA, level), Structure(Kind.VERTEBRA, level)))
    obstacles = (*(bone.shape for bone in bones), *solid_discs)
    pieces = (
        *_trunk(atlas, parameters),
        *_under_skin(atlas, visceral_pieces(parameters, column)),
        *_under_skin(atlas, _muscles(atlas, parameters)),
        *_under_skin(atlas, rib_pieces(parameters, column)),
        *vessel_pieces(parameters, column),
        Piece(build_fat(column), (Layer(Tissue.FAT),)),
        *canal_pieces(column),
        *pieces_of((build_anterior_ligament(parameters, column),), Tissue.LIGAMENT),
        *pieces_of(build_interspinous(column), INTERSPINOUS),
        *pieces_of(_cartilage(hard, atlas), Tissue.CARTILAGE),
        *pieces_of(flava, Tissue.LIGAMENT),
        *discs,
        *bones,
        *_within(Union(hard), marrow_pieces(parameters, column)),
        *(_outside(root, sac[0].shape) for root in build_roots(column, atlas.sacrum, parameters, obstacles)),
        *sac,
    )
    parts = {name: part for level, whole in vertebrae.items() for name, part in _parts(column, level, whole).items()}
    return Patient(parameters, column, pieces, named_shapes(pieces), MappingProxyType(parts))


def _outside(root: Piece, sac: Field) -> Piece:
    """A root from where it leaves the sac."""
    return Piece(Cut(root.shape, (sac,)), root.layers, root.structure)


def _vertebrae(atlas: SurfaceAtlas) -> dict[Level, Field]:
    """The vertebrae; the mean man's T12 keeps its joints from the L1 that it stands on."""
    place = atlas.column.vertebrae[Level.T12]
    l1 = atlas.shapes[Structure(Kind.VERTEBRA, Level.L1)]
    pieces = vertebral_pieces(place, None, atlas.column.segments[SEGMENTS[0]], (0.0, 0.0))
    t12 = build_vertebra(place, pieces, (Offset(l1, _GAP_MM),)).whole
    return {Level.T12: t12, **{level: atlas.shapes[Structure(Kind.VERTEBRA, level)] for level in LEVELS}}


def _discs(atlas: SurfaceAtlas, parameters: PatientParameters) -> list[Piece]:
    """The discs: the surfaces as the models' annuli, and in each the nucleus as far as it lies in there. T12's is a model."""
    column, sacrum = atlas.column, atlas.sacrum
    over_s1: HeightOver = lambda points: sacrum.endplate_level(*into(sacrum.frame, points))  # noqa: E731
    pieces = []
    for segment, level, lower in zip(column.segments.values(), (Level.T12, *LEVELS), (*LEVELS, None), strict=True):
        if lower is None:
            size, over = (S1_WIDTH_MM * column.scale, S1_DEPTH_MM * column.scale), over_s1
        else:
            below = column.vertebrae[lower]
            size, over = (below.size.upper_width_mm, below.size.upper_depth_mm), over_upper_plate(below)
        annulus, *inner = build_disc(segment, column.vertebrae[level], size, over, parameters)
        own = atlas.shapes.get(Structure(Kind.DISC, level))
        if own is not None:
            annulus, inner = replace(annulus, shape=own), _within(Offset(own, -_NUCLEUS_CLEAR_MM), inner)
        pieces += [annulus, *inner]
    return pieces


def _within(shape: Field, pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces as far as they lie in a shape."""
    return [replace(piece, shape=Common((piece.shape, shape))) for piece in pieces]


def _cartilage(column: Sequence[Field], atlas: SurfaceAtlas) -> tuple[Field, ...]:
    """What is near two neighbouring bones at once: the facet and the sacro-iliac joints."""
    pairs = [*pairwise(column), *((column[-1], atlas.shapes[name]) for name in HIPS[1:])]
    return tuple(Common((Offset(one, _CARTILAGE_MM), Offset(other, _CARTILAGE_MM))) for one, other in pairs)


def _trunk(atlas: SurfaceAtlas, parameters: PatientParameters) -> tuple[Piece, ...]:
    """Skin with its fat and the wall of the abdomen; the model's wall within the real skin."""
    trunk, *rest = skin_pieces(parameters, atlas.column)
    skin = atlas.shapes.get(Structure(Kind.TRUNK))
    if skin is not None:
        trunk = replace(trunk, shape=skin)
    return (trunk, *_under_skin(atlas, rest))


def _muscles(atlas: SurfaceAtlas, parameters: PatientParameters) -> list[Piece]:
    """The models' muscles, and over them those that there are surfaces of."""
    names = [Structure(Kind.PSOAS, side=side) for side in Side]
    pieces = [piece for piece in muscle_pieces(parameters, atlas.column) if piece.structure not in atlas.shapes]
    pieces += [Piece(muscle, _MUSCLE) for muscle in atlas.muscles]
    return pieces + [Piece(atlas.shapes[name], _MUSCLE, name) for name in names if name in atlas.shapes]


def _under_skin(atlas: SurfaceAtlas, pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces as far as they lie under the skin and a thread of fat."""
    skin = atlas.shapes.get(Structure(Kind.TRUNK))
    return list(pieces) if skin is None else _within(Offset(skin, -SKIN_MM - 2.0), pieces)


def _parts(column: Column, level: Level, whole: Field) -> dict[Structure, Part]:
    """A vertebra's parts: each place goes to that part of the model vertebra of its size which reaches deepest there."""
    segments = list(column.segments.values())
    index = list(column.vertebrae).index(level)
    above = segments[index - 1] if index else None
    pieces = vertebral_pieces(column.vertebrae[level], above, segments[index], (0.0, 0.0))
    return {name: Part(whole, piece, Union(tuple(other for key, other in pieces.items() if key != name))) for name, piece in pieces.items()}
