"""A plan's charts: the room to every structure as bars, and the maps of directions and of the skin."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from kambin.geometry import FloatArray
from kambin.planning import Plan
from kambin.planning.channel import direction_of
from kambin.planning.entry_map import EntryMap
from kambin.planning.field import REACH_MM
from kambin.report import svg
from kambin.report.figures import Atelier, Figure, picture
from kambin.report.plan_figures import Drawable, drawables, edge_letters
from kambin.report.plan_words import TOUCHING_MM, plan_title
from kambin.report.tables import rounded
from kambin.report.view import View

Place = Callable[[float], float]
# Dark to light on either side of nothing to spare: orange short, blue to spare; told apart by every kind of colour vision.
_LEVELS_MM = (-100.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 100.0)
_COLOURS = ("#8c3a00", "#c65a11", "#e8955a", "#f6cfae", "#cfe3f1", "#7fb4d8", "#2f7fb5")
_WORDS = ("over 4 mm short", "4 to 2", "2 to 1", "1 to 0", "0 to 1 mm to spare", "1 to 2", "over 2")
_KEPT, _NEAR, _ENTERED = "#0072b2", "#e69f00", "#d55e00"
_BAR_PX, _NAME_PX, _WIDTH_PX, _TOP_PX = 21.0, 262.0, 640, 46.0


def clearance_bars(plan: Plan) -> Figure | None:
    """The room that the ways leave to each structure, in millimetres, with the margins asked for; None where nothing is near."""
    ways = drawables(plan)
    rooms = [{each.obstacle.name: each.room_mm for each in drawn.way.clearances if each.room_mm is not None} for drawn in ways]
    every = {each.obstacle.name: each.obstacle for drawn in ways for each in drawn.way.clearances}
    near = sorted((name for name in every if any(name in found for found in rooms)), key=lambda n: min(f[n] for f in rooms if n in f))
    if not near:
        return None
    shown = [room for found in rooms for room in found.values()]
    low, high = min(-2.0, float(np.floor(min(shown)))), max(6.0, min(float(np.ceil(max(shown))), REACH_MM))
    pitch = _BAR_PX * len(ways) + 13.0
    height = _TOP_PX + pitch * len(near) + 28.0

    def place(value_mm: float) -> float:
        share = (min(max(value_mm, low), high) - low) / (high - low)
        return _NAME_PX + (_WIDTH_PX - _NAME_PX - 64.0) * share

    parts = _ground(place, (low, high), height)
    for row, name in enumerate(near):
        y = _TOP_PX + row * pitch
        margin = plan.wishes.margins_mm[every[name].group]
        parts.append(svg.text(_NAME_PX - 14.0, y + pitch / 2, name, "bar-name", "end"))
        for index, (drawn, found) in enumerate(zip(ways, rooms, strict=True)):
            parts.append(_bar(place, y + 4.0 + _BAR_PX * index, found.get(name), margin, drawn, paler=index + 1 < len(ways)))
        x = svg.number(place(margin))
        parts.append(f'<path class="margin-mark" d="M{x},{svg.number(y + 1)}V{svg.number(y + pitch - 8)}"/>')
    far = [name for name in every if name not in near]
    caption = "Room between the wall and each structure in mm; the black tick is the margin asked for. ✓ kept, ! not kept, ✕ entered."
    if len(ways) == 2:
        caption += " Upper, pale bar: as published; lower bar: best found."
    if far:
        caption += f" Far from all of these: {', '.join(far)}."
    return Figure(svg.canvas(_WIDTH_PX, round(height), parts, f"{plan_title(plan)}. {caption}", "bars"), caption, "half")


def _ground(place: Place, span_mm: tuple[float, float], height: float) -> list[str]:
    """The scale: a line every two millimetres, the instrument's wall at nothing."""
    parts = []
    for tick in np.arange(2.0 * np.ceil(span_mm[0] / 2.0), span_mm[1] + 0.1, 2.0):
        css, x = "bar-zero" if tick == 0.0 else "bar-grid", svg.number(place(float(tick)))
        parts.append(f'<path class="{css}" d="M{x},{_TOP_PX - 8:g}V{svg.number(height - 24)}"/>')
        parts.append(svg.text(place(float(tick)), _TOP_PX - 16.0, rounded(float(tick), "mm²"), "bar-tick", "middle"))
    return [*parts, svg.text(place(0.0), height - 6.0, "wall", "bar-tick", "middle")]


