"""True Line A, room beside the root and interlaminar window, of bricks and rods that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame
from kambin.phantom.compose import Union
from kambin.phantom.field import Field, RoundedBox, capsule
from kambin.phantom.truth.anatomy import Anatomy, Bone, Space
from kambin.phantom.truth.corridor import facet_to_nerve, line_a, point_a
from kambin.phantom.truth.endplates import segment_of
from kambin.phantom.truth.foramen import half_of
from kambin.phantom.truth.interlaminar import interlaminar_height, interlaminar_width
from kambin.phantom.truth.value import Unknown

STEP_MM = 0.25
ROOT_AT, ROOT_RADIUS_MM = (18.0, -8.0), 2.0


def brick(low: tuple[float, float, float], high: tuple[float, float, float]) -> Field:
    middle, half = (np.array(low) + high) / 2, (np.array(high) - low) / 2
    return RoundedBox(Frame(middle, np.eye(3)), (float(half[0]), float(half[1]), float(half[2])), 0.02)


def spine(above: tuple[Field, ...], below: tuple[Field, ...], facet: Field | None = None) -> Anatomy:
    """Two bodies with a disc of 10 mm between them whose posterior edge lies at -17, each with what is told, and a root on the right."""
    bones = {}
    for level, z, more in ((Level.L4, 18.0, above), (Level.L5, -18.0, below)):
        body = brick((-24.0, -17.0, z - 13.0), (24.0, 17.0, z + 13.0))
        bones[level] = Bone(level, Union((body, *more)), body, Frame(np.array([0.0, 0.0, z]), np.eye(3)), 13.0, -17.0)
    disc = brick((-20.0, -14.0, -5.0), (20.0, 14.0, 5.0))
    superior = {} if facet is None else {Side.RIGHT: facet}
    space = Space("L4/L5", bones[Level.L4], bones[Level.L5], disc, Frame(np.zeros(3), np.eye(3)), superior)
    root = capsule((*ROOT_AT, -30.0), (*ROOT_AT, 25.0), ROOT_RADIUS_MM)
    return Anatomy({Structure(Kind.NERVE_ROOT, Level.L4, Side.RIGHT): root}, bones, (space,))


def test_point_a_is_the_corner_between_two_bricks() -> None:
    arch, process = brick((6.0, -38.0, 2.0), (14.0, -27.0, 26.0)), brick((4.0, -32.0, -20.0), (8.0, -24.0, 8.0))
    anatomy = spine((arch,), (process,))
    half = half_of(segment_of(anatomy, anatomy.spaces[0], STEP_MM), Side.RIGHT, 10.0, 20.0)
    # Midway between the middles of the two, at 10 and at 6.
    assert point_a(half, Side.RIGHT, STEP_MM) == pytest.approx([8.0, -27.0, 8.0], abs=0.05)
    assert line_a(anatomy, half, Side.RIGHT, STEP_MM)["Line A"] == pytest.approx(math.hypot(10.0, 19.0) - ROOT_RADIUS_MM, abs=0.05)


def test_bricks_apart_have_no_point_a() -> None:
    anatomy = spine((brick((6.0, -38.0, 10.0), (14.0, -27.0, 26.0)),), (brick((4.0, -32.0, -20.0), (8.0, -24.0, 8.0)),))
    half = half_of(segment_of(anatomy, anatomy.spaces[0], STEP_MM), Side.RIGHT, 10.0, 20.0)
    with pytest.raises(Unknown, match="do not meet at L4/L5"):
        point_a(half, Side.RIGHT, STEP_MM)


def test_room_between_two_rods() -> None:
    facet = capsule((12.0, -24.0, -25.0), (12.0, -24.0, 20.0), 4.0)
    anatomy = spine((), (), facet)
    found = facet_to_nerve(anatomy, segment_of(anatomy, anatomy.spaces[0], STEP_MM), Side.RIGHT, STEP_MM)
    for degrees in (45.0, 60.0):
        across = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
        assert found[f"FN{degrees:g}"] == pytest.approx((np.array(ROOT_AT) - [12.0, -24.0]) @ across - 6.0, abs=0.01)


@pytest.mark.parametrize(("top_mm", "bottom_mm", "facet_mm"), [(6.0, -4.0, 12.0), (3.0, 1.0, 10.0)])
def test_window_between_bricks(top_mm: float, bottom_mm: float, facet_mm: float) -> None:
    lamina, spinous = brick((-22.0, -40.0, top_mm), (22.0, -32.0, 26.0)), brick((-2.0, -44.0, bottom_mm + 0.5), (2.0, -32.0, 26.0))
    lower = brick((-22.0, -40.0, -26.0), (22.0, -32.0, bottom_mm))
    walls = [brick((min(s * facet_mm, s * 22.0), -40.0, -26.0), (max(s * facet_mm, s * 22.0), -30.0, 16.0)) for s in (-1, 1)]
    anatomy = spine((lamina, spinous), (lower, *walls))
    segment = segment_of(anatomy, anatomy.spaces[0], STEP_MM)
    for side in Side:
        assert interlaminar_height(segment, side, STEP_MM)["IWh"] == pytest.approx(top_mm - bottom_mm, abs=0.03)
    assert interlaminar_width(segment, STEP_MM)["IWw"] == pytest.approx(2 * facet_mm, abs=0.03)
