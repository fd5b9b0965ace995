"""The shape of one lumbar vertebra, and of its parts, from its place in the column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import FloatArray, Frame, unit
from kambin.phantom.column import JointPlace, SegmentPlace, VertebraPlace
from kambin.phantom.compose import Balls, Blocks, Common, Cut, Placed, Spans, Union, levels, spans
from kambin.phantom.field import (
    Box,
    EllipticRod,
    Field,
    HalfSpace,
    Points,
    RoundedBox,
    Values,
    capsule,
    into,
    slab,
    smooth_maximum,
    smooth_minimum,
)

_FILLET_MM = 4.0
_RIM_MM = 2.5
_JOINT_RADIUS_MM = 22.0
_TIE_MM = 1e-3
"""Points as deep in one part as in another, such as those of the midline, belong to both rather than to none."""
_WAIST, _WAIST_DEPTH = 0.10, 0.04
"""Share of its width and depth that a body loses in the middle of its height."""
_PEDICLE_TOP_MM = 1.5
"""Upper edge of the pedicles below the level of the upper endplate."""


@dataclass(frozen=True, eq=False)
class Body:
    """A vertebral body in the coordinates of its own frame: waisted, kidney-shaped, its endplates wedged and hollow.

    Parameters
    ----------
    place
        The vertebra.
    """

    place: VertebraPlace
    slope: float = field(default=1.7, init=False)

    @property
    def box(self) -> Box:
        size = self.place.size
        half = 0.5 * max(size.upper_width_mm, size.lower_width_mm) + 0.5
        depth = max(size.upper_depth_mm, size.lower_depth_mm)
        up = 0.5 * self.place.height_mm + 0.5 * depth * np.tan(np.radians(abs(size.wedge_deg) / 2)) + 0.5
        return Box(np.array([-half, self.place.wall_mm - 0.5, -up]), np.array([half, self.place.wall_mm + depth + 0.5, up]))

    def __call__(self, points: Points) -> Values:
        x, y, z = points
        above = -self.endplate_level(x, y, z, upper=True)
        below = self.endplate_level(x, y, z, upper=False)
        return smooth_maximum(self.outline_level(x, y, z), -np.minimum(above, below), _RIM_MM)

    def outline_level(self, x: Values, y: Values, z: Values) -> Values:
        """About the distance to the side wall, negative inside."""
        size, kind = self.place.size, x.dtype.type
        share = np.clip(z / kind(self.place.height_mm) + kind(0.5), 0, 1)
        slim = 4 * share * (1 - share)
        waist = 1 - kind(_WAIST) * slim
        a = 0.5 * (size.lower_width_mm + share * kind(size.upper_width_mm - size.lower_width_mm)) * waist
        depth = size.lower_depth_mm + share * kind(size.upper_depth_mm - size.lower_depth_mm)
        # The waist is cut from the front and the sides: the posterior wall is straight from top to bottom.
        b = 0.5 * depth * (1 - kind(_WAIST_DEPTH) * slim)
        return kidney_level(x, y - kind(self.place.wall_mm) - b, a, b, size.canal_width_mm)

    def endplate_level(self, x: Values, y: Values, z: Values, *, upper: bool) -> Values:
        """Height above an endplate's surface, hollow and tilted; negative below it."""
        size, kind = self.place.size, x.dtype.type
        width, depth, hollow = (
            (size.upper_width_mm, size.upper_depth_mm, size.upper_concavity_mm)
            if upper
            else (size.lower_width_mm, size.lower_depth_mm, size.lower_concavity_mm)
        )
        sign = 1 if upper else -1
        middle = self.place.wall_mm + depth / 2
        lean = np.tan(np.radians(0.5 * size.wedge_deg))
        # The deepest point of a hollow lies behind the middle; the rim keeps the outer fifth.
        ahead = y - kind(middle - 0.08 * depth)
        far = np.square(x / kind(0.42 * width)) + np.square(ahead / kind(0.40 * depth))
        dip = kind(hollow) * np.square(np.maximum(1 - far, 0))
        return np.asarray(z - sign * (kind(0.5 * self.place.height_mm) + kind(lean) * (y - kind(middle)) - dip))


def kidney_level(x: Values, y: Values, a: Values | float, b: Values | float, hilum_mm: float) -> Values:
    """About the distance to a kidney-shaped outline with half axes `a`, `b`; behind (towards -y) a hollow of `hilum_mm` width."""
    kind = x.dtype.type
    power = kind(2.4)
    far = np.power(np.power(np.abs(x / a), power) + np.power(np.abs(y / b), power), 1 / power)
    rim = np.clip(np.sqrt(x * x + y * y) / np.maximum(far, kind(1e-6)), np.minimum(a, b), np.maximum(a, b))
    convex = (far - 1) * rim
    # A wide ball takes a millimetre and a half from the middle of the posterior wall.
    chord, depth = kind(0.55 * hilum_mm), kind(1.5)
    radius = (chord * chord + depth * depth) / (2 * depth)
    hollow = np.hypot(x, y + b + radius - depth) - radius
    return smooth_maximum(convex, -hollow, 3.0)


