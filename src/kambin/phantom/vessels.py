"""Aorta, vena cava and iliac vessels: tubes in front of the column, with walls, and blood that runs on from one into the next.

Diameters of the lumina: aorta below the renal arteries and common iliac arteries 9.8 (right) and 9.7 mm (CT, n = 1340, Ann Vasc Surg
2019); external iliac 8.5 and internal 6.5 mm (recalled); aortic wall 1.5 to 2 mm (recalled). The vena cava is 15 x 21 mm below the renal
veins (recalled; CT, n = 200: 16 x 26 mm at them, Cureus 2022), the left common iliac vein 8.5 mm where the right iliac artery crosses
it, 7.2 mm before the body of L5 (n = 311 donors). The aorta lies 1 to 3 mm before the bodies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray, unit
from kambin.phantom.column import Column
from kambin.phantom.column_line import ColumnLine, column_line
from kambin.phantom.compose import Common, Cut, Offset, Union
from kambin.phantom.field import Field, HalfSpace
from kambin.phantom.loft import Tube, tube
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Part

_GAP_MM = 1.5
"""From bone or disc to a vessel's outer wall."""
_AORTIC_WALL_MM, _ILIAC_WALL_MM, _VENOUS_WALL_MM = 1.5, 1.0, 0.6
_FORK_MM = 8.0
"""The axes of two branches part this far above the place where their walls do."""
_TRUNK_AXIS_MM = 10.0
"""Before the column, of the trunks where they divide."""
_FLATNESS = 0.72
"""Depth over width of the vena cava."""
_ILIAC_MM = 9.7
_FILLET_MM = 3.0
_MEAN_AORTA_MM, _MEAN_CAVA_MM = 16.5, 21.0
# How much of the aorta's offset at L3 it has at each height, and its diameter there against that below the renal arteries.
_AORTA_COURSE = {
    -2.0: (0.9, 1.18),
    0.0: (0.9, 1.15),
    1.0: (0.95, 1.1),
    2.0: (1.0, 1.0),
    3.0: (1.0, 1.0),
    4.0: (0.8, 0.97),
    5.2: (0.55, 0.92),
}
# The cava's distance right of the midline, and its width against that below the renal veins.
_CAVA_COURSE = {
    -2.0: (17.0, 1.15),
    0.0: (18.0, 1.15),
    1.0: (19.5, 1.15),
    2.0: (21.0, 1.0),
    3.0: (22.5, 1.0),
    4.0: (24.0, 1.0),
    4.5: (25.0, 1.0),
    5.4: (18.5, 1.0),
}
# How far half of the right psoas, which the cava lies against, reaches inwards: where the muscle is thin the vessel lies further out.
_PSOAS_REACH_MM = {1.0: 6.0, 2.5: 14.0, 3.5: 18.0, 4.5: 20.0}


@dataclass(frozen=True, eq=False)
class Vessels:
    """A patient's large vessels, outer walls.

    Parameters
    ----------
    arteries, veins
        Each tree as one shape; the veins yield where an artery presses on them.
    named
        Its parts, which fill the tree but for the branches beyond the common iliac vessels.
    arterial_blood, venous_blood
        The lumina.
    """

    arteries: Field
    veins: Field
    named: dict[Structure, Field]
    arterial_blood: Field
    venous_blood: Field


def vessel_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """The vessels, for painting.

    The blood comes last, without a name: it opens the walls that the named parts have towards each other.
    """
    vessels = build_vessels(parameters, column)
    wall = (Layer(Tissue.VESSEL_WALL),)
    pieces = [Piece(vessels.veins, wall), Piece(vessels.arteries, wall)]
    pieces += [Piece(shape, wall, name) for name, shape in vessels.named.items()]
    pieces.append(Piece(vessels.venous_blood, (Layer(Tissue.VENOUS_BLOOD),)))
    pieces.append(Piece(vessels.arterial_blood, (Layer(Tissue.ARTERIAL_BLOOD),)))
    return tuple(pieces)


def build_vessels(parameters: PatientParameters, column: Column) -> Vessels:
    """The vessels of a patient, along the patient's column."""
    line = column_line(parameters, column)
    aorta, arteries = _arteries(parameters, line)
    cava, veins = _veins(parameters, line)
    bone = Offset(line.hull, 0.3)
    arterial = Cut(Union((aorta, *arteries[Side.LEFT], *arteries[Side.RIGHT]), _FILLET_MM), (bone,), 2.0)
    clear_of = (Offset(arterial, 0.4), bone)
    venous = Cut(Union((cava, *veins[Side.LEFT], *veins[Side.RIGHT]), _FILLET_MM), clear_of, 2.0)
    blood = [Offset(aorta, -_AORTIC_WALL_MM)]
    blood += [Offset(branch, -_ILIAC_WALL_MM) for side in Side for branch in arteries[side]]
    named = _named(arterial, division(line, parameters.aortic_bifurcation_level), arteries, (Kind.AORTA, Kind.ILIAC_ARTERY))
    named |= _named(venous, division(line, parameters.caval_confluence_level), veins, (Kind.VENA_CAVA, Kind.ILIAC_VEIN))
    arterial_blood = Cut(Union(tuple(blood), _FILLET_MM), (Offset(bone, _ILIAC_WALL_MM),), 2.0)
    return Vessels(arterial, venous, named, arterial_blood, Offset(venous, -_VENOUS_WALL_MM))


