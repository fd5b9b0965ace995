"""Every quantity at every level and side that the model allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from kambin.anatomy.structures import Level, Side
from kambin.measurement import body_size, canal_size, disc_height, slip, triangles
from kambin.measurement.exiting_root import NERVE_TO_DISC, NERVE_TO_PEDICLE, nerve_to_disc, nerve_to_pedicle
from kambin.measurement.facet_gap import FACET_GAPS, facet_gaps
from kambin.measurement.foraminal_area import FORAMINAL_AREA, foraminal_area
from kambin.measurement.foraminal_height import FORAMINAL_HEIGHT, foraminal_height
from kambin.measurement.foraminal_width import FORAMINAL_WIDTH, foraminal_width
from kambin.measurement.iliac_crest import ILIAC_CREST_HEIGHT, iliac_crest_height
from kambin.measurement.interlaminar_window import INTERLAMINAR_HEIGHT, INTERLAMINAR_WIDTH, interlaminar_height, interlaminar_width
from kambin.measurement.lateral import Foramen, find_foramen, look_from_the_side
from kambin.measurement.line_a import FACET_TO_NERVE, facet_to_nerve
from kambin.measurement.narrowest_section import NARROWEST_SECTION, narrowest_section
from kambin.measurement.oblique_corridor import OBLIQUE_CORRIDOR, PSOAS_TO_CAVA, oblique_corridor, psoas_to_cava
from kambin.measurement.pedicle_size import PEDICLE_HEIGHT, PEDICLE_WIDTH, pedicle_size
from kambin.measurement.result import Evidence, Measurement, Measurements, NotMeasurable, Quantity
from kambin.measurement.sagittal_angles import LORDOSIS, SACRAL_SLOPE, SEGMENT_ANGLE, lordosis, sacral_slope, segment_angle
from kambin.measurement.vessel_diameter import AORTA_DIAMETER, CAVA_DIAMETER, vessel_diameter
from kambin.spine import MotionSegment, SpineModel, Vertebra

Progress = Callable[[str, float], None]
Values = Mapping[Quantity, tuple[float, Evidence]]

PAIRED = (FORAMINAL_AREA, FORAMINAL_HEIGHT, FORAMINAL_WIDTH, NARROWEST_SECTION, PEDICLE_WIDTH, PEDICLE_HEIGHT, ILIAC_CREST_HEIGHT)
"""Quantities taken on both sides: their difference is reported too."""


def difference_of(quantity: Quantity) -> Quantity:
    """The quantity *left minus right* of a paired quantity."""
    span = quantity.plausible[1] - quantity.plausible[0]
    return Quantity(
        key=f"{quantity.key}_left_minus_right",
        symbol=f"Δ{quantity.symbol}",
        name=f"{quantity.name}, left minus right",
        unit=quantity.unit,
        definition=f"{quantity.name.capitalize()} on the left minus that on the right.",
        plausible=(-span, span),
    )


def measure(model: SpineModel, *, progress: Progress | None = None) -> Measurements:
    """Take every quantity that the model allows, and say of every other why not.

    Parameters
    ----------
    model
        A reconstructed spine.
    progress
        Called with what is being done and the fraction that is finished.
    """
    tell = progress or (lambda _what, _fraction: None)
    rows: list[Measurement] = []
    steps = len(model.segments) + len(model.vertebrae) + 1
    for done, segment in enumerate(model.segments):
        tell(f"measuring {segment.name}", done / steps)
        rows += _of_segment(model, segment)
    for name, reason in model.missing_segments.items():
        rows += [_row(quantity, name, side, partial(_refuse, reason)) for quantity, side in _segment_quantities()]
    for done, vertebra in enumerate(model.vertebrae, start=len(model.segments)):
        tell(f"measuring {vertebra.level}", done / steps)
        rows += _of_vertebra(model, vertebra)
    rows.append(_row(LORDOSIS, "L1–S1", None, lambda: lordosis(model)))
    rows.append(_row(SACRAL_SLOPE, "S1", None, lambda: sacral_slope(model)))
    rows += _differences(rows)
    tell("done", 1.0)
    return Measurements(tuple(rows), model.provenance)


def _refuse(reason: str) -> tuple[float, Evidence]:
    raise NotMeasurable(reason)


def _segment_quantities() -> Iterable[tuple[Quantity, Side | None]]:
    for quantity in PAIRED[:4]:
        for side in Side:
            yield quantity, side
    for quantity in (disc_height.ANTERIOR, disc_height.MIDDLE, disc_height.POSTERIOR, disc_height.WEDGE, slip.SLIP, slip.SLIP_PERCENT):
        yield quantity, None


def _of_segment(model: SpineModel, segment: MotionSegment) -> list[Measurement]:
    name = segment.name
    rows = []
    for side in Side:
        rows += _of_foramen(segment, side)
        rows += _about_the_root(model, segment, side)
        rows.append(_row(INTERLAMINAR_HEIGHT, name, side, partial(interlaminar_height, segment, side)))
        rows += _rows(triangles.KAMBIN, name, side, partial(triangles.kambin_triangle, model, segment, side))
        rows += _rows(triangles.SAFE, name, side, partial(triangles.safe_triangle, model, segment, side))
        rows += _rows(triangles.KAMBIN_LARGEST, name, side, partial(triangles.largest_kambin_triangle, model, segment, side))
        rows += _rows(triangles.SAFE_LARGEST, name, side, partial(triangles.largest_safe_triangle, model, segment, side))
    rows.append(_row(INTERLAMINAR_WIDTH, name, None, lambda: interlaminar_width(segment)))
    rows += _rows((disc_height.ANTERIOR, disc_height.MIDDLE, disc_height.POSTERIOR), name, None, lambda: disc_height.disc_heights(segment))
    rows.append(_row(disc_height.WEDGE, name, None, lambda: disc_height.disc_wedge(segment)))
    rows += _rows((slip.SLIP, slip.SLIP_PERCENT), name, None, lambda: slip.slip(segment))
    rows.append(_row(SEGMENT_ANGLE, name, None, lambda: segment_angle(model, segment)))
    rows += _rows(canal_size.AT_DISC, name, None, lambda: canal_size.canal_at_disc(model, segment))
    rows += [_row(ILIAC_CREST_HEIGHT, name, side, partial(iliac_crest_height, model, segment, side)) for side in Side]
    rows.append(_row(OBLIQUE_CORRIDOR, name, None, lambda: oblique_corridor(model, segment)))
    rows += [_row(q, name, None, partial(vessel_diameter, model, segment, q)) for q in (AORTA_DIAMETER, CAVA_DIAMETER)]
    rows.append(_row(PSOAS_TO_CAVA, name, None, lambda: psoas_to_cava(model, segment)))
    return rows


def _about_the_root(model: SpineModel, segment: MotionSegment, side: Side) -> list[Measurement]:
    name = segment.name
    return [
        _row(FACET_TO_NERVE, name, side, partial(facet_to_nerve, model, segment, side)),
        *_rows(FACET_GAPS, name, side, partial(facet_gaps, model, segment, side)),
        _row(NERVE_TO_DISC, name, side, partial(nerve_to_disc, model, segment, side)),
        _row(NERVE_TO_PEDICLE, name, side, partial(nerve_to_pedicle, model, segment, side)),
    ]


def _of_foramen(segment: MotionSegment, side: Side) -> list[Measurement]:
    """FA, FH and FW are read from one and the same hole."""
    found: Foramen | None = None
    reason = ""
    try:
        found = find_foramen(look_from_the_side(segment, side))
    except NotMeasurable as refused:
        reason = str(refused)
    rows = []
    for quantity, function in ((FORAMINAL_AREA, foraminal_area), (FORAMINAL_HEIGHT, foraminal_height), (FORAMINAL_WIDTH, foraminal_width)):
        if found is None:
            rows.append(_row(quantity, segment.name, side, partial(_refuse, reason)))
        else:
            rows.append(_row(quantity, segment.name, side, partial(function, found), found.doubts))
    rows.append(_row(NARROWEST_SECTION, segment.name, side, lambda: narrowest_section(segment, side)))
    return rows


def _of_vertebra(model: SpineModel, vertebra: Vertebra) -> list[Measurement]:
    if vertebra.level is Level.S1:
        return []
    name = vertebra.level.value
    rows = _rows((body_size.ANTERIOR, body_size.MIDDLE, body_size.POSTERIOR), name, None, lambda: body_size.body_heights(vertebra))
    rows += _rows((body_size.WIDTH, body_size.DEPTH), name, None, lambda: body_size.body_width_and_depth(vertebra))
    for side in Side:
        rows += _rows((PEDICLE_WIDTH, PEDICLE_HEIGHT), name, side, partial(pedicle_size, vertebra, side))
    rows += _rows(canal_size.AT_PEDICLE, name, None, lambda: canal_size.canal_at_pedicle(model, vertebra))
    return rows


def _rows(quantities: Iterable[Quantity], level: str, side: Side | None, take: Callable[[], Values]) -> list[Measurement]:
    """Rows of quantities that are taken together."""
    try:
        values = take()
    except NotMeasurable as reason:
        return [Measurement(quantity, level, side, None, str(reason)) for quantity in quantities]
    return [_row(quantity, level, side, partial(values.__getitem__, quantity)) for quantity in quantities]


def _row(
    quantity: Quantity, level: str, side: Side | None, take: Callable[[], tuple[float, Evidence]], doubts: tuple[str, ...] = ()
) -> Measurement:
    try:
        value, evidence = take()
    except NotMeasurable as reason:
        return Measurement(quantity, level, side, None, str(reason))
    doubts = (*doubts, *evidence.doubts)
    low, high = quantity.plausible
    if not low <= value <= high:
        doubts = (*doubts, f"outside the plausible range of {low:g} to {high:g} {quantity.unit}")
    return Measurement(quantity, level, side, float(value), None, evidence, doubts)


def _differences(rows: list[Measurement]) -> list[Measurement]:
    """Left minus right of every paired quantity of which at least one side was looked for."""
    result = []
    for quantity in PAIRED:
        levels = dict.fromkeys(row.level for row in rows if row.quantity is quantity)
        for level in levels:
            by_side = {row.side: row for row in rows if row.quantity is quantity and row.level == level}
            left, right = by_side.get(Side.LEFT), by_side.get(Side.RIGHT)
            value = None if left is None or right is None or left.value is None or right.value is None else left.value - right.value
            lacking = " and ".join(str(side) for side in Side if side not in by_side or by_side[side].value is None)
            reason = None if value is not None else f"{quantity.symbol} was not measured on the {lacking}"
            result.append(Measurement(difference_of(quantity), level, None, value, reason))
    return result
