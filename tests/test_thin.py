"""Lighter surfaces against closed forms: still closed, as large as before, and where they were."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from kambin.io.thin import thinned
from kambin.spine import SurfaceMesh

CENTRE = np.array([40.0, -30.0, 1500.0])  # far from the origin, where float32 is coarse


def surface(shape: trimesh.Trimesh) -> SurfaceMesh:
    return SurfaceMesh(shape.vertices + CENTRE, shape.faces)


def test_a_ball_stays_a_closed_ball_with_a_quarter_of_its_triangles() -> None:
    ball = surface(trimesh.creation.icosphere(subdivisions=5, radius=20.0))
    before = ball.vertices_mm.copy()
    lighter = thinned(ball)
    assert len(lighter.faces) == pytest.approx(0.25 * len(ball.faces), rel=0.01)
    assert lighter.is_watertight
    assert lighter.volume_mm3 == pytest.approx(4.0 / 3.0 * np.pi * 20.0**3, rel=3e-3)
    np.testing.assert_allclose(np.linalg.norm(lighter.vertices_mm - CENTRE, axis=1), 20.0, atol=0.05)
    np.testing.assert_array_equal(ball.vertices_mm, before)


def test_a_hole_through_it_stays() -> None:
    ring = surface(trimesh.creation.torus(major_radius=20.0, minor_radius=5.0, major_sections=128, minor_sections=64))
    lighter = thinned(ring)
    assert len(lighter.faces) < 0.3 * len(ring.faces)
    edges = 3 * len(lighter.faces) // 2
    assert len(lighter.vertices_mm) - edges + len(lighter.faces) == 0  # Euler's number of a ring


def test_small_and_open_surfaces_are_left_as_they_are() -> None:
    small = surface(trimesh.creation.icosphere(subdivisions=2, radius=5.0))
    whole = trimesh.creation.icosphere(subdivisions=5, radius=5.0)
    torn = SurfaceMesh(whole.vertices, whole.faces[1:])
    for mesh in (small, torn):
        assert thinned(mesh) is mesh
