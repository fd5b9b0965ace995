"""Batches drawn from maps of tissues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kambin.segmentation.any_model import AnyRecipe
from kambin.segmentation.chance import Chance
from kambin.segmentation.synthesis import Drawing, draw
from kambin.segmentation.tissues import TissueMap

_ANY, _CT = 0.25, 0.35
"""Shares, in the end, of pictures of any contrast and of such that look like CT."""


class TissueSource:
    """A `PatchSource` of pictures that are never twice the same.

    Parameters
    ----------
    maps
        Patients, at least one.
    recipe
        Batch, sizes, what comes in when.
    spacing_mm
        Of the pictures.
    rank, workers
        Which of how many processes this is; each gets its share of every batch.
    """

    def __init__(self, maps: Sequence[TissueMap], recipe: AnyRecipe, spacing_mm: float, rank: int = 0, workers: int = 1) -> None:
        if not maps:
            raise ValueError("expected at least one map of tissues, found none")
        self.maps, self.recipe = tuple(maps), recipe
        self.drawing = Drawing(spacing_mm=spacing_mm)
        self._mine = len(range(rank, recipe.batch, workers))

    @property
    def steps_per_epoch(self) -> None:
        """There is no end of them."""
        return None

    def drawing_at(self, step: int) -> Drawing:
        """What is drawn at a step: MR alone at first, then CT too, then any contrast."""
        in_now = min(1.0, step / max(1, self.recipe.widened_over))
        ct = _CT * min(1.0, 2.0 * in_now)
        small = step < self.recipe.small_until * self.recipe.epochs * self.recipe.steps
        shapes = self.recipe.small if small else self.drawing.shapes
        return replace(self.drawing, ct=ct, mr=1.0 - ct - _ANY * in_now, shapes=shapes)

    def batch(self, step: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PatchSource`; all pictures of a batch have one size."""
        drawing = self.drawing_at(step)
        shape = drawing.shapes[int(generator.integers(len(drawing.shapes)))]
        chosen = [self.maps[int(generator.integers(len(self.maps)))] for _ in range(self._mine)]
        pairs = [draw(one, drawing, Chance(int(generator.integers(2**62))), shape) for one in chosen]
        return torch.stack([image for image, _ in pairs]).unsqueeze(1), torch.stack([classes for _, classes in pairs])


def judged_pictures(maps: Sequence[TissueMap], recipe: AnyRecipe, spacing_mm: float, seed: int) -> list[tuple[Tensor, Tensor]]:
    """The same pictures every time, of patients that are not learnt from."""
    drawing = Drawing(spacing_mm=spacing_mm)
    shapes = drawing.shapes
    return [draw(maps[n % len(maps)], drawing, Chance(seed + n), shapes[n % len(shapes)]) for n in range(recipe.judged)]
