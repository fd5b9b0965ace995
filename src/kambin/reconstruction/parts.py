"""The parts of a vertebra told apart by where they lie: body, pedicles, articular, transverse and spinous processes, laminae.

All in the vertebra's own frame. The body ends at the posterior wall. Behind it the two pedicles are followed backwards as long as they stay
necks; what remains is divided by the landmarks the pedicles give: above and beside them, the superior articular process; out
beyond them, the
transverse process; below them, the inferior articular process; behind the canal in the midline, the spinous process; the rest is
lamina (with the pars).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import FloatArray, Frame
from kambin.reconstruction.vertebrae import Posed
from kambin.spine import PedicleNeck

BoolArray = npt.NDArray[np.bool_]

_NECK_GROWTH = 1.45
"""A pedicle ends where its section has grown to this multiple of its smallest."""
_NECK_FRACTION = 0.4
"""A pedicle's neck lies in the front of the canal's depth, up to this fraction of it."""
_LEDGE = 0.6
"""A column of the section lower than this fraction of the highest is no longer pedicle but the ledge of a transverse process."""
_SLAB_MM = 1.0
_MIN_PART_VOXELS = 8


@dataclass(frozen=True, slots=True)
class PedicleLandmarks:
    """One pedicle in its vertebra's frame, millimetres: where it ends behind, and the borders of its neck.

    `medial` and `lateral` are distances from the canal's midline (at `middle` along *right*), `top` and `bottom` cranial coordinates.
    """

    side: Side
    middle: float
    front: float
    back: float
    isthmus: float
    medial: float
    lateral: float
    top: float
    bottom: float

    def neck(self, frame: Frame) -> PedicleNeck:
        """The same as points in space."""

        def at(out: float, height: float) -> FloatArray:
            return frame.world([self.middle + self.side.sign * out, self.isthmus, height])

        out, height = (self.medial + self.lateral) / 2, (self.top + self.bottom) / 2
        return PedicleNeck(at(out, height), at(self.medial, height), at(self.lateral, height), at(out, self.top), at(out, self.bottom))


def vertebral_parts(posed: Posed, pedicles: Mapping[Side, PedicleLandmarks]) -> tuple[npt.NDArray[np.uint8], tuple[Structure, ...]]:
    """Divide a vertebra.

    Parameters
    ----------
    posed
        A lumbar vertebra with its frame and foramen found (not the sacrum).
    pedicles
        What `pedicle_landmarks` found.

    Returns
    -------
    labels
        On the solid's grid: 0 outside, else 1 + index into `names`.
    names
        The parts.

    A bone without a foramen is all body. Where a pedicle cannot be followed, that side has no pedicle, and its processes are
    told by the other's.
    """
    level = posed.level
    names = part_names(level)
    inside = posed.solid.level_mm < 0.0
    labels = np.zeros(inside.shape, dtype=np.uint8)
    local = posed.frame.local(posed.solid.grid.world(np.argwhere(inside)))
    if posed.foramen is None:
        labels[inside] = 1
        return labels, names
    is_body = _body(posed, local)
    choice = _choose(posed, local, is_body, pedicles, names)
    labels[inside] = choice
    return _tidied(labels, len(names)), names


def part_names(level: Level) -> tuple[Structure, ...]:
    """The parts of one vertebra in a fixed order."""
    sided = (Kind.PEDICLE, Kind.SUPERIOR_ARTICULAR, Kind.INFERIOR_ARTICULAR, Kind.TRANSVERSE, Kind.LAMINA)
    return (
        Structure(Kind.BODY, level),
        Structure(Kind.SPINOUS, level),
        *(Structure(kind, level, side) for kind in sided for side in (Side.LEFT, Side.RIGHT)),
    )


def _body(posed: Posed, local: FloatArray) -> BoolArray:
    """Points of the body: in front of the posterior wall, between the endplates, not out on a transverse process."""
    if posed.body is not None:
        return np.asarray(posed.body.sample(posed.frame.world(local)) < 0.0)
    right, anterior, cranial = local.T
    in_front = anterior >= posed.wall_mm(cranial)
    plates = [surface.points() for surface in (posed.upper, posed.lower) if surface is not None]
    if not plates:
        return np.asarray(in_front)
    rim = np.concatenate(plates)
    half_width = float(np.quantile(np.abs(rim[:, 0]), 0.98)) + 3.0
    within = in_front & (np.abs(right) <= half_width)
    if posed.upper is not None:
        within &= cranial <= np.nanmax(posed.upper.height_mm) + 1.0
    if posed.lower is not None:
        within &= cranial >= np.nanmin(posed.lower.height_mm) - 1.0
    return np.asarray(within)


def _pedicle(posed: Posed, local: FloatArray, is_body: BoolArray, side: Side) -> PedicleLandmarks | None:
    """Follow one pedicle backwards from the posterior wall, slab by slab, to where it widens into the articular mass."""
    assert posed.foramen is not None
    outline = posed.foramen.hole.outline
    middle = (outline[:, 0].min() + outline[:, 0].max()) / 2
    out = side.sign * (local[:, 0] - middle)
    wall = float(posed.foramen.wall(4.0))
    depth = wall - outline[:, 1].min()
    arch = ~is_body & (out > 2.0)
    sections = []
    for step in np.arange(1.0, 0.75 * depth, _SLAB_MM):
        # A pedicle beside the canal: the slab's bone lateral of the canal's border at this depth.
        canal = outline[np.abs(outline[:, 1] - (wall - step)) <= 1.5, 0]
        medial = max(float((side.sign * (canal - middle)).max()) if len(canal) else 3.0, 2.0)
        slab = arch & (np.abs(local[:, 1] - (wall - step)) <= _SLAB_MM / 2) & (out >= medial - 1.5) & (out <= medial + 24.0)
        piece = _main_piece(np.stack([out[slab], local[slab, 2]], axis=1))
        if len(piece) >= 4:
            neck = _without_ledge(piece)
            sections.append((step, len(neck), np.quantile(neck, [0.03, 0.97], axis=0)))
    if not sections:
        return None
    areas = np.array([area for _, area, _ in sections], dtype=np.float64)
    # Further back the section falls apart into the superior articular process and the pars, each smaller than any pedicle.
    front = [step <= _NECK_FRACTION * depth for step, _, _ in sections]
    narrow = int(np.where(front, areas, np.inf).argmin()) if any(front) else 0
    end = narrow
    while end + 1 < len(areas) and areas[end + 1] <= _NECK_GROWTH * areas[narrow]:
        end += 1
    low, high = sections[narrow][2]
    return PedicleLandmarks(
        side,
        float(middle),
        wall,
        wall - float(sections[end][0]),
        wall - float(sections[narrow][0]),
        float(low[0]),
        float(high[0]),
        float(high[1]),
        float(low[1]),
    )


def pedicle_landmarks(posed: Posed) -> Mapping[Side, PedicleLandmarks]:
    """The pedicles of a vertebra, by side; empty for a bone without a foramen, and for the sacrum, whose pedicles are one with its alae."""
    if posed.foramen is None or posed.level is Level.S1:
        return {}
    local = posed.frame.local(posed.solid.grid.world(np.argwhere(posed.solid.level_mm < 0.0)))
    is_body = _body(posed, local)
    return {side: found for side in Side if (found := _pedicle(posed, local, is_body, side)) is not None}


def _without_ledge(piece: FloatArray) -> FloatArray:
    """A pedicle's section without the root of the transverse process beside it: columns much lower than the highest end it."""
    column = np.floor(piece[:, 0] + 1e-6).astype(np.int64)
    column -= column.min()
    span = np.array([np.ptp(piece[column == k, 1]) if (column == k).any() else 0.0 for k in range(column.max() + 1)])
    peak = int(span.argmax())
    low = np.flatnonzero(span[peak:] < _LEDGE * span[peak])
    end = peak + int(low[0]) if len(low) else len(span)
    kept = piece[column < end]
    return kept if len(kept) >= 4 else piece


