"""Random smooth deformations of an anatomy: other sizes and proportions, another curvature, each vertebra in another pose, other shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.geometry import FloatArray, Frame
from kambin.phantom.column import Column
from kambin.phantom.field import Box
from kambin.phantom.morphometry import SEGMENTS
from kambin.phantom.noise import normals
from kambin.phantom.surfaces.warp import Warp

_POSES, _SHAPE = 81, 82
_LATTICE_MM = 4.0
_STEEPEST = 0.7
"""Gentle deformations change by no more than this share of a way; a stronger one is drawn again, weaker, until it does not."""
_WEAKER = 0.85
_MOST = 2.5
"""Draws end at so many standard deviations."""
_SIZE, _PROPORTION = 0.05, 0.025
"""Standard deviations of the size of everything, and of width, depth and height beyond it."""
_BEND_DEG, _SIDE_DEG, _TURN_DEG = (1.3, 0.9), (1.2, 0.7), (0.7, 0.5)
"""Of each segment: what it shares with the others (a curve, a double curve), and what is its own."""
_SLIDE_MM = (0.35, 0.6, 0.7)
"""Of each vertebra over the next: right, forward, upwards."""
_WAVES_MM = ((110.0, 4.0), (45.0, 1.1), (22.0, 0.35))
"""Distance of the knots of the local changes of shape, and the standard deviation of each coordinate's shift there."""
_BLEND_MM, _BLEND_SHARE = 11.0, 0.18
"""Half of the height over which one vertebra's pose turns into the next one's: at the column, and more with the distance from it."""


@dataclass(frozen=True)
class Deformation:
    """One deformation in numbers, for the record; the same seed gives the same one.

    Parameters
    ----------
    seed
        Of all draws.
    strength
        1 for the usual spread; smaller ones are the same deformation, only less of it.
    scale
        Along right, anterior and cranial.
    bend_deg, side_deg, turn_deg
        Of each vertebra over the next one, from T12 on L1 down to L5 on S1: backwards, to the right, and its front to the left.
    slide_mm
        Of each vertebra over the next one: right, forward, upwards.
    """

    seed: int
    strength: float
    scale: tuple[float, float, float]
    bend_deg: tuple[float, ...]
    side_deg: tuple[float, ...]
    turn_deg: tuple[float, ...]
    slide_mm: tuple[tuple[float, float, float], ...]


def draw_deformation(seed: int, strength: float = 1.0) -> Deformation:
    """A deformation of usual spread.

    Raises
    ------
    InputError
        When the seed is negative or the strength not from 0 to 3.
    """
    if seed < 0:
        raise InputError("seed", f"expected a whole number from 0 on, found {seed}")
    if not 0.0 <= strength <= 3.0:
        raise InputError("strength", f"expected a number from 0 to 3, found {strength:g}")
    count = len(SEGMENTS)
    z = strength * np.clip(normals((48,), seed, _POSES).astype(np.float64), -_MOST, _MOST)
    scale = np.exp(_SIZE * z[0] + _PROPORTION * z[1:4])
    # Lordosis is shared by all; a scoliosis goes one way below its apex and back above it, and turns the vertebrae with it.
    curve = np.array([-0.6, -0.9, -0.3, 0.6, 0.8, 0.4])
    bend = _BEND_DEG[0] * z[4] + _BEND_DEG[1] * z[8 : 8 + count]
    side = _SIDE_DEG[0] * z[5] * curve + _SIDE_DEG[1] * z[14 : 14 + count]
    turn = _TURN_DEG[0] * z[5] * curve + _TURN_DEG[1] * z[20 : 20 + count]
    slide = z[26 : 26 + 3 * count].reshape(count, 3) * _SLIDE_MM
    slide[:, 2] += _SLIDE_MM[2] * z[6]
    angles = [tuple(round(float(value), 4) for value in row) for row in (bend, side, turn)]
    slides = tuple((round(float(r), 4), round(float(f), 4), round(float(u), 4)) for r, f, u in slide)
    wide, deep, high = (round(float(value), 5) for value in scale)
    return Deformation(seed, strength, (wide, deep, high), angles[0], angles[1], angles[2], slides)


def gentle_deformation(seed: int, column: Column, around: Box, strength: float = 1.0) -> Deformation:
    """As `draw_deformation`, only weaker where it would change by more than 0.7 of a way; its strength says so.

    Parameters
    ----------
    column, around
        As for `warp_of`.
    """
    while True:
        drawn = draw_deformation(seed, strength)
        try:
            if warp_of(drawn, column, around).steepness <= _STEEPEST:
                return drawn
        except ValueError:
            pass
        strength = round(_WEAKER * strength, 4)


