"""The hip bones: iliac wing, acetabulum, ischium and pubis, placed on the sacrum so that crests and width are as asked.

Dimensions of the mean man: bicristal breadth 282, crest tops 85 from the midline, anterior superior spines 225 to 240 apart, posterior
ones 85, acetabulum 50 wide with its centre 85 from the midline and 106 from the S1 endplate, pelvic incidence 50 degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray, Frame, unit
from kambin.phantom.column import Column
from kambin.phantom.compose import Balls, Blocks, Common, Cut, Placed, Spans, Union, levels, spans
from kambin.phantom.field import Box, Field, HalfSpace, Points, RoundedBox, Values, capsule, into, slab
from kambin.phantom.ilium import Wing, out_of_chart
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.sacroiliac import GAP_MM, Sheet

SYMPHYSIS_GAP_MM = 5.0
_INCIDENCE_DEG, _TILT_DEG = 50.0, 10.9
"""Pelvic incidence where the sacral slope is `_SLOPE_DEG`, and what the line from S1 to the hip joints, as drawn here, leans forward."""
_SLOPE_DEG, _INCIDENCE_PER_SLOPE = 38.0, 0.6
"""A steep sacrum goes with a large incidence; the rest of the slope is the pelvis leaning forward."""
HEAD_MM = np.array([85.0, 20.0, -104.0])
"""Centre of the femoral head, in the pelvic frame of the mean man; its cartilage counts in the radius."""
HEAD_RADIUS_MM, _CUP_RADIUS_MM = 25.0, 30.0
_OPENING = unit([0.72, 0.32, -0.62])
"""Where the acetabulum looks: outwards, down and a little forward."""


@dataclass(frozen=True, eq=False)
class Mirrored:
    """A shape of the right side, drawn in an upright frame for the mean man, on either side of a patient.

    Parameters
    ----------
    shape
        Of the right side.
    frame
        The patient's.
    side
        Where it is to be.
    scale
        Of the patient's bones.
    """

    shape: Field
    frame: Frame
    side: Side
    scale: float

    @property
    def box(self) -> Box:
        corners = self.shape.box.corners_mm * self.scale * np.array([self.side.sign, 1, 1])
        return Box.around(self.frame.world(corners))

    @property
    def slope(self) -> float:
        return self.shape.slope

    def __call__(self, points: Points) -> Values:
        return self.shape(self._local(points)) * points.dtype.type(self.scale)

    def on_blocks(self, blocks: Blocks) -> Values:
        points = self._local(blocks.points.reshape(3, -1)).reshape(blocks.points.shape)
        return levels(self.shape, Blocks.within(self._balls(blocks.balls), points)) * points.dtype.type(self.scale)

    def in_balls(self, balls: Balls) -> Spans:
        local = spans(self.shape, self._balls(balls))
        return Spans(*(values * balls.middle.dtype.type(self.scale) for values in local))

    def _balls(self, balls: Balls) -> Balls:
        return balls.at(self._local(balls.middle), balls.radius_mm / self.scale)

    def _local(self, points: Points) -> Points:
        kind = points.dtype.type
        right, anterior, cranial = into(self.frame, points) * kind(1.0 / self.scale)
        return np.stack([right * kind(self.side.sign), anterior, cranial])


def build_hips(parameters: PatientParameters, column: Column) -> Mapping[Structure, Field]:
    """Both hip bones of a patient.

    Parameters
    ----------
    parameters
        Give the height of the crests over the L4/5 disc, the width of the pelvis and, by the sacral slope, the pelvic incidence.
    column
        Gives the place of the S1 endplate and of the L4/5 disc.
    """
    frame = pelvic_frame(parameters, column)
    wing = fitted_wing(parameters, column, frame)
    bone = _hip(wing, _lean_of_s1(parameters))
    return {Structure(Kind.HIP, None, side): Mirrored(bone, frame, side, column.scale) for side in Side}


def pelvic_frame(parameters: PatientParameters, column: Column) -> Frame:
    """The frame that the hip bones are drawn in: origin in the middle of the S1 endplate, upright as the pelvis is in standing."""
    back = _lean_of_s1(parameters)
    right, anterior, cranial = column.sacrum.axes
    sine, cosine = np.sin(back), np.cos(back)
    return Frame(column.sacrum.origin_mm, np.stack([right, cosine * anterior + sine * cranial, cosine * cranial - sine * anterior]))


def _lean_of_s1(parameters: PatientParameters) -> float:
    """Angle of the S1 endplate to the upright pelvis, radians."""
    incidence = _INCIDENCE_DEG + _INCIDENCE_PER_SLOPE * (parameters.sacral_slope_deg - _SLOPE_DEG)
    return float(np.radians(incidence - _TILT_DEG))


def fitted_wing(parameters: PatientParameters, column: Column, frame: Frame) -> Wing:
    """The wing whose crest is as high, and whose pelvis is as wide, as the parameters say.

    Where the disc leans to one side, the height is the mean of both sides: the pelvis stays symmetrical.
    """
    disc = column.segments["l4l5"].frame
    up = frame.axes @ disc.cranial
    up[0] = 0.0
    disc_height = float(up @ frame.local(disc.origin_mm))
    height = (disc_height + parameters.crest_over_l4l5_mm) / column.scale
    half_width = 0.5 * parameters.pelvis_width_mm / column.scale
    rise, flare = 0.0, 1.0
    for _ in range(3):
        rise = _solved(lambda r, f=flare: _reach(Wing(r, f), up) - height, rise)  # type: ignore[misc]
        flare = _solved(lambda f, r=rise: _reach(Wing(r, f), np.array([1.0, 0.0, 0.0])) - half_width, flare)  # type: ignore[misc]
    return Wing(rise, flare)


def _solved(function: Callable[[float], float], guess: float) -> float:
    """Where a nearly straight function is nought: secants."""
    one, other = guess, guess + 0.05
    value, other_value = function(one), function(other)
    for _ in range(6):
        if abs(other_value) < 1e-3 or other_value == value:
            break
        one, other, value = other, other - other_value * (other - one) / (other_value - value), other_value
        other_value = function(other)
    return other


def _reach(wing: Wing, direction: FloatArray) -> float:
    """How far a wing reaches along a direction, mm from the origin."""
    # From the sheet a little inside the edge, at the height that the wing's stretching brings it to, along rays to the surface ...
    u, still = (0.96 * wing.outline.corners + 0.04 * np.array([40.0, -15.0])).T
    u, still = u[still > -40.0], still[still > -40.0]
    points = out_of_chart(u, wing.stretched(still), np.asarray(wing.sheet(u, still)[0], dtype=np.float64))
    near, far = np.zeros(points.shape[1]), np.full(points.shape[1], 40.0)
    for _ in range(10):
        middle = 0.5 * (near + far)
        inside = wing(points + direction[:, None] * middle) < 0
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    points = points + direction[:, None] * near
    points = points[:, np.argsort(direction @ points)[-6:]]
    # ... then over the surface, which is about a ball there, to where it looks in that direction.
    for _ in range(12):
        level, gradient = _level_and_gradient(wing, points)
        steep = np.linalg.norm(gradient, axis=0)
        normal = gradient / steep
        points = points - normal * (level / steep) + 4.0 * (direction[:, None] - normal)
    level, gradient = _level_and_gradient(wing, points)
    points = points - gradient * (level / np.square(gradient).sum(axis=0))
    return float((direction @ points).max())


def _level_and_gradient(shape: Field, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    step, count = 1e-3, points.shape[1]
    shifted = [points, *(points + step * axis[:, None] for axis in np.eye(3))]
    levels = shape(np.hstack(shifted)).reshape(4, count)
    return levels[0], (levels[1:] - levels[0]) / step


def _hip(wing: Wing, lean_rad: float) -> Field:
    """The right hip bone, upright, for the mean man's size."""
    sine, cosine = np.sin(lean_rad), np.cos(lean_rad)
    # The joint belongs to the sacrum, which leans forward in the upright pelvis.
    sacrum = Frame(np.zeros(3), np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]]))
    joint = Placed(Sheet(1.0, lateral=True, clear_mm=-0.5 * GAP_MM), sacrum)
    pad = Placed(_auricular_pad(), sacrum)
    ilium = Common((Union((wing, pad), 12.0), joint), 2.0)
    bone = Union((ilium, _cup(), *_ischium(), *_pubis()), 9.0)
    socket = capsule(HEAD_MM, HEAD_MM, HEAD_RADIUS_MM)
    mouth = capsule(HEAD_MM + 14.0 * _OPENING, HEAD_MM + 40.0 * _OPENING, 22.0, 30.0)
    hollowed = Cut(bone, (socket, mouth), 2.0)
    midline = HalfSpace(np.array([0.5 * SYMPHYSIS_GAP_MM, 0.0, 0.0]), np.array([-1.0, 0.0, 0.0]))
    return Common((hollowed, midline), 2.0)


