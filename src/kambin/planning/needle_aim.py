"""Where a needle ends: in the safe triangle, in the Kambin triangle, or on the disc's posterolateral border."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Kind
from kambin.geometry import FloatArray, Frame
from kambin.geometry.section import Section
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable
from kambin.measurement.triangles import KAMBIN, SAFE, kambin_triangle, safe_triangle
from kambin.planning.around import Around
from kambin.planning.search import Cone, targets_about
from kambin.planning.target import point_b_mm
from kambin.spine import Solid, SpineModel

BEFORE_BODY_MM = 2.5
"""Room between the tip of a needle in the safe triangle and the vertebral body: it is drawn back by so much from where it meets bone."""
BEFORE_DISC_MM = 1.0
"""Room between the tip of an epidural needle in the Kambin triangle and the disc, which it must not enter."""
BENEATH_PEDICLE_MM = 3.0
"""Where no safe triangle is seen, the needle is aimed so far beneath the middle of the pedicle."""
FROM_BORDER_MM = 1.0
"""Room between a needle and the border of the safe triangle, where that is wide enough."""
_OBLIQUE_DEG = {"safe": 20.0, "kambin": 45.0, "annulus": 45.0}
"""The views in which targets lie beside one another: those of the triangles."""
_WITHIN_MM = 12.0
_SIGHT_MM = (40.0, -40.0)
_SIGHT_STEP_MM = 0.2
_CORNER_MM = 0.25


@dataclass(frozen=True, eq=False)
class Aim:
    """What a needle is aimed at.

    Parameters
    ----------
    view
        Where the targets lie beside one another: *anterior* is away from the eye.
    targets_mm
        Where its tip may end, RAS, shape (n, 3); the first is the best by itself.
    evidence
        The triangle and its largest circle, or the point that was taken in their place.
    warning
        Where the aim is not what was meant: why. Else None.
    """

    view: Frame
    targets_mm: FloatArray
    evidence: Evidence
    warning: str | None = None

    def off_centre_mm(self, points_mm: FloatArray) -> FloatArray:
        """How far points lie beside the first target as they are seen, shape (n, 3) to (n,)."""
        offset = self.view.local(points_mm) - self.view.local(self.targets_mm[0])
        return np.asarray(np.hypot(offset[:, 0], offset[:, 2]))


def safe_aim(model: SpineModel, around: Around, cone: Cone, radius_mm: float) -> Aim:
    """Beneath the middle of the pedicle, or as near to it as the triangle allows; a little before the body's posterolateral border.

    The middle of the triangle lies further out, at L4/L5 often beside the pedicle: what is injected there runs along the root outwards.

    Raises
    ------
    NotMeasurable
        When the upper vertebra's body or pedicle was not found.
    """
    upper, side, frame = around.segment.upper, around.side, around.frame
    body, neck = upper.part(Kind.BODY), upper.pedicles.get(side)
    if body is None:
        raise NotMeasurable(f"the body of {upper.level} could not be told apart from its arch")
    if neck is None:
        raise NotMeasurable(f"no {side} pedicle of {upper.level} was found, beneath which the needle is to end")
    stand_off = radius_mm + BEFORE_BODY_MM
    try:
        evidence = safe_triangle(model, around.segment, side)[SAFE[0]][1]
    except NotMeasurable as reason:
        below = neck.caudal_mm - BENEATH_PEDICLE_MM * frame.cranial
        point = below + ((neck.centre_mm - below) @ frame.right) * frame.right
        return _at_point(around, "safe", point, "beneath the pedicle", body, cone, stand_off, str(reason))
    aim = _in_triangle(around, evidence, [body], replace(cone, tolerance_mm=_WITHIN_MM), stand_off)
    middle = float(neck.centre_mm @ frame.right)
    return replace(aim, targets_mm=_nearest_to(aim, middle, frame, radius_mm + FROM_BORDER_MM, cone.tolerance_mm))


def kambin_aim(model: SpineModel, around: Around, cone: Cone, radius_mm: float) -> Aim:
    """Before the disc's posterolateral surface within the Kambin triangle; before the body above it where no disc is seen there.

    Raises
    ------
    NotMeasurable
        When the triangle is not seen, and no pedicle was found or the disc ends before its medial line.
    """
    segment = around.segment
    stand_off = radius_mm + BEFORE_DISC_MM
    try:
        evidence = kambin_triangle(model, segment, around.side)[KAMBIN[0]][1]
    except NotMeasurable as reason:
        point = point_b_mm(segment, around.side)
        return _at_point(around, "kambin", point, "beneath the pedicle's medial line", segment.disc, cone, stand_off, str(reason))
    body = segment.upper.part(Kind.BODY)
    return _in_triangle(around, evidence, [segment.disc] if body is None else [segment.disc, body], cone, stand_off)


def annulus_aim(around: Around, cone: Cone) -> Aim:
    """On the disc's border where it reaches furthest posterolaterally: in the disc mid-plane, 45° between back and side.

    Raises
    ------
    NotMeasurable
        When the disc has no outline in its mid-plane.
    """
    segment, frame = around.segment, around.frame
    outline = segment.disc.section(frame).largest.points
    if not len(outline):
        raise NotMeasurable(f"the {segment.name} disc has no outline in its mid-plane")
    reach = outline @ np.array([around.side.sign, -1.0]) / np.sqrt(2.0)
    corner = outline[reach >= reach.max() - _CORNER_MM].mean(axis=0)
    point = frame.world([corner[0], corner[1], 0.0])
    return _at_point(around, "annulus", point, "posterolateral border of the disc", segment.disc, cone, 0.0)


def _nearest_to(aim: Aim, right_mm: float, frame: Frame, inside_mm: float, tolerance_mm: float) -> FloatArray:
    """Of the targets in a triangle that lie far enough inside it the one nearest to a sagittal plane, then those about it."""
    border = next(curve for curve in aim.evidence.curves if curve.role == "outline").points_mm
    seen, edge = (aim.view.local(points)[:, [0, 2]] for points in (aim.targets_mm, border))
    inside = np.linalg.norm(seen[:, None] - edge, axis=2).min(axis=1)
    deep = inside >= min(inside_mm, float(inside.max()))
    beside = np.where(deep, np.abs(aim.targets_mm @ frame.right - right_mm), np.inf)
    away = np.linalg.norm(seen - seen[int(beside.argmin())], axis=1)
    order = np.argsort(away, kind="stable")
    return np.asarray(aim.targets_mm[order[away[order] <= tolerance_mm + 1e-9]])


def _in_triangle(around: Around, evidence: Evidence, goals: list[Solid], cone: Cone, stand_off_mm: float) -> Aim:
    """Targets about the centre of a triangle's largest circle: before the first of the goals that is seen in it."""
    sight = np.asarray(evidence.facts["towards_the_eye"], dtype=np.float64)
    view = Frame.from_cranial_anterior(evidence.points[0].position_mm, around.frame.cranial, -sight)
    outline = next(curve for curve in evidence.curves if curve.role == "outline")
    for goal in goals:
        targets = _before(view, goal, cone, stand_off_mm, outline)
        if len(targets):
            return Aim(view, targets, evidence)
    raise NotMeasurable("nothing of disc or body lies behind the middle of the triangle")


