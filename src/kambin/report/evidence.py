"""Evidence drawn over a picture: each value with the points, curves and planes that it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.measurement.result import EvidenceCurve, EvidencePlane, Measurement
from kambin.report import svg
from kambin.report.tables import value_text
from kambin.report.view import View

# Dark enough to be read as text on white, strong enough to be seen on grey scans; told apart by label, not by colour alone.
COLOURS = ("#b3125a", "#00707a", "#5a35a8", "#b35300", "#2b6e2f", "#1f5fb0", "#7a4a2a", "#8a1c1c")
_PLANE_REACH_MM = 24.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """SVG of the drawn rows (shapes first, then labels), and the rows that could be drawn."""

    shapes: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[Measurement, ...]


def seen_from(row: Measurement, frame: Frame) -> str | None:
    """How a row's evidence is best seen: as it says itself, else from where its outline lies flattest to the picture.

    An outline seen edge-on looks like a line. None where the row neither says it nor has an outline.
    """
    outlines = [curve.points_mm for curve in row.evidence.curves if curve.closed and curve.role == "outline"]
    if row.evidence.view is not None or not outlines:
        return row.evidence.view
    flatness = np.abs(frame.axes @ _area_vector(outlines[0]))
    return ("lateral", "coronal", "axial")[int(flatness.argmax())]


def draw_rows(
    view: View,
    rows: Iterable[Measurement],
    *,
    labelled: bool = True,
    with_level: bool = False,
    only_roles: Sequence[str] = (),
    labels_below_px: float = 50.0,
) -> Drawn:
    """Draw the evidence of measured rows in a view, each in a colour of its own.

    Parameters
    ----------
    view
        The picture.
    rows
        What to draw; rows without a value or without anything that falls in the picture are passed over.
    labelled
        Whether to write symbol and value beside each.
    with_level
        Whether to write the level too.
    only_roles
        Where given, only curves of these roles are drawn, and no points.
    labels_below_px
        How far down the picture the labels may begin.
    """
    shapes: list[tuple[float, list[str]]] = []
    words: list[svg.Label] = []
    drawn: list[Measurement] = []
    seen: set[bytes] = set()  # curves that an earlier row has drawn: FA, FH and FW share one outline
    for row in rows:
        if not row.is_measured:
            continue
        colour = COLOURS[len(drawn) % len(COLOURS)]
        parts, anchor = _row(view, row, colour, only_roles, seen)
        if anchor is None:
            continue
        drawn.append(row)
        shapes.append((-_outlined_mm2(row), parts))  # the larger first, so that no outline hides a smaller one
        if labelled:
            value = f"{row.level} {value_text(row)}" if with_level else value_text(row)
            words.append(svg.Label(anchor, row.quantity.symbol, value, colour))
    ordered = [part for _, parts in sorted(shapes, key=lambda item: item[0]) for part in parts]
    return Drawn(tuple(ordered), tuple(svg.labels(words, view.width_px, view.height_px, top=labels_below_px)), tuple(drawn))


def _row(
    view: View, row: Measurement, colour: str, only_roles: Sequence[str], seen: set[bytes]
) -> tuple[list[str], tuple[float, float] | None]:
    evidence = row.evidence
    curves = [curve for curve in evidence.curves if not only_roles or curve.role in only_roles]
    order = {"construction": 0, "outline": 1, "bridge": 2, "measure": 3}
    parts: list[str] = []
    anchors: list[tuple[int, FloatArray]] = []
    has_own = any(_identity(curve) not in seen for curve in evidence.curves)
    for curve in sorted(curves, key=lambda curve: order.get(curve.role, 0)):
        points = view.project(curve.points_mm)
        if len(points) < 1 or not _touches(view, points):
            continue
        if _identity(curve) not in seen:
            seen.add(_identity(curve))
            parts.append(_curve(row, curve, points, colour))
        elif has_own:  # a row with nothing of its own is still named, at what another row has drawn
            continue
        anchors.append((order.get(curve.role, 0), points))
    if not only_roles:
        if not any(curve.role in ("measure", "outline") for curve in evidence.curves):
            for plane in evidence.planes:
                line = _plane_line(view, plane)
                if line is not None and _touches(view, line):
                    parts.append(svg.path(line, "plane", style=f"stroke:{colour}", title=f"{row.quantity.symbol}: {plane.name}"))
                    anchors.append((0, line))
        for point in evidence.points:
            pixel = view.project(point.position_mm)[None]
            if _touches(view, pixel):
                title = f"{row.quantity.symbol}: {point.name}"
                parts.append(svg.dot(pixel[0], "point", style=f"fill:{colour}", title=title))
                anchors.append((-1, pixel))
    return parts, _anchor(view, anchors)


def _outlined_mm2(row: Measurement) -> float:
    """Area within the largest outline of a row's evidence; 0 where it has none."""
    outlines = [curve.points_mm for curve in row.evidence.curves if curve.closed and curve.role == "outline"]
    return max((float(np.linalg.norm(_area_vector(points))) for points in outlines), default=0.0)


