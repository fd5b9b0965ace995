"""DAA and DIVC, the largest diameters of aorta and vena cava.

Largest (Feret) diameter (mm) of the vessel's section in the disc mid-plane, its outline without the ripple of voxels. Where the vessel's
section is in several pieces, of the largest one. Wang 2023.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry.section import feret_without_ripple
from kambin.measurement.oblique_corridor import section_of
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, NotMeasurable, Quantity
from kambin.spine import MotionSegment, SpineModel

AORTA_DIAMETER = Quantity(
    key="aorta_diameter",
    symbol="DAA",
    name="aortic diameter",
    unit="mm",
    definition="Largest diameter of the aorta's section in the disc mid-plane.",
    plausible=(4.0, 60.0),
    published=PUBLISHED.get("aorta_diameter", {}),
)
CAVA_DIAMETER = Quantity(
    key="cava_diameter",
    symbol="DIVC",
    name="vena cava diameter",
    unit="mm",
    definition="Largest diameter of the inferior vena cava's section in the disc mid-plane.",
    plausible=(5.0, 50.0),
    published=PUBLISHED.get("cava_diameter", {}),
)


def vessel_diameter(model: SpineModel, segment: MotionSegment, quantity: Quantity) -> tuple[float, Evidence]:
    """DAA or DIVC of one segment, mm.

    Raises
    ------
    NotMeasurable
        When the vessel is missing in the disc mid-plane; it says so where only its iliac branches reach it.
    """
    kind, branch = (Kind.AORTA, Kind.ILIAC_ARTERY) if quantity is AORTA_DIAMETER else (Kind.VENA_CAVA, Kind.ILIAC_VEIN)
    try:
        section = section_of(model, Structure(kind), segment).largest
    except NotMeasurable as reason:
        for side in Side:
            try:
                section_of(model, Structure(branch, side=side), segment)
            except NotMeasurable:
                continue
            words = Structure(kind).label
            raise NotMeasurable(
                f"the {words} has divided above the {segment.name} disc mid-plane: only its common iliac branches reach it"
            ) from None
        raise reason from None
    value, low, high = feret_without_ripple(section.loops[0])
    frame = segment.frame

    def raised(points: np.ndarray) -> np.ndarray:
        return frame.world(np.concatenate([points, np.zeros((len(points), 1))], axis=1))

    evidence = Evidence(
        curves=(
            EvidenceCurve(quantity.symbol, raised(np.stack([low, high])), role="measure"),
            EvidenceCurve(Structure(kind).label, raised(section.loops[0]), closed=True, role="outline"),
        ),
        planes=(EvidencePlane("disc mid-plane", frame.origin_mm, frame.cranial),),
        view="axial",
    )
    return value, evidence
