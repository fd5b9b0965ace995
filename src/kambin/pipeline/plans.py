"""What is to be planned, checked at the door against the run's model, and the plans as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kambin.anatomy.structures import Level, Side
from kambin.errors import InputError
from kambin.io.manifest import FileRecord
from kambin.io.plan_json import read_plan_document, read_plans
from kambin.io.roots import read_drawn_points
from kambin.pipeline.progress import Progress, silent
from kambin.planning import APPROACHES, Approach, Plans, plan
from kambin.spine import SpineModel

if TYPE_CHECKING:
    from kambin.reconstruction.drawn_root import DrawnRoot

_NEEDLE_MM = 1.5
"""Ways in that are thinner than this radius by themselves are a needle's."""
_DRAWN = "drawn_roots"


@dataclass(frozen=True)
class PlanOrder:
    """Which ways in are to be planned, and what is asked of them; where nothing is said, all that the model allows.

    Parameters
    ----------
    approaches
        Keys of `kambin.planning.APPROACHES`.
    levels
        Segments by name: "L5/S1".
    sides
        One or both.
    channel_mm, length_mm
        Diameter and length of the working channel; of a needle where only needles are planned.
    margins_mm
        Room to leave, by group.
    tilt_deg, free_alpha_deg
        Of the published transforaminal placement.
    roots
        Nerve roots that were drawn by hand: level, side and file.
    root_radius_mm
        Theirs, where a file has none.
    """

    approaches: Sequence[str] = ()
    levels: Sequence[str] = ()
    sides: Sequence[Side] = tuple(Side)
    channel_mm: float | None = None
    length_mm: float | None = None
    margins_mm: Mapping[str, float] = field(default_factory=dict)
    tilt_deg: float | None = None
    free_alpha_deg: float | None = None
    roots: Sequence[tuple[Level, Side, str]] = ()
    root_radius_mm: float = 2.5

    def parameters(self) -> dict[str, Any]:
        """What was asked for, for the manifest: the options that were given."""
        usual = PlanOrder()
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}

    def records(self) -> tuple[FileRecord, ...]:
        """Name, size and checksum of the files of roots."""
        return tuple(FileRecord.of(path, path, "root") for _, _, path in self.roots)


def make_plans(model: SpineModel, order: PlanOrder, progress: Progress = silent) -> Plans:
    """Plan what is ordered.

    Parameters
    ----------
    model
        The run's, with the ordered roots in it (`with_ordered_roots`).
    order
        What is asked for.
    progress
        Told what is being planned.

    Raises
    ------
    InputError
        When an approach is unknown, a level is not in the model, or what is asked for cannot be; names the option.
    """
    approaches = _approaches(order.approaches)
    levels = [_known_level(name, model) for name in order.levels] or None
    wishes = _wishes(order, approaches)
    keys = [approach.key for approach in approaches]
    return plan(model, approaches=keys, levels=levels, sides=order.sides, wishes=wishes, progress=progress)


def with_ordered_roots(model: SpineModel, order: PlanOrder) -> SpineModel:
    """The model with the roots that were drawn for this order; its provenance holds them.

    Raises
    ------
    InputError
        When a file cannot be read, or a root cannot lie where it was drawn.
    """
    if not 0.0 < order.root_radius_mm <= 10.0:
        raise InputError("--root-radius-mm", f"expected a radius above 0 and up to 10 mm, found {order.root_radius_mm:g}")
    return _with_roots(model, [_read_root(level, side, path, order.root_radius_mm) for level, side, path in order.roots])


def read_back(path: Path, model: SpineModel) -> tuple[Plans, SpineModel]:
    """The plans of a run, and its model with the roots that were drawn for them.

    Raises
    ------
    InputError
        When the file is none of this model.
    """
    try:
        drawn = [_as_root(entry) for entry in read_plan_document(path)["input"].get(_DRAWN, ())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"expected plans, found them damaged ({error!r})") from error
    model = _with_roots(model, drawn)
    return read_plans(path, model), model


