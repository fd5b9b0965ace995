"""Nerve roots that nobody's labels hold, drawn by hand as a few points: a tube, checked against the anatomy that it lies in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.spine import Solid, SpineModel
from kambin.volume import Grid

ACROSS_MM = 5.0
"""So far across the midline a root may begin, within the dural sac."""
INTO_BONE_MM = 0.5
"""So deep the axis of a root may lie in bone: what the surface of a label is off by."""
_SPACING_MM = 0.5
_CLIP_MM = 4.0
_STEP_MM = 0.25


@dataclass(frozen=True, eq=False)
class DrawnRoot:
    """One root as it was drawn.

    Parameters
    ----------
    level, side
        Which: named, as ever, by the vertebra whose pedicle it passes under.
    points_mm
        Along it, RAS, shape (n, 3), n at least 2; straight from one to the next.
    radius_mm
        At each point, shape (n,).
    source
        What errors call it: its file.
    """

    level: Level
    side: Side
    points_mm: FloatArray
    radius_mm: FloatArray
    source: str

    @property
    def structure(self) -> Structure:
        return Structure(Kind.NERVE_ROOT, self.level, self.side)

    @property
    def name(self) -> str:
        return f"{self.side} {self.level} root"


def with_drawn_roots(model: SpineModel, roots: Iterable[DrawnRoot]) -> SpineModel:
    """The model with roots that were drawn, marked as such.

    Raises
    ------
    InputError
        When a root is of a level that the model does not have, is labelled or given already, lies outside the scan, on the other side, or
        runs through bone; names its file.
    """
    for root in roots:
        _check(model, root)
        solids = {**model.solids, root.structure: tube(root.points_mm, root.radius_mm)}
        model = replace(model, solids=solids, drawn=model.drawn | {root.structure})
    return model


def tube(points_mm: FloatArray, radius_mm: FloatArray) -> Solid:
    """All within a radius of a line of points, round at its ends; the radius changes evenly from one point to the next."""
    reach = float(radius_mm.max()) + 4 * _SPACING_MM
    low, high = points_mm.min(axis=0) - reach, points_mm.max(axis=0) + reach
    count = np.ceil((high - low) / _SPACING_MM).astype(int) + 1
    grid = Grid.axis_aligned((int(count[0]), int(count[1]), int(count[2])), _SPACING_MM, low)
    level = np.full(grid.shape, _CLIP_MM, dtype=np.float32)
    for index in range(len(points_mm) - 1):
        ends, radii = points_mm[index : index + 2], radius_mm[index : index + 2]
        about = float(radii.max()) + _CLIP_MM
        first = np.maximum(np.floor((ends.min(axis=0) - about - low) / _SPACING_MM).astype(int), 0)
        last = np.minimum(np.ceil((ends.max(axis=0) + about - low) / _SPACING_MM).astype(int) + 1, count)
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        lattice = np.stack(np.meshgrid(*(low[k] + _SPACING_MM * np.arange(first[k], last[k]) for k in range(3)), indexing="ij"), axis=-1)
        np.minimum(level[box], _piece_level(lattice, ends, radii).astype(np.float32), out=level[box])
    level = guarded(level)
    return Solid(grid, level, zero_surface(level, grid))


def _piece_level(lattice_mm: FloatArray, ends_mm: FloatArray, radii_mm: FloatArray) -> FloatArray:
    along = ends_mm[1] - ends_mm[0]
    share = np.clip((lattice_mm - ends_mm[0]) @ along / (along @ along), 0.0, 1.0)
    off = lattice_mm - ends_mm[0] - share[..., None] * along
    return np.asarray(np.linalg.norm(off, axis=-1) - radii_mm[0] - share * (radii_mm[1] - radii_mm[0]))


def _check(model: SpineModel, root: DrawnRoot) -> None:
    """All that is wrong with a root at once, as far as one thing does not follow from another."""
    vertebra = model.vertebra(root.level)
    if vertebra is None:
        known = ", ".join(str(each.level) for each in model.vertebrae) or "none"
        raise InputError(root.source, f"expected a root of a vertebra of this run ({known}), found one of {root.level}")
    if root.structure in model.solids:
        how = "drawn twice" if root.structure in model.drawn else "among the labels of this run already"
        raise InputError(root.source, f"expected a root that is missing, found that the {root.name} is {how}")
    outside = _farthest_outside(model.grid, root.points_mm)
    if outside is not None:
        hint = "Is its coordinate system right? Positions are RAS millimetres unless the file says LPS."
        found = f"point {outside[0]} {outside[1]:.0f} mm outside it"
        raise InputError(root.source, f"expected points inside the scan, found {found}", hint=hint)
    across = -root.side.sign * vertebra.frame.local(root.points_mm)[:, 0]
    worst = int(across.argmax())
    if across[worst] > ACROSS_MM or across.mean() > 0:
        found = f"point {worst + 1} {across[worst]:.0f} mm to the patient's {root.side.opposite}"
        raise InputError(root.source, f"expected a root on the patient's {root.side}, found {found}")
    _check_bone(model, root)


def _check_bone(model: SpineModel, root: DrawnRoot) -> None:
    axis = _densely(root.points_mm)
    bones = {vertebra.structure.label: vertebra.solid for vertebra in model.vertebrae}
    bones |= {structure.label: solid for structure, solid in model.solids.items() if structure.kind is Kind.HIP}
    problems = []
    for name, bone in bones.items():
        depth = -bone.sample(axis)
        if depth.max() > INTO_BONE_MM:
            length = float((depth > 0).sum() * _STEP_MM)
            found = f"{depth.max():.1f} mm deep in the {name}, over {length:.0f} mm of its length"
            problems.append(f"expected a root that keeps out of bone, found it up to {found}")
    if problems:
        raise InputError(root.source, *problems)


def _densely(points_mm: FloatArray) -> FloatArray:
    """Points along the line, a quarter of a millimetre apart."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))])
    where = np.arange(0.0, length[-1], _STEP_MM)
    return np.stack([np.interp(where, length, points_mm[:, axis]) for axis in range(3)], axis=1)


def _farthest_outside(grid: Grid, points_mm: FloatArray) -> tuple[int, float] | None:
    """The point farthest outside the voxels of a grid, counted from 1, and how far that is; None where all lie inside."""
    voxel = grid.voxel(points_mm)
    nearest = np.clip(voxel, -0.5, np.asarray(grid.shape) - 0.5)
    apart = np.linalg.norm(grid.world(nearest) - points_mm, axis=1)
    worst = int(apart.argmax())
    return (worst + 1, float(apart[worst])) if apart[worst] > 1e-6 else None
