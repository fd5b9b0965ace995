"""The column taken apart: discs, the bodies between them, and what of it is the sacrum's. Ordered from the sacrum upwards.

Discs part the column, since they seldom touch each other, while bodies run together wherever a disc is thin or not found. Where a disc is
missing, a stretch too long for one body is parted where it is narrowest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from kambin.geometry import FloatArray
from kambin.segmentation.column_line import ColumnLine
from kambin.segmentation.places import IntArray, Places

_AXIS_MM = 14.0
"""Within this of the line a body reaches from endplate to endplate, whatever its rims do."""
_ASTRAY_MM = 24.0
"""A piece whose middle lies farther from the line is no part of the column."""
_DISC_MM3, _BODY_MM3 = 150.0, 1200.0
"""Smaller pieces are specks."""
_SAME_DISC_MM = 9.0
_EDGE_MM = 4.0
"""Networks often stop this short of the image's edge."""
_HEIGHT_BY_WIDTH = 0.78
"""Height of a body by the root of its section's area, for a column in which no body is whole: 27 mm by 34 mm (Zhou 2000)."""
_ONE_VERTEBRA, _SMALL_DISC = 1.75, 0.6
"""Two discs nearer to each other than this, by a body's height, have one vertebra between them; a disc smaller than this share of the
others may be none."""
_PITCH = 1.3
"""From disc to disc, by a body's height."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What parts two neighbours: a plane across the column.

    Parameters
    ----------
    along_mm
        Place along the line.
    centre_mm, normal
        A point of the plane, and its unit normal, cranially.
    disc
        Number of the disc's group; None where no disc was found and the place was inferred.
    """

    along_mm: float
    centre_mm: FloatArray
    normal: FloatArray
    disc: int | None


@dataclass(frozen=True, slots=True)
class Body:
    """A body found: its number in `Column.owner`, how far along the line it reaches, and its middle (as it would be, were it whole)."""

    number: int
    low_mm: float
    high_mm: float
    middle_mm: float
    volume_mm3: float
    centre_mm: FloatArray
    at_border: bool

    @property
    def height_mm(self) -> float:
        return self.high_mm - self.low_mm


@dataclass(frozen=True, eq=False)
class Column:
    """Bodies and discs told apart, caudal first.

    Parameters
    ----------
    line
        Through the bodies.
    bodies
        From the lowest up.
    gaps
        From the lowest up.
    owner
        For each voxel of the bodies' class the body's number, -1 where it is part of none.
    disc_owner
        For each voxel of the discs' class the group's number, -1 where it is part of none.
    height_mm
        Of a body of this patient, roughly.
    notes
        What had to be guessed, in words.
    """

    line: ColumnLine
    bodies: tuple[Body, ...]
    gaps: tuple[Gap, ...]
    owner: IntArray
    disc_owner: IntArray
    height_mm: float
    notes: tuple[str, ...] = field(default=())


def divided_column(bodies: Places, discs: Places, line: ColumnLine) -> Column:
    """The column of bodies and discs, taken apart.

    Whether the lowest of the bodies is the sacrum's is not asked here.
    """
    body_local, disc_local = line.local(bodies.mm), line.local(discs.mm)
    disc_owner = _disc_groups(discs, disc_local)
    gaps = _gaps_of(discs, disc_owner, disc_local, line)
    inside = _in_line(bodies, body_local)
    gaps, disc_owner = _united_gaps(gaps, disc_owner, bodies, body_local, inside)
    height = _usual_height(bodies, body_local, inside, gaps)
    gaps, disc_owner = _without_false_discs(gaps, disc_owner, height)
    gaps, notes = _with_inferred_gaps(bodies, body_local, inside, gaps, height, line)
    owner = np.where(inside, _place_between(bodies.mm, body_local, gaps), -1)
    owner = _lips_rejoined(bodies, owner)
    found, owner = _bodies(bodies, body_local, owner, height)
    return Column(line, found, tuple(gaps), owner, disc_owner, height, tuple(notes))


def _in_line(places: Places, local: FloatArray) -> np.ndarray:
    """Which voxels are of pieces about the line."""
    lateral, front = places.mean_by_piece(local[:, 0]), places.mean_by_piece(local[:, 1])
    # Within the column's own ends: the line goes on straight beyond them, where the spine need not.
    fine = (np.hypot(lateral, front) < _ASTRAY_MM) & (places.piece_mm3 > 60.0)
    return np.asarray(fine[places.pieces] & (np.hypot(local[:, 0], local[:, 1]) < 1.8 * _ASTRAY_MM))


