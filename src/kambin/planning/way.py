"""One way in with all that is known about it, and how sure a verdict on it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kambin.measurement.result import NotMeasurable
from kambin.planning.around import Around, Clearance
from kambin.planning.channel import Channel
from kambin.planning.entry import Entry, skin_entry
from kambin.planning.reaming import inside_mm3
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel

SHIFTS_MM = (-1.0, 1.0, -2.0, 2.0)
"""How far each surface is moved to see whether a verdict is firm: negative into the structure, positive out of it."""
POSSIBLE, NOT_POSSIBLE = "possible", "not possible"


@dataclass(frozen=True, eq=False)
class WayIn:
    """One channel with all that is known about it.

    Parameters
    ----------
    channel
        Where it lies.
    entry
        Where it meets the skin, or None.
    entry_reason
        Why there is none.
    clearances
        To every structure, the tightest first.
    slack_mm
        The least clearance less the margin of its group: negative where a margin is not kept.
    limiting
        The structure that this is.
    reamed_mm3
        Bone of the superior articular process in its way; None where that is not meant to be reamed, or not in the model by itself.
    """

    channel: Channel
    entry: Entry | None
    entry_reason: str | None
    clearances: tuple[Clearance, ...]
    slack_mm: float
    limiting: str | None
    reamed_mm3: float | None

    @property
    def keeps_margins(self) -> bool:
        return self.slack_mm >= 0

    @property
    def limiting_mm(self) -> float | None:
        """The room to the limiting structure."""
        return next((each.room_mm for each in self.clearances if each.obstacle.name == self.limiting), None)


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict that would be another one if a structure's surface lay so much further out (positive) or in."""

    structure: str
    shift_mm: float
    becomes: str


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is thought of a way in, what is touched, and how firm that is.

    Parameters
    ----------
    word
        Of the published transforaminal placement its group, ``"A"`` or ``"B"``; of all else ``"possible"`` (all margins kept) or
        ``"not possible"``.
    touched
        Of the structures that decide those which are entered or, for the latter words, whose margin is not kept; tightest first.
    changes
        Displacements of a single surface by 1 or 2 mm that change the word, smallest first. Firm when there are none.
    """

    word: str
    touched: tuple[Clearance, ...]
    changes: tuple[Change, ...]

    @property
    def is_firm(self) -> bool:
        return not self.changes


def described(model: SpineModel, around: Around, channel: Channel, wishes: Wishes) -> WayIn:
    """All that is known about one channel."""
    clearances = tuple(around.counted(channel, each) for each in around.clearances(channel))
    rooms = [(each.room_mm - wishes.margins_mm[each.obstacle.group], each.obstacle.name) for each in clearances if each.room_mm is not None]
    slack, limiting = min(rooms, default=(float("inf"), None))
    try:
        entry, reason = skin_entry(model, around.frame, channel), None
    except NotMeasurable as why:
        entry, reason = None, str(why)
    reamed = None if around.reamable is None else inside_mm3(channel, [around.reamable[0]])
    return WayIn(channel, entry, reason, clearances, slack, limiting, reamed)


def verdict_on(way: WayIn, wishes: Wishes) -> Verdict:
    """Whether a channel keeps all its margins, with every surface moved by 1 and 2 mm to see what would change that."""
    slack = {each.obstacle.name: room_of(each) - wishes.margins_mm[each.obstacle.group] for each in way.clearances}
    touched = tuple(each for each in way.clearances if room_of(each) < wishes.margins_mm[each.obstacle.group])
    return Verdict(_possible(slack.values()), touched, changes_of(slack, _possible))


def changes_of(rooms_mm: Mapping[str, float], word_of: Callable[[Iterable[float]], str]) -> tuple[Change, ...]:
    """What moving one surface at a time would make of a verdict, smallest displacements first."""
    word = word_of(rooms_mm.values())
    changes = []
    for shift in SHIFTS_MM:
        for name, own in rooms_mm.items():
            moved = word_of([*(other for each, other in rooms_mm.items() if each != name), own - shift])
            if moved != word:
                changes.append(Change(name, shift, moved))
    return tuple(changes)


def room_of(clearance: Clearance) -> float:
    """Of a clearance as a number: infinite where the structure is further than is looked."""
    return float("inf") if clearance.room_mm is None else clearance.room_mm


def _possible(slack_mm: Iterable[float]) -> str:
    return NOT_POSSIBLE if any(value < 0 for value in slack_mm) else POSSIBLE
