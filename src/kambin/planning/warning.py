"""What the reader of a plan must know first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kambin.planning.around import Around
from kambin.planning.way import WayIn


def first_warnings(around: Around, ways: Sequence[WayIn]) -> Iterator[str]:
    """Warnings that every approach shares. What was not seen stands first: a root that was not seen is never called clear."""
    for name in around.missing:
        if "exiting" in name:
            yield f"The {name} was not seen: it is not among the labels, and nothing here keeps clear of it."
    others = [name for name in around.missing if "exiting" not in name]
    if others:
        yield f"Not seen, and not kept clear of: {', '.join(others)}."
    if around.segment.disc_is_inferred:
        yield "The disc was not labelled: its border, where the target lies, is inferred."
    if ways and not ways[0].keeps_margins:
        yield f"No way keeps all margins; the first one listed is short by {-ways[0].slack_mm:.1f} mm ({ways[0].limiting})."
