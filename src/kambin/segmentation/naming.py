"""From a network's classes, which know neither level nor side, to named structures: told by anatomy, with what stayed doubtful."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import NoSpineError
from kambin.geometry import FloatArray
from kambin.segmentation.arches import OF_SACRUM, arch_owners
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.clean import (
    TOLD_MM3,
    beside,
    in_turn,
    large_and_near,
    large_pieces,
    near_the_largest,
    with_holes_filled,
    with_trunk_closed,
)
from kambin.segmentation.column_line import ColumnLine, line_through, main_column
from kambin.segmentation.column_order import Body, Column, divided_column
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
from kambin.segmentation.places import BoolArray, IntArray, Places, places_of
from kambin.segmentation.roots import root_owners
from kambin.segmentation.sacral import Belongs, LowerEnd, lower_end, sacral_rims
from kambin.segmentation.sides import right_branch, right_of
from kambin.volume import Grid, Segmentation

_LEAST_BODY_MM3, _LEAST_SACRUM_MM3 = 3000.0, 10_000.0
"""Less of a body or sacrum than this is no spine: half a body of a small child, and a corner of a sacrum."""
_APART_MM = 8.0
_BESIDE_MM = 65.0
"""So near to the column's middle come psoas, aorta and vena cava at least somewhere; what was taken for them in the belly wall does not."""
_RIM_MM = 5.0
"""Of T12, from which the psoas may still begin."""
_BROKEN_MM = 8.0
"""So far apart may the parts of a bone or muscle be that was found broken."""
_UNSURE = 0.5
_SACRAL_DISC_SHARE = 0.2
"""Of the other discs' size; in ordinary sacra up to 0.17 was found, mostly nothing."""

_BRANCHES = ((Kind.ILIAC_ARTERY, Kind.AORTA), (Kind.ILIAC_VEIN, Kind.VENA_CAVA))


@dataclass(frozen=True, eq=False)
class _Work:
    """What is being named: the voxels of each kind, the labels made so far, the doubts found so far."""

    grid: Grid
    places: dict[Kind, Places]
    labels: npt.NDArray[np.uint16]
    numbers: dict[Structure, int]
    left_out: int
    doubts: list[str] = field(default_factory=list)

    def of(self, kind: Kind) -> Places:
        nothing = np.zeros((0, 3), dtype=np.int64)
        return self.places.get(kind, Places(self.grid, nothing, nothing[:, 0]))

    def name(self, places: Places, chosen: BoolArray, structure: Structure) -> None:
        self.labels[tuple(places.voxels[chosen].T)] = self.numbers[structure]


@dataclass(frozen=True, eq=False)
class _Count:
    """The vertebrae found, and the level of each."""

    vertebrae: tuple[Body, ...]
    levels: tuple[Level | None, ...]
    lowest: int
    has_sacrum: bool
    missing: int
    counted_from: str