def _at_point(
    around: Around, name: str, point_mm: FloatArray, what: str, goal: Solid, cone: Cone, stand_off_mm: float, reason: str | None = None
) -> Aim:
    """Targets about a point, in the view of the triangle that it stands for."""
    turn = np.radians(_OBLIQUE_DEG[name])
    into = np.cos(turn) * around.frame.anterior - np.sin(turn) * around.side.sign * around.frame.right
    view = Frame.from_cranial_anterior(point_mm, around.frame.cranial, into)
    targets = _before(view, goal, cone, stand_off_mm)
    if not len(targets):
        raise NotMeasurable(f"nothing is met at the point {what}")
    called = "Kambin" if name == "kambin" else name
    warning = None if reason is None else f"The {called} triangle was not found ({reason}): aimed {what} in its place."
    return Aim(view, targets, Evidence((EvidencePoint(what, point_mm),)), warning)


def _before(view: Frame, goal: Solid, cone: Cone, stand_off_mm: float, outline: EvidenceCurve | None = None) -> FloatArray:
    """Points that stand off a goal on lines of sight that meet it, within an outline: about the one nearest to the view's middle."""
    lines = targets_about(view, view.origin_mm, replace(cone, tolerance_mm=_WITHIN_MM))
    if outline is not None:
        border = Section((view.local(outline.points_mm)[:, [0, 2]],))
        lines = lines[border.contains(view.local(lines)[:, [0, 2]])]
    depth = np.arange(_SIGHT_MM[0], _SIGHT_MM[1], -_SIGHT_STEP_MM)
    level = goal.sample(lines[:, None] - depth[:, None] * view.anterior).astype(np.float64)
    lines, level = lines[(level < 0).any(axis=1)], level[(level < 0).any(axis=1)]
    if not len(lines):
        return lines
    near = level < stand_off_mm
    first = np.maximum(near.argmax(axis=1), 1)
    row = np.arange(len(lines))
    before, after = level[row, first - 1], level[row, first]
    share = (before - stand_off_mm) / np.maximum(before - after, 1e-9)
    tips = lines - (depth[first - 1] - share * _SIGHT_STEP_MM)[:, None] * view.anterior
    return np.asarray(tips[np.linalg.norm(lines - lines[0], axis=1) <= cone.tolerance_mm + 1e-9])
