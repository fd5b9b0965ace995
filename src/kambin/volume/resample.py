"""Scans and label maps on another grid, by geometry: every target voxel looks up its own place in space."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.volume.grid import Grid
from kambin.volume.scan import Scan
from kambin.volume.segmentation import Segmentation


def nearest(array: npt.NDArray[Any], source: Grid, target: Grid, outside: float = 0) -> npt.NDArray[Any]:
    """Value of the nearest voxel centre of `source` at every voxel of `target`; `outside` where there is none. Same dtype."""
    return _resampled(array, source, target, order=0, outside=outside, dtype=array.dtype)


def linear(array: npt.NDArray[Any], source: Grid, target: Grid, outside: float = 0) -> npt.NDArray[np.float32]:
    """Trilinear interpolation of `array` at every voxel of `target`; `outside` beyond its outermost voxel centres."""
    return _resampled(array, source, target, order=1, outside=outside, dtype=np.dtype(np.float32))


def resample_labels(segmentation: Segmentation, grid: Grid) -> Segmentation:
    """The segmentation on another grid, by the nearest voxel. Itself where the grids agree.

    Raises
    ------
    InputError
        When the two do not overlap.
    """
    if segmentation.grid.is_close(grid):
        return segmentation
    ensure_overlap(segmentation.grid, grid, "label map", "grid")
    labels = nearest(segmentation.labels, segmentation.grid, grid)
    provenance = {**segmentation.provenance, "resampled_from_spacing_mm": segmentation.grid.spacing_mm.tolist()}
    return replace(segmentation, grid=grid, labels=labels, provenance=provenance)


def resample_scan(scan: Scan, grid: Grid) -> Scan:
    """The scan on another grid, by linear interpolation; its smallest value where it does not reach. Itself where the grids agree.

    Raises
    ------
    InputError
        When the two do not overlap.
    """
    if scan.grid.is_close(grid):
        return scan
    ensure_overlap(scan.grid, grid, "scan", "grid")
    values = linear(scan.values, scan.grid, grid, outside=float(scan.values.min()))
    provenance = {**scan.provenance, "resampled_from_spacing_mm": scan.grid.spacing_mm.tolist()}
    return replace(scan, grid=grid, values=values, provenance=provenance)


def ensure_overlap(first: Grid, second: Grid, first_name: str = "scan", second_name: str = "label map") -> None:
    """Do nothing where two grids share space.

    Raises
    ------
    InputError
        When they share none, with both boxes in millimetres.
    """
    if max(first.overlap_fraction(second), second.overlap_fraction(first)) > 0:
        return
    raise InputError(
        f"{first_name} and {second_name}",
        "expected them to overlap in space, found that they share none",
        f"the {first_name} spans {box_text(first)}",
        f"the {second_name} spans {box_text(second)}",
        hint="They are of different patients or series, or one of them has lost its position.",
    )


def box_text(grid: Grid) -> str:
    """The axis-aligned box around a grid in words: ``x -120 to 119, y -80 to 160, z 0 to 300 mm (RAS)``."""
    corners = grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    return ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True)) + " mm (RAS)"


def skew_deg(grid: Grid) -> float:
    """How far the array axes are from being at right angles, largest of the three pairs, in degrees."""
    axes = grid.world_from_voxel[:3, :3] / grid.spacing_mm
    cosines = np.abs(axes.T @ axes - np.eye(3)).max()
    return float(np.degrees(np.arcsin(np.clip(cosines, 0.0, 1.0))))


def straightened(grid: Grid) -> Grid:
    """A grid at right angles that covers a skewed one (gantry tilt): its first two axes kept, the third made normal to them.

    The in-plane spacing stays; slices lie as far apart as the skewed ones do along the normal.
    """
    linear_part = grid.world_from_voxel[:3, :3]
    first = linear_part[:, 0]
    unit = first / np.linalg.norm(first)
    second = linear_part[:, 1] - unit * (unit @ linear_part[:, 1])
    normal = np.cross(unit, second / np.linalg.norm(second))
    along = float(normal @ linear_part[:, 2])
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([first, second, normal * along])
    affine[:3, 3] = grid.world_from_voxel[:3, 3]
    corners = np.indices((2, 2, 2)).reshape(3, 8).T * (np.asarray(grid.shape) - 1)
    inside = Grid(grid.shape, affine).voxel(grid.world(corners))
    start = np.floor(inside.min(axis=0) + 1e-6).astype(int)
    stop = np.ceil(inside.max(axis=0) - 1e-6).astype(int) + 1
    return Grid(grid.shape, affine).crop(start, stop)


def _resampled(
    array: npt.NDArray[Any], source: Grid, target: Grid, *, order: int, outside: float, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    from scipy.ndimage import affine_transform

    matrix = source.voxel_from_world @ target.world_from_voxel
    result = affine_transform(
        array if order == 0 else array.astype(np.float32, copy=False),
        matrix[:3, :3],
        offset=matrix[:3, 3],
        output_shape=target.shape,
        order=order,
        mode="grid-constant" if order == 0 else "constant",
        cval=outside,
        prefilter=False,
    )
    return np.asarray(result, dtype=dtype)