def _main_piece(points: FloatArray) -> FloatArray:
    """The largest connected group of plane points, in cells of one millimetre."""
    from scipy.ndimage import label

    if len(points) < 4:
        return points
    cell = np.floor(points + 1e-6).astype(np.int64)
    cell -= cell.min(axis=0)
    image = np.zeros(cell.max(axis=0) + 1, dtype=bool)
    image[tuple(cell.T)] = True
    pieces, _ = label(image, structure=np.ones((3, 3)))
    of_point = pieces[tuple(cell.T)]
    return np.asarray(points[of_point == np.bincount(of_point).argmax()])


def _choose(
    posed: Posed, local: FloatArray, is_body: BoolArray, pedicles: Mapping[Side, PedicleLandmarks], names: tuple[Structure, ...]
) -> npt.NDArray[np.uint8]:
    """The part of every point, as 1 + index into `names`."""
    assert posed.foramen is not None
    index = {(name.kind, name.side): number for number, name in enumerate(names, start=1)}
    outline = posed.foramen.hole.outline
    middle = (outline[:, 0].min() + outline[:, 0].max()) / 2
    behind_canal = float(outline[:, 1].min())
    choice = np.ones(len(local), dtype=np.uint8)
    spare = next(iter(pedicles.values()), None)
    for side in Side:
        out = side.sign * (local[:, 0] - middle)
        mine = ~is_body & (out >= 0)
        neck = pedicles.get(side, spare)
        if neck is None:
            choice[mine] = index[Kind.LAMINA, side]
            continue
        depth, height = local[:, 1], local[:, 2]
        part = np.full(len(local), index[Kind.LAMINA, side], dtype=np.uint8)
        beside = out > neck.medial - 3.0
        part[beside & (height < neck.bottom - 3.0)] = index[Kind.INFERIOR_ARTICULAR, side]
        # The inferior process is what hangs below the lamina, lateral of the midline gap.
        part[(out > 4.0) & (height < neck.bottom - 8.0)] = index[Kind.INFERIOR_ARTICULAR, side]
        above = (height > neck.top - 2.0) | ((height > (neck.top + neck.bottom) / 2) & (depth < neck.back))
        part[beside & above] = index[Kind.SUPERIOR_ARTICULAR, side]
        waist = (height > neck.bottom - 9.0) & (height < neck.top + 7.0)
        part[(out > neck.lateral + 4.0) & waist & (depth > behind_canal - 22.0)] = index[Kind.TRANSVERSE, side]
        part[(out > neck.lateral + 9.0) & (height > neck.bottom - 14.0)] = index[Kind.TRANSVERSE, side]
        if side in pedicles:
            inside_neck = (depth >= neck.back) & (out >= neck.medial - 4.0) & (out <= neck.lateral + 3.0) & (height <= neck.top + 3.0)
            part[inside_neck & (height >= neck.bottom - 4.0)] = index[Kind.PEDICLE, side]
        # The posterior wall is hollow in its middle: the body's rim reaches behind the wall beside and between the pedicles.
        behind_wall = posed.foramen.wall(height) - depth
        part[(behind_wall < 5.0) & (out < neck.medial - 1.0)] = index[Kind.BODY, None]
        part[(behind_wall < 4.0) & ((height > neck.top + 3.0) | (height < neck.bottom - 3.0))] = index[Kind.BODY, None]
        part[(out < 6.0) & (depth < behind_canal - 5.0)] = index[Kind.SPINOUS, None]
        part[(out < 10.0) & (depth < behind_canal - 14.0)] = index[Kind.SPINOUS, None]
        choice[mine] = part[mine]
    return choice


