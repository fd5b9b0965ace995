"""Endplates as exact heights along rays, and the frames of vertebrae and segments that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level
from kambin.geometry import FloatArray, Frame, unit
from kambin.phantom.field import Field
from kambin.phantom.truth.anatomy import Anatomy, Bone, Space
from kambin.phantom.truth.plane import Flat, axis, centroid, curves, finely, largest, spread
from kambin.phantom.truth.value import Unknown

STEP_MM = 0.5
_COARSE_MM = 1.0
_REACH_MM = 16.0
_HALF_WIDTH_MM, _HALF_DEPTH_MM = 33.0, 26.0
_STEEPEST = 1.2
"""Rise over run beyond which a surface is a side wall, no longer an endplate: the measures' convention."""
_RIM_MM = 2.0
"""A plane is fitted without this much of the rim, which is rounded: the measures' convention."""
_FACING_MM = 3.0
"""The sacrum's endplate is what faces L5's, and this much around it."""
_MARCH_MM = 0.8
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Plate:
    """One endplate over a lattice of a frame's (right, anterior); NaN where there is none."""

    right_mm: FloatArray
    anterior_mm: FloatArray
    height_mm: FloatArray

    @property
    def valid(self) -> BoolArray:
        return np.isfinite(self.height_mm)

    def only(self, keep: BoolArray) -> Plate:
        return replace(self, height_mm=np.where(keep, self.height_mm, np.nan))

    def points(self) -> FloatArray:
        """(right, anterior, cranial) of its points, shape (n, 3)."""
        right, anterior = np.meshgrid(self.right_mm, self.anterior_mm, indexing="ij")
        ok = self.valid
        return np.stack([right[ok], anterior[ok], self.height_mm[ok]], axis=-1)

    def normal(self) -> FloatArray:
        """Of the least-squares plane of what lies inside the rim: a unit vector with its last component positive."""
        from scipy.ndimage import distance_transform_edt

        step = float(self.right_mm[1] - self.right_mm[0])
        points = self.only(distance_transform_edt(np.pad(self.valid, 1), sampling=step)[1:-1, 1:-1] > _RIM_MM).points()
        if len(points) < 20:
            raise Unknown("the endplate is too small for a plane")
        _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        return np.asarray(axes[2] * np.sign(axes[2][2]))

    def middle(self) -> FloatArray:
        """The middle of its footprint's box, at its mean height, shape (3,)."""
        points = self.points()
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        return np.array([*(0.5 * (low + high)), points[:, 2].mean()])


def level_in(shape: Field, frame: Frame, local: FloatArray) -> FloatArray:
    """Levels at local points of shape (n, 3)."""
    return np.asarray(shape(np.ascontiguousarray(frame.world(local).T)), dtype=np.float64)


def first_met(shape: Field, frame: Frame, columns: FloatArray, start: float, stop: float) -> FloatArray:
    """Height of the first bone met on rays along *cranial*; NaN where there is none, or the ray begins inside.

    Parameters
    ----------
    columns
        (right, anterior), shape (n, 2).
    start, stop
        Cranial coordinates between which the rays run, in either direction.
    """
    heights = np.linspace(start, stop, int(np.ceil(abs(stop - start) / _MARCH_MM)) + 1)
    points = np.concatenate([np.repeat(columns, len(heights), axis=0), np.tile(heights, len(columns))[:, None]], axis=1)
    level = level_in(shape, frame, points).reshape(len(columns), len(heights))
    enters = (level[:, 1:] < 0) & (level[:, :-1] >= 0)
    index = enters.argmax(axis=1)
    hit = np.flatnonzero(enters.any(axis=1) & (level[:, 0] >= 0))
    before, after = level[hit, index[hit]], level[hit, index[hit] + 1]
    result = np.full(len(columns), np.nan)
    result[hit] = heights[index[hit]] + (heights[1] - heights[0]) * before / (before - after)
    return _polished(shape, frame, columns, result)