def _disc_groups(discs: Places, local: FloatArray) -> IntArray:
    """Pieces of discs gathered into discs: pieces side by side are one, a piece that reaches over several is parted."""
    owner = np.full(len(discs), -1, dtype=np.int64)
    lateral, front = (discs.mean_by_piece(local[:, axis]) for axis in range(2))
    good = np.flatnonzero((discs.piece_mm3 >= _DISC_MM3) & (np.hypot(lateral, front) < _ASTRAY_MM))
    centres: list[tuple[float, float]] = []  # place, volume
    for piece in good[np.argsort(-discs.piece_mm3[good])]:
        mine = discs.pieces == piece
        for place, voxels in _parted(local[mine, 2], np.flatnonzero(mine)):
            volume = len(voxels) * discs.grid.voxel_volume_mm3
            near = [k for k, (centre, _) in enumerate(centres) if abs(centre - place) < _SAME_DISC_MM]
            if near:
                owner[voxels] = near[0]
            elif volume >= _DISC_MM3:
                owner[voxels] = len(centres)
                centres.append((place, volume))
    return owner


def _parted(along: FloatArray, voxels: IntArray) -> list[tuple[float, IntArray]]:
    """A piece parted between its peaks along the line, where it reaches over more than a disc's height."""
    low, high = np.percentile(along, [4, 96])
    if high - low < 24.0:
        return [(float(along.mean()), voxels)]
    bins = np.arange(along.min() - 2, along.max() + 3.0)
    profile = gaussian_filter1d(np.histogram(along, bins)[0].astype(np.float64), 3.0)
    peaks, _ = find_peaks(np.pad(profile, 1), prominence=0.3 * profile.max(), distance=15)
    if len(peaks) < 2:
        return [(float(along.mean()), voxels)]
    cuts = [a + int(np.argmin(profile[a:b])) for a, b in zip(peaks[:-1] - 1, peaks[1:] - 1, strict=True)]
    part = np.digitize(along, bins[cuts])
    return [(float(along[part == k].mean()), voxels[part == k]) for k in range(len(peaks)) if np.any(part == k)]


def _gaps_of(discs: Places, owner: IntArray, local: FloatArray, line: ColumnLine) -> list[Gap]:
    gaps = []
    for number in range(int(owner.max(initial=-1)) + 1):
        mine = owner == number
        points, place = discs.mm[mine], float(local[mine, 2].mean())
        tangent = line.tangent(place)
        centre, normal = points.mean(axis=0), tangent
        values, vectors = np.linalg.eigh(np.cov((points - centre).T)) if len(points) > 20 else (np.ones(3), np.eye(3))
        own = vectors[:, 0] * np.sign(vectors[:, 0] @ tangent or 1.0)
        # A disc's own plane, where it is flat and lies across the column.
        if values[0] < 0.3 * values[1] and own @ tangent > 0.8:
            normal = own
        gaps.append(Gap(place, centre, normal, number))
    return sorted(gaps, key=lambda gap: gap.along_mm)


def _place_between(points: FloatArray, local: FloatArray, gaps: list[Gap]) -> IntArray:
    """How many gaps lie below each point."""
    count = np.zeros(len(points), dtype=np.int64)
    for gap in gaps:
        beside = np.abs(local[:, 2] - gap.along_mm) < 25.0
        count += np.where(beside, (points - gap.centre_mm) @ gap.normal > 0, local[:, 2] > gap.along_mm)
    return count


def _united_gaps(
    gaps: list[Gap], disc_owner: IntArray, bodies: Places, local: FloatArray, inside: np.ndarray
) -> tuple[list[Gap], IntArray]:
    """Discs with next to no body between them, and less than a body's height apart, made one: the lower one's number is kept."""
    owner = disc_owner.copy()
    done = False
    while not done:
        done = True
        place = _place_between(bodies.mm, local, gaps)
        near_axis = inside & (np.hypot(local[:, 0], local[:, 1]) < _AXIS_MM)
        for k in range(1, len(gaps)):
            apart = gaps[k].along_mm - gaps[k - 1].along_mm
            volume = np.count_nonzero(near_axis & (place == k)) * bodies.grid.voxel_volume_mm3
            if apart < 14.0 and volume < _AXIS_MM**2 * np.pi * 5.0:
                upper, lower = gaps[k].disc, gaps[k - 1].disc
                owner[owner == upper] = lower if lower is not None else -1
                gaps = gaps[:k] + gaps[k + 1 :]
                done = False
                break
    return gaps, owner


