"""Where batches come from: prepared scans, or anything else that gives images and class maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kambin.segmentation.augment import augmented
from kambin.segmentation.classes import UNKNOWN
from kambin.segmentation.systems import Recipe, Triple
from kambin.segmentation.targets import Targets


class PatchSource(Protocol):
    """Gives the batches of a training.

    A batch is a function of its step and of the chance that it is given, and of nothing else: so a training that was interrupted goes on
    as if it had not been.
    """

    @property
    def steps_per_epoch(self) -> int | None:
        """How many batches show every case once; None where there is no such number."""

    def batch(self, step: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images (n, 1, x, y, z), float32, and their class maps (n, x, y, z), uint8, with the numbers of `Targets`."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCase:
    """One case as the network sees it.

    Parameters
    ----------
    name
        Of the case.
    image
        Normalised intensities, (x, y, z).
    classes
        Class map of the same shape, with the numbers of `Targets`.
    rest
        Number of what lies outside all labels in this case.
    """

    name: str
    image: npt.NDArray[np.float32]
    classes: npt.NDArray[np.uint8]
    rest: int = 0


class ScanSource:
    """Whole images, or patches of them.

    Whole images come in a new order in each epoch, every case once; patches come from cases drawn at random.

    Parameters
    ----------
    cases
        At least one; of one shape where whole images are wanted.
    recipe
        Batch, patch, augmentation.
    targets
        Meaning of the numbers in class maps.
    seed
        Of the order of whole images.
    rank, workers
        Which of how many processes this is; each gets its share of every batch.
    """

    def __init__(
        self, cases: Sequence[PreparedCase], recipe: Recipe, targets: Targets, seed: int = 0, rank: int = 0, workers: int = 1
    ) -> None:
        if not cases:
            raise ValueError("expected at least one case, found none")
        self.cases, self.recipe, self.targets = tuple(cases), recipe, targets
        self.seed, self.rank, self.workers = seed, rank, workers
        # where patches may be centred: voxels of each class, few of each so that memory stays small
        self._middles = [_middles(case, len(targets.classes)) for case in cases] if recipe.patch is not None else []

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.cases) // self.recipe.batch)

    def batch(self, step: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PatchSource`."""
        if self.recipe.patch is None:
            pairs = [self._whole(index, generator) for index in self._turn(step)]
        else:
            mine = range(self.rank, self.recipe.batch, self.workers)
            pairs = [self._patch(self.recipe.patch, generator) for _ in mine]
        return torch.stack([image for image, _ in pairs]).unsqueeze(1), torch.stack([classes for _, classes in pairs])

    def _turn(self, step: int) -> list[int]:
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, 3, epoch]).permutation(len(self.cases))
        batch = order[place * self.recipe.batch : (place + 1) * self.recipe.batch]
        return [int(index) for index in batch[self.rank :: self.workers]] or [int(batch[0])]

    def _whole(self, index: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        return self._varied(self.cases[index], self.cases[index].image, self.cases[index].classes, generator)

    def _patch(self, size: Triple, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        index = int(generator.integers(len(self.cases)))
        case, middles = self.cases[index], self._middles[index]
        shape = np.asarray(case.image.shape)
        if middles and generator.random() < self.recipe.centred:
            of_class = middles[int(generator.integers(len(middles)))]
            middle = of_class[int(generator.integers(len(of_class)))]
            corner = middle - np.asarray(size) // 2
        else:
            corner = generator.integers(0, np.maximum(shape - size, 0) + 1)
        corner = np.clip(corner, 0, np.maximum(shape - size, 0))
        image = padded_part(case.image, corner, size, 0.0)
        classes = padded_part(case.classes, corner, size, UNKNOWN)
        return self._varied(case, image, classes, generator)

    def _varied(
        self, case: PreparedCase, image: npt.NDArray[np.float32], classes: npt.NDArray[np.uint8], generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        pair = torch.from_numpy(np.ascontiguousarray(image)), torch.from_numpy(np.ascontiguousarray(classes))
        return augmented(*pair, self.recipe.augmentation, self.targets, generator, case.rest)


def padded_part(array: npt.NDArray[Any], corner: npt.NDArray[np.int64] | Triple, size: Triple, fill: float) -> npt.NDArray[Any]:
    """A window of an array, with `fill` where it reaches beyond; a copy only then."""
    part = array[tuple(slice(int(c), int(c) + n) for c, n in zip(corner, size, strict=True))]
    missing = [(0, n - have) for n, have in zip(size, part.shape, strict=True)]
    return np.pad(part, missing, constant_values=fill) if any(more for _, more in missing) else part


def _middles(case: PreparedCase, classes: int, most: int = 20_000) -> list[npt.NDArray[np.int64]]:
    found = []
    for number in range(1, classes):
        places = np.argwhere(case.classes == number)
        if len(places):
            found.append(places[:: max(1, len(places) // most)])
    return found
