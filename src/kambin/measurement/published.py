"""Published adult values, by quantity and level, to read a measurement beside; never limits of normality.

Full citations, and for each value whether it was read in the source's own text, in a later text or is cited from memory, are in
``docs/references.md``. Three habits:

* One series a cell. Series are not pooled, and none is filled in by interpolation: a level that no series gives stays empty.
* The source's words say what `low` and `high` are: the range printed, or mean ± 2 SD. A standard error of the mean is turned into a
  standard deviation (SD = SEM × √n) and the source says so, because ± 2 SEM would be taken for the spread of people.
* A source that prints a mean without a spread goes to `PUBLISHED_MEANS`: it has no range to lie within, below or above.

Levels are written as in `Measurement.level`: "L4/L5", "L4", "L1–S1", and "" for any level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from types import MappingProxyType

from kambin.measurement.result import Published

_Table = Mapping[str, Mapping[str, Published]]

_LUMBAR = ("L1", "L2", "L3", "L4", "L5")
_SEGMENTS = ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")


def _range(mean: float, low: float, high: float, source: str) -> Published:
    return Published(mean, low, high, f"{source} (printed range)")


def _two_sd(mean: float, sd: float, source: str, note: str = "mean ± 2 SD") -> Published:
    return Published(mean, round(mean - 2.0 * sd, 3), round(mean + 2.0 * sd, 3), f"{source} ({note})")


def _two_sd_each(levels: Iterable[str], means: Iterable[float], sds: Iterable[float], source: str) -> dict[str, Published]:
    return {level: _two_sd(mean, sd, source) for level, mean, sd in zip(levels, means, sds, strict=True)}


def _two_sd_from_sem(levels: Iterable[str], means: Iterable[float], sems: Iterable[float], n: int, source: str) -> dict[str, Published]:
    note = f"mean ± 2 SD, SD = SEM × √{n}"
    return {level: _two_sd(mean, sem * sqrt(n), source, note) for level, mean, sem in zip(levels, means, sems, strict=True)}


def _mean(mean: float, source: str) -> Published:
    return Published(mean, mean, mean, f"{source} (mean only, no spread printed)")


def _frozen(table: _Table) -> _Table:
    return MappingProxyType({key: MappingProxyType(dict(levels)) for key, levels in table.items()})


_LIU = "Liu 2022, MR, automatic segmentation, n = 100"
_WANG = "Wang 2023, MR, automatic segmentation, n = 50"
_OLIF_2022 = "J Orthop Surg Res 2022 (s13018-022-03322-y), MR"
_LI = "Li 2018, MR, n = 200"
_HARIANJA = "Harianja, CT, ages 18–35, n = 600, L1–S1 pooled"
_COOK = "Cook 2021, CT, n = 196"
_GILAD = "Gilad 1985, radiographs, men, n = 157"
_PANJABI = "Panjabi 1992, cadavers, n = 12"
_ZINDRICK = "Zindrick 1987, transverse isthmus width"
_SEGMENTAL = "Sci Rep 2022 (s41598-022-21840-x), standing, n = 324"
_ONISHI = "Onishi 2019, MR, n = 300"
_NEPAL = "Nepalese MR series, n = 106"
_WANG_D = "Wang D 2021, CT, n = 50"

PUBLISHED_RANGES: _Table = _frozen(
    {
        "foraminal_area": {},
        "foraminal_height": {},
        "foraminal_width": {},
        "narrowest_foraminal_section": {},
        "disc_height_anterior": {},
        "disc_height_middle": _two_sd_each(
            _SEGMENTS, (6.61, 7.90, 8.83, 9.31, 8.14), (1.39, 1.59, 1.56, 1.75, 1.90), "Shin 2024, CT, n = 700"
        ),
        "disc_height_posterior": {},
        "disc_wedge_angle": {},
        "body_height_anterior": _two_sd_each(_LUMBAR[:4], (25.4, 27.2, 27.9, 27.4), (2.2, 2.0, 2.1, 2.2), _GILAD)
        | {"L5": _two_sd(30.3, 1.9, _COOK)},
        "body_height_middle": {},
        "body_height_posterior": _two_sd_each(_LUMBAR[:4], (27.1, 27.0, 27.9, 27.1), (2.1, 2.1, 2.1, 2.3), _GILAD)
        | {"L5": _two_sd(26.3, 1.9, _COOK)},
        # Width of the upper endplate: at mid-height, where it is measured here, a body is narrower by some millimetres.
        "body_width": _two_sd_from_sem(
            _LUMBAR, (41.2, 42.6, 44.1, 46.6, 47.3), (1.03, 0.74, 0.88, 1.20, 1.20), 12, f"{_PANJABI}, upper endplate"
        ),
        "body_depth": {"L5": _two_sd(33.5, 3.1, f"{_COOK}, at the pedicles")},
        "slip_mm": {},
        "slip_percent": {},
        "pedicle_width": _two_sd_each(_LUMBAR, (8.7, 8.9, 10.3, 12.9, 18.0), (2.3, 2.2, 2.6, 2.1, 4.1), _ZINDRICK),
        "pedicle_height": {"L5": _two_sd(12.9, 1.9, _COOK)},
        "canal_area": {},
        # Bony canal at the height of a vertebra: no value for a disc's mid-plane.
        "canal_ap_diameter": _two_sd_from_sem(
            _LUMBAR[:4], (19.0, 18.2, 17.5, 18.6), (0.67, 0.53, 0.53, 0.71), 12, f"{_PANJABI}, bony canal"
        )
        | {"L5": _two_sd(15.6, 2.1, f"{_COOK}, bony canal")},
        "iliac_crest_height": {},
        "lordosis": {"L1–S1": _two_sd(36.8, 13.2, "Asian Spine J (PMC6680033), lying, T12–S1, n = 627")},
        "segment_angle": _two_sd_each(_SEGMENTS, (1.2, 5.9, 9.1, 12.7, 21.6), (3.6, 4.1, 4.2, 5.1, 7.7), _SEGMENTAL),
        "sacral_slope": {"S1": _range(44.5, 18.0, 71.0, "Okpala, supine radiographs, Ferguson's angle, ages 15–74, n = 274")},
        "oblique_corridor": {
            "L2/L3": _two_sd(16.25, 4.22, _OLIF_2022),
            "L3/L4": _two_sd(15.46, 4.64, _OLIF_2022),
            "L4/L5": _range(9.214, 0.0, 17.97, _WANG),
        },
        "aorta_diameter": {"L4/L5": _range(11.852, 6.1, 24.35, _WANG)},
        "cava_diameter": {"L4/L5": _range(21.081, 8.42, 36.43, _WANG)},
        "psoas_to_cava": {"L4/L5": _range(1.929, 0.0, 5.82, _WANG)},
        "interlaminar_width": {"L5/S1": _two_sd(23.55, 4.91, _WANG_D)},
        # Left 9.14, right 9.55; the left's spread.
        "interlaminar_height": {"L5/S1": _two_sd(9.345, 2.45, f"{_WANG_D}, mean of both sides")},
    }
)
"""Values with a range: quantity key → level → value. Every quantity has a key; an empty mapping says that no sound value was found."""

PUBLISHED_MEANS: _Table = _frozen(
    {
        "foraminal_area": {"L5/S1": _mean(107.826, _LIU), "": _mean(134.78, _HARIANJA)},
        "foraminal_height": {"L5/S1": _mean(15.7167, _LIU), "": _mean(17.46, _HARIANJA)},
        "foraminal_width": {"L5/S1": _mean(6.9119, _LIU)},
        "disc_height_anterior": {
            "L1/L2": _mean(6.91, _NEPAL),
            "L3/L4": _mean(9.30, _ONISHI),
            "L4/L5": _mean(10.94, _ONISHI),
            "L5/S1": _mean(12.41, _ONISHI),
        },
        "disc_height_posterior": {"L1/L2": _mean(5.52, _NEPAL), "L4/L5": _mean(8.09, _NEPAL), "L5/S1": _mean(6.94, _NEPAL)},
        "body_depth": {
            level: _mean(mean, f"{_PANJABI}, upper endplate") for level, mean in zip(_LUMBAR[:4], (34.1, 34.6, 35.2, 35.5), strict=True)
        },
        "iliac_crest_height": {"L4/L5": _mean(4.33, "Orthop Proc 2009, radiographs, n = 450")},
        "oblique_corridor": {"L1/L2": _mean(18.90, _LI)},
        "psoas_to_cava": {"L1/L2": _mean(14.80, _LI), "L2/L3": _mean(5.50, _LI), "L3/L4": _mean(3.00, _LI)},
    }
)
"""Means that were printed without a spread; `low` and `high` equal the mean. Never beside a range for the same quantity and level."""

PUBLISHED: _Table = _frozen({key: {**PUBLISHED_MEANS.get(key, {}), **ranges} for key, ranges in PUBLISHED_RANGES.items()})
"""All published values: those with a range and, where none is printed, bare means."""
