"""Bony endplates: the first bone met when looking along the column at a vertebral body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, Frame, Plane
from kambin.spine import Solid

BoolArray = npt.NDArray[np.bool_]

PITCH_MM = 0.8
_HALF_WIDTH_MM = 36.0
_DEPTH_MM = (-34.0, 38.0)
_RAY_STEP_MM = 0.8
_MAX_SLOPE = 1.2
"""Rise over run beyond which the surface is a side wall, not an endplate."""
_MAX_OFF_PLANE_MM = 6.0
_RIM_MM = 2.0
_NECK_MM = 20.0
"""What is joined to an endplate by less than this width is not part of it."""


@dataclass(frozen=True, eq=False)
class HeightMap:
    """Heights of one endplate over a lattice of a frame's (right, anterior); NaN where there is none.

    Parameters
    ----------
    right_mm, anterior_mm
        Lattice coordinates, shapes (n,) and (m,).
    height_mm
        Cranial coordinate, shape (n, m).
    """

    right_mm: FloatArray
    anterior_mm: FloatArray
    height_mm: FloatArray

    @property
    def valid(self) -> BoolArray:
        return np.isfinite(self.height_mm)

    def points(self) -> FloatArray:
        """(right, anterior, cranial) of the valid lattice points, shape (n, 3)."""
        right, anterior = np.meshgrid(self.right_mm, self.anterior_mm, indexing="ij")
        ok = self.valid
        return np.stack([right[ok], anterior[ok], self.height_mm[ok]], axis=-1)

    def interior(self) -> HeightMap:
        """The map without its outermost two millimetres, where the rim is rounded; itself where little would be left."""
        from scipy.ndimage import distance_transform_edt

        depth = distance_transform_edt(np.pad(self.valid, 1), sampling=PITCH_MM)[1:-1, 1:-1]
        inner = depth > _RIM_MM
        return self.restricted(inner) if inner.sum() >= 0.4 * self.valid.sum() else self

    def restricted(self, keep: BoolArray) -> HeightMap:
        return HeightMap(self.right_mm, self.anterior_mm, np.where(keep, self.height_mm, np.nan))


def lattice_axes() -> tuple[FloatArray, FloatArray]:
    """The lattice every endplate is sampled on, symmetric about the midline."""
    n = int(_HALF_WIDTH_MM / PITCH_MM)
    right = PITCH_MM * np.arange(-n, n + 1, dtype=np.float64)
    return right, np.arange(_DEPTH_MM[0], _DEPTH_MM[1] + 1e-6, PITCH_MM, dtype=np.float64)


def first_bone(solid: Solid, frame: Frame, start_mm: float, stop_mm: float, behind_mm: FloatArray | float) -> HeightMap:
    """Height of the first bone met on rays along *cranial* from `start_mm` to `stop_mm` (either direction).

    Parameters
    ----------
    solid
        The bone, or its body where that is labelled apart.
    frame
        The frame whose lattice is used.
    start_mm, stop_mm
        Cranial coordinates where rays begin and end.
    behind_mm
        Columns posterior of this anterior coordinate are left out (the arch lies there).

    Columns whose ray begins inside bone are left out too.
    """
    right, anterior = lattice_axes()
    heights = np.linspace(start_mm, stop_mm, int(np.ceil(abs(stop_mm - start_mm) / _RAY_STEP_MM)) + 1)
    origin = frame.world([right[0], anterior[0], heights[0]])
    steps = frame.axes * np.array([PITCH_MM, PITCH_MM, heights[1] - heights[0]])[:, None]
    level = solid.sample_box(origin, steps, (len(right), len(anterior), len(heights)))
    inside = level < 0.0
    entered = inside & ~np.concatenate([np.ones_like(inside[..., :1]), inside[..., :-1]], axis=-1)
    index = entered.argmax(axis=-1)
    hit = entered.any(axis=-1) & ~inside[..., 0] & (anterior >= np.asarray(behind_mm))[None, :]
    i, j = np.nonzero(hit)
    k = index[i, j]
    before, after = level[i, j, k - 1].astype(np.float64), level[i, j, k].astype(np.float64)
    result = np.full(hit.shape, np.nan)
    result[i, j] = heights[k - 1] + (heights[1] - heights[0]) * before / (before - after)
    return HeightMap(right, anterior, result)


def endplate_region(surface: HeightMap, allowed: BoolArray | None = None) -> HeightMap:
    """The part of a height map that is one endplate: connected to the centre, not too steep, not far from its own plane.

    Returns an all-NaN map where no endplate is found.
    """
    from scipy.ndimage import label

    valid = surface.valid if allowed is None else surface.valid & allowed
    if valid.sum() < 40:
        return surface.restricted(np.zeros_like(valid))
    right, anterior = np.meshgrid(surface.right_mm, surface.anterior_mm, indexing="ij")
    centre = np.array([np.median(right[valid]), np.median(anterior[valid])])
    near = valid & (np.hypot(right - centre[0], anterior - centre[1]) <= 12.0)
    if near.sum() < 20:
        return surface.restricted(np.zeros_like(valid))
    keep = valid & (np.abs(surface.height_mm - np.median(surface.height_mm[near])) <= 2.0 * _MAX_OFF_PLANE_MM)
    for _ in range(3):
        design = np.stack([np.ones(int(keep.sum())), right[keep], anterior[keep]], axis=1)
        fit, *_rest = np.linalg.lstsq(design, surface.height_mm[keep], rcond=None)
        off_plane = np.abs(surface.height_mm - (fit[0] + fit[1] * right + fit[2] * anterior))
        candidates = valid & (off_plane <= _MAX_OFF_PLANE_MM) & (_steepness(surface.height_mm) <= _MAX_SLOPE)
        pieces, count = label(candidates)
        if count == 0:
            return surface.restricted(np.zeros_like(valid))
        weight = np.bincount(pieces[near & (pieces > 0)], minlength=count + 1)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1) * (weight > 0)
        sizes[0] = 0
        keep = _without_processes(pieces == int(sizes.argmax()))
        if keep.sum() < 40:
            return surface.restricted(np.zeros_like(valid))
    return surface.restricted(keep)


def _without_processes(region: BoolArray) -> BoolArray:
    """A footprint without what hangs on it by a narrow neck: the broad transverse processes of L5 rise to its endplate."""
    from scipy.ndimage import distance_transform_edt, label

    radius = _NECK_MM / 2
    core = distance_transform_edt(np.pad(region, 1), sampling=PITCH_MM)[1:-1, 1:-1] > radius
    pieces, count = label(core)
    if count == 0:
        return region
    largest = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    # Grown back a little further than it was shrunk, so that corners are not rounded.
    return np.asarray(region & (distance_transform_edt(~largest, sampling=PITCH_MM) <= radius + 1.5))


def _steepness(height: FloatArray) -> FloatArray:
    """Smallest one-sided slope along each lattice axis, the larger of the two axes; 0 where no neighbour is known."""
    slopes = []
    for axis in range(2):
        step = np.abs(np.diff(height, axis=axis)) / PITCH_MM
        gap = np.full_like(np.take(height, [0], axis=axis), np.nan)
        both = np.stack([np.concatenate([step, gap], axis=axis), np.concatenate([gap, step], axis=axis)])
        slopes.append(np.nan_to_num(np.fmin(both[0], both[1]), nan=0.0))
    return np.asarray(np.maximum(*slopes))


def plane_of(surface: HeightMap, frame: Frame, towards_cranial: bool) -> Plane:
    """Least-squares plane of an endplate (inside its rim) in RAS, its normal cranial or caudal.

    Raises
    ------
    ValueError
        When the map has fewer than three points.
    """
    return Plane.fit(frame.world(surface.interior().points()), frame.cranial if towards_cranial else -frame.cranial)
