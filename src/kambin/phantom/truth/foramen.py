"""The true size of a foramen: in the lateral silhouette of half a segment, and at its narrowest section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.hole import Hole, contour, hole_about
from kambin.phantom.truth.plane import Sheet, axis, extent
from kambin.phantom.truth.value import FLOOR, SAFETY, Unknown
from kambin.phantom.truth.view import View, view_of

_BEHIND_MM, _BEFORE_MM, _BELOW_MM, _ABOVE_MM = 36.0, 8.0, 24.0, 34.0
"""The window: from the disc space's posterior edge, and from its mid-plane."""
_STATION_MM = 1.25
_SECTION_STEP_MM = 0.25
_FACING_DEG = 50.0
"""The opposite rim is what lies behind the corner within this angle of straight back: the measures' convention."""


@dataclass(frozen=True, eq=False)
class Half:
    """Half a segment, from the mid-sagittal plane to the lateral border of the upper pedicle, seen from the side.

    Parameters
    ----------
    segment
        Which.
    view
        Upper bone, disc and lower bone.
    medial_mm, lateral_mm
        Of the upper pedicle, from the mid-sagittal plane.
    """

    segment: Segment
    view: View
    medial_mm: float
    lateral_mm: float


def half_of(segment: Segment, side: Side, medial_mm: float, lateral_mm: float) -> Half:
    """Sample half a segment out to the lateral border of the upper pedicle."""
    back = segment.back_mm
    upper, disc, lower = segment.space.whole()
    shapes = (upper.shape, disc, lower.shape)
    window = (back - _BEHIND_MM, back + _BEFORE_MM), (-_BELOW_MM, _ABOVE_MM)
    return Half(segment, view_of(segment.frame, side.sign, shapes, (0.0, lateral_mm), *window), medial_mm, lateral_mm)


def _zone(sheet: Sheet, back: float) -> np.ndarray:
    """Where a foramen is widest: behind the disc space and the upper body, between the pedicles (the measures' convention)."""
    behind, height = np.meshgrid(sheet.first_mm - back, sheet.second_mm, indexing="ij")
    return np.asarray((behind > -14.0) & (behind < 3.0) & (height > -7.0) & (height < 20.0))


def lateral_hole(half: Half, step: float) -> Hole:
    """The foramen as it is seen from the side."""
    sheet = half.view.silhouette(step)
    return hole_about(sheet, _zone(sheet, half.segment.back_mm))


def foramen(half: Half, step: float) -> dict[str, float]:
    """FA (mm²), FH and FW (mm) of one foramen."""
    hole = lateral_hole(half, step)
    return {"FA": hole.area_mm2, "FH": extent(hole.outline, (0.0, 1.0)), "FW": _width(half, hole.outline)}


def _width(half: Half, outline: FloatArray) -> float:
    """From the corner of the upper body to the rim behind it: of the rim's posterior half, from its highest to its lowest point, what lies
    within 50° of straight back."""
    dense = _dense(outline)
    corner = dense[int(np.linalg.norm(dense - _corner(half), axis=1).argmin())]
    top, bottom = int(dense[:, 1].argmax()), int(dense[:, 1].argmin())
    one, other = _stretch(dense, top, bottom), _stretch(dense, bottom, top)
    # The posterior half is the one that does not hold the corner.
    rim = min((one, other), key=lambda half_rim: -float(np.linalg.norm(half_rim - corner, axis=1).min()))
    away = np.linalg.norm(rim - corner, axis=1)
    behind = away[(corner - rim)[:, 0] >= np.cos(np.radians(_FACING_DEG)) * away]
    if not len(behind) or behind.min() < 0.5:
        raise Unknown("no rim lies behind the postero-inferior corner of the upper body")
    return float(behind.min())


def _corner(half: Half) -> FloatArray:
    """The postero-inferior corner of the upper body: the point of its side view furthest backwards and downwards alike."""
    upper, _, _ = half.segment.space.whole()
    back = half.segment.back_mm
    at = (axis(0.0, half.lateral_mm, 0.5), axis(back - 4.0, back + 6.0, 0.25), axis(-1.0, 15.0, 0.25))
    points = np.stack(np.meshgrid(half.view.sign * at[0], at[1], at[2], indexing="ij"), axis=-1)
    level = level_in(upper.body, half.segment.frame, points.reshape(-1, 3)).reshape(points.shape[:-1]).min(axis=0)
    seen = contour(Sheet(at[1], at[2], level), 0.0)
    if not len(seen):
        raise Unknown(f"the body of {upper.level} has no postero-inferior corner")
    return np.asarray(seen[int((seen @ np.array([-1.0, -1.0])).argmax())])


def _stretch(loop: FloatArray, start: int, stop: int) -> FloatArray:
    """Points of a loop from one index round to another."""
    return loop[start : stop + 1] if start <= stop else np.concatenate([loop[start:], loop[: stop + 1]])


def _dense(outline: FloatArray) -> FloatArray:
    """A loop with each edge in eight parts."""
    following = np.roll(outline, -1, axis=0)
    return np.stack([outline + share * (following - outline) for share in np.arange(8) / 8], axis=1).reshape(-1, 2)


def narrowest(half: Half) -> dict[str, tuple[float, float]]:
    """FA₃, mm², with its bound: the smallest section parallel to the mid-sagittal plane between the borders of the pedicle."""
    start = min(max(half.medial_mm, 3.0), half.lateral_mm - 2.0)
    stations = np.linspace(start, half.lateral_mm, max(int(np.ceil((half.lateral_mm - start) / _STATION_MM)), 4) + 1)
    areas = np.array([_area_at(half, out, _SECTION_STEP_MM) for out in stations])
    if not np.isfinite(areas).any():
        raise Unknown("the foraminal passage has no bounded section")
    pitch, middle = float(stations[1] - stations[0]), float(stations[int(np.nanargmin(areas))])
    places = np.unique(np.clip(middle + pitch * np.array([-0.4, 0.0, 0.4]), start, half.lateral_mm))
    coarse, fine = (np.array([_area_at(half, out, step) for out in places]) for step in (_SECTION_STEP_MM, 0.5 * _SECTION_STEP_MM))
    if not np.isfinite(fine).any():
        raise Unknown("the foraminal passage has no bounded section")
    # The stations' own step counts too: how much less the smallest of the three is than the one in their middle.
    value = float(np.nanmin(fine))
    return {"FA₃": (value, max(SAFETY * abs(value - float(np.nanmin([*coarse, *areas]))), FLOOR))}


def _area_at(half: Half, out: float, step: float) -> float:
    """Of the free passage's section at a distance from the mid-sagittal plane, mm²; NaN where it is open."""
    sheet = half.view.section(out, step)
    try:
        return hole_about(sheet, _zone(sheet, half.segment.back_mm)).area_mm2
    except Unknown:
        return float("nan")
