"""Levels that a label map leaves open: vertebrae counted from the lowest one, and discs that share one label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.schemes import Scheme
from kambin.anatomy.structures import Kind, Level, Structure
from kambin.errors import InputError
from kambin.io.naming import NamedVolume, number_of, table_of
from kambin.volume.grid import Grid

_SAME_DISC = 0.8  # share of a component's voxels that must agree before the whole component takes one level
_NEAR_MM = 15.0  # a vertebra farther than this from a disc's voxels is not next to it


def levels_up_from(lowest: Level) -> tuple[Level, ...]:
    """The levels from `lowest` upwards, as far as Kambin names them. Above S1 comes L5: an L6 must be named as the lowest itself.

    >>> [level.value for level in levels_up_from(Level.L4)]
    ['L4', 'L3', 'L2', 'L1', 'T12']
    """
    order = [level for level in reversed(Level) if level.rank <= lowest.rank]
    return tuple(level for level in order if level is not Level.L6 or lowest is Level.L6)


def counted_from_below(scheme: Scheme, source: Path, lowest: Level | None) -> dict[int, Structure | None]:
    """The table of a scheme whose vertebrae are numbered from the bottom (SPIDER): 1, 2 ... upwards, disc 200 + n below vertebra n.

    Raises
    ------
    InputError
        When the level of the lowest vertebra has not been told.
    """
    if lowest is None:
        raise InputError(
            source,
            f"the scheme {scheme.name} numbers vertebrae from the bottom, and its own description gives two orders: "
            "the level of the lowest vertebra must be told",
            hint="Look at the scan, then add --lowest L5 (or the level it is).",
        )
    up = levels_up_from(lowest)
    table: dict[int, Structure | None] = {}
    for label, structure in scheme.table.items():
        if structure is None or structure.kind not in (Kind.VERTEBRA, Kind.DISC):
            table[label] = structure
            continue
        place = (label - 200 if structure.kind is Kind.DISC else label) - 1
        table[label] = Structure(structure.kind, up[place]) if place < len(up) else None
    return table


def check_lowest(volume: NamedVolume, lowest: Level) -> None:
    """Check the user's word for the lowest vertebra against a map that names its levels itself.

    Raises
    ------
    InputError
        When they differ.
    """
    levels = {s.level for s in table_of(volume.labels).values() if s.kind.is_vertebral and s.level not in (None, Level.S1)}
    found = max((level for level in levels if level is not None), key=lambda level: level.rank, default=None)
    if found is not None and lowest not in (found, Level.S1):
        raise InputError("lowest", f"expected {found}, the lowest vertebra that {volume.source.name} names, found {lowest}")


def with_discs_numbered(volume: NamedVolume) -> NamedVolume:
    """Give the discs of a one-class map their levels, each by the two vertebrae that it lies between.

    Components are judged whole where four fifths of their voxels agree, voxel by voxel where discs have grown together.

    Raises
    ------
    InputError
        When there are discs of one class and no numbered vertebrae to count them by.
    """
    one_class = number_of(Structure(Kind.DISC))
    discs = volume.labels == one_class
    if not discs.any():
        return volume
    neighbours = _numbered_vertebrae(volume)
    if len(neighbours) < 2:
        raise InputError(
            volume.source,
            "its discs share one label, and no numbered vertebrae tell their levels",
            hint=_ADD_VERTEBRAE,
        )
    voxels = np.argwhere(discs)
    chosen = _levels_between(volume.grid, voxels, neighbours)
    chosen = _agreed_by_component(discs, voxels, chosen)
    labels = volume.labels.copy()
    numbers = np.array([0, *(number_of(Structure(Kind.DISC, level)) for level in Level)], dtype=np.uint16)
    labels[tuple(voxels.T)] = numbers[chosen + 1]
    unplaced = int((chosen < 0).sum())
    named = sorted({int(rank) for rank in chosen if rank >= 0})
    told = ", ".join(list(Level)[rank].value for rank in named) or "none"
    doubt = f"the discs share one label in {volume.source.name}; numbered by the vertebrae next to them (below {told})"
    if unplaced:
        doubt += f"; {unplaced} disc voxels next to no pair of named vertebrae were left out"
    return replace(volume, labels=labels, doubts=(*volume.doubts, doubt))


_ADD_VERTEBRAE = (
    "Add a map that numbers the vertebrae; for TotalSegmentator's total_mr: --labels total_mr.nii.gz --labels vertebrae_mr.nii.gz "
    "--scheme totalsegmentator-mr --scheme totalsegmentator-vertebrae-mr."
)


def without_unnumbered_vertebrae(volume: NamedVolume) -> NamedVolume:
    """Leave out vertebrae of one class where others are numbered.

    Raises
    ------
    InputError
        When no vertebra is numbered.
    """
    one_class = number_of(Structure(Kind.VERTEBRA))
    unnumbered = volume.labels == one_class
    if not unnumbered.any():
        return volume
    if not any(s.kind.is_vertebral and s.level is not None for s in table_of(volume.labels).values()):
        raise InputError(volume.source, "all its vertebrae share one label, so their levels are unknown", hint=_ADD_VERTEBRAE)
    provenance = {**volume.provenance, "unnumbered_vertebra_voxels": int(unnumbered.sum())}
    return replace(volume, labels=np.where(unnumbered, np.uint16(0), volume.labels), provenance=provenance)


def _numbered_vertebrae(volume: NamedVolume) -> dict[int, npt.NDArray[np.float64]]:
    """Places (mm) of the voxels of each numbered vertebra by rank; the sacrum stands for S1 where S1 has no label of its own."""
    table = table_of(volume.labels)
    numbers: dict[int, list[int]] = {}
    for number, structure in table.items():
        if structure.kind.is_vertebral and structure.level is not None:
            numbers.setdefault(structure.level.rank, []).append(number)
    if Level.S1.rank not in numbers:
        sacrum = [number for number, structure in table.items() if structure.kind is Kind.SACRUM]
        if sacrum:
            numbers[Level.S1.rank] = sacrum
    return {
        rank: volume.grid.world(np.argwhere(np.isin(volume.labels, wanted)).astype(np.float64)) for rank, wanted in numbers.items()
    }


def _levels_between(
    grid: Grid, voxels: npt.NDArray[np.int64], vertebrae: Mapping[int, npt.NDArray[np.float64]]
) -> npt.NDArray[np.int64]:
    """Rank of the vertebra above each disc voxel: its two nearest vertebrae, where they follow one another; -1 elsewhere."""
    from scipy.spatial import cKDTree

    places = grid.world(voxels)
    ranks = sorted(vertebrae)
    distances_mm = np.stack([cKDTree(vertebrae[rank]).query(places)[0] for rank in ranks])
    order = np.argsort(distances_mm, axis=0)[:2]
    pair = np.sort(order, axis=0)
    next_to = (pair[1] == pair[0] + 1) & (np.take_along_axis(distances_mm, order, axis=0).max(axis=0) <= _NEAR_MM)
    follows = np.array([_follow(ranks[i], ranks[i + 1]) for i in range(len(ranks) - 1)], dtype=bool)
    upper = np.asarray(ranks)[pair[0]]
    return np.where(next_to & follows[np.minimum(pair[0], len(ranks) - 2)], upper, -1)


def _follow(upper: int, lower: int) -> bool:
    """Whether one rank may lie directly above the other: the next one, or L5 above S1 where there is no L6."""
    return lower == upper + 1 or (upper, lower) == (Level.L5.rank, Level.S1.rank)


def _agreed_by_component(
    discs: npt.NDArray[np.bool_], voxels: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    import cc3d

    components: npt.NDArray[Any] = np.asarray(cc3d.connected_components(discs, connectivity=6))[tuple(voxels.T)]
    result = chosen.copy()
    for component in np.unique(components):
        inside = components == component
        votes = chosen[inside]
        values, counts = np.unique(votes[votes >= 0], return_counts=True)
        if counts.size and counts.max() >= _SAME_DISC * counts.sum():
            result[inside] = values[counts.argmax()]
    return result
