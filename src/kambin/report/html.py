"""One self-contained page from a model, its measurements and, where there is one, the scan."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from kambin.anatomy.structures import Level
from kambin.measurement.result import Measurements
from kambin.planning import Plans
from kambin.report import figures, tables
from kambin.report.doubts import all_doubts, not_measured
from kambin.report.figures import Atelier, Figure
from kambin.report.plan_pages import PlanPages, plan_pages
from kambin.report.render3d import RenderingUnavailable, Stage
from kambin.spine import MotionSegment, Severity, SpineModel
from kambin.volume import Grid, Scan

if TYPE_CHECKING:
    import jinja2

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Section:
    """One level's part of the page."""

    anchor: str
    title: str
    views: tuple[Figure, ...]
    slices: tuple[Figure, ...]
    rows: tuple[tables.PairedRow, ...]
    note: str = ""


def build_report(
    model: SpineModel,
    measurements: Measurements,
    scan: Scan | None,
    *,
    title: str,
    plans: Plans | None = None,
    progress: Progress | None = None,
) -> str:
    """The report as one HTML document that needs nothing but itself.

    It draws and tabulates what it is given and computes nothing clinical. Where this machine cannot draw in 3D the page says so, and
    why, in place of those pictures; all else is there.

    Parameters
    ----------
    model, measurements
        What to show.
    scan
        Its slices are shown under the contours; None shows the label map instead.
    title
        Heading of the page; any text.
    plans
        Ways in through the same model; None where nothing was planned.
    progress
        Called with what is being done and the fraction done, 0 to 1.
    """
    tell = progress or (lambda _message, _fraction: None)
    tell("preparing the 3D views", 0.0)
    share = 0.76 if plans is None else 0.34  # of the time, for the segments
    solids = model.all_solids()
    stage, no_views = _open_stage(model)
    try:
        atelier = Atelier(model, measurements, scan, stage, solids)
        tell("drawing the whole spine", 0.08)
        overview = figures.whole_spine_views(atelier)
        sections = []
        for index, segment in enumerate(model.segments):
            tell(f"drawing {segment.name}", 0.12 + share * index / len(model.segments))
            sections.append(_segment_section(atelier, segment))
        tell("drawing the slices of the whole spine", 0.12 + share)
        columns = figures.whole_spine_slices(atelier) if model.vertebrae else []
        planned = None if plans is None else plan_pages(atelier, plans, lambda what, done: tell(what, 0.5 + 0.44 * done))
    finally:
        if stage is not None:
            stage.close()
    tell("writing the page", 0.96)
    page = _render(model, measurements, scan, title, overview, sections, columns, planned, no_views)
    tell("done", 1.0)
    return page


def _open_stage(model: SpineModel) -> tuple[Stage | None, str]:
    try:
        return Stage(model.all_solids()), ""
    except RenderingUnavailable as reason:
        return None, str(reason)


def _segment_section(atelier: Atelier, segment: MotionSegment) -> Section:
    rows = tables.paired_rows(row for row in atelier.measurements.rows if row.level == segment.name)
    note = "No disc is labelled here: the space between the facing endplates stands for it." if segment.disc_is_inferred else ""
    return Section(
        anchor=_anchor(segment.name),
        title=segment.name,
        views=tuple(figures.segment_views(atelier, segment)),
        slices=tuple(figures.segment_slices(atelier, segment)),
        rows=rows,
        note=note,
    )


