"""What a measurement is: a quantity, where it was taken, and either a value with its evidence or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray


@dataclass(frozen=True, slots=True)
class Published:
    """A published value to read a measurement beside; never a limit of normality.

    `low` and `high` are the range printed (minimum to maximum, or mean ± 2 SD where only those are given).
    """

    mean: float
    low: float
    high: float
    source: str

    @property
    def has_range(self) -> bool:
        """False where the source prints a mean alone: `low` and `high` then equal it, and no value lies above or below it."""
        return self.high > self.low


@dataclass(frozen=True)
class Quantity:
    """One quantity: what it is called, and what it means.

    Parameters
    ----------
    key
        Stable name for programs, such as ``foraminal_area``.
    symbol, name
        As in the report, such as ``FA`` and ``foraminal area``.
    unit
        ``mm``, ``mm²``, ``°`` or ``%``.
    definition
        One sentence that says how it is taken.
    plausible
        Smallest and largest value that a human lumbar spine can have; outside it the value is shown with a doubt.
    published
        Published values by level ("L4/L5"), or under "" for any level.
    """

    key: str
    symbol: str
    name: str
    unit: str
    definition: str
    plausible: tuple[float, float]
    published: Mapping[str, Published] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.key)

    def published_at(self, level: str) -> Published | None:
        """The published value for a level; the one for any level where that level has none."""
        return self.published.get(level, self.published.get(""))


@dataclass(frozen=True, eq=False)
class EvidencePoint:
    """A named point that a value was read from, RAS millimetres, shape (3,)."""

    name: str
    position_mm: FloatArray


@dataclass(frozen=True, eq=False)
class EvidenceCurve:
    """A named polyline that a value was read from, RAS millimetres, shape (n, 3); the first point is not repeated when closed.

    `role` tells a drawing what it is: ``"measure"`` (the length itself), ``"outline"`` (the area's border), ``"bridge"`` (where an
    open rim was closed), ``"construction"`` (help line).
    """

    name: str
    points_mm: FloatArray
    closed: bool = False
    role: str = "construction"


@dataclass(frozen=True, eq=False)
class EvidencePlane:
    """A named plane that a value was read in or against, RAS millimetres."""

    name: str
    origin_mm: FloatArray
    normal: FloatArray


@dataclass(frozen=True)
class Evidence:
    """All that is needed to show where a value came from; nothing recomputes it.

    `view` is how it is best seen: ``"lateral"``, ``"axial"`` (in the disc mid-plane), ``"coronal"``, ``"sagittal"`` (mid-sagittal section)
    or None. `doubts` are what was seen to weaken the value while it was read.
    """

    points: tuple[EvidencePoint, ...] = ()
    curves: tuple[EvidenceCurve, ...] = ()
    planes: tuple[EvidencePlane, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    view: str | None = None
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))


class NotMeasurable(Exception):
    """Raised by a measure that cannot be taken; its text is the reason, and names the missing structure."""


@dataclass(frozen=True)
class Measurement:
    """One row of the results.

    Parameters
    ----------
    quantity
        What was measured.
    level
        A motion segment ("L4/L5"), a vertebra ("L4"), or a range ("L1–S1").
    side
        The patient's side, or None where the quantity has none.
    value
        In `quantity.unit`; None where it could not be measured.
    reason
        Why it could not be measured; None where it was.
    doubts
        What weakens the value: an inferred disc, a long bridge, a value outside the plausible range.
    """

    quantity: Quantity
    level: str
    side: Side | None
    value: float | None
    reason: str | None = None
    evidence: Evidence = field(default_factory=Evidence)
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError("expected either a value or a reason why there is none")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"expected a finite value for {self.quantity.symbol} at {self.level}, found {self.value}")

    @property
    def is_measured(self) -> bool:
        return self.value is not None

    @property
    def status(self) -> str:
        return "measured" if self.is_measured else "not_measurable"


@dataclass(frozen=True)
class Measurements:
    """All rows of one patient, in the order of the report, with what they were taken from."""

    rows: tuple[Measurement, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    def find(self, symbol: str, level: str | None = None, side: Side | None = None) -> tuple[Measurement, ...]:
        """Rows of one symbol, and of that level and side where given."""
        return tuple(
            row for row in self.rows if row.quantity.symbol == symbol and level in (None, row.level) and side in (None, row.side)
        )

    def value(self, symbol: str, level: str, side: Side | None = None) -> float:
        """The value of the one row that matches.

        Raises
        ------
        KeyError
            When no row or several rows match.
        NotMeasurable
            With the row's reason, when it has no value.
        """
        rows = self.find(symbol, level, side)
        if len(rows) != 1:
            raise KeyError(f"expected one row for {symbol} at {level} {side or ''}, found {len(rows)}")
        if rows[0].value is None:
            raise NotMeasurable(rows[0].reason)
        return rows[0].value


def as_points(points_mm: npt.ArrayLike) -> FloatArray:
    """Float64 array of shape (n, 3)."""
    return np.asarray(points_mm, dtype=np.float64).reshape(-1, 3)
