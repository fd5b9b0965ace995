"""A plan's pictures: down the channel, the slices that hold it, the room it leaves, the C-arm's views, the map of directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind
from kambin.geometry import FloatArray, Frame, Plane, unit
from kambin.planning import Plan
from kambin.planning.channel import Channel
from kambin.planning.obstacles import Obstacle
from kambin.planning.way import WayIn
from kambin.report import slices, svg
from kambin.report.figures import Atelier, Figure, picture
from kambin.report.plan_words import direction_letters, is_needle, plan_title, short_name, shown_way
from kambin.report.radiograph import FIELD_MM, CArm
from kambin.report.style import look_of
from kambin.report.tables import rounded, with_unit
from kambin.report.view import View
from kambin.spine import MotionSegment, Solid

# Two colours that every kind of colour vision tells apart, and a dash besides.
FOUND, PUBLISHED = "#0072b2", "#d55e00"
_SHADOW_COLOURS = {"nerve": "#a67c00", "dura": "#8a6d3b", "vessel": "#b02418", "viscera": "#8c3f33", "bone": "#5b5346"}
_POINTS = {"b": "b target", "c": "c contact with the iliac bone", "d": "d entry"}
_AROUND_MM = 27.0
_NAMED = 8
_BEYOND_MM = 14.0  # how much of what lies deeper than the target is drawn behind it
_SHADOW_PITCH_MM, _SHADOW_STEP_MM = 0.6, 1.0
_LEFT_OUT = (Kind.TRUNK, Kind.BOWEL, Kind.KIDNEY)


@dataclass(frozen=True, eq=False)
class Drawable:
    """One way in as it is drawn in every picture of its plan: a name, a colour, and dashes for what is published."""

    way: WayIn
    name: str
    colour: str
    css: str


def drawables(plan: Plan) -> list[Drawable]:
    """The published channel, where there is one, and the best that was found."""
    shown = [] if plan.published is None else [Drawable(plan.published, "as published", PUBLISHED, "channel published")]
    return shown + ([Drawable(plan.ways[0], "best found", FOUND, "channel")] if plan.ways else [])


# -- down the channel ---------------------------------------------------------------------------------------------------------------


def down_the_channel(atelier: Atelier, plan: Plan, drawn: Drawable) -> Figure:
    """What lies along a channel, seen from its outer end: all that is nearer than the target, and outlines of what is close."""
    channel, frame = drawn.way.channel, plan.frame
    view = barrel_view(channel, frame, _AROUND_MM, 560)
    shadows, labels = [], []
    close = [each for each in drawn.way.clearances if each.room_mm is not None]
    for rank, clearance in enumerate(close):
        outline = shadow(clearance.obstacle, view, channel)
        colour = _colour(clearance.obstacle)
        shadows += [svg.path(line, "halo shadow") + svg.path(line, "shadow", style=f"stroke:{colour}") for line in outline]
        at = _nearest(outline, view)
        if at is not None and rank < _NAMED:
            labels.append(svg.Label(at, short_name(clearance.obstacle), rounded(clearance.room_mm or 0.0, "mm"), colour))
    reamed = _reamed_outline(atelier, plan, view, channel)
    ring = _circle(view, channel.target_mm, channel.radius_mm)
    image = None
    if atelier.stage is not None:
        shown = [structure for structure in atelier.solids if structure.kind not in _LEFT_OUT]
        near = Plane(channel.at(-_BEYOND_MM), channel.direction)
        ghosts = dict.fromkeys(atelier.of_kind(Kind.HIP, Kind.PSOAS), 0.3)
        image = atelier.stage.draw(view, shown, keep={structure: [near] for structure in shown}, opacity=ghosts)
    instrument = "needle" if is_needle(drawn.way) else "channel"
    overlay = [
        *reamed,
        *shadows,
        svg.path(ring, "halo channel-ring", closed=True) + svg.path(ring, "channel-ring", closed=True, style=f"stroke:{drawn.colour}"),
        _cross(view.project(channel.target_mm)),
        edge_letters(view, frame),
        svg.scale_bar(view.mm_per_px, view.height_px, 10.0),
        *svg.labels(labels, view.width_px, view.height_px, top=60.0),
    ]
    caption = (
        f"Down the {instrument} {drawn.name}, from outside: the circle is its {with_unit(2 * channel.radius_mm, 'mm')} bore. "
        "Dashed: shadows, along its whole length, of what is near; with the room to its wall in mm, − where it is entered."
    )
    if any(each.obstacle.group in ("iap", "transverse") for each in close[:_NAMED]):
        caption += " IAP inferior articular process, TP transverse process."
    if reamed:
        caption += " Hatched: superior articular process in its way, to be reamed."
    if image is None:
        caption += " Without shapes behind it: this machine cannot draw in 3D."
    return Figure(picture(view, image, overlay, f"{plan_title(plan)}. {caption}", "render"), caption, "half")


def barrel_view(channel: Channel, frame: Frame, around_mm: float, size_px: int) -> View:
    """Along a channel from its outer end, the patient's head up (or front, where the channel comes from above)."""
    upright = frame.cranial if abs(float(frame.cranial @ channel.direction)) < 0.9 else frame.anterior
    up = unit(upright - (upright @ channel.direction) * channel.direction)
    return View(channel.target_mm, np.cross(up, channel.direction), up, 2 * around_mm / size_px, size_px, size_px)


