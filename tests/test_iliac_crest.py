"""The height of the iliac crest, and when what is labelled of a hip bone does not show it."""

from __future__ import annotations

import numpy as np
import pytest

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.measurement import NotMeasurable
from kambin.measurement.iliac_crest import iliac_crest_height
from kambin.reconstruction import reconstruct
from kambin.volume import Grid, Segmentation
from lego import LegoSpine

SPINE = LegoSpine(levels=(Level.L4, Level.L5, Level.S1))
L4_L5_MM = -SPINE.pitch_mm / 2
S1_TOP_MM = -2 * SPINE.pitch_mm + SPINE.body_height_mm / 2


def crest_mm(top_mm: float, width_mm: float = 90.0) -> float:
    """ICH of L4/L5 on the right, of a wing that rises outwards to so high at 75 mm from the midline, in a field of such a half width."""
    whole = SPINE.segmentation(1.0)
    wide = np.pad(whole.labels, ((30, 30), (0, 0), (10, 10)))
    affine = whole.grid.world_from_voxel.copy()
    affine[:3, 3] -= affine[:3, :3] @ (30, 0, 10)
    grid = Grid(wide.shape, affine)
    x, y, z = np.moveaxis(grid.world(np.stack(np.meshgrid(*map(np.arange, wide.shape), indexing="ij"), axis=-1)), -1, 0)
    wing = (x > 62) & (x < 80) & (abs(y) < 20) & (z > S1_TOP_MM - 50) & (z < top_mm - 4.0 * np.maximum(abs(x - 75) - 4.0, 0.0))
    wide[wing] = 99
    kept = abs(x[:, 0, 0]) < width_mm
    affine[:3, 3] = grid.world([int(np.argmax(kept)), 0, 0])
    labels = np.ascontiguousarray(wide[kept])
    table = {**whole.table, 99: Structure(Kind.HIP, side=Side.RIGHT)}
    model = reconstruct(Segmentation(Grid(labels.shape, affine), labels, table))
    segment = model.segment("L4/L5")
    assert segment is not None
    return iliac_crest_height(model, segment, Side.RIGHT)[0]


@pytest.mark.parametrize("over_mm", [-12.0, 9.0])
def test_the_top_of_the_wing(over_mm: float) -> None:
    assert crest_mm(L4_L5_MM + over_mm) == pytest.approx(over_mm, abs=0.6)


@pytest.mark.parametrize("width_mm", [70.0, 76.5])
def test_a_wing_that_rises_out_of_the_field_of_view_is_refused(width_mm: float) -> None:
    with pytest.raises(NotMeasurable, match="the right iliac crest is cut by the border of the field of view"):
        crest_mm(L4_L5_MM + 9.0, width_mm)


def test_a_piece_below_the_sacral_endplate_is_no_crest() -> None:
    with pytest.raises(NotMeasurable, match="what is labelled of the right hip bone lies below the sacral endplate"):
        crest_mm(S1_TOP_MM - 5.0)
