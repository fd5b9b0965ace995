"""Every doubt of a model and its measurements in one list, worst first, each said once."""

from __future__ import annotations

from dataclasses import dataclass

from kambin.measurement.result import Measurement, Measurements
from kambin.report.tables import is_plausible, rounded, value_text, with_unit
from kambin.spine import Severity, SpineModel

_ORDER = {Severity.SERIOUS: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_ICONS = {Severity.SERIOUS: "✖", Severity.WARNING: "▲", Severity.NOTE: "ℹ"}
_WORDS = {Severity.SERIOUS: "Serious", Severity.WARNING: "Warning", Severity.NOTE: "Note"}


@dataclass(frozen=True, slots=True)
class ShownDoubt:
    """One doubt as shown: its severity in a word and an icon, what it says, and which values it weakens."""

    severity: Severity
    text: str
    where: str = ""

    @property
    def icon(self) -> str:
        return _ICONS[self.severity]

    @property
    def word(self) -> str:
        return _WORDS[self.severity]


def all_doubts(model: SpineModel, measurements: Measurements) -> tuple[ShownDoubt, ...]:
    """Doubts about the model, segments that could not be made, implausible values, doubts of single values, values not taken."""
    shown = [ShownDoubt(doubt.severity, _sentence(doubt.text)) for doubt in model.doubts]
    for name, reason in model.missing_segments.items():
        shown.append(ShownDoubt(Severity.WARNING, f"{name} was not measured: {reason.rstrip('.')}."))
    grouped: dict[tuple[Severity, str], list[Measurement]] = {}
    for row in measurements.rows:
        for text in row.doubts:
            grouped.setdefault((Severity.WARNING, _sentence(text)), []).append(row)
        if not is_plausible(row) and not any("plausible" in text for text in row.doubts):
            low, high = row.quantity.plausible
            unit = row.quantity.unit
            text = (
                f"{row.quantity.name[:1].upper()}{row.quantity.name[1:]} is {value_text(row)}: outside what is plausible for a "
                f"human spine ({rounded(low, unit)} to {with_unit(high, unit)})."
            )
            grouped.setdefault((Severity.WARNING, text), []).append(row)
        if not row.is_measured:
            grouped.setdefault((Severity.NOTE, f"Not measurable: {(row.reason or '').rstrip('.')}."), []).append(row)
    shown.extend(ShownDoubt(severity, text, _where(rows)) for (severity, text), rows in grouped.items())
    return tuple(sorted(dict.fromkeys(shown), key=lambda doubt: _ORDER[doubt.severity]))


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _where(rows: list[Measurement]) -> str:
    """Which values a doubt is about: symbols and sides, gathered by level."""
    by_level: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        sides = by_level.setdefault(row.level, {}).setdefault(row.quantity.symbol, [])
        if row.side is not None:
            sides.append(row.side.value)
    merged: dict[str, list[str]] = {}
    for level, symbols in by_level.items():
        words = ", ".join(f"{symbol} {' and '.join(sides)}".strip() for symbol, sides in symbols.items())
        merged.setdefault(words, []).append(level)
    return "; ".join(f"{words} at {', '.join(levels)}" for words, levels in merged.items())
