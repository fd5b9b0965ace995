"""Which cases train, validate and test: the same for the same names, seed and fold, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kambin.errors import InputError
from kambin.segmentation.systems import Shares


@dataclass(frozen=True, slots=True)
class Fold:
    """Names of the cases, each sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def fold_of(groups: Mapping[str, str], shares: Shares, fold: int, seed: int = 0) -> Fold:
    """One fold of a cross-validation: groups are dealt at random into as many parts as there are folds, of which one tests.

    Of the rest, validation cases are drawn at random, in the published proportion and at least one.

    Parameters
    ----------
    groups
        For each case its patient; cases of one patient stay together.
    shares
        As published.
    fold
        From 0 on.
    seed
        Of the deal; all folds of one seed belong together: each case is tested once.

    Raises
    ------
    InputError
        When there is no such fold, or it would have no case to train, to validate or to test.
    """
    if not 0 <= fold < shares.folds:
        raise InputError("--fold", f"expected one of 0 to {shares.folds - 1}, found {fold}")
    patients = sorted(set(groups.values()))
    dealt = np.random.default_rng([seed, 1]).permutation(len(patients))
    tested = {patients[index] for index in dealt[fold :: shares.folds]}
    rest = [patients[index] for index in dealt if patients[index] not in tested]
    wanted = max(1, round(len(rest) * shares.validation / (shares.train + shares.validation)))
    chosen = np.random.default_rng([seed, 2, fold]).permutation(len(rest))[:wanted]
    validating = {rest[index] for index in chosen}
    parts = {
        "train": [name for name, patient in groups.items() if patient not in tested | validating],
        "validate": [name for name, patient in groups.items() if patient in validating],
        "test": [name for name, patient in groups.items() if patient in tested],
    }
    empty = [part for part, names in parts.items() if not names]
    if empty:
        problem = f"fold {fold} of {shares.folds} has no case to {' or to '.join(empty)}: there are {len(patients)} patients"
        raise InputError("--fold", problem, hint=f"At least {shares.folds} patients are needed, so that every fold tests one.")
    return Fold(tuple(sorted(parts["train"])), tuple(sorted(parts["validate"])), tuple(sorted(parts["test"])))
