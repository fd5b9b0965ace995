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

from kambin.geometry import FloatArray, Frame
from kambin.spine import Solid
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]

SPACING_MM = 0.8
REACH_MM = 12.0
"""Distances are held to this: no clearance is of interest beyond it, and what is not computed costs nothing."""
_SURE_MM = 0.6
"""Nearer to its surface than this a solid's own level is a distance."""
_CUT_MM = 0.4
"""A part's surface runs along the whole's as nearly as this: nearer it is skin of the whole, further inside it is a cut."""
_NEAR_MM = 7.0
"""As near as a channel's axis comes to what matters; further away distances are good to some tenths."""
_PIECE_MM = 0.2
"""Half the width of the flat piece of surface that a point stands for. Wider ones stick out at edges, narrower ones leave gaps."""
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


def distance_field(solid: Solid, grid: Grid, *, without: Iterable[Solid] = ()) -> DistanceField:
    """The signed distance to a solid's surface on a lattice: `REACH_MM` everywhere where there is none.

    Near the surface the solid's own level is taken. Further away, the nearest of the surface's corners, middles of edges and centres:
    they lie less than a voxel apart, so this is too long by a few hundredths of a millimetre.

    Parameters
    ----------
    solid
        Whose surface.
    grid
        Where to sample.
    without
        What is cut away from it, such as a part of the bone that may be reamed.
    """
    less = tuple(without)
    level = _level(solid, less, grid)
    points, normals = _surface_points(solid, less)
    if not len(points):
        return DistanceField(grid, np.full(grid.shape, REACH_MM, dtype=np.float32))
    result = _to_nearest(points, normals, grid)
    sure = np.abs(level) < _SURE_MM
    result[sure] = np.abs(level[sure])
    return DistanceField(grid, np.copysign(np.minimum(result, REACH_MM), level))


def rough_distance_field(solid: Solid, grid: Grid) -> DistanceField:
    """The same for what is large and kept far from, in a fifth of the time: every second sample, and between them what lies between.

    Off by a tenth of a millimetre on average, and by one where it is most.
    """
    from scipy.ndimage import affine_transform

    affine = grid.world_from_voxel.copy()
    affine[:3, :3] *= 2
    count = [-(-n // 2) + 1 for n in grid.shape]
    coarse = distance_field(solid, Grid((count[0], count[1], count[2]), affine))
    half = np.full(3, 0.5)
    values = affine_transform(coarse.distance_mm, half, output_shape=grid.shape, order=1, mode="nearest", prefilter=False)
    return DistanceField(grid, values)


def _to_nearest(points_mm: FloatArray, normals: FloatArray, grid: Grid) -> Float32Array:
    """The distance to the nearest of some pieces of surface, from the nearest sample that has one beside it.

    Each sample keeps a few of the points nearest to it. Every other sample asks the keeping one that is nearest to itself, and near the
    surface also those that its neighbours ask.
    """
    from scipy.ndimage import distance_transform_edt

    pieces, home = _thinned(grid.voxel(points_mm), normals @ grid.world_from_voxel[:3, :3] / grid.spacing_mm[0], grid)
    keepers, first, count = np.unique(home, return_index=True, return_counts=True)
    keeper = np.full(grid.shape, -1, dtype=np.int32)
    keeper.reshape(-1)[keepers] = np.arange(len(keepers))
    nearest = distance_transform_edt(keeper < 0, return_distances=False, return_indices=True)
    keeper = keeper[tuple(nearest)]
    asked = keeper.reshape(-1)
    best = _apart(pieces, first[asked], np.arange(asked.size), grid)
    near = best < _NEAR_MM

    def ask(whom: npt.NDArray[np.int32], samples: npt.NDArray[np.int64], start: int = 0) -> None:
        for number in range(start, int(count.max())):
            more = count[whom] > number
            whom, samples = whom[more], samples[more]
            found = _apart(pieces, first[whom] + number, samples, grid)
            closer = found < best[samples]
            best[samples[closer]], asked[samples[closer]] = found[closer], whom[closer]

    samples = np.flatnonzero(near)
    ask(asked[samples], samples, 1)
    for axis in range(3):
        for step in (-1, 1):
            # what comes in over the lattice's edge from its other side is only one more piece of the surface
            other = np.roll(keeper, step, axis=axis).reshape(-1)
            samples = np.flatnonzero(near & (other != asked))
            ask(other[samples], samples)
    return best.reshape(grid.shape)


def _thinned(voxel: FloatArray, normals: FloatArray, grid: Grid) -> tuple[Float32Array, npt.NDArray[np.int64]]:
    """One point in each eighth of a sample's cell, with its normal, shape (n, 6), and the flat index of that sample; in its order."""
    home = np.clip(np.rint(voxel), 0, np.array(grid.shape) - 1).astype(np.int64)
    flat = np.ravel_multi_index(tuple(home.T), grid.shape)
    eighth = ((voxel > home) * np.array([4, 2, 1])).sum(axis=1)
    _, first = np.unique(8 * flat + eighth, return_index=True)
    return np.concatenate([voxel, normals], axis=1)[first].astype(np.float32), flat[first]


def _apart(pieces: Float32Array, which: npt.NDArray[np.int64], samples: npt.NDArray[np.int64], grid: Grid) -> Float32Array:
    """How far samples are from pieces of surface: flat discs of `_PIECE_MM`, the last coordinates of each its normal. Millimetres."""
    result = np.empty(len(which), dtype=np.float32)
    spacing = np.float32(grid.spacing_mm[0])
    radius = np.float32(_PIECE_MM) / spacing
    for first in range(0, len(which), _CHUNK):
        part = slice(first, first + _CHUNK)
        piece = pieces[which[part]].T
        offset = np.stack(np.unravel_index(samples[part], grid.shape)).astype(np.float32) - piece[:3]
        height = (offset * piece[3:]).sum(axis=0)
        across = np.sqrt(np.maximum((offset * offset).sum(axis=0) - height * height, 0.0))
        result[part] = spacing * np.hypot(height, np.maximum(across - radius, 0.0))
    return result


def _level(solid: Solid, less: tuple[Solid, ...], grid: Grid) -> Float32Array:
    """A solid's level on the lattice, less what is cut away."""
    origin, steps = grid.world_from_voxel[:3, 3], grid.world_from_voxel[:3, :3].T
    level = solid.sample_box(origin, steps, grid.shape)
    for other in less:
        np.maximum(level, -other.sample_box(origin, steps, grid.shape), out=level)
    return level


def _surface_points(solid: Solid, less: tuple[Solid, ...]) -> tuple[FloatArray, FloatArray]:
    """Points of a surface less than a voxel apart with their normals; where something is cut away, of the cut in their place."""
    points, normals = _points_of(solid)
    for other in less:
        cut, facing = _points_of(other)
        stays, shows = other.sample(points) > _CUT_MM, solid.sample(cut) < -_CUT_MM
        points, normals = np.concatenate([points[stays], cut[shows]]), np.concatenate([normals[stays], facing[shows]])
    return points, normals


def _points_of(solid: Solid) -> tuple[FloatArray, FloatArray]:
    """Corners, middles of edges and centres of a surface's triangles, each with its triangle's normal."""
    corners = solid.mesh.vertices_mm[solid.mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    edges = (corners + np.roll(corners, 1, axis=1)) / 2
    points = np.concatenate([corners, edges, corners.mean(axis=1, keepdims=True)], axis=1)
    return points.reshape(-1, 3), np.repeat(normals, points.shape[1], axis=0)
