"""What bones are made of inside, and what makes a real marrow uneven: veins, focal fat, worn endplates, remnants of sacral discs.

None of it has a name in label maps. Places are drawn from the patient's `variant`, sizes follow age and wear continuously. That the
basivertebral vein enters in the middle of the posterior wall, that fat gathers around it and under worn endplates (Modic type 2), and
that Schmorl nodes are found at some endplates, is textbook knowledge; sizes and frequencies were chosen so that pictures look like real
ones.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Level
from kambin.geometry import FloatArray, Frame, unit
from kambin.phantom.column import Column, VertebraPlace
from kambin.phantom.compose import Common, Offset, Placed, Union
from kambin.phantom.disc import wear
from kambin.phantom.field import Ellipsoid, Field, capsule
from kambin.phantom.noise import uniforms
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.sacral_block import BODY_DEPTH, SacralBlock, at, value
from kambin.phantom.tissue import Blend, Material, Tissue
from kambin.phantom.tissue_values import marrow, marrow_fat
from kambin.phantom.vertebra import Body, JointSide, articular_block

CORTEX_MM = 0.9
_FOCI, _SCHMORL, _VEINS = 51, 52, 54
_FOCI_PER_BODY = 9
_SCHMORL_SHARE = 0.08
"""Of endplates."""
_FATTIER = {Kind.VERTEBRA: 0.0, Kind.SACRUM: 0.06, Kind.HIP: 0.10}
"""Share of fat beyond that of lumbar vertebrae (recalled)."""
_FATTIER_BELOW = 0.012
"""Further share for each vertebra lower down (Baum 2018: lower levels are fattier)."""
_SACRAL_DISC_MM = (31.0, 57.0)
"""Along the sacral curve, from the endplate to the remnants of the S1/2 and S2/3 discs."""


def bone_layers(parameters: PatientParameters, kind: Kind, level: Level | None = None) -> tuple[Layer, ...]:
    """Cortex, and marrow as fat as the patient's age has it; between them bone that opens into its pores."""
    inside = _marrow(parameters, level, _FATTIER[kind])
    pores = Blend(Tissue.CORTICAL_BONE, inside, 0.5)
    return (Layer(Tissue.CORTICAL_BONE), Layer(pores, 0.5 * CORTEX_MM), Layer(inside, CORTEX_MM))


def _marrow(parameters: PatientParameters, level: Level | None, more: float) -> Material:
    below = 0.0 if level is None else _FATTIER_BELOW * (list(Level).index(level) - list(Level).index(Level.L3))
    return marrow(marrow_fat(parameters.age_years) + more + below)


def marrow_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """All that lies in the bodies and the sacrum, to be painted over them."""
    pieces: list[Piece] = []
    worn = [wear(parameters, name) for name in column.segments]
    for index, place in enumerate(column.vertebrae.values()):
        body = Placed(Body(place), place.frame)
        inside = Offset(body, -CORTEX_MM)
        above = worn[index - 1] if index else 0.0
        pieces += _foci(parameters, place, inside, index)
        for upper, wear_there in ((True, above), (False, worn[index])):
            pieces += _endplate(parameters, place, body, upper, wear_there, 2 * index + upper)
        pieces.append(_basivertebral(place, body, uniforms(3, round(parameters.variant), _VEINS, index)))
    return (*pieces, *_dense_joints(parameters, column), *_sacral_discs(column))


def _dense_joints(parameters: PatientParameters, column: Column) -> list[Piece]:
    """The articular processes: what bears load has little marrow."""
    dense = (Layer(Blend(Tissue.CORTICAL_BONE, _marrow(parameters, None, 0.0), 0.55)),)
    pieces = []
    for name, segment in column.segments.items():
        grown = parameters.at("facet_hypertrophy", name)
        for joint in segment.joints.values():
            for superior, sign in ((True, -1.0), (False, 1.0)):
                inner = Offset(articular_block(joint, sign, grown), -1.2)
                pieces.append(Piece(Common((inner, Offset(JointSide(joint, superior=superior), -0.3)), 1.0), dense))
    return pieces


def _foci(parameters: PatientParameters, place: VertebraPlace, inside: Field, index: int) -> list[Piece]:
    """Fat in patches with soft edges."""
    chance = uniforms(8 * _FOCI_PER_BODY, round(parameters.variant), _FOCI, index).reshape(_FOCI_PER_BODY, 8)
    grown = 0.55 + 0.45 * parameters.age_years / 50.0
    half = np.array([0.40 * place.size.upper_width_mm, 0.40 * place.size.upper_depth_mm, 0.42 * place.height_mm])
    pieces = []
    for right, ahead, up, wide, deep, high, much, lean in chance.tolist():
        centre = (2.0 * np.array([right, ahead, up]) - 1.0) * half
        # A few are large, most are small.
        size = grown * (1.2 + 5.0 * much**3)
        radii = (size * (0.7 + 0.8 * wide), size * (0.7 + 0.6 * deep), size * (0.5 + 0.6 * high))
        axis = unit(place.frame.cranial + 0.8 * (lean - 0.5) * place.frame.anterior)
        frame = Frame.from_cranial_anterior(place.frame.world(centre), axis, place.frame.anterior)
        fat = marrow_fat(parameters.age_years)
        pieces.append(_soft(Common((Ellipsoid(frame, radii), inside)), fat, fat + 0.10 + 0.25 * wide, 0.6 * min(radii)))
    return pieces


