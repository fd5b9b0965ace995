"""A segmentation: one label a voxel, each label with the name of a structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.volume.grid import Grid

if TYPE_CHECKING:
    from kambin.anatomy.schemes import Scheme

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map in canonical order, read by name.

    Parameters
    ----------
    grid
        Where the voxels are.
    labels
        Unsigned integers of `grid`'s shape; 0 is background, every other value is a key of `table`.
    table
        The structure that each label stands for. Several labels may name one structure.
    doubts
        What reading left open, in words for the report (an overlap resolved, a level inferred ...).
    provenance
        Files, checksums, scheme.

    Raises
    ------
    ValueError
        When shapes disagree, or a label has no entry in `table`.
    """

    grid: Grid
    labels: npt.NDArray[np.uint16]
    table: Mapping[int, Structure]
    doubts: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        problems = []
        if labels.shape != self.grid.shape:
            problems.append(f"expected labels of shape {self.grid.shape}, found {labels.shape}")
        if labels.dtype != np.uint16:
            problems.append(f"expected uint16 labels, found {labels.dtype}")
        if not problems:
            present = np.flatnonzero(np.bincount(labels.ravel()))
            nameless = sorted(set(present.tolist()) - set(self.table) - {0})
            if nameless:
                problems.append(f"expected a structure for every label, found none for {nameless}")
        if problems:
            raise ValueError("; ".join(problems))
        view = labels.view()
        view.setflags(write=False)
        table = {int(label): structure for label, structure in self.table.items() if label in set(present.tolist())}
        object.__setattr__(self, "labels", view)
        object.__setattr__(self, "table", MappingProxyType(table))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    @classmethod
    def read(
        cls,
        *paths: str | Path,
        scheme: str | Path | Scheme | Sequence[str | Path | Scheme],
        lowest: Level | str | None = None,
        spacing_scale: tuple[float, float, float] | None = None,
    ) -> Segmentation:
        """Read a label map (or the several files that make one) by its declared scheme. See `kambin.io.read_segmentation`."""
        from kambin.io import read_segmentation

        return read_segmentation(*paths, scheme=scheme, lowest=lowest, spacing_scale=spacing_scale)

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that have at least one voxel, in the order of their labels, each once."""
        return tuple(dict.fromkeys(self.table[label] for label in sorted(self.table)))

    def find(self, *kinds: Kind, level: Level | None = None, side: Side | None = None) -> tuple[Structure, ...]:
        """The structures present of these kinds, and of that level and side where given."""
        return tuple(
            s for s in self.structures if s.kind in kinds and level in (None, s.level) and side in (None, s.side)
        )

    def mask(self, structures: Structure | Iterable[Structure]) -> BoolArray:
        """True where a voxel belongs to any of the structures; all False where none is present."""
        wanted = {structures} if isinstance(structures, Structure) else set(structures)
        lookup = np.zeros(max(self.table, default=0) + 1, dtype=bool)
        for label, structure in self.table.items():
            lookup[label] = structure in wanted
        return np.asarray(lookup[self.labels], dtype=np.bool_)

    def voxel_counts(self) -> dict[Structure, int]:
        """Number of voxels of every structure present."""
        counts = np.bincount(self.labels.ravel(), minlength=max(self.table, default=0) + 1)
        result: dict[Structure, int] = {}
        for label, structure in self.table.items():
            result[structure] = result.get(structure, 0) + int(counts[label])
        return result
