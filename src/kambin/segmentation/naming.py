"""From a network's classes, which know neither level nor side, to named structures: told by anatomy, with what stayed doubtful."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Kind, Structure
from kambin.errors import NoSpineError
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.clean import near_the_largest, with_holes_filled, with_trunk_closed
from kambin.segmentation.column_line import line_through, main_column
from kambin.segmentation.naming_beside import name_sac_and_vessels, name_sides
from kambin.segmentation.naming_column import name_column
from kambin.segmentation.naming_work import Work
from kambin.segmentation.places import Places, places_of
from kambin.volume import Grid, Segmentation

_LEAST_BODY_MM3, _LEAST_SACRUM_MM3 = 3000.0, 10_000.0
"""Less of a body or sacrum than this is no spine: half a body of a small child, and a corner of a sacrum."""
_UNSURE = 0.5


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


def _begun(class_map: npt.NDArray[np.uint8], grid: Grid, classes: ClassSet) -> Work:
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
    return Work(grid, places, labels, numbers, trunk)


def _is_open(structure: Structure) -> bool:
    """Whether anatomy has to tell more of a class: its level or side, or which of its pieces are of the column."""
    unlevelled = structure.kind.is_levelled and structure.level is None
    unsided = structure.kind.is_sided and structure.side is None
    return unlevelled or unsided or structure.kind in (Kind.SACRUM, Kind.DURAL_SAC, Kind.AORTA, Kind.VENA_CAVA)


def _name_by_anatomy(work: Work) -> dict[str, Any]:
    bodies, discs, sacrum = work.of(Kind.BODY), work.of(Kind.DISC), work.of(Kind.SACRUM)
    sacrum = work.kept(Kind.SACRUM, near_the_largest(sacrum, 0.03, 25.0))
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
        facts = name_column(work, line, bodies, discs, sacrum)
    name_sides(work, line, sacrum)
    name_sac_and_vessels(work, line)
    _close(work)
    return facts


def _close(work: Work) -> None:
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
