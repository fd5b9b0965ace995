"""The sacrum's bulk, its canal and what stays open, in the frame of the S1 endplate, bent along the sacral curve.

All tables are for the mean man: S1 endplate 50 x 34, breadth 112, length 105 straight from promontory to S5, hollow 16 deep, canal 31 x 15
at S1 (22 x 9, 17 x 5, 13 x 4 below), hiatus 18.5 long and 12 wide; where no paper gives a number it is drawn between those that one gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from kambin.geometry import FloatArray
from kambin.phantom.bend import Arc, Bend
from kambin.phantom.compose import Balls, Blocks, Spans, levels, spans
from kambin.phantom.field import Box, Field, Points, Values, smooth_maximum, smooth_minimum
from kambin.phantom.morphometry import S1_CONCAVITY_MM, S1_DEPTH_MM, S1_WIDTH_MM
from kambin.phantom.vertebra import kidney_level

Table = tuple[tuple[float, float], ...]
"""Pairs of a place along the curve (mm from the promontory) and a quantity there."""

S1_CANAL_WIDTH_MM = 31.0
S1_BODY_HEIGHT_MM = 30.0
_LEAN_DEG, _STRAIGHT_MM = 31.0, 52.0
_ARCS = ((58.0, 60.0), (38.0, 45.0))
"""Length (mm) and turn (degrees) of S3 to S5, and of the coccyx."""
S5_END_MM = 110.0
_TIP_MM = 148.0
_FAR_MM = 22.0
"""Levels are cut off here: the bent coordinates mean nothing further in front."""

# Along the curve: place (mm from the promontory), then the quantity there.
BODY_DEPTH: Table = ((0, 29.5), (16, 29), (33, 22.5), (45, 18), (55, 14.5), (72, 11.5), (88, 7.5), (105, 6), (114, 7), (130, 6), (148, 5))
CANAL_DEPTH: Table = ((0, 17), (18, 15.5), (35, 13), (50, 9.5), (70, 6), (88, 4.5), (112, 4))
CANAL_HALF_WIDTH: Table = ((0, 15.5), (25, 15), (38, 12.5), (50, 11), (70, 8.5), (90, 6.5), (112, 5.5))
_ROOF: Table = ((0, 6), (60, 5.5), (75, 4.5), (95, 3.5), (110, 2.0), (114, 0.5), (148, 0.3))
_HALF_BREADTH: Table = (
    (0, 64),
    (50, 64),
    (60, 47),
    (68, 40),
    (84, 36.5),
    (95, 33),
    (104, 24),
    (110, 11.5),
    (112, 11.5),
    (116, 16.5),
    (121, 10.5),
    (124, 9.5),
    (127, 10),
    (131, 7.5),
    (134, 7),
    (136, 7),
    (139, 5.5),
    (148, 3.5),
)
_WING_FORWARD: Table = ((0, 0), (22, 2), (34, 6), (50, 8), (64, 7), (84, 4), (100, 2), (112, 0))
"""How far the lateral masses stand before the bodies: the sacrum is hollow from side to side too."""


@dataclass(frozen=True, eq=False)
class SacralBlock:
    """Bodies, lateral masses and roof of the canal as one block, in the frame of the S1 endplate.

    Parameters
    ----------
    scale
        Of the patient's bones.
    """

    scale: float
    slope: float = field(default=2.4, init=False)

    @property
    def bend(self) -> Bend:
        arcs = tuple(Arc(length * self.scale, float(np.radians(turn))) for length, turn in _ARCS)
        return Bend((0.5 * S1_DEPTH_MM * self.scale, 0.0), float(np.radians(_LEAN_DEG)), _STRAIGHT_MM * self.scale, arcs)

    @property
    def box(self) -> Box:
        return Box(np.array([-62.0, -66.0, -138.0]) * self.scale, np.array([62.0, 24.0, 12.0]) * self.scale)

    def __call__(self, points: Points) -> Values:
        x, y, z = points * points.dtype.type(1.0 / self.scale)
        s, t = _UNIT_BEND.coordinates(y, z)
        side = np.abs(x)
        level = smooth_minimum(self._plate(side, y, z, s, t), _first_body(x, y, z), 5.0)
        return np.asarray(np.minimum(level, _FAR_MM) * points.dtype.type(self.scale))

    def endplate_level(self, x: Values, y: Values, z: Values) -> Values:
        """Height above the S1 endplate's surface, hollow as the lumbar ones; negative below."""
        kind = x.dtype.type
        far = np.square(x / kind(0.42 * S1_WIDTH_MM * self.scale)) + np.square(
            (y + kind(0.08 * S1_DEPTH_MM * self.scale)) / kind(0.40 * S1_DEPTH_MM * self.scale)
        )
        return np.asarray(z + kind(S1_CONCAVITY_MM * self.scale) * np.square(np.maximum(1 - far, 0)))

    def ala_height(self, right_mm: float, anterior_mm: float) -> float:
        """Cranial coordinate of the ala's upper surface."""
        top = _ala_top(np.array([abs(right_mm) / self.scale]), np.array([anterior_mm / self.scale]))
        return float(top[0]) * self.scale

    def _plate(self, side: Values, y: Values, z: Values, s: Values, t: Values) -> Values:
        kind = side.dtype.type
        outwards = np.clip((side - 16) * kind(1 / 26.0), 0, 1)
        outwards = outwards * outwards * (3 - 2 * outwards)
        front = _along(s, _WING_FORWARD) * -outwards - t
        roof = _along(s, BODY_DEPTH) + _along(s, CANAL_DEPTH) + _along(s, _ROOF)
        roof = roof - kind(0.5) * np.maximum(side - 21, 0)
        # Behind the coccyx and the fifth body there is no roof any more.
        back = (t - roof) * kind(0.85)
        flat = smooth_maximum(front, back, 5.0)
        top = (z - _ala_top(side, y)) * kind(0.8)
        breadth = (side - _along(s, _HALF_BREADTH)) * kind(0.8)
        level = smooth_maximum(smooth_maximum(flat, breadth, 6.0), s - kind(_TIP_MM), 3.0)
        return smooth_maximum(level, top, 6.0)


