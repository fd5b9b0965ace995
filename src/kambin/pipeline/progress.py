"""How far a long thing is: a callable that takes what is being done and the fraction, 0 to 1, of the whole that is behind it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]


def silent(_text: str, _fraction: float) -> None:
    """Progress that nobody looks at."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """The progress of one stage, from 0 to 1, shown as the whole's from `start` to `stop`."""

    def inner(text: str, fraction: float) -> None:
        progress(text, start + (stop - start) * min(max(fraction, 0.0), 1.0))

    return inner
