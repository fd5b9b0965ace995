"""Coordinates along a curve that lies in the sagittal plane: a straight piece, then arcs, then straight on again.

What is easily said of a straight sacrum (how deep, how wide, where a foramen is) is said in these, and space is bent instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.geometry import FloatArray
from kambin.phantom.field import Values


@dataclass(frozen=True, slots=True)
class Arc:
    """A part of the curve that turns forward.

    Parameters
    ----------
    length_mm
        Along the curve.
    turn_rad
        How far its direction turns to the front.
    """

    length_mm: float
    turn_rad: float

    @property
    def radius_mm(self) -> float:
        return self.length_mm / self.turn_rad


@dataclass(frozen=True, eq=False)
class Bend:
    """The curve and its coordinates: `s` downwards along it, `t` behind it.

    Parameters
    ----------
    start_mm
        Its first point (anterior, cranial), which it comes to on a straight line.
    lean_rad
        Of the straight piece from straight down to the back.
    straight_mm
        Length of the straight piece.
    arcs
        What follows it; after the last the curve runs straight on.
    """

    start_mm: tuple[float, float]
    lean_rad: float
    straight_mm: float
    arcs: tuple[Arc, ...]

    def coordinates(self, anterior: Values, cranial: Values) -> tuple[Values, Values]:
        """`s` and `t` of points of the sagittal plane; further in front of an arc than its centre they mean nothing."""
        kind = anterior.dtype.type
        down, back = _directions(self.lean_rad)
        y, z = anterior - kind(self.start_mm[0]), cranial - kind(self.start_mm[1])
        s = y * kind(down[0]) + z * kind(down[1])
        t = y * kind(back[0]) + z * kind(back[1])
        begin = self.straight_mm
        for arc, (end, lean) in zip(self.arcs, self._joints(), strict=True):
            past = s > kind(begin)
            along, ahead = s - kind(begin), t + kind(arc.radius_mm)
            angle = np.arctan2(along, ahead)
            radius = np.sqrt(along * along + ahead * ahead)
            # Beyond the arc's end the next piece takes over, in the directions that hold there.
            over = past & (angle > kind(arc.turn_rad))
            down, back = _directions(lean)
            y_end, z_end = anterior - kind(end[0]), cranial - kind(end[1])
            s_next = kind(begin + arc.length_mm) + y_end * kind(down[0]) + z_end * kind(down[1])
            t_next = y_end * kind(back[0]) + z_end * kind(back[1])
            s = np.where(past, np.where(over, s_next, kind(begin) + kind(arc.radius_mm) * angle), s)
            t = np.where(past, np.where(over, t_next, radius - kind(arc.radius_mm)), t)
            begin += arc.length_mm
        return s, t

    def point(self, right: float, s: float, t: float) -> FloatArray:
        """The point (right, anterior, cranial) at these coordinates, mm."""
        begin, lean, start = self.straight_mm, self.lean_rad, np.asarray(self.start_mm)
        down, back = _directions(lean)
        if s <= begin:
            y, z = start + s * down + t * back
            return np.array([right, y, z])
        start = start + begin * down
        for arc, (end, next_lean) in zip(self.arcs, self._joints(), strict=True):
            if s <= begin + arc.length_mm:
                centre = start - arc.radius_mm * _directions(lean)[1]
                angle = (s - begin) / arc.radius_mm
                y, z = centre + (arc.radius_mm + t) * _directions(lean - angle)[1]
                return np.array([right, y, z])
            begin, lean, start = begin + arc.length_mm, next_lean, np.asarray(end)
        down, back = _directions(lean)
        y, z = start + (s - begin) * down + t * back
        return np.array([right, y, z])

    def _joints(self) -> list[tuple[FloatArray, float]]:
        """End point and direction of each arc."""
        down, _back = _directions(self.lean_rad)
        place, lean, result = np.asarray(self.start_mm) + self.straight_mm * down, self.lean_rad, []
        for arc in self.arcs:
            centre = place - arc.radius_mm * _directions(lean)[1]
            lean -= arc.turn_rad
            place = centre + arc.radius_mm * _directions(lean)[1]
            result.append((place, lean))
        return result


def _directions(lean_rad: float) -> tuple[FloatArray, FloatArray]:
    """Along the curve and behind it, as (anterior, cranial), where the curve leans so far from straight down to the back."""
    sine, cosine = np.sin(lean_rad), np.cos(lean_rad)
    return np.array([-sine, -cosine]), np.array([-cosine, sine])
