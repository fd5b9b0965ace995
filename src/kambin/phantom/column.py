"""Where each vertebra, disc and facet joint of a patient lies: frames, before there is any shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Level, Side
from kambin.errors import InputError
from kambin.geometry import FloatArray, Frame
from kambin.phantom.morphometry import (
    DISC_WEDGE_SHARE,
    JOINTS,
    LUMBAR,
    S1_CONCAVITY_MM,
    S1_DEPTH_MM,
    S1_WIDTH_MM,
    SEGMENTS,
    VERTEBRAE,
    JointSize,
    VertebraSize,
)
from kambin.phantom.parameters import PatientParameters

_EDGE_MM = 1.0
_HOLLOW_IN_MIDDLE = 0.92
"""Share of an endplate's hollow at the middle of its depth: the deepest point lies further back (`kambin.phantom.vertebra.Body`)."""


@dataclass(frozen=True, eq=False)
class VertebraPlace:
    """One vertebra's size and frame.

    Parameters
    ----------
    level
        T12 to L5.
    size
        Its dimensions.
    frame
        Origin at the middle of the body, cranial the mean of its endplates' normals.
    height_mm
        Between the middles of its endplates' rims.
    """

    level: Level
    size: VertebraSize
    frame: Frame
    height_mm: float

    @property
    def wall_mm(self) -> float:
        """Anterior coordinate of the posterior wall."""
        return -0.25 * (self.size.upper_depth_mm + self.size.lower_depth_mm)

    def endplate(self, upper: bool) -> Frame:
        """The frame of an endplate's rim: origin in its middle, cranial its normal (upwards for both)."""
        depth = self.size.upper_depth_mm if upper else self.size.lower_depth_mm
        centre = [0.0, self.wall_mm + depth / 2, 0.5 * self.height_mm * (1 if upper else -1)]
        # The body is higher in front when wedged: its upper plate leans back, its lower one forward.
        tilt = np.radians(0.5 * self.size.wedge_deg) * (1 if upper else -1)
        return Frame(self.frame.world(centre), turned_about_right(self.frame.axes, tilt))


@dataclass(frozen=True, eq=False)
class JointPlace:
    """One facet joint.

    Parameters
    ----------
    frame
        Origin in the middle of the joint; *anterior* is the normal from the superior articular process of the lower vertebra towards
        the inferior one of the upper, *cranial* runs along the joint.
    size
        Of the joint.
    side
        The patient's.
    """

    frame: Frame
    size: JointSize
    side: Side


@dataclass(frozen=True, eq=False)
class SegmentPlace:
    """One disc space with its joints.

    Parameters
    ----------
    name
        As in parameter names: ``l4l5``.
    frame
        Origin in the middle of the disc, cranial normal to its mid-plane.
    height_mm
        Between the middles of the two rims.
    joints
        By side.
    """

    name: str
    frame: Frame
    height_mm: float
    joints: Mapping[Side, JointPlace]


@dataclass(frozen=True, eq=False)
class Column:
    """The skeleton of the patient's spine.

    Parameters
    ----------
    vertebrae
        T12 to L5, by level.
    sacrum
        Frame of the S1 endplate: origin in its middle, cranial its normal.
    segments
        By name, cranial to caudal.
    scale
        Of the patient's bones.
    """

    vertebrae: Mapping[Level, VertebraPlace]
    sacrum: Frame
    segments: Mapping[str, SegmentPlace]
    scale: float

    def height_of(self, level: float) -> FloatArray:
        """RAS position in the column at a height counted in vertebrae: 4.0 is the middle of L4, 4.5 the L4/L5 disc, 0 of T12, 5.5 S1."""
        stations = [(float(i), v.frame.origin_mm) for i, v in enumerate(self.vertebrae.values())]
        stations += [(i + 0.5, s.frame.origin_mm) for i, s in enumerate(self.segments.values())]
        last = self.sacrum
        stations.append((6.5, last.world([0.0, -6.0, -30.0])))
        stations.sort(key=lambda item: item[0])
        at = np.array([height for height, _point in stations])
        points = np.array([point for _height, point in stations])
        return np.array([np.interp(level, at, points[:, axis]) for axis in range(3)])


