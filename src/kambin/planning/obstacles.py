"""What a way in must keep clear of, by the names that a surgeon's margins go by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from kambin.anatomy.structures import Kind, Level, Side
from kambin.spine import MotionSegment, Solid, SpineModel, Vertebra

MARGINS_MM: Mapping[str, float] = MappingProxyType(
    {"nerve": 1.0, "dura": 1.0, "vessel": 3.0, "viscera": 5.0, "iap": 0.0, "transverse": 0.0, "ilium": 0.0, "bone": -2.0, "psoas": -15.0}
)
"""The room that a channel leaves to each group of structures, unless the surgeon says otherwise. The superior articular process is in none:
it may be reamed. A negative margin is how far a structure may be moved aside (`kambin.planning.oblique` for the psoas), or brushed: a disc
space is often lower than a channel is wide, whose end then grazes the rims of the endplates, and so does its side the pars."""

UNSURE = 0.5
"""Below this mean probability the outline of what a network drew is not to be relied on."""

PROCESSES = (Kind.SUPERIOR_ARTICULAR, Kind.INFERIOR_ARTICULAR, Kind.TRANSVERSE)
"""The parts of a vertebra that are obstacles of their own, or may be reamed."""


@dataclass(frozen=True, eq=False)
class Obstacle:
    """One structure that a channel must not enter.

    Parameters
    ----------
    group
        A key of `MARGINS_MM`.
    name
        As in the report: "exiting L5 root".
    solids
        Its shape; several where it is made of several.
    without
        What is not meant of them: parts that are obstacles of their own, or that may be reamed.
    confidence
        The mean probability, 0 to 1, that a network gave what it drew; None where none drew it.
    """

    group: str
    name: str
    solids: tuple[Solid, ...]
    without: tuple[Solid, ...] = ()
    confidence: float | None = None

    @property
    def is_unsure(self) -> bool:
        """Whether its outline is not to be relied on."""
        return self.confidence is not None and self.confidence < UNSURE


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Everything about one foramen that matters to a way in.

    Parameters
    ----------
    obstacles
        What must be kept clear of.
    reamable
        The superior articular process of the lower vertebra, or None where the model has none by itself.
    missing
        What should have been kept clear of and was not seen, in the order of `MARGINS_MM`: "exiting L5 root". It is not in the model, or
        was drawn there by hand; then it is among the obstacles too.
    """

    obstacles: tuple[Obstacle, ...]
    reamable: Solid | None
    missing: tuple[str, ...]


def surroundings(model: SpineModel, segment: MotionSegment, side: Side) -> Surroundings:
    """Gather what lies about a foramen on one side."""
    upper, lower = segment.upper, segment.lower
    wanted = (
        ("nerve", f"exiting {upper.level} root", _root(model, upper.level, side)),
        ("nerve", f"traversing {lower.level} root", _root(model, lower.level, side)),
        ("dura", "dural sac", _alone(model.solid(Kind.DURAL_SAC) or model.solid(Kind.SPINAL_CANAL))),
        ("iap", f"{upper.level} inferior articular process", _parts(upper, side, Kind.INFERIOR_ARTICULAR)),
        ("transverse", f"{upper.level} transverse process", _parts(upper, side, Kind.TRANSVERSE)),
        ("ilium", "iliac bone", _alone(model.solid(Kind.HIP, None, side))),
    )
    found = [Obstacle(group, name, solids) for group, name, solids in wanted if solids]
    found += [
        Obstacle("nerve", f"{structure.level} root", (solid,))
        for structure, solid in model.solids.items()
        if structure.kind is Kind.NERVE_ROOT and structure.side is side and structure.level not in (upper.level, lower.level)
    ]
    for group, kinds in _BY_KIND.items():
        found += [Obstacle(group, structure.label, (solid,)) for structure, solid in model.solids.items() if structure.kind in kinds]
    found += list(_bones(model, segment, side))
    reamable = lower.part(Kind.SUPERIOR_ARTICULAR, side)
    drawn = {id(model.solids[structure]) for structure in model.drawn}
    seen = {name for _, name, solids in wanted if solids and not drawn & {id(solid) for solid in solids}}
    missing = tuple(name for _, name, _ in wanted if name not in seen)
    return Surroundings(_with_confidence(model, found), reamable, missing)


def _with_confidence(model: SpineModel, obstacles: Sequence[Obstacle]) -> tuple[Obstacle, ...]:
    """The obstacles with how sure the network was; of a vertebra and of its parts the least sure of all that it drew of that vertebra."""
    known = model.confidence
    by_solid = {id(solid): known[structure] for structure, solid in model.solids.items() if structure in known}
    for vertebra in model.vertebrae:
        shares = [share for structure, share in known.items() if structure.kind.is_vertebral and structure.level is vertebra.level]
        by_solid |= {id(solid): min(shares) for solid in (vertebra.solid, *vertebra.parts.values()) if shares}
    least = (min((by_solid[id(solid)] for solid in each.solids if id(solid) in by_solid), default=None) for each in obstacles)
    return tuple(replace(each, confidence=share) for each, share in zip(obstacles, least, strict=True))


def approach_obstacles(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[Obstacle, ...]:
    """What only some approaches keep clear of: the psoas (others do not come near it), the process that others may ream."""
    wanted = (
        ("psoas", f"{side} psoas", _alone(model.solid(Kind.PSOAS, None, side))),
        ("bone", f"{segment.lower.level} superior articular process", _parts(segment.lower, side, Kind.SUPERIOR_ARTICULAR)),
    )
    return _with_confidence(model, [Obstacle(group, name, solids) for group, name, solids in wanted if solids])


_BY_KIND = {
    "vessel": (Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN),
    "viscera": (Kind.KIDNEY, Kind.BOWEL),
}


def _alone(solid: Solid | None) -> tuple[Solid, ...]:
    return () if solid is None else (solid,)


def _root(model: SpineModel, level: Level, side: Side) -> tuple[Solid, ...]:
    return _alone(model.solid(Kind.NERVE_ROOT, level, side))


def _parts(vertebra: Vertebra, side: Side, kind: Kind) -> tuple[Solid, ...]:
    return _alone(vertebra.part(kind, side))


def _bones(model: SpineModel, segment: MotionSegment, side: Side) -> Iterable[Obstacle]:
    """All other bone: of the segment's own vertebrae what is not an obstacle of its own and may not be reamed."""
    own = {
        segment.upper.level: (Kind.INFERIOR_ARTICULAR, Kind.TRANSVERSE),
        segment.lower.level: (Kind.SUPERIOR_ARTICULAR,),
    }
    for vertebra in model.vertebrae:
        apart = [vertebra.part(kind, side) for kind in own.get(vertebra.level, ())]
        without = tuple(part for part in apart if part is not None)
        name = vertebra.structure.label
        yield Obstacle("bone", f"rest of the {name}" if without else name, (vertebra.solid,), without)
