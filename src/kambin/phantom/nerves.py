"""Roots, ganglia and the dural sac: out of the sac, under the pedicles, through the foramina and on into the plexus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import FloatArray
from kambin.phantom.column import Column, VertebraPlace
from kambin.phantom.compose import Balls, Blocks, Spans, Union
from kambin.phantom.field import Box, Field, Points, Values, capsule
from kambin.phantom.morphometry import LUMBAR, S1_DEPTH_MM
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.sacrum import SacrumShape
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Landmarks

ROOT_DIAMETER_MM = dict(zip(LUMBAR, (3.4, 3.7, 4.0, 4.3, 4.6, 4.9), strict=True))
"""Postganglionic; Khasawneh 2023 gives 3.9 for L1 and 5.45 for S1, taken a little thinner for the nerve without its sheath."""
GANGLION_MM = dict(zip(LUMBAR, ((4.4, 6.0), (4.6, 6.5), (5.0, 8.0), (5.4, 9.5), (5.8, 10.5), (6.2, 12.0)), strict=True))
"""Width and length; between the two cadaver series of Silav 2016 and Rohini 2022."""
_TAKE_OFF_DEG = dict(zip(LUMBAR, (48.0, 44.0, 39.0, 34.0, 30.0, 26.0), strict=True))
_ORIGIN_MM = dict(zip(LUMBAR, (10.5, 10.4, 9.9, 9.3, 8.6, 8.0), strict=True))
_GANGLION_CLEAR_MM = 1.2
"""Between the lower edge of the pedicle and the ganglion."""
_CLEAR_MM, _ROUNDS = 0.4, 12
"""What a nerve keeps between itself and bone or disc, and how often its path is looked at again."""
_PROBE_MM, _FAR_MM = 0.25, 1e3


def root_path(place: VertebraPlace, below: VertebraPlace | None, side: Side, parameters: PatientParameters) -> FloatArray:
    """Points of one exiting root, from its sleeve to the psoas, RAS millimetres, shape (n, 3).

    Parameters
    ----------
    place
        The vertebra whose pedicle it passes under.
    below
        The next vertebra, whose side it runs down; None for L5, whose root runs on over the sacral ala.
    """
    marks, size = Landmarks(place), place.size
    scale = parameters.root_scale
    radius = 0.5 * GANGLION_MM[place.level][0] * scale
    medial = 0.5 * size.canal_width_mm
    under = marks.pedicle_z_mm - 0.5 * size.pedicle_height_mm
    depth = 0.5 * size.pedicle_length_mm + 0.5
    origin = min(_ORIGIN_MM[place.level] * parameters.canal_scale, medial - 1.5)
    rise = (medial - origin) / np.tan(np.radians(_TAKE_OFF_DEG[place.level])) + 4.0
    ganglion_x = medial + 0.42 * size.pedicle_width_mm
    ganglion_z = under - radius - _GANGLION_CLEAR_MM
    s = side.sign
    points = [
        marks.at(s * (origin - 1.5), depth + 2.0, ganglion_z + rise + 5.0),
        marks.at(s * origin, depth + 1.5, ganglion_z + rise),
        marks.at(s * (medial - 0.5), depth + 0.5, ganglion_z + 2.6),
        marks.at(s * ganglion_x, depth, ganglion_z),
        marks.at(s * (medial + size.pedicle_width_mm + 1.0), depth - 1.5, ganglion_z - 4.5),
        marks.at(s * (medial + size.pedicle_width_mm + 7.0), depth - 4.0, ganglion_z - 11.0),
    ]
    if below is not None:
        lower = Landmarks(below)
        half = 0.5 * below.size.upper_width_mm
        points += [
            lower.at(s * (half + 6.5), -5.0, 0.30 * below.height_mm),
            lower.at(s * (half + 8.5), -8.0, -0.30 * below.height_mm),
        ]
    return np.array(points)


def smooth_path(points_mm: FloatArray, steps: int = 3) -> FloatArray:
    """A centripetal curve through points, sampled `steps` times between neighbours; shape (m, 3)."""
    from scipy.interpolate import PchipInterpolator

    along = np.concatenate([[0.0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(points_mm, axis=0), axis=1)))])
    at = np.concatenate([np.linspace(a, b, steps, endpoint=False) for a, b in pairwise(along)] + [along[-1:]])
    return np.asarray(PchipInterpolator(along, points_mm)(at), dtype=np.float64)


class Chain:
    """Round cones along a curve: a tube whose radius changes from point to point.

    Parameters
    ----------
    points_mm
        Shape (n, 3).
    radii_mm
        Shape (n,).
    """

    slope = 1.0

    def __init__(self, points_mm: FloatArray, radii_mm: FloatArray) -> None:
        cones = tuple(
            capsule(a, b, float(r), float(q))
            for (a, b), (r, q) in zip(pairwise(points_mm), pairwise(radii_mm), strict=True)
            if np.linalg.norm(b - a) > 1e-6
        )
        self.points_mm, self.radii_mm = points_mm, radii_mm
        self._whole = Union(cones)

    @property
    def box(self) -> Box:
        return self._whole.box

    def __call__(self, points: Points) -> Values:
        return self._whole(points)

    def on_blocks(self, blocks: Blocks) -> Values:
        return self._whole.on_blocks(blocks)

    def in_balls(self, balls: Balls) -> Spans:
        return self._whole.in_balls(balls)


def build_roots(
    column: Column, sacrum: SacrumShape, parameters: PatientParameters, obstacles: tuple[Field, ...] = ()
) -> tuple[Piece, ...]:
    """The exiting roots T12 to S2 of both sides, each with its ganglion. S2's have no name where S1 is sacral: no level is called so.

    Parameters
    ----------
    obstacles
        Bones and discs: a root gives way to what would stand in its path, as a root that a disc presses on does.
    """
    places = list(column.vertebrae.values())
    scale = parameters.root_scale
    pieces = []
    for index, place in enumerate(places):
        below = places[index + 1] if index + 1 < len(places) else None
        for side in Side:
            skeleton = root_path(place, below, side, parameters)
            if below is None:
                skeleton = np.vstack([skeleton, _over_ala(column, side)])
            name = Structure(Kind.NERVE_ROOT, place.level, side)
            pieces += _root(name, skeleton, 3, ROOT_DIAMETER_MM[place.level] * scale, GANGLION_MM[place.level], scale, obstacles)
    for side in Side:
        first, second = (_sacral_path(column, sacrum, number, side) for number in (1, 2))
        # Where S1 is a lumbar vertebra, its root is that of L6, and S2's the first sacral one.
        levels = (Level.S1, None) if sacrum.freed is None else (Level.L6, Level.S1)
        names = [None if level is None else Structure(Kind.NERVE_ROOT, level, side) for level in levels]
        pieces += _root(names[0], first, 3, 5.0 * scale, (6.4, 13.0), scale, obstacles)
        pieces += _root(names[1], second, 2, 3.6 * scale, (5.0, 10.0), scale, obstacles)
    return tuple(pieces)


def _over_ala(column: Column, side: Side) -> FloatArray:
    """Where L5's root runs on: in front of the ala, down into the pelvis, as part of the lumbosacral trunk."""
    places = np.array([[side.sign * 33.0, 9.0, -4.0], [side.sign * 35.0, 12.0, -18.0], [side.sign * 38.0, 8.0, -40.0]])
    return column.sacrum.world(places * column.scale)


