"""The posterior corners of a vertebral body in a sagittal section.

The corner itself is rounded, on bone and still more on voxels, and a wall is hollow between its rims. As on a radiograph, a line is
therefore laid along the posterior wall from rim to rim, another along the endplate, and the corner is where they cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind, Level
from kambin.geometry import FloatArray, Frame
from kambin.geometry.section import Section, convex_outline
from kambin.measurement.result import NotMeasurable
from kambin.spine import Endplate, Vertebra

_SECTIONS_MM = (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Where the body is cut, from the mid-sagittal plane: one ragged voxel does not decide."""
_EDGE_FRACTION = 0.1
"""An endplate is looked at without this fraction of its depth at either end, where it rounds into the wall."""
_SACRAL_DEPTH_MM = 15.0
"""How far below its endplate the wall of S1 is followed, before the sacrum bends back, and that of a body whose other end is not seen."""
_ROUND_MM = 3.0
"""Below the endplate the wall is still rounded over this depth."""
_WALL_FRACTION = 0.25
"""The posterior wall lies in this fraction of the body's depth."""
_MAX_LEAN = np.cos(np.radians(50.0))
"""Cosine of the most that wall or endplate may lean from the endplate's own directions."""


@dataclass(frozen=True, eq=False)
class BodyEdges:
    """Posterior corner and anterior end of one endplate in the mid-sagittal plane, RAS millimetres, each of shape (3,)."""

    back_mm: FloatArray
    front_mm: FloatArray


def body_edges(vertebra: Vertebra, plate: Endplate, view: Frame) -> BodyEdges:
    """The edges of a body at one endplate, the mean of five sagittal sections.

    Parameters
    ----------
    vertebra
        Whose body.
    plate
        One of its endplates.
    view
        The frame whose mid-sagittal plane is taken.

    Raises
    ------
    NotMeasurable
        When the body or its endplate does not reach the mid-sagittal plane, or the body is one with its arch there.
    """
    away = plate.plane.normal - (plate.plane.normal @ view.right) * view.right
    up = away / np.linalg.norm(away)
    forward = view.anterior - (view.anterior @ up) * up
    forward = forward / np.linalg.norm(forward)
    across, depth = np.cross(forward, up), _wall_depth_mm(vertebra, plate)
    middle = _on_midline(plate.plane.origin_mm, view)
    planes = [Frame(middle + step * view.right, np.stack([forward, up, across])) for step in _SECTIONS_MM]
    found = [_edges_at(vertebra, plane, depth) for plane in planes]
    edges = [pair for pair in found if pair is not None]
    if len(edges) < len(_SECTIONS_MM) - 1:
        raise NotMeasurable(f"the body of {vertebra.level} does not reach the mid-sagittal plane with an endplate and a posterior wall")
    back, front = np.mean(edges, axis=0)
    return BodyEdges(_on_midline(back, view), _on_midline(front, view))


def _on_midline(point_mm: FloatArray, view: Frame) -> FloatArray:
    return np.asarray(point_mm - ((point_mm - view.origin_mm) @ view.right) * view.right)


def _edges_at(vertebra: Vertebra, plane: Frame, depth: float) -> FloatArray | None:
    """Posterior corner and anterior end in one section, shape (2, 3), or None.

    The plane's axes are forward along the endplate, out of the body, and across; its origin lies on the endplate.
    """
    outline = _body_outline(vertebra, plane, depth)
    if outline is None:
        return None
    near = _run_along_endplate(outline, -depth)
    back, front = near[:, 0].min(), near[:, 0].max()
    inner = _EDGE_FRACTION * (front - back)
    top = near[(near[:, 0] > back + inner) & (near[:, 0] < front - inner) & (near[:, 1] > -depth / 2)]
    height = near[:, 1].max()
    wall = near[(near[:, 0] < back + _WALL_FRACTION * (front - back)) & (near[:, 1] < height - _ROUND_MM) & (near[:, 1] > -depth + 1.0)]
    if len(top) < 5 or len(wall) < 5:
        return None
    hull = convex_outline(near)
    behind, along = _line_along(hull, wall, np.array([-1.0, 0.0])), _line_along(hull, top, np.array([0.0, 1.0]))
    if behind is None or along is None:
        return None
    corner = np.linalg.solve(np.stack([behind[0], along[0]]), np.array([behind[1], along[1]]))
    front_end = np.array([front, (along[1] - along[0][0] * front) / along[0][1]])
    return plane.world(np.array([[*corner, 0.0], [*front_end, 0.0]]))


def _wall_depth_mm(vertebra: Vertebra, plate: Endplate) -> float:
    """How far from an endplate the posterior wall is followed."""
    plates = (vertebra.upper_endplate, vertebra.lower_endplate)
    if vertebra.level is Level.S1 or plates[0] is None or plates[1] is None:
        return _SACRAL_DEPTH_MM
    apart = abs(float((plates[0].plane.origin_mm - plates[1].plane.origin_mm) @ plate.plane.normal))
    return (1.0 - _EDGE_FRACTION / 2) * apart


def _body_outline(vertebra: Vertebra, plane: Frame, depth_mm: float) -> FloatArray | None:
    """The outline of the body in a sagittal plane: of the bone, or, where it is one with its arch, of the body's part."""
    inside = np.array([[0.0, -min(depth_mm, _SACRAL_DEPTH_MM) / 2]])
    for solid in (vertebra.solid, vertebra.part(Kind.BODY)):
        if solid is None:
            continue
        loops = [loop for loop in solid.section(plane).loops if Section((loop,)).contains(inside)[0]]
        if loops and not _holds_arch(vertebra, plane, loops[0]):
            return loops[0]
    return None


def _run_along_endplate(outline: FloatArray, lowest: float) -> FloatArray:
    """The stretch of a closed outline above a height that runs along the endplate (nearest to the plane's origin): not the arch, which
    the sacrum joins to its body further down."""
    above = outline[:, 1] > lowest
    if above.all():
        return outline
    # Begun anew at a point below, no stretch goes round the end.
    order = np.roll(np.arange(len(outline)), -int(np.flatnonzero(~above)[0]))
    points, above = outline[order], above[order]
    stretch = np.cumsum(~above)
    nearest = np.where(above, np.linalg.norm(points, axis=1), np.inf).argmin()
    return np.asarray(points[above & (stretch == stretch[nearest])])


def _holds_arch(vertebra: Vertebra, plane: Frame, loop: FloatArray) -> bool:
    """Whether an outline reaches back beyond the middle of the canal, near its own endplate."""
    if vertebra.canal_centre_mm is None or vertebra.level is Level.S1:
        return False
    return bool(loop[:, 0].min() < float(plane.local(vertebra.canal_centre_mm)[0]))


def _line_along(hull: FloatArray, side: FloatArray, facing: FloatArray) -> tuple[FloatArray, float] | None:
    """The line (unit normal, offset) that touches a convex outline on one side and lies nearest to that side's points on average.

    Such a line runs along an edge of the hull: from one rim to the other where the side is hollow, along it where it is flat.
    """
    edge = np.roll(hull, -1, axis=0) - hull
    length = np.linalg.norm(edge, axis=1)
    normals = np.stack([edge[:, 1], -edge[:, 0]], axis=1)[length > 1e-9] / length[length > 1e-9, None]
    corners = hull[length > 1e-9]
    fits = normals @ facing > _MAX_LEAN
    if not fits.any():
        return None
    offsets = np.einsum("ij,ij->i", normals, corners)
    gap = np.where(fits, offsets - normals @ side.mean(axis=0), np.inf)
    best = int(gap.argmin())
    return normals[best], float(offsets[best])
