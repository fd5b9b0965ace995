"""Measurements as tables: rows paired by side, values in words, and where each lies in its published range. No clinical sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kambin.anatomy.structures import Side
from kambin.measurement.result import Measurement, Measurements, Published, Quantity
from kambin.report import svg

DIFFERENCE = "_left_minus_right"
_BAR_WIDTH, _BAR_HEIGHT = 132.0, 22.0
_DECIMALS = {"mm": 1, "mm²": 0, "mm³": 0, "°": 1, "%": 1}
_STANDING = {
    "below": ("▼", "below the published range"),
    "within": ("", "within the published range"),
    "above": ("▲", "above the published range"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as shown: its text, its standing to the published range (``below``, ``within``, ``above`` or empty), and why."""

    text: str
    standing: str = ""
    mark: str = ""
    hint: str = ""
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class PairedRow:
    """One quantity at one level: left and right, or one value for both where it has no side."""

    quantity: Quantity
    left: Cell | None
    right: Cell | None
    single: Cell | None
    difference: str
    published: Published | None
    published_text: str
    bar: str
    reason: str  # why there is no value at all; empty where some side has one
    doubts: tuple[tuple[str, str], ...]  # which side ("", "left", "right", "left and right"), and what weakens the value


@dataclass(frozen=True, slots=True)
class GlanceRow:
    """One line of the overview: a quantity, a side or none, and a cell for every segment."""

    quantity: Quantity
    side: str
    cells: tuple[Cell, ...]
    first: bool
    span: int


def rounded(value: float, unit: str) -> str:
    """A number as shown: tenths of a millimetre, whole square millimetres, tenths of a degree or a per cent; a true minus sign.

    >>> rounded(-0.04, "mm"), rounded(107.83, "mm²")
    ('0.0', '108')
    """
    text = f"{value:.{_DECIMALS.get(unit, 1)}f}"
    if float(text) == 0.0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def with_unit(value: float, unit: str) -> str:
    """A number with its unit; degrees and per cent follow without a gap in the case of °."""
    gap = "" if unit == "°" else " "
    return f"{rounded(value, unit)}{gap}{unit}"


def value_text(row: Measurement) -> str:
    """The value with its unit, or "not measurable"."""
    return "not measurable" if row.value is None else with_unit(row.value, row.quantity.unit)


def standing(row: Measurement) -> str:
    """``below``, ``within`` or ``above`` the published range; empty where there is no value or no range."""
    published = row.quantity.published_at(row.level)
    if row.value is None or published is None or not published.has_range:
        return ""
    if row.value < published.low:
        return "below"
    return "above" if row.value > published.high else "within"


def is_plausible(row: Measurement) -> bool:
    """Whether a value lies in what a human lumbar spine can have; True where there is no value."""
    low, high = row.quantity.plausible
    return row.value is None or low <= row.value <= high


def reason_words(row: Measurement) -> str:
    """Why a row has no value, without its own level and side: so that what is true of several is said once."""
    text = row.reason or ""
    for place in (f" at {row.level}", f" of {row.level}"):
        text = text.replace(place, "")
    text = text.replace(f"the {row.level} ", "the ")
    if row.side is not None:
        text = text.replace(f" on the {row.side}", "").replace(f"the {row.side} ", "the ").replace(f"no {row.side} ", "no ")
    return text


def sentence(text: str) -> str:
    """A text with a capital and a full stop; a file's name at its head is left as it is."""
    text = text.strip().rstrip(".")
    head = text.split(" ", 1)[0].rstrip(":;,")
    capital = text[:1] if any(sign in head for sign in "._/") else text[:1].upper()
    return f"{capital}{text[1:]}."


def says_implausible(row: Measurement) -> bool:
    """Whether nothing needs to be added about plausibility: the value is plausible, or the row's own doubts say it is not."""
    return is_plausible(row) or any("plausible" in doubt for doubt in row.doubts)


def cell(row: Measurement | None) -> Cell:
    """How one row is shown in a table."""
    if row is None:
        return Cell("", hint="not part of this measurement")
    if row.value is None:
        return Cell("—", hint=f"not measurable: {row.reason}")
    stands = standing(row)
    mark, words = _STANDING.get(stands, ("", ""))
    hints = [words, *row.doubts] if words else list(row.doubts)
    if not says_implausible(row):
        low, high = row.quantity.plausible
        hints.append(f"outside what is plausible ({rounded(low, row.quantity.unit)} to {with_unit(high, row.quantity.unit)})")
    doubtful = bool(row.doubts) or not is_plausible(row)
    return Cell(rounded(row.value, row.quantity.unit), stands, mark, "; ".join(hints), doubtful)


