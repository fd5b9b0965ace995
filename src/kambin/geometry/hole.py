"""The hole in a silhouette, its rim closed by bridges where it is open.

A silhouette is given as a field on a regular plane lattice, positive where one can see through. A foramen seen from the side, or the
vertebral foramen seen from above, is the part of the free region around a seed. Where that part is joined to the outside by a
gap (a facet joint, an interlaminar space, a missing voxel), the gap is closed in its mouth, and the bridge is kept as evidence.
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
MOUTH_MM = 1.0
"""A gap is closed in its mouth: where a disc comes to rest that is this much wider than the gap at its narrowest."""
_GRACE_MM = 0.05
"""What a lattice may miss of a disc's reach."""
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
    bridges: list[FloatArray] = []
    rim = _curve_points(free_mm, lattice, 0.0)
    for _ in range(_MAX_BRIDGES + 1):
        depth = _depth_mm(free_mm, lattice, rim, bridges)
        allowed = np.where(seed_zone, depth, -1.0)
        seed = np.unravel_index(int(allowed.argmax()), allowed.shape)
        if allowed[seed] < MIN_PASSAGE_MM / 2:
            raise NoHole("no free space where the hole should be")
        place = (int(seed[0]), int(seed[1]))
        if not _is_open(depth, place, MIN_PASSAGE_MM / 2):
            return _measured(free_mm, depth, lattice, place, tuple(bridges))
        bridges.append(_bridge(rim, depth, lattice, place, max_bridge_mm))
    raise NoHole(f"the rim is open in more than {_MAX_BRIDGES} places")


def _curve_points(field: FloatArray, lattice: Lattice, value: float) -> FloatArray:
    """Where a field takes a value on the lattice's lines, shape (n, 2)."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(lattice.first_mm, lattice.second_mm, field.T, line_type=LineType.Separate).lines(value)
    return np.concatenate([np.asarray(line, dtype=np.float64) for line in lines]) if lines else np.empty((0, 2))


def _depth_mm(free_mm: FloatArray, lattice: Lattice, rim: FloatArray, bridges: list[FloatArray]) -> FloatArray:
    """Distance of free lattice points to the silhouette and to bridges; 0 where nothing is free."""
    from scipy.spatial import cKDTree

    free = free_mm > 0.0
    border = np.concatenate([rim, *(_along(bridge, lattice.pitch_mm / 4) for bridge in bridges)])
    depth = np.zeros(free.shape)
    depth[free] = cKDTree(border).query(lattice.points()[free])[0] if len(border) else np.inf
    return depth


def _along(segment: FloatArray, pitch_mm: float) -> FloatArray:
    """Points on a segment, its ends included."""
    count = int(np.ceil(np.linalg.norm(segment[1] - segment[0]) / pitch_mm)) + 1
    return np.linspace(segment[0], segment[1], max(count, 2))


def _component(region: BoolArray, seed: tuple[int, int]) -> BoolArray:
    from scipy.ndimage import label

    labels, _ = label(region)
    return np.asarray((labels == labels[seed]) & region)


def _edge(shape: tuple[int, ...]) -> BoolArray:
    edge = np.ones(shape, dtype=np.bool_)
    edge[1:-1, 1:-1] = False
    return edge


def _is_open(depth: FloatArray, seed: tuple[int, int], radius: float) -> bool:
    return bool((_component(depth > radius, seed) & _edge(depth.shape)).any())


def _bridge(rim: FloatArray, depth: FloatArray, lattice: Lattice, seed: tuple[int, int], max_bridge_mm: float) -> FloatArray:
    """The bridge in the mouth of the widest way out, shape (2, 2): where a disc sticks that is a little wider than the gap.

    A joint space is as wide far away as where the hole opens into it, so its narrowest place is anywhere; its mouth is not.
    """
    low, high = MIN_PASSAGE_MM / 2, float(depth[seed]) - 1e-9
    if _is_open(depth, seed, high) or high <= low:
        raise NoHole(f"the rim is open: no closure shorter than {2 * high:.1f} mm separates the hole from the outside")
    while high - low > lattice.pitch_mm / 16:
        middle = (low + high) / 2
        low, high = (middle, high) if _is_open(depth, seed, middle) else (low, middle)
    if 2 * low > max_bridge_mm:
        raise NoHole(f"the rim is open by {2 * low:.1f} mm, more than the {max_bridge_mm:.0f} mm that may be bridged")
    radius = min(max(high, low + MOUTH_MM / 2), float(depth[seed]) - 1e-9)
    return _contacts(rim, *_stuck(depth, lattice, seed, low, radius), radius + lattice.pitch_mm)


def _stuck(depth: FloatArray, lattice: Lattice, seed: tuple[int, int], low: float, radius: float) -> tuple[FloatArray, FloatArray]:
    """Where the middle of a disc rolled from the seed to the way out comes to lie, and the nearest place ahead that it leaves free."""
    from scipy.ndimage import label

    middles, away = _rolled(depth, lattice, seed, radius)
    beyond, _ = label(_component(depth > low, seed) & (away > radius))
    leading = np.isin(beyond, np.setdiff1d(beyond[_edge(depth.shape)], [0]))
    if not leading.any():
        raise NoHole("the rim is open to the edge of the field of view")
    ahead = lattice.at(np.unravel_index(int(np.where(leading, away, np.inf).argmin()), depth.shape))
    return middles[int(np.linalg.norm(middles - ahead, axis=1).argmin())], ahead


def _rolled(depth: FloatArray, lattice: Lattice, seed: tuple[int, int], radius: float) -> tuple[FloatArray, FloatArray]:
    """How far the middle of a disc can be rolled from a seed: the border of where it comes to lie, and every lattice point's distance."""
    from scipy.ndimage import binary_dilation
    from scipy.spatial import cKDTree

    core = _component(depth > radius, seed)
    border = _curve_points(np.where(binary_dilation(core), depth, 0.0), lattice, radius)
    return border, np.where(core, 0.0, cKDTree(border).query(lattice.points())[0])


