"""Where vertebrae, discs and joints of a set of surfaces lie, and how large they are: the column that all else is laid along.

All of it is read along straight lines through the shapes: where a line that starts in a body, or in the canal, comes out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray, Frame, unit
from kambin.phantom.column import Column, JointPlace, SegmentPlace, VertebraPlace, build_column
from kambin.phantom.field import Field
from kambin.phantom.morphometry import JOINTS, S1_DEPTH_MM, SEGMENTS, VERTEBRAE, JointSize, VertebraSize
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.surfaces.surface_set import LEVELS, NamedSurface, SurfaceSet

_STEP_MM = 0.25
_RIM_MM = 3.0
"""Width and depth of a body are read this far from its endplates."""
_RING = 0.72
"""Share of a body's half axes at which the rims of its endplates are read."""
_PEDICLE_TOP_MM = 1.5
_BEHIND_WALL_MM = 5.5
"""Where the pedicles are measured: behind the corners of the bodies, before the articular processes."""
_NEAR_MM = 3.2
"""Surfaces of two neighbours' processes nearer than this form a joint."""


def exits_mm(shape: Field, starts: FloatArray, direction: FloatArray, reach_mm: float, *, into: bool = False) -> FloatArray:
    """How far from each of n points one first comes out of a shape (or into it), NaN where one does not; shapes (n, 3) and (n,)."""
    along = np.arange(0.0, reach_mm, _STEP_MM)
    points = starts[:, None, :] + along[None, :, None] * direction
    level = np.asarray(shape(points.reshape(-1, 3).T)).reshape(len(starts), len(along)) * (-1.0 if into else 1.0)
    crossing = (level[:, :-1] <= 0) & (level[:, 1:] > 0)
    index = np.argmax(crossing, axis=1)
    row = np.arange(len(starts))
    before, after = level[row, index], level[row, index + 1]
    share = before / np.where(after != before, before - after, 1.0)
    return np.where(crossing.any(axis=1), (index + share) * _STEP_MM, np.nan)


def fitted_column(surfaces: SurfaceSet, shapes: Mapping[Structure, Field]) -> tuple[Column, float]:
    """The column of a set of surfaces, T12 added as the mean man's; and the angle of the S1 endplate to the level plane, degrees.

    Parameters
    ----------
    surfaces
        With the middle of the column near the origin.
    shapes
        Vertebrae and sacrum as fields.

    Raises
    ------
    InputError
        When a vertebra's body or the endplate of the sacrum cannot be made out.
    """
    discs = [surfaces[Structure(Kind.DISC, level)].centre_mm for level in LEVELS]
    places = {}
    for index, level in enumerate(LEVELS):
        above = discs[index - 1] if index else discs[0] + unit(discs[0] - discs[1]) * np.linalg.norm(discs[0] - discs[1])
        surface = surfaces[Structure(Kind.VERTEBRA, level)]
        body = 0.5 * (above + discs[index])
        guess = Frame.from_cranial_anterior(body, above - discs[index], body - surface.centre_mm)
        places[level] = _vertebra(level, guess, shapes[Structure(Kind.VERTEBRA, level)], surface)
    scale = _scale(places)
    places = {level: replace(place, size=_completed(place.size, level, scale)) for level, place in places.items()}
    sacrum = _sacrum(shapes[Structure(Kind.SACRUM)], places[Level.L5], discs[-1], surfaces[Structure(Kind.SACRUM)].name, scale)
    column = _with_t12(places, sacrum, scale, surfaces, shapes)
    slope = float(np.degrees(np.arcsin(np.clip(sacrum.cranial[1], -1.0, 1.0))))
    return column, slope


@dataclass(frozen=True, eq=False)
class _Plate:
    """An endplate's rim as a plane."""

    point: FloatArray
    normal: FloatArray

    def along(self, origin: FloatArray, direction: FloatArray) -> float:
        """How far the plane is from a point in a direction."""
        return float((self.point - origin) @ self.normal / (direction @ self.normal))