def _bar(place: Place, y: float, room_mm: float | None, margin_mm: float, drawn: Drawable, *, paler: bool) -> str:
    if room_mm is None:
        return svg.text(place(max(margin_mm, 0.0)) + 6.0, y + 14.0, "far", "bar-far")
    entered, near = room_mm < -TOUCHING_MM, room_mm < margin_mm - TOUCHING_MM
    colour, sign = (_ENTERED, "✕") if entered else (_NEAR, "!") if near else (_KEPT, "✓")
    ends = sorted((place(0.0), place(room_mm)))
    opacity = ' fill-opacity=".45"' if paler else ""
    box = f'x="{svg.number(ends[0])}" y="{svg.number(y)}" width="{svg.number(max(ends[1] - ends[0], 1.5))}" height="{_BAR_PX - 4:g}"'
    words = svg.text(max(ends[1], place(max(margin_mm, 0.0))) + 6.0, y + 14.0, f"{rounded(room_mm, 'mm')} {sign}", "bar-value")
    return f'<rect {box} fill="{colour}"{opacity}><title>{drawn.name}</title></rect>{words}'


def entry_maps(atelier: Atelier, plan: Plan) -> list[Figure]:
    """Which directions keep the margins, by their angles and, where the skin is known, by where they enter it."""
    if plan.entry_map is None:
        return []
    found = [_angle_map(plan, plan.entry_map)]
    return [*found, _skin_map(atelier, plan, plan.entry_map)] if np.isfinite(plan.entry_map.skin_mm).any() else found


def map_legend() -> str:
    """The maps' colours in words."""
    return "".join(
        f'<li><span class="swatch" style="background:{colour};border-color:{colour}"></span>{words}</li>'
        for colour, words in zip(_COLOURS, _WORDS, strict=True)
    )


def _angle_map(plan: Plan, found: EntryMap) -> Figure:
    left, right, top, bottom, width, height = 78.0, 18.0, 40.0, 66.0, 640, 520
    alphas, tilts = found.alpha_deg, found.cranial_deg

    def across(alpha: float | FloatArray) -> FloatArray:
        return np.asarray(left + (width - left - right) * (np.asarray(alpha) - alphas[0]) / (alphas[-1] - alphas[0]))

    def down(tilt: float | FloatArray) -> FloatArray:
        return np.asarray(height - bottom - (height - top - bottom) * (np.asarray(tilt) - tilts[0]) / (tilts[-1] - tilts[0]))

    x, y = np.meshgrid(across(alphas), down(tilts), indexing="ij")
    parts = _heat(x, y, found.slack_mm)
    for alpha in np.arange(np.ceil(alphas[0] / 10) * 10, alphas[-1] + 0.1, 10):
        parts.append(svg.text(float(across(alpha)), height - bottom + 22, f"{alpha:.0f}°", "bar-tick", "middle"))
    for tilt in np.arange(np.ceil(tilts[0] / 10) * 10, tilts[-1] + 0.1, 10):
        parts.append(svg.text(left - 8, float(down(tilt)) + 5, f"{rounded(float(tilt), 'mm²')}°", "bar-tick", "end"))
    words = "α to the coronal plane: sideways ← → from behind"
    parts.append(svg.text((left + width - right) / 2, height - 12, words, "axis-name", "middle"))
    parts.append(svg.text(12, 24, "from above (+) or below (−) the disc’s plane", "axis-name"))
    for each in drawables(plan):
        alpha, tilt = each.way.channel.alpha_deg(plan.frame), each.way.channel.cranial_deg(plan.frame)
        parts.append(_mark(float(across(np.clip(alpha, alphas[0], alphas[-1]))), float(down(np.clip(tilt, tilts[0], tilts[-1]))), each))
    line = " The dark line is where the margins are just kept." if (found.slack_mm > 0).any() and (found.slack_mm < 0).any() else ""
    caption = f"Room beyond the margins by direction, for the best target within the tolerance. {_marks_words(plan)}{line}"
    return Figure(svg.canvas(width, height, parts, f"{plan_title(plan)}. {caption}", "map"), caption, "half")


