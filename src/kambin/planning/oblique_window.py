"""The disc mid-plane on a way from the side and front: the corridor between psoas and vessels, and what an approach sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray
from kambin.geometry.section import Section, distance_between
from kambin.measurement.oblique_corridor import oblique_corridor, psoas_to_cava, section_of
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable
from kambin.spine import MotionSegment, SpineModel

VESSELS = (Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN)
_DEPTH_MM = 50.0
"""Further out than this from the disc's centre nothing bounds the window: at L5/S1 the external iliac vessels run far in front."""


@dataclass(frozen=True, eq=False)
class Window:
    """What lies free on either side of an approach's axis, seen along it.

    Parameters
    ----------
    width_mm
        From what bounds it behind to what bounds it in front, across the approach; 0 where these overlap.
    behind, before
        What bounds it: "left psoas", "aorta".
    ends_mm
        Its two ends, RAS, shape (2, 3).
    """

    width_mm: float
    behind: str
    before: str
    ends_mm: FloatArray

    @property
    def kind(self) -> str:
        """Which way this is: ``"in front of the psoas"``, ``"between the vessels"`` or, where nothing is free, ``"closed"``."""
        if self.width_mm <= 0:
            return "closed"
        return "in front of the psoas" if "psoas" in self.behind else "between the vessels"


def corridor(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """Between psoas and great vessels in the disc mid-plane, mm: on the left the measure OC, on the right PI.

    Where on the right the vena cava does not reach the plane, the nearer of the right common iliac vein and artery stands for it.

    Raises
    ------
    NotMeasurable
        When the psoas or every such vessel is missing in the plane.
    """
    if side is Side.LEFT:
        return oblique_corridor(model, segment)
    try:
        return psoas_to_cava(model, segment)
    except NotMeasurable as reason:
        found = sections(model, segment, side)
        psoas = found.get(f"{side} psoas")
        wanted = [Structure(kind, None, side).label for kind in (Kind.ILIAC_VEIN, Kind.ILIAC_ARTERY)]
        vessels = {name: found[name] for name in wanted if name in found}
        if psoas is None or not vessels:
            raise reason
        gaps = {name: distance_between(psoas, vessel) for name, vessel in vessels.items()}
        name, (value, near, far) = min(gaps.items(), key=lambda each: each[1][0])
        ends = in_plane(segment, np.stack([near, far]))
        points = (EvidencePoint(f"{side} psoas", ends[0]), EvidencePoint(name, ends[1]))
        curves = (
            EvidenceCurve("PI", ends, role="measure"),
            *(EvidenceCurve(f"{side} psoas", in_plane(segment, loop), closed=True) for loop in psoas.loops),
            *(EvidenceCurve(name, in_plane(segment, loop), closed=True) for loop in vessels[name].loops),
        )
        return value, Evidence(points, curves, facts={"from": f"{side} psoas", "to": name}, view="axial")


def sections(model: SpineModel, segment: MotionSegment, side: Side) -> dict[str, Section]:
    """By name, the sections in the disc mid-plane of the psoas of one side and of all great vessels that reach it."""
    wanted = [structure for structure in model.solids if structure.kind in VESSELS or structure == Structure(Kind.PSOAS, None, side)]
    found = {}
    for structure in wanted:
        try:
            found[structure.label] = section_of(model, structure, segment)
        except NotMeasurable:
            continue
    return found


def in_plane(segment: MotionSegment, points: FloatArray) -> FloatArray:
    """RAS points of (right, anterior) coordinates in the disc mid-plane, shape (n, 2) to (n, 3)."""
    flat = np.atleast_2d(points)
    return segment.frame.world(np.concatenate([flat, np.zeros((len(flat), 1))], axis=1))


def window(segment: MotionSegment, side: Side, found: dict[str, Section], aim: FloatArray, angle_deg: float) -> Window:
    """What an approach sees free.

    Parameters
    ----------
    found
        As from `sections`.
    aim
        Where the axis is led to, in (right, anterior) of the mid-plane.
    angle_deg
        Of the axis to the coronal plane: 0 from the side, 90 from the front.

    Raises
    ------
    NotMeasurable
        When it is bounded on one side only.
    """
    angle = np.radians(angle_deg)
    out = np.array([side.sign * np.cos(angle), np.sin(angle)])
    forwards = np.array([-side.sign * np.sin(angle), np.cos(angle)])
    behind: list[tuple[float, float, str]] = []
    before: list[tuple[float, float, str]] = []
    for name, section in found.items():
        offset = section.points - aim
        offset = offset[(offset @ out > 0) & (offset @ out < _DEPTH_MM)]
        if not len(offset):
            continue
        across = offset @ forwards
        # the psoas is behind however far it reaches; a vessel is where most of its width is
        if "psoas" in name or across.min() + across.max() < 0:
            behind.append((float(across.max()), float((offset @ out)[across.argmax()]), name))
        else:
            before.append((float(across.min()), float((offset @ out)[across.argmin()]), name))
    if not behind or not before:
        what = "psoas or vessel behind" if not behind else "vessel in front of"
        raise NotMeasurable(f"in the {segment.name} disc mid-plane no labelled {what} the approach bounds a window")
    low, depth, hind = max(behind)
    high, _, fore = min(before)
    ends = aim + depth * out + np.outer([low, max(low, high)], forwards)
    return Window(max(0.0, high - low), hind, fore, in_plane(segment, ends))