def build_column(parameters: PatientParameters) -> Column:
    """Place the vertebrae one on the other, from the sacrum upwards, and lay the origin of space into the middle of L3."""
    scale = parameters.bone_scale
    sizes = {level: _size(level, parameters) for level in LUMBAR}
    wedges = disc_wedges(parameters)
    bends = _side_bends(parameters)
    slope = np.radians(parameters.sacral_slope_deg)
    sacrum = Frame(np.zeros(3), turned_about_right(np.eye(3), -slope))
    places: dict[Level, VertebraPlace] = {}
    discs: dict[str, tuple[Frame, float]] = {}
    below, below_depth = sacrum, S1_DEPTH_MM * scale
    for level, segment in zip(reversed(LUMBAR), reversed(SEGMENTS), strict=True):
        size = sizes[level]
        height = _rim_height(level, segment, sizes, parameters)
        half = np.radians(0.5 * wedges[segment])
        axes = turned_about_right(below.axes, half)
        axes = _bent(axes, np.radians(bends[segment]))
        # Posterior edges stand above each other; the discs' middles do not, where depths differ.
        shift = 0.5 * (size.lower_depth_mm - below_depth) + parameters.at("slip", segment)
        middle = Frame(below.origin_mm + axes[2] * height / 2 + axes[1] * shift / 2, axes)
        plate = Frame(middle.origin_mm + axes[2] * height / 2 + axes[1] * shift / 2, turned_about_right(axes, half))
        place = _on_lower_plate(level, size, plate)
        places[level], discs[segment] = place, (middle, height)
        below, below_depth = place.endplate(upper=True), size.upper_depth_mm
    centre = places[Level.L3].frame.origin_mm
    places = {
        level: VertebraPlace(level, p.size, p.frame.moved_to(p.frame.origin_mm - centre), p.height_mm)
        for level, p in ((level, places[level]) for level in LUMBAR)
    }
    segments = {}
    for (index, segment), lower in zip(enumerate(SEGMENTS), (*LUMBAR[1:], None), strict=True):
        frame, height = discs[segment]
        frame = frame.moved_to(frame.origin_mm - centre)
        depth = S1_DEPTH_MM * scale if lower is None else places[lower].size.upper_depth_mm
        depth = 0.5 * (depth + places[LUMBAR[index]].size.lower_depth_mm)
        joint_size = JOINTS[segment].scaled(parameters.bone_scale)
        joints = {side: facet_joint(joint_size, side, frame, depth, parameters) for side in Side}
        segments[segment] = SegmentPlace(segment, frame, height, joints)
    return Column(places, sacrum.moved_to(sacrum.origin_mm - centre), segments, scale)


def _size(level: Level, parameters: PatientParameters) -> VertebraSize:
    return patients_size(VERTEBRAE[level], parameters)


def patients_size(size: VertebraSize, parameters: PatientParameters) -> VertebraSize:
    """A vertebra of the mean man in a patient's size, with the patient's pedicles and canal."""
    size = size.scaled(parameters.bone_scale)
    return replace(
        size,
        pedicle_width_mm=size.pedicle_width_mm * parameters.pedicle_width_scale,
        canal_width_mm=size.canal_width_mm * parameters.canal_scale,
        canal_depth_mm=size.canal_depth_mm * parameters.canal_scale,
    )


def disc_wedges(parameters: PatientParameters) -> dict[str, float]:
    """How much each disc bends, degrees: together with the bodies' wedges they make the lordosis.

    A thin disc bends no further than until its edges behind are a millimetre apart; the others take over what it cannot.

    Raises
    ------
    InputError
        When the discs are too thin for the lordosis.
    """
    sizes = {level: _size(level, parameters) for level in LUMBAR}
    most = {}
    for level, segment in zip(LUMBAR, SEGMENTS, strict=True):
        gap = max(_rim_height(level, segment, sizes, parameters) - _EDGE_MM, 0.0)
        most[segment] = float(np.degrees(2 * np.arctan(gap / sizes[level].lower_depth_mm)))
    wanted = parameters.lordosis_deg - sum(sizes[level].wedge_deg for level in LUMBAR[1:])
    wedges = {segment: min(wanted * share, most[segment]) for segment, share in DISC_WEDGE_SHARE.items()}
    lumbar = SEGMENTS[1:]
    for _ in range(len(lumbar)):
        missing = wanted - sum(wedges[segment] for segment in lumbar)
        room = {segment: most[segment] - wedges[segment] for segment in lumbar}
        if missing < 1e-9 or sum(room.values()) < 1e-9:
            break
        for segment in lumbar:
            wedges[segment] += min(missing * room[segment] / sum(room.values()), room[segment])
    missing = wanted - sum(wedges[segment] for segment in lumbar)
    if missing > 1e-6:
        possible = parameters.lordosis_deg - missing
        raise InputError(
            "patient parameters", f"lordosis_deg {parameters.lordosis_deg:g}: expected at most {possible:.1f} with discs as thin as these"
        )
    return wedges


