"""Where the parts of a lumbarised S1 lie: its body, the disc and the joints under it, and the body of S2.

The S1 endplate stays where it is, and with it the hip bones: S1 becomes square and frees itself within the sacrum's own length, as it
does in people, whose spines are no longer by a vertebra for it. O'Driscoll 1996 (Skeletal Radiol 25:717) names the stages: a small disc
amid the bone, one as deep as the sacrum, and one under a square body.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from kambin.anatomy.structures import Level, Side
from kambin.geometry import Frame
from kambin.phantom.column import Column, SegmentPlace, VertebraPlace, facet_joint, patients_size, turned_about_right
from kambin.phantom.morphometry import JOINTS, S1_CONCAVITY_MM, S1_DEPTH_MM, S1_WIDTH_MM, VertebraSize
from kambin.phantom.parameters import PatientParameters

FREE_FROM = 0.5
"""From this value of the dial on nothing joins S1 to the sacrum: it is a vertebra, the sixth lumbar one when counted from above."""
SEGMENT = "l6s1"

_DISC_MM, _DISC_WEDGE_DEG = (1.0, 7.5), (1.0, 9.0)
"""Between the rims of the S1/S2 disc, and its wedge: rudimentary, and nearly lumbar."""
_TOP = {"upper_width_mm": S1_WIDTH_MM, "upper_depth_mm": S1_DEPTH_MM, "upper_concavity_mm": S1_CONCAVITY_MM}
_REST = {"canal_width_mm": 31.0, "canal_depth_mm": 16.0, "lamina_thickness_mm": 6.0, "pedicle_length_mm": 5.5}
_S1_FUSED = VertebraSize(
    lower_width_mm=36.0,
    lower_depth_mm=24.0,
    posterior_height_mm=23.5,
    wedge_deg=14.0,
    lower_concavity_mm=0.3,
    pedicle_width_mm=20.0,
    pedicle_height_mm=18.0,
    pedicle_angle_deg=32.0,
    transverse_span_mm=88.0,
    spinous_reach_mm=31.0,
    spinous_height_mm=10.0,
    lamina_height_mm=16.0,
    **_TOP,
    **_REST,
)
_S1_FREE = replace(
    _S1_FUSED,
    lower_width_mm=47.0,
    lower_depth_mm=32.0,
    wedge_deg=5.0,
    lower_concavity_mm=1.0,
    pedicle_width_mm=17.0,
    pedicle_height_mm=14.0,
    pedicle_angle_deg=28.0,
    spinous_reach_mm=35.0,
    spinous_height_mm=13.0,
)
"""A lumbarised S1 is like L5, lower and with a shorter spinous process; its upper endplate stays S1's."""
_S2_FUSED = replace(
    _S1_FUSED,
    upper_width_mm=35.0,
    upper_depth_mm=23.0,
    lower_width_mm=26.0,
    lower_depth_mm=15.0,
    posterior_height_mm=17.0,
    wedge_deg=12.0,
)
_S2_FREE = replace(_S2_FUSED, upper_width_mm=45.0, upper_depth_mm=29.0, posterior_height_mm=14.0, wedge_deg=18.0)
"""The first body of what is left of the sacrum: a promontory of its own, tapering into the third."""


@dataclass(frozen=True, eq=False)
class Transition:
    """A lumbarised S1 before there is any shape.

    Parameters
    ----------
    share
        The dial: above 0, to 1.
    first, second
        The bodies of S1 and S2. A free S1 is called L6, and S2, then the first segment of the sacrum, S1.
    segment
        The space between them.
    """

    share: float
    first: VertebraPlace
    second: VertebraPlace
    segment: SegmentPlace

    @property
    def free(self) -> bool:
        """Whether S1 is a vertebra of its own."""
        return self.share >= FREE_FROM

    @property
    def freed(self) -> float:
        """How far it is freed: 0 to 1, which it is when nothing joins it to the sacrum any more."""
        return min(self.share / FREE_FROM, 1.0)


def transition_of(parameters: PatientParameters, column: Column) -> Transition | None:
    """The lumbarised S1 of a patient; None where S1 is sacral."""
    share = parameters.lumbarisation
    return None if share <= 0 else place_transition(share, parameters, column)


def place_transition(share: float, parameters: PatientParameters, column: Column) -> Transition:
    """S1 under the S1 endplate, the disc under it, S2 under that; posterior edges stand over each other."""
    first_size = patients_size(_between(_S1_FUSED, _S1_FREE, share), parameters)
    second_size = patients_size(_between(_S2_FUSED, _S2_FREE, share), parameters)
    first = _under_upper_plate(Level.L6 if share >= FREE_FROM else Level.S1, first_size, column.sacrum)
    height, wedge = (float(low + share * (high - low)) for low, high in (_DISC_MM, _DISC_WEDGE_DEG))
    height *= column.scale
    plate, half = first.endplate(upper=False), -np.radians(0.5 * wedge)
    axes = turned_about_right(plate.axes, half)
    forward = 0.5 * (second_size.upper_depth_mm - first_size.lower_depth_mm)
    step = -0.5 * height * axes[2] + 0.5 * forward * axes[1]
    disc = Frame(plate.origin_mm + step, axes)
    second = _under_upper_plate(Level.S1, second_size, Frame(disc.origin_mm + step, turned_about_right(axes, half)))
    depth = 0.5 * (first_size.lower_depth_mm + second_size.upper_depth_mm)
    size = replace(JOINTS["l5s1"], apart_mm=41.0, width_mm=13.5, height_mm=13.0, setback_mm=15.0).scaled(column.scale)
    joints = {side: facet_joint(size, side, disc, depth, parameters) for side in Side}
    return Transition(share, first, second, SegmentPlace(SEGMENT, disc, height, joints))


def _between(one: VertebraSize, other: VertebraSize, share: float) -> VertebraSize:
    numbers = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in fields(VertebraSize)}
    return VertebraSize(**{name: (1 - share) * low + share * high for name, (low, high) in numbers.items()})


def _under_upper_plate(level: Level, size: VertebraSize, plate: Frame) -> VertebraPlace:
    """A vertebra whose upper endplate is given."""
    axes = turned_about_right(plate.axes, -np.radians(0.5 * size.wedge_deg))
    mean_depth = 0.5 * (size.upper_depth_mm + size.lower_depth_mm)
    height = size.posterior_height_mm + np.tan(np.radians(0.5 * size.wedge_deg)) * mean_depth
    middle = -0.5 * mean_depth + 0.5 * size.upper_depth_mm
    return VertebraPlace(level, size, Frame(plate.origin_mm - axes[1] * middle - axes[2] * height / 2, axes), float(height))