@dataclass(frozen=True, eq=False)
class Part:
    """What belongs to one part of a bone: where its own primitives reach deeper than those of all other parts.

    Parameters
    ----------
    whole
        The bone.
    own
        The part's primitives.
    others
        Those of all other parts.
    """

    whole: Field
    own: Field
    others: Field

    @property
    def box(self) -> Box:
        return self.own.box.grown(_FILLET_MM).common(self.whole.box)

    @property
    def slope(self) -> float:
        return max(self.whole.slope, self.own.slope + self.others.slope)

    def __call__(self, points: Points) -> Values:
        return np.maximum(self.whole(points), self.own(points) - self.others(points) - points.dtype.type(_TIE_MM))

    def on_blocks(self, blocks: Blocks) -> Values:
        own = levels(self.own, blocks) - levels(self.others, blocks)
        return np.maximum(levels(self.whole, blocks), own - own.dtype.type(_TIE_MM))

    def in_balls(self, balls: Balls) -> Spans:
        deeper = spans(self.own, balls).less(spans(self.others, balls))
        return spans(self.whole, balls).greater(deeper.raised(balls.middle.dtype.type(-_TIE_MM)))


@dataclass(frozen=True, eq=False)
class VertebraShape:
    """One vertebra as shapes in patient millimetres.

    Parameters
    ----------
    whole
        All of it.
    parts
        Body, pedicles, laminae and processes, which fill the whole without overlap.
    body
        The body in the vertebra's own frame, whose endplates bound the discs.
    """

    whole: Field
    parts: Mapping[Structure, Part]
    body: Body


def vertebral_pieces(
    place: VertebraPlace, above: SegmentPlace | None, below: SegmentPlace, hypertrophy_mm: tuple[float, float]
) -> dict[Structure, Field]:
    """The primitives of one vertebra's parts, before they are joined and cut.

    Parameters
    ----------
    place
        Size and frame.
    above, below
        The segments it takes part in: its superior articular processes meet the joints above, its inferior ones those below.
    hypertrophy_mm
        Bone added around the joints above and below.
    """
    marks = Landmarks(place)
    pieces: dict[Structure, Field] = {Structure(Kind.BODY, place.level): Placed(Body(place), place.frame)}
    for side in Side:
        pieces[Structure(Kind.PEDICLE, place.level, side)] = _pedicle(marks, side)
        pieces[Structure(Kind.LAMINA, place.level, side)] = _lamina(marks, side)
        pieces[Structure(Kind.TRANSVERSE, place.level, side)] = _transverse(marks, side)
        pieces[Structure(Kind.INFERIOR_ARTICULAR, place.level, side)] = _inferior(marks, below.joints[side], hypertrophy_mm[1])
        if above is not None:
            pieces[Structure(Kind.SUPERIOR_ARTICULAR, place.level, side)] = _superior(marks, above.joints[side], hypertrophy_mm[0])
    pieces[Structure(Kind.SPINOUS, place.level)] = _spinous(marks)
    return pieces


def build_vertebra(place: VertebraPlace, pieces: Mapping[Structure, Field], clear_of: tuple[Field, ...]) -> VertebraShape:
    """One vertebra from its pieces.

    Parameters
    ----------
    place
        Size and frame.
    pieces
        Of `vertebral_pieces`.
    clear_of
        What it must not reach into: the articular processes of its neighbours with the joint's gap around them.
    """
    whole = Cut(Union(tuple(pieces.values()), _FILLET_MM), (_canal(Landmarks(place)), *clear_of), 1.0)
    parts = {
        name: Part(whole, piece, Union(tuple(other for key, other in pieces.items() if key != name))) for name, piece in pieces.items()
    }
    return VertebraShape(whole, parts, Body(place))


