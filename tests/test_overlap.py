"""Agreement of class maps: against scikit-learn's formulas written out on counted voxels, and in the cases where nothing can be divided."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kambin.anatomy.structures import Kind, Structure
from kambin.segmentation.classes import UNKNOWN, ClassSet
from kambin.segmentation.overlap import METRICS, overlap, overlaps
from kambin.segmentation.targets import Targets

maps = arrays(np.uint8, (4, 3, 5), elements=st.integers(0, 3))


def test_two_boxes_that_overlap_by_a_third() -> None:
    truth, found = np.zeros((9, 2, 2), np.uint8), np.zeros((9, 2, 2), np.uint8)
    truth[0:4], found[2:6] = 1, 1  # 16 voxels each, 8 in both
    (result,) = overlaps(found, truth, 2)
    assert (result.true_voxels, result.found_voxels) == (16, 16)
    assert (result.dice, result.iou, result.precision, result.recall) == (0.5, 8 / 24, 0.5, 0.5)
    assert result.pixel_accuracy == 0.5


@given(maps, maps)
def test_every_class_as_its_own_mask_gives_the_same(found: np.ndarray, truth: np.ndarray) -> None:
    for number, result in enumerate(overlaps(found, truth, 4), 1):
        a, b = found == number, truth == number
        expected = overlap(int((a & b).sum()), int(b.sum()), int(a.sum()))
        for name in METRICS:
            assert getattr(result, name) == pytest.approx(getattr(expected, name), nan_ok=True)
        if a.any() and b.any():
            # Dice and intersection over union say the same in two ways
            assert result.dice == pytest.approx(2 * result.iou / (1 + result.iou))
            assert math.isclose(result.dice * (result.precision + result.recall), 2 * result.precision * result.recall, abs_tol=1e-12)


@given(maps, maps)
def test_dice_does_not_mind_which_is_the_truth_and_precision_becomes_recall(found: np.ndarray, truth: np.ndarray) -> None:
    for one, other in zip(overlaps(found, truth, 4), overlaps(truth, found, 4), strict=True):
        assert one.dice == pytest.approx(other.dice, nan_ok=True)
        if one.true_voxels and one.found_voxels:
            assert one.precision == pytest.approx(other.recall)


def test_what_cannot_be_divided() -> None:
    absent, missed, invented = overlap(0, 0, 0), overlap(0, 5, 0), overlap(0, 0, 5)
    assert all(math.isnan(getattr(absent, name)) for name in METRICS)
    assert all(getattr(missed, name) == 0.0 for name in METRICS)
    assert invented.dice == invented.iou == invented.precision == 0.0
    assert math.isnan(invented.recall)
    assert math.isnan(invented.pixel_accuracy)


def test_unknown_voxels_count_for_nothing() -> None:
    truth = np.array([1, 1, UNKNOWN, UNKNOWN, 0], np.uint8)
    found = np.array([1, 1, 1, 1, 0], np.uint8)
    assert overlaps(found, truth, 2)[0].dice == 1.0


def test_in_a_partly_labelled_case_only_what_was_labelled_is_judged() -> None:
    classes = ClassSet((Structure(Kind.DISC), Structure(Kind.SACRUM)))
    targets = Targets.of(classes, [("disc",)])
    rest = targets.rest(("disc",))
    truth = np.array([1, 1, rest, rest, rest], np.uint8)
    found = np.array([1, 1, 1, 2, 2], np.uint8)
    disc, sacrum = overlaps(found, truth, 3, targets.membership())
    assert disc.precision == 2 / 3  # a voxel outside the labels is surely no disc
    assert disc.recall == 1.0
    assert math.isnan(sacrum.dice)


def test_maps_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        overlaps(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), 2)
