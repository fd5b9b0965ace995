"""The dural sac with the conus and the cauda equina in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import FloatArray, unit
from kambin.phantom.column import Column
from kambin.phantom.compose import Balls, Blocks, Cut, Offset, Spans, Union, levels, spans
from kambin.phantom.field import Box, Field, Points, Values, ellipse_level
from kambin.phantom.morphometry import LUMBAR, S1_DEPTH_MM
from kambin.phantom.nerves import Chain, origins, smooth_path
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.sacrum import SacrumShape
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Landmarks

_DURA_MM = 0.4
_HALF_MM = {
    # level in vertebrae: half transverse and half sagittal diameter, and fat in front
    0.0: (9.3, 8.2, 0.8),
    1.5: (9.0, 7.8, 1.0),
    2.5: (8.8, 7.5, 1.0),
    3.5: (8.5, 7.1, 1.1),
    4.5: (8.0, 6.6, 1.6),
    5.5: (7.4, 5.8, 3.4),
    6.0: (6.6, 5.2, 4.0),
    7.0: (3.0, 2.4, 3.0),
}
"""Transverse diameters 18 to 15 mm (recalled), sagittal 15.6 mm at L1/L2 to 11.6 mm at L5/S1 (Chatha 2011); its end lies at S2
(Moussallem 2014)."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """An ellipse swept along a curve that never turns back in height: the canal, the sac, the cord.

    Parameters
    ----------
    centres_mm
        Points of the curve from the top down, shape (n, 3).
    half_mm
        Half transverse and half sagittal diameters there, shape (n, 2).
    """

    centres_mm: FloatArray
    half_mm: FloatArray
    slope: float = field(default=2.7, init=False)

    @property
    def box(self) -> Box:
        return Box.around(self.centres_mm, float(self.half_mm.max()) + 0.5)

    def __call__(self, points: Points) -> Values:
        kind = points.dtype.type
        order = np.arange(len(self.centres_mm), dtype=np.float64)
        steps = np.gradient(self.centres_mm, axis=0)
        lengths = np.linalg.norm(steps, axis=1)
        tangents = steps / lengths[:, None]
        place = np.interp(points[2], self.centres_mm[::-1, 2], order[::-1])
        for _ in range(3):
            offset, along = self._from_curve(points, place, order, tangents)
            place = np.clip(place + along / np.interp(place, order, lengths), 0, order[-1])
        offset, along = self._from_curve(points, place, order, tangents)
        tx = np.interp(place, order, tangents[:, 0])
        # Across the curve: the patient's right made perpendicular to it, and what is left.
        across = (offset[0] - along * tx) / np.sqrt(np.maximum(1 - tx * tx, 0.1))
        rest = np.sqrt(np.maximum(np.square(offset).sum(axis=0) - along * along - across * across, 0))
        a, b = (np.interp(place, order, self.half_mm[:, k]) for k in range(2))
        level = ellipse_level(across, rest, a, b)
        return np.maximum(level, np.abs(along) - 0.5).astype(kind, copy=False)

    def _from_curve(self, points: Points, place: FloatArray, order: FloatArray, tangents: FloatArray) -> tuple[FloatArray, FloatArray]:
        offset = np.stack([points[k] - np.interp(place, order, self.centres_mm[:, k]) for k in range(3)])
        along = sum(offset[k] * np.interp(place, order, tangents[:, k]) for k in range(3))
        return offset, np.asarray(along)


def canal_stations(column: Column) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Heights in vertebrae, points on the front of the canal, and the directions backwards from it, cranial to caudal."""
    levels, points, backs = [-0.45], [], []
    top = Landmarks(column.vertebrae[Level.T12])
    points.append(top.at(0.0, 0.0, 0.5 * top.place.height_mm))
    backs.append(-top.frame.anterior)
    for index, (level, segment) in enumerate(zip(LUMBAR, column.segments.values(), strict=True)):
        marks = Landmarks(column.vertebrae[level])
        levels.append(float(index) - 0.1)
        points.append(marks.at(0.0, 0.0, 0.2 * marks.place.height_mm))
        backs.append(-marks.frame.anterior)
        depth = marks.size.lower_depth_mm
        levels.append(index + 0.5)
        points.append(segment.frame.world([0.0, -0.5 * depth, 0.0]))
        backs.append(-segment.frame.anterior)
    half = 0.5 * S1_DEPTH_MM * column.scale
    for level_s, back, down in ((6.0, 0.5, 15.0), (7.0, 9.0, 42.0)):
        levels.append(level_s)
        points.append(column.sacrum.world([0.0, -half - back * column.scale, -down * column.scale]))
        backs.append(-column.sacrum.anterior)
    return np.array(levels), np.array(points), np.array(backs)


