"""A published system trained on a folder of scans with labels: one fold, from files to a model and its results in original space."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kambin import __version__
from kambin.errors import InputError, OutputError
from kambin.io.training_data import read_case
from kambin.pipeline.progress import Progress, part, silent
from kambin.pipeline.train_cases import TrainingData, TrainOrder, classes_of, labelled_classes, read_data
from kambin.pipeline.train_results import METRICS_FILE, RESULTS, TestRow, mean_of, metrics_text, results_text
from kambin.segmentation.folds import Fold
from kambin.segmentation.overlap import overlaps
from kambin.segmentation.preprocess import prepare, restored
from kambin.segmentation.systems import Optimiser, Setting, System, described, find_system

if TYPE_CHECKING:
    import torch
    from torch import nn

    from kambin.segmentation.training import Epoch
    from kambin.segmentation.workers import Worker

SETTINGS, FOLD, MODEL = "training.json", "fold.json", "model.zip"


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind.

    Parameters
    ----------
    folder
        Where everything was written.
    model
        The model, as `kambin segment --model` takes it.
    log
        One line an epoch.
    rows
        The test, case by case.
    notes
        What the user should know.
    """

    folder: Path
    model: Path
    log: tuple[Epoch, ...]
    rows: tuple[TestRow, ...]
    notes: tuple[str, ...] = ()


def train_system(order: TrainOrder, output: str | Path, *, progress: Progress = silent) -> TrainResult:
    """Train one fold, or go on where an earlier command was interrupted; then write the best epoch as a model and test it.

    The folder gets ``training.json`` (what is trained), ``fold.json``, ``log.csv``, ``last.pt``, ``best.pt``, ``model.zip``,
    ``metrics.csv`` and ``results.json``.

    Raises
    ------
    InputError
        When PyTorch is missing, or the order or the data cannot be used: all that is wrong with the cases at once.
    OutputError
        When the folder holds something else, or cannot be written to.
    """
    need_torch()
    from kambin.segmentation.checkpoints import write_whole
    from kambin.segmentation.workers import joined

    system, setting, place = find_system(order.system), order.setting(), Path(output)
    check_place(place)
    with joined(order.device) as worker:
        data = read_data(order, system, setting, part(progress, 0.0, 0.15))
        identity = _identity(order, system, setting, data)
        if worker.is_first:
            begin(place, identity, data.fold)
        worker.wait()
        log = _trained(order, system, setting, data, identity, place, worker, part(progress, 0.15, 0.88))
        rows: tuple[TestRow, ...] = ()
        if worker.is_first:
            network = _best(system, setting, place)
            _export(system, order, network, place, log, part(progress, 0.88, 0.9))
            rows = tuple(_tested(system, setting, data, network, worker.device, part(progress, 0.9, 0.99)))
            told = {"system": system.key, "preset": order.preset, "fold": order.fold, "seed": order.seed, "epochs": len(log)}
            told |= {"best_epoch": max(log, key=lambda entry: entry.mean).epoch}
            write_whole(place / METRICS_FILE, metrics_text(system, rows).encode())
            write_whole(place / RESULTS, results_text(system, rows, told).encode())
    progress("done", 1.0)
    return TrainResult(place, place / MODEL, log, rows, data.notes)


def need_torch() -> None:
    """Do nothing where PyTorch is installed; else say how it is."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise InputError("kambin train", "training needs PyTorch, which is not installed", hint="pip install 'kambin[train]'") from None


def _identity(order: TrainOrder, system: System, setting: Setting, data: TrainingData) -> dict[str, Any]:
    settings = described(setting)
    settings["recipe"].pop("epochs")
    settings["recipe"].pop("divided_at")
    identity = {"system": system.key, "preset": order.preset, "fold": order.fold, "seed": order.seed, "others": order.others}
    return {**identity, "classes": list(system.classes.keys), "setting": settings, "cases": data.digest}


def check_place(place: Path) -> None:
    """Do nothing where a folder is new, empty or a training's; else say so."""
    if place.is_file():
        raise OutputError(place, "expected a folder or a new name, found a file")
    try:
        foreign = place.is_dir() and any(place.iterdir()) and not (place / SETTINGS).is_file()
    except OSError as error:
        raise OutputError(place, f"the folder cannot be read ({error.strerror})") from error
    if foreign:
        problem = f"the folder is not empty and holds no training of Kambin (no {SETTINGS}), so it is left alone"
        raise OutputError(place, problem, hint="Choose a new folder with --out.")


