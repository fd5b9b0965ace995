"""Which level the lowest vertebra is: counted from the sacrum, else guessed from what lies about it; and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Level
from kambin.geometry import FloatArray
from kambin.segmentation.column_order import Body, Column
from kambin.segmentation.places import Places

UPWARDS = (Level.L5, Level.L4, Level.L3, Level.L2, Level.L1, Level.T12)
"""Named from the sacrum upwards; a sixth lumbar vertebra cannot be told from a fifth by counting so."""

_CREST = (0.5, 0.35)
"""Where the iliac crests meet the column, counted in vertebrae from the middle of L5, and how far that spreads: between L4 and L5, or at
the body of either (Chakraverty 2007)."""
_FORK = (0.8, 0.45)
"""The same for where the aorta divides: usually in front of L4."""
_PSOAS = (4.5, 0.8)
"""The same for the upper end of the psoas: usually between T12 and L1; thin there, it is often found too low."""
_SHIFT, _SHIFT_BY_ONE = 0.55, 0.8
"""Landmarks that together lie farther than this from their usual places, in vertebrae, make the count doubtful; the second, one alone or
with the psoas. About two standard deviations of what they tell together."""
_LOST = 3.0
_UNEVEN = 0.6
"""Crests whose heights differ by more vertebrae than that tell nothing: one of them is not what it was taken for, or cut off."""
_CREST_APART_MM = 35.0
"""The crests lie farther than this to either side of the column."""
_SACRAL_DISC = 0.2
"""Of the other discs' size; a remnant between the first segments of ordinary sacra had up to 0.17, mostly nothing was found."""
_RUDIMENTARY = 0.4
"""A lowest disc thinner than this, by the others' median, may be that of a vertebra grown together with the sacrum."""


@dataclass(frozen=True, slots=True)
class Landmark:
    """Something beside the column that usually lies at one level.

    Parameters
    ----------
    name
        In words.
    place
        Where it was found, in vertebrae from the middle of the lowest.
    usual, spread
        Where it usually lies, in vertebrae from the middle of L5, and how far that spreads (one standard deviation).
    """

    name: str
    place: float
    usual: float
    spread: float


def vertebrae_along(bodies: tuple[Body, ...], missing: int, height_mm: float, along_mm: FloatArray) -> FloatArray:
    """Places along the column counted in vertebrae: the middle of the lowest level is 0, that of the next 1.

    Parameters
    ----------
    bodies
        The vertebrae, lowest first.
    missing
        How many are missing below the first.
    height_mm
        Of a body.
    along_mm
        Millimetres along the column.
    """
    middles = np.array([body.middle_mm for body in bodies])
    numbers = np.array(steps(bodies, height_mm), dtype=np.float64) + missing
    pitch = float(np.median(np.diff(middles) / np.diff(numbers))) if len(bodies) > 1 else 1.3 * height_mm
    below, above = middles[0] - pitch * np.arange(9, 0, -1), middles[-1] + pitch * np.arange(1, 9)
    places = np.concatenate([below, middles, above])
    counts = np.concatenate([numbers[0] - np.arange(9, 0, -1), numbers, numbers[-1] + np.arange(1, 9)])
    return np.asarray(np.interp(along_mm, places, counts))


def steps(bodies: tuple[Body, ...], height_mm: float) -> list[int]:
    """The vertebrae's numbers upwards from 0; one is left out where two are too far apart to be neighbours."""
    numbers = [0]
    for low, high in pairwise(bodies):
        # What lies between them could hold a body and its disc.
        between = (high.low_mm - low.high_mm) / height_mm
        numbers.append(numbers[-1] + 1 + max(0, round((between - 0.3) / 1.3)))
    return numbers