class Landmarks:
    """Points of one vertebra that its processes grow from, in patient millimetres."""

    def __init__(self, place: VertebraPlace) -> None:
        size = place.size
        self.place, self.size, self.frame = place, size, place.frame
        self.pedicle_z_mm = place.height_mm / 2 - _PEDICLE_TOP_MM - size.pedicle_height_mm / 2
        self.wall_mm = place.wall_mm

    def pedicle_x_mm(self, side: Side) -> float:
        """Of the pedicle's axis at its isthmus."""
        return side.sign * 0.5 * (self.size.canal_width_mm + self.size.pedicle_width_mm)

    def at(self, right: float, behind_wall: float, up: float) -> FloatArray:
        """A point by its place right of the midline, behind the posterior wall, and above the body's middle."""
        return self.frame.world([right, self.wall_mm - behind_wall, up])

    def junction(self, side: Side) -> FloatArray:
        """Where pedicle, lamina, transverse and superior articular process meet."""
        size = self.size
        x = self.pedicle_x_mm(side) + side.sign * np.tan(np.radians(size.pedicle_angle_deg)) * 4.0
        return self.at(float(x), size.pedicle_length_mm + 5.5, self.pedicle_z_mm - 0.5)

    def isthmus(self, side: Side) -> FloatArray:
        """The middle of the pars interarticularis."""
        size = self.size
        x = side.sign * (0.5 * size.canal_width_mm + 0.3 * size.pedicle_width_mm)
        return self.at(x, size.pedicle_length_mm + 6.2, self.pedicle_z_mm - 0.55 * size.pedicle_height_mm - 1.0)

    def lamina_middle(self) -> FloatArray:
        """Where the laminae meet, behind the canal."""
        size = self.size
        return self.at(0.0, size.canal_depth_mm + 0.55 * size.lamina_thickness_mm, self.pedicle_z_mm - 0.5 * size.lamina_height_mm - 2.0)


def _pedicle(marks: Landmarks, side: Side) -> Field:
    size = marks.size
    angle = np.radians(size.pedicle_angle_deg)
    ahead = np.cos(angle) * marks.frame.anterior - side.sign * np.sin(angle) * marks.frame.right
    isthmus = marks.at(marks.pedicle_x_mm(side), 0.5 * size.pedicle_length_mm, marks.pedicle_z_mm)
    frame = Frame.from_cranial_anterior(isthmus, marks.frame.cranial, ahead)
    half = (0.5 * size.pedicle_width_mm, 0.5 * size.pedicle_height_mm)
    # Deep enough into the body that no neck is left in front of the isthmus, and narrowing there, to stay under its wall.
    stations = (
        (-0.5 * size.pedicle_length_mm - 4.0, 1.05),
        (0.0, 1.0),
        (0.5 * size.pedicle_length_mm + 2.0, 1.04),
        (0.5 * size.pedicle_length_mm + 11.0, 0.6),
    )
    sections = tuple((share * half[0], share * half[1]) for _place, share in stations)
    return EllipticRod(frame, tuple(place for place, _share in stations), sections)


def _lamina(marks: Landmarks, side: Side) -> Field:
    size = marks.size
    # The plate leans: its upper edge lies further forward than its lower one.
    up = unit(marks.frame.cranial + 0.30 * marks.frame.anterior)
    start = marks.isthmus(side)
    plate = slab(start, marks.lamina_middle(), up, 0.42 * size.lamina_height_mm, 0.5 * size.lamina_thickness_mm)
    pars = capsule(marks.junction(side), start, 5.2 * _bulk(size.pedicle_width_mm), 4.6 * _bulk(size.pedicle_width_mm))
    return Union((plate, pars), _FILLET_MM)


def _bulk(pedicle_width_mm: float) -> float:
    """The arch is stouter where the pedicles are wide."""
    return float(np.clip((pedicle_width_mm / 10.0) ** 0.3, 0.8, 1.25))


def _transverse(marks: Landmarks, side: Side) -> Field:
    size, thick = marks.size, marks.place.level is Level.L5
    base = marks.at(marks.pedicle_x_mm(side) + side.sign * 2.0, size.pedicle_length_mm + 2.0, marks.pedicle_z_mm)
    lift = 3.0 if thick else 1.0
    tip = marks.at(side.sign * (size.transverse_span_mm / 2 - 4.0), size.pedicle_length_mm + 9.0, marks.pedicle_z_mm + lift)
    up = marks.frame.cranial
    if thick:
        return Union((capsule(base, tip, 8.5, 5.0), slab(base, tip, up, 6.5, 4.5)), _FILLET_MM)
    return Union((slab(base, tip, up, 5.5, 2.8), capsule(base, (base + tip) / 2, 6.0, 3.6)), _FILLET_MM)


