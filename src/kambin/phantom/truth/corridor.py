"""True distances about the exiting root, the window between the laminae, and the way to the skin."""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Field
from kambin.phantom.truth.anatomy import Anatomy, Space
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.hole import hole_about
from kambin.phantom.truth.nearest import distance, from_point
from kambin.phantom.truth.plane import Sheet, axis, curves, extent, largest, spread
from kambin.phantom.truth.value import FLOOR, SAFETY, Unknown
from kambin.phantom.truth.view import View, view_of

_SPACING_MM = 0.03
"""Of points on the two surfaces where they are nearest."""


def exiting_level(space: Space) -> Level:
    """The root that leaves through a foramen is named by the vertebra above."""
    return Level(space.name.split("/")[0])


def nerve_to_disc(anatomy: Anatomy, space: Space, side: Side) -> dict[str, tuple[float, float]]:
    """ND, mm, with its bound: from the exiting root to the disc."""
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(space), side)
    if space.disc is None:
        raise Unknown(f"this patient has no {space.name} disc")
    return {"ND": _bounded(*distance(root, space.disc, _SPACING_MM))}


def nerve_to_pedicle(anatomy: Anatomy, space: Space, side: Side) -> dict[str, tuple[float, float]]:
    """NP, mm, with its bound: from the exiting root to the pedicle that it passes under."""
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(space), side)
    if side not in space.pedicle:
        raise Unknown(f"this patient has no {side} pedicle of {exiting_level(space)}")
    return {"NP": _bounded(*distance(root, space.pedicle[side], _SPACING_MM))}


def _bounded(value: float, before: float) -> tuple[float, float]:
    """A value with its bound from the one at a coarser spacing."""
    return value, max(SAFETY * abs(value - before), FLOOR)


def line_a(anatomy: Anatomy, segment: Segment, side: Side, step: float) -> dict[str, float]:
    """Line A, mm: from point *a* to the exiting root."""
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(segment.space), side)
    return {"Line A": from_point(point_a(segment, side, step), root, 0.1 * step)[0]}


def point_a(segment: Segment, side: Side, step: float) -> FloatArray:
    """Point *a*, RAS: of the crossings of both processes' outlines, seen along the segment's right axis, the most anterior one; midway
    between the places where the line of sight touches the two.
    """
    space = segment.space
    if side not in space.superior or side not in space.inferior:
        raise Unknown(f"this patient has no {side} facet joint at {space.name}")
    views = [_seen(segment.frame, side, shape) for shape in (space.superior[side], space.inferior[side])]
    sheets = [view.silhouette(step) for view in views]
    crossings = _crossings(sheets[0], sheets[1])
    if not len(crossings):
        raise Unknown(f"the outlines of the {side} articular processes do not cross at {space.name}")
    at = crossings[int(crossings[:, 0].argmax())]
    out = np.mean([view.depth_at(at)[0] for view in views])
    return segment.frame.world([side.sign * float(out), *at])


def _seen(frame: Frame, side: Side, shape: Field) -> View:
    corners = frame.local(shape.box.corners_mm) * [side.sign, 1.0, 1.0]
    low, high = corners.min(axis=0) - 2.0, corners.max(axis=0) + 2.0
    window = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return view_of(frame, side.sign, (shape,), window[0], window[1], window[2])


def _crossings(one: Sheet, other: Sheet) -> FloatArray:
    """Where the outline in one sheet crosses that in another, shape (n, 2)."""
    loop = largest(curves(one))
    if loop is None:
        return np.zeros((0, 2))
    inside = (loop[:, 0] > other.first_mm[0]) & (loop[:, 0] < other.first_mm[-1])
    inside &= (loop[:, 1] > other.second_mm[0]) & (loop[:, 1] < other.second_mm[-1])
    level = np.where(inside, _sampled(other, loop), 1.0)
    after = np.roll(level, -1)
    crosses = (level > 0) != (after > 0)
    share = level[crosses] / (level[crosses] - after[crosses])
    return np.asarray(loop[crosses] + share[:, None] * (np.roll(loop, -1, axis=0)[crosses] - loop[crosses]))


def _sampled(sheet: Sheet, points: FloatArray) -> FloatArray:
    lattice = (sheet.first_mm, sheet.second_mm)
    return np.array([spread(sheet.level, lattice, (p[:1], p[1:]))[0, 0] for p in points])


_WINDOW_HALF_WIDTH_MM, _WINDOW_BEHIND_MM = 24.0, 60.0
_JOINT_MM = 3.0
"""A gap narrower than this is a facet joint's."""


def interlaminar_window(segment: Segment, step: float) -> dict[str, float]:
    """IWw and IWh, mm: extents of the gap between the arches, seen from behind along the segment's anterior axis."""
    upper, _, lower = segment.space.whole()
    frame = segment.frame
    # Looked along *posterior*, from the front of the canal on: the bodies do not count.
    behind = Frame(frame.origin_mm, np.stack([-frame.anterior, frame.right, frame.cranial]))
    start = -segment.back_mm + 4.0
    view = view_of(
        behind,
        1,
        (upper.shape, lower.shape),
        (start, start + _WINDOW_BEHIND_MM),
        (-_WINDOW_HALF_WIDTH_MM, _WINDOW_HALF_WIDTH_MM),
        (-24.0, 20.0),
    )
    sheet = view.silhouette(step)
    across, height = np.meshgrid(sheet.first_mm, sheet.second_mm, indexing="ij")
    outline = hole_about(sheet, (np.abs(across) < 10.0) & (np.abs(height) < 16.0), _JOINT_MM).outline
    return {"IWw": extent(outline, (1.0, 0.0)), "IWh": extent(outline, (0.0, 1.0))}


def skin_behind(anatomy: Anatomy, segment: Segment) -> dict[str, float]:
    """SKp, mm: from the posterior edge of the disc straight back to the skin."""
    skin = anatomy.shape(Kind.TRUNK)
    return {"SKp": _to_skin(skin, segment, np.array([0.0, segment.back_mm, 0.0]), np.array([0.0, -1.0, 0.0]))}


def skin_beside(anatomy: Anatomy, segment: Segment, side: Side) -> dict[str, float]:
    """SKl, mm: from the disc's centroid straight sideways to the skin."""
    skin = anatomy.shape(Kind.TRUNK)
    return {"SKl": _to_skin(skin, segment, np.zeros(3), np.array([float(side.sign), 0.0, 0.0]))}


def _to_skin(shape: Field, segment: Segment, start: FloatArray, way: FloatArray) -> float:
    at = axis(0.0, 400.0, 1.0)
    level = level_in(shape, segment.frame, start + at[:, None] * way)
    if level[0] >= 0 or (level < 0).all():
        raise Unknown(f"the skin is not met from the {segment.space.name} disc")
    index = int((level >= 0).argmax())
    low, high = at[index - 1], at[index]
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if level_in(shape, segment.frame, (start + middle * way)[None])[0] < 0 else (low, middle)
    return float(0.5 * (low + high))
