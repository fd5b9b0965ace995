"""Names along the column: vertebrae, discs and roots by their levels, and what makes the count doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kambin.anatomy.structures import Kind, Level, Structure
from kambin.geometry import FloatArray
from kambin.segmentation.arches import OF_SACRUM, arch_owners
from kambin.segmentation.clean import TOLD_MM3
from kambin.segmentation.column_line import ColumnLine
from kambin.segmentation.column_order import Body, Column, Gap, divided_column
from kambin.segmentation.level_count import (
    UPWARDS,
    against,
    are_uneven,
    crest_places,
    disc_share,
    guessed_from,
    landmarks,
    steps,
    vertebrae_along,
)
from kambin.segmentation.naming_work import Work
from kambin.segmentation.places import IntArray, Places
from kambin.segmentation.roots import root_owners
from kambin.segmentation.sacral import Belongs, LowerEnd, lower_end, sacral_rims


@dataclass(frozen=True, eq=False)
class _Count:
    """The vertebrae found, and the level of each."""

    vertebrae: tuple[Body, ...]
    levels: tuple[Level | None, ...]
    lowest: int
    has_sacrum: bool
    missing: int
    counted_from: str


def name_column(work: Work, line: ColumnLine, bodies: Places, discs: Places, sacrum: Places) -> dict[str, Any]:
    """Vertebrae with their arches, discs and roots, counted from the sacrum or guessed; which levels there are, and from what."""
    column = divided_column(bodies, discs, line)
    if not column.bodies:
        work.doubts.append("What was found of vertebral bodies is too scattered to tell vertebrae apart: no level could be named.")
        return {}
    end = lower_end(column, bodies, sacrum)
    count = _counted(work, column, end, discs)
    for body, belongs in zip(column.bodies, end.belongs, strict=True):
        if belongs is Belongs.SACRUM:
            work.name(bodies, column.owner == body.number, Structure(Kind.SACRUM))
    rims = sacral_rims(column, bodies, sacrum)
    work.name(bodies, rims, Structure(Kind.SACRUM))
    level_of = dict(zip((body.number for body in count.vertebrae), count.levels, strict=True))
    _name_owned(work, Kind.BODY, column.owner, level_of)
    arch_owner = arch_owners(work.of(Kind.ARCH), bodies, column)
    _name_owned(work, Kind.ARCH, arch_owner, level_of)
    sacral = [body.number for body, belongs in zip(column.bodies, end.belongs, strict=True) if belongs is Belongs.SACRUM]
    if end.has_sacrum:
        work.name(work.of(Kind.ARCH), np.isin(arch_owner, [OF_SACRUM, *sacral]), Structure(Kind.SACRUM))
    _name_discs(work, column, count)
    _name_roots(work, column, count)
    _tell_left_out(work, column, count, arch_owner, int(np.count_nonzero(rims)))
    work.doubts.extend([*column.notes, *end.notes])
    levels = [str(level) for level in count.levels if level is not None]
    return {"levels": levels, "counted_from": count.counted_from}


def _counted(work: Work, column: Column, end: LowerEnd, discs: Places) -> _Count:
    """The level of every vertebra, and the doubts about the count."""
    vertebrae = tuple(b for b, belongs in zip(column.bodies, end.belongs, strict=True) if belongs is Belongs.VERTEBRA)
    arteries = work.of(Kind.ILIAC_ARTERY)
    marks = landmarks(column, vertebrae, work.of(Kind.HIP), work.of(Kind.AORTA), arteries, work.of(Kind.PSOAS))
    if are_uneven(crest_places(column, vertebrae, work.of(Kind.HIP))):
        work.doubts.append("The iliac crests were found at different heights and were not used to check the levels: look at the hip bones.")
    lowest, source = end.missing, "sacrum"
    if end.has_sacrum:
        if end.missing:
            work.doubts.append(
                f"Between the sacrum and the lowest vertebra found there is room for {end.missing} more: the levels leave "
                f"{' and '.join(str(level) for level in UPWARDS[: end.missing])} out. Check the level names."
            )
        thinness = disc_share(_thicknesses(column, vertebrae, discs))
        objection = against(marks, lowest, thinness, len(vertebrae), _sacral_share(column, vertebrae))
        if objection:
            work.doubts.append(objection)
    else:
        lowest, doubt = guessed_from(marks, vertebrae)
        work.doubts.append(doubt)
        source = "a guess"
    numbers = [lowest + step for step in steps(vertebrae, column.height_mm)]
    levels = tuple(UPWARDS[n] if 0 <= n < len(UPWARDS) else None for n in numbers)
    for low, high in pairwise(numbers):
        if high - low > 1 and low + 1 < len(UPWARDS):
            work.doubts.append(f"No vertebra was found directly above {UPWARDS[max(low, 0)]}, where there is room for one.")
    return _Count(vertebrae, levels, lowest, end.has_sacrum, end.missing, source)


def _thicknesses(column: Column, vertebrae: tuple[Body, ...], discs: Places) -> list[float | None]:
    """Mean thickness of the disc under each vertebra, lowest first: its volume by the area that it covers."""
    result: list[float | None] = []
    for k, body in enumerate(vertebrae):
        floor = vertebrae[k - 1].middle_mm if k else body.middle_mm - 1.4 * column.height_mm
        under = [gap for gap in column.gaps if floor < gap.along_mm < body.middle_mm and gap.disc is not None]
        if not under:
            result.append(None)
            continue
        points = discs.mm[column.disc_owner == under[-1].disc]
        offset = points - under[-1].centre_mm
        right = column.line.right(under[-1].along_mm)
        front = np.cross(under[-1].normal, right)
        cells = {(int(a), int(b)) for a, b in zip((offset @ right) // 4.0, (offset @ front) // 4.0, strict=True)}
        result.append(len(points) * discs.grid.voxel_volume_mm3 / (16.0 * len(cells)))
    return result


def _name_owned(work: Work, kind: Kind, owner: IntArray, level_of: dict[int, Level | None]) -> None:
    for number, level in level_of.items():
        if level is not None:
            work.name(work.of(kind), owner == number, Structure(kind, level))


def _name_discs(work: Work, column: Column, count: _Count) -> None:
    """Each disc by the vertebra above it; under the lowest vertebra there may be that of the sacrum's first segments too."""
    discs = work.of(Kind.DISC)
    middles = [body.middle_mm for body in count.vertebrae]
    sacral = {gap.along_mm for gap in _within_sacrum(column, count.vertebrae)}
    for gap in column.gaps:
        if gap.disc is None:
            continue
        above = int(np.searchsorted(middles, gap.along_mm))
        place = float(vertebrae_along(count.vertebrae, count.lowest, column.height_mm, np.array([gap.along_mm]))[0])
        level: Level | None
        if above < len(middles):
            # Where a vertebra between was not found, its disc is there all the same.
            number = int(np.round(place + 0.5))
            level = UPWARDS[number] if above > 0 and 0 <= number < len(UPWARDS) else count.levels[above]
        else:
            last = count.levels[-1]
            level = None if last is None or last is UPWARDS[-1] else UPWARDS[UPWARDS.index(last) + 1]
            if gap.along_mm > middles[-1] + 1.2 * column.height_mm:
                level = None
        if gap.along_mm in sacral:
            level = Level.S1 if count.has_sacrum else None
        if level is not None:
            work.name(discs, column.disc_owner == gap.disc, Structure(Kind.DISC, level))


