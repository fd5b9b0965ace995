"""Distances on lattices and to surfaces, against closed forms, scipy and trimesh."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from kambin.geometry.mesh_distance import closest_points_between, mesh_distance_mm
from kambin.reconstruction.distance import as_distance, distance_mm, refined, signed_distance_mm
from kambin.spine import SurfaceMesh


def surface(mesh: trimesh.Trimesh) -> SurfaceMesh:
    return SurfaceMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def moved(mesh: trimesh.Trimesh, offset) -> SurfaceMesh:
    copy = mesh.copy()
    copy.apply_translation(offset)
    return surface(copy)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spacing=st.tuples(*[st.floats(0.3, 4.0)] * 3), order=st.sampled_from("CF"))
def test_distance_is_scipys(seed, spacing, order):
    mask = np.asarray(np.random.default_rng(seed).random((9, 11, 7)) < 0.8, order=order)
    mask[0, 0, 0] = False
    np.testing.assert_allclose(distance_mm(mask, spacing), distance_transform_edt(mask, sampling=spacing), rtol=1e-5, atol=1e-5)


def test_signed_distance_is_zero_midway_between_voxels():
    mask = np.zeros((9, 3, 3), dtype=bool)
    mask[:4] = True
    line = signed_distance_mm(mask, (2.0, 1.0, 1.0))[:, 1, 1]
    np.testing.assert_allclose(line, [-8, -6, -4, -2, 2, 4, 6, 8, 10])


def test_distances_need_both_classes():
    with pytest.raises(ValueError, match="false voxel"):
        distance_mm(np.ones((3, 3, 3), dtype=bool), 1.0)
    with pytest.raises(ValueError, match="true voxel"):
        signed_distance_mm(np.zeros((3, 3, 3), dtype=bool), 1.0)


def test_refined_reproduces_linear_fields():
    x, y, z = np.meshgrid(np.arange(4.0), np.arange(5.0), np.arange(3.0), indexing="ij")
    fine = refined((2 * x - y + 3 * z).astype(np.float32), (3, 1, 4))
    fx, fy, fz = np.meshgrid(np.arange(10) / 3, np.arange(5.0), np.arange(9) / 4, indexing="ij")
    assert fine.shape == fx.shape
    np.testing.assert_allclose(fine, 2 * fx - fy + 3 * fz, atol=1e-5)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 0.8), (0.6, 0.6, 0.9)])
@pytest.mark.parametrize("stretch", [0.95, 1.0, 1.1])
def test_as_distance_of_a_distorted_ball_is_the_distance(spacing, stretch):
    """The field (r² - R²) / 2 R has the ball's surface, but is a distance nowhere else; the result must be r - R."""
    centre = np.array([14.3, 13.8, 14.1])
    lattice = np.stack(np.meshgrid(*[np.arange(0, 28, s) for s in spacing], indexing="ij"), axis=-1)
    distance = np.linalg.norm(lattice - centre, axis=-1) - 9
    result = as_distance((stretch * distance * (distance + 18) / 18).astype(np.float32), spacing, 4.0)
    for reach, rms in ((0.7, 0.03), (1.5, 0.06), (2.0, 0.08)):
        assert np.sqrt(np.square(result - distance)[np.abs(distance) < reach].mean()) < rms
    assert np.abs(result - distance)[np.abs(distance) < 2.2].max() < 0.35
    assert np.abs(result).max() <= 4.0


