"""Tiles: the same numbers as a plain computation on the whole image, in memory that a budget bounds."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.special import softmax as scipy_softmax

from kambin.segmentation.bundle_fields import Blend, Padding, Weights
from kambin.segmentation.crew import Crew
from kambin.segmentation.onto_scan import OntoScan
from kambin.segmentation.rescale import Axis, Rescaling, grid_of
from kambin.segmentation.tiles import (
    TilePlan,
    finished_rows,
    padded,
    planned,
    predict_probabilities,
    sheet_bytes,
    softmax,
    starts_along,
    tile_shape,
    tile_weights,
)
from kambin.volume import Grid

RNG = np.random.default_rng(5)


def network(tile: np.ndarray) -> np.ndarray:
    """Three scores that depend on where in a tile a voxel lies, so that blending matters."""
    mean = tile.mean()
    ramp = np.linspace(-1, 1, tile.shape[2], dtype=np.float32)
    return np.stack([tile, tile * ramp + mean, 1 - tile * tile + 0.2 * ramp[::-1]]).astype(np.float32)


def plain_scores(image: np.ndarray, plan: TilePlan, weights: np.ndarray) -> np.ndarray:
    """All tiles at once, in double precision, whole arrays."""
    total = np.zeros((3, *image.shape))
    counts = np.zeros(image.shape)
    for x in plan.starts[0]:
        for y in plan.starts[1]:
            for z in plan.starts[2]:
                box = tuple(slice(s, s + n) for s, n in zip((x, y, z), plan.tile, strict=True))
                total[(slice(None), *box)] += network(image[box]).astype(float) * weights
                counts[box] += weights
    return total / counts


def whole(image: np.ndarray, plan: TilePlan, weights: np.ndarray) -> np.ndarray:
    """What `finished_rows` gives, put together."""
    result = np.full((3, *image.shape), np.nan, dtype=np.float32)
    for row in finished_rows(network, image, plan, 3, weights=weights):
        where: list = [slice(None)] * 4
        where[1 + plan.sweep] = row.index
        where[1 + plan.band_axis] = slice(*row.band)
        result[tuple(where)] = row.scores
    return result


@pytest.mark.parametrize("shape", [(20, 33, 47), (47, 20, 33), (33, 47, 20), (16, 16, 16), (16, 40, 17)])
@pytest.mark.parametrize("bands", [1, 2, 5])
def test_tiles_give_what_a_plain_computation_gives(shape, bands) -> None:
    image = RNG.normal(size=shape).astype(np.float32)
    tile = (16, 16, 16)
    one = planned(shape, tile, (8, 7, 5), 3)
    plan = planned(shape, tile, (8, 7, 5), 3, sheet_bytes(shape, tile, one.sweep, 3) // bands + 1)
    assert 1 <= len(plan.bands) <= bands
    weights = tile_weights(tile, Weights.GAUSSIAN)
    np.testing.assert_allclose(whole(image, plan, weights), plain_scores(image, plan, weights), atol=2e-5)


@pytest.mark.parametrize("workers", [2, 3, 40])
def test_more_threads_give_the_same_to_the_last_bit(workers) -> None:
    image = RNG.normal(size=(20, 33, 47)).astype(np.float32)
    plan, weights = planned(image.shape, (16, 16, 16), (8, 7, 5), 3), tile_weights((16, 16, 16), Weights.GAUSSIAN)
    with Crew(workers) as crew:
        rows = [row.scores.copy() for row in finished_rows(network, image, plan, 3, weights=weights, crew=crew)]
    alone = [row.scores.copy() for row in finished_rows(network, image, plan, 3, weights=weights)]
    np.testing.assert_array_equal(rows, alone)


@pytest.mark.parametrize(("length", "workers"), [(10, 3), (2, 4), (0, 2), (7, 1)])
def test_a_crew_does_each_row_once(length, workers) -> None:
    done = np.zeros(length, dtype=int)

    def task(some: slice) -> None:
        done[some] += 1

    with Crew(workers) as crew:
        crew.share(length, task)
    assert (done == 1).all()


def test_what_goes_wrong_in_a_thread_is_raised() -> None:
    with Crew(2) as crew, pytest.raises(ZeroDivisionError):
        crew.share(2, lambda some: some.start // 0)


def test_blended_probabilities_are_those_of_the_plain_sum() -> None:
    image = RNG.normal(size=(20, 30, 26)).astype(np.float32)
    found = predict_probabilities(network, image, (16, 16, 16), 3, weights=Weights.UNIFORM, blend=Blend.PROBABILITIES)
    plan = planned((20, 30, 26), (16, 16, 16), None, 3)
    total, counts = np.zeros((3, *image.shape)), np.zeros(image.shape)
    for x in plan.starts[0]:
        for y in plan.starts[1]:
            for z in plan.starts[2]:
                box = tuple(slice(s, s + 16) for s in (x, y, z))
                total[(slice(None), *box)] += scipy_softmax(network(image[box]).astype(float), axis=0)
                counts[box] += 1
    np.testing.assert_allclose(found, total / counts, atol=1e-6)


def test_a_network_that_sees_one_voxel_gives_its_own_answer_whatever_the_tiles() -> None:
    image = RNG.normal(size=(37, 21, 29)).astype(np.float32)

    def pointwise(tile: np.ndarray) -> np.ndarray:
        return np.stack([tile, 1 - tile, 0.5 * tile])

    expected = scipy_softmax(np.stack([image, 1 - image, 0.5 * image]).astype(float), axis=0)
    for patch in ((16, 16, 16), (8, 32, 16), (64, 64, 64)):
        found = predict_probabilities(pointwise, image, patch, 3, multiple=8)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@given(st.integers(1, 300), st.integers(1, 64), st.integers(1, 64))
def test_tiles_leave_no_gap_and_do_not_reach_beyond(length, tile, stride) -> None:
    stride = min(tile, stride)
    starts = starts_along(length, tile, stride)
    assert starts[0] == 0
    assert tile >= length or starts[-1] == length - tile
    steps = np.diff(starts)
    assert (steps >= 0).all()
    assert steps.max(initial=0) <= math.ceil(stride)


def test_a_gaussian_is_symmetric_and_largest_in_the_middle() -> None:
    weights = tile_weights((16, 24, 9), Weights.GAUSSIAN)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1, ::-1])
    assert weights.max() == weights[8, 12, 4] == 1
    assert weights.min() == np.float32(1e-3)


@pytest.mark.parametrize("how", list(Padding))
def test_a_tiny_image_is_padded_about_its_middle(how) -> None:
    image = RNG.normal(size=(5, 16, 11)).astype(np.float32)
    tile = tile_shape((5, 16, 11), (32, 16, 64), 8)
    assert tile == (8, 16, 16)
    big, inner = padded(image, tile, how)
    assert big.shape == tile
    np.testing.assert_array_equal(big[inner], image)
    assert big[0, 0, 0] == (0 if how is Padding.ZERO else image[0, 0, 0])


def test_tiles_that_are_not_wanted_are_not_computed() -> None:
    image = np.zeros((16, 16, 64), dtype=np.float32)
    plan = planned((16, 16, 64), (16, 16, 16), (16, 16, 16), 3)
    seen = []

    def counting(tile: np.ndarray) -> np.ndarray:
        seen.append(tile.shape)
        return network(tile)

    rows = {row.index: bool(row.covered.all()) for row in finished_rows(counting, image, plan, 3, wanted=lambda s: s[2] == 16)}
    assert len(seen) == 1
    assert [index for index, covered in rows.items() if covered] == list(range(16, 32))


def test_softmax_is_scipys() -> None:
    scores = RNG.normal(size=(5, 7, 3)).astype(np.float32) * 30
    np.testing.assert_allclose(softmax(scores), scipy_softmax(scores.astype(float), axis=0), atol=1e-6)


def test_memory_stays_with_the_sheet_however_long_the_image() -> None:
    """Accumulators of 12 classes over this image would take 12 times its size."""
    shape, tile, classes = (48, 48, 768), (32, 32, 32), 12
    image = np.zeros(shape, dtype=np.float32)
    scores = np.zeros((classes, *tile), dtype=np.float32)
    budget = 4 << 20
    plan = planned(shape, tile, None, classes, budget)
    assert len(plan.bands) > 0
    tracemalloc.start()
    for _ in finished_rows(lambda _: scores, image, plan, classes):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sheet = sheet_bytes(shape, tile, plan.sweep, classes) / len(plan.bands) + 4 * classes * (48 * 48)
    assert peak < sheet + 1.2e6
    assert peak < 0.2 * image.nbytes * classes


# --- from a scan's voxels to the network's and back ---


@pytest.mark.parametrize(("size", "ratio"), [(60, 2.0), (60, 3.0), (60, 1.5), (60, 0.5), (40, 0.25)])
def test_values_are_resampled_as_pillow_does(size, ratio) -> None:
    """Pillow's bilinear filter widens as it shrinks, which is the same triangle."""
    values = RNG.normal(size=(size, 1, 1)).astype(np.float32)
    rescaling = Rescaling((Axis.of(size, 1.0, ratio), Axis.of(1, 1.0, 1.0), Axis.of(1, 1.0, 1.0)))
    found = rescaling.image(values)[:, 0, 0]
    image = Image.fromarray(np.repeat(values[:, 0].T, 2, axis=0))
    expected = np.asarray(image.resize((len(found), 2), Image.Resampling.BILINEAR))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_linear_field_stays_linear_and_a_box_is_the_same_part_of_it() -> None:
    grid = Grid.axis_aligned((40, 30, 12), (0.7, 0.7, 4.0), (-10.0, 5.0, 100.0))
    rescaling = Rescaling.of(grid, (1.0, 1.0, 1.0))
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    values = world @ np.array([0.3, -0.2, 0.7])
    image = rescaling.image(values)
    fine = grid_of(grid, rescaling)
    assert image.shape == fine.shape == rescaling.model_shape
    np.testing.assert_allclose(fine.spacing_mm, 1.0, atol=1e-5)
    np.testing.assert_allclose(fine.corners_mm().mean(axis=0), grid.corners_mm().mean(axis=0), atol=1e-9)
    expected = fine.world(np.moveaxis(np.indices(fine.shape), 0, -1)) @ np.array([0.3, -0.2, 0.7])
    inner = (slice(2, -2), slice(2, -2), slice(3, -3))
    np.testing.assert_allclose(image[inner], expected[inner], atol=0.01)  # millimetres: a triangle is sampled, not integrated
    box = (slice(3, 20), slice(4, 17), slice(5, 30))
    np.testing.assert_allclose(rescaling.image(values, box), image[box], atol=1e-5)


