"""The tissues of the digital patient: what a scanner sees, apart from what an anatomist names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tissue(Enum):
    """A material with one set of magnetic and X-ray properties."""

    AIR = "air"
    SKIN = "skin"
    FAT = "fat"
    MESENTERY = "mesenteric fat with its vessels"
    MUSCLE = "muscle"
    FATTY_MUSCLE = "muscle with much fat in it"
    CORTICAL_BONE = "cortical bone"
    MARROW = "cancellous bone with marrow"
    YELLOW_MARROW = "thinned cancellous bone with yellow marrow"
    CARTILAGE = "articular cartilage"
    ANNULUS = "annulus fibrosus"
    NUCLEUS = "nucleus pulposus"
    DRIED_DISC = "desiccated disc"
    LIGAMENT = "ligament"
    CSF = "cerebrospinal fluid"
    NERVE = "nerve root"
    GANGLION = "dorsal root ganglion"
    ARTERIAL_BLOOD = "arterial blood"
    VENOUS_BLOOD = "venous blood"
    SLOW_BLOOD = "blood in the veins of canal and bone"
    VESSEL_WALL = "vessel wall"
    KIDNEY_CORTEX = "kidney cortex"
    KIDNEY_MEDULLA = "kidney medulla"
    LIVER = "liver"
    SPLEEN = "spleen"
    BOWEL_WALL = "bowel wall"
    BOWEL_CONTENT = "bowel content"
    STOOL = "stool with bubbles of gas"
    GAS = "bowel gas"
    METAL = "metal"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Blend:
    """Two materials mixed more finely than a scanner can tell: marrow and fat, a disc half dried.

    Parameters
    ----------
    one, other
        The two.
    share
        Of the other, 0 to 1.

    Raises
    ------
    ValueError
        When the share is none.
    """

    one: Material
    other: Material
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"expected a share from 0 to 1, found {self.share}")


Material = Tissue | Blend


class MaterialValues(dict[Material, tuple[float, ...]]):
    """What a scanner sees of each tissue; what it sees of a blend follows in proportion, for signals and attenuations add up."""

    def __missing__(self, material: Material) -> tuple[float, ...]:
        if not isinstance(material, Blend):
            raise KeyError(material)
        pairs = zip(self[material.one], self[material.other], strict=True)
        self[material] = mixed = tuple(one + material.share * (other - one) for one, other in pairs)
        return mixed
