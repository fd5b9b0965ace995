"""The shortest distance between exact shapes: points brought on to both surfaces, the nearest pair looked at ever more closely."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray
from kambin.phantom.field import Box, Field
from kambin.phantom.truth.value import Unknown

_FIRST_MM = 1.0
_DIFFERENCE_MM = 1e-3
_NEW_GRADIENTS = 2
"""After so many rounds a point lies so close to the surface that its gradient changes no more."""
_NEAREST = 64
"""So many of the nearest points of a lattice tell how near the surfaces come at least."""


def on_surface(shape: Field, points: FloatArray, rounds: int = 4, tolerance: float = 1e-4) -> FloatArray:
    """Points of shape (n, 3) brought on to a surface along its gradient; those that do not arrive are left out."""
    here = np.ascontiguousarray(points.T)
    for turn in range(rounds):
        level = np.asarray(shape(here))
        if turn < _NEW_GRADIENTS:
            gradient = np.stack([(np.asarray(shape(_shifted(here, k))) - level) / _DIFFERENCE_MM for k in range(3)])
            steep = np.maximum(np.square(gradient).sum(axis=0), 0.05)
        here = here - gradient * np.clip(level / steep, -2.0, 2.0)
    return np.asarray(here.T[np.abs(np.asarray(shape(here))) < tolerance])


def _shifted(points: FloatArray, axis: int) -> FloatArray:
    moved = points.copy()
    moved[axis] += _DIFFERENCE_MM
    return moved


def surface_points(shape: Field, box: Box, step: float) -> FloatArray:
    """Points on a surface within a box, about a step apart, shape (n, 3)."""
    return on_surface(shape, _beside_surface(shape, box, step))


def _beside_surface(shape: Field, box: Box, step: float) -> FloatArray:
    """Points of a lattice, among them all that lie within half a cell's diagonal of a surface."""
    axes = [np.arange(a, b + step, step) for a, b in zip(box.low_mm, box.high_mm, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    level = np.asarray(shape(np.ascontiguousarray(points.T)))
    return np.asarray(points[np.abs(level) < shape.slope * step])


def _roughly_on_surface(shape: Field, points: FloatArray) -> FloatArray:
    """Points brought so near to a surface that one can tell which places are nearest."""
    return on_surface(shape, points, 2, 0.05)


def distance(one: Field, other: Field, step: float) -> tuple[float, float]:
    """The shortest distance between two shapes, 0 where they overlap, and what the last but one spacing of points gave.

    Parameters
    ----------
    step
        The last spacing of points on the surfaces.

    Raises
    ------
    Unknown
        When a shape has no surface.
    """
    low = np.maximum(one.box.low_mm, other.box.low_mm)
    high = np.minimum(one.box.high_mm, other.box.high_mm)
    far = max(float((low - high).max()), 0.0) + 14.0
    shapes = (one, other)
    rough = [_beside_surface(a, _towards(a.box, b.box, far), _FIRST_MM) for a, b in (shapes, shapes[::-1])]
    clouds = [_roughly_on_surface(shape, cloud) for shape, cloud in zip(shapes, _facing(shapes, rough), strict=True)]
    for cloud, beside in ((clouds[0], other), (clouds[1], one)):
        if not len(cloud):
            raise Unknown("a shape has no surface to measure from")
        if (np.asarray(beside(np.ascontiguousarray(cloud.T))) < 0).any():
            return 0.0, 0.0
    return _closing_in(shapes, clouds, step)


def _facing(shapes: tuple[Field, Field], rough: list[FloatArray]) -> list[FloatArray]:
    """Those lattice points of two surfaces by which the shortest distance can lie."""
    from scipy.spatial import cKDTree
    from scipy.spatial.distance import cdist

    if not len(rough[0]) or not len(rough[1]):
        return rough
    away, partner = cKDTree(rough[1]).query(rough[0])
    first = np.argsort(away)[:_NEAREST]
    some = [_roughly_on_surface(s, p) for s, p in zip(shapes, (rough[0][first], rough[1][partner[first]]), strict=True)]
    if not len(some[0]) or not len(some[1]):
        return rough
    # Each of the two nearest points lies within half a cell's diagonal of a lattice point.
    most = float(cdist(*some).min()) + np.sqrt(3.0) * _FIRST_MM
    return [rough[0][away <= most], rough[1][cKDTree(rough[0]).query(rough[1])[0] <= most]]


def from_point(point: FloatArray, shape: Field, step: float) -> tuple[float, FloatArray]:
    """The shortest distance from a point to a surface, and where it is met."""
    rough = _beside_surface(shape, shape.box, _FIRST_MM)
    away = np.linalg.norm(rough - point, axis=1)
    some = _roughly_on_surface(shape, rough[np.argsort(away)[:_NEAREST]])
    if not len(some):
        raise Unknown("a shape has no surface to measure to")
    most = float(np.linalg.norm(some - point, axis=1).min()) + 0.5 * np.sqrt(3.0) * _FIRST_MM
    cloud = _roughly_on_surface(shape, rough[away <= most])
    pitch = _FIRST_MM
    while pitch > step:
        best = cloud[int(np.linalg.norm(cloud - point, axis=1).argmin())]
        pitch *= 0.4
        cloud = np.vstack([best[None], surface_points(shape, Box.around(best, 3.5 * pitch), pitch)])
    lengths = np.linalg.norm(cloud - point, axis=1)
    return float(lengths.min()), cloud[int(lengths.argmin())]


def _closing_in(shapes: tuple[Field, Field], clouds: list[FloatArray], step: float) -> tuple[float, float]:
    from scipy.spatial import cKDTree

    pitch, before = _FIRST_MM, np.inf
    while True:
        lengths, index = cKDTree(clouds[1]).query(clouds[0])
        first = int(lengths.argmin())
        pair = clouds[0][first], clouds[1][index[first]]
        if pitch <= step:
            return float(lengths[first]), before
        before = float(lengths[first])
        pitch *= 0.4
        clouds = [np.vstack([p[None], surface_points(s, Box.around(p, 3.5 * pitch), pitch)]) for s, p in zip(shapes, pair, strict=True)]


def _towards(box: Box, other: Box, far: float) -> Box:
    """The part of a box that lies near another one."""
    return box.common(other.grown(far))
