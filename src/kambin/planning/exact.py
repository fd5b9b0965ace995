"""The exact distance between a channel's axis and a surface."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kambin.geometry import FloatArray
from kambin.geometry.mesh_distance import closest_points_between
from kambin.planning.channel import Channel
from kambin.spine import Solid, SurfaceMesh


def axis_to_surface(channel: Channel, solid: Solid) -> tuple[float, float]:
    """The shortest distance between a channel's axis and a solid's surface, mm, and how far from the target that is.

    Of an axis that stays outside; where it enters the solid the distance is 0.
    """
    centroids, radii = _triangles(solid)
    offset = centroids - channel.target_mm
    along = np.clip(offset @ channel.direction, 0.0, channel.length_mm)
    away = np.linalg.norm(offset - along[:, None] * channel.direction, axis=1)
    near = np.flatnonzero(away - radii <= away.min())  # no other triangle comes nearer than the nearest one's middle
    axis = SurfaceMesh(np.stack([channel.target_mm, channel.outer_end_mm, channel.outer_end_mm]), np.array([[0, 1, 2]]))
    pair = closest_points_between(axis, SurfaceMesh(solid.mesh.vertices_mm, solid.mesh.faces[near]))
    return pair.distance_mm, float((pair.first_mm - channel.target_mm) @ channel.direction)


@lru_cache(maxsize=64)
def _triangles(solid: Solid) -> tuple[FloatArray, FloatArray]:
    """Centroids of a surface's triangles, and how far each reaches about its own."""
    corners = solid.mesh.vertices_mm[solid.mesh.faces]
    centroids = corners.mean(axis=1)
    return centroids, np.asarray(np.linalg.norm(corners - centroids[:, None], axis=2).max(axis=1))