def grown_to_sacrum(place: VertebraPlace, side: Side, contact_mm: FloatArray, share: float) -> Field:
    """What a transitional vertebra's transverse process has more: a broad wing that reaches a share of the way down to the ala.

    Parameters
    ----------
    contact_mm
        Point of the ala that it would meet.
    share
        0 to 1; at 1 it touches.
    """
    marks, size = Landmarks(place), place.size
    out = 0.62 * size.transverse_span_mm / 2
    start = marks.at(side.sign * out, size.pedicle_length_mm + 6.0, marks.pedicle_z_mm)
    return capsule(start, start + share * (contact_mm - start), 6.0 + 3.0 * share, 5.0 + 5.0 * share)


def _spinous(marks: Landmarks) -> Field:
    size = marks.size
    start = marks.lamina_middle()
    tip = marks.at(0.0, size.spinous_reach_mm - 3.5, marks.pedicle_z_mm - 0.5 * size.lamina_height_mm - 6.0)
    half = 0.5 * size.spinous_height_mm
    plate = slab(start, tip, marks.frame.cranial, half, 3.0)
    along = unit(tip - start)
    up = unit(marks.frame.cranial - (marks.frame.cranial @ along) * along)
    knob = capsule(tip - up * (half - 4.0), tip + up * (half - 6.0), 4.2, 3.4)
    return Union((plate, knob), _FILLET_MM)


def _superior(marks: Landmarks, joint: JointPlace, hypertrophy_mm: float) -> Field:
    """The superior articular process: from the junction up to the joint above, behind which the other bone lies."""
    block = articular_block(joint, -1.0, hypertrophy_mm)
    foot = joint.frame.world([0.0, -(joint.size.gap_mm / 2 + 3.5), -0.45 * joint.size.height_mm])
    stem = capsule(marks.junction(joint.side), foot, 6.0, 5.0)
    return Common((Union((block, stem), _FILLET_MM), JointSide(joint, superior=True)), 1.0)


def _inferior(marks: Landmarks, joint: JointPlace, hypertrophy_mm: float) -> Field:
    """The inferior articular process: from the pars down to the joint below."""
    block = articular_block(joint, 1.0, hypertrophy_mm)
    head = joint.frame.world([0.0, joint.size.gap_mm / 2 + 3.5, 0.40 * joint.size.height_mm])
    stem = capsule(marks.isthmus(joint.side), head, 4.8, 4.8)
    return Common((Union((block, stem), _FILLET_MM), JointSide(joint, superior=False)), 1.0)


def articular_block(joint: JointPlace, sign: float, hypertrophy_mm: float) -> Field:
    """The bone that carries an articular surface, reaching a little over the joint line (what is over is cut off)."""
    size = joint.size
    # The inferior process is slighter, and ends nearer to the joint's middle towards the midline: the window between the laminae is wide.
    thick, spared = (4.2, 0.0) if sign < 0 else (3.5, 1.5)
    centre = joint.frame.world([-joint.side.sign * spared, sign * (thick + 0.5 * size.gap_mm - 1.2), 0.0])
    half = (0.5 * size.width_mm - spared + hypertrophy_mm, thick + hypertrophy_mm, 0.5 * size.height_mm + 1.0 + 0.7 * hypertrophy_mm)
    return RoundedBox(joint.frame.moved_to(centre), half, 3.4)


@dataclass(frozen=True, eq=False)
class JointSide:
    """One side of a facet joint: all that lies at least half the gap from its middle surface.

    The superior process is hollow, the inferior one round.

    Parameters
    ----------
    joint
        The joint.
    superior
        Whether it is the side of the lower vertebra's superior articular process.
    """

    joint: JointPlace
    superior: bool
    slope: float = field(default=1.5, init=False)

    @property
    def box(self) -> Box:
        return Box.everywhere()

    def __call__(self, points: Points) -> Values:
        local = into(self.joint.frame, points)
        kind = points.dtype.type
        across = np.clip(local[0], -12, 12)
        height = local[1] - across * across / kind(2 * _JOINT_RADIUS_MM)
        half = kind(0.5 * self.joint.size.gap_mm)
        return np.asarray(height + half if self.superior else half - height)


def _canal(marks: Landmarks) -> Field:
    """The bony canal: an upright tube behind the body, wider than high, pointed behind."""
    size = marks.size
    half = (0.5 * size.canal_width_mm, 0.5 * size.canal_depth_mm)
    centre = marks.at(0.0, half[1], 0.0)
    upright = Frame.from_cranial_anterior(centre, marks.frame.anterior, marks.frame.cranial)
    section = (half[0], half[1] + 1.0)
    reach = marks.place.height_mm
    tube = EllipticRod(upright, (-reach, reach), (section, section))
    front = HalfSpace(marks.at(0.0, 0.0, 0.0), marks.frame.anterior)
    return Common((tube, front))


__all__ = ["Body", "Landmarks", "VertebraShape", "build_vertebra", "kidney_level", "smooth_minimum"]
