"""The intervertebral discs: between the two endplates, as wide as they are, with bulges and herniations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kambin.anatomy.structures import Kind, Structure
from kambin.geometry import Frame
from kambin.phantom.column import SegmentPlace, VertebraPlace
from kambin.phantom.compose import Union
from kambin.phantom.field import Box, Ellipsoid, Field, Points, Values, into, smooth_maximum
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Body, kidney_level

HeightOver = Callable[[Points], Values]
"""Height of points over an endplate's surface, in patient millimetres; negative below it."""
_NUCLEUS_SHARE = 0.68
"""Of the disc's diameters in the young: bright on T2 over 58 % of the depth and 66 % of the width (JCAT 2022;46:487, mixed ages)."""
_NUCLEUS_CLEAR_MM = 0.8
"""Cartilage between the nucleus and the bone."""


@dataclass(frozen=True, eq=False)
class DiscShape:
    """The space between two endplates within an outline.

    Parameters
    ----------
    frame
        Of the disc: origin in its middle, cranial normal to its mid-plane.
    half_mm
        Half width and half depth of the outline.
    height_mm
        Of the disc, for its box.
    hilum_mm
        Width of the hollow behind.
    over_lower, under_upper
        Height over the lower endplate, and depth below the upper one.
    clear_mm
        Kept from both endplates.
    """

    frame: Frame
    half_mm: tuple[float, float]
    height_mm: float
    hilum_mm: float
    over_lower: HeightOver
    under_upper: HeightOver
    clear_mm: float = 0.0
    slope: float = field(default=1.7, init=False)

    @property
    def box(self) -> Box:
        half = np.array([self.half_mm[0], self.half_mm[1], 0.5 * self.height_mm + 0.55 * self.half_mm[1] + 3.0])
        reach = np.abs(self.frame.axes * half[:, None]).sum(axis=0)
        return Box(self.frame.origin_mm - reach, self.frame.origin_mm + reach)

    def __call__(self, points: Points) -> Values:
        x, y, _z = into(self.frame, points)
        outline = kidney_level(x, y, self.half_mm[0], self.half_mm[1], self.hilum_mm)
        between = np.maximum(-self.over_lower(points), -self.under_upper(points)) + points.dtype.type(self.clear_mm)
        return smooth_maximum(outline, between, 1.0)


def over_upper_plate(place: VertebraPlace) -> HeightOver:
    """Height over a vertebra's upper endplate."""
    body = Body(place)
    return lambda points: body.endplate_level(*into(place.frame, points), upper=True)


def under_lower_plate(place: VertebraPlace) -> HeightOver:
    """Depth below a vertebra's lower endplate."""
    body = Body(place)
    return lambda points: -body.endplate_level(*into(place.frame, points), upper=False)


def build_disc(
    segment: SegmentPlace,
    upper: VertebraPlace,
    lower_size_mm: tuple[float, float],
    over_lower: HeightOver,
    parameters: PatientParameters,
) -> tuple[Piece, ...]:
    """One disc: the annulus with all that bulges, and the nucleus in it.

    Parameters
    ----------
    segment
        Where it lies.
    upper
        The vertebra above it.
    lower_size_mm
        Width and depth of the endplate below it.
    over_lower
        Height over that endplate.
    """
    width = 0.5 * (upper.size.lower_width_mm + lower_size_mm[0])
    depth = 0.5 * (upper.size.lower_depth_mm + lower_size_mm[1])
    bulge = parameters.at("disc_bulge", segment.name)
    half = (0.5 * width + bulge, 0.5 * depth + bulge)
    hilum = 0.6 * upper.size.canal_width_mm
    under_upper = under_lower_plate(upper)
    shape: Field = DiscShape(segment.frame, half, segment.height_mm, hilum, over_lower, under_upper)
    herniation = _herniation(segment, half, hilum, parameters)
    if herniation is not None:
        shape = Union((shape, herniation), 2.0)
    share = _NUCLEUS_SHARE * (1.0 - 0.6 * parameters.degeneration)
    # The nucleus lies a little behind the middle.
    middle = segment.frame.moved_to(segment.frame.world([0.0, -0.05 * depth, 0.0]))
    nucleus = DiscShape(
        middle, (share * half[0], share * half[1]), segment.height_mm, hilum, over_lower, under_upper, _NUCLEUS_CLEAR_MM
    )
    structure = Structure(Kind.DISC, upper.level)
    return (Piece(shape, (Layer(Tissue.ANNULUS),), structure), Piece(nucleus, (Layer(Tissue.NUCLEUS),)))


def _herniation(segment: SegmentPlace, half: tuple[float, float], hilum_mm: float, parameters: PatientParameters) -> Field | None:
    """A focal lump on the posterior margin."""
    out = parameters.at("herniation", segment.name)
    if out <= 0:
        return None
    right = float(np.clip(parameters.herniation_lateral_mm, -0.9 * half[0], 0.9 * half[0]))
    along = np.linspace(-1.5 * half[1], 0.0, 600)
    rim = along[np.argmax(kidney_level(np.full(600, right), along, *half, hilum_mm) < 0)]
    centre = segment.frame.world([right, rim, 0.0])
    # It leaves along the outline's normal: straight back in the middle, sideways in the foramen.
    turn = np.arctan2(right / half[0] ** 2, -rim / half[1] ** 2)
    back = np.sin(turn) * segment.frame.right - np.cos(turn) * segment.frame.anterior
    frame = Frame.from_cranial_anterior(centre, segment.frame.cranial, -back)
    return Ellipsoid(frame, (max(5.0, 1.1 * out), out, 0.5 * segment.height_mm))
