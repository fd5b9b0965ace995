"""Organs in front of and beside the column: kidneys, liver, spleen, stomach and bowel. None is measured; all are there to be missed.

Kidneys 108 (right) and 110 mm (left) long (CT, n = 100, advbiores), 52 x 42 mm across, hilum towards L1/L2, the right one 15 mm lower,
upper poles tilted inwards by 16 degrees (recalled). Ascending colon 35 to 60 mm wide, descending 25 to 40, small bowel 20 to 30, its
wall 2 mm (recalled). Other places were read off one contrast-enhanced CT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray, Frame
from kambin.phantom.column import Column
from kambin.phantom.column_line import ColumnLine, column_line
from kambin.phantom.compose import Common, Cut, Offset, Placed, Union
from kambin.phantom.field import Box, Field, HalfSpace, Points, Values, capsule
from kambin.phantom.loft import Egg, Loft, Section, loft, measured_slope, tube
from kambin.phantom.muscles import psoas_loft, quadratus
from kambin.phantom.noise import uniforms
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.skin import build_cavity, build_trunk
from kambin.phantom.tissue import Blend, Tissue
from kambin.phantom.vessels import Vessels, build_vessels

_KIDNEY_HALF_MM = (26.0, 21.0)
_KIDNEY_LENGTH_MM = {Side.LEFT: 109.7, Side.RIGHT: 108.4}
_KIDNEY_LEVEL = {Side.LEFT: 1.45, Side.RIGHT: 1.9}
_GUT_WALL_MM = 2.0
_GUT = (Layer(Tissue.BOWEL_WALL), Layer(Tissue.BOWEL_CONTENT, _GUT_WALL_MM))
_COLON = (Layer(Tissue.BOWEL_WALL), Layer(Tissue.STOOL, _GUT_WALL_MM))
_VEIN, _ARTERY = ((Layer(Tissue.VESSEL_WALL), Layer(blood, 0.7)) for blood in (Tissue.VENOUS_BLOOD, Tissue.ARTERIAL_BLOOD))
_BOWEL = Structure(Kind.BOWEL)
_LOOPS = 53
_GAS = (Layer(Tissue.GAS),)


@dataclass(frozen=True, eq=False)
class _Room:
    """What the organs are placed by and kept clear of."""

    line: ColumnLine
    cavity: Loft
    vessels: Vessels

    def flank(self, z_mm: float) -> float:
        """Half width of the cavity at a height."""
        return float(self.cavity.profile(np.array([z_mm]))[2][0])

    def belly(self, z_mm: float) -> float:
        """Anterior coordinate of the cavity's front at a height."""
        _right, ahead, _side, front, *_rest = (float(row[0]) for row in self.cavity.profile(np.array([z_mm])))
        return ahead + front

    def z(self, level: float) -> float:
        return float(self.line.at(level)[2])


def visceral_pieces(parameters: PatientParameters, column: Column) -> tuple[Piece, ...]:
    """All organs, for painting."""
    line = column_line(parameters, column)
    cavity = build_cavity(parameters, line, build_trunk(parameters, line))
    room = _Room(line, cavity, build_vessels(parameters, column))
    kidneys = {side: build_kidney(line, side) for side in Side}
    colon = _colon(room)
    pieces = [piece for side in Side for piece in _kidney_pieces(room, kidneys[side], side)]
    pieces += _upper_organs(room, kidneys)
    loops = _small_bowel(room, uniforms(6, round(parameters.variant), _LOOPS))
    pieces.append(Piece(Cut(loops, tuple(Offset(part, 3.0) for part in colon[:4]), 2.0), _GUT, _BOWEL))
    pieces.append(Piece(_bladder(room), (Layer(Tissue.BOWEL_WALL), Layer(Tissue.BOWEL_CONTENT, 3.0))))
    vessels = (room.vessels.arteries, room.vessels.veins)
    beside = {side: (kidneys[side], quadratus(line, side), psoas_loft(parameters, line, side)) for side in Side}
    low = (*vessels, *(beside[side][2] for side in Side))
    # Each part keeps its distance from what it may come near to behind the peritoneum.
    near: tuple[tuple[Field, ...], ...] = (beside[Side.RIGHT], (), beside[Side.LEFT], low, low)
    for part, others in zip(colon, near, strict=True):
        clear_of = tuple(Offset(other, 3.5) for other in others)
        # The rectum leaves the cavity.
        gut = part if part is colon[-1] else Common((part, Offset(cavity, -1.5)), 3.0)
        pieces += _colon_pieces(Cut(gut, clear_of, 3.0) if clear_of else gut, _belly_gas(room, 27.0))
    return (*pieces, *_before_the_vessels(room))