def _rim_height(level: Level, segment: str, sizes: Mapping[Level, VertebraSize], parameters: PatientParameters) -> float:
    """Between the middles of a disc's two rims: its height is told where it is measured, between the hollows."""
    below = LUMBAR.index(level) + 1
    hollow = S1_CONCAVITY_MM * parameters.bone_scale if below == len(LUMBAR) else sizes[LUMBAR[below]].upper_concavity_mm
    return max(parameters.at("disc_height", segment) - _HOLLOW_IN_MIDDLE * (hollow + sizes[level].lower_concavity_mm), 1.5)


def _side_bends(parameters: PatientParameters) -> dict[str, float]:
    """Side bend at each disc: half of the Cobb angle one way above the apex, half the other way below it and back to the pelvis."""
    shares = dict(zip(SEGMENTS, (0.2, 0.3, 0.0, -0.3, -0.2, 0.0), strict=True))
    # Convex to the right: going up, the column first leans to the right, then returns.
    return {segment: -parameters.scoliosis_deg * share for segment, share in shares.items()}


def _on_lower_plate(level: Level, size: VertebraSize, plate: Frame) -> VertebraPlace:
    """A vertebra whose lower endplate is given."""
    axes = turned_about_right(plate.axes, np.radians(0.5 * size.wedge_deg))
    mean_depth = 0.5 * (size.upper_depth_mm + size.lower_depth_mm)
    height = size.posterior_height_mm + np.tan(np.radians(size.wedge_deg)) * mean_depth / 2
    wall = -0.5 * mean_depth
    origin = plate.origin_mm - axes[1] * (wall + size.lower_depth_mm / 2) + axes[2] * height / 2
    return VertebraPlace(level, size, Frame(origin, axes), float(height))


def facet_joint(size: JointSize, side: Side, disc: Frame, depth_mm: float, parameters: PatientParameters) -> JointPlace:
    """One facet joint behind a disc of a depth, turned as the patient's joints are."""
    angle = size.angle_deg + parameters.facet_angle_offset_deg + 0.5 * parameters.facet_tropism_deg * side.sign
    turn = np.radians(np.clip(angle, 8.0, 75.0))
    centre = disc.world([side.sign * size.apart_mm / 2, -depth_mm / 2 - size.setback_mm, 1.0])
    normal = -side.sign * np.cos(turn) * disc.right - np.sin(turn) * disc.anterior
    return JointPlace(Frame.from_cranial_anterior(centre, disc.cranial, normal), size, side)


def turned_about_right(axes: FloatArray, angle: float) -> FloatArray:
    """Axes turned about their *right* by an angle in radians, positive when the top leans back (extension)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    right, anterior, cranial = axes
    return np.stack([right, cosine * anterior + sine * cranial, cosine * cranial - sine * anterior])


def _bent(axes: FloatArray, angle: float) -> FloatArray:
    """Axes turned about their *anterior*, positive when the top leans to the right."""
    cosine, sine = np.cos(angle), np.sin(angle)
    right, anterior, cranial = axes
    return np.stack([cosine * right - sine * cranial, anterior, cosine * cranial + sine * right])


def neighbours() -> list[tuple[Level, Level]]:
    """The lumbar vertebrae in pairs, cranial first."""
    return list(pairwise(LUMBAR))


S1_HALF_MM = (S1_WIDTH_MM / 2, S1_DEPTH_MM / 2)
