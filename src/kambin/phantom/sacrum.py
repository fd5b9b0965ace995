"""The sacrum with the coccyx: the bulk of `sacral_block` with its foramina, articular processes, crests and tubercles.

Ventral foramina 13 wide (Saluja 2018), dorsal ones 24 from the midline (Kim 2023), superior articular processes at the L5/S1 joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import FloatArray, Frame
from kambin.phantom.column import Column, JointPlace
from kambin.phantom.compose import Common, Cut, Offset, Placed, Union
from kambin.phantom.field import Field, Values, capsule
from kambin.phantom.lumbarised import Surroundings, build_lumbarised
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.sacral_block import (
    BODY_DEPTH,
    CANAL_DEPTH,
    CANAL_HALF_WIDTH,
    BothSides,
    DiscSpace,
    OpenBehind,
    SacralBlock,
    SacralCanal,
    at,
    roof_at,
    value,
)
from kambin.phantom.sacroiliac import GAP_MM, Sheet
from kambin.phantom.transition import Transition, transition_of
from kambin.phantom.vertebra import JointSide, Part, VertebraShape, articular_block, vertebral_pieces

_ARCH_GAP_MM = 1.5
"""Between the arch of L5 and the sacrum, where they come near."""
_FORAMEN_S_MM = {1: 34.0, 2: 59.5, 3: 79.5, 4: 95.5}
_VENTRAL_X_MM = {1: 21.8, 2: 20.8, 3: 19.3, 4: 18.0}
"""Interforaminal distances 31, 29, 28, 27 plus half a foramen."""
_VENTRAL_RADIUS_MM = {1: 6.3, 2: 6.4, 3: 5.2, 4: 4.2}
_DORSAL_X_MM = {1: 24.1, 2: 21.0, 3: 19.0, 4: 16.5}
_DORSAL_RADIUS_MM = {1: 4.4, 2: 3.6, 3: 3.0, 4: 2.4}
_SLANT_MM = {1: 9.0, 2: 6.5, 3: 4.0, 4: 2.5}
"""How much further down the passages lie in the canal than at their ventral openings."""
_WIDENED_MM = 5.0
"""By how much further out the first foramen opens where S1 is lumbarised."""
_CREST = ((44.0, 11.0), (62.0, 10.0), (77.0, 6.5))
"""Spinous tubercles of S1 to S3: place along the curve and height behind the roof of the canal."""


@dataclass(frozen=True, eq=False)
class SacrumShape:
    """The sacrum as shapes in patient millimetres.

    Parameters
    ----------
    whole
        All of it, coccyx included.
    parts
        The superior articular processes of S1.
    canal
        The sacral canal from the level of the endplate to the hiatus.
    foramina
        By number (1: that of the S1 root) and side, points of shape (n, 3) from the canal out through the ventral foramen.
    frame
        Of the S1 endplate.
    body
        The shape in that frame without foramina and joints; its endplate bounds the L5/S1 disc.
    transition
        Where S1 is lumbarised: the places of S1, S2 and what lies between them.
    freed
        A lumbarised S1 that is no part of the sacrum any more.
    """

    whole: Field
    parts: Mapping[Structure, Field]
    canal: Field
    foramina: Mapping[tuple[int, Side], FloatArray]
    frame: Frame
    body: SacralBlock
    transition: Transition | None = None
    freed: VertebraShape | None = None

    def endplate_level(self, x: Values, y: Values, z: Values) -> Values:
        """Height above the S1 endplate's surface of points in its frame; negative below."""
        return self.body.endplate_level(x, y, z)

    def ala_top(self, side: Side) -> FloatArray:
        """RAS point on the upper surface of the ala, under the transverse process of L5."""
        scale = self.body.scale
        right, anterior = 39.0 * scale, -21.0 * scale
        return self.frame.world([side.sign * right, anterior, self.body.ala_height(right, anterior)])


