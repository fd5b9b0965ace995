"""The way to a disc from behind, between the laminae (interlaminar endoscopy): what Group B is advised.

A straight channel ends 2 mm behind the disc's posterior border, at the shoulder of the traversing root: where, outwards from the middle,
the border is first covered by neither dural sac nor root. From there all targets within a tolerance and all directions of a cone are tried.
Root and sac are moved towards the middle by the channel itself, as in practice, by 3 mm at most: that is a margin of -3 mm, a choice. Bone
may be grazed by a millimetre, which one bite of a punch takes. Where no channel keeps all margins the one comes first that spares nerve and
sac and takes the least bone (laminotomy).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kambin.anatomy.structures import Kind, Side
from kambin.geometry import FloatArray
from kambin.measurement.interlaminar_window import interlaminar_height, interlaminar_width
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable
from kambin.planning.around import Around, Region
from kambin.planning.channel import Channel, direction_of
from kambin.planning.field import DistanceField
from kambin.planning.lowest import lowest_along
from kambin.planning.obstacles import approach_obstacles
from kambin.planning.reaming import about_reamed_mm3, inside_mm3
from kambin.planning.result import Plan
from kambin.planning.search import Cone, Lines, distinct, joined, roomiest_lines, sweep, targets_about
from kambin.planning.target import medial_pedicle_line_mm, posterior_border_mm
from kambin.planning.warning import first_warnings
from kambin.planning.way import WayIn, described, room_of, verdict_on
from kambin.planning.wishes import Wishes
from kambin.spine import MotionSegment, SpineModel

INTERLAMINAR = "interlaminar"
POSTERIOR = Region(60.0, 60.0, 130.0, 10.0, 75.0, 75.0)
"""Of ways from behind."""
INTERLAMINAR_WISHES = Wishes(
    margins_mm={"nerve": -3.0, "dura": -3.0, "bone": -1.0, "iap": -1.0},
    cone=Cone(alpha_deg=(60.0, 90.0), cranial_deg=(-45.0, 20.0), tolerance_mm=4.0),
)
"""A channel of 8 mm that comes from no further than 30° to either side."""

ENOUGH_MM = 2.0
"""Room beyond the margins that is worth having; more is not."""
_BEHIND_MM = 2.0
"""Between the disc's border and the channel's end."""
_BONE_MM3 = 150.0
"""So much bone to take weighs as much as a millimetre of room."""
_SHOULDER_MM = 2.5
"""So far towards the middle from the medial line of the pedicles the shoulder lies: 2.4 mm in the mean patient, 2 to 4 mm in others."""
_BONE = ("bone", "iap", "transverse")
_SOFT = ("nerve", "dura")
_STEP_DEG = 3.0
_LAMINA_MM = 80.0
"""Further out than this from its end a channel meets no lamina."""
_LOOKED_AT = 1000
_ALTERNATIVES = 3


def plan_interlaminar(model: SpineModel, around: Around, wishes: Wishes) -> Plan:
    """Search for the way between the laminae.

    `figures` of the plan: ``window_width_mm`` and ``window_height_mm`` (the measures IWw and IWh), and of the first way ``retract_mm`` (how
    far the channel reaches into the resting place of root and dural sac) and ``bone_mm3`` (how much bone lies in it).

    Raises
    ------
    NotMeasurable
        When the disc does not reach out to where the way would end.
    """
    segment, side = around.segment, around.side
    about = _about(model, around)
    shoulder, told = _shoulder_mm(model, about)
    inner = shoulder - (wishes.radius_mm + _BEHIND_MM) * around.frame.anterior
    ways = tuple(described(model, about, channel, wishes) for channel in _best(about, inner, wishes))
    first = ways[0]
    touched = [max(0.0, -room_of(each)) for each in first.clearances if each.obstacle.group in _SOFT]
    bone = sum(inside_mm3(first.channel, [vertebra.solid]) for vertebra in (segment.upper, segment.lower))
    if bone > 0 and first.keeps_margins:
        told.append(f"The channel grazes {bone:.0f} mm³ of the laminae's edges.")
    elif bone > 0:
        told.append(f"{bone:.0f} mm³ of bone lie in the way and would have to be taken first (laminotomy).")
    width, height, drawn = _window(segment, side, told)
    return Plan(
        segment.name,
        side,
        INTERLAMINAR,
        around.frame,
        wishes,
        shoulder,
        verdict_on(first, wishes),
        ways,
        figures={
            "window_width_mm": width,
            "window_height_mm": height,
            "retract_mm": max(touched, default=None),
            "bone_mm3": bone,
        },
        evidence=_evidence(about, shoulder, first, drawn),
        not_seen=about.missing,
        unsure=about.unsure,
        warnings=(*_unseen(about), *first_warnings(replace(about, missing=_less_telling(about)), ways), *told),
    )


def _about(model: SpineModel, around: Around) -> Around:
    """What a way from behind keeps clear of: the process that others ream too, and not the canal, which it enters."""
    canal, sac = model.solid(Kind.SPINAL_CANAL), model.solid(Kind.DURAL_SAC)
    fields = {each: field for each, field in around.fields.items() if canal is None or sac is not None or canal not in each.solids}
    for each in approach_obstacles(model, around.segment, around.side):
        if each.group == "bone":
            fields[each] = around.all_fields.of(each)
    unseen = ("dural sac",) if sac is None and "dural sac" not in around.missing else ()
    return replace(around, fields=fields, reamable=None, missing=(*around.missing, *unseen))


def _shoulder_mm(model: SpineModel, about: Around) -> tuple[FloatArray, list[str]]:
    """Where the disc's posterior border is first bare outside the traversing root and the sac; and how it was found instead, if not so."""
    segment, side = about.segment, about.side
    soft = [model.solid(Kind.DURAL_SAC), model.solid(Kind.NERVE_ROOT, segment.lower.level, side)]
    cuts = [solid.section(segment.frame).points for solid in soft if solid is not None]
    reach = [float((side.sign * points[:, 0]).max()) for points in cuts if len(points)]
    if reach:
        return posterior_border_mm(segment, side.sign * max(reach), "the shoulder of the traversing root"), []
    beside = side.sign * medial_pedicle_line_mm(segment, side) - _SHOULDER_MM
    told = "Neither dural sac nor traversing root is seen at the disc: the way ends where the shoulder usually lies beside the pedicles."
    return posterior_border_mm(segment, side.sign * beside, "the medial line of the pedicles"), [told]