def _colon_pieces(gut: Field, gas_level: Field) -> list[Piece]:
    """A piece of colon, and the gas that floats in it."""
    return [Piece(gut, _COLON, _BOWEL), Piece(Common((Offset(gut, -_GUT_WALL_MM - 0.5), gas_level)), _GAS)]


# Right of the middle, height in vertebrae, distance before the column, radius: mean man's millimetres.
_DUODENUM = ((42.0, 1.7, 26.0, 11.0), (44.0, 2.5, 22.0, 11.0), (34.0, 3.1, 28.0, 10.0), (6.0, 3.2, 33.0, 9.0), (-24.0, 2.7, 33.0, 10.0))
_PANCREAS = ((30.0, 2.2, 34.0, 10.0), (22.0, 1.6, 36.0, 11.0), (-8.0, 1.3, 42.0, 8.0), (-42.0, 0.9, 32.0, 8.0), (-62.0, 0.7, 20.0, 7.0))
_MESENTERIC = ((9.0, 1.6, 42.0, 5.0), (8.0, 2.8, 46.0, 5.0), (12.0, 4.0, 52.0, 3.5))
"""The superior mesenteric vein; the artery runs beside it."""


def _before_the_vessels(room: _Room) -> list[Piece]:
    """Duodenum, pancreas and the superior mesenteric vessels, in front of aorta and vena cava."""
    vein = _along(room, _MESENTERIC)
    artery = _along(room, tuple((right - 14.0, level, ahead - 1.0, 0.75 * radius) for right, level, ahead, radius in _MESENTERIC))
    clear_of = (Offset(room.vessels.arteries, 2.5), Offset(room.vessels.veins, 2.5), Offset(vein, 1.0), Offset(artery, 1.5))
    bowel = Cut(_along(room, _DUODENUM), clear_of, 3.0)
    gland = Cut(_along(room, _PANCREAS), (*clear_of, Offset(bowel, 1.0)), 3.0)
    vessels = [Piece(Cut(tree, clear_of[:2], 1.0), layers) for tree, layers in ((vein, _VEIN), (artery, _ARTERY))]
    return [Piece(bowel, _GUT, _BOWEL), Piece(gland, (Layer(Blend(Tissue.SPLEEN, Tissue.MESENTERY, 0.25)),)), *vessels]


def _along(room: _Room, rows: Sequence[tuple[float, float, float, float]]) -> Field:
    """A bent rod through places before the column."""
    scale, line = room.line.scale, room.line
    points = []
    for right, level, ahead, _radius in rows:
        x, _y, z = line.at(level)
        points.append(np.array([x + right * scale, float(line.before(x, z, ahead * scale)[0]), z]))
    rods = [capsule(a, b, one[3], two[3]) for (a, b), (one, two) in zip(pairwise(points), pairwise(rows), strict=True)]
    return Union(tuple(rods), 4.0)


def _belly_gas(room: _Room, depth_mm: float) -> Field:
    """What lies less than a depth under the front of the belly: gas collects there in a patient on his back."""
    front = room.belly(room.z(3.0)) - depth_mm
    return HalfSpace(np.array([0.0, front, 0.0]), np.array([0.0, -1.0, 0.0]))


def build_kidney(line: ColumnLine, side: Side) -> Field:
    """One kidney with its sinus; its upper pole leans inwards and backwards."""
    frame = _kidney_frame(line, side)
    half = (_KIDNEY_HALF_MM[0] * line.scale, _KIDNEY_HALF_MM[1] * line.scale, 0.5 * _KIDNEY_LENGTH_MM[side] * line.scale)
    keep = (Offset(quadratus(line, side), 2.0), Offset(build_back_stop(line, side), 2.0))
    return Cut(Egg(frame, half), (_notch(frame, half, side), *keep), 5.0)


def build_back_stop(line: ColumnLine, side: Side) -> Field:
    """The room of the muscles of the back: behind the transverse processes."""
    middle = line.at(_KIDNEY_LEVEL[side])
    return HalfSpace(middle - np.array([0.0, 38.0 * line.scale, 0.0]), np.array([0.0, 1.0, 0.0]))


def _kidney_frame(line: ColumnLine, side: Side) -> Frame:
    """Its *right* points from the hilum outwards on the right, from outside to the hilum on the left."""
    middle = line.at(_KIDNEY_LEVEL[side])
    centre = middle + np.array([side.sign * 66.0, 0.0, 0.0]) * line.scale
    cranial = np.array([-side.sign * 0.27, -0.19, 0.94])
    # The hilum looks forward by 30 degrees.
    anterior = np.array([side.sign * 0.5, 0.866, 0.0])
    return Frame.from_cranial_anterior(centre, cranial, anterior)


