"""The bone of the superior articular process that lies in a channel's way, to be reamed (foraminoplasty)."""

from __future__ import annotations

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


def reamed_level(channel: Channel, bone: Solid, frame: Frame) -> tuple[Grid, Float32Array] | None:
    """What a channel takes out of a bone, as a level field on a fine lattice, negative inside; None where it takes nothing.

    Parameters
    ----------
    channel, bone
        What goes through what.
    frame
        Whose directions the lattice takes.
    """
    corners = frame.local(bone.mesh.vertices_mm)
    ends = frame.local(np.stack([channel.target_mm, channel.outer_end_mm]))
    low = np.maximum(corners.min(axis=0), ends.min(axis=0) - channel.radius_mm) - 2 * _SPACING_MM
    high = np.minimum(corners.max(axis=0), ends.max(axis=0) + channel.radius_mm) + 2 * _SPACING_MM
    if (high - low <= 4 * _SPACING_MM).any():
        return None
    grid = lattice_about(frame, low, high, _SPACING_MM)
    origin, steps = grid.world_from_voxel[:3, 3], grid.world_from_voxel[:3, :3].T
    level = bone.sample_box(origin, steps, grid.shape)
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    np.maximum(level, level_of(channel, points).astype(np.float32), out=level)
    return (grid, level) if level.min() < 0 else None


def reamed_mm3(channel: Channel, bone: Solid, frame: Frame) -> float:
    """How much of a bone lies inside a channel."""
    found = reamed_level(channel, bone, frame)
    if found is None:
        return 0.0
    grid, level = found
    share = np.clip(0.5 - level / _SPACING_MM, 0.0, 1.0)
    return float(share.sum(dtype=np.float64) * grid.voxel_volume_mm3)


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