def _area_vector(points_mm: FloatArray) -> FloatArray:
    """Normal of a closed outline, as long as the area within, shape (3,)."""
    about = points_mm - points_mm.mean(axis=0)
    return np.asarray(np.cross(about, np.roll(about, -1, axis=0)).sum(axis=0) / 2.0)


def _identity(curve: EvidenceCurve) -> bytes:
    return np.ascontiguousarray(curve.points_mm).tobytes()


def _curve(row: Measurement, curve: EvidenceCurve, points: FloatArray, colour: str) -> str:
    title = f"{row.quantity.symbol}: {curve.name}"
    role = curve.role if curve.role in ("measure", "outline", "bridge") else "construction"
    body = svg.path(points, f"halo {role}", closed=curve.closed)
    style = f"stroke:{colour};fill:{colour}" if role == "outline" and curve.closed else f"stroke:{colour}"
    if role == "bridge":
        style = ""
    body += svg.path(points, role, closed=curve.closed, style=style, title=title)
    if role == "measure" and not curve.closed and len(points) > 1:
        for end in (points[0], points[-1]):
            body += svg.dot(end, "end", 3.4, style=f"fill:{colour}")
    return body


def _plane_line(view: View, plane: EvidencePlane) -> FloatArray | None:
    """Where a plane seen about edge-on crosses the picture, a stretch about its origin; None when it is seen flat."""
    normal = np.array([plane.normal @ view.across, plane.normal @ view.up])
    length = float(np.linalg.norm(normal))
    if length < 0.6:
        return None
    along = np.array([-normal[1], normal[0]]) / length
    step = along[0] * view.across + along[1] * view.up
    return view.project(np.stack([plane.origin_mm - _PLANE_REACH_MM * step, plane.origin_mm + _PLANE_REACH_MM * step]))


def _touches(view: View, points: FloatArray) -> bool:
    inside = (points >= 0).all(axis=1) & (points[:, 0] <= view.width_px) & (points[:, 1] <= view.height_px)
    return bool(inside.any())


def _anchor(view: View, candidates: list[tuple[int, FloatArray]]) -> tuple[float, float] | None:
    """The middle of a measured length, else the point of an outline nearest to the picture's side edge, else any point."""
    if not candidates:
        return None
    rank, points = max(candidates, key=lambda item: item[0])
    if rank == 1:
        to_left = points[:, 0].mean() < view.width_px / 2.0
        best = points[points[:, 0].argmin() if to_left else points[:, 0].argmax()]
    elif len(points) == 2:
        best = points.mean(axis=0)
    else:
        best = points[len(points) // 2]
    best = np.clip(best, 0.0, [view.width_px, view.height_px])
    return float(best[0]), float(best[1])
