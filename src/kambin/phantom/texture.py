"""Unevenness of tissue as noise on lattices fixed in the patient: the same place looks the same on every grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kambin.phantom.noise import normals
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
Pattern = Callable[[FloatArray, int], FloatArray]

_SIZE = 128
_BATCH_POINTS = 1 << 17
# A turn about no anatomical axis, so that neither the lattice's rows nor its repetition (after 83 mm) line up with slices.
_TURN = np.array([[2.0, -2.0, 1.0], [1.0, 2.0, 2.0], [-2.0, -1.0, 2.0]]) / 3.0
_SPECKLE_CELL_MM = 0.65
_STRAND_CELL_MM = (0.6, 0.75, 2.6)


def speckle(points_mm: FloatArray, seed: int) -> FloatArray:
    """Even speckle, fine and coarse, at points of shape (3, n): mean 0, standard deviation 1 (0.9 between the lattice's points)."""
    x, y, z = points_mm
    return _looked_up(_speckle_table(seed), [(r[0] * x + r[1] * y + r[2] * z) / _SPECKLE_CELL_MM for r in _TURN])


def strands(points_mm: FloatArray, seed: int) -> FloatArray:
    """Thin sheets along the body at points of shape (3, n): 0 between them, up to 1 within; 0.05 on the whole."""
    return _looked_up(_strand_table(seed), [row / cell for row, cell in zip(points_mm, _STRAND_CELL_MM, strict=True)])


def add_texture(target: Float32Array, amount: Float32Array, grid: Grid, pattern: Pattern, seed: int) -> None:
    """Add a pattern times its amount to a picture, in place; looked up only where there is some.

    Parameters
    ----------
    target, amount
        Contiguous, of the grid's shape.
    pattern
        `speckle` or `strands`.
    """
    flat, sizes = target.reshape(-1), amount.reshape(-1)
    places = np.flatnonzero(sizes)
    linear, origin = grid.world_from_voxel[:3, :3], grid.world_from_voxel[:3, 3]
    for first in range(0, len(places), _BATCH_POINTS):
        some = places[first : first + _BATCH_POINTS]
        i, j, k = np.unravel_index(some, grid.shape)
        points = np.stack([row[0] * i + row[1] * j + row[2] * k + start for row, start in zip(linear, origin, strict=True)])
        flat[some] += sizes[some] * pattern(points, seed).astype(np.float32)


def _looked_up(table: FloatArray, places: list[FloatArray]) -> FloatArray:
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(table, places, order=1, mode="grid-wrap", prefilter=False, output=np.float64), dtype=np.float64)


@lru_cache(maxsize=4)
def _speckle_table(seed: int) -> FloatArray:
    """Grains of about 2 mm upon patches of about 9 mm, a period of the lattice."""
    return _frozen(_smooth(seed, 11, {(1.3, 1.3, 1.3): 0.8, (6.0, 6.0, 6.0): 0.6}))


@lru_cache(maxsize=4)
def _strand_table(seed: int) -> FloatArray:
    """Sheets a millimetre or two thin, bent, gathered in some places and sparse in others.

    They lie where a smooth random function passes through zero, which makes a net of septa rather than a crowd of dots.
    """
    level = _smooth(seed, 13, {(6.5, 5.5, 5.0): 0.97, (2.2, 1.8, 3.0): 0.25})
    dense = _smooth(seed, 14, {(11.0, 9.0, 6.0): 0.6, (3.5, 3.0, 4.0): 0.8})
    sheet = np.maximum(1.0 - np.abs(level) / 0.26, 0.0)
    return _frozen(sheet * np.clip(0.45 + 0.6 * dense, 0.0, 1.0))


def _smooth(seed: int, stream: int, parts: Mapping[tuple[float, float, float], float]) -> FloatArray:
    """Periodic noise of mean 0 and standard deviation 1.

    Parameters
    ----------
    parts
        Widths in cells of the Gaussians that white noise is smoothed by, each with its share of the standard deviation.
    """
    from scipy.fft import fftfreq, irfftn, rfftfreq, rfftn

    k = (fftfreq(_SIZE)[:, None, None], fftfreq(_SIZE)[:, None], rfftfreq(_SIZE))
    filters = []
    for widths, share in parts.items():
        x, y, z = (np.exp(-2.0 * np.square(np.pi * width * f)) for width, f in zip(widths, k, strict=True))
        # The integral of the filter's square is the variance that it leaves.
        filters.append(x * y * z * (share * np.prod([np.sqrt(2.0 * np.sqrt(np.pi) * width) for width in widths])))
    white = normals((_SIZE, _SIZE, _SIZE), seed, stream).astype(np.float64)
    result = irfftn(rfftn(white) * sum(filters), s=white.shape)
    return np.asarray((result - result.mean()) / result.std())


def _frozen(table: FloatArray) -> FloatArray:
    table.setflags(write=False)
    return table
