"""Sections of closed surfaces by planes, and exact planar distances between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry.frame import FloatArray


@dataclass(frozen=True, eq=False)
class Section:
    """The curves in which a plane cuts a closed surface.

    Parameters
    ----------
    loops
        Closed polylines in the plane's own two coordinates (millimetres), each of shape (n, 2), the first point not repeated.
        The interior lies on the left of every loop, so that holes run the other way round.
    """

    loops: tuple[FloatArray, ...]

    @property
    def is_empty(self) -> bool:
        return not self.loops

    @property
    def area_mm2(self) -> float:
        """Enclosed area, holes taken out."""
        return float(sum(signed_area_mm2(loop) for loop in self.loops))

    @property
    def largest(self) -> Section:
        """The one loop of greatest area (holes forgotten); itself where empty."""
        return self if self.is_empty else Section((max(self.loops, key=signed_area_mm2),))

    @property
    def points(self) -> FloatArray:
        """All loop points, shape (n, 2)."""
        return np.concatenate(self.loops) if self.loops else np.empty((0, 2))

    def segments(self) -> tuple[FloatArray, FloatArray]:
        """Start and end points of every edge, each of shape (n, 2)."""
        if not self.loops:
            return np.empty((0, 2)), np.empty((0, 2))
        return np.concatenate(self.loops), np.concatenate([np.roll(loop, -1, axis=0) for loop in self.loops])

    def contains(self, points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether points of shape (n, 2) lie inside (even-odd rule)."""
        query = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        start, end = self.segments()
        x, y = query[:, None, 0], query[:, None, 1]
        spans = (start[None, :, 1] > y) != (end[None, :, 1] > y)
        rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
        crossing = start[:, 0] + (y - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
        return np.asarray((spans & (x < crossing)).sum(axis=1) % 2 == 1)


def signed_area_mm2(loop: npt.ArrayLike) -> float:
    """Area of a closed polygon of shape (n, 2), positive when it runs anticlockwise (shoelace formula)."""
    p = np.asarray(loop, dtype=np.float64)
    p = p - p.mean(axis=0)
    q = np.roll(p, -1, axis=0)
    return float((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / 2.0)


def polygon_centroid(outline: FloatArray) -> FloatArray:
    """Area centroid of a simple polygon of shape (n, 2)."""
    reference = outline.mean(axis=0)
    p = outline - reference
    q = np.roll(p, -1, axis=0)
    cross = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    return np.asarray(reference + ((p + q) * cross[:, None]).sum(axis=0) / (3.0 * cross.sum()))


def mesh_section(vertices_mm: FloatArray, faces: npt.NDArray[np.int64], origin_mm: FloatArray, axes: FloatArray) -> Section:
    """Cut a closed, outward-oriented triangle surface by the plane through `origin_mm` spanned by two unit vectors.

    Parameters
    ----------
    vertices_mm, faces
        The surface, shapes (n, 3) and (m, 3).
    origin_mm
        Shape (3,).
    axes
        Rows are the plane's two orthonormal directions, shape (2, 3); loops are given in their coordinates.

    Returns
    -------
    Section
        Empty where the plane misses the surface. A vertex that lies exactly in the plane counts as above it, so no loop is lost
        or doubled.
    """
    normal = np.cross(axes[0], axes[1])
    height = (vertices_mm - origin_mm) @ normal
    above = height >= 0.0
    touched = faces[above[faces].any(axis=1) & ~above[faces].all(axis=1)]
    if not len(touched):
        return Section(())
    # Roll every cut triangle so that its lone corner comes first; the outward winding is kept, and with it the loop's direction.
    side = above[touched]
    lone_is_above = side.sum(axis=1) == 1
    lone = np.where(lone_is_above, side.argmax(axis=1), (~side).argmax(axis=1))
    rows = np.arange(len(touched))
    a, b, c = (touched[rows, (lone + step) % 3] for step in range(3))
    first, second = np.stack([a, b], axis=1), np.stack([a, c], axis=1)
    # Seen against the normal, the interior lies left of (second -> first) when the lone corner is above the plane.
    tail = np.where(lone_is_above[:, None], first, second)
    head = np.where(lone_is_above[:, None], second, first)
    return Section(_linked(tail, head, vertices_mm, height, origin_mm, axes))


def _linked(
    tail: npt.NDArray[np.int64],
    head: npt.NDArray[np.int64],
    vertices_mm: FloatArray,
    height: FloatArray,
    origin_mm: FloatArray,
    axes: FloatArray,
) -> tuple[FloatArray, ...]:
    """Join cut edges (pairs of vertex indices) into closed loops of plane coordinates."""
    n = len(vertices_mm)

    def key(edge: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        ordered = np.sort(edge, axis=1)
        return np.asarray(ordered[:, 0] * n + ordered[:, 1])

    tail_key, head_key = key(tail), key(head)
    follows = dict(zip(tail_key.tolist(), head_key.tolist(), strict=True))
    edges = np.sort(tail, axis=1)
    low, high = edges[:, 0], edges[:, 1]
    weight = height[low] / (height[low] - height[high])
    crossing = vertices_mm[low] + weight[:, None] * (vertices_mm[high] - vertices_mm[low])
    plane_points = (crossing - origin_mm) @ axes.T
    position = dict(zip(tail_key.tolist(), range(len(tail_key)), strict=True))
    loops = []
    while follows:
        start, following = follows.popitem()
        chain = [position[start]]
        while following != start and following in follows:
            chain.append(position[following])
            following = follows.pop(following)
        if len(chain) >= 3:
            loops.append(plane_points[chain])
    loops.sort(key=lambda loop: -abs(signed_area_mm2(loop)))
    return tuple(loops)


def feret_without_ripple(outline: npt.ArrayLike, order: int = 8) -> tuple[float, FloatArray, FloatArray]:
    """Largest diameter of a closed outline of shape (n, 2) drawn by its lowest Fourier descriptors: the value and its two ends.

    The steps of a voxel surface make every largest diameter too large; the descriptors (Kuhl and Giardina 1982), here of the polygon itself
    and not of samples of it, leave them out and keep ellipses and eggs. A diameter that ends in corners comes out short.
    """
    from scipy.optimize import minimize

    loop = np.asarray(outline, dtype=np.float64)
    corners = loop[:, 0] + 1j * loop[:, 1]
    sides = np.roll(corners, -1) - corners
    corners, sides = corners[np.abs(sides) > 0], sides[np.abs(sides) > 0]
    along = np.concatenate([[0.0], np.cumsum(np.abs(sides))])
    wave = np.concatenate([np.arange(-order, 0), np.arange(1, order + 1)])
    turn = np.exp(-2j * np.pi * wave[:, None] * along / along[-1])
    weight = along[-1] / (2 * np.pi * wave) ** 2 * (np.diff(turn, axis=1) @ (sides / np.abs(sides)))
    middle = np.sum((corners + sides / 2) * np.abs(sides)) / along[-1]

    def at(where: npt.ArrayLike) -> npt.NDArray[np.complex128]:
        return np.asarray(middle + np.exp(1j * np.multiply.outer(np.asarray(where), wave)) @ weight)

    where = np.linspace(0.0, 2 * np.pi, 360, endpoint=False)
    apart = np.abs(at(where)[:, None] - at(where))
    start = where[list(np.unravel_index(int(apart.argmax()), apart.shape))]
    ends = at(
        minimize(lambda pair: -float(np.abs(np.diff(at(pair)))[0]), start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    )
    low, high = np.stack([ends.real, ends.imag], axis=1)
    return float(np.linalg.norm(high - low)), low, high


def extent_along(points: npt.ArrayLike, direction: npt.ArrayLike, trim: float = 0.0) -> tuple[float, FloatArray, FloatArray]:
    """Extent of points along a unit direction: the value, and the points at its lower and upper end.

    `trim` leaves out that fraction of the points at either end: of an evenly sampled outline a fiftieth takes the ripple of a voxel surface
    off a flat side, and two thousandths of its radius off a circle.
    """
    p = np.asarray(points, dtype=np.float64)
    along = p @ np.asarray(direction, dtype=np.float64)
    order = np.argsort(along, kind="stable")
    skip = int(trim * len(order))
    low, high = int(order[skip]), int(order[len(order) - 1 - skip])
    return float(along[high] - along[low]), p[low], p[high]


def convex_outline(points: npt.ArrayLike) -> FloatArray:
    """Corners of the convex hull of points of shape (n, 2), anticlockwise."""
    from scipy.spatial import ConvexHull

    p = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if len(p) < 2:
        raise ValueError(f"expected at least two points, found {len(p)}")
    if len(p) < 4 or np.linalg.matrix_rank(p - p.mean(axis=0), tol=1e-9) < 2:
        return p
    return np.asarray(p[ConvexHull(p).vertices])


def distance_between(first: Section, second: Section) -> tuple[float, FloatArray, FloatArray]:
    """Shortest distance between two sections in one plane: the value and the nearest points. 0 where they overlap.

    Raises
    ------
    ValueError
        When either is empty.
    """
    if first.is_empty or second.is_empty:
        raise ValueError("expected two sections, found an empty one")
    for one, other in ((first, second), (second, first)):
        inside = other.contains(one.points)
        if inside.any():
            shared = one.points[int(inside.argmax())]
            return 0.0, shared, shared
    # Two sets of segments that do not cross are nearest at an end point of one of them.
    forth, back = _points_to_segments(first.points, *second.segments()), _points_to_segments(second.points, *first.segments())
    if forth[0] <= back[0]:
        return forth
    return back[0], back[2], back[1]


def _points_to_segments(points: FloatArray, start: FloatArray, end: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Nearest pair between points and segments: distance, the point, its foot on a segment."""
    along = end - start
    length2 = np.maximum(np.einsum("ij,ij->i", along, along), 1e-18)
    best: tuple[float, FloatArray, FloatArray] | None = None
    for chunk in np.array_split(points, max(1, len(points) * len(start) // 2_000_000)):
        offset = chunk[:, None] - start[None]
        weight = np.clip(np.einsum("ijk,jk->ij", offset, along) / length2, 0.0, 1.0)
        gap = offset - weight[..., None] * along[None]
        squared = np.einsum("ijk,ijk->ij", gap, gap)
        i, j = np.unravel_index(int(squared.argmin()), squared.shape)
        value = float(np.sqrt(squared[i, j]))
        if best is None or value < best[0]:
            best = value, chunk[i], start[j] + weight[i, j] * along[j]
    assert best is not None
    return best
