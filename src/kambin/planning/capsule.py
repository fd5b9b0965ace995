"""The surface of a channel, for other programs to show."""

from __future__ import annotations

import numpy as np

from kambin.geometry import unit
from kambin.planning.channel import Channel
from kambin.spine import SurfaceMesh

_AROUND = 48
_RINGS = 12


def capsule_surface(channel: Channel) -> SurfaceMesh:
    """A channel as a closed surface: a tube of 48 sides with round ends, its corners on the channel's wall."""
    rise = np.radians(np.linspace(-90.0, 0.0, _RINGS + 1)[1:])
    inner = channel.radius_mm * np.stack([np.cos(rise), np.sin(rise)], axis=1)
    outer = channel.radius_mm * np.stack([np.cos(rise), -np.sin(rise)], axis=1)[::-1] + [0.0, channel.length_mm]
    profile = np.concatenate([inner, outer])  # distance from the axis and place along it, from the inner end to the outer
    turn = np.radians(np.arange(_AROUND) * 360.0 / _AROUND)
    across = unit(np.cross(channel.direction, np.eye(3)[np.abs(channel.direction).argmin()]))
    third = np.cross(channel.direction, across)
    wheel = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * third
    rings = channel.target_mm + profile[:, None, :1] * wheel + profile[:, None, 1:] * channel.direction
    tips = channel.at(np.array([-channel.radius_mm, channel.length_mm + channel.radius_mm]))
    return SurfaceMesh(np.concatenate([rings.reshape(-1, 3), tips]), _faces(len(profile)))


def _faces(rings: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Two triangles between each two neighbours of a ring and those of the next, and a fan at each tip."""
    here = np.arange(_AROUND)
    following = (here + 1) % _AROUND
    faces = []
    for first in _AROUND * np.arange(rings - 1):
        a, b, c, d = first + here, first + following, first + _AROUND + following, first + _AROUND + here
        faces += [np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]
    last, tip = _AROUND * (rings - 1), _AROUND * rings
    faces.append(np.stack([following, here, np.full(_AROUND, tip)], axis=1))
    faces.append(np.stack([last + here, last + following, np.full(_AROUND, tip + 1)], axis=1))
    return np.concatenate(faces).astype(np.int64)
