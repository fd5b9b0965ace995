"""The commands that need no scan: digital patients, and the demonstration on one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from kambin.cli.bar import progress_bar
from kambin.cli.door import door
from kambin.cli.numbers import three_numbers
from kambin.errors import InputError

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier output of this command.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A patient parameter, such as disc_height_l5s1_mm=6; may be given several times.")
]


def phantom(
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to make.", show_default=False)] = "",
    seed: Annotated[int, typer.Option(help="Which patient of the population; the same seed gives the same files.")] = 0,
    count: Annotated[int, typer.Option(help="How many patients, with this seed and the following ones.")] = 1,
    scanner: Annotated[str, typer.Option(help="t2-space, t2-sag, t1-sag, t2-ax, ct-thin, ct-thick, random and others.")] = "t2-space",
    settings: Settings = None,
    surfaces: Annotated[
        str | None,
        typer.Option(help="Take bones and discs from surfaces: a surfaces.toml that describes them, or its folder. No truth then."),
    ] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Start from the mean man (or the surfaces as they are), not from a draw of the population.")
    ] = False,
    spacing: Annotated[
        str | None, typer.Option(help="Voxel size in mm instead of the scanner's: 0.8, or 4,0.7,0.7 for right, anterior, cranial.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Field of view in mm instead of the scanner's: 250, or 340,256,230 for right, anterior, cranial.")
    ] = None,
    turned: Annotated[
        str | None, typer.Option(help="Turn the field of view: degrees about the right, the anterior and the cranial axis, as 15,0,5.")
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="Put the field of view about a disc or a vertebra's body, L4/L5 or L4, which it has to hold whole.")
    ] = None,
    no_truth: Annotated[bool, typer.Option("--no-truth", help="Leave truth.json out.")] = False,
    tissues: Annotated[
        bool, typer.Option("--tissues", help="A map of the tissues instead of a scan, to train networks from in any contrast.")
    ] = False,
    list_parameters: Annotated[bool, typer.Option("--list-parameters", help="Show what --set can set, with ranges, and leave.")] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Digital patients with known truth: a simulated scan, its label map, the true measurements."""
    with door(as_json=json, debug=debug):
        from kambin.cli import show

        if list_parameters:
            show.emit(show.parameters_document()) if json else show.show_parameters()
            return
        if not output:
            raise InputError("--output", "expected a folder to make, found none", hint="Give one with -o.")
        from kambin.pipeline.phantom import PhantomOrder, make_patients

        voxels, view = _lengths("--spacing", spacing, 50.0), _lengths("--size", size, 2000.0)
        order = PhantomOrder(
            seed, count, scanner, _settings(settings), mean, voxels, not no_truth, surfaces, view, _turns(turned), level, tissues
        )
        with progress_bar(quiet) as bar:
            folders = make_patients(order, output, overwrite=overwrite, progress=bar)
        if json:
            show.emit({"status": 0, "folders": [str(folder) for folder in folders]})
        elif not quiet:
            for folder in folders:
                typer.echo(f"patient {folder}")


def demo(
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to make.")] = "kambin-demo",
    seed: Annotated[int, typer.Option(help="Which digital patient.")] = 1,
    open_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = True,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """See what Kambin does: one digital patient, scanned, rebuilt, measured, with the report opened."""
    with door(as_json=json, debug=debug):
        from kambin.cli import show
        from kambin.pipeline.phantom import DEMO, demonstrate

        with progress_bar(quiet) as bar:
            result = demonstrate(replace(DEMO, seed=seed), output, overwrite=overwrite, progress=bar)
        if json:
            show.emit(show.result_document(result))
        elif not quiet:
            show.show_result(result)
        if open_report and result.report is not None and not json:
            import webbrowser

            webbrowser.open(result.report.resolve().as_uri())


def _settings(texts: list[str] | None) -> dict[str, Any]:
    """Parameters as name and value."""
    result: dict[str, Any] = {}
    problems = []
    for text in texts or []:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or not value:
            problems.append(f"expected NAME=VALUE, found {text!r}")
        elif name == "sex":
            result[name] = value
        else:
            try:
                result[name] = float(value)
            except ValueError:
                problems.append(f"{name}: expected a number, found {value!r}")
    if problems:
        raise InputError("--set", *problems, hint="`kambin phantom --list-parameters` shows them.")
    return result


def _lengths(option: str, text: str | None, most_mm: float) -> tuple[float, float, float] | None:
    if text is None:
        return None
    numbers = three_numbers(text)
    if numbers is None or not all(0.0 < n < most_mm for n in numbers):
        raise InputError(option, f"expected one or three millimetres above 0 and below {most_mm:g}, found {text!r}")
    return numbers


def _turns(text: str | None) -> tuple[float, float, float]:
    numbers = (0.0, 0.0, 0.0) if text is None else three_numbers(text) if text.count(",") == 2 else None
    if numbers is None or not all(-360.0 <= n <= 360.0 for n in numbers):
        raise InputError("--turned", f"expected three numbers of degrees between commas, -360 to 360, found {text!r}")
    return numbers
