"""Plans as 3D Slicer markups (``.mrk.json``): a line a channel, the points and curves each plan was made from, in LPS millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kambin.io.slicer_markups import control_point, evidence_markups, markup, write_markups_file
from kambin.planning.result import Plan, Plans
from kambin.planning.way import WayIn

_FOUND = [0.10, 0.60, 0.25]
_PUBLISHED = [0.80, 0.35, 0.05]


def write_plan_markups(plans: Plans, path: str | Path) -> None:
    """Write every plan's channels and evidence.

    A channel is a line from its target to where it meets the skin, or to its outer end where that is not known. The published placement
    and the first way are shown; the alternatives are there, hidden.
    """
    write_markups_file([each for plan in plans.plans for each in _plan(plan)], path)


def _plan(plan: Plan) -> list[dict[str, Any]]:
    title = f"{plan.level} {plan.side} {plan.approach}"
    lines = [] if plan.published is None else [_line(plan, plan.published, f"{title}: published", _PUBLISHED, visible=True)]
    lines += [_line(plan, way, f"{title}: way {index}", _FOUND, visible=index == 1) for index, way in enumerate(plan.ways, start=1)]
    return lines + evidence_markups(title, plan.evidence, f"{title}: {plan.verdict.word}")


def _line(plan: Plan, way: WayIn, name: str, colour: list[float], *, visible: bool) -> dict[str, Any]:
    label, outer = ("outer end", way.channel.outer_end_mm) if way.entry is None else ("entry", way.entry.point_mm)
    control = [control_point(1, "target", way.channel.target_mm), control_point(2, label, outer)]
    result = markup("Line", name, control, colour, visible=visible, labels=False)
    angles = f"alpha {way.channel.alpha_deg(plan.frame):.1f}°, cranial {way.channel.cranial_deg(plan.frame):.1f}°"
    tightest = "" if way.limiting_mm is None else f"; {way.limiting_mm:.1f} mm to {way.limiting}"
    result["description"] = f"{2 * way.channel.radius_mm:g} mm wide, {angles}{tightest}"
    return result
