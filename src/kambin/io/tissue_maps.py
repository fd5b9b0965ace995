"""Maps of a digital patient's tissues on disk: ``tissues.nii.gz`` with a number a voxel, ``tissues.csv`` with what each stands for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.io.nifti_writer import write_nifti
from kambin.io.read import read_scan
from kambin.phantom.tissue_map import MappedTissue
from kambin.volume import Grid, Scan

IDS, TABLE = "tissues.nii.gz", "tissues.csv"
_COLUMNS = ("id", *(field.name for field in fields(MappedTissue)))
_WORDS = ("mixture", "structure")


def write_tissue_map(folder: Path, grid: Grid, ids: npt.NDArray[np.uint16], rows: Sequence[MappedTissue]) -> None:
    """Write both files."""
    write_nifti(Scan(grid, ids, None), folder / IDS)
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(rows, 1):
            mixture = " + ".join(f"{share!r} {name}" for name, share in row.mixture)
            structure = "" if row.structure is None else row.structure.key
            writer.writerow({"id": number, **asdict(row), "mixture": mixture, "structure": structure})


def read_tissue_map(folder: str | Path) -> tuple[Grid, npt.NDArray[np.uint16], tuple[MappedTissue, ...]]:
    """The map in a folder, in canonical order.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the two do not belong together.
    """
    root = Path(folder)
    if not (root / TABLE).is_file():
        hint = "`kambin phantom --tissues` makes such folders."
        raise InputError(root, f"expected a folder with {IDS} and {TABLE}, found no {TABLE}", hint=hint)
    rows = _read_rows(root / TABLE)
    scan = read_scan(root / IDS)
    highest = int(scan.values.max())
    if highest > len(rows) or int(scan.values.min()) < 0:
        raise InputError(root, f"expected numbers from 0 to {len(rows)} in {IDS}, which {TABLE} lists, found up to {highest}")
    return scan.grid, scan.values.astype(np.uint16), rows


def _read_rows(path: Path) -> tuple[MappedTissue, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise InputError(path, f"expected the columns {', '.join(_COLUMNS)}, found {', '.join(reader.fieldnames or ())}")
        return tuple(_row(path, number, row) for number, row in enumerate(reader, 1))


def _row(path: Path, number: int, row: dict[str, str]) -> MappedTissue:
    try:
        if int(row["id"]) != number:
            raise ValueError(f"expected id {number}")
        numbers = {name: float(row[name]) for name in _COLUMNS[1:] if name not in _WORDS}
        structure = Structure.from_key(row["structure"]) if row["structure"] else None
        parts = [part.split(" ", 1) for part in row["mixture"].split(" + ")]
        return MappedTissue(mixture=tuple((name, float(share)) for share, name in parts), structure=structure, **numbers)
    except (ValueError, TypeError) as problem:
        raise InputError(path, f"line {number + 1}: {problem}") from None
