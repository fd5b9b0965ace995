"""From implicit shapes to voxels: label maps and partial-volume pictures on any grid.

Every field tells how fast it can change at most. One value in the middle of a block of voxels therefore often decides the whole
block, and only blocks near a surface are looked at voxel by voxel. Blocks lie in slabs of the grid, and threads share these out among
themselves; which thread works on a block does not show in the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.phantom.compose import Balls, Blocks, Findings, Places, Spans, Union, levels, spans
from kambin.phantom.field import Field, Values
from kambin.phantom.tissue import Material
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]
_BLOCK_MM = 3.0
_DIAGONALS = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], dtype=np.float64)
_BATCH_POINTS = 1 << 16
_SLAB_VOXELS = 1 << 20
_STEPS = 20
"""Progress is told about so often."""
Progress = Callable[[float], None]


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

    tissue: Material
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


def named_shapes(pieces: Iterable[Piece]) -> Mapping[Structure, Field]:
    """The shape of each structure, in painting order; one that has several pieces is their union, in the place of the first."""
    found: dict[Structure, list[Field]] = {}
    for piece in pieces:
        if piece.structure is not None:
            found.setdefault(piece.structure, []).append(piece.shape)
    return MappingProxyType({name: shapes[0] if len(shapes) == 1 else Union(tuple(shapes)) for name, shapes in found.items()})


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
    flat = result.reshape(-1)

    def paint(item: tuple[int, Field], slabs: Slabs) -> None:
        number, shape = item
        for voxels, level in _near_surface(shape, grid, slabs, 0.0):
            if level is None:
                flat[voxels] = number
            else:
                flat[voxels[level < 0]] = number

    _by_threads(shapes, paint, grid, progress)
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

    names = np.array([label for label, _shape in parts], dtype=np.uint16)

    def divide(_item: None, slabs: Slabs) -> None:
        for start, stop in slabs:
            slab = labels[start:stop]
            place = np.flatnonzero(slab == number)
            for first in range(0, len(place), _BATCH_POINTS):
                some = place[first : first + _BATCH_POINTS]
                voxels = np.stack(np.unravel_index(some, slab.shape), axis=-1) + np.array([start, 0, 0])
                points = grid.world(voxels).T.astype(np.float32)
                deepest = np.argmin(np.stack([shape(points) for _number, shape in parts]), axis=0)
                slab.ravel()[some] = names[deepest]

    _by_threads([None], divide, grid, progress)


def paint_signal(
    pieces: Sequence[Piece],
    grid: Grid,
    values: Mapping[Material, Sequence[float]],
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

    channels = [channel.reshape(-1) for channel in result]
    finest = float(grid.spacing_mm.min())

    def paint(piece: Piece, slabs: Slabs) -> None:
        deepest = max(layer.depth_mm for layer in piece.layers)
        for voxels, level in _near_surface(piece.shape, grid, slabs, deepest):
            if level is None:
                for channel, value in zip(channels, values[piece.layers[-1].tissue], strict=True):
                    channel[voxels] = value
                continue
            steep = _steepness(level, piece.shape.slope * finest)
            shares = [np.clip(0.5 - (level + np.float32(layer.depth_mm)) / steep, 0, 1) for layer in piece.layers]
            for number, channel in enumerate(channels):
                mixed = channel[voxels]
                for layer, share in zip(piece.layers, shares, strict=True):
                    mixed += share * (np.float32(values[layer.tissue][number]) - mixed)
                channel[voxels] = mixed

    _by_threads(pieces, paint, grid, progress)
    return result


Slabs = list[tuple[int, int]]
"""Ranges of a grid's first axis."""
Item = TypeVar("Item")