def _polished(shape: Field, frame: Frame, columns: FloatArray, height: FloatArray) -> FloatArray:
    """Heights brought on to the surface by secants; NaN where there is no surface near."""
    result = height.copy()
    ok = np.isfinite(height)
    if not ok.any():
        return result
    columns, one = columns[ok], height[ok]
    at_one = level_in(shape, frame, np.column_stack([columns, one]))
    other = one + 0.02
    for _ in range(2):
        at_other = level_in(shape, frame, np.column_stack([columns, other]))
        rise = at_other - at_one
        flat = np.abs(rise) < 1e-12
        step = np.where(flat, 0.0, at_other * (other - one) / np.where(flat, 1.0, rise))
        one, at_one, other = other, at_other, other - np.clip(step, -1.0, 1.0)
    # What is left after the last step is of the order of its square.
    result[ok] = np.where((np.abs(at_one) < 0.02) & ~flat, other, np.nan)
    return result


def plate(bone: Bone, frame: Frame, *, upper: bool, step: float, start: float, facing: Plate | None = None) -> Plate:
    """An endplate of a bone as a frame sees it from a height outside the body.

    Parameters
    ----------
    upper
        Which of the two.
    start
        Cranial coordinate from which it is looked at.
    facing
        An endplate in the same frame that it must face, for the sacrum.
    """
    stop = start - (_REACH_MM if upper else -_REACH_MM)
    middle = frame.local(bone.frame.origin_mm)[:2]
    reach = np.abs(frame.local(bone.body.box.corners_mm)[:, :2] - middle).max(axis=0) + 2.0
    halves = np.minimum(reach, (_HALF_WIDTH_MM, _HALF_DEPTH_MM))
    # Both lattices have a line through the middle, so symmetric bone has symmetric plates.
    rough = tuple(middle[k] + _symmetric(half, _COARSE_MM) for k, half in enumerate(halves))
    fine = tuple(middle[k] + _symmetric(half, step) for k, half in enumerate(halves))
    columns = np.stack(np.meshgrid(*rough, indexing="ij"), axis=-1).reshape(-1, 2)
    seen = first_met(bone.shape, frame, columns, start, stop).reshape(len(rough[0]), len(rough[1]))
    seen = _of_endplate(Plate(rough[0], rough[1], seen), bone, frame, facing, 2.5).height_mm
    guess = spread(_filled(seen), (rough[0], rough[1]), (fine[0], fine[1]))
    near = spread(_near(np.isfinite(seen)).astype(np.float64), (rough[0], rough[1]), (fine[0], fine[1])) > 0
    columns = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)[near]
    height = np.full(near.shape, np.nan)
    height[near] = _polished(bone.shape, frame, columns, guess[near])
    return _of_endplate(Plate(fine[0], fine[1], height), bone, frame, facing, _STEEPEST)


def _symmetric(half: float, step: float) -> FloatArray:
    count = int(half / step)
    return step * np.arange(-count, count + 1, dtype=np.float64)


def _near(valid: BoolArray) -> BoolArray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(valid, np.ones((3, 3), dtype=bool)))


def _filled(height: FloatArray) -> FloatArray:
    """Gaps filled with the nearest height, as first guesses."""
    from scipy.ndimage import distance_transform_edt

    if not np.isfinite(height).any():
        raise Unknown("the endplate is not met by any ray")
    nearest = distance_transform_edt(~np.isfinite(height), return_distances=False, return_indices=True)
    return np.asarray(height[tuple(nearest)])


