"""Line A, from the facet joint's upper front corner to the exiting root.

Point *a* lies in the corner where, seen from the side, the outline of the superior articular process meets that of the arch above it: on
the posterior rim of the foramen, the corner of the joint that a transforaminal channel passes. Line A is the shortest distance (mm) in
space from there to the exiting root. Zhu 2024; what the paper leaves open is settled in ``docs/triangles.md``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.measurement.exiting_root import exiting_root
from kambin.measurement.lateral import LateralView, look_from_the_side, posterior_edge_mm
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, Solid, SpineModel

FACET_TO_NERVE = Quantity(
    key="facet_to_nerve",
    symbol="Line A",
    name="facet to nerve",
    unit="mm",
    definition="Shortest distance from point a to the exiting root; a lies in the most anterior corner, behind the disc, between the two "
    "bones' outlines seen from the side, midway between where that line of sight touches the two.",
    plausible=(0.0, 30.0),
    published=PUBLISHED.get("facet_to_nerve", {}),
)
_BEHIND_MM = 2.0
"""Point *a* lies further behind the disc space than this: endplates may meet too."""
_CREST, _CLIPPED_MM = 0.2, 3.0
"""What voxels of 0.8 mm take off a crest, per second difference of the level field: found on five digital patients, whose point *a* lies
on a crest of the arch with a radius of a third of a millimetre. The field is clipped further out than this."""
_SAME_PLACE_MM, _NOTABLE_MM = 8.0, 1.0
"""Other corners within the first of these are a doubt where they lie further from the root by the second."""
_TOUCH_MM, _SIGHT_STEP_MM = 0.3, 0.1
"""A line of sight touches a bone where it comes within this of the deepest that it goes."""


def facet_to_nerve(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """Line A of one side, mm.

    Raises
    ------
    NotMeasurable
        When the exiting root is not labelled, or the outlines of the two bones do not meet.
    """
    from kambin.geometry.mesh_distance import mesh_distance_mm

    root = exiting_root(model, segment, side)
    view = look_from_the_side(_with_crests(segment), side, smooth=False)
    corners = _corners(view)
    if not len(corners):
        raise NotMeasurable(f"the outlines of the {side} articular processes do not meet at {segment.name}: there is no point a")
    places = np.stack([view.world(at, _out_mm(view, at)) for at in corners])
    found = mesh_distance_mm(places, root.mesh)
    a, nearest = places[0], found.points_mm[0]
    evidence = Evidence(
        points=(EvidencePoint("a", a), EvidencePoint("nearest point of the root", nearest)),
        curves=(EvidenceCurve(FACET_TO_NERVE.symbol, np.stack([a, nearest]), role="measure"),),
        facts={"from_other_corners_mm": [round(float(away), 2) for away in found.distance_mm[1:]]},
        view="lateral",
        doubts=_doubts(corners, found.distance_mm),
    )
    return 0.0 if float(root.sample(a)) < 0 else float(found.distance_mm[0]), evidence


def _doubts(corners: FloatArray, distance_mm: FloatArray) -> tuple[str, ...]:
    """Where the process runs along under the arch the outlines meet several times, and a fraction of a millimetre says where first."""
    near = np.linalg.norm(corners - corners[0], axis=1) < _SAME_PLACE_MM
    furthest = float(distance_mm[near].max())
    if furthest - distance_mm[0] < _NOTABLE_MM:
        return ()
    return (f"the two bones run along each other at point a: where they part, it is {furthest:.1f} mm to the root",)


def _with_crests(segment: MotionSegment) -> MotionSegment:
    """The segment with the crests of its bones about as high as they were before voxels took their share."""
    from scipy.ndimage import laplace

    def mended(solid: Solid) -> Solid:
        level = solid.level_mm
        taken = np.where(np.abs(level) < _CLIPPED_MM, _CREST * laplace(level, mode="nearest"), 0.0)
        return replace(solid, level_mm=np.asarray(level - taken, dtype=np.float32))

    upper, lower = (replace(bone, solid=mended(bone.solid)) for bone in (segment.upper, segment.lower))
    return replace(segment, upper=upper, lower=lower)


def _corners(view: LateralView) -> FloatArray:
    """Corners between the outlines of the two bones behind the disc, the most anterior first, shape (n, 2)."""
    from contourpy import LineType, contour_generator
    from scipy.interpolate import RegularGridInterpolator

    lattice, (upper, _, lower) = view.lattice, view.levels
    other = RegularGridInterpolator((lattice.first_mm, lattice.second_mm), lower, bounds_error=False, fill_value=None)
    found = [np.zeros((0, 2))]
    for line in contour_generator(lattice.first_mm, lattice.second_mm, upper.T, line_type=LineType.Separate).lines(0.0):
        points = np.asarray(line, dtype=np.float64)
        level = other(points)
        index = np.flatnonzero((level[1:] > 0) != (level[:-1] > 0))
        share = (level[index] / (level[index] - level[index + 1]))[:, None]
        found.append((1 - share) * points[index] + share * points[index + 1])
    corners = np.concatenate(found)
    behind = corners[corners[:, 0] < posterior_edge_mm(view.segment) - _BEHIND_MM]
    return np.asarray(behind[np.argsort(-behind[:, 0], kind="stable")])


def _out_mm(view: LateralView, at: FloatArray) -> float:
    """Distance from the mid-sagittal plane, midway between where the line of sight through a plane point touches the two bones."""
    sight = np.arange(0.0, view.lateral_cut_mm, _SIGHT_STEP_MM)
    points = np.stack([view.world(at, float(out)) for out in sight])
    return float(np.mean([_middle_of_touch(bone.solid, points, sight) for bone in (view.segment.upper, view.segment.lower)]))


def _middle_of_touch(bone: Solid, points: FloatArray, sight: FloatArray) -> float:
    level = bone.sample(points)
    deepest = int(level.argmin())
    beyond = level > level[deepest] + _TOUCH_MM
    before, after = np.flatnonzero(beyond[:deepest]), np.flatnonzero(beyond[deepest:])
    first = int(before[-1]) + 1 if len(before) else 0
    last = deepest + int(after[0]) - 1 if len(after) else len(sight) - 1
    return 0.5 * float(sight[first] + sight[last])
