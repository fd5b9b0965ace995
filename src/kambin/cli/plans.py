"""The command that plans ways in through a model that a run has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kambin.cli.bar import progress_bar
from kambin.cli.door import door
from kambin.errors import InputError

if TYPE_CHECKING:
    from kambin.anatomy.structures import Level, Side

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]

ROOT = "--root"


def plan(
    folder: Annotated[str, typer.Argument(help="The folder of a run.", show_default=False)],
    approach: Annotated[
        list[str] | None,
        typer.Option(help="tf-peld, needle-safe, needle-kambin, rf, oblique, interlaminar; may be given several times. \\[all]"),
    ] = None,
    level: Annotated[list[str] | None, typer.Option(help="A segment, such as L5/S1; may be given several times. \\[all]")] = None,
    side: Annotated[str | None, typer.Option(help="The patient's left or right. \\[both]")] = None,
    channel_mm: Annotated[
        float | None, typer.Option(help="Diameter of the working channel (of the needle, where only needles are planned).")
    ] = None,
    length_mm: Annotated[float | None, typer.Option(help="Its length.")] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="Room to leave in mm: nerve=2. Also dura, vessel, viscera, iap, transverse, ilium, bone, psoas."),
    ] = None,
    tilt_deg: Annotated[float | None, typer.Option(help="Of the published placement: how far from above it comes. \\[0]")] = None,
    free_alpha_deg: Annotated[
        float | None, typer.Option(help="Of the published placement: its angle to the coronal plane above the iliac crest. \\[40]")
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            ROOT,
            metavar="LEVEL SIDE FILE",
            help="A nerve root that the labels lack, as a few points: .mrk.json, or .csv with x,y,z (RAS mm).",
        ),
    ] = None,
    root_radius_mm: Annotated[float, typer.Option(help="Of roots whose file has no radius.")] = 2.5,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Plan ways in through the model of a run: what they keep clear of, what they touch, how sure that is."""
    with door(as_json=json, debug=debug):
        from kambin import pipeline
        from kambin.anatomy.structures import Side
        from kambin.cli import show

        order = pipeline.PlanOrder(
            approach or (),
            level or (),
            tuple(Side) if side is None else (_side(side, "--side"),),
            channel_mm,
            length_mm,
            _margins(margin or []),
            tilt_deg,
            free_alpha_deg,
            [_root(text) for text in root or []],
            root_radius_mm,
        )
        with progress_bar(quiet) as bar:
            result = pipeline.plan_stage(folder, order, progress=bar)
        if json:
            show.emit(show.result_document(result))
        elif not quiet:
            show.show_plans(result)


def joined(arguments: list[str]) -> list[str]:
    """The arguments with the three words after each ``--root`` made one: an option takes one."""
    result: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        result.append(word)
        if word == ROOT and left and len(left[0].split()) < 3:
            count = next((index for index, following in enumerate(left[:3]) if following.startswith("-")), 3)
            result.append(" ".join(left[:count]))
            del left[:count]
    return result


def _root(text: str) -> tuple[Level, Side, str]:
    from kambin.anatomy.structures import Level

    words = text.split(maxsplit=2)
    if len(words) != 3:
        hint = f"For example: {ROOT} L5 left root.mrk.json"
        raise InputError(ROOT, f"expected LEVEL SIDE FILE, found {text!r}", hint=hint)
    try:
        level = Level(words[0].upper())
    except ValueError:
        names = ", ".join(known.value for known in Level)
        hint = "A root is named by the vertebra whose pedicle it passes under: L5 leaves at L5/S1."
        raise InputError(ROOT, f"expected one of {names} as the level, found {words[0]!r}", hint=hint) from None
    return level, _side(words[1], ROOT), words[2]


def _side(text: str, option: str) -> Side:
    from kambin.anatomy.structures import Side

    try:
        return Side(text.lower())
    except ValueError:
        raise InputError(option, f"expected left or right (the patient's), found {text!r}") from None


def _margins(texts: list[str]) -> dict[str, float]:
    result: dict[str, float] = {}
    problems = []
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            millimetres = float(value)
        except ValueError:
            problems.append(f"expected NAME=MILLIMETRES such as nerve=2, found {text!r}")
            continue
        if result.setdefault(name, millimetres) != millimetres:
            problems.append(f"{name}: expected one margin, found {result[name]:g} and {millimetres:g} mm")
    if problems:
        raise InputError("--margin", *problems)
    return result
