"""The model that ships with Kambin, as data: what it tells apart, on which voxels, how it is trained. Nothing here computes anything.

It learns from maps of tissues alone, drawn in any contrast (`kambin.segmentation.synthesis`): no real scan is needed to train it, and no
scan that it is examined on has been near it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from kambin.anatomy.structures import Kind, Structure
from kambin.segmentation.classes import ClassSet

NAME = "lumbosacral-any"
TITLE = "Lumbosacral spine in CT and MR of any contrast"
CLASSES = ClassSet(
    tuple(
        Structure(kind)
        for kind in (
            Kind.TRUNK,
            Kind.BODY,
            Kind.ARCH,
            Kind.SACRUM,
            Kind.DISC,
            Kind.DURAL_SAC,
            Kind.NERVE_ROOT,
            Kind.HIP,
            Kind.PSOAS,
            Kind.AORTA,
            Kind.VENA_CAVA,
            Kind.ILIAC_ARTERY,
            Kind.ILIAC_VEIN,
        )
    )
)
COLUMN = (Kind.BODY, Kind.ARCH, Kind.SACRUM, Kind.DISC, Kind.DURAL_SAC, Kind.NERVE_ROOT)
"""About these two pictures of three are centred."""
NETWORK: Mapping[str, Any] = MappingProxyType({"widths": (32, 64, 128, 192), "depths": (1, 2, 2, 2), "fine": 16})
SPACING_MM = 1.5
CT_WINDOW_HU = (-200.0, 800.0)
"""What CT is cut to before it is normalised: soft tissues differ by tens of units, air and the hardest bone by two thousand."""


@dataclass(frozen=True, slots=True)
class AnyRecipe:
    """How the shipped model is trained.

    Parameters
    ----------
    epochs, steps
        Epochs, and batches of each.
    batch
        Pictures of a step.
    rate, annealed_from
        Of Muon; from this share of the epochs on it falls to nearly nothing at the end.
    weights
        Of each class in the cross-entropy, the background first. The smallest count for more, the rest the same: what counts for more is
        drawn too large.
    small_until
        Up to this share of the epochs pictures are small: the first steps teach little else than brightness, and small ones are quick.
    small
        Sizes of those.
    widened_over
        Steps over which CT and contrasts of no scanner come in; it begins with MR alone.
    average
        Weights that are kept are averaged over the last 1 / (1 - average) steps.
    held_out
        Share of the patients that the best epoch is chosen by; at least one.
    judged
        Pictures of these.
    """

    epochs: int = 28
    steps: int = 200
    batch: int = 2
    rate: float = 0.03
    annealed_from: float = 0.35
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.5, 1.5, 2.0, 2.0)
    small_until: float = 0.3
    small: tuple[tuple[int, int, int], ...] = ((48, 64, 64), (64, 48, 64), (64, 64, 48), (48, 48, 80))
    widened_over: int = 2000
    average: float = 0.998
    held_out: float = 0.05
    judged: int = 16

    def learning_rate_in(self, epoch: int) -> float:
        """Of an epoch, counted from 0."""
        left = (self.epochs - epoch) / (self.epochs * (1.0 - self.annealed_from))
        return self.rate * min(1.0, max(0.02, left))


@dataclass(frozen=True, slots=True)
class AnySetting:
    """A network's size and its training."""

    recipe: AnyRecipe = AnyRecipe()
    network: Mapping[str, Any] = field(default_factory=lambda: NETWORK)


PRESETS: Mapping[str, AnySetting] = MappingProxyType(
    {
        "full": AnySetting(AnyRecipe(epochs=400, steps=250, batch=4)),
        "cpu": AnySetting(),
    }
)
