"""Nerve roots drawn by hand as a few points: 3D Slicer markups (``.mrk.json``) or CSV. Described in ``docs/planning.md``."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kambin.errors import InputError
from kambin.geometry import FloatArray
from kambin.io.lps import lps_from_ras

_HEADERS = {("x", "y", "z"): False, ("r", "a", "s"): False, ("l", "p", "s"): True}
"""The columns that hold a position, and whether they are LPS."""
_RADII = ("radius", "radius_mm")
_MARKUPS = ("Curve", "Fiducial", "Line")


@dataclass(frozen=True, eq=False)
class DrawnPoints:
    """What a file holds of a root.

    Parameters
    ----------
    points_mm
        Along the root, in the file's order, RAS, shape (n, 3), n at least 2.
    radius_mm
        At each point, shape (n,); None where the file has none.
    """

    points_mm: FloatArray
    radius_mm: FloatArray | None


def read_drawn_points(path: str | Path) -> DrawnPoints:
    """Read the points of one root.

    Parameters
    ----------
    path
        A ``.mrk.json`` with one curve, line or list of points, in the frame that it names; or a CSV with a header, its columns ``x,y,z`` or
        ``r,a,s`` (RAS millimetres) or ``l,p,s`` (LPS millimetres), and ``radius`` in millimetres where there is one.

    Raises
    ------
    InputError
        When the file cannot be read or is neither, when a number in it is none, and when it holds fewer than two different points.
    """
    source = Path(path)
    readers = {".json": _from_markups, ".csv": _from_csv}
    if source.suffix.lower() not in readers:
        raise InputError(path, f"expected a .mrk.json or .csv file with the points of a root, found {source.suffix or 'no ending'!r}")
    try:
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(path, f"expected the points of a root, found no file that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(path, "expected text in UTF-8, found something else") from error
    return _checked(path, readers[source.suffix.lower()](path, text))


def _checked(path: str | Path, found: DrawnPoints) -> DrawnPoints:
    """Without points that repeat the one before; none of the rest lacks anything."""
    points, radius = found.points_mm, found.radius_mm
    if radius is not None and not ((radius > 0) & (radius <= 10)).all():
        raise InputError(path, f"expected radii above 0 and up to 10 mm, found {radius.min():g} to {radius.max():g} mm")
    new = np.ones(len(points), dtype=bool)
    new[1:] = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
    if new.sum() < 2:
        raise InputError(path, f"expected at least two different points along the root, found {new.sum()}")
    return DrawnPoints(points[new], None if radius is None else radius[new])


def _from_markups(path: str | Path, text: str) -> DrawnPoints:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(path, f"expected a markups file of 3D Slicer, found no JSON ({error})") from error
    markups = document.get("markups") if isinstance(document, Mapping) else None
    if not isinstance(markups, Sequence) or not all(isinstance(each, Mapping) for each in markups):
        raise InputError(path, "expected a markups file of 3D Slicer, found JSON without markups")
    if len(markups) != 1:
        raise InputError(path, f"expected one markup, a curve along one root, found {len(markups)}")
    markup = markups[0]
    if markup.get("type") not in _MARKUPS:
        raise InputError(path, f"expected a markup of type {', '.join(_MARKUPS)}, found {markup.get('type')!r}")
    frame = markup.get("coordinateSystem")
    if frame not in ("LPS", "RAS"):
        raise InputError(path, f"expected the coordinateSystem LPS or RAS, found {frame!r}")
    unit = markup.get("coordinateUnits", "mm")  # newer files hold it as a code: ["mm", "UCUM", "millimeter"]
    if "mm" not in (unit, *(unit if isinstance(unit, list) else ())):
        raise InputError(path, f"expected positions in mm, found {unit!r}")
    points = _positions(path, markup.get("controlPoints"))
    return DrawnPoints(lps_from_ras(points) if frame == "LPS" else points, None)


def _positions(path: str | Path, control: Any) -> FloatArray:
    """The positions of the control points that have been placed."""
    if not isinstance(control, Sequence) or not all(isinstance(each, Mapping) for each in control):
        raise InputError(path, "expected a markup with controlPoints, found none")
    rows = [each.get("position") for each in control if each.get("positionStatus", "defined") == "defined"]
    for index, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != 3 or not all(_is_number(value) for value in row):
            raise InputError(path, f"expected three numbers as the position of point {index}, found {row!r}")
    return np.asarray(rows, dtype=np.float64).reshape(-1, 3)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _from_csv(path: str | Path, text: str) -> DrawnPoints:
    try:
        lines = [(number, row) for number, row in enumerate(csv.reader(text.splitlines()), start=1) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(path, f"expected a table with commas, found something else ({error})") from error
    header = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    names = next((names for names in _HEADERS if set(names) <= set(header)), None)
    if names is None:
        wanted = "a first line that names the columns: x,y,z or r,a,s (RAS mm), or l,p,s (LPS mm)"
        raise InputError(path, f"expected {wanted}, found {','.join(header) or 'nothing'}")
    radius = next((name for name in _RADII if name in header), None)
    columns = [header.index(name) for name in (*names, *(() if radius is None else (radius,)))]
    rows = np.array([_numbers(path, number, row, columns) for number, row in lines[1:]], dtype=np.float64).reshape(-1, len(columns))
    points = lps_from_ras(rows[:, :3]) if _HEADERS[names] else rows[:, :3]
    return DrawnPoints(points, None if radius is None else rows[:, 3])


def _numbers(path: str | Path, number: int, row: list[str], columns: list[int]) -> list[float]:
    try:
        values = [float(row[column]) for column in columns]
    except (ValueError, IndexError):
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise InputError(path, f"expected {len(columns)} numbers in line {number}, found {','.join(row)}")
    return values
