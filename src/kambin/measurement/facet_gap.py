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
from kambin.spine import MotionSegment, Solid, SpineModel

APPROACHES_DEG = (45, 60)
"""From the mid-sagittal plane."""
_LEAST_AREA_MM2 = 1.0
"""Of a section: what only grazes the plane is left out."""
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
        When the exiting root is missing, or does not reach the plane, or the superior articular process does not.
    """
    root = exiting_root(model, segment, side)
    height = float(segment.frame.local(segment.upper_endplate.points_mm)[:, 2].mean())
    plane = segment.frame.moved_to(segment.frame.world([0.0, 0.0, height]))
    loops = _facet(segment, side, plane), _sections(root, plane)
    for found, words in zip(loops, (f"superior articular process of {segment.lower.level}", f"root of {segment.upper.level}"), strict=True):
        if not found:
            raise NotMeasurable(f"the {side} {words} does not reach the upper border of the {segment.name} disc")
    facet, nerve = (np.concatenate(found) for found in loops)
    gaps = zip(FACET_GAPS, APPROACHES_DEG, strict=True)
    return {quantity: _gap(quantity, degrees, side, plane, facet, nerve) for quantity, degrees in gaps}


def _facet(segment: MotionSegment, side: Side, plane: Frame) -> list[FloatArray]:
    """Outlines of the superior articular process in the plane. Where it was not told apart from its bone it is what of that stands highest
    on its side: nothing else of a vertebra, or hardly anything, reaches as far up.
    """
    process = segment.lower.part(Kind.SUPERIOR_ARTICULAR, side)
    if process is not None:
        return _sections(process, plane)
    return [loop for loop in _sections(segment.lower.solid, plane) if side.sign * loop[:, 0].mean() > 0][:1]


def _sections(solid: Solid, plane: Frame) -> list[FloatArray]:
    """The largest first."""
    return [loop for loop in solid.section(plane).loops if Section((loop,)).area_mm2 >= _LEAST_AREA_MM2]


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
        view="axial",
    )
