"""What a network tells apart: one structure a class, class 0 being none of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kambin.anatomy.structures import PART_KINDS, Kind, Structure
from kambin.errors import InputError

BACKGROUND = "background"
UNKNOWN = 255
"""In class maps of the training: not labelled here, so that nothing is learnt from it."""


@dataclass(frozen=True, slots=True)
class ClassSet:
    """The classes of a network, in the order of its output channels.

    A structure without a level or side stands for all of them: a class ``disc`` is every disc, and which is which is told later, by
    anatomy.

    Parameters
    ----------
    structures
        Of classes 1, 2, … in turn; class 0 is the background.

    Raises
    ------
    ValueError
        When there is none, more than 254, or one occurs twice.

    Examples
    --------
    >>> ClassSet.from_keys(["background", "disc", "vertebra_L5"]).index(Structure.from_key("disc_L4"))
    1
    """

    structures: tuple[Structure, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.structures) < UNKNOWN:
            raise ValueError(f"expected 1 to {UNKNOWN - 1} classes beside the background, found {len(self.structures)}")
        if len(set(self.structures)) < len(self.structures):
            raise ValueError("expected each structure once among the classes")

    @classmethod
    def from_keys(cls, keys: Iterable[str]) -> ClassSet:
        """From what `keys` gives.

        Raises
        ------
        ValueError
            When the first is not ``background`` or another names no structure.
        """
        first, *others = keys
        if first != BACKGROUND:
            raise ValueError(f"expected {BACKGROUND!r} as the first class, found {first!r}")
        return cls(tuple(Structure.from_key(key) for key in others))

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all classes, the background first."""
        return (BACKGROUND, *(structure.key for structure in self.structures))

    def __len__(self) -> int:
        return 1 + len(self.structures)

    def index(self, structure: Structure) -> int | None:
        """The class that a structure belongs to; None where there is none.

        A vertebra's part belongs to the class of the part, else of the arch where it is not the body, else of the vertebra. A whole
        vertebra belongs to no class of parts: it is not known which.
        """
        for name in _names(structure):
            if name in self.structures:
                return 1 + self.structures.index(name)
        return None

    def of_labels(self, table: Mapping[int, Structure]) -> dict[int, int]:
        """For each label of a table its class: 0 where the network has none for it, `UNKNOWN` where it cannot be told.

        Parts of a vertebra that come as one label cannot be told where the network knows parts. What lies in no label at all is background
        only where all classes were labelled: see `is_complete`.
        """
        divides = any(one.kind in PART_KINDS for one in self.structures)
        result = {}
        for label, structure in table.items():
            found = self.index(structure)
            result[label] = UNKNOWN if found is None and divides and structure.kind is Kind.VERTEBRA else (found or 0)
        return result

    def is_complete(self, labelled: Iterable[str] | None) -> bool:
        """Whether a case with these classes labelled tells background from the rest.

        Raises
        ------
        InputError
            When a key is none of the classes.
        """
        if labelled is None:
            return True
        strange = sorted(set(labelled) - set(self.keys))
        if strange:
            raise InputError("labelled", f"expected some of {', '.join(self.keys[1:])}, found {', '.join(strange)}")
        return set(self.keys[1:]) <= set(labelled)


def _names(structure: Structure) -> Iterable[Structure]:
    """A structure's names, from the nearest to the widest."""
    kinds = [structure.kind]
    if structure.kind in PART_KINDS:
        # An endplate is the body's.
        kinds += [Kind.BODY if structure.kind in (Kind.BODY, Kind.ENDPLATE) else Kind.ARCH, Kind.VERTEBRA]
    level, side = structure.level, structure.side
    for kind in dict.fromkeys(kinds):
        for of_level in dict.fromkeys((level, None)):
            for of_side in dict.fromkeys((side, None)):
                bare = Structure(kind)
                if (of_level is None or bare.kind.is_levelled) and (of_side is None or bare.kind.is_sided):
                    yield Structure(kind, of_level if kind.is_levelled else None, of_side if kind.is_sided else None)
