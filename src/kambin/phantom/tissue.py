"""The tissues of the digital patient: what a scanner sees, apart from what an anatomist names."""

from __future__ import annotations

from enum import Enum


class Tissue(Enum):
    """A material with one set of magnetic and X-ray properties."""

    AIR = "air"
    SKIN = "skin"
    FAT = "fat"
    MUSCLE = "muscle"
    CORTICAL_BONE = "cortical bone"
    MARROW = "cancellous bone with marrow"
    CARTILAGE = "articular cartilage"
    ANNULUS = "annulus fibrosus"
    NUCLEUS = "nucleus pulposus"
    LIGAMENT = "ligament"
    CSF = "cerebrospinal fluid"
    NERVE = "nerve root"
    GANGLION = "dorsal root ganglion"
    ARTERIAL_BLOOD = "arterial blood"
    VENOUS_BLOOD = "venous blood"
    VESSEL_WALL = "vessel wall"
    KIDNEY_CORTEX = "kidney cortex"
    KIDNEY_MEDULLA = "kidney medulla"
    LIVER = "liver"
    BOWEL_WALL = "bowel wall"
    BOWEL_CONTENT = "bowel content"
    GAS = "bowel gas"
    METAL = "metal"

    def __str__(self) -> str:
        return self.value
