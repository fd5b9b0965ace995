"""The shipped model trained anew, by anyone: from maps of tissues to a model file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kambin import __version__
from kambin.anatomy.structures import Kind, Structure
from kambin.errors import InputError
from kambin.io.tissue_maps import TABLE, read_tissue_map
from kambin.pipeline.progress import Progress, part, silent
from kambin.segmentation import any_model
from kambin.segmentation.any_model import AnySetting
from kambin.segmentation.classes import UNKNOWN
from kambin.segmentation.overlap import overlaps
from kambin.segmentation.systems import described

if TYPE_CHECKING:
    from torch import nn

    from kambin.phantom import MappedTissue
    from kambin.segmentation.tissues import TissueMap
    from kambin.segmentation.training import Epoch

SETTINGS, MODEL = "training.json", "model.zip"
PATCH = (96, 96, 96)
"""Of a tile in use; larger than in training, where memory and patience are shorter."""


@dataclass(frozen=True, slots=True)
class AnyOrder:
    """A training of the shipped model.

    Parameters
    ----------
    data
        Folder of `kambin phantom --tissues`, of one patient or of many.
    preset
        ``full`` or ``cpu``.
    epochs
        Instead of the preset's.
    seed
        Of every draw.
    device
        ``auto``, ``cpu``, ``cuda``.
    start
        A model whose weights are begun with; None for none.
    """

    data: str | Path
    preset: str = "full"
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    start: str | Path | None = None

    def setting(self) -> AnySetting:
        """The preset, with the epochs that were asked for."""
        if self.preset not in any_model.PRESETS:
            raise InputError("--preset", f"expected one of {', '.join(any_model.PRESETS)}, found {self.preset!r}")
        recipe = any_model.PRESETS[self.preset].recipe
        if self.epochs is not None:
            if self.epochs < 1:
                raise InputError("--epochs", f"expected at least 1, found {self.epochs}")
            recipe = replace(recipe, epochs=self.epochs)
        if self.start is not None:
            # It has learnt from MR by now: what comes in slowly for a beginner is there at once.
            recipe = replace(recipe, widened_over=1)
        return replace(any_model.PRESETS[self.preset], recipe=recipe)


@dataclass(frozen=True)
class AnyResult:
    """What it leaves behind: the folder, the model file, and one line an epoch."""

    folder: Path
    model: Path
    log: tuple[Epoch, ...]


def train_any(order: AnyOrder, output: str | Path, *, progress: Progress = silent) -> AnyResult:
    """Train the shipped model, or go on where an earlier command was interrupted.

    The folder gets ``training.json``, ``log.csv``, ``last.pt``, ``best.pt`` and ``model.zip``.

    Raises
    ------
    InputError
        When PyTorch is missing, or the order or the maps cannot be used.
    OutputError
        When the folder holds something else, or cannot be written to.
    """
    from kambin.pipeline.train import begin, check_place, need_torch

    need_torch()
    import torch

    from kambin.segmentation.export import load_weights
    from kambin.segmentation.muon import Muon
    from kambin.segmentation.networks import build_network
    from kambin.segmentation.targets import Targets
    from kambin.segmentation.tissue_source import TissueSource, judged_pictures
    from kambin.segmentation.training import Training, best_weights, train
    from kambin.segmentation.workers import joined

    setting, place = order.setting(), Path(output)
    check_place(place)
    folders = _folders(Path(order.data))
    with joined(order.device) as worker:
        maps = [_read(folder, part(progress, 0.1 * n / len(folders), 0.1 * (n + 1) / len(folders))) for n, folder in enumerate(folders)]
        apart = max(1, round(setting.recipe.held_out * len(maps)))
        learnt, kept = (maps[apart:], maps[:apart]) if len(maps) > 1 else (maps, maps)
        identity = _identity(order, setting, maps)
        if worker.is_first:
            begin(place, identity, None)
        worker.wait()
        torch.manual_seed(order.seed)
        network = build_network("compact", len(any_model.CLASSES), setting.network)
        if order.start is not None:
            load_weights(network, _place(order.start))
        source = TissueSource(learnt, setting.recipe, any_model.SPACING_MM, worker.rank, worker.count)
        pictures = judged_pictures(kept, setting.recipe, any_model.SPACING_MM, order.seed + 1_000_003)

        def validate(now: nn.Module, _epoch: int) -> Mapping[str, float]:
            return _dice(now, pictures)

        targets = Targets.of(any_model.CLASSES, [None])
        training = Training(
            network, source, _loss(setting, targets), setting.recipe, validate, identity, order.seed, Muon, setting.recipe.average
        )
        log = train(training, place, worker, part(progress, 0.1, 0.97))
        if worker.is_first:
            network = network.cpu()
            network.load_state_dict(best_weights(place)["network"])
            _write(network, place / MODEL, order, log)
    progress("done", 1.0)
    return AnyResult(place, place / MODEL, log)


def _place(model: str | Path) -> Path:
    from kambin.segmentation.bundle import read_model

    return read_model(model).source


def _folders(root: Path) -> list[Path]:
    if (root / TABLE).is_file():
        return [root]
    found = sorted(path.parent for path in root.rglob(TABLE))
    if not found:
        hint = "`kambin phantom --tissues --count 60 -o FOLDER` makes them."
        raise InputError(root, f"expected maps of tissues (folders with {TABLE}), found none", hint=hint)
    return found


def _read(folder: Path, progress: Progress) -> TissueMap:
    from kambin.segmentation.tissues import TissueMap

    progress(f"reading {folder.name}", 0.0)
    grid, ids, rows = read_tissue_map(folder)
    if not np.allclose(grid.spacing_mm, 1.0, atol=0.01):
        found = " x ".join(f"{n:g}" for n in grid.spacing_mm)
        raise InputError(folder, f"expected voxels of 1 mm, found {found} mm", hint="Give --spacing 1 to `kambin phantom`.")
    column = [n for n, row in enumerate(rows, 1) if row.structure is not None and _index(row) in _COLUMN]
    levels: dict[int, list[int]] = {}
    for n, row in enumerate(rows, 1):
        if row.structure and row.structure.level and _is_body(row):
            levels.setdefault(row.structure.level.rank, []).append(n)
    bodies = [levels[rank] for rank in sorted(levels)]
    psoas = any_model.CLASSES.index(Structure(Kind.PSOAS)) or 0
    try:
        return TissueMap.of(ids, [_tissue_row(row) for row in rows], column, bodies, ends=(psoas,))
    except ValueError as problem:
        raise InputError(folder, str(problem)) from None


_COLUMN = {any_model.CLASSES.index(Structure(kind)) for kind in any_model.COLUMN}


def _is_body(row: MappedTissue) -> bool:
    return _index(row) == any_model.CLASSES.index(Structure(Kind.BODY))


def _index(row: MappedTissue) -> int:
    """A row's class: what has a name but no class of its own (kidneys, the canal) is the rest of the body, what has none is air."""
    if row.structure is None:
        return 0
    return any_model.CLASSES.index(row.structure) or any_model.CLASSES.index(Structure(Kind.TRUNK)) or 0


