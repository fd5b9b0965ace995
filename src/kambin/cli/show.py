"""What a command prints when it is done: for people a short table, for programs one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kambin import __version__
from kambin.anatomy.schemes import SCHEME_NAMES, Scheme, builtin_scheme
from kambin.anatomy.structures import Side
from kambin.io import FileInfo
from kambin.io.plain import plain
from kambin.measurement.result import Measurement, Measurements
from kambin.pipeline import RunResult
from kambin.planning import Plan, Plans
from kambin.planning.way import NOT_POSSIBLE, POSSIBLE, WayIn
from kambin.spine import Severity

_MARKS = {Severity.SERIOUS: ("SERIOUS", "bold red"), Severity.WARNING: ("warning", "yellow"), Severity.NOTE: ("note", "dim")}
# what the summary shows, by the quantity's key
_PAIRED = ("foraminal_area", "foraminal_height", "foraminal_width")
_SINGLE = ("disc_height_anterior", "disc_height_middle", "disc_height_posterior")


def emit(document: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(plain(document), indent=1, allow_nan=False))


def result_document(result: RunResult) -> dict[str, Any]:
    """What ``--json`` prints after a run or a stage."""
    document: dict[str, Any] = {
        "status": 0,
        "kambin_version": __version__,
        "folder": str(result.folder),
        "report": None if result.report is None else str(result.report),
        "doubts": [{"severity": doubt.severity.value, "text": doubt.text} for doubt in result.doubts],
        "notes": list(result.notes),
    }
    if result.measurements is not None:
        document |= _counts(result.measurements)
    if result.plans is not None:
        document["plans"] = [_plan_document(plan) for plan in result.plans.plans]
        document["not_planned"] = len(result.plans.reasons)
    return document


def _plan_document(plan: Plan) -> dict[str, Any]:
    """The gist of one plan; all of it is in plan.json."""
    document: dict[str, Any] = {"level": plan.level, "side": plan.side, "approach": plan.approach}
    document |= {"verdict": plan.verdict.word, "firm": plan.is_firm, "warnings": plan.warnings}
    for name, way in (("published", plan.published), ("first", next(iter(plan.ways), None))):
        document[name] = None if way is None else _way_document(plan, way)
    return document


def _way_document(plan: Plan, way: WayIn) -> dict[str, Any]:
    return {
        "alpha_deg": way.channel.alpha_deg(plan.frame),
        "cranial_deg": way.channel.cranial_deg(plan.frame),
        "line_b_mm": None if way.entry is None else way.entry.line_b_mm,
        "keeps_margins": way.keeps_margins,
        "limiting": way.limiting,
        "clearance_mm": way.limiting_mm,
        "reamed_mm3": way.reamed_mm3,
    }


def _counts(measurements: Measurements) -> dict[str, int]:
    measured = sum(row.is_measured for row in measurements.rows)
    return {"measured": measured, "not_measurable": len(measurements.rows) - measured}


def show_result(result: RunResult) -> None:
    """Doubts and notes on stderr; the key measures and where the files are on stdout."""
    console, aside = Console(highlight=False), Console(highlight=False, stderr=True)
    for doubt in result.doubts:
        mark, style = _MARKS[doubt.severity]
        aside.print(Text.assemble((f"{mark}: ", style), doubt.text))
    if result.measurements is not None:
        console.print(_summary(result.measurements))
        counts = _counts(result.measurements)
        console.print(f"{counts['measured']} measured, {counts['not_measurable']} not measurable (reasons in measurements.json)")
    if result.plans is not None and result.measurements is not None:
        console.print(_verdicts(result.plans))
        console.print(_planned(result.plans))
    for note in result.notes:
        aside.print(Text.assemble(("note: ", "yellow"), note))
    console.print(f"folder  {result.folder}", soft_wrap=True, markup=False)
    if result.report is not None:
        console.print(f"report  {result.report}", soft_wrap=True, markup=False)


def show_plans(result: RunResult) -> None:
    """Every way in with its verdict, what comes first of what its reader must know, and why others were not planned."""
    console, aside = Console(highlight=False), Console(highlight=False, stderr=True)
    plans = result.plans or Plans((), {})
    table = Table(caption="° to the coronal plane, ° from above; Line B in mm; mm of room to what limits it", caption_justify="left")
    for name, justify in (("way in", "left"), ("verdict", "left"), ("angles", "right"), ("Line B", "right"), ("limited by", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for plan in plans.plans:
        for row in _rows(plan):
            table.add_row(*row)
    if plans.plans:
        console.print(table)
    for warning, names in _by_warning(plans).items():
        aside.print(Text.assemble((f"{', '.join(names)}: ", "yellow"), warning))
    for reason, names in _by_reason(plans).items():
        aside.print(Text.assemble(("not planned: ", "yellow"), f"{', '.join(names)}: {reason}"))
    for note in result.notes:
        aside.print(Text.assemble(("note: ", "yellow"), note))
    console.print(_planned(plans))
    console.print(f"folder  {result.folder}", soft_wrap=True, markup=False)


def _title(plan: Plan) -> str:
    return f"{plan.level} {plan.side} {plan.approach}"


def _rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """As published, where the approach has that, with the verdict on it; and the best that was found."""
    if plan.published is not None:
        yield (f"{_title(plan)} published", f"group {_word(plan)}", *_way_cells(plan, plan.published))
    for way in plan.ways[:1]:
        found = POSSIBLE if way.keeps_margins else NOT_POSSIBLE
        yield (_title(plan), found if plan.published is not None else _word(plan), *_way_cells(plan, way))


def _word(plan: Plan) -> str:
    return plan.verdict.word + ("" if plan.is_firm else " ?")


def _short(plan: Plan) -> str:
    """For a table of six ways in that has to fit into eighty columns."""
    return {POSSIBLE: "yes", NOT_POSSIBLE: "no"}.get(plan.verdict.word, plan.verdict.word) + ("" if plan.is_firm else " ?")


def _way_cells(plan: Plan, way: WayIn) -> tuple[str, str, str]:
    angles = f"{way.channel.alpha_deg(plan.frame):.0f}° {way.channel.cranial_deg(plan.frame) + 0.0:+.0f}°"
    entry = "–" if way.entry is None else f"{way.entry.line_b_mm:.0f}"
    room = "" if way.limiting_mm is None else f" {way.limiting_mm:.1f}"
    return angles, entry, f"{way.limiting or '–'}{room}"


def _verdicts(plans: Plans) -> Table:
    """Segments and sides downwards, approaches across, a verdict in each; a dash where there is no plan."""
    approaches = dict.fromkeys([plan.approach for plan in plans.plans] + [approach for _, _, approach in plans.reasons])
    caption = "A, B: group of the published placement; yes: a way keeps all margins;\n"
    caption += "? where 1 or 2 mm, or what was not seen, could change it"
    table = Table(box=None, pad_edge=False, caption=caption, caption_justify="left")
    for name in ("", *approaches):
        table.add_column(name, no_wrap=True)
    where = dict.fromkeys([(plan.level, plan.side) for plan in plans.plans] + [(level, side) for level, side, _ in plans.reasons])
    for level, side in where:
        found = [plans.find(level, side, approach) for approach in approaches]
        table.add_row(f"{level} {side}", *("–" if plan is None else _short(plan) for plan in found))
    return table


def _planned(plans: Plans) -> str:
    counts = f"{len(plans.plans)} planned, {len(plans.reasons)} not (reasons in plan.json)"
    return f"{counts}. Research only: no verdict here may guide a needle or a knife."


def _by_warning(plans: Plans) -> dict[str, list[str]]:
    """What comes first of each plan, said once: after the one plan that it is about, or the segments whose plans share it."""
    about: dict[str, list[Plan]] = {}
    for plan in plans.plans:
        for warning in plan.warnings[:1]:
            about.setdefault(warning, []).append(plan)
    return {
        warning: [_title(them[0])] if len(them) == 1 else list(dict.fromkeys(plan.level for plan in them))
        for warning, them in about.items()
    }


def _by_reason(plans: Plans) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for (level, side, approach), reason in plans.reasons.items():
        result.setdefault(reason, []).append(f"{level} {side} {approach}")
    return result


def _summary(measurements: Measurements) -> Table:
    """Segments downwards; left and right of each foraminal measure; anterior, middle, posterior disc height. A dash for no value."""
    rows = {(row.quantity.key, row.level, row.side): row for row in measurements.rows}
    quantities = {row.quantity.key: row.quantity for row in measurements.rows}
    paired = [key for key in _PAIRED if key in quantities]
    single = [key for key in _SINGLE if key in quantities]
    table = Table(caption="left / right; ? where a value has a doubt", caption_justify="left")
    table.add_column("level")
    for key in paired:
        table.add_column(f"{quantities[key].symbol} {quantities[key].unit}", justify="right", no_wrap=True)
    if single:
        table.add_column("disc a / m / p mm", justify="right", no_wrap=True)
    shown = {*paired, *single}
    for level in dict.fromkeys(row.level for row in measurements.rows if row.quantity.key in shown):
        cells = [" / ".join(_value(rows.get((key, level, side))) for side in (Side.LEFT, Side.RIGHT)) for key in paired]
        if single:
            cells.append(" / ".join(_value(rows.get((key, level, None))) for key in single))
        table.add_row(level, *cells)
    return table


def _value(row: Measurement | None) -> str:
    """One decimal; ``?`` after a value with a doubt."""
    if row is None or row.value is None:
        return "–"
    return f"{row.value:.1f}" + ("?" if row.doubts else "")


def show_schemes() -> None:
    """The built-in schemes, one a line."""
    table = Table("name", "label maps of", "structures", box=None)
    for name in SCHEME_NAMES:
        scheme = builtin_scheme(name)
        table.add_row(name, scheme.title, str(len(scheme.structures)))
    console = Console(highlight=False)
    console.print(table)
    console.print("A scheme of your own: a .toml or .csv file, given by its path.")


def scheme_document(scheme: Scheme) -> dict[str, Any]:
    """One scheme as plain values; structures by key, null where Kambin has no use for the number."""
    document: dict[str, Any] = {"name": scheme.name, "title": scheme.title, "counted_from_below": scheme.from_below}
    for name, table, names in (("labels", scheme.table, scheme.names), ("sub_regions", scheme.parts, scheme.part_names or {})):
        if table is not None:
            entries = sorted(table.items())
            document[name] = {
                str(label): {"name": names.get(label), "structure": structure.key if structure else None}
                for label, structure in entries
            }
    return document


def show_scheme(scheme: Scheme) -> None:
    """One scheme's numbers that Kambin uses."""
    console = Console(highlight=False)
    console.print(f"{scheme.name}: {scheme.title}", markup=False)
    if scheme.from_below:
        console.print("Vertebrae are counted from the lowest one: say which it is with --lowest.")
    for title, labels, names in (("label", scheme.table, scheme.names), ("sub-region", scheme.parts, scheme.part_names or {})):
        used = {label: structure for label, structure in sorted((labels or {}).items()) if structure is not None}
        if not used:
            continue
        table = Table(title, "called there", "structure", box=None)
        for label, structure in used.items():
            table.add_row(str(label), names.get(label, ""), structure.label)
        console.print(table)
        ignored = len(labels or {}) - len(used)
        if ignored:
            console.print(f"{ignored} further numbers are known and not used.")


