"""A disc that nobody labelled: the space between two endplates, as smooth as cartilage."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.reconstruction.distance import as_distance, signed_distance_mm
from kambin.reconstruction.endplates import PITCH_MM, BoolArray, HeightMap
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.reconstruction.shape import LEVEL_LIMIT_MM
from kambin.spine import Solid
from kambin.volume import Grid

_STEP_MM = PITCH_MM
_MARGIN_MM = 6.0
"""Room around the footprint: the level field reaches its limit within it."""
_NOTCH_MM = 8.0
"""Notches and holes of the footprint narrower than this are closed: they are of the voxels, not of the annulus."""
_OUTLINE_MM = 1.6
_SURFACE_MM = 2.0
"""Widths of the low-pass filters for the footprint's outline and for the endplates' heights."""
_RIM_MM = 1.5
"""Radius to which the edges between the endplates and the annulus are rounded."""


def inferred_disc(top: HeightMap, bottom: HeightMap, frame: Frame) -> Solid:
    """The space between two facing endplates as a shape, without any bulge.

    Parameters
    ----------
    top, bottom
        The endplates above and below in `frame`, over the same lattice and footprint.
    frame
        Cranial is the normal of the disc's mid-plane.

    Returns
    -------
    Solid
        On a lattice along the frame. Its endplates and outline are low-pass filtered: ripples of the voxels that the bones were
        drawn in would show as ribs.

    Raises
    ------
    ValueError
        When the footprint is empty.
    """
    pad = round(_MARGIN_MM / _STEP_MM)
    valid = np.pad(top.valid & bottom.valid, pad)
    rows, columns = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        raise ValueError("expected endplates with a common footprint, found none")
    window = (slice(rows[0] - pad, rows[-1] + pad + 1), slice(columns[0] - pad, columns[-1] + pad + 1))
    right = (_lengthened(top.right_mm, pad))[window[0]]
    anterior = (_lengthened(top.anterior_mm, pad))[window[1]]
    valid = valid[window]
    up, down = (_smooth_heights(np.pad(m.height_mm, pad, constant_values=np.nan)[window], valid) for m in (top, bottom))
    outline = _smooth_outline(valid)
    low = np.floor(float(down[outline < 0].min()) / _STEP_MM) - pad
    high = np.ceil(float(up[outline < 0].max()) / _STEP_MM) + pad
    heights = _STEP_MM * np.arange(low, high + 1)
    above = heights[None, None, :] - up[..., None]
    below = down[..., None] - heights[None, None, :]
    field = _rounded_maximum(_rounded_maximum(above, below, 0.0), np.broadcast_to(outline[..., None], above.shape), _RIM_MM)
    affine = np.eye(4)
    affine[:3, :3] = frame.axes.T * _STEP_MM
    affine[:3, 3] = frame.world([right[0], anterior[0], heights[0]])
    grid = Grid((len(right), len(anterior), len(heights)), affine)
    level = guarded(as_distance(field.astype(np.float32), _STEP_MM, LEVEL_LIMIT_MM))
    return Solid(grid, level, zero_surface(level, grid))


def _lengthened(axis_mm: FloatArray, pad: int) -> FloatArray:
    return np.asarray(axis_mm[0] + PITCH_MM * np.arange(-pad, len(axis_mm) + pad), dtype=np.float64)


def _smooth_outline(valid: BoolArray) -> FloatArray:
    """Signed distance to the footprint's smooth outline in millimetres, negative inside; notches and holes closed."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    wide = distance_transform_edt(~valid, sampling=PITCH_MM) <= _NOTCH_MM / 2
    closed = valid | (distance_transform_edt(wide, sampling=PITCH_MM) > _NOTCH_MM / 2)
    signed = signed_distance_mm(closed[..., None], PITCH_MM)[..., 0].astype(np.float64)
    return np.asarray(gaussian_filter(signed, _OUTLINE_MM / PITCH_MM), dtype=np.float64)


def _smooth_heights(height_mm: FloatArray, valid: BoolArray) -> FloatArray:
    """Low-pass filtered heights, continued beyond the footprint towards the endplate's own plane."""
    from scipy.ndimage import gaussian_filter

    places = np.argwhere(valid).astype(np.float64)
    design = np.column_stack([np.ones(len(places)), places])
    plane, *_rest = np.linalg.lstsq(design, height_mm[valid], rcond=None)
    rest = np.zeros(valid.shape)
    rest[valid] = height_mm[valid] - design @ plane
    sigma = _SURFACE_MM / PITCH_MM
    # Normalised convolution; the small constant lets it fade to the plane where nothing valid is near.
    share = gaussian_filter(valid.astype(np.float64), sigma, mode="constant")
    smooth = gaussian_filter(rest, sigma, mode="constant") / (share + 1e-2)
    i, j = np.indices(valid.shape)
    return np.asarray(plane[0] + plane[1] * i + plane[2] * j + smooth, dtype=np.float64)


def _rounded_maximum(a: FloatArray, b: FloatArray, radius: float) -> FloatArray:
    """The larger of two level fields; where both lie within `radius` of zero, their edge is rounded to that radius."""
    if radius <= 0.0:
        return np.maximum(a, b)
    both = np.hypot(np.maximum(a + radius, 0.0), np.maximum(b + radius, 0.0)) - radius
    return np.where(np.minimum(a, b) > -radius, both, np.maximum(a, b))