def _sacral_path(column: Column, sacrum: SacrumShape, number: int, side: Side) -> FloatArray:
    """A sacral root: down the canal from the sac's side, through its ventral foramen, and out towards the sciatic notch."""
    passage = sacrum.foramina[number, side]
    scale, s = column.scale, side.sign
    half = 0.5 * S1_DEPTH_MM
    above = {
        1: [[s * 7.0, -half - 7.5, 8.0], [s * 8.0, -half - 6.5, -1.0]],
        2: [[s * 4.0, -half - 8.5, -10.0]],
    }[number]
    start = column.sacrum.world(np.array(above) * scale)
    out = passage[-1] - passage[-2]
    out /= np.linalg.norm(out)
    beyond = passage[-1] + 12.0 * scale * (0.6 * out + 0.6 * s * column.sacrum.right - 0.5 * column.sacrum.cranial)
    return np.vstack([start, passage, beyond])


def _root(
    name: Structure | None,
    skeleton: FloatArray,
    ganglion_at: int,
    diameter_mm: float,
    ganglion_mm: tuple[float, float],
    scale: float,
    obstacles: tuple[Field, ...],
) -> list[Piece]:
    """One root along its skeleton, with its ganglion about one of the skeleton's points."""
    thick = 0.5 * diameter_mm
    width, length = (0.5 * value * scale for value in ganglion_mm)
    path = smooth_path(skeleton)
    at = int(np.argmin(np.linalg.norm(path - skeleton[ganglion_at], axis=1)))
    path = _given_way(path, np.where(np.abs(np.arange(len(path)) - at) <= 1, width, thick), obstacles)
    centre = path[at]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    middle = along[np.argmin(np.linalg.norm(path - centre, axis=1))]
    # Thinner inside the canal, swollen at the ganglion.
    radii = np.where(along < middle, 0.85 * thick, thick)
    swell = np.clip(1.0 - ((along - middle) / length) ** 2, 0.0, 1.0)
    radii = radii + (width - radii) * np.sqrt(swell)
    nerve: Field = Chain(path, radii)
    direction = path[np.argmin(np.abs(along - middle)) + 1] - centre
    direction /= np.linalg.norm(direction)
    ganglion = capsule(centre - direction * max(length - width, 0.5), centre + direction * max(length - width, 0.5), 0.97 * width)
    return [Piece(nerve, (Layer(Tissue.NERVE),), name), Piece(ganglion, (Layer(Tissue.GANGLION),))]