def parameters_document() -> dict[str, Any]:
    """What can be set of a digital patient: meaning, default and range by name."""
    from kambin.phantom import described_parameters

    return {"parameters": described_parameters()}


def show_parameters() -> None:
    """What can be set of a digital patient, one a line."""
    from kambin.phantom import described_parameters

    table = Table("parameter", "mean man", "from", "to", "", box=None)
    for name, entry in described_parameters().items():
        cells = ["" if entry.get(key) is None else f"{entry[key]:g}" for key in ("low", "high")]
        default = entry["default"]
        table.add_row(name, default if isinstance(default, str) else f"{default:g}", *cells, entry["meaning"])
    Console(highlight=False).print(table)


def info_document(info: FileInfo) -> dict[str, Any]:
    """What a file holds, as plain values."""
    return {name: plain(value) for name, value in info.to_dict().items()}


def show_info(info: FileInfo) -> None:
    """What a file holds, warnings first."""
    console = Console(highlight=False)
    for warning in info.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))
    facts = Table(box=None, show_header=False)
    for name, value in _facts(info):
        if value:
            facts.add_row(name, Text(value))
    console.print(facts)
    if info.series:
        series = Table("series", "modality", "description", "images", "", box=None)
        for one in info.series:
            number = "" if one.number is None else str(one.number)
            series.add_row(number, one.modality, Text(one.description), str(one.slices), Text(one.reason or "a volume"))
        console.print(series)
    if info.labels:
        labels = Table("label", "name", "structure", "voxels", "ml", box=None)
        for label in info.labels:
            size = (f"{label.voxels}", f"{label.volume_ml:.1f}")
            labels.add_row(str(label.label), Text(label.name or ""), Text(label.structure or ""), *size)
        console.print(labels)


def _facts(info: FileInfo) -> list[tuple[str, str]]:
    def numbers(values: tuple[float, ...] | None, form: str, joint: str = " × ") -> str:
        return "" if values is None else joint.join(format(value, form) for value in values)

    box = ""
    if info.box_mm is not None:
        low, high = info.box_mm
        box = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("RAS", low, high, strict=True))
    values = "" if info.lowest is None or info.highest is None else f"{info.data_type}, {info.lowest:g} to {info.highest:g}"
    oblique = "" if not info.obliquity_deg or info.obliquity_deg < 0.05 else f", {info.obliquity_deg:.1f}° oblique"
    return [
        ("file", info.path),
        ("format", info.format),
        ("content", info.content),
        ("modality", info.modality or ""),
        ("patient position", info.patient_position or ""),
        ("voxels", numbers(info.shape, "d")),
        ("spacing mm", numbers(info.spacing_mm, ".4g")),
        ("stored as", f"{info.orientation}{oblique}" if info.orientation else ""),
        ("extent mm", numbers(info.extent_mm, ".0f")),
        ("box mm", box),
        ("values", values),
    ]
