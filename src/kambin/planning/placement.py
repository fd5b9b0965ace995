"""The published placement of a transforaminal channel, and the group that it puts a foramen into (`peld-l5s1`).

The channel's inner end lies at *b*. In the disc mid-plane (or tilted from it by a stated angle) it is turned outwards from straight
backwards until its lateral edge meets the iliac bone: that is *c*. Above the crest, where it never does, it takes a stated angle. The
foramen is of group A (transforaminal advised) when the channel then touches neither inferior articular process, transverse process nor
nerve; else of group B.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kambin.geometry import FloatArray
from kambin.planning.around import Around, Clearance
from kambin.planning.channel import Channel, direction_of
from kambin.planning.lowest import lowest_along
from kambin.planning.way import SHIFTS_MM, Change, Verdict, changes_of, room_of

GROUPS = ("iap", "transverse", "nerve")
"""What decides between A and B."""
_ALPHA_STEP_DEG = 0.25
_LEAST_ALPHA_DEG = 5.0


@dataclass(frozen=True, eq=False)
class Placement:
    """A channel placed as published.

    Parameters
    ----------
    channel
        Where it lies.
    alpha_deg
        Its angle to the coronal plane.
    contact_mm
        Point *c* on the channel's lateral edge, RAS, shape (3,); None where the iliac bone is not met and the angle is the stated one.
    """

    channel: Channel
    alpha_deg: float
    contact_mm: FloatArray | None


def place_as_published(
    around: Around,
    target_mm: FloatArray,
    *,
    radius_mm: float = 4.0,
    length_mm: float = 150.0,
    tilt_deg: float = 0.0,
    free_alpha_deg: float = 40.0,
    ilium_shifts_mm: Sequence[float] = (0.0,),
) -> list[Placement]:
    """Turn a channel about its target until its lateral edge meets the iliac bone; once for each place that this bone may have.

    Parameters
    ----------
    around
        The foramen.
    target_mm
        Point *b*, RAS.
    radius_mm, length_mm
        Of the channel.
    tilt_deg
        Its angle to the axial plane of the segment, positive where it comes from above.
    free_alpha_deg
        The angle to the coronal plane where it never meets the iliac bone.
    ilium_shifts_mm
        How much further out the iliac bone's surface is taken to lie.
    """
    alphas = np.arange(90.0, _LEAST_ALPHA_DEG, -_ALPHA_STEP_DEG)
    room = _room_to_ilium(around, target_mm, alphas, tilt_deg, length_mm) - radius_mm
    placements = []
    for shift in ilium_shifts_mm:
        met = _first_met(alphas, room - shift)
        alpha = free_alpha_deg if met is None else met
        channel = Channel(target_mm, direction_of(around.frame, around.side, alpha, tilt_deg), radius_mm, length_mm)
        placements.append(Placement(channel, alpha, None if met is None else _contact_mm(around, channel)))
    return placements


def _first_met(alphas: FloatArray, room: FloatArray) -> float | None:
    """The first angle without room, found between the last that has some and the first that has none."""
    meets = np.flatnonzero(room <= 0)
    if not len(meets):
        return None
    first = int(meets[0])
    if not first:
        return float(alphas[0])
    share = room[first - 1] / (room[first - 1] - room[first])
    return float(alphas[first - 1] - share * _ALPHA_STEP_DEG)


def _contact_mm(around: Around, channel: Channel) -> FloatArray:
    """Where the channel's lateral edge meets the iliac bone."""
    met = min((around.clearance(channel, bone) for bone in around.group("ilium")), key=room_of)
    outwards = around.side.sign * around.frame.right
    edge = outwards - (outwards @ channel.direction) * channel.direction
    return np.asarray(met.axis_mm + channel.radius_mm * edge / np.linalg.norm(edge))


def judge(around: Around, target_mm: FloatArray, **placed: float) -> tuple[Verdict, Placement]:
    """The group of a foramen, with every surface moved by 1 and 2 mm to see what would change it; and the placement that was judged.

    `placed` goes to `place_as_published`. The iliac bone's surface moves the channel; the others' move themselves.
    """
    shifts = SHIFTS_MM if around.group("ilium") else ()
    placement, *moved = place_as_published(around, target_mm, **placed, ilium_shifts_mm=(0.0, *shifts))
    clearances = _deciding(around, placement.channel)
    rooms = {each.obstacle.name: room_of(each) for each in clearances}
    group = _group(rooms.values())
    changes = [*changes_of(rooms, _group)]
    for shift, other in zip(shifts, moved, strict=True):
        becomes = _group(room_of(each) for each in _deciding(around, other.channel))
        if becomes != group:
            changes.append(Change("iliac bone", shift, becomes))
    touched = tuple(around.counted(placement.channel, each) for each in clearances if each.touches)
    return Verdict(group, touched, tuple(sorted(changes, key=lambda change: abs(change.shift_mm)))), placement


def _room_to_ilium(around: Around, target_mm: FloatArray, alphas: FloatArray, tilt_deg: float, length_mm: float) -> FloatArray:
    directions = direction_of(around.frame, around.side, alphas, tilt_deg)
    rooms = [lowest_along(around.fields[bone], target_mm[None], directions, length_mm)[0] for bone in around.group("ilium")]
    return np.min(rooms, axis=0).astype(np.float64) if rooms else np.full(len(alphas), np.inf)


def _deciding(around: Around, channel: Channel) -> list[Clearance]:
    """Clearances of the structures that decide the group, the tightest first."""
    return sorted((around.clearance(channel, obstacle) for key in GROUPS for obstacle in around.group(key)), key=room_of)


def _group(rooms: Iterable[float]) -> str:
    return "B" if any(room < 0 for room in rooms) else "A"