def _plate(shape: Field, frame: Frame, half: tuple[float, float], surface: NamedSurface, *, upper: bool) -> _Plate:
    """The endplate over (or under) the middle of a body, from a ring of lines along its axis."""
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    # The ring leaves out what lies over the pedicles.
    local = np.stack([half[0] * np.cos(angle), half[1] * np.sin(angle), np.zeros_like(angle)], axis=1)
    direction = frame.cranial * (1.0 if upper else -1.0)
    starts = frame.world(local)
    far = exits_mm(shape, starts, direction, 32.0)
    good = np.isfinite(far) & (np.asarray(shape(starts.T)) < 0)
    if good.sum() < 12:
        where = "above" if upper else "below"
        raise InputError(surface.name, f"expected a vertebral body between its discs, found no endplate {where} the middle between them")
    far = far[good]
    kept = np.abs(far - np.median(far)) < 5.0
    points = starts[good][kept] + far[kept, None] * direction
    centre = points.mean(axis=0)
    normal = np.linalg.svd(points - centre)[2][-1]
    return _Plate(centre, normal * np.sign(normal @ frame.cranial))


def _vertebra(level: Level, guess: Frame, shape: Field, surface: NamedSurface) -> VertebraPlace:
    """Frame and measured size of one vertebra, from a first guess of its frame."""
    frame, half = guess, (6.0, 6.0)
    for _ in range(3):
        upper, lower = _plate(shape, frame, half, surface, upper=True), _plate(shape, frame, half, surface, upper=False)
        cranial = unit(upper.normal + lower.normal)
        frame = Frame.from_cranial_anterior(frame.origin_mm, cranial, frame.anterior)
        up, down = (plate.along(frame.origin_mm, cranial) for plate in (upper, lower))
        middle = frame.world([0.0, 0.0, 0.5 * (up + down)])
        frame = frame.moved_to(middle)
        right, left, ahead, behind = (_way_out(shape, frame, direction, 0.0) for direction in _ACROSS)
        frame = frame.moved_to(frame.world([0.5 * (right - left), 0.5 * (ahead - behind), 0.0]))
        half = (_RING * 0.5 * (right + left), _RING * 0.5 * (ahead + behind))
    height = upper.along(frame.origin_mm, frame.cranial) - lower.along(frame.origin_mm, frame.cranial)
    outlines = [[_way_out(shape, frame, d, sign * (0.5 * height - _RIM_MM)) for d in _ACROSS] for sign in (1.0, -1.0)]
    (uw, ud), (lw, ld) = ((r + le, a + b) for r, le, a, b in outlines)
    wall = -0.5 * (outlines[0][3] + outlines[1][3])
    frame = frame.moved_to(frame.world([0.0, wall + 0.25 * (ud + ld), 0.0]))
    wedge = np.degrees(np.arcsin(-upper.normal @ frame.anterior) + np.arcsin(lower.normal @ frame.anterior))
    posterior = height - np.tan(np.radians(wedge)) * 0.25 * (ud + ld)
    size = replace(
        VERTEBRAE[level],
        upper_width_mm=uw,
        upper_depth_mm=ud,
        lower_width_mm=lw,
        lower_depth_mm=ld,
        posterior_height_mm=float(posterior),
        wedge_deg=float(wedge),
    )
    place = VertebraPlace(level, size, frame, float(height))
    return replace(place, size=_arch(place, shape, surface.mesh.vertices_mm))


_ACROSS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))


def _way_out(shape: Field, frame: Frame, direction: tuple[float, float, float], up_mm: float) -> float:
    """From the middle of a body to its side wall."""
    starts = frame.world([[0.0, 2.0, up_mm + z] for z in (-1.0, 0.0, 1.0)])
    far = exits_mm(shape, starts, np.asarray(direction) @ frame.axes, 45.0)
    offset = 2.0 * direction[1]
    return float(np.nanmedian(far)) + offset if np.isfinite(far).any() else 20.0


