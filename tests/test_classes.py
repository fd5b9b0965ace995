"""Classes of networks, and the common measure of intensities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.segmentation.classes import UNKNOWN, ClassSet
from kambin.segmentation.normalise import Normalisation, normaliser

PARTS = ClassSet.from_keys(["background", "trunk", "vertebral_body", "posterior_arch", "sacrum", "disc", "psoas"])
WHOLE = ClassSet.from_keys(["background", "vertebra_L5", "disc_L5", "vertebra_S1"])


@pytest.mark.parametrize(
    ("classes", "key", "expected"),
    [
        (PARTS, "vertebral_body_L4", "vertebral_body"),
        (PARTS, "endplate_L4", "vertebral_body"),
        (PARTS, "lamina_L5", "posterior_arch"),
        (PARTS, "pedicle_L1_left", "posterior_arch"),
        (PARTS, "disc_L3", "disc"),
        (PARTS, "psoas_right", "psoas"),
        (PARTS, "aorta", None),
        (PARTS, "vertebra_L5", None),
        (WHOLE, "pedicle_L5_left", "vertebra_L5"),
        (WHOLE, "vertebral_body_L5", "vertebra_L5"),
        (WHOLE, "vertebra_L4", None),
        (WHOLE, "disc_L4", None),
        (WHOLE, "disc_L5", "disc_L5"),
    ],
)
def test_a_structure_finds_its_class(classes: ClassSet, key: str, expected: str | None):
    found = classes.index(Structure.from_key(key))
    assert (None if found is None else classes.keys[found]) == expected


def test_a_whole_vertebra_is_unknown_to_a_network_of_parts():
    table = {1: Structure.from_key("vertebra_L5"), 2: Structure.from_key("disc_L5"), 3: Structure.from_key("aorta")}
    assert PARTS.of_labels(table) == {1: UNKNOWN, 2: PARTS.keys.index("disc"), 3: 0}
    assert WHOLE.of_labels(table) == {1: 1, 2: 2, 3: 0}


def test_only_what_is_labelled_whole_tells_background():
    assert PARTS.is_complete(None)
    assert PARTS.is_complete(PARTS.keys[1:])
    assert not PARTS.is_complete(["disc"])
    with pytest.raises(InputError, match="liver"):
        PARTS.is_complete(["liver"])


@pytest.mark.parametrize("keys", [["disc"], ["background"], ["background", "disc", "disc"], ["background", "elbow"]])
def test_what_are_no_classes_is_refused(keys: list[str]):
    with pytest.raises(ValueError, match=r"expected|not a valid"):
        ClassSet.from_keys(keys)


@given(scale=st.floats(0.01, 1000), offset=st.floats(-100, 100), seed=st.integers(0, 100))
def test_the_common_measure_does_not_know_the_scanners_units(scale: float, offset: float, seed: int):
    values = np.random.default_rng(seed).gamma(2.0, size=(9, 10, 11))
    for kind in (Normalisation.PERCENTILE, Normalisation.ZSCORE):
        one, other = normaliser(values, kind), normaliser(scale * (values + offset), kind)
        assert one(values) == pytest.approx(other(scale * (values + offset)), abs=2e-3)
        assert float(one(values).mean()) == pytest.approx(0.0, abs=1e-4)
        assert float(one(values).std()) == pytest.approx(1.0, abs=1e-4)


def test_percentiles_cut_what_stands_out():
    values = np.arange(1000.0)
    values[-1] = 1e6
    made = normaliser(values, Normalisation.PERCENTILE)
    assert made.high == pytest.approx(np.percentile(values, 99.5))
    assert made(values).max() < 2.0


def test_a_window_is_kept():
    made = normaliser(np.zeros(3), Normalisation.WINDOW, -100, 300)
    assert made(np.array([-1000.0, -100.0, 100.0, 300.0, 2000.0])).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="window"):
        normaliser(np.zeros(3), Normalisation.WINDOW, 5, 5)


def test_a_constant_scan_is_refused():
    with pytest.raises(ValueError, match="constant"):
        normaliser(np.full((4, 4), 7), Normalisation.PERCENTILE)


def test_a_scan_of_mostly_one_value_is_not_constant():
    values = np.zeros((100, 100))
    values[:2, :2] = 5.0
    assert np.isfinite(normaliser(values, Normalisation.PERCENTILE)(values)).all()
