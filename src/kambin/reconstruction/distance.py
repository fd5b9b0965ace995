"""Signed distances of masks and fields on lattices: functions on arrays, millimetres, negative inside."""

from __future__ import annotations

from typing import Any

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
    field = edt.edt(np.ascontiguousarray(mask).view(np.uint8), anisotropy=spacing, black_border=False, parallel=threads)
    return np.asarray(field, dtype=np.float32)


def signed_distance_mm(mask: BoolArray, spacing_mm: npt.ArrayLike, *, threads: int = 1) -> Float32Array:
    """Distance to the nearest voxel centre of the other class, negative inside.

    Interpolated linearly, its zero lies midway between neighbouring voxels of different class, which is the voxels' face.

    Raises
    ------
    ValueError
        When all voxels are of one class.
    """
    field = distance_to_other_mm(mask, spacing_mm, threads=threads)
    np.negative(field, out=field, where=mask)
    return field


def distance_to_other_mm(mask: BoolArray, spacing_mm: npt.ArrayLike, *, threads: int = 1) -> Float32Array:
    """Distance to the nearest voxel centre of the other class, never negative. Raises as `signed_distance_mm`."""
    import edt

    if not mask.any():
        raise ValueError("expected at least one true voxel, found none")
    if mask.all():
        raise ValueError("expected at least one false voxel to measure distances to, found none")
    spacing = tuple(float(s) for s in np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (mask.ndim,)))
    # Of two labels, edt measures each voxel's distance to the nearest one of the other label: both sides in one transform.
    classes = np.ascontiguousarray(mask).view(np.uint8) + np.uint8(1)
    return np.asarray(edt.edt(classes, anisotropy=spacing, black_border=False, parallel=threads), dtype=np.float32)


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


def as_distance(field: Float32Array, spacing_mm: npt.ArrayLike, limit_mm: float, *, exact_mm: float = 2.6) -> Float32Array:
    """Signed distance (mm, clipped to ± `limit_mm`) to the zero set of a field that is roughly that already.

    Samples next to a change of sign take value over slope, held near the distance to the plane through the crossings on the
    lattice's edges. From them the eikonal equation is solved outwards, upwind and to first order, to `exact_mm`; further out the
    field itself is taken, moved by its mean error at that distance.

    Raises
    ------
    ValueError
        When the field has one sign throughout.
    """
    spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (3,))
    inside = field < 0
    place, values = _near_zero(field, inside, spacing)
    if not len(place):
        raise ValueError("expected a field with both signs, found one")
    size = np.abs(field)
    guess = size.ravel()
    open_ = np.zeros(field.shape, dtype=bool)
    # The lattice's border has no neighbours on one side, and is left out.
    inner = (slice(1, -1),) * 3
    np.less(size[inner], np.float32(exact_mm), out=open_[inner])
    open_.ravel()[place] = False
    band = np.flatnonzero(open_)
    order = np.argsort((guess[band] / np.float32(0.5 * spacing.min())).astype(np.int16), kind="stable")
    band, before = band[order], guess[band[order]]
    ends = np.searchsorted(before, np.arange(0.5 * spacing.min(), exact_mm, 0.5 * spacing.min()))
    guess[place] = values
    strides = (field.shape[1] * field.shape[2], field.shape[2], 1)
    for _ in range(2):
        # In layers outwards, so that what is done near the surface is used at once further out.
        for layer in np.split(band, ends):
            nearest = [np.minimum(guess[layer - step], guess[layer + step]) for step in strides]
            guess[layer] = _upwind(nearest, spacing)
    outermost = before > exact_mm - spacing.max()
    error = float((guess[band[outermost]] - before[outermost]).mean(dtype=np.float64)) if outermost.any() else 0.0
    size += np.float32(error)
    exact = np.concatenate([place, band])
    guess[exact] -= np.float32(error)
    np.negative(size, out=size, where=inside)
    return np.asarray(np.clip(size, -limit_mm, limit_mm, out=size), dtype=np.float32)


def _near_zero(
    field: Float32Array, inside: BoolArray, spacing_mm: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Flat indices of the samples that have a neighbour of the other sign, and their distances to the zero set."""
    changes = np.zeros(field.shape, dtype=bool)
    for axis in range(3):
        sides, found = np.moveaxis(inside, axis, 0), np.moveaxis(changes, axis, 0)
        differ = sides[1:] != sides[:-1]
        found[1:] |= differ
        found[:-1] |= differ
    place = np.flatnonzero(changes)
    where = np.stack(np.unravel_index(place, field.shape), axis=-1)
    flat = field.ravel()
    own = flat[place]
    slope, inverse = np.zeros(len(place), dtype=np.float32), np.zeros(len(place), dtype=np.float32)
    for axis, step in enumerate(spacing_mm):
        stride = int(np.prod(field.shape[axis + 1 :], dtype=np.int64))
        below = flat[place - stride * (where[:, axis] > 0)]
        above = flat[place + stride * (where[:, axis] < field.shape[axis] - 1)]
        slope += np.square((above - below) / np.float32(2 * step))
        # The share of the step at which the line to the neighbour of the other sign crosses zero; none where both are alike.
        share = [
            np.where((other < 0) != (own < 0), np.abs(own) / np.maximum(np.abs(own) + np.abs(other), np.float32(1e-12)), np.inf)
            for other in (below, above)
        ]
        inverse += np.square(1 / (np.float32(step) * np.maximum(np.minimum(*share), np.float32(1e-3))))
    crossing = 1 / np.sqrt(inverse)
    # Value over slope is the smoother estimate, but fails on the ridges of thin parts: it is trusted near the other one only.
    smooth = np.abs(own) / np.maximum(np.sqrt(slope), np.float32(1e-6))
    return place, np.asarray(np.clip(smooth, np.float32(0.5) * crossing, np.float32(1.5) * crossing), dtype=np.float32)


def _upwind(nearest: list[Float32Array], spacing_mm: npt.NDArray[np.float64]) -> Float32Array:
    """The solution u of sum over axes of max((u - a) / h, 0)² = 1, for the smaller neighbours a along each axis."""
    a = list(nearest)
    w: list[Any] = [np.float32(1.0 / step**2) for step in spacing_mm]
    equal = bool(np.ptp(spacing_mm) == 0)
    for i, j in ((0, 1), (1, 2), (0, 1)):
        # A network of three exchanges sorts three values several times faster than a sort along the short axis.
        if not equal:
            swap = a[i] > a[j]
            w[i], w[j] = np.where(swap, w[j], w[i]), np.where(swap, w[i], w[j])
        a[i], a[j] = np.minimum(a[i], a[j]), np.maximum(a[i], a[j])
    # Offsets from the smallest neighbour keep the quadratics well-conditioned in single precision.
    second, third = a[1] - a[0], a[2] - a[0]
    result = 1 / np.sqrt(w[0])
    sum_w, sum_wa, sum_waa = w[0] + w[1], w[1] * second, w[1] * second * second
    for after, weight in ((second, None), (third, w[2])):
        if weight is not None:
            sum_w, sum_wa, sum_waa = sum_w + weight, sum_wa + weight * third, sum_waa + weight * third * third
        root = np.maximum(sum_wa * sum_wa - sum_w * (sum_waa - 1), 0)
        result = np.where(result > after, (sum_wa + np.sqrt(root)) / sum_w, result)
    return np.asarray(a[0] + result, dtype=np.float32)
