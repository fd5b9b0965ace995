"""Muscles of the trunk: lofts with published section areas, laid along the column and the pelvis.

Areas (mm², one side, healthy adults): psoas, quadratus lumborum and erector spinae down to L3/4 from Ivanac 2026 (Med Sci Monit
32:e951651, table 2, n = 30, both sides pooled here); erector spinae and quadratus below that, and multifidus, from recalled values
(Stokes 2005 for the multifidus's growth downwards). They may run beneath bones, which are painted over them; nerves are too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import Frame
from kambin.phantom.column import Column
from kambin.phantom.column_line import ColumnLine, column_line
from kambin.phantom.compose import Common, Cut, Offset, Union
from kambin.phantom.diaphragm import crus
from kambin.phantom.field import Ellipsoid, Field
from kambin.phantom.loft import Loft, Section, loft, outline_level
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.pelvic_muscles import pelvic_pieces
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.skin import SKIN_MM, build_trunk
from kambin.phantom.tissue import Blend, Tissue
from kambin.phantom.tissue_values import muscle
from kambin.phantom.vessels import build_vessels

PSOAS_MM2 = {
    0.6: 90.0,
    1.0: 240.0,
    1.5: 437.0,
    2.0: 700.0,
    2.5: 990.0,
    3.0: 1230.0,
    3.5: 1463.0,
    4.0: 1640.0,
    4.5: 1775.0,
    5.0: 1690.0,
    5.5: 1575.0,
}
"""Section of the psoas at each height in vertebrae (1.5 is the L1/L2 disc)."""
QUADRATUS_MM2 = {0.8: 200.0, 1.5: 342.0, 2.5: 533.0, 3.5: 707.0, 4.0: 680.0, 4.5: 560.0}
ERECTOR_MM2 = {-1.5: 1500.0, 0.0: 1900.0, 1.5: 2250.0, 2.5: 2290.0, 3.5: 2110.0, 4.5: 1500.0, 5.5: 700.0, 6.5: 260.0}
MULTIFIDUS_MM2 = {-1.5: 200.0, 0.0: 260.0, 1.5: 320.0, 2.5: 420.0, 3.5: 600.0, 4.5: 800.0, 5.5: 850.0, 6.5: 500.0}
_FATTY = {
    "psoas": (0.050, 0.0010),
    "quadratus": (0.08, 0.0020),
    "erector": (0.125, 0.0032),
    "multifidus": (0.165, 0.0045),
    "hip": (0.11, 0.0025),
}
"""Share of fat at 40 years in a man of a body mass index of 24, and what each further year adds: 12.3 and 19.4 % in the muscles of the back
below and above 38 years, 4.5 and 6.9 % in the psoas (PMC7063279); the multifidus has most of it (recalled)."""
_FATTY_PER_BMI, _FATTY_WOMEN = 0.03, 1.4
"""Share of it that each further unit of body mass index adds (recalled), and how much more women have (22.5 against 14.4 %, BMC 2020)."""
_GRID_MM = 1.0


def muscle_fat(parameters: PatientParameters, name: str) -> float:
    """Share of fat in one of the patient's muscles, 0 to 1, by age, sex and body mass."""
    at_40, per_year = _FATTY[name]
    share = max(at_40 + per_year * (parameters.age_years - 40.0), 0.3 * at_40)
    share *= max(1.0 + _FATTY_PER_BMI * (parameters.bmi_kg_m2 - 24.0), 0.7)
    return min(share * (_FATTY_WOMEN if parameters.sex == "female" else 1.0), 0.6)


