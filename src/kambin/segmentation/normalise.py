"""Intensities as a network wants them; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

_MOST_SAMPLES = 2_000_000


class Normalisation(Enum):
    """How a scan's own intensities are brought to a common measure."""

    PERCENTILE = "percentile"
    """Cut at two percentiles, then to mean 0 and standard deviation 1."""
    ZSCORE = "zscore"
    """To mean 0 and standard deviation 1."""
    WINDOW = "window"
    """Cut at two values, which become -1 and 1: for Hounsfield units."""


@dataclass(frozen=True, slots=True)
class Normaliser:
    """What is done to each intensity: cut, then moved and scaled.

    Parameters
    ----------
    low, high
        Where intensities are cut.
    middle, scale
        What becomes 0, and what becomes 1 above it.
    """

    low: float
    high: float
    middle: float
    scale: float

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The same array, normalised; a new one."""
        result: npt.NDArray[np.float32] = np.clip(values, self.low, self.high).astype(np.float32)
        result -= np.float32(self.middle)
        result *= np.float32(1.0 / self.scale)
        return result


def normaliser(
    values: npt.NDArray[Any], kind: Normalisation, low: float = 0.5, high: float = 99.5, within: tuple[float, float] | None = None
) -> Normaliser:
    """What brings a scan to the common measure; taken from the whole scan, not from a tile of it.

    Parameters
    ----------
    values
        The scan, or every voxel of it that counts. Very large ones are looked at in an even sample.
    kind
        How.
    low, high
        The two percentiles, or the two values of a window; of no use to a z-score.
    within
        Two values at which intensities are cut before anything else; None for none.

    Raises
    ------
    ValueError
        When the scan is constant or a window has no width.
    """
    flat = np.asarray(values).reshape(-1)
    flat = flat[:: max(1, len(flat) // _MOST_SAMPLES)].astype(np.float64)
    if within is not None:
        flat = np.clip(flat, *within)
    if kind is Normalisation.WINDOW:
        if not low < high:
            raise ValueError(f"expected a window from low to high, found {low} to {high}")
        return Normaliser(low, high, 0.5 * (low + high), 0.5 * (high - low))
    if kind is Normalisation.PERCENTILE:
        first, last = (float(n) for n in np.percentile(flat, (low, high)))
        if first == last:  # nearly all of it is one value, such as the air around
            first, last = float(flat.min()), float(flat.max())
        flat = np.clip(flat, first, last)
    else:
        first, last = (-np.inf, np.inf) if within is None else within
    deviation = float(flat.std())
    if not deviation > 0:
        raise ValueError("expected a scan of more than one intensity, found a constant one")
    return Normaliser(first, last, float(flat.mean()), deviation)