def build_sacrum(parameters: PatientParameters, column: Column) -> SacrumShape:
    """The sacrum under a column.

    Parameters
    ----------
    parameters
        Width of the canal and bone around the L5/S1 joints are taken from them.
    column
        Gives the place of the S1 endplate and of the L5/S1 joints.
    """
    scale, frame = column.scale, column.sacrum
    body = SacralBlock(scale)
    block = Union((body, BothSides(_ornaments(body))), 6.0)
    between = Common((block, Sheet(scale, lateral=False, clear_mm=-0.5 * GAP_MM)), 5.0)
    transition = transition_of(parameters, column)
    bores = BothSides(Union(tuple(tool for number in _FORAMEN_S_MM for tool in _foramen_tools(body, number, transition))))
    joints, arch = _neighbours(parameters, column)
    carved = Cut(Placed(Cut(between, (bores, OpenBehind(scale)), 1.5), frame), (arch,), 1.0)
    pieces = superior_pieces(parameters, column)
    joined = Union((carved, *pieces.values()), 3.0)
    over = (DiscSpace(body), SacralCanal(scale, parameters.canal_scale, top_mm=40.0))
    whole: Field = Cut(joined, (*(Placed(tool, frame) for tool in over), *joints), 1.0)
    freed = None
    if transition is not None:
        opened = (Placed(bores, frame), Placed(OpenBehind(scale), frame))
        beside = Sheet(scale, lateral=True, clear_mm=0.5 * GAP_MM)
        space, canal = (Placed(tool, frame) for tool in over)
        clear_of = (space, Placed(beside, frame), *joints)
        lumbarised = build_lumbarised(transition, Surroundings(Placed(between, frame), pieces, arch, opened, canal, clear_of, scale))
        whole, freed = lumbarised.sacrum, lumbarised.first if transition.free else None
    parts: dict[Structure, Field] = {}
    for name, piece in pieces.items():
        parts[name] = Part(whole, piece, Union((Placed(body, frame), *(other for key, other in pieces.items() if key != name))))
    foramina = {(n, side): frame.world(_centre_line(body, n, side, transition)) for n in _FORAMEN_S_MM for side in Side}
    return SacrumShape(whole, parts, Placed(SacralCanal(scale, parameters.canal_scale), frame), foramina, frame, body, transition, freed)


def superior_pieces(parameters: PatientParameters, column: Column) -> dict[Structure, Field]:
    """The superior articular processes of S1 before they are joined to it: what L5 keeps clear of."""
    hypertrophy = parameters.at("facet_hypertrophy", "l5s1")
    joints = column.segments["l5s1"].joints
    return {Structure(Kind.SUPERIOR_ARTICULAR, Level.S1, side): _superior(column, joints[side], hypertrophy) for side in Side}


def _superior(column: Column, joint: JointPlace, hypertrophy_mm: float) -> Field:
    """The superior articular process of S1, from the root of the ala up to the joint."""
    foot = joint.frame.world([0.0, -(joint.size.gap_mm / 2 + 3.5), -0.45 * joint.size.height_mm])
    root = column.sacrum.world(np.array([joint.side.sign * 25.0, -27.0, -12.0]) * column.scale)
    stem = capsule(root, foot, 8.0 * column.scale, 5.0)
    return Common((Union((articular_block(joint, -1.0, hypertrophy_mm), stem), 4.0), JointSide(joint, superior=True)), 1.0)


def _neighbours(parameters: PatientParameters, column: Column) -> tuple[tuple[Field, ...], Field]:
    """What of L5 the sacrum keeps clear of: the inferior articular processes with the joints' gap, and the arch, by a little."""
    segment, hypertrophy = column.segments["l5s1"], parameters.at("facet_hypertrophy", "l5s1")
    pieces = vertebral_pieces(column.vertebrae[Level.L5], None, segment, (0.0, hypertrophy))
    gap = segment.joints[Side.LEFT].size.gap_mm
    joints = tuple(Offset(piece, gap) for name, piece in pieces.items() if name.kind is Kind.INFERIOR_ARTICULAR)
    arch = Union(tuple(piece for name, piece in pieces.items() if name.kind in (Kind.LAMINA, Kind.SPINOUS)))
    return joints, Offset(arch, _ARCH_GAP_MM)


