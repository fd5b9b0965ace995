"""Ways in through one foramen for an endoscope's channel: as published, and the best that a search finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kambin.geometry import FloatArray
from kambin.measurement.result import NotMeasurable
from kambin.planning.around import Around, Clearance
from kambin.planning.channel import Channel, direction_of
from kambin.planning.entry import Entry, skin_entry
from kambin.planning.obstacles import MARGINS_MM
from kambin.planning.placement import Verdict, judge
from kambin.planning.reaming import about_reamed_mm3, reamed_mm3
from kambin.planning.search import Cone, Lines, distinct, joined, less_margins, roomiest_lines, sweep, targets_about
from kambin.planning.target import point_b_mm
from kambin.spine import SpineModel

ENOUGH_MM = 2.0
"""Room beyond the margins that is worth having; more is not."""
BONE_MM3 = 150.0
"""So much bone to ream weighs as much as a millimetre of room."""
_REFINED = 24
_ALTERNATIVES = 4


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a surgeon asks of a transforaminal way in.

    Parameters
    ----------
    radius_mm, length_mm
        Of the working channel.
    margins_mm
        Room to leave, by group; see `kambin.planning.obstacles.MARGINS_MM`.
    cone
        Where to look.
    tilt_deg, free_alpha_deg
        Of the published placement; see `place_as_published`.
    """

    radius_mm: float = 4.0
    length_mm: float = 150.0
    margins_mm: Mapping[str, float] = field(default_factory=lambda: dict(MARGINS_MM))
    cone: Cone = field(default_factory=Cone)
    tilt_deg: float = 0.0
    free_alpha_deg: float = 40.0


@dataclass(frozen=True, eq=False)
class WayIn:
    """One channel with all that is known about it.

    Parameters
    ----------
    channel
        Where it lies.
    entry
        Where it meets the skin, or None.
    entry_reason
        Why there is none.
    clearances
        To every structure, the tightest first.
    slack_mm
        The least clearance less the margin of its group: negative where a margin is not kept.
    reamed_mm3
        Bone of the superior articular process in its way; None where the model has none by itself.
    """

    channel: Channel
    entry: Entry | None
    entry_reason: str | None
    clearances: tuple[Clearance, ...]
    slack_mm: float
    limiting: str | None
    reamed_mm3: float | None


@dataclass(frozen=True, eq=False)
class TransforaminalPlan:
    """The plan of one foramen.

    Parameters
    ----------
    around
        The foramen and what it is surrounded by.
    wishes
        What was asked.
    target_mm
        Point *b*, RAS.
    verdict
        Group A or B by the published placement.
    published
        That placement.
    ways
        What the search found, best first, each different from the others by 5° or 5 mm. The first has the least conflict where no way keeps
        all margins.
    """

    around: Around
    wishes: Wishes
    target_mm: FloatArray
    verdict: Verdict
    published: WayIn
    ways: tuple[WayIn, ...]


def plan_transforaminal(model: SpineModel, around: Around, wishes: Wishes | None = None) -> TransforaminalPlan:
    """Judge the published placement and search for better ones.

    Raises
    ------
    NotMeasurable
        When there is no pedicle or disc to aim at.
    """
    asked = Wishes() if wishes is None else wishes
    target = point_b_mm(around.segment, around.side)
    verdict = judge(
        around,
        target,
        radius_mm=asked.radius_mm,
        length_mm=asked.length_mm,
        tilt_deg=asked.tilt_deg,
        free_alpha_deg=asked.free_alpha_deg,
    )
    published = _described(model, around, verdict.placement.channel, asked)
    ways = tuple(_described(model, around, channel, asked) for channel in _best_channels(around, target, asked))
    return TransforaminalPlan(around, asked, target, verdict, published, ways)


def _described(model: SpineModel, around: Around, channel: Channel, asked: Wishes) -> WayIn:
    clearances = around.clearances(channel)
    rooms = [(each.room_mm - asked.margins_mm[each.obstacle.group], each.obstacle.name) for each in clearances if each.room_mm is not None]
    slack, limiting = min(rooms, default=(float("inf"), None))
    try:
        entry, reason = skin_entry(model, around.frame, channel), None
    except NotMeasurable as why:
        entry, reason = None, str(why)
    reamed = None if around.reamable is None else reamed_mm3(channel, around.reamable[0], around.frame)
    return WayIn(channel, entry, reason, clearances, slack, limiting, reamed)


def _best_channels(around: Around, target_mm: FloatArray, asked: Wishes) -> list[Channel]:
    """The best of a sweep of the whole cone and of a search for the roomiest line, refined, and different from one another."""
    free = less_margins(around.fields, {each: asked.margins_mm[each.group] for each in around.fields})
    targets = targets_about(around.frame, target_mm, asked.cone)
    looks = (free, around.frame, around.side, targets, asked.cone, asked.length_mm)
    lines = joined(sweep(*looks), roomiest_lines(*looks, enough_mm=asked.radius_mm + ENOUGH_MM))
    worth = _worth(around, lines, asked)
    order = np.argsort(-worth, kind="stable")
    channels = [lines.channel(index, around.frame, around.side, asked.radius_mm, asked.length_mm) for index in order[: 40 * _REFINED]]
    return [channels[index] for index in distinct(channels)[:_ALTERNATIVES]]


def _worth(around: Around, lines: Lines, asked: Wishes) -> FloatArray:
    """What lines are worth, in millimetres of room: room up to enough of it, less the bone to ream. Conflicts outweigh all else."""
    room = lines.slack_mm - asked.radius_mm
    worth = np.minimum(room, ENOUGH_MM)
    free = np.flatnonzero(room >= 0)
    if around.reamable is not None and len(free):
        directions = direction_of(around.frame, around.side, lines.alpha_deg[free], lines.cranial_deg[free])
        bone = about_reamed_mm3(around.reamable[1], lines.targets_mm[free], directions, asked.radius_mm, min(asked.length_mm, 60.0))
        worth[free] -= bone / BONE_MM3
    # whatever keeps its margins is better than whatever does not
    worth[room < 0] -= 1e3
    return worth
