"""The foramen as it is seen from the side: the lateral silhouette of half a motion segment, and the hole in it.

The half reaches from the mid-sagittal plane out to the lateral border of the upper pedicle. What lies further out (transverse
processes, sacral
ala, iliac bone) would hide the hole and stays out. The silhouette of a set of shapes between two planes is the smallest level
that a line of sight
meets, so its border is found to a fraction of a voxel without drawing a single pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.geometry.hole import Hole, Lattice, NoHole, find_hole
from kambin.measurement.pedicle_size import pedicle_outline_mm
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePlane, NotMeasurable
from kambin.spine import MotionSegment, Vertebra

PITCH_MM = 0.4
SIGHT_STEP_MM = 0.7
SIGHT_SIGMA_MM = 1.0
"""Along a line of sight levels are smoothed: without it the outermost ripple of a voxel surface would make every rim, and every hole
narrower than it is."""
MAX_BRIDGE_MM = 14.0
"""The gap of an open rim that may be bridged: more is no longer a foramen's rim."""
NOTABLE_BRIDGE_MM = 3.0
"""A longer bridge weakens the value, and is said with it."""


@dataclass(frozen=True, eq=False)
class LateralView:
    """Half a motion segment seen along its *right* axis.

    Plane coordinates are (anterior, cranial) millimetres of the segment's frame.

    Parameters
    ----------
    segment, side
        What is seen.
    lateral_cut_mm
        Distance of the lateral cut from the mid-sagittal plane.
    lattice
        Where the levels are sampled.
    levels
        For the upper vertebra, the disc and the lower vertebra: the smallest level along each line of sight, shape (3, n, m).
    """

    segment: MotionSegment
    side: Side
    lateral_cut_mm: float
    lattice: Lattice
    levels: FloatArray

    def world(self, plane_mm: FloatArray, out_mm: float | None = None) -> FloatArray:
        """RAS positions of plane points, drawn at a distance from the mid-sagittal plane (the lateral cut by default)."""
        points = np.asarray(plane_mm, dtype=np.float64)
        out = self.side.sign * (self.lateral_cut_mm if out_mm is None else out_mm)
        return self.segment.frame.world(np.concatenate([np.full((*points.shape[:-1], 1), out), points], axis=-1))


