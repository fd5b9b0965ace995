"""How a structure is coloured and coded in files that other programs open: sRGB, opacity, SNOMED CT."""

from __future__ import annotations

from dataclasses import dataclass

from kambin.anatomy.structures import Kind, Level, Side, Structure

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Code:
    """A SNOMED CT concept: its identifier and its meaning in words."""

    value: str
    meaning: str


ANATOMICAL_STRUCTURE = Code("123037004", "Anatomical Structure")
LATERALITY = {Side.LEFT: Code("7771000", "Left"), Side.RIGHT: Code("24028007", "Right")}

_KINDS = {
    Kind.SACRUM: Code("54735007", "Sacrum"),
    Kind.BODY: Code("3572006", "Vertebral body"),
    Kind.HIP: Code("29836001", "Hip"),
    Kind.PSOAS: Code("68455001", "Iliopsoas muscle"),
    Kind.AORTA: Code("15825003", "Aorta"),
    Kind.VENA_CAVA: Code("64131007", "Inferior vena cava"),
    Kind.ILIAC_ARTERY: Code("73634005", "Common iliac artery"),
    Kind.ILIAC_VEIN: Code("46027005", "Common iliac vein"),
    Kind.KIDNEY: Code("64033007", "Kidney"),
    Kind.BOWEL: Code("113276009", "Intestine"),
    Kind.SPINAL_CORD: Code("2748008", "Spinal cord"),
    Kind.TRUNK: Code("22943007", "Trunk"),
}
# DICOM PS3.16 context groups 7603 (vertebrae) and 7604 (discs, named here by the vertebra above)
_VERTEBRAE = {
    Level.T12: Code("23215003", "T12 vertebra"),
    Level.L1: Code("66794005", "L1 vertebra"),
    Level.L2: Code("14293000", "L2 vertebra"),
    Level.L3: Code("36470004", "L3 vertebra"),
    Level.L4: Code("11994002", "L4 vertebra"),
    Level.L5: Code("49668003", "L5 vertebra"),
    Level.S1: Code("65985001", "S1 vertebra"),
}
_DISCS = {
    Level.T12: Code("76206002", "T12/L1 disc"),
    Level.L1: Code("80064006", "L1/L2 disc"),
    Level.L2: Code("67459009", "L2/L3 disc"),
    Level.L3: Code("62551000", "L3/L4 disc"),
    Level.L4: Code("84020006", "L4/L5 disc"),
    Level.L5: Code("715056000", "L5/S1 disc"),
}

_BONE: Colour = (0.902, 0.851, 0.741)
_COLOURS: dict[Kind, Colour] = {
    Kind.BODY: (0.886, 0.824, 0.694),
    Kind.ENDPLATE: (0.961, 0.933, 0.855),
    Kind.ARCH: (0.824, 0.725, 0.557),
    Kind.PEDICLE: (0.875, 0.643, 0.400),
    Kind.SUPERIOR_ARTICULAR: (0.557, 0.706, 0.478),
    Kind.INFERIOR_ARTICULAR: (0.416, 0.600, 0.647),
    Kind.TRANSVERSE: (0.784, 0.612, 0.612),
    Kind.LAMINA: (0.765, 0.659, 0.475),
    Kind.SPINOUS: (0.690, 0.580, 0.455),
    Kind.SACRUM: (0.867, 0.804, 0.690),
    Kind.DISC: (0.557, 0.651, 0.722),
    Kind.DURAL_SAC: (0.925, 0.851, 0.541),
    Kind.SPINAL_CANAL: (0.937, 0.890, 0.682),
    Kind.SPINAL_CORD: (0.941, 0.843, 0.416),
    Kind.NERVE_ROOT: (0.941, 0.769, 0.098),
    Kind.HIP: (0.851, 0.800, 0.706),
    Kind.PSOAS: (0.733, 0.435, 0.333),
    Kind.AORTA: (0.753, 0.224, 0.184),
    Kind.ILIAC_ARTERY: (0.784, 0.322, 0.282),
    Kind.VENA_CAVA: (0.239, 0.416, 0.659),
    Kind.ILIAC_VEIN: (0.333, 0.502, 0.722),
    Kind.KIDNEY: (0.620, 0.345, 0.290),
    Kind.BOWEL: (0.831, 0.627, 0.533),
    Kind.TRUNK: (0.910, 0.827, 0.761),
}
_OPACITIES = {
    Kind.DURAL_SAC: 0.75,
    Kind.SPINAL_CANAL: 0.35,
    Kind.PSOAS: 0.5,
    Kind.AORTA: 0.9,
    Kind.ILIAC_ARTERY: 0.9,
    Kind.VENA_CAVA: 0.9,
    Kind.ILIAC_VEIN: 0.9,
    Kind.KIDNEY: 0.9,
    Kind.BOWEL: 0.35,
    Kind.TRUNK: 0.12,
}


def colour_of(structure: Structure) -> Colour:
    """sRGB from 0 to 1; bone for a vertebra as a whole."""
    return _COLOURS.get(structure.kind, _BONE)


def opacity_of(structure: Structure) -> float:
    """1 for bone, discs and nerves; less for soft tissue that would hide them."""
    return _OPACITIES.get(structure.kind, 1.0)


def code_of(structure: Structure) -> Code:
    """The SNOMED CT code of the structure; of *anatomical structure* where we hold no code that fits exactly."""
    if structure.kind is Kind.VERTEBRA and structure.level in _VERTEBRAE:
        return _VERTEBRAE[structure.level]
    if structure.kind is Kind.DISC and structure.level in _DISCS:
        return _DISCS[structure.level]
    return _KINDS.get(structure.kind, ANATOMICAL_STRUCTURE)
