"""The bones of a lumbarised S1: the vertebra that it becomes, what is left of its alae, and the sacrum under it.

The vertebra grows as the others are made while the sacral block that it lay in wears away: first the cleft between S1 and S2 opens from
the disc outwards and backwards, then the alae shrink into transverse processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import Frame
from kambin.phantom.column import JointPlace
from kambin.phantom.compose import Common, Cut, Offset, Placed, Union
from kambin.phantom.disc import DiscShape, over_upper_plate, under_lower_plate
from kambin.phantom.field import Box, Field, HalfSpace, Points, RoundedBox, Values, capsule, into, smooth_maximum
from kambin.phantom.transition import Transition
from kambin.phantom.vertebra import Body, JointSide, VertebraShape, articular_block, build_vertebra, vertebral_pieces

_ARCH_GAP_MM = 1.5
_ARCH_KINDS = (Kind.LAMINA, Kind.SPINOUS)
_ALA_FALL = 0.2
_ALA_FROM_MM = 22.0
_WING_FROM_MM = 13.0
"""From here outwards the sacral block takes part in the vertebra: it bounds the foramina, which are small as long as the alae are large."""
_GROWTH_MM = 7.0
"""Thickness that the arch of the new vertebra has to grow by, while it is still a part of the sacrum."""
_WEAR_MM = 16.0
"""Thickness that the alae have lost when the vertebra is wholly lumbar."""

_CANAL_WEAR_MM = 4.0
"""How far the block has worn away around the canal when the vertebra is free."""


@dataclass(frozen=True, eq=False)
class Shelf:
    """What lies below the upper surface of a sacrum that begins at S2: its endplate's plane, falling to the sides.

    Parameters
    ----------
    frame
        Of the endplate of S2, in patient millimetres.
    scale
        Of the patient's bones.
    raised_mm
        By how much the surface is raised.
    """

    frame: Frame
    scale: float
    raised_mm: float = 0.0
    slope: float = field(default=1.1, init=False)

    @property
    def box(self) -> Box:
        return Box.everywhere()

    def __call__(self, points: Points) -> Values:
        x, _y, z = into(self.frame, points)
        kind = points.dtype.type
        outwards = smooth_maximum(np.abs(x) - kind(_ALA_FROM_MM * self.scale), np.zeros_like(x), 8.0)
        return np.asarray(z + kind(_ALA_FALL) * outwards - kind(self.raised_mm))


@dataclass(frozen=True, eq=False)
class Cleft:
    """The gap between S1 and S2 beside and behind the disc, as far as it has opened.

    Parameters
    ----------
    shelf
        The upper surface of S2.
    gap_mm
        Its height.
    half_width_mm, back_mm
        How far it reaches to each side, and where it ends behind: anterior coordinate in the shelf's frame.
    """

    shelf: Shelf
    gap_mm: float
    half_width_mm: float
    back_mm: float
    slope: float = field(default=1.1, init=False)

    @property
    def box(self) -> Box:
        return self.shelf.box

    def __call__(self, points: Points) -> Values:
        x, y, _z = into(self.shelf.frame, points)
        kind = points.dtype.type
        above = self.shelf(points)
        height = np.maximum(-above, above - kind(self.gap_mm))
        return np.asarray(np.maximum(height, np.maximum(np.abs(x) - kind(self.half_width_mm), kind(self.back_mm) - y)))


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the sacrum gives to the making of a lumbarised S1, all in patient millimetres.

    Parameters
    ----------
    block
        The solid sacrum between the sacro-iliac joints.
    superior
        The superior articular processes of S1.
    arch
        That of L5 with a little room around it, which all but the superior articular processes keep off.
    openings
        The sacral foramina and the window between the arches, which only the sacral block has to be opened by.
    canal
        The sacral canal.
    clear_of
        What all bone keeps off besides: L5/S1 disc space and joints, and the hip bones' side of the sacro-iliac joints.
    scale
        Of the patient's bones.
    """

    block: Field
    superior: Mapping[Structure, Field]
    arch: Field
    openings: tuple[Field, ...]
    canal: Field
    clear_of: tuple[Field, ...]
    scale: float


@dataclass(frozen=True, eq=False)
class Lumbarised:
    """A lumbarised S1 and what is left of the sacrum.

    Parameters
    ----------
    first
        S1 as a vertebra.
    rest
        The sacrum from S2 on.
    bridge
        What still joins the two; None where nothing does.
    """

    first: VertebraShape
    rest: Field
    bridge: Field | None

    @property
    def sacrum(self) -> Field:
        """The bone that is called the sacrum: with S1, as long as anything joins it to the rest."""
        return self.rest if self.bridge is None else Union((self.first.whole, self.rest, self.bridge))


