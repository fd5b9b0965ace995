"""Slip against shifts that were made."""

from __future__ import annotations

import numpy as np
import pytest

from kambin.anatomy import Kind, Level, Structure
from kambin.measurement import measure
from kambin.reconstruction import reconstruct
from kambin.volume import Segmentation
from lego import LegoSpine


def slipped(voxels: int, spacing_mm: float) -> Segmentation:
    """L4 of the spine of boxes moved forward on L5."""
    base = LegoSpine(levels=(Level.L4, Level.L5)).segmentation(spacing_mm)
    (number,) = (n for n, structure in base.table.items() if structure == Structure(Kind.VERTEBRA, Level.L4))
    bone = base.labels == number
    labels = np.where(bone, 0, base.labels)
    return Segmentation(base.grid, np.where(np.roll(bone, voxels, axis=1), number, labels).astype(np.uint16), base.table)


@pytest.mark.parametrize(("voxels", "spacing_mm"), [(4, 1.0), (-3, 1.0), (2, 2.0)])
def test_a_shift_is_read_as_slip(voxels: int, spacing_mm: float) -> None:
    measured = measure(reconstruct(slipped(voxels, spacing_mm)))
    true = voxels * spacing_mm
    assert measured.value("SL", "L4/L5") == pytest.approx(true, abs=0.3)
    assert measured.value("SL%", "L4/L5") == pytest.approx(100.0 * true / LegoSpine().body_depth_mm, abs=1.5)
