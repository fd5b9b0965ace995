"""Where the column ends: which of the lowest pieces called vertebral body are the sacrum's, and how far the sacrum is from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.spatial import cKDTree

from kambin.geometry import FloatArray
from kambin.segmentation.column_order import Body, Column
from kambin.segmentation.places import BoolArray, Places

_CONTACT_MM = 4.0
_BESIDE = 0.2
"""A body whose sides touch the sacrum over more than this share of them lies between its alae."""
_UNDER_MM = 12.0
_OVERLAP_MM = 16.0
_REACH = 0.9
"""The sacrum lies within this of the last vertebra, by a body's height, whether the disc between was found or not."""


class Belongs(Enum):
    """Whose a piece called vertebral body is."""

    VERTEBRA = "vertebra"
    SACRUM = "sacrum"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class LowerEnd:
    """The column's lower end.

    Parameters
    ----------
    belongs
        For each of the column's bodies, lowest first.
    has_sacrum
        Whether the sacrum is in view under them.
    missing
        How many vertebrae are missing between the sacrum and the lowest found, by their distance.
    notes
        What was changed, in words.
    """

    belongs: tuple[Belongs, ...]
    has_sacrum: bool
    missing: int
    notes: tuple[str, ...]


def lower_end(column: Column, bodies: Places, sacrum: Places) -> LowerEnd:
    """Judge the lowest bodies, and look for the sacrum under them."""
    belongs = [Belongs.VERTEBRA] * len(column.bodies)
    notes: list[str] = []
    if not len(sacrum):
        return LowerEnd(tuple(belongs), False, 0, ())
    tree = cKDTree(sacrum.mm)
    local = column.line.local(sacrum.mm)
    highest = -1
    for body in column.bodies[:-1]:
        mine = column.owner == body.number
        beside = _beside(column, bodies.mm[mine], body, tree) > _BESIDE
        if beside or _under_sacral_disc(column, bodies, mine, body, sacrum, local):
            highest = body.number
    for body in column.bodies[: highest + 1]:
        points = bodies.mm[column.owner == body.number]
        touching = float(np.mean(np.isfinite(tree.query(points[::3], distance_upper_bound=2.0 * _CONTACT_MM)[0])))
        # What lies within the sacrum is of it; a piece that stands out in front is nothing that Kambin knows.
        within = _beside(column, points, body, tree) > _BESIDE or touching > 0.5
        belongs[body.number] = Belongs.SACRUM if within else Belongs.NOBODY
        what = "taken as part of the sacrum" if within else "left out"
        notes.append(f"{body.volume_mm3 / 1000:.0f} cm³ below the last disc were found as a vertebral body and {what}.")
    kept = [body for body in column.bodies if belongs[body.number] is Belongs.VERTEBRA]
    distance = _distance(column, bodies, kept[0], tree) if kept else 0.0
    if distance <= _REACH * column.height_mm:
        return LowerEnd(tuple(belongs), True, 0, tuple(notes))
    return LowerEnd(tuple(belongs), True, max(1, round((distance - 0.3 * column.height_mm) / (1.3 * column.height_mm))), tuple(notes))


def _beside(column: Column, points: FloatArray, body: Body, tree: cKDTree) -> float:
    """Share of a body's sides that the sacrum touches."""
    local = column.line.local(points)
    half = float(np.percentile(np.abs(local[:, 0]), 97))
    upright = np.abs(local[:, 2] - body.middle_mm) < 0.35 * body.height_mm
    shares = []
    for sign in (-1, 1):
        side = upright & (sign * local[:, 0] > 0.85 * half)
        if np.count_nonzero(side) > 5:
            shares.append(float(np.mean(np.isfinite(tree.query(points[side], distance_upper_bound=_CONTACT_MM)[0]))))
    return float(np.mean(shares)) if shares else 0.0


def _under_sacral_disc(
    column: Column, bodies: Places, mine: BoolArray, body: Body, sacrum: Places, sacrum_local: FloatArray
) -> bool:
    """Whether the disc over a body lies on the sacrum rather than on the body."""
    above = [gap for gap in column.gaps if gap.along_mm > body.middle_mm]
    if not above or above[0].disc is None:
        return False
    gap = above[0]

    def under(points: FloatArray) -> float:
        offset = points - gap.centre_mm
        depth = offset @ gap.normal
        across = np.linalg.norm(offset - depth[:, None] * gap.normal, axis=1)
        return float(np.count_nonzero((depth < 0) & (depth > -_UNDER_MM) & (across < _OVERLAP_MM)))

    near = np.abs(sacrum_local[:, 2] - gap.along_mm) < 3 * _UNDER_MM
    of_sacrum = under(sacrum.mm[near])
    return of_sacrum > under(bodies.mm[mine]) and of_sacrum * sacrum.grid.voxel_volume_mm3 > 500.0


def _distance(column: Column, bodies: Places, body: Body, tree: cKDTree) -> float:
    points = bodies.mm[column.owner == body.number]
    local = column.line.local(points)
    core = np.hypot(local[:, 0], local[:, 1]) < 14.0
    return float(tree.query(points[core])[0].min()) if core.any() else 0.0


def sacral_rims(column: Column, bodies: Places, sacrum: Places) -> BoolArray:
    """Which voxels of bodies that belong to no vertebra are a rim of the sacrum: pieces most of which lie close to it."""
    loose = column.owner < 0
    rim = np.zeros(len(bodies), dtype=bool)
    if not len(sacrum) or not loose.any():
        return rim
    rim[loose] = np.isfinite(cKDTree(sacrum.mm).query(bodies.mm[loose], distance_upper_bound=1.5 * _CONTACT_MM)[0])
    share = np.bincount(bodies.pieces[loose], rim[loose]) / np.maximum(np.bincount(bodies.pieces[loose]), 1)
    result = np.zeros(len(bodies), dtype=bool)
    result[loose] = share[bodies.pieces[loose]] > 0.5
    return result
