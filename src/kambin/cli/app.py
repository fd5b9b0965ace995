"""The commands. Each takes its arguments apart, calls the pipeline, and shows what came out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from json import dumps
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from kambin import __version__
from kambin.cli import patients, plans, training
from kambin.cli import segment as segmenting
from kambin.cli.bar import progress_bar
from kambin.cli.door import BAD_INPUT, DONE, INTERRUPTED, Terminated, door
from kambin.cli.numbers import three_numbers
from kambin.errors import InputError

if TYPE_CHECKING:
    from kambin.anatomy.structures import Level
    from kambin.pipeline import Progress, RunInputs, RunResult
    from kambin.pipeline.segment import SegmentOrder

app = typer.Typer(
    name="kambin",
    help="Measures lumbosacral anatomy on CT and MR scans, and plans ways in. Research software; not for clinical use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ScanArgument = Annotated[
    str | None, typer.Argument(help="The scan: NIfTI, NRRD, MHA, or a DICOM folder or zip. May be left out.", show_default=False)
]
Labels = Annotated[
    list[str] | None, typer.Option("--labels", "-l", help="A label map; may be given several times. Without one the scan is segmented.")
]
Schemes = Annotated[
    list[str] | None,
    typer.Option("--scheme", "-s", help="What the labels mean: a name from `kambin schemes`, or your own .toml or .csv."),
]
Output = Annotated[str, typer.Option("--output", "-o", help="The folder to make.", show_default=False)]
Lowest = Annotated[str | None, typer.Option(help="Level of the lowest vertebra, for schemes that count from it: L5, say.")]
SpacingScale = Annotated[
    str | None,
    typer.Option(help="Factors for the spacing along the file's three axes, of scan and labels, if their scale is wrong: 1.5,1.5,2"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the output folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]
RunFolder = Annotated[str, typer.Argument(help="The folder of a run.", show_default=False)]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kambin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")] = False,
) -> None:
    """Measures lumbosacral anatomy on CT and MR scans, and plans ways in. Research software; not for clinical use."""


@app.command()
def run(
    output: Output,
    scan: ScanArgument = None,
    labels: Labels = None,
    scheme: Schemes = None,
    lowest: Lowest = None,
    spacing_scale: SpacingScale = None,
    model: segmenting.ModelOption = segmenting.DEFAULT_MODEL,
    device: segmenting.DeviceOption = segmenting.DEFAULT_DEVICE,
    memory: segmenting.MemoryOption = segmenting.DEFAULT_MEMORY,
    force: segmenting.ForceOption = False,
    overwrite: Overwrite = False,
    no_plan: Annotated[bool, typer.Option("--no-plan", help="Plan no ways in.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave report.html out.")] = False,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Surfaces, measurements, plans and a report: from a scan alone, which is then segmented, or from a label map."""
    with door(as_json=json, debug=debug):
        from kambin import pipeline

        order = segmenting.segment_order(model, device, memory, force)
        inputs = _inputs(scan, labels, scheme, lowest, spacing_scale, order)
        work = partial(pipeline.run, inputs, output, overwrite=overwrite, plan=not no_plan, report=not no_report)
        _do(lambda show: work(progress=show), quiet, json)