def _without_false_discs(gaps: list[Gap], disc_owner: IntArray, height: float) -> tuple[list[Gap], IntArray]:
    """Small discs that lie in the middle of a body left out: the discs above and below them are one vertebra apart, not two."""
    owner = disc_owner.copy()
    sizes = np.bincount(owner[owner >= 0], minlength=1)
    usual = float(np.median(sizes[sizes > 0])) if np.any(sizes) else 0.0
    k = 1
    while k < len(gaps) - 1:
        number = gaps[k].disc
        apart = gaps[k + 1].along_mm - gaps[k - 1].along_mm
        if number is not None and apart < _ONE_VERTEBRA * height and sizes[number] < _SMALL_DISC * usual:
            owner[owner == number] = -1
            gaps = gaps[:k] + gaps[k + 1 :]
        else:
            k += 1
    return gaps, owner


def _usual_height(bodies: Places, local: FloatArray, inside: np.ndarray, gaps: list[Gap]) -> float:
    """Height of this patient's bodies: the median of those between two discs, else from the column's width."""
    place = _place_between(bodies.mm, local, gaps)
    axial = inside & (np.hypot(local[:, 0], local[:, 1]) < _AXIS_MM)
    heights = []
    for k in range(1, len(gaps)):
        along = local[axial & (place == k), 2]
        if len(along) * bodies.grid.voxel_volume_mm3 > _BODY_MM3:
            low, high = np.percentile(along, [1, 99])
            heights.append(float(high - low))
    along = local[inside, 2]
    if not len(along):
        return 27.0
    area = np.histogram(along, np.arange(along.min(), along.max() + 2.0))[0] * bodies.grid.voxel_volume_mm3
    by_width = _HEIGHT_BY_WIDTH * float(np.sqrt(np.median(area[area > 0.3 * area.max()])))
    plain = [height for height in heights if 0.6 * by_width < height < 1.5 * by_width]
    return float(np.median(plain)) if plain else float(np.clip(by_width, 14.0, 34.0))


def _with_inferred_gaps(
    bodies: Places, local: FloatArray, inside: np.ndarray, gaps: list[Gap], height: float, line: ColumnLine
) -> tuple[list[Gap], list[str]]:
    """Gaps added where a stretch without a disc is too long for one body."""
    place = _place_between(bodies.mm, local, gaps)
    axial = inside & (np.hypot(local[:, 0], local[:, 1]) < 1.6 * _AXIS_MM)
    pitch = _usual_pitch(gaps, height)
    added: list[Gap] = []
    touching = 0
    for k in range(len(gaps) + 1):
        along = local[axial & (place == k), 2]
        if len(along) * bodies.grid.voxel_volume_mm3 < _BODY_MM3:
            continue
        start = float(np.percentile(along, 0.3))
        profile = gaussian_filter1d(np.histogram(along, np.arange(start, along.max() + 2.0))[0] * bodies.grid.voxel_volume_mm3, 1.0)
        for cut in _cuts(profile, height, pitch):
            touching += bool(profile[cut] > 0.2 * np.median(profile))
            at = start + cut + 0.5
            added.append(Gap(at, line.point(at), line.tangent(at), None))
    notes = []
    if touching:
        notes.append(
            f"In {touching} place{'s' * (touching > 1)} vertebral bodies ran together with no disc found between them; "
            "they were parted where the column is narrowest."
        )
    return sorted([*gaps, *added], key=lambda gap: gap.along_mm), notes


def _usual_pitch(gaps: list[Gap], height: float) -> float:
    """From disc to disc, where neighbours were found."""
    steps = np.diff([gap.along_mm for gap in gaps])
    plain = steps[(steps > 1.05 * height) & (steps < 1.75 * height)]
    return float(np.median(plain)) if len(plain) else _PITCH * height