def _arch(place: VertebraPlace, shape: Field, vertices: FloatArray) -> VertebraSize:
    """A vertebra's size with what can be measured of canal, pedicles and processes."""
    size, frame = place.size, place.frame
    local = frame.local(vertices)
    usual = size.pedicle_width_mm
    middle = 0.5 * place.height_mm - _PEDICLE_TOP_MM - 0.5 * size.pedicle_height_mm
    up = middle + np.arange(-3.0, 3.5, 0.5)
    inner: list[float] = []
    outer: list[float] = []
    under: list[float] = []
    for side in Side:
        outwards = side.sign * frame.right
        starts = frame.world(np.stack([np.zeros_like(up), np.full_like(up, place.wall_mm - _BEHIND_WALL_MM), up], axis=1))
        reached = exits_mm(shape, starts, outwards, 24.0, into=True)
        reached = reached[np.isfinite(reached)]
        if not len(reached):
            continue
        through = exits_mm(shape, starts + (reached.max() + 1.0) * outwards, outwards, 30.0) + 1.0
        inner.append(float(np.median(reached)))
        outer.append(float(np.nanmin([np.nanmedian(through), 1.3 * usual])) if np.isfinite(through).any() else usual)
        # Down through the pedicle into the foramen.
        across = side.sign * (inner[-1] + 0.5 * outer[-1])
        inside = frame.world(np.stack([np.full(5, across), place.wall_mm - np.linspace(1.5, 4.0, 5), np.full(5, middle)], axis=1))
        under.extend(middle - exits_mm(shape, inside, -frame.cranial, 24.0))
    behind = frame.world(np.stack([np.zeros(24), np.full(24, place.wall_mm - 3.0), np.linspace(-8.0, 4.0, 24)], axis=1))
    deep = exits_mm(shape, behind, -frame.anterior, 32.0, into=True) + 3.0
    deep = deep[np.isfinite(deep)]
    lower_edge = float(np.nanmedian(under)) if np.isfinite(under).any() else middle - 0.5 * size.pedicle_height_mm
    return replace(
        size,
        canal_width_mm=2.0 * float(np.mean(inner)) if inner else size.canal_width_mm,
        pedicle_width_mm=float(np.mean(outer)) if outer else usual,
        pedicle_height_mm=float(np.clip(0.5 * place.height_mm - _PEDICLE_TOP_MM - lower_edge, 9.0, 24.0)),
        canal_depth_mm=float(np.percentile(deep, 25)) if len(deep) else size.canal_depth_mm,
        transverse_span_mm=float(np.ptp(local[:, 0])),
        spinous_reach_mm=float(place.wall_mm - local[:, 1].min()),
    )


_MEASURED = (
    "upper_width_mm",
    "upper_depth_mm",
    "lower_width_mm",
    "lower_depth_mm",
    "posterior_height_mm",
    "canal_width_mm",
    "canal_depth_mm",
    "pedicle_width_mm",
    "pedicle_height_mm",
    "transverse_span_mm",
    "spinous_reach_mm",
)


def _scale(places: Mapping[Level, VertebraPlace]) -> float:
    """Size of the bodies against the mean man's."""
    names = _MEASURED[:5]
    ratios = [getattr(place.size, name) / getattr(VERTEBRAE[level], name) for level, place in places.items() for name in names]
    return float(np.mean(ratios))


def _completed(size: VertebraSize, level: Level, scale: float) -> VertebraSize:
    """What is not measured, in proportion."""
    measured = {name: getattr(size, name) for name in (*_MEASURED, "wedge_deg")}
    return replace(VERTEBRAE[level].scaled(scale), **measured)


def _sacrum(shape: Field, above: VertebraPlace, disc: FloatArray, name: str, scale: float) -> Frame:
    """The frame of the S1 endplate: origin in its middle, cranial its normal."""
    frame = Frame.from_cranial_anterior(disc, above.endplate(upper=False).cranial, above.frame.anterior)
    for half in (9.0, 12.0, 12.0):
        angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
        starts = frame.world(np.stack([1.3 * half * np.cos(angle), half * np.sin(angle), np.full(48, 6.0)], axis=1))
        down = exits_mm(shape, starts, -frame.cranial, 40.0, into=True)
        if np.isfinite(down).sum() < 24:
            raise InputError(name, "expected the endplate of S1 under the disc of L5, found none there")
        down = np.where(np.abs(down - np.nanmedian(down)) < 6.0, down, np.nan)
        points = (starts - down[:, None] * frame.cranial)[np.isfinite(down)]
        centre = points.mean(axis=0)
        normal = np.linalg.svd(points - centre)[2][-1]
        frame = Frame.from_cranial_anterior(centre, normal * np.sign(normal @ frame.cranial), frame.anterior)
        ahead, behind = (_way_out(shape, frame, (0.0, sign, 0.0), -_RIM_MM) for sign in (1.0, -1.0))
        # As far behind as a promontory of this man's size allows: under the roof of the canal there is no way out.
        behind = min(behind, 0.6 * S1_DEPTH_MM * scale)
        frame = frame.moved_to(frame.world([0.0, 0.5 * (ahead - behind), 0.0]))
    return frame


