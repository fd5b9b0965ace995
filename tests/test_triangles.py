"""The Kambin and the safe triangle: the truth against polygons known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame
from kambin.phantom.compose import Union
from kambin.phantom.field import Field, RoundedBox, capsule
from kambin.phantom.truth.anatomy import Anatomy, Bone, Space
from kambin.phantom.truth.endplates import Segment, segment_of
from kambin.phantom.truth.inscribed import largest_circle, largest_triangle
from kambin.phantom.truth.scene import Eye, Scene, scene_of
from kambin.phantom.truth.triangles import STANDARD_DEG, Look, at_its_largest, in_standard_view, polygon
from kambin.phantom.truth.value import Unknown

HERE = Frame(np.zeros(3), np.eye(3))
MIDDLE = np.array([14.0, -17.0, 3.0])
"""Of the picture of bricks whose posterior edge lies at -17."""
ROOF_MM = 15.0
RADIUS_MM = 2.0
LEG_MM, SAFE_LEG_MM = 13.0, 8.0


def plate(eye: Eye, sign: int, low: tuple[float, float], high: tuple[float, float], depth_mm: float, half_mm: float = 1.5) -> Field:
    """A sharp plate across the sight, between two corners in the picture."""
    centre = MIDDLE + depth_mm * eye.sight + 0.5 * (low[0] + high[0]) * eye.first + 0.5 * (low[1] + high[1]) * eye.second
    half = (half_mm, 0.5 * (high[0] - low[0]), 0.5 * (high[1] - low[1]))
    mirror = np.array([sign, 1.0, 1.0])
    axes = np.stack([sign * eye.sight, eye.first, eye.second]) * mirror
    return RoundedBox(Frame(centre * mirror, axes), half, 0.01)


def bricks(side: Side, symbol: str, *, root: bool = True, shut: bool = False, hip: bool = False) -> tuple[Anatomy, Segment]:
    """Two brick vertebrae, a brick disc, a straight root that runs down at 45° in the picture, and a plate for the facet."""
    eye, sign = Eye.at(STANDARD_DEG[symbol]), side.sign
    heights = ((18.0, 13.0), (0.0, 5.0), (-18.0, 13.0))
    upper, disc, lower = (RoundedBox(Frame(np.array([0.0, -5.0, z]), np.eye(3)), (24.0, 12.0, half), 0.02) for z, half in heights)
    facet = plate(eye, sign, (-30.0, -30.0), (-6.0, 30.0), 14.0)
    shapes: dict[Structure, Field] = {}
    if root:
        # Its lower border crosses the facet's edge a leg above the rim; its upper one the body's border a leg below the roof.
        limb, thick = float((np.array([24.0, 7.0, 0.0]) - MIDDLE) @ eye.first), RADIUS_MM * math.sqrt(2)
        height = -8.0 + LEG_MM - 6.0 + thick if symbol == "KT" else limb + ROOF_MM - 3.0 - SAFE_LEG_MM - thick
        ends = [(MIDDLE + 14.0 * eye.sight + x * eye.first + (height - x) * eye.second) * [sign, 1.0, 1.0] for x in (-14.0, 34.0)]
        shapes[Structure(Kind.NERVE_ROOT, Level.L4, side)] = capsule(ends[0], ends[1], RADIUS_MM)
    if hip:
        shapes[Structure(Kind.HIP, side=side)] = plate(eye, sign, (-30.0, -30.0), (40.0, 30.0), 40.0, 8.0)
    if shut:
        facet = plate(eye, sign, (-30.0, -30.0), (40.0, 30.0), 20.0)
    bones = {
        Level.L4: Bone(Level.L4, upper, upper, Frame(np.array([0.0, -5.0, 18.0]), np.eye(3)), 13.0, -12.0),
        Level.L5: Bone(Level.L5, Union((lower, facet)), lower, Frame(np.array([0.0, -5.0, -18.0]), np.eye(3)), 13.0, -12.0),
    }
    plain = {Level.L4: bones[Level.L4], Level.L5: Bone(Level.L5, lower, lower, bones[Level.L5].frame, 13.0, -12.0)}
    framed = segment_of(Anatomy({}, plain, ()), Space("L4/L5", plain[Level.L4], plain[Level.L5], disc, HERE), 0.5)
    space = Space("L4/L5", bones[Level.L4], bones[Level.L5], disc, HERE)
    return Anatomy(shapes, bones, (space,)), replace(framed, space=space)


def scene(side: Side, symbol: str, **options: bool) -> Scene:
    anatomy, segment = bricks(side, symbol, **options)
    return scene_of(anatomy, segment, side, np.array([[0.0, 0.0, ROOF_MM]]))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(("symbol", "leg"), [("KT", LEG_MM), ("ST", SAFE_LEG_MM)])
def test_right_triangle_of_bricks(side: Side, symbol: str, leg: float) -> None:
    """Facet or border of the body, rim or roof, and a root at 45°: a right triangle with equal legs."""
    found = in_standard_view(scene(side, symbol), symbol, 0.25)
    # A lattice's contour rounds each corner a little, whatever the size of the triangle.
    assert 0.5 * leg**2 - 1.5 < found[symbol] < 0.5 * leg**2 + 0.2
    assert 0.5 * leg**2 * (1 - 2.5 * 0.25 * 2 / leg) < found[f"{symbol}t"] < 0.5 * leg**2
    assert found[f"{symbol}d"] == pytest.approx(leg * (2 - math.sqrt(2)), abs=0.1)


def test_sides_are_mirror_images() -> None:
    left, right = (in_standard_view(scene(side, "KT"), "KT", 0.5) for side in Side)
    assert left == pytest.approx(right, rel=1e-6)


def test_step_converges() -> None:
    """Halving the step brings the area nearer to the closed form, or leaves it within a hundredth."""
    seen = scene(Side.RIGHT, "KT")
    off = [abs(in_standard_view(seen, "KT", step)["KT"] / (0.5 * LEG_MM**2) - 1) for step in (0.5, 0.25)]
    assert off[1] <= max(off[0], 0.01)


def test_nothing_to_see() -> None:
    with pytest.raises(Unknown, match="L4"):
        scene(Side.LEFT, "KT", root=False)
    with pytest.raises(Unknown, match="nothing of the Kambin triangle"):
        in_standard_view(scene(Side.LEFT, "KT", shut=True), "KT", 0.5)


def test_hip_bone_hides_only_where_it_is_asked() -> None:
    seen = scene(Side.RIGHT, "KT", hip=True)
    eye = Eye.at(STANDARD_DEG["KT"])
    assert len(polygon(Look(seen, "KT", eye, False), 0.5))
    with pytest.raises(Unknown):
        polygon(Look(seen, "KT", eye, True), 0.5)


def test_largest_view_is_no_smaller_than_the_standard_one() -> None:
    seen = scene(Side.RIGHT, "KT")
    largest = at_its_largest(seen, "KT", 0.5)
    assert largest["KT*"][0] + largest["KT*"][1] >= in_standard_view(seen, "KT", 0.25)["KT"]
    oblique, cranial = largest["KT*o"][0], largest["KT*c"][0]
    assert 20.0 <= oblique <= 60.0
    assert -20.0 <= cranial <= 30.0


def test_triangle_and_circle_of_polygons() -> None:
    hexagon = np.array([[math.cos(a), math.sin(a)] for a in np.radians(np.arange(0, 360, 60))]) * 10.0
    corners = largest_triangle(hexagon)
    assert np.ptp([np.linalg.norm(corners[i] - corners[i - 1]) for i in range(3)]) == pytest.approx(0.0, abs=1e-9)
    centre, radius = largest_circle(hexagon + np.array([3.0, -4.0]))
    assert radius == pytest.approx(10.0 * math.cos(math.radians(30)), abs=5e-3)
    assert centre == pytest.approx([3.0, -4.0], abs=0.02)
    notched = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 4.0], [4.0, 4.0], [4.0, 10.0], [0.0, 10.0]])
    # Touches both outer legs and the inner corner.
    assert largest_circle(notched)[1] == pytest.approx(4.0 * (2 - math.sqrt(2)), abs=5e-3)
