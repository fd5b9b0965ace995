"""Every way in that a model allows, by level, side and approach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from kambin.anatomy.structures import Level, Side
from kambin.measurement.result import NotMeasurable
from kambin.planning.around import Around
from kambin.planning.transforaminal import TransforaminalPlan, Wishes, plan_transforaminal
from kambin.spine import MotionSegment, SpineModel

TRANSFORAMINAL = "tf-peld"
Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """One plan.

    Parameters
    ----------
    level, side, approach
        What for.
    found
        The ways in.
    warnings
        What its reader must know first.
    """

    level: str
    side: Side
    approach: str
    found: TransforaminalPlan
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plans:
    """All plans of one patient, and for what could not be planned, by (level, side, approach), the reason."""

    plans: tuple[Plan, ...]
    reasons: Mapping[tuple[str, Side, str], str]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("reasons", "provenance"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


def plan(
    model: SpineModel,
    *,
    levels: Iterable[str] | None = None,
    sides: Iterable[Side] = tuple(Side),
    wishes: Wishes | None = None,
    progress: Progress | None = None,
) -> Plans:
    """Plan the transforaminal ways in.

    Parameters
    ----------
    model
        A reconstructed spine.
    levels
        Segments by name; by default all lumbar ones of the model.
    sides
        One or both.
    wishes
        What the surgeon asks.
    progress
        Called with what is being done and the fraction that is finished.

    Raises
    ------
    ValueError
        When a level asked for is not in the model; says which are.
    """
    tell = progress or (lambda _what, _fraction: None)
    segments = _chosen(model, levels)
    wanted = [(segment, side) for segment in segments for side in sides]
    plans: list[Plan] = []
    reasons: dict[tuple[str, Side, str], str] = {}
    for done, (segment, side) in enumerate(wanted):
        tell(f"planning {segment.name} {side}", done / len(wanted))
        try:
            around = Around.of(model, segment, side)
            found = plan_transforaminal(model, around, wishes)
        except NotMeasurable as reason:
            reasons[segment.name, side, TRANSFORAMINAL] = str(reason)
        else:
            plans.append(Plan(segment.name, side, TRANSFORAMINAL, found, tuple(_warnings(found))))
    tell("done", 1.0)
    return Plans(tuple(plans), reasons, model.provenance)


def _chosen(model: SpineModel, levels: Iterable[str] | None) -> list[MotionSegment]:
    lumbar = [segment for segment in model.segments if segment.upper.level is not Level.T12]
    if levels is None:
        return lumbar
    known = {segment.name: segment for segment in model.segments}
    unknown = [name for name in levels if name not in known]
    if unknown:
        raise ValueError(f"expected levels of this model ({', '.join(known) or 'it has none'}), found {', '.join(unknown)}")
    return [known[name] for name in levels]


def _warnings(found: TransforaminalPlan) -> Iterable[str]:
    """What was not seen stands first: a root that was not seen is never called clear."""
    for name in found.around.missing:
        if "exiting" in name:
            yield f"The {name} was not seen: it is not among the labels, and nothing here keeps clear of it."
    others = [name for name in found.around.missing if "exiting" not in name]
    if others:
        yield f"Not seen, and not kept clear of: {', '.join(others)}."
    if found.around.segment.disc_is_inferred:
        yield "The disc was not labelled: its posterior border, where the target lies, is inferred."
    if found.ways and found.ways[0].slack_mm < 0:
        yield f"No way keeps all margins; the first one listed is short by {-found.ways[0].slack_mm:.1f} mm ({found.ways[0].limiting})."
