"""What is being named: the voxels of each kind, the labels made so far, the doubts found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Structure
from kambin.segmentation.clean import TOLD_MM3
from kambin.segmentation.places import BoolArray, Places
from kambin.volume import Grid


@dataclass(frozen=True, eq=False)
class Work:
    """What is being named: the voxels of each kind, the labels made so far, the doubts found so far."""

    grid: Grid
    places: dict[Kind, Places]
    labels: npt.NDArray[np.uint16]
    numbers: dict[Structure, int]
    left_out: int
    doubts: list[str] = field(default_factory=list)

    def of(self, kind: Kind) -> Places:
        nothing = np.zeros((0, 3), dtype=np.int64)
        return self.places.get(kind, Places(self.grid, nothing, nothing[:, 0]))

    def name(self, places: Places, chosen: BoolArray, structure: Structure) -> None:
        self.labels[tuple(places.voxels[chosen].T)] = self.numbers[structure]

    def kept(self, kind: Kind, chosen: BoolArray) -> Places:
        """The chosen voxels of a kind; much that is left out is said."""
        places = self.of(kind)
        lost = places.volume_mm3 * float(1.0 - chosen.mean()) if len(places) else 0.0
        if lost > TOLD_MM3:
            word = kind.value.replace("_", " ")
            self.doubts.append(f"{lost / 1000:.0f} cm³ found as {word}, apart from the rest of it, were left out.")
        return places.some(chosen)
