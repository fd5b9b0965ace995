"""Every way in that a model allows, by level, side and approach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kambin.anatomy.structures import Level, Side
from kambin.measurement.result import NotMeasurable
from kambin.planning.approaches import APPROACHES, Approach
from kambin.planning.around import Around, Region
from kambin.planning.fields import Fields
from kambin.planning.result import Plan, Plans
from kambin.spine import MotionSegment, SpineModel

Progress = Callable[[str, float], None]


def plan(
    model: SpineModel,
    *,
    approaches: Iterable[str] | None = None,
    levels: Iterable[str] | None = None,
    sides: Iterable[Side] = tuple(Side),
    wishes: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Plans:
    """Plan the ways in.

    Parameters
    ----------
    model
        A reconstructed spine.
    approaches
        Keys of `kambin.planning.APPROACHES`; by default all.
    levels
        Segments by name; by default all lumbar ones of the model.
    sides
        One or both.
    wishes
        What the surgeon asks otherwise than the approach does by itself: fields of `Wishes` by name, such as ``{"radius_mm": 3.5}``; under
        an approach's key, fields for that one alone.
    progress
        Called with what is being done and the fraction that is finished.

    Raises
    ------
    ValueError
        When a level asked for is not in the model, an approach is unknown, or a wish cannot be; says which are.
    """
    tell = progress or (lambda _what, _fraction: None)
    segments, chosen, both = _levels(model, levels), _approaches(approaches), tuple(sides)
    asked = {approach.key: approach.wishes.but(**_wishes_for(approach, wishes or {})) for approach in chosen}
    fields = Fields(model)
    plans: list[Plan] = []
    missing = {} if levels is not None else {name: why for name, why in model.missing_segments.items() if not name.startswith("T12")}
    reasons = {(name, side, approach.key): why for name, why in missing.items() for side in both for approach in chosen}
    wanted = [(segment, side) for segment in segments for side in both]
    for done, (segment, side) in enumerate(wanted):
        about: dict[Region, Around] = {}
        for approach in chosen:
            tell(f"planning {segment.name} {side}: {approach.name}", done / len(wanted))
            if approach.region not in about:
                about[approach.region] = Around.of(model, segment, side, approach.region, fields)
            try:
                plans.append(approach.plan(model, about[approach.region], asked[approach.key]))
            except NotMeasurable as reason:
                reasons[segment.name, side, approach.key] = str(reason)
    tell("done", 1.0)
    return Plans(tuple(plans), reasons, model.provenance)


def _levels(model: SpineModel, levels: Iterable[str] | None) -> list[MotionSegment]:
    if levels is None:
        return [segment for segment in model.segments if segment.upper.level is not Level.T12]
    known = {segment.name: segment for segment in model.segments}
    wanted = list(levels)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"expected levels of this model ({', '.join(known) or 'it has none'}), found {', '.join(unknown)}")
    return [known[name] for name in wanted]


def _wishes_for(approach: Approach, wishes: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of every approach, and what of this one alone."""
    return {name: value for name, value in wishes.items() if name not in APPROACHES} | dict(wishes.get(approach.key, {}))


def _approaches(keys: Iterable[str] | None) -> list[Approach]:
    wanted = list(APPROACHES if keys is None else keys)
    unknown = [key for key in wanted if key not in APPROACHES]
    if unknown:
        raise ValueError(f"expected approaches among {', '.join(APPROACHES)}, found {', '.join(unknown)}")
    return [APPROACHES[key] for key in wanted]
