"""True distances about the exiting root, and the way to the skin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import FloatArray
from kambin.phantom.field import Field
from kambin.phantom.truth.anatomy import Anatomy, Space
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.foramen import Half
from kambin.phantom.truth.nearest import distance, from_point
from kambin.phantom.truth.plane import Sheet, axis, sampled
from kambin.phantom.truth.sections import section
from kambin.phantom.truth.value import FLOOR, SAFETY, Unknown
from kambin.phantom.truth.view import View

_SPACING_MM = 0.03
"""Of points on the two surfaces where they are nearest."""


def exiting_level(space: Space) -> Level:
    """The root that leaves through a foramen is named by the vertebra above."""
    return Level(space.name.split("/")[0])


def nerve_to_disc(anatomy: Anatomy, space: Space, side: Side) -> dict[str, tuple[float, float]]:
    """ND, mm, with its bound: from the exiting root to the disc."""
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(space), side)
    if space.disc is None:
        raise Unknown(f"this patient has no {space.name} disc")
    return {"ND": _bounded(*distance(root, space.disc, _SPACING_MM))}


def nerve_to_pedicle(anatomy: Anatomy, space: Space, side: Side) -> dict[str, tuple[float, float]]:
    """NP, mm, with its bound: from the exiting root to the pedicle that it passes under."""
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(space), side)
    if side not in space.pedicle:
        raise Unknown(f"this patient has no {side} pedicle of {exiting_level(space)}")
    return {"NP": _bounded(*distance(root, space.pedicle[side], _SPACING_MM))}


def _bounded(value: float, before: float) -> tuple[float, float]:
    """A value with its bound from the one at a coarser spacing."""
    return value, max(SAFETY * abs(value - before), FLOOR)


def line_a(anatomy: Anatomy, half: Half, side: Side, step: float) -> dict[str, float]:
    """Line A, mm: from point *a* to the exiting root."""
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(half.segment.space), side)
    return {"Line A": from_point(point_a(half, side, step), root, 0.1 * step)[0]}


_BEHIND_MM = 2.0
"""Point *a* lies further behind the disc space than this: endplates may meet too."""
_TOUCH_MM, _TOUCH_STEP_MM = 0.3, 0.05
"""A line of sight touches a bone where it comes within this of the deepest that it goes."""


def point_a(half: Half, side: Side, step: float) -> FloatArray:
    """Point *a*, RAS: seen along the segment's right axis, of the corners between both bones' outlines behind the disc the most anterior
    one; midway between the middles of the stretches over which the line of sight touches the two.
    """
    segment, view = half.segment, half.view
    bones = [replace(view, shapes=view.shapes[k : k + 1], levels=view.levels[k : k + 1]) for k in (0, 2)]
    crossings = _crossings(*(bone.silhouette(step) for bone in bones))
    crossings = crossings[crossings[:, 0] < segment.back_mm - _BEHIND_MM]
    if not len(crossings):
        raise Unknown(f"the outlines of the {side} articular processes do not meet at {segment.space.name}")
    at = crossings[int(crossings[:, 0].argmax())]
    out = np.mean([_touched(bone, at) for bone in bones])
    return segment.frame.world([side.sign * float(out), *at])


def _touched(bone: View, at: FloatArray) -> float:
    """The middle of the stretch along the line of sight through a plane point over which it touches a bone."""
    out = np.arange(bone.out_mm[0], bone.out_mm[-1], _TOUCH_STEP_MM)
    level = bone.exact(bone.shapes[0], out, np.repeat(at[None], len(out), axis=0))
    deepest = int(level.argmin())
    away = np.flatnonzero(level > level[deepest] + _TOUCH_MM)
    before, after = away[away < deepest], away[away > deepest]
    first = int(before[-1]) + 1 if len(before) else 0
    last = int(after[0]) - 1 if len(after) else len(out) - 1
    return 0.5 * float(out[first] + out[last])


def _crossings(one: Sheet, other: Sheet) -> FloatArray:
    """Where the outlines in one sheet, closed or not, cross those in another, shape (n, 2)."""
    from contourpy import LineType, contour_generator

    lines = contour_generator(one.first_mm, one.second_mm, one.level.T, line_type=LineType.Separate).lines(0.0)
    found = [np.zeros((0, 2))]
    for line in (np.asarray(each, dtype=np.float64) for each in lines):
        level = sampled(other, line)
        place = np.flatnonzero((level[:-1] > 0) != (level[1:] > 0))
        share = level[place] / (level[place] - level[place + 1])
        found.append(line[place] + share[:, None] * (line[place + 1] - line[place]))
    return np.concatenate(found)


APPROACHES_DEG = (45.0, 60.0)
"""From the mid-sagittal plane."""


def facet_to_nerve(anatomy: Anatomy, segment: Segment, side: Side, step: float) -> dict[str, float]:
    """FN45 and FN60, mm: room between the superior articular process and the exiting root, at the height of the disc's upper border, for
    what goes straight in at an angle to the mid-sagittal plane."""
    space = segment.space
    root = anatomy.shape(Kind.NERVE_ROOT, exiting_level(space), side)
    if side not in space.superior:
        raise Unknown(f"this patient has no {side} superior articular process at {space.name}")
    plane = segment.frame.moved_to(segment.frame.world([0.0, 0.0, float(segment.top.points()[:, 2].mean())]))
    facet, nerve = section(space.superior[side], plane, 0.5 * step), section(root, plane, 0.5 * step)
    for loops, words in ((facet, "superior articular process"), (nerve, "exiting root")):
        if not loops:
            raise Unknown(f"the {side} {words} does not reach the upper border of the {space.name} disc")
    found = {}
    for degrees in APPROACHES_DEG:
        across = np.array([side.sign * np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        found[f"FN{degrees:g}"] = float((np.concatenate(nerve) @ across).min() - (np.concatenate(facet) @ across).max())
    return found


def skin_behind(anatomy: Anatomy, segment: Segment) -> dict[str, float]:
    """SKp, mm: from the posterior edge of the disc straight back to the skin."""
    skin = anatomy.shape(Kind.TRUNK)
    return {"SKp": _to_skin(skin, segment, np.array([0.0, segment.back_mm, 0.0]), np.array([0.0, -1.0, 0.0]))}


def skin_beside(anatomy: Anatomy, segment: Segment, side: Side) -> dict[str, float]:
    """SKl, mm: from the disc's centroid straight sideways to the skin."""
    skin = anatomy.shape(Kind.TRUNK)
    return {"SKl": _to_skin(skin, segment, np.zeros(3), np.array([float(side.sign), 0.0, 0.0]))}


def _to_skin(shape: Field, segment: Segment, start: FloatArray, way: FloatArray) -> float:
    at = axis(0.0, 400.0, 1.0)
    level = level_in(shape, segment.frame, start + at[:, None] * way)
    if level[0] >= 0 or (level < 0).all():
        raise Unknown(f"the skin is not met from the {segment.space.name} disc")
    index = int((level >= 0).argmax())
    low, high = at[index - 1], at[index]
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if level_in(shape, segment.frame, (start + middle * way)[None])[0] < 0 else (low, middle)
    return float(0.5 * (low + high))
