"""The true size of a foramen: in the lateral silhouette of half a segment, and at its narrowest section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.phantom.field import Field
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.hole import Hole, hole_about
from kambin.phantom.truth.plane import Flat, Sheet, axis, extent, near_surface, spread
from kambin.phantom.truth.value import Unknown

_BEHIND_MM, _BEFORE_MM, _BELOW_MM, _ABOVE_MM = 36.0, 8.0, 24.0, 34.0
"""The window: from the disc space's posterior edge, and from its mid-plane."""
_ROUGH_MM, _BAND_MM = 1.0, 0.8
_DOUBT_MM = 0.7
"""By how much a level interpolated from the rough lattice may be wrong."""
_STATION_MM = 1.0


@dataclass(frozen=True, eq=False)
class Half:
    """Half a segment sampled roughly from the mid-sagittal plane outwards.

    Parameters
    ----------
    segment, side
        Which half.
    medial_mm, lateral_mm
        Of the upper pedicle, from the mid-sagittal plane.
    out_mm, anterior_mm, cranial_mm
        The rough lattice.
    levels
        Of upper bone, disc and lower bone there, shape (3, k, n, m).
    """

    segment: Segment
    side: Side
    medial_mm: float
    lateral_mm: float
    out_mm: FloatArray
    anterior_mm: FloatArray
    cranial_mm: FloatArray
    levels: FloatArray

    @property
    def shapes(self) -> tuple[Field, Field, Field]:
        upper, disc, lower = self.segment.space.whole()
        return upper.shape, disc, lower.shape

    def exact(self, shape: Field, out: FloatArray, plane: FloatArray) -> FloatArray:
        """Levels at distances `out` (n,) beside plane points (n, 2)."""
        return level_in(shape, self.segment.frame, np.column_stack([self.side.sign * out, plane]))


def half_of(segment: Segment, side: Side, medial_mm: float, lateral_mm: float) -> Half:
    """Sample half a segment out to the lateral border of the upper pedicle."""
    back = segment.back_mm
    count = max(int(np.ceil(lateral_mm / _ROUGH_MM)), 2)
    out = np.linspace(0.0, lateral_mm, count + 1)
    anterior, cranial = axis(back - _BEHIND_MM, back + _BEFORE_MM, _ROUGH_MM), axis(-_BELOW_MM, _ABOVE_MM, _ROUGH_MM)
    points = np.stack(np.meshgrid(side.sign * out, anterior, cranial, indexing="ij"), axis=-1)
    upper, disc, lower = segment.space.whole()
    levels = [level_in(shape, segment.frame, points.reshape(-1, 3)).reshape(points.shape[:-1]) for shape in (upper.shape, disc, lower.shape)]
    return Half(segment, side, medial_mm, lateral_mm, out, anterior, cranial, np.minimum(np.stack(levels), 3.0))


def silhouette(half: Half, step: float) -> Sheet:
    """The smallest level along every line of sight."""
    rough = (half.anterior_mm, half.cranial_mm)
    fine = (axis(rough[0][0], rough[0][-1], step), axis(rough[1][0], rough[1][-1], step))
    guess = spread(half.levels.min(axis=(0, 1)), rough, fine)
    near = np.abs(guess) < _BAND_MM
    result = guess.copy()
    points = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)[near]
    profiles = np.stack([[spread(layer, rough, fine)[near] for layer in levels] for levels in half.levels])
    lowest = profiles.min(axis=(0, 1))
    found = np.full(len(points), 3.0)
    for shape, own in zip(half.shapes, profiles, strict=True):
        found = np.minimum(found, _least(half, shape, own, points, lowest))
    result[near] = found
    return Sheet(fine[0], fine[1], result)


def _least(half: Half, shape: Field, profile: FloatArray, points: FloatArray, lowest: FloatArray) -> FloatArray:
    """A shape's smallest level along lines of sight, looked for about every low place of its rough profile.

    Parameters
    ----------
    profile
        Rough levels, shape (k, n).
    points
        Where the lines pass, shape (n, 2).
    lowest
        The smallest rough level of all shapes, shape (n,).
    """
    edge = np.full_like(profile[:1], np.inf)
    padded = np.concatenate([edge, profile, edge])
    low = (profile <= padded[:-2]) & (profile <= padded[2:]) & (profile < lowest + _DOUBT_MM)
    station, line = np.nonzero(low)
    result = np.full(len(points), 3.0)
    if not len(line):
        return result
    pitch = float(half.out_mm[1] - half.out_mm[0])
    centre, width = half.out_mm[station], pitch
    for _ in range(3):
        # Five places, then a quarter of the width about the lowest: levels are smooth but for creases.
        at = np.clip(centre[:, None] + width * np.linspace(-1, 1, 5), 0.0, half.lateral_mm)
        level = half.exact(shape, at.ravel(), np.repeat(points[line], 5, axis=0)).reshape(at.shape)
        best = level.argmin(axis=1)
        centre, width = at[np.arange(len(at)), best], width * 0.45
        np.minimum.at(result, line, level.min(axis=1))
    return result