def muscle_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """All muscles, for painting; only the psoas has a name."""
    line = column_line(parameters, column)
    vessels = build_vessels(parameters, column)
    psoas = build_psoas(parameters, column)
    # However thin the fat, no muscle reaches the skin.
    under_skin = Offset(build_trunk(parameters, line), -SKIN_MM - 2.0)
    flesh = {name: muscle(muscle_fat(parameters, name)) for name in _FATTY}
    pieces = pelvic_pieces(parameters, column, under_skin, flesh["hip"])
    for side in Side:
        erector, multifidus = build_back(parameters, line, side)
        back = Common((Union((erector, multifidus), 4.0), under_skin), 2.0)
        # Thoracolumbar fascia around both; between them a septum that is not fat throughout.
        pieces.append(Piece(back, (Layer(Tissue.LIGAMENT), Layer(flesh["erector"], 0.9))))
        septum = Blend(flesh["multifidus"], Tissue.FAT, 0.15)
        pieces.append(Piece(multifidus, (Layer(septum), Layer(flesh["multifidus"], 0.8))))
        beside = Cut(quadratus(line, side), (Offset(psoas[side], 1.6), Offset(back, 1.4)), 2.0)
        pieces.append(Piece(beside, (Layer(flesh["quadratus"]),)))
        pieces += _clefts(parameters, column, side)
        pieces.append(Piece(crus(line, vessels, side), (Layer(flesh["psoas"]),)))
    pieces += [Piece(shape, (Layer(flesh["psoas"]),), Structure(Kind.PSOAS, side=side)) for side, shape in psoas.items()]
    return tuple(pieces)


def _clefts(parameters: PatientParameters, column: Column, side: Side) -> list[Piece]:
    """Fat between multifidus and longissimus, where they meet behind each facet joint, and the more the fattier they are."""
    wide = 0.5 + 6.0 * muscle_fat(parameters, "multifidus")
    pieces = []
    for segment in column.segments.values():
        joint = segment.joints[side].frame.origin_mm
        centre = joint + np.array([side.sign * 5.0, -15.0, -4.0]) * column.scale
        frame = Frame.from_cranial_anterior(centre, np.array([side.sign * 0.15, 0.0, 1.0]), np.array([side.sign * 0.3, 1.0, 0.0]))
        pieces.append(Piece(Ellipsoid(frame, (wide, 11.0, 13.0)), (Layer(Blend(Tissue.FAT, Tissue.MUSCLE, 0.4)),)))
    return pieces


def fitted(section: Section, area_mm2: float, clear_of: Sequence[Loft | Callable[..., object]] = ()) -> Section:
    """A section scaled until what is left of it beside other shapes has the area asked for."""
    reach = 1.6 * max(section.half_mm) + 2.0 * np.sqrt(area_mm2 / np.pi)
    count = int(np.ceil(reach / _GRID_MM))
    ticks = (np.arange(2 * count) - count + 0.5) * _GRID_MM
    dx, dy = (a.ravel() for a in np.meshgrid(ticks, ticks, indexing="ij"))
    points = np.stack([section.right_mm + dx, section.anterior_mm + dy, np.full_like(dx, section.z_mm)])
    free = np.ones(len(dx), dtype=bool)
    for shape in clear_of:
        free &= np.asarray(shape(points)) > 0
    cosine, sine = np.cos(np.radians(section.turn_deg)), np.sin(np.radians(section.turn_deg))
    u, v = (dx * cosine + dy * sine)[free], (dy * cosine - dx * sine)[free]
    for _ in range(5):
        side, front, back = section.half_mm
        level = outline_level(u, v, side, np.where(v > 0, front, back), float(section.power), min(section.half_mm))
        # The area of a row of pixels whose edge ones count by their share.
        area = float(np.clip(0.5 - level / _GRID_MM, 0, 1).sum()) * _GRID_MM**2
        grow = float(np.clip(np.sqrt(area_mm2 / max(area, 1.0)), 0.6, 1.6))
        section = replace(section, half_mm=(side * grow, front * grow, back * grow))
    return section


def _mirrored(section: Section, side: Side, middle_mm: float) -> Section:
    """A section given for the right side, relative to the middle of the column."""
    return replace(section, right_mm=middle_mm + side.sign * section.right_mm, turn_deg=side.sign * section.turn_deg)


