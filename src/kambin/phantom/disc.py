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
from kambin.phantom.loft import outline_level
from kambin.phantom.morphometry import DISC_HEIGHT_MM
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.tissue import Blend, Tissue
from kambin.phantom.tissue_values import disc_core
from kambin.phantom.vertebra import Body, kidney_level

HeightOver = Callable[[Points], Values]
"""Height of points over an endplate's surface, in patient millimetres; negative below it."""
_NUCLEUS_SHARE = 0.72
"""Of the disc's diameters: bright on T2 over 58 % of the depth and 66 % of the width (JCAT 2022;46:487), the soft edge not counted."""
_GRADE_LOSS, _NORMAL_LOSS = 0.39, 0.10
"""Share of its height that a disc loses from the first to the fifth Pfirrmann grade (Park and Yoon 2024), and what is mere variety."""
_INNER_MM = 2.2
"""From the disc's surface to the annulus's inner part, where fibres turn into fibrocartilage."""
_EDGE_MM = 2.4
"""Over which nucleus and annulus pass into each other."""
_SOFT_STEPS = 4


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
    """

    frame: Frame
    half_mm: tuple[float, float]
    height_mm: float
    hilum_mm: float
    over_lower: HeightOver
    under_upper: HeightOver
    slope: float = field(default=1.7, init=False)

    @property
    def box(self) -> Box:
        half = np.array([self.half_mm[0], self.half_mm[1], 0.5 * self.height_mm + 0.55 * self.half_mm[1] + 3.0])
        reach = np.abs(self.frame.axes * half[:, None]).sum(axis=0)
        return Box(self.frame.origin_mm - reach, self.frame.origin_mm + reach)

    def __call__(self, points: Points) -> Values:
        x, y, _z = into(self.frame, points)
        outline = kidney_level(x, y, self.half_mm[0], self.half_mm[1], self.hilum_mm)
        between = np.maximum(-self.over_lower(points), -self.under_upper(points))
        return smooth_maximum(outline, between, 1.0)


@dataclass(frozen=True, eq=False)
class Lens:
    """A lens between two endplates: thickest in its middle, thinning out towards its rim.

    Parameters
    ----------
    frame
        Origin in its middle, cranial normal to the disc's mid-plane.
    half_mm
        Half width and half depth at its rim.
    fill
        Share of the height between the endplates that it takes in its middle, 0 to 1.
    disc
        Whose endplates they are.
    """

    frame: Frame
    half_mm: tuple[float, float]
    fill: float
    disc: DiscShape
    slope: float = field(default=3.5, init=False)

    @property
    def box(self) -> Box:
        half = np.array([*self.half_mm, 0.5 * self.disc.height_mm + 0.3 * self.half_mm[1] + 2.0])
        reach = np.abs(self.frame.axes * half[:, None]).sum(axis=0)
        return Box(self.frame.origin_mm - reach, self.frame.origin_mm + reach)

    def __call__(self, points: Points) -> Values:
        kind = points.dtype.type
        x, y, _z = into(self.frame, points)
        over, under = self.disc.over_lower(points), self.disc.under_upper(points)
        thick = kind(0.5 * self.fill) * np.clip(over + under, 0.3 * self.disc.height_mm, 2.0 * self.disc.height_mm)
        least = min(self.half_mm)
        a, b = (kind(half) for half in self.half_mm)
        rim = np.sqrt(np.square(x / a) + np.square(y / b)) * kind(least)
        # Squarer than an ellipse: flat along the endplates, blunt at the rim.
        return outline_level(rim, kind(0.5) * (over - under), least, thick, _LENS_POWER, np.minimum(thick, kind(least)))


_LENS_POWER = 2.6


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
    disc = DiscShape(segment.frame, half, segment.height_mm, hilum, over_lower, under_upper)
    shape: Field = disc
    herniation = _herniation(segment, half, hilum, parameters)
    if herniation is not None:
        shape = Union((shape, herniation), 2.0)
    structure = Structure(Kind.DISC, upper.level)
    annulus = Piece(shape, (Layer(Tissue.LIGAMENT), Layer(Tissue.ANNULUS, _INNER_MM)), structure)
    return (annulus, *_nucleus(segment, half, disc, parameters))


def wear(parameters: PatientParameters, segment: str) -> float:
    """How far one disc is worn, from 0 (Pfirrmann grade I) to 1 (V): as the patient's discs are, and further where it has lost height or
    burst."""
    lost = 0.0
    if segment in DISC_HEIGHT_MM:
        lost = 1.0 - parameters.at("disc_height", segment) / (DISC_HEIGHT_MM[segment] * parameters.bone_scale)
    own = max(lost - _NORMAL_LOSS, 0.0) / _GRADE_LOSS + parameters.at("herniation", segment) / 15.0
    return parameters.degeneration + (1.0 - parameters.degeneration) * min(own, 1.0)


def _nucleus(segment: SegmentPlace, half: tuple[float, float], disc: DiscShape, parameters: PatientParameters) -> list[Piece]:
    """The nucleus, its edge the softer the more it is worn, and the cleft that adults have in it."""
    worn = wear(parameters, segment.name)
    share = _NUCLEUS_SHARE * (1.0 - 0.25 * worn)
    # It lies a little behind the middle.
    frame = segment.frame.moved_to(segment.frame.world([0.0, -0.1 * half[1], 0.0]))
    core = disc_core(worn)
    edge = _EDGE_MM * (1.0 + worn)
    depths = np.linspace(0.0, edge, _SOFT_STEPS)
    layers = tuple(Layer(Blend(Tissue.ANNULUS, core, (i + 1) / _SOFT_STEPS), float(depth)) for i, depth in enumerate(depths))
    nucleus = Piece(Lens(frame, (share * half[0], share * half[1]), _FILL, disc), layers)
    adult = float(np.clip((parameters.age_years - 15.0) / 20.0, 0.0, 1.0))
    cleft = Piece(
        Lens(frame, (0.72 * share * half[0], 0.66 * share * half[1]), _CLEFT_FILL, disc),
        (Layer(Blend(core, Tissue.ANNULUS, 0.30 * adult)), Layer(Blend(core, Tissue.ANNULUS, 0.55 * adult), 0.3)),
    )
    return [nucleus, cleft]


_FILL, _CLEFT_FILL = 0.86, 0.14
"""Share of the disc's height that nucleus and cleft take."""


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
