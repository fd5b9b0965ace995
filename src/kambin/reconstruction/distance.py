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
    """A field with (to first order) the same zero set, whose values are about signed millimetres, clipped to ± `limit_mm`.

    Near the zero set the value is field / |gradient|; two samples and more away from it the exact distance between voxel centres
    takes over, less the mean depth of the surface below the nearest centre.
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    step = float(spacing.max())
    slope = np.zeros(field.shape, dtype=np.float32)
    for axis, h in enumerate(spacing):
        slope += np.square(np.gradient(field, h, axis=axis)).astype(np.float32)
    np.sqrt(slope, out=slope)
    # On the ridges of thin parts the gradient vanishes; the guard keeps such samples finite, the far distance bounds them.
    near = field / np.maximum(slope, np.float32(0.3))
    inside = field < 0
    far = signed_distance_mm(inside, spacing, threads=threads)
    depth = np.float32(0.43 * spacing.mean())
    far = np.where(inside, np.minimum(far + depth, 0), np.maximum(far - depth, 0))
    weight = np.clip((np.abs(far) - step) / step, 0, 1).astype(np.float32)
    # A sample one voxel from the surface cannot be further from it than its nearest sample of the other class.
    bound = np.abs(far) + depth
    near = np.clip(near, -bound, bound)
    result = near + weight * (far - near)
    return np.asarray(np.clip(result, -limit_mm, limit_mm), dtype=np.float32)
