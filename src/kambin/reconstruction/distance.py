"""Signed distances of masks and fields on lattices: functions on arrays, millimetres, negative inside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def distance_mm(mask: BoolArray, spacing_mm: npt.ArrayLike, *, threads: int = 1) -> Float32Array:
    """Distance from every true voxel's centre to the nearest false voxel's centre; 0 at false voxels, shape of `mask`.

    Exact, anisotropic. Infinite nowhere: where there is no false voxel at all a ``ValueError`` is raised.
    """
    import edt

    if mask.all():
        raise ValueError("expected at least one false voxel to measure distances to, found none")
    spacing = tuple(float(s) for s in np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (mask.ndim,)))
    # edt wants bytes in C order and would reinterpret other layouts on its own terms.
    field = edt.edt(np.ascontiguousarray(mask).view(np.uint8), anisotropy=spacing, black_border=False, order="C", parallel=threads)
    return np.asarray(field, dtype=np.float32)


def signed_distance_mm(mask: BoolArray, spacing_mm: npt.ArrayLike, *, threads: int = 1) -> Float32Array:
    """Distance to the nearest voxel centre of the other class, negative inside.

    Interpolated linearly, its zero lies midway between neighbouring voxels of different class, which is the voxels' face.

    Raises
    ------
    ValueError
        When all voxels are of one class.
    """
    if not mask.any():
        raise ValueError("expected at least one true voxel, found none")
    outside = distance_mm(~mask, spacing_mm, threads=threads)
    outside -= distance_mm(mask, spacing_mm, threads=threads)
    return outside


def refined(field: Float32Array, factors: tuple[int, int, int]) -> Float32Array:
    """The field linearly interpolated on a lattice with `factors` steps between neighbouring samples.

    Shape (n, ...) becomes ((n - 1) * factor + 1, ...): first and last samples stay, so the lattice is symmetric about its centre.
    """
    result = np.asarray(field, dtype=np.float32)
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        moved = np.moveaxis(result, axis, 0)
        fine = np.empty(((moved.shape[0] - 1) * factor + 1, *moved.shape[1:]), dtype=np.float32)
        fine[::factor] = moved
        for step in range(1, factor):
            fine[step::factor] = moved[:-1] * np.float32(1 - step / factor) + moved[1:] * np.float32(step / factor)
        result = np.moveaxis(fine, 0, axis)
    return np.ascontiguousarray(result)


def as_distance(field: Float32Array, spacing_mm: npt.ArrayLike, limit_mm: float, *, threads: int = 1) -> Float32Array:
    """Signed distance (mm, clipped to ± `limit_mm`) to the zero set of a sampled field, which stays in place to second order.

    Samples next to a change of sign take value over slope, held near the distance to the plane through the crossings on the
    lattice's edges; from them the eikonal equation is solved outwards, upwind and to first order, starting from the distance
    between samples.

    Raises
    ------
    ValueError
        When the field has one sign throughout.
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    inside = field < 0
    # The distance between samples overshoots by about half a step: a start that a few sweeps mend, and the value beyond the band.
    size = np.abs(signed_distance_mm(inside, spacing, threads=threads))
    size = np.maximum(size - np.float32(0.35 * spacing.mean()), np.float32(0))
    crossing = _crossing_distance(field, inside, spacing)
    fixed = np.isfinite(crossing)
    # Value over slope is the smoother estimate, but fails on the ridges of thin parts: it is trusted near the other one only.
    slope = np.zeros(field.shape, dtype=np.float32)
    for axis, step in enumerate(spacing):
        slope += np.square(np.gradient(field, np.float32(step), axis=axis))
    smooth = np.abs(field[fixed]) / np.maximum(np.sqrt(slope[fixed]), np.float32(1e-6))
    size[fixed] = np.clip(smooth, np.float32(0.5) * crossing[fixed], np.float32(1.5) * crossing[fixed])
    size = np.pad(size, 1, mode="edge")
    band = np.pad(~fixed, 1) & (size < limit_mm + 1.5 * spacing.max())
    place = np.flatnonzero(band)
    flat = size.ravel()
    strides = (size.shape[1] * size.shape[2], size.shape[2], 1)
    for _ in range(int(np.ceil(limit_mm / spacing.min())) + 2):
        nearest = np.stack([np.minimum(flat[place - step], flat[place + step]) for step in strides])
        flat[place] = _upwind(nearest, spacing)
    size = flat.reshape(size.shape)[1:-1, 1:-1, 1:-1]
    return np.asarray(np.clip(np.where(inside, -size, size), -limit_mm, limit_mm), dtype=np.float32)


def _crossing_distance(field: Float32Array, inside: BoolArray, spacing_mm: npt.NDArray[np.float64]) -> Float32Array:
    """Distance to the plane through the nearest crossings along the axes; infinite where no neighbour has the other sign."""
    total = np.zeros(field.shape, dtype=np.float32)
    for axis, step in enumerate(spacing_mm):
        values, sides, sums = (np.moveaxis(array, axis, 0) for array in (field, inside, total))
        changes = sides[1:] != sides[:-1]
        first, second = np.abs(values[:-1][changes]), np.abs(values[1:][changes])
        share = np.clip(first / np.maximum(first + second, np.float32(1e-12)), 1e-3, 1 - 1e-3)
        inverse = np.zeros((2, *sums.shape), dtype=np.float32)
        inverse[0, :-1][changes] = 1 / (step * share)
        inverse[1, 1:][changes] = 1 / (step * (1 - share))
        sums += np.square(inverse.max(axis=0))
    with np.errstate(divide="ignore"):
        return np.asarray(1 / np.sqrt(total), dtype=np.float32)


def _upwind(nearest: Float32Array, spacing_mm: npt.NDArray[np.float64]) -> Float32Array:
    """The solution u of sum over axes of max((u - a) / h, 0)² = 1, for the smaller neighbours a along each axis, shape (3, n)."""
    a = list(nearest)
    w = [np.full(len(a[0]), 1.0 / step**2, dtype=np.float32) for step in spacing_mm]
    for i, j in ((0, 1), (1, 2), (0, 1)):
        # A network of three exchanges sorts three values several times faster than a sort along the short axis.
        swap = a[i] > a[j]
        a[i], a[j] = np.minimum(a[i], a[j]), np.maximum(a[i], a[j])
        w[i], w[j] = np.where(swap, w[j], w[i]), np.where(swap, w[i], w[j])
    result = a[0] + 1 / np.sqrt(w[0])
    for count in (2, 3):
        # Offsets from the smallest neighbour keep the quadratic well-conditioned in single precision.
        offset = [value - a[0] for value in a[1:count]]
        sum_w = sum(w[1:count], start=w[0])
        sum_wa = sum((weight * o for weight, o in zip(w[1:count], offset, strict=True)), start=np.zeros_like(a[0]))
        sum_waa = sum((weight * o * o for weight, o in zip(w[1:count], offset, strict=True)), start=np.zeros_like(a[0]))
        root = np.square(sum_wa) - sum_w * (sum_waa - 1)
        solution = a[0] + (sum_wa + np.sqrt(np.maximum(root, 0))) / sum_w
        result = np.where(result > a[count - 1], solution, result)
    return np.asarray(result, dtype=np.float32)
