"""The way to a disc from the side and front, between psoas and great vessels (oblique lateral interbody fusion).

A tube stands on the border of the disc, and its axis points at the disc's centre. The psoas is soft: it is moved backwards, at a cost, and
by 15 mm at most. For a tube of 18 mm, as wide as the usual cage, and 3 mm of room before the vessels this asks for a corridor of 6 mm (Ng
2020: a quarter of 449 patients have no accessible one at L4/L5). Vessels, nerves and iliac bone keep their margins. Kidneys and bowel are
swept forwards with the peritoneum and decide nothing; it is said by how much. The vertebrae that the tube stands on are no obstacles there;
a way that meets them further out is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable
from kambin.planning.around import Around, Clearance, Region
from kambin.planning.channel import Channel, direction_of
from kambin.planning.field import REACH_MM, DistanceField
from kambin.planning.lowest import lowest_along
from kambin.planning.oblique_window import Window, corridor, in_plane, sections, window
from kambin.planning.obstacles import Obstacle, approach_obstacles
from kambin.planning.result import Plan
from kambin.planning.search import Cone, distinct
from kambin.planning.warning import first_warnings
from kambin.planning.way import WayIn, described, room_of, verdict_on
from kambin.planning.wide import room_along
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel

OBLIQUE = "oblique"
ANTEROLATERAL = Region(45.0, 135.0, 40.0, 130.0, 50.0, 50.0)
"""Of ways from the side and front."""
OBLIQUE_WISHES = Wishes(
    radius_mm=9.0,
    margins_mm={"bone": 0.0},
    cone=Cone(alpha_deg=(-90.0, 0.0), cranial_deg=(-15.0, 15.0), tolerance_mm=0.0),
)
"""A tube of 18 mm, from straight sideways to straight in front, led to the disc's very centre."""

ENOUGH_MM = 2.0
"""Room beyond the margins that is worth having; more is not."""
_PSOAS_SHARE = 0.2
"""What a millimetre that the psoas is moved weighs, in millimetres of room."""
_TILT_SHARE = 0.1
"""The same of a degree out of the disc's plane."""
_FRONT_DEG, _FRONT_SHARE = 60.0, 0.05
"""The same of a degree nearer to straight in front than this: from there on it is the way of an anterior fusion, through the belly."""
_NOTHING_MM = 0.5
"""Less than this in the way is not told of."""
_FARTHEST_BORDER_MM = 70.0
_STANDING_MM = 4.0
"""So far beyond its rounded end a tube may still touch the vertebrae that it stands on."""
_STEPS_DEG = ((2.0, 5.0), (0.5, 1.25))
_ALTERNATIVES = 3


@dataclass(frozen=True, eq=False)
class _Tubes:
    """Candidates: inner ends, directions, angles and worth of each."""

    starts_mm: FloatArray
    directions: FloatArray
    alpha_deg: FloatArray
    cranial_deg: FloatArray
    worth: FloatArray


def plan_oblique(model: SpineModel, around: Around, wishes: Wishes) -> Plan:
    """Find the way between psoas and vessels.

    `figures` of the plan: ``corridor_mm`` and ``window_mm`` (both in the disc mid-plane; the window as the first way sees it),
    ``angle_deg`` of the first way to the coronal plane, in the axial plane (0 from the side, 90 from the front), ``retract_psoas_mm`` and
    ``retract_vessel_mm`` (how much the psoas must be moved aside for it, and how much the nearest vessel, to leave its margin), ``vessel``
    (which that is), ``corridor`` (which way this is: see `kambin.planning.oblique_window.Window.kind`), and ``retract_viscera_mm``.

    Raises
    ------
    NotMeasurable
        When neither psoas nor vessels are labelled, or bone bars every direction.
    """
    aside = {each: around.all_fields.of(each) for each in approach_obstacles(model, around.segment, around.side) if each.group == "psoas"}
    viscera = {each: field for each, field in around.fields.items() if each.group == "viscera"}
    if not aside and not around.group("vessel"):
        raise NotMeasurable(f"neither the {around.side} psoas nor great vessels are labelled")
    standing = [each for each in around.fields if _stands_on(around, each)]
    deciding = {each: field for each, field in around.fields.items() if each not in viscera and each not in standing} | aside
    about = replace(around, fields=deciding, reamable=None, missing=_missing(model, around, bool(aside)))
    channels = _best(about, [around.fields[each] for each in standing], wishes)
    ways = tuple(described(model, about, channel, wishes) for channel in channels)
    first = ways[0]
    figures, evidence, told = _figures(model, about, first, wishes)
    swept = [around.clearance(first.channel, each) for each in viscera]
    figures["retract_viscera_mm"] = max((max(0.0, -room_of(each)) for each in swept), default=None)
    told += [_swept(each, wishes) for each in swept if room_of(each) < -_NOTHING_MM]
    return Plan(
        around.segment.name,
        around.side,
        OBLIQUE,
        around.frame,
        wishes,
        around.frame.origin_mm,
        verdict_on(first, wishes),
        ways,
        figures=figures,
        evidence=evidence,
        not_seen=about.missing,
        unsure=about.unsure,
        warnings=(*first_warnings(about, ways), *told, *_unseen(viscera)),
    )


