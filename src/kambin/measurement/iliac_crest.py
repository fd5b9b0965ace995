"""Height of the iliac crest over a disc's mid-plane.

Signed distance (mm) from the disc mid-plane to the top of the crest (as high along the lumbar column as the hip bone reaches, over the
middle of its upper two millimetres): positive when the crest
stands above the disc, where it blocks a straight way in from the side.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import FloatArray, Frame
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, Solid, SpineModel

ILIAC_CREST_HEIGHT = Quantity(
    key="iliac_crest_height",
    symbol="ICH",
    name="iliac crest height over the disc",
    unit="mm",
    definition="Signed distance from the disc mid-plane to the top of the iliac crest: as high along the lumbar column as the hip "
    "bone reaches, over the middle of its upper two millimetres; positive above the disc.",
    plausible=(-220.0, 90.0),
    published=PUBLISHED.get("iliac_crest_height", {}),
)
_CAP_MM = 2.0
_NEAR_TOP_MM = 10.0
_PITCH_MM = 0.4


def iliac_crest_height(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """ICH of one segment and side, mm.

    Raises
    ------
    NotMeasurable
        When the hip bone is not labelled, its highest part is cut by the border of the field of view, or all that is labelled of it lies
        below the sacral endplate, over which every crest rises.
    """
    hip = model.solid(Kind.HIP, side=side)
    if hip is None:
        raise NotMeasurable(f"no {side} hip bone is labelled")
    if _is_cut(hip, model):
        raise NotMeasurable(f"the {side} iliac crest is cut by the border of the field of view")
    top = _top(hip, model.patient_frame)
    lowest = model.segments[-1]
    rise_mm = float((top - lowest.lower_endplate.plane.origin_mm) @ model.patient_frame.cranial)
    if lowest.lower.level is Level.S1 and rise_mm < 0:
        raise NotMeasurable(f"what is labelled of the {side} hip bone lies below the sacral endplate: its crest is not in it")
    plane = segment.mid_plane
    foot = plane.projected(top)
    evidence = Evidence(
        points=(EvidencePoint("top of the iliac crest", top),),
        curves=(EvidenceCurve("ICH", np.stack([foot, top]), role="measure"),),
        planes=(EvidencePlane("disc mid-plane", plane.origin_mm, plane.normal),),
        view="coronal",
    )
    return float(plane.signed_distance_mm(top)), evidence


def _is_cut(hip: Solid, model: SpineModel) -> bool:
    """Whether the bone meets the border of the field of view near its top, so that it may rise further beyond it."""
    vertices = hip.mesh.vertices_mm
    height = model.patient_frame.local(vertices)[:, 2]
    voxels = model.grid.voxel(vertices[height > height.max() - _NEAR_TOP_MM])
    return bool((voxels < 0.5).any() or (voxels > np.asarray(model.grid.shape) - 1.5).any())


def _top(hip: Solid, frame: Frame) -> FloatArray:
    """As high as the bone reaches, over the middle of its cap: the highest point alone could lie anywhere along a flat ridge."""
    vertices = frame.local(hip.mesh.vertices_mm)
    highest = float(vertices[:, 2].max())
    cap = vertices[vertices[:, 2] >= highest - _CAP_MM]
    low = np.append(cap[:, :2].min(axis=0) - _PITCH_MM, highest - _CAP_MM + _PITCH_MM / 2)
    count = np.append(np.ceil((cap[:, :2].max(axis=0) + _PITCH_MM - low[:2]) / _PITCH_MM) + 1, _CAP_MM / _PITCH_MM).astype(int)
    level = hip.sample_box(frame.world(low), _PITCH_MM * frame.axes, (int(count[0]), int(count[1]), int(count[2])))
    share = np.clip(0.5 - level / _PITCH_MM, 0.0, 1.0)
    at = [low[axis] + _PITCH_MM * np.average(np.arange(count[axis]), weights=share.sum(axis=_others(axis))) for axis in (0, 1)]
    return frame.world([*at, highest])


def _others(axis: int) -> tuple[int, int]:
    return (1, 2) if axis == 0 else (0, 2)
