"""Measurements as JSON (complete, read back to equal values) and as CSV (flat, without evidence).

Positions in the JSON are RAS millimetres, and it says so. The format is described in ``docs/formats.md`` and, for programs, in
``docs/schema/measurements-1.schema.json``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kambin.anatomy.structures import Side
from kambin.errors import InputError
from kambin.io.plain import json_text, plain, read_document
from kambin.measurement.result import (
    Evidence,
    EvidenceCurve,
    EvidencePlane,
    EvidencePoint,
    Measurement,
    Measurements,
    Published,
    Quantity,
)
from kambin.spine import Doubt, Severity

SCHEMA = "kambin.measurements/1"
DISCLAIMER = "Research software. Not a medical device; not for clinical use."


def write_measurements_json(
    measurements: Measurements, path: str | Path, *, doubts: Iterable[Doubt] = (), version: str = ""
) -> None:
    """Write all rows with their evidence.

    Parameters
    ----------
    measurements
        The rows. Facts that are NaN or infinite are written as null; a position that is, is an error.
    path
        The file to write.
    doubts
        Doubts about the model as a whole, worst first.
    version
        Kambin's version.

    Raises
    ------
    ValueError
        When a position of some evidence is not finite; names the row.
    """
    document = {
        **head(SCHEMA, version, measurements.provenance, doubts),
        "quantities": [_quantity(quantity) for quantity in _distinct(row.quantity for row in measurements.rows)],
        "rows": [_row(row) for row in measurements.rows],
    }
    Path(path).write_text(json_text(document), encoding="utf-8")


def head(schema: str, version: str, provenance: Mapping[str, Any], doubts: Iterable[Doubt]) -> dict[str, Any]:
    """What every results file begins with: its schema, the frame of its positions, what it was made from, and the doubts about that."""
    return {
        "schema": schema,
        "kambin_version": version,
        "coordinate_system": "RAS",
        "length_unit": "mm",
        "disclaimer": DISCLAIMER,
        "input": plain(provenance),
        "doubts": [{"severity": doubt.severity.value, "text": doubt.text} for doubt in doubts],
    }


def read_measurements(path: str | Path) -> Measurements:
    """Read what `write_measurements_json` wrote: the same rows, number for number.

    Raises
    ------
    InputError
        When the file cannot be read, is not JSON, or is not of this schema.
    """
    document = read_document(path, SCHEMA, "measurements")
    try:
        quantities = {entry["key"]: _read_quantity(entry) for entry in document["quantities"]}
        rows = tuple(_read_row(entry, quantities[entry["quantity"]]) for entry in document["rows"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"expected measurements of schema {SCHEMA}, found them damaged ({error!r})") from error
    return Measurements(rows, document["input"])


def read_doubts(path: str | Path) -> tuple[Doubt, ...]:
    """The doubts about the model as a whole that the file holds, worst first.

    Raises
    ------
    InputError
        As `read_measurements`.
    """
    return tuple(Doubt(Severity(entry["severity"]), entry["text"]) for entry in read_document(path, SCHEMA, "measurements")["doubts"])


def write_measurements_csv(measurements: Measurements, path: str | Path) -> None:
    """Write one line a row, UTF-8, numbers in full precision, empty where there is none."""
    names = (
        "symbol", "name", "quantity", "level", "side", "value", "unit", "status", "reason", "doubts",
        "plausible_low", "plausible_high", "published_mean", "published_low", "published_high", "published_source",
    )  # fmt: skip
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in measurements.rows:
            quantity, published = row.quantity, row.quantity.published_at(row.level)
            beside = (None,) * 4 if published is None else (published.mean, published.low, published.high, published.source)
            where = (row.level, row.side.value if row.side else None)
            found = (None if row.value is None else float(row.value), quantity.unit, row.status, row.reason, " | ".join(row.doubts))
            writer.writerow((quantity.symbol, quantity.name, quantity.key, *where, *found, *quantity.plausible, *beside))


def _distinct(quantities: Iterable[Quantity]) -> list[Quantity]:
    found: dict[str, Quantity] = {}
    for quantity in quantities:
        if found.setdefault(quantity.key, quantity) != quantity:
            raise ValueError(f"expected one definition of {quantity.key}, found two that differ")
    return list(found.values())


def _quantity(quantity: Quantity) -> dict[str, Any]:
    return {
        "key": quantity.key,
        "symbol": quantity.symbol,
        "name": quantity.name,
        "unit": quantity.unit,
        "definition": quantity.definition,
        "plausible": [float(bound) for bound in quantity.plausible],
        "published": {level: _published(published) for level, published in quantity.published.items()},
    }


def _published(published: Published) -> dict[str, Any]:
    return {
        "mean": float(published.mean),
        "low": float(published.low),
        "high": float(published.high),
        "source": published.source,
    }


def _row(row: Measurement) -> dict[str, Any]:
    published = row.quantity.published_at(row.level)
    return {
        "symbol": row.quantity.symbol,
        "name": row.quantity.name,
        "quantity": row.quantity.key,
        "level": row.level,
        "side": row.side.value if row.side else None,
        "value": None if row.value is None else float(row.value),
        "unit": row.quantity.unit,
        "status": row.status,
        "reason": row.reason,
        "doubts": list(row.doubts),
        "plausible": [float(bound) for bound in row.quantity.plausible],
        "published": None if published is None else _published(published),
        "definition": row.quantity.definition,
        "evidence": evidence_document(row.evidence, f"{row.quantity.symbol} at {row.level}"),
    }


def evidence_document(evidence: Evidence, of: str) -> dict[str, Any]:
    """Evidence as plain values; `read_evidence` is the inverse.

    Raises
    ------
    ValueError
        When a position is not finite; names what it is the evidence `of`.
    """
    arrays = [p.position_mm for p in evidence.points] + [c.points_mm for c in evidence.curves]
    arrays += [array for plane in evidence.planes for array in (plane.origin_mm, plane.normal)]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"expected finite evidence for {of}, found NaN or infinity in it")
    return {
        "view": evidence.view,
        "points": [{"name": p.name, "position_mm": np.asarray(p.position_mm, dtype=float).tolist()} for p in evidence.points],
        "curves": [
            {"name": c.name, "role": c.role, "closed": bool(c.closed), "points_mm": np.asarray(c.points_mm, dtype=float).tolist()}
            for c in evidence.curves
        ],
        "planes": [
            {
                "name": plane.name,
                "origin_mm": np.asarray(plane.origin_mm, dtype=float).tolist(),
                "normal": np.asarray(plane.normal, dtype=float).tolist(),
            }
            for plane in evidence.planes
        ],
        "facts": plain(evidence.facts),
    }


def _read_quantity(entry: Mapping[str, Any]) -> Quantity:
    low, high = entry["plausible"]
    published = {level: Published(**value) for level, value in entry["published"].items()}
    return Quantity(
        key=entry["key"],
        symbol=entry["symbol"],
        name=entry["name"],
        unit=entry["unit"],
        definition=entry["definition"],
        plausible=(low, high),
        published=published,
    )


def _read_row(entry: Mapping[str, Any], quantity: Quantity) -> Measurement:
    evidence = read_evidence(entry["evidence"])
    side = None if entry["side"] is None else Side(entry["side"])
    return Measurement(quantity, entry["level"], side, entry["value"], entry["reason"], evidence, tuple(entry["doubts"]))


def read_evidence(seen: Mapping[str, Any]) -> Evidence:
    """The evidence that `evidence_document` made plain."""
    return Evidence(
        tuple(EvidencePoint(p["name"], _array(p["position_mm"])) for p in seen["points"]),
        tuple(
            EvidenceCurve(c["name"], _array(c["points_mm"]).reshape(-1, 3), closed=c["closed"], role=c["role"])
            for c in seen["curves"]
        ),
        tuple(EvidencePlane(p["name"], _array(p["origin_mm"]), _array(p["normal"])) for p in seen["planes"]),
        seen["facts"],
        seen["view"],
    )


def _array(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(values, dtype=np.float64)