def _stands_on(around: Around, obstacle: Obstacle) -> bool:
    own = (around.segment.upper.solid, around.segment.lower.solid)
    return obstacle.group == "bone" and any(solid is each for solid in obstacle.solids for each in own)


def _missing(model: SpineModel, around: Around, has_psoas: bool) -> tuple[str, ...]:
    """What this way should keep clear of and does not: what lies behind the foramen is not near it.

    A great vessel that is labelled elsewhere but not beside this disc is not seen here: nothing keeps clear of it.
    """
    near = [name for name in around.missing if "exiting" in name or "iliac" in name]
    if not has_psoas:
        near.append(f"{around.side} psoas")
    if not around.group("vessel"):
        return (*near, "great vessels")
    there = sections(model, around.segment, around.side)
    trunk, branch = (Kind.AORTA, Kind.ILIAC_ARTERY) if around.side is Side.LEFT else (Kind.VENA_CAVA, Kind.ILIAC_VEIN)
    names = [Structure(trunk).label, Structure(branch, None, around.side).label]
    if not any(name in there for name in names):
        near.append(f"{' or '.join(names)} at {around.segment.name}")
    return tuple(near)


def _swept(each: Clearance, wishes: Wishes) -> str:
    """How far an organ must be moved; what a field does not reach is told as such."""
    most = REACH_MM + wishes.radius_mm - _NOTHING_MM
    more = " or more" if -room_of(each) > most else ""
    return f"The {each.obstacle.name} lies {-room_of(each):.0f} mm{more} in the way and must be swept forwards."


def _unseen(viscera: dict[Obstacle, DistanceField]) -> Iterator[str]:
    unseen = "Ureter and sympathetic trunk are" if viscera else "Bowel, kidney, ureter and sympathetic trunk are"
    yield f"{unseen} not among the labels: look for them."


def _best(about: Around, standing: list[DistanceField], wishes: Wishes) -> list[Channel]:
    """The best tubes of a grid of all directions, each then looked about more finely; different from one another."""
    free = about.free(wishes.margins_mm)
    grid = about.all_fields.lattice_about(about.region.corners_mm(about.frame, about.side))
    bone = about.all_fields.lowest(standing, grid=grid) if standing else None
    aims = _aims(about, wishes.cone)
    (alpha_step, cranial_step), (alpha_fine, cranial_fine) = _STEPS_DEG
    alpha, cranial = (_axis(*span, step) for span, step in ((wishes.cone.alpha_deg, alpha_step), (wishes.cone.cranial_deg, cranial_step)))
    found: list[tuple[float, Channel]] = []
    tubes = [_tried(about, free, bone, aim, alpha, cranial, wishes) for aim in aims]
    coarse = [
        (float(each.worth[index]), each, index) for each in tubes for index in range(len(each.worth)) if np.isfinite(each.worth[index])
    ]
    if not coarse:
        raise NotMeasurable(f"bone of {about.segment.upper.level} and {about.segment.lower.level} bars every way from the {about.side}")
    coarse.sort(key=lambda each: -each[0])
    channels = [_channel(each, index, wishes) for _, each, index in coarse]
    for chosen in distinct(channels)[:_ALTERNATIVES]:
        _, each, index = coarse[chosen]
        fine = _tried(
            about,
            free,
            bone,
            aims[tubes.index(each)],
            np.clip(each.alpha_deg[index] + np.arange(-alpha_step, alpha_step + 1e-9, alpha_fine), *wishes.cone.alpha_deg),
            np.clip(each.cranial_deg[index] + np.arange(-cranial_step, cranial_step + 1e-9, cranial_fine), *wishes.cone.cranial_deg),
            wishes,
        )
        best = int(fine.worth.argmax())
        found.append((float(fine.worth[best]), _channel(fine, best, wishes)))
    found.sort(key=lambda each: -each[0])
    refined = [channel for _, channel in found]
    return [refined[index] for index in distinct(refined)]


def _axis(low: float, high: float, step: float) -> FloatArray:
    return np.linspace(low, high, round((high - low) / step) + 1)


def _aims(about: Around, cone: Cone) -> list[FloatArray]:
    """Points of the disc mid-plane within the tolerance of its centre, the centre first."""
    count = int(cone.tolerance_mm / cone.target_step_mm + 1e-9)
    steps = cone.target_step_mm * np.arange(-count, count + 1)
    places = [
        np.array([right, anterior, 0.0]) for right in steps for anterior in steps if np.hypot(right, anterior) <= cone.tolerance_mm + 1e-9
    ]
    return [about.frame.world(place) for place in sorted(places, key=lambda place: float(np.linalg.norm(place)))]


def _channel(tubes: _Tubes, index: int, wishes: Wishes) -> Channel:
    return Channel(tubes.starts_mm[index], tubes.directions[index], wishes.radius_mm, wishes.length_mm)


