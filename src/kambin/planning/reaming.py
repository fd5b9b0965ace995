"""What of a structure lies in a channel's way: bone to be reamed (foraminoplasty), and how much of a conflict there is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.planning.channel import Channel
from kambin.planning.field import DistanceField, Float32Array, lattice_about
from kambin.spine import Solid
from kambin.volume import Grid

_SPACING_MM = 0.4
_SLICE_MM = 1.0


def level_of(channel: Channel, points_mm: FloatArray) -> FloatArray:
    """Signed distance to a channel's wall, negative inside, shape (..., 3) to (...)."""
    offset = points_mm - channel.target_mm
    along = np.clip(offset @ channel.direction, 0.0, channel.length_mm)
    return np.asarray(np.linalg.norm(offset - along[..., None] * channel.direction, axis=-1) - channel.radius_mm)


def inside_level(channel: Channel, solids: Iterable[Solid]) -> tuple[Grid, Float32Array] | None:
    """What of a structure lies inside a channel, as a level field on a fine lattice along it, negative inside; None where nothing does.

    Parameters
    ----------
    channel, solids
        What goes through what: one shape, or several that make one structure up.
    """
    several = tuple(solids)
    frame = Frame.from_cranial_anterior(channel.target_mm, channel.direction, np.eye(3)[np.abs(channel.direction).argmin()])
    wall = channel.radius_mm + 2 * _SPACING_MM
    corners = np.concatenate([frame.local(solid.mesh.vertices_mm) for solid in several])
    low = np.maximum(corners.min(axis=0) - 2 * _SPACING_MM, -wall)
    high = np.minimum(corners.max(axis=0) + 2 * _SPACING_MM, [wall, wall, channel.length_mm + wall])
    if (high - low <= 4 * _SPACING_MM).any():
        return None
    grid = lattice_about(frame, low, high, _SPACING_MM)
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    level = np.maximum(_sampled(several, grid), level_of(channel, points).astype(np.float32))
    return (grid, level) if level.min() < 0 else None


def inside_mm3(channel: Channel, solids: Iterable[Solid], without: Iterable[Solid] = ()) -> float:
    """How much of a structure lies inside a channel; less what of it is not meant."""
    found = inside_level(channel, solids)
    if found is None:
        return 0.0
    grid, level = found
    share, parts = _share(level), tuple(without)
    if parts:
        # counted and taken off: the skin that the two have in common would otherwise count where it is nobody's
        share -= _share(np.maximum(level, _sampled(parts, grid)))
    return float(share.sum(dtype=np.float64) * grid.voxel_volume_mm3)


def _sampled(solids: Iterable[Solid], grid: Grid) -> Float32Array:
    origin, steps = grid.world_from_voxel[:3, 3], grid.world_from_voxel[:3, :3].T
    level: Float32Array = np.minimum.reduce([solid.sample_box(origin, steps, grid.shape) for solid in solids])
    return level


def _share(level: Float32Array) -> Float32Array:
    """How much of each cell is inside."""
    share: Float32Array = np.clip(0.5 - level / np.float32(_SPACING_MM), 0.0, 1.0)
    return share


def about_reamed_mm3(
    field: DistanceField, targets_mm: FloatArray, directions: FloatArray, radius_mm: float, length_mm: float
) -> FloatArray:
    """The same for many axes at once, to some ten per cent: at each place the bone is taken for flat across the channel.

    `targets_mm` and `directions` of shape (n, 3); to (n,).
    """
    steps = np.arange(_SLICE_MM / 2, length_mm, _SLICE_MM)
    points = targets_mm[:, None] + steps[:, None] * directions[:, None]
    near = np.clip(field.at(points) / radius_mm, -1.0, 1.0)
    section = radius_mm**2 * (np.arccos(near) - near * np.sqrt(1.0 - near**2))
    return np.asarray(section.sum(axis=1, dtype=np.float64) * _SLICE_MM)