def landmarks(
    column: Column, bodies: tuple[Body, ...], hips: Places, aorta: Places, branches: Places, psoas: Places
) -> tuple[Landmark, ...]:
    """What can be seen beside the column of the iliac crests, the aorta's fork and the upper ends of the psoas."""
    found = []

    def place(points: FloatArray) -> float:
        return float(np.median(_places(column, bodies, points)))

    crests = crest_places(column, bodies, hips)
    if len(crests) and not are_uneven(crests):
        found.append(Landmark("the iliac crests meet it", float(np.median(crests)), *_CREST))
    if len(aorta) and len(branches):
        fork = _fork(aorta, branches)
        if fork is not None:
            found.append(Landmark("the aorta divides", place(fork[None]), *_FORK))
    tops = [top for piece in _large_pieces(psoas, 15_000.0) if (top := _top(psoas, piece, spare_mm=12.0)) is not None]
    if tops:
        found.append(Landmark("the psoas begins", place(np.array(tops)), *_PSOAS))
    # What lies this far off is not what it was taken for.
    return tuple(mark for mark in found if abs(mark.place - mark.usual) < _LOST)


def crest_places(column: Column, bodies: tuple[Body, ...], hips: Places) -> FloatArray:
    """Where the tops of the hip bones lie along the column, in vertebrae from the middle of the lowest; those that are in view."""
    tops = [top for piece in _large_pieces(hips, 3_000.0) if (top := _top(hips, piece)) is not None]
    tops = [top for top in tops if np.abs(column.line.local(top[None])[0, 0]) > _CREST_APART_MM]
    return _places(column, bodies, np.array(tops).reshape(-1, 3))


def are_uneven(crests: FloatArray) -> bool:
    """Whether crests lie at such different heights that they tell nothing."""
    return len(crests) > 0 and float(np.ptp(crests)) >= _UNEVEN


def _places(column: Column, bodies: tuple[Body, ...], points: FloatArray) -> FloatArray:
    return vertebrae_along(bodies, 0, column.height_mm, column.line.local(points)[:, 2])


def _large_pieces(places: Places, least_mm3: float) -> list[int]:
    if not len(places):
        return []
    return [int(piece) for piece in np.flatnonzero(places.piece_mm3 > max(0.25 * places.piece_mm3.max(), least_mm3))]


def _top(places: Places, piece: int, spare_mm: float = 4.0) -> FloatArray | None:
    """The highest place of a piece; None where the image ends there, above or at the side."""
    voxels = places.voxels[places.pieces == piece]
    height = places.grid.world(voxels)[:, 2]
    highest = voxels[height >= height.max() - 3.0]
    spare = spare_mm / places.grid.spacing_mm[2]
    edge = np.array(places.grid.shape) - 1
    if voxels[:, 2].max() > edge[2] - spare or np.any((highest[:, :2] <= 0) | (highest[:, :2] >= edge[:2])):
        return None
    return np.asarray(places.grid.world(highest).mean(axis=0))


def _fork(aorta: Places, branches: Places) -> FloatArray | None:
    """Where the aorta ends in its branches: between its lowest part and their highest, where these are near each other."""
    low = aorta.mm[aorta.mm[:, 2] <= np.percentile(aorta.mm[:, 2], 3)].mean(axis=0)
    high = branches.mm[branches.mm[:, 2] >= np.percentile(branches.mm[:, 2], 96)].mean(axis=0)
    return np.asarray(0.5 * (low + high)) if np.linalg.norm(low - high) < 30.0 else None


def guessed_from(marks: tuple[Landmark, ...], bodies: tuple[Body, ...]) -> tuple[int, str]:
    """The level of the lowest vertebra where no sacrum is in view: its number from L5 upwards, and the doubt in words."""
    for mark in marks:
        number = round(mark.usual - mark.place)
        if not -1 <= number < len(UPWARDS):
            continue
        level = UPWARDS[max(number, 0)]
        return max(number, 0), (
            f"The sacrum is not in view, so the levels are a guess: the lowest vertebra is called {level}, since {mark.name} "
            f"{_usual_words(mark)}. Check the level names before using any of them."
        )
    whole = next((k for k, body in enumerate(bodies) if not body.at_border), 0)
    return 0 if whole == 0 else -whole, (
        "The sacrum is not in view and nothing else tells the levels: the lowest whole vertebra is CALLED L5 for want of better. "
        "The level names may be wrong by any number: settle them before using any."
    )