def _tidied(labels: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Every part in one piece: loose crumbs go to the part they touch most, told by the nearest kept voxel."""
    import cc3d
    from scipy.spatial import cKDTree

    pieces = cc3d.connected_components(labels, connectivity=18)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    owner = np.zeros(len(sizes), dtype=np.uint8)
    owner[pieces.ravel()] = labels.ravel()
    keep = np.zeros(len(sizes), dtype=bool)
    for part in range(1, count + 1):
        of_part = np.flatnonzero((owner == part) & (sizes > 0))
        if len(of_part):
            biggest = of_part[sizes[of_part].argmax()]
            if sizes[biggest] >= _MIN_PART_VOXELS:
                keep[biggest] = True
    kept = keep[pieces] & (labels > 0)
    crumbs = np.argwhere((labels > 0) & ~kept)
    if not len(crumbs):
        return labels
    # The nearest part, ties to the one first in the list of kinds: an order that a mirrored vertebra keeps.
    away = np.full((count, len(crumbs)), np.inf)
    for part in range(1, count + 1):
        own = np.argwhere(kept & (labels == part))
        if len(own):
            away[part - 1] = np.round(cKDTree(own).query(crumbs)[0], 6)
    tidied = labels.copy()
    tidied[tuple(crumbs.T)] = 1 + away.argmin(axis=0)
    return tidied
