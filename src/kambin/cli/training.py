"""The commands about published systems: which there are, and training one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kambin.cli.bar import progress_bar
from kambin.cli.door import INTERRUPTED, TERMINATED, Terminated, door, fail

if TYPE_CHECKING:
    from kambin.pipeline.train import TrainResult
    from kambin.segmentation.systems import System

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]


def train(
    system: Annotated[str, typer.Option(help="A key from `kambin systems`.", show_default=False)],
    data: Annotated[str, typer.Option(help="Scans with labels: nnU-Net, BIDS, digital patients, or a .csv list.", show_default=False)],
    fold: Annotated[int, typer.Option(help="Which part of the cases tests, from 0 on.")] = 0,
    preset: Annotated[str, typer.Option(help="full, as published; cpu, small: minutes on two cores.")] = "full",
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The folder to train in; one that was interrupted goes on.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the folds and of every draw; the same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    scheme: Annotated[str | None, typer.Option("--scheme", "-s", help="What the labels mean, instead of what the folder says.")] = None,
    others: Annotated[
        str | None,
        typer.Option(help="Labels of no class of the system: refuse, background or unknown.", show_default=False),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="lumbosacral-any alone: a model whose weights to begin with.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train on scans of the wrong modality too.")] = False,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a published system on scans with labels, one fold: a model, and its test in the scans' own voxels.

    Or train lumbosacral-any, the model that ships with Kambin, on maps of tissues that `kambin phantom --tissues` makes.
    """
    from kambin.segmentation import any_model

    if system == any_model.NAME:
        _train_any(data, preset, out or f"kambin-train/{system}/{preset}", epochs, seed, device, start, quiet=quiet, json=json, debug=debug)
        return
    place = out or f"kambin-train/{system}/{preset}/fold-{fold}"
    with door(as_json=json, debug=debug), _interruptible(place, json):
        from kambin.cli import show
        from kambin.pipeline.train import train_system
        from kambin.pipeline.train_cases import TrainOrder
        from kambin.segmentation.systems import find_system

        order = TrainOrder(system, data, fold, preset, epochs, seed, device, scheme, others, force)
        with progress_bar(quiet) as bar:
            result = train_system(order, place, progress=bar)
        if json:
            show.emit(_result_document(find_system(system), result))
        elif not quiet:
            _show_result(find_system(system), result)


def _train_any(
    data: str,
    preset: str,
    place: str,
    epochs: int | None,
    seed: int,
    device: str,
    start: str | None,
    *,
    quiet: bool,
    json: bool,
    debug: bool,
) -> None:
    with door(as_json=json, debug=debug), _interruptible(place, json):
        from kambin.cli import show
        from kambin.pipeline.train_any import AnyOrder, train_any

        with progress_bar(quiet) as bar:
            result = train_any(AnyOrder(data, preset, epochs, seed, device, start), place, progress=bar)
        best = max(result.log, key=lambda entry: entry.mean)
        if json:
            show.emit({"status": 0, "folder": str(result.folder), "model": str(result.model), "epochs": len(result.log), "dice": best.mean})
        elif not quiet:
            typer.echo(f"model   {result.model}")
            typer.echo(f"log     {result.folder / 'log.csv'}, {len(result.log)} epochs")
            typer.echo(f"Dice    {best.mean:.3f} on drawn pictures of patients that were not learnt from (epoch {best.epoch})")


def systems(json: Json = False, debug: Debug = False) -> None:
    """The published systems that Kambin can be trained as."""
    with door(as_json=json, debug=debug):
        from kambin.cli import show
        from kambin.segmentation.published import SYSTEMS

        if json:
            show.emit({"systems": [_system_document(system) for system in SYSTEMS.values()]})
            return
        for system in SYSTEMS.values():
            _show_system(system)


@contextmanager
def _interruptible(place: str, as_json: bool) -> Iterator[None]:
    """Ctrl-C costs the epoch that it falls into, and the user should know."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        text = f"interrupted; every finished epoch is kept in {place}, and the same command goes on from there"
        fail(text, {"type": "Interrupted"}, INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED, as_json)


def _system_document(system: System) -> dict[str, Any]:
    from kambin.segmentation.systems import described

    full = system.setting("full")
    structures = [{"key": key, "name": words} for key, words in zip(system.classes.keys[1:], system.words, strict=True)]
    return {
        "key": system.key,
        "title": system.title,
        "paper": system.paper,
        "modality": system.modality,
        "structures": structures,
        "network": full.network.name,
        "parameters": full.parameters,
        "published": [described(result) for result in system.published],
        "readings": list(system.readings),
        "presets": {name: described(setting) for name, setting in system.presets.items()},
    }


def _show_system(system: System) -> None:
    full = system.setting("full")
    typer.echo(f"{system.key}  {system.title}; {system.modality}")
    typer.echo(f"  {system.paper}")
    typer.echo(f"  {full.network.name}, {full.parameters:,} parameters (cpu preset {system.setting('cpu').parameters:,})")
    for key, words in zip(system.classes.keys[1:], system.words, strict=True):
        dice = system.published_value("dice", key)
        typer.echo(f"    {words:<20} {key:<16} {'' if dice is None else f'published Dice {dice.value:.3f}'}")
    typer.echo("")


def _result_document(system: System, result: TrainResult) -> dict[str, Any]:
    from kambin.io.plain import plain
    from kambin.pipeline.train_results import summary

    test = {key: {metric: value[0] for metric, value in of_class.items()} for key, of_class in summary(system, result.rows).items()}
    document = {"status": 0, "folder": str(result.folder), "model": str(result.model), "epochs": len(result.log), "test": test}
    converted = plain({**document, "notes": list(result.notes)})
    return dict(converted)


def _show_result(system: System, result: TrainResult) -> None:
    from kambin.pipeline.train_results import summary

    typer.echo(f"model   {result.model}")
    typer.echo(f"log     {result.folder / 'log.csv'}, {len(result.log)} epochs")
    table = summary(system, result.rows)
    typer.echo(f"test    {len({row.case for row in result.rows})} cases, in their own voxels   (published)")
    words = dict(zip(system.classes.keys[1:], system.words, strict=True)) | {"mean": "mean"}
    for key, of_class in table.items():
        dice, published = of_class["dice"], system.published_value("dice", key)
        shown = "    –" if dice[2] == 0 else f"{dice[0]:.3f}"
        typer.echo(f"  {words[key]:<20} Dice {shown}" + ("" if published is None else f"   ({published.value:.3f})"))
    for note in result.notes:
        typer.echo(f"note: {note}")
