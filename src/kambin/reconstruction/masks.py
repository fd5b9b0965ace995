"""From a label map to one clean mask a vertebra, and the check that it is of human size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import PART_KINDS, Kind, Level, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray
from kambin.spine import Doubt, Severity
from kambin.volume import Grid, Segmentation

BoolArray = npt.NDArray[np.bool_]

FRAGMENT_FRACTION = 0.03
"""A loose piece smaller than this fraction of its structure is a speck and is dropped; a larger one is anatomy (an arch apart from its
body, a spinous process) and is kept."""

HUMAN_CENTRE_SPACING_MM = (20.0, 58.0)
"""Distance between the centres of neighbouring lumbar bodies: 34 to 42 mm in adults (body 26-29 mm and disc 8-12 mm, Panjabi 1992,
Zhou 2000), about 20 mm in a child of four; beyond this range no human spine."""
HUMAN_BODY_RADIUS_MM = (7.0, 24.0)
"""Radius of the largest ball inside a lumbar body: about half its height, 12 to 15 mm in adults."""


@dataclass(frozen=True, eq=False)
class BoneMask:
    """One vertebra's (or the sacrum's) voxels, cropped: `start` is the index of the crop's first voxel in the whole grid."""

    level: Level
    mask: BoolArray
    start: npt.NDArray[np.int64]
    grid: Grid
    touches_border: bool
    core_mm: FloatArray
    core_radius_mm: float


def cropped(mask: BoolArray, pad: int = 2) -> tuple[BoolArray, npt.NDArray[np.int64], bool]:
    """The part of a mask around its voxels, the index of its first voxel, and whether the mask touches the whole array's border."""
    spans = []
    touches = False
    for axis in range(3):
        along = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        touches |= bool(along[0] == 0 or along[-1] == mask.shape[axis] - 1)
        spans.append((max(int(along[0]) - pad, 0), min(int(along[-1]) + 1 + pad, mask.shape[axis])))
    window = tuple(slice(low, high) for low, high in spans)
    return np.ascontiguousarray(mask[window]), np.array([low for low, _ in spans], dtype=np.int64), touches


def without_specks(mask: BoolArray) -> tuple[BoolArray, int]:
    """The mask without its smallest loose pieces (26-connected), and how many voxels were dropped."""
    import cc3d

    pieces, count = cc3d.connected_components(mask.view(np.uint8), connectivity=26, return_N=True)
    if count <= 1:
        return mask, 0
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    keep = sizes >= max(FRAGMENT_FRACTION * sizes.sum(), 1)
    return np.asarray(keep[pieces], dtype=np.bool_), int(sizes[~keep].sum())


def vertebral_structures(segmentation: Segmentation, level: Level) -> tuple[Structure, ...]:
    """All labels that make one vertebra: the whole, its parts, and for S1 the sacrum."""
    found = segmentation.find(Kind.VERTEBRA, *PART_KINDS, level=level)
    return (*found, *segmentation.find(Kind.SACRUM)) if level is Level.S1 else found


def bone_masks(segmentation: Segmentation) -> tuple[tuple[BoneMask, ...], list[Doubt]]:
    """The vertebrae of a label map, cranial to caudal, specks removed.

    Raises
    ------
    InputError
        When there is no vertebra, or only one.
    """
    doubts: list[Doubt] = []
    bones = []
    for level in Level:
        structures = vertebral_structures(segmentation, level)
        if not structures:
            continue
        crop, start, touches = cropped(segmentation.mask(structures))
        clean, dropped = without_specks(crop)
        if dropped > 0.005 * crop.sum():
            doubts.append(Doubt(Severity.NOTE, f"{level}: {dropped} voxels in loose pieces were left out of the vertebra."))
        grid = segmentation.grid.crop(start, start + np.array(clean.shape))
        core, radius = core_of(clean, grid)
        bones.append(BoneMask(level, clean, start, grid, touches, core, radius))
    names = ", ".join(str(bone.level) for bone in bones)
    present = ", ".join(structure.label for structure in segmentation.structures) or "nothing"
    if not bones:
        raise InputError("labels", f"expected lumbar vertebrae, found none (found {present})", hint="Is this the right scheme?")
    if len(bones) < 2:
        raise InputError("labels", f"expected at least two neighbouring vertebrae, found only {names}")
    return tuple(bones), doubts


def core_of(mask: BoolArray, grid: Grid) -> tuple[FloatArray, float]:
    """Centre and radius of the thickest place of a bone: for a vertebra, the middle of its body."""
    import edt

    depth = edt.edt(mask, anisotropy=tuple(grid.spacing_mm.tolist()), black_border=True)
    radius = float(depth.max())
    deep = depth >= 0.75 * radius
    weights = depth[deep].astype(np.float64)
    centre = (np.argwhere(deep) * weights[:, None]).sum(axis=0) / weights.sum()
    return grid.world(centre), radius


def check_human_size(bones: tuple[BoneMask, ...]) -> None:
    """Refuse a label map whose physical scale cannot be human.

    Raises
    ------
    InputError
        With the sizes found and expected, and how to correct the spacing.
    """
    lumbar = [bone for bone in bones if bone.level is not Level.S1]
    gaps = [
        float(np.linalg.norm(low.core_mm - high.core_mm)) / (low.level.rank - high.level.rank)
        for high, low in pairwise(lumbar)
        if low.level is not Level.L6 and high.level is not Level.L6
    ]
    whole = [bone.core_radius_mm for bone in lumbar if not bone.touches_border]
    problems = []
    if gaps and not HUMAN_CENTRE_SPACING_MM[0] <= float(np.median(gaps)) <= HUMAN_CENTRE_SPACING_MM[1]:
        problems.append(
            f"expected the centres of neighbouring lumbar vertebrae {HUMAN_CENTRE_SPACING_MM[0]:.0f} to "
            f"{HUMAN_CENTRE_SPACING_MM[1]:.0f} mm "
            f"apart, found {np.median(gaps):.1f} mm"
        )
    if whole and not HUMAN_BODY_RADIUS_MM[0] <= float(np.median(whole)) <= HUMAN_BODY_RADIUS_MM[1]:
        problems.append(
            f"expected vertebral bodies that hold a ball of {HUMAN_BODY_RADIUS_MM[0]:.0f} to {HUMAN_BODY_RADIUS_MM[1]:.0f} mm radius, "
            f"found {np.median(whole):.1f} mm"
        )
    if problems:
        raise InputError(
            "labels",
            "the physical scale is not that of a human spine: " + "; ".join(problems),
            hint="The spacing in the file's header is probably wrong: correct it there, or give --spacing-scale with "
            "a factor for each axis.",
        )
