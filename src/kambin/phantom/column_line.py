"""The column as one curve: where its bodies, their front, and the spinous processes lie at any height. Soft tissues are laid along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.phantom.column import Column
from kambin.phantom.loft import Loft, Profile, Section, loft
from kambin.phantom.morphometry import S1_DEPTH_MM, S1_WIDTH_MM
from kambin.phantom.parameters import PatientParameters

_POWER = 2.4
_ABOVE_MM = (30.0, 62.0)
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
    scale, top, sacrum = column.scale, next(iter(column.vertebrae.values())), column.sacrum
    plates = [
        (
            place.endplate(upper),
            place.size.upper_width_mm if upper else place.size.lower_width_mm,
            place.size.upper_depth_mm if upper else place.size.lower_depth_mm,
        )
        for place in column.vertebrae.values()
        for upper in (True, False)
    ]
    plates.append((sacrum, S1_WIDTH_MM * scale, S1_DEPTH_MM * scale))
    sections = []
    for frame, width, depth in plates:
        # A level cut through a leaning column is deeper than the column.
        lean = frame.cranial[2]
        middle = frame.origin_mm
        sections.append(Section(middle[2], middle[0], middle[1], (width / 2, depth / 2 / lean, depth / 2 / lean), power=_POWER))
    for above in _ABOVE_MM:
        middle, half = top.frame.world([0.0, 0.0, above]), (0.46 * top.size.upper_width_mm, 0.48 * top.size.upper_depth_mm)
        sections.append(Section(middle[2], middle[0], middle[1], (half[0], half[1], half[1]), power=_POWER))
    for back, down, wide, deep in ((-5.0, -24.0, 31.0, 20.0), (-14.0, -48.0, 38.0, 20.0), (-20.0, -78.0, 36.0, 18.0)):
        middle = sacrum.world(np.array([0.0, back, down]) * scale)
        sections.append(Section(middle[2], middle[0], middle[1], (wide * scale, deep * scale, deep * scale), power=_POWER))
    return loft(_apart(sections))


def _apart(sections: list[Section]) -> list[Section]:
    """Sections from the top, those left out that lie less than half a millimetre below the one before."""
    kept: list[Section] = []
    for section in sorted(sections, key=lambda item: -item.z_mm):
        if not kept or section.z_mm < kept[-1].z_mm - 0.5:
            kept.append(section)
    return kept
