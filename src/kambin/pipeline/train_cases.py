"""The cases of a training: read, all that is wrong with them said at once, and prepared for the network."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.io.training_data import LoadedCase, TrainingCase, TrainingFolder, read_case, read_training_folder
from kambin.pipeline.progress import Progress
from kambin.segmentation.classes import UNKNOWN
from kambin.segmentation.folds import Fold, fold_of
from kambin.segmentation.preprocess import prepare, prepare_classes
from kambin.segmentation.systems import Setting, System, find_system
from kambin.segmentation.targets import Targets, class_map, class_table
from kambin.volume import Scan

if TYPE_CHECKING:
    from kambin.segmentation.sources import PreparedCase

OTHERS = ("refuse", "background", "unknown")
_AIR_HU = -500.0
_MOST_TOLD = 8


@dataclass(frozen=True)
class TrainOrder:
    """What is to be trained.

    Parameters
    ----------
    system
        Key of a published system.
    data
        The folder or list of cases.
    fold
        Which one, from 0 on.
    preset
        ``full`` or ``cpu``.
    epochs
        Instead of the preset's; the learning rate falls at the same parts of them.
    seed
        Of the folds and of every draw.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    scheme
        Of all labels, instead of what the folder says.
    others
        What structures are taken for that are labelled but belong to none of the system's classes: ``refuse`` them, ``background``, or
        ``unknown``. None: refused, but background where the folder is known to be labelled whole.
    force
        Train on scans of the wrong modality too.

    Raises
    ------
    InputError
        When a number or name makes no sense.
    """

    system: str
    data: str
    fold: int = 0
    preset: str = "full"
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    scheme: str | None = None
    others: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise InputError("--epochs", f"expected at least 1, found {self.epochs}")
        if self.seed < 0:
            raise InputError("--seed", f"expected a whole number from 0 on, found {self.seed}")
        if self.others is not None and self.others not in OTHERS:
            raise InputError("--others", f"expected one of {', '.join(OTHERS)}, found {self.others!r}")

    def setting(self) -> Setting:
        """The preset, with the epochs that are asked for."""
        setting = find_system(self.system).setting(self.preset)
        if self.epochs is None:
            return setting
        scale = self.epochs / setting.recipe.epochs
        divided = tuple(round(at * scale) for at in setting.recipe.divided_at)
        return replace(setting, recipe=replace(setting.recipe, epochs=self.epochs, divided_at=divided))


@dataclass(frozen=True, eq=False)
class TrainingData:
    """One fold, checked and prepared; test cases are opened again when it is their turn."""

    cases: Mapping[str, TrainingCase]
    fold: Fold
    targets: Targets
    prepared: Mapping[str, PreparedCase]
    digest: str
    notes: tuple[str, ...]


def read_data(order: TrainOrder, system: System, setting: Setting, progress: Progress) -> TrainingData:
    """All cases read, checked together, and those that are learnt from prepared."""
    folder = read_training_folder(order.data, order.scheme)
    cases = {case.name: case for case in folder.cases}
    fold = fold_of({case.name: case.group for case in folder.cases}, system.shares, order.fold, order.seed)
    labelled = {name: labelled_classes(system, case) for name, case in cases.items()}
    targets = Targets.of(system.classes, labelled.values())
    policy = order.others or ("background" if folder.whole else "refuse")
    problems: list[str] = []
    outside: Counter[str] = Counter()
    prepared: dict[str, PreparedCase] = {}
    digest = hashlib.sha256()
    for index, (name, case) in enumerate(sorted(cases.items())):
        progress(f"reading {name}", index / len(cases))
        try:
            loaded = read_case(case)
        except InputError as error:
            problems += [f"{error.subject}: {problem}" for problem in error.problems]
            continue
        digest.update(json.dumps([name, _checksum(loaded.scan.provenance), _checksum(loaded.segmentation.provenance)]).encode())
        found = _problem(order, system, case, loaded.scan)
        if found is not None:
            problems.append(found)
            continue
        rest = targets.rest(labelled[name])
        classes, strange = classes_of(system, loaded, rest, policy)
        outside.update(strange)
        if policy == "refuse" and strange:
            continue
        if not ((classes > 0) & (classes < len(system.classes))).any():
            problems.append(f"{case.labels.name}: none of the classes of {system.key} is labelled in it")
        elif name not in fold.test:
            prepared[name] = _prepared(name, loaded, classes, rest, setting)
    _raise_all(folder, system, problems, outside if policy == "refuse" else Counter())
    notes = _notes(system, labelled, outside, policy)
    return TrainingData(cases, fold, targets, prepared, digest.hexdigest(), notes)


def labelled_classes(system: System, case: TrainingCase) -> tuple[str, ...] | None:
    """The classes that were labelled in a case, None for all: those that its scheme can name, of which the case may name fewer.

    Raises
    ------
    InputError
        When there is none, or the case names one that the system does not have.
    """
    keys = system.classes.keys[1:]
    table = {number: structure for number, structure in case.scheme.table.items() if structure is not None}
    # a scheme that has sides or levels open can name every class of the kind
    nameable = {keys[number - 1] for number in class_table(system, table).numbers.values() if 0 < number <= len(keys)}
    kinds = {structure.kind for structure in case.scheme.structures if structure.kind.is_levelled and structure.level is None}
    nameable |= {structure.key for structure in system.classes.structures if structure.kind in kinds}
    if case.scheme.from_below or case.scheme.is_pair:
        nameable = set(keys)
    if case.labelled is not None:
        system.classes.is_complete(case.labelled)  # a key that is none of the classes is said
        nameable &= set(case.labelled)
    if not nameable:
        problem = f"expected labels of {', '.join(keys)}, found none of them in the scheme {case.scheme.name}"
        raise InputError(case.labels, problem)
    return None if nameable == set(keys) else tuple(key for key in keys if key in nameable)


def _problem(order: TrainOrder, system: System, case: TrainingCase, scan: Scan) -> str | None:
    """What makes a scan unfit to be learnt from, if anything."""
    values = scan.values
    if not np.isfinite(values).all():
        return f"{case.image.name}: expected finite intensities, found NaN or infinity"
    if values.min() == values.max():
        return f"{case.image.name}: all its voxels are {values.min():g}"
    told = scan.modality or case.modality
    # Hounsfield units reach far below 0 in air; magnitudes of MR do not
    guessed = "CT" if float(values.min()) <= _AIR_HU else "MR" if float(values.min()) >= 0 else None
    found = told or guessed
    if order.force or found in (None, system.modality):
        return None
    why = "the file says so" if told else "by its intensities"
    return f"{case.image.name}: expected {system.modality}, found {found} ({why}); --force takes it all the same"


def classes_of(system: System, loaded: LoadedCase, rest: int, policy: str) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """The class map of a case, and the structures in it that belong to no class."""
    table = class_table(system, loaded.segmentation.table)
    strange = set(table.outside)
    numbers = dict(table.numbers)
    if policy == "unknown":
        numbers |= {label: UNKNOWN for label, structure in loaded.segmentation.table.items() if structure in strange}
    classes = class_map(loaded.segmentation.labels, numbers, rest)
    if loaded.ignored is not None:
        classes[loaded.ignored] = UNKNOWN
    return classes, sorted(structure.key for structure in strange)


def _prepared(name: str, loaded: LoadedCase, classes: npt.NDArray[np.uint8], rest: int, setting: Setting) -> PreparedCase:
    from kambin.segmentation.sources import PreparedCase

    ready = prepare(loaded.scan.values, loaded.scan.grid, setting.preprocessing)
    target = prepare_classes(classes, loaded.scan.grid, setting.preprocessing, outside=rest)
    return PreparedCase(name, ready.image, target, rest)


def _raise_all(folder: TrainingFolder, system: System, problems: list[str], outside: Counter[str]) -> None:
    hint = None
    if outside:
        told = ", ".join(f"{key} ({count})" for key, count in outside.most_common(_MOST_TOLD))
        more = f" and {len(outside) - _MOST_TOLD} more" if len(outside) > _MOST_TOLD else ""
        problems = [*problems, f"labels outside the classes of {system.key}, with the number of cases: {told}{more}"]
        hint = "Give --others background where all of them are labelled whole, or --others unknown to learn nothing from their voxels."
    if problems:
        more_problems = [f"and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
        raise InputError(folder.source, *problems[:_MOST_TOLD], *more_problems, hint=hint)


def _notes(system: System, labelled: Mapping[str, tuple[str, ...] | None], outside: Counter[str], policy: str) -> tuple[str, ...]:
    notes = []
    partly = [keys for keys in labelled.values() if keys is not None]
    if partly:
        never = [key for key in system.classes.keys[1:] if all(keys is not None and key not in keys for keys in labelled.values())]
        notes.append(f"{len(partly)} of {len(labelled)} cases are labelled in part; what was not labelled is not learnt as background")
        if never:
            notes.append(f"never labelled, so never learnt: {', '.join(never)}")
    if outside and policy != "refuse":
        told = ", ".join(sorted(outside)[:_MOST_TOLD]) + (f" and {len(outside) - _MOST_TOLD} more" if len(outside) > _MOST_TOLD else "")
        notes.append(f"of no class, and taken as {'what surrounds them' if policy == 'background' else 'unknown'}: {told}")
    return tuple(notes)


def _checksum(provenance: Mapping[str, Any]) -> str:
    return json.dumps(provenance.get("sha256") or provenance.get("label_maps") or "", sort_keys=True, default=str)
