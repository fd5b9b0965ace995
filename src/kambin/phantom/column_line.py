"""The column as one curve: where its bodies, their front, and the spinous processes lie at any height. Soft tissues are laid along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.column import Column
from kambin.phantom.loft import Loft, Profile, Section, loft
from kambin.phantom.morphometry import S1_DEPTH_MM, S1_WIDTH_MM
from kambin.phantom.parameters import PatientParameters

_POWER = 2.4
_ABOVE_MM = (30.0, 62.0)
_STATION_MM = 4.0
_MEAN_PELVIS_MM = 280.0


@dataclass(frozen=True, eq=False)
class ColumnLine:
    """The column's course.

    Parameters
    ----------
    levels, middles_mm
        Middles of bodies and discs with their heights counted in vertebrae (1.5 is the L1/L2 disc), from two vertebrae above T12 to the
        second sacral vertebra.
    spinous_mm
        The tips of the spinous processes and the sacral crest, shape (n, 3), from the top.
    hull
        All bodies and discs as one shape without waists, down to the promontory and the front of the sacrum.
    promontory_mm
        Middle of the sacral endplate.
    pelvis_scale, scale
        Of the pelvis's width, and of all bones, against the mean man's.
    """

    levels: FloatArray
    middles_mm: FloatArray
    spinous_mm: FloatArray
    hull: Loft
    promontory_mm: FloatArray
    pelvis_scale: float
    scale: float

    def at(self, level: float | FloatArray) -> FloatArray:
        """The middle of the column at heights counted in vertebrae, shape (..., 3)."""
        return np.stack([np.interp(level, self.levels, self.middles_mm[:, axis]) for axis in range(3)], axis=-1)

    def middle_at(self, z_mm: float) -> FloatArray:
        """The middle of the column at a height in millimetres, shape (2,): right and anterior."""
        z = self.middles_mm[::-1, 2]
        return np.array([np.interp(z_mm, z, self.middles_mm[::-1, axis]) for axis in range(2)])

    def spinous_at(self, z_mm: float) -> float:
        """Anterior coordinate of the line over the spinous tips at a height in millimetres."""
        profile = Profile.through(self.spinous_mm[:, 2], self.spinous_mm[:, 1:2])
        return float(profile(np.array([z_mm]))[0][0])

    def half_width_at(self, z_mm: float) -> float:
        """Half the width of bodies and discs at a height in millimetres."""
        return float(self.hull.profile(np.array([z_mm]))[2][0])

    def before(self, right_mm: npt.ArrayLike, z_mm: npt.ArrayLike, distance_mm: npt.ArrayLike) -> FloatArray:
        """Anterior coordinates of points before the column whose distance to it, in their axial slices, is given; arrays of one shape."""
        right, z, distance = np.broadcast_arrays(*(np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (right_mm, z_mm, distance_mm)))
        low = np.interp(z, self.middles_mm[::-1, 2], self.middles_mm[::-1, 1])
        high = low + 90.0
        for _ in range(24):
            half = 0.5 * (low + high)
            inside = self.hull(np.stack([right, half, z])) < distance
            low, high = np.where(inside, half, low), np.where(inside, high, half)
        return np.asarray(high, dtype=np.float64)

    def pelvic(self, side: Side, away_mm: float, ahead_mm: float, up_mm: float) -> FloatArray:
        """A point beside the middle of the sacral endplate, in the mean man's millimetres."""
        stretch = np.array([side.sign * away_mm * self.pelvis_scale, ahead_mm * self.scale, up_mm * self.scale])
        return np.asarray(self.promontory_mm + stretch)


def column_line(parameters: PatientParameters, column: Column) -> ColumnLine:
    """The course of a patient's column."""
    vertebrae = list(column.vertebrae.values())
    top, sacrum, scale = vertebrae[0], column.sacrum, column.scale
    stations = [(float(i), v.frame.origin_mm) for i, v in enumerate(vertebrae)]
    stations += [(i + 0.5, s.frame.origin_mm) for i, s in enumerate(column.segments.values())]
    stations += [(-above / 31.0, top.frame.world([0.0, 0.0, above])) for above in _ABOVE_MM]
    stations += [(6.0, sacrum.world([0.0, -4.0, -15.0])), (7.0, sacrum.world([0.0, -14.0, -45.0]))]
    stations.sort(key=lambda item: item[0])
    tips = [top.frame.world([0.0, top.wall_mm - top.size.spinous_reach_mm, up]) for up in (45.0, 15.0)]
    tips += [v.frame.world([0.0, v.wall_mm - v.size.spinous_reach_mm, -14.0 * scale]) for v in vertebrae]
    # The sacral crest, tip by tip.
    tips += [
        sacrum.world(np.array(local) * scale)
        for local in ((0.0, -49.0, -16.0), (0.0, -46.0, -38.0), (0.0, -42.0, -62.0), (0.0, -26.0, -100.0))
    ]
    return ColumnLine(
        levels=np.array([level for level, _point in stations]),
        middles_mm=np.array([point for _level, point in stations]),
        spinous_mm=_falling(np.array(tips)),
        hull=_hull(column),
        promontory_mm=sacrum.origin_mm,
        pelvis_scale=parameters.pelvis_width_mm / _MEAN_PELVIS_MM,
        scale=scale,
    )


