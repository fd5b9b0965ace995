"""What a plan comes to, in words: its verdict, what would change it, and the names of what lies about."""

from __future__ import annotations

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.planning import APPROACHES, Plan
from kambin.planning.around import Clearance
from kambin.planning.obstacles import Obstacle
from kambin.planning.way import NOT_POSSIBLE, POSSIBLE, Verdict, WayIn
from kambin.report.tables import sentence, with_unit

TOUCHING_MM = 0.05
"""Less than is shown."""
_SHORT = {"iap": "IAP", "transverse": "TP"}
_LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))
_ALSO = 0.4  # a direction is named by its second letter too where that part of it is at least so large


def approach_name(key: str) -> str:
    """As printed; the key itself where Kambin knows none by that name."""
    return APPROACHES[key].name if key in APPROACHES else key


def plan_title(plan: Plan) -> str:
    return f"{plan.level} {plan.side.value}, {approach_name(plan.approach)}"


def shown_way(plan: Plan) -> WayIn | None:
    """The way that the pictures are centred on: the best that was found, else the published one."""
    return plan.ways[0] if plan.ways else plan.published


def judged_way(plan: Plan) -> WayIn | None:
    """The way that the verdict is on."""
    return plan.published if plan.published is not None else shown_way(plan)


def is_needle(way: WayIn) -> bool:
    return way.channel.radius_mm < 1.5


def short_name(obstacle: Obstacle) -> str:
    """A structure's name as it fits into a picture."""
    level = obstacle.name.split(" ", 1)[0]
    if obstacle.group in _SHORT:
        return f"{level} {_SHORT[obstacle.group]}"
    name = obstacle.name.removeprefix("rest of the ").removesuffix(" root")
    return name.replace(" vertebra", " bone").replace("common ", "")


def room_words(clearance: Clearance) -> str:
    """``2.1 mm clear``, ``0.4 mm and 12 mm³ inside``."""
    room = clearance.room_mm
    if room is None:
        return "far"
    if abs(room) < TOUCHING_MM:
        return "touching"
    if room >= 0:
        return f"{with_unit(room, 'mm')} clear"
    counted = "" if clearance.conflict_mm3 is None else f" and {with_unit(clearance.conflict_mm3, 'mm³')}"
    return f"{with_unit(-room, 'mm')}{counted} inside"


def verdict_words(plan: Plan) -> str:
    """The verdict as a sentence, with what is touched."""
    verdict = plan.verdict
    touched = _listed([f"the {each.obstacle.name} ({room_words(each)})" for each in verdict.touched])
    if verdict.word == "A":
        return "The channel, placed as published, touches neither inferior articular process, transverse process nor nerve."
    if verdict.word == "B":
        return f"The channel, placed as published, enters {touched or 'a structure that it must not'}."
    way = judged_way(plan)
    if verdict.word == POSSIBLE and way is not None:
        return sentence(f"all margins are kept{_with_spare(way)}")
    if verdict.word == NOT_POSSIBLE:
        return f"No way found keeps all margins{f': the best of them comes too near to {touched}' if touched else ''}."
    return sentence(verdict.word)


def verdict_head(plan: Plan) -> str:
    """``Group A``, ``Possible``."""
    word = plan.verdict.word
    return f"Group {word}" if word in ("A", "B") else word[:1].upper() + word[1:]


def firm_words(plan: Plan) -> str:
    """What would change a verdict, and what it rests on that was not seen well."""
    unsure = [f"the {name}" for name in plan.unsure]
    doubt = f" But the network that drew {_listed(unsure)} was not sure of the outline." if unsure else ""
    return _what_would_change(plan.verdict) + doubt


def _what_would_change(verdict: Verdict) -> str:
    if verdict.is_firm:
        return "Moving the surface of any one structure by 1 or 2 mm does not change this."
    by_word: dict[str, dict[str, float]] = {}
    for change in verdict.changes:
        least = by_word.setdefault(_as_group(change.becomes), {})
        if abs(change.shift_mm) < abs(least.get(change.structure, np.inf)):
            least[change.structure] = change.shift_mm
    parts = [
        f"{word} if {_listed([f'the {name} lay {_shift_words(shift)}' for name, shift in found.items()], 'or')}"
        for word, found in by_word.items()
    ]
    return f"It would be {'; it would be '.join(parts)}."


def spare_words(way: WayIn) -> str:
    """Room beyond the margins, and what limits it."""
    if way.limiting is None:
        return "nothing within reach"
    kept = f"{with_unit(way.slack_mm, 'mm')} to spare" if way.keeps_margins else f"{with_unit(-way.slack_mm, 'mm')} short"
    return f"{kept}, {way.limiting}"


def direction_letters(frame: Frame, direction: FloatArray) -> str:
    """Which way a direction points in the patient, the larger part first: ``P``, ``LP``."""
    parts = frame.axes @ direction
    order = np.argsort(-np.abs(parts))
    named = [axis for rank, axis in enumerate(order) if rank == 0 or abs(parts[axis]) > _ALSO]
    return "".join(_LETTERS[axis][0 if parts[axis] > 0 else 1] for axis in named[:2])


def _with_spare(way: WayIn) -> str:
    return "" if way.limiting is None else f", with {with_unit(way.slack_mm, 'mm')} to spare beside the {way.limiting}"


def _shift_words(shift_mm: float) -> str:
    """A surface further out is nearer to the channel."""
    return f"{abs(shift_mm):.0f} mm {'nearer' if shift_mm > 0 else 'further away'}"


def _as_group(word: str) -> str:
    return f"group {word}" if word in ("A", "B") else word


def _listed(words: list[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""
