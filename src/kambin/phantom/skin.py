"""The trunk: skin, the fat under it, and the muscular wall of the abdomen.

Width and depth at L3 are the patient's; how they change with height, and the shape of the buttocks, were read off the skin of the
Visible Human Male and a contrast-enhanced CT. Skin 2 to 3.5 mm thick (recalled); subcutaneous fat over L1 to L3 about 0.6 of that over
L4 and L5 (men 8 and 15 mm; Özcan-Ekşi 2022 and recalled). Wall: three oblique layers together about 20 mm, rectus 10 mm (recalled); how
thick, how far apart and how blunt behind differs from patient to patient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.phantom.column import Column
from kambin.phantom.column_line import ColumnLine, column_line
from kambin.phantom.compose import Common, Cut, Offset
from kambin.phantom.field import Field
from kambin.phantom.loft import Loft, Section, loft
from kambin.phantom.noise import uniforms
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.tissue import Tissue

SKIN_MM = 2.5
SUPRASPINOUS_MM = 2.5
"""Ligament between the tips of the spinous processes and the fat."""
_RECTUS_MM = (34.0, 5.5)
_WALLS = 59


@dataclass(frozen=True, slots=True)
class _Wall:
    """The muscles of one patient's flanks.

    Parameters
    ----------
    thick_mm
        All three together.
    ends
        Depths at which the outer two end, as shares of that.
    gap_mm
        Of fat between two.
    back_mm
        How far behind the column's middle the outermost reaches.
    border
        Where they end behind, as a share of half the trunk's width without its fat.
    """

    thick_mm: float
    ends: tuple[float, float]
    gap_mm: float
    back_mm: float
    border: float

    @classmethod
    def of(cls, parameters: PatientParameters) -> _Wall:
        u = uniforms(6, round(parameters.variant), _WALLS).tolist()
        # Far back, they end as a blunt edge beside the muscles of the back; less far, in a thin one.
        back = 46.0 + 20.0 * u[4]
        return cls(13.0 + 12.0 * u[0], (0.28 + 0.14 * u[1], 0.64 + 0.18 * u[2]), 0.3 + 1.8 * u[3] ** 2, back, 0.58 + 0.16 * u[5])


@dataclass(frozen=True, slots=True)
class _Girth:
    """The trunk at one height.

    Parameters
    ----------
    fat
        Posterior fat, against that at L4.
    furrow_mm
        Depth and half width of the furrow over the spinous processes, or between the buttocks.
    width, depth
        Against the trunk's at L3.
    """

    fat: float
    furrow_mm: tuple[float, float]
    width: float
    depth: float


# By height in vertebrae, down to the promontory.
_GIRTHS = {
    -2.0: _Girth(0.50, (3.0, 44.0), 1.03, 1.02),
    0.0: _Girth(0.55, (4.0, 44.0), 1.02, 1.01),
    1.0: _Girth(0.60, (6.0, 44.0), 1.00, 1.00),
    2.0: _Girth(0.70, (7.0, 44.0), 0.99, 1.00),
    3.0: _Girth(0.85, (7.0, 44.0), 1.00, 1.00),
    4.0: _Girth(1.00, (6.0, 44.0), 1.01, 1.00),
    5.0: _Girth(1.10, (3.5, 44.0), 1.03, 1.00),
}
# By height over the sacral endplate: anterior coordinate of the back beside the furrow, the furrow, share of the hips' width, and depth.
_HIPS = {
    -14.0: (-84.0, (3.0, 38.0), 0.45, 1.00),
    -40.0: (-97.0, (6.0, 36.0), 0.65, 1.01),
    -70.0: (-108.0, (14.0, 36.0), 0.85, 1.03),
    -100.0: (-113.0, (21.0, 36.0), 0.97, 1.02),
    -130.0: (-110.0, (24.0, 36.0), 1.00, 0.98),
    -165.0: (-100.0, (22.0, 36.0), 0.98, 0.92),
    -195.0: (-90.0, (20.0, 36.0), 0.95, 0.86),
}


def skin_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """The trunk with its fat, and the wall of the abdomen with the fat within; the first to be painted."""
    line = column_line(parameters, column)
    trunk = build_trunk(parameters, line)
    own, cavity = _Wall.of(parameters), build_cavity(parameters, line, trunk)
    # Three muscles, threads of fat between them.
    sheets = [Layer(Tissue.MUSCLE)]
    for end in own.ends:
        sheets += [Layer(Tissue.FAT, end * own.thick_mm), Layer(Tissue.MUSCLE, end * own.thick_mm + own.gap_mm)]
    pieces = [
        Piece(trunk, (Layer(Tissue.SKIN), Layer(Tissue.FAT, SKIN_MM)), Structure(Kind.TRUNK)),
        Piece(_flanks(parameters, line, trunk), tuple(sheets)),
        Piece(cavity, (Layer(Tissue.MESENTERY),)),
    ]
    pieces += [Piece(rectus(parameters, line, trunk, side), (Layer(Tissue.MUSCLE),)) for side in Side]
    return tuple(pieces)


def back_fat_mm(parameters: PatientParameters, level: float) -> float:
    """Fat between skin and supraspinous ligament at a height in vertebrae."""
    return parameters.posterior_fat_mm * float(np.interp(level, list(_GIRTHS), [girth.fat for girth in _GIRTHS.values()]))


def build_trunk(parameters: PatientParameters, line: ColumnLine) -> Loft:
    """Everything inside the skin, from T11 to the top of the thighs."""
    sections = []
    back_at_l3 = _back(parameters, line, 3.0)
    front_at_l3 = back_at_l3 + parameters.trunk_depth_mm
    for level, girth in _GIRTHS.items():
        middle = line.at(level)
        back = _back(parameters, line, level)
        front = front_at_l3 + (girth.depth - 1.0) * parameters.trunk_depth_mm
        sections.append(
            _around(
                0.5 * middle[0], middle[2], back - girth.furrow_mm[0], front, 0.5 * girth.width * parameters.trunk_width_mm, girth.furrow_mm
            )
        )
    hips = max(1.06 * parameters.trunk_width_mm, parameters.pelvis_width_mm + 66.0)
    widest = _GIRTHS[5.0].width * parameters.trunk_width_mm
    thick = 1.15 * (parameters.posterior_fat_mm - 14.0)
    for up, (back, furrow, share, depth) in _HIPS.items():
        x, y, z = line.promontory_mm + np.array([0.0, back * line.scale, up * line.scale])
        front = front_at_l3 + (depth - 1.0) * parameters.trunk_depth_mm
        half = 0.5 * (widest + share * (hips - widest))
        sections.append(_around(0.5 * x, z, y - thick, front - 3.0, half, furrow, 2.35 + 0.3 * share))
    return loft(_falling(sections), 2.0)


def _falling(sections: list[Section]) -> list[Section]:
    """The sections, those left out that do not lie well below the ones before."""
    kept: list[Section] = []
    for section in sections:
        if not kept or section.z_mm < kept[-1].z_mm - 4.0:
            kept.append(section)
    return kept


def _back(parameters: PatientParameters, line: ColumnLine, level: float) -> float:
    """Anterior coordinate of the skin over the spinous processes at a height in vertebrae."""
    z = float(line.at(level)[2])
    return line.spinous_at(z) - SUPRASPINOUS_MM - back_fat_mm(parameters, level) - SKIN_MM


def _around(right: float, z: float, back: float, front: float, half: float, furrow: tuple[float, float], power: float = 2.35) -> Section:
    """A section of the trunk; the hips are squarer than the waist."""
    widest = back + 0.46 * (front - back)
    return Section(z, right, widest, (half, front - widest, widest - back), 0.0, power, furrow)


def lateral_fat_mm(parameters: PatientParameters) -> float:
    """Fat over the flanks and the belly."""
    return float(np.clip(0.95 * parameters.posterior_fat_mm, 4.0, 0.14 * parameters.trunk_width_mm))


def _inside(
    parameters: PatientParameters, line: ColumnLine, trunk: Loft, wall_mm: tuple[float, float], back_mm: float, over_mm: float = 0.0
) -> Loft:
    """What lies within the trunk's fat and a wall of given thickness at the sides and in front, as far back as a distance behind the column
    and over the ends by another."""
    fat = SKIN_MM + lateral_fat_mm(parameters)
    sections = []
    for level in (*np.arange(-2.0, 5.1, 0.5), *(-20.0, -45.0, -70.0, -95.0)):
        below = level < -2.5
        z = float(line.promontory_mm[2] + level * line.scale) if below else float(line.at(level)[2])
        right, widest, half, ahead, *_rest = (float(row[0]) for row in trunk.profile(np.array([z])))
        half, front = half - fat - wall_mm[0], widest + ahead - fat - wall_mm[1]
        middle = line.middle_at(z)[1]
        # Within the pelvis the bones take the wall's place, and it narrows to the groin.
        if below:
            half = min(half, (134.0 - wall_mm[0] - 0.22 * max(-level - 20.0, 0.0)) * line.pelvis_scale)
            middle = float(line.promontory_mm[1]) + 0.35 * -level
        centre = middle + 0.30 * (front - middle)
        sections.append(Section(z, right, centre, (half, front - centre, centre - middle + back_mm), 0.0, 2.3))
    sections = _falling(sections)
    ends = (replace(sections[0], z_mm=sections[0].z_mm + over_mm), replace(sections[-1], z_mm=sections[-1].z_mm - over_mm))
    return loft([ends[0], *sections[1:-1], ends[1]], 3.0)


def build_wall(parameters: PatientParameters, line: ColumnLine, trunk: Loft) -> Loft:
    """The abdomen with its muscular wall, back to the lateral borders of the muscles of the back."""
    return _inside(parameters, line, trunk, (0.0, 0.0), _Wall.of(parameters).back_mm * line.scale)


def _flanks(parameters: PatientParameters, line: ColumnLine, trunk: Loft) -> Field:
    """The wall without what of it would lie behind the muscles of the back: it ends beside them in a rounded border."""
    wall = build_wall(parameters, line, trunk)
    border = _Wall.of(parameters).border
    sections = []
    for z in np.linspace(wall.profile.start_mm - 20.0, wall.profile.end_mm + 20.0, 12):
        right, _widest, half, *_rest = (float(row[0]) for row in wall.profile(np.array([z])))
        sections.append(Section(float(z), right, float(line.middle_at(z)[1]), (border * half, 20.0, 120.0), 0.0, 4.0))
    return Common((Cut(wall, (loft(sections),), 9.0), Offset(trunk, -SKIN_MM - 2.0)), 2.0)


def build_cavity(parameters: PatientParameters, line: ColumnLine, trunk: Loft) -> Loft:
    """What the wall encloses: the peritoneal cavity and the fat behind it. In front only a sheath is left of the obliques."""
    return _inside(parameters, line, trunk, (_Wall.of(parameters).thick_mm, 2.5), 52.0 * line.scale, 6.0)


def rectus(parameters: PatientParameters, line: ColumnLine, trunk: Loft, side: Side) -> Field:
    """One rectus abdominis, beside the white line."""
    wall = build_wall(parameters, line, trunk)
    half, deep = _RECTUS_MM
    sections = []
    for z in np.linspace(wall.profile.start_mm, wall.profile.end_mm, 12):
        right, widest, side_mm, ahead, *_rest = (float(row[0]) for row in wall.profile(np.array([z])))
        away = half + 3.0
        power = 2.3
        # On the wall's curve, and turned with it.
        share = min(away / side_mm, 0.9)
        height = ahead * (1 - share**power) ** (1 / power)
        tilt = np.degrees(np.arctan(ahead / side_mm * share ** (power - 1) * (1 - share**power) ** (1 / power - 1)))
        sections.append(Section(float(z), right + side.sign * away, widest + height - deep, (half, deep, deep), -side.sign * tilt, 2.6))
    return Common((loft(sections), wall))