def paired_rows(rows: Iterable[Measurement]) -> tuple[PairedRow, ...]:
    """Rows of one level, one line a quantity, in their given order.

    Where a source holds several rows of one quantity, level and side, each gets a line of its own.
    """
    groups: dict[str, list[Measurement]] = {}
    for row in rows:
        groups.setdefault(row.quantity.key, []).append(row)
    groups = {key: group for key, group in groups.items() if not _is_difference(key, groups)}
    result: list[PairedRow] = []
    for group in groups.values():
        lefts = [row for row in group if row.side is Side.LEFT]
        rights = [row for row in group if row.side is Side.RIGHT]
        result.extend(_pair(None, None, row) for row in group if row.side is None)
        for index in range(max(len(lefts), len(rights))):
            left = lefts[index] if index < len(lefts) else None
            right = rights[index] if index < len(rights) else None
            result.append(_pair(left, right, None))
    return tuple(result)


def _is_difference(key: str, keys: Iterable[str]) -> bool:
    """Whether a quantity is the left-minus-right of another one present: that one's row shows it, in its own column."""
    return key.endswith(DIFFERENCE) and key.removesuffix(DIFFERENCE) in set(keys)


def own_quantities(measurements: Measurements) -> tuple[Quantity, ...]:
    """Every quantity once, without the left-minus-right of another."""
    found = {row.quantity.key: row.quantity for row in measurements.rows}
    return tuple(quantity for key, quantity in found.items() if not _is_difference(key, found))


def _pair(left: Measurement | None, right: Measurement | None, single: Measurement | None) -> PairedRow:
    present = [row for row in (left, right, single) if row is not None]
    quantity, level = present[0].quantity, present[0].level
    published = quantity.published_at(level)
    difference = ""
    if left is not None and right is not None and left.value is not None and right.value is not None:
        difference = rounded(left.value - right.value, quantity.unit)
        if difference[0] != "−" and float(difference) > 0:
            difference = "+" + difference
    return PairedRow(
        quantity=quantity,
        left=None if single is not None else cell(left),
        right=None if single is not None else cell(right),
        single=None if single is None else cell(single),
        difference=difference,
        published=published,
        published_text="" if published is None else _published_text(published, quantity.unit),
        bar=range_bar(published, left, right, single),
        reason=_common_reason(present),
        doubts=_row_doubts(left, right, single),
    )


def _published_text(published: Published, unit: str) -> str:
    if not published.has_range:
        return rounded(published.mean, unit)
    low, high = rounded(published.low, unit), rounded(published.high, unit)
    return f"{rounded(published.mean, unit)} ({low} to {high})"


def _common_reason(present: Sequence[Measurement]) -> str:
    """The reason that every row of a pair shares, where none has a value."""
    reasons = {reason_words(row) for row in present}
    return f"not measurable: {reasons.pop()}" if len(reasons) == 1 and not any(row.is_measured for row in present) else ""


def _row_doubts(
    left: Measurement | None, right: Measurement | None, single: Measurement | None
) -> tuple[tuple[str, str], ...]:
    """Doubts in words, and the reason where one side alone could not be measured; what is said of both sides is said once."""
    present = [(row, who) for row, who in ((left, "left"), (right, "right"), (single, "")) if row is not None]
    whole = bool(_common_reason([row for row, _who in present]))
    said: dict[str, list[str]] = {}
    for row, who in present:
        texts = list(row.doubts)
        if row.value is None and not whole:
            texts.insert(0, f"not measurable: {reason_words(row)}")
        elif not says_implausible(row):
            low, high = row.quantity.plausible
            unit = row.quantity.unit
            texts.append(f"outside what is plausible for a human spine ({rounded(low, unit)} to {with_unit(high, unit)})")
        for text in texts:
            said.setdefault(text, []).append(who)
    return tuple((" and ".join(who for who in sides if who), text) for text, sides in said.items())