def _skin_map(atelier: Atelier, plan: Plan, found: EntryMap) -> Figure:
    frame = plan.frame
    directions = direction_of(frame, plan.side, found.alpha_deg[:, None], found.cranial_deg[None, :])
    entries = plan.target_mm + found.skin_mm[..., None] * directions
    local = frame.local(entries.reshape(-1, 3))
    local = local[np.isfinite(local).all(axis=1)]
    rises = float(local[:, 2].min()), float(local[:, 2].max())
    far = float(np.abs(local[:, 0]).max())
    sign = float(plan.side.sign)
    width, height = 640, 520
    scale = max((far + 45.0) / (width - 20.0), (rises[1] - rises[0] + 30.0) / (height - 60.0))
    view = View(frame.world([sign * (far - 25.0) / 2.0, 0.0, sum(rises) / 2.0]), frame.right, frame.cranial, scale, width, height)
    image = None
    if atelier.stage is not None:
        bones = [structure for structure in atelier.solids if structure.kind.value in ("vertebra", "sacrum", "hip")]
        image = atelier.stage.draw(view, bones)
    at = view.project(np.nan_to_num(entries, nan=0.0))
    hidden = ~np.isfinite(found.skin_mm)
    x, y = (np.ma.array(at[..., axis], mask=hidden) for axis in (0, 1))
    middle = view.project(frame.world([[0.0, 0.0, rises[0] - 60.0], [0.0, 0.0, rises[1] + 60.0]]))
    parts = [
        '<g opacity=".8">' + "".join(_heat(x.data, y.data, np.ma.array(found.slack_mm, mask=hidden))) + "</g>",
        svg.path(middle, "midline", title="midline"),
        edge_letters(view, frame),
        svg.scale_bar(view.mm_per_px, height),
    ]
    for each in drawables(plan):
        if each.way.entry is not None:
            spot = view.project(each.way.entry.point_mm)
            parts.append(_mark(float(spot[0]), float(spot[1]), each))
    caption = (
        "The same on the skin, seen from behind: each direction is shown where it enters. Dashed: midline. "
        f"{_marks_words(plan)}{' Bones behind.' if image is not None else ''}"
    )
    return Figure(picture(view, image, parts, f"{plan_title(plan)}. {caption}", "render"), caption, "half")


def _heat(x: FloatArray, y: FloatArray, values: FloatArray) -> list[str]:
    """Bands of room in colours, and the line between what keeps the margins and what does not."""
    from contourpy import contour_generator

    lines: Any = contour_generator(x, y, np.clip(values, -99.0, 99.0))
    parts = []
    for low, high, colour in zip(_LEVELS_MM[:-1], _LEVELS_MM[1:], _COLOURS, strict=True):
        polygons, offsets, *_ = lines.filled(low, high)
        for points, ends in zip(polygons, offsets, strict=True):
            rings = [svg.path_data(points[a:b], True) for a, b in pairwise(ends)]
            parts.append(f'<path d="{"".join(rings)}" fill="{colour}" fill-rule="evenodd"/>')
    return [*parts, *(svg.path(line, "map-line") for line in lines.lines(0.0))]


def _mark(x: float, y: float, drawn: Drawable) -> str:
    """A ring for what was found, a diamond for what is published."""
    if "published" in drawn.css:
        shape = f'd="M{svg.number(x)},{svg.number(y - 9)}l9,9l-9,9l-9,-9Z"'
        return f'<path class="map-mark" {shape} style="fill:#fff"><title>{drawn.name}</title></path>'
    return svg.dot(np.array([x, y]), "map-mark", 7.5, style="fill:#fff", title=drawn.name)


def _marks_words(plan: Plan) -> str:
    names = {"as published": "◇ as published", "best found": "○ best found"}
    return f"{', '.join(names[each.name] for each in drawables(plan))}." if drawables(plan) else ""