# The psoas's section: depth over width, place behind (-) or before the column's middle, its turn (front outwards positive, on the right
# clockwise seen from above), and how deep its medial border would reach into the bodies that flatten it.
_PSOAS = {
    0.6: (1.9, -9.0, 0.0, 2.0),
    1.0: (1.9, -11.0, 0.0, 3.0),
    1.5: (1.9, -12.0, 0.0, 4.0),
    2.5: (1.45, -11.0, 0.0, 5.0),
    3.5: (1.2, -10.0, 0.0, 5.0),
    4.5: (1.1, -9.5, 0.0, 3.0),
    5.0: (1.12, 0.0, 0.0, 3.0),
    5.5: (1.1, 10.0, 0.0, 2.0),
}
# Beyond the promontory, relative to the middle of the sacral endplate: away, ahead, up; area; depth over width.
_PSOAS_BELOW = (
    (60.0, 24.0, -26.0, 1350.0, 1.15),
    (66.0, 34.0, -46.0, 1150.0, 1.15),
    (74.0, 46.0, -66.0, 950.0, 1.05),
    (84.0, 56.0, -86.0, 800.0, 0.9),
    (90.0, 54.0, -106.0, 640.0, 0.85),
    (94.0, 40.0, -130.0, 480.0, 0.85),
    (94.0, 18.0, -160.0, 250.0, 0.9),
)
_SHIFT = (0.45, -0.95)
"""Lateral and anterior part of a shift by one millimetre away from the vessels: mostly backwards, along the bodies."""


def build_psoas(parameters: PatientParameters, column: Column) -> dict[Side, Field]:
    """Both psoas muscles, from T12 over the pelvic brim towards the lesser trochanter, clear of bodies, discs and vessels."""
    line = column_line(parameters, column)
    vessels = build_vessels(parameters, column)
    clear_of = (line.hull, Offset(vessels.arteries, 1.0), Offset(vessels.veins, 1.0))
    return {side: Cut(psoas_loft(parameters, line, side), clear_of, 1.5) for side in Side}


def psoas_loft(parameters: PatientParameters, line: ColumnLine, side: Side) -> Loft:
    """One psoas before column and vessels are taken from it."""
    grow = parameters.psoas_scale
    shift = parameters.oblique_corridor_shift_mm if side is Side.LEFT else 0.0
    levels = list(_PSOAS)
    table = np.array(list(_PSOAS.values()))
    sections = []
    for level, area in PSOAS_MM2.items():
        ratio, ahead, turn, sunk = (float(np.interp(level, levels, column)) for column in table.T)
        middle = line.at(level)
        target = area * (grow * line.scale) ** 2
        half = np.sqrt(target / np.pi / ratio)
        away = line.half_width_at(middle[2]) + half - sunk * min(1.0, grow) + shift * _SHIFT[0]
        section = Section(middle[2], away, middle[1] + ahead + shift * _SHIFT[1], (half, half * ratio, half * ratio), -turn, 2.2)
        sections.append(fitted(_mirrored(section, side, middle[0]), target, (line.hull,)))
    lowest = min(section.z_mm for section in sections)
    for away, ahead, up, area, ratio in _PSOAS_BELOW:
        place = line.pelvic(side, away, ahead, up)
        half = grow * line.scale * np.sqrt(area / np.pi / ratio)
        if place[2] < lowest - 6.0:
            sections.append(Section(place[2], place[0], place[1], (half, half * ratio, half * ratio), 0.0, 2.2))
    return loft(sections, 6.0)


# Right of the middle, and ahead of the transverse processes' tips; half axes; turn.
_QUADRATUS = {
    0.8: (40.0, 9.0, (10.0, 6.0), 25.0),
    1.5: (47.0, 9.0, (13.0, 7.0), 22.0),
    2.5: (56.0, 8.0, (16.0, 8.5), 22.0),
    3.5: (65.0, 8.0, (18.0, 10.0), 25.0),
    4.5: (75.0, 10.0, (18.0, 8.0), 40.0),
}