def _given_way(path: FloatArray, radii_mm: FloatArray, obstacles: tuple[Field, ...]) -> FloatArray:
    """A path moved off what it would run through: each point along the obstacle's gradient until the nerve's radius is clear of it."""
    box = Box.around(path, 8.0)
    near = _Obstacles([o for o in obstacles if (o.box.common(box).high_mm > o.box.common(box).low_mm).all()], float(radii_mm.max()))
    path = path.copy()
    for _ in range(_ROUNDS):
        level, gradient = near.around(path)
        push = np.clip(radii_mm + _CLEAR_MM - level, 0.0, 1.0)[:, None] * gradient
        if not push.any():
            break
        # Neighbours are taken along, so that the nerve bends instead of breaking.
        spread = push.copy()
        spread[1:-1] = 0.6 * push[1:-1] + 0.25 * (push[:-2] + push[2:])
        path += 0.8 * spread
        near.moved(0.8 * float(np.linalg.norm(spread, axis=1).max()))
    return path


class _Obstacles:
    """What a path may have to give way to; what lies too far off to matter is looked at again only once the path has moved so far.

    Parameters
    ----------
    shapes
        Bones and discs.
    radius_mm
        Of the nerve, where it is thickest.
    """

    def __init__(self, shapes: Sequence[Field], radius_mm: float) -> None:
        self._shapes = shapes
        steepest = max((shape.slope for shape in shapes), default=1.0)
        self._reach = radius_mm + _CLEAR_MM + 2 * _PROBE_MM * steepest
        self._free_mm = np.zeros(len(shapes))

    def around(self, path: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The least level at each point, shape (n,), and its unit gradient, shape (n, 3)."""
        steps = _PROBE_MM * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
        points = (path[:, None, :] + steps).reshape(-1, 3).T
        least = np.full((len(path), 7), _FAR_MM)
        for index in np.flatnonzero(self._free_mm <= 0):
            shape = self._shapes[int(index)]
            level = shape(points).reshape(len(path), 7)
            self._free_mm[index] = (level[:, 0].min() - self._reach) / shape.slope
            least = np.minimum(least, level)
        gradient = (least[:, 1:4] - least[:, 4:7]) / (2 * _PROBE_MM)
        return least[:, 0], gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)

    def moved(self, distance_mm: float) -> None:
        """Tell that no point of the path has moved by more than this."""
        self._free_mm -= distance_mm


def origins(column: Column, parameters: PatientParameters) -> Mapping[tuple[Level, Side], FloatArray]:
    """Where each root leaves the sac, RAS."""
    places = list(column.vertebrae.values())
    return {(p.level, side): root_path(p, None, side, parameters)[1] for p in places for side in Side}
