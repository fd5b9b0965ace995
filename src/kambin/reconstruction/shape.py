"""From the mask of one structure to its shape: a level field and the closed surface that is its zero set.

A mask says of every voxel centre on which side of the surface it lies, and nothing more: the surface may run anywhere between
neighbouring centres of different class. Within that doubt the smoothest surface is taken. The signed distance of the mask is
interpolated to a working lattice (shape-based interpolation), low-pass filtered by a kernel without second moment (which leaves
curved surfaces where they are), and held within the doubt; a last small shift of the level makes the enclosed volume that of
the mask.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from kambin.reconstruction.distance import as_distance, distance_to_other_mm, refined
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.reconstruction.slender import bridged, slender
from kambin.spine.solid import Solid, SurfaceMesh
from kambin.volume.grid import Grid

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Name = TypeVar("Name")

LEVEL_LIMIT_MM = 4.0
TARGET_SPACING_MM = 1.0
FREE, HELD = 0.5, 0.4
"""How far smoothing may move the field: in voxels; in slender parts as a fraction of the depth, so that signs never change."""
SIGMA, ROUNDS = 0.65, 2
"""Width of the low-pass filter in voxels, and how often it is applied."""
MESH_LOSS = 0.1
"""Depth of a mesh below the surface that it samples, per second difference of the level field: found on balls and on bones."""


@dataclass(frozen=True, slots=True)
class ShapeNote:
    """What reconstructing one solid did, for the report.

    Parameters
    ----------
    mask_volume_mm3
        Voxels times their volume.
    mesh_volume_mm3
        Enclosed by the surface.
    level_shift_mm
        By how much the whole surface was moved outwards to keep the volume.
    touches_border
        Whether the mask reaches the border of the image: there the surface is a cut, not anatomy.
    """

    mask_volume_mm3: float
    mesh_volume_mm3: float
    level_shift_mm: float
    touches_border: bool


def touches_border(mask: BoolArray) -> bool:
    """Whether any voxel on the border of the array is true."""
    return any(bool(mask.take(end, axis).any()) for axis in range(mask.ndim) for end in (0, -1))


def solid_from_mask(
    mask: BoolArray, grid: Grid, *, target_spacing_mm: float = TARGET_SPACING_MM, smoothing: float = 1.0, threads: int = 1
) -> Solid:
    """The shape of one structure. See `solid_and_note_from_mask`, whose first result this is."""
    return solid_and_note_from_mask(mask, grid, target_spacing_mm=target_spacing_mm, smoothing=smoothing, threads=threads)[0]


def solid_and_note_from_mask(
    mask: BoolArray, grid: Grid, *, target_spacing_mm: float = TARGET_SPACING_MM, smoothing: float = 1.0, threads: int = 1
) -> tuple[Solid, ShapeNote]:
    """The shape of one structure, and what was done to get it.

    Parameters
    ----------
    mask
        True where a voxel belongs to the structure, of `grid`'s shape. It may touch the border: the cut is closed with a face.
    grid
        Where the voxels are; spacing may differ between axes, the affine may be oblique.
    target_spacing_mm
        The field is sampled no coarser than this, and no coarser than the mask.
    smoothing
        Width of the low-pass filter, as a multiple of its default; 0 keeps the interpolated distance field.
    threads
        For the distance transforms.

    Returns
    -------
    Solid
        On its own cropped and padded grid; the level is clipped to ± 4 mm.
    ShapeNote

    Raises
    ------
    ValueError
        When the mask is empty or has not `grid`'s shape.
    """
    mask = np.asarray(mask, dtype=np.bool_)
    if mask.shape != grid.shape:
        raise ValueError(f"expected a mask of shape {grid.shape}, found {mask.shape}")
    cropped, local, walls = _cropped(mask, grid)
    # Rounded, so that the last bits of an oblique affine decide nothing.
    spacing = np.round(local.spacing_mm, 6)
    factors = _factors(spacing, target_spacing_mm)
    field = _smooth_field(cropped, spacing, factors, smoothing, threads)
    fine_shape = (int(field.shape[0]), int(field.shape[1]), int(field.shape[2]))
    fine = Grid(fine_shape, local.with_spacing_scaled(1.0 / np.asarray(factors)).world_from_voxel)
    level = as_distance(field, spacing / np.asarray(factors), LEVEL_LIMIT_MM)
    volume = float(np.count_nonzero(mask)) * grid.voxel_volume_mm3
    level, mesh, enclosed, shift = _keep_volume(level, fine, _wall_distance(fine, local, walls), volume, 0.25 * float(spacing.max()))
    return Solid(fine, level, mesh), ShapeNote(volume, enclosed, shift, touches_border(mask))


def solids_from_masks(
    masks: Mapping[Name, Callable[[], BoolArray] | BoolArray],
    grid: Grid,
    *,
    target_spacing_mm: float = TARGET_SPACING_MM,
    on_done: Callable[[Name], None] | None = None,
    workers: int | None = None,
) -> dict[Name, Solid]:
    """The shapes of several structures of one grid, in a pool of threads.

    Parameters
    ----------
    masks
        For each name its mask, or a function that makes it when its turn comes (so that not all masks are held at once).
    on_done
        Called in the calling thread with each name as it is finished.
    workers
        Threads; by default one for each processor.

    Returns
    -------
    dict
        In the order of `masks`.

    Raises
    ------
    ValueError
        As `solid_from_mask`, for the first mask found at fault.
    """

    def one(source: Callable[[], BoolArray] | BoolArray) -> Solid:
        return solid_from_mask(source() if callable(source) else source, grid, target_spacing_mm=target_spacing_mm)

    results: dict[Name, Solid] = {}
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        running = {pool.submit(one, source): name for name, source in masks.items()}
        for finished in as_completed(running):
            name = running[finished]
            results[name] = finished.result()
            if on_done is not None:
                on_done(name)
    return {name: results[name] for name in masks}


Walls = tuple[tuple[float | None, float | None], ...]
"""For each axis where the image ends, below and above, in voxels of the crop; None where the mask stays clear of that end."""


def _cropped(mask: BoolArray, grid: Grid) -> tuple[BoolArray, Grid, Walls]:
    """The mask's bounding box with enough around it for the field to reach its limit.

    Where the mask touches the image's border it is continued beyond (so that the field there knows nothing of the cut), and the
    wall at which it is to be cut is noted.
    """
    low, high = np.zeros(3, dtype=np.int64), np.asarray(mask.shape)
    window = mask.view(np.uint8)
    for axis in range(3):
        # The maximum of bytes is quick along any axis, and each axis leaves less for the next.
        extent = np.flatnonzero(window.max(axis=tuple(a for a in range(3) if a != axis)))
        if not extent.size:
            raise ValueError("expected a mask with at least one true voxel, found none")
        low[axis], high[axis] = extent[0], extent[-1] + 1
        window = window[(slice(None),) * axis + (slice(int(extent[0]), int(extent[-1]) + 1),)]
    pad = np.ceil(LEVEL_LIMIT_MM / grid.spacing_mm - 1e-6).astype(np.int64) + 1  # rounding of an oblique affine adds no voxel
    padded = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    walls = []
    for axis in range(3):
        ends = (low[axis] == 0, high[axis] == mask.shape[axis])
        width = int(pad[axis])
        for side, cut in enumerate(ends):
            reach = [(0, 0)] * 3
            reach[axis] = (width, 0) if side == 0 else (0, width)
            padded = np.pad(padded, reach, mode="edge" if cut else "constant")
        inner = int(high[axis] - low[axis])
        walls.append((width - 0.5 if ends[0] else None, width + inner - 0.5 if ends[1] else None))
    return padded, grid.crop(low - pad, high + pad), tuple(walls)


def _wall_distance(fine: Grid, local: Grid, walls: Walls) -> Float32Array | None:
    """Signed distance beyond the walls of the image (negative within), on the working lattice; None without walls."""
    beyond: Float32Array | None = None
    # Rows of the inverse are the gradients of the voxel coordinates: their length turns voxels into millimetres across a wall.
    per_mm = np.linalg.norm(local.voxel_from_world[:3, :3], axis=1)
    for axis, ends in enumerate(walls):
        place = np.linspace(0.0, local.shape[axis] - 1.0, fine.shape[axis])
        shape = [1, 1, 1]
        shape[axis] = -1
        for sign, wall in zip((-1.0, 1.0), ends, strict=True):
            if wall is not None:
                distance = (sign * (place - wall) / per_mm[axis]).astype(np.float32).reshape(shape)
                beyond = np.broadcast_to(distance, fine.shape) if beyond is None else np.maximum(beyond, distance)
    return beyond


def _factors(spacing_mm: npt.NDArray[np.float64], target_mm: float) -> tuple[int, int, int]:
    """Steps between neighbouring voxel centres along each axis; 2 % of grace keeps 1.01 mm from becoming 0.5 mm."""
    x, y, z = (max(1, int(np.ceil(s / target_mm - 0.02))) for s in spacing_mm)
    return x, y, z


def _smooth_field(
    mask: BoolArray, spacing_mm: npt.NDArray[np.float64], factors: tuple[int, int, int], smoothing: float, threads: int
) -> Float32Array:
    """The interpolated distance, low-pass filtered and held within the doubt that the voxels leave."""
    smallest, largest = float(spacing_mm.min()), float(spacing_mm.max())
    start = distance_to_other_mm(mask, spacing_mm, threads=threads)
    # Distances to centres jump by two half voxels across a face; taking one half off each side gives the slope of a distance.
    start -= np.float32(0.5 * smallest)
    thin = slender(mask)
    fragile = thin | slender(~mask)
    any_fragile = bool(fragile.any())
    doubt: Float32Array | np.float32 = np.float32(FREE * smallest)
    if any_fragile or smallest < largest:
        coarse = np.clip(start, np.float32(FREE * smallest), np.float32(FREE * largest))
        coarse[fragile] = np.float32(HELD) * np.minimum(start[fragile], np.float32(largest))
        doubt = refined(coarse, factors)
    np.negative(start, out=start, where=mask)
    start = bridged(refined(start, factors), mask, thin, factors, smallest)
    if any_fragile:
        # Between the centres of slender voxels, too, the core keeps its sign; else the smoothing would cut plates into crumbs.
        place = np.flatnonzero(fragile if max(factors) == 1 else refined(fragile.astype(np.float32), factors) > 0)
        size = np.abs(start.ravel()[place])
        place, size = place[size > 0.2 * smallest], size[size > 0.2 * smallest]
        limits = np.asarray(doubt).reshape(-1)
        limits[place] = np.minimum(limits[place], np.float32(0.6) * size)
    if smoothing <= 0:
        return start
    kernels = [_low_pass(SIGMA * smoothing * np.sqrt(s * largest) * f / s) for s, f in zip(spacing_mm, factors, strict=True)]
    low, high = start - doubt, start + doubt
    field, spare = start, np.empty_like(start)
    for _ in range(ROUNDS):
        for axis, kernel in enumerate(kernels):
            correlate1d(field, kernel, axis=axis, output=spare, mode="nearest")
            field, spare = spare, field
        np.clip(field, low, high, out=field)
    return field


def _low_pass(sigma: float) -> npt.NDArray[np.float64]:
    """The kernel of 2 G - G G, twice over, for a Gaussian G of `sigma` samples.

    It has no second moment: curved surfaces stay where they are, while ripples of a voxel's size go.
    """
    reach = max(1, round(3 * sigma))
    gauss = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    gauss /= gauss.sum()
    once = 2 * np.pad(gauss, reach) - np.convolve(gauss, gauss)
    kernel = np.convolve(once, once)
    middle = len(kernel) // 2
    kept = max(1, round(5.5 * sigma))
    kernel = kernel[middle - kept : middle + kept + 1] if kept < middle else kernel
    return np.asarray((kernel + kernel[::-1]) / (2 * kernel.sum()), dtype=np.float64)


_NEARLY, _WELL_OFF = 0.009, 0.012
"""A mesh this near to the volume is kept as it is; between the two the mean over its mirror images decides, beyond they mend the shift."""


def _keep_volume(
    level: Float32Array, grid: Grid, beyond: Float32Array | None, volume_mm3: float, most_mm: float
) -> tuple[Float32Array, SurfaceMesh, float, float]:
    """Move the level so that the surface encloses the volume, by at most `most_mm`.

    The field's own count of volume decides (cheap, and the same for a mirrored field), and the mesh's only where that is well off.
    `beyond` cuts the field at the walls of the image, which do not move.
    Returned are the moved field, its surface, the volume that encloses, and the shift.
    """

    def moved(shift: float) -> Float32Array:
        result = level - np.float32(shift)
        if beyond is not None:
            np.maximum(result, beyond, out=result)
        return guarded(np.clip(result, -LEVEL_LIMIT_MM, LEVEL_LIMIT_MM, out=result))

    shift = _volume_shift(level, grid, beyond, volume_mm3, most_mm)
    field = moved(shift)
    mesh = zero_surface(field, grid)
    for _ in range(3):
        if abs(volume_mm3 - mesh.volume_mm3) <= _NEARLY * volume_mm3 or not len(mesh.faces):
            break
        enclosed, area = _even_handed(field, grid)
        if abs(volume_mm3 - enclosed) <= _WELL_OFF * volume_mm3:
            break
        shift = round(float(np.clip(shift + (volume_mm3 - enclosed) / area, -most_mm, most_mm)), 4)
        field = moved(shift)
        mesh = zero_surface(field, grid)
    return field, mesh, mesh.volume_mm3, shift


def _even_handed(field: Float32Array, grid: Grid) -> tuple[float, float]:
    """Volume and area of a field's surface, the mean over its eight mirror images: one mesh's hang on how its faces were cut."""
    axes = [axes for count in range(4) for axes in combinations(range(3), count)]
    meshes = [zero_surface(np.ascontiguousarray(np.flip(field, flipped)), grid) for flipped in axes]
    return float(np.mean([mesh.volume_mm3 for mesh in meshes])), float(np.mean([mesh.area_mm2 for mesh in meshes]))


def _volume_shift(level: Float32Array, grid: Grid, beyond: Float32Array | None, volume_mm3: float, most_mm: float) -> float:
    """By how much the level is to move so that its mesh encloses the volume, from the samples near the surface alone.

    Sums over samples do not care how a mesh would be cut into triangles, so a mirrored field has the same shift.
    """
    cell, half = grid.voxel_volume_mm3, 0.5 * float(grid.spacing_mm.mean())
    deep_level = -(half + most_mm)
    near = np.flatnonzero(np.abs(level) < -deep_level)
    deep = np.count_nonzero(level <= deep_level if beyond is None else (level <= deep_level) & (beyond < 0))
    flat = level.ravel()
    values = flat[near]
    strides = (level.shape[1] * level.shape[2], level.shape[2], 1)
    bend = -6 * values
    for stride in strides:
        bend += flat[np.maximum(near - stride, 0)] + flat[np.minimum(near + stride, flat.size - 1)]
    within = np.ones(len(near), dtype=np.float32) if beyond is None else (np.ravel(beyond)[near] < 0).astype(np.float32)
    shift = 0.0
    for _ in range(2):
        share = np.clip(0.5 - (values - np.float32(shift)) / np.float32(2 * half), 0, 1)
        crossed = ((share > 0) & (share < 1)) * within
        per_mm = cell / (2 * half)
        area = per_mm * float(crossed.sum(dtype=np.float64))
        # Triangles cut the corners of what is curved, by about a tenth of the field's second differences.
        lost = MESH_LOSS * per_mm * float((crossed * bend).sum(dtype=np.float64))
        missing = volume_mm3 + lost - cell * (deep + float((share * within).sum(dtype=np.float64)))
        shift = float(np.clip(shift + missing / max(area, 1e-9), -most_mm, most_mm))
    return round(shift, 4)
