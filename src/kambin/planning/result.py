"""Plans: what every approach leaves behind, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.measurement.result import Evidence
from kambin.planning.entry_map import EntryMap
from kambin.planning.way import Verdict, WayIn
from kambin.planning.wishes import Wishes

_DECISIVE = ("root", "aorta", "vena cava", "great vessels", "psoas")


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan of one approach at one level and side.

    Parameters
    ----------
    level, side, approach
        What for: "L5/S1", the patient's side, a key of `kambin.planning.APPROACHES`.
    frame
        Of the segment: angles are named by it.
    wishes
        What was asked.
    target_mm
        What is aimed at, RAS, shape (3,).
    verdict
        On the published placement where the approach has one, else on the first way.
    ways
        What was found, best first, each different from the others by 5° or 5 mm. Where no way keeps all margins the first has the least
        conflict.
    published
        The channel as the paper places it; None for approaches without one.
    figures
        What else is known of this approach, by names with their units: "window_mm". None where it could not be told; then a warning
        says why.
    evidence
        Points and curves to draw: target, borders, windows.
    not_seen
        Structures that should have been kept clear of and are not in the model.
    unsure
        Structures nearby that a network drew without being sure.
    warnings
        What its reader must know first.
    entry_map
        Room by direction, for a map; None where the approach swept none.
    """

    level: str
    side: Side
    approach: str
    frame: Frame
    wishes: Wishes
    target_mm: FloatArray
    verdict: Verdict
    ways: tuple[WayIn, ...]
    published: WayIn | None = None
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    not_seen: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    entry_map: EntryMap | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", MappingProxyType(dict(self.figures)))

    def every_way(self) -> tuple[WayIn, ...]:
        """The published placement, where there is one, and what was found."""
        return self.ways if self.published is None else (self.published, *self.ways)

    @property
    def is_firm(self) -> bool:
        """Whether no surface moved by 1 or 2 mm changes the verdict, what decides it was seen, and nothing nearby was drawn unsurely."""
        return self.verdict.is_firm and not self.unsure and not self.decisive_not_seen

    @property
    def decisive_not_seen(self) -> tuple[str, ...]:
        """Those of `not_seen` without which no verdict can be relied on: roots, great vessels, the psoas."""
        return tuple(name for name in self.not_seen if any(word in name for word in _DECISIVE))

    @property
    def name(self) -> str:
        """As files are called: ``tf-peld-L5-S1-left``."""
        return f"{self.approach}-{self.level.replace('/', '-')}-{self.side.value}"


@dataclass(frozen=True)
class Plans:
    """All plans of one patient, and for what could not be planned, by (level, side, approach), the reason."""

    plans: tuple[Plan, ...]
    reasons: Mapping[tuple[str, Side, str], str]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("reasons", "provenance"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def find(self, level: str, side: Side, approach: str) -> Plan | None:
        """The plan for one level, side and approach, or None."""
        return next((plan for plan in self.plans if (plan.level, plan.side, plan.approach) == (level, side, approach)), None)
