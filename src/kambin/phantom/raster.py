"""From implicit shapes to voxels: label maps and partial-volume pictures on any grid.

Every field tells how fast it can change at most. One value in the middle of a block of voxels therefore often decides the whole
block, and only blocks near a surface are looked at voxel by voxel. The grid is worked on in slabs, one thread each; a voxel's value
depends on nothing but its place, so neither blocks, slabs nor threads show in the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.phantom.field import Blocks, Field, Values, levels
from kambin.phantom.tissue import Tissue
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]
_BLOCK_MM = 3.0
_BATCH_POINTS = 1 << 16
_SLAB_VOXELS = 1 << 20
Progress = Callable[[float], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layer:
    """A tissue that begins at a depth below a shape's surface.

    Parameters
    ----------
    tissue
        What it is made of.
    depth_mm
        0 for the whole shape; cancellous bone begins where its cortex ends.
    """

    tissue: Tissue
    depth_mm: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """One shape of one patient with its tissues, outermost first. Later pieces are painted over earlier ones.

    Parameters
    ----------
    shape
        Where it is.
    layers
        What it is made of.
    structure
        Its name in label maps; None for what has none.
    """

    shape: Field
    layers: tuple[Layer, ...]
    structure: Structure | None = None


def paint_labels(shapes: Sequence[tuple[int, Field]], grid: Grid, *, progress: Progress | None = None) -> npt.NDArray[np.uint16]:
    """A label map: each voxel gets the number of the last shape that its centre lies in, 0 where there is none.

    Parameters
    ----------
    shapes
        Pairs of a label and a shape in RAS millimetres, later ones over earlier ones.
    grid
        Any spacing, orientation and obliquity.
    progress
        Called with the finished fraction.
    """
    result = np.zeros(grid.shape, dtype=np.uint16)

    def paint(start: int, stop: int) -> None:
        slab, part = result[start:stop], _slab(grid, start, stop)
        for number, shape in shapes:
            for place, level in _near_blocks(shape, part, 0.0, slab.__setitem__, np.uint16(number)):
                view = slab[place]
                view[level < 0] = number

    _in_slabs(grid, paint, progress)
    return result


def divide_labels(
    labels: npt.NDArray[np.uint16], grid: Grid, number: int, parts: Sequence[tuple[int, Field]], *, progress: Progress | None = None
) -> None:
    """Give each voxel that has a label to that one of several parts which reaches deepest there.

    Parameters
    ----------
    labels
        Changed in place, of `grid`'s shape.
    grid
        Where its voxels are.
    number
        The label to divide.
    parts
        Pairs of a label and a shape; of two that reach as deep, the first.
    progress
        Called with the finished fraction.
    """

    def divide(start: int, stop: int) -> None:
        slab = labels[start:stop]
        place = np.flatnonzero(slab == number)
        for first in range(0, len(place), _BATCH_POINTS):
            some = place[first : first + _BATCH_POINTS]
            voxels = np.stack(np.unravel_index(some, slab.shape), axis=-1) + np.array([start, 0, 0])
            points = grid.world(voxels).T.astype(np.float32)
            deepest = np.argmin(np.stack([shape(points) for _number, shape in parts]), axis=0)
            slab.ravel()[some] = np.array([label for label, _shape in parts], dtype=np.uint16)[deepest]

    _in_slabs(grid, divide, progress)


def paint_signal(
    pieces: Sequence[Piece],
    grid: Grid,
    values: Mapping[Tissue, Sequence[float]],
    background: Sequence[float],
    *,
    progress: Progress | None = None,
) -> Float32Array:
    """A picture with partial volume: each tissue's values weighted by the share of the voxel that it fills.

    Parameters
    ----------
    pieces
        In painting order.
    grid
        The share of a voxel is that of a plane surface through it, so voxels ought to be nearly cubes; for thick slices paint thin
        ones and average them.
    values
        For each tissue of the pieces its values, one for each channel.
    background
        The values of what no piece covers.
    progress
        Called with the finished fraction.

    Returns
    -------
    array
        Shape (channels, ...grid.shape).
    """
    result = np.empty((len(background), *grid.shape), dtype=np.float32)
    result[:] = np.asarray(background, dtype=np.float32).reshape(-1, 1, 1, 1)

    def paint(start: int, stop: int) -> None:
        slab, part = result[:, start:stop], _slab(grid, start, stop)
        for piece in pieces:
            deepest = max(layer.depth_mm for layer in piece.layers)
            innermost = np.asarray(values[piece.layers[-1].tissue], dtype=np.float32).reshape(-1, 1, 1, 1)

            def fill(place: tuple[slice, ...], value: npt.NDArray[np.float32], slab: Float32Array = slab) -> None:
                slab[(slice(None), *place)] = value

            for place, level in _near_blocks(piece.shape, part, deepest, fill, innermost):
                view = slab[(slice(None), *place)]
                steep = _steepness(level, piece.shape.slope * float(grid.spacing_mm.min()))
                for layer in piece.layers:
                    share = np.clip(0.5 - (level + np.float32(layer.depth_mm)) / steep, 0, 1)
                    own = np.asarray(values[layer.tissue], dtype=np.float32).reshape(-1, 1, 1, 1)
                    view += share * (own - view)

    _in_slabs(grid, paint, progress)
    return result


def _slab(grid: Grid, start: int, stop: int) -> Grid:
    return grid.crop((start, 0, 0), (stop, *grid.shape[1:]))


def _in_slabs(grid: Grid, paint: Callable[[int, int], None], progress: Progress | None) -> None:
    """Call `paint` for ranges of the first axis, several at a time."""
    block = _block_shape(grid)[0]
    thick = max(block, block * round(_SLAB_VOXELS / (block * grid.shape[1] * grid.shape[2])))
    starts = range(0, grid.shape[0], thick)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(starts))) as pool:
        for done, _ in enumerate(pool.map(lambda start: paint(start, min(start + thick, grid.shape[0])), starts), start=1):
            if progress is not None:
                progress(done / len(starts))


def _block_shape(grid: Grid) -> tuple[int, int, int]:
    """Voxels along each side of a block of about three millimetres."""
    x, y, z = (int(np.clip(round(_BLOCK_MM / s), 2, 16)) for s in grid.spacing_mm)
    return x, y, z


def _near_blocks(
    shape: Field, grid: Grid, depth_mm: float, fill: Callable[[tuple[slice, ...], T], None], inside: T
) -> Iterator[tuple[tuple[slice, ...], Values]]:
    """The blocks that a surface may run through, with the level at each of their voxels; whole blocks inside are filled at once.

    Parameters
    ----------
    depth_mm
        Surfaces of the level down to minus this count too.
    fill
        Called with the place of a block that lies wholly deeper than that, and `inside`.
    """
    window = _window(shape, grid)
    if window is None:
        return
    size = np.asarray(_block_shape(grid))
    firsts = [np.arange(low, high, step) for (low, high), step in zip(window, size, strict=True)]
    counts = [np.minimum(first + step, high) - first for first, step, (_low, high) in zip(firsts, size, window, strict=True)]
    corner = np.stack(np.meshgrid(*firsts, indexing="ij"), axis=-1).reshape(-1, 3)
    count = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1).reshape(-1, 3)
    # From a block's middle to the far corner of its outermost voxel: what partial volume can reach.
    radius = 0.5 * np.linalg.norm((grid.world_from_voxel[:3, :3] * size).sum(axis=1))
    radius = max(radius, *(0.5 * np.linalg.norm(grid.world_from_voxel[:3, :3] @ (size * s)) for s in _DIAGONALS))
    middle = np.empty(len(corner), dtype=np.float32)
    points = grid.world(corner + 0.5 * (count - 1)).T.astype(np.float32)
    for first in range(0, len(corner), _BATCH_POINTS):
        middle[first : first + _BATCH_POINTS] = shape(points[:, first : first + _BATCH_POINTS])
    reach = shape.slope * radius
    for index in np.flatnonzero(middle < -(reach + depth_mm)):
        fill(_place(corner[index], count[index]), inside)
    near = np.flatnonzero((middle >= -(reach + depth_mm)) & (middle <= reach))
    yield from _evaluated(shape, grid, corner[near], count[near], float(radius))


_DIAGONALS = np.array([[1, 1, -1], [1, -1, 1], [-1, 1, 1]], dtype=np.float64)


def _evaluated(
    shape: Field, grid: Grid, corner: npt.NDArray[np.int64], count: npt.NDArray[np.int64], radius_mm: float
) -> Iterator[tuple[tuple[slice, ...], Values]]:
    """Blocks with their voxels' levels, evaluated many blocks at a time."""
    linear = grid.world_from_voxel[:3, :3]
    for size in np.unique(count, axis=0):
        same = np.flatnonzero((count == size).all(axis=1))
        offsets = (np.indices(tuple(size)).reshape(3, -1).T @ linear.T).T.astype(np.float32)
        at_once = max(1, _BATCH_POINTS // offsets.shape[1])
        for first in range(0, len(same), at_once):
            some = same[first : first + at_once]
            origin = grid.world(corner[some]).T.astype(np.float32)
            points = origin[:, :, None] + offsets[:, None, :]
            blocks = Blocks(points, origin + offsets.mean(axis=1, keepdims=True), radius_mm)
            for index, level in zip(some, levels(shape, blocks).reshape(len(some), *size), strict=True):
                yield _place(corner[index], count[index]), level


def _place(corner: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> tuple[slice, ...]:
    return tuple(slice(int(a), int(a + n)) for a, n in zip(corner, count, strict=True))


def _window(shape: Field, grid: Grid) -> list[tuple[int, int]] | None:
    """Index ranges that hold the shape's box and a voxel around it; None where it lies outside the grid."""
    corners = grid.voxel(shape.box.corners_mm)
    low = np.maximum(np.floor(corners.min(axis=0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 2, grid.shape).astype(int)
    if (high <= low).any():
        return None
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _steepness(level: Values, floor: float) -> Values:
    """By how much the level changes across one voxel, along its own gradient."""
    squares = np.zeros_like(level)
    for axis in range(3):
        if level.shape[axis] > 1:
            squares += np.square(np.gradient(level, axis=axis))
    return np.sqrt(np.maximum(squares, np.float32(0.0625 * floor * floor)))
