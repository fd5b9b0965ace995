"""Space bent smoothly and invertibly, and shapes that are bent with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, Frame
from kambin.phantom.column import Column
from kambin.phantom.compose import Balls, Blocks, Spans, levels, spans
from kambin.phantom.field import Box, Field, Points, Values
from kambin.phantom.patient import Patient
from kambin.phantom.raster import named_shapes
from kambin.phantom.surfaces.lattice import trilinear
from kambin.phantom.vertebra import Part

_ROUNDS, _CLOSE_MM = 60, 1e-6
_BOX_PIECES, _ENDLESS_MM = 12, 2000.0
_PROBE_MM = 4.0


@dataclass(frozen=True, eq=False)
class Warp:
    """The map from where points are to where they were before space was bent: their own places and a shift, trilinear on a lattice.

    Beyond the lattice the shift stays as it is at its border. The shift changes by at most `steepness` millimetres on a way of one
    millimetre, which is less than one: no two points were in the same place, and the Jacobian's determinant is at least
    ``(1 - steepness) ** 3`` everywhere.

    Parameters
    ----------
    origin_mm
        RAS position of the first node, shape (3,).
    spacing_mm
        Between nodes.
    shift_mm
        From each node to where it was, shape (3, nodes, nodes, nodes).

    Raises
    ------
    ValueError
        When the shift changes by a millimetre or more on a way of one.
    """

    origin_mm: FloatArray
    spacing_mm: float
    shift_mm: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if not self.steepness < 1.0:
            raise ValueError(f"expected a shift that changes by less than the way, found {self.steepness:.2f} of it")

    @cached_property
    def steepness(self) -> float:
        """A bound of the norm of the shift's gradient: the Frobenius norm of the largest steps along the edges of each cell."""
        squares: npt.NDArray[np.float32] | float = 0.0
        for axis in range(3):
            step = np.square(np.diff(self.shift_mm, axis=axis + 1)).sum(axis=0)
            for other in {0, 1, 2} - {axis}:
                front, back = [slice(None)] * 3, [slice(None)] * 3
                front[other], back[other] = slice(1, None), slice(None, -1)
                step = np.maximum(step[tuple(front)], step[tuple(back)])
            squares = squares + step
        return float(np.sqrt(np.max(squares))) / self.spacing_mm

    def __call__(self, points: Points) -> Points:
        """Where points were, shape (3, n)."""
        place = (points - self.origin_mm.astype(points.dtype)[:, None]) * points.dtype.type(1.0 / self.spacing_mm)
        place = np.clip(place, 0, np.array(self.shift_mm.shape[1:], dtype=points.dtype)[:, None] - 1)
        return points + trilinear(self.shift_mm, place)

    def forward(self, points: Points) -> FloatArray:
        """Where points come to lie: the inverse, found by repeated correction, shape (3, n)."""
        before = np.asarray(points, dtype=np.float64)
        now = before.copy()
        for _ in range(_ROUNDS):
            missed = before - self(now)
            now += missed
            if np.abs(missed).max(initial=0.0) < _CLOSE_MM:
                break
        return now

    def carried(self, frame: Frame) -> Frame:
        """A frame taken along as a rigid body: the nearest rotation of what becomes of its surroundings."""
        probes = np.concatenate([frame.origin_mm + sign * _PROBE_MM * frame.axes for sign in (1.0, -1.0)])
        moved = self.forward(np.vstack([frame.origin_mm, probes]).T).T
        u, _scales, v = np.linalg.svd(moved[1:4] - moved[4:7])
        return Frame(moved[0], u @ v)


@dataclass(frozen=True, eq=False)
class Warped:
    """A shape in bent space.

    Parameters
    ----------
    shape
        As it was.
    warp
        How space was bent.
    """

    shape: Field
    warp: Warp

    @cached_property
    def box(self) -> Box:
        own = self.shape.box
        extent = own.high_mm - own.low_mm
        if extent.max() > _ENDLESS_MM:
            return own.grown(float(np.abs(self.warp.shift_mm).max()) * 3**0.5)
        # What becomes of a box's faces encloses what becomes of its inside.
        ticks = np.linspace(0.0, 1.0, _BOX_PIECES + 1)
        all_ticks = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij")).reshape(3, -1)
        faces = all_ticks[:, ((all_ticks == 0.0) | (all_ticks == 1.0)).any(axis=0)]
        margin = 0.5 * 2**0.5 * float(extent.max()) / _BOX_PIECES / (1.0 - self.warp.steepness)
        return Box.around(self.warp.forward(own.low_mm[:, None] + extent[:, None] * faces).T, min(margin, 30.0))

    @cached_property
    def slope(self) -> float:
        return self.shape.slope * (1.0 + self.warp.steepness)

    def __call__(self, points: Points) -> Values:
        return self.shape(self.warp(points))

    def on_blocks(self, blocks: Blocks) -> Values:
        points = self.warp(blocks.points.reshape(3, -1)).reshape(blocks.points.shape)
        return levels(self.shape, Blocks.within(self._before(blocks.balls), points))

    def in_balls(self, balls: Balls) -> Spans:
        return spans(self.shape, self._before(balls))

    def _before(self, balls: Balls) -> Balls:
        return balls.at(self.warp(balls.middle), balls.radius_mm * (1.0 + self.warp.steepness))


def warped_patient(patient: Patient, warp: Warp) -> Patient:
    """A patient in bent space: every piece, structure and part; the frames of the column are taken along as rigid bodies."""
    pieces = tuple(replace(piece, shape=Warped(piece.shape, warp)) for piece in patient.pieces)
    parts = {
        name: Part(Warped(part.whole, warp), Warped(part.own, warp), Warped(part.others, warp)) for name, part in patient.parts.items()
    }
    return Patient(patient.parameters, _moved(patient.column, warp), pieces, named_shapes(pieces), MappingProxyType(parts))


def _moved(column: Column, warp: Warp) -> Column:
    vertebrae = {level: replace(place, frame=warp.carried(place.frame)) for level, place in column.vertebrae.items()}
    segments = {}
    for name, segment in column.segments.items():
        joints = {side: replace(joint, frame=warp.carried(joint.frame)) for side, joint in segment.joints.items()}
        segments[name] = replace(segment, frame=warp.carried(segment.frame), joints=MappingProxyType(joints))
    return replace(column, vertebrae=vertebrae, sacrum=warp.carried(column.sacrum), segments=segments)