@app.command()
def reconstruct(
    output: Output,
    scan: ScanArgument = None,
    labels: Labels = None,
    scheme: Schemes = None,
    lowest: Lowest = None,
    spacing_scale: SpacingScale = None,
    model: segmenting.ModelOption = segmenting.DEFAULT_MODEL,
    device: segmenting.DeviceOption = segmenting.DEFAULT_DEVICE,
    memory: segmenting.MemoryOption = segmenting.DEFAULT_MEMORY,
    force: segmenting.ForceOption = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The first stage of a run: the 3D model and its surfaces."""
    with door(as_json=json, debug=debug):
        from kambin import pipeline

        order = segmenting.segment_order(model, device, memory, force)
        inputs = _inputs(scan, labels, scheme, lowest, spacing_scale, order)
        _do(lambda show: pipeline.reconstruct_stage(inputs, output, overwrite=overwrite, progress=show), quiet, json)


@app.command()
def measure(folder: RunFolder, quiet: Quiet = False, json: Json = False, debug: Debug = False) -> None:
    """The second stage: measure the model that a run's folder holds."""
    with door(as_json=json, debug=debug):
        from kambin import pipeline

        _do(lambda show: pipeline.measure_stage(folder, progress=show), quiet, json)


app.command()(plans.plan)


@app.command()
def report(folder: RunFolder, quiet: Quiet = False, json: Json = False, debug: Debug = False) -> None:
    """The last stage: write the report of a run's folder."""
    with door(as_json=json, debug=debug):
        from kambin import pipeline

        _do(lambda show: pipeline.report_stage(folder, progress=show), quiet, json)


@app.command()
def schemes(
    name: Annotated[str | None, typer.Argument(help="Show what this scheme's numbers stand for.", show_default=False)] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """The label schemes that Kambin reads."""
    with door(as_json=json, debug=debug):
        from kambin.anatomy.schemes import SCHEME_NAMES, builtin_scheme
        from kambin.cli import show
        from kambin.pipeline.inputs import find_scheme

        if name is not None:
            found = find_scheme(name)
            show.emit(show.scheme_document(found)) if json else show.show_scheme(found)
        elif json:
            show.emit({"schemes": [{"name": each, "title": builtin_scheme(each).title} for each in SCHEME_NAMES]})
        else:
            show.show_schemes()


@app.command()
def info(
    file: Annotated[str, typer.Argument(help="A scan or a label map, file or folder.", show_default=False)],
    scheme: Annotated[str | None, typer.Option("--scheme", "-s", help="Name the labels by this scheme.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """What a file holds: size, spacing, orientation, series, labels."""
    with door(as_json=json, debug=debug):
        from kambin.cli import show
        from kambin.io import describe
        from kambin.pipeline.inputs import find_scheme

        found = describe(file, None if scheme is None else find_scheme(scheme))
        show.emit(show.info_document(found)) if json else show.show_info(found)


app.command()(training.train)
app.command()(training.systems)
app.command()(segmenting.segment)
app.command()(patients.phantom)
app.command()(patients.demo)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit status: 0 done, 2 bad usage or input, 1 a fault of ours, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name in another encoding, or a terminal without ² and é
    try:
        status = app(args=plans.joined(given), prog_name="kambin", standalone_mode=False)
    except typer.Abort:
        status = INTERRUPTED
    except Exception as error:  # bad usage, told by typer; whatever a command raises, its door has dealt with
        status = _bad_usage(error, as_json="--json" in given)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has left; what Python would flush at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status if isinstance(status, int) else DONE)


def _bad_usage(error: Exception, as_json: bool) -> int:
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    if as_json:
        message = str(getattr(error, "message", error))
        typer.echo(dumps({"error": {"type": "UsageError", "message": message}, "status": BAD_INPUT}))
    return BAD_INPUT


def _terminate(_signal: int, _frame: object) -> None:
    raise Terminated


def _inputs(
    scan: str | None,
    labels: list[str] | None,
    schemes: list[str] | None,
    lowest: str | None,
    spacing_scale: str | None,
    order: SegmentOrder,
) -> RunInputs:
    from kambin.pipeline import RunInputs

    return RunInputs(labels or [], schemes or [], scan, _level(lowest), _factors(spacing_scale), order)


def _level(text: str | None) -> Level | None:
    from kambin.anatomy.structures import Level

    if text is None:
        return None
    try:
        return Level(text.upper())
    except ValueError:
        names = ", ".join(level.value for level in Level)
        raise InputError("--lowest", f"expected one of {names}, found {text!r}") from None


def _factors(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    factors = three_numbers(text)
    if factors is None:
        raise InputError("--spacing-scale", f"expected three factors such as 1.5,1.5,2, or one for all axes, found {text!r}")
    return factors


def _do(work: Callable[[Progress], RunResult], quiet: bool, as_json: bool) -> None:
    from kambin.cli import show

    with progress_bar(quiet) as bar:
        result = work(bar)
    if as_json:
        show.emit(show.result_document(result))
    elif not quiet:
        show.show_result(result)
