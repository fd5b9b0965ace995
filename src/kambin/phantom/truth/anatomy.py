"""What the truth is computed from: the exact shapes, and where to begin to look.

A true value depends on the shapes alone. The frames and points kept here are first guesses from the column; all but a vertebra's
*anterior*, which is its plane of symmetry's, and the axes of its pedicles, near which the narrowest section is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure, segment_name
from kambin.geometry import FloatArray, Frame
from kambin.phantom.column import Column
from kambin.phantom.compose import Common, Placed
from kambin.phantom.field import Box, Field, Points, RoundedBox, Values
from kambin.phantom.morphometry import S1_DEPTH_MM
from kambin.phantom.patient import Patient
from kambin.phantom.transition import transition_of
from kambin.phantom.truth.quick import CAP_MM, Quick
from kambin.phantom.truth.value import Unknown
from kambin.phantom.vertebra import Body, Landmarks, vertebral_pieces


@dataclass(frozen=True, eq=False)
class Bone:
    """One vertebra, or the sacrum.

    Parameters
    ----------
    level
        S1 for the sacrum.
    shape
        The whole bone.
    body
        The body alone.
    frame
        About the middle of the body (for S1 of the endplate); its mid-sagittal plane is the bone's plane of symmetry.
    half_height_mm
        From the origin to an endplate.
    wall_mm
        Anterior coordinate of the posterior wall.
    isthmus_mm
        A point within each pedicle, RAS.
    inwards_deg
        How far the pedicles converge.
    """

    level: Level
    shape: Field
    body: Field
    frame: Frame
    half_height_mm: float
    wall_mm: float
    isthmus_mm: Mapping[Side, FloatArray] = field(default_factory=dict)
    inwards_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Space:
    """A disc space with what bounds it.

    Parameters
    ----------
    name
        "L4/L5".
    upper, lower
        The bones; None where the patient has none.
    disc
        None where the patient has none.
    frame
        First guess of the segment's frame.
    superior, inferior, pedicle
        Superior articular processes of the lower, and inferior ones and pedicles of the upper bone, by side.
    """

    name: str
    upper: Bone | None
    lower: Bone | None
    disc: Field | None
    frame: Frame
    superior: Mapping[Side, Field] = field(default_factory=dict)
    inferior: Mapping[Side, Field] = field(default_factory=dict)
    pedicle: Mapping[Side, Field] = field(default_factory=dict)

    def whole(self) -> tuple[Bone, Field, Bone]:
        """Both bones and the disc.

        Raises
        ------
        Unknown
            When one is missing.
        """
        upper, lower = self.name.split("/")
        for thing, words in ((self.upper, upper), (self.disc, f"{self.name} disc"), (self.lower, "sacrum" if lower == "S1" else lower)):
            if thing is None:
                raise Unknown(f"this patient has no {words}")
        assert self.upper is not None
        assert self.disc is not None
        assert self.lower is not None
        return self.upper, self.disc, self.lower


_OVERLAID = frozenset({Kind.PSOAS, Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN})
"""Soft structures that others are painted over: vessels where they branch, muscles where nerves run."""


def _meet(one: Box, other: Box) -> bool:
    return bool((one.low_mm < other.high_mm).all() and (other.low_mm < one.high_mm).all())


@dataclass(frozen=True, eq=False)
class Left:
    """What is left of a shape where others lie over it: a point belongs to the last structure that holds it.

    Levels are right up to the cap of quick ones.
    """

    shape: Field
    over: tuple[Field, ...]

    @property
    def box(self) -> Box:
        return self.shape.box

    @property
    def slope(self) -> float:
        return max(self.shape.slope, *(other.slope for other in self.over))

    def __call__(self, points: Points) -> Values:
        level = self.shape(points)
        # What is taken away matters in the shape and close to it.
        close = np.flatnonzero(level < CAP_MM)
        here = points[:, close]
        for other in self.over:
            box = other.box.grown(CAP_MM)
            near = np.flatnonzero(((box.low_mm[:, None] < here) & (box.high_mm[:, None] > here)).all(axis=0))
            if len(near):
                level[close[near]] = np.maximum(level[close[near]], -other(here[:, near]))
        return level


@dataclass(frozen=True, eq=False)
class Anatomy:
    """All shapes of a patient, later ones over earlier ones, ordered for the truth."""

    shapes: Mapping[Structure, Field]
    bones: Mapping[Level, Bone]
    spaces: tuple[Space, ...]

    def shape(self, kind: Kind, level: Level | None = None, side: Side | None = None) -> Field:
        """One structure's shape.

        Raises
        ------
        Unknown
            When the patient has none.
        """
        structure = Structure(kind, level, side)
        if structure not in self.shapes:
            raise Unknown(f"this patient has no {structure.label}")
        own = self.shapes[structure]
        if kind not in _OVERLAID:
            return own
        names = list(self.shapes)
        over = [self.shapes[name] for name in names[names.index(structure) + 1 :]]
        over = [shape for shape in over if _meet(own.box, shape.box)]
        return Left(own, tuple(over)) if over else own


def anatomy_of(patient: Patient) -> Anatomy:
    """A digital patient as the truth sees it."""
    patient = replace(patient, column=_with_freed_s1(patient))
    column = patient.column
    shapes = {name: Quick(shape) for name, shape in patient.shapes.items()}
    bones = {level: bone for level in (*patient.column.vertebrae, Level.S1) if (bone := _bone(column, shapes, level)) is not None}
    spaces = []
    for place, (upper, lower) in zip(column.segments.values(), pairwise((*column.vertebrae, Level.S1)), strict=True):
        spaces.append(
            Space(
                segment_name(upper, lower),
                bones.get(upper),
                bones.get(lower),
                shapes.get(Structure(Kind.DISC, upper)),
                place.frame,
                _parts(patient, lower, Kind.SUPERIOR_ARTICULAR, bones),
                _parts(patient, upper, Kind.INFERIOR_ARTICULAR, bones),
                _parts(patient, upper, Kind.PEDICLE, bones),
            )
        )
    return Anatomy(shapes, bones, tuple(spaces))


def _with_freed_s1(patient: Patient) -> Column:
    """The column with a lumbarised S1 as its lowest vertebra, where nothing joins it to the sacrum any more, which then begins at S2."""
    column = patient.column
    transition = transition_of(patient.parameters, column)
    if transition is None or not transition.free:
        return column
    plate = transition.second.endplate(upper=True)
    # So that the posterior wall lies where it does under the usual endplate.
    ahead = 0.5 * (S1_DEPTH_MM * column.scale - transition.second.size.upper_depth_mm)
    sacrum = plate.moved_to(plate.world([0.0, ahead, 0.0]))
    segment = transition.segment
    vertebrae = {**column.vertebrae, transition.first.level: transition.first}
    return Column(vertebrae, sacrum, {**column.segments, segment.name: segment}, column.scale)


def _bone(column: Column, shapes: Mapping[Structure, Field], level: Level) -> Bone | None:
    if level is Level.S1:
        shape = shapes.get(Structure(Kind.SACRUM))
        return None if shape is None else Bone(level, shape, shape, column.sacrum, 0.0, -0.5 * S1_DEPTH_MM * column.scale)
    shape = shapes.get(Structure(Kind.VERTEBRA, level))
    if shape is None:
        return None
    place = column.vertebrae[level]
    marks = Landmarks(place)
    isthmus = {side: marks.at(marks.pedicle_x_mm(side), 0.5 * place.size.pedicle_length_mm, marks.pedicle_z_mm) for side in Side}
    body = Placed(Body(place), place.frame)
    return Bone(level, shape, body, place.frame, 0.5 * place.height_mm, place.wall_mm, isthmus, place.size.pedicle_angle_deg)


def _parts(patient: Patient, level: Level, kind: Kind, bones: Mapping[Level, Bone]) -> dict[Side, Field]:
    """A paired part of one bone: its own pieces, as far as they are bone in the end."""
    bone, column = bones.get(level), patient.column
    if bone is None:
        return {}
    if level is Level.S1:
        return {side: Quick(Common((bone.shape, _beside_joint(column, list(column.segments)[-1], side)))) for side in Side}
    at = list(column.vertebrae).index(level)
    segments = list(column.segments.values())
    thick = [patient.parameters.at("facet_hypertrophy", name) for name in column.segments]
    above = (segments[at - 1], thick[at - 1]) if at else (None, 0.0)
    pieces = vertebral_pieces(column.vertebrae[level], above[0], segments[at], (above[1], thick[at]))
    return {side: Quick(Common((bone.shape, piece))) for side in Side if (piece := pieces.get(Structure(kind, level, side))) is not None}


def _beside_joint(column: Column, segment: str, side: Side) -> Field:
    """The room of a superior articular process that has no piece of its own: before its joint."""
    joint = column.segments[segment].joints[side]
    size = joint.size
    centre = joint.frame.world([0.0, -5.0, 0.0])
    return RoundedBox(joint.frame.moved_to(centre), (0.5 * size.width_mm + 4.0, 5.0, 0.5 * size.height_mm + 4.0), 1.0)
