"""Colours and words for structures: one place, so that a structure looks the same in every picture and table."""

from __future__ import annotations

from dataclasses import dataclass

from kambin.anatomy.structures import Kind, Structure


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of structure is drawn: colour of its surface, of its contour on a slice, and its opacity in 3D."""

    surface: str
    contour: str
    opacity: float
    word: str


_BONE = Look("#e6d9bd", "#b08d3c", 1.0, "bone")
_LOOKS = {
    Kind.SACRUM: Look("#ddcdb0", "#a67c37", 1.0, "sacrum"),
    Kind.HIP: Look("#d9ccb4", "#9a8355", 1.0, "hip bone"),
    Kind.DISC: Look("#8ea6b8", "#4f7f9f", 1.0, "disc"),
    Kind.NERVE_ROOT: Look("#f0c419", "#d9a400", 1.0, "nerve root"),
    Kind.DURAL_SAC: Look("#ecd98a", "#c9a20c", 0.85, "dural sac"),
    Kind.SPINAL_CANAL: Look("#efe3ae", "#c9ac3a", 0.35, "spinal canal"),
    Kind.SPINAL_CORD: Look("#f0d76a", "#c39a06", 1.0, "spinal cord"),
    Kind.PSOAS: Look("#bb6f55", "#b45a3c", 0.45, "psoas"),
    Kind.AORTA: Look("#c0392f", "#d0342a", 0.95, "aorta"),
    Kind.ILIAC_ARTERY: Look("#c85248", "#d0342a", 0.95, "common iliac artery"),
    Kind.VENA_CAVA: Look("#3d6aa8", "#2f6fc4", 0.95, "vena cava"),
    Kind.ILIAC_VEIN: Look("#5580b8", "#2f6fc4", 0.95, "common iliac vein"),
    Kind.KIDNEY: Look("#9e584a", "#8c3f33", 0.9, "kidney"),
    Kind.BOWEL: Look("#d4a088", "#b0705a", 0.35, "bowel"),
    Kind.TRUNK: Look("#e8d3c2", "#b99c86", 0.12, "skin"),
}


def look_of(structure: Structure) -> Look:
    """How a structure is drawn; vertebrae and their parts are bone."""
    return _LOOKS.get(structure.kind, _BONE)


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green, blue in 0 to 1 of ``#rrggbb``."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))
    return red, green, blue
