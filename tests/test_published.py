"""The published values: whole, well formed, each with its source, and as the sources print them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from kambin.measurement import body_size, disc_height, oblique_corridor, pedicle_size, sagittal_angles
from kambin.measurement.published import PUBLISHED, PUBLISHED_MEANS, PUBLISHED_RANGES
from kambin.measurement.result import Published

_KEYS = {
    "foraminal_area", "foraminal_height", "foraminal_width", "narrowest_foraminal_section",
    "disc_height_anterior", "disc_height_middle", "disc_height_posterior", "disc_wedge_angle",
    "body_height_anterior", "body_height_middle", "body_height_posterior", "body_width", "body_depth",
    "slip_mm", "slip_percent", "pedicle_width", "pedicle_height", "canal_area", "canal_ap_diameter",
    "iliac_crest_height", "lordosis", "segment_angle", "sacral_slope",
    "oblique_corridor", "aorta_diameter", "cava_diameter", "psoas_to_cava", "interlaminar_width", "interlaminar_height",
}  # fmt: skip
_SEGMENTS = {"L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"}
_VERTEBRAE = {"L1", "L2", "L3", "L4", "L5"}
_OF_VERTEBRAE = {key for key in _KEYS if key.startswith(("body_", "pedicle_"))} | {"canal_ap_diameter"}

_RANGED = [(key, level, value) for key, levels in PUBLISHED_RANGES.items() for level, value in levels.items()]
_MEANS = [(key, level, value) for key, levels in PUBLISHED_MEANS.items() for level, value in levels.items()]


def _levels(key: str) -> set[str]:
    if key in _OF_VERTEBRAE:
        return _VERTEBRAE
    return {"lordosis": {"L1–S1"}, "sacral_slope": {"S1"}}.get(key, _SEGMENTS)


def test_every_quantity_has_a_key_and_no_other_name_slips_in() -> None:
    assert set(PUBLISHED) == _KEYS
    assert set(PUBLISHED_MEANS) <= _KEYS


@pytest.mark.parametrize(("key", "level", "value"), [*_RANGED, *_MEANS])
def test_levels_are_written_as_measurements_write_them(key: str, level: str, value: Published) -> None:
    assert level in _levels(key) | {""}
    assert value.source


@pytest.mark.parametrize("value", [value for _, _, value in _RANGED])
def test_a_range_holds_its_mean_and_its_source_says_what_it_is(value: Published) -> None:
    assert all(map(math.isfinite, (value.mean, value.low, value.high)))
    assert value.low < value.mean < value.high
    assert ("printed range" in value.source) != ("mean ± 2 SD" in value.source)
    if "mean ± 2 SD" in value.source:
        assert value.high - value.mean == pytest.approx(value.mean - value.low, abs=2e-3)


@pytest.mark.parametrize(("key", "level", "value"), _MEANS)
def test_a_mean_without_spread_claims_no_range(key: str, level: str, value: Published) -> None:
    assert value.low == value.mean == value.high
    assert "mean only" in value.source
    assert level not in PUBLISHED_RANGES[key], "a level has either a range or a mere mean"


@pytest.mark.parametrize(
    ("key", "mean", "low", "high"),
    [
        # Wang 2023, table 3, automatic segmentation
        ("oblique_corridor", 9.214, 0.0, 17.97),
        ("aorta_diameter", 11.852, 6.1, 24.35),
        ("cava_diameter", 21.081, 8.42, 36.43),
        ("psoas_to_cava", 1.929, 0.0, 5.82),
    ],
)
def test_wang_2023_is_quoted_as_printed(key: str, mean: float, low: float, high: float) -> None:
    value = PUBLISHED[key]["L4/L5"]
    assert (value.mean, value.low, value.high) == (mean, low, high)


def test_segment_angles_add_up_as_their_source_says() -> None:
    # The table's last column gives each segment's share of the whole in per cent; the shares sum to 100.
    shares = {"L1/L2": 2.3, "L2/L3": 11.7, "L3/L4": 18.1, "L4/L5": 25.2, "L5/S1": 42.7}
    whole = sum(value.mean for value in PUBLISHED["segment_angle"].values())
    for level, share in shares.items():
        assert 100.0 * PUBLISHED["segment_angle"][level].mean / whole == pytest.approx(share, abs=0.3)


def test_standard_errors_are_not_taken_for_the_spread_of_people() -> None:
    # Panjabi 1992, upper endplate width of L1: 41.2 mm, SEM 1.03 mm, twelve spines: SD 3.57 mm.
    value = PUBLISHED["body_width"]["L1"]
    assert value.high - value.mean == pytest.approx(2 * 3.568, abs=2e-3)


def test_nobody_can_change_them() -> None:
    with pytest.raises(TypeError):
        PUBLISHED["slip_mm"] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        PUBLISHED["slip_mm"]["L4/L5"] = Published(0.0, 0.0, 0.0, "")  # type: ignore[index]


def test_every_series_is_in_the_reference_list() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs" / "references.md").read_text(encoding="utf-8")
    for _, _, value in [*_RANGED, *_MEANS]:
        name = re.split(r",| \(", value.source)[0]
        assert f"**{name}**" in text, f"docs/references.md does not explain {name!r}"


def test_published_means_are_plausible_for_the_quantity_they_stand_beside() -> None:
    modules = (body_size, disc_height, oblique_corridor, pedicle_size, sagittal_angles)
    quantities = [item for module in modules for item in vars(module).values() if hasattr(item, "plausible")]
    assert quantities
    for quantity in quantities:
        low, high = quantity.plausible
        for value in PUBLISHED[quantity.key].values():
            assert low <= value.mean <= high
