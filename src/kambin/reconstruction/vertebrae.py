"""The frame and the endplates of each vertebra, from its own shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Level
from kambin.geometry import FloatArray, Frame, angle_deg, unit
from kambin.geometry.hole import NoHole
from kambin.geometry.section import Section, convex_outline
from kambin.reconstruction.canal import VertebralForamen, find_foramen
from kambin.reconstruction.endplates import HeightMap, endplate_region, first_bone, plane_of
from kambin.reconstruction.masks import BoneMask
from kambin.spine import Doubt, Endplate, Severity, Solid
from kambin.volume import Grid

_MAX_ROUNDS = 5
_SETTLED_DEG = 0.2
_MARGIN_MM = 3.0
_UNEVEN = 0.1
"""Of the radius of the ball in a body: how far from its centre the middle of all that lies far from it must be to tell a direction."""


@dataclass(frozen=True, eq=False)
class Posed:
    """A vertebra with its pose found: what later steps need of it.

    Parameters
    ----------
    bone, solid
        Its voxels and its shape.
    body
        The shape of its body where the label map tells the body apart, else None.
    frame
        Origin at the body's centre (for S1 at the centre of its endplate).
    foramen
        The vertebral foramen in `frame`, or None for a bone without an arch.
    upper, lower
        Height maps of the endplates in `frame`.
    """

    bone: BoneMask
    solid: Solid
    body: Solid | None
    frame: Frame
    foramen: VertebralForamen | None
    upper: HeightMap | None
    lower: HeightMap | None

    @property
    def level(self) -> Level:
        return self.bone.level

    @property
    def bearing(self) -> Solid:
        """The shape that bears the endplates: the body where it is known apart, else the whole bone."""
        return self.solid if self.body is None else self.body

    def wall_mm(self, heights_mm: FloatArray | float) -> FloatArray:
        """Posterior wall of the body (anterior coordinate) at cranial heights; far behind everything for a bone without an arch."""
        if self.body is not None or self.foramen is None:
            return np.full(np.shape(heights_mm), -1e3)
        return self.foramen.wall(heights_mm)

    def endplate(self, upper: bool) -> Endplate | None:
        """One endplate in RAS, or None where it is not there."""
        surface = self.upper if upper else self.lower
        if surface is None or not surface.valid.any():
            return None
        return Endplate(self.frame.world(surface.points()), plane_of(surface, self.frame, upper))


def column_directions(bones: Sequence[BoneMask]) -> list[FloatArray]:
    """The column's cranial direction at every bone, from the centres of its neighbours."""
    centres = np.stack([bone.core_mm for bone in bones])
    return [unit(centres[max(i - 1, 0)] - centres[min(i + 1, len(bones) - 1)]) for i in range(len(bones))]


def arch_direction(bone: BoneMask) -> FloatArray | None:
    """From the arch to the body: the direction from the voxels far from the body's centre to that centre.

    None without an arch, or where these voxels lie evenly about the centre, as in the slice that the field of view leaves of a vertebra.
    """
    points = bone.grid.world(np.argwhere(bone.mask))
    far = np.linalg.norm(points - bone.core_mm, axis=1) > 2.0 * bone.core_radius_mm
    if far.mean() < 0.08:
        return None
    away = np.asarray(bone.core_mm - points[far].mean(axis=0), dtype=np.float64)
    return away if np.linalg.norm(away) > _UNEVEN * bone.core_radius_mm else None


def pose(bone: BoneMask, solid: Solid, body: Solid | None, cranial: FloatArray, anterior: FloatArray, above: Posed | None) -> Posed:
    """Find a vertebra's frame, foramen and endplates by going round: each makes the others better.

    Parameters
    ----------
    bone, solid, body
        Its voxels, its shape, and its body's shape where that is labelled.
    cranial, anterior
        First guesses.
    above
        The vertebra above, already posed. The sacrum needs it: its endplate is what faces L5, not its alae.
    """
    sacral = bone.level is Level.S1
    posed = Posed(bone, solid, body, Frame.from_cranial_anterior(bone.core_mm, cranial, anterior), None, None, None)
    for _ in range(_MAX_ROUNDS):
        posed = _looked_at(posed, above)
        frame = _refined(posed, sacral)
        moved = max(angle_deg(frame.cranial, posed.frame.cranial), angle_deg(frame.anterior, posed.frame.anterior))
        posed = replace(posed, frame=frame)
        if moved < _SETTLED_DEG:
            break
    return _looked_at(posed, above)


def _looked_at(posed: Posed, above: Posed | None) -> Posed:
    """The foramen and the endplates as they appear in the present frame."""
    sacral = posed.level is Level.S1
    posed = replace(posed, foramen=_foramen(posed, sacral))
    facing = _facing(above, posed.frame) if sacral and above is not None else None
    return replace(posed, upper=_endplate(posed, True, facing), lower=None if sacral else _endplate(posed, False, None))