def begin(place: Path, identity: Mapping[str, Any], fold: Fold | None) -> None:
    """The folder made, or an earlier training in it recognised as this one."""
    from kambin.segmentation.checkpoints import write_whole
    from kambin.segmentation.training import check_identity

    if (place / SETTINGS).is_file():
        try:
            earlier = json.loads((place / SETTINGS).read_text(encoding="utf-8"))["identity"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(place / SETTINGS, f"expected the settings of a training, found something else ({error})") from error
        check_identity(place, identity, json.dumps(earlier))
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(place, f"expected a place that can be written to, found that it cannot ({error.strerror})") from error
    if fold is not None:
        parts = {"train": fold.train, "validation": fold.validation, "test": fold.test}
        write_whole(place / FOLD, json.dumps(parts, indent=1).encode())
    write_whole(place / SETTINGS, json.dumps({"kambin": __version__, "identity": identity}, indent=1).encode())


def _trained(
    order: TrainOrder,
    system: System,
    setting: Setting,
    data: TrainingData,
    identity: Mapping[str, Any],
    place: Path,
    worker: Worker,
    progress: Progress,
) -> tuple[Epoch, ...]:
    import torch

    from kambin.segmentation.combined import predicted_classes
    from kambin.segmentation.losses import loss_of
    from kambin.segmentation.muon import Muon
    from kambin.segmentation.networks import build_network
    from kambin.segmentation.sources import ScanSource
    from kambin.segmentation.training import Training, adam, train

    torch.manual_seed(order.seed)
    network = build_network(setting.network.name, len(system.classes), setting.network.options)
    chosen = [data.prepared[name] for name in data.fold.train]
    source = ScanSource(chosen, setting.recipe, data.targets, order.seed, worker.rank, worker.count)
    judged = [data.prepared[name] for name in data.fold.validation]

    def validate(now: nn.Module, epoch: int) -> Mapping[str, float]:
        wanted = setting.recipe.validation_cases
        drawn = judged
        if wanted is not None and wanted < len(judged):
            picked = np.random.default_rng([order.seed, 5, epoch]).permutation(len(judged))[:wanted]
            drawn = [judged[index] for index in sorted(picked)]
        allowed = data.targets.membership()
        results = []
        for case in drawn:
            found = predicted_classes(now, case.image, setting.windows, worker.device)
            results.append(overlaps(found, case.classes, len(system.classes), allowed))
        return {key: mean_of([one[index].dice for one in results]) for index, key in enumerate(system.classes.keys[1:])}

    recipe = setting.recipe
    optimiser = Muon if recipe.optimiser is Optimiser.MUON else adam
    training = Training(network, source, loss_of(recipe, data.targets), recipe, validate, identity, order.seed, optimiser, recipe.average)
    return train(training, place, worker, progress)


def _best(system: System, setting: Setting, place: Path) -> nn.Module:
    from kambin.segmentation.networks import build_network
    from kambin.segmentation.training import best_weights

    network = build_network(setting.network.name, len(system.classes), setting.network.options)
    network.load_state_dict(best_weights(place)["network"])
    return network


def _export(system: System, order: TrainOrder, network: nn.Module, place: Path, log: Sequence[Epoch], progress: Progress) -> None:
    from kambin.segmentation.export import onnx_bytes, settings_of, write_bundle

    progress("writing the model", 0.0)
    content = onnx_bytes(network)
    best = max(log, key=lambda entry: entry.mean)
    card = {
        "system": system.key,
        "paper": system.paper,
        "preset": order.preset,
        "fold": order.fold,
        "seed": order.seed,
        "epoch": best.epoch,
        "validation_dice": {key: round(value, 4) for key, value in best.dice.items() if value == value},
        "kambin": __version__,
    }
    write_bundle(place / MODEL, settings_of(system, order.preset, content, card), content)


def _tested(
    system: System, setting: Setting, data: TrainingData, network: nn.Module, device: torch.device, progress: Progress
) -> Iterator[TestRow]:
    """Every test case through the network and back into its own voxels."""
    from kambin.segmentation.combined import predicted

    network = network.to(device)
    allowed = data.targets.membership()
    for index, name in enumerate(data.fold.test):
        progress(f"testing {name}", index / len(data.fold.test))
        case = data.cases[name]
        loaded = read_case(case)
        rest = data.targets.rest(labelled_classes(system, case))
        truth, _ = classes_of(system, loaded, rest, "background")
        ready = prepare(loaded.scan.values, loaded.scan.grid, setting.preprocessing)
        found = restored(predicted(network, ready.image, setting.windows, device), ready.grid, loaded.scan.grid)
        for key, result in zip(system.classes.keys[1:], overlaps(found, truth, len(system.classes), allowed), strict=True):
            yield TestRow(name, key, result)
