"""FN45 and FN60, the room between facet and exiting root for what goes straight in at 45° and at 60°.

In the plane of the disc's upper border (parallel to the disc mid-plane, through the middle of the upper endplate), seen along a straight
way in at a stated angle to the mid-sagittal plane: the distance (mm) across that way from the superior articular process to the exiting
root. The thickest thing that passes between the two there. Negative where the root hides behind the facet. Root-to-facet distances are
published at both endplates, each along no stated direction (Pairaiturkar 2019); at the upper border the process stands free of its foot,
and the root comes nearest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kambin.anatomy.structures import Kind, Side
from kambin.geometry import FloatArray, Frame
from kambin.geometry.section import Section
from kambin.measurement.exiting_root import exiting_root
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, SpineModel

APPROACHES_DEG = (45, 60)
"""From the mid-sagittal plane."""
_LEAST_AREA_MM2 = 4.0
_WAY_MM = 12.0
"""How far the ways past the two are drawn."""


def _quantity(degrees: int) -> Quantity:
    return Quantity(
        key=f"facet_to_nerve_{degrees}",
        symbol=f"FN{degrees}",
        name=f"facet to nerve at {degrees}°",
        unit="mm",
        definition="Room between the superior articular process and the exiting root for what goes straight in at "
        f"{degrees}° to the mid-sagittal plane, in the plane of the disc's upper border; negative where the one hides the other.",
        plausible=(-15.0, 30.0),
        published=PUBLISHED.get(f"facet_to_nerve_{degrees}", {}),
    )


FACET_GAPS = tuple(_quantity(degrees) for degrees in APPROACHES_DEG)


def facet_gaps(model: SpineModel, segment: MotionSegment, side: Side) -> Mapping[Quantity, tuple[float, Evidence]]:
    """FN45 and FN60 of one side, mm.

    Raises
    ------
    NotMeasurable
        When the exiting root or the superior articular process is missing, or does not reach the plane.
    """
    root, facet = exiting_root(model, segment, side), segment.lower.part(Kind.SUPERIOR_ARTICULAR, side)
    if facet is None:
        raise NotMeasurable(f"the {side} superior articular process of {segment.lower.level} could not be told apart from its bone")
    height = float(segment.frame.local(segment.upper_endplate.points_mm)[:, 2].mean())
    plane = segment.frame.moved_to(segment.frame.world([0.0, 0.0, height]))
    points = []
    for solid, words in ((facet, f"superior articular process of {segment.lower.level}"), (root, f"root of {segment.upper.level}")):
        loops = [loop for loop in solid.section(plane).loops if Section((loop,)).area_mm2 >= _LEAST_AREA_MM2]
        if not loops:
            raise NotMeasurable(f"the {side} {words} does not reach the upper border of the {segment.name} disc")
        points.append(np.concatenate(loops))
    return {quantity: _gap(quantity, degrees, side, plane, *points) for degrees, quantity in zip(APPROACHES_DEG, FACET_GAPS, strict=True)}


def _gap(quantity: Quantity, degrees: int, side: Side, plane: Frame, facet: FloatArray, root: FloatArray) -> tuple[float, Evidence]:
    """The room across one way in, from outline points of both in the plane, shapes (n, 2) and (m, 2)."""
    turn = np.radians(degrees)
    across = np.array([side.sign * np.cos(turn), np.sin(turn)])
    along = _WAY_MM * np.array([[side.sign * np.sin(turn), -np.cos(turn)], [-side.sign * np.sin(turn), np.cos(turn)]])
    ends = np.stack([facet[int((facet @ across).argmax())], root[int((root @ across).argmin())]])
    value = float((ends[1] - ends[0]) @ across)

    def raised(flat: FloatArray) -> FloatArray:
        return plane.world(np.column_stack([flat, np.zeros(len(flat))]))

    return value, Evidence(
        points=tuple(EvidencePoint(name, end) for name, end in zip(("facet", "root"), raised(ends), strict=True)),
        curves=(
            EvidenceCurve(quantity.symbol, raised(np.stack([ends[0], ends[0] + value * across])), role="measure"),
            EvidenceCurve("way past the facet", raised(ends[0] + along)),
            EvidenceCurve("way past the root", raised(ends[1] + along)),
        ),
        planes=(EvidencePlane("upper border of the disc", plane.origin_mm, plane.cranial),),
        facts={"approach_deg": degrees},
    )
