"""The two forms of a shape: the mesh against closed forms and trimesh, the field against the function it was sampled from."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kambin.geometry.section import feret_without_ripple
from kambin.reconstruction.isosurface import guarded, zero_surface
from kambin.spine import Solid, SurfaceMesh
from kambin.volume import Grid


def surface(mesh):
    return SurfaceMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))


@settings(max_examples=15, deadline=None)
@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.tuples(*[st.floats(-500, 500)] * 3), scale=st.floats(0.1, 20))
def test_volume_and_area_are_trimeshs_and_move_with_the_mesh(turn, shift, scale):
    torus = trimesh.creation.torus(3, 1, major_sections=20, minor_sections=12)
    mesh = SurfaceMesh(scale * torus.vertices @ Rotation.from_rotvec(turn).as_matrix().T + shift, torus.faces)
    assert mesh.volume_mm3 == pytest.approx(torus.volume * scale**3, rel=1e-6)
    assert mesh.area_mm2 == pytest.approx(torus.area * scale**2, rel=1e-6)
    assert mesh.is_watertight


def test_box_in_closed_form_and_inside_out():
    box = surface(trimesh.creation.box((2.0, 3.0, 5.0)))
    assert box.volume_mm3 == pytest.approx(30)
    assert box.area_mm2 == pytest.approx(62)
    assert SurfaceMesh(box.vertices_mm, box.faces[:, ::-1]).volume_mm3 == pytest.approx(-30)


def test_watertight_needs_every_edge_twice_and_both_ways():
    box = surface(trimesh.creation.box((1.0, 1.0, 1.0)))
    assert not SurfaceMesh(box.vertices_mm, box.faces[1:]).is_watertight
    turned = box.faces.copy()
    turned[0] = turned[0, ::-1]
    assert not SurfaceMesh(box.vertices_mm, turned).is_watertight
    assert not SurfaceMesh(box.vertices_mm, np.concatenate([box.faces, box.faces[:1]])).is_watertight
    assert not SurfaceMesh(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)).is_watertight


def test_constructors_say_what_they_expected():
    with pytest.raises(ValueError, match=r"expected \(n, 3\) vertices"):
        SurfaceMesh(np.zeros((3, 2)), np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="faces that index 3 vertices"):
        SurfaceMesh(np.zeros((3, 3)), np.array([[0, 1, 3]]))
    mesh = surface(trimesh.creation.box((1.0, 1.0, 1.0)))
    with pytest.raises(ValueError, match=r"level field of shape \(2, 2, 2\)"):
        Solid(Grid.axis_aligned((2, 2, 2), 1.0), np.zeros((2, 2, 3), dtype=np.float32), mesh)
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices_mm[0, 0] = 1


@settings(max_examples=15, deadline=None)
@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), seed=st.integers(0, 2**32 - 1))
def test_sampling_reproduces_a_linear_field_on_an_oblique_grid(turn, seed):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() * [0.8, 1.1, 2.0]
    affine[:3, 3] = (30, -20, 700)
    grid = Grid((9, 8, 7), affine)
    slope, level = np.array([0.5, -1.0, 0.25]), 180.0
    field = (grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) @ slope - level).astype(np.float32)
    solid = Solid(grid, field, surface(trimesh.creation.box((1.0, 1.0, 1.0))))
    points = grid.world(np.random.default_rng(seed).uniform(0, 1, (5, 4, 3)) * (np.array(grid.shape) - 1))
    np.testing.assert_allclose(solid.sample(points), points @ slope - level, atol=2e-3)
    assert solid.sample(grid.world([-3.0, 0, 0])) == field.max()


@pytest.mark.parametrize("handed", [1, -1])
def test_zero_surface_of_a_plane_cut_ball(handed):
    """Orientation outwards whatever the affine's handedness; places exact on the lattice's edges for a linear field."""
    affine = np.diag([handed * 0.5, 0.5, 0.7, 1.0])
    grid = Grid((40, 40, 32), affine)
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    centre = grid.world((np.array(grid.shape) - 1) / 2)
    field = guarded((np.linalg.norm(points - centre, axis=-1) - 7).astype(np.float32))
    mesh = zero_surface(field, grid)
    assert mesh.is_watertight
    assert mesh.volume_mm3 == pytest.approx(4 / 3 * np.pi * 343, rel=0.01)
    assert np.abs(np.linalg.norm(mesh.vertices_mm - centre, axis=1) - 7).max() < 0.02


def test_zero_surface_of_nothing_and_of_an_open_field():
    grid = Grid.axis_aligned((4, 4, 4), 1.0)
    assert len(zero_surface(np.ones(grid.shape, dtype=np.float32), grid).faces) == 0
    with pytest.raises(ValueError, match="border of its lattice"):
        zero_surface(-np.ones(grid.shape, dtype=np.float32), grid)


def test_guarded_keeps_signs_and_clears_zero():
    field = np.array([[[-1e-9, 0.0, 1e-9, -2.0, 3.0]]], dtype=np.float32)
    before = field.copy()
    result = guarded(field)
    np.testing.assert_allclose(result.ravel(), [-1e-3, 1e-3, 1e-3, -2, 3])
    np.testing.assert_array_equal(field, before)


@pytest.mark.parametrize(("a", "b", "tolerance"), [(8.0, 8.0, 1e-3), (10.0, 7.0, 0.02), (12.0, 6.0, 0.1)])
def test_an_outline_without_ripple_keeps_an_ellipses_diameter(a, b, tolerance):
    turn = np.linspace(0.0, 2 * np.pi, 2000, endpoint=False)
    ellipse = np.stack([a * np.cos(turn), b * np.sin(turn)], axis=1)
    assert feret_without_ripple(ellipse)[0] == pytest.approx(2 * a, abs=tolerance)
    bumpy = ellipse * (1 + 0.02 * np.cos(24 * turn))[:, None]
    assert np.ptp(bumpy[:, 0]) > 2 * a + 0.2
    assert feret_without_ripple(bumpy)[0] == pytest.approx(2 * a, abs=0.1)
    low, high = feret_without_ripple(np.roll(bumpy, 711, axis=0) @ [[0.6, 0.8], [0.8, -0.6]])[1:]
    assert np.linalg.norm(high - low) == pytest.approx(feret_without_ripple(bumpy)[0], abs=1e-7)
