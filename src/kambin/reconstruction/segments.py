"""Motion segments: the disc space between two posed vertebrae, its mid-plane and its frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Level
from kambin.geometry import FloatArray, Frame, Plane, angle_deg, unit
from kambin.geometry.section import convex_outline, polygon_centroid
from kambin.reconstruction.endplates import PITCH_MM, HeightMap, endplate_region, first_bone
from kambin.reconstruction.inferred_disc import inferred_disc
from kambin.reconstruction.vertebrae import Posed
from kambin.spine import Endplate, Solid

_MAX_ROUNDS = 5
_SETTLED_DEG = 0.05
_REACH_MM = 16.0
"""How far above and below the mid-plane an endplate is looked for: half of the highest disc with its wedge."""
_MIN_FOOTPRINT_MM2 = 200.0


class NoSegment(Exception):
    """Two vertebrae between which no disc space was found; the text says why."""


@dataclass(frozen=True, eq=False)
class DiscSpace:
    """The space between two facing endplates.

    Parameters
    ----------
    frame
        Origin at the disc's centroid; cranial normal to the mid-plane.
    upper, lower
        Height maps in `frame` of the endplates above and below the disc, over their common footprint.
    disc
        The disc's shape.
    inferred
        Whether the disc was made from the space because none was labelled.
    """

    frame: Frame
    upper: HeightMap
    lower: HeightMap
    disc: Solid
    inferred: bool

    def endplate(self, upper: bool) -> Endplate:
        """The endplate above (of the upper vertebra) or below the disc, its normal pointing into the disc."""
        surface = self.upper if upper else self.lower
        plane = Plane.fit(self.frame.world(surface.interior().points()), -self.frame.cranial if upper else self.frame.cranial)
        return Endplate(self.frame.world(surface.points()), plane)


def are_neighbours(upper: Level, lower: Level) -> bool:
    """Whether two levels can follow each other: L5 is followed by S1 where there is no L6."""
    return lower.rank - upper.rank == 1 or (upper is Level.L5 and lower is Level.S1)


def find_disc_space(
    upper: Posed, lower: Posed, disc: Solid | None, canal: Solid | None
) -> DiscSpace:
    """Find the disc space of two neighbouring vertebrae.

    Parameters
    ----------
    upper, lower
        The vertebrae, posed.
    disc
        The disc's shape where one is labelled.
    canal
        The spinal canal's or dural sac's shape where one is labelled.

    Raises
    ------
    NoSegment
        When the endplates do not face each other over a common footprint.
    """
    above, below = upper.endplate(upper=False), lower.endplate(upper=True)
    if above is None:
        raise NoSegment(f"the lower endplate of {upper.level} was not found")
    if below is None:
        raise NoSegment(f"the upper endplate of {lower.level} was not found")
    if angle_deg(-above.plane.normal, below.plane.normal) > 45.0:
        raise NoSegment(f"the endplates of {upper.level} and {lower.level} do not face each other")
    frame = Frame.from_cranial_anterior(
        (above.plane.origin_mm + below.plane.origin_mm) / 2,
        unit(below.plane.normal - above.plane.normal),
        unit(upper.frame.anterior + lower.frame.anterior),
    )
    for _ in range(_MAX_ROUNDS):
        top, bottom = _common(upper, lower, frame)
        middle = HeightMap(top.right_mm, top.anterior_mm, (top.height_mm + bottom.height_mm) / 2)
        plane = Plane.fit(frame.world(middle.interior().points()), frame.cranial)
        moved = angle_deg(plane.normal, frame.cranial)
        frame = Frame.from_cranial_anterior(plane.projected(_footprint_centre(middle, frame)), plane.normal, frame.anterior)
        if moved < _SETTLED_DEG:
            break
    inferred = disc is None
    if disc is None:
        disc = inferred_disc(*_common(upper, lower, frame), frame)
    frame = Frame.from_cranial_anterior(_on_plane(volume_centroid(disc), frame), frame.cranial, frame.anterior)
    frame = _facing_canal(frame, upper, lower, canal)
    top, bottom = _common(upper, lower, frame)
    return DiscSpace(frame, top, bottom, disc, inferred)


def _common(upper: Posed, lower: Posed, frame: Frame) -> tuple[HeightMap, HeightMap]:
    """The two facing endplates in one frame, over the columns where both are found."""
    behind = max(_wall_in(upper, frame, upper=False), _wall_in(lower, frame, upper=True))
    top = endplate_region(first_bone(upper.bearing, frame, -_REACH_MM, _REACH_MM, behind))
    # A vertebral endplate faces the one above it: this keeps the alae out of S1's.
    bottom = endplate_region(first_bone(lower.bearing, frame, _REACH_MM, -_REACH_MM, behind), top.valid)
    both = top.valid & bottom.valid
    if both.sum() * PITCH_MM**2 < _MIN_FOOTPRINT_MM2:
        raise NoSegment(
            f"the endplates of {upper.level} and {lower.level} share only {both.sum() * PITCH_MM**2:.0f} mm² of footprint"
        )
    return top.restricted(both), bottom.restricted(both)


def _wall_in(posed: Posed, frame: Frame, *, upper: bool) -> float:
    """Anterior coordinate, in another frame, of a body's posterior wall at its upper or lower end."""
    surface = posed.upper if upper else posed.lower
    if posed.body is not None or posed.foramen is None or surface is None:
        return -1e3
    height = float(np.nanmean(surface.height_mm))
    return float(frame.local(posed.frame.world([0.0, float(posed.wall_mm(height)), height]))[1])


def _footprint_centre(surface: HeightMap, frame: Frame) -> FloatArray:
    outline = convex_outline(surface.points()[:, :2])
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    return frame.world([middle[0], middle[1], 0.0])


def _on_plane(point_mm: FloatArray, frame: Frame) -> FloatArray:
    return Plane(frame.origin_mm, frame.cranial).projected(point_mm)


def volume_centroid(solid: Solid) -> FloatArray:
    """Centroid of a solid's volume, from its level field: voxels the surface runs through count in part.

    Not from its faces, which are cut otherwise in a mirrored field.
    """
    share = np.clip(0.5 - solid.level_mm.astype(np.float64) / float(solid.grid.spacing_mm.mean()), 0.0, 1.0)
    along = [share.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    return solid.grid.world([float(weights @ np.arange(len(weights)) / weights.sum()) for weights in along])


def _facing_canal(frame: Frame, upper: Posed, lower: Posed, canal: Solid | None) -> Frame:
    """Turn the frame about its cranial axis so that *anterior* runs from the canal to the disc."""
    behind = None
    if canal is not None:
        section = canal.section(frame)
        if not section.is_empty and section.area_mm2 > 20.0:
            centre = polygon_centroid(section.largest.loops[0])
            behind = frame.world([centre[0], centre[1], 0.0])
    if behind is None:
        centres = [posed.foramen.centre_mm for posed in (upper, lower) if posed.foramen is not None]
        if not centres:
            return frame
        behind = np.mean(centres, axis=0)
    forward = frame.origin_mm - behind
    if np.linalg.norm(forward - (forward @ frame.cranial) * frame.cranial) < 8.0:
        return frame
    return Frame.from_cranial_anterior(frame.origin_mm, frame.cranial, forward)
