"""Measured against truth on random digital patients: bias, limits of agreement, and what was not measurable.

    python studies/phantom_measures.py OUT.csv --patients 30 --spacing 0.8

Each patient is drawn, labelled, rebuilt and measured as a user's would be; its truth comes from the exact shapes. Rows are appended patient
by patient, and a patient that is in the file already is not done again, so the study can be stopped and resumed.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import kambin
from kambin.anatomy import Level
from kambin.anatomy.schemes import builtin_scheme
from kambin.io.model_file import load_model, save_model
from kambin.phantom import build_patient, sample
from kambin.phantom.truth import truth_json
from kambin.spine import SpineModel
from kambin.volume import Grid, Segmentation

T = TypeVar("T")

COLUMNS = ("seed", "labels", "symbol", "level", "side", "unit", "truth", "bound", "measured", "reason")
_BOX_MM = ((-105.0, -95.0, -150.0), (105.0, 75.0, 118.0))


def model_of(seed: int, spacing_mm: float, parts: bool) -> SpineModel:
    """One patient, drawn, labelled and rebuilt as a user's would be."""
    patient = build_patient(sample(seed))
    low, high = (np.asarray(corner) for corner in _BOX_MM)
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing_mm))
    grid = Grid.axis_aligned(shape, spacing_mm, low)
    scheme = builtin_scheme("kambin").table
    numbers = {structure: number for number, structure in scheme.items() if structure is not None}
    labels = patient.labels(grid, numbers, parts=parts)
    present = set(np.unique(labels).tolist()) - {0}
    return kambin.reconstruct(Segmentation(grid, labels, {n: s for n, s in scheme.items() if n in present and s is not None}))


def truth_of(seed: int) -> list[dict[str, Any]]:
    """One patient's true values, as rows of its truth.json."""
    rows: list[dict[str, Any]] = json.loads(truth_json(build_patient(sample(seed))))["rows"]
    return rows


def kept(path: Path | None, make: Callable[[], T], read: Callable[[Path], T], write: Callable[[T, Path], None]) -> T:
    """A value from its file, or made now and written there; only made where there is no folder to keep it in."""
    if path is not None and path.exists():
        return read(path)
    value = make()
    if path is not None:
        part = path.with_name("part-" + path.name)
        write(value, part)
        part.replace(path)
    return value


def study(seed: int, spacing_mm: float, parts: bool, keep: Path | None = None) -> list[dict[str, object]]:
    """One patient's rows. Under `keep`, its true values and its model are kept, and taken from there the next time."""
    labels = "parts" if parts else "whole"
    model = kept(
        None if keep is None else keep / f"{seed}-{labels}-{spacing_mm:g}.npz",
        lambda: model_of(seed, spacing_mm, parts),
        load_model,
        save_model,
    )
    truth = kept(
        None if keep is None else keep / f"{seed}-truth.json",
        lambda: truth_of(seed),
        lambda path: json.loads(path.read_text(encoding="utf-8")),
        lambda rows, path: path.write_text(json.dumps(rows), encoding="utf-8") and None,
    )
    measured = {(r.quantity.symbol, str(r.level), None if r.side is None else r.side.value): r for r in kambin.measure(model).rows}
    result: list[dict[str, object]] = []
    for true in truth:
        row = measured.get((true["symbol"], true["level"], true["side"]))
        if row is None:
            continue
        known = true["value"] is not None
        result.append(
            {
                "seed": seed,
                "labels": labels,
                "symbol": true["symbol"],
                "level": true["level"],
                "side": true["side"] or "",
                "unit": true["unit"],
                "truth": f"{true['value']:.5g}" if known else "",
                "bound": f"{true['bound']:.2g}" if known else "",
                "measured": "" if row.value is None else f"{row.value:.5g}",
                "reason": row.reason or (true["reason"] or ""),
            }
        )
    return result


def append(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Add a patient's rows to a study's file."""
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def done(path: Path) -> set[int]:
    if not path.exists():
        return set()
    with path.open(encoding="utf-8") as file:
        return {int(row["seed"]) for row in csv.DictReader(file)}


def table(path: Path) -> str:
    """Bias and spread of every measure over all levels, sides and patients, as Markdown."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    missed: dict[str, int] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["level"].startswith(Level.T12.value) or not row["truth"] or row["symbol"].startswith("Δ"):
                continue
            if row["measured"]:
                groups.setdefault((row["symbol"], row["unit"]), []).append((float(row["truth"]), float(row["measured"])))
            else:
                missed[row["symbol"]] = missed.get(row["symbol"], 0) + 1
    lines = ["| measure | n | truth, mean ± SD | bias | bias % | 95 % limits | not measured |", "|---|---|---|---|---|---|---|"]
    for (symbol, unit), pairs in sorted(groups.items()):
        truth, value = np.array(pairs).T
        error = value - truth
        mean, spread = error.mean(), error.std(ddof=1) if len(error) > 1 else 0.0
        share = 100 * mean / abs(truth.mean()) if abs(truth.mean()) > 1e-6 else float("nan")
        limits = f"{mean - 1.96 * spread:+.2f} to {mean + 1.96 * spread:+.2f}"
        cells = (f"{symbol} {unit}", len(pairs), f"{truth.mean():.1f} ± {truth.std():.1f}", f"{mean:+.2f}", f"{share:+.1f}", limits)
        lines.append("| " + " | ".join(str(cell) for cell in (*cells, missed.get(symbol, 0))) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--patients", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--spacing", type=float, default=0.8)
    parser.add_argument("--whole", action="store_true", help="label vertebrae whole, not by their parts")
    parser.add_argument("--keep", type=Path, help="a folder for true values and models, so that measuring again is quick")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first_seed, given.first_seed + given.patients):
        if seed in done(given.output):
            continue
        started = time.perf_counter()
        rows = study(seed, given.spacing, not given.whole, given.keep)
        append(given.output, COLUMNS, rows)
        print(f"seed {seed}: {len(rows)} rows, {time.perf_counter() - started:.0f} s", flush=True)
    print(table(given.output))


if __name__ == "__main__":
    main()