def _contacts(rim: FloatArray, centre: FloatArray, ahead: FloatArray, reach_mm: float) -> FloatArray:
    """The rim points nearest to a disc's centre to the left and to the right of the way ahead, shape (2, 2)."""
    way, offset = ahead - centre, rim - centre
    distance = np.linalg.norm(offset, axis=1)
    left = way[0] * offset[:, 1] - way[1] * offset[:, 0]
    ends = []
    for side in (left > 0, left < 0):
        found = side & (distance < 2.0 * reach_mm) & (offset @ way > 0)
        if not found.any():
            raise NoHole("the rim is open to the edge of the field of view")
        ends.append(rim[int(np.where(found, distance, np.inf).argmin())])
    return np.stack(ends)


def _measured(free_mm: FloatArray, depth: FloatArray, lattice: Lattice, seed: tuple[int, int], bridges: tuple[FloatArray, ...]) -> Hole:
    """Outline and area, to a fraction of the lattice, of all that a disc of the least width covers on its way from the seed."""
    _, to_core = _rolled(depth, lattice, seed, MIN_PASSAGE_MM / 2)
    loops = contour_loops(np.minimum(free_mm, MIN_PASSAGE_MM / 2 + _GRACE_MM - to_core), lattice)
    areas = [signed_area_mm2(loop) for loop in loops]
    centre = lattice.at(seed)
    about = [i for i in range(len(loops)) if _encloses(loops[i], centre)]
    if not about:
        raise NoHole("no free space where the hole should be")
    outer = max(about, key=lambda i: abs(areas[i]))
    islands = [abs(areas[i]) for i in range(len(loops)) if i != outer and _encloses(loops[outer], loops[i][0])]
    outline = loops[outer] if areas[outer] > 0 else loops[outer][::-1]
    return Hole(outline, abs(areas[outer]) - sum(islands), centre, float(depth[seed]) + 0.0, bridges)


def contour_loops(field: FloatArray, lattice: Lattice) -> list[FloatArray]:
    """Closed zero curves of a field on a lattice, each of shape (n, 2), the first point not repeated."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(lattice.first_mm, lattice.second_mm, field.T, line_type=LineType.Separate).lines(0.0)
    curves = [np.asarray(line, dtype=np.float64) for line in lines]
    return [curve[:-1] for curve in curves if len(curve) > 3 and np.allclose(curve[0], curve[-1])]


def _encloses(loop: FloatArray, point: FloatArray) -> bool:
    from kambin.geometry.section import Section

    return bool(Section((loop,)).contains(point)[0])