@dataclass(frozen=True, eq=False)
class Foramen:
    """The hole of one lateral view, from which foraminal area, height and width are read."""

    view: LateralView
    hole: Hole

    def evidence(self, *curves: EvidenceCurve, **facts: object) -> Evidence:
        """Outline, bridges and lateral cut, with a measure's own curves."""
        frame = self.view.segment.frame
        cut = frame.world([self.view.side.sign * self.view.lateral_cut_mm, 0.0, 0.0])
        return Evidence(
            curves=(
                *curves,
                EvidenceCurve("foramen", self.view.world(self.hole.outline), closed=True, role="outline"),
                *(EvidenceCurve("bridge", self.view.world(bridge), role="bridge") for bridge in self.hole.bridges),
            ),
            planes=(
                EvidencePlane("mid-sagittal plane", frame.origin_mm, frame.right),
                EvidencePlane("lateral cut", cut, frame.right * self.view.side.sign),
            ),
            facts={
                "lateral_cut_mm": round(self.view.lateral_cut_mm, 3),
                "bridge_lengths_mm": [round(float(np.linalg.norm(b[1] - b[0])), 3) for b in self.hole.bridges],
                **facts,
            },
            view="lateral",
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """What weakens all that is read from this hole."""
        found = []
        if self.hole.bridge_length_mm > NOTABLE_BRIDGE_MM:
            found.append(f"the rim is open; it was closed by bridges of {self.hole.bridge_length_mm:.1f} mm")
        if self.view.segment.disc_is_inferred:
            found.append("no disc is labelled: its border was inferred, without any bulge")
        return tuple(found)


def lateral_cut_mm(segment: MotionSegment, side: Side) -> float:
    """Distance from the mid-sagittal plane to the lateral border of the upper (else the lower) vertebra's pedicle.

    Raises
    ------
    NotMeasurable
        When neither vertebra has a pedicle on that side.
    """
    for vertebra in (segment.upper, segment.lower):
        neck = vertebra.pedicles.get(side)
        if neck is not None:
            rough = float(side.sign * segment.frame.local(neck.lateral_mm)[0])
            return min(rough, _narrowest_reach_mm(segment, vertebra, side))
    raise NotMeasurable(f"no {side} pedicle of {segment.upper.level} or {segment.lower.level} was found, so the foramen has no roof")


def _narrowest_reach_mm(segment: MotionSegment, vertebra: Vertebra, side: Side) -> float:
    """How far out a pedicle's smallest section reaches: a broad transverse process, as of a sacralised L5, pulls its rough border out."""
    try:
        outline = pedicle_outline_mm(vertebra, side)
    except NotMeasurable:
        return float("inf")
    return float((side.sign * segment.frame.local(outline)[:, 0]).max())


def posterior_edge_mm(segment: MotionSegment) -> float:
    """Anterior coordinate of the disc space's posterior edge in the segment's frame."""
    points = np.concatenate([segment.upper_endplate.points_mm, segment.lower_endplate.points_mm])
    return float(np.quantile(segment.frame.local(points)[:, 1], 0.02))


def look_from_the_side(segment: MotionSegment, side: Side, *, smooth: bool = True) -> LateralView:
    """The lateral view of one half of a segment.

    Parameters
    ----------
    smooth
        Whether levels are smoothed along the sight, which rounds off what is thin across it.

    Raises
    ------
    NotMeasurable
        When there is no pedicle to cut at.
    """
    cut = lateral_cut_mm(segment, side)
    back = posterior_edge_mm(segment)
    lattice = Lattice.window((back - 36.0, back + 8.0), (-24.0, 34.0), PITCH_MM)
    sight = np.linspace(0.0, cut, max(int(np.ceil(cut / SIGHT_STEP_MM)), 2) + 1)
    shapes = (segment.upper.solid, segment.disc, segment.lower.solid)
    origin = segment.frame.world([0.0, lattice.first_mm[0], lattice.second_mm[0]])
    steps = segment.frame.axes * np.array([side.sign * (sight[1] - sight[0]), PITCH_MM, PITCH_MM])[:, None]
    sigma = SIGHT_SIGMA_MM / abs(float(sight[1] - sight[0]))
    levels = []
    for shape in shapes:
        sampled = shape.sample_box(origin, steps, (len(sight), *lattice.shape))
        fine = sampled.astype(np.float64)
        levels.append((_smoothed(fine, sigma) if smooth else fine).min(axis=0))
    return LateralView(segment, side, cut, lattice, np.stack(levels))


def _smoothed(levels: FloatArray, sigma: float) -> FloatArray:
    """Levels smoothed along the first axis by a kernel without second moment: a rounded border stays where it is."""
    from scipy.ndimage import gaussian_filter1d

    once = gaussian_filter1d(levels, sigma, axis=0, mode="nearest")
    return np.asarray(2.0 * once - gaussian_filter1d(once, sigma, axis=0, mode="nearest"))


def seed_zone(segment: MotionSegment, lattice: Lattice) -> np.ndarray:
    """Where the widest place of a foramen may lie: behind the disc space and the upper body, between the pedicles."""
    plane = lattice.points()
    back = posterior_edge_mm(segment)
    behind = plane[..., 0] - back
    return np.asarray((behind > -14.0) & (behind < 3.0) & (plane[..., 1] > -7.0) & (plane[..., 1] < 20.0))


def find_foramen(view: LateralView) -> Foramen:
    """The intervertebral foramen in a lateral view.

    Raises
    ------
    NotMeasurable
        When there is no bounded hole; with the reason.
    """
    try:
        hole = find_hole(view.levels.min(axis=0), view.lattice, seed_zone(view.segment, view.lattice), MAX_BRIDGE_MM)
    except NoHole as reason:
        raise NotMeasurable(f"no foramen is seen from the {view.side} side at {view.segment.name}: {reason}") from None
    return Foramen(view, hole)