def _cuts(profile: FloatArray, height: float, pitch: float) -> list[int]:
    """Where to part a stretch, by its section's area along the line in steps of 1 mm: nowhere, if it is one body."""
    filled = profile > 0.25 * np.median(profile[profile > 0])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.view(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    cuts: list[int] = []
    # First where there is nothing; the parts of a broken body stay together.
    for (start, stop), (following, end) in pairwise(runs):
        first = cuts[-1] if cuts else runs[0][0]
        two_bodies = min(stop - first, end - following) > 0.25 * height and end - first > 1.4 * height
        if two_bodies or min(stop - start, end - following) > 0.7 * height:
            cuts.append((stop + following) // 2)
    bounds = [int(runs[0][0]), *cuts, int(runs[-1][1])]
    for low, high in pairwise(bounds):
        count = round((high - low - height) / pitch) + 1
        for k in range(1, count):
            about = low + (high - low) * k / count
            window = np.arange(max(low + 5, int(about - 0.28 * height)), min(high - 5, int(about + 0.28 * height) + 1))
            if len(window):
                cuts.append(int(window[np.argmin(profile[window] + 1e-3 * profile.max() * np.abs(window - about))]))
    return sorted(cuts)


def _lips_rejoined(bodies: Places, owner: IntArray) -> IntArray:
    """Slivers that a gap's plane cut off a piece, given back to it: a disc is curved, and rims reach over its plane."""
    result = owner.copy()
    columns = int(owner.max(initial=0)) + 2
    rows = int(bodies.pieces.max(initial=0)) + 1
    counts = np.bincount(bodies.pieces * columns + owner + 1, minlength=columns * rows).reshape(rows, columns)[:, 1:]
    whole = counts.sum(axis=0)
    for piece, number in np.argwhere((counts > 0) & (counts < 0.2 * counts.max(axis=1, keepdims=True))):
        beside = [k for k in (number - 1, number + 1) if 0 <= k < columns - 1 and counts[piece, k] > 5 * counts[piece, number]]
        # What most of a body hangs on by a bridge is no sliver.
        if beside and (counts[piece, number] > 0.5 * whole[number] or counts[piece, number] < 0.05 * counts[piece].max()):
            best = max(beside, key=lambda k: counts[piece, k])
            result[(bodies.pieces == piece) & (owner == number)] = best
    return result


def _bodies(bodies: Places, local: FloatArray, owner: IntArray, height: float) -> tuple[tuple[Body, ...], IntArray]:
    """The bodies between the gaps, lowest first and numbered so; what is too small for one is none unless the image cuts it."""
    shape = np.array(bodies.grid.shape)
    volume = np.bincount(owner[owner >= 0], minlength=1) * bodies.grid.voxel_volume_mm3
    usual = float(np.median(volume[volume > _BODY_MM3])) if np.any(volume > _BODY_MM3) else 0.0
    found: list[Body] = []
    result = np.full(len(bodies), -1, dtype=np.int64)
    for number in np.flatnonzero(volume):
        mine = owner == number
        edge = _EDGE_MM / bodies.grid.spacing_mm[2]
        top = bool(bodies.voxels[mine, 2].max() >= shape[2] - 1 - edge)
        bottom = bool(bodies.voxels[mine, 2].min() <= edge)
        border = top or bottom
        mine &= _not_astray(bodies, local, mine, height)
        size = np.count_nonzero(mine) * bodies.grid.voxel_volume_mm3
        axial = local[mine & (np.hypot(local[:, 0], local[:, 1]) < _AXIS_MM), 2]
        if size < (0.03 if border else 0.2) * usual or len(axial) < 5:
            continue
        low, high = np.percentile(axial, [1, 99])
        middle = 0.5 * (low + high)
        if high - low < 0.85 * height and top != bottom:
            middle = low + 0.5 * height if top else high - 0.5 * height
        result[mine] = len(found)
        found.append(Body(len(found), float(low), float(high), float(middle), size, bodies.mm[mine].mean(axis=0), border))
    return tuple(found), result


def _not_astray(bodies: Places, local: FloatArray, mine: np.ndarray, height: float) -> np.ndarray:
    """Of one body's voxels those in its largest piece, and in others that lie within its own bounds."""
    sizes = np.bincount(bodies.pieces[mine])
    largest = int(sizes.argmax())
    keep = sizes > 0
    for piece in np.flatnonzero(sizes):
        its = local[mine & (bodies.pieces == piece)].mean(axis=0)
        keep[piece] = piece == largest or np.hypot(its[0], its[1]) < 0.9 * height
    return np.asarray(mine & keep[np.minimum(bodies.pieces, len(keep) - 1)])
