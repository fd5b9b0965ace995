"""Every doubt of a model and its measurements in one list, worst first, each said once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kambin.measurement.result import Measurement, Measurements
from kambin.report.tables import DIFFERENCE, is_plausible, reason_words, rounded, sentence, value_text, with_unit
from kambin.spine import Severity, SpineModel

_NUMBER = re.compile(r"(?<![\w./−-])[−-]?\d+(?:\.\d+)?(?![\w/])")  # a number of its own, not the 4 of L4 or the 5 of L4/5
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
    """Doubts about the model, segments that could not be made, implausible values, doubts of single values."""
    shown = [ShownDoubt(doubt.severity, sentence(doubt.text)) for doubt in model.doubts]
    for name, reason in model.missing_segments.items():
        shown.append(ShownDoubt(Severity.WARNING, f"{name} was not measured: {reason.rstrip('.')}."))
    grouped: dict[tuple[Severity, str], list[Measurement]] = {}
    for row in measurements.rows:
        for text in row.doubts:
            if is_plausible(row) or "plausible" not in text:
                grouped.setdefault((Severity.WARNING, sentence(_without_level(text, row))), []).append(row)
        if not is_plausible(row):
            low, high = row.quantity.plausible
            unit = row.quantity.unit
            text = (
                f"{row.quantity.name[:1].upper()}{row.quantity.name[1:]} is {value_text(row)}: outside what is plausible for a "
                f"human spine ({rounded(low, unit)} to {with_unit(high, unit)})."
            )
            grouped.setdefault((Severity.WARNING, text), []).append(row)
    shown.extend(ShownDoubt(severity, text, _where(rows)) for severity, text, rows in _merged(grouped))
    return tuple(sorted(dict.fromkeys(shown), key=lambda doubt: _ORDER[doubt.severity]))


def not_measured(measurements: Measurements) -> tuple[tuple[str, str], ...]:
    """Why values are missing, and which: one line a reason. Differences lack a side, which its own row has told already."""
    reasons: dict[str, list[Measurement]] = {}
    for row in measurements.rows:
        if not row.is_measured and not row.quantity.key.endswith(DIFFERENCE):
            reasons.setdefault(sentence(reason_words(row)), []).append(row)
    return tuple((reason, _where(rows)) for reason, rows in reasons.items())


def _without_level(text: str, row: Measurement) -> str:
    """The text without the row's own level, so that the same thing said of several levels is one thing."""
    return text.replace(f"the {row.level} ", "the ")


def _merged(
    grouped: dict[tuple[Severity, str], list[Measurement]],
) -> list[tuple[Severity, str, list[Measurement]]]:
    """Doubts that differ in their numbers alone become one that gives each number's range."""
    families: dict[tuple[Severity, str], list[str]] = {}
    for severity, text in grouped:
        families.setdefault((severity, _NUMBER.sub("#", text)), []).append(text)
    result = []
    for (severity, pattern), texts in families.items():
        rows = [row for text in texts for row in grouped[severity, text]]
        merged = pattern
        for column in zip(*(_NUMBER.findall(text) for text in texts), strict=True):
            merged = merged.replace("#", _range_text(list(column)), 1)
        result.append((severity, merged if len(texts) > 1 else texts[0], rows))
    return result


def _range_text(numbers: list[str]) -> str:
    ordered = sorted(numbers, key=lambda text: float(text.replace("−", "-")))
    return ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def _where(rows: list[Measurement]) -> str:
    """Which values a doubt is about: symbols and sides, gathered by level."""
    by_level: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row.quantity.key.endswith(DIFFERENCE) and len(rows) > 1:
            continue  # its two sides are named
        sides = by_level.setdefault(row.level, {}).setdefault(row.quantity.symbol, [])
        if row.side is not None:
            sides.append(row.side.value)
    merged: dict[str, list[str]] = {}
    for level, symbols in by_level.items():
        words = ", ".join(f"{symbol} {' and '.join(sides)}".strip() for symbol, sides in symbols.items())
        merged.setdefault(words, []).append(level)
    return "; ".join(f"{words} at {', '.join(levels)}" for words, levels in merged.items())
