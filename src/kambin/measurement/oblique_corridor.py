"""OC, the oblique corridor, and PI, psoas to vena cava.

In the disc mid-plane: shortest distance (mm) from the left psoas to the aorta, or to the left common iliac artery where the
aorta has divided (the evidence says which), and
from the right psoas to the inferior vena cava. 0 where they touch. Wang 2023.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry.section import Section, distance_between
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, SpineModel

OBLIQUE_CORRIDOR = Quantity(
    key="oblique_corridor",
    symbol="OC",
    name="oblique corridor",
    unit="mm",
    definition="Shortest distance in the disc mid-plane from the left psoas to the aorta, or to the left common iliac "
    "artery where the aorta has divided.",
    plausible=(0.0, 45.0),
    published=PUBLISHED.get("oblique_corridor", {}),
)
PSOAS_TO_CAVA = Quantity(
    key="psoas_to_cava",
    symbol="PI",
    name="right psoas to vena cava",
    unit="mm",
    definition="Shortest distance in the disc mid-plane from the right psoas to the inferior vena cava.",
    plausible=(0.0, 35.0),
    published=PUBLISHED.get("psoas_to_cava", {}),
)
_MIN_AREA_MM2 = 4.0


def section_of(model: SpineModel, structure: Structure, segment: MotionSegment) -> Section:
    """A structure's section in the disc mid-plane, in (right, anterior) of the segment's frame.

    Raises
    ------
    NotMeasurable
        When the structure is not labelled, or does not reach the plane.
    """
    solid = model.solids.get(structure)
    if solid is None:
        raise NotMeasurable(f"no {structure.label} is labelled")
    section = solid.section(segment.frame)
    loops = tuple(loop for loop in section.loops if Section((loop,)).area_mm2 >= _MIN_AREA_MM2)
    if not loops:
        raise NotMeasurable(f"the labelled {structure.label} does not reach the {segment.name} disc mid-plane")
    return Section(loops)


def _gap(model: SpineModel, segment: MotionSegment, symbol: str, psoas: Structure, vessel: Structure) -> tuple[float, Evidence]:
    muscle, tube = section_of(model, psoas, segment), section_of(model, vessel, segment)
    value, near, far = distance_between(muscle, tube)
    frame = segment.frame

    def raised(points: np.ndarray) -> np.ndarray:
        flat = np.atleast_2d(points)
        return frame.world(np.concatenate([flat, np.zeros((len(flat), 1))], axis=1))

    evidence = Evidence(
        points=(EvidencePoint(psoas.label, raised(near)[0]), EvidencePoint(vessel.label, raised(far)[0])),
        curves=(
            EvidenceCurve(symbol, raised(np.stack([near, far])), role="measure"),
            *(EvidenceCurve(psoas.label, raised(loop), closed=True) for loop in muscle.loops),
            *(EvidenceCurve(vessel.label, raised(loop), closed=True) for loop in tube.loops),
        ),
        planes=(EvidencePlane("disc mid-plane", frame.origin_mm, frame.cranial),),
        facts={"from": psoas.label, "to": vessel.label},
        view="axial",
    )
    return value, evidence


def oblique_corridor(model: SpineModel, segment: MotionSegment) -> tuple[float, Evidence]:
    """OC of one segment, mm.

    Raises
    ------
    NotMeasurable
        When the left psoas, or both the aorta and the left common iliac artery, are missing in the disc mid-plane.
    """
    psoas = Structure(Kind.PSOAS, side=Side.LEFT)
    section_of(model, psoas, segment)
    reasons = []
    for vessel in (Structure(Kind.AORTA), Structure(Kind.ILIAC_ARTERY, side=Side.LEFT)):
        try:
            return _gap(model, segment, OBLIQUE_CORRIDOR.symbol, psoas, vessel)
        except NotMeasurable as reason:
            reasons.append(str(reason))
    raise NotMeasurable(" and ".join(reasons))


def psoas_to_cava(model: SpineModel, segment: MotionSegment) -> tuple[float, Evidence]:
    """PI of one segment, mm.

    Raises
    ------
    NotMeasurable
        When the right psoas or the vena cava is missing in the disc mid-plane.
    """
    return _gap(model, segment, PSOAS_TO_CAVA.symbol, Structure(Kind.PSOAS, side=Side.RIGHT), Structure(Kind.VENA_CAVA))