def _of_endplate(found: Plate, bone: Bone, frame: Frame, facing: Plate | None, steepest: float) -> Plate:
    """A height map without walls, without what lies behind the posterior wall, and without what hangs together with neither."""
    from scipy.ndimage import label

    step = float(found.right_mm[1] - found.right_mm[0])
    right, anterior = np.meshgrid(found.right_mm, found.anterior_mm, indexing="ij")
    local = bone.frame.local(frame.world(np.stack([right, anterior, np.nan_to_num(found.height_mm)], axis=-1)))
    keep = found.valid & (local[..., 1] > bone.wall_mm - 0.5) & (_steepness(found.height_mm, step) <= steepest)
    keep &= np.abs(np.abs(local[..., 2]) - bone.half_height_mm) < 7.0
    if facing is not None:
        keep &= _around(facing, found)
    pieces, count = label(keep)
    if count == 0:
        raise Unknown("the endplate is not met by any ray")
    return found.only(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def _steepness(height: FloatArray, step: float) -> FloatArray:
    """Rise over run by one-sided differences, the smaller of the two sides in each direction."""
    squares = np.zeros_like(height)
    for direction in range(2):
        rise = np.abs(np.diff(height, axis=direction)) / step
        gap = np.full_like(np.take(height, [0], axis=direction), np.nan)
        both = np.stack([np.concatenate([rise, gap], axis=direction), np.concatenate([gap, rise], axis=direction)])
        squares += np.square(np.nan_to_num(np.fmin(both[0], both[1]), nan=1e3))
    return np.sqrt(squares)


def _around(facing: Plate, found: Plate) -> BoolArray:
    from scipy.ndimage import distance_transform_edt

    step = float(facing.right_mm[1] - facing.right_mm[0])
    away = distance_transform_edt(~facing.valid, sampling=step)
    return np.asarray(spread(away, (facing.right_mm, facing.anterior_mm), (found.right_mm, found.anterior_mm)) <= _FACING_MM)


@dataclass(frozen=True, eq=False)
class Posed:
    """A bone with its own frame and endplates.

    Parameters
    ----------
    frame
        Origin at the body's centre (for S1 the endplate's); cranial the mean of the endplates' normals.
    upper, lower
        Endplates in that frame; S1 has no lower one.
    """

    bone: Bone
    frame: Frame
    upper: Plate
    lower: Plate | None

    @property
    def upper_normal(self) -> FloatArray:
        """RAS, cranial."""
        return np.asarray(self.upper.normal() @ self.frame.axes)


def pose(bone: Bone, step: float, facing: tuple[Frame, Plate] | None = None) -> Posed:
    """The frame of a bone from its own endplates.

    Parameters
    ----------
    facing
        For the sacrum: the endplate of L5 and its frame.
    """
    frame = bone.frame
    for pitch, last in ((_COARSE_MM, False), (step, False), (step, True)):
        upper = plate(bone, frame, upper=True, step=pitch, start=bone.half_height_mm + 7.0, facing=_seen_from(frame, facing))
        lower = None if bone.level is Level.S1 else plate(bone, frame, upper=False, step=pitch, start=-bone.half_height_mm - 7.0)
        if last:
            break
        plates = [p for p in (upper, lower) if p is not None]
        cranial = unit(np.sum([p.normal() for p in plates], axis=0)) @ frame.axes
        centre = frame.world(np.mean([p.middle() for p in plates], axis=0))
        frame = Frame.from_cranial_anterior(centre, cranial, frame.anterior)
    return Posed(bone, frame, upper, lower)


def _seen_from(frame: Frame, facing: tuple[Frame, Plate] | None) -> Plate | None:
    """A plate's footprint in another frame."""
    if facing is None:
        return None
    points = frame.local(facing[0].world(facing[1].points()))
    right, anterior = _symmetric(_HALF_WIDTH_MM, _COARSE_MM), _symmetric(_HALF_DEPTH_MM, _COARSE_MM)
    height = np.full((len(right), len(anterior)), np.nan)
    place = np.round([(points[:, k] - a[0]) / _COARSE_MM for k, a in enumerate((right, anterior))]).astype(int)
    inside = (place[0] >= 0) & (place[0] < len(right)) & (place[1] >= 0) & (place[1] < len(anterior))
    height[place[0][inside], place[1][inside]] = points[inside, 2]
    return Plate(right, anterior, height)


@dataclass(frozen=True, eq=False)
class Segment:
    """A disc space with its own frame.

    Parameters
    ----------
    frame
        Origin at the disc's centroid, brought on to the mid-plane; cranial its normal; anterior from the sac to the disc.
    top, bottom
        The endplates above and below the disc in that frame, over their common footprint.
    """

    space: Space
    frame: Frame
    top: Plate
    bottom: Plate

    @property
    def back_mm(self) -> float:
        """Anterior coordinate of the disc space's posterior edge."""
        return float(self.top.points()[:, 1].min())


def segment_of(anatomy: Anatomy, space: Space, step: float) -> Segment:
    """The frame of a segment from the exact endplates that face its disc.

    Raises
    ------
    Unknown
        When a bone or the disc is missing, or the endplates do not face each other.
    """
    upper, disc, lower = space.whole()
    frame = space.frame
    for pitch in (_COARSE_MM, step):
        top, bottom = _facing(upper, lower, frame, pitch)
        middle = replace(top, height_mm=0.5 * (top.height_mm + bottom.height_mm))
        frame = Frame.from_cranial_anterior(frame.world(middle.middle()), middle.normal() @ frame.axes, frame.anterior)
    frame = _facing_canal(anatomy, frame.moved_to(_on_plane(disc_centroid(disc, frame, step), frame)))
    top, bottom = _facing(upper, lower, frame, step)
    return Segment(space, frame, top, bottom)


def _on_plane(point: FloatArray, frame: Frame) -> FloatArray:
    return np.asarray(point - ((point - frame.origin_mm) @ frame.cranial) * frame.cranial)


def _facing(upper: Bone, lower: Bone, frame: Frame, step: float) -> tuple[Plate, Plate]:
    """Both endplates in one frame and on one lattice, over the columns that both have."""
    top = plate(upper, frame, upper=False, step=step, start=0.0)
    bottom = plate(lower, frame, upper=True, step=step, start=0.0, facing=top if lower.level is Level.S1 else None)
    # The lattices lie about each bone's own middle: the lower one is looked at again on the upper one's.
    columns = np.stack(np.meshgrid(top.right_mm, top.anterior_mm, indexing="ij"), axis=-1)
    lattice = (top.right_mm, top.anterior_mm)
    guess = spread(_filled(bottom.height_mm), (bottom.right_mm, bottom.anterior_mm), lattice)
    near = top.valid & (spread(bottom.valid.astype(np.float64), (bottom.right_mm, bottom.anterior_mm), lattice) > 0.5)
    height = np.full(near.shape, np.nan)
    height[near] = _polished(lower.shape, frame, columns[near], guess[near])
    both = near & np.isfinite(height)
    return top.only(both), Plate(top.right_mm, top.anterior_mm, height).only(both)


def disc_centroid(disc: Field, frame: Frame, step: float) -> FloatArray:
    """Centroid of a disc's volume, RAS: sums over a lattice, points near the surface counted in part."""
    pitch = 2.0 * step
    local = frame.local(disc.box.corners_mm)
    axes = [_symmetric(float(np.abs(local[:, k]).max()) + pitch, pitch) for k in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    share = np.clip(0.5 - level_in(disc, frame, points) / pitch, 0.0, 1.0)
    return frame.world(share @ points / share.sum())


def _facing_canal(anatomy: Anatomy, frame: Frame) -> Frame:
    """Turn a frame about its cranial axis so that *anterior* runs from the sac to the disc, where there is a sac."""
    try:
        sac = anatomy.shape(Kind.DURAL_SAC)
    except Unknown:
        return frame
    loop = largest(curves(finely(Flat.axial(frame).level(sac), (-25.0, 25.0), (-60.0, 10.0), 0.25)))
    if loop is None:
        return frame
    behind = frame.world([*centroid(loop), 0.0])
    return Frame.from_cranial_anterior(frame.origin_mm, frame.cranial, frame.origin_mm - behind)


def profile(shape: Field, frame: Frame, anterior: FloatArray, start: float, stop: float) -> FloatArray:
    """Heights of an endplate along the mid-sagittal line."""
    return first_met(shape, frame, np.column_stack([np.zeros_like(anterior), anterior]), start, stop)


def mid_sagittal_edges(height: FloatArray, anterior: FloatArray) -> tuple[float, float]:
    """Where an endplate begins and ends along a line: its run about the middle that is nowhere steeper than an endplate may be."""
    slope = np.abs(np.diff(height)) / np.diff(anterior)
    at = 0.5 * (anterior[1:] + anterior[:-1])
    flat = slope <= _STEEPEST
    middle = int(np.abs(at - np.nanmedian(np.where(flat, at, np.nan))).argmin())
    back = front = middle
    while back > 0 and flat[back - 1]:
        back -= 1
    while front < len(flat) - 1 and flat[front + 1]:
        front += 1
    return _crossing(at, slope, back, back - 1), _crossing(at, slope, front, front + 1)


def _crossing(at: FloatArray, slope: FloatArray, inner: int, outer: int) -> float:
    """Where the slope passes the steepest that is allowed."""
    if not 0 <= outer < len(at) or not np.isfinite(slope[outer]):
        return float(at[inner])
    share = (_STEEPEST - slope[inner]) / (slope[outer] - slope[inner])
    return float(at[inner] + share * (at[outer] - at[inner]))


__all__ = ["Plate", "Posed", "Segment", "axis", "pose", "segment_of"]
