"""The closed vocabulary of lumbosacral anatomy: levels, sides, kinds of structure, and the name that joins them.

A `Structure` is a name, not a thing: *the left superior articular process of L5*. What it looks like in one patient is a mesh or
a mask elsewhere. Sides are always the patient's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Side(Enum):
    """The patient's left or right."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def opposite(self) -> Side:
        return Side.RIGHT if self is Side.LEFT else Side.LEFT

    @property
    def sign(self) -> int:
        """+1 on the patient's right, -1 on the left: the sign of the coordinate along *right*."""
        return 1 if self is Side.RIGHT else -1

    def __str__(self) -> str:
        return self.value


class Level(Enum):
    """A vertebral level, cranial to caudal. L6 exists in some patients, and then lies between L5 and S1."""

    T12 = "T12"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"
    L6 = "L6"
    S1 = "S1"

    @property
    def rank(self) -> int:
        """Position from the top: T12 is 0, S1 is 7."""
        return _RANKS[self]

    def __str__(self) -> str:
        return self.value


_RANKS = {level: rank for rank, level in enumerate(Level)}


class Kind(Enum):
    """What a structure is, apart from its level and side."""

    # the vertebra as a whole, and its parts
    VERTEBRA = "vertebra"
    BODY = "vertebral_body"
    ENDPLATE = "endplate"
    ARCH = "posterior_arch"  # lamina, or the whole arch where a source does not divide it further
    PEDICLE = "pedicle"
    SUPERIOR_ARTICULAR = "superior_articular_process"
    INFERIOR_ARTICULAR = "inferior_articular_process"
    TRANSVERSE = "transverse_process"
    LAMINA = "lamina"
    SPINOUS = "spinous_process"
    # the column
    SACRUM = "sacrum"
    DISC = "disc"
    DURAL_SAC = "dural_sac"
    SPINAL_CANAL = "spinal_canal"
    SPINAL_CORD = "spinal_cord"
    NERVE_ROOT = "nerve_root"
    # around it
    HIP = "hip_bone"
    PSOAS = "psoas"
    AORTA = "aorta"
    VENA_CAVA = "vena_cava"
    ILIAC_ARTERY = "common_iliac_artery"
    ILIAC_VEIN = "common_iliac_vein"
    KIDNEY = "kidney"
    BOWEL = "bowel"  # small and large, from the duodenum to the rectum
    TRUNK = "trunk"  # everything inside the skin

    @property
    def is_vertebral(self) -> bool:
        """Whether the structure is a vertebra or a part of one."""
        return self in VERTEBRAL_KINDS

    @property
    def is_sided(self) -> bool:
        return self in _SIDED

    @property
    def is_levelled(self) -> bool:
        return self in VERTEBRAL_KINDS or self in (Kind.DISC, Kind.NERVE_ROOT)


PART_KINDS = (
    Kind.BODY,
    Kind.ENDPLATE,
    Kind.ARCH,
    Kind.PEDICLE,
    Kind.SUPERIOR_ARTICULAR,
    Kind.INFERIOR_ARTICULAR,
    Kind.TRANSVERSE,
    Kind.LAMINA,
    Kind.SPINOUS,
)
VERTEBRAL_KINDS = frozenset({Kind.VERTEBRA, *PART_KINDS})
_SIDED = frozenset(
    {
        Kind.PEDICLE,
        Kind.SUPERIOR_ARTICULAR,
        Kind.INFERIOR_ARTICULAR,
        Kind.TRANSVERSE,
        Kind.LAMINA,
        Kind.NERVE_ROOT,
        Kind.HIP,
        Kind.PSOAS,
        Kind.ILIAC_ARTERY,
        Kind.ILIAC_VEIN,
        Kind.KIDNEY,
    }
)


@dataclass(frozen=True, slots=True)
class Structure:
    """The name of one anatomical structure.

    Parameters
    ----------
    kind
        What it is.
    level
        The vertebra it belongs to. A disc is named by the vertebra **above** it, a nerve root by the vertebra whose pedicle it
        passes under. None where the kind has no level, or where the source has not told the level (a map with one class for all
        discs, say).
    side
        The patient's side. None where the kind has no side, or the source has not told it.

    Raises
    ------
    ValueError
        When a level or a side is given to a kind that has none.
    """

    kind: Kind
    level: Level | None = None
    side: Side | None = None

    def __post_init__(self) -> None:
        if self.level is not None and not self.kind.is_levelled:
            raise ValueError(f"a {self.kind.value} has no level, got {self.level}")
        if self.side is not None and not self.kind.is_sided:
            raise ValueError(f"a {self.kind.value} has no side, got {self.side}")

    @property
    def key(self) -> str:
        """A stable name for files and JSON: ``disc_L4``, ``psoas_left``, ``pedicle_L5_right``."""
        parts = [self.kind.value]
        if self.level is not None:
            parts.append(self.level.value)
        if self.side is not None:
            parts.append(self.side.value)
        return "_".join(parts)

    @property
    def label(self) -> str:
        """The same in words: ``L4 disc``, ``left psoas``, ``right L5 pedicle``."""
        parts = [] if self.side is None else [self.side.value]
        if self.level is not None:
            parts.append(self.level.value)
        parts.append(self.kind.value.replace("_", " "))
        return " ".join(parts)

    @classmethod
    def from_key(cls, key: str) -> Structure:
        """The inverse of `key`.

        Raises
        ------
        ValueError
            When the text names no structure.
        """
        rest, side, level = key, None, None
        for candidate in Side:
            if rest.endswith("_" + candidate.value):
                side, rest = candidate, rest[: -len(candidate.value) - 1]
        for name in Level:
            if rest.endswith("_" + name.value):
                level, rest = name, rest[: -len(name.value) - 1]
        return cls(Kind(rest), level, side)

    @property
    def mirrored(self) -> Structure:
        """The same structure of the other side (itself, where it has no side)."""
        return self if self.side is None else Structure(self.kind, self.level, self.side.opposite)

    def __str__(self) -> str:
        return self.label


def segment_name(upper: Level, lower: Level) -> str:
    """The name of a motion segment, as surgeons write it.

    >>> segment_name(Level.L4, Level.L5)
    'L4/L5'
    """
    return f"{upper}/{lower}"
