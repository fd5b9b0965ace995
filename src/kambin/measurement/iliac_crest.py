"""Height of the iliac crest over a disc's mid-plane.

Signed distance (mm) of the crest's highest point (the hip bone's most cranial point along the lumbar column) from the disc
mid-plane: positive when the crest
stands above the disc, where it blocks a straight way in from the side.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Side
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, SpineModel

ILIAC_CREST_HEIGHT = Quantity(
    key="iliac_crest_height",
    symbol="ICH",
    name="iliac crest height over the disc",
    unit="mm",
    definition="Signed distance from the disc mid-plane to the hip bone's most cranial point along the lumbar column; "
    "positive above the disc.",
    plausible=(-220.0, 90.0),
    published=PUBLISHED.get("iliac_crest_height", {}),
)


def iliac_crest_height(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """ICH of one segment and side, mm.

    Raises
    ------
    NotMeasurable
        When the hip bone is not labelled, or its crest is cut by the border of the field of view.
    """
    hip = model.solid(Kind.HIP, side=side)
    if hip is None:
        raise NotMeasurable(f"no {side} hip bone is labelled")
    vertices = hip.mesh.vertices_mm
    top = vertices[int((vertices @ model.patient_frame.cranial).argmax())]
    voxel = model.grid.voxel(top)
    if (voxel < 0.5).any() or (voxel > np.asarray(model.grid.shape) - 1.5).any():
        raise NotMeasurable(f"the {side} iliac crest is cut by the border of the field of view")
    plane = segment.mid_plane
    foot = plane.projected(top)
    evidence = Evidence(
        points=(EvidencePoint("top of the iliac crest", top),),
        curves=(EvidenceCurve("ICH", np.stack([foot, top]), role="measure"),),
        planes=(EvidencePlane("disc mid-plane", plane.origin_mm, plane.normal),),
        view="coronal",
    )
    return float(plane.signed_distance_mm(top)), evidence
