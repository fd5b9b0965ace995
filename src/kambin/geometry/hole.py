"""The hole in a silhouette, its rim closed by the shortest bridges where it is open.

A silhouette is given as a field on a regular plane lattice, positive where one can see through. A foramen seen from the side, or the
vertebral foramen seen from above, is the part of the free region around a seed. Where that part is joined to the outside by a
gap (a facet joint, an interlaminar space, a missing voxel), the gap is closed at its narrowest place, and the bridge is kept as evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry.frame import FloatArray
from kambin.geometry.section import signed_area_mm2

BoolArray = npt.NDArray[np.bool_]

MIN_PASSAGE_MM = 1.2
"""A slit narrower than this is closed without being called a bridge: it is thinner than any structure that runs through a foramen, and
usually the border between two labels."""
_MAX_BRIDGES = 8


@dataclass(frozen=True, eq=False)
class Lattice:
    """A regular lattice of the plane: coordinates of its columns (first axis) and rows (second axis), equally spaced."""

    first_mm: FloatArray
    second_mm: FloatArray

    @classmethod
    def window(cls, first: tuple[float, float], second: tuple[float, float], pitch_mm: float) -> Lattice:
        """The lattice of a window, symmetric about the window's centre."""

        def axis(low: float, high: float) -> FloatArray:
            half = int(np.ceil((high - low) / 2 / pitch_mm))
            return np.asarray((low + high) / 2 + pitch_mm * np.arange(-half, half + 1), dtype=np.float64)

        return cls(axis(*first), axis(*second))

    @property
    def pitch_mm(self) -> float:
        return float(self.first_mm[1] - self.first_mm[0])

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.first_mm), len(self.second_mm)

    def points(self) -> FloatArray:
        """Plane coordinates of every lattice point, shape (n, m, 2)."""
        return np.stack(np.meshgrid(self.first_mm, self.second_mm, indexing="ij"), axis=-1)

    def at(self, index: npt.ArrayLike) -> FloatArray:
        """Plane coordinates of fractional indices, shape (..., 2)."""
        origin = np.array([self.first_mm[0], self.second_mm[0]])
        return np.asarray(origin + self.pitch_mm * np.asarray(index, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Hole:
    """A bounded free region.

    Parameters
    ----------
    outline
        Its border, anticlockwise, shape (n, 2).
    area_mm2
        Enclosed area, islands taken out.
    centre
        Centre of its largest inscribed circle, shape (2,).
    inscribed_radius_mm
        That circle's radius.
    bridges
        Straight closures of an open rim, each of shape (2, 2).
    """

    outline: FloatArray
    area_mm2: float
    centre: FloatArray
    inscribed_radius_mm: float
    bridges: tuple[FloatArray, ...]

    @property
    def bridge_length_mm(self) -> float:
        """Length of the bridges together; 0 where the rim is closed."""
        return float(sum(np.linalg.norm(bridge[1] - bridge[0]) for bridge in self.bridges))


class NoHole(Exception):
    """There is no bounded free region around the seed; the text says why."""


def find_hole(free_mm: FloatArray, lattice: Lattice, seed_zone: BoolArray, max_bridge_mm: float) -> Hole:
    """The hole of a silhouette around a seed.

    Parameters
    ----------
    free_mm
        Positive where one can see through, zero on the silhouette's border, of the lattice's shape; near the border about the
        distance to it, in millimetres.
    lattice
        Where the field is sampled. A region that reaches the lattice's border is open.
    seed_zone
        Where the hole's widest place may lie.
    max_bridge_mm
        A rim whose gap is wider than this is not closed.

    Raises
    ------
    NoHole
        When nothing in the seed zone is free, or the rim is open by more than `max_bridge_mm`.
    """
    walls: list[FloatArray] = []
    free = free_mm > 0.0
    for _ in range(_MAX_BRIDGES + 1):
        depth = _depth_mm(free, lattice)
        allowed = np.where(seed_zone, depth, -1.0)
        seed = np.unravel_index(int(allowed.argmax()), allowed.shape)
        if allowed[seed] < MIN_PASSAGE_MM / 2:
            raise NoHole("no free space where the hole should be")
        seed_index = (int(seed[0]), int(seed[1]))
        if not _is_open(depth, seed_index, MIN_PASSAGE_MM / 2):
            return _measured(free_mm, free, depth, lattice, seed_index, tuple(walls))
        wall = _shortest_bridge(free_mm, depth, lattice, seed_index, max_bridge_mm)
        walls.append(wall)
        free = free & (_distance_to_segment(lattice.points(), wall) > 0.75 * lattice.pitch_mm)
    raise NoHole(f"the rim is open in more than {_MAX_BRIDGES} places")


def _depth_mm(free: BoolArray, lattice: Lattice) -> FloatArray:
    """Distance of free lattice points to the silhouette, sub-lattice near its border."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(free, sampling=lattice.pitch_mm) - lattice.pitch_mm / 2
    return np.where(free, np.maximum(depth, 0.0), 0.0)


def _component(region: BoolArray, seed: tuple[int, int]) -> BoolArray:
    from scipy.ndimage import label

    labels, _ = label(region)
    return np.asarray((labels == labels[seed]) & region)


def _touches_border(region: BoolArray) -> bool:
    return bool(region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any())


def _is_open(depth: FloatArray, seed: tuple[int, int], radius: float) -> bool:
    return _touches_border(_component(depth > radius, seed))


def _shortest_bridge(free_mm: FloatArray, depth: FloatArray, lattice: Lattice, seed: tuple[int, int], max_bridge_mm: float) -> FloatArray:
    """The bridge across the widest way out, at its narrowest place: two rim points, shape (2, 2)."""
    low, high = MIN_PASSAGE_MM / 2, float(depth[seed]) - 1e-9
    if _is_open(depth, seed, high) or high <= low:
        raise NoHole(f"the rim is open: no closure shorter than {2 * high:.1f} mm separates the hole from the outside")
    while high - low > lattice.pitch_mm / 8:
        middle = (low + high) / 2
        low, high = (middle, high) if _is_open(depth, seed, middle) else (low, middle)
    if 2 * low > max_bridge_mm:
        raise NoHole(f"the rim is open by {2 * low:.1f} mm, more than the {max_bridge_mm:.0f} mm that may be bridged")
    inside = _component(depth > high, seed)
    way_out = _component(depth > low, seed)
    outside = way_out & (depth > high) & ~inside
    saddle = _saddle(inside, outside, way_out, depth)
    return _across(free_mm, lattice, lattice.at(saddle), float(depth[saddle]))


def _saddle(inside: BoolArray, outside: BoolArray, way_out: BoolArray, depth: FloatArray) -> tuple[int, int]:
    """The lattice point of the pass between the two basins."""
    from scipy.ndimage import distance_transform_edt

    if not outside.any():  # the way out narrows all the way to the border
        edge = np.zeros_like(way_out)
        edge[0], edge[-1], edge[:, 0], edge[:, -1] = True, True, True, True
        outside = edge & way_out
    between = distance_transform_edt(~inside) + distance_transform_edt(~outside)
    passes = way_out & ~inside & ~outside
    if not passes.any():
        passes = way_out
    score = np.where(passes, between + 0.5 * depth, np.inf)
    index = np.unravel_index(int(score.argmin()), score.shape)
    return int(index[0]), int(index[1])


def _across(free_mm: FloatArray, lattice: Lattice, saddle: FloatArray, radius_mm: float) -> FloatArray:
    """The two rim points on either side of the saddle, nearest in opposite directions."""
    points = lattice.points()
    near = (np.linalg.norm(points - saddle, axis=-1) <= 2.5 * radius_mm + 3 * lattice.pitch_mm) & (free_mm <= 0.0)
    rim = points[near]
    offset = rim - saddle
    distance = np.linalg.norm(offset, axis=1)
    if not len(rim):
        raise NoHole("the rim is open to the edge of the field of view")
    first = int(distance.argmin())
    facing = offset @ (offset[first] / max(float(distance[first]), 1e-9)) < -0.3 * distance
    if not facing.any():
        raise NoHole("the rim is open to the edge of the field of view")
    second = int(np.where(facing, distance, np.inf).argmin())
    return np.stack([rim[first], rim[second]])


def _distance_to_segment(points: FloatArray, segment: FloatArray) -> FloatArray:
    along = segment[1] - segment[0]
    offset = points - segment[0]
    weight = np.clip(offset @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return np.asarray(np.linalg.norm(offset - weight[..., None] * along, axis=-1))


def _measured(
    free_mm: FloatArray, free: BoolArray, depth: FloatArray, lattice: Lattice, seed: tuple[int, int], walls: tuple[FloatArray, ...]
) -> Hole:
    """Outline and area, to a fraction of the lattice, of the closed region around the seed."""
    from scipy.ndimage import distance_transform_edt

    core = _component(depth > MIN_PASSAGE_MM / 2, seed)
    to_core = distance_transform_edt(~core, sampling=lattice.pitch_mm)
    region = free & (to_core <= MIN_PASSAGE_MM / 2 + lattice.pitch_mm)
    # Zero on the silhouette's border (from the field itself) and on the bridges; negative in all that is not this hole.
    field = np.minimum(free_mm, 2.0)
    for wall in walls:
        field = np.where(region, np.minimum(field, _distance_to_segment(lattice.points(), wall)), field)
    closed = np.where(region, np.maximum(field, 1e-6), np.where(free_mm > 0.0, -0.5 * lattice.pitch_mm, field))
    loops = contour_loops(closed, lattice)
    if not loops:
        raise NoHole("no free space where the hole should be")
    areas = [signed_area_mm2(loop) for loop in loops]
    centre = lattice.at(seed)
    outer = max(range(len(loops)), key=lambda i: abs(areas[i]) if _encloses(loops[i], centre) else 0.0)
    islands = [abs(areas[i]) for i in range(len(loops)) if i != outer and _encloses(loops[outer], loops[i][0])]
    outline = loops[outer] if areas[outer] > 0 else loops[outer][::-1]
    return Hole(outline, abs(areas[outer]) - sum(islands), centre, float(depth[seed]) + 0.0, walls)


def contour_loops(field: FloatArray, lattice: Lattice) -> list[FloatArray]:
    """Closed zero curves of a field on a lattice, each of shape (n, 2), the first point not repeated."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(lattice.first_mm, lattice.second_mm, field.T, line_type=LineType.Separate).lines(0.0)
    curves = [np.asarray(line, dtype=np.float64) for line in lines]
    return [curve[:-1] for curve in curves if len(curve) > 3 and np.allclose(curve[0], curve[-1])]


def _encloses(loop: FloatArray, point: FloatArray) -> bool:
    from kambin.geometry.section import Section

    return bool(Section((loop,)).contains(point)[0])