def _foramen(posed: Posed, sacral: bool) -> VertebralForamen | None:
    radius = posed.bone.core_radius_mm
    # The sacrum bends away below S1: only its top is projected. Its frame's origin climbs from the core to the endplate.
    heights = (-18.0, 4.0) if sacral else (-2.2 * radius, 1.6 * radius)
    try:
        return find_foramen(posed.solid, posed.frame, radius, heights)
    except NoHole:
        return None


def _endplate(posed: Posed, upper: bool, facing: Section | None) -> HeightMap | None:
    reach = 2.4 * posed.bone.core_radius_mm
    edge = 0.8 * posed.bone.core_radius_mm
    start = reach if upper else -reach
    behind = float(posed.wall_mm(edge if upper else -edge)) if posed.body is None else -1e3
    # The sacrum's origin moves onto its endplate in the first round, so rays go on below it.
    stop = -1.4 * posed.bone.core_radius_mm if posed.level is Level.S1 else 0.0
    surface = first_bone(posed.bearing, posed.frame, start, stop, behind)
    allowed = surface.valid
    if facing is not None:
        right, anterior = np.meshgrid(surface.right_mm, surface.anterior_mm, indexing="ij")
        allowed = facing.contains(np.stack([right, anterior], axis=-1)).reshape(right.shape)
    region = endplate_region(surface, allowed)
    return region if region.valid.any() else None


def _facing(above: Posed, frame: Frame) -> Section | None:
    """Outline, in a frame's (right, anterior), of the lower endplate of the vertebra above, with a small margin."""
    if above.lower is None:
        return None
    shadow = frame.local(above.frame.world(above.lower.points()))[:, :2]
    outline = convex_outline(shadow)
    centre = outline.mean(axis=0)
    away = outline - centre
    return Section((centre + away * (1.0 + _MARGIN_MM / np.linalg.norm(away, axis=1, keepdims=True)),))


def _refined(posed: Posed, sacral: bool) -> Frame:
    """The frame after one round: cranial along the endplates' normals, anterior from the canal, origin at the body's centre."""
    normals, centres = [], []
    for surface in (posed.upper, posed.lower):
        if surface is not None and surface.valid.sum() >= 40:
            plane = plane_of(surface, posed.frame, True)
            normals.append(plane.normal)
            centres.append(_footprint_centre(surface, posed.frame))
    cranial = unit(np.sum(normals, axis=0)) if normals else posed.frame.cranial
    centre = np.mean(centres, axis=0) if len(centres) == 2 or (sacral and centres) else posed.frame.origin_mm
    anterior = posed.frame.anterior
    if posed.foramen is not None:
        back = centre - posed.foramen.centre_mm
        anterior = unit(back - (back @ cranial) * cranial)
    return Frame.from_cranial_anterior(centre, cranial, anterior)


def _footprint_centre(surface: HeightMap, frame: Frame) -> FloatArray:
    points = surface.points()
    outline = convex_outline(points[:, :2])
    middle = Section((outline,)).points
    low, high = middle.min(axis=0), middle.max(axis=0)
    across = (low + high) / 2
    return frame.world([across[0], across[1], float(points[:, 2].mean())])


def cut_by_border(plate: Endplate, grid: Grid) -> bool:
    """Whether an endplate is really the face in which the field of view cuts the bone."""
    voxel = grid.voxel(plate.points_mm)
    near = (voxel < 1.0) | (voxel > np.asarray(grid.shape) - 2.0)
    return bool(near.any(axis=1).mean() > 0.1)


def pose_all(bones: Sequence[BoneMask], solids: Sequence[Solid], bodies: Sequence[Solid | None]) -> tuple[list[Posed], list[Doubt]]:
    """Pose every vertebra, from the top down."""
    doubts = []
    directions = column_directions(bones)
    guesses = [arch_direction(bone) for bone in bones]
    known = [guess for guess in guesses if guess is not None]
    if not known:
        doubts.append(
            Doubt(
                Severity.SERIOUS,
                "No vertebra has a posterior arch: front and back, and with them left and right, were taken from the file's header alone.",
            )
        )
    fallback = np.mean([unit(guess) for guess in known], axis=0) if known else np.array([0.0, 1.0, 0.0])
    posed: list[Posed] = []
    for bone, solid, body, cranial, guess in zip(bones, solids, bodies, directions, guesses, strict=True):
        above = posed[-1] if posed else None
        anterior = fallback if guess is None else guess
        if bone.level is Level.S1 and above is not None:  # the sacrum's thickest place may lie in an ala: trust its neighbour
            anterior = above.frame.anterior
        posed.append(pose(bone, solid, body, cranial, anterior, above))
        if posed[-1].foramen is None and known and bone.level is not Level.S1:  # S1's canal may be open behind
            doubts.append(
                Doubt(Severity.WARNING, f"{bone.level}: no vertebral foramen was found; its front-to-back direction is less sure.")
            )
    return posed, doubts
