"""What can be seen about one foramen, sampled roughly, and the eye that looks at it.

Directions are (oblique, cranial) degrees in the segment's frame: 0, 0 looks straight forward from behind along the disc, oblique turns the
eye to the patient's own side, cranial lifts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.compose import Cut, Offset
from kambin.phantom.field import Field
from kambin.phantom.truth.anatomy import Anatomy
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.plane import axis
from kambin.phantom.truth.quick import Quick
from kambin.phantom.truth.value import Unknown

Angles = tuple[float, float]

TARGETS = {"KT": ("disc", "body"), "ST": ("body",)}
"""What each triangle is seen on."""
_NEAR_MM, _NEAR_LATTICE_MM = ((-6.0, 42.0), (-36.0, 28.0), (-24.0, 28.0)), 2.0
_FAR_MM, _FAR_LATTICE_MM = ((10.0, 125.0), (-105.0, 25.0), (-50.0, 75.0)), 5.0
"""Boxes (out, anterior of the disc space's posterior edge, cranial) in which bones near by and the hip bone are sampled roughly."""
_MIDDLE_MM = (14.0, 0.0, 3.0)
"""The middle of the window, in the same coordinates as the boxes: about the middle of the triangles."""
DOUBT_MM = 0.9
"""By how much a level interpolated from a rough lattice may be wrong."""
CAP_MM = 3.0
_ARCH_FROM_BODY_MM = 0.3
"""The arch begins so far off the body."""


@dataclass(frozen=True, eq=False)
class Rough:
    """Levels of one shape on a lattice.

    Parameters
    ----------
    low_mm, step_mm
        Its first point, shape (3,), and its step.
    level
        Shape (n, m, k).
    """

    low_mm: FloatArray
    step_mm: float
    level: FloatArray

    def at(self, points: FloatArray) -> FloatArray:
        """Interpolated levels at points of shape (..., 3); large outside the lattice."""
        from scipy.ndimage import map_coordinates

        place = np.moveaxis((points - self.low_mm) / self.step_mm, -1, 0)
        return np.asarray(map_coordinates(self.level, place, order=1, mode="constant", cval=CAP_MM))

    def along(self, origin: FloatArray, steps: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """The same on a lattice of given origin and steps (rows of shape (3, 3)): much sooner."""
        from scipy.ndimage import affine_transform

        offset = (origin - self.low_mm) / self.step_mm
        return np.asarray(
            affine_transform(self.level, steps.T / self.step_mm, offset, output_shape=shape, order=1, mode="constant", cval=CAP_MM)
        )

    def joined(self, others: list[Rough]) -> Rough:
        """Several shapes on one lattice as one."""
        return Rough(self.low_mm, self.step_mm, np.min([self.level, *(other.level for other in others)], axis=0))


@dataclass(frozen=True, eq=False)
class Scene:
    """All that can be seen about one foramen. Points are (out, anterior, cranial) in the segment's frame, *out* towards the side.

    Parameters
    ----------
    frame, sign
        The segment's frame; -1 on the left.
    middle_mm
        Of the window, shape (3,).
    roof_mm
        The lowest point of the upper pedicle's neck.
    shapes, rough
        By name: "disc", "body", "root", and the rest, which hides.
    joined
        For each triangle what is looked at, and what hides it but for the root and the hip bone, as one shape each.
    """

    frame: Frame
    sign: int
    middle_mm: FloatArray
    roof_mm: FloatArray
    shapes: Mapping[str, Field]
    rough: Mapping[str, Rough]
    joined: Mapping[str, tuple[Rough, Rough]]

    def level(self, name: str, points: FloatArray) -> FloatArray:
        """Exact levels at points of shape (n, 3)."""
        return level_in(self.shapes[name], self.frame, points * [self.sign, 1.0, 1.0])


def scene_of(anatomy: Anatomy, segment: Segment, side: Side, neck_mm: FloatArray) -> Scene:
    """Sample roughly what can be seen about one foramen.

    Parameters
    ----------
    neck_mm
        The outline of the upper pedicle's neck, RAS, shape (n, 3).

    Raises
    ------
    Unknown
        When the exiting root is missing.
    """
    upper, disc, lower = segment.space.whole()
    shapes: dict[str, Field] = {
        "root": anatomy.shape(Kind.NERVE_ROOT, upper.level, side),
        "disc": disc,
        "body": upper.body,
        "arch": Cut(upper.shape, (Offset(upper.body, _ARCH_FROM_BODY_MM),)),
        "lower": lower.shape,
    }
    others = {"next root": (Kind.NERVE_ROOT, lower.level, side), "sac": (Kind.DURAL_SAC, None, None), "hip": (Kind.HIP, None, side)}
    if lower.level is not Level.S1:
        others["sacrum"] = (Kind.SACRUM, None, None)
    for name, key in others.items():
        try:
            shapes[name] = anatomy.shape(*key)
        except Unknown:
            continue
    behind = np.array([0.0, segment.back_mm, 0.0])
    rough = {}
    for name, shape in shapes.items():
        shapes[name] = shape if name in ("arch", "lower") else Quick(shape)
        box, step = (_FAR_MM, _FAR_LATTICE_MM) if name == "hip" else (_NEAR_MM, _NEAR_LATTICE_MM)
        rough[name] = _roughly(shapes[name], segment.frame, side.sign, np.array(box) + behind[:, None], step)
    rough = {name: levels for name, levels in rough.items() if levels.level.min() < DOUBT_MM}
    neck = segment.frame.local(neck_mm) * [side.sign, 1.0, 1.0]
    roof = neck[int(neck[:, 2].argmin())]
    own = {name: shapes[name] for name in rough}
    return Scene(segment.frame, side.sign, behind + _MIDDLE_MM, roof, own, rough, {s: _joined(rough, s) for s in TARGETS})


def _joined(rough: Mapping[str, Rough], symbol: str) -> tuple[Rough, Rough]:
    targets = [rough[name] for name in TARGETS[symbol]]
    hiding = [levels for name, levels in rough.items() if name not in (*TARGETS[symbol], "root", "hip")]
    return targets[0].joined(targets[1:]), hiding[0].joined(hiding[1:])


def _roughly(shape: Field, frame: Frame, sign: int, box: FloatArray, step: float) -> Rough:
    axes = [axis(low, high, step) for low, high in box]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    level = level_in(shape, frame, points.reshape(-1, 3) * [sign, 1.0, 1.0]).reshape(points.shape[:-1])
    return Rough(box[:, 0], step, np.minimum(level, CAP_MM))


@dataclass(frozen=True, eq=False)
class Eye:
    """A direction to look along: towards the eye, and the picture's two axes, unit vectors of (out, anterior, cranial)."""

    sight: FloatArray
    first: FloatArray
    second: FloatArray

    @classmethod
    def at(cls, angles_deg: Angles) -> Eye:
        oblique, cranial = np.radians(angles_deg)
        s, c, u, w = np.sin(oblique), np.cos(oblique), np.sin(cranial), np.cos(cranial)
        return cls(np.array([s * w, -c * w, u]), np.array([c, s, 0.0]), np.array([-s * u, c * u, w]))

    def points(self, middle: FloatArray, plane: FloatArray, along: FloatArray) -> FloatArray:
        """Points of shape (n, k, 3): plane coordinates (n, 2), places along the sight (k,) or (n, k)."""
        base = middle + plane[:, :1] * self.first + plane[:, 1:] * self.second
        return np.asarray(base[:, None] + np.atleast_2d(along)[..., None] * self.sight)