def division(line: ColumnLine, level: float) -> tuple[FloatArray, FloatArray]:
    """Where a vessel divides: a point before the column and the direction upwards along it, both of shape (3,).

    A level is that of the plane across the column, as discs lie: before a lordotic column it is met lower than in its middle.
    """
    middle = line.at(level)
    up = unit(line.at(level - 0.5) - line.at(level + 0.5))
    ahead = float(line.before(middle[0], middle[2], _TRUNK_AXIS_MM)[0]) - middle[1]
    return middle + np.array([0.0, ahead, -ahead * up[1] / up[2]]), up


def _named(
    tree: Field, cut: tuple[FloatArray, FloatArray], branches: dict[Side, tuple[Tube, ...]], kinds: tuple[Kind, Kind]
) -> dict[Structure, Field]:
    """Trunk and common iliac branches: the trunk ends level with its division, each branch where the next one reaches deeper."""
    place, up = cut
    named: dict[Structure, Field] = {Structure(kinds[0]): Common((tree, HalfSpace(place, -up)))}
    for side in Side:
        common, *beyond = branches[side]
        others = Union((*branches[side.opposite], *beyond))
        named[Structure(kinds[1], side=side)] = Common((Part(tree, common, others), HalfSpace(place, up)))
    return named


def _course(table: dict[float, tuple[float, float]], levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    first, second = zip(*table.values(), strict=True)
    return np.interp(levels, list(table), first), np.interp(levels, list(table), second)


def _levels(line: ColumnLine, last: float) -> FloatArray:
    """Heights in vertebrae, close enough for a tube to follow the front of the column, down to a last one."""
    return np.array([*np.arange(float(line.levels[0]), last - 0.2, 0.25), last])


def _arteries(parameters: PatientParameters, line: ColumnLine) -> tuple[Tube, dict[Side, tuple[Tube, ...]]]:
    fork = float(division(line, parameters.aortic_bifurcation_level)[0][2]) + _FORK_MM
    radius = 0.5 * parameters.aorta_diameter_mm + _AORTIC_WALL_MM
    levels = _levels(line, _level_of(line, fork))
    share, wide = _course(_AORTA_COURSE, levels)
    middles = line.at(levels)
    radii = wide * radius
    right = middles[:, 0] - share * parameters.aorta_offset_mm
    points = np.stack([right, line.before(right, middles[:, 2], _GAP_MM + radii), middles[:, 2]], axis=1)
    aorta = tube(points, radii)
    iliac = (0.5 * _ILIAC_MM * (parameters.aorta_diameter_mm / _MEAN_AORTA_MM) ** 0.6) + _ILIAC_WALL_MM
    crossing = _GAP_MM + iliac + _crossing_depth(parameters)
    branches = {side: _iliac_arteries(line, side, points[-1], radii[-1], iliac, crossing) for side in Side}
    return aorta, branches


def _level_of(line: ColumnLine, z_mm: float) -> float:
    return float(np.interp(z_mm, line.middles_mm[::-1, 2], line.levels[::-1]))


def _crossing_depth(parameters: PatientParameters) -> float:
    """From front to back, of the left common iliac vein where the right iliac artery crosses it."""
    return float(7.0 * (parameters.vena_cava_diameter_mm / _MEAN_CAVA_MM) ** 0.5)


def _iliac_arteries(line: ColumnLine, side: Side, fork: FloatArray, trunk_mm: float, radius: float, crossing: float) -> tuple[Tube, ...]:
    """The common, external and internal iliac artery of one side."""
    end = _brim(line, side, artery=True)
    start = fork + np.array([side.sign * 0.40 * trunk_mm, 0.0, 0.0])
    common = _along_front(line, start, end, radius, crossing if side is Side.RIGHT else _GAP_MM + radius + 1.0)
    external = [end + np.array([0.0, -1.0, 3.0]), *(line.pelvic(side, *place) for place in _EXTERNAL_ARTERY)]
    internal = [end + np.array([0.0, 0.0, 3.0]), *(line.pelvic(side, *place) for place in _INTERNAL_ARTERY)]
    return common, tube(external, [radius, *[0.87 * radius] * 6]), tube(internal, [0.8 * radius, *[0.68 * radius] * 3])


def _brim(line: ColumnLine, side: Side, *, artery: bool) -> FloatArray:
    """Where the common iliac vessels divide, before the sacro-iliac joint."""
    if artery:
        return line.pelvic(side, 37.0, 21.0, -10.0)
    return line.pelvic(side, 36.0, 9.0, -14.0)


# Beside the middle of the sacral endplate: away from the midline, ahead, up; along the psoas to the groin, and into the pelvis.
_EXTERNAL_ARTERY = (
    (43.0, 28.0, -28.0),
    (47.0, 40.0, -46.0),
    (53.0, 55.0, -64.0),
    (61.0, 66.0, -83.0),
    (66.0, 70.0, -101.0),
    (69.0, 66.0, -150.0),
)
_INTERNAL_ARTERY = ((41.0, 10.0, -28.0), (43.0, -4.0, -50.0), (42.0, -12.0, -80.0))
_EXTERNAL_VEIN = (
    (43.0, 14.0, -30.0),
    (45.0, 26.0, -48.0),
    (48.0, 42.0, -66.0),
    (54.0, 55.0, -84.0),
    (58.0, 60.0, -102.0),
    (59.0, 58.0, -150.0),
)
_INTERNAL_VEIN = ((40.0, 0.0, -32.0), (41.0, -12.0, -54.0), (40.0, -18.0, -82.0))


def _along_front(
    line: ColumnLine, start: FloatArray, end: FloatArray, half_mm: float, clear_mm: float, thick_mm: float | None = None
) -> Tube:
    """A tube from a fork to the pelvic brim, never nearer than `clear_mm` to the column."""
    share = np.linspace(0.0, 1.0, 9)
    right, ahead, z = (start + share[:, None] * (end - start)).T
    right = right + (end[0] - start[0]) * _BOW * share * (1 - share)
    # Towards the brim the column falls back, and the vessel with it.
    need = np.maximum(line.before(right, z, clear_mm) - ahead, 0.0) * np.clip((1.0 - share) / 0.4, 0.0, 1.0)
    return tube(np.stack([right, np.where(share > 0.0, ahead + need, ahead), z], axis=1), half_mm, thick_mm)


_BOW = -0.15
"""The branches part at an acute angle and turn outwards later."""


def _veins(parameters: PatientParameters, line: ColumnLine) -> tuple[Tube, dict[Side, tuple[Tube, ...]]]:
    fork = float(division(line, parameters.caval_confluence_level)[0][2]) + _FORK_MM
    half = 0.5 * parameters.vena_cava_diameter_mm
    levels = _levels(line, _level_of(line, fork))
    away, stretch = _course(_CAVA_COURSE, levels)
    share, swell = _course(_AORTA_COURSE, levels)
    middles = line.at(levels)
    wide = stretch * half
    # Beside the aorta, however wide the two are.
    aortic = swell * (0.5 * parameters.aorta_diameter_mm + _AORTIC_WALL_MM) - share * parameters.aorta_offset_mm
    outwards = (1.0 - parameters.psoas_scale) * np.interp(levels, list(_PSOAS_REACH_MM), list(_PSOAS_REACH_MM.values()))
    right = middles[:, 0] + np.maximum(away * line.scale + outwards, np.minimum(aortic + 0.9 * wide + 1.5, 30.0))
    points = np.stack([right, line.before(right, middles[:, 2], _GAP_MM + _FLATNESS * wide), middles[:, 2]], axis=1)
    cava = tube(points, wide, _FLATNESS * wide)
    branch = 8.0 * (parameters.vena_cava_diameter_mm / _MEAN_CAVA_MM) ** 0.7
    return cava, {side: _iliac_veins(line, side, points[-1], branch, _crossing_depth(parameters) / 2) for side in Side}


def _iliac_veins(line: ColumnLine, side: Side, fork: FloatArray, half_mm: float, crossing_mm: float) -> tuple[Tube, ...]:
    """The common, external and internal iliac vein of one side."""
    start = fork + np.array([side.sign * 4.0, 0.0, 0.0])
    end = _brim(line, side, artery=False)
    thick = crossing_mm if side is Side.LEFT else 0.72 * half_mm
    common = _along_front(line, start, end, half_mm, _GAP_MM + thick, thick)
    external = [end + np.array([0.0, 0.0, 3.0]), *(line.pelvic(side, *place) for place in _EXTERNAL_VEIN)]
    internal = [end + np.array([0.0, 0.0, 3.0]), *(line.pelvic(side, *place) for place in _INTERNAL_VEIN)]
    return common, tube(external, [0.8 * half_mm, *[0.72 * half_mm] * 6]), tube(internal, [0.6 * half_mm, *[0.5 * half_mm] * 3])