def _with_t12(
    places: Mapping[Level, VertebraPlace], sacrum: Frame, scale: float, surfaces: SurfaceSet, shapes: Mapping[Structure, Field]
) -> Column:
    """All of the column: T12 stands on L1 as the mean man's does."""
    mean = build_column(PatientParameters(bone_scale=float(np.clip(scale, 0.8, 1.25))))
    given, own = mean.vertebrae[Level.L1].endplate(upper=True), places[Level.L1].endplate(upper=True)
    t12 = replace(mean.vertebrae[Level.T12], frame=_carried(mean.vertebrae[Level.T12].frame, given, own))
    vertebrae = {Level.T12: t12, **places}
    first = mean.segments[SEGMENTS[0]]
    joints = {side: replace(joint, frame=_carried(joint.frame, given, own)) for side, joint in first.joints.items()}
    segments = {SEGMENTS[0]: SegmentPlace(first.name, _carried(first.frame, given, own), first.height_mm, MappingProxyType(joints))}
    plates = [(places[level].endplate(upper=False), places[level].endplate(upper=True)) for level in LEVELS]
    below = [*(upper for _lower, upper in plates[1:]), sacrum]
    for level, segment, (over, _), under in zip(LEVELS, SEGMENTS[1:], plates, below, strict=True):
        middle = 0.5 * (over.origin_mm + under.origin_mm)
        frame = Frame.from_cranial_anterior(middle, over.cranial + under.cranial, over.anterior + under.anterior)
        height = float((over.origin_mm - under.origin_mm) @ frame.cranial)
        segments[segment] = SegmentPlace(segment, frame, height, _joints(segment, level, frame, surfaces, shapes, mean))
    return Column(MappingProxyType(vertebrae), sacrum, MappingProxyType(segments), scale)


def _carried(frame: Frame, given: Frame, own: Frame) -> Frame:
    """A frame that lies to another as it does to a given one."""
    return Frame(own.world(given.local(frame.origin_mm)), frame.axes @ given.axes.T @ own.axes)


def _joints(
    segment: str, level: Level, disc: Frame, surfaces: SurfaceSet, shapes: Mapping[Structure, Field], mean: Column
) -> Mapping[Side, JointPlace]:
    """The facet joints under a vertebra: where its surface and its neighbour's come near each other behind the disc."""
    lower = Structure(Kind.SACRUM) if level is Level.L5 else Structure(Kind.VERTEBRA, LEVELS[LEVELS.index(level) + 1])
    upper = shapes[Structure(Kind.VERTEBRA, level)]
    vertices = surfaces[lower].mesh.vertices_mm
    local = disc.local(vertices)
    near = (np.abs(np.asarray(upper(vertices.T))) < _NEAR_MM) & (local[:, 1] < -16.0)
    result = {}
    for side in Side:
        points = vertices[near & (side.sign * local[:, 0] > 6.0)]
        model = mean.segments[segment]
        if len(points) < 12:
            frame = _carried(model.joints[side].frame, model.frame, disc)
            result[side] = JointPlace(frame, model.joints[side].size, side)
            continue
        centre = points.mean(axis=0)
        normal = np.linalg.svd(points - centre)[2][-1]
        # From the lower vertebra's process towards the upper one's: backwards and inwards.
        towards = -side.sign * disc.right - disc.anterior
        normal = normal * np.sign(normal @ towards)
        frame = Frame.from_cranial_anterior(centre, disc.cranial - (disc.cranial @ normal) * normal, normal)
        result[side] = JointPlace(frame, _joint_size(frame.local(points), JOINTS[segment], frame, disc), side)
    return MappingProxyType(result)


def _joint_size(local: FloatArray, usual: JointSize, frame: Frame, disc: Frame) -> JointSize:
    wide, high = (float(np.clip(np.ptp(np.percentile(local[:, k], [5, 95])), 8.0, 20.0)) for k in (0, 2))
    return replace(usual, width_mm=wide, height_mm=high, apart_mm=2.0 * abs(float(disc.local(frame.origin_mm)[0])))