def _notch(frame: Frame, half: tuple[float, float, float], side: Side) -> Field:
    """The hilum."""
    centre = frame.world([-side.sign * 1.02 * half[0], 0.0, 0.0])
    return Egg(frame.moved_to(centre), (0.42 * half[0], 0.45 * half[1], 0.34 * half[2]))


def _kidney_pieces(room: _Room, kidney: Field, side: Side) -> list[Piece]:
    """Cortex, pyramids, the fat of the sinus, and the vessels of the hilum."""
    frame, scale = _kidney_frame(room.line, side), room.line.scale
    half = (_KIDNEY_HALF_MM[0] * scale, _KIDNEY_HALF_MM[1] * scale, 0.5 * _KIDNEY_LENGTH_MM[side] * scale)
    pieces = [Piece(kidney, (Layer(Tissue.KIDNEY_CORTEX),), Structure(Kind.KIDNEY, side=side))]
    inner = Offset(kidney, -6.5 * scale)
    pieces.append(Piece(Common((inner, _pyramids(frame, half, side)), 2.0), (Layer(Tissue.KIDNEY_MEDULLA),)))
    sinus = Egg(frame.moved_to(frame.world([-side.sign * 0.42 * half[0], 0.0, 0.0])), (0.46 * half[0], 0.34 * half[1], 0.46 * half[2]))
    pieces.append(Piece(Common((sinus, Offset(kidney, 1.0))), (Layer(Tissue.FAT),)))
    hilum = frame.world([-side.sign * 0.55 * half[0], 0.0, 0.0])
    level = _KIDNEY_LEVEL[side] - 0.25
    for tree, radius, layers, lift in (
        (room.vessels.veins, 4.5, _VEIN, 0.0),
        (room.vessels.arteries, 2.8, _ARTERY, 7.0),
    ):
        start = _vessel_middle(room, tree is room.vessels.arteries, level) + np.array([0.0, 0.0, lift])
        end = hilum + np.array([0.0, -3.0 if lift else 3.0, lift])
        renal = Union((_arched(room, start, end, radius),))
        pieces.append(Piece(Cut(renal, (tree,)), layers))
    return pieces


def _vessel_middle(room: _Room, artery: bool, level: float) -> FloatArray:
    """About the middle of the aorta or the vena cava at a height in vertebrae."""
    x, _y, z = room.line.at(level)
    shape = room.vessels.arteries if artery else room.vessels.veins
    ticks = np.stack(np.meshgrid(x + np.arange(-30.0, 45.0, 1.5), _y + np.arange(0.0, 60.0, 1.5), indexing="ij")).reshape(2, -1)
    points = np.stack([*ticks, np.full(ticks.shape[1], z)])
    return np.asarray(points[:, int(np.argmin(shape(points)))])


def _arched(room: _Room, start: FloatArray, end: FloatArray, radius: float) -> Field:
    """A vessel from in front of the column to a hilum, around the body that lies between."""
    corner = 0.5 * (start + end)
    side = np.sign(end[0] - start[0])
    right = room.line.at(1.5)[0] + side * 27.0 * room.line.scale
    if (corner[0] - right) * side < 0:
        corner = start + (end - start) * (right - start[0]) / (end[0] - start[0])
    need = float(room.line.before(corner[0], corner[2], radius + 2.0)[0])
    corner = np.array([corner[0], max(corner[1], min(need, start[1])), corner[2]])
    return Union((capsule(start, corner, radius), capsule(corner, end, radius)), 4.0)


def _pyramids(frame: Frame, half: tuple[float, float, float], side: Side) -> Field:
    """Seven pyramids around the sinus, columns of cortex between them."""
    cones = []
    for turn in np.linspace(-0.8, 0.8, 7) * np.pi / 1.25:
        out = np.array([side.sign * np.cos(turn) * half[0], 0.0, np.sin(turn) * half[2]])
        tip, base = frame.world(0.30 * out), frame.world(0.78 * out)
        cones.append(capsule(tip, base, 2.5, 7.0))
    return Union(tuple(cones))


