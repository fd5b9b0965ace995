"""The map of directions against a ball seen from within."""

from __future__ import annotations

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import Frame
from kambin.planning.entry_map import entry_map, skin_distances_mm
from kambin.planning.search import Lines
from kambin.reconstruction.shape import solid_from_mask
from kambin.spine import SpineModel
from kambin.volume import Grid

FRAME = Frame(np.zeros(3), np.eye(3))


def ball(radius_mm: float, *, labelled: bool = True) -> SpineModel:
    """A round trunk about the origin, in a field of view of ±60 mm."""
    grid = Grid.axis_aligned((61, 61, 61), 2.0, (-60.0, -60.0, -60.0))
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    mask = np.linalg.norm(points, axis=-1) <= radius_mm
    solids = {Structure(Kind.TRUNK): solid_from_mask(mask, grid)} if labelled else {}
    return SpineModel(grid, mask.astype(np.uint16), {1: Structure(Kind.TRUNK)}, (), (), {}, solids, FRAME)


def swept(alphas: list[float], tilts: list[float], slack_mm: list[list[list[float]]]) -> Lines:
    """Lines of some targets (first), alphas and tilts."""
    values = np.array(slack_mm)
    which, a, c = (each.ravel() for each in np.meshgrid(np.arange(len(values)), alphas, tilts, indexing="ij"))
    return Lines(np.zeros((len(which), 3)), a, c, values.ravel(), np.zeros(len(which)))


def test_every_direction_shows_its_best_target_less_the_radius() -> None:
    lines = swept([20.0, 40.0], [-5.0, 0.0, 5.0], [[[5, 1, 3], [2, 8, 0.5]], [[4, 6, 3], [9, 7, -1]]])
    found = entry_map(ball(40.0), FRAME, Side.LEFT, np.zeros(3), lines, 4.0)
    np.testing.assert_array_equal(found.alpha_deg, [20, 40])
    np.testing.assert_array_equal(found.cranial_deg, [-5, 0, 5])
    np.testing.assert_allclose(found.slack_mm, [[1, 2, -1], [5, 4, -3.5]])


def test_the_skin_of_a_ball_is_its_radius_away_in_every_direction() -> None:
    lines = swept([10.0, 45.0, 80.0], [-10.0, 40.0], np.zeros((1, 3, 2)).tolist())
    found = entry_map(ball(40.0), FRAME, Side.RIGHT, np.zeros(3), lines, 4.0)
    np.testing.assert_allclose(found.skin_mm, 40.0, atol=2.5)


def test_off_the_middle_each_side_is_as_far_as_it_is() -> None:
    found = skin_distances_mm(ball(40.0), np.array([10.0, 0.0, 0.0]), [[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0]])
    np.testing.assert_allclose(found, [30.0, 50.0, np.sqrt(40.0**2 - 10.0**2)], atol=2.5)


@pytest.mark.parametrize("model", [ball(40.0, labelled=False), ball(95.0)], ids=["no skin", "beyond the field of view"])
def test_an_unknown_skin_is_unknown(model: SpineModel) -> None:
    assert np.isnan(skin_distances_mm(model, np.zeros(3), [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])).all()
