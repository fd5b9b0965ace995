"""Distance fields about a segment: how far every point is from a structure, looked up in no time.

A channel is free of a structure when its axis keeps further away than its radius, so one field for each structure answers for every
channel, whatever its direction, radius and length. A field is sampled once on a lattice in the segment's own directions and read
between the samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from kambin.geometry import FloatArray, Frame
from kambin.spine import Solid
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]

SPACING_MM = 0.8
REACH_MM = 12.0
"""Distances are held to this: no clearance is of interest beyond it, and what is not computed costs nothing."""
_SURE_MM = 1.2
"""Nearer to its surface than this a solid's own level is a distance to a few hundredths of a millimetre."""
_NEAR_MM = 5.5
"""As near as a channel's axis comes to what it touches; further away distances are smooth."""
_BEND_MM = 0.4
_CUT_MM = 0.4
"""A part's surface runs along the whole's as nearly as this: nearer it is skin of the whole, further inside it is a cut."""
_BLOCK = 4
_CHUNK = 1 << 16


def lattice_about(frame: Frame, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike, spacing_mm: float = SPACING_MM) -> Grid:
    """A lattice along a frame's (right, anterior, cranial), between two corners in its coordinates."""
    low, high = np.asarray(low_mm, dtype=np.float64), np.asarray(high_mm, dtype=np.float64)
    count = np.ceil((high - low) / spacing_mm).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = spacing_mm * frame.axes.T
    affine[:3, 3] = frame.world(low)
    return Grid((int(count[0]), int(count[1]), int(count[2])), affine)


@dataclass(frozen=True, eq=False)
class DistanceField:
    """Signed distance to the surface of one structure or several, on a lattice.

    Parameters
    ----------
    grid
        Where the samples are.
    distance_mm
        Negative inside, held to at most `REACH_MM`, of `grid`'s shape.
    """

    grid: Grid
    distance_mm: Float32Array

    def __post_init__(self) -> None:
        if self.distance_mm.shape != self.grid.shape:
            raise ValueError(f"expected distances of shape {self.grid.shape}, found {self.distance_mm.shape}")
        self.distance_mm.setflags(write=False)

    def at(self, points_mm: npt.ArrayLike) -> Float32Array:
        """The distance at RAS points, shape (..., 3) to (...), trilinear; `REACH_MM` outside the lattice."""
        points = np.asarray(points_mm, dtype=np.float64)
        voxel = self.grid.voxel(points.reshape(-1, 3)).astype(np.float32).T
        result = np.empty(voxel.shape[1], dtype=np.float32)
        for first in range(0, len(result), _CHUNK):
            result[first : first + _CHUNK] = between_samples(self.distance_mm, voxel[:, first : first + _CHUNK])
        return result.reshape(points.shape[:-1])


def between_samples(values: Float32Array, voxel: Float32Array) -> Float32Array:
    """Trilinear interpolation at array indices of shape (3, n); `REACH_MM` outside."""
    nx, ny, nz = values.shape
    flat = values.reshape(-1)
    whole = np.floor(voxel).astype(np.int32)
    inside = ((whole >= 0) & (whole < np.array([[nx - 1], [ny - 1], [nz - 1]], dtype=np.int32))).all(axis=0)
    whole *= inside
    x, y, z = voxel - whole
    base = (whole[0] * ny + whole[1]) * nz + whole[2]

    def along_z(first: npt.NDArray[np.int32]) -> Float32Array:
        low, high = flat[first], flat[first + 1]
        high -= low
        high *= z
        high += low
        return np.asarray(high)

    def across(first: npt.NDArray[np.int32]) -> Float32Array:
        low, high = along_z(first), along_z(first + nz)
        high -= low
        high *= y
        high += low
        return high

    low, high = across(base), across(base + ny * nz)
    high -= low
    high *= x
    high += low
    return np.where(inside, high, np.float32(REACH_MM))


def distance_field(solids: Iterable[Solid], grid: Grid, *, without: Iterable[Solid] = ()) -> DistanceField:
    """The distance to the nearest of some solids on a lattice: `REACH_MM` everywhere where there is none of them.

    Near the surface a solid's own level is taken. Further away, the nearest of the surface's corners, middles of edges and centres:
    they lie less than a voxel apart, so this is too long by a few hundredths of a millimetre at most.

    Parameters
    ----------
    solids
        Whose union is meant.
    grid
        Where to sample.
    without
        What is cut away from each of them, such as a part of the bone that may be reamed.
    """
    less = tuple(without)
    result = np.full(grid.shape, REACH_MM, dtype=np.float32)
    for solid in solids:
        np.minimum(result, _distance_to(solid, less, grid), out=result)
    return DistanceField(grid, result)


