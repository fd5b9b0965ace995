"""Grids and resampling: storage order never matters, and another program finds the same places."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from kambin.anatomy import Kind, Level, Structure
from kambin.errors import InputError
from kambin.volume import Grid, Scan, Segmentation, canonical
from kambin.volume.resample import box_text, ensure_overlap, linear, nearest, resample_labels, resample_scan, skew_deg, straightened
from storages import STORAGES, oblique_grids, rotation, stored


@settings(deadline=None)
@given(oblique_grids(), st.sampled_from(STORAGES))
def test_canonical_undoes_any_storage(grid: Grid, storage: tuple[tuple[int, ...], tuple[bool, ...]]) -> None:
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    other, other_grid = stored(array, grid, *storage)
    before = other.copy()
    back, back_grid = canonical(other, other_grid)
    assert np.array_equal(back, array)
    assert np.abs(back_grid.world_from_voxel - grid.world_from_voxel).max() < 1e-9
    assert np.array_equal(other, before)
    assert back_grid.orientation == "RAS"


def test_orientation_letters_are_nibabels() -> None:
    import nibabel as nib

    base = Grid.axis_aligned((2, 3, 4), (1, 2, 3))
    for order, flips in STORAGES:
        _, grid = stored(np.zeros(base.shape), base, order, flips)
        assert grid.orientation == "".join(nib.aff2axcodes(grid.world_from_voxel))


def test_voxel_undoes_world() -> None:
    grid = Grid((4, 5, 6), np.vstack([np.column_stack([rotation(8, 1, -1, 1) / 64, [5, -3, 7]]), [0, 0, 0, 1]]))
    points = np.array([[0, 0, 0], [1.5, 2.25, 3.0], [3, 4, 5]])
    assert np.allclose(grid.voxel(grid.world(points)), points, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "affine", "told"),
    [
        ((0, 3, 3), np.eye(4), "at least one voxel"),
        ((3, 3, 3), np.full((4, 4), np.nan), "finite"),
        ((3, 3, 3), np.diag([1.0, 0, 1, 1]), "singular"),
        ((3, 3, 3), np.eye(3), "4 x 4"),
    ],
)
def test_a_bad_grid_says_why(shape: tuple[int, int, int], affine: np.ndarray, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Grid(shape, affine)


def sitk_image(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    lps = np.diag([-1, -1, 1]) @ grid.world_from_voxel[:3]
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection((lps[:, :3] / grid.spacing_mm).ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    return image


def test_resampling_agrees_with_simpleitk() -> None:
    rng = np.random.default_rng(1)
    source = Grid((14, 12, 10), np.vstack([np.column_stack([rotation(8, 1, -1, 1) / 48, [5, -3, 7]]), [0, 0, 0, 1]]))
    target = Grid.axis_aligned((16, 15, 9), (1.1, 0.9, 1.7), source.corners_mm().mean(axis=0) - 6)
    values = rng.normal(size=source.shape).astype(np.float32)
    labels = rng.integers(0, 5, size=source.shape).astype(np.uint16)
    for array, ours, method in ((values, linear, sitk.sitkLinear), (labels, nearest, sitk.sitkNearestNeighbor)):
        reference = sitk_image(np.zeros(target.shape, array.dtype), target)
        theirs = sitk.Resample(sitk_image(array, source), reference, sitk.Transform(), method, 0)
        expected = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)
        mine = ours(array, source, target)
        inside = source.voxel(target.world(np.moveaxis(np.indices(target.shape), 0, -1)))
        well_inside = np.all((inside > 0) & (inside < np.array(source.shape) - 1), axis=-1)
        assert well_inside.sum() > 200
        assert np.allclose(mine[well_inside], expected[well_inside], atol=1e-5)
        assert mine.dtype == array.dtype


def segmentation(grid: Grid) -> Segmentation:
    labels = np.zeros(grid.shape, np.uint16)
    labels[2:-2, 2:-2, 2:-2] = 24
    return Segmentation(grid, labels, {24: Structure(Kind.VERTEBRA, Level.L5)})


@settings(max_examples=20, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3))
def test_labels_shift_with_the_grid(i: int, j: int, k: int) -> None:
    seg = segmentation(Grid.axis_aligned((12, 11, 10), (1, 2, 3)))
    moved = resample_labels(seg, seg.grid.crop((i, j, k), (i + 12, j + 11, k + 10)))
    for axis, shift in enumerate((i, j, k)):
        seen = np.flatnonzero(moved.labels.any(axis=tuple(a for a in range(3) if a != axis)))
        assert seen[0] == max(0, 2 - shift)
    assert moved.table == seg.table


def test_resampling_to_the_same_grid_is_nothing() -> None:
    seg = segmentation(Grid.axis_aligned((8, 8, 8), 1))
    scan = Scan(seg.grid, np.zeros(seg.grid.shape))
    assert resample_labels(seg, seg.grid) is seg
    assert resample_scan(scan, seg.grid) is scan


def test_a_linear_ramp_is_kept_by_resampling() -> None:
    grid = Grid.axis_aligned((20, 20, 20), (1, 1, 2), (-10, -10, -20))
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    scan = Scan(grid, (2 * x - y + 0.5 * z).astype(np.float32))
    target = Grid.axis_aligned((10, 10, 10), 0.7, (-3, -3, -3))
    out = resample_scan(scan, target)
    x, y, z = np.moveaxis(target.world(np.moveaxis(np.indices(target.shape), 0, -1)), -1, 0)
    assert np.allclose(out.values, 2 * x - y + 0.5 * z, atol=1e-4)


def test_grids_far_apart_are_refused_with_both_boxes() -> None:
    first, second = Grid.axis_aligned((10, 10, 10), 1), Grid.axis_aligned((10, 10, 10), 1, (500, 0, 0))
    with pytest.raises(InputError, match=r"the scan spans x -0 to 10.*the label map spans x 500 to 510"):
        ensure_overlap(first, second)
    with pytest.raises(InputError, match="share none"):
        resample_labels(segmentation(first), second)
    ensure_overlap(first, Grid.axis_aligned((1, 1, 1), 1, (4, 4, 4)))  # a small one inside a large one overlaps
    assert "mm (RAS)" in box_text(first)


def test_straightening_covers_a_tilted_volume() -> None:
    tilt = np.radians(15)
    affine = np.eye(4)
    affine[:3, 2] = 3 * np.array([0, np.sin(tilt), np.cos(tilt)])
    grid = Grid((10, 12, 14), affine)
    straight = straightened(grid)
    assert skew_deg(grid) == pytest.approx(15)
    assert skew_deg(straight) == pytest.approx(0, abs=1e-9)
    assert straight.spacing_mm == pytest.approx([1, 1, 3 * np.cos(tilt)])
    corners = grid.world(np.indices((2, 2, 2)).reshape(3, 8).T * (np.array(grid.shape) - 1))
    inside = straight.voxel(corners)
    assert (inside > -1e-6).all()
    assert (inside < np.array(straight.shape) - 1 + 1e-6).all()
