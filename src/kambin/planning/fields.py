"""The distance fields of one patient: each sampled once, on a lattice of its own that all share, when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.planning.field import REACH_MM, SPACING_MM, DistanceField, distance_field, rough_distance_field
from kambin.planning.obstacles import PROCESSES, Obstacle
from kambin.spine import Solid, SpineModel
from kambin.volume import Grid

Pieces = tuple[tuple[Solid, tuple[Solid, ...]], ...]

_ROUGH = frozenset({"viscera"})
"""Groups that are large and kept well clear of: the search need not know them so well. In the end the room to them is exact too."""


class Fields:
    """The distances to a patient's structures.

    Every field lies on points of one lattice, in the directions of the lowest segment but one: they come from the anatomy, so a scan that
    is stored or turned otherwise gives the same. A field reaches as far about its structure as is looked; beyond it there is nothing to
    say.

    Parameters
    ----------
    model
        Whose structures.
    """

    def __init__(self, model: SpineModel) -> None:
        segments = model.segments
        self.frame = segments[-2 if len(segments) > 1 else -1].frame if segments else Frame(np.zeros(3), np.eye(3))
        self._parts = {
            id(vertebra.solid): tuple(part for structure, part in vertebra.parts.items() if structure.kind in PROCESSES)
            for vertebra in model.vertebrae
        }
        self._kept: dict[tuple[int, ...], DistanceField] = {}
        self._alive: list[Solid] = []  # so that no identity is given away twice

    def of(self, obstacle: Obstacle) -> DistanceField:
        """The distance to one obstacle."""
        return self.to(obstacle.solids, obstacle.without, rough=obstacle.group in _ROUGH)

    def to(self, solids: Iterable[Solid], without: Iterable[Solid] = (), *, rough: bool = False) -> DistanceField:
        """The distance to the nearest of some solids, less what is cut away from them; of whole ones roughly, where that will do."""
        less = tuple(without)
        pieces = tuple(piece for solid in solids for piece in self._pieces(solid, less))
        found = [self._one(solid, cut, rough) for solid, cut in pieces]
        return found[0] if len(found) == 1 else self.lowest(found)

    def lattice(self, low_mm: FloatArray, high_mm: FloatArray) -> Grid:
        """The part of the lattice between two corners in its own coordinates."""
        first = np.floor(np.asarray(low_mm) / SPACING_MM)
        count = np.ceil(np.asarray(high_mm) / SPACING_MM).astype(int) - first.astype(int) + 1
        affine = np.eye(4)
        affine[:3, :3] = SPACING_MM * self.frame.axes.T
        affine[:3, 3] = self.frame.world(SPACING_MM * first)
        return Grid((int(count[0]), int(count[1]), int(count[2])), affine)

    def lattice_about(self, corners_mm: FloatArray) -> Grid:
        """The part of the lattice that holds RAS points, shape (n, 3)."""
        local = self.frame.local(corners_mm)
        return self.lattice(local.min(axis=0), local.max(axis=0))

    def lowest(self, fields: Iterable[DistanceField], less_mm: Iterable[float] | None = None, grid: Grid | None = None) -> DistanceField:
        """The smallest of several distances, each less its margin, on a part of the lattice; by default on all that they cover."""
        several = list(fields)
        margins = [0.0] * len(several) if less_mm is None else list(less_mm)
        where = grid or self.lattice_about(np.concatenate([_corners_mm(field.grid) for field in several]))
        result = np.full(where.shape, REACH_MM, dtype=np.float32)
        for field, margin in zip(several, margins, strict=True):
            shift = np.rint(where.voxel(field.grid.world(np.zeros(3)))).astype(int)
            start = np.maximum(shift, 0)
            stop = np.minimum(shift + field.grid.shape, where.shape)
            if (stop <= start).any():
                continue
            into = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            out_of = tuple(slice(a, b) for a, b in zip(start - shift, stop - shift, strict=True))
            np.minimum(result[into], field.distance_mm[out_of] - np.float32(margin), out=result[into])
        return DistanceField(where, result)

    def _pieces(self, solid: Solid, less: tuple[Solid, ...]) -> Pieces:
        """A vertebra less some of its parts is its core and its other parts: these are the same for every foramen that asks."""
        parts = self._parts.get(id(solid), ())
        if not less or not {id(each) for each in less} <= {id(part) for part in parts}:
            return ((solid, less),)
        cut = {id(each) for each in less}
        return ((solid, parts), *((part, ()) for part in parts if id(part) not in cut))

    def _one(self, solid: Solid, less: tuple[Solid, ...], rough: bool) -> DistanceField:
        key = (id(solid), *(id(each) for each in less))
        if key not in self._kept:
            surface = self.frame.local(solid.mesh.vertices_mm)
            grid = self.lattice(surface.min(axis=0) - REACH_MM, surface.max(axis=0) + REACH_MM)
            whole = rough and not less
            self._kept[key] = rough_distance_field(solid, grid) if whole else distance_field(solid, grid, without=less)
            self._alive += [solid, *less]
        return self._kept[key]


def _corners_mm(grid: Grid) -> FloatArray:
    """The eight outermost samples."""
    choice = np.indices((2, 2, 2)).reshape(3, 8).T
    return grid.world(choice * (np.asarray(grid.shape) - 1))