def _usual_words(mark: Landmark) -> str:
    words = {
        _CREST: "where L4 meets L5, as they usually do",
        _FORK: "in front of L4, as it usually does",
        _PSOAS: "beside L1, as it usually does (which is a poor guide)",
    }
    return words[mark.usual, mark.spread]


def against(
    marks: tuple[Landmark, ...], lowest: int, disc_share: float | None, body_count: int, sacral_share: float = 0.0
) -> str | None:
    """What speaks against the count, in one sentence; None where nothing does.

    Parameters
    ----------
    marks
        What was seen beside the column.
    lowest
        Number of the lowest vertebra from L5 upwards.
    disc_share
        Thickness of the lowest disc by that of the others; None where it was not found.
    body_count
        How many vertebrae there are in view.
    sacral_share
        Size of a disc below the first segment of what was taken for the sacrum, by that of the others.
    """
    weights = np.array([mark.spread**-2 for mark in marks])
    off = np.array([mark.place + lowest - mark.usual for mark in marks])
    shift = float(weights @ off / weights.sum()) if len(marks) else 0.0
    # The psoas alone is too poor a guide.
    guides = sum(mark.usual != _PSOAS[0] for mark in marks)
    shifted = guides > 0 and abs(shift) > (_SHIFT if guides > 1 else _SHIFT_BY_ONE)
    evidence = [
        f"{mark.name} at {place_name(mark.place + lowest)}" for mark, by in zip(marks, off, strict=True) if shifted and by * shift > 0
    ]
    sixth, fifth = shifted and shift > 0, shifted and shift < 0
    if sacral_share > _SACRAL_DISC:
        sixth = True
        evidence.append(
            f"below what was taken for the first segment of the sacrum there is a disc, {100 * sacral_share:.0f} % as large as the others"
        )
    if disc_share is not None and disc_share < _RUDIMENTARY and body_count > 1:
        evidence.append(f"the disc over the sacrum is only {100 * disc_share:.0f} % as thick as the others")
    if not evidence:
        return None
    if sixth and fifth:
        guess = "a transitional vertebra is likely, and these do not agree on which one (L6, or an L5 that is part of the sacrum)"
    elif sixth:
        guess = "a sixth lumbar vertebra (L6, a lumbarised S1) is possible, each level then being called one too high"
    elif fifth:
        guess = "the fifth lumbar vertebra may be part of the sacrum, each level then being called one too low"
    else:
        guess = "a transitional vertebra (L6, or an L5 grown together with the sacrum) is possible"
    return f"Levels were counted upwards from the sacrum, but {' and '.join(evidence)}: {guess}. Agree on the level names before use."


def place_name(place: float) -> str:
    """A place along the column in words: ``L4``, ``L4/L5``.

    >>> place_name(0.9), place_name(0.5), place_name(-0.6)
    ('L4', 'L4/L5', 'L5/S1')
    """
    names = ["S1", *(level.value for level in UPWARDS), "T11", "T10"]
    nearest = int(np.clip(round(place), -1, len(names) - 2))
    if abs(place - nearest) <= 0.25 or not -1 <= place <= len(names) - 2:
        return names[nearest + 1]
    lower = int(np.floor(place))
    return f"{names[lower + 2]}/{names[lower + 1]}"


def disc_share(thickness_mm: list[float | None]) -> float | None:
    """The lowest disc's thickness by the median of the others."""
    others = [value for value in thickness_mm[1:] if value is not None]
    if not thickness_mm or thickness_mm[0] is None or len(others) < 2:
        return None
    return thickness_mm[0] / float(np.median(others))
