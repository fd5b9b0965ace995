"""Holes of silhouettes against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from kambin.geometry.hole import Lattice, NoHole, find_hole

RADIUS, GAP = 6.0, 2.0


def ring_with_joint(pitch_mm: float, reach_mm: float) -> tuple[np.ndarray, Lattice]:
    """A round hole that opens to the left into a gap with parallel walls, `reach_mm` long, wider beyond."""
    lattice = Lattice.window((-30.0, 14.0), (-12.0, 12.0), pitch_mm)
    x, y = np.moveaxis(lattice.points(), -1, 0)
    joint = np.where(x < 0, GAP / 2 - np.abs(y), -9.0)
    beyond = -RADIUS - reach_mm - x
    return np.maximum(np.maximum(RADIUS - np.hypot(x, y), joint), beyond), lattice


@pytest.mark.parametrize("reach_mm", [3.0, 8.0, 14.0])
@pytest.mark.parametrize("pitch_mm", [0.3, 0.5])
def test_a_joint_is_closed_where_the_hole_opens_into_it(pitch_mm: float, reach_mm: float) -> None:
    """However far the gap runs on, the hole is the disc without the segment beyond the chord between the mouth's two edges."""
    free, lattice = ring_with_joint(pitch_mm, reach_mm)
    hole = find_hole(free, lattice, np.hypot(*np.moveaxis(lattice.points(), -1, 0)) < 3.0, 14.0)
    (bridge,) = hole.bridges
    edge = -np.sqrt(RADIUS**2 - (GAP / 2) ** 2)
    assert np.sort(bridge[:, 1]) == pytest.approx([-GAP / 2, GAP / 2], abs=0.5 * pitch_mm)
    assert bridge[:, 0] == pytest.approx([edge, edge], abs=pitch_mm)
    assert hole.area_mm2 == pytest.approx(np.pi * RADIUS**2, rel=0.01)


def test_a_wide_gap_is_no_rim() -> None:
    free, lattice = ring_with_joint(0.5, 4.0)
    with pytest.raises(NoHole, match=r"open by 2\.\d mm, more than the 1 mm"):
        find_hole(free, lattice, np.hypot(*np.moveaxis(lattice.points(), -1, 0)) < 3.0, 1.0)