def _auricular_pad() -> Field:
    """What the ilium turns towards the sacrum, in the frame of the S1 endplate: however steep the sacrum stands, the joint fits."""
    outward = unit([1.0, -0.48, -0.40])
    return RoundedBox(Frame(np.array([56.5, -17.5, -29.0]), _about(outward)), (5.5, 16.0, 16.0), 5.4)


def _about(outward: FloatArray) -> FloatArray:
    """Axes whose *right* looks in a direction, *cranial* as upright as may be."""
    up = unit(np.array([0.0, 0.0, 1.0]) - outward[2] * outward)
    return np.stack([outward, np.cross(up, outward), up])


def _cup() -> Field:
    """The acetabulum's walls; towards the pelvis they are flat."""
    ball = capsule(HEAD_MM, HEAD_MM, _CUP_RADIUS_MM)
    shell = Common((ball, HalfSpace(HEAD_MM + 5.0 * _OPENING, _OPENING)), 4.0)
    floor = slab([61.5, -18.0, -106.0], [60.0, 32.0, -100.0], [0.0, 0.0, 1.0], 16.0, 5.5)
    return Union((shell, floor), 12.0)


def _ischium() -> list[Field]:
    """From behind the acetabulum down to the tuberosity, and the spine."""
    body = _chain(((70.0, -6.0, -108.0, 16.0), (59.0, -22.0, -134.0, 14.0), (56.0, -22.0, -146.0, 14.0), (48.0, -13.0, -157.0, 11.5)))
    spine = capsule([62.0, -24.0, -103.0], [52.5, -36.0, -104.0], 7.0, 2.6)
    return [body, spine]


