"""What a trained system does on cases that it was not trained on: rows in a CSV, means in JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from kambin.errors import InputError
from kambin.segmentation.overlap import METRICS, Overlap
from kambin.segmentation.systems import System

METRICS_FILE, RESULTS = "metrics.csv", "results.json"


@dataclass(frozen=True)
class TestRow:
    """Agreement of one class in one case that was not trained on, in the scan's own voxels."""

    __test__ = False

    case: str
    key: str
    overlap: Overlap


def summary(system: System, rows: Sequence[TestRow]) -> dict[str, dict[str, tuple[float, float, int]]]:
    """For every class, and ``mean`` of all, and every measure: mean and standard deviation over cases, and how many have it defined."""
    result: dict[str, dict[str, tuple[float, float, int]]] = {}
    by_case: dict[str, list[Overlap]] = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row.overlap)
    for metric in METRICS:
        for key in system.classes.keys[1:]:
            result.setdefault(key, {})[metric] = _statistics([getattr(row.overlap, metric) for row in rows if row.key == key])
        means = [mean_of([getattr(one, metric) for one in overlaps]) for overlaps in by_case.values()]
        result.setdefault("mean", {})[metric] = _statistics(means)
    return result


def read_rows(path: Path) -> tuple[TestRow, ...]:
    """The rows of a ``metrics.csv``.

    Raises
    ------
    InputError
        When it is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.DictReader(stream))
        return tuple(TestRow(row["case"], row["class"], _read_overlap(row)) for row in table)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(path, f"expected the metrics of a training, found something else ({error})") from error


def _read_overlap(row: Mapping[str, str]) -> Overlap:
    values = {metric: float(row[metric] or "nan") for metric in METRICS}
    return Overlap(**values, true_voxels=int(row["true_voxels"]), found_voxels=int(row["found_voxels"]))


def metrics_text(system: System, rows: Sequence[TestRow]) -> str:
    """``metrics.csv``: one row a case and class; empty where a measure is undefined."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["case", "class", "structure", *METRICS, "true_voxels", "found_voxels"])
    words = dict(zip(system.classes.keys[1:], system.words, strict=True))
    for row in rows:
        values = [getattr(row.overlap, metric) for metric in METRICS]
        shown = ["" if value != value else f"{value:.6f}" for value in values]
        writer.writerow([row.case, row.key, words[row.key], *shown, row.overlap.true_voxels, row.overlap.found_voxels])
    return stream.getvalue()


def results_text(system: System, rows: Sequence[TestRow], training: Mapping[str, Any]) -> str:
    """``results.json``: what was trained, and for each class and measure mean, standard deviation and number of cases."""
    document = {
        **training,
        "test": {
            key: {metric: {"mean": _number(m), "sd": _number(s), "cases": n} for metric, (m, s, n) in of_class.items()}
            for key, of_class in summary(system, rows).items()
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _number(value: float) -> float | None:
    return None if value != value else round(value, 6)


def mean_of(values: Sequence[float]) -> float:
    """Of those that are defined; NaN where none is."""
    defined = [value for value in values if value == value]
    return mean(defined) if defined else float("nan")


def _statistics(values: Sequence[float]) -> tuple[float, float, int]:
    defined = [value for value in values if value == value]
    if not defined:
        return float("nan"), float("nan"), 0
    return mean(defined), stdev(defined) if len(defined) > 1 else float("nan"), len(defined)