def _by_threads(items: Sequence[Item], paint: Callable[[Item, Slabs], None], grid: Grid, progress: Progress | None) -> None:
    """Paint items one over the other, the slabs of the grid dealt out to threads."""
    slabs = _slabs(grid)
    count = min(os.cpu_count() or 1, len(slabs))

    def work(some: Sequence[Item], number: int) -> None:
        for item in some:
            paint(item, slabs[number::count])

    step = -(-len(items) // _STEPS) if progress is not None else max(len(items), 1)
    with ThreadPoolExecutor(count) as pool:
        for first in range(0, len(items), step):
            list(pool.map(partial(work, items[first : first + step]), range(count)))
            if progress is not None:
                progress(min(1.0, (first + step) / len(items)))


def _slabs(grid: Grid) -> Slabs:
    block = _block_shape(grid)[0]
    thick = max(block, block * round(_SLAB_VOXELS / (block * grid.shape[1] * grid.shape[2])))
    return [(start, min(start + thick, grid.shape[0])) for start in range(0, grid.shape[0], thick)]


def _block_shape(grid: Grid) -> tuple[int, int, int]:
    """Voxels along each side of the smallest blocks: about three millimetres, and not less than three voxels."""
    x, y, z = (int(np.clip(round(_BLOCK_MM / s), 3, 16)) for s in grid.spacing_mm)
    return x, y, z


Voxels = npt.NDArray[np.int64]


def _near_surface(shape: Field, grid: Grid, slabs: Slabs, depth_mm: float) -> Iterator[tuple[Voxels, Values | None]]:
    """The voxels of some slabs that a shape may hold, many blocks at a time: their flat indices, and their levels.

    Both have shape (blocks, x, y, z). None stands for the levels of blocks that lie wholly inside, deeper than `depth_mm`; blocks wholly
    outside do not come.
    """
    windows = [window for slab in slabs if (window := _window(shape, grid, slab)) is not None]
    if not windows:
        return
    finest = np.asarray(_block_shape(grid))
    low, high = np.array(windows).transpose(2, 0, 1)
    blocks = _Blocks(low, high - low)
    findings: Findings | None = None
    within = np.zeros(0, dtype=np.intp)
    # Large blocks first: most of space is decided by few of them.
    for size in (16 * finest, 4 * finest, finest):
        blocks, parents = blocks.divided(size)
        findings = Findings(len(blocks.corner), findings, within[parents] if findings is not None else None)
        middle = grid.world(blocks.corner + 0.5 * (blocks.count - 1)).T.astype(np.float32)
        balls = Balls(middle, _radius(grid, size), np.arange(len(blocks.corner)), findings)
        found = _spans(shape, balls)
        inside = found.high < -depth_mm
        for voxels, _some in blocks.some(np.flatnonzero(inside)).voxels(grid.shape):
            yield voxels, None
        within = np.flatnonzero(~inside & (found.low <= 0))
        blocks = blocks.some(within)
        if not len(within):
            return
    yield from _evaluated(shape, grid, blocks, balls.some(within))


def _spans(shape: Field, balls: Balls) -> Spans:
    parts = [
        spans(shape, balls.some(balls.numbers[first : first + _BATCH_POINTS])) for first in range(0, len(balls.numbers), _BATCH_POINTS)
    ]
    return Spans(*(np.concatenate(several) for several in zip(*parts, strict=True)))


def _evaluated(shape: Field, grid: Grid, blocks: _Blocks, balls: Balls) -> Iterator[tuple[Voxels, Values]]:
    """Blocks with their voxels' levels."""
    linear = grid.world_from_voxel[:3, :3]
    for voxels, some in blocks.voxels(grid.shape):
        offsets = (np.indices(voxels.shape[1:]).reshape(3, -1).T @ linear.T).T.astype(np.float32)
        origin = grid.world(blocks.corner[some]).T.astype(np.float32)
        points = origin[:, :, None] + offsets[:, None, :]
        yield voxels, levels(shape, Blocks.within(balls.some(some), points)).reshape(voxels.shape)


@dataclass(frozen=True, eq=False, slots=True)
class _Blocks:
    """Boxes of voxels.

    Parameters
    ----------
    corner, count
        First voxel, and voxels along each axis; shape (n, 3).
    """

    corner: Voxels
    count: Voxels

    def some(self, chosen: Places) -> _Blocks:
        return _Blocks(self.corner[chosen], self.count[chosen])

    def divided(self, size: Voxels) -> tuple[_Blocks, Places]:
        """Cut into smaller ones, the last ones along each axis cut short; and from which each was cut."""
        steps = -(-self.count.max(axis=0) // size)
        offset = np.indices(tuple(steps)).reshape(3, -1).T * size
        corners = (self.corner[:, None, :] + offset[None, :, :]).reshape(-1, 3)
        rest = np.minimum((self.count[:, None, :] - offset[None, :, :]).reshape(-1, 3), size)
        kept = np.flatnonzero((rest > 0).all(axis=1))
        return _Blocks(corners[kept], rest[kept]), kept // len(offset)

    def voxels(self, shape: tuple[int, int, int]) -> Iterator[tuple[Voxels, Places]]:
        """Blocks of equal size together, so many at a time as make a batch: the flat indices of their voxels, and which they are."""
        strides = np.array([shape[1] * shape[2], shape[2], 1])
        for size in np.unique(self.count, axis=0):
            offsets = np.tensordot(strides, np.indices(tuple(size)), axes=1)
            same = np.flatnonzero((self.count == size).all(axis=1))
            at_once = max(1, _BATCH_POINTS // offsets.size)
            for first in range(0, len(same), at_once):
                some = same[first : first + at_once]
                yield (self.corner[some] @ strides)[:, None, None, None] + offsets, some


def _radius(grid: Grid, size: npt.NDArray[np.int64]) -> float:
    """From a block's middle to the far corner of its outermost voxel: what partial volume can reach."""
    linear = grid.world_from_voxel[:3, :3] * size
    return float(max(0.5 * np.linalg.norm(linear @ signs) for signs in _DIAGONALS))


def meets(shape: Field, grid: Grid) -> bool:
    """Whether a shape's box and a grid have voxels in common."""
    return _window(shape, grid, (0, grid.shape[0])) is not None


def _window(shape: Field, grid: Grid, slab: tuple[int, int]) -> list[tuple[int, int]] | None:
    """Index ranges that hold the shape's box and a voxel around it; None where it lies outside the slab."""
    corners = grid.voxel(shape.box.corners_mm)
    low = np.maximum(np.floor(corners.min(axis=0)) - 1, (slab[0], 0, 0)).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 2, (slab[1], *grid.shape[1:])).astype(int)
    if (high <= low).any():
        return None
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _steepness(level: Values, floor: float) -> Values:
    """By how much the level changes across one voxel, along its own gradient; shape (blocks, x, y, z)."""
    squares = np.zeros_like(level)
    for axis in range(1, 4):
        if level.shape[axis] > 1:
            squares += np.square(np.gradient(level, axis=axis))
    return np.sqrt(np.maximum(squares, np.float32(0.0625 * floor * floor)))
