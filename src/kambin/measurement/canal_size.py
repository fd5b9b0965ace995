"""Area and antero-posterior diameter of the spinal canal or dural sac.

Of the labelled canal (or dural sac: the evidence says which), in the disc mid-plane and in the plane across the column at the
height of the upper pedicles: enclosed
area (mm²) and longest chord along the segment's anterior axis (mm).
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind
from kambin.geometry import Frame
from kambin.geometry.section import Section
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, NotMeasurable, Quantity
from kambin.spine import MotionSegment, Solid, SpineModel, Vertebra


def _pair(suffix: str, where: str) -> tuple[Quantity, Quantity]:
    area = Quantity(
        f"canal_area{suffix}",
        "CA" if not suffix else "CAₚ",
        f"canal area {where}",
        "mm²",
        f"Area of the labelled spinal canal or dural sac {where}.",
        (30.0, 700.0),
        PUBLISHED.get("canal_area", {}),
    )
    diameter = Quantity(
        f"canal_ap_diameter{suffix}",
        "CD" if not suffix else "CDₚ",
        f"canal antero-posterior diameter {where}",
        "mm",
        f"Longest chord of the labelled spinal canal or dural sac along the anterior axis {where}.",
        (3.0, 35.0),
        PUBLISHED.get("canal_ap_diameter", {}),
    )
    return area, diameter


AT_DISC = _pair("", "in the disc mid-plane")
AT_PEDICLE = _pair("_pedicle", "at pedicle height")
_MIN_AREA_MM2 = 5.0


def labelled_canal(model: SpineModel) -> tuple[str, Solid]:
    """The dural sac where it is labelled, else the spinal canal, and which of them it is.

    Raises
    ------
    NotMeasurable
        When neither is labelled.
    """
    for kind in (Kind.DURAL_SAC, Kind.SPINAL_CANAL):
        solid = model.solid(kind)
        if solid is not None:
            return kind.value.replace("_", " "), solid
    raise NotMeasurable("no spinal canal or dural sac is labelled")


def canal_at_disc(model: SpineModel, segment: MotionSegment) -> dict[Quantity, tuple[float, Evidence]]:
    """CA and CD of one segment, mm² and mm, in the disc mid-plane.

    Raises
    ------
    NotMeasurable
        When no canal is labelled, or it does not reach the plane.
    """
    name, canal = labelled_canal(model)
    return _size(AT_DISC, name, canal, segment.frame, f"the {segment.name} disc mid-plane", "axial")


def canal_at_pedicle(model: SpineModel, vertebra: Vertebra) -> dict[Quantity, tuple[float, Evidence]]:
    """CAₚ and CDₚ of one vertebra, mm² and mm, across the column at the height of its pedicles.

    Raises
    ------
    NotMeasurable
        When no canal is labelled or does not reach the plane, or the vertebra has no pedicle.
    """
    name, canal = labelled_canal(model)
    if not vertebra.pedicles:
        raise NotMeasurable(f"no pedicle of {vertebra.level} was found")
    height = float(np.mean([vertebra.frame.local(neck.centre_mm)[2] for neck in vertebra.pedicles.values()]))
    frame = vertebra.frame.moved_to(vertebra.frame.world([0.0, 0.0, height]))
    return _size(AT_PEDICLE, name, canal, frame, f"the plane of the {vertebra.level} pedicles", "vertebra axial")


def _size(
    quantities: tuple[Quantity, Quantity], name: str, canal: Solid, frame: Frame, where: str, view: str
) -> dict[Quantity, tuple[float, Evidence]]:
    section = canal.section(frame)
    if section.is_empty or section.area_mm2 < _MIN_AREA_MM2:
        raise NotMeasurable(f"the labelled {name} does not reach {where}")
    main = section.largest
    value, low, high = _longest_chord(main)
    outline = EvidenceCurve(name, _raised(frame, main.loops[0]), closed=True, role="outline")
    line = EvidenceCurve(quantities[1].symbol, _raised(frame, np.stack([low, high])), role="measure")
    facts = {"structure": name}
    return {
        quantities[0]: (main.area_mm2, Evidence(curves=(outline,), facts=facts, view=view)),
        quantities[1]: (value, Evidence(curves=(line, outline), facts=facts, view=view)),
    }


def _raised(frame: Frame, plane_mm: np.ndarray) -> np.ndarray:
    return frame.world(np.concatenate([plane_mm, np.zeros((len(plane_mm), 1))], axis=1))


def _longest_chord(section: Section) -> tuple[float, np.ndarray, np.ndarray]:
    """Longest chord of a section along its second axis: length and ends."""
    start, end = section.segments()
    right = section.points[:, 0]
    best = (0.0, section.points[0], section.points[0])
    for at in np.linspace(right.min(), right.max(), 81)[1:-1]:
        crosses = (start[:, 0] > at) != (end[:, 0] > at)
        weight = (at - start[crosses, 0]) / (end[crosses, 0] - start[crosses, 0])
        depth = np.sort(start[crosses, 1] + weight * (end[crosses, 1] - start[crosses, 1]))
        for low, high in zip(depth[::2], depth[1::2], strict=False):
            if high - low > best[0]:
                best = (float(high - low), np.array([at, low]), np.array([at, high]))
    return best
