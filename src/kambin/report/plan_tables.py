"""Plans as tables: one line a plan at a glance, and the ways of one plan beside each other. No clinical sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kambin.planning import Plan, Plans
from kambin.planning.way import WayIn
from kambin.report.plan_words import approach_name, judged_way, short_name, spare_words, verdict_head
from kambin.report.tables import rounded

NOT_KNOWN = "—"


@dataclass(frozen=True, slots=True)
class WayRow:
    """One way in as a line of text cells; lengths in mm, angles in degrees, bone in mm³."""

    name: str
    alpha: str
    cranial: str
    line_b: str
    arc: str
    depth: str
    moved: str
    slack: str
    limiting: str
    reamed: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class GlanceRow:
    """One plan: where, how it was judged and how firmly, and the way that was judged. `best` is what the search found, if it is another."""

    anchor: str
    level: str
    side: str
    approach: str
    verdict: str
    css: str
    firm: str
    unseen: str
    judged: WayRow | None
    best: str
    first: bool


def anchor_of(plan: Plan) -> str:
    return f"plan-{plan.name}"


def glance_rows(plans: Plans) -> tuple[GlanceRow, ...]:
    """One line a plan, in the order of the plans."""
    rows: list[GlanceRow] = []
    for plan in plans.plans:
        judged = judged_way(plan)
        found = plan.ways[0] if plan.ways else None
        rows.append(
            GlanceRow(
                anchor=anchor_of(plan),
                level=plan.level,
                side=plan.side.value,
                approach=approach_name(plan.approach),
                verdict=verdict_head(plan),
                css=verdict_head(plan).lower().replace(" ", "-"),
                firm=firm_word(plan),
                unseen=unseen_word(plan),
                judged=None if judged is None else way_row(plan, judged, ""),
                best="" if found is None or found is judged else spare_words(found),
                first=not rows or rows[-1].level != plan.level,
            )
        )
    return tuple(rows)


def firm_word(plan: Plan) -> str:
    """How far a verdict is to be relied on, as far as the structures were seen."""
    if plan.unsure:
        return "outlines unsure"
    return "firm" if plan.verdict.is_firm else "not firm"


def unseen_word(plan: Plan) -> str:
    """What decides a verdict and was not seen, in two words of a table; empty where all was."""
    names = " ".join(plan.decisive_not_seen)
    if not names:
        return ""
    return f"{'root' if 'root' in names else 'psoas' if 'psoas' in names else 'vessel'} not seen"


def way_rows(plan: Plan) -> tuple[WayRow, ...]:
    """The published placement, where there is one, and every way that was found."""
    published = () if plan.published is None else (way_row(plan, plan.published, "as published"),)
    return (*published, *(way_row(plan, way, f"found {number}") for number, way in enumerate(plan.ways, start=1)))


def way_row(plan: Plan, way: WayIn, name: str) -> WayRow:
    """One way in as text."""
    entry, frame = way.entry, plan.frame
    limit = next((each.obstacle for each in way.clearances if each.obstacle.name == way.limiting), None)
    return WayRow(
        name=name,
        alpha=rounded(way.channel.alpha_deg(frame), "°"),
        cranial=rounded(way.channel.cranial_deg(frame), "°"),
        line_b=NOT_KNOWN if entry is None else rounded(entry.line_b_mm, "mm"),
        arc=NOT_KNOWN if entry is None else rounded(entry.arc_mm, "mm"),
        depth=NOT_KNOWN if entry is None else rounded(entry.depth_mm, "mm"),
        moved=rounded(float(np.linalg.norm(way.channel.target_mm - plan.target_mm)), "mm"),
        slack=rounded(way.slack_mm, "mm") if np.isfinite(way.slack_mm) else NOT_KNOWN,
        limiting=short_name(limit) if limit is not None else way.limiting or "nothing within reach",
        reamed=NOT_KNOWN if way.reamed_mm3 is None else rounded(way.reamed_mm3, "mm³"),
        hint="" if entry is not None else f"entry unknown: {way.entry_reason}",
    )


def figure_rows(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What else is known of an approach, as name and text: ``window_mm`` becomes ``window`` and ``12.3 mm``."""
    rows = []
    for key, value in plan.figures.items():
        name, unit = _split_unit(key)
        name = _IN_WORDS.get(key, name)
        if value is None:
            text = NOT_KNOWN
        elif isinstance(value, str):
            text = value
        else:
            text = f"{rounded(float(value), unit)}{'' if unit == '°' else ' '}{unit}".strip()
        rows.append((name, text))
    return tuple(rows)


def reasons(plans: Plans) -> tuple[tuple[str, str], ...]:
    """Why something was not planned, and what: one line a reason."""
    found: dict[str, list[str]] = {}
    for (level, side, approach), reason in plans.reasons.items():
        found.setdefault(reason, []).append(f"{approach_name(approach)} at {level} {side.value}")
    return tuple((reason, _joined(which)) for reason, which in found.items())


def _joined(which: Iterable[str]) -> str:
    return "; ".join(which)


_IN_WORDS = {
    "corridor_mm": "corridor: from psoas to the nearest great vessel, at rest, in the plane of the disc",
    "window_mm": "free window as seen along the first way",
    "angle_deg": "first way to the disc’s centre: angle forwards from straight sideways, in the plane of the disc",
    "retract_psoas_mm": "psoas to be moved backwards by",
    "retract_vessel_mm": "nearest vessel to be moved aside, to leave its margin, by",
    "vessel": "that vessel",
    "corridor": "the way runs",
    "retract_viscera_mm": "bowel or kidney to be swept forwards by",
    "window_width_mm": "window between the laminae: width from facet to facet",
    "window_height_mm": "its height on this side",
    "retract_mm": "root and dural sac to be moved towards the middle by",
    "bone_mm3": "bone of the laminae and facets in the first way",
    "oblique_deg": "C-arm down the needle, from the view with the endplates edge-on: turned to the needle’s side by",
    "cranio_caudal_deg": "and, of the beam’s end behind the patient, raised towards the head by (below 0: towards the feet)",
    "scan_oblique_deg": "C-arm down the needle, for the patient as in the scanner: turned to the needle’s side by",
    "scan_cranio_caudal_deg": "and, of the beam’s end behind the patient, raised towards the head by (below 0: towards the feet)",
    "axial_plan_verdict": "needle held in an axial slice of the scan, to the same target",
    "axial_barred_by": "bars every such way by itself",
    "axial_limiting": "entered by the roomiest such needle, or nearest to it",
    "axial_slack_mm": "its room beyond the margins (below 0: short)",
    "disc_plane_plan_verdict": "needle held in the plane of the disc, to the same target",
    "disc_plane_barred_by": "bars every way in that plane by itself",
    "disc_plane_limiting": "entered by the roomiest needle in that plane, or nearest to it",
    "disc_plane_slack_mm": "its room beyond the margins there (below 0: short)",
}
_UNITS = {"mm": "mm", "mm2": "mm²", "mm3": "mm³", "deg": "°"}


def _split_unit(key: str) -> tuple[str, str]:
    head, _, tail = key.rpartition("_")
    return (head.replace("_", " "), _UNITS[tail]) if tail in _UNITS and head else (key.replace("_", " "), "")