def sac_sweep(column: Column, sacrum: SacrumShape, parameters: PatientParameters) -> Sweep:
    """The sac before anything presses on it: behind discs and bodies, then in the middle of the sacral canal."""
    levels, front, back = canal_stations(column)
    table = np.array([(level, *values) for level, values in _HALF_MM.items()])
    half = np.stack([np.interp(levels, table[:, 0], table[:, k]) for k in (1, 2)], axis=1) * parameters.sac_scale * column.scale
    half *= min(parameters.canal_scale, 1.0)
    gap = np.interp(levels, table[:, 0], table[:, 3])
    centres = front + back * (gap + half[:, 1])[:, None]
    for place, number in ((-2, 1), (-1, 2)):
        centres[place] = np.mean([sacrum.foramina[number, side][0] for side in Side], axis=0)
    return Sweep(*_dense(centres, half))


def _dense(centres: FloatArray, half: FloatArray, steps: int = 12) -> tuple[FloatArray, FloatArray]:
    both = smooth_path(np.hstack([centres, half]), steps)
    return both[:, :3], both[:, 3:]


def build_sac(
    column: Column, sacrum: SacrumShape, parameters: PatientParameters, pressing: tuple[Field, ...]
) -> tuple[Piece, ...]:
    """The sac, dented by what presses on it; then CSF, cord and roots inside.

    Parameters
    ----------
    pressing
        Discs and ligaments; the sac keeps half a millimetre from them.
    """
    sweep = sac_sweep(column, sacrum, parameters)
    sac = Cut(sweep, tuple(Offset(shape, 0.5) for shape in pressing), 1.0) if pressing else sweep
    inner = (*_strands(column, parameters, sweep), _cord(column, parameters, sweep))
    return (
        Piece(sac, (Layer(Tissue.LIGAMENT), Layer(Tissue.CSF, _DURA_MM)), Structure(Kind.DURAL_SAC)),
        *(Piece(_Inside(shape, sac), (Layer(Tissue.NERVE),)) for shape in inner),
    )


@dataclass(frozen=True, eq=False)
class _Inside:
    """A shape as far as it lies inside another, a dura's thickness from its surface."""

    shape: Field
    around: Field

    @property
    def box(self) -> Box:
        return self.shape.box.common(self.around.box)

    @property
    def slope(self) -> float:
        return max(self.shape.slope, self.around.slope)

    def __call__(self, points: Points) -> Values:
        return np.maximum(self.shape(points), self.around(points) + points.dtype.type(_DURA_MM))

    def on_blocks(self, blocks: Blocks) -> Values:
        return np.maximum(levels(self.shape, blocks), levels(self.around, blocks) + blocks.points.dtype.type(_DURA_MM))

    def in_balls(self, balls: Balls) -> Spans:
        return spans(self.shape, balls).greater(spans(self.around, balls).raised(balls.middle.dtype.type(_DURA_MM)))