def _render(
    model: SpineModel,
    measurements: Measurements,
    scan: Scan | None,
    title: str,
    overview: list[Figure],
    sections: list[Section],
    columns: list[Figure],
    plans: PlanPages | None,
    no_views: str,
) -> str:
    names = [segment.name for segment in model.segments]
    doubts = all_doubts(model, measurements)
    other = [
        (level, tables.paired_rows(row for row in measurements.rows if row.level == level))
        for level in tables.levels_of(measurements, [*names, *model.missing_segments])
    ]
    own = {vertebra.level.value for vertebra in model.vertebrae if vertebra.level is not Level.S1}
    return _template().render(
        title=title,
        today=date.today().isoformat(),
        version=_version(),
        facts=_facts(model, scan),
        doubts=doubts,
        not_measured=not_measured(measurements),
        severities=[(s, sum(doubt.severity is s for doubt in doubts)) for s in (Severity.SERIOUS, Severity.WARNING, Severity.NOTE)],
        segments=names,
        glance=tables.glance_rows(measurements, names),
        overview=overview,
        legend=figures.legend(model.all_solids()),
        sections=sections,
        missing=[
            (name, reason, tables.paired_rows(row for row in measurements.rows if row.level == name))
            for name, reason in model.missing_segments.items()
        ],
        columns=columns,
        plans=plans,
        vertebrae=[level for level, _rows in other if level in own],
        vertebra_rows=tables.glance_rows(measurements, [level for level, _rows in other if level in own]),
        vertebra_notes=[
            (level, text, which) for level, rows in other if level in own for text, which in tables.gathered_doubts(rows)
        ],
        spine=[row for level, rows in other if level not in own for row in rows],
        no_views=no_views,
        has_scan=scan is not None,
        quantities=tables.own_quantities(measurements),
        provenance=_provenance(model, measurements, scan),
        files=_files(model, scan),
    )


def _template() -> jinja2.Template:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kambin.report", "templates"),
        autoescape=jinja2.select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["gathered_doubts"] = tables.gathered_doubts
    environment.filters["rounded"] = tables.rounded
    environment.filters["drawing"] = Markup  # for SVG made here, whose words are escaped where they enter it
    return environment.get_template("report.html.j2")


def _facts(model: SpineModel, scan: Scan | None) -> list[tuple[str, str]]:
    """What the input was, as label and text."""
    facts = []
    if scan is not None:
        facts.append(("Scan", f"{scan.modality or 'modality not stated'}, {_grid_words(scan.grid)}"))
    else:
        facts.append(("Scan", "none given; the label map alone"))
    facts.append(("Label map", _grid_words(model.grid)))
    scheme = next((text for key, text in _leaves(model.provenance) if key == "scheme"), None)
    if scheme is not None:
        facts.append(("Label scheme", scheme))
    files = [name for name, _checksum in _files(model, scan)]
    if files:
        facts.append(("File" if len(files) == 1 else "Files", ", ".join(files)))
    return facts


def _grid_words(grid: Grid) -> str:
    size = " × ".join(str(n) for n in grid.shape)
    spacing = " × ".join(f"{mm:.2f}".rstrip("0").rstrip(".") for mm in grid.spacing_mm)
    return f"{size} voxels of {spacing} mm"


def _files(model: SpineModel, scan: Scan | None) -> list[tuple[str, str]]:
    """Every input file that the provenance names, with its checksum where there is one."""
    found: dict[str, str] = {}
    sources: list[Mapping[str, Any]] = [model.provenance] if scan is None else [scan.provenance, model.provenance]
    for source in sources:
        for mapping in _mappings(source):
            name = next((mapping[key] for key in ("file", "name", "path") if isinstance(mapping.get(key), str)), None)
            checksum = next((value for key, value in mapping.items() if "sha256" in str(key) and isinstance(value, str)), "")
            if name is not None and (checksum or "file" in mapping):
                short = name.replace("\\", "/").rsplit("/", 1)[-1]
                found[short] = checksum or found.get(short, "")
    return list(found.items())


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _mappings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _mappings(inner)


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    for mapping in _mappings(value):
        for key, inner in mapping.items():
            if isinstance(inner, (str, int, float)):
                yield str(key), str(inner)


def _provenance(model: SpineModel, measurements: Measurements, scan: Scan | None) -> list[tuple[str, str]]:
    """What each input says of its origin, as heading and JSON; the same text once."""
    sources = [("Model", model.provenance), ("Measurements", measurements.provenance)]
    if scan is not None:
        sources.append(("Scan", scan.provenance))
    headings: dict[str, list[str]] = {}
    for name, value in sources:
        if value:
            headings.setdefault(json.dumps(_plain(value), indent=2, ensure_ascii=False), []).append(name)
    return [(" and ".join(names), text) for text, names in headings.items()]


def _plain(value: Any) -> Any:
    """The same in JSON's own types; what JSON has no type for becomes its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _anchor(name: str) -> str:
    return "segment-" + "".join(letter if letter.isalnum() else "-" for letter in name)


def _version() -> str:
    try:
        return version("kambin")
    except PackageNotFoundError:
        return "unknown"