def quadratus(line: ColumnLine, side: Side) -> Loft:
    """The quadratus lumborum, from the twelfth rib to the iliac crest, lateral to the transverse processes."""
    sections = []
    for level, area in QUADRATUS_MM2.items():
        away, ahead, half, turn = _row(_QUADRATUS, level)
        middle = line.at(level)
        section = Section(middle[2], away * line.scale, middle[1] - 34.0 * line.scale + ahead, (half[0], half[1], half[1]), -turn, 2.3)
        sections.append(fitted(_mirrored(section, side, middle[0]), area * line.scale**2))
    return loft(sections, 6.0)


def _row(
    table: dict[float, tuple[float, float, tuple[float, float], float]], level: float
) -> tuple[float, float, tuple[float, float], float]:
    levels = list(table)
    away, ahead, turn = (float(np.interp(level, levels, [row[i] for row in table.values()])) for i in (0, 1, 3))
    wide, deep = (float(np.interp(level, levels, [row[2][i] for row in table.values()])) for i in (0, 1))
    return away, ahead, (wide, deep), turn


# Right of the middle, and ahead of the line over the spinous tips; half axes; turn.
_ERECTOR = {
    -1.5: (34.0, 17.0, (27.0, 16.0), 6.0),
    0.0: (35.0, 16.5, (30.0, 18.0), 8.0),
    1.5: (37.0, 16.0, (33.0, 20.0), 10.0),
    2.5: (39.0, 16.0, (33.0, 20.0), 12.0),
    3.5: (42.0, 16.5, (31.0, 20.0), 14.0),
    4.5: (47.0, 14.0, (26.0, 16.0), 18.0),
    5.5: (40.0, 10.0, (16.0, 13.0), 10.0),
    6.5: (30.0, 8.0, (9.0, 8.0), 0.0),
}
_MULTIFIDUS = {
    -1.5: (10.0, 15.0, (6.5, 10.0), 0.0),
    0.0: (11.0, 15.0, (7.0, 12.0), 0.0),
    1.5: (12.5, 14.0, (8.5, 12.0), 0.0),
    2.5: (13.5, 13.0, (10.0, 13.5), 0.0),
    3.5: (16.5, 12.0, (13.0, 15.0), 0.0),
    4.5: (19.5, 12.0, (16.0, 16.5), 0.0),
    5.5: (20.0, 12.0, (17.0, 16.0), 0.0),
    6.5: (17.0, 8.0, (14.0, 11.0), 0.0),
}


def build_back(parameters: PatientParameters, line: ColumnLine, side: Side) -> tuple[Loft, Loft]:
    """Erector spinae (what the multifidus leaves of it has the published area) and multifidus."""
    grow = parameters.back_muscle_scale * line.scale
    multifidus = _back_loft(line, side, _MULTIFIDUS, MULTIFIDUS_MM2, grow, ())
    return _back_loft(line, side, _ERECTOR, ERECTOR_MM2, grow, (multifidus,)), multifidus


def _back_loft(
    line: ColumnLine,
    side: Side,
    table: dict[float, tuple[float, float, tuple[float, float], float]],
    areas: dict[float, float],
    grow: float,
    clear_of: tuple[Loft, ...],
) -> Loft:
    sections = []
    for level, area in areas.items():
        away, ahead, half, turn = _row(table, level)
        middle = line.at(level) if level < 6.0 else line.pelvic(side, 0.0, 0.0, -42.0)
        back = line.spinous_at(middle[2])
        section = Section(middle[2], away * line.scale, back + ahead * line.scale, (half[0], half[1], half[1]), turn, 2.3)
        sections.append(fitted(_mirrored(section, side, middle[0]), area * grow**2, clear_of))
    return loft(sections, 6.0)
