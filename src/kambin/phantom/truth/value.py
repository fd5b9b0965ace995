"""What a true value is, and how its error is bounded: everything is computed at two steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side

FLOOR = 2e-3
"""The smallest bound that is claimed, in the quantity's unit: two steps may agree by chance."""
SAFETY = 1.5
"""The bound is this many times the difference between the two steps: the finer one is nearer to the truth than to the coarser."""


class Unknown(Exception):
    """Raised where a quantity has no true value in a patient; its text is the reason, and names the missing structure."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a true value is a value of.

    Parameters
    ----------
    key, symbol, name, unit
        As in ``measurements.json``.
    definition
        One sentence that says how it is taken.
    """

    key: str
    symbol: str
    name: str
    unit: str
    definition: str


@dataclass(frozen=True, slots=True)
class TrueValue:
    """One row of the truth.

    Parameters
    ----------
    quantity
        What it is.
    level
        A motion segment ("L4/L5"), a vertebra ("L4"), or a range ("L1–S1").
    side
        The patient's side, or None where the quantity has none.
    value
        In the quantity's unit; None where the patient has none.
    bound
        What the number may be off by, in the same unit: from halving the step.
    reason
        Why there is no value.
    """

    quantity: Quantity
    level: str
    side: Side | None
    value: float | None
    bound: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError("expected either a value or a reason why there is none")
        if self.value is not None and (self.bound is None or not np.isfinite([self.value, self.bound]).all()):
            raise ValueError(f"expected a finite value with its bound for {self.quantity.symbol} at {self.level}, found {self.value}")

    @property
    def symbol(self) -> str:
        return self.quantity.symbol

    @property
    def name(self) -> str:
        return self.quantity.name

    @property
    def unit(self) -> str:
        return self.quantity.unit

    @property
    def status(self) -> str:
        return "measured" if self.value is not None else "not_measurable"


Taken = Mapping[str, float]
"""Values by symbol."""


def at_two_steps(take: Callable[[float], Taken], step_mm: float) -> dict[str, tuple[float, float]]:
    """Values at half a step, each with its bound from the difference to those at the whole step.

    Parameters
    ----------
    take
        From a step to values by symbol.
    step_mm
        The coarser step.
    """
    coarse, fine = take(step_mm), take(0.5 * step_mm)
    return {symbol: (fine[symbol], max(SAFETY * abs(fine[symbol] - coarse[symbol]), FLOOR)) for symbol in fine}


def rows(
    quantities: Mapping[str, Quantity],
    symbols: tuple[str, ...],
    level: str,
    side: Side | None,
    take: Callable[[], Mapping[str, tuple[float, float]]],
) -> list[TrueValue]:
    """Rows of quantities that are taken together; all with the same reason where they cannot be taken."""
    try:
        found = take()
    except Unknown as reason:
        return [TrueValue(quantities[symbol], level, side, None, None, str(reason)) for symbol in symbols]
    return [TrueValue(quantities[symbol], level, side, float(found[symbol][0]), float(found[symbol][1])) for symbol in symbols]
