"""Plans as JSON, read back to equal values: every way in with geometry, clearances and verdict; for what was not planned the reason.

Positions are RAS millimetres, and the file says so. Described in ``docs/formats.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kambin.anatomy.structures import Side
from kambin.errors import InputError
from kambin.geometry import FloatArray, Frame
from kambin.io.measurements_json import evidence_document, head, read_evidence
from kambin.io.plain import json_text, plain, read_document
from kambin.planning.around import Clearance
from kambin.planning.channel import Channel
from kambin.planning.entry import Entry
from kambin.planning.entry_map import EntryMap
from kambin.planning.obstacles import Obstacle, approach_obstacles, surroundings
from kambin.planning.result import Plan, Plans
from kambin.planning.search import Cone
from kambin.planning.way import Change, Verdict, WayIn
from kambin.planning.wishes import Wishes
from kambin.spine import Doubt, SpineModel

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

    Raises
    ------
    ValueError
        When a position of some evidence is not finite; names the plan.
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


def read_plans(path: str | Path, model: SpineModel) -> Plans:
    """Read what `write_plan_json` wrote: the same plans, number for number.

    Parameters
    ----------
    path
        The file.
    model
        The model that was planned on: the shapes of what a plan keeps clear of are its own.

    Raises
    ------
    InputError
        When the file cannot be read, is not JSON, is not of this schema, or was made from another model.
    """
    document = read_plan_document(path)
    try:
        plans = tuple(_read_plan(entry, _obstacles(path, model, entry)) for entry in document["plans"])
        reasons = {(each["level"], Side(each["side"]), each["approach"]): each["reason"] for each in document["not_planned"]}
        return Plans(plans, reasons, document["input"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(path, f"expected plans of schema {SCHEMA}, found them damaged ({error!r})") from error


def read_plan_document(path: str | Path) -> dict[str, Any]:
    """The file as it is.

    Raises
    ------
    InputError
        When it cannot be read, is not JSON, or is not of this schema.
    """
    return read_document(path, SCHEMA, "plans")


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "level": plan.level,
        "side": plan.side.value,
        "approach": plan.approach,
        "warnings": list(plan.warnings),
        "not_seen": list(plan.not_seen),
        "unsure": list(plan.unsure),
        "verdict": plan.verdict.word,
        "group": plan.verdict.word if plan.published else None,
        "firm": plan.is_firm,
        "touched": [_clearance(each) for each in plan.verdict.touched],
        "changes": [{"structure": c.structure, "shift_mm": c.shift_mm, "becomes": c.becomes} for c in plan.verdict.changes],
        "asked": _wishes(plan.wishes),
        "frame": _frame(plan.frame),
        "aim_mm": plain(plan.target_mm),
        **(_way(plan, plan.ways[0]) if plan.ways else {}),
        "figures": plain(dict(plan.figures)),
        "evidence": evidence_document(plan.evidence, plan.name),
        "published": None if plan.published is None else _way(plan, plan.published),
        "ways": [_way(plan, way) for way in plan.ways],
        "entry_map": None if plan.entry_map is None else plain(vars(plan.entry_map)),
    }


def _read_plan(entry: Mapping[str, Any], obstacles: Mapping[str, Obstacle]) -> Plan:
    changes = tuple(Change(**change) for change in entry["changes"])
    published = entry["published"]
    return Plan(
        level=entry["level"],
        side=Side(entry["side"]),
        approach=entry["approach"],
        frame=_read_frame(entry["frame"]),
        wishes=_read_wishes(entry["asked"]),
        target_mm=_array(entry["aim_mm"]),
        verdict=Verdict(entry["verdict"], _read_clearances(entry["touched"], obstacles), changes),
        ways=tuple(_read_way(way, obstacles) for way in entry["ways"]),
        published=None if published is None else _read_way(published, obstacles),
        figures=entry["figures"],
        evidence=read_evidence(entry["evidence"]),
        not_seen=tuple(entry["not_seen"]),
        unsure=tuple(entry.get("unsure", ())),
        warnings=tuple(entry["warnings"]),
        entry_map=_read_map(entry.get("entry_map")),
    )


def _read_map(entry: Mapping[str, Any] | None) -> EntryMap | None:
    return None if entry is None else EntryMap(**{name: _array(values) for name, values in entry.items()})


def _wishes(asked: Wishes) -> dict[str, Any]:
    return {
        "radius_mm": asked.radius_mm,
        "length_mm": asked.length_mm,
        "margins_mm": dict(asked.margins_mm),
        "alpha_deg": list(asked.cone.alpha_deg),
        "cranial_deg": list(asked.cone.cranial_deg),
        "tolerance_mm": asked.cone.tolerance_mm,
        "target_step_mm": asked.cone.target_step_mm,
        "tilt_deg": asked.tilt_deg,
        "free_alpha_deg": asked.free_alpha_deg,
    }


def _read_wishes(entry: Mapping[str, Any]) -> Wishes:
    alpha, cranial = ((entry[name][0], entry[name][1]) for name in ("alpha_deg", "cranial_deg"))
    cone = Cone(alpha, cranial, entry["tolerance_mm"], entry["target_step_mm"])
    own = {name: entry[name] for name in ("radius_mm", "length_mm", "margins_mm", "tilt_deg", "free_alpha_deg")}
    return Wishes(**own, cone=cone)


def _frame(frame: Frame) -> dict[str, Any]:
    directions = {"right": frame.right, "anterior": frame.anterior, "cranial": frame.cranial}
    return {"origin_mm": plain(frame.origin_mm), **{name: plain(direction) for name, direction in directions.items()}}


def _read_frame(entry: Mapping[str, Any]) -> Frame:
    return Frame(_array(entry["origin_mm"]), _array([entry[name] for name in ("right", "anterior", "cranial")]))


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
        "keeps_margins": way.keeps_margins,
        "slack_mm": plain(way.slack_mm),
        "limiting": way.limiting,
        "clearance_mm": {each.obstacle.name: each.room_mm for each in way.clearances if each.room_mm is not None},
        "clearances": [_clearance(each) for each in way.clearances],
        "reamed_mm3": way.reamed_mm3,
    }


def _read_way(entry: Mapping[str, Any], obstacles: Mapping[str, Obstacle]) -> WayIn:
    channel = Channel(_array(entry["target_mm"]), _array(entry["direction"]), entry["radius_mm"], entry["length_mm"])
    # Channel scales its direction to length one, which can move the last bit of one that already is; the written bits are the truth.
    object.__setattr__(channel, "direction", _array(entry["direction"]))
    slack = float("inf") if entry["slack_mm"] is None else entry["slack_mm"]
    clearances = _read_clearances(entry["clearances"], obstacles)
    return WayIn(channel, _read_entry(entry), entry["entry_reason"], clearances, slack, entry["limiting"], entry["reamed_mm3"])


def _entry(entry: Entry | None, reason: str | None) -> Mapping[str, Any]:
    if entry is None:
        return dict.fromkeys(("entry_mm", "depth_mm", "midline_mm", "line_b_mm", "line_b_arc_mm")) | {"entry_reason": reason}
    return {
        "entry_mm": plain(entry.point_mm),
        "entry_reason": None,
        "depth_mm": entry.depth_mm,
        "midline_mm": plain(entry.midline_mm),
        "line_b_mm": entry.line_b_mm,
        "line_b_arc_mm": entry.arc_mm,
    }


def _read_entry(entry: Mapping[str, Any]) -> Entry | None:
    if entry["entry_mm"] is None:
        return None
    middle = _array(entry["midline_mm"])
    return Entry(_array(entry["entry_mm"]), entry["depth_mm"], middle, entry["line_b_mm"], entry["line_b_arc_mm"])


def _clearance(each: Clearance) -> dict[str, Any]:
    return {
        "structure": each.obstacle.name,
        "group": each.obstacle.group,
        "room_mm": each.room_mm,
        "depth_mm": each.depth_mm,
        "axis_mm": plain(each.axis_mm),
        "conflict_mm3": each.conflict_mm3,
    }


def _read_clearances(entries: Iterable[Mapping[str, Any]], obstacles: Mapping[str, Obstacle]) -> tuple[Clearance, ...]:
    return tuple(
        Clearance(
            obstacles.get(each["structure"]) or Obstacle(each["group"], each["structure"], ()),
            each["room_mm"],
            each["depth_mm"],
            _array(each["axis_mm"]),
            each["conflict_mm3"],
        )
        for each in entries
    )


def _obstacles(path: str | Path, model: SpineModel, entry: Mapping[str, Any]) -> dict[str, Obstacle]:
    """What lies about the plan's foramen, by name."""
    segment = model.segment(entry["level"])
    if segment is None:
        raise InputError(path, f"expected plans of the model beside it, found one of {entry['level']}, which it does not have")
    side = Side(entry["side"])
    about = (*surroundings(model, segment, side).obstacles, *approach_obstacles(model, segment, side))
    return {obstacle.name: obstacle for obstacle in about}


def _array(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)
