"""The fields of everything about one foramen, and how far a channel keeps from each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.planning.channel import Channel
from kambin.planning.field import REACH_MM, DistanceField, distance_field, lattice_about
from kambin.planning.lowest import lowest_along
from kambin.planning.obstacles import Obstacle, surroundings
from kambin.spine import MotionSegment, Solid, SpineModel

_INWARDS_MM, _OUTWARDS_MM = 20.0, 130.0
_BACKWARDS_MM, _FORWARDS_MM = 120.0, 30.0
_DOWN_MM, _UP_MM = 60.0, 95.0


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
    """

    obstacle: Obstacle
    room_mm: float | None
    depth_mm: float
    axis_mm: FloatArray

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
        Of each obstacle within reach the distance to it.
    reamable
        The superior articular process that may be reamed, and the distance to it; None where the model has none by itself.
    missing
        What should have been kept clear of and is not in the model.
    """

    segment: MotionSegment
    side: Side
    fields: Mapping[Obstacle, DistanceField]
    reamable: tuple[Solid, DistanceField] | None
    missing: tuple[str, ...]

    @property
    def frame(self) -> Frame:
        return self.segment.frame

    @classmethod
    def of(cls, model: SpineModel, segment: MotionSegment, side: Side) -> Around:
        """Gather and sample everything about one foramen; some seconds."""
        found = surroundings(model, segment, side)
        inner, outer = sorted((-side.sign * _INWARDS_MM, side.sign * _OUTWARDS_MM))
        grid = lattice_about(segment.frame, (inner, -_BACKWARDS_MM, -_DOWN_MM), (outer, _FORWARDS_MM, _UP_MM))
        fields = {obstacle: distance_field(obstacle.solids, grid, without=obstacle.without) for obstacle in found.obstacles}
        within = {obstacle: field for obstacle, field in fields.items() if field.distance_mm.min() < REACH_MM}
        reamable = None if found.reamable is None else (found.reamable, distance_field([found.reamable], grid))
        return cls(segment, side, within, reamable, found.missing)

    def group(self, key: str) -> tuple[Obstacle, ...]:
        """The obstacles of one group of margins."""
        return tuple(obstacle for obstacle in self.fields if obstacle.group == key)

    def clearance(self, channel: Channel, obstacle: Obstacle) -> Clearance:
        """How far a channel keeps from one structure, to a fifth of a millimetre."""
        lowest, where = lowest_along(self.fields[obstacle], channel.target_mm[None], channel.direction[None], channel.length_mm)
        near = bool(lowest[0] < REACH_MM - 0.1)  # the last of it is read between a distance and nothing
        room = float(lowest[0]) - channel.radius_mm if near else None
        return Clearance(obstacle, room, float(where[0]), channel.at(float(where[0])))

    def clearances(self, channel: Channel) -> tuple[Clearance, ...]:
        """Those of all structures, the tightest first."""
        found = [self.clearance(channel, obstacle) for obstacle in self.fields]
        return tuple(sorted(found, key=lambda each: np.inf if each.room_mm is None else each.room_mm))
