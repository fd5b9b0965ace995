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
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, gaussian_filter, label, maximum_filter, minimum_filter

from kambin.reconstruction.distance import as_distance, refined, signed_distance_mm
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.spine.solid import Solid, SurfaceMesh
from kambin.volume.grid import Grid

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Name = TypeVar("Name")

LEVEL_LIMIT_MM = 4.0
TARGET_SPACING_MM = 1.0
FREE, HELD = 0.5, 0.4
"""How far smoothing may move the field: in voxels; in slender parts as a fraction of the depth, so that signs never change."""
SIGMA, ROUNDS = 0.6, 4
"""Width of the low-pass filter in voxels, and how often it is applied."""


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
    level = as_distance(field, spacing / np.asarray(factors), LEVEL_LIMIT_MM, threads=threads)
    volume = float(np.count_nonzero(mask)) * grid.voxel_volume_mm3
    level, mesh, shift = _keep_volume(level, fine, _wall_distance(fine, local, walls), volume, 0.25 * float(spacing.max()))
    return Solid(fine, level, mesh), ShapeNote(volume, mesh.volume_mm3, shift, touches_border(mask))


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
    extents = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not extents[0].size:
        raise ValueError("expected a mask with at least one true voxel, found none")
    low = np.array([int(e[0]) for e in extents])
    high = np.array([int(e[-1]) + 1 for e in extents])
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
    start = signed_distance_mm(mask, spacing_mm, threads=threads)
    # Distances to centres jump by two half voxels across a face; taking one half off each side gives the slope of a distance.
    start -= np.sign(start) * np.float32(0.5 * spacing_mm.min())
    depth = np.abs(start)
    free = np.clip(depth, np.float32(FREE * spacing_mm.min()), np.float32(FREE * spacing_mm.max()))
    held = np.float32(HELD) * np.minimum(depth, np.float32(spacing_mm.max()))
    slender = _slender_part(mask)
    fragile = slender | _slender_part(~mask)
    doubt = refined(np.where(fragile, held, free).astype(np.float32), factors)
    start = _bridged(refined(start, factors), mask, slender, factors, float(spacing_mm.min()))
    if fragile.any():
        # Between the centres of slender voxels, too, the core keeps its sign; else the smoothing would cut plates into crumbs.
        core = (refined(fragile.astype(np.float32), factors) > 0) & (np.abs(start) > 0.2 * spacing_mm.min())
        np.minimum(doubt, np.float32(0.6) * np.abs(start), out=doubt, where=core)
    low, high = start - doubt, start + doubt
    sigma_mm = SIGMA * smoothing * np.sqrt(spacing_mm * spacing_mm.max())
    sigma = sigma_mm * np.asarray(factors) / spacing_mm
    field = start
    for _ in range(ROUNDS if smoothing > 0 else 0):
        once = gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
        # 2 G - G G has no second moment: curved surfaces stay where they are, ripples of a voxel's size go.
        field = np.clip(2 * once - gaussian_filter(once, sigma, mode="nearest", truncate=3.0), low, high)
    return np.asarray(field, dtype=np.float32)


def _bridged(
    start: Float32Array, mask: BoolArray, slender: BoolArray, factors: tuple[int, int, int], scale_mm: float
) -> Float32Array:
    """The refined field (changed in place) with a rod laid between slender voxels that meet at an edge or a corner only.

    An oblique plate one voxel thick consists of such steps; interpolation would cut it into strips there.
    """
    if not slender.any():
        return start
    thin, solid = np.pad(slender, 1), np.pad(mask, 1)
    inner = tuple(slice(1, -1) for _ in range(3))
    steps = [o for o in np.argwhere(np.ones((3, 3, 3))) - 1 if np.count_nonzero(o) >= 2 and o[np.flatnonzero(o)[0]] > 0]
    for step in steps:

        def at(values: BoolArray, offset: npt.NDArray[np.int64]) -> BoolArray:
            return values[tuple(slice(1 + int(d), n - 1 + int(d)) for d, n in zip(offset, values.shape, strict=True))]

        meets = solid[inner] & at(solid, step) & (thin[inner] | at(thin, step))
        between = [step * np.array(choice) for choice in np.ndindex(2, 2, 2)]
        for offset in {tuple(int(d) for d in b) for b in between} - {(0, 0, 0), tuple(int(d) for d in step)}:
            meets &= ~at(solid, np.array(offset))
        pairs = np.argwhere(meets)
        if len(pairs):
            offsets, values = _rod(step, factors, scale_mm)
            place = (pairs * np.asarray(factors))[:, None, :] + offsets
            flat = np.ravel_multi_index(tuple(np.moveaxis(place, -1, 0)), start.shape, mode="clip")
            np.minimum.at(start.reshape(-1), flat.ravel(), np.broadcast_to(values, flat.shape).ravel())
    return start


