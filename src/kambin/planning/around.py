"""The fields of everything about one foramen, and how far a channel keeps from each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.planning.channel import Channel
from kambin.planning.exact import axis_to_surface
from kambin.planning.field import REACH_MM, DistanceField
from kambin.planning.fields import Fields
from kambin.planning.lowest import lowest_along
from kambin.planning.obstacles import Obstacle, surroundings
from kambin.planning.reaming import inside_mm3
from kambin.spine import MotionSegment, Solid, SpineModel

_OUTSIDE_MM = 0.3
"""An axis that keeps further than this by its field does not enter the structure."""
_ROOM_MM = 5.0
"""Room beyond a wide tube's wall that is of interest."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where about a segment an approach runs: how far it reaches in the directions of the segment's frame, in millimetres.

    `inwards_mm` is across the midline, `outwards_mm` to the side that is planned.
    """

    inwards_mm: float
    outwards_mm: float
    backwards_mm: float
    forwards_mm: float
    down_mm: float
    up_mm: float

    def corners_mm(self, frame: Frame, side: Side) -> FloatArray:
        """Its eight corners, RAS, shape (8, 3)."""
        axes = (
            (-side.sign * self.inwards_mm, side.sign * self.outwards_mm),
            (-self.backwards_mm, self.forwards_mm),
            (-self.down_mm, self.up_mm),
        )
        return frame.world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(8, 3))


POSTEROLATERAL = Region(20.0, 130.0, 120.0, 30.0, 60.0, 95.0)
"""Of transforaminal channels and needles."""


@dataclass(frozen=True, eq=False)
class Clearance:
    """The room between a channel and one structure.

    Parameters
    ----------
    obstacle
        The structure.
    room_mm
        Shortest distance from the channel's wall to it, negative where it reaches in by so much; None where it is further than is looked.
    depth_mm
        Where along the axis that is, from the target.
    axis_mm
        That point of the axis, RAS, shape (3,).
    conflict_mm3
        How much of the structure lies inside the channel; None where that was not counted.
    """

    obstacle: Obstacle
    room_mm: float | None
    depth_mm: float
    axis_mm: FloatArray
    conflict_mm3: float | None = None

    @property
    def touches(self) -> bool:
        return self.room_mm is not None and self.room_mm < 0


@dataclass(frozen=True, eq=False)
class Around:
    """What one foramen is surrounded by, ready to be asked.

    Parameters
    ----------
    segment, side
        Which foramen.
    fields
        Of each obstacle near the region the distance to it.
    reamable
        The superior articular process that may be reamed, and the distance to it; None where the model has none by itself.
    missing
        What should have been kept clear of and is not in the model.
    region
        Where an approach runs.
    all_fields
        The patient's.
    """

    segment: MotionSegment
    side: Side
    fields: Mapping[Obstacle, DistanceField]
    reamable: tuple[Solid, DistanceField] | None
    missing: tuple[str, ...]
    region: Region
    all_fields: Fields

    @property
    def frame(self) -> Frame:
        return self.segment.frame

    @property
    def unsure(self) -> tuple[str, ...]:
        """Names of what a network drew nearby without being sure of it."""
        return tuple(obstacle.name for obstacle in self.fields if obstacle.is_unsure)

    @classmethod
    def of(
        cls, model: SpineModel, segment: MotionSegment, side: Side, region: Region = POSTEROLATERAL, fields: Fields | None = None
    ) -> Around:
        """Gather everything about one foramen.

        `fields` are the patient's, if there are any yet: those that are missing take a second or so each.
        """
        kept = Fields(model) if fields is None else fields
        found = surroundings(model, segment, side)
        corners = segment.frame.local(region.corners_mm(segment.frame, side))
        low, high = corners.min(axis=0) - REACH_MM, corners.max(axis=0) + REACH_MM
        near = [obstacle for obstacle in found.obstacles if _meets(obstacle, segment.frame, low, high)]
        reamable = None if found.reamable is None else (found.reamable, kept.to([found.reamable]))
        return cls(segment, side, {obstacle: kept.of(obstacle) for obstacle in near}, reamable, found.missing, region, kept)

    def free(self, margins_mm: Mapping[str, float]) -> DistanceField:
        """One field for all obstacles over the region: the smallest of their distances, each less the margin of its group."""
        grid = self.all_fields.lattice_about(self.region.corners_mm(self.frame, self.side))
        return self.all_fields.lowest(self.fields.values(), [margins_mm[obstacle.group] for obstacle in self.fields], grid)

    def group(self, key: str) -> tuple[Obstacle, ...]:
        """The obstacles of one group of margins."""
        return tuple(obstacle for obstacle in self.fields if obstacle.group == key)

    def clearance(self, channel: Channel, obstacle: Obstacle) -> Clearance:
        """How far a channel keeps from one structure.

        Exact to the surface where the axis stays outside and nothing was cut away from it; to a fifth of a millimetre elsewhere.
        """
        lowest, where = (
            float(found[0])
            for found in lowest_along(self.fields[obstacle], channel.target_mm[None], channel.direction[None], channel.length_mm)
        )
        # a field ends before, or not far beyond, the wall of a wide tube
        reach = max(REACH_MM - 0.1, channel.radius_mm + _ROOM_MM)
        if lowest > _OUTSIDE_MM and not obstacle.without and (lowest < REACH_MM - 0.1 or reach > REACH_MM):
            lowest, where = min(axis_to_surface(channel, solid) for solid in obstacle.solids)
        room = lowest - channel.radius_mm if lowest < reach else None
        return Clearance(obstacle, room, where, channel.at(where))

    def counted(self, channel: Channel, found: Clearance) -> Clearance:
        """The same with how much of the structure lies inside the channel, where any does."""
        if not found.touches:
            return found
        return replace(found, conflict_mm3=inside_mm3(channel, found.obstacle.solids, found.obstacle.without))

    def rooms_mm(self, channel: Channel) -> dict[Obstacle, float]:
        """The room to every structure to a fifth of a millimetre, in a few milliseconds: for a channel that is being moved. Infinite where
        a structure is further than is looked."""
        found = {}
        for obstacle, field in self.fields.items():
            lowest = float(lowest_along(field, channel.target_mm[None], channel.direction[None], channel.length_mm)[0][0])
            found[obstacle] = lowest - channel.radius_mm if lowest < REACH_MM - 0.1 else float("inf")
        return found

    def clearances(self, channel: Channel) -> tuple[Clearance, ...]:
        """Those of all structures, the tightest first."""
        found = [self.clearance(channel, obstacle) for obstacle in self.fields]
        return tuple(sorted(found, key=lambda each: np.inf if each.room_mm is None else each.room_mm))


def _meets(obstacle: Obstacle, frame: Frame, low: FloatArray, high: FloatArray) -> bool:
    for solid in obstacle.solids:
        points = frame.local(solid.mesh.vertices_mm)
        if ((points >= low) & (points <= high)).all(axis=1).any():
            return True
    return False
