"""Pedicle width and height.

In the plane perpendicular to the pedicle's own axis where its section is smallest (mm): width is the smallest caliper within
30° of the vertebra's right axis,
height the caliper perpendicular to it. Zindrick 1987; Panjabi 1992.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame, unit
from kambin.geometry.hole import Lattice, contour_loops
from kambin.geometry.section import Section, extent_along, polygon_centroid, signed_area_mm2
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, NotMeasurable, Quantity
from kambin.spine import Vertebra

PEDICLE_WIDTH = Quantity(
    key="pedicle_width",
    symbol="PW",
    name="pedicle width",
    unit="mm",
    definition="Smallest caliper, within 30° of the vertebra's right axis, of the pedicle's smallest section perpendicular to its axis.",
    plausible=(3.0, 28.0),
    published=PUBLISHED.get("pedicle_width", {}),
)
PEDICLE_HEIGHT = Quantity(
    key="pedicle_height",
    symbol="PH",
    name="pedicle height",
    unit="mm",
    definition="Caliper, perpendicular to the width, of the pedicle's smallest section perpendicular to its axis.",
    plausible=(6.0, 26.0),
    published=PUBLISHED.get("pedicle_height", {}),
)
_PITCH_MM = 0.4
_REACH_BACK_MM, _REACH_FORWARD_MM = 2.0, 4.0
_STEP_MM = 0.5
_HALF_WINDOW_MM = 16.0
_MOST_TURNED_DEG = 30.0
_TRIM = 0.02
_LEDGE = 0.6
_MIN_KEPT = 0.5
_MIN_AREA_MM2 = 20.0
_MAX_FENCED = 0.25
"""A section of which more than this lies on the window's border is not the pedicle's own."""


def pedicle_size(vertebra: Vertebra, side: Side) -> dict[Quantity, tuple[float, Evidence]]:
    """PW and PH of one pedicle, mm.

    Raises
    ------
    NotMeasurable
        When the pedicle was not found, or its section runs into the body or the processes everywhere.
    """
    neck = vertebra.pedicles.get(side)
    if neck is None:
        raise NotMeasurable(f"no {side} pedicle of {vertebra.level} was found")
    frame = vertebra.frame.moved_to(neck.centre_mm)
    half_height = float(np.linalg.norm(neck.cranial_mm - neck.caudal_mm)) / 2 + 4.0
    most_lateral = float(np.linalg.norm(neck.lateral_mm - neck.centre_mm)) + 4.0
    most_medial = float(np.linalg.norm(neck.medial_mm - neck.centre_mm)) + 4.0
    window = (most_medial, most_lateral, half_height)
    sections = _sections(vertebra, side, frame, window)
    if len(sections) >= 4:
        centres = np.stack([frame.local(_world(frame, step, polygon_centroid(loop))) for step, loop in sections])
        slope = np.polyfit(centres[:, 1], centres[:, [0, 2]], 1)[0]
        axis = frame.axes.T @ unit([np.clip(slope[0], -0.6, 0.6), 1.0, np.clip(slope[1], -0.4, 0.4)])
        frame = Frame.from_cranial_anterior(neck.centre_mm, frame.cranial - (frame.cranial @ axis) * axis, axis)
        sections = _sections(vertebra, side, frame, window) or sections
    if not sections:
        raise NotMeasurable(f"the {side} pedicle of {vertebra.level} has no section of its own")
    step, loop = min(sections, key=lambda found: signed_area_mm2(found[1]))
    angle = min(
        np.radians(np.arange(-_MOST_TURNED_DEG, _MOST_TURNED_DEG + 0.1, 1.0)),
        key=lambda a: extent_along(loop, (np.cos(a), np.sin(a)), _TRIM)[0],
    )
    across, upright = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    centre = polygon_centroid(loop)
    result = {}
    outline = EvidenceCurve("pedicle", _world(frame, step, loop), closed=True, role="outline")
    for quantity, direction in ((PEDICLE_WIDTH, across), (PEDICLE_HEIGHT, upright)):
        value, low, high = extent_along(loop, direction, _TRIM)
        ends = np.stack([centre + ((end - centre) @ direction) * direction for end in (low, high)])
        line = EvidenceCurve(quantity.symbol, _world(frame, step, ends), role="measure")
        facts = {"section_area_mm2": round(signed_area_mm2(loop), 2)}
        result[quantity] = (value, Evidence(curves=(line, outline), facts=facts, view="coronal"))
    return result


def _world(frame: Frame, step: float, plane_mm: FloatArray) -> FloatArray:
    """RAS of (right, cranial) plane points at a distance along the frame's anterior axis."""
    points = np.asarray(plane_mm, dtype=np.float64).reshape(-1, 2)
    local = np.stack([points[:, 0], np.full(len(points), step), points[:, 1]], axis=1)
    world = frame.world(local)
    return world[0] if np.ndim(plane_mm) == 1 else world


