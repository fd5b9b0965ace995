"""The free region of a sheet around a place: its rim, closed by bridges across the mouths of its gaps.

The conventions are those of the measures: a gap is closed where a disc one millimetre wider than it sticks in its mouth, a slit narrower
than 1.2 mm is closed without being called a bridge, and a gap wider than 14 mm is no rim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.phantom.truth.plane import Sheet, curves, holds, signed_area
from kambin.phantom.truth.value import Unknown

SLIT_MM = 1.2
_GRACE_MM = 0.05
"""What a lattice may miss of a disc's reach: the measures' convention."""
_WIDEST_BRIDGE_MM = 14.0
_MOST_BRIDGES = 6
MOUTH_MM = 1.0
"""A gap is closed where a disc sticks that is this much wider: a facet joint is as wide at its far end as where the hole opens into it."""
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
    rim = contour(sheet, 0.0)
    for _ in range(_MOST_BRIDGES + 1):
        depth = _depth(sheet, rim, bridges)
        seed = np.unravel_index(int(np.where(zone, depth, -1.0).argmax()), depth.shape)
        if depth[seed] < 0.5 * slit_mm or not zone[seed]:
            raise Unknown("there is no free space where the hole should be")
        place = (int(seed[0]), int(seed[1]))
        if not _reaches_out(depth > 0.5 * slit_mm, place):
            return _bounded(sheet, depth, place, tuple(bridges), slit_mm)
        bridges.append(_bridge(sheet, rim, depth, place, slit_mm))
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


def _bridge(sheet: Sheet, rim: FloatArray, depth: FloatArray, seed: tuple[int, int], slit_mm: float) -> FloatArray:
    """The line across the mouth of the widest way out, from rim to rim: between the places where the disc that sticks there touches."""
    low, high = 0.5 * slit_mm, float(depth[seed])
    while high - low > sheet.step_mm / 16:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _reaches_out(depth > middle, seed) else (low, middle)
    if 2 * low > _WIDEST_BRIDGE_MM:
        raise Unknown(f"the rim is open by {2 * low:.1f} mm")
    radius = min(max(high, low + 0.5 * MOUTH_MM), float(depth[seed]) - 1e-6)
    saddle = _beyond(sheet, depth, seed, low, radius)
    # Of the discs that just fit, the one that sticks is nearest to what lies beyond.
    fits = _middles(sheet, depth, seed, radius)
    middle_mm = fits[int(np.linalg.norm(fits - saddle, axis=1).argmin())]
    return _touched(rim, middle_mm, saddle, radius + sheet.step_mm)


def _beyond(sheet: Sheet, depth: FloatArray, seed: tuple[int, int], low: float, radius: float) -> FloatArray:
    """The nearest place on the way out that a disc rolled from the seed does not cover."""
    from scipy.ndimage import distance_transform_edt, label

    to_inside = distance_transform_edt(~_piece(depth > radius, seed), sampling=sheet.step_mm)
    # What lies inside holds discs of this radius about each of its points; beyond them lies the neck, and what it leads to.
    pieces, _ = label(_piece(depth > low, seed) & (to_inside > radius))
    leading = np.isin(pieces, np.setdiff1d(pieces[_border(pieces.shape)], [0]))
    if not leading.any():
        raise Unknown("the rim is open to the border of the window")
    return np.asarray(sheet.points()[np.unravel_index(int(np.where(leading, to_inside, np.inf).argmin()), leading.shape)])


def _middles(sheet: Sheet, depth: FloatArray, seed: tuple[int, int], radius: float) -> FloatArray:
    """Where the middles of discs lie that were rolled from a seed as far as they fit."""
    from scipy.ndimage import binary_dilation

    return contour(replace(sheet, level=np.where(binary_dilation(_piece(depth > radius, seed)), depth, 0.0)), radius)


def _touched(rim: FloatArray, middle: FloatArray, saddle: FloatArray, reach: float) -> FloatArray:
    """Where a disc touches the rim on the two sides of the way from its middle to a saddle, shape (2, 2)."""
    ahead = (saddle - middle) / np.linalg.norm(saddle - middle)
    rim = rim[(np.linalg.norm(rim - middle, axis=1) < 2.0 * reach) & ((rim - middle) @ ahead > 0)]
    beside = (rim - middle) @ np.array([-ahead[1], ahead[0]])
    sides = rim[beside > 0], rim[beside < 0]
    if not all(len(side) for side in sides):
        raise Unknown("the rim is open to the border of the window")
    return np.stack([side[int(np.linalg.norm(side - middle, axis=1).argmin())] for side in sides])


def contour(sheet: Sheet, level: float) -> FloatArray:
    """Points of all curves of one level, closed or not."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(sheet.first_mm, sheet.second_mm, sheet.level.T, line_type=LineType.Separate).lines(level)
    return np.concatenate([np.asarray(line, dtype=np.float64) for line in lines]) if lines else np.zeros((0, 2))


def _bounded(sheet: Sheet, depth: FloatArray, seed: tuple[int, int], bridges: tuple[FloatArray, ...], slit_mm: float) -> Hole:
    """Outline and area of what a disc as wide as a slit covers, rolled from a seed."""
    from scipy.spatial import cKDTree

    points, core = sheet.points(), _piece(depth > 0.5 * slit_mm, seed)
    away = np.where(core, 0.0, cKDTree(_middles(sheet, depth, seed, 0.5 * slit_mm)).query(points)[0])
    loops = curves(replace(sheet, level=np.minimum(sheet.level, 0.5 * slit_mm + _GRACE_MM - away)))
    about = [loop for loop in loops if holds(loop, points[seed])]
    if not about:
        raise Unknown("there is no free space where the hole should be")
    outline = max(about, key=lambda loop: abs(signed_area(loop)))
    islands = [loop for loop in loops if loop is not outline and holds(outline, loop[0])]
    area = abs(signed_area(outline)) - sum(abs(signed_area(loop)) for loop in islands)
    return Hole(outline, area, bridges)
