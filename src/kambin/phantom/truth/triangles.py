"""The true Kambin and safe triangles: what is seen of the disc and the upper body beside the exiting root, along a direction.

A ray is clear where it meets the disc or the upper vertebra's body before any other bone, root or sac. How clear it is, is a number with
a sign: the smallest level of all that it passes on its way, or, where it misses its target, by how much; the zero curve is the polygon's
border. ``docs/triangles.md`` has the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.phantom.truth.inscribed import largest_circle, largest_triangle
from kambin.phantom.truth.plane import Sheet, axis, curves, holds, signed_area
from kambin.phantom.truth.scene import CAP_MM, DOUBT_MM, TARGETS, Angles, Eye, Rough, Scene
from kambin.phantom.truth.value import FLOOR, SAFETY, Unknown

BoolArray = npt.NDArray[np.bool_]

STANDARD_DEG: Mapping[str, Angles] = {"KT": (45.0, 0.0), "ST": (20.0, 0.0)}
RANGES_DEG: Mapping[str, tuple[Angles, Angles]] = {"KT": ((20.0, 60.0), (-20.0, 30.0)), "ST": ((15.0, 35.0), (-20.0, 20.0))}
"""Oblique and cranial angles among which the view is looked for that shows each triangle at its largest."""
_PITCHES_DEG = (10.0, 5.0, 2.5)

_WINDOW_MM = ((-20.0, 24.0), (-14.0, 16.0))
_SIGHT_MM, _SIGHT_STEP_MM = (-28.0, 36.0), 1.25
_FAR_SIGHT_MM, _FAR_SIGHT_STEP_MM = (0.0, 140.0), 4.0
_GUESS_MM = (1.5, 0.5)
"""Of the lattice that a triangle is looked for on: where nothing or little is found on the first, the second is taken."""
_LITTLE_MM2 = 30.0
_SHARE = 0.5
"""Of a region, that must lie where the triangle is looked for: else it is another one."""
_BAND_MM = 0.75
_SLIT_MM = 0.6
_MARGIN_MM = 2.0


_NAMES = {"KT": "Kambin", "ST": "safe"}


@dataclass(frozen=True, eq=False)
class Look:
    """One triangle looked at along one direction.

    Parameters
    ----------
    symbol
        "KT" or "ST".
    hips
        Whether the hip bone hides too.
    """

    scene: Scene
    symbol: str
    eye: Eye
    hips: bool

    @property
    def roof_mm(self) -> float:
        """Second coordinate of the lower edge of the pedicle."""
        return float((self.scene.roof_mm - self.scene.middle_mm) @ self.eye.second)

    @property
    def targets(self) -> tuple[str, ...]:
        return TARGETS[self.symbol]

    @property
    def hiding(self) -> tuple[str, ...]:
        return tuple(name for name in self.scene.shapes if name not in self.targets and (self.hips or name != "hip"))

    @property
    def hidden(self) -> str:
        return f"nothing of the {_NAMES[self.symbol]} triangle is seen along this direction"

    def zone(self, sheet: Sheet, root: BoolArray) -> BoolArray:
        """Where a triangle lies, under the pedicle: medial to the root at the same height, or straight above it."""
        if self.symbol == "KT":
            beside = np.logical_or.accumulate(root[::-1], axis=0)[::-1]
        else:
            beside = np.logical_or.accumulate(root, axis=1)
        return np.asarray(beside & ~root & (sheet.second_mm < self.roof_mm))

    def guess(self, first: FloatArray, second: FloatArray) -> tuple[Sheet, BoolArray]:
        """How clear the sight is, from the rough lattices; and where the root lies, seen or not."""
        scene, target, hiding = self.scene, *self.scene.joined[self.symbol]
        root = self._sampled(scene.rough["root"], first, second, _SIGHT_MM, _SIGHT_STEP_MM)
        target_level = self._sampled(target, first, second, _SIGHT_MM, _SIGHT_STEP_MM)
        level = np.minimum(root, self._sampled(hiding, first, second, _SIGHT_MM, _SIGHT_STEP_MM))
        index = _first_met(target_level)
        before = np.arange(level.shape[-1]) >= index[..., None]
        clear = np.where(before, level, CAP_MM).min(axis=-1)
        if "hip" in self.hiding:
            clear = np.minimum(clear, self._sampled(scene.rough["hip"], first, second, _FAR_SIGHT_MM, _FAR_SIGHT_STEP_MM).min(axis=-1))
        clear = self._under_roof(np.minimum(clear, -target_level.min(axis=-1)), second)
        return Sheet(first, second, clear), root.min(axis=-1) < 0

    def _sampled(self, rough: Rough, first: FloatArray, second: FloatArray, sight: tuple[float, float], sight_step: float) -> FloatArray:
        """Levels at the lattice's points along the lines of sight, shape (n, m, k)."""
        eye, count = self.eye, len(axis(*sight, sight_step))
        origin = self.scene.middle_mm + first[0] * eye.first + second[0] * eye.second + sight[0] * eye.sight
        steps = np.stack([(first[1] - first[0]) * eye.first, (second[1] - second[0]) * eye.second, sight_step * eye.sight])
        return rough.along(origin, steps, (len(first), len(second), count))

    def exact(self, plane: FloatArray) -> FloatArray:
        """How clear the sight is through plane points (n, 2)."""
        near, far = axis(*_SIGHT_MM, _SIGHT_STEP_MM), axis(*_FAR_SIGHT_MM, _FAR_SIGHT_STEP_MM)
        points = self.eye.points(self.scene.middle_mm, plane, near)
        target = self.scene.joined[self.symbol][0].at(points)
        least, at_least = self._least(self.targets, target, plane, near, np.full(len(plane), -np.inf))
        met = np.where(least < 0, self._met(plane, near[_first_met(target)], at_least), at_least)
        clear = -least
        for name in self.hiding:
            along, places = (far, self.eye.points(self.scene.middle_mm, plane, far)) if name == "hip" else (near, points)
            clear = np.minimum(clear, self._least((name,), self.scene.rough[name].at(places), plane, along, met)[0])
        return self._under_roof(clear, plane[:, 1])

    def _under_roof(self, clear: FloatArray, second: FloatArray) -> FloatArray:
        """The safe triangle ends at the lower edge of the pedicle."""
        return np.minimum(clear, self.roof_mm - second) if self.symbol == "ST" else clear

    def _level(self, names: tuple[str, ...], plane: FloatArray, along: FloatArray) -> FloatArray:
        """The smallest exact level of some shapes at places (n, k) along the lines through plane points (n, 2)."""
        points = self.eye.points(self.scene.middle_mm, plane, along).reshape(-1, 3)
        return np.asarray(np.min([self.scene.level(name, points) for name in names], axis=0).reshape(along.shape))

    def _met(self, plane: FloatArray, guess: FloatArray, inside: FloatArray) -> FloatArray:
        """Where a line of sight first meets the target, from the eye's side.

        Parameters
        ----------
        guess
            About where.
        inside
            A place in the target.
        """
        outer = np.maximum(guess, inside) + 2.0 * _SIGHT_STEP_MM
        low = np.minimum(inside, guess - 2.0 * _SIGHT_STEP_MM)
        for count in (7, 5, 5):
            at = outer[:, None] + (low - outer)[:, None] * np.linspace(0.0, 1.0, count)
            within = self._level(self.targets, plane, at) < 0
            index = np.where(within.any(axis=1), np.maximum(within.argmax(axis=1), 1), count - 1)
            rows = np.arange(len(at))
            outer, low = at[rows, index - 1], at[rows, index]
        return 0.5 * (outer + low)

    def _least(
        self, names: tuple[str, ...], profile: FloatArray, plane: FloatArray, along: FloatArray, start: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The smallest exact level of some shapes on the eye's side of a place on each line, and where it is.

        Parameters
        ----------
        profile
            Rough levels, shape (n, k), at places `along` (k,).
        start
            The place on each line, shape (n,).
        """
        step = float(along[1] - along[0])
        own = np.where(along >= start[:, None] - step, profile, np.inf)
        edge = np.full_like(own[:, :1], np.inf)
        padded = np.concatenate([edge, own, edge], axis=1)
        allowed = np.minimum(own.min(axis=1), DOUBT_MM)[:, None] + DOUBT_MM
        line, station = np.nonzero((own <= padded[:, :-2]) & (own <= padded[:, 2:]) & (own < np.minimum(allowed, CAP_MM)))
        result, place = own.min(axis=1), along[own.argmin(axis=1)]
        if not len(line):
            return result, place
        centre, width = along[station], step
        best = np.full(len(line), np.inf)
        for _ in range(3):
            at = np.maximum(centre[:, None] + width * np.linspace(-1.0, 1.0, 5), start[line][:, None])
            level = self._level(names, plane[line], at)
            centre, best, width = at[np.arange(len(at)), level.argmin(axis=1)], level.min(axis=1), 0.45 * width
        # Highest first, so that the lowest of a line's candidates stays.
        order = np.argsort(-best, kind="stable")
        result[line[order]], place[line[order]] = best[order], centre[order]
        return result, place


def _first_met(target: FloatArray) -> npt.NDArray[np.intp]:
    """The last station (the nearest to the eye) at which each line is in the target, else where it comes nearest to it."""
    within = target < 0
    last = target.shape[-1] - 1 - within[..., ::-1].argmax(axis=-1)
    return np.asarray(np.where(within.any(axis=-1), last, target.argmin(axis=-1)))


def polygon(look: Look, step: float) -> FloatArray:
    """The outline of one triangle's free polygon in one view, shape (n, 2).

    Raises
    ------
    Unknown
        When nothing is clear there.
    """
    rough, region = _roughly_seen(look)
    points = rough.points()[region]
    low, high = points.min(axis=0) - _MARGIN_MM, points.max(axis=0) + _MARGIN_MM
    # As far as the root may lie that the zone is medial to, or above.
    if look.symbol == "KT":
        high[0] = _WINDOW_MM[0][1]
    else:
        low[1] = _WINDOW_MM[1][0]
    sheet, root = look.guess(axis(low[0], high[0], step), axis(low[1], high[1], step))
    level = sheet.level.copy()
    near = _about_border(sheet, points)
    level[near] = look.exact(sheet.points()[near])
    return _outline(Sheet(sheet.first_mm, sheet.second_mm, level), root, look)


def _outline(sheet: Sheet, root: BoolArray, look: Look) -> FloatArray:
    """The border of the clear region that has most of the zone; what hangs on it by a slit only is left out."""
    from scipy.ndimage import distance_transform_edt, label

    step = sheet.step_mm
    level = np.full(sheet.level.shape, -step)
    level[1:-1, 1:-1] = sheet.level[1:-1, 1:-1]
    # About the distance to the border, from the last clear lattice point on.
    depth = distance_transform_edt(level > 0, sampling=step) - 0.5 * step
    pieces, _ = label(depth > 0.5 * _SLIT_MM)
    chosen = _most(pieces, look.zone(sheet, root), _SHARE)
    if not chosen:
        raise Unknown(look.hidden)
    level = np.minimum(level, 2.0 * _SLIT_MM - distance_transform_edt(pieces != chosen, sampling=step))
    inside = sheet.points()[np.unravel_index(int(np.where(pieces == chosen, depth, -1.0).argmax()), depth.shape)]
    about = [loop for loop in curves(Sheet(sheet.first_mm, sheet.second_mm, level)) if holds(loop, inside)]
    if not about:
        raise Unknown(look.hidden)
    return max(about, key=lambda loop: abs(signed_area(loop)))


def _most(pieces: npt.NDArray[np.int32], zone: BoolArray, share: float) -> int:
    """The number of the piece that has most of a zone; 0 where none has any, or less than a share of that piece lies in it."""
    counts = np.bincount(pieces[zone], minlength=1)
    counts[0] = 0
    chosen = int(counts.argmax())
    return chosen if counts[chosen] > 0 and counts[chosen] >= share * np.count_nonzero(pieces == chosen) else 0


def _roughly_seen(look: Look, share: float = 0.0) -> tuple[Sheet, BoolArray]:
    """The clear region that has most of the zone."""
    from scipy.ndimage import label

    for pitch in _GUESS_MM:
        sheet, root = look.guess(*(axis(*range_mm, pitch) for range_mm in _WINDOW_MM))
        pieces, _ = label(sheet.level > 0)
        chosen = _most(pieces, look.zone(sheet, root), share)
        region = np.asarray(pieces == chosen)
        if chosen and np.count_nonzero(region) * pitch**2 > _LITTLE_MM2:
            break
    if not chosen:
        raise Unknown(look.hidden)
    return sheet, region


def _about_border(sheet: Sheet, points: FloatArray) -> BoolArray:
    """Lattice points near a change of sign about the region that holds some points."""
    from scipy.ndimage import distance_transform_edt, label

    clear, step = sheet.level > 0, sheet.step_mm
    pieces, _ = label(clear)
    index = np.round((points - [sheet.first_mm[0], sheet.second_mm[0]]) / step).astype(int)
    own = np.isin(pieces, np.setdiff1d(pieces[index[:, 0], index[:, 1]], [0]))
    inwards, outwards = distance_transform_edt(own, sampling=step), distance_transform_edt(~own, sampling=step)
    return np.asarray(np.where(own, inwards, outwards) < _BAND_MM)


def symbols_of(symbol: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of what `in_standard_view` and `at_its_largest` give."""
    return (symbol, f"{symbol}t", f"{symbol}d"), (f"{symbol}*", f"{symbol}*o", f"{symbol}*c")


def in_standard_view(scene: Scene, symbol: str, step: float) -> dict[str, float]:
    """Area of the polygon and of its triangle (mm²), diameter of its largest circle (mm)."""
    outline = polygon(Look(scene, symbol, Eye.at(STANDARD_DEG[symbol]), False), step)
    return {
        symbol: abs(signed_area(outline)),
        f"{symbol}t": abs(signed_area(largest_triangle(outline))),
        f"{symbol}d": 2.0 * largest_circle(outline)[1],
    }


def at_its_largest(scene: Scene, symbol: str, step: float) -> dict[str, tuple[float, float]]:
    """The largest area over all views, hip bones in the way, mm²; and the oblique and the cranial angle of that view; with bounds."""
    angles, missed = _best_view(scene, symbol)
    look = Look(scene, symbol, Eye.at(angles), True)
    coarse, fine = (abs(signed_area(polygon(look, pitch))) for pitch in (step, 0.5 * step))
    bound, pitch = max(SAFETY * abs(fine - coarse) + missed, FLOOR), _PITCHES_DEG[-1]
    return {f"{symbol}*": (fine, bound), f"{symbol}*o": (angles[0], pitch), f"{symbol}*c": (angles[1], pitch)}


def _rough_area(look: Look) -> float:
    try:
        sheet, region = _roughly_seen(look, _SHARE)
    except Unknown:
        return 0.0
    # A border cell counts by how far its level lies above nothing.
    return float(np.clip(0.5 + sheet.level[region] / sheet.step_mm, 0.0, 1.0).sum() * sheet.step_mm**2)


def _best_view(scene: Scene, symbol: str) -> tuple[Angles, float]:
    """About where the area is largest, and by how much it exceeds that of the neighbours: a grid of directions, then ever closer ones."""
    ranges = RANGES_DEG[symbol]
    known: dict[Angles, float] = {}

    def area(at: Angles) -> float:
        if at not in known:
            known[at] = _rough_area(Look(scene, symbol, Eye.at(at), True))
        return known[at]

    best = max(((float(o), float(c)) for o in axis(*ranges[0], _PITCHES_DEG[0]) for c in axis(*ranges[1], _PITCHES_DEG[0])), key=area)
    for pitch in _PITCHES_DEG[1:]:
        best = _climbed(area, best, pitch, ranges)
    if area(best) <= 0.0:
        raise Unknown(f"nothing of the {_NAMES[symbol]} triangle is seen along any direction")
    return best, area(best) - max(area(at) for at in _neighbours(best, _PITCHES_DEG[-1], ranges))


def _neighbours(angles: Angles, pitch: float, ranges: tuple[Angles, Angles]) -> list[Angles]:
    moved = [(angles[0] + pitch * i, angles[1] + pitch * j) for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    return [at for at in moved if all(low <= value <= high for value, (low, high) in zip(at, ranges, strict=True))]


def _climbed(area: Callable[[Angles], float], angles: Angles, pitch: float, ranges: tuple[Angles, Angles]) -> Angles:
    """Steps to the best neighbour until none is better."""
    while True:
        best = max(_neighbours(angles, pitch, ranges), key=area)
        if area(best) <= area(angles):
            return angles
        angles = best
