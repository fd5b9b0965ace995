"""The free region of a sheet around a place: its rim, closed by the shortest bridges where it is open.

The conventions are those of the measures: a slit narrower than 1.2 mm is closed without being called a bridge, and a gap wider than
14 mm is no rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.phantom.truth.plane import Sheet, curves, holds, signed_area
from kambin.phantom.truth.value import Unknown

SLIT_MM = 1.2
_WIDEST_BRIDGE_MM = 14.0
_MOST_BRIDGES = 6
_ALIKE = 1.08
"""Bridges whose lengths differ by less than this count as equally short, and the one nearest to the hole is taken: a facet joint is as
wide at its far end as where the hole opens into it."""
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Hole:
    """A bounded free region.

    Parameters
    ----------
    outline
        Its border, shape (n, 2).
    area_mm2
        Without islands.
    bridges
        Straight closures of an open rim, each of shape (2, 2).
    """

    outline: FloatArray
    area_mm2: float
    bridges: tuple[FloatArray, ...]


def hole_about(sheet: Sheet, zone: BoolArray, slit_mm: float = SLIT_MM) -> Hole:
    """The hole whose widest place lies in a zone.

    Parameters
    ----------
    sheet
        Positive where one can see through.
    zone
        Of the sheet's shape.
    slit_mm
        What is narrower does not belong to the hole.

    Raises
    ------
    Unknown
        When nothing there is free, or the rim is open too widely.
    """
    bridges: list[FloatArray] = []
    rim = _open_rim(sheet)
    for _ in range(_MOST_BRIDGES + 1):
        depth = _depth(sheet, rim, bridges)
        seed = np.unravel_index(int(np.where(zone, depth, -1.0).argmax()), depth.shape)
        if depth[seed] < 0.5 * slit_mm or not zone[seed]:
            raise Unknown("there is no free space where the hole should be")
        place = (int(seed[0]), int(seed[1]))
        if not _reaches_out(depth > 0.5 * slit_mm, place):
            return _bounded(sheet, depth, place, tuple(bridges), slit_mm)
        bridges.append(_shortest_bridge(sheet, rim, depth, place, slit_mm))
    raise Unknown(f"the rim is open in more than {_MOST_BRIDGES} places")


def _depth(sheet: Sheet, rim: FloatArray, bridges: list[FloatArray]) -> FloatArray:
    """Distance of free lattice points to the rim and the bridges; 0 where nothing is free."""
    from scipy.spatial import cKDTree

    free = sheet.level > 0
    walls = [a + np.linspace(0, 1, max(int(np.linalg.norm(b - a) / (0.25 * sheet.step_mm)), 1) + 1)[:, None] * (b - a) for a, b in bridges]
    result = np.zeros(free.shape)
    border = np.concatenate([rim, *walls])
    if free.any() and len(border):
        result[free] = cKDTree(border).query(sheet.points()[free])[0]
    elif free.any():
        raise Unknown("there is no rim where the hole should be")
    return result


def _piece(region: BoolArray, seed: tuple[int, int]) -> BoolArray:
    from scipy.ndimage import label

    pieces, _ = label(region)
    return np.asarray(region & (pieces == pieces[seed]))


def _border(shape: tuple[int, ...]) -> BoolArray:
    edge = np.ones(shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    return edge


def _reaches_out(region: BoolArray, seed: tuple[int, int]) -> bool:
    return bool((_piece(region, seed) & _border(region.shape)).any())


def _shortest_bridge(sheet: Sheet, rim: FloatArray, depth: FloatArray, seed: tuple[int, int], slit_mm: float) -> FloatArray:
    """The shortest line across the neck of the widest way out, from rim to rim."""
    from scipy.ndimage import distance_transform_edt, label

    low, high = 0.5 * slit_mm, float(depth[seed])
    while high - low > sheet.step_mm / 8:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _reaches_out(depth > middle, seed) else (low, middle)
    high = min(max(high, _ALIKE * low), float(depth[seed]) - 1e-6)
    if 2 * low > _WIDEST_BRIDGE_MM:
        raise Unknown(f"the rim is open by {2 * low:.1f} mm")
    inside, way_out = _piece(depth > high, seed), _piece(depth > low, seed)
    to_inside = distance_transform_edt(~inside, sampling=sheet.step_mm)
    # What lies inside holds discs of this radius about each of its points; beyond them lies the neck, and what it leads to.
    pieces, _ = label(way_out & (to_inside > high))
    leading = np.isin(pieces, np.setdiff1d(pieces[_border(pieces.shape)], [0]))
    if not leading.any():
        raise Unknown("the rim is open to the border of the window")
    saddle = np.unravel_index(int(np.where(leading, to_inside, np.inf).argmin()), leading.shape)
    return _across(sheet, rim, depth, sheet.points()[saddle], sheet.points()[seed], low)


def _across(
    sheet: Sheet, rim: FloatArray, depth: FloatArray, saddle: FloatArray, centre: FloatArray, radius: float
) -> FloatArray:
    """The line between the two sides of a neck, about a point in it: of the shortest ones that nearest to the hole's middle.

    Across a neck lies a line whose middle is half its length away from any rim: a disc about it touches both ends.
    """
    rim = rim[np.linalg.norm(rim - saddle, axis=1) < 3.0 * radius + 1.5]
    one, other = np.triu_indices(len(rim), 1)
    length = np.linalg.norm(rim[one] - rim[other], axis=1)
    middle = 0.5 * (rim[one] + rim[other])
    place = np.round((middle - [sheet.first_mm[0], sheet.second_mm[0]]) / sheet.step_mm).astype(int)
    place = np.clip(place, 0, np.array(sheet.level.shape) - 1)
    across = depth[place[:, 0], place[:, 1]] >= 0.5 * length - sheet.step_mm
    across &= length > 2.0 * radius - 1.5 * sheet.step_mm
    if not across.any():
        raise Unknown("the rim is open to the border of the window")
    short = across & (length <= _ALIKE * length[across].min() + 0.5 * sheet.step_mm)
    best = int(np.where(short, np.linalg.norm(middle - centre, axis=1), np.inf).argmin())
    return np.stack([rim[one[best]], rim[other[best]]])


def _open_rim(sheet: Sheet) -> FloatArray:
    """Points of all zero curves, closed or not."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(sheet.first_mm, sheet.second_mm, sheet.level.T, line_type=LineType.Separate).lines(0.0)
    return np.concatenate([np.asarray(line, dtype=np.float64) for line in lines]) if lines else np.zeros((0, 2))


