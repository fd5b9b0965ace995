"""Grids turned away from the axes, and the storage orders that a file may put them in."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from kambin.volume import Grid

STORAGES = [(order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)]


def rotation(a: int, b: int, c: int, d: int) -> np.ndarray:
    """An integer matrix with orthogonal columns, each as long as the squared norm of the quaternion (a, b, c, d)."""
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d],
        ],
        dtype=float,
    )


@st.composite
def oblique_grids(draw: st.DrawFn) -> Grid:
    """Grids whose numbers are exact in float32, turned by less than 40 degrees from the axes."""
    tilt = [draw(st.integers(-1, 1)) for _ in range(3)]
    matrix = rotation(8, *tilt) * [draw(st.sampled_from([1, 2, 3])) / 64 for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = [draw(st.integers(-4000, 4000)) / 16 for _ in range(3)]
    shape = tuple(draw(st.integers(2, 5)) for _ in range(3))
    return Grid(shape, affine)


def stored(array: np.ndarray, grid: Grid, order: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[np.ndarray, Grid]:
    """The same voxels at the same places in another storage order."""
    affine = grid.world_from_voxel.copy()
    affine[:3, :3] = affine[:3, list(order)]
    result = np.transpose(array, order)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (result.shape[axis] - 1)
            affine[:3, axis] *= -1
            result = np.flip(result, axis)
    return result, Grid(result.shape, affine)
