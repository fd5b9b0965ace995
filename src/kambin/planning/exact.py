"""The exact distance between a channel's axis and a surface, once a field has told about how far that is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kambin.geometry import FloatArray
from kambin.geometry.mesh_distance import closest_points_between
from kambin.planning.channel import Channel
from kambin.spine import Solid, SurfaceMesh

_MORE_MM = 0.6
"""A field is wrong by less than this."""


def axis_to_surface(channel: Channel, solid: Solid, about_mm: float) -> tuple[float, float] | None:
    """The shortest distance between a channel's axis and a solid's surface, and how far from the target that is.

    Parameters
    ----------
    about_mm
        What a field says, positive: the axis stays outside. Triangles further away are not looked at.

    Returns
    -------
    distance_mm, depth_mm
        None where no triangle is so near after all.
    """
    centroids, radius = _triangles(solid)
    offset = centroids - channel.target_mm
    along = np.clip(offset @ channel.direction, 0.0, channel.length_mm)
    away = np.linalg.norm(offset - along[:, None] * channel.direction, axis=1)
    near = np.flatnonzero(away <= about_mm + _MORE_MM + radius)
    if not len(near):
        return None
    axis = SurfaceMesh(np.stack([channel.target_mm, channel.outer_end_mm, channel.outer_end_mm]), np.array([[0, 1, 2]]))
    pair = closest_points_between(axis, SurfaceMesh(solid.mesh.vertices_mm, solid.mesh.faces[near]))
    return pair.distance_mm, float((pair.first_mm - channel.target_mm) @ channel.direction)


@lru_cache(maxsize=64)
def _triangles(solid: Solid) -> tuple[FloatArray, float]:
    """Centroids of a surface's triangles, and the largest distance of a corner from its centroid."""
    corners = solid.mesh.vertices_mm[solid.mesh.faces]
    centroids = corners.mean(axis=1)
    return centroids, float(np.linalg.norm(corners - centroids[:, None], axis=2).max(initial=0.0))
