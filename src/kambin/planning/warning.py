"""What the reader of a plan must know first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kambin.planning.around import POSTEROLATERAL, Around
from kambin.planning.way import WayIn


def first_warnings(around: Around, ways: Sequence[WayIn]) -> Iterator[str]:
    """Warnings that every approach shares. What was not seen stands first: a root that was not seen is never called clear."""
    kept_clear = {obstacle.name for obstacle in around.fields}
    absent = [name for name in around.missing if name not in kept_clear]
    for name in absent:
        if "exiting" in name:
            yield f"The {name} was not seen: it is not among the labels, and nothing here keeps clear of it."
    for name in around.missing:
        if name in kept_clear:
            yield f"The {name} was drawn by hand, not seen: the room to it is room to the drawing."
    others = [name for name in absent if "exiting" not in name]
    if others:
        yield f"Not seen, and not kept clear of: {', '.join(others)}."
    for each in around.fields:
        if each.is_unsure:
            sure = f"(confidence {each.confidence:.2f} of 1)"
            yield f"The {each.name} was drawn without being sure {sure}: it may lie millimetres from its outline."
    if around.segment.disc_is_inferred:
        yield "The disc was not labelled: its border, where the target lies, is inferred."
    if ways and not ways[0].keeps_margins:
        yield f"No way keeps all margins; the first one listed is short by {-ways[0].slack_mm:.1f} mm ({ways[0].limiting})."
    if ways:
        yield from _about_the_first(around, ways[0])


def _about_the_first(around: Around, way: WayIn) -> Iterator[str]:
    found = _between_pedicles_mm(around)
    width = 2.0 * way.channel.radius_mm
    if around.region == POSTEROLATERAL and found is not None and width > found[0]:
        yield f"The channel is {width:.1f} mm wide, and {found[1]} are {found[0]:.1f} mm apart."
    if way.entry is None:
        yield f"The entry is unknown: {way.entry_reason}."


def _between_pedicles_mm(around: Around) -> tuple[float, str] | None:
    """How far apart the pedicles of a foramen are, and which; where the lower vertebra has none (S1), its endplate stands for it."""
    segment = around.segment
    upper, lower = (vertebra.pedicles.get(around.side) for vertebra in (segment.upper, segment.lower))
    if upper is None:
        return None
    if lower is None:
        plane = segment.lower_endplate.plane
        which = f"the pedicle of {segment.upper.level} and the endplate of {segment.lower.level}"
        return float((upper.caudal_mm - plane.origin_mm) @ plane.normal), which
    return float((upper.caudal_mm - lower.cranial_mm) @ around.frame.cranial), "the pedicles above and below"
