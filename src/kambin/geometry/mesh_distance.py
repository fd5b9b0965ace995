"""Exact distances to triangle surfaces: points to a mesh, and mesh to mesh. Millimetres, unsigned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from kambin.geometry.frame import FloatArray

IntArray = npt.NDArray[np.int64]


class Triangles(Protocol):
    """A triangle surface, such as `kambin.spine.SurfaceMesh`."""

    @property
    def vertices_mm(self) -> FloatArray:
        """Shape (n, 3)."""

    @property
    def faces(self) -> IntArray:
        """Vertex indices, shape (m, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """For each of n points: how far the surface is, where on it, and in which triangle.

    Parameters
    ----------
    distance_mm
        Shape (n,), never negative.
    points_mm
        Nearest points of the surface, shape (n, 3).
    faces
        Index of the triangle that each lies in, shape (n,).
    """

    distance_mm: FloatArray
    points_mm: FloatArray
    faces: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ClosestPair:
    """The shortest segment between two surfaces: its length and its ends, each of shape (3,)."""

    distance_mm: float
    first_mm: FloatArray
    second_mm: FloatArray


def mesh_distance_mm(points_mm: npt.ArrayLike, mesh: Triangles) -> Nearest:
    """Exact distance from each point to the nearest triangle of a mesh.

    Every triangle lies within its circumradius about its centroid (the largest vertex distance is used), so the nearest triangle
    is among those whose centroid lies within the distance to some vertex plus that radius; those are all tried.

    Parameters
    ----------
    points_mm
        Shape (n, 3) or (3,), finite.
    mesh
        With at least one face. Triangles without area are segments or points here, and do no harm.

    Raises
    ------
    ValueError
        When the mesh has no faces or a point is not finite.
    """
    points = np.atleast_2d(np.asarray(points_mm, dtype=np.float64))
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"expected finite points of shape (n, 3), found shape {points.shape}")
    corners = _corners(mesh)
    centroids = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centroids[:, None], axis=2).max(axis=1)
    best = np.full(len(points), np.inf)
    where = np.zeros((len(points), 3))
    which = np.zeros(len(points), dtype=np.int64)
    if not len(points):
        return Nearest(best, where, which)
    used = np.unique(np.asarray(mesh.faces))
    bound = cKDTree(np.asarray(mesh.vertices_mm)[used]).query(points)[0]
    # Large triangles would widen the search for all the others: each class of sizes is searched on its own.
    size = np.floor(np.log2(np.maximum(radii, 1e-9)))
    for value in np.unique(size):
        members = np.flatnonzero(size == value)
        tree, reach = cKDTree(centroids[members]), float(radii[members].max())
        reaches = np.minimum(bound, best) + reach + 1e-9
        for chunk in _chunks(tree.query_ball_point(points, reaches, return_length=True)):
            _improve(points, chunk, corners, members, tree, reaches[chunk], best, where, which)
    return Nearest(best, where, which)


def closest_points_between(first: Triangles, second: Triangles) -> ClosestPair:
    """The shortest segment between two surfaces, exact to rounding for surfaces that do not cross.

    Where they cross, the distance is 0 when an edge of one pierces a triangle of the other; a surface wholly inside another is
    as far from it as the surfaces are (distances are between surfaces, not between solids).

    Raises
    ------
    ValueError
        When one of the meshes has no faces.
    """
    a, b = _corners(first), _corners(second)
    used_a, used_b = np.asarray(first.vertices_mm)[np.unique(first.faces)], np.asarray(second.vertices_mm)[np.unique(second.faces)]
    # The nearest pair of vertices bounds the answer from above.
    bound = float(cKDTree(used_b).query(used_a)[0].min())
    pairs = _candidate_pairs(a, b, bound)
    best = ClosestPair(np.inf, np.zeros(3), np.zeros(3))
    for start in range(0, len(pairs), _CHUNK):
        chunk = pairs[start : start + _CHUNK]
        distance, p, q = _triangle_pairs(a[chunk[:, 0]], b[chunk[:, 1]])
        k = int(np.argmin(distance))
        if distance[k] < best.distance_mm:
            best = ClosestPair(float(distance[k]), p[k], q[k])
    return best


_CHUNK = 200_000
"""Pairs tried at once: enough to keep numpy busy, few enough for modest memory."""


def _corners(mesh: Triangles) -> FloatArray:
    if not len(mesh.faces):
        raise ValueError("expected a mesh with at least one face, found none")
    return np.asarray(np.asarray(mesh.vertices_mm, dtype=np.float64)[mesh.faces])


def _chunks(counts: npt.NDArray[np.int64]) -> list[IntArray]:
    """Runs of indices with about `_CHUNK` candidates each."""
    ends = np.searchsorted(np.cumsum(counts), np.arange(_CHUNK, int(counts.sum()) + _CHUNK, _CHUNK))
    return [part for part in np.split(np.arange(len(counts)), np.unique(ends)) if len(part)]


def _improve(
    points: FloatArray,
    chunk: IntArray,
    corners: FloatArray,
    members: IntArray,
    tree: cKDTree,
    reach: FloatArray,
    best: FloatArray,
    where: FloatArray,
    which: IntArray,
) -> None:
    """Try, for the points of one chunk, all member triangles whose centroid is within reach; better ones are written."""
    found = tree.query_ball_point(points[chunk], reach)
    counts = np.array([len(f) for f in found])
    if not counts.sum():
        return
    faces = members[np.concatenate([np.asarray(f, dtype=np.int64) for f in found if len(f)])]
    owner = np.repeat(chunk, counts)
    nearest = _nearest_in_triangles(points[owner], corners[faces])
    distance = np.linalg.norm(nearest - points[owner], axis=1)
    order = np.lexsort((distance, owner))
    first = order[np.concatenate([[True], np.diff(owner[order]) > 0])]
    better = first[distance[first] < best[owner[first]]]
    best[owner[better]] = distance[better]
    where[owner[better]] = nearest[better]
    which[owner[better]] = faces[better]