def _tissue_row(row: MappedTissue) -> Any:
    from kambin.segmentation.tissues import TissueRow

    return TissueRow(row.mixture, row.proton_density, row.t1_ms, row.t2_ms, row.fat, row.hounsfield, _index(row))


def _identity(order: AnyOrder, setting: AnySetting, maps: Sequence[TissueMap]) -> dict[str, Any]:
    settings = described(setting)
    settings["recipe"].pop("epochs")
    digest = hashlib.sha256()
    for one in maps:
        digest.update(hashlib.sha256(one.ids[::4, ::4, ::4].tobytes()).digest())
    start = None if order.start is None else str(order.start)
    told = {"system": any_model.NAME, "preset": order.preset, "seed": order.seed, "start": start}
    return {**told, "setting": settings, "cases": digest.hexdigest()}


def _loss(setting: AnySetting, targets: Any) -> nn.Module:
    from kambin.segmentation.losses import CrossEntropy, OfScores, SoftDice

    return OfScores(SoftDice(targets), CrossEntropy(targets, setting.recipe.weights))


def _dice(network: nn.Module, pictures: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    import torch

    counts = []
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        for image, classes in pictures:
            found = network(image[None, None].to(device))[0].argmax(0).to(torch.uint8).cpu().numpy()
            truth = classes.numpy()
            counts.append([(o.dice, o.true_voxels) for o in overlaps(np.where(truth == UNKNOWN, 0, found), truth, len(any_model.CLASSES))])
    keys = any_model.CLASSES.keys[1:]
    means = {}
    for n, key in enumerate(keys):
        values = [one[n][0] for one in counts if one[n][1] > _ENOUGH]
        means[key] = float(np.mean(values)) if values else float("nan")
    return means


_ENOUGH = 20
"""Voxels of a class below which its Dice in one picture says nothing."""


def _write(network: nn.Module, path: Path, order: AnyOrder, log: Sequence[Epoch]) -> None:
    from kambin.segmentation.export import onnx_bytes, other_weights, write_bundle

    content = onnx_bytes(network)
    best = max(log, key=lambda entry: entry.mean)
    card = {
        "trained_on": "maps of tissues of digital patients, in any contrast",
        "preset": order.preset,
        "seed": order.seed,
        "epochs": len(log),
        "best_epoch": best.epoch,
        "dice_on_drawn_pictures": {key: round(value, 4) for key, value in best.dice.items() if value == value},
        "kambin": __version__,
    }
    write_bundle(path, bundle_settings(content, card), content, other_weights(network, content))


def bundle_settings(content: bytes, card: Mapping[str, Any]) -> dict[str, Any]:
    """What ``model.json`` says."""
    return {
        "format": "kambin-model",
        "version": 1,
        "name": any_model.NAME,
        "title": any_model.TITLE,
        "model": "model.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "classes": list(any_model.CLASSES.keys),
        "spacing_mm": any_model.SPACING_MM,
        "normalisation": {"kind": "percentile", "low": 0.5, "high": 99.5, "ct": list(any_model.CT_WINDOW_HU)},
        "patch": list(PATCH),
        "stride": [n * 2 // 3 for n in PATCH],
        "multiple": 16,
        "modality": None,
        "naming": "anatomy",
        "padding": "zero",
        "activation": "softmax",
        "card": json.loads(json.dumps(card)),
    }