def _with_roots(model: SpineModel, roots: Sequence[DrawnRoot]) -> SpineModel:
    if not roots:
        return model
    from kambin.reconstruction.drawn_root import with_drawn_roots

    with_them = with_drawn_roots(model, roots)
    return replace(with_them, provenance={**model.provenance, _DRAWN: [_as_entry(root) for root in roots]})


def _read_root(level: Level, side: Side, path: str, radius_mm: float) -> DrawnRoot:
    from kambin.reconstruction.drawn_root import DrawnRoot

    found = read_drawn_points(path)
    radius = np.full(len(found.points_mm), radius_mm) if found.radius_mm is None else found.radius_mm
    return DrawnRoot(level, side, found.points_mm, radius, path)


def _as_entry(root: DrawnRoot) -> dict[str, Any]:
    own = {"level": root.level.value, "side": root.side.value, "file": root.source}
    return own | {"points_mm": root.points_mm.tolist(), "radius_mm": root.radius_mm.tolist()}


def _as_root(entry: Mapping[str, Any]) -> DrawnRoot:
    from kambin.reconstruction.drawn_root import DrawnRoot

    points, radius = (np.asarray(entry[name], dtype=np.float64) for name in ("points_mm", "radius_mm"))
    return DrawnRoot(Level(entry["level"]), Side(entry["side"]), points, radius, entry["file"])


def _approaches(names: Sequence[str]) -> list[Approach]:
    for name in names:
        if name not in APPROACHES:
            near = get_close_matches(name.lower().replace("_", "-"), APPROACHES, n=2, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else None
            raise InputError("--approach", f"expected one of {', '.join(APPROACHES)}, found {name!r}", hint=hint)
    return [APPROACHES[name] for name in dict.fromkeys(names or APPROACHES)]


def _known_level(name: str, model: SpineModel) -> str:
    """The segment's own name, however it was typed: ``L4/5``, ``l4-l5``.

    Raises
    ------
    InputError
        When the model does not have it; with the reason, where there is one.
    """
    upper, _, lower = name.strip().upper().replace("-", "/").partition("/")
    full = f"{upper}/{lower if lower[:1].isalpha() else upper[:1] + lower}"
    names = [segment.name for segment in model.segments]
    if full in names:
        return full
    if full in model.missing_segments:
        raise InputError("--level", f"{full} cannot be planned: {model.missing_segments[full]}")
    raise InputError("--level", f"expected a segment of this run ({', '.join(names) or 'it has none'}), found {name!r}")


def _wishes(order: PlanOrder, approaches: Sequence[Approach]) -> dict[str, dict[str, Any]]:
    """What is asked of each approach, tried one option after another, so that the error names the one at fault."""
    channels = [approach for approach in approaches if approach.wishes.radius_mm >= _NEEDLE_MM] or approaches
    asked: dict[str, dict[str, Any]] = {}
    for approach in approaches:
        wishes = asked.setdefault(approach.key, {})
        for option, name, value in _options(order, sized=approach in channels):
            wishes[name] = value
            try:
                approach.wishes.but(**wishes)
            except ValueError as error:
                raise InputError(option, str(error)) from error
    return asked


def _options(order: PlanOrder, *, sized: bool) -> Iterator[tuple[str, str, Any]]:
    """Options that were given, with the fields of `Wishes` that they set."""
    for option, value, low, high in (
        ("--channel-mm", order.channel_mm, 0.1, 30.0),
        ("--length-mm", order.length_mm, 10.0, 400.0),
        ("--tilt-deg", order.tilt_deg, -45.0, 45.0),
        ("--free-alpha-deg", order.free_alpha_deg, 5.0, 90.0),
    ):
        if value is not None and not low <= value <= high:
            raise InputError(option, f"expected {low:g} to {high:g}, found {value:g}")
    if sized and order.channel_mm is not None:
        yield "--channel-mm", "radius_mm", order.channel_mm / 2.0
    if sized and order.length_mm is not None:
        yield "--length-mm", "length_mm", order.length_mm
    if order.margins_mm:
        yield "--margin", "margins_mm", dict(order.margins_mm)
    for option, name in (("--tilt-deg", "tilt_deg"), ("--free-alpha-deg", "free_alpha_deg")):
        if getattr(order, name) is not None:
            yield option, name, getattr(order, name)
