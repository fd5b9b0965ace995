"""A first look at low resolution: where there is anything to be done at full resolution at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Structure
from kambin.segmentation.bundle_fields import Triple
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.onto_scan import ByteArray
from kambin.segmentation.rescale import Axis, Rescaling

_MARGIN_MM = 15.0
_SPECK_MM3 = 2000.0
_SKIN = Structure(Kind.TRUNK)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a coarse network saw.

    Parameters
    ----------
    classes, confidence
        Of its own voxels.
    known
        What its classes are.
    matters
        Which voxels are to be looked at again, a margin included.
    rescaling
        Between the scan's voxels and these.
    device, tile
        What it ran on, and the size of its tiles.
    """

    classes: ByteArray
    confidence: ByteArray
    known: ClassSet
    matters: npt.NDArray[np.bool_]
    rescaling: Rescaling
    device: str
    tile: Triple

    @property
    def sees(self) -> bool:
        """Whether it saw anything beside the trunk."""
        return bool(self.matters.any())

    def fill(self, classes: ByteArray, confidence: ByteArray, known: ClassSet) -> None:
        """Write the trunk into the scan's voxels, as what stays where nothing is done at full resolution."""
        number, wanted = self.known.index(_SKIN), known.index(_SKIN)
        if number is None or wanted is None:
            return
        voxels = np.ix_(*(_nearest(axis) for axis in self.rescaling.axes))
        inside = (self.classes == number)[voxels]
        classes[inside] = wanted
        confidence[...] = self.confidence[voxels]

    def box(self, fine: Rescaling) -> tuple[slice, slice, slice]:
        """The least box of another network's voxels that holds all that matters."""
        parts = []
        for index in range(3):
            along = np.flatnonzero(self.matters.any(axis=tuple(a for a in range(3) if a != index)))
            low, high = _between(self.rescaling.axes[index], fine.axes[index], along[0] - 0.5, along[-1] + 0.5)
            parts.append(slice(max(0, int(np.floor(low))), min(fine.axes[index].model, int(np.ceil(high)) + 1)))
        return (parts[0], parts[1], parts[2])

    def touches(self, start: Triple, tile: Triple, inner: tuple[slice, ...], box: tuple[slice, ...], fine: Rescaling) -> bool:
        """Whether a tile of another network's image holds anything that matters.

        Parameters
        ----------
        start, tile
            Where it begins in the image, and its size.
        inner, box
            Where in the image the network's voxels lie, and which they are.
        fine
            Between the scan's voxels and that network's.
        """
        parts = []
        for index in range(3):
            first = start[index] - inner[index].start + box[index].start
            low, high = _between(fine.axes[index], self.rescaling.axes[index], first - 0.5, first + tile[index] - 0.5)
            parts.append(slice(max(0, int(np.floor(low + 0.5))), max(0, int(np.ceil(high + 0.5)))))
        return bool(self.matters[tuple(parts)].any())


def coarse_look(
    classes: ByteArray,
    confidence: ByteArray,
    known: ClassSet,
    rescaling: Rescaling,
    spacing_mm: tuple[float, float, float],
    device: str,
    tile: Triple,
) -> Look:
    """What matters in a coarse map: all that is neither background nor trunk, without specks, and a margin around it."""
    from scipy import ndimage

    seen = classes != 0
    number = known.index(_SKIN)
    if number is not None:
        seen &= classes != number
    parts, count = ndimage.label(seen, structure=np.ones((3, 3, 3)))
    if count:
        sizes = np.bincount(parts.ravel()) * float(np.prod(spacing_mm))
        large = sizes >= _SPECK_MM3
        large[0] = False
        seen = large[parts]
    matters = seen
    for axis, size in enumerate(spacing_mm):
        reach = int(np.ceil(_MARGIN_MM / size))
        matters = ndimage.maximum_filter1d(matters, 2 * reach + 1, axis=axis, mode="constant", cval=0)
    return Look(classes, confidence, known, matters, rescaling, device, tile)


def _nearest(axis: Axis) -> npt.NDArray[np.int64]:
    """For the scan's voxels along an axis, the nearest of the coarse ones."""
    return np.asarray(np.clip(np.floor(axis.model_positions() + 0.5), 0, axis.model - 1), dtype=np.int64)


def _between(one: Axis, other: Axis, low: float, high: float) -> tuple[float, float]:
    """Two places along an axis, in indices of one network's voxels, in those of another's."""

    def moved(place: float) -> float:
        return (place - 0.5 * (one.model - 1)) * one.ratio / other.ratio + 0.5 * (other.model - 1)

    return moved(low), moved(high)
