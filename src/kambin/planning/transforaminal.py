"""Ways in through one foramen for an endoscope's channel: as published, and the best that a search finds."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray
from kambin.measurement.result import Evidence, EvidencePoint
from kambin.planning.around import Around
from kambin.planning.channel import Channel, direction_of
from kambin.planning.entry_map import EntryMap, entry_map, skin_distances_mm
from kambin.planning.placement import judge
from kambin.planning.reaming import about_reamed_mm3
from kambin.planning.result import Plan
from kambin.planning.search import Lines, distinct, joined, roomiest_lines, sweep, targets_about
from kambin.planning.target import point_b_mm
from kambin.planning.warning import first_warnings
from kambin.planning.way import described
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel

TRANSFORAMINAL = "tf-peld"
ENOUGH_MM = 2.0
"""Room beyond the margins that is worth having; more is not."""
BONE_MM3 = 150.0
"""So much bone to ream weighs as much as a millimetre of room."""
USUAL_LINE_B_MM, LINE_B_MM = (70.0, 130.0), 15.0
"""Where the skin is usually entered, from the midline (published mean 90 mm at L5/S1), and how far
outside of that weighs a millimetre of room."""
USUAL_DEPTH_MM, DEPTH_MM = 130.0, 20.0
"""A way to the skin that is longer than this costs, so much more a millimetre of room."""
USUAL_ALPHA_DEG, ALPHA_DEG = (25.0, 60.0), 5.0
"""The same of the angle to the coronal plane, where the skin is not known (published mean 40.5°)."""
_REFINED = 24
_ALTERNATIVES = 4


def plan_transforaminal(model: SpineModel, around: Around, wishes: Wishes) -> Plan:
    """Judge the published placement and search for better ones.

    Raises
    ------
    NotMeasurable
        When there is no pedicle or disc to aim at.
    """
    target = point_b_mm(around.segment, around.side)
    verdict, placement = judge(
        around,
        target,
        radius_mm=wishes.radius_mm,
        length_mm=wishes.length_mm,
        tilt_deg=wishes.tilt_deg,
        free_alpha_deg=wishes.free_alpha_deg,
    )
    published = described(model, around, placement.channel, wishes)
    channels, entries = _best_channels(model, around, target, wishes)
    ways = tuple(described(model, around, channel, wishes) for channel in channels)
    points = [EvidencePoint("b", target)]
    points += [] if placement.contact_mm is None else [EvidencePoint("c", placement.contact_mm)]
    points += [] if published.entry is None else [EvidencePoint("d", published.entry.point_mm)]
    return Plan(
        around.segment.name,
        around.side,
        TRANSFORAMINAL,
        around.frame,
        wishes,
        target,
        verdict,
        ways,
        published,
        figures={"published_alpha_deg": placement.alpha_deg},
        evidence=Evidence(tuple(points)),
        not_seen=around.missing,
        unsure=around.unsure,
        warnings=tuple(first_warnings(around, ways)),
        entry_map=entries,
    )


def _best_channels(model: SpineModel, around: Around, target_mm: FloatArray, wishes: Wishes) -> tuple[list[Channel], EntryMap]:
    """The best of a sweep of the whole cone and of a search for the roomiest line, different from one another; and the sweep's map."""
    free = around.free(wishes.margins_mm)
    targets = targets_about(around.frame, target_mm, wishes.cone)
    looks = (free, around.frame, around.side, targets, wishes.cone, wishes.length_mm)
    swept = sweep(*looks)
    lines = joined(swept, roomiest_lines(*looks, enough_mm=wishes.radius_mm + ENOUGH_MM))
    entries = entry_map(model, around.frame, around.side, target_mm, swept, wishes.radius_mm)
    worth = _worth(around, lines, wishes) - _entry_cost_mm(model, around, target_mm, entries, lines)
    order = np.argsort(-worth, kind="stable")
    channels = [lines.channel(index, around.frame, around.side, wishes.radius_mm, wishes.length_mm) for index in order[: 40 * _REFINED]]
    return [channels[index] for index in distinct(channels)[:_ALTERNATIVES]], entries


def _worth(around: Around, lines: Lines, wishes: Wishes) -> FloatArray:
    """What lines are worth, in millimetres of room: room up to enough of it, less the bone to ream. Conflicts outweigh all else."""
    room = lines.slack_mm - wishes.radius_mm
    worth = np.minimum(room, ENOUGH_MM)
    free = np.flatnonzero(room >= 0)
    if around.reamable is not None and len(free):
        directions = direction_of(around.frame, around.side, lines.alpha_deg[free], lines.cranial_deg[free])
        bone = about_reamed_mm3(around.reamable[1], lines.targets_mm[free], directions, wishes.radius_mm, min(wishes.length_mm, 60.0))
        worth[free] -= bone / BONE_MM3
    # whatever keeps its margins is better than whatever does not
    worth[room < 0] -= 1e3
    return worth


def _entry_cost_mm(model: SpineModel, around: Around, target_mm: FloatArray, entries: EntryMap, lines: Lines) -> FloatArray:
    """What the way to the skin costs, in millimetres of room: an entry nearer to the midline or further from it than is usual, and depth.

    Where the skin is not known, an unusual angle instead.
    """
    frame = around.frame
    directions = direction_of(frame, around.side, entries.alpha_deg[:, None], entries.cranial_deg[None, :])
    entry = frame.local(target_mm + entries.skin_mm[..., None] * directions)
    middle = target_mm - float(frame.local(target_mm)[0]) * frame.right
    behind = frame.local(middle - skin_distances_mm(model, middle, -frame.anterior) * frame.anterior)
    line_b = np.hypot(entry[..., 0] - behind[0], entry[..., 1] - behind[1])
    cost = _beyond(line_b, USUAL_LINE_B_MM) / LINE_B_MM + np.maximum(entries.skin_mm - USUAL_DEPTH_MM, 0.0) / DEPTH_MM
    by_angle = _beyond(entries.alpha_deg, USUAL_ALPHA_DEG)[:, None] / ALPHA_DEG
    cost = np.where(np.isfinite(cost), cost, by_angle)
    alpha = np.abs(lines.alpha_deg[:, None] - entries.alpha_deg).argmin(axis=1)
    cranial = np.abs(lines.cranial_deg[:, None] - entries.cranial_deg).argmin(axis=1)
    return np.asarray(cost[alpha, cranial])


def _beyond(values: FloatArray, usual: tuple[float, float]) -> FloatArray:
    """How far values lie outside a range."""
    return np.asarray(np.maximum(np.maximum(usual[0] - values, values - usual[1]), 0.0))
