"""The plans' part of the report: every plan at a glance, and a folded page for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kambin.planning import Plan, Plans
from kambin.report import plan_charts, plan_figures, plan_tables
from kambin.report.figures import Atelier, Figure
from kambin.report.plan_figures import Radiograph
from kambin.report.plan_words import approach_name, firm_words, is_needle, plan_title, shown_way, verdict_head, verdict_words
from kambin.report.radiograph import CArm


@dataclass(frozen=True, slots=True)
class PlanPage:
    """One plan's part of the page."""

    anchor: str
    title: str
    level: str
    side: str
    approach: str
    unseen: str
    warnings: tuple[str, ...]
    verdict: str
    words: str
    is_firm: bool
    firm: str
    entry_reason: str
    figures: tuple[Figure, ...]
    has_map: bool
    ways: tuple[plan_tables.WayRow, ...]
    has_bone: bool
    known: tuple[tuple[str, str], ...]
    asked: str


@dataclass(frozen=True, slots=True)
class PlanPages:
    """All that the report says of plans."""

    glance: tuple[plan_tables.GlanceRow, ...]
    pages: tuple[PlanPage, ...]
    reasons: tuple[tuple[str, str], ...]
    kept: str
    legend: str


def plan_pages(atelier: Atelier, plans: Plans, progress: Callable[[str, float], None]) -> PlanPages:
    """Draw and tabulate all plans.

    Parameters
    ----------
    atelier
        What pictures are made from.
    plans
        Of the atelier's model.
    progress
        Called with what is being drawn and the fraction that is done.
    """
    carm = CArm(atelier.model, atelier.scan)
    shots: dict[str, tuple[Radiograph, Radiograph]] = {}
    pages = []
    for done, plan in enumerate(plans.plans):
        progress(f"drawing the plan {plan_title(plan)}", done / len(plans.plans))
        segment = atelier.model.segment(plan.level)
        if segment is not None and plan.level not in shots:
            shots[plan.level] = plan_figures.radiographs(carm, segment)
        pages.append(_page(atelier, plan, carm, shots.get(plan.level, ())))
    kept = plan_figures.kept_radiographs(shot for pair in shots.values() for shot in pair)
    return PlanPages(plan_tables.glance_rows(plans), tuple(pages), plan_tables.reasons(plans), kept, plan_charts.map_legend())


def _page(atelier: Atelier, plan: Plan, carm: CArm, shots: tuple[Radiograph, ...]) -> PlanPage:
    unseen = plan.decisive_not_seen
    way = shown_way(plan)
    ways = plan_tables.way_rows(plan)
    return PlanPage(
        anchor=plan_tables.anchor_of(plan),
        title=plan_title(plan),
        level=plan.level,
        side=plan.side.value,
        approach=approach_name(plan.approach),
        unseen=f"Not seen: {', '.join(unseen)}" if unseen else "",
        warnings=plan.warnings,
        verdict=verdict_head(plan),
        words=verdict_words(plan),
        is_firm=plan.verdict.is_firm and not plan.unsure,
        firm=firm_words(plan),
        entry_reason="" if way is None or way.entry is not None else f"Entry unknown: {way.entry_reason}",
        figures=tuple(_figures(atelier, plan, carm, shots)),
        has_map=plan.entry_map is not None,
        ways=ways,
        has_bone=any(row.reamed != plan_tables.NOT_KNOWN for row in ways),
        known=plan_tables.figure_rows(plan),
        asked=_asked(plan),
    )


def _figures(atelier: Atelier, plan: Plan, carm: CArm, shots: tuple[Radiograph, ...]) -> list[Figure]:
    """In the order in which they are asked for: what is met on the way, where it lies, what room is left, what the C-arm shows."""
    way, bars = shown_way(plan), plan_charts.clearance_bars(plan)
    figures = [plan_figures.down_the_channel(atelier, plan, drawn) for drawn in plan_figures.drawables(plan)]
    alone = len(figures) == 1  # its place beside it is for the bars
    charts = [] if bars is None else [bars]
    slices = plan_figures.along_the_channel(atelier, plan)
    figures += [*charts, *slices] if alone else [*slices, *charts]
    figures += plan_charts.entry_maps(atelier, plan)
    css = "half" if len(figures) % 2 else "third"
    figures += [] if way is None else [plan_figures.down_the_barrel(carm, plan, way, css)]
    return figures + [plan_figures.c_arm(plan, shot, css) for shot in shots]


def _asked(plan: Plan) -> str:
    """The instrument and the margins, in words."""
    asked = plan.wishes
    margins = ", ".join(f"{group} {margin:g}" for group, margin in asked.margins_mm.items())
    way = shown_way(plan)
    what = "needle" if way is not None and is_needle(way) else "channel"
    return f"A {what} of {2 * asked.radius_mm:g} mm, {asked.length_mm:g} mm long. Margins in mm: {margins}."