def _best(about: Around, inner_mm: FloatArray, wishes: Wishes) -> list[Channel]:
    """The best of a sweep of the cone, to either side, and of a search for the roomiest line; different from one another."""
    free, frame = about.free(wishes.margins_mm), about.frame
    grid = about.all_fields.lattice_about(about.region.corners_mm(frame, about.side))
    spared = {each: field for each, field in about.fields.items() if each.group not in _BONE}
    soft = about.all_fields.lowest(spared.values(), [wishes.margins_mm[each.group] for each in spared], grid)
    bone = about.all_fields.lowest([field for each, field in about.fields.items() if each not in spared], grid=grid)
    targets = targets_about(frame, inner_mm, wishes.cone)
    if not any(about.group(key) for key in _SOFT):  # what lies further in is not seen, so it is not gone to
        targets = targets[about.side.sign * (targets - inner_mm) @ frame.right > -1e-6]
    found: list[tuple[float, Channel]] = []
    for towards in (about.side, about.side.opposite):
        looks = (free, frame, towards, targets, wishes.cone, wishes.length_mm)
        lines = joined(sweep(*looks, step_deg=_STEP_DEG), roomiest_lines(*looks, enough_mm=wishes.radius_mm + ENOUGH_MM, last_step_deg=0.5))
        worth = _worth(about, towards, lines, soft, bone, wishes)
        for index in np.argsort(-worth, kind="stable")[:_LOOKED_AT]:
            found.append((float(worth[index]), lines.channel(int(index), frame, towards, wishes.radius_mm, wishes.length_mm)))
    found.sort(key=lambda each: -each[0])
    channels = [channel for _, channel in found]
    return [channels[index] for index in distinct(channels)[:_ALTERNATIVES]]


def _worth(about: Around, towards: Side, lines: Lines, soft: DistanceField, bone: DistanceField, wishes: Wishes) -> FloatArray:
    """What lines are worth, in millimetres of room. One that keeps all margins beats one that takes bone, and that beats any other."""
    room = lines.slack_mm - wishes.radius_mm
    worth = np.minimum(room, ENOUGH_MM)
    short = np.flatnonzero(room < 0)
    directions = direction_of(about.frame, towards, lines.alpha_deg[short], lines.cranial_deg[short])
    starts = lines.targets_mm[short]
    spare = lowest_along(soft, starts, directions, wishes.length_mm)[0].astype(np.float64) - wishes.radius_mm
    worth[short] -= 1e3
    spares = np.flatnonzero(spare >= 0)
    taken = about_reamed_mm3(bone, starts[spares], directions[spares], wishes.radius_mm, _LAMINA_MM)
    worth[short[spares]] = -1e2 - taken / _BONE_MM3
    return worth


def _unseen(about: Around) -> list[str]:
    root = f"traversing {about.segment.lower.level} root"
    absent = root in about.missing and root not in {each.name for each in about.fields}
    return [f"The {root} was not seen: it is not among the labels, and nothing here keeps clear of it."] if absent else []


def _less_telling(about: Around) -> tuple[str, ...]:
    """What else is missing: a root that was told of already is not told of again."""
    return tuple(name for name in about.missing if not (_unseen(about) and "traversing" in name))


def _window(segment: MotionSegment, side: Side, told: list[str]) -> tuple[float | None, float | None, tuple[Evidence, ...]]:
    """Width and height of the window between the laminae, and where they were taken; what could not be is told."""
    width = height = None
    drawn = []
    try:
        width, evidence = interlaminar_width(segment)
        drawn.append(evidence)
    except NotMeasurable as reason:
        told.append(f"The window's width is unknown: {reason}.")
    try:
        height, evidence = interlaminar_height(segment, side)
        drawn.append(evidence)
    except NotMeasurable as reason:
        told.append(f"The window's height is unknown: {reason}.")
    return width, height, tuple(drawn)


def _evidence(about: Around, shoulder_mm: FloatArray, first: WayIn, drawn: tuple[Evidence, ...]) -> Evidence:
    points = [EvidencePoint("shoulder", shoulder_mm), *(point for each in drawn for point in each.points)]
    curves = [EvidenceCurve("way", np.stack([first.channel.target_mm, first.channel.at(_LAMINA_MM)]))]
    curves += [curve for each in drawn for curve in each.curves]
    cut = [(each.name, solid) for each in about.fields if each.group in _SOFT for solid in each.solids]
    cut.append(("disc", about.segment.disc))
    for name, solid in cut:
        for loop in solid.section(about.frame).loops:
            outline = about.frame.world(np.column_stack([loop, np.zeros(len(loop))]))
            curves.append(EvidenceCurve(name, outline, closed=True))
    return Evidence(tuple(points), tuple(curves), view="coronal")
