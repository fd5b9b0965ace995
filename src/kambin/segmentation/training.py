"""The loop that trains: epoch by epoch, each begun from what the one before left on disk, so that an interruption costs one at most.

Nothing in it knows where batches come from (`sources.PatchSource`) or what is validated: both are given.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kambin.errors import InputError
from kambin.segmentation.checkpoints import load_checkpoint, save_checkpoint, write_whole
from kambin.segmentation.sources import PatchSource
from kambin.segmentation.workers import Worker

LAST, BEST, LOG, BOARD = "last.pt", "best.pt", "log.csv", "tensorboard"
_LAYOUT = torch.channels_last_3d  # convolutions are a third quicker with a voxel's channels side by side

Validate = Callable[[nn.Module, int], Mapping[str, float]]
"""From the network and the epoch to the Dice of every class by its key; NaN where it is undefined."""
Progress = Callable[[str, float], None]


class Schedule(Protocol):
    """How long, and how fast; `systems.Recipe` is one."""

    @property
    def epochs(self) -> int:
        """How many."""

    @property
    def steps(self) -> int | None:
        """Batches of an epoch; None: as many as the source has."""

    def learning_rate_in(self, epoch: int) -> float:
        """Of an epoch, counted from 0."""


def adam(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    """The optimiser of the published systems."""
    return torch.optim.Adam(network.parameters(), lr=rate)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the log.

    Parameters
    ----------
    epoch
        From 1 on.
    learning_rate, loss
        Loss is the mean over its steps.
    dice
        Of every class on the validation cases.
    mean
        Of those that are defined; 0 where none is.
    seconds
        How long it took.
    """

    epoch: int
    learning_rate: float
    loss: float
    dice: Mapping[str, float]
    mean: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Training:
    """What is to be trained.

    Parameters
    ----------
    network
        On the CPU, new; its weights are replaced where there is something to resume.
    source
        Gives batches.
    loss
        Of scores and class maps.
    recipe
        Epochs, steps, rate.
    validate
        Judges after each epoch; the best is kept.
    identity
        All that makes this training what it is, as plain values. One of another identity is not resumed. The number of epochs is not part
        of it: a training may be prolonged.
    seed
        Of every draw.
    optimiser
        Made from the network and the first rate.
    average
        Where it is more than 0, what is judged and kept is not the network but its mean over the last 1 / (1 - average) steps.
    """

    network: nn.Module
    source: PatchSource
    loss: nn.Module
    recipe: Schedule
    validate: Validate
    identity: Mapping[str, Any]
    seed: int = 0
    optimiser: Callable[[nn.Module, float], torch.optim.Optimizer] = adam
    average: float = 0.0


def train(training: Training, folder: Path, worker: Worker, progress: Progress | None = None) -> tuple[Epoch, ...]:
    """Train, or go on from the last epoch that the folder holds.

    Writes ``last.pt`` and ``log.csv`` after each epoch, ``best.pt`` after the best one so far, and events for TensorBoard where that is
    installed. The same training gives the same weights on the same machine with as many threads, interrupted or not.

    Returns
    -------
    tuple of Epoch
        The whole log.

    Raises
    ------
    InputError
        When the folder holds another training, or the loss is no number any more.
    OutputError
        When the folder cannot be written to.
    """
    state = _State.begun(training, folder, worker)
    recipe, tell = training.recipe, progress or _silent
    steps = recipe.steps or training.source.steps_per_epoch
    if not steps:
        raise InputError("recipe", "expected the steps of an epoch, found none, and a source that has no end")
    with _deterministic(), ThreadPoolExecutor(max_workers=1) as ahead, _board(folder, worker, len(state.log)) as board:
        for epoch in range(len(state.log), recipe.epochs):
            started = time.monotonic()
            shares = (epoch / recipe.epochs, 1 / recipe.epochs)
            words = f"epoch {epoch + 1} of {recipe.epochs}" + (f", Dice {state.log[-1].mean:.3f}" if state.log else "")

            def shown(done: float, words: str = words, shares: tuple[float, float] = shares) -> None:
                tell(words, shares[0] + 0.95 * done * shares[1])

            loss = _one_epoch(state, training, epoch, steps, worker, ahead, shown)
            if worker.is_first:
                dice = dict(training.validate(state.judged, epoch))
                mean = _mean(dice)
                entry = Epoch(epoch + 1, recipe.learning_rate_in(epoch), loss, dice, mean, time.monotonic() - started)
                state.kept(entry, folder, training)
                board(entry)
            else:
                state.log.append(Epoch(epoch + 1, recipe.learning_rate_in(epoch), loss, {}, 0.0, 0.0))
            worker.wait()
    tell("trained", 1.0)
    return tuple(state.log)


