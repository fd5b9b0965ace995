"""Where the vertebral canal runs past a vertebra: the hole in the bone seen along the column.

Projected along the column, the ring of body, pedicles and laminae is closed even where no single axial slice shows it whole,
and the hole in
that projection is the vertebral foramen. Its centre tells what is anterior, its front wall where the body ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, Frame
from kambin.geometry.hole import Hole, Lattice, NoHole, find_hole
from kambin.geometry.section import polygon_centroid
from kambin.spine import Solid

_PITCH_MM = 0.6
_MAX_BRIDGE_MM = 14.0
"""A lamina may be missing from a label map, or cleft (spina bifida occulta): its gap is bridged up to this width."""


@dataclass(frozen=True, eq=False)
class VertebralForamen:
    """The vertebral foramen in a vertebra's frame (right, anterior), millimetres.

    Parameters
    ----------
    hole
        The hole of the projection along *cranial*.
    centre_mm
        RAS position of its centroid at the height of the frame's origin.
    wall_at
        Coefficients (w0, w1) of the body's posterior wall near the midline: anterior = w0 + w1 * cranial.
    """

    hole: Hole
    centre_mm: FloatArray
    wall_at: tuple[float, float]

    def wall(self, cranial_mm: FloatArray | float) -> FloatArray:
        """Anterior coordinate of the posterior wall at the given heights."""
        return np.asarray(self.wall_at[0] + self.wall_at[1] * np.asarray(cranial_mm, dtype=np.float64))


def find_foramen(solid: Solid, frame: Frame, body_radius_mm: float, heights_mm: tuple[float, float]) -> VertebralForamen:
    """Find the vertebral foramen of one bone.

    Parameters
    ----------
    solid
        The whole vertebra.
    frame
        Origin at the body's centre, *cranial* along the column, *anterior* known to about 20 degrees.
    body_radius_mm
        Radius of the largest ball in the body: the canal lies behind it.
    heights_mm
        Range along *cranial* over which the bone is projected.

    Raises
    ------
    NoHole
        When the bone has no arch, or its ring is open too widely.
    """
    lattice = Lattice.window((-24.0, 24.0), (-body_radius_mm - 40.0, 6.0), _PITCH_MM)
    heights = np.arange(heights_mm[0], heights_mm[1] + 0.1, 1.0)
    plane = lattice.points()
    origin = frame.world([lattice.first_mm[0], lattice.second_mm[0], heights[0]])
    steps = frame.axes * np.array([_PITCH_MM, _PITCH_MM, 1.0])[:, None]
    level = solid.sample_box(origin, steps, (*lattice.shape, len(heights)))
    free = level.min(axis=2).astype(np.float64)
    behind = plane[..., 1]
    zone = (np.abs(plane[..., 0]) <= 9.0) & (behind < -0.8 * body_radius_mm) & (behind > -body_radius_mm - 24.0)
    hole = find_hole(free, lattice, zone, _MAX_BRIDGE_MM)
    if hole.inscribed_radius_mm < 3.0:
        raise NoHole(f"the vertebral foramen is only {2 * hole.inscribed_radius_mm:.1f} mm wide")
    centroid = polygon_centroid(hole.outline)
    return VertebralForamen(hole, frame.world([centroid[0], centroid[1], 0.0]), _posterior_wall(level, lattice, heights, centroid))


def _posterior_wall(level: npt.NDArray[np.float32], lattice: Lattice, heights: FloatArray, centroid: FloatArray) -> tuple[float, float]:
    """Fit the front wall of the canal: the first bone met going anterior from the canal's centre, near its midline."""
    columns = np.abs(lattice.first_mm - centroid[0]) <= 4.0
    start = int(np.searchsorted(lattice.second_mm, centroid[1]))
    ahead = level[columns, start:, :] < 0.0
    hit = np.asarray(ahead.any(axis=1), dtype=np.bool_)
    first = lattice.second_mm[start + ahead.argmax(axis=1)]
    enough = hit.mean(axis=0) > 0.5
    if enough.sum() < 4:
        return float(lattice.second_mm[start + int(ahead.any(axis=2).any(axis=0).argmax())]), 0.0
    wall = np.array([np.median(first[hit[:, k], k]) for k in np.flatnonzero(enough)])
    at = heights[enough]
    central = np.abs(wall - np.median(wall)) <= 4.0
    slope, offset = np.polyfit(at[central], wall[central], 1) if central.sum() >= 4 else (0.0, float(np.median(wall)))
    return float(offset), float(np.clip(slope, -0.4, 0.4))