def _colour(obstacle: Obstacle) -> str:
    return _SHADOW_COLOURS.get(obstacle.group, _SHADOW_COLOURS["bone"])


def shadow(obstacle: Obstacle, view: View, channel: Channel) -> list[FloatArray]:
    """Outlines, in picture coordinates, of what an obstacle covers along a channel's length when it is seen down the channel."""
    covered = [_covered(solid, obstacle.without, view, channel) for solid in obstacle.solids]
    found = [each for each in covered if each is not None]
    return [] if not found else _outlines(np.minimum.reduce(found), view)


def _covered(solid: Solid, without: Iterable[Solid], view: View, channel: Channel) -> FloatArray | None:
    """The lowest level of a solid behind each point of the picture, from just beyond the target to the channel's outer end."""
    vertices = solid.mesh.vertices_mm
    if not len(vertices):
        return None
    depth, seen = view.depth_mm(vertices), view.project(vertices)
    inside = ((seen > -20.0) & (seen < [view.width_px + 20.0, view.height_px + 20.0])).all(axis=1)
    inside &= (depth > -channel.radius_mm - 2.0) & (depth < channel.length_mm + 2.0)
    if not inside.any():
        return None
    low = max(float(depth[inside].min()) - 3.0, -channel.radius_mm)
    high = min(float(depth[inside].max()) + 3.0, channel.length_mm)
    points = view.lattice_mm(view.mm_per_px / _SHADOW_PITCH_MM)
    count = max(2, int((high - low) / _SHADOW_STEP_MM) + 1)
    start = points[0, 0] + low * view.towards_viewer
    steps = np.stack([points[1, 0] - points[0, 0], points[0, 1] - points[0, 0], (high - low) / (count - 1) * view.towards_viewer])
    level = solid.sample_box(start, steps, (*points.shape[:2], count))
    for part in without:
        level = np.maximum(level, -part.sample_box(start, steps, (*points.shape[:2], count)))
    return np.asarray(level.min(axis=-1), dtype=np.float64)


def _outlines(level: FloatArray, view: View) -> list[FloatArray]:
    from contourpy import contour_generator

    if level.min() >= 0.0 or level.max() <= 0.0:
        return []
    rows, columns = level.shape
    x, y = (np.arange(columns) + 0.5) * view.width_px / columns, (np.arange(rows) + 0.5) * view.height_px / rows
    return [np.asarray(line) for line in contour_generator(x, y, level).lines(0.0) if len(line) > 5]


def _reamed_outline(atelier: Atelier, plan: Plan, view: View, channel: Channel) -> list[str]:
    """The part of the circle that the superior articular process covers, hatched."""
    segment = atelier.model.segment(plan.level)
    bone = None if segment is None else segment.lower.part(Kind.SUPERIOR_ARTICULAR, plan.side)
    level = None if bone is None else _covered(bone, (), view, channel)
    if level is None:
        return []
    rows, columns = level.shape
    y, x = np.ogrid[:rows, :columns]
    offset = np.hypot((x + 0.5) / columns * view.width_px - view.width_px / 2, (y + 0.5) / rows * view.height_px - view.height_px / 2)
    both = np.maximum(level, offset * view.mm_per_px - channel.radius_mm)
    parts = []
    for line in _outlines(both, view):
        parts.append(svg.path(line, "reamed", closed=True, title="articular process to ream"))
        parts += [svg.path(hatch, "hatch") for hatch in _hatches(line)]
    return parts