class _State:
    """A training between two epochs."""

    def __init__(self, training: Training, worker: Worker) -> None:
        self.network: nn.Module = training.network.to(worker.device).to(memory_format=_LAYOUT)  # type: ignore[call-overload]
        if worker.count > 1 and worker.device.type == "cuda":
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)  # type: ignore[no-untyped-call]
        self.optimiser = training.optimiser(self.network, training.recipe.learning_rate_in(0))
        self.share = training.average
        self.average = copy.deepcopy(self.network) if self.share else None
        self.steps = 0
        self.scaler = torch.amp.GradScaler(worker.device.type, enabled=worker.device.type == "cuda")
        self.loss = training.loss.to(worker.device)
        self.log: list[Epoch] = []
        self.shared = self.network

    @classmethod
    def begun(cls, training: Training, folder: Path, worker: Worker) -> _State:
        """Where the folder left off, or at the beginning."""
        state = cls(training, worker)
        if (folder / LAST).exists():
            stored = load_checkpoint(folder / LAST)
            check_identity(folder, training.identity, stored["identity"])
            state.network.load_state_dict(stored["network"])
            state.optimiser.load_state_dict(stored["optimiser"])
            state.scaler.load_state_dict(stored["scaler"])
            if state.average is not None:
                state.average.load_state_dict(stored["average"])
            state.steps = stored["steps"]
            state.log = [Epoch(**entry) for entry in stored["log"]]
        state.shared = worker.shared(state.network)
        return state

    @property
    def judged(self) -> nn.Module:
        """What is validated and kept as the best."""
        return self.network if self.average is None else self.average

    @torch.no_grad()
    def averaged(self) -> None:
        """After a step: the mean follows the network, quickly at first."""
        self.steps += 1
        if self.average is not None:
            share = min(self.share, self.steps / (10 + self.steps))
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1.0 - share)
            # What batch normalisation has seen is a mean already.
            for kept, seen in zip(self.average.buffers(), self.network.buffers(), strict=True):
                kept.copy_(seen)

    def kept(self, entry: Epoch, folder: Path, training: Training) -> None:
        """The epoch written down: the best first, so that ``last.pt`` never tells of a best one that is not there."""
        is_best = all(entry.mean > earlier.mean for earlier in self.log)
        self.log.append(entry)
        whole = {
            "identity": json.dumps(training.identity, sort_keys=True),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "log": [asdict(each) for each in self.log],
            "steps": self.steps,
        }
        if self.average is not None:
            whole["average"] = self.average.state_dict()
        if is_best:
            save_checkpoint(folder / BEST, {"identity": whole["identity"], "network": self.judged.state_dict(), "epoch": entry.epoch})
        write_whole(folder / LOG, log_text(self.log).encode())
        save_checkpoint(folder / LAST, whole)