def _ornaments(body: SacralBlock) -> Field:
    """Median crest, articular and lateral tubercles, cornua, of the right side."""
    scale = body.scale
    result: list[Field] = []
    for place, height in _CREST:
        foot, tip = (at(body, 0.0, place + down, roof_at(place) + up) for down, up in ((-3.0, -1.0), (1.0, height - 3.5)))
        low = at(body, 0.0, place + 11.0, roof_at(place + 11.0) + 0.5)
        result += [capsule(foot, tip, 3.5 * scale, 3.2 * scale), capsule(tip, low, 3.0 * scale, 2.6 * scale)]
    result += [_bump(body, across, place, 2.6) for place, across in ((33.0, 21.0), (56.0, 18.5), (74.0, 16.0))]
    result += [_bump(body, across, place, 3.0) for place, across in ((47.0, 35.0), (68.0, 31.0), (86.0, 27.0))]
    horn = [at(body, 8.2, place, roof_at(place) + up) for place, up in ((92.0, 0.0), (109.0, 1.5))]
    return Union((*result, capsule(horn[0], horn[1], 2.4 * scale, 2.2 * scale)), 3.0)


def _bump(body: SacralBlock, right: float, place: float, radius: float) -> Field:
    """A tubercle on the dorsal surface."""
    fall = 0.5 * max(abs(right) - 21.0, 0.0)
    one, two = (at(body, right, place + d, roof_at(place + d) - fall - 0.2 * radius) for d in (-3.0, 3.0))
    return capsule(one, two, radius * body.scale)


def _foramen_tools(body: SacralBlock, number: int, transition: Transition | None) -> list[Field]:
    """Bores from the canal to the pelvic and the dorsal surface, of the right side."""
    scale = body.scale
    line = _centre_line(body, number, Side.RIGHT, transition)
    ventral, s = _VENTRAL_RADIUS_MM[number], _FORAMEN_S_MM[number] + _SLANT_MM[number]
    radii = np.array([0.55, 0.75, 0.92, 1.0, 1.15]) * ventral * scale
    bores: list[Field] = [capsule(a, b, r0, r1) for a, b, r0, r1 in zip(line[:-1], line[1:], radii[:-1], radii[1:], strict=True)]
    x, dorsal = _DORSAL_X_MM[number], _DORSAL_RADIUS_MM[number]
    inner, outer = value(BODY_DEPTH, s) - 2.0, roof_at(s) + 5.0
    bores.append(capsule(at(body, 0.95 * x, s, inner), at(body, x, s + 1.5, outer), dorsal * scale, 1.2 * dorsal * scale))
    return bores


def _centre_line(body: SacralBlock, number: int, side: Side, transition: Transition | None) -> FloatArray:
    """From the lateral recess of the canal out through the ventral foramen, in the frame of the endplate; shape (5, 3)."""
    s, x, slant = _FORAMEN_S_MM[number], _VENTRAL_X_MM[number], _SLANT_MM[number]
    if transition is not None and number == 1:
        x += _WIDENED_MM * transition.share  # the bodies and the disc become broad
    low = s + slant
    depth, tube = value(BODY_DEPTH, low), value(CANAL_DEPTH, low)
    above = 16.0 if number == 1 else 10.0
    recess = value(CANAL_HALF_WIDTH, low - above) * 0.62
    high = value(BODY_DEPTH, low - above) + 0.5 * value(CANAL_DEPTH, low - above)
    path = [(recess, low - above, high), (0.45 * recess + 0.55 * x, low - 0.25 * above, depth + 0.4 * tube)]
    path += [(0.96 * x, low - 0.3 * slant, 0.62 * depth), (x, s + 0.5, 0.0), (x + 5.0, s + 3.0, -11.0)]
    return np.array([at(body, side.sign * right, *place) for right, *place in path])