def _upper_organs(room: _Room, kidneys: dict[Side, Field]) -> list[Piece]:
    """Liver on the right, spleen and stomach on the left, as far down as the lumbar spine sees them."""
    line, scale = room.line, room.line.scale
    within = Offset(room.cavity, -2.0)
    top, base = room.z(-2.0), line.at(0.0)[1]
    flank = room.flank(room.z(0.0))
    right_lobe = loft(
        [
            Section(top, 0.45 * flank, base + 36.0, (0.56 * flank, 68.0, 68.0), 0.0, 2.3),
            Section(room.z(0.5), 0.55 * flank, base + 36.0, (0.46 * flank, 62.0, 60.0), 0.0, 2.3),
            Section(room.z(1.5), 0.70 * flank, base + 34.0, (0.32 * flank, 44.0, 40.0), 0.0, 2.3),
            Section(room.z(2.3), 0.80 * flank, base + 30.0, (0.17 * flank, 22.0, 22.0), 0.0, 2.3),
        ],
        10.0,
    )
    left_lobe = Egg(_upright([0.05 * flank, base + 78.0 * scale, room.z(-0.8)]), (0.6 * flank, 28.0, 48.0))
    spleen = Egg(_upright([-0.82 * flank, base - 8.0, room.z(-0.1)]), (22.0, 36.0, 52.0))
    stomach = Egg(_upright([-0.48 * flank, base + 72.0 * scale, room.z(0.2)]), (0.36 * flank, 34.0, 46.0))
    right, left = (Offset(kidneys[side], 4.0) for side in (Side.RIGHT, Side.LEFT))
    vessels = (Offset(room.vessels.arteries, 4.0), Offset(room.vessels.veins, 3.0))
    liver = Cut(Common((Union((right_lobe, left_lobe), 12.0), within), 4.0), (right, *vessels), 6.0)
    belly = Cut(Common((stomach, within), 4.0), (left, Offset(spleen, 3.0), Offset(left_lobe, 3.0)), 6.0)
    pieces = [Piece(liver, (Layer(Tissue.LIVER),)), Piece(Cut(Common((spleen, within), 4.0), (left,), 5.0), (Layer(Tissue.SPLEEN),))]
    return [*pieces, Piece(belly, (Layer(Tissue.BOWEL_WALL), Layer(Tissue.BOWEL_CONTENT, 3.5)))]


def _bladder(room: _Room) -> Field:
    """The urinary bladder, half full."""
    return Egg(_upright(room.line.pelvic(Side.RIGHT, 0.0, 46.0, -112.0)), (36.0, 28.0, 25.0))


def _upright(centre: npt.ArrayLike) -> Frame:
    return Frame(np.asarray(centre, dtype=np.float64), np.eye(3))


def _haustra(points: npt.ArrayLike, radius_mm: float, along: int, depth: float = 0.13) -> Field:
    """A colon through points: a tube with pouches. `along` is the axis along which it runs without turning back."""
    knots = np.asarray(points, dtype=np.float64)
    knots = knots[np.argsort(knots[:, along])]
    at = np.arange(knots[0, along], knots[-1, along] + 0.1, 3.5)
    curve = np.stack([np.interp(at, knots[:, along], knots[:, axis]) for axis in range(3)], axis=1)
    smooth = np.array([curve[max(0, i - 5) : i + 6].mean(axis=0) for i in range(len(curve))])
    smooth[:, along] = at
    wave = np.abs(np.sin(np.pi * at / 30.0))
    radii = radius_mm * (1.0 - depth + 1.6 * depth * wave)
    if along == 2:
        return tube(smooth, radii)
    # A tube runs upwards: lay it over.
    frame = Frame.from_cranial_anterior(np.zeros(3), np.eye(3)[along], np.eye(3)[2])
    return Placed(tube(frame.local(smooth), radii), frame)


def _colon(room: _Room) -> tuple[Field, ...]:
    """Ascending, transverse, descending and sigmoid colon, and the rectum."""
    line, k = room.line, room.line.scale
    high, low = room.z(2.1), float(line.promontory_mm[2]) + 6.0
    flanks = [room.flank(z) for z in (high, room.z(3.5), low)]
    base = line.at(3.0)[1]
    right = [(0.99 * flanks[0] - 26, base + 42, high), (flanks[1] - 29, base + 24, room.z(3.5)), (flanks[2] - 34, base + 34, low - 18.0)]
    top = room.z(1.2)
    left = [(20.0 - room.flank(top), base + 8, top), (20.0 - flanks[1], base + 2, room.z(3.5)), (24.0 - flanks[2], base + 14, low)]
    left.append(tuple(line.pelvic(Side.LEFT, 86.0, 46.0, -24.0)))
    front = room.belly(room.z(2.8)) - 30.0
    across = [
        (0.95 * flanks[0] - 30, base + 62, high + 2.0),
        (44.0, front - 4, room.z(2.9)),
        (0.0, front, room.z(3.1)),
        (-44.0, front - 6, room.z(2.7)),
        (26.0 - room.flank(top), base + 40, room.z(1.7)),
    ]
    sigmoid = [
        line.pelvic(Side.LEFT, 86.0, 46.0, -24.0),
        line.pelvic(Side.LEFT, 52.0, 62.0, -36.0),
        line.pelvic(Side.RIGHT, 4.0, 58.0, -30.0),
        line.pelvic(Side.RIGHT, 22.0, 40.0, -42.0),
    ]
    rectum = []
    for place in ((22.0, 38.0, -44.0), (14.0, 16.0, -66.0), (5.0, -8.0, -88.0), (0.0, -24.0, -110.0), (0.0, -28.0, -130.0)):
        x, y, z = line.pelvic(Side.RIGHT, *place)
        rectum.append(np.array([x, max(y, float(line.before(x, z, 18.0)[0])), z]))
    return (
        _haustra(right, 23.0 * k, 2),
        _haustra(across, 18.0 * k, 0),
        _haustra(left, 14.5 * k, 2),
        _haustra(sigmoid, 13.0 * k, 0),
        _haustra(rectum, 14.0 * k, 2, 0.06),
    )