def _zone(sheet: Sheet, back: float) -> np.ndarray:
    """Where a foramen is widest: behind the disc space and the upper body, between the pedicles (the measures' convention)."""
    behind, height = np.meshgrid(sheet.first_mm - back, sheet.second_mm, indexing="ij")
    return np.asarray((behind > -14.0) & (behind < 3.0) & (height > -7.0) & (height < 20.0))


def lateral_hole(half: Half, step: float) -> Hole:
    """The foramen as it is seen from the side."""
    sheet = silhouette(half, step)
    return hole_about(sheet, _zone(sheet, half.segment.back_mm))


def foramen(half: Half, step: float) -> dict[str, float]:
    """FA (mm²), FH and FW (mm) of one foramen."""
    hole = lateral_hole(half, step)
    return {"FA": hole.area_mm2, "FH": extent(hole.outline, (0.0, 1.0)), "FW": _width(half, hole.outline)}


def _width(half: Half, outline: FloatArray) -> float:
    """From the corner of the upper body to the rim behind it: the rim's posterior half, from its highest to its lowest point."""
    dense = _dense(outline)
    corner = dense[int(np.linalg.norm(dense - _corner(half), axis=1).argmin())]
    top, bottom = int(dense[:, 1].argmax()), int(dense[:, 1].argmin())
    one, other = _stretch(dense, top, bottom), _stretch(dense, bottom, top)
    # The posterior half is the one that does not hold the corner.
    behind = min((one, other), key=lambda half_rim: -float(np.linalg.norm(half_rim - corner, axis=1).min()))
    value = float(np.linalg.norm(behind - corner, axis=1).min())
    if value < 0.5:
        raise Unknown("no rim lies behind the postero-inferior corner of the upper body")
    return value


def _corner(half: Half) -> FloatArray:
    """The postero-inferior corner of the upper body: the point of its side view furthest backwards and downwards alike."""
    upper, _, _ = half.segment.space.whole()
    back = half.segment.back_mm
    at = (axis(0.0, half.lateral_mm, 0.5), axis(back - 4.0, back + 6.0, 0.25), axis(-1.0, 15.0, 0.25))
    points = np.stack(np.meshgrid(half.side.sign * at[0], at[1], at[2], indexing="ij"), axis=-1)
    level = level_in(upper.body, half.segment.frame, points.reshape(-1, 3)).reshape(points.shape[:-1]).min(axis=0)
    seen = np.stack(np.meshgrid(at[1], at[2], indexing="ij"), axis=-1)[level < 0]
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


def narrowest(half: Half, step: float) -> dict[str, float]:
    """FA₃, mm²: the smallest section parallel to the mid-sagittal plane, from the medial to the lateral border of the pedicle."""
    start = min(max(half.medial_mm, 3.0), half.lateral_mm - 2.0)
    stations = np.linspace(start, half.lateral_mm, max(int(np.ceil((half.lateral_mm - start) / _STATION_MM)), 4) + 1)
    areas = [_area_at(half, out, 2.0 * step) for out in stations]
    if not np.isfinite(areas).any():
        raise Unknown("the foraminal passage has no bounded section")
    pitch = float(stations[1] - stations[0])
    middle = float(stations[int(np.nanargmin(areas))])
    around = _inside(middle + pitch * np.linspace(-0.75, 0.75, 4), start, half.lateral_mm)
    return {"FA₃": float(np.nanmin([_area_at(half, out, step) for out in (middle, *around)]))}


def _inside(places: FloatArray, low: float, high: float) -> Sequence[float]:
    return sorted(set(np.clip(places, low, high).tolist()))


def _area_at(half: Half, out: float, step: float) -> float:
    """Of the free passage's section at a distance from the mid-sagittal plane, mm²; NaN where it is open."""
    rough = (half.anterior_mm, half.cranial_mm)
    fine = (axis(rough[0][0], rough[0][-1], step), axis(rough[1][0], rough[1][-1], step))
    place = float(np.interp(out, half.out_mm, np.arange(len(half.out_mm))))
    index = min(int(place), len(half.out_mm) - 2)
    share = place - index
    guess = ((1 - share) * half.levels[:, index] + share * half.levels[:, index + 1]).min(axis=0)
    plane = Flat.sagittal(half.segment.frame, half.side.sign * out)
    levels = [plane.level(shape) for shape in half.shapes]
    sheet = near_surface(lambda points: np.min([level(points) for level in levels], axis=0), spread(guess, rough, fine), fine, _BAND_MM)
    try:
        return hole_about(sheet, _zone(sheet, half.segment.back_mm)).area_mm2
    except Unknown:
        return float("nan")
