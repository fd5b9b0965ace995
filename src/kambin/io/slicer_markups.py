"""Evidence as 3D Slicer markups (``.mrk.json``): the points and curves that every value was read from, in LPS millimetres."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kambin.io.lps import lps_from_ras
from kambin.io.plain import json_text
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, Measurement, Measurements

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
_COLOURS = {
    "measure": [0.85, 0.15, 0.15],
    "outline": [0.10, 0.45, 0.85],
    "bridge": [0.95, 0.60, 0.10],
    "construction": [0.45, 0.45, 0.45],
}
_POINTS = [0.10, 0.10, 0.10]


def write_markups(measurements: Measurements, path: str | Path) -> None:
    """Write the evidence of every measured row.

    A row's points become one fiducial list, a curve of two points a line, any other curve an open or closed curve; names begin
    with symbol, level and side. Help lines are there but hidden, so that the scene opens legibly.
    """
    write_markups_file([each for row in measurements.rows if row.is_measured for each in _row(row)], path)


def write_markups_file(markups: list[dict[str, Any]], path: str | Path) -> None:
    """Write markups as one file."""
    Path(path).write_text(json_text({"@schema": SCHEMA, "markups": markups}), encoding="utf-8")


def _row(row: Measurement) -> list[dict[str, Any]]:
    title = " ".join(part for part in (row.quantity.symbol, row.level, str(row.side) if row.side else "") if part)
    return evidence_markups(title, row.evidence, f"{row.quantity.name} {row.value:.6g} {row.quantity.unit}")


def evidence_markups(title: str, evidence: Evidence, description: str) -> list[dict[str, Any]]:
    """The curves of some evidence, then its points, as markups whose names begin with a title."""
    result = [_curve(title, curve, description) for curve in evidence.curves if len(curve.points_mm) >= 2]
    if evidence.points:
        result.append(points_markup(title, evidence.points))
    return result


def points_markup(title: str, points: Iterable[EvidencePoint]) -> dict[str, Any]:
    """Points as one list, each with its name."""
    control = [control_point(index, point.name, point.position_mm) for index, point in enumerate(points, start=1)]
    return markup("Fiducial", f"{title}: points", control, _POINTS, visible=True, labels=True)


def _curve(title: str, curve: EvidenceCurve, description: str) -> dict[str, Any]:
    kind = "Line" if len(curve.points_mm) == 2 else "ClosedCurve" if curve.closed else "Curve"
    control = [control_point(index, f"{curve.name}-{index}", point) for index, point in enumerate(curve.points_mm, start=1)]
    colour = _COLOURS.get(curve.role, _COLOURS["construction"])
    result = markup(kind, f"{title}: {curve.name}", control, colour, visible=curve.role != "construction", labels=False)
    result["description"] = f"{description} ({curve.role})"
    return result


def control_point(index: int, label: str, position_mm: Any) -> dict[str, Any]:
    """One point of a markup, from RAS millimetres."""
    return {
        "id": str(index),
        "label": label,
        "position": lps_from_ras(position_mm).tolist(),
        "selected": True,
        "locked": True,
        "visibility": True,
        "positionStatus": "defined",  # left out, some versions of Slicer take the point for one not yet placed
    }


def markup(
    kind: str, name: str, control: list[dict[str, Any]], colour: list[float], *, visible: bool, labels: bool
) -> dict[str, Any]:
    """One markup of a kind of Slicer's: ``Fiducial``, ``Line``, ``Curve``, ``ClosedCurve``."""
    return {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "controlPoints": control,
        "display": {
            "visibility": visible,
            "color": colour,
            "selectedColor": colour,
            "propertiesLabelVisibility": False,
            "pointLabelsVisibility": labels,
            "glyphType": "Sphere3D",
            "glyphSize": 1.5,
            "useGlyphScale": False,
            "lineThickness": 0.3,
        },
    }