def _soft(shape: Field, outside: float, within: float, edge_mm: float) -> Piece:
    """Marrow whose share of fat changes over a distance from that around it to its own."""
    steps = [(share, edge_mm * (share - 0.25) / 0.75) for share in (0.25, 0.5, 0.75, 1.0)]
    return Piece(shape, tuple(Layer(marrow(outside + share * (within - outside)), depth) for share, depth in steps))


def _endplate(parameters: PatientParameters, place: VertebraPlace, body: Field, upper: bool, worn: float, number: int) -> list[Piece]:
    """Fat under a worn endplate, and here and there a Schmorl node in it."""
    fat = marrow_fat(parameters.age_years)
    plate = place.endplate(upper)
    chance, front, right, ahead = uniforms(4, round(parameters.variant), _SCHMORL, number).tolist()
    width, depth = place.size.upper_width_mm, place.size.upper_depth_mm
    pieces = []
    changed = max(worn - 0.35, 0.0) / 0.65
    if changed > 0:
        # In front more often than behind.
        centre = plate.world([0.0, (0.35 if front < 0.7 else -0.30) * depth, 0.0])
        radii = (0.36 * width, 0.26 * depth, 1.5 + 6.0 * changed)
        shape = Common((Ellipsoid(plate.moved_to(centre), radii), Offset(body, -CORTEX_MM)))
        pieces.append(_soft(shape, fat, fat + 0.35 * changed, 0.5 * radii[2]))
    depth_mm = 5.0 * np.sqrt(max(1.0 - chance / _SCHMORL_SHARE, 0.0))
    if depth_mm > 1.0:
        centre = plate.world([(right - 0.5) * 0.4 * width, (ahead - 0.6) * 0.4 * depth, 0.0])
        node = Common((Ellipsoid(plate.moved_to(centre), (1.1 * depth_mm, 1.3 * depth_mm, depth_mm)), Offset(body, 1.0)))
        pieces.append(Piece(node, (Layer(Tissue.CORTICAL_BONE), Layer(Tissue.DRIED_DISC, 0.8))))
    return pieces


def _basivertebral(place: VertebraPlace, body: Field, chance: FloatArray) -> Piece:
    """The vein that enters the body in the middle of its posterior wall and parts into two, in a sheath of fat.

    Parameters
    ----------
    chance
        Three numbers from 0 to 1: how wide it is, how deep it reaches, how high it lies.
    """
    size = place.size
    wall, depth = place.wall_mm, 0.5 * (size.upper_depth_mm + size.lower_depth_mm)
    wide, deep = 0.6 + 0.7 * chance[0], 0.35 + 0.35 * chance[1]
    up = 0.12 * (chance[2] - 0.5) * place.height_mm

    def point(right: float, ahead: float) -> FloatArray:
        return place.frame.world([right * size.upper_width_mm, wall + ahead * depth, up])

    fork = 0.45 * deep
    trunk = capsule(point(0.0, -0.02), point(0.0, fork), 2.1 * wide, 1.1 * wide)
    branches = [capsule(point(0.0, fork), point(side * 0.17, deep), 0.9 * wide, 0.4) for side in (-1.0, 1.0)]
    opening = [capsule(point(0.0, -0.02), point(side * 0.09, -0.02), 1.9 * wide, 1.4 * wide) for side in (-1.0, 1.0)]
    # The posterior wall is open where the vein leaves it.
    tree = Common((Union((trunk, *branches, *opening), 1.5), Offset(body, 0.5)))
    return Piece(tree, (Layer(Blend(Tissue.SLOW_BLOOD, Tissue.FAT, 0.4)),))


def _sacral_discs(column: Column) -> list[Piece]:
    """What is left of the discs between the sacral bodies: thin, dark, between two endplates."""
    block = SacralBlock(column.scale)
    pieces = []
    for s in _SACRAL_DISC_MM:
        thick = value(BODY_DEPTH, s)
        front, back = (column.sacrum.world(at(block, 0.0, s, t * thick)) for t in (0.12, 0.88))
        above = column.sacrum.world(at(block, 0.0, s - 4.0, 0.5 * thick))
        frame = Frame.from_cranial_anterior(0.5 * (front + back), above - 0.5 * (front + back), front - back)
        half = (0.55 * thick + 2.0, 0.5 * float(np.linalg.norm(front - back)), 2.2 if s < 40.0 else 1.5)
        pieces.append(Piece(Ellipsoid(frame, half), (Layer(Tissue.CORTICAL_BONE), Layer(Tissue.DRIED_DISC, 0.7))))
    return pieces
