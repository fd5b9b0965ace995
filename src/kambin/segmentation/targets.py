"""What a network is to learn of a voxel: its class, that it is one of several classes, or nothing.

In a case of which only some structures were labelled, a voxel outside all labels is not background: it is background *or* one of the
structures that were not labelled. Such a set of classes has a number of its own in the class maps of training, from the number of classes
on; the loss then asks for the probability of the whole set. `UNKNOWN` is the set of all classes, of which nothing can be learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Structure
from kambin.errors import InputError
from kambin.segmentation.classes import UNKNOWN, ClassSet
from kambin.segmentation.systems import System

_TRUNK = Structure(Kind.TRUNK)


@dataclass(frozen=True, slots=True)
class Targets:
    """The numbers that class maps of training may hold.

    Parameters
    ----------
    classes
        Of the network.
    sets
        Of classes, by index; the first has the number ``len(classes)``.
    """

    classes: ClassSet
    sets: tuple[frozenset[int], ...] = ()

    @classmethod
    def of(cls, classes: ClassSet, labelled: Iterable[Iterable[str] | None] = ()) -> Targets:
        """For cases of which these classes (by key; all, where None) were labelled.

        Raises
        ------
        InputError
            When a key is none of the classes.
        """
        found: list[frozenset[int]] = []
        for keys in labelled:
            names = None if keys is None else tuple(keys)
            if classes.is_complete(names):
                continue
            assert names is not None
            left = frozenset(index for index, key in enumerate(classes.keys) if index == 0 or key not in names)
            # a mirrored image has the set of the other side
            found += [left, frozenset(_mirrored(classes)[index] for index in left)]
        sets = tuple(dict.fromkeys(found))
        if len(classes) + len(sets) > UNKNOWN:
            raise InputError("labelled", f"expected at most {UNKNOWN - len(classes)} different choices of labelled classes")
        return cls(classes, sets)

    def rest(self, labelled: Iterable[str] | None) -> int:
        """The number of what lies outside all labels: 0 for background, or that of a set."""
        names = None if labelled is None else tuple(labelled)
        if self.classes.is_complete(names):
            return 0
        assert names is not None
        left = frozenset(index for index, key in enumerate(self.classes.keys) if index == 0 or key not in names)
        return len(self.classes) + self.sets.index(left)

    def membership(self) -> npt.NDArray[np.bool_]:
        """For every number from 0 to 255 the classes that it allows, shape (256, classes); all of them for a number without meaning."""
        table = np.ones((UNKNOWN + 1, len(self.classes)), dtype=bool)
        table[: len(self.classes)] = np.eye(len(self.classes), dtype=bool)
        for number, members in enumerate(self.sets, len(self.classes)):
            table[number] = [index in members for index in range(len(self.classes))]
        return table

    def mirrored(self) -> npt.NDArray[np.uint8]:
        """For every number from 0 to 255 that of the other side, shape (256,)."""
        table = np.arange(UNKNOWN + 1, dtype=np.uint8)
        swapped = _mirrored(self.classes)
        table[: len(self.classes)] = swapped
        for number, members in enumerate(self.sets, len(self.classes)):
            table[number] = len(self.classes) + self.sets.index(frozenset(swapped[index] for index in members))
        return table


def _mirrored(classes: ClassSet) -> list[int]:
    """For every class that of the other side; itself where it has none among the classes."""
    result = [0]
    for index, structure in enumerate(classes.structures, 1):
        other = structure.mirrored
        result.append(1 + classes.structures.index(other) if other in classes.structures else index)
    return result


@dataclass(frozen=True, slots=True)
class ClassTable:
    """What the labels of a map are to a system.

    Parameters
    ----------
    numbers
        For each label its class.
    outside
        Structures that belong to no class and were taken as what surrounds them.
    """

    numbers: Mapping[int, int]
    outside: tuple[Structure, ...]


def class_table(system: System, table: Mapping[int, Structure]) -> ClassTable:
    """The class of every label.

    A structure with no class is background, or trunk where the system has that class. One whose class cannot be told (a whole vertebra
    where its body alone is a class) is `UNKNOWN`. The sacrum counts as S1 only where no S1 is labelled beside it.
    """
    classes = system.classes
    native = {classes.index(structure) for structure in table.values()}
    counted = {}
    for label, structure in table.items():
        other = system.counted_as.get(_bare(structure))
        stands_in = other is not None and (other.level is None or classes.index(other) not in native)
        counted[label] = other if other is not None and stands_in else structure
    numbers = classes.of_labels(counted)
    surround = classes.index(_TRUNK) or 0
    outside = []
    for label, structure in table.items():
        if numbers[label] == 0:
            numbers[label] = surround
            if structure != _TRUNK:
                outside.append(structure)
    return ClassTable(numbers, tuple(dict.fromkeys(outside)))


def _bare(structure: Structure) -> Structure:
    """Without its side: a hip bone counts as bone on either."""
    return Structure(structure.kind, structure.level)


def class_map(labels: npt.NDArray[np.uint16], numbers: Mapping[int, int], rest: int = 0) -> npt.NDArray[np.uint8]:
    """Classes of a label map's voxels; `rest` where there is no label."""
    lookup = np.full(max([0, *numbers, int(labels.max(initial=0))]) + 1, rest, dtype=np.uint8)
    for label, number in numbers.items():
        lookup[label] = number
    return np.asarray(lookup[labels], dtype=np.uint8)
