"""All true values of one patient."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.phantom.patient import Patient
from kambin.phantom.truth import angles, corridor, foramen, heights, interlaminar, scene, sections, triangles
from kambin.phantom.truth.anatomy import Anatomy, Space, anatomy_of
from kambin.phantom.truth.endplates import Plate, Posed, Segment, pose, segment_of
from kambin.phantom.truth.pedicle import Neck, pedicle_neck
from kambin.phantom.truth.quantities import PAIRED, QUANTITIES, difference_of
from kambin.phantom.truth.slip import slip
from kambin.phantom.truth.value import Quantity, Taken, TrueValue, Unknown, at_two_steps, rows

SCHEMA = "kambin.truth/1"
STEP_MM = 0.5
"""The coarser of the two steps; each quantity takes its own share of it."""
T = TypeVar("T")


def true_values(patient: Patient) -> tuple[TrueValue, ...]:
    """The true value of every quantity at every level and side, from the exact shapes, each with its error bound.

    Parameters
    ----------
    patient
        What it lacks gives rows without a value that say so.
    """
    return values_of(anatomy_of(patient))


def values_of(anatomy: Anatomy) -> tuple[TrueValue, ...]:
    """As `true_values`, of shapes that need not come from the digital patient."""
    table = Table(anatomy)
    found: list[TrueValue] = []
    for space in anatomy.spaces:
        found += table.of_space(space)
    for level in anatomy.bones:
        if level is not Level.S1:
            found += table.of_vertebra(level)
    found += table.row(("LL",), "L1–S1", None, lambda step: {"LL": angles.between(table.posed(step), Level.L1, Level.S1)})
    found += table.row(("SS",), "S1", None, lambda step: {"SS": angles.sacral_slope(table.posed(step))})
    return (*found, *_differences(found))


def _differences(found: list[TrueValue]) -> list[TrueValue]:
    result = []
    for symbol in PAIRED:
        for level in dict.fromkeys(row.level for row in found if row.symbol == symbol):
            of_level = {row.side: row for row in found if (row.symbol, row.level) == (symbol, level)}
            left, right = of_level[Side.LEFT], of_level[Side.RIGHT]
            quantity = difference_of(QUANTITIES[symbol])
            if left.value is None or right.value is None or left.bound is None or right.bound is None:
                result.append(TrueValue(quantity, level, None, None, None, left.reason or right.reason))
            else:
                result.append(TrueValue(quantity, level, None, left.value - right.value, left.bound + right.bound))
    return result


def truth_json(patient: Patient, version: str = "") -> str:
    """The true values as JSON text: rows as in ``measurements.json``, with a bound instead of evidence.

    Parameters
    ----------
    version
        Kambin's version.
    """
    return text_of(true_values(patient), asdict(patient.parameters), version)


def text_of(values: tuple[TrueValue, ...], source: Mapping[str, Any], version: str = "") -> str:
    """True values that are there already as JSON text.

    Parameters
    ----------
    source
        What they are the values of: a patient's parameters.
    """
    quantities: Mapping[str, Quantity] = {row.quantity.key: row.quantity for row in values}
    document = {
        "schema": SCHEMA,
        "kambin_version": version,
        "coordinate_system": "RAS",
        "length_unit": "mm",
        "disclaimer": "True values of a digital patient. Research software. Not a medical device; not for clinical use.",
        "input": dict(source),
        "quantities": [asdict(quantity) for quantity in quantities.values()],
        "rows": [_row(row) for row in values],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_DECIMALS = 6
"""Of values as written: far below every bound, and far above what the number of threads changes in a sum, so that bytes are the same."""


def _written(number: float | None) -> float | None:
    return None if number is None else round(number, _DECIMALS)


def _row(row: TrueValue) -> dict[str, Any]:
    return {
        "symbol": row.symbol,
        "name": row.name,
        "quantity": row.quantity.key,
        "level": row.level,
        "side": row.side.value if row.side else None,
        "value": _written(row.value),
        "bound": _written(row.bound),
        "unit": row.unit,
        "status": row.status,
        "reason": row.reason,
        "definition": row.quantity.definition,
    }


class Table:
    """Rows of one anatomy; frames, endplates and pedicles are found once a step."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._known: dict[Hashable, Any] = {}

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value made before, or made now; the same refusal each time where there is none."""
        if key not in self._known:
            try:
                self._known[key] = make()
            except Unknown as reason:
                self._known[key] = reason
        value = self._known[key]
        if isinstance(value, Unknown):
            raise Unknown(str(value))
        result: T = value
        return result

    def bone(self, level: Level, step: float) -> Posed:
        def make() -> Posed:
            if level not in self.anatomy.bones:
                raise Unknown(f"this patient has no {level}")
            return pose(self.anatomy.bones[level], step, self._above_sacrum(step) if level is Level.S1 else None)

        return self._once(("bone", level, step), make)

    def _above_sacrum(self, step: float) -> tuple[Any, Plate] | None:
        try:
            above = self.bone(Level.L6 if Level.L6 in self.anatomy.bones else Level.L5, step)
        except Unknown:
            return None
        return None if above.lower is None else (above.frame, above.lower)

    def posed(self, step: float) -> dict[Level, Posed]:
        """All bones whose endplates are found."""
        result = {}
        for level in self.anatomy.bones:
            try:
                result[level] = self.bone(level, step)
            except Unknown:
                continue
        return result

    def segment(self, space: Space, step: float) -> Segment:
        return self._once(("segment", space.name, step), lambda: segment_of(self.anatomy, space, step))

    def neck(self, level: Level, side: Side, step: float) -> Neck:
        def make() -> Neck:
            coarse = self.neck(level, side, STEP_MM) if step < STEP_MM else None
            return pedicle_neck(self.bone(level, step), side, step, coarse)

        return self._once(("neck", level, side, step), make)

    def half(self, space: Space, side: Side, step: float) -> foramen.Half:
        def make() -> foramen.Half:
            segment = self.segment(space, step)
            neck = self.neck(corridor.exiting_level(space), side, step)
            return foramen.half_of(segment, side, *neck.reach(segment.frame, side))

        return self._once(("half", space.name, side, step), make)

    def row(self, symbols: tuple[str, ...], level: str, side: Side | None, take: Callable[[float], Taken]) -> list[TrueValue]:
        """Rows of quantities that are taken together, at two steps."""
        return rows(QUANTITIES, symbols, level, side, lambda: at_two_steps(take, STEP_MM))

    def of_space(self, space: Space) -> list[TrueValue]:
        """Rows of one segment."""
        anatomy, name = self.anatomy, space.name
        upper, lower = (Level(word) for word in name.split("/"))
        found: list[TrueValue] = []
        for side in Side:
            found += self._of_side(space, side)
        found += self.row(("DHa", "DHm", "DHp"), name, None, lambda h: heights.disc_heights(self.segment(space, h), h))
        found += self.row(("DW",), name, None, lambda h: heights.disc_wedge(self.segment(space, h)))
        found += self.row(("SL", "SL%"), name, None, lambda h: slip(self.segment(space, h), h))
        found += self.row(("SA",), name, None, lambda h: {"SA": angles.between(self.posed(h), upper, lower)})
        where, canal = f"the {name} disc mid-plane", ("CA", "CD")
        found += self.row(canal, name, None, lambda h: sections.canal(anatomy, self.segment(space, h).frame, canal, where, h))
        found += self.row(("OC",), name, None, lambda h: sections.oblique_corridor(anatomy, self.segment(space, h).frame, name, h))
        for kind, symbol in ((Kind.AORTA, "DAA"), (Kind.VENA_CAVA, "DIVC")):

            def take(step: float, kind: Kind = kind, symbol: str = symbol) -> Taken:
                return sections.vessel(anatomy, self.segment(space, step).frame, kind, symbol, name, step)

            found += self.row((symbol,), name, None, take)
        found += self.row(("PI",), name, None, lambda h: sections.psoas_to_cava(anatomy, self.segment(space, h).frame, name, h))
        found += self.row(("IWw",), name, None, lambda h: interlaminar.interlaminar_width(self.segment(space, h), 0.8 * h))
        found += self.row(("SKp",), name, None, lambda h: corridor.skin_behind(anatomy, self.segment(space, h)))
        return found

    def _of_side(self, space: Space, side: Side) -> list[TrueValue]:
        anatomy, name = self.anatomy, space.name
        found = self.row(("FA", "FH", "FW"), name, side, lambda h: foramen.foramen(self.half(space, side, h), 0.8 * h))
        found += rows(QUANTITIES, ("FA₃",), name, side, lambda: foramen.narrowest(self.half(space, side, 0.5 * STEP_MM)))
        found += self.row(("ICH",), name, side, lambda h: self._crest(space, side, h))
        found += self.row(("Line A",), name, side, lambda h: corridor.line_a(anatomy, self.half(space, side, h), side, h))
        found += self.row(("FN45", "FN60"), name, side, lambda h: corridor.facet_to_nerve(anatomy, self.segment(space, h), side, h))
        found += rows(QUANTITIES, ("ND",), name, side, lambda: corridor.nerve_to_disc(anatomy, space, side))
        found += rows(QUANTITIES, ("NP",), name, side, lambda: corridor.nerve_to_pedicle(anatomy, space, side))
        found += self.row(("IWh",), name, side, lambda h: interlaminar.interlaminar_height(self.segment(space, h), side, 0.8 * h))
        for symbol in ("KT", "ST"):
            found += self._triangle(space, side, symbol)
        found += self.row(("SKl",), name, side, lambda h: corridor.skin_beside(anatomy, self.segment(space, h), side))
        return found

    def _triangle(self, space: Space, side: Side, symbol: str) -> list[TrueValue]:
        def seen() -> scene.Scene:
            segment, neck = self.segment(space, 0.5 * STEP_MM), self.neck(corridor.exiting_level(space), side, 0.5 * STEP_MM)
            return self._once(("scene", space.name, side), lambda: scene.scene_of(self.anatomy, segment, side, neck.outline_mm))

        standard, largest = triangles.symbols_of(symbol)
        found = self.row(standard, space.name, side, lambda h: triangles.in_standard_view(seen(), symbol, h))
        return found + rows(QUANTITIES, largest, space.name, side, lambda: triangles.at_its_largest(seen(), symbol, STEP_MM))

    def _crest(self, space: Space, side: Side, step: float) -> Taken:
        cranial = angles.patient_frame(self.posed(step)).cranial
        top = self._once(("crest", side, step), lambda: sections.crest_top(self.anatomy, side, cranial, step))
        return {"ICH": float(self.segment(space, step).frame.local(top)[2])}

    def of_vertebra(self, level: Level) -> list[TrueValue]:
        """Rows of one vertebra."""
        name = level.value
        found = self.row(("VHa", "VHm", "VHp"), name, None, lambda h: heights.body_heights(self.bone(level, h), h))
        found += self.row(("VW", "VD"), name, None, lambda h: heights.body_width_and_depth(self.bone(level, h), h))
        for side in Side:

            def take(step: float, side: Side = side) -> Taken:
                neck = self.neck(level, side, step)
                return {"PW": neck.width_mm, "PH": neck.height_mm}

            found += self.row(("PW", "PH"), name, side, take)
        found += self.row(("CAₚ", "CDₚ"), name, None, lambda h: self._canal_at_pedicle(level, h))
        return found

    def _canal_at_pedicle(self, level: Level, step: float) -> Taken:
        frame = self.bone(level, step).frame
        height = float(np.mean([frame.local(self.neck(level, side, step).centre_mm)[2] for side in Side]))
        plane = frame.moved_to(frame.world([0.0, 0.0, height]))
        return sections.canal(self.anatomy, plane, ("CAₚ", "CDₚ"), f"the plane of the {level} pedicles", step)