def _rod(
    step: npt.NDArray[np.int64], factors: tuple[int, int, int], scale_mm: float
) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Offsets on the fine lattice around a segment of one diagonal step, and the level of a rod about one voxel thick there."""
    axes = [np.arange(min(0, int(d)) * f - f, max(0, int(d)) * f + f + 1) for d, f in zip(step, factors, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = offsets / np.asarray(factors)
    along = np.clip(voxels @ step / float(step @ step), 0, 1)
    # Where only some of the axes are refined, no sample lies near the rod's middle: it is made thick enough to meet some.
    steps = np.asarray(factors)[step != 0]
    radius = 0.72 if steps.min() == 1 < steps.max() else 0.5
    level = (np.linalg.norm(voxels - along[:, None] * step, axis=1) - radius) * scale_mm
    near = level < 0.3 * scale_mm
    return offsets[near], level[near].astype(np.float32)


def _slender_part(values: BoolArray) -> BoolArray:
    """Plates and rods one voxel thick.

    They are the voxels outside every 2 x 2 x 2 block, where they reach away from the blocks or join two places of them. A single
    voxel or ridge upon a broad face is neither, and is left to the smoothing.
    """
    full = np.ones((3, 3, 3), dtype=bool)
    blocks = minimum_filter(values.view(np.uint8), size=2, origin=0, mode="nearest")
    thick = maximum_filter(blocks, size=2, origin=-1, mode="nearest").astype(bool)
    rest = values & ~thick
    if not rest.any():
        return np.zeros_like(values)
    near = binary_dilation(thick, full)
    kept = binary_dilation(rest & ~near, full, iterations=2) & rest
    pieces, count = label(rest, full)
    contact, contacts = label(thick & binary_dilation(rest, full), full)
    where = np.argwhere(rest & near)
    own = pieces[tuple(where.T)].astype(np.int64)
    met = []
    for offset in np.argwhere(full) - 1:
        place = np.clip(where + offset, 0, np.asarray(values.shape) - 1)
        other = contact[tuple(place.T)].astype(np.int64)
        met.append((own * (contacts + 1) + other)[other > 0])
    pairs = np.unique(np.concatenate(met)) // (contacts + 1)
    joins = np.bincount(pairs, minlength=count + 1) >= 2
    return np.asarray(kept | joins[pieces], dtype=np.bool_)


def _keep_volume(
    level: Float32Array, grid: Grid, beyond: Float32Array | None, volume_mm3: float, most_mm: float
) -> tuple[Float32Array, SurfaceMesh, float]:
    """Move the level so that the surface encloses the volume (Newton steps: volume over area), by at most `most_mm`.

    `beyond` cuts it at the walls of the image, which do not move.
    """

    def moved(shift: float) -> Float32Array:
        result = level - np.float32(shift)
        if beyond is not None:
            np.maximum(result, beyond, out=result)
        return guarded(np.clip(result, -LEVEL_LIMIT_MM, LEVEL_LIMIT_MM))

    shift = 0.0
    field = moved(shift)
    mesh = zero_surface(field, grid)
    for _ in range(4):
        error = volume_mm3 - mesh.volume_mm3
        if abs(error) <= 1e-3 * volume_mm3 or not len(mesh.faces):
            break
        # Thousandths of a millimetre: a mirrored mask, triangulated otherwise, is to have the same shift.
        shift = round(float(np.clip(shift + error / mesh.area_mm2, -most_mm, most_mm)), 3)
        field = moved(shift)
        mesh = zero_surface(field, grid)
    return field, mesh, shift
