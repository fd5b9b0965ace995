"""The largest triangle and circle within an outline against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kambin.geometry import FloatArray
from kambin.geometry.inscribed import CLOSE, largest_circle, largest_triangle
from kambin.geometry.section import signed_area_mm2

SIDES = st.floats(1.0, 60.0)
TURNS = st.floats(0.0, 2 * np.pi)
PLACES = st.tuples(st.floats(-50.0, 50.0), st.floats(-50.0, 50.0))


def placed(points: list[list[float]], turn: float, place: tuple[float, float]) -> FloatArray:
    c, s = np.cos(turn), np.sin(turn)
    return np.asarray(points) @ np.array([[c, s], [-s, c]]) + place


@given(SIDES, SIDES, TURNS, PLACES)
def test_of_a_rectangle(a: float, b: float, turn: float, place: tuple[float, float]) -> None:
    """Half of its area; and as wide a circle as its shorter side allows."""
    outline = placed([[0, 0], [a, 0], [a, b], [0, b]], turn, place)
    assert abs(signed_area_mm2(largest_triangle(outline))) == pytest.approx(0.5 * a * b, rel=1e-6)
    centre, radius = largest_circle(outline)
    assert radius == pytest.approx(0.5 * min(a, b), abs=CLOSE * np.hypot(a, b))
    assert np.linalg.norm(centre - outline.mean(axis=0)) <= 0.5 * abs(a - b) + 0.1


@given(SIDES, SIDES, TURNS, PLACES)
def test_of_a_right_angled_triangle(a: float, b: float, turn: float, place: tuple[float, float]) -> None:
    """Itself; and its incircle."""
    outline = placed([[0, 0], [a, 0], [0, b]], turn, place)
    assert abs(signed_area_mm2(largest_triangle(outline))) == pytest.approx(0.5 * a * b, rel=1e-6)
    assert largest_circle(outline)[1] == pytest.approx(0.5 * (a + b - np.hypot(a, b)), abs=CLOSE * np.hypot(a, b))


def test_of_a_ring_cut_open() -> None:
    """The circle stays within the band, though the convex hull would hold a larger one."""
    turn = np.linspace(0.0, 1.75 * np.pi, 200)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    outline = np.concatenate([10.0 * around, 6.0 * around[::-1]])
    centre, radius = largest_circle(outline)
    assert radius == pytest.approx(2.0, abs=0.02)
    assert np.linalg.norm(centre) == pytest.approx(8.0, abs=0.05)