def _hatches(outline: FloatArray, gap_px: float = 8.0) -> list[FloatArray]:
    """Slanting lines that fill a closed outline."""
    along, across = np.array([1.0, -1.0]) / np.sqrt(2.0), np.array([1.0, 1.0]) / np.sqrt(2.0)
    position, height = outline @ along, outline @ across
    following = np.roll(np.arange(len(outline)), -1)
    lines = []
    for level in np.arange(np.ceil(height.min() / gap_px) * gap_px, height.max(), gap_px):
        crosses = (height < level) != (height[following] < level)
        start, end = np.flatnonzero(crosses), following[crosses]
        share = (level - height[start]) / (height[end] - height[start])
        places = np.sort(position[start] + share * (position[end] - position[start]))
        ends = zip(places[::2], places[1::2], strict=False)
        lines += [np.stack([first * along, last * along]) + level * across for first, last in ends]
    return lines


def _nearest(outlines: Sequence[FloatArray], view: View) -> tuple[float, float] | None:
    """Of some outlines, the point nearest to the picture's middle that lies in the picture."""
    points = np.concatenate(outlines) if outlines else np.empty((0, 2))
    points = points[((points > 2.0) & (points < [view.width_px - 2.0, view.height_px - 2.0])).all(axis=1)]
    if not len(points):
        return None
    best = points[np.hypot(*(points - [view.width_px / 2, view.height_px / 2]).T).argmin()]
    return float(best[0]), float(best[1])


# -- slices along the channel -------------------------------------------------------------------------------------------------------


def along_the_channel(atelier: Atelier, plan: Plan) -> list[Figure]:
    """The slice through the axis that is nearest to axial, and the one across it."""
    way = shown_way(plan)
    if way is None:
        return []
    axial, upright = _axial_view(plan, way), _upright_view(plan, way)
    tilt = float(np.degrees(np.arccos(min(abs(float(axial.towards_viewer @ plan.frame.cranial)), 1.0))))
    name = "best found" if plan.ways else "published"
    words = f"Slice through the axis of the {name} way, {with_unit(tilt, '°')} from the disc’s plane, seen from below."
    first = _slice(atelier, plan, axial, words)
    second = _slice(atelier, plan, upright, "Slice through the same axis, across the first: the skin is on the right of the picture.")
    return [first, second]


def _axial_view(plan: Plan, way: WayIn) -> View:
    frame, direction = plan.frame, way.channel.direction
    across = -frame.right
    along = direction - (direction @ frame.right) * frame.right
    if np.linalg.norm(along) < 0.2 or abs(float(unit(along) @ frame.anterior)) < 0.5:
        # the axis lies nearly sideways: of all planes that hold it the one that is nearest to axial
        normal = unit(frame.cranial - (frame.cranial @ direction) * direction)
        across = unit(across - (across @ normal) * normal)
        along = np.cross(normal, across)
    up = unit(along) * (1.0 if along @ frame.anterior > 0 else -1.0)
    ends = [way.channel.target_mm, way.channel.at(way.entry.depth_mm + 8.0 if way.entry else min(110.0, way.channel.length_mm))]
    ends += [frame.world([24.0 * sign, depth, 0.0]) for sign in (-1, 1) for depth in (-46.0, 22.0)]
    return _fitted(np.array(ends), across, up, 640, 520)


def _upright_view(plan: Plan, way: WayIn) -> View:
    direction = way.channel.direction
    up = barrel_view(way.channel, plan.frame, 1.0, 10).up
    outer = way.channel.at(way.entry.depth_mm + 8.0 if way.entry else min(110.0, way.channel.length_mm))
    ends = [way.channel.at(-25.0), outer, *(way.channel.at(0.0) + sign * 42.0 * up for sign in (-1, 1))]
    return _fitted(np.array(ends), direction, up, 640, 520)


def _fitted(points_mm: FloatArray, across: FloatArray, up: FloatArray, width: int, height: int) -> View:
    """A view whose picture holds some points, in the plane of the first."""
    offset = points_mm - points_mm[0]
    x, y = offset @ across, offset @ up
    scale = max(float(np.ptp(x)) / (width - 40), float(np.ptp(y)) / (height - 60), 0.18)
    centre = points_mm[0] + (x.min() + x.max()) / 2.0 * across + (y.min() + y.max()) / 2.0 * up
    return View(centre, across, up, scale, width, height)