def test_what_is_finer_than_the_networks_voxels_is_averaged() -> None:
    stripes = np.tile(np.array([0.0, 100.0], dtype=np.float32), 60)[:, None, None]
    rescaling = Rescaling((Axis.of(120, 0.5, 2.0), Axis.of(1, 1.0, None), Axis.of(1, 1.0, None)))
    np.testing.assert_allclose(rescaling.image(stripes)[1:-1], 50.0, atol=1.0)


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0), (0.4, 0.5, 1.3), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("bands", [1, 3])
def test_classes_on_the_scan_are_those_of_interpolated_probabilities(spacing, bands) -> None:
    grid = Grid.axis_aligned((22, 18, 9), (0.8, 0.7, 3.0))
    rescaling = Rescaling.of(grid, spacing)
    shape = rescaling.model_shape
    image = RNG.normal(size=shape).astype(np.float32)
    tile = tile_shape(shape, (16, 16, 16), 1)
    sweep = planned(shape, tile, None, 3).sweep
    plan = planned(shape, tile, None, 3, sheet_bytes(shape, tile, sweep, 3) // bands + 1)
    classes, confidence = np.full(grid.shape, 99, np.uint8), np.zeros(grid.shape, np.uint8)
    box = tuple(slice(0, n) for n in shape)
    onto = OntoScan(plan, rescaling, box, box, Blend.LOGITS, classes, confidence)
    for row in finished_rows(network, image, plan, 3):
        onto.take(row)
    expected = scipy_softmax(plain_scores(image, plan, tile_weights(tile, Weights.GAUSSIAN)), axis=0)
    for axis, one in enumerate(rescaling.axes):
        at = np.clip(one.model_positions(), 0, one.model - 1)
        expected = np.apply_along_axis(lambda v, at=at: np.interp(at, np.arange(len(v)), v), 1 + axis, expected)
    sure = np.sort(expected, axis=0)[-1] - np.sort(expected, axis=0)[-2] > 1e-4
    np.testing.assert_array_equal(classes[sure], expected.argmax(axis=0)[sure])
    np.testing.assert_allclose(confidence / 255, expected.max(axis=0), atol=0.5 / 255 + 1e-4)