def _falling(points: npt.ArrayLike) -> FloatArray:
    """The points without those that do not lie lower than all before them."""
    rows = np.asarray(points, dtype=np.float64)
    return rows[[all(row[2] < other[2] - 1.0 for other in rows[:i]) for i, row in enumerate(rows)]]


def _hull(column: Column) -> Loft:
    """The outline of bodies, discs and sacrum in level slices, however far they lean or slip."""
    plates = _plates(column)
    edges = _edges(plates)
    lowest, highest = float(edges[:, 1, 1].min()), float(edges[:, 1, 1].max())
    by_height = sorted(plates, key=lambda plate: plate.frame.origin_mm[2])
    heights = [plate.frame.origin_mm[2] for plate in by_height]
    # Where the column leans to a side, a level slice through it is wider than an endplate.
    widths = [plate.half_width_mm * (1 + 0.35 * abs(plate.frame.cranial[0])) for plate in by_height]
    # And deeper, where it leans forwards.
    depths = [plate.half_depth_mm / max(float(plate.frame.cranial[2]), 0.6) for plate in by_height]
    rights = [plate.frame.origin_mm[0] for plate in by_height]
    stations = np.linspace(lowest + 1.0, highest - 1.0, round((highest - lowest) / _STATION_MM))
    front = np.array([_front(edges, float(z)) for z in stations])
    # Steps, where one vertebra has slipped on the next, become slopes outside of both.
    front = uniform_filter1d(maximum_filter1d(front, 3, mode="nearest"), 3, mode="nearest")
    sections = []
    for z, foremost in zip(stations, front, strict=True):
        half = float(np.interp(z, heights, depths))
        wide = float(np.interp(z, heights, widths))
        right = float(np.interp(z, heights, rights))
        sections.append(Section(float(z), right, float(foremost) - half, (wide, half, half), power=_POWER))
    return loft(sections)


@dataclass(frozen=True, slots=True)
class _Plate:
    """An endplate, or what stands for one beyond the column's ends."""

    frame: Frame
    half_width_mm: float
    half_depth_mm: float


def _plates(column: Column) -> list[_Plate]:
    """From above T12 down to the third sacral vertebra."""
    scale, top, sacrum = column.scale, next(iter(column.vertebrae.values())), column.sacrum
    small = (0.46 * top.size.upper_width_mm, 0.48 * top.size.upper_depth_mm)
    plates = [_Plate(top.frame.moved_to(top.frame.world([0.0, 0.0, above])), *small) for above in reversed(_ABOVE_MM)]
    for place in column.vertebrae.values():
        size = place.size
        plates.append(_Plate(place.endplate(upper=True), size.upper_width_mm / 2, size.upper_depth_mm / 2))
        plates.append(_Plate(place.endplate(upper=False), size.lower_width_mm / 2, size.lower_depth_mm / 2))
    plates.append(_Plate(sacrum, S1_WIDTH_MM * scale / 2, S1_DEPTH_MM * scale / 2))
    for back, down, wide, deep in ((-5.0, -24.0, 31.0, 13.0), (-14.0, -48.0, 38.0, 12.0), (-20.0, -78.0, 36.0, 9.0)):
        plates.append(_Plate(sacrum.moved_to(sacrum.world(np.array([0.0, back, down]) * scale)), wide * scale, deep * scale))
    return plates


def _edges(plates: Sequence[_Plate]) -> FloatArray:
    """Front and endplates of the column in the median plane as line segments, shape (n, 2, 2): anterior and cranial of both ends."""
    backs = [(p.frame.origin_mm - p.half_depth_mm * p.frame.anterior)[1:] for p in plates]
    fronts = [(p.frame.origin_mm + p.half_depth_mm * p.frame.anterior)[1:] for p in plates]
    return np.array([*pairwise(fronts), *zip(backs, fronts, strict=True)])


def _front(edges: FloatArray, z_mm: float) -> float:
    """Anterior coordinate of the foremost edge at a height."""
    (y0, z0), (y1, z1) = edges[:, 0].T, edges[:, 1].T
    crossing = (np.minimum(z0, z1) <= z_mm) & (z_mm <= np.maximum(z0, z1)) & (np.abs(z1 - z0) > 1e-6)
    rise = np.where(crossing, z1 - z0, 1.0)
    return float((y0 + (z_mm - z0) / rise * (y1 - y0))[crossing].max())