def test_as_distance_of_a_plane_is_exact():
    normal = np.array([2.0, -1.0, 2.0]) / 3
    lattice = np.moveaxis(np.indices((24, 24, 24)), 0, -1) - 11.7
    plane = lattice @ normal
    result = as_distance((1.1 * plane).astype(np.float32), (1.0, 1.0, 1.0), 3.0)
    # Away from the lattice's border, from which nothing flows in.
    inner = np.zeros(plane.shape, dtype=bool)
    inner[6:-6, 6:-6, 6:-6] = True
    np.testing.assert_allclose(result[inner & (np.abs(plane) < 2)], plane[inner & (np.abs(plane) < 2)], atol=0.02)
    with pytest.raises(ValueError, match="both signs"):
        as_distance(np.ones((4, 4, 4), dtype=np.float32), 1.0, 3.0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_points_to_mesh_is_trimeshs(seed):
    rng = np.random.default_rng(seed)
    mesh = trimesh.creation.torus(8, 3, major_sections=24, minor_sections=10)
    mesh.apply_transform(trimesh.transformations.random_rotation_matrix(rng.random(3)))
    points = rng.uniform(-15, 15, (60, 3))
    result = mesh_distance_mm(points, surface(mesh))
    # Point by point against every triangle, by trimesh's own routine: independent of any search tree.
    for point, distance in zip(points, result.distance_mm, strict=True):
        feet = trimesh.triangles.closest_point(mesh.triangles, np.tile(point, (len(mesh.faces), 1)))
        assert distance == pytest.approx(np.linalg.norm(feet - point, axis=1).min(), abs=1e-9)
    np.testing.assert_allclose(np.linalg.norm(result.points_mm - points, axis=1), result.distance_mm, atol=1e-9)
    feet = trimesh.triangles.closest_point(mesh.triangles[result.faces], result.points_mm)
    np.testing.assert_allclose(feet, result.points_mm, atol=1e-9)


def test_points_to_a_box_of_large_triangles_in_closed_form():
    box = surface(trimesh.creation.box((20.0, 12.0, 8.0)))
    points = np.random.default_rng(1).uniform(-20, 20, (500, 3))
    outside = np.abs(points) - [10, 6, 4]
    expected = np.where(
        (outside < 0).all(axis=1), -outside.max(axis=1), np.linalg.norm(np.maximum(outside, 0), axis=1)
    )
    np.testing.assert_allclose(mesh_distance_mm(points, box).distance_mm, expected, atol=1e-9)


def test_triangles_of_very_different_sizes():
    small = trimesh.creation.icosphere(3, 1.0)
    small.apply_translation((0, 0, 30))
    both = trimesh.util.concatenate([trimesh.creation.box((200.0, 200.0, 2.0)), small])
    result = mesh_distance_mm([[70.0, -60.0, 5.0], [0.0, 0.0, 33.0], [0.0, 0.0, 10.0]], surface(both))
    np.testing.assert_allclose(result.distance_mm, [4.0, 2.0, 9.0], atol=1e-9)


def test_triangle_without_area_is_a_segment():
    mesh = SurfaceMesh(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(mesh_distance_mm([[0.5, 3, 0], [5, 0, 4]], mesh).distance_mm, [3, 5])


def test_distance_refuses_empty_meshes_and_wild_points():
    empty = SurfaceMesh(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
    ball = surface(trimesh.creation.icosphere(1))
    with pytest.raises(ValueError, match="at least one face"):
        mesh_distance_mm([[0, 0, 0]], empty)
    with pytest.raises(ValueError, match="at least one face"):
        closest_points_between(ball, empty)
    with pytest.raises(ValueError, match="finite"):
        mesh_distance_mm([[np.nan, 0, 0]], ball)
    assert mesh_distance_mm(np.empty((0, 3)), ball).distance_mm.shape == (0,)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_two_boxes_edge_to_edge_and_corner_to_face(seed):
    """Two rotated boxes, their distance by least squares within both (a convex problem: another method altogether)."""
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(seed)
    turns = [trimesh.transformations.random_rotation_matrix(rng.random(3))[:3, :3] for _ in range(2)]
    halves = [np.array([4.0, 3, 2]), np.array([2.0, 5, 1])]
    shift = rng.normal(size=3)
    shift *= 14 / np.linalg.norm(shift)
    meshes = []
    for turn, half, offset in zip(turns, halves, (np.zeros(3), shift), strict=True):
        box = trimesh.creation.box(2 * half)
        meshes.append(SurfaceMesh(box.vertices @ turn.T + offset, box.faces))

    limits = np.concatenate(halves)
    best = lsq_linear(np.hstack([turns[0], -turns[1]]), shift, (-limits, limits), method="bvls", tol=1e-14)
    expected = np.sqrt(2 * best.cost)
    pair = closest_points_between(*meshes)
    assert pair.distance_mm == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(pair.first_mm - pair.second_mm) == pytest.approx(pair.distance_mm)


def test_two_balls_and_the_points_between_them():
    ball = trimesh.creation.icosphere(4, 10.0)
    pair = closest_points_between(surface(ball), moved(ball, (0, 0, 23.5)))
    assert pair.distance_mm == pytest.approx(3.5, abs=0.05)
    np.testing.assert_allclose(pair.first_mm[2], 10, atol=0.05)
    swapped = closest_points_between(moved(ball, (0, 0, 23.5)), surface(ball))
    assert swapped.distance_mm == pytest.approx(pair.distance_mm, abs=1e-12)


def test_linked_tori_and_crossing_boxes():
    torus = trimesh.creation.torus(10, 2, major_sections=96, minor_sections=48)
    other = torus.copy()
    other.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    other.apply_translation((10, 0, 0))
    # Each centre line passes through the middle of the other ring: 10 mm apart, less two radii of 2 mm.
    assert closest_points_between(surface(torus), surface(other)).distance_mm == pytest.approx(6.0, abs=0.05)
    box = trimesh.creation.box((10.0, 1, 1))
    assert closest_points_between(surface(box), surface(trimesh.creation.box((1.0, 10, 1)))).distance_mm == pytest.approx(0, abs=1e-12)
    assert closest_points_between(surface(box), surface(trimesh.creation.box((30.0, 30, 30)))).distance_mm == pytest.approx(10.0)