def _to_segment(points: FloatArray, segment: FloatArray) -> FloatArray:
    along = segment[1] - segment[0]
    place = np.clip((points - segment[0]) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - segment[0] - place[..., None] * along, axis=-1))


def _bounded(sheet: Sheet, depth: FloatArray, seed: tuple[int, int], bridges: tuple[FloatArray, ...], slit_mm: float) -> Hole:
    """Outline and area of the closed region around a seed."""
    from scipy.ndimage import distance_transform_edt

    step = sheet.step_mm
    core = _piece(depth > 0.5 * slit_mm, seed)
    region = (sheet.level > 0) & (distance_transform_edt(~core, sampling=step) <= 0.5 * slit_mm + step)
    # Bridges are straight edges: on the hole's side the distance to them, on the other side its negative.
    level = np.where(region, sheet.level, np.where(sheet.level > 0, -0.5 * step, sheet.level))
    points = sheet.points()
    for bridge in bridges:
        away = _to_segment(points, bridge)
        along = (bridge[1] - bridge[0]) / np.linalg.norm(bridge[1] - bridge[0])
        signed = (points - bridge[0]) @ np.array([-along[1], along[0]])
        signed = signed * np.sign(signed[region & (away < 4 * step)].sum() or 1.0)
        level = np.where((away < 2.5 * step) & (sheet.level > 0), np.minimum(sheet.level, signed), level)
    loops = curves(Sheet(sheet.first_mm, sheet.second_mm, level))
    centre = points[seed]
    about = [loop for loop in loops if holds(loop, centre)]
    if not about:
        raise Unknown("there is no free space where the hole should be")
    outline = max(about, key=lambda loop: abs(signed_area(loop)))
    islands = [loop for loop in loops if loop is not outline and holds(outline, loop[0])]
    area = abs(signed_area(outline)) - sum(abs(signed_area(loop)) for loop in islands)
    return Hole(outline, area, bridges)