@dataclass(frozen=True, eq=False)
class Loops:
    """Loops of small bowel: tubes side by side that run obliquely and meander, wide in some places, narrow and far apart in others.

    Parameters
    ----------
    within
        Where they lie.
    phases
        Six numbers from 0 to 1, by which one patient's loops differ from another's.
    pitch_mm
        From one to the next.
    """

    within: Field
    phases: tuple[float, ...]
    pitch_mm: float = 25.5
    slope: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", 1.0)
        object.__setattr__(self, "slope", measured_slope(self))

    @property
    def box(self) -> Box:
        return self.within.box

    def __call__(self, points: Points) -> Values:
        x, y, z = points
        kind = x.dtype.type
        one, two, three, four, five, six = (kind(2.0 * np.pi * phase) for phase in self.phases)
        within = self.within(points)
        # Tubes run along neither of the planes that scanners like; two slow waves bend the lattice that they lie on.
        along, up, ahead = (kind(a) * x + kind(b) * y + kind(c) * z for a, b, c in _OBLIQUE)
        up = up + kind(15) * np.sin(along * kind(0.058) + one) + kind(6) * np.sin(y * kind(0.06) + two)
        ahead = ahead + kind(13) * np.sin(along * kind(0.071) + three) + kind(5) * np.sin(up * kind(0.05) + four)
        rise = kind(0.866 * self.pitch_mm)
        row = np.round(up / rise)
        best = np.full_like(x, self.pitch_mm)
        for step in (-1, 0, 1):
            own = row + kind(step)
            offset = kind(0.5) * (own % 2)
            column = np.round(ahead / kind(self.pitch_mm) - offset)
            distance = np.sqrt(np.square(up - own * rise) + np.square(ahead - (column + offset) * kind(self.pitch_mm)))
            best = np.minimum(best, distance)
        wide = np.sin(x * kind(0.05) + five) * np.sin(z * kind(0.045) + six) + np.sin(y * kind(0.055) + one)
        radius = kind(12.4) + kind(3.2) * wide + kind(0.9) * np.sin(along * kind(0.30) + two)
        # They end round where their room ends. The waves stretch distances by up to half.
        return np.asarray(np.maximum((best - np.minimum(radius, -within)) * kind(0.72), within))


_OBLIQUE = ((0.48, 0.36, 0.80), (-0.60, 0.80, 0.0), (-0.64, -0.48, 0.60))
"""Unit vectors along the loops and across them."""


def _small_bowel(room: _Room, phases: FloatArray) -> Field:
    """The loops between the colon, in front of the large vessels."""
    line = room.line
    sections = []
    for level in (2.2, 2.8, 3.5, 4.2, 5.0):
        z = room.z(level)
        back = float(line.before(line.middle_at(z)[0], z, 28.0)[0])
        front = room.belly(z) - (54.0 if level < 3.4 else 10.0)
        half = 0.5 * max(front - back, 24.0)
        sections.append(Section(z, 0.0, back + half, (room.flank(z) - 14.0, half, half), 0.0, 2.8))
    for up, wide, back, front in ((-22.0, 62.0, 74.0, 112.0), (-55.0, 50.0, 60.0, 106.0)):
        x, y, z = line.promontory_mm + np.array([0.0, 0.0, up * line.scale])
        front = min(y + front, room.belly(z) - 8.0)
        half = 0.5 * max(front - y - back, 20.0)
        sections.append(Section(float(z), float(x), front - half, (wide * line.pelvis_scale, half, half), 0.0, 2.6))
    return Loops(loft(sections, 12.0), tuple(phases.tolist()))
