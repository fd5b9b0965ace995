"""From a tool's numbers to the names of structures, in numbers of Kambin's own that are the same for every tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.schemes import Scheme, builtin_scheme, plain
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.io.raw import RawVolume, as_label_ids
from kambin.volume.grid import Grid

Labels = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class NamedVolume:
    """A label map in Kambin's numbers (see `number_of`), canonical order.

    Parameters
    ----------
    source, grid, doubts, provenance
        As in `RawVolume`.
    labels
        Shape of `grid`; keys of `structures_by_number`.
    """

    source: Path
    grid: Grid
    labels: Labels
    doubts: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@cache
def structures_by_number() -> Mapping[int, Structure]:
    """Every structure's number inside Kambin: the built-in scheme ``kambin``, and from 256 on those whose level or side is open."""
    table = {number: structure for number, structure in builtin_scheme("kambin").table.items() if structure is not None}
    known = set(table.values())
    number = 256
    for kind in Kind:
        for level in (None, *Level) if kind.is_levelled else (None,):
            for side in (None, *Side) if kind.is_sided else (None,):
                structure = Structure(kind, level, side)
                if structure not in known:
                    table[number] = structure
                    number += 1
    return table


@cache
def _numbers_by_structure() -> Mapping[Structure, int]:
    return {structure: number for number, structure in structures_by_number().items()}


def number_of(structure: Structure) -> int:
    """Kambin's own number for a structure."""
    return _numbers_by_structure()[structure]


def are_open(labels: Labels) -> npt.NDArray[np.bool_]:
    """Where an array of Kambin's numbers holds a structure whose level or side is open."""
    numbers = [
        number
        for number, s in structures_by_number().items()
        if (s.kind.is_levelled and s.level is None) or (s.kind.is_sided and s.side is None)
    ]
    return np.isin(labels, numbers)


def table_of(labels: Labels) -> dict[int, Structure]:
    """The structures whose numbers occur in an array of Kambin's numbers."""
    present = np.flatnonzero(np.bincount(labels.ravel())).tolist()
    return {number: structures_by_number()[number] for number in present if number != 0}


def named(raw: RawVolume, scheme: Scheme, table: Mapping[int, Structure | None] | None = None) -> NamedVolume:
    """A label map read by its scheme.

    Parameters
    ----------
    raw
        In canonical order.
    scheme
        The user's word for what wrote the map.
    table
        Replaces the scheme's table where levels were counted (see `kambin.io.levels`).

    Raises
    ------
    InputError
        When values look like a scan, are not in the scheme (which, how many voxels), or names in the file contradict the scheme.
    """
    ids = as_label_ids(raw.source, raw.array)
    counts = np.bincount(ids.ravel())
    present = [label for label in np.flatnonzero(counts).tolist() if label != 0]
    check_names(raw, scheme, present)
    table = scheme.table if table is None else table
    refuse_unknown(raw.source, scheme, {label: int(counts[label]) for label in present if label not in table})
    lookup = np.zeros(counts.size, dtype=np.uint16)
    unused: dict[str, int] = {}
    for label in present:
        structure = table.get(label)
        if structure is None:
            unused[scheme.name_of(label)] = int(counts[label])
        else:
            lookup[label] = number_of(structure)
    provenance = {**raw.provenance, "scheme": scheme.name, "not_used_voxels": unused}
    return NamedVolume(raw.source, raw.grid, lookup[ids], raw.doubts, provenance)


def refuse_unknown(source: Path, scheme: Scheme, unknown: Mapping[int, int]) -> None:
    """Refuse numbers that the scheme does not have.

    Raises
    ------
    InputError
        With each number and its count of voxels (the first twenty).
    """
    if not unknown or scheme.ignores_unlisted:
        return
    told = [f"{label} ({count} voxel{'' if count == 1 else 's'})" for label, count in sorted(unknown.items())]
    more = f" and {len(told) - 20} more" if len(told) > 20 else ""
    raise InputError(
        source,
        f"expected the labels of the scheme {scheme.name}, found also {', '.join(told[:20])}{more}",
        hint="Is it another tool's map? `kambin schemes` lists the schemes; a scheme of your own may name or ignore these labels.",
    )


def check_names(raw: RawVolume, scheme: Scheme, present: list[int]) -> None:
    """Check the names that a file carries against the scheme that the user named.

    Raises
    ------
    InputError
        When the file calls a label that occurs in it something else than the scheme does.
    """
    contradictions = []
    for label in present:
        told, expected = raw.names.get(label), scheme.names.get(label)
        if told is not None and expected is not None and plain(told) != plain(expected):
            contradictions.append(f"{label} is {told!r} in the file and {expected!r} in the scheme {scheme.name}")
    if contradictions:
        more = f", and {len(contradictions) - 5} more" if len(contradictions) > 5 else ""
        raise InputError(
            raw.source,
            "the label names in the file contradict the scheme: " + ", ".join(contradictions[:5]) + more,
            hint="Name the scheme of the tool that wrote the file.",
        )
