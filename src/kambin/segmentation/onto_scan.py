"""Classes on the scan's own voxels: the probabilities at a network's voxels, interpolated, and the most probable class taken.

What is interpolated is probabilities, not classes, so that an outline runs smoothly between a network's voxels where those are the larger
ones. Where all neighbours agree on a class the interpolation cannot change it; probabilities are gathered for the other voxels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.segmentation.bundle_fields import Blend
from kambin.segmentation.crew import Crew
from kambin.segmentation.rescale import Axis, Rescaling
from kambin.segmentation.tiles import FloatArray, Row, TilePlan, probabilities_of

ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
_AT_A_TIME = 100_000
_EXACT = 1e-5
"""As near to a row, in voxels, counts as on it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Between:
    """For the scan's voxels along one axis: the two rows of the image on either side, and how far towards the second one."""

    first: int
    low: npt.NDArray[np.int64]
    share: FloatArray

    @property
    def high(self) -> npt.NDArray[np.int64]:
        """The second row; the first one where that is enough."""
        return self.low + (self.share > 0)

    def part(self, start: int, stop: int) -> _Between:
        """Those between the rows from `start` to `stop` (not including), counted from `start`."""
        chosen = np.flatnonzero((self.low >= start) & (self.high < stop))
        first = self.first + (int(chosen[0]) if len(chosen) else 0)
        return _Between(first, self.low[chosen] - start, self.share[chosen])


class OntoScan:
    """Collects rows of an image into a class and a confidence for every voxel of a scan.

    Parameters
    ----------
    plan
        Of the tiles that the rows come from.
    rescaling
        Between the scan and the network's voxels.
    inner
        Where the network's voxels lie in the plan's image, which may have been padded.
    box
        Which of the network's voxels they are.
    blend
        What the scores of a row are.
    classes, confidence
        To be filled, of the scan's shape: classes, and the probability of that class, 255 for 1. Voxels that no tile covers stay as
        they are.
    crew
        Threads that do it.
    """

    def __init__(
        self,
        plan: TilePlan,
        rescaling: Rescaling,
        inner: tuple[slice, slice, slice],
        box: tuple[slice, slice, slice],
        blend: Blend,
        classes: ByteArray,
        confidence: ByteArray,
        crew: Crew | None = None,
    ) -> None:
        self.plan, self.blend, self.crew = plan, blend, crew or Crew()
        self.others = [axis for axis in range(3) if axis != plan.sweep]
        self.between = [_between(rescaling.axes[axis], inner[axis], box[axis]) for axis in range(3)]
        self.classes = np.moveaxis(classes, plan.sweep, 0)
        self.confidence = np.moveaxis(confidence, plan.sweep, 0)
        self.exact = all(rescaling.axes[axis].is_same for axis in range(3))
        self._before: tuple[FloatArray, BoolArray] | None = None

    def take(self, row: Row) -> None:
        """Write the scan's rows that the row before and this one lie about. Rows come in order, one band after the other."""
        probabilities = probabilities_of(row, self.blend, self.crew)
        along = self.between[self.plan.sweep]
        across = [self.between[axis].part(*row.band) if axis == self.plan.band_axis else self.between[axis] for axis in self.others]
        for index in np.flatnonzero(along.high == row.index):
            share = along.share[index]
            if share == 0 or self._before is None:
                self._write(along.first + int(index), across, probabilities, row.covered)
            else:
                before, was_covered = self._before
                self._write(along.first + int(index), across, before + (probabilities - before) * share, was_covered & row.covered)
        self._before = (probabilities, row.covered.copy())

    def _write(self, index: int, across: list[_Between], probabilities: FloatArray, covered: BoolArray) -> None:
        first, second = across
        if not len(first.low) or not len(second.low):
            return
        best = np.empty(probabilities.shape[1:], dtype=np.float32)
        chosen = np.empty(probabilities.shape[1:], dtype=np.uint8)

        def choose(some: slice) -> None:
            best[some] = probabilities[:, some].max(axis=0)
            chosen[some] = probabilities[:, some].argmax(axis=0)

        self.crew.share(len(best), choose)
        known = None if covered.all() else covered
        if self.exact:
            corner = np.ix_(first.low, second.low)
            chosen, best = chosen[corner], best[corner]
            known = None if known is None else known[corner]
        else:
            chosen, best, known = _interpolated(probabilities, chosen, best, known, first, second)
        where = (index, slice(first.first, first.first + len(first.low)), slice(second.first, second.first + len(second.low)))
        shares = np.rint(best * 255).astype(np.uint8)
        if known is None:
            self.classes[where], self.confidence[where] = chosen, shares
        else:
            self.classes[where][known], self.confidence[where][known] = chosen[known], shares[known]


def _between(axis: Axis, inner: slice, box: slice) -> _Between:
    """Which of the scan's voxels lie in the box, and between which rows of the image."""
    positions = axis.model_positions()
    low = -np.inf if box.start == 0 else box.start - 0.5
    high = np.inf if box.stop == axis.model else box.stop - 0.5
    chosen = np.flatnonzero((positions >= low) & (positions <= high))
    inside = np.clip(positions[chosen], box.start, box.stop - 1) - box.start + inner.start
    floor = np.floor(inside + _EXACT).astype(np.int64)
    share = np.maximum(inside - floor, 0.0)
    share[share < _EXACT] = 0.0
    return _Between(int(chosen[0]) if len(chosen) else 0, floor, share.astype(np.float32))


def _interpolated(
    probabilities: FloatArray, chosen: ByteArray, best: FloatArray, covered: BoolArray | None, first: _Between, second: _Between
) -> tuple[ByteArray, FloatArray, BoolArray | None]:
    """Class, its probability and whether it is known, at the scan's voxels of one row."""
    corners = [np.ix_(i, j) for i in (first.low, first.high) for j in (second.low, second.high)]
    shares = (first.share[:, None], second.share[None, :])
    result = chosen[corners[0]]
    differs = np.zeros(result.shape, dtype=bool)
    for corner in corners[1:]:
        differs |= chosen[corner] != result
    certain = _bilinear([best[corner] for corner in corners], *shares)
    known = None
    if covered is not None:
        known = covered[corners[0]] & covered[corners[1]] & covered[corners[2]] & covered[corners[3]]
        differs &= known
    rows, columns = np.nonzero(differs)
    for start in range(0, len(rows), _AT_A_TIME):
        i, j = rows[start : start + _AT_A_TIME], columns[start : start + _AT_A_TIME]
        a, b, c, d = (probabilities[:, p[i], q[j]] for p in (first.low, first.high) for q in (second.low, second.high))
        mixed = _bilinear([a, b, c, d], first.share[i], second.share[j])
        result[i, j] = mixed.argmax(axis=0)
        certain[i, j] = mixed.max(axis=0)
    return result, certain, known


def _bilinear(corners: list[FloatArray], first: FloatArray, second: FloatArray) -> FloatArray:
    low = corners[0] + (corners[1] - corners[0]) * second
    high = corners[2] + (corners[3] - corners[2]) * second
    return np.asarray(low + (high - low) * first, dtype=np.float32)
