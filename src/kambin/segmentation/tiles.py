"""A large image through a network of a small one: overlapping tiles, blended, in bounded memory.

Tiles go through the image in sheets along one axis. What lies behind the sheet that is being worked on can no longer change: such rows
are handed on at once and their memory is used again, so that what is blended is as thick as one tile, however long the image. Where
even that is more than the memory allows, the sheet is worked on in bands; tiles on the border of two bands are then computed twice. The
result is that of a plain computation on the whole image, to the order of additions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from kambin.segmentation.bundle_fields import Blend, Padding, Triple, Weights
from kambin.segmentation.crew import Crew

FloatArray = npt.NDArray[np.float32]
NetworkCall = Callable[[FloatArray], FloatArray]
"""From a tile, shape (x, y, z), to its logits, shape (classes, x, y, z)."""
_SIGMA = 0.125
"""Of the Gaussian by which a tile counts, as a share of its size; nnU-Net's and MONAI's."""
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Where the tiles of an image lie.

    Parameters
    ----------
    shape
        Voxels of the image.
    tile
        Voxels of a tile, no more than the image's along any axis.
    starts
        For each axis, where tiles begin.
    sweep
        The axis along which finished rows are handed on.
    band_axis
        The axis along which a sheet is divided.
    bands
        Of each band its first row, and the one after its last. Bands share one row, so that what lies between two rows lies in one band.
    """

    shape: Triple
    tile: Triple
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    sweep: int
    band_axis: int
    bands: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """Number of tiles, those on the border of bands once for each."""
        return sum(1 for band in self.bands for _ in self.tiles(band))

    def tiles(self, band: tuple[int, int]) -> Iterator[Triple]:
        """Where the tiles of a band begin, in the order of the sweep."""
        axis = self.band_axis
        touching = [s for s in self.starts[axis] if s < band[1] and s + self.tile[axis] > band[0]]
        across = [touching if a == axis else self.starts[a] for a in range(3) if a != self.sweep]
        for along in self.starts[self.sweep]:
            for pair in product(*across):
                start = list(pair)
                start.insert(self.sweep, along)
                yield (start[0], start[1], start[2])


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One finished row of an image.

    Parameters
    ----------
    index
        Where it lies along the plan's sweep.
    band
        Which part of the plan's band axis it covers.
    scores
        Blended logits (or probabilities), shape (classes, a, b) with the two other axes in their order. Used again for the next row.
    covered
        Shape (a, b): False where no tile was computed; scores are 0 there.
    """

    index: int
    band: tuple[int, int]
    scores: FloatArray
    covered: npt.NDArray[np.bool_]


def starts_along(length: int, tile: int, stride: int, even: bool = True) -> tuple[int, ...]:
    """Where tiles begin along an axis: as many as the stride asks for, the last one flush with the end.

    Spread evenly, or else exactly a stride apart but for the last one.

    >>> starts_along(100, 40, 20)
    (0, 20, 40, 60)
    >>> starts_along(90, 40, 20)
    (0, 17, 33, 50)
    >>> starts_along(90, 40, 20, even=False)
    (0, 20, 40, 50)
    """
    if tile >= length:
        return (0,)
    count = math.ceil((length - tile) / stride) + 1
    if not even:
        return tuple(min(index * stride, length - tile) for index in range(count))
    return tuple(math.floor(index * (length - tile) / (count - 1) + 0.5) for index in range(count))


def tile_shape(shape: Triple, patch: Triple, multiple: int) -> Triple:
    """The patch, or as little as holds the image where that is less: there is nothing to see beyond it."""
    least = [min(p, multiple * math.ceil(n / multiple)) for n, p in zip(shape, patch, strict=True)]
    return (least[0], least[1], least[2])


def planned(
    shape: Triple, tile: Triple, stride: Triple | None, classes: int, most_bytes: int | None = None, *, even: bool = True
) -> TilePlan:
    """Tiles for an image at least as large as one.

    The sweep goes along the axis that leaves the smallest sheet to be blended at a time.

    Parameters
    ----------
    shape
        Of the image.
    tile
        Of a tile.
    stride
        From one tile to the next at most; half a tile where None.
    classes
        Of the network.
    most_bytes
        What the sheet that is being blended may take; a band is never thinner than a quarter of a tile.
    even
        Whether tiles are spread evenly; else they lie exactly a stride apart, but for the last one.
    """
    steps = stride or tuple(max(1, n // 2) for n in tile)
    starts = tuple(starts_along(n, t, min(s, t), even) for n, t, s in zip(shape, tile, steps, strict=True))
    sweep = min(range(3), key=lambda axis: tile[axis] * math.prod(shape) / shape[axis])
    others = [axis for axis in range(3) if axis != sweep]
    band_axis = max(others, key=lambda axis: shape[axis] / tile[axis])
    length = shape[band_axis]
    count = 1
    if most_bytes is not None:
        count = max(1, math.ceil(sheet_bytes(shape, tile, sweep, classes) / max(most_bytes, 1)))
        count = min(count, max(1, 4 * length // tile[band_axis]))
    edges = [round(index * length / count) for index in range(count + 1)]
    bands = tuple((low, min(high + 1, length)) for low, high in pairwise(edges))
    return TilePlan(shape, tile, (starts[0], starts[1], starts[2]), sweep, band_axis, bands)


def sheet_bytes(shape: Triple, tile: Triple, sweep: int, classes: int) -> int:
    """Memory of what is blended at a time: the scores of all classes and the weights, over the thickness of a tile."""
    return 4 * (classes + 1) * tile[sweep] * math.prod(shape) // shape[sweep]


def tile_weights(tile: Triple, kind: Weights) -> FloatArray:
    """How much a tile counts at each of its voxels, shape of the tile, at most 1.

    A Gaussian about its middle with a deviation of an eighth of its size, nowhere less than a thousandth: what lies near the border of a
    tile has been seen with half of its surroundings only.
    """
    if kind is Weights.UNIFORM:
        return np.ones(tile, dtype=np.float32)
    result = np.ones((1, 1, 1))
    for axis, size in enumerate(tile):
        along = np.exp(-0.5 * ((np.arange(size) - 0.5 * (size - 1)) / (_SIGMA * size)) ** 2)
        result = result * along.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(np.maximum(result / result.max(), _LEAST_WEIGHT), dtype=np.float32)


def padded(image: FloatArray, tile: Triple, how: Padding) -> tuple[FloatArray, tuple[slice, slice, slice]]:
    """An image at least as large as a tile, and where the old one lies in it: in its middle. The same where it is large enough."""
    missing = [max(0, t - n) for n, t in zip(image.shape, tile, strict=True)]
    before = [m // 2 for m in missing]
    inner = tuple(slice(b, b + n) for b, n in zip(before, image.shape, strict=True))
    if any(missing):
        widths = [(b, m - b) for b, m in zip(before, missing, strict=True)]
        image = np.pad(image, widths, mode="edge") if how is Padding.EDGE else np.pad(image, widths)
    return image, (inner[0], inner[1], inner[2])


def finished_rows(
    network: NetworkCall,
    image: FloatArray,
    plan: TilePlan,
    classes: int,
    *,
    weights: FloatArray | None = None,
    wanted: Callable[[Triple], bool] | None = None,
    done: Callable[[float], None] | None = None,
    crew: Crew | None = None,
) -> Iterator[Row]:
    """The network's scores on an image, row by row along the plan's sweep, one band after the other.

    Parameters
    ----------
    network
        What gives the scores of a tile.
    image
        Of the plan's shape, normalised.
    plan
        Where the tiles lie.
    classes
        Of the network.
    weights
        How much a tile counts at each of its voxels; the Gaussian of `tile_weights` by default.
    wanted
        Whether the tile that begins there is to be computed; all by default.
    done
        Told the share of tiles behind.
    crew
        Threads that blend.

    Yields
    ------
    Row
        The weighted mean of all tiles that cover each voxel.
    """
    counts = tile_weights(plan.tile, Weights.GAUSSIAN) if weights is None else weights
    total, behind = plan.count, 0
    sheet = _Sheet(plan, classes, crew or Crew())
    for band in plan.bands:
        sheet.begin(band)
        last = 0
        for start in plan.tiles(band):
            yield from sheet.rows(last, start[plan.sweep])
            last = start[plan.sweep]
            if wanted is None or wanted(start):
                box = tuple(slice(s, s + n) for s, n in zip(start, plan.tile, strict=True))
                sheet.add(start, network(np.ascontiguousarray(image[box])), counts)
            behind += 1
            if done is not None:
                done(behind / total)
        yield from sheet.rows(last, plan.shape[plan.sweep])


class _Sheet:
    """What is being blended: as thick as a tile along the sweep, its rows used in turn; the same memory for all bands."""

    def __init__(self, plan: TilePlan, classes: int, crew: Crew) -> None:
        self.plan, self.crew = plan, crew
        self.others = [axis for axis in range(3) if axis != plan.sweep]
        self.thickness = plan.tile[plan.sweep]
        widest = max(stop - start for start, stop in plan.bands)
        across = [widest if axis == plan.band_axis else plan.shape[axis] for axis in self.others]
        self._all_scores = np.zeros((self.thickness, classes, *across), dtype=np.float32)
        self._all_weights = np.zeros((self.thickness, *across), dtype=np.float32)
        self.begin(plan.bands[0])

    def begin(self, band: tuple[int, int]) -> None:
        """Go on to another band; all rows of the one before have been handed on."""
        self.band = band
        width = band[1] - band[0]
        part = tuple(slice(0, width) if axis == self.plan.band_axis else slice(None) for axis in self.others)
        self.scores, self.weights = self._all_scores[:, :, part[0], part[1]], self._all_weights[:, part[0], part[1]]

    def add(self, start: Triple, scores: FloatArray, weights: FloatArray) -> None:
        """Blend in the scores of the tile that begins at `start`."""
        inside, into = [], []  # of the tile, and of the sheet, along the two axes across
        for axis in self.others:
            first, size = start[axis], self.plan.tile[axis]
            low, high = self.band if axis == self.plan.band_axis else (0, self.plan.shape[axis])
            inside.append(slice(max(low - first, 0), min(high - first, size)))
            into.append(slice(max(first, low) - low, min(first + size, high) - low))
        rows = np.moveaxis(scores, 1 + self.plan.sweep, 0)[:, :, inside[0], inside[1]]
        counts = np.moveaxis(weights, self.plan.sweep, 0)[:, inside[0], inside[1]]

        def blend(some: slice) -> None:
            scratch = np.empty(rows.shape[1:], dtype=np.float32)
            for row in range(some.start, some.stop):
                slot = (start[self.plan.sweep] + row) % self.thickness
                np.multiply(rows[row], counts[row], out=scratch)
                target = self.scores[slot, :, into[0], into[1]]
                np.add(target, scratch, out=target)
                self.weights[slot, into[0], into[1]] += counts[row]

        self.crew.share(self.thickness, blend)

    def rows(self, first: int, stop: int) -> Iterator[Row]:
        """Hand on the rows from `first` up to (not including) `stop`, and clear them."""
        for index in range(first, stop):
            slot = index % self.thickness
            scores, weights = self.scores[slot], self.weights[slot]
            covered = weights > 0
            np.divide(scores, weights, out=scores, where=covered)
            yield Row(index, self.band, scores, covered)
            scores[...] = 0
            weights[...] = 0


def softmax(scores: FloatArray) -> FloatArray:
    """Probabilities from logits along the first axis; a new array."""
    result = scores - scores.max(axis=0)
    np.exp(result, out=result)
    result /= result.sum(axis=0)
    return np.asarray(result, dtype=np.float32)


def probabilities_of(row: Row, blend: Blend, crew: Crew | None = None) -> FloatArray:
    """The probabilities of a row, shape (classes, a, b); a new array. Surely background where no tile was computed."""
    result = row.scores.copy() if blend is Blend.PROBABILITIES else np.empty_like(row.scores)
    if blend is not Blend.PROBABILITIES:

        def fill(some: slice) -> None:
            result[:, some] = softmax(row.scores[:, some])

        (crew or Crew()).share(result.shape[1], fill)
    if not row.covered.all():
        result[:, ~row.covered] = 0
        result[0, ~row.covered] = 1
    return result


def as_blended(network: NetworkCall, blend: Blend, gives_probabilities: bool) -> NetworkCall:
    """The network with its output as what is to be blended.

    Parameters
    ----------
    network
        As it is.
    blend
        What is averaged where tiles overlap.
    gives_probabilities
        Whether its output has been through a softmax already; then those are blended, whatever was asked for.
    """
    if gives_probabilities or blend is Blend.LOGITS:
        return network
    return lambda tile: softmax(network(tile))


def predict_probabilities(
    network: NetworkCall,
    image: FloatArray,
    patch: Triple,
    classes: int,
    *,
    stride: Triple | None = None,
    multiple: int = 1,
    weights: Weights = Weights.GAUSSIAN,
    blend: Blend = Blend.LOGITS,
    padding: Padding = Padding.EDGE,
) -> FloatArray:
    """Probabilities of every class at every voxel of an image that is small enough to hold them all.

    Parameters
    ----------
    network
        From a tile to its logits.
    image
        Normalised, shape (x, y, z).
    patch, stride, multiple, weights, blend, padding
        As in `Description`.
    classes
        Of the network.

    Returns
    -------
    numpy.ndarray
        Shape (classes, x, y, z).
    """
    first, second, third = image.shape
    tile = tile_shape((first, second, third), patch, multiple)
    whole, inner = padded(image, tile, padding)
    size = (whole.shape[0], whole.shape[1], whole.shape[2])
    plan = planned(size, tile, stride, classes)
    result = np.empty((classes, *size), dtype=np.float32)
    along = np.moveaxis(result, 1 + plan.sweep, 0)
    for row in finished_rows(as_blended(network, blend, False), whole, plan, classes, weights=tile_weights(tile, weights)):
        along[row.index] = probabilities_of(row, blend)
    return result[(slice(None), *inner)]