def _slice(atelier: Atelier, plan: Plan, view: View, words: str) -> Figure:
    scan, model = atelier.scan, atelier.model
    if scan is not None:
        image, kind = slices.scan_slice(scan, view, slices.intensity_window(scan, True), 1.0), "scan"
    else:
        image, kind = slices.label_slice(model.grid, model.labels, model.table, view), "labels"
    outlines = [
        svg.path(line, "contour", style=f"stroke:{look_of(structure).contour}", title=structure.label)
        for structure, lines in slices.contour_set(atelier.solids, view, 0.4).items()
        for line in lines
    ]
    caption = f"{words} {_drawn_words(plan, view)}"
    overlay = [*outlines, *ways_drawn(plan, view), edge_letters(view, plan.frame), svg.scale_bar(view.mm_per_px, view.height_px)]
    return Figure(picture(view, image, overlay, f"{plan_title(plan)}. {caption}", kind), caption, "half")


def ways_drawn(plan: Plan, view: View) -> list[str]:
    """The channels to scale, their axes, where they enter, and the plan's own points and curves."""
    parts = [
        svg.path(points, "halo construction", closed=curve.closed) + svg.path(points, "plan-curve", closed=curve.closed, title=curve.name)
        for curve in plan.evidence.curves
        for points in (view.project(curve.points_mm),)
    ]
    for each in drawables(plan):
        channel, entry = each.way.channel, each.way.entry
        outline = channel_outline(view, channel)
        parts.append(svg.path(outline, f"halo {each.css}", closed=True))
        parts.append(svg.path(outline, each.css, closed=True, style=f"stroke:{each.colour};fill:{each.colour}", title=each.name))
        parts.append(svg.path(view.project(channel.at([-2.0, channel.length_mm])), f"axis {each.css}", style=f"stroke:{each.colour}"))
        if entry is not None:
            parts.append(_named_dot(view, entry.point_mm, f"entry, {each.name}", each.colour, ""))
    named = [
        _named_dot(view, point.position_mm, point.name, "#111", point.name if len(point.name) < 4 else "") for point in plan.evidence.points
    ]
    return [*parts, *named]


def channel_outline(view: View, channel: Channel) -> FloatArray:
    """The outline of a channel with round ends, in picture coordinates, shape (n, 2)."""
    inner, outer = view.project(channel.target_mm), view.project(channel.outer_end_mm)
    radius = channel.radius_mm / view.mm_per_px
    along = outer - inner
    towards = float(np.arctan2(along[1], along[0])) if np.hypot(*along) > 1e-6 else 0.0
    half = np.linspace(-np.pi / 2, np.pi / 2, 19)
    ends = [(outer, half + towards), (inner, half + towards + np.pi)]
    return np.concatenate([centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1) for centre, turn in ends])


def _drawn_words(plan: Plan, view: View) -> str:
    """What is not said once for all plans: what lies outside the picture's plane, and what letters stand for."""
    off = [abs(float(view.depth_mm(each.way.channel.outer_end_mm))) > 4.0 for each in drawables(plan)]
    text = "What does not lie in this plane is projected onto it." if any(off) else ""
    named = [_POINTS[point.name] for point in plan.evidence.points if point.name in _POINTS]
    return f"{text} As published: {', '.join(named)}.".strip() if named and plan.published is not None else text


# -- the C-arm ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One radiograph of a segment that several plans are drawn over: kept once in the page, under its name."""

    name: str
    view: View
    image: str
    words: str
    source: str


def radiographs(carm: CArm, segment: MotionSegment) -> tuple[Radiograph, Radiograph]:
    """From behind and from the left, both with the disc edge-on."""
    frame, size = segment.frame, 520
    place = segment.name.replace("/", "-")
    made = []
    for key, centre, across, words in (
        ("ap", [0.0, 0.0, 0.0], frame.right, "C-arm AP, as the operator sees the back"),
        ("lateral", [0.0, -22.0, 0.0], -frame.anterior, "C-arm lateral"),
    ):
        view = View(frame.world(centre), across, frame.cranial, FIELD_MM / size, size, size)
        made.append(Radiograph(f"xray-{place}-{key}", view, svg.embedded(carm.picture(view), 72), words, carm.source))
    return made[0], made[1]


