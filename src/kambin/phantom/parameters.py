"""What makes one digital patient differ from another, each number with its allowed range."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from kambin.errors import InputError
from kambin.phantom.morphometry import DISC_HEIGHT_MM

SEXES = ("female", "male")


def _number(default: float, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "meaning": meaning})


def _height(segment: str) -> Any:
    return _number(DISC_HEIGHT_MM[segment], 2.0, 18.0, f"height of the {segment.upper()} disc in its middle")


@dataclass(frozen=True, slots=True)
class PatientParameters:
    """One patient. The defaults are the mean man; `kambin.phantom.sample` draws from the population.

    Lengths in mm, angles in degrees, unless the name says otherwise. Signed lateral values are positive to the patient's right.
    Segments are written ``l4l5``. The allowed range of each number is in its field's metadata, and in `ranges`.

    Raises
    ------
    InputError
        Naming every number out of its range, and every contradiction between them.
    """

    sex: str = field(default="male", metadata={"meaning": "male or female"})
    age_years: float = _number(40.0, 18.0, 95.0, "age")
    stature_cm: float = _number(176.0, 140.0, 205.0, "body height")
    bmi_kg_m2: float = _number(24.0, 15.0, 45.0, "body mass index")
    bone_scale: float = _number(1.0, 0.8, 1.25, "size of all bones, against the mean man's")
    # the column
    lordosis_deg: float = _number(46.0, 10.0, 80.0, "L1 to S1, lying")
    sacral_slope_deg: float = _number(38.0, 15.0, 60.0, "of the S1 endplate to the horizontal of a standing body")
    scoliosis_deg: float = _number(0.0, -40.0, 40.0, "Cobb angle, apex L2/L3, positive when convex to the right")
    disc_height_t12l1_mm: float = _height("t12l1")
    disc_height_l1l2_mm: float = _height("l1l2")
    disc_height_l2l3_mm: float = _height("l2l3")
    disc_height_l3l4_mm: float = _height("l3l4")
    disc_height_l4l5_mm: float = _height("l4l5")
    disc_height_l5s1_mm: float = _height("l5s1")
    slip_l3l4_mm: float = _number(0.0, -6.0, 8.0, "forward slip of L3 on L4")
    slip_l4l5_mm: float = _number(0.0, -6.0, 12.0, "forward slip of L4 on L5")
    slip_l5s1_mm: float = _number(0.0, -6.0, 15.0, "forward slip of L5 on S1")
    # the arch
    pedicle_width_scale: float = _number(1.0, 0.6, 1.5, "of the pedicles, beyond the size of all bones")
    canal_scale: float = _number(1.0, 0.75, 1.3, "of the bony canal, beyond the size of all bones")
    facet_angle_offset_deg: float = _number(0.0, -18.0, 18.0, "of all facet joints to the sagittal plane, beyond the mean")
    facet_tropism_deg: float = _number(0.0, -15.0, 15.0, "right minus left facet angle")
    facet_hypertrophy_l3l4_mm: float = _number(0.0, 0.0, 6.0, "bone added around the L3/L4 facets")
    facet_hypertrophy_l4l5_mm: float = _number(0.0, 0.0, 6.0, "bone added around the L4/L5 facets")
    facet_hypertrophy_l5s1_mm: float = _number(0.0, 0.0, 6.0, "bone added around the L5/S1 facets")
    flavum_thickness_mm: float = _number(3.4, 2.0, 8.0, "of the ligamentum flavum")
    # the discs
    disc_bulge_l3l4_mm: float = _number(0.0, 0.0, 5.0, "of the L3/L4 annulus beyond the endplates, all round")
    disc_bulge_l4l5_mm: float = _number(0.0, 0.0, 5.0, "of the L4/L5 annulus beyond the endplates, all round")
    disc_bulge_l5s1_mm: float = _number(0.0, 0.0, 5.0, "of the L5/S1 annulus beyond the endplates, all round")
    herniation_l3l4_mm: float = _number(0.0, 0.0, 9.0, "how far a focal herniation of L3/L4 stands out behind")
    herniation_l4l5_mm: float = _number(0.0, 0.0, 9.0, "how far a focal herniation of L4/L5 stands out behind")
    herniation_l5s1_mm: float = _number(0.0, 0.0, 9.0, "how far a focal herniation of L5/S1 stands out behind")
    herniation_lateral_mm: float = _number(0.0, -22.0, 22.0, "its place: 0 central, 8 paracentral, 18 foraminal on the right")
    degeneration: float = _number(0.2, 0.0, 1.0, "of the discs: how dark the nuclei are")
    variant: float = _number(0.0, 0.0, 999_999.0, "which of many alike, a whole number: where veins, focal fat and bowel lie")
    # transition at the lumbosacral junction
    sacralisation: float = _number(0.0, 0.0, 1.0, "of L5: how far its transverse processes grow on to the sacrum")
    lumbarisation: float = _number(0.0, 0.0, 1.0, "of S1: how far it frees itself from the sacrum; from 0.5 on it is a vertebra, L6")
    # pelvis
    crest_over_l4l5_mm: float = _number(0.0, -25.0, 30.0, "height of the iliac crests over the middle of the L4/L5 disc")
    pelvis_width_mm: float = _number(280.0, 230.0, 330.0, "between the outermost points of the iliac crests")
    # nerves
    sac_scale: float = _number(1.0, 0.6, 1.25, "of the dural sac's diameters")
    conus_level: float = _number(1.3, -0.5, 2.5, "tip of the cord, in vertebrae: 1.0 is the middle of L1, 1.5 the L1/L2 disc")
    root_scale: float = _number(1.0, 0.7, 1.4, "of the roots' diameters")
    # vessels
    aorta_diameter_mm: float = _number(16.5, 10.0, 30.0, "below the renal arteries")
    vena_cava_diameter_mm: float = _number(21.0, 10.0, 34.0, "transverse; from back to front it is flatter")
    aorta_offset_mm: float = _number(10.0, 0.0, 22.0, "of the aorta's centre to the left of the midline at L3")
    aortic_bifurcation_level: float = _number(4.2, 3.2, 5.2, "in vertebrae: 4.0 is the middle of L4, 4.5 the L4/L5 disc")
    caval_confluence_level: float = _number(4.6, 3.6, 5.4, "in vertebrae, as the aorta's")
    # muscles and skin
    psoas_scale: float = _number(1.0, 0.55, 1.5, "of the psoas's diameters")
    oblique_corridor_shift_mm: float = _number(0.0, -12.0, 12.0, "of the left psoas away from the vessels, beyond the mean")
    back_muscle_scale: float = _number(1.0, 0.6, 1.4, "of the erector spinae's and multifidus's diameters")
    posterior_fat_mm: float = _number(14.0, 3.0, 80.0, "under the skin of the back at L4")
    trunk_width_mm: float = _number(330.0, 240.0, 520.0, "at L3")
    trunk_depth_mm: float = _number(220.0, 150.0, 420.0, "at L3")

    def __post_init__(self) -> None:
        problems = []
        if self.sex not in SEXES:
            problems.append(f"sex: expected one of {', '.join(SEXES)}, found {self.sex!r}")
        for name, (low, high) in ranges().items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                problems.append(f"{name}: expected a number from {low:g} to {high:g}, found {value!r}")
        if not problems:
            problems += self._contradictions()
        if problems:
            raise InputError("patient parameters", *problems)

    def _contradictions(self) -> Iterable[str]:
        if self.caval_confluence_level < self.aortic_bifurcation_level - 0.2:
            yield (
                f"caval_confluence_level {self.caval_confluence_level:g}: expected it no higher than 0.2 vertebrae above the "
                f"aortic bifurcation at {self.aortic_bifurcation_level:g}"
            )
        if self.trunk_depth_mm > self.trunk_width_mm:
            yield f"trunk_depth_mm {self.trunk_depth_mm:g}: expected no more than trunk_width_mm {self.trunk_width_mm:g}"
        if self.pelvis_width_mm > self.trunk_width_mm + 30.0:
            yield f"pelvis_width_mm {self.pelvis_width_mm:g}: expected at most 30 mm more than trunk_width_mm {self.trunk_width_mm:g}"
        if self.sacralisation > 0 and self.lumbarisation > 0:
            yield (
                f"lumbarisation {self.lumbarisation:g}: expected 0 with a sacralisation of {self.sacralisation:g}, "
                "for a column has one transition"
            )
        if self.lordosis_deg > self.sacral_slope_deg + 32.0:
            yield (
                f"lordosis_deg {self.lordosis_deg:g}: expected at most 32 more than sacral_slope_deg {self.sacral_slope_deg:g}, "
                "or the back would lean over"
            )

    def at(self, quantity: str, segment: str) -> float:
        """A number given segment by segment; 0 for a segment that has none of it.

        >>> PatientParameters().at("disc_height", "l4l5")
        11.8
        """
        return float(getattr(self, f"{quantity}_{segment}_mm", 0.0))

    def changed(self, changes: Mapping[str, Any]) -> PatientParameters:
        """A copy with some numbers changed.

        Raises
        ------
        InputError
            Naming every unknown parameter, with those that come near, and all that the constructor finds.
        """
        import difflib

        known = {f.name for f in fields(self)}
        unknown = [name for name in changes if name not in known]
        if unknown:
            near = {name: difflib.get_close_matches(name, known, 3, 0.5) for name in unknown}
            problems = [
                f"{name}: no such parameter" + (f" (did you mean {', '.join(near[name])}?)" if near[name] else "") for name in unknown
            ]
            raise InputError("patient parameters", *problems, hint="`kambin phantom --list-parameters` shows them with their ranges")
        return replace(self, **dict(changes))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def ranges() -> dict[str, tuple[float, float]]:
    """Lowest and highest allowed value of every number, by name."""
    return {f.name: (f.metadata["low"], f.metadata["high"]) for f in fields(PatientParameters) if "low" in f.metadata}


def described_parameters() -> dict[str, dict[str, Any]]:
    """Meaning, default and allowed range of every parameter, by name."""
    return {f.name: {"default": f.default, **f.metadata} for f in fields(PatientParameters)}