def _within_sacrum(column: Column, vertebrae: tuple[Body, ...]) -> list[Gap]:
    """Gaps too far below the lowest vertebra to hold its disc: those between segments of the sacrum."""
    below = [gap for gap in column.gaps if gap.along_mm < vertebrae[0].middle_mm]
    return [gap for gap in below if below[-1].along_mm - gap.along_mm > 0.5 * column.height_mm]


def _sacral_share(column: Column, vertebrae: tuple[Body, ...]) -> float:
    """Size of the discs within the sacrum by that of the others: a remnant there is thin, and a disc makes its first segment a vertebra."""
    sacral = {gap.disc for gap in _within_sacrum(column, vertebrae)}
    sizes = {gap.disc: np.count_nonzero(column.disc_owner == gap.disc) for gap in column.gaps if gap.disc is not None}
    others = [size for disc, size in sizes.items() if disc not in sacral]
    return sum(size for disc, size in sizes.items() if disc in sacral) / float(np.median(others)) if others else 0.0


def _name_roots(work: Work, column: Column, count: _Count) -> None:
    roots = work.of(Kind.NERVE_ROOT)

    def place_of(along_mm: FloatArray) -> FloatArray:
        return vertebrae_along(count.vertebrae, count.lowest, column.height_mm, along_mm)

    owner, meaning = root_owners(roots, column.line, place_of)
    for number, (rank, side) in meaning.items():
        level = Level.S1 if rank < 0 else UPWARDS[rank] if rank < len(UPWARDS) else None
        if level is not None:
            work.name(roots, owner == number, Structure(Kind.NERVE_ROOT, level, side))


def _tell_left_out(work: Work, column: Column, count: _Count, arch_owner: IntArray, rims: int) -> None:
    higher = sum(level is None for level in count.levels)
    if higher:
        few = f"{higher} vertebra{'e' * (higher > 1)}"
        below = count.lowest < 0
        work.doubts.append(f"{few} {'outside the levels named' if below else 'above T12'} were found and left out.")
    voxel = work.grid.voxel_volume_mm3
    for kind, owner in ((Kind.BODY, column.owner), (Kind.ARCH, arch_owner), (Kind.DISC, column.disc_owner)):
        lost = (np.count_nonzero(owner == -1) - (rims if kind is Kind.BODY else 0)) * voxel
        if lost > TOLD_MM3:
            word = kind.value.replace("_", " ")
            work.doubts.append(f"{lost / 1000:.0f} cm³ found as {word} lie astray from the column and were left out.")
