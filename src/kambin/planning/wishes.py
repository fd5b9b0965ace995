"""What a surgeon asks of a way in: the instrument, the room to leave, where to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from kambin.planning.obstacles import MARGINS_MM
from kambin.planning.search import Cone


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a way in.

    Parameters
    ----------
    radius_mm, length_mm
        Of the working channel or needle.
    margins_mm
        Room to leave, by group; groups that are not named keep their margin of `kambin.planning.obstacles.MARGINS_MM`.
    cone
        Where to look.
    tilt_deg, free_alpha_deg
        Of the published transforaminal placement; see `kambin.planning.placement.place_as_published`.

    Raises
    ------
    ValueError
        When a size is not positive, a margin is unknown, or one is so negative that the instrument's axis itself could lie inside the
        structure.
    """

    radius_mm: float = 4.0
    length_mm: float = 150.0
    margins_mm: Mapping[str, float] = field(default_factory=dict)
    cone: Cone = field(default_factory=Cone)
    tilt_deg: float = 0.0
    free_alpha_deg: float = 40.0

    def __post_init__(self) -> None:
        if not (0.0 < self.radius_mm <= 15.0 and 0.0 < self.length_mm <= 400.0):
            found = f"{self.radius_mm:g} and {self.length_mm:g} mm"
            raise ValueError(f"expected a radius of up to 15 mm and a length of up to 400 mm, both positive, found {found}")
        unknown = sorted(set(self.margins_mm) - set(MARGINS_MM))
        if unknown:
            raise ValueError(f"margins: expected groups among {', '.join(MARGINS_MM)}, found {', '.join(unknown)}")
        for group, margin in self.margins_mm.items():
            if not (-20.0 if group == "psoas" else -self.radius_mm) <= margin <= 10.0:
                lowest = "-20 mm" if group == "psoas" else f"-{self.radius_mm:g} mm (the radius, so that the axis stays outside)"
                raise ValueError(f"margin of {group}: expected {lowest} to 10 mm, found {margin:g} mm")
        object.__setattr__(self, "margins_mm", MappingProxyType({**MARGINS_MM, **self.margins_mm}))

    def but(self, **changed: Any) -> Wishes:
        """The same with some fields changed; margins are changed group by group.

        Of a narrower channel no more than its radius may lie in what is pushed aside.

        Raises
        ------
        ValueError
            As above, or when a field is unknown.
        """
        unknown = sorted(set(changed) - set(self.__dataclass_fields__))
        if unknown:
            raise ValueError(f"wishes: expected {', '.join(self.__dataclass_fields__)}, found {', '.join(unknown)}")
        radius = changed.get("radius_mm", self.radius_mm)
        held = {group: margin if group == "psoas" else max(margin, -radius) for group, margin in self.margins_mm.items()}
        return replace(self, **{**changed, "margins_mm": {**held, **changed.get("margins_mm", {})}})
