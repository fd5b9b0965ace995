"""The search for ways in: every direction in a cone about every target within a tolerance, best first.

It is global. The directions are cut into cells; a cell is tried at its middle, and since a point so far along the axis moves no more than
the cell's half width times that distance, the lowest place of the middle line bounds what any line of the cell can reach. Cells that cannot
beat what is found are dropped, the others are quartered, down to a fifth of a degree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.planning.channel import Channel, direction_of
from kambin.planning.field import DistanceField
from kambin.planning.lowest import lowest_along


@dataclass(frozen=True, slots=True)
class Cone:
    """Where a search looks: angles in degrees, and how far the target may be moved in the plane across the disc's back, in mm."""

    alpha_deg: tuple[float, float] = (10.0, 80.0)
    cranial_deg: tuple[float, float] = (-15.0, 45.0)
    tolerance_mm: float = 2.0
    target_step_mm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("alpha_deg", "cranial_deg"):
            low, high = getattr(self, name)
            if not -90.0 <= low < high <= 90.0:
                raise ValueError(f"{name}: expected two rising angles within ±90°, found {low} and {high}")
        if self.tolerance_mm < 0 or self.target_step_mm <= 0:
            raise ValueError("expected a tolerance that is not negative and a positive step")


@dataclass(frozen=True, eq=False)
class Lines:
    """Candidate axes of equal length: targets and angles of each, with what was found along it.

    Parameters
    ----------
    targets_mm
        RAS, shape (n, 3).
    alpha_deg, cranial_deg
        Shape (n,).
    slack_mm
        Lowest distance to any obstacle less its margin; the channel's radius not yet taken off. Shape (n,).
    where_mm
        How far out along the axis that is, shape (n,).
    """

    targets_mm: FloatArray
    alpha_deg: FloatArray
    cranial_deg: FloatArray
    slack_mm: FloatArray
    where_mm: FloatArray

    def take(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Lines:
        return Lines(self.targets_mm[which], self.alpha_deg[which], self.cranial_deg[which], self.slack_mm[which], self.where_mm[which])

    def channel(self, index: int, frame: Frame, side: Side, radius_mm: float, length_mm: float) -> Channel:
        direction = direction_of(frame, side, self.alpha_deg[index], self.cranial_deg[index])
        return Channel(self.targets_mm[index], direction, radius_mm, length_mm)


def joined(*parts: Lines) -> Lines:
    return Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in Lines.__dataclass_fields__))


def targets_about(frame: Frame, target_mm: FloatArray, cone: Cone) -> FloatArray:
    """Targets within the tolerance of one, sideways and up and down, the given one first, shape (n, 3)."""
    count = int(cone.tolerance_mm / cone.target_step_mm + 1e-9)
    steps = cone.target_step_mm * np.arange(-count, count + 1)
    right, cranial = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    inside = np.hypot(right, cranial) <= cone.tolerance_mm + 1e-9
    order = np.argsort(np.hypot(right, cranial)[inside], kind="stable")
    offset = np.stack([right[inside], np.zeros(int(inside.sum())), cranial[inside]], axis=1)[order]
    return np.asarray(target_mm + offset @ frame.axes)


def roomiest_lines(
    field: DistanceField,
    frame: Frame,
    side: Side,
    targets_mm: FloatArray,
    cone: Cone,
    length_mm: float,
    *,
    enough_mm: float = np.inf,
    first_step_deg: float = 4.0,
    last_step_deg: float = 0.2,
    within_mm: float = 0.1,
) -> Lines:
    """All lines tried, of which none that was not tried has more slack than the best by over `within_mm`.

    Parameters
    ----------
    field
        Distances less margins: `Around.free`.
    enough_mm
        Slack beyond which more is not looked for: cells that have it are cut no further for its sake.
    """
    alpha, cranial = (
        np.arange(low + first_step_deg / 2, high + first_step_deg / 2, first_step_deg) for low, high in (cone.alpha_deg, cone.cranial_deg)
    )
    which, a, c = (grid.ravel() for grid in np.meshgrid(np.arange(len(targets_mm)), alpha, cranial, indexing="ij"))
    step = first_step_deg
    tried: list[Lines] = []
    while True:
        lines = _tried(field, frame, side, targets_mm[which], np.clip(a, *cone.alpha_deg), np.clip(c, *cone.cranial_deg), length_mm)
        tried.append(lines)
        best = min(max(float(part.slack_mm.max()) for part in tried), enough_mm)
        if step <= last_step_deg:
            return joined(*tried)
        # Half a cell's diagonal, in radians, moves the place where the line was lowest by at most so much.
        reachable = lines.slack_mm + lines.where_mm * np.radians(step) * np.sqrt(0.5) + within_mm
        keep = (reachable > best) & (lines.slack_mm < enough_mm)
        if not keep.any():
            return joined(*tried)
        step /= 2
        quarter = step / 2
        which = np.repeat(which[keep], 4)
        a = (a[keep, None] + quarter * np.array([-1, -1, 1, 1])).ravel()
        c = (c[keep, None] + quarter * np.array([-1, 1, -1, 1])).ravel()


def sweep(
    field: DistanceField, frame: Frame, side: Side, targets_mm: FloatArray, cone: Cone, length_mm: float, *, step_deg: float = 2.5
) -> Lines:
    """All lines of a regular grid of angles at every target."""
    alpha, cranial = (np.arange(low, high + 1e-9, step_deg) for low, high in (cone.alpha_deg, cone.cranial_deg))
    which, a, c = (grid.ravel() for grid in np.meshgrid(np.arange(len(targets_mm)), alpha, cranial, indexing="ij"))
    return _tried(field, frame, side, targets_mm[which], a, c, length_mm)


def _tried(
    field: DistanceField, frame: Frame, side: Side, targets: FloatArray, alpha: FloatArray, cranial: FloatArray, length: float
) -> Lines:
    slack, where = lowest_along(field, targets, direction_of(frame, side, alpha, cranial), length)
    return Lines(targets, alpha, cranial, slack.astype(np.float64), where.astype(np.float64))


def distinct(channels: Sequence[Channel], *, angle_deg: float = 5.0, shift_mm: float = 5.0) -> list[int]:
    """Indices of the channels that differ from every earlier kept one by an angle or by where they run at the target, best first."""
    kept: list[int] = []
    for index, channel in enumerate(channels):
        if all(
            channel.turned_by_deg(channels[other]) >= angle_deg or np.linalg.norm(channel.target_mm - channels[other].target_mm) >= shift_mm
            for other in kept
        ):
            kept.append(index)
    return kept
