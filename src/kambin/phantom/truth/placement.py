"""The published transforaminal placement on the exact shapes: where it lies, and which group it puts a foramen into.

Independent of the planning code: a channel is a cloud of points on its wall, and a structure is entered where one of them lies inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray, Frame
from kambin.phantom.patient import Patient
from kambin.phantom.truth.anatomy import Space
from kambin.phantom.truth.table import Table
from kambin.phantom.truth.value import Unknown

_WALL_STEP_MM = 0.3
_BEHIND_MM = 40.0
_DEPTH_STEP_MM = 0.1


@dataclass(frozen=True, eq=False)
class TruePlacement:
    """The published placement of one foramen.

    Parameters
    ----------
    target_mm
        Point *b*, RAS.
    alpha_deg
        To the coronal plane.
    meets_ilium
        Whether the iliac bone gave that angle.
    touched
        What of IAP, transverse process and roots the channel enters.
    """

    target_mm: FloatArray
    alpha_deg: float
    meets_ilium: bool
    touched: tuple[Structure, ...]

    @property
    def group(self) -> str:
        return "B" if self.touched else "A"


def published_placement(
    patient: Patient, table: Table, space: Space, side: Side, step: float, *, radius_mm: float = 4.0, length_mm: float = 150.0
) -> TruePlacement:
    """Place the channel as published (`peld-l5s1`) and see what it enters; 40° where it never meets the iliac bone.

    Raises
    ------
    Unknown
        When there is no pedicle, or the disc does not reach its medial line.
    """
    frame = table.segment(space, step).frame
    target = _point_b(table, space, side, frame, step)
    wall = _wall(radius_mm, length_mm)
    hip = table.anatomy.shapes.get(Structure(Kind.HIP, None, side))

    def meets(alpha: float) -> bool:
        return hip is not None and bool((hip(_placed(wall, target, frame, side, alpha)) < 0).any())

    alpha, met = _first_angle(meets)
    points = _placed(wall, target, frame, side, alpha)
    return TruePlacement(target, alpha, met, tuple(_entered(patient, table, space, side, points)))


def _point_b(table: Table, space: Space, side: Side, frame: Frame, step: float) -> FloatArray:
    upper, disc, lower = space.whole()
    reaches = []
    for bone in (upper, lower):
        if side in bone.isthmus_mm:
            reaches.append(table.neck(bone.level, side, step).reach(frame, side)[0])
    if not reaches:
        raise Unknown(f"{space.name} has no {side} pedicle")
    right = side.sign * float(np.mean(reaches))
    depth = np.arange(-_BEHIND_MM, _BEHIND_MM, _DEPTH_STEP_MM)
    level = disc(frame.world(np.stack([np.full_like(depth, right), depth, np.zeros_like(depth)], axis=1)).T)
    inside = np.flatnonzero(level < 0)
    if not len(inside) or inside[0] == 0:
        raise Unknown(f"the {space.name} disc ends before the medial line of the {side} pedicle")
    first = int(inside[0])
    share = level[first - 1] / (level[first - 1] - level[first])
    return frame.world([right, float(depth[first - 1] + share * _DEPTH_STEP_MM), 0.0])


def _wall(radius: float, length: float) -> FloatArray:
    """Points of a capsule along x, round ends included, shape (n, 3)."""
    along = np.arange(-radius, length + radius + _WALL_STEP_MM, _WALL_STEP_MM)
    beyond = np.maximum(np.maximum(-along, along - length), 0.0)
    out = np.sqrt(np.maximum(radius**2 - beyond**2, 0.0))
    turns = 2.0 * np.pi * np.arange(int(np.ceil(2.0 * np.pi * radius / _WALL_STEP_MM))) / np.ceil(2.0 * np.pi * radius / _WALL_STEP_MM)
    return np.stack(np.broadcast_arrays(along[:, None], out[:, None] * np.cos(turns), out[:, None] * np.sin(turns)), axis=-1).reshape(-1, 3)


def _placed(wall: FloatArray, target: FloatArray, frame: Frame, side: Side, alpha_deg: float) -> FloatArray:
    """The wall in its place in the disc mid-plane, RAS, shape (3, n)."""
    turn = np.radians(alpha_deg)
    along = np.array([side.sign * np.cos(turn), -np.sin(turn), 0.0])
    across = np.array([side.sign * np.sin(turn), np.cos(turn), 0.0])
    local = wall @ np.stack([along, across, [0.0, 0.0, 1.0]])
    return np.asarray((target + local @ frame.axes).T)


def _first_angle(meets: Callable[[float], bool]) -> tuple[float, bool]:
    """Turned outwards from straight backwards, the first angle at which the iliac bone is met."""
    alphas = np.arange(90.0, 4.9, -1.0)
    for before, alpha in pairwise(alphas):
        if meets(float(alpha)):
            low, high = float(alpha), float(before)
            for _ in range(7):
                middle = 0.5 * (low + high)
                low, high = (middle, high) if meets(middle) else (low, middle)
            return high, True
    return 40.0, False


def _entered(patient: Patient, table: Table, space: Space, side: Side, points: FloatArray) -> list[Structure]:
    """Of the structures that decide, those that hold a point of the wall."""
    upper, _, _ = space.whole()
    found = []
    inside = points[:, upper.shape(points) < 0]
    if inside.size:
        parts = [(name, part.own) for name, part in patient.parts.items() if name.level is upper.level]
        deepest = np.argmin(np.stack([own(inside) for _, own in parts]), axis=0)
        for index, (name, _) in enumerate(parts):
            if name.kind in (Kind.INFERIOR_ARTICULAR, Kind.TRANSVERSE) and name.side is side and (deepest == index).any():
                found.append(name)
    for name, shape in table.anatomy.shapes.items():
        if name.kind is Kind.NERVE_ROOT and name.side is side and (shape(points) < 0).any():
            found.append(name)
    return found