def _ala_top(side: Values, y: Values) -> Values:
    """Height of the alae's upper surface: down to the front and the side, below the endplate's rim in the middle."""
    kind = side.dtype.type
    plane = kind(-5.5) - kind(0.62) * (y + 17) - kind(0.36) * (side - 46)
    return smooth_minimum(plane, np.full_like(plane, 0.5), 4.0)


def _first_body(x: Values, y: Values, z: Values) -> Values:
    """The body of S1: an oval that tapers into the block, its wall behind straight as those of the lumbar bodies.

    It stands over the endplate, which `DiscSpace` cuts exactly.
    """
    kind = x.dtype.type
    below = np.asarray(np.clip(-z, 0, kind(S1_BODY_HEIGHT_MM + 4)))
    half_width = kind(0.5 * S1_WIDTH_MM) - kind(0.30) * below
    back = kind(-0.5 * S1_DEPTH_MM) - kind(0.22) * below
    depth = kind(S1_DEPTH_MM) - kind(0.41) * below
    wall = kidney_level(x, y - back - depth / 2, half_width, depth / 2, 0.9 * S1_CANAL_WIDTH_MM)
    return smooth_maximum(smooth_maximum(wall, z - 3, 2.0), -z - kind(S1_BODY_HEIGHT_MM), 3.0)


@dataclass(frozen=True, eq=False)
class SacralCanal:
    """The sacral canal in the frame of the S1 endplate: oval, flatter and narrower downwards.

    Parameters
    ----------
    scale
        Of the patient's bones.
    width_scale
        Of the canal, beyond that.
    top_mm, end_mm
        Its ends: height over the endplate's plane, and place along the sacral curve.
    """

    scale: float
    width_scale: float
    top_mm: float = 0.0
    end_mm: float = 106.0
    slope: float = field(default=1.6, init=False)

    @property
    def box(self) -> Box:
        return Box(np.array([-22.0, -50.0, -110.0]) * self.scale, np.array([22.0, -8.0, self.top_mm + 1.0]) * self.scale)

    def __call__(self, points: Points) -> Values:
        x, y, z = points * points.dtype.type(1.0 / self.scale)
        kind = points.dtype.type
        s, t = _UNIT_BEND.coordinates(y, z)
        half = 0.5 * _along(s, CANAL_DEPTH) * kind(self.width_scale)
        middle = _along(s, BODY_DEPTH) + half
        gauge = np.sqrt(np.square(x / (_along(s, CANAL_HALF_WIDTH) * kind(self.width_scale))) + np.square((t - middle) / half))
        tube = (gauge - 1) * half
        level = np.maximum(np.maximum(tube, z - kind(self.top_mm)), s - kind(self.end_mm))
        return np.asarray(np.minimum(level, _FAR_MM) * kind(self.scale))