def _sections(vertebra: Vertebra, side: Side, frame: Frame, window: tuple[float, float, float]) -> list[tuple[float, FloatArray]]:
    """The pedicle's outlines in planes across the frame's anterior axis: (distance along it, outline in right and cranial)."""
    most_medial, most_lateral, half_height = window
    lattice = Lattice.window((-_HALF_WINDOW_MM, _HALF_WINDOW_MM), (-_HALF_WINDOW_MM, _HALF_WINDOW_MM), _PITCH_MM)
    plane = lattice.points()
    out = side.sign * plane[..., 0]
    # Only what lies within the neck's own borders (with a margin): the body and the processes begin beyond them.
    fence = np.maximum(np.maximum(-out - most_medial, out - most_lateral), np.abs(plane[..., 1]) - half_height)
    found = []
    for step in np.arange(-_REACH_BACK_MM, _REACH_FORWARD_MM + 1e-6, _STEP_MM):
        origin = frame.world([lattice.first_mm[0], step, lattice.second_mm[0]])
        level = vertebra.solid.sample_box(origin, _PITCH_MM * frame.axes[[0, 2]], lattice.shape).astype(np.float64)
        bone = np.maximum(level, fence)
        outlines = [loop if signed_area_mm2(loop) > 0 else loop[::-1] for loop in contour_loops(-bone, lattice)]
        holding = [loop for loop in outlines if Section((loop,)).contains([[0.0, 0.0]])[0]]
        if not holding:
            continue
        whole = max(holding, key=signed_area_mm2)
        loop = _without_ledge(whole, side)
        is_neck = signed_area_mm2(loop) >= max(_MIN_KEPT * signed_area_mm2(whole), _MIN_AREA_MM2)
        if is_neck and _fence_contact(loop, side, window).mean() < _MAX_FENCED:
            found.append((float(step), loop))
    return found


def _fence_contact(loop: FloatArray, side: Side, window: tuple[float, float, float]) -> np.ndarray:
    """Which outline points lie on the medial border or the cranial or caudal one of the window: there it is not the pedicle's own."""
    most_medial, _, half_height = window
    return np.asarray((np.abs(loop[:, 1]) > half_height - 0.3) | (-side.sign * loop[:, 0] > most_medial - 0.3))


def _without_ledge(loop: FloatArray, side: Side) -> FloatArray:
    """The outline cut where, going out from the tallest column, the section falls below a fraction of its height: the
    transverse process begins."""
    out = side.sign * loop[:, 0]
    columns = np.arange(np.floor(out.min()), np.ceil(out.max()) + 1.0, 0.5)
    start, end = loop, np.roll(loop, -1, axis=0)
    heights = []
    for column in columns:
        crosses = (side.sign * start[:, 0] > column) != (side.sign * end[:, 0] > column)
        if not crosses.any():
            heights.append(0.0)
            continue
        weight = (side.sign * column - start[crosses, 0]) / (end[crosses, 0] - start[crosses, 0])
        heights.append(float(np.ptp(start[crosses, 1] + weight * (end[crosses, 1] - start[crosses, 1]))))
    tall = np.asarray(heights)
    peak = int(tall.argmax())
    low = np.flatnonzero(tall[peak:] < _LEDGE * tall[peak])
    if not len(low):
        return loop
    limit = float(columns[peak + int(low[0])])
    if limit >= out.max() - 1.0:  # the rounded lateral end of the pedicle itself
        return loop
    return np.stack([side.sign * np.minimum(out, limit), loop[:, 1]], axis=1)