def warp_of(deformation: Deformation, column: Column, around: Box) -> Warp:
    """The deformation of an anatomy.

    Parameters
    ----------
    column
        Where its vertebrae and discs lie.
    around
        What is to be deformed; beyond it all moves along with its border.

    Raises
    ------
    ValueError
        When it is so strong that space would fold.
    """
    reach = around.grown(30.0)
    shape = np.ceil((reach.high_mm - reach.low_mm) / _LATTICE_MM).astype(int) + 1
    ticks = [low + _LATTICE_MM * np.arange(n) for low, n in zip(reach.low_mm, shape, strict=True)]
    nodes = np.stack(np.meshgrid(*ticks, indexing="ij")).reshape(3, -1)
    shift = _unposed(deformation, column, nodes) / np.array(deformation.scale)[:, None] - nodes
    return Warp(reach.low_mm, _LATTICE_MM, (shift.reshape(3, *shape) + _waves(deformation, ticks)).astype(np.float32))


def _unposed(deformation: Deformation, column: Column, points: FloatArray) -> FloatArray:
    """Where points were before the vertebrae took their poses; the sacrum stays, the others stand on what is below them."""
    scale = np.array(deformation.scale)
    segments = list(column.segments.values())
    turn, move = np.eye(3), np.zeros(3)
    before = points.copy()
    for index in reversed(range(len(segments))):
        frame = Frame(scale * segments[index].frame.origin_mm, segments[index].frame.axes)
        own, slide = _pose(deformation, index, frame)
        below = turn, move
        # The vertebra's pose: its own about the disc, then that of what is below.
        turn, move = turn @ own, turn @ (frame.origin_mm - own @ frame.origin_mm + slide) + move
        origin = 0.5 * (below[0] @ frame.origin_mm + below[1] + turn @ frame.origin_mm + move)
        cranial = (below[0] + turn) @ frame.cranial
        offset = points - origin[:, None]
        height = (cranial / np.linalg.norm(cranial)) @ offset
        away = np.sqrt(np.maximum(np.square(offset).sum(axis=0) - height * height, 0.0))
        share = np.clip(0.5 + height / (2.0 * (_BLEND_MM + _BLEND_SHARE * away)), 0.0, 1.0)
        share *= share * (3.0 - 2.0 * share)
        before += share * (turn.T @ (points - move[:, None]) - before)
    return before


def _pose(deformation: Deformation, index: int, frame: Frame) -> tuple[FloatArray, FloatArray]:
    """Rotation and shift of a vertebra against the next one, in the axes of the disc between them."""
    bend, side, turn = (np.radians(values[index]) for values in (deformation.bend_deg, deformation.side_deg, deformation.turn_deg))
    # Backwards is a turn about the right axis, to the right one about the anterior axis, front to the left one about the cranial axis.
    local = _about(0, bend) @ _about(1, side) @ _about(2, turn)
    return frame.axes.T @ local @ frame.axes, np.array(deformation.slide_mm[index]) @ frame.axes


def _about(axis: int, angle: float) -> FloatArray:
    one, two = (axis + 1) % 3, (axis + 2) % 3
    result = np.eye(3)
    result[one, one] = result[two, two] = np.cos(angle)
    result[one, two], result[two, one] = -np.sin(angle), np.sin(angle)
    return result


def _waves(deformation: Deformation, ticks: list[FloatArray]) -> FloatArray:
    """Smooth local shifts at nodes: cubic splines whose knots are drawn, coarse and fine ones together."""
    result = np.zeros((3, *(len(t) for t in ticks)))
    for number, (apart, spread) in enumerate(_WAVES_MM):
        weights = [_spline_weights(t, apart) for t in ticks]
        knots = normals((3, *(w.shape[1] for w in weights)), deformation.seed, _SHAPE, number).astype(np.float64)
        knots = deformation.strength * spread * np.clip(knots, -_MOST, _MOST)
        result += np.einsum("ai,bj,ck,xijk->xabc", *weights, knots, optimize=True)
    return result


def _spline_weights(ticks: FloatArray, apart_mm: float) -> npt.NDArray[np.float64]:
    """Cubic B-splines at places, one a knot, scaled so that independent knots keep their spread in the mean."""
    place = (ticks - ticks[0]) / apart_mm
    knots = np.arange(-1, int(np.ceil(place[-1])) + 2)
    far = np.abs(place[:, None] - knots)
    inner, outer = 2.0 / 3.0 - np.square(far) * (1.0 - 0.5 * far), np.maximum(2.0 - far, 0.0) ** 3 / 6.0
    weights = np.where(far < 1.0, inner, outer)
    return np.asarray(weights / np.sqrt(np.square(weights).sum(axis=1).mean()))
