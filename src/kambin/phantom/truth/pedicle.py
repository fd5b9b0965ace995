"""The true size of a pedicle: its smallest section, found by descent from many planes across its axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.truth.endplates import Posed
from kambin.phantom.truth.plane import Flat, LevelOf, axis, centroid, curves, extent, finely, holds, signed_area
from kambin.phantom.truth.value import Unknown

_HALF_WINDOW_MM = 20.0
_LATTICE_MM, _HALF_LATTICE_MM = 1.0, 24.0
_ALONG_MM, _TURNS_DEG, _RISES_DEG = (-2.0, 0.5, 3.0), (-15.0, 0.0, 15.0), (-10.0, 0.0, 10.0)
"""Where the descent begins: before the isthmus, and turned and tilted against a plane across the pedicle's axis."""
_FARTHEST_MM = 10.0
"""From the isthmus: L5's pedicle narrows almost to the body."""
_MOST_TURNED_DEG = 30.0
_FIRST_MOVES, _LATER_MOVES = (1.0, 6.0, 6.0), (0.25, 1.5, 1.5)
_MOST_SECTIONS = 70
_HUGE = 1e6
Cut = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Neck:
    """The smallest section of one pedicle.

    Parameters
    ----------
    outline_mm
        RAS, shape (n, 3).
    centre_mm
        Its centroid, RAS.
    area_mm2, width_mm, height_mm
        Of the section.
    cut
        Its plane: mm before the isthmus, degrees turned, degrees tilted.
    """

    outline_mm: FloatArray
    centre_mm: FloatArray
    area_mm2: float
    width_mm: float
    height_mm: float
    cut: Cut

    def reach(self, frame: Frame, side: Side) -> tuple[float, float]:
        """Distances of its medial and its lateral border from a frame's mid-sagittal plane."""
        out = side.sign * frame.local(self.outline_mm)[:, 0]
        return float(out.min()), float(out.max())


def pedicle_neck(posed: Posed, side: Side, step: float, found_before: Neck | None = None) -> Neck:
    """The neck of one pedicle.

    Parameters
    ----------
    step
        Of the sections that are compared; the smallest is then taken at half of it.
    found_before
        The neck as it was found at a coarser step: the descent begins there, not with many planes.

    Raises
    ------
    Unknown
        When the bone has no pedicle there, or no section of it stands alone.
    """
    if side not in posed.bone.isthmus_mm:
        raise Unknown(f"{posed.bone.level} has no {side} pedicle")
    search = _Search(posed, side)
    if found_before is None:
        starts = [(a, t, r) for a in _ALONG_MM for t in _TURNS_DEG for r in _RISES_DEG]
        # Far from the end, levels between the points of a lattice are good enough.
        best = min(starts, key=lambda cut: search.area(cut, 1.0, search.between))
        start, _ = _descent(lambda cut: search.area(cut, step, search.between), best, _FIRST_MOVES)
    else:
        start = found_before.cut
    cut, area = _descent(lambda cut: search.area(cut, step, search.exact), start, _LATER_MOVES)
    if area >= _HUGE:
        raise Unknown(f"the {side} pedicle of {posed.bone.level} has no section of its own")
    return search.neck(cut, 0.5 * step)


def _descent(area: Callable[[Cut], float], start: Cut, moves: Cut) -> tuple[Cut, float]:
    """The plane with the smallest section that is found downhill from one, and its area."""
    from scipy.optimize import minimize

    simplex = np.array([start, *(np.array(start) + move for move in np.diag(moves))])
    options = {"initial_simplex": simplex, "xatol": 0.02, "fatol": 0.02, "maxfev": _MOST_SECTIONS}
    found = minimize(lambda cut: area(tuple(cut)), start, method="Nelder-Mead", options=options)
    return tuple(found.x.tolist()), float(found.fun)


class _Search:
    """Sections of one pedicle by planes."""

    def __init__(self, posed: Posed, side: Side) -> None:
        self.posed, self.side = posed, side
        self.pivot = posed.bone.isthmus_mm[side]
        frame, turn = posed.frame, np.radians(posed.bone.inwards_deg)
        self.ahead = np.cos(turn) * frame.anterior - side.sign * np.sin(turn) * frame.right

    def exact(self, points: FloatArray) -> FloatArray:
        """Levels of the bone at points (n, 3)."""
        return np.asarray(self.posed.bone.shape(np.ascontiguousarray(points.T)), dtype=np.float64)

    def between(self, points: FloatArray) -> FloatArray:
        """Levels interpolated from the lattice."""
        from scipy.ndimage import map_coordinates

        place = (points - self.pivot) / _LATTICE_MM + len(self.lattice) // 2
        return np.asarray(map_coordinates(self.lattice, place.T, order=1, mode="nearest"))

    @cached_property
    def lattice(self) -> FloatArray:
        """The bone's levels about the isthmus."""
        along = axis(-_HALF_LATTICE_MM, _HALF_LATTICE_MM, _LATTICE_MM)
        points = self.pivot + np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1)
        return self.exact(points.reshape(-1, 3)).reshape(points.shape[:-1])

    def plane(self, cut: Cut) -> Flat:
        """Its first axis points away from the midline, its second one up."""
        frame, (along, turn, rise) = self.posed.frame, cut
        out = self.side.sign * np.cross(self.ahead, frame.cranial)
        normal = self.ahead - np.tan(np.radians(turn)) * out + np.tan(np.radians(rise)) * frame.cranial
        normal = normal / np.linalg.norm(normal)
        up = frame.cranial - (frame.cranial @ normal) * normal
        up = up / np.linalg.norm(up)
        return Flat(self.pivot + along * normal, self.side.sign * np.cross(normal, up), up)

    def outline(self, cut: Cut, step: float, level: LevelOf) -> FloatArray | None:
        """The section's outline in its plane; None where it is not the pedicle's own."""
        if abs(cut[0]) > _FARTHEST_MM or abs(cut[1]) > 40.0 or abs(cut[2]) > 25.0:
            return None
        plane = self.plane(cut)
        window = (-_HALF_WINDOW_MM, _HALF_WINDOW_MM)
        for loop in curves(finely(lambda points: level(plane.world(points)), window, window, step, 1.6, (0.0, 0.0))):
            if holds(loop, (0.0, 0.0)):
                medial = float((self.side.sign * self.posed.frame.local(plane.world(loop))[:, 0]).min())
                return loop if medial > 2.0 else None
        return None

    def area(self, cut: Cut, step: float, level: LevelOf) -> float:
        loop = self.outline(cut, step, level)
        return _HUGE if loop is None else abs(signed_area(loop))

    def neck(self, cut: Cut, step: float) -> Neck:
        loop, plane = self.outline(cut, step, self.exact), self.plane(cut)
        if loop is None:
            raise Unknown(f"the {self.side} pedicle of {self.posed.bone.level} has no section of its own")
        frame = self.posed.frame
        right = np.array([plane.first @ frame.right, plane.second @ frame.right])
        turn = np.arctan2(right[1], right[0]) + np.radians(np.arange(-_MOST_TURNED_DEG, _MOST_TURNED_DEG + 0.1, 0.5))
        width = min(extent(loop, (np.cos(angle), np.sin(angle))) for angle in turn)
        height = extent(plane.world(loop), frame.cranial)
        return Neck(plane.world(loop), plane.world(centroid(loop)), abs(signed_area(loop)), width, height, cut)
