"""Plans as JSON: every way in with its geometry, clearances and verdict, and for what was not planned the reason.

Positions are RAS millimetres, and the file says so. Described in ``docs/formats.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kambin.io.measurements_json import head
from kambin.io.plain import json_text, plain
from kambin.planning.around import Clearance
from kambin.planning.entry import Entry
from kambin.planning.result import Plan, Plans
from kambin.planning.way import WayIn
from kambin.spine import Doubt

SCHEMA = "kambin.plan/1"


def write_plan_json(plans: Plans, path: str | Path, *, doubts: Iterable[Doubt] = (), version: str = "") -> None:
    """Write all plans.

    Parameters
    ----------
    plans
        What was planned, and what not and why.
    path
        The file to write.
    doubts
        Doubts about the model as a whole, worst first.
    version
        Kambin's version.
    """
    document = {
        **head(SCHEMA, version, plans.provenance, doubts),
        "plans": [_plan(plan) for plan in plans.plans],
        "not_planned": [
            {"level": level, "side": side.value, "approach": approach, "reason": reason}
            for (level, side, approach), reason in plans.reasons.items()
        ],
    }
    Path(path).write_text(json_text(document), encoding="utf-8")


def _plan(plan: Plan) -> dict[str, Any]:
    asked = plan.wishes
    return {
        "level": plan.level,
        "side": plan.side.value,
        "approach": plan.approach,
        "warnings": list(plan.warnings),
        "not_seen": list(plan.not_seen),
        "verdict": plan.verdict.word,
        "group": plan.verdict.word if plan.published else None,
        "firm": plan.verdict.is_firm,
        "touched": [_clearance(each) for each in plan.verdict.touched],
        "changes": [{"structure": c.structure, "shift_mm": c.shift_mm, "becomes": c.becomes} for c in plan.verdict.changes],
        "asked": {
            "radius_mm": asked.radius_mm,
            "length_mm": asked.length_mm,
            "margins_mm": dict(asked.margins_mm),
            "alpha_deg": list(asked.cone.alpha_deg),
            "cranial_deg": list(asked.cone.cranial_deg),
            "tolerance_mm": asked.cone.tolerance_mm,
        },
        "target_mm": plain(plan.target_mm),
        "figures": plain(dict(plan.figures)),
        "points": {point.name: plain(point.position_mm) for point in plan.evidence.points},
        "published": None if plan.published is None else _way(plan, plan.published),
        "ways": [_way(plan, way) for way in plan.ways],
    }


def _way(plan: Plan, way: WayIn) -> dict[str, Any]:
    frame = plan.frame
    return {
        "target_mm": plain(way.channel.target_mm),
        "direction": plain(way.channel.direction),
        "radius_mm": way.channel.radius_mm,
        "length_mm": way.channel.length_mm,
        "alpha_deg": way.channel.alpha_deg(frame),
        "cranial_deg": way.channel.cranial_deg(frame),
        **_entry(way.entry, way.entry_reason),
        "clearance_mm": {each.obstacle.name: each.room_mm for each in way.clearances if each.room_mm is not None},
        "clearances": [_clearance(each) for each in way.clearances if each.room_mm is not None],
        "slack_mm": plain(way.slack_mm),
        "limiting": way.limiting,
        "reamed_mm3": way.reamed_mm3,
    }


def _entry(entry: Entry | None, reason: str | None) -> Mapping[str, Any]:
    if entry is None:
        return {"entry_mm": None, "entry_reason": reason, "depth_mm": None, "line_b_mm": None, "line_b_arc_mm": None}
    return {
        "entry_mm": plain(entry.point_mm),
        "entry_reason": None,
        "depth_mm": entry.depth_mm,
        "line_b_mm": entry.line_b_mm,
        "line_b_arc_mm": entry.arc_mm,
    }


def _clearance(each: Clearance) -> dict[str, Any]:
    return {
        "structure": each.obstacle.name,
        "group": each.obstacle.group,
        "room_mm": each.room_mm,
        "depth_mm": each.depth_mm,
        "axis_mm": plain(each.axis_mm),
    }