def _pubis() -> list[Field]:
    """Superior ramus, body beside the symphysis, inferior ramus with that of the ischium."""
    superior = _chain(((70.0, 37.0, -94.0, 12.0), (52.0, 53.0, -100.0, 8.8), (32.0, 64.0, -106.0, 7.6), (12.0, 69.0, -111.0, 7.6)))
    body = slab([10.0, 68.0, -113.0], [9.0, 55.0, -134.0], [1.0, 0.0, 0.0], 10.0, 6.8)
    inferior = _chain(((12.0, 54.0, -133.0, 6.8), (22.0, 39.0, -144.0, 6.0), (34.0, 18.0, -152.0, 6.2), (48.0, -10.0, -156.0, 9.5)))
    return [Union((superior, body, inferior), 3.0)]


def _chain(stations: tuple[tuple[float, float, float, float], ...]) -> Field:
    """A bone like a bent rod, smoothly through points (right, anterior, cranial, radius)."""
    given = np.array(stations)
    before, after = given[1:-1] - given[:-2], given[2:] - given[1:-1]
    turn = np.vstack([given[1] - given[0], 0.5 * (before + after), given[-1] - given[-2]])
    fine = [given[:1]]
    for share in (0.25, 0.5, 0.75, 1.0):
        square, cube = share**2, share**3
        ends = (2 * cube - 3 * square + 1) * given[:-1] + (3 * square - 2 * cube) * given[1:]
        fine.append(ends + (cube - 2 * square + share) * turn[:-1] + (cube - square) * turn[1:])
    points = np.vstack([fine[0], np.stack(fine[1:], axis=1).reshape(-1, 4)])
    return Union(tuple(capsule(one[:3], two[:3], float(one[3]), float(two[3])) for one, two in pairwise(points)))