def disc_space(transition: Transition) -> DiscShape:
    """The S1/S2 disc space, as wide and deep as the two endplates."""
    upper, lower = transition.first.size, transition.second.size
    half = (0.25 * (upper.lower_width_mm + lower.upper_width_mm), 0.25 * (upper.lower_depth_mm + lower.upper_depth_mm))
    over, under = over_upper_plate(transition.second), under_lower_plate(transition.first)
    segment = transition.segment
    return DiscShape(segment.frame, half, segment.height_mm, 0.6 * upper.canal_width_mm, over, under)


def build_lumbarised(transition: Transition, around: Surroundings) -> Lumbarised:
    """The bones of a lumbarised S1."""
    scale, share = around.scale, transition.share
    shelf, gap = Shelf(transition.second.endplate(upper=True), scale), (0.5 + 3.0 * share**2) * scale
    openings = (*around.openings, around.arch)
    worn = Cut(Offset(around.block, -_WEAR_MM * scale * share**1.5), openings, 1.5)
    pieces = _pieces(transition, around, Cut(worn, (Shelf(shelf.frame, scale, gap),), 1.5))
    superior = {side: _superior(transition, side, scale) for side in Side}
    joint_gap = transition.segment.joints[Side.LEFT].size.gap_mm
    free = (around.canal, *around.clear_of, disc_space(transition))
    first = build_vertebra(transition.first, pieces, (*free, *(Offset(process, joint_gap) for process in superior.values())))
    inferior = tuple(Offset(piece, joint_gap) for name, piece in pieces.items() if name.kind is Kind.INFERIOR_ARTICULAR)
    arch = tuple(Offset(piece, _ARCH_GAP_MM) for name, piece in pieces.items() if name.kind in _ARCH_KINDS)
    below = Cut(Common((around.block, shelf), 3.0), (*openings, *arch), 1.5)
    second = Placed(Body(transition.second), transition.second.frame)
    rest = Cut(Union((below, second, *superior.values()), 3.0), (*free, *inferior), 1.0)
    if transition.free:
        return Lumbarised(first, rest, None)
    cleft = Cleft(shelf, gap, (20.0 + 34.0 * transition.freed) * scale, (-8.0 - 52.0 * transition.freed**2) * scale)
    joints = tuple(_opened(joint, transition.freed) for joint in transition.segment.joints.values())
    widened = Offset(around.canal, _CANAL_WEAR_MM * scale * transition.freed)
    bridge = Cut(Union((Cut(worn, (widened,), 1.0), *around.superior.values()), 3.0), (*free, cleft, *joints), 1.0)
    return Lumbarised(first, rest, bridge)


def _opened(joint: JointPlace, share: float) -> Field:
    """The space of a facet joint as far as it has opened in the bone."""
    size = joint.size
    return RoundedBox(joint.frame, (0.5 * share * size.width_mm + 1.0, 0.5 * size.gap_mm, 0.5 * share * size.height_mm + 1.0), 0.8)


def _pieces(transition: Transition, around: Surroundings, alae: Field) -> dict[Structure, Field]:
    """The primitives of S1 as a vertebra, with what is left of the alae."""
    place = transition.first
    pieces = vertebral_pieces(place, None, transition.segment, (0.0, 0.0))
    to_grow = _GROWTH_MM * around.scale * (1.0 - transition.freed)
    for name in pieces:
        if name.kind is not Kind.BODY and to_grow > 0:
            pieces[name] = Offset(pieces[name], -to_grow)
        if name.kind in _ARCH_KINDS:
            pieces[name] = Cut(pieces[name], (around.arch,), 1.0)
    for side in Side:
        name = Structure(Kind.TRANSVERSE, place.level, side)
        medial = HalfSpace(place.frame.world([side.sign * _WING_FROM_MM * around.scale, 0.0, 0.0]), -side.sign * place.frame.right)
        pieces[name] = Union((pieces[name], Common((alae, medial), 3.0)), 4.0)
    pieces |= {Structure(name.kind, place.level, name.side): piece for name, piece in around.superior.items()}
    return pieces


def _superior(transition: Transition, side: Side, scale: float) -> Field:
    """The superior articular process of S2, growing with the joint."""
    joint, place = transition.segment.joints[side], transition.second
    foot = joint.frame.world([0.0, -(joint.size.gap_mm / 2 + 3.0), -0.45 * joint.size.height_mm])
    root = place.frame.world([side.sign * 22.0 * scale, place.wall_mm - 9.0 * scale, 0.5 * place.height_mm - 9.0 * scale])
    process = Union((articular_block(joint, -1.0, 0.0), capsule(root, foot, 6.5 * scale, 4.5)), 4.0)
    to_grow = _GROWTH_MM * scale * (1.0 - transition.freed)
    return Common((Offset(process, -to_grow), JointSide(joint, superior=True)), 1.0)
