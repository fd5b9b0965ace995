"""Sides and levels told from anatomy, and compared with what the header and the labels say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import Frame, angle_deg
from kambin.reconstruction.masks import BoneMask
from kambin.reconstruction.segments import are_neighbours
from kambin.spine import Doubt, Severity, Solid

_CLEARLY_MM = 8.0
"""A structure is on the wrong side when its centre lies this far beyond the midline."""
_CROSSING = (Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN)
"""They begin beside the aorta and the vena cava: where the field of view holds no more of them, the left vein lies on the right."""


def check_order(bones: Sequence[BoneMask]) -> list[Doubt]:
    """Vertebrae must follow each other from the top down, none missing between.

    Raises
    ------
    InputError
        When a vertebra lies above one that it should lie below, against the run of the column and of the header.
    """
    centres = np.stack([bone.core_mm for bone in bones])
    doubts = []
    up = centres[0] - centres[-1]
    for high, low in pairwise(bones):
        step = high.core_mm - low.core_mm
        if step @ up <= 0:
            raise InputError(
                "labels",
                f"expected {high.level} above {low.level}, found {low.level} above {high.level}",
                hint="The levels are mislabelled.",
            )
        if not are_neighbours(high.level, low.level):
            doubts.append(Doubt(Severity.WARNING, f"No vertebra is labelled between {high.level} and {low.level}."))
    if up[2] <= 0:
        raise InputError(
            "labels",
            f"expected {bones[0].level} above {bones[-1].level} in patient coordinates, found it {-up[2]:.0f} mm below",
            hint="The file's orientation is wrong (or head and feet are swapped), so its left and right cannot be trusted either.",
        )
    if angle_deg(up, [0.0, 0.0, 1.0]) > 45.0:
        doubts.append(
            Doubt(
                Severity.SERIOUS,
                f"The column runs {angle_deg(up, [0, 0, 1]):.0f}° off the file's head-to-foot axis: its orientation may be wrong.",
            )
        )
    return doubts


def check_levels(bones: Sequence[BoneMask]) -> list[Doubt]:
    """What the levels leave open: no sacrum to count from, a sixth lumbar vertebra, no fifth."""
    levels = [bone.level for bone in bones]
    doubts = []
    if Level.S1 not in levels:
        doubts.append(Doubt(Severity.WARNING, "No sacrum is labelled: levels are as the label map says, and were not counted from below."))
    if Level.L6 in levels:
        doubts.append(
            Doubt(Severity.SERIOUS, "A sixth lumbar vertebra (L6) is labelled: agree on the level names before using any of them.")
        )
    if Level.S1 in levels and Level.L5 not in levels and Level.L4 in levels:
        doubts.append(Doubt(Severity.SERIOUS, "No L5 is labelled above the sacrum: L5 may be sacralised, or the levels shifted."))
    if Level.S1 in levels and len(levels) > 1:
        gap = float(np.linalg.norm(bones[-1].core_mm - bones[-2].core_mm))
        if gap > 75.0:
            doubts.append(
                Doubt(
                    Severity.SERIOUS,
                    f"{levels[-2]} lies {gap:.0f} mm above the sacrum: a vertebra between them may be unlabelled, and levels shifted.",
                )
            )
    return doubts


def check_frame(frame: Frame) -> list[Doubt]:
    """The directions found in the anatomy against those of the header.

    Raises
    ------
    InputError
        When the arches lie in front of the bodies: the header turns the patient round, and left and right with it.
    """
    if frame.anterior[1] < -0.3:
        raise InputError(
            "labels",
            "expected the spinous processes behind the bodies, found them in front",
            hint="The header's front and back are swapped, and its left and right cannot be trusted: correct the orientation.",
        )
    doubts = []
    for name, found, expected in (("front", frame.anterior, (0, 1, 0)), ("right", frame.right, (1, 0, 0))):
        off = angle_deg(found, expected)
        if off > 40.0:
            doubts.append(
                Doubt(
                    Severity.SERIOUS,
                    f"The patient's {name}, told from the vertebrae, lies {off:.0f}° off the file's: check the orientation.",
                )
            )
    return doubts


def check_sides(frame: Frame, solids: Mapping[Structure, Solid]) -> list[Doubt]:
    """Labelled sides and the great vessels against the side told from the anatomy.

    Raises
    ------
    InputError
        When structures labelled left lie on the right or the other way round.
    """
    offset = {structure: float(frame.local(solid.mesh.vertices_mm)[:, 0].mean()) for structure, solid in solids.items()}
    wrong = [
        f"{structure.label} lies {abs(right):.0f} mm to the {Side.RIGHT if right > 0 else Side.LEFT} of the spine"
        for structure, right in offset.items()
        if structure.side is not None and structure.kind not in _CROSSING and right * structure.side.sign < -_CLEARLY_MM
    ]
    aorta, cava = offset.get(Structure(Kind.AORTA)), offset.get(Structure(Kind.VENA_CAVA))
    swapped = aorta is not None and cava is not None and aorta - cava > _CLEARLY_MM
    if wrong:
        evidence = " The aorta also lies to the right of the vena cava." if swapped else ""
        raise InputError(
            "labels",
            "left and right contradict each other: " + ", ".join(wrong) + "." + evidence,
            hint="Either the labels' sides are swapped or the file's header mirrors the patient: settle which before measuring.",
        )
    if swapped and aorta is not None and cava is not None:
        return [
            Doubt(
                Severity.SERIOUS,
                f"The aorta lies {aorta - cava:.0f} mm to the RIGHT of the vena cava: the scan may be mirrored, so "
                f"that every left and right "
                "here would be wrong (or the patient has a left-sided vena cava or situs inversus). Check before use.",
            )
        ]
    if aorta is None or cava is None:
        return [
            Doubt(
                Severity.NOTE,
                "Aorta and vena cava are not both labelled: the side was taken from the header and could not be checked against them.",
            )
        ]
    return []
