"""Needles: epidural injection through the safe or the Kambin triangle, and radiofrequency at the disc's posterolateral border.

A needle reams nothing, so the superior articular process is an obstacle like all bone. Every plan says how a C-arm is turned to look down
the needle, and whether a needle held in an axial slice of the scan would have reached the same target: at L5/S1 under a high iliac crest
it often does not (`spinect`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.measurement.result import EvidencePoint
from kambin.planning.around import Around
from kambin.planning.carm import down_the_barrel, scan_frame
from kambin.planning.channel import Channel, direction_of
from kambin.planning.entry_map import entry_map
from kambin.planning.field import DistanceField
from kambin.planning.lowest import lowest_along
from kambin.planning.needle_aim import Aim, annulus_aim, kambin_aim, safe_aim
from kambin.planning.obstacles import Obstacle
from kambin.planning.result import Plan
from kambin.planning.search import Cone, Lines, joined, roomiest_lines, sweep
from kambin.planning.warning import first_warnings
from kambin.planning.way import NOT_POSSIBLE, POSSIBLE, WayIn, described, room_of, verdict_on
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel

SAFE_NEEDLE, KAMBIN_NEEDLE, RADIOFREQUENCY = "needle-safe", "needle-kambin", "rf"
GAUGE_MM = {18: 1.27, 20: 0.91, 22: 0.72, 25: 0.51}
"""Outer diameters of needles (ISO 9626)."""
EPIDURAL_WISHES = Wishes(
    radius_mm=GAUGE_MM[22] / 2,
    margins_mm={"nerve": 0.5, "vessel": 2.0, "bone": 0.0},
    cone=Cone(alpha_deg=(30.0, 85.0), cranial_deg=(-30.0, 35.0)),
)
"""An injection is made beside the root, in a triangle a few millimetres wide: half a millimetre is what it has to spare."""
RADIOFREQUENCY_WISHES = EPIDURAL_WISHES.but(
    margins_mm={"nerve": 1.0}, cone=Cone(alpha_deg=(30.0, 75.0), cranial_deg=(-30.0, 35.0), tolerance_mm=4.0, target_step_mm=2.0)
)
"""A needle that heats keeps further from the root, and may end anywhere on the posterolateral border."""
ENOUGH_MM = 1.5
"""Room beyond the margins that is worth having; more is not."""
OFF_CENTRE, TURN_DEG = 0.25, 20.0
"""A millimetre beside the target weighs as much as a quarter of a millimetre of room; so many degrees off the usual view (the endplates
edge-on, as oblique as the triangle is seen), one."""
NOTHING, NONE_ALONE = "nothing", "no one structure alone"
"""What bars a needle that is held in a slice, where it is not named."""
_ALTERNATIVES = 3
_ANGLE_DEG, _SHIFT_MM = 5.0, 5.0
_AXIAL_STEP_DEG = 1.0


def plan_safe_needle(model: SpineModel, around: Around, wishes: Wishes) -> Plan:
    """An epidural needle into the safe triangle, under the pedicle and above the exiting root.

    Raises
    ------
    NotMeasurable
        When the upper vertebra's body or pedicle was not found.
    """
    return _planned(SAFE_NEEDLE, model, around, wishes, safe_aim(model, around, wishes.cone, wishes.radius_mm))


def plan_kambin_needle(model: SpineModel, around: Around, wishes: Wishes) -> Plan:
    """An epidural needle into the Kambin triangle, before the disc and beneath the exiting root.

    Raises
    ------
    NotMeasurable
        When there is neither a triangle nor a pedicle to aim by.
    """
    return _planned(KAMBIN_NEEDLE, model, around, wishes, kambin_aim(model, around, wishes.cone, wishes.radius_mm))


def plan_radiofrequency(model: SpineModel, around: Around, wishes: Wishes) -> Plan:
    """A radiofrequency needle to the posterolateral border of the disc (`livf-l5s1`).

    Raises
    ------
    NotMeasurable
        When the disc has no outline to aim at.
    """
    return _planned(RADIOFREQUENCY, model, around, wishes, annulus_aim(around, wishes.cone))


def with_facet(around: Around) -> Around:
    """The same surroundings, with the superior articular process as bone to keep clear of."""
    if around.reamable is None:
        return around
    solid, field = around.reamable
    facet = Obstacle("bone", f"{around.segment.lower.level} superior articular process", (solid,))
    return replace(around, fields={**around.fields, facet: field}, reamable=None)


def _planned(approach: str, model: SpineModel, around: Around, wishes: Wishes, aim: Aim) -> Plan:
    around = with_facet(around)
    free = around.free(wishes.margins_mm)
    slices = scan_frame(model)
    looks = (free, around.frame, around.side, aim.targets_mm, wishes.cone, wishes.length_mm)
    swept = sweep(*looks)
    lines = joined(swept, roomiest_lines(*looks, enough_mm=wishes.radius_mm + ENOUGH_MM))
    ways = tuple(described(model, around, channel, wishes) for channel in _best_needles(around, lines, aim, wishes))
    held = {**_held_in("axial", slices, around, free, aim, wishes), **_held_in("disc_plane", around.frame, around, free, aim, wishes)}
    first = ways[0]
    points = [EvidencePoint("target", aim.targets_mm[0]), EvidencePoint("tip", first.channel.target_mm)]
    points += [] if first.entry is None else [EvidencePoint("entry", first.entry.point_mm)]
    return Plan(
        around.segment.name,
        around.side,
        approach,
        around.frame,
        wishes,
        aim.targets_mm[0],
        verdict_on(first, wishes),
        ways,
        figures={**_views(first, around, slices), **held},
        evidence=replace(aim.evidence, points=(*points, *aim.evidence.points)),
        not_seen=around.missing,
        unsure=around.unsure,
        warnings=(*first_warnings(around, ways), *([] if aim.warning is None else [aim.warning]), *_too_short(first, wishes)),
        entry_map=entry_map(model, around.frame, around.side, aim.targets_mm[0], swept, wishes.radius_mm),
    )


def _best_needles(around: Around, lines: Lines, aim: Aim, wishes: Wishes) -> list[Channel]:
    """The best line, and others that differ from it; those alone that keep all margins, where there are any, else the least conflict."""
    directions = direction_of(around.frame, around.side, lines.alpha_deg, lines.cranial_deg)
    room = lines.slack_mm - wishes.radius_mm
    turned = np.degrees(np.arccos(np.clip(-directions @ aim.view.anterior, -1.0, 1.0)))
    cost = OFF_CENTRE * aim.off_centre_mm(lines.targets_mm) + turned / TURN_DEG
    worth = np.where(room >= 0, np.minimum(room, ENOUGH_MM) - cost, -np.inf)
    if not (room >= 0).any():
        worth = np.where(room == room.max(), room, -np.inf)
    return _distinct(lines, directions, worth, wishes)


def _distinct(lines: Lines, directions: FloatArray, worth: FloatArray, wishes: Wishes) -> list[Channel]:
    """The most worthy line, then the most worthy of those that differ from all before, by an angle or at the target."""
    left = worth.copy()
    kept: list[Channel] = []
    while np.isfinite(left).any() and len(kept) < _ALTERNATIVES:
        best = int(left.argmax())
        kept.append(Channel(lines.targets_mm[best], directions[best], wishes.radius_mm, wishes.length_mm))
        turned = directions @ directions[best] <= np.cos(np.radians(_ANGLE_DEG))
        apart = np.linalg.norm(lines.targets_mm - lines.targets_mm[best], axis=1) >= _SHIFT_MM
        left[~(turned | apart)] = -np.inf
    return kept


def _held_in(name: str, plane: Frame, around: Around, free: DistanceField, aim: Aim, wishes: Wishes) -> dict[str, float | str | None]:
    """What becomes of a needle held in a frame's axial plane: of all such the roomiest, what it meets or is nearest to, and each structure
    without which one would pass."""
    low, high = wishes.cone.alpha_deg
    directions = direction_of(plane, around.side, np.arange(low, high + 1e-9, _AXIAL_STEP_DEG), 0.0)
    which, turn = (grid.ravel() for grid in np.indices((len(aim.targets_mm), len(directions))))
    starts, along = aim.targets_mm[which], directions[turn]
    best = int(lowest_along(free, starts, along, wishes.length_mm)[0].argmax())
    needle = Channel(starts[best], along[best], wishes.radius_mm, wishes.length_mm)
    rooms = sorted((room_of(each) - wishes.margins_mm[each.obstacle.group], each.obstacle.name) for each in around.clearances(needle))
    slack, nearest = rooms[0]
    met = [obstacle for room, obstacle in rooms if room < 0] or [nearest]
    return {
        f"{name}_plan_verdict": NOT_POSSIBLE if slack < 0 else POSSIBLE,
        f"{name}_barred_by": ", ".join(_bars(around, starts, along, wishes)) or NONE_ALONE if slack < 0 else NOTHING,
        f"{name}_limiting": ", ".join(met) if np.isfinite(slack) else None,
        f"{name}_slack_mm": slack if np.isfinite(slack) else None,
    }


def _bars(around: Around, starts_mm: FloatArray, directions: FloatArray, wishes: Wishes) -> list[str]:
    """The structures without which one of several needles, that all meet something, would keep all margins."""
    kept = [wishes.margins_mm[each.group] + wishes.radius_mm for each in around.fields]
    found = [lowest_along(field, starts_mm, directions, wishes.length_mm)[0] for field in around.fields.values()]
    room = np.stack(found) - np.array(kept)[:, None]
    without = [np.delete(room, index, axis=0).min(axis=0, initial=np.inf).max() for index in range(len(room))]
    return [each.name for each, best in zip(around.fields, without, strict=True) if best >= 0]


def _views(way: WayIn, around: Around, slices: Frame) -> dict[str, float]:
    """The C-arm's angles down the needle, from the segment's directions and from the scan's."""
    own, lying = (down_the_barrel(way.channel.direction, frame, around.side) for frame in (around.frame, slices))
    return {
        "oblique_deg": own.oblique_deg,
        "cranio_caudal_deg": own.cranio_caudal_deg,
        "scan_oblique_deg": lying.oblique_deg,
        "scan_cranio_caudal_deg": lying.cranio_caudal_deg,
    }


def _too_short(way: WayIn, wishes: Wishes) -> list[str]:
    if way.entry is None or way.entry.depth_mm <= wishes.length_mm:
        return []
    return [f"The skin is {way.entry.depth_mm:.0f} mm from the target: a needle of {wishes.length_mm:.0f} mm does not reach."]