def _distance_to(solid: Solid, less: tuple[Solid, ...], grid: Grid) -> Float32Array:
    """Exact where it decides: within `_NEAR_MM`, and midway between two faces. Elsewhere read between samples two steps apart."""
    level = _level(solid, less, grid)
    points = _surface_points(solid, less)
    if not len(points):
        return np.full(grid.shape, REACH_MM, dtype=np.float32)
    tree = cKDTree(points)
    coarse = np.full([n // 2 + 2 for n in grid.shape], REACH_MM, dtype=np.float32)
    within = _within_reach(tree, grid.with_spacing_scaled([2, 2, 2]), coarse.shape)
    coarse[within] = _nearest(tree, grid, 2 * np.argwhere(within))
    result, exact = _drawn_out(coarse, grid.shape), _drawn_out(_is_ridge(coarse).astype(np.float32), grid.shape) > 0
    exact |= result < _NEAR_MM
    sure = exact & (np.abs(level) < _SURE_MM)
    exact &= ~sure
    result[exact] = _nearest(tree, grid, np.argwhere(exact))
    result[sure] = np.abs(level[sure])
    return np.copysign(result, level, out=result)


def _is_ridge(distance: Float32Array) -> npt.NDArray[np.bool_]:
    """Where a distance bends within a sample or two, as it does midway between two faces: a straight line between samples cuts that off."""
    result = np.zeros(distance.shape, dtype=bool)
    for axis in range(3):
        values, found = np.moveaxis(distance, axis, 0), np.moveaxis(result, axis, 0)
        bend = values[:-2] + values[2:] - 2.0 * values[1:-1]
        found[1:-1] |= (bend < -_BEND_MM) & (values[1:-1] < REACH_MM - _BEND_MM)
    return result


def _drawn_out(coarse: Float32Array, shape: tuple[int, int, int]) -> Float32Array:
    """Every second sample of a lattice of a given shape, with the others read between them."""
    for axis, count in enumerate(shape):
        values = np.moveaxis(coarse, axis, 0)
        fine = np.empty((count, *values.shape[1:]), dtype=np.float32)
        fine[::2] = values[: (count + 1) // 2]
        fine[1::2] = 0.5 * (values[: count // 2] + values[1 : count // 2 + 1])
        coarse = np.moveaxis(fine, 0, axis)
    return np.ascontiguousarray(coarse)


def _nearest(tree: cKDTree, grid: Grid, where: npt.NDArray[np.int64]) -> FloatArray:
    found = tree.query(grid.world(where), distance_upper_bound=REACH_MM, workers=-1)[0]
    return np.asarray(np.minimum(found, REACH_MM))


def _level(solid: Solid, less: tuple[Solid, ...], grid: Grid) -> Float32Array:
    """A solid's level on the lattice, less what is cut away."""
    origin, steps = grid.world_from_voxel[:3, 3], grid.world_from_voxel[:3, :3].T
    level = solid.sample_box(origin, steps, grid.shape)
    for other in less:
        np.maximum(level, -other.sample_box(origin, steps, grid.shape), out=level)
    return level


def _surface_points(solid: Solid, less: tuple[Solid, ...]) -> FloatArray:
    """Corners, centres and middles of edges of a surface's triangles; where something is cut away, of the cut in their place."""
    points = _points_of(solid)
    for other in less:
        cut = _points_of(other)
        points = np.concatenate([points[other.sample(points) > _CUT_MM], cut[solid.sample(cut) < -_CUT_MM]])
    return points


def _points_of(solid: Solid) -> FloatArray:
    corners = solid.mesh.vertices_mm[solid.mesh.faces]
    edges = (corners + np.roll(corners, 1, axis=1)) / 2
    return np.concatenate([solid.mesh.vertices_mm, corners.mean(axis=1), edges[:, 0]])


def _within_reach(tree: cKDTree, grid: Grid, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The samples that may lie within reach of some surface points: whole blocks of them, tried by their middles."""
    starts = [np.arange(0, n, _BLOCK) for n in shape]
    middle = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1) + (_BLOCK - 1) / 2
    around = (_BLOCK - 1) / 2 * float(np.linalg.norm(grid.spacing_mm))
    near = np.isfinite(tree.query(grid.world(middle), distance_upper_bound=REACH_MM + around, workers=-1)[0])
    for axis, n in enumerate(shape):
        near = np.repeat(near, _BLOCK, axis=axis).take(np.arange(n), axis=axis)
    return np.asarray(near)
