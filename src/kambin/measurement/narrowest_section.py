"""FA₃, the narrowest section of the foraminal passage.

Smallest cross-section (mm²) of the free passage between upper vertebra, disc and lower vertebra, among planes perpendicular to
the passage's own axis,
from the medial border of the upper pedicle to its lateral border; and where it lies. Kambin's own quantity: the lateral
silhouette (FA) is what can be
seen through, FA₃ what is there.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame, unit
from kambin.geometry.hole import Hole, Lattice, NoHole, find_hole
from kambin.geometry.section import polygon_centroid
from kambin.measurement.lateral import MAX_BRIDGE_MM, lateral_cut_mm, posterior_edge_mm, seed_zone
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment

NARROWEST_SECTION = Quantity(
    key="narrowest_foraminal_section",
    symbol="FA₃",
    name="narrowest foraminal section",
    unit="mm²",
    definition="Smallest cross-section of the free foraminal passage perpendicular to its own axis, between the "
    "medial and the lateral border of the "
    "upper pedicle.",
    plausible=(20.0, 400.0),
    published=PUBLISHED.get("narrowest_foraminal_section", {}),
)

_STEP_MM = 1.0
_NEIGHBOURS = 3
"""A section counts with the median area of this many beside it: a single one may be cut by a bridge at another place than its
neighbours."""
_PITCH_MM = 0.5
_MAX_TURN_DEG = 30.0


def narrowest_section(segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """FA₃ of one side, mm².

    Raises
    ------
    NotMeasurable
        When the passage has no bounded section, or there is no pedicle that says where it begins and ends.
    """
    from scipy.ndimage import median_filter

    cut = lateral_cut_mm(segment, side)
    neck = segment.upper.pedicles.get(side) or segment.lower.pedicles[side]
    start = min(max(float(side.sign * segment.frame.local(neck.medial_mm)[0]), 3.0), cut - 2.0)
    stations = np.linspace(start, cut, max(int(np.ceil((cut - start) / _STEP_MM)), 2) + 1)
    straight = segment.frame
    first = [found for out in stations if (found := _section(segment, side, straight, out)) is not None]
    if len(first) < 2:
        raise NotMeasurable(f"the foraminal passage has no bounded section at {segment.name} on the {side}: its rim is open")
    turned = _along_passage(segment, side, first)
    sections = [found for out in stations if (found := _section(segment, side, turned, out)) is not None] or first
    areas = np.array([found[0].area_mm2 for found in sections])
    smoothed = median_filter(areas, _NEIGHBOURS, mode="nearest")
    # Of the sections with the smallest smoothed area, the one whose own area is nearest to it.
    lowest = np.flatnonzero(smoothed <= smoothed.min() + 1e-9)
    hole, outline, out = sections[int(lowest[np.abs(areas[lowest] - smoothed.min()).argmin()])]
    centre = outline.mean(axis=0)
    axis = np.stack([found[1].mean(axis=0) for found in sections])
    evidence = Evidence(
        points=(EvidencePoint("centre of the narrowest section", centre),),
        curves=(EvidenceCurve("FA₃", outline, closed=True, role="outline"), EvidenceCurve("passage", axis)),
        facts={"out_mm": round(float(out), 2), "bridge_length_mm": round(hole.bridge_length_mm, 3), "sections": len(sections)},
    )
    return float(smoothed.min()), evidence


def _section(segment: MotionSegment, side: Side, frame: Frame, out: float) -> tuple[Hole, FloatArray, float] | None:
    """The passage's section at a distance from the mid-sagittal plane: the hole, its outline in RAS, and that distance. None
    where it is open."""
    back = posterior_edge_mm(segment)
    lattice = Lattice.window((back - 30.0, back + 8.0), (-22.0, 30.0), _PITCH_MM)
    origin = frame.world([side.sign * out, lattice.first_mm[0], lattice.second_mm[0]])
    steps = _PITCH_MM * frame.axes[1:]
    level = np.min(
        [shape.sample_box(origin, steps, lattice.shape) for shape in (segment.upper.solid, segment.disc, segment.lower.solid)], axis=0
    )
    try:
        hole = find_hole(level.astype(np.float64), lattice, seed_zone(segment, lattice), MAX_BRIDGE_MM)
    except NoHole:
        return None
    outline = np.concatenate([np.full((len(hole.outline), 1), side.sign * out), hole.outline], axis=1)
    return hole, frame.world(outline), out


def _along_passage(segment: MotionSegment, side: Side, sections: list[tuple[Hole, FloatArray, float]]) -> Frame:
    """The segment's frame turned so that its *right* axis runs along the passage."""
    centres = np.array([[side.sign * out, *polygon_centroid(hole.outline)] for hole, _, out in sections])
    slope = np.polyfit(centres[:, 0], centres[:, 1:], 1)[0]
    most = np.tan(np.radians(_MAX_TURN_DEG))
    direction = segment.frame.axes.T @ unit([1.0, *np.clip(slope, -most, most)])
    cranial = unit(segment.frame.cranial - (segment.frame.cranial @ direction) * direction)
    return Frame(segment.frame.origin_mm, np.stack([direction, np.cross(cranial, direction), cranial]))
