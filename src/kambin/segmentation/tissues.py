"""Maps of tissues: for each voxel which material it is and which class it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kambin.segmentation.classes import UNKNOWN


@dataclass(frozen=True, slots=True)
class TissueRow:
    """One material of one structure in a map.

    Parameters
    ----------
    mixture
        Names of its materials and their shares, which add up to 1.
    proton_density, t1_ms, t2_ms, fat
        What MR sees: relative to cerebrospinal fluid, of the water at 1.5 T, and the share that is fat.
    hounsfield
        What CT sees.
    index
        The class it belongs to, or `UNKNOWN`.
    """

    mixture: tuple[tuple[str, float], ...]
    proton_density: float
    t1_ms: float
    t2_ms: float
    fat: float
    hounsfield: float
    index: int

    @property
    def tissue(self) -> str:
        """What there is most of."""
        return max(self.mixture, key=lambda part: part[1])[0]


@dataclass(frozen=True, slots=True, eq=False)
class Continued:
    """How a patient that ends in a vertebra goes on above it: each vertebra on that one's place looks as the one below it did.

    Parameters
    ----------
    normal, offset
        Places `x` with ``normal @ x > offset`` lie above the middle of the highest vertebra.
    turn, shift
        ``turn @ x + shift`` is the place one vertebra lower.
    ends
        Classes that do not go up there and are the rest of the body instead (psoas).
    """

    normal: npt.NDArray[np.float64]
    offset: float
    turn: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    ends: tuple[int, ...] = ()

    @classmethod
    def of(cls, centres: npt.NDArray[np.float64], ends: Sequence[int] = ()) -> Continued:
        """From the centres of the three highest bodies, the highest first, shape (3, 3)."""
        highest, second, third = centres
        now, before = highest - second, second - third
        turn = _between(before, now)
        normal = turn @ now + now
        normal = normal / np.linalg.norm(normal)
        return cls(normal, float(normal @ highest), turn.T, second - turn.T @ highest, tuple(ends))


def _between(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The least turn that takes the one's direction to the other's."""
    a, b = one / np.linalg.norm(one), other / np.linalg.norm(other)
    x, y, z = np.cross(a, b)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + a @ b), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class TissueMap:
    """One patient's tissues on voxels of 1 mm, right, anterior, cranial.

    Parameters
    ----------
    ids
        For each voxel the number of its row; 0 is the air around.
    rows
        Row 1 is the first; row 0 is air and not listed.
    top
        Voxels from this index of the third axis on show a body without a column (the patient ends there): never seen in training.
    focus
        Voxels about which pictures are centred, shape (n, 3): those of the column.
    above
        How the body goes on above; None: it ends at `top`.
    """

    ids: npt.NDArray[np.uint16]
    rows: tuple[TissueRow, ...]
    top: int
    focus: npt.NDArray[np.int16]
    above: Continued | None = None

    @classmethod
    def of(
        cls,
        ids: npt.NDArray[np.uint16],
        rows: Sequence[TissueRow],
        column: Sequence[int],
        bodies: Sequence[Sequence[int]],
        ends: Sequence[int] = (),
    ) -> TissueMap:
        """A map with its top and focus found.

        Parameters
        ----------
        ids, rows
            As above.
        column
            Numbers of the rows that are of the column (bones, discs, sac, roots).
        bodies
            Numbers of the rows of each vertebra's body, the highest first. The patient is cut off through the middle of the highest, and
            goes on above it where there are three.
        ends
            Classes that do not go on.

        Raises
        ------
        ValueError
            When a number in `ids` has no row, or there is no column.
        """
        if int(ids.max()) > len(rows):
            raise ValueError(f"expected numbers up to {len(rows)}, for each of which there is a row, found {int(ids.max())}")
        heights = np.flatnonzero(_is_one_of(ids, bodies[0] if bodies else (), len(rows)).any(axis=(0, 1)))
        top = int(0.5 * (heights[0] + heights[-1])) if len(heights) else ids.shape[2]
        chance = np.random.default_rng(0)
        places = [np.argwhere(_is_one_of(ids[::2, ::2, :top:2], some, len(rows))) * 2 for some in (column, _others(rows, column))]
        if not len(places[0]):
            raise ValueError("expected a map that shows a column, found none in it")
        # Two of three pictures are about the column, one about what is named beside it.
        chosen = [some[chance.integers(len(some), size=n)] for some, n in zip(places, (16_000, 8_000), strict=True) if len(some)]
        centres = [np.argwhere(_is_one_of(ids, body, len(rows))).mean(axis=0) for body in bodies[:3]]
        above = Continued.of(np.stack(centres), ends) if len(centres) == 3 else None
        return cls(ids, tuple(rows), top, np.concatenate(chosen).astype(np.int16), above)

    def column(self, name: str) -> Tensor:
        """One number of every row, that of air (0, or -1000 HU) first."""
        first = {"hounsfield": -1000.0, "t1_ms": 1000.0, "t2_ms": 1.0}.get(name, 0.0)
        return torch.tensor([first, *(float(getattr(row, name)) for row in self.rows)])


def _is_one_of(ids: npt.NDArray[np.uint16], some: Sequence[int], count: int) -> npt.NDArray[np.bool_]:
    table = np.zeros(count + 1, dtype=np.bool_)
    table[list(some)] = True
    return table[ids]


def _others(rows: Sequence[TissueRow], column: Sequence[int]) -> list[int]:
    """Rows beside the column that have a class of their own: not the first one, which is the rest of the body."""
    return [n for n, row in enumerate(rows, 1) if 1 < row.index < UNKNOWN and n not in set(column)]