def gathered_doubts(rows: Iterable[PairedRow]) -> tuple[tuple[str, str], ...]:
    """The doubts of a table's rows, each said once: what it says, and of which values."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for sides, text in row.doubts:
            found.setdefault(text, {}).setdefault(sides, []).append(row.quantity.symbol)
    return tuple(
        (sentence(text), "; ".join(f"{', '.join(symbols)} {sides}".strip() for sides, symbols in by.items()))
        for text, by in found.items()
    )


def range_bar(
    published: Published | None, left: Measurement | None, right: Measurement | None, single: Measurement | None
) -> str:
    """A small picture of where values lie: the band is the published range, the tick its mean, ● left or single, ◇ right."""
    if published is None or not published.has_range:
        return ""
    span = published.high - published.low
    low, high = published.low - 0.6 * span, published.high + 0.6 * span

    def place(value: float) -> float:
        return 6.0 + (_BAR_WIDTH - 12.0) * min(max((value - low) / (high - low), 0.0), 1.0)

    middle = _BAR_HEIGHT / 2.0
    x0, x1 = place(published.low), place(published.high)
    parts = [
        f'<path class="bar-track" d="M6,{middle} {_BAR_WIDTH - 6},{middle}"/>',
        f'<rect class="bar-band" x="{svg.number(x0)}" y="{middle - 4}" width="{svg.number(x1 - x0)}" height="8" rx="2"/>',
        f'<path class="bar-mean" d="M{svg.number(place(published.mean))},{middle - 6}v12"/>',
    ]
    spoken = []
    for row, css, who in ((single, "solid", ""), (left, "solid", "left "), (right, "hollow", "right ")):
        if row is None or row.value is None:
            continue
        parts.append(_marker(place(row.value), middle, css, row.value < low, row.value > high))
        spoken.append(f"{who}{value_text(row)}, {_STANDING[standing(row)][1]}")
    if not spoken:
        return ""
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR_WIDTH:g} {_BAR_HEIGHT:g}" width="{_BAR_WIDTH:g}" height="{_BAR_HEIGHT:g}" role="img" '
        f'aria-label="{"; ".join(spoken)}">{"".join(parts)}</svg>'
    )


def _marker(x: float, y: float, css: str, off_low: bool, off_high: bool) -> str:
    """A dot (left or single), a diamond (right); an arrowhead in its place where the value lies off the bar."""
    if off_low or off_high:
        tip = x + (4.5 if off_high else -4.5)
        back = x - (4.0 if off_high else -4.0)
        d = f"M{svg.number(tip)},{y} {svg.number(back)},{y - 5} {svg.number(back)},{y + 5}Z"
    elif css == "hollow":
        d = f"M{svg.number(x)},{y - 5.5} {svg.number(x + 5.5)},{y} {svg.number(x)},{y + 5.5} {svg.number(x - 5.5)},{y}Z"
    else:
        return f'<circle class="bar-{css}" cx="{svg.number(x)}" cy="{y}" r="4.4"/>'
    return f'<path class="bar-{css}" d="{d}"/>'


def glance_rows(measurements: Measurements, segments: Sequence[str]) -> tuple[GlanceRow, ...]:
    """Every quantity that has a value at some of the segments, one line a side, one cell a segment."""
    result: list[GlanceRow] = []
    rows = [row for row in measurements.rows if row.level in segments]
    measured = {row.quantity.key for row in rows if row.is_measured}
    quantities = {row.quantity.key: row.quantity for row in rows}
    for key, quantity in quantities.items():
        if key not in measured or _is_difference(key, quantities):
            continue
        mine = [row for row in rows if row.quantity.key == key]
        sides = [side for side in (Side.LEFT, Side.RIGHT, None) if any(row.side is side for row in mine)]
        for index, side in enumerate(sides):
            found = {row.level: row for row in mine if row.side is side}
            cells = tuple(cell(found.get(name)) for name in segments)
            result.append(GlanceRow(quantity, "" if side is None else side.value, cells, index == 0, len(sides)))
    return tuple(result)


def levels_of(measurements: Measurements, exclude: Iterable[str]) -> tuple[str, ...]:
    """The levels that have rows, in their given order, without those named."""
    left_out = set(exclude)
    return tuple(dict.fromkeys(row.level for row in measurements.rows if row.level not in left_out))