def _tried(
    about: Around, free: DistanceField, bone: DistanceField | None, aim: FloatArray, alpha: FloatArray, cranial: FloatArray, wishes: Wishes
) -> _Tubes:
    """Tubes of all those angles with their worth: minus infinity where bone bars them."""
    a, c = (each.ravel() for each in np.meshgrid(alpha, cranial, indexing="ij"))
    directions = direction_of(about.frame, about.side, a, c)
    starts = aim + _border_mm(about, aim, directions)[:, None] * directions
    radius, length = wishes.radius_mm, wishes.length_mm
    slack = room_along(free, starts, directions, radius, length)
    worth = np.minimum(slack, ENOUGH_MM) - _TILT_SHARE * np.abs(c) - _FRONT_SHARE * np.maximum(-a - _FRONT_DEG, 0.0)
    for obstacle in about.group("psoas"):
        within = min(radius, REACH_MM)
        moved = within - lowest_along(about.fields[obstacle], starts, directions, length)[0]
        worth -= _PSOAS_SHARE * np.where(slack >= 0, np.maximum(moved, 0.0), 0.0)
    # whatever keeps its margins is better than whatever does not
    worth[slack < 0] -= 1e3
    if bone is not None:
        beyond = radius + _STANDING_MM
        apart = lowest_along(bone, starts + beyond * directions, directions, length)[0]
        worth[apart < min(radius, REACH_MM - 0.5)] = -np.inf
    return _Tubes(starts, directions, a, c, worth)


def _border_mm(about: Around, aim: FloatArray, directions: FloatArray) -> FloatArray:
    """How far from a point in the disc its border lies along directions, to some hundredths, shape (n,)."""
    steps = np.arange(0.0, _FARTHEST_BORDER_MM, 0.5)
    level = about.segment.disc.sample(aim + steps[:, None] * directions[:, None]).astype(np.float64)
    inside = level < 0
    if not inside.any(axis=1).all():
        raise NotMeasurable(f"the {about.segment.name} disc does not hold its own centre")
    last = np.minimum(len(steps) - 2, len(steps) - 1 - inside[:, ::-1].argmax(axis=1))
    rows = np.arange(len(level))
    here, after = level[rows, last], level[rows, last + 1]
    return np.asarray(steps[last] + 0.5 * np.clip(here / (here - after), 0.0, 1.0))


def _figures(model: SpineModel, about: Around, first: WayIn, wishes: Wishes) -> tuple[dict[str, float | str | None], Evidence, list[str]]:
    """What is known of the first way, what to draw of it, and what could not be told."""
    segment, side, frame = about.segment, about.side, about.frame
    told: list[str] = []
    aim = frame.origin_mm
    angle = -first.channel.alpha_deg(frame)
    across: float | None = None
    drawn = Evidence()
    try:
        across, drawn = corridor(model, segment, side)
    except NotMeasurable as reason:
        told.append(f"The corridor's width is unknown: {reason}.")
    seen: Window | None = None
    # the axis is led past the centre where a tolerance allows it
    through = frame.local(first.channel.target_mm)[:2]
    try:
        seen = window(segment, side, sections(model, segment, side), through - through @ _out(about, angle) * _out(about, angle), angle)
    except NotMeasurable as reason:
        told.append(f"The window is unknown: {reason}.")
    psoas = [each for each in first.clearances if each.obstacle.group == "psoas"]
    vessels = [each for each in first.clearances if each.obstacle.group == "vessel"]
    nearest = min(vessels, key=room_of, default=None)
    margin = wishes.margins_mm["vessel"]
    figures: dict[str, float | str | None] = {
        "corridor_mm": across,
        "window_mm": None if seen is None else seen.width_mm,
        "angle_deg": angle,
        "retract_psoas_mm": max((max(0.0, -room_of(each)) for each in psoas), default=None),
        "retract_vessel_mm": None if nearest is None else max(0.0, margin - room_of(nearest)),
        "vessel": None if nearest is None else nearest.obstacle.name,
        "corridor": None if seen is None else seen.kind,
    }
    points = [*drawn.points, EvidencePoint("disc centre", aim)]
    curves = [*drawn.curves, EvidenceCurve("way", np.stack([aim, first.channel.at(60.0)]))]
    curves += [EvidenceCurve("disc", in_plane(segment, loop), closed=True) for loop in segment.disc.section(frame).loops]
    shown = {curve.name for curve in drawn.curves}
    for name, section in sections(model, segment, side).items():
        curves += [EvidenceCurve(name, in_plane(segment, loop), closed=True) for loop in section.loops if name not in shown]
    if seen is not None:
        points += [EvidencePoint(f"window: {seen.behind}", seen.ends_mm[0]), EvidencePoint(f"window: {seen.before}", seen.ends_mm[1])]
        curves.append(EvidenceCurve("window", seen.ends_mm, role="measure"))
    return figures, Evidence(tuple(points), tuple(curves), facts=drawn.facts, view="axial"), told


def _out(about: Around, angle_deg: float) -> FloatArray:
    angle = np.radians(angle_deg)
    return np.array([about.side.sign * np.cos(angle), np.sin(angle)])