def _one_epoch(
    state: _State, training: Training, epoch: int, steps: int, worker: Worker, ahead: ThreadPoolExecutor, shown: Callable[[float], None]
) -> float:
    """Mean loss of one epoch. The next batch is made while the network learns from this one."""

    def batch(step: int) -> tuple[Tensor, Tensor]:
        return training.source.batch(step, np.random.default_rng([training.seed, 4, step, worker.rank]))

    state.network.train()
    state.shared.train()
    for group in state.optimiser.param_groups:
        group["lr"] = training.recipe.learning_rate_in(epoch)
    total = 0.0
    coming: Future[tuple[Tensor, Tensor]] = ahead.submit(batch, epoch * steps)
    for step in range(steps):
        images, classes = coming.result()
        if step + 1 < steps:
            coming = ahead.submit(batch, epoch * steps + step + 1)
        total += _one_step(state, worker, images.to(worker.device, memory_format=_LAYOUT), classes.to(worker.device))
        shown((step + 1) / steps)
    loss = worker.agreed(total / steps)
    if not math.isfinite(loss):
        hint = "A smaller learning rate may help; the epochs before are kept."
        raise InputError("training", f"the loss of epoch {epoch + 1} is no number", hint=hint)
    return loss


def _one_step(state: _State, worker: Worker, images: Tensor, classes: Tensor) -> float:
    state.optimiser.zero_grad(set_to_none=True)
    with worker.mixed(state.network):
        scores = state.shared(images)
    loss = state.loss(scores, classes)
    state.scaler.scale(loss).backward()
    state.scaler.step(state.optimiser)
    state.scaler.update()
    state.averaged()
    return float(loss.detach())


def best_weights(folder: Path) -> dict[str, Any]:
    """What ``best.pt`` holds: ``network``, its weights, and ``epoch``.

    Raises
    ------
    InputError
        When there is none that can be read.
    """
    return load_checkpoint(folder / BEST)


def check_identity(folder: Path, wanted: Mapping[str, Any], stored: str) -> None:
    """Do nothing where a folder's training is the one that is wanted.

    Raises
    ------
    InputError
        When it is another, with what differs.
    """
    earlier, now = json.loads(stored), json.loads(json.dumps(wanted))
    differing = [key for key in sorted(set(earlier) | set(now)) if earlier.get(key) != now.get(key)]
    if differing:
        told = [f"{key} is {_short(now.get(key))} and was {_short(earlier.get(key))}" for key in differing]
        hint = "Choose another folder with --out, or remove this one to begin anew."
        raise InputError(folder, f"expected a training with the same settings to go on with, found another: {'; '.join(told)}", hint=hint)


def log_text(log: list[Epoch]) -> str:
    """The log as CSV."""
    stream = io.StringIO()
    keys = list(log[0].dice) if log else []
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["epoch", "learning_rate", "loss", "mean_dice", *(f"dice_{key}" for key in keys), "seconds"])
    for entry in log:
        dice = ["" if math.isnan(entry.dice[key]) else f"{entry.dice[key]:.4f}" for key in keys]
        rate, loss, mean, seconds = f"{entry.learning_rate:g}", f"{entry.loss:.5f}", f"{entry.mean:.4f}", f"{entry.seconds:.1f}"
        writer.writerow([entry.epoch, rate, loss, mean, *dice, seconds])
    return stream.getvalue()


def _mean(dice: Mapping[str, float]) -> float:
    defined = [value for value in dice.values() if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else 0.0


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _silent(_text: str, _fraction: float) -> None:
    pass


@contextmanager
def _deterministic() -> Iterator[None]:
    """The same numbers every time, where PyTorch has a way to; it warns where it has none (interpolation's gradient on a GPU)."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, fill = torch.backends.cudnn.benchmark, torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # no memory is read before it is written
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


@contextmanager
def _board(folder: Path, worker: Worker, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """A writer for TensorBoard where that is installed; where it is not, or fails, nothing is lost but its curves."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        SummaryWriter = None  # type: ignore[assignment,misc]
    if SummaryWriter is None or not worker.is_first:
        yield _nothing
        return
    writer: Any = SummaryWriter(str(folder / BOARD), purge_step=epochs + 1)

    def write(entry: Epoch) -> None:
        writer.add_scalar("loss", entry.loss, entry.epoch)
        writer.add_scalar("learning rate", entry.learning_rate, entry.epoch)
        for name, value in {**entry.dice, "mean": entry.mean}.items():
            if not math.isnan(value):
                writer.add_scalar(f"dice/{name}", value, entry.epoch)

    try:
        yield write
    finally:
        writer.close()


def _nothing(_entry: Epoch) -> None:
    pass