def kept_radiographs(shots: Iterable[Radiograph]) -> str:
    """The radiographs themselves, to be used by name from every figure."""
    images = "".join(
        f'<image id="{shot.name}" href="{shot.image}" width="{shot.view.width_px}" height="{shot.view.height_px}"/>' for shot in shots
    )
    return f'<svg class="kept" width="0" height="0" aria-hidden="true" xmlns="http://www.w3.org/2000/svg"><defs>{images}</defs></svg>'


def c_arm(plan: Plan, shot: Radiograph, css: str) -> Figure:
    """A plan's channels over a radiograph of its segment."""
    view = shot.view
    overlay = [
        f'<use href="#{shot.name}"/>',
        f'<clipPath id="{shot.name}-{plan.approach}-{plan.side.value}-field">'
        f'<circle cx="{view.width_px / 2:g}" cy="{view.height_px / 2:g}" r="{view.width_px / 2 - 2:g}"/></clipPath>',
        f'<g clip-path="url(#{shot.name}-{plan.approach}-{plan.side.value}-field)">',
        *ways_drawn(plan, view),
        "</g>",
        edge_letters(view, plan.frame),
        svg.scale_bar(view.mm_per_px, view.height_px),
    ]
    caption = f"{shot.words}, the disc edge-on; {shot.source}."
    return Figure(svg.canvas(view.width_px, view.height_px, overlay, f"{plan_title(plan)}. {caption}", "scan"), caption, css)


def down_the_barrel(carm: CArm, plan: Plan, way: WayIn, css: str) -> Figure:
    """The oblique view of the C-arm in which a needle is a dot, a channel a circle."""
    channel = way.channel
    view = barrel_view(channel, plan.frame, FIELD_MM / 2, 520)
    ring = _circle(view, channel.target_mm, 5.0 if is_needle(way) else channel.radius_mm)
    overlay = [
        svg.path(ring, "halo channel-ring", closed=True),
        svg.path(ring, "channel-ring", closed=True, style=f"stroke:{FOUND if plan.ways else PUBLISHED}"),
        svg.dot(view.project(channel.target_mm), "needle-tip", 3.4, style="fill:#111", title="axis"),
        edge_letters(view, plan.frame),
        svg.scale_bar(view.mm_per_px, view.height_px),
    ]
    oblique, tilt = 90.0 - channel.alpha_deg(plan.frame), channel.cranial_deg(plan.frame)
    what = "the needle is the dot in the ring of 10 mm" if is_needle(way) else "the ring is the channel"
    caption = (
        f"C-arm down the barrel: {with_unit(oblique, '°')} oblique to the {plan.side.value} and {with_unit(abs(tilt), '°')} "
        f"{'cranial' if tilt >= 0 else 'caudal'}, by the disc’s own frame; {what}."
    )
    return Figure(picture(view, carm.picture(view), overlay, f"{plan_title(plan)}. {caption}", "scan"), caption, css)


# -- small pieces -------------------------------------------------------------------------------------------------------------------


def edge_letters(view: View, frame: Frame) -> str:
    """Which way the picture's four edges lie in the patient."""
    across = direction_letters(frame, view.across), direction_letters(frame, -view.across)
    return svg.edge_words(
        view.width_px, view.height_px, across[1], across[0], direction_letters(frame, view.up), direction_letters(frame, -view.up)
    )


def _circle(view: View, centre_mm: FloatArray, radius_mm: float) -> FloatArray:
    turn = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    return view.project(centre_mm) + radius_mm / view.mm_per_px * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _cross(at: FloatArray) -> str:
    x, y = (svg.number(float(value)) for value in at)
    return f'<path class="halo target" d="M{x},{y}m-6,0h12m-6,-6v12"/><path class="target" d="M{x},{y}m-6,0h12m-6,-6v12"/>'


def _named_dot(view: View, position_mm: FloatArray, title: str, colour: str, name: str) -> str:
    at = view.project(position_mm)
    words = svg.text(float(at[0]) + 7.0, float(at[1]) - 6.0, name, "point-name") if name else ""
    return svg.dot(at, "point", 4.0, style=f"fill:{colour}", title=title) + words
