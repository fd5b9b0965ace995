"""What a way in must keep clear of, by the names that a surgeon's margins go by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kambin.anatomy.structures import Kind, Level, Side
from kambin.spine import MotionSegment, Solid, SpineModel, Vertebra

MARGINS_MM: Mapping[str, float] = MappingProxyType(
    {"nerve": 1.0, "dura": 1.0, "vessel": 3.0, "viscera": 5.0, "iap": 0.0, "transverse": 0.0, "ilium": 0.0, "bone": 0.0}
)
"""The room that a channel leaves to each group of structures, unless the surgeon says otherwise. The superior articular process is in none:
it may be reamed."""


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
    """

    group: str
    name: str
    solids: tuple[Solid, ...]


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
        What should have been kept clear of and is not in the model: "exiting L5 root", in the order of `MARGINS_MM`.
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
    found += [Obstacle("vessel", structure.label, (solid,)) for structure, solid in model.solids.items() if structure.kind in _VESSELS]
    found += list(_bones(model, segment, side))
    reamable = lower.part(Kind.SUPERIOR_ARTICULAR, side)
    return Surroundings(tuple(found), reamable, tuple(name for _, name, solids in wanted if not solids))


_VESSELS = (Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN)


def _alone(solid: Solid | None) -> tuple[Solid, ...]:
    return () if solid is None else (solid,)


def _root(model: SpineModel, level: Level, side: Side) -> tuple[Solid, ...]:
    return _alone(model.solid(Kind.NERVE_ROOT, level, side))


def _parts(vertebra: Vertebra, side: Side, kind: Kind) -> tuple[Solid, ...]:
    return _alone(vertebra.part(kind, side))


def _bones(model: SpineModel, segment: MotionSegment, side: Side) -> Iterable[Obstacle]:
    """All other bone: of the segment's own vertebrae what may not be reamed, of their neighbours everything."""
    upper, lower = segment.upper, segment.lower
    own = {
        upper: (Kind.INFERIOR_ARTICULAR, Kind.TRANSVERSE),
        lower: (Kind.SUPERIOR_ARTICULAR,),
    }
    for vertebra in model.vertebrae:
        told_apart = own.get(vertebra, ())
        if vertebra.parts and told_apart:
            rest = tuple(solid for part, solid in vertebra.parts.items() if not (part.kind in told_apart and part.side in (side, None)))
            yield Obstacle("bone", f"rest of {vertebra.level}", rest)
        else:
            yield Obstacle("bone", str(vertebra.structure.label), (vertebra.solid,))
