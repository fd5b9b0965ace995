"""From a scan to what a published network sees, and back: predictions are judged in the scan's own voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.segmentation.normalise import Normalisation, normaliser
from kambin.segmentation.systems import Interpolation, Preprocessing, Triple
from kambin.volume.grid import Grid
from kambin.volume.resample import linear, nearest


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image as the network sees it, and where it lies.

    Parameters
    ----------
    image
        Normalised intensities; 0 where zeros were added.
    grid
        Where its voxels are.
    """

    image: npt.NDArray[np.float32]
    grid: Grid


def cut_slices(grid: Grid, preprocessing: Preprocessing) -> tuple[slice, slice, slice]:
    """The part of a scan's array that is kept."""
    x, y, z = (slice(*cut(n)) for cut, n in zip(preprocessing.cut, grid.shape, strict=True))
    return x, y, z


def cut_grid(grid: Grid, preprocessing: Preprocessing) -> Grid:
    """Where that part lies."""
    parts = cut_slices(grid, preprocessing)
    return grid.crop([part.start for part in parts], [part.stop for part in parts])


def prepared_grids(grid: Grid, preprocessing: Preprocessing) -> tuple[Grid, Grid]:
    """Where intensities are taken for the normalisation, and the network's own grid, which may be wider or narrower by padding."""
    inner = cut_grid(grid, preprocessing)
    if preprocessing.spacing_mm is not None:
        inner = _with_spacing(inner, preprocessing.spacing_mm)
    if preprocessing.size is None:
        return inner, inner
    size = np.asarray(preprocessing.size)
    # what does not divide by two goes to the far end
    start = -((size - inner.shape) // 2)
    return inner, inner.crop(start, start + size)


def prepare(values: npt.NDArray[Any], grid: Grid, preprocessing: Preprocessing) -> Prepared:
    """A scan as the network sees it: cut, brought to its voxel size, to mean 0 and standard deviation 1, and padded with zeros.

    Mean and deviation are those of the voxels that are kept, as the scan has them.

    Parameters
    ----------
    values, grid
        The scan, in canonical order. Not changed.
    preprocessing
        What is to be done.

    Raises
    ------
    ValueError
        When what is kept of it is constant.
    """
    inner, outer = prepared_grids(grid, preprocessing)
    to_measure = normaliser(values[cut_slices(grid, preprocessing)], Normalisation.ZSCORE)
    if preprocessing.spacing_mm is None or preprocessing.interpolation is Interpolation.NEAREST:
        kept = nearest(values, grid, inner, outside=float(values.min())).astype(np.float32)
    else:
        kept = linear(values, grid, inner, outside=float(values.min()))
    return Prepared(_fitted(to_measure(kept), inner, outer), outer)


def prepare_classes(classes: npt.NDArray[np.uint8], grid: Grid, preprocessing: Preprocessing, outside: int = 0) -> npt.NDArray[np.uint8]:
    """A class map brought to where the network's image is, by the nearest voxel; `outside` where the scan does not reach."""
    _, outer = prepared_grids(grid, preprocessing)
    return np.asarray(nearest(classes, grid, outer, outside=outside), dtype=np.uint8)


def restored(probabilities: npt.NDArray[np.float32], grid: Grid, original: Grid) -> npt.NDArray[np.uint8]:
    """The likeliest class of each of the scan's own voxels, background where the network did not look.

    Parameters
    ----------
    probabilities
        Of every class, shape (classes, x, y, z). They are interpolated, so that outlines are finer than the network's voxels.
    grid
        Where these are.
    original
        The scan's.
    """
    looked = nearest(np.ones(grid.shape, dtype=np.bool_), grid, original)
    wider = grid.crop([-1, -1, -1], np.asarray(grid.shape) + 1)
    classes = np.zeros(original.shape, dtype=np.uint8)
    best = np.zeros(original.shape, dtype=np.float32)
    for index, share in enumerate(probabilities):
        found = linear(np.pad(share, 1, mode="edge"), wider, original)
        np.putmask(classes, found > best, index)
        np.maximum(best, found, out=best)
    return np.where(looked, classes, 0).astype(np.uint8)


def _with_spacing(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """The same box with other voxels: as many as come nearest to its length, about the same centre."""
    wanted = np.asarray(spacing_mm, dtype=np.float64)
    lengths = np.asarray(grid.shape) * grid.spacing_mm
    shape = np.maximum(1, np.rint(lengths / wanted)).astype(int)
    affine = grid.world_from_voxel.copy()
    affine[:3, :3] *= wanted / grid.spacing_mm
    centre = grid.world((np.asarray(grid.shape) - 1) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _fitted(image: npt.NDArray[np.float32], inner: Grid, outer: Grid) -> npt.NDArray[np.float32]:
    """The image on a grid of the same lattice that is larger or smaller."""
    if inner.shape == outer.shape:
        return image
    shift = np.rint(outer.voxel(inner.world((0, 0, 0)))).astype(int)
    result = np.zeros(outer.shape, dtype=np.float32)
    to, source = [], []
    for move, n, size in zip(shift, inner.shape, outer.shape, strict=True):
        first, last = max(move, 0), min(move + n, size)
        to.append(slice(first, last))
        source.append(slice(first - move, last - move))
    result[tuple(to)] = image[tuple(source)]
    return result


def windows(shape: Triple, size: Triple, stride: Triple) -> list[Triple]:
    """First corners of windows that cover an image: a stride apart, the last of each axis moved back to end with the image.

    An image smaller than a window has one, at 0; it is then the window that is padded.
    """
    axes = []
    for n, window, step in zip(shape, size, stride, strict=True):
        last = max(n - window, 0)
        axes.append(sorted({*range(0, last + 1, step), last}))
    return [(x, y, z) for x in axes[0] for y in axes[1] for z in axes[2]]
