"""How far two class maps agree, class by class.

With n voxels that both give a class, p that only the prediction gives it and m that only the truth does:

========================  ==============
Dice                      2n / (2n + p + m)
intersection over union   n / (n + p + m)
precision                 n / (n + p)
recall                    n / (n + m)
pixel accuracy            n / (n + m): true predicted over true voxels, as SPINECT's authors define it; for one class it is the recall
========================  ==============

Where neither map has the class all five are undefined (NaN) and belong in no mean. Where the truth has it and the prediction does not, all
are 0, the precision too: a structure that was not found shall not drop out of a mean. Where only the prediction has it, recall and pixel
accuracy are undefined and the others are 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.segmentation.classes import UNKNOWN


@dataclass(frozen=True, slots=True)
class Overlap:
    """Agreement of one class; NaN where it is undefined."""

    dice: float
    iou: float
    precision: float
    recall: float
    pixel_accuracy: float
    true_voxels: int
    found_voxels: int


METRICS = tuple(field.name for field in fields(Overlap))[:5]
"""Names of the measures."""


def overlaps(
    predicted: npt.NDArray[Any], truth: npt.NDArray[Any], classes: int, allowed: npt.NDArray[np.bool_] | None = None
) -> tuple[Overlap, ...]:
    """Agreement of every class but the background, in their order.

    Parameters
    ----------
    predicted, truth
        Class maps of one shape. The truth may hold numbers that stand for several classes; `UNKNOWN`, for all of them, is left out.
    classes
        How many, the background among them.
    allowed
        For every number that the truth may hold the classes that it stands for (`Targets.membership`). A class that was not labelled in
        this case, so that voxels without a label may be of it, is undefined.

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"expected class maps of one shape, found {predicted.shape} and {truth.shape}")
    if allowed is None:
        allowed = np.ones((UNKNOWN + 1, classes), dtype=bool)
        allowed[:classes] = np.eye(classes, dtype=bool)
    pairs = truth.astype(np.int64) * classes + predicted
    counts = np.bincount(pairs.ravel(), minlength=(UNKNOWN + 1) * classes).reshape(-1, classes)
    several = np.flatnonzero((allowed.sum(axis=1) > 1) & ~allowed.all(axis=1) & (counts.sum(axis=1) > 0))
    result = []
    for each in range(1, classes):
        if allowed[several, each].any():
            result.append(overlap(0, 0, 0))
            continue
        found = counts[each, each] + counts[~allowed[:, each], each].sum()
        result.append(overlap(int(counts[each, each]), int(counts[each].sum()), int(found)))
    return tuple(result)


def overlap(both: int, true: int, found: int) -> Overlap:
    """Agreement from counts of voxels: in both maps, in the truth, in the prediction.

    >>> overlap(6, 8, 10).dice
    0.6666666666666666
    """
    undefined = float("nan")
    if true == found == 0:
        return Overlap(undefined, undefined, undefined, undefined, undefined, 0, 0)
    recall = both / true if true else undefined
    precision = both / found if found else 0.0
    return Overlap(2 * both / (true + found), both / (true + found - both), precision, recall, recall, true, found)