@dataclass(frozen=True, eq=False)
class OpenBehind:
    """Where the canal has no roof: the window between L5 and S1, and the hiatus; in the frame of the S1 endplate.

    Parameters
    ----------
    scale
        Of the patient's bones.
    """

    scale: float
    slope: float = field(default=1.6, init=False)

    @property
    def box(self) -> Box:
        return Box(np.array([-22.0, -90.0, -120.0]) * self.scale, np.array([22.0, -8.0, 30.0]) * self.scale)

    def __call__(self, points: Points) -> Values:
        x, y, z = points * points.dtype.type(1.0 / self.scale)
        kind = points.dtype.type
        s, t = _UNIT_BEND.coordinates(y, z)
        behind = _along(s, BODY_DEPTH) + kind(1.0) - t
        # The window's lower edge is the upper border of the S1 lamina, highest at the sides.
        edge = kind(-15.0) + kind(0.45) * np.abs(x)
        window = np.maximum(np.maximum((edge - z) * kind(0.9), np.abs(x) - kind(14.5)), behind)
        apex = np.clip((s - 90) * kind(1 / 8.0), 0, 1)
        hiatus = np.maximum(np.maximum(np.abs(x) - 6 * apex, np.abs(s - 101) - 11), behind)
        return np.asarray(np.minimum(np.minimum(window, hiatus * kind(0.8)), _FAR_MM) * kind(self.scale))


@dataclass(frozen=True, eq=False)
class DiscSpace:
    """What must stay free above the S1 endplate, in its frame: the alae rise beside it, never over it.

    Parameters
    ----------
    body
        Whose endplate it is.
    """

    body: SacralBlock
    slope: float = field(default=2.0, init=False)

    @property
    def box(self) -> Box:
        return Box(np.array([-32.0, -20.0, -3.0]) * self.body.scale, np.array([32.0, 40.0, 30.0]) * self.body.scale)

    def __call__(self, points: Points) -> Values:
        x, y, z = points
        scale, kind = self.body.scale, points.dtype.type
        half = np.full_like(x, 0.5 * scale)
        wall = kidney_level(x, y, half * kind(S1_WIDTH_MM), half * kind(S1_DEPTH_MM), 0.0) - kind(5.0 * scale)
        return np.maximum(-self.body.endplate_level(x, y, z), wall)


@dataclass(frozen=True, eq=False)
class BothSides:
    """A shape of the right side on both, exactly alike; in a frame whose first coordinate is *right* of the midline.

    Parameters
    ----------
    shape
        Of the right side.
    """

    shape: Field

    @property
    def box(self) -> Box:
        corners = self.shape.box.corners_mm
        return Box.around(np.vstack([corners, corners * np.array([-1.0, 1.0, 1.0])]))

    @property
    def slope(self) -> float:
        return self.shape.slope

    def __call__(self, points: Points) -> Values:
        return self.shape(_folded(points))

    def on_blocks(self, blocks: Blocks) -> Values:
        return levels(self.shape, Blocks.within(self._folded(blocks.balls), _folded(blocks.points)))

    def in_balls(self, balls: Balls) -> Spans:
        return spans(self.shape, self._folded(balls))

    def _folded(self, balls: Balls) -> Balls:
        return balls.at(_folded(balls.middle), balls.radius_mm)


def _folded(points: Points) -> Points:
    return np.concatenate([np.abs(points[:1]), points[1:]])


def at(body: SacralBlock, right: float, s: float, t: float) -> FloatArray:
    """A point by its bent coordinates, in the frame of the endplate, for the mean man's numbers."""
    return _UNIT_BEND.point(right, s, t) * body.scale


def roof_at(s: float) -> float:
    return value(BODY_DEPTH, s) + value(CANAL_DEPTH, s) + value(_ROOF, s)


def value(table: Table, s: float) -> float:
    return float(_along(np.array([s]), table)[0])


def _along(s: Values, table: Table) -> Values:
    """A quantity along the curve: between the table's places drawn smoothly, constant beyond them."""
    places, numbers = _drawn(table)
    return np.interp(s, places, numbers).astype(s.dtype)


@lru_cache
def _drawn(table: Table) -> tuple[FloatArray, FloatArray]:
    """A table's straight pieces with their corners rounded over a few millimetres."""
    places, numbers = np.array(table, dtype=np.float64).T
    step, reach = 0.5, 5
    fine = np.arange(places[0] - 10.0, places[-1] + 10.0, step)
    weights = np.convolve(np.ones(reach), np.ones(reach)) / reach**2
    padded = np.interp(np.arange(fine[0] - step * (reach - 1), fine[-1] + step * (reach - 0.5), step), places, numbers)
    return fine, np.convolve(padded, weights, mode="valid")[: len(fine)]


_UNIT_BEND = SacralBlock(1.0).bend
