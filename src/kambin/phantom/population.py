"""The population that digital patients are drawn from: means, spreads and what goes with what.

Stature, age, sex and body mass come first; the rest follows them as far as the literature knows, and scatters around what follows.
Every draw is clipped into the range that `PatientParameters` allows, and contradictions are drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kambin.errors import InputError
from kambin.phantom.column import disc_wedges
from kambin.phantom.morphometry import DISC_HEIGHT_MM, SEGMENTS
from kambin.phantom.parameters import SEXES, PatientParameters, ranges

_LOSS = dict(zip(SEGMENTS, (0.5, 0.6, 0.7, 0.8, 1.0, 1.1), strict=True))
"""How strongly each disc takes part in degeneration; the lowest most."""


def sample(seed: int, changes: Mapping[str, Any] | None = None) -> PatientParameters:
    """One patient of the population: the same for the same seed, on any machine.

    Parameters
    ----------
    seed
        Not negative.
    changes
        Numbers set by hand; what follows from them in the population follows here too where it is sex, age, stature or body mass.

    Raises
    ------
    InputError
        As `PatientParameters`.
    ValueError
        When the seed is negative.
    """
    given = dict(changes or {})
    PatientParameters().changed(given)  # names and ranges, before anything is drawn
    rng = np.random.Generator(np.random.PCG64(seed))
    normal = rng.standard_normal(64).tolist()
    uniform = rng.random(32).tolist()
    person = _person(normal[:4], uniform[0], given)
    drawn = {
        **person,
        **_column(person, normal[4:24], uniform[1:3]),
        **_arch(person, normal[24:32]),
        **_pathology(person, normal[32:38], uniform[3:16]),
        **_around(person, normal[38:56]),
        "variant": float(seed % 1_000_000),
    }
    allowed = ranges()
    for name, value in drawn.items():
        if name in allowed:
            drawn[name] = round(float(np.clip(value, *allowed[name])), 3)
    drawn.update(given)
    patient = PatientParameters(**_reconciled(drawn, set(given)))
    # Thin discs cannot bend far: who has them has less lordosis.
    while "lordosis_deg" not in given and not _can_bend(patient):
        patient = patient.changed({"lordosis_deg": round(patient.lordosis_deg - 2.0, 3)})
    return patient


def _can_bend(patient: PatientParameters) -> bool:
    try:
        disc_wedges(patient)
    except InputError:
        return False
    return True


def _person(z: list[float], coin: float, given: Mapping[str, Any]) -> dict[str, Any]:
    """Stature 176 ± 7 and 163 ± 6.5 cm, body mass index 25 ± 4, age 48 ± 15 years."""
    sex = given.get("sex", SEXES[0] if coin < 0.5 else SEXES[1])
    mean, spread = (176.0, 7.0) if sex == "male" else (163.0, 6.5)
    person = {
        "sex": sex,
        "age_years": 48.0 + 15.0 * z[0],
        "stature_cm": mean + spread * z[1],
        "bmi_kg_m2": 25.0 * float(np.exp(0.15 * z[2])),
    }
    low = {name: low for name, (low, _high) in ranges().items()}
    high = {name: high for name, (_low, high) in ranges().items()}
    person = {name: value if name == "sex" else float(np.clip(value, low[name], high[name])) for name, value in person.items()}
    person.update({name: given[name] for name in person if name in given})
    # Vertebral size goes with stature at r of about 0.5; women's endplates are a tenth smaller, their bodies a twentieth lower.
    tall = person["stature_cm"] / mean - 1.0
    person["bone_scale"] = (1.0 if sex == "male" else 0.93) * (1.0 + 0.6 * tall + 0.05 * z[3])
    return person


def _column(person: Mapping[str, Any], z: list[float], u: list[float]) -> dict[str, float]:
    """Discs, lordosis, curvature."""
    worn = float(np.clip(0.15 + 0.008 * (person["age_years"] - 30.0) + 0.3 * (u[0] - 0.5), 0.0, 1.0))
    result = {"degeneration": worn}
    build = (1.0 if person["sex"] == "male" else 0.92) * (1.0 + 0.5 * (person["bone_scale"] - 1.0))
    for index, segment in enumerate(SEGMENTS):
        # From the first to the fifth Pfirrmann grade a disc loses 39 % of its height (Park and Yoon 2024).
        loss = 0.36 * _LOSS[segment] * max(worn - 0.2, 0.0) ** 1.3
        height = DISC_HEIGHT_MM[segment] * build * (1.0 + 0.12 * z[0] + 0.13 * z[1 + index])
        result[f"disc_height_{segment}_mm"] = height * (1.0 - loss)
    result["lordosis_deg"] = 46.0 + (2.0 if person["sex"] == "female" else 0.0) + 9.0 * z[8] - 6.0 * max(worn - 0.5, 0.0)
    result["sacral_slope_deg"] = 38.0 + 0.55 * (result["lordosis_deg"] - 46.0) + 4.5 * z[9]
    result["scoliosis_deg"] = 3.5 * z[10]
    result["crest_over_l4l5_mm"] = 10.0 * z[11]
    result["pelvis_width_mm"] = 281.0 + 14.0 * z[12] + 60.0 * (person["bone_scale"] - (1.0 if person["sex"] == "male" else 0.93))
    return result


def _arch(person: Mapping[str, Any], z: list[float]) -> dict[str, float]:
    """Canal, pedicles, facets: their own spread, beyond the size of the bones."""
    return {
        "pedicle_width_scale": 1.0 + 0.16 * z[0],
        "canal_scale": 1.0 + 0.07 * z[1] + (0.03 if person["sex"] == "female" else 0.0),
        "facet_angle_offset_deg": 6.0 * z[2],
        "facet_tropism_deg": 3.5 * z[3],
        "sac_scale": 1.0 - 0.002 * (person["age_years"] - 40.0) + 0.08 * z[4],
        "root_scale": 1.0 + 0.10 * z[5],
        "conus_level": 1.3 + 0.4 * z[6],
        "flavum_thickness_mm": 3.3 + 0.02 * (person["age_years"] - 40.0) + 0.5 * z[7],
    }


def _pathology(person: Mapping[str, Any], z: list[float], u: list[float]) -> dict[str, float]:
    """Bulges, herniations, worn facets, slips and transition, each in its share of people."""
    age = person["age_years"]
    result = {}
    for index, segment in enumerate(("l3l4", "l4l5", "l5s1")):
        worn = max(age - 35.0, 0.0) / 50.0 * (0.7 + 0.15 * index)
        result[f"disc_bulge_{segment}_mm"] = 2.2 * worn * u[index]
        result[f"facet_hypertrophy_{segment}_mm"] = 2.4 * worn * u[3 + index]
    # One patient in eight has a herniation, three in four of them at the two lowest discs.
    if u[6] < 0.125:
        segment = "l4l5" if u[7] < 0.4 else "l5s1" if u[7] < 0.8 else "l3l4"
        result[f"herniation_{segment}_mm"] = 3.0 + 3.0 * u[8]
        result["herniation_lateral_mm"] = float(np.clip(7.0 * z[0], -18.0, 18.0))
    if u[9] < 0.05:
        result["slip_l4l5_mm"] = 3.0 + 4.0 * u[10]
    elif u[9] < 0.08:
        result["slip_l5s1_mm"] = 3.0 + 5.0 * u[10]
    if u[11] < 0.06:
        result["sacralisation"] = u[12]
    return result


def _around(person: Mapping[str, Any], z: list[float]) -> dict[str, float]:
    """Vessels, muscles and skin."""
    male, age, bmi = person["sex"] == "male", person["age_years"], person["bmi_kg_m2"]
    bifurcation = 4.2 + 0.3 * z[0] + 0.004 * (age - 45.0)
    width = (330.0 if male else 318.0) + 9.0 * (bmi - 23.0) + 12.0 * z[1]
    return {
        "aorta_diameter_mm": (16.5 if male else 14.5) + 0.05 * (age - 45.0) + 1.7 * z[2],
        "vena_cava_diameter_mm": (21.0 if male else 20.0) + 4.0 * z[3],
        "aorta_offset_mm": 10.0 + 3.5 * z[4],
        "aortic_bifurcation_level": bifurcation,
        "caval_confluence_level": bifurcation + 0.35 + 0.15 * abs(z[5]),
        "psoas_scale": (1.0 if male else 0.80) * (1.0 - 0.0015 * (age - 40.0)) + 0.11 * z[6],
        "oblique_corridor_shift_mm": 4.0 * z[7],
        "back_muscle_scale": (1.0 if male else 0.90) + 0.09 * z[8],
        "posterior_fat_mm": (12.0 if male else 18.0) + 1.5 * (bmi - 24.0) + 4.0 * z[9],
        "trunk_width_mm": width,
        "trunk_depth_mm": (220.0 if male else 208.0) + 11.0 * (bmi - 23.0) + 12.0 * z[10],
    }


def _reconciled(drawn: dict[str, Any], fixed: set[str]) -> dict[str, Any]:
    """Draws that would contradict each other moved together; what was set by hand stays."""
    if drawn.get("lumbarisation", 0.0) > 0 and "sacralisation" not in fixed:
        drawn["sacralisation"] = 0.0  # a column has one transition
    limits = {
        "lordosis_deg": drawn["sacral_slope_deg"] + 31.0,
        "pelvis_width_mm": drawn["trunk_width_mm"] + 20.0,
        "trunk_depth_mm": 0.9 * drawn["trunk_width_mm"],
    }
    for name, most in limits.items():
        if name not in fixed:
            drawn[name] = min(drawn[name], most)
    return drawn
