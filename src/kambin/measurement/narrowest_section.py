"""FA₃, the narrowest section of the foraminal passage.

Smallest cross-section (mm²) of the free passage between upper vertebra, disc and lower vertebra, among planes parallel to the
mid-sagittal one, from the medial border of the upper pedicle to its lateral border; and where it lies. Kambin's own quantity: the
lateral silhouette (FA) is what can be seen through, FA₃ what is there.

The passage's axis is taken to be the segment's right axis. It could be drawn through the middles of the sections instead; but these
wander with the shape of the rim, by 20° and more, a plane turned so leaves the ring of bone and is open where a straight one is
closed, and the area then hangs on how the gap is bridged. A passage 15° oblique to the axis has a section 3 % smaller than the one
that is reported.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.geometry.hole import Hole, Lattice, NoHole, find_hole
from kambin.measurement.lateral import MAX_BRIDGE_MM, lateral_cut_mm, posterior_edge_mm, seed_zone
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment

NARROWEST_SECTION = Quantity(
    key="narrowest_foraminal_section",
    symbol="FA₃",
    name="narrowest foraminal section",
    unit="mm²",
    definition="Smallest cross-section of the free foraminal passage parallel to the mid-sagittal plane, between the medial and the "
    "lateral border of the upper pedicle; its gaps are bridged as those of the foraminal area.",
    plausible=(20.0, 400.0),
    published=PUBLISHED.get("narrowest_foraminal_section", {}),
)

Cut = tuple[Hole, FloatArray, float]
"""A section of the passage: the hole, its outline in RAS, and its distance from the mid-sagittal plane."""

_STEP_MM = 0.5
_ALIKE = 0.15
"""A section counts where one beside it has the same area to this share: one that stands alone is cut by a bridge at another place than
its neighbours. A mean or median of neighbours would lift a minimum."""
_FEWEST = 5
_PITCH_MM = 0.5


def narrowest_section(segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """FA₃ of one side, mm².

    Raises
    ------
    NotMeasurable
        When the passage has no bounded section, or there is no pedicle that says where it begins and ends.
    """
    cut = lateral_cut_mm(segment, side)
    neck = segment.upper.pedicles.get(side) or segment.lower.pedicles[side]
    start = min(max(float(side.sign * segment.frame.local(neck.medial_mm)[0]), 3.0), cut - 2.0)
    stations = np.linspace(start, cut, max(int(np.ceil((cut - start) / _STEP_MM)), 2) + 1)
    sections = [found for out in stations if (found := _section(segment, side, out)) is not None]
    if len(sections) < _FEWEST:
        raise NotMeasurable(f"the foraminal passage has no bounded section at {segment.name} on the {side}: its rim is open")
    narrowest = _narrowest(sections, 1.5 * float(stations[1] - stations[0]))
    if narrowest is None:
        raise NotMeasurable(f"no two neighbouring sections of the foraminal passage agree at {segment.name} on the {side}")
    hole, outline, out = narrowest
    centre = outline.mean(axis=0)
    axis = np.stack([found[1].mean(axis=0) for found in sections])
    evidence = Evidence(
        points=(EvidencePoint("centre of the narrowest section", centre),),
        curves=(EvidenceCurve("FA₃", outline, closed=True, role="outline"), EvidenceCurve("passage", axis)),
        facts={"out_mm": round(float(out), 2), "bridge_length_mm": round(hole.bridge_length_mm, 3), "sections": len(sections)},
    )
    return hole.area_mm2, evidence


def _narrowest(sections: list[Cut], beside_mm: float) -> Cut | None:
    """The smallest section that has one like it beside it; None where every one stands alone."""
    area = np.array([hole.area_mm2 for hole, _, _ in sections])
    out = np.array([where for _, _, where in sections])
    pairs = (np.diff(out) <= beside_mm) & (np.abs(np.diff(area)) <= _ALIKE * np.minimum(area[1:], area[:-1]))
    counts = np.append(pairs, False) | np.insert(pairs, 0, False)
    return sections[int(np.where(counts, area, np.inf).argmin())] if counts.any() else None


def _section(segment: MotionSegment, side: Side, out: float) -> Cut | None:
    """The passage's section at a distance from the mid-sagittal plane: the hole, its outline in RAS, and that distance. None
    where it is open."""
    frame, back = segment.frame, posterior_edge_mm(segment)
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