def conus_tip(column: Column, parameters: PatientParameters, sweep: Sweep) -> FloatArray:
    """The tip of the cord, on the sac's axis."""
    height = column.height_of(parameters.conus_level)[2]
    place = np.interp(height, sweep.centres_mm[::-1, 2], np.arange(len(sweep.centres_mm))[::-1])
    return np.array([np.interp(place, np.arange(len(sweep.centres_mm)), sweep.centres_mm[:, k]) for k in range(3)])


def _cord(column: Column, parameters: PatientParameters, sweep: Sweep) -> Field:
    """Cord, conus and filum."""
    tip = conus_tip(column, parameters, sweep)
    above = sweep.centres_mm[sweep.centres_mm[:, 2] > tip[2]]
    distance = above[:, 2] - tip[2]
    radius = np.interp(distance, [0.0, 22.0, 60.0], [0.9, 4.2, 4.5])
    below = sweep.centres_mm[(sweep.centres_mm[:, 2] <= tip[2])][::4]
    filum = Chain(np.vstack([tip, below]), np.full(len(below) + 1, 0.7))
    if len(above) < 2:
        return filum
    cord = Sweep(np.vstack([above, tip]), np.vstack([np.stack([radius, 0.9 * radius], axis=1), [[0.9, 0.9]]]))
    return Union((cord, filum), 0.5)


def _strands(column: Column, parameters: PatientParameters, sweep: Sweep) -> tuple[Field, ...]:
    """The roots of the cauda equina: fanned out from the conus, those that leave first lie outermost; lying, they rest behind."""
    tip = conus_tip(column, parameters, sweep)
    leaving = origins(column, parameters)
    order = np.arange(len(sweep.centres_mm))
    parts: list[Field] = []
    ends = {(rank, side): leaving[level, side] for rank, level in enumerate(LUMBAR) for side in Side}
    for rank in range(len(LUMBAR), len(LUMBAR) + 3):
        at = min(len(order) - 2, int(np.interp(rank - 0.2, [6, 9], [0.86, 0.97]) * len(order)))
        for side in Side:
            ends[rank, side] = sweep.centres_mm[at] + np.array([side.sign * 0.5 * sweep.half_mm[at, 0], 0.0, 0.0])
    for (rank, side), end in ends.items():
        if end[2] > tip[2]:
            continue
        heights = np.linspace(min(tip[2] + 8.0, sweep.centres_mm[0, 2]), end[2], 14)
        place = np.interp(heights, sweep.centres_mm[::-1, 2], order[::-1])
        centre = np.stack([np.interp(place, order, sweep.centres_mm[:, k]) for k in range(3)], axis=1)
        half = np.stack([np.interp(place, order, sweep.half_mm[:, k]) for k in range(2)], axis=1)
        shares = np.linspace(0.0, 1.0, 14)
        # A strand starts near the cord and drifts outwards as those beside it leave.
        outward = side.sign * (0.28 + 0.55 * shares * shares - 0.012 * rank)
        behind = 0.15 + 0.50 * np.sin(np.pi * np.minimum(shares * 1.2, 0.85)) - 0.04 * (rank % 3)
        back = np.stack([_backward(sweep, p) for p in place])
        path = centre + outward[:, None] * half[:, :1] * [1.0, 0.0, 0.0] + behind[:, None] * half[:, 1:] * back
        path[-1] = end
        for twin in (0.0, 1.0):
            shift = np.array([0.0, 0.0, 0.0]) if twin == 0.0 else np.array([-side.sign * 1.1, -0.7, 0.0])
            parts.append(Chain(path + shift * (1 - shares[:, None] ** 3), np.full(14, 0.55 * parameters.root_scale)))
    return tuple(parts)


def _backward(sweep: Sweep, place: float) -> FloatArray:
    index = int(np.clip(place, 1, len(sweep.centres_mm) - 2))
    along = unit(sweep.centres_mm[index + 1] - sweep.centres_mm[index - 1])
    return unit(np.cross([1.0, 0.0, 0.0], along)) * (-1 if np.cross([1.0, 0.0, 0.0], along)[1] > 0 else 1)
