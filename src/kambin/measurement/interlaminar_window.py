"""IWw and IWh, the window between two arches.

Seen from behind along the segment's anterior axis, bodies and disc left out. On each side of the spinous process: height (IWh, mm) from
arch to arch, mean over the three millimetres medial to the facet joint where that is most. Width (IWw, mm) from facet to facet, each
halfway up its half of the window; the spinous process is passed over. Wang D 2021 took both on 3D CT at L5/S1, heights on the left and
the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray
from kambin.geometry.hole import Lattice
from kambin.measurement.lateral import PITCH_MM, SIGHT_STEP_MM, posterior_edge_mm
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, Solid

INTERLAMINAR_WIDTH = Quantity(
    key="interlaminar_width",
    symbol="IWw",
    name="interlaminar window width",
    unit="mm",
    definition="Seen from behind along the segment's anterior axis: distance from facet to facet, each halfway up its half of the window "
    "between the two arches.",
    plausible=(8.0, 46.0),
    published=PUBLISHED.get("interlaminar_width", {}),
)
INTERLAMINAR_HEIGHT = Quantity(
    key="interlaminar_height",
    symbol="IWh",
    name="interlaminar window height",
    unit="mm",
    definition="Height of one half of that window: from arch to arch, mean over the three millimetres medial to the facet joint where that "
    "is most.",
    plausible=(1.0, 25.0),
    published=PUBLISHED.get("interlaminar_height", {}),
)
_OUT_MM, _BEHIND_MM, _HEIGHTS_MM = 24.0, 60.0, (-24.0, 20.0)
_CANAL_MM = 7.0
"""What lies further forward than this behind the disc space is left out: bodies, disc, and the wall of S1, which slopes backwards."""
_JOINT_OVERLAP_MM, _NEAREST_JOINT_MM = 5.0, 6.0
"""A facet joint begins where the arches overlap by more than this, no nearer to the midline than that."""
_STRETCH_MM = 3.0


@dataclass(frozen=True, eq=False)
class HalfWindow:
    """One half of a window; plane coordinates are (out, cranial) millimetres.

    Parameters
    ----------
    height_mm
        Mean over the stretch where it is highest.
    out_mm, top_mm, bottom_mm
        That stretch: its columns, and where the two arches end in them.
    facet_mm
        Where the facet begins, halfway up, shape (2,).
    """

    segment: MotionSegment
    side: Side
    height_mm: float
    out_mm: FloatArray
    top_mm: FloatArray
    bottom_mm: FloatArray
    facet_mm: FloatArray

    def world(self, plane_mm: FloatArray) -> FloatArray:
        """RAS of plane points, drawn in the canal, shape (n, 2) to (n, 3)."""
        back = np.full(len(plane_mm), posterior_edge_mm(self.segment) - _CANAL_MM)
        return self.segment.frame.world(np.column_stack([self.side.sign * plane_mm[:, 0], back, plane_mm[:, 1]]))


def interlaminar_height(segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """IWh of one side, mm.

    Raises
    ------
    NotMeasurable
        When the arches leave no window between them there, or no facet bounds it.
    """
    half = half_window(segment, side)
    out = float(half.out_mm.mean())
    ends = np.array([[out, half.bottom_mm.mean()], [out, half.top_mm.mean()]])
    outline = np.concatenate([np.column_stack([half.out_mm, half.top_mm]), np.column_stack([half.out_mm, half.bottom_mm])[::-1]])
    evidence = Evidence(
        points=tuple(EvidencePoint(name, half.world(end[None])[0]) for name, end in zip(("lower arch", "upper arch"), ends, strict=True)),
        curves=(
            EvidenceCurve(INTERLAMINAR_HEIGHT.symbol, half.world(ends), role="measure"),
            EvidenceCurve("window, where it is highest", half.world(outline), closed=True),
        ),
        view="coronal",
    )
    return half.height_mm, evidence


def interlaminar_width(segment: MotionSegment) -> tuple[float, Evidence]:
    """IWw of one segment, mm; raises as `interlaminar_height`."""
    halves = [half_window(segment, side) for side in (Side.LEFT, Side.RIGHT)]
    ends = np.concatenate([half.world(half.facet_mm[None]) for half in halves])
    evidence = Evidence(
        points=tuple(EvidencePoint(f"{half.side} facet", end) for half, end in zip(halves, ends, strict=True)),
        curves=(EvidenceCurve(INTERLAMINAR_WIDTH.symbol, ends, role="measure"),),
        view="coronal",
    )
    return float(sum(half.facet_mm[0] for half in halves)), evidence


def half_window(segment: MotionSegment, side: Side) -> HalfWindow:
    """One half of the window.

    Raises
    ------
    NotMeasurable
        When the arches leave no window between them there, or no facet bounds it.
    """
    count = int(_OUT_MM / PITCH_MM) + 1
    heights = np.arange(_HEIGHTS_MM[0], _HEIGHTS_MM[1], PITCH_MM, dtype=np.float64)
    lattice = Lattice(np.asarray(PITCH_MM * np.arange(count), dtype=np.float64), heights)
    upper, lower = (_from_behind(segment, side, bone.solid, lattice) for bone in (segment.upper, segment.lower))
    top, bottom = _lowest(upper, lattice.second_mm), -_lowest(lower[:, ::-1], -lattice.second_mm[::-1])
    height, place = _highest_stretch(lattice.first_mm, top - bottom)
    if not height > 0.0:
        raise NotMeasurable(f"seen from behind, the arches leave no {side} window between them at {segment.name}")
    middle = 0.5 * float((top[place] + bottom[place]).mean())
    out, free = lattice.first_mm, _along_row(np.minimum(upper, lower), lattice, middle)
    met = np.flatnonzero((free < 0) & (np.arange(count) > (place.start + place.stop) // 2))
    if not len(met):
        raise NotMeasurable(f"seen from behind, no facet bounds the {side} window between the arches at {segment.name}")
    before, at = free[met[0] - 1], free[met[0]]
    facet = np.array([out[met[0] - 1] + PITCH_MM * before / (before - at), middle])
    return HalfWindow(segment, side, height, out[place], top[place], bottom[place], facet)


def _from_behind(segment: MotionSegment, side: Side, bone: Solid, lattice: Lattice) -> FloatArray:
    """The smallest level of a bone along each line of sight, from the front of the canal backwards, shape (n, m)."""
    frame = segment.frame
    start = posterior_edge_mm(segment) - _CANAL_MM
    origin = frame.world([0.0, start, lattice.second_mm[0]])
    steps = np.stack([-SIGHT_STEP_MM * frame.anterior, side.sign * PITCH_MM * frame.right, PITCH_MM * frame.cranial])
    levels = bone.sample_box(origin, steps, (int(_BEHIND_MM / SIGHT_STEP_MM), *lattice.shape))
    return np.asarray(levels.min(axis=0), dtype=np.float64)


def _lowest(level: FloatArray, height_mm: FloatArray) -> FloatArray:
    """Height at which a bone begins in each column, from below, shape (n,); NaN where it has none, or begins beneath the window."""
    bone = level < 0
    first = bone.argmax(axis=1)
    has = bone.any(axis=1) & (first > 0)
    rows, above = np.flatnonzero(has), first[has]
    free, inside = level[rows, above - 1], level[rows, above]
    result = np.full(len(level), np.nan)
    result[rows] = height_mm[above - 1] + (height_mm[above] - height_mm[above - 1]) * free / (free - inside)
    return result


def _highest_stretch(out_mm: FloatArray, height_mm: FloatArray) -> tuple[float, slice]:
    """The greatest mean height over a stretch of columns medial to the joint, and those columns; 0 where there is none."""
    joint = (out_mm >= _NEAREST_JOINT_MM) & ~(height_mm > -_JOINT_OVERLAP_MM)
    columns = int(joint.argmax()) if joint.any() else len(out_mm)
    wide = round(_STRETCH_MM / PITCH_MM) + 1
    means = [float(height_mm[first : first + wide].mean()) for first in range(columns - wide + 1)]
    if not np.isfinite(means).any():
        return 0.0, slice(0, 0)
    best = int(np.nanargmax(means))
    return means[best], slice(best, best + wide)


def _along_row(level: FloatArray, lattice: Lattice, height_mm: float) -> FloatArray:
    """Levels along one row, between the lattice's, shape (n,)."""
    place = (height_mm - lattice.second_mm[0]) / lattice.pitch_mm
    below = int(place)
    return np.asarray(level[:, below] + (place - below) * (level[:, below + 1] - level[:, below]))