def _nearest_in_triangles(points: FloatArray, corners: FloatArray) -> FloatArray:
    """Nearest point of triangle i to point i: the foot in its plane where that lies inside, else on the nearest edge."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    edge1, edge2, offset = b - a, c - a, points - a
    d11, d12, d22 = _dot(edge1, edge1), _dot(edge1, edge2), _dot(edge2, edge2)
    p1, p2 = _dot(offset, edge1), _dot(offset, edge2)
    determinant = d11 * d22 - d12 * d12
    flat = determinant <= 1e-14 * np.maximum(d11, d22) ** 2
    safe = np.where(flat, 1.0, determinant)
    v, w = (d22 * p1 - d12 * p2) / safe, (d11 * p2 - d12 * p1) / safe
    inside = ~flat & (v >= 0) & (w >= 0) & (v + w <= 1)
    result = a + v[:, None] * edge1 + w[:, None] * edge2
    best = np.where(inside, 0.0, np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        foot = _nearest_in_segments(points, start, end)
        distance = _dot(foot - points, foot - points)
        closer = distance < best
        best = np.where(closer, distance, best)
        result = np.where(closer[:, None], foot, result)
    return np.asarray(result)


def _nearest_in_segments(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    along = end - start
    share = np.clip(_dot(points - start, along) / np.maximum(_dot(along, along), 1e-30), 0.0, 1.0)
    return np.asarray(start + share[:, None] * along)


def _dot(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", first, second))


def _candidate_pairs(a: FloatArray, b: FloatArray, bound_mm: float) -> IntArray:
    """All pairs of triangles whose bounding balls come within the bound of each other, shape (k, 2)."""
    centre_a, centre_b = a.mean(axis=1), b.mean(axis=1)
    radius_a = np.linalg.norm(a - centre_a[:, None], axis=2).max(axis=1)
    radius_b = np.linalg.norm(b - centre_b[:, None], axis=2).max(axis=1)
    # A triangle can take part only if its ball comes within the bound of some ball of the other mesh.
    reach_b = float(radius_b.max())
    near = np.flatnonzero(cKDTree(centre_b).query(centre_a)[0] <= bound_mm + radius_a + reach_b + 1e-9)
    found = cKDTree(centre_b).query_ball_point(centre_a[near], bound_mm + radius_a[near] + reach_b + 1e-9)
    first = np.repeat(near, [len(f) for f in found])
    second = np.concatenate([np.asarray(f, dtype=np.int64) for f in found])
    gap = np.linalg.norm(centre_a[first] - centre_b[second], axis=1) - radius_a[first] - radius_b[second]
    keep = gap <= bound_mm + 1e-9
    return np.stack([first[keep], second[keep]], axis=1)


def _triangle_pairs(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distance and nearest points of triangle a[i] and triangle b[i]: corner to triangle, edge to edge, edge through triangle."""
    best = np.full(len(a), np.inf)
    p, q = np.zeros((len(a), 3)), np.zeros((len(a), 3))

    def offer(x: FloatArray, y: FloatArray, valid: npt.NDArray[np.bool_] | None = None) -> None:
        distance = np.linalg.norm(x - y, axis=1)
        better = distance < best if valid is None else valid & (distance < best)
        best[better], p[better], q[better] = distance[better], x[better], y[better]

    for corner in range(3):
        offer(a[:, corner], _nearest_in_triangles(a[:, corner], b))
        offer(_nearest_in_triangles(b[:, corner], a), b[:, corner])
    for i in range(3):
        for j in range(3):
            offer(*_segment_pairs(a[:, i], a[:, (i + 1) % 3], b[:, j], b[:, (j + 1) % 3]))
    for edges, triangles in ((a, b), (b, a)):
        for i in range(3):
            hit, valid = _pierced(edges[:, i], edges[:, (i + 1) % 3], triangles)
            offer(hit, hit, valid)
    return best, p, q


def _segment_pairs(p0: FloatArray, p1: FloatArray, q0: FloatArray, q1: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Nearest points where the two lines are nearest inside both segments; else ends (corner to triangle has those cases)."""
    u, v, w = p1 - p0, q1 - q0, p0 - q0
    uu, uv, vv, uw, vw = _dot(u, u), _dot(u, v), _dot(v, v), _dot(u, w), _dot(v, w)
    determinant = uu * vv - uv * uv
    safe = np.where(determinant > 1e-14 * uu * vv, determinant, np.inf)
    s = np.clip((uv * vw - vv * uw) / safe, 0.0, 1.0)
    x = p0 + s[:, None] * u
    return x, _nearest_in_segments(x, q0, q1)


def _pierced(start: FloatArray, end: FloatArray, corners: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Where segments pass through triangles, and whether they do."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    before, after = _dot(start - corners[:, 0], normal), _dot(end - corners[:, 0], normal)
    crosses = before * after < 0
    share = np.where(crosses, before / np.where(crosses, before - after, 1.0), 0.0)
    hit = start + share[:, None] * (end - start)
    inside = np.ones(len(hit), dtype=bool)
    for i in range(3):
        edge = corners[:, (i + 1) % 3] - corners[:, i]
        inside &= _dot(np.cross(edge, hit - corners[:, i]), normal) >= 0
    return hit, crosses & inside
