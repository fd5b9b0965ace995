"""The true Kambin and safe triangles: what is seen of the disc and the upper body beside the exiting root, along a direction.

A ray is clear where it meets the disc or the upper vertebra's body before any other bone, root or sac. How clear it is, is a number with
a sign: the smallest level of all that it passes on its way, or, where it misses its target, by how much; the zero curve is the polygon's
border. ``docs/triangles.md`` has the definition.
Directions are (oblique, cranial) degrees in the segment's frame: 0, 0 looks straight forward from behind along the disc, oblique turns the
eye to the patient's own side, cranial lifts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.compose import Cut, Offset
from kambin.phantom.field import Field
from kambin.phantom.truth.anatomy import Anatomy
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.plane import Sheet, axis, curves, holds, hull, signed_area
from kambin.phantom.truth.quick import Quick
from kambin.phantom.truth.value import FLOOR, SAFETY, Unknown

BoolArray = npt.NDArray[np.bool_]
Angles = tuple[float, float]

STANDARD_DEG: Mapping[str, Angles] = {"KT": (45.0, 0.0), "ST": (20.0, 0.0)}
RANGES_DEG: Mapping[str, tuple[Angles, Angles]] = {"KT": ((20.0, 60.0), (-20.0, 30.0)), "ST": ((15.0, 35.0), (-20.0, 20.0))}
"""Oblique and cranial angles among which the view is looked for that shows each triangle at its largest."""
_PITCHES_DEG = (10.0, 5.0, 2.5)

_NEAR_MM, _NEAR_LATTICE_MM = ((-6.0, 42.0), (-36.0, 28.0), (-24.0, 28.0)), 2.0
_FAR_MM, _FAR_LATTICE_MM = ((10.0, 125.0), (-105.0, 25.0), (-50.0, 75.0)), 5.0
"""Boxes (out, anterior of the disc space's posterior edge, cranial) in which bones near by and the hip bone are sampled roughly."""
_WINDOW_MM = ((-20.0, 24.0), (-14.0, 16.0))
_MIDDLE_MM = (14.0, 0.0, 3.0)
"""The middle of the window, in the same coordinates as the boxes: about the middle of the triangles."""
_SIGHT_MM, _SIGHT_STEP_MM = (-28.0, 36.0), 1.25
_FAR_SIGHT_MM, _FAR_SIGHT_STEP_MM = (0.0, 140.0), 4.0
_GUESS_MM = 1.5
_DOUBT_MM = 0.9
"""By how much a level interpolated from a rough lattice may be wrong."""
_BAND_MM = 0.75
_SLIT_MM = 0.6
_CAP_MM = 3.0
_ARCH_FROM_BODY_MM = 0.3
"""The arch begins so far off the body."""
_MARGIN_MM = 2.0


@dataclass(frozen=True, eq=False)
class Rough:
    """Levels of one shape on a lattice.

    Parameters
    ----------
    low_mm, step_mm
        Its first point, shape (3,), and its step.
    level
        Shape (n, m, k).
    """

    low_mm: FloatArray
    step_mm: float
    level: FloatArray

    def at(self, points: FloatArray) -> FloatArray:
        """Interpolated levels at points of shape (..., 3); large outside the lattice."""
        from scipy.ndimage import map_coordinates

        place = np.moveaxis((points - self.low_mm) / self.step_mm, -1, 0)
        return np.asarray(map_coordinates(self.level, place, order=1, mode="constant", cval=_CAP_MM))

    def along(self, origin: FloatArray, steps: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """The same on a lattice of given origin and steps (rows of shape (3, 3)): much sooner."""
        from scipy.ndimage import affine_transform

        offset = (origin - self.low_mm) / self.step_mm
        return np.asarray(
            affine_transform(self.level, steps.T / self.step_mm, offset, output_shape=shape, order=1, mode="constant", cval=_CAP_MM)
        )

    def joined(self, others: list[Rough]) -> Rough:
        """Several shapes on one lattice as one."""
        return Rough(self.low_mm, self.step_mm, np.min([self.level, *(other.level for other in others)], axis=0))


@dataclass(frozen=True, eq=False)
class Scene:
    """All that can be seen about one foramen. Points are (out, anterior, cranial) in the segment's frame, *out* towards the side.

    Parameters
    ----------
    frame, sign
        The segment's frame; -1 on the left.
    middle_mm
        Of the window, shape (3,).
    roof_mm
        The lowest point of the upper pedicle's neck.
    shapes, rough
        By name: "disc", "body", "root", and the rest, which hides.
    joined
        For each triangle what is looked at, and what hides it but for the root and the hip bone, as one shape each.
    """

    frame: Frame
    sign: int
    middle_mm: FloatArray
    roof_mm: FloatArray
    shapes: Mapping[str, Field]
    rough: Mapping[str, Rough]
    joined: Mapping[str, tuple[Rough, Rough]]

    def level(self, name: str, points: FloatArray) -> FloatArray:
        """Exact levels at points of shape (n, 3)."""
        return level_in(self.shapes[name], self.frame, points * [self.sign, 1.0, 1.0])


def scene_of(anatomy: Anatomy, segment: Segment, side: Side, neck_mm: FloatArray) -> Scene:
    """Sample roughly what can be seen about one foramen.

    Parameters
    ----------
    neck_mm
        The outline of the upper pedicle's neck, RAS, shape (n, 3).

    Raises
    ------
    Unknown
        When the exiting root is missing.
    """
    upper, disc, lower = segment.space.whole()
    shapes: dict[str, Field] = {
        "root": anatomy.shape(Kind.NERVE_ROOT, upper.level, side),
        "disc": disc,
        "body": upper.body,
        "arch": Cut(upper.shape, (Offset(upper.body, _ARCH_FROM_BODY_MM),)),
        "lower": lower.shape,
    }
    others = {"next root": (Kind.NERVE_ROOT, lower.level, side), "sac": (Kind.DURAL_SAC, None, None), "hip": (Kind.HIP, None, side)}
    if lower.level is not Level.S1:
        others["sacrum"] = (Kind.SACRUM, None, None)
    for name, key in others.items():
        try:
            shapes[name] = anatomy.shape(*key)
        except Unknown:
            continue
    behind = np.array([0.0, segment.back_mm, 0.0])
    rough = {}
    for name, shape in shapes.items():
        shapes[name] = shape if name in ("arch", "lower") else Quick(shape)
        box, step = (_FAR_MM, _FAR_LATTICE_MM) if name == "hip" else (_NEAR_MM, _NEAR_LATTICE_MM)
        rough[name] = _roughly(shapes[name], segment.frame, side.sign, np.array(box) + behind[:, None], step)
    rough = {name: levels for name, levels in rough.items() if levels.level.min() < _DOUBT_MM}
    neck = segment.frame.local(neck_mm) * [side.sign, 1.0, 1.0]
    roof = neck[int(neck[:, 2].argmin())]
    own = {name: shapes[name] for name in rough}
    return Scene(segment.frame, side.sign, behind + _MIDDLE_MM, roof, own, rough, {s: _joined(rough, s) for s in _TARGETS})


def _joined(rough: Mapping[str, Rough], symbol: str) -> tuple[Rough, Rough]:
    targets = [rough[name] for name in _TARGETS[symbol]]
    hiding = [levels for name, levels in rough.items() if name not in (*_TARGETS[symbol], "root", "hip")]
    return targets[0].joined(targets[1:]), hiding[0].joined(hiding[1:])


def _roughly(shape: Field, frame: Frame, sign: int, box: FloatArray, step: float) -> Rough:
    axes = [axis(low, high, step) for low, high in box]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    level = level_in(shape, frame, points.reshape(-1, 3) * [sign, 1.0, 1.0]).reshape(points.shape[:-1])
    return Rough(box[:, 0], step, np.minimum(level, _CAP_MM))


@dataclass(frozen=True, eq=False)
class Eye:
    """A direction to look along: towards the eye, and the picture's two axes, unit vectors of (out, anterior, cranial)."""

    sight: FloatArray
    first: FloatArray
    second: FloatArray

    @classmethod
    def at(cls, angles_deg: Angles) -> Eye:
        oblique, cranial = np.radians(angles_deg)
        s, c, u, w = np.sin(oblique), np.cos(oblique), np.sin(cranial), np.cos(cranial)
        return cls(np.array([s * w, -c * w, u]), np.array([c, s, 0.0]), np.array([-s * u, c * u, w]))

    def points(self, middle: FloatArray, plane: FloatArray, along: FloatArray) -> FloatArray:
        """Points of shape (n, k, 3): plane coordinates (n, 2), places along the sight (k,) or (n, k)."""
        base = middle + plane[:, :1] * self.first + plane[:, 1:] * self.second
        return np.asarray(base[:, None] + np.atleast_2d(along)[..., None] * self.sight)


_NAMES = {"KT": "Kambin", "ST": "safe"}
_TARGETS = {"KT": ("disc", "body"), "ST": ("body",)}


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
        return _TARGETS[self.symbol]

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
        clear = np.where(before, level, _CAP_MM).min(axis=-1)
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
        allowed = np.minimum(own.min(axis=1), _DOUBT_MM)[:, None] + _DOUBT_MM
        line, station = np.nonzero((own <= padded[:, :-2]) & (own <= padded[:, 2:]) & (own < np.minimum(allowed, _CAP_MM)))
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
    chosen = _most(pieces, look.zone(sheet, root))
    if not chosen:
        raise Unknown(look.hidden)
    level = np.minimum(level, 2.0 * _SLIT_MM - distance_transform_edt(pieces != chosen, sampling=step))
    inside = sheet.points()[np.unravel_index(int(np.where(pieces == chosen, depth, -1.0).argmax()), depth.shape)]
    about = [loop for loop in curves(Sheet(sheet.first_mm, sheet.second_mm, level)) if holds(loop, inside)]
    if not about:
        raise Unknown(look.hidden)
    return max(about, key=lambda loop: abs(signed_area(loop)))


def _most(pieces: npt.NDArray[np.int32], zone: BoolArray) -> int:
    """The number of the piece that has most of a zone; 0 where none has any."""
    counts = np.bincount(pieces[zone], minlength=1)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 0


def _roughly_seen(look: Look) -> tuple[Sheet, BoolArray]:
    """The clear region that has most of the zone."""
    from scipy.ndimage import label

    sheet, root = look.guess(*(axis(*range_mm, _GUESS_MM) for range_mm in _WINDOW_MM))
    pieces, _ = label(sheet.level > 0)
    chosen = _most(pieces, look.zone(sheet, root))
    if not chosen:
        raise Unknown(look.hidden)
    return sheet, np.asarray(pieces == chosen)


def _about_border(sheet: Sheet, points: FloatArray) -> BoolArray:
    """Lattice points near a change of sign about the region that holds some points."""
    from scipy.ndimage import distance_transform_edt, label

    clear, step = sheet.level > 0, sheet.step_mm
    pieces, _ = label(clear)
    index = np.round((points - [sheet.first_mm[0], sheet.second_mm[0]]) / step).astype(int)
    own = np.isin(pieces, np.setdiff1d(pieces[index[:, 0], index[:, 1]], [0]))
    inwards, outwards = distance_transform_edt(own, sampling=step), distance_transform_edt(~own, sampling=step)
    return np.asarray(np.where(own, inwards, outwards) < _BAND_MM)


def largest_triangle(outline: FloatArray) -> FloatArray:
    """The triangle of largest area with its corners on an outline, shape (3, 2)."""
    corners = hull(outline)
    best, found = -1.0, corners[:3]
    for i in range(len(corners) - 2):
        a, rest = corners[i], corners[i + 1 :]
        offset = rest - a
        twice = np.abs(offset[:, None, 0] * offset[None, :, 1] - offset[:, None, 1] * offset[None, :, 0])
        at = np.unravel_index(int(twice.argmax()), twice.shape)
        if twice[at] > best:
            best, found = float(twice[at]), np.stack([a, rest[at[0]], rest[at[1]]])
    return found


def largest_circle(outline: FloatArray) -> tuple[FloatArray, float]:
    """Centre and radius of the largest circle within an outline: lattices that close in on it."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    best, radius, half = 0.5 * (low + high), 0.0, 0.5 * (high - low)
    share = np.linspace(-1.0, 1.0, 11)
    lattice = np.stack(np.meshgrid(share, share, indexing="ij"), axis=-1).reshape(-1, 2)
    for _ in range(7):
        points = best + half * lattice
        depth = _depth(outline, points)
        if depth.max() > radius:
            best, radius = points[int(depth.argmax())], float(depth.max())
        half = 0.35 * half
    return best, radius


def _depth(outline: FloatArray, points: FloatArray) -> FloatArray:
    """Distance of points to the outline they lie in; 0 outside it."""
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    offset = points[:, None] - start
    share = np.clip((offset * along).sum(axis=-1) / np.maximum(np.square(along).sum(axis=1), 1e-18), 0.0, 1.0)
    away = np.sqrt(np.square(offset - share[..., None] * along).sum(axis=-1)).min(axis=1)
    y, end = start[:, 1], np.roll(start, -1, axis=0)
    crosses = (y > points[:, None, 1]) != (end[:, 1] > points[:, None, 1])
    rise = np.where(along[:, 1] == 0.0, 1.0, along[:, 1])
    beyond = start[:, 0] + (points[:, None, 1] - y) / rise * along[:, 0] > points[:, None, 0]
    return np.where((crosses & beyond).sum(axis=1) % 2 == 1, away, 0.0)


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
        sheet, region = _roughly_seen(look)
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