def named(
    class_map: npt.NDArray[np.uint8], grid: Grid, classes: ClassSet, confidence: npt.NDArray[np.uint8] | None = None
) -> Segmentation:
    """Name what a network has found.

    Classes that come with their level and side keep them. Vertebrae are told apart along the column and counted upwards from the sacrum,
    arches and nerve roots go to their vertebra, sides are told from the midline of the column. What is astray is left out.

    Parameters
    ----------
    class_map
        Class of each voxel, in canonical order, of `grid`'s shape.
    grid
        Where the voxels are.
    classes
        What the classes stand for.
    confidence
        How sure the network is of each voxel's class, 0 to 255; only told from.

    Returns
    -------
    Segmentation
        In the numbers of scheme ``kambin``; `doubts` says what was guessed, left out or seems odd.

    Raises
    ------
    NoSpineError
        When there is too little of vertebral bodies and sacrum to be a spine.
    ValueError
        When shapes disagree, or the map holds a class that there is not.
    """
    if class_map.shape != grid.shape or (confidence is not None and confidence.shape != grid.shape):
        raise ValueError(f"expected a class map (and confidence) of the grid's shape {grid.shape}, found {class_map.shape}")
    if int(class_map.max(initial=0)) >= len(classes):
        raise ValueError(f"expected classes 0 to {len(classes) - 1}, found {int(class_map.max())}")
    work = _begun(class_map, grid, classes)
    provenance: dict[str, Any] = {"scheme": "kambin", "naming": "anatomy"}
    if any(kind in work.places for kind in (Kind.BODY, Kind.SACRUM)):
        provenance |= _name_by_anatomy(work)
    table = {number: structure for structure, number in work.numbers.items()}
    labels = work.labels
    if confidence is not None:
        work.doubts.extend(_unsure(labels, table, confidence))
    present = set(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    return Segmentation(grid, labels, {n: s for n, s in table.items() if n in present}, tuple(work.doubts), provenance)


def _begun(class_map: npt.NDArray[np.uint8], grid: Grid, classes: ClassSet) -> _Work:
    """Classes that are names already are named; of the others the voxels are gathered."""
    numbers = {s: n for n, s in builtin_scheme("kambin").table.items() if s is not None}
    trunk = numbers[Structure(Kind.TRUNK)] if Structure(Kind.TRUNK) in classes.structures else 0
    boxes = find_objects(class_map, max_label=len(classes) - 1)
    lookup = np.zeros(len(classes), dtype=np.uint16)
    places: dict[Kind, Places] = {}
    for index, structure in enumerate(classes.structures, start=1):
        if _is_open(structure):
            lookup[index] = trunk
            places[structure.kind] = places_of(class_map, index, boxes[index - 1], grid)
        else:
            lookup[index] = numbers[structure]
    labels = lookup[class_map]
    if trunk:
        with_trunk_closed(labels, trunk)
    return _Work(grid, places, labels, numbers, trunk)


def _is_open(structure: Structure) -> bool:
    """Whether anatomy has to tell more of a class: its level or side, or which of its pieces are of the column."""
    unlevelled = structure.kind.is_levelled and structure.level is None
    unsided = structure.kind.is_sided and structure.side is None
    return unlevelled or unsided or structure.kind in (Kind.SACRUM, Kind.DURAL_SAC, Kind.AORTA, Kind.VENA_CAVA)


def _name_by_anatomy(work: _Work) -> dict[str, Any]:
    bodies, discs, sacrum = work.of(Kind.BODY), work.of(Kind.DISC), work.of(Kind.SACRUM)
    sacrum = _kept(work, Kind.SACRUM, near_the_largest(sacrum, 0.03, 25.0))
    if bodies.volume_mm3 < _LEAST_BODY_MM3 and sacrum.volume_mm3 < _LEAST_SACRUM_MM3:
        raise NoSpineError(
            "scan",
            f"expected vertebral bodies or a sacrum, found {bodies.volume_mm3 / 1000:.1f} cm³ of bodies "
            f"and {sacrum.volume_mm3 / 1000:.1f} cm³ of sacrum",
            hint="Is a lumbar spine in view?",
        )
    work.name(sacrum, np.ones(len(sacrum), dtype=bool), Structure(Kind.SACRUM))
    behind = work.of(Kind.DURAL_SAC) if len(work.of(Kind.DURAL_SAC)) else work.of(Kind.ARCH)
    spine = np.concatenate([bodies.mm, discs.mm])
    facts: dict[str, Any] = {}
    if bodies.volume_mm3 < _LEAST_BODY_MM3:
        work.doubts.append("No vertebra is in view above the sacrum: no level could be named.")
        line = line_through(sacrum.mm, behind.mm)
    else:
        line = line_through(spine[main_column(spine)], behind.mm)
        facts = _name_column(work, line, bodies, discs, sacrum)
    _name_sides(work, line, sacrum)
    _name_sac_and_vessels(work, line)
    _close(work)
    return facts


def _kept(work: _Work, kind: Kind, chosen: BoolArray) -> Places:
    """The chosen voxels of a kind; much that is left out is said."""
    places = work.of(kind)
    lost = places.volume_mm3 * float(1.0 - chosen.mean()) if len(places) else 0.0
    if lost > TOLD_MM3:
        word = kind.value.replace("_", " ")
        work.doubts.append(f"{lost / 1000:.0f} cm³ found as {word}, apart from the rest of it, were left out.")
    return places.some(chosen)


def _name_column(work: _Work, line: ColumnLine, bodies: Places, discs: Places, sacrum: Places) -> dict[str, Any]:
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
    _tell_sacral_disc(work)
    _name_roots(work, column, count)
    _tell_left_out(work, column, count, arch_owner, int(np.count_nonzero(rims)))
    work.doubts.extend([*column.notes, *end.notes])
    levels = [str(level) for level in count.levels if level is not None]
    return {"levels": levels, "counted_from": count.counted_from}


def _counted(work: _Work, column: Column, end: LowerEnd, discs: Places) -> _Count:
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
        objection = against(marks, lowest, disc_share(_thicknesses(column, vertebrae, discs)), len(vertebrae))
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


def _name_owned(work: _Work, kind: Kind, owner: IntArray, level_of: dict[int, Level | None]) -> None:
    for number, level in level_of.items():
        if level is not None:
            work.name(work.of(kind), owner == number, Structure(kind, level))


def _name_discs(work: _Work, column: Column, count: _Count) -> None:
    """Each disc by the vertebra above it; under the lowest vertebra there may be that of the sacrum's first segments too."""
    discs = work.of(Kind.DISC)
    middles = [body.middle_mm for body in count.vertebrae]
    under_lowest = [gap.along_mm for gap in column.gaps if gap.along_mm < middles[0]]
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
        if above == 0 and under_lowest[-1] - gap.along_mm > 0.5 * column.height_mm:
            level = Level.S1 if count.has_sacrum else None
        if level is not None:
            work.name(discs, column.disc_owner == gap.disc, Structure(Kind.DISC, level))


def _tell_sacral_disc(work: _Work) -> None:
    """A remnant between the first segments of the sacrum is thin; a disc there makes the first one a vertebra."""
    sizes = {level: int(np.count_nonzero(work.labels == work.numbers[Structure(Kind.DISC, level)])) for level in (*UPWARDS, Level.S1)}
    sacral = sizes.pop(Level.S1)
    others = [size for size in sizes.values() if size]
    share = sacral / float(np.median(others)) if others else 0.0
    if share > _SACRAL_DISC_SHARE:
        work.doubts.append(
            f"Below what was taken for the first segment of the sacrum there is a disc, {100 * share:.0f} % as large as the others: "
            "that segment may be a sixth lumbar vertebra (L6, a lumbarised S1). Agree on the level names before use."
        )


def _name_roots(work: _Work, column: Column, count: _Count) -> None:
    roots = work.of(Kind.NERVE_ROOT)

    def place_of(along_mm: FloatArray) -> FloatArray:
        return vertebrae_along(count.vertebrae, count.lowest, column.height_mm, along_mm)

    owner, meaning = root_owners(roots, column.line, place_of)
    for number, (rank, side) in meaning.items():
        level = Level.S1 if rank < 0 else UPWARDS[rank] if rank < len(UPWARDS) else None
        if level is not None:
            work.name(roots, owner == number, Structure(Kind.NERVE_ROOT, level, side))


def _tell_left_out(work: _Work, column: Column, count: _Count, arch_owner: IntArray, rims: int) -> None:
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


def _name_sides(work: _Work, line: ColumnLine, sacrum: Places) -> None:
    """Hip bones by the sacrum's midline, psoas and iliac vessels by the column's."""
    hips = work.of(Kind.HIP)
    if len(hips):
        kept = _kept(work, Kind.HIP, large_and_near(hips, 0.25, _BROKEN_MM))
        if len(sacrum):
            lateral = (kept.mm - sacrum.mm.mean(axis=0)) @ line.right(0.0)
        else:
            lateral = line.local(kept.mm)[:, 0]
        _namein_turn(work, Kind.HIP, kept, right_of(kept, lateral))
    psoas = work.of(Kind.PSOAS)
    if len(psoas):
        whole = partial(large_and_near, share=0.1, within_mm=_BROKEN_MM)
        low_enough = beside(psoas, line.points_mm, _BESIDE_MM) & (line.local(psoas.mm)[:, 2] < _origin_of_psoas(work, line))
        kept = _kept(work, Kind.PSOAS, in_turn(psoas, low_enough, whole))
        _namein_turn(work, Kind.PSOAS, kept, right_of(kept, line.local(kept.mm)[:, 0]))
    for kind, stem in _BRANCHES:
        vessel = work.of(kind)
        if len(vessel):
            kept = _kept(work, kind, large_pieces(vessel, 0.05))
            local = line.local(kept.mm)
            _namein_turn(work, kind, kept, right_branch(kept, local[:, 0], local[:, 2], work.of(stem)))


def _origin_of_psoas(work: _Work, line: ColumnLine) -> float:
    """Place along the line above which there is no psoas: it takes its highest origin from the lower rim of T12.

    Beside T12 lie lung, liver and spleen, which a narrow field of view cuts to strips like muscles. Infinity where T12 is not named.
    """
    body = np.argwhere(work.labels == work.numbers[Structure(Kind.BODY, Level.T12)])
    if not len(body):
        return float("inf")
    return float(np.percentile(line.local(work.grid.world(body))[:, 2], 2)) + _RIM_MM


def _namein_turn(work: _Work, kind: Kind, places: Places, right: BoolArray) -> None:
    work.name(places, right, Structure(kind, None, Side.RIGHT))
    work.name(places, ~right, Structure(kind, None, Side.LEFT))


def _name_sac_and_vessels(work: _Work, line: ColumnLine) -> None:
    """The dural sac and the great vessels, and the check of sides that these allow."""
    places = {}
    for kind, share, within in ((Kind.DURAL_SAC, 0.02, 40.0), (Kind.AORTA, 0.05, 60.0), (Kind.VENA_CAVA, 0.05, 60.0)):
        if len(work.of(kind)):
            near = beside(work.of(kind), line.points_mm, _BESIDE_MM)
            chosen = in_turn(work.of(kind), near, partial(near_the_largest, share=share, within_mm=within))
            if not chosen.any():
                continue
            places[kind] = _kept(work, kind, chosen)
            work.name(places[kind], np.ones(len(places[kind]), dtype=bool), Structure(kind))
    if Kind.AORTA in places and Kind.VENA_CAVA in places:
        aorta, cava = line.local(places[Kind.AORTA].mm), line.local(places[Kind.VENA_CAVA].mm)
        low, high = max(aorta[:, 2].min(), cava[:, 2].min()), min(aorta[:, 2].max(), cava[:, 2].max())
        one, other = (v[(v[:, 2] >= low) & (v[:, 2] <= high), 0] for v in (aorta, cava))
        if len(one) and len(other) and np.median(one) - np.median(other) > _APART_MM:
            apart = float(np.median(one) - np.median(other))
            work.doubts.append(
                f"The aorta lies {apart:.0f} mm to the RIGHT of the vena cava: the scan may be mirrored, so that "
                "every left and right would be wrong (or the patient has situs inversus or a left-sided vena cava). Check before use."
            )


def _close(work: _Work) -> None:
    bones = [work.of(kind).voxels for kind in (Kind.BODY, Kind.ARCH, Kind.SACRUM, Kind.DISC) if len(work.of(kind))]
    low = np.min([v.min(axis=0) for v in bones], axis=0)
    high = np.max([v.max(axis=0) for v in bones], axis=0) + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    with_holes_filled(work.labels, (0, work.left_out), work.grid, box)


def _unsure(labels: npt.NDArray[np.uint16], table: dict[int, Structure], confidence: npt.NDArray[np.uint8]) -> Iterable[str]:
    """Structures whose voxels the network is unsure of."""
    counts = np.bincount(labels.ravel())
    sums = np.bincount(labels.ravel(), confidence.ravel())
    words = [
        f"{table[int(n)].label} ({sums[n] / counts[n] / 255:.2f})"
        for n in np.flatnonzero(counts)
        if n and table[int(n)].kind is not Kind.TRUNK and sums[n] < _UNSURE * 255 * counts[n]
    ]
    return [f"Found with little certainty: {', '.join(words)}."] if words else []
