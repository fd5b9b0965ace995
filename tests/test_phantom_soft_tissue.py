"""The digital patient's soft tissues against published figures, read off the exact shapes on fine lattices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.spatial import ConvexHull, cKDTree

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.geometry import FloatArray
from kambin.phantom.column import Column, build_column
from kambin.phantom.column_line import ColumnLine, column_line
from kambin.phantom.compose import Offset, Placed, Union
from kambin.phantom.field import Field
from kambin.phantom.hip import fitted_wing, pelvic_frame
from kambin.phantom.ilium import half_thickness, out_of_chart
from kambin.phantom.loft import Profile, Section, loft, tube
from kambin.phantom.muscles import build_back, build_psoas, muscle_pieces, quadratus
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.pelvic_muscles import _GLUTEAL, OnWing, pelvic_pieces
from kambin.phantom.raster import Piece
from kambin.phantom.skin import SKIN_MM, SUPRASPINOUS_MM, build_trunk, skin_pieces
from kambin.phantom.tissue import Tissue
from kambin.phantom.vertebra import Body
from kambin.phantom.vessels import Vessels, build_vessels, division, vessel_pieces
from kambin.phantom.viscera import visceral_pieces

STEP_MM = 0.5
AORTA, CAVA = Structure(Kind.AORTA), Structure(Kind.VENA_CAVA)
MEAN = PatientParameters()


class Made:
    """The shapes of one patient."""

    def __init__(self, parameters: PatientParameters) -> None:
        self.parameters = parameters
        self.column: Column = build_column(parameters)
        self.line: ColumnLine = column_line(parameters, self.column)
        self.vessels: Vessels = build_vessels(parameters, self.column)
        self.psoas: Mapping[Side, Field] = build_psoas(parameters, self.column)


@pytest.fixture(scope="module")
def mean() -> Made:
    return Made(MEAN)


@pytest.fixture(scope="module")
def pieces(mean: Made) -> tuple[Piece, ...]:
    makers = (skin_pieces, visceral_pieces, muscle_pieces, vessel_pieces)
    return tuple(piece for make in makers for piece in make(mean.parameters, mean.column))


def lattice(half_mm: float = 95.0) -> tuple[FloatArray, FloatArray]:
    ticks = np.arange(-half_mm, half_mm, STEP_MM)
    x, y = np.meshgrid(ticks, ticks, indexing="ij")
    return x.ravel(), y.ravel()


def area_at(shape: Field, middle: FloatArray) -> float:
    x, y = lattice()
    points = np.stack([middle[0] + x, middle[1] + y, np.full_like(x, middle[2])])
    return float(np.clip(0.5 - shape(points) / STEP_MM, 0, 1).sum()) * STEP_MM**2


def in_disc_plane(made: Made, segment: str, *shapes: Field) -> FloatArray:
    """Points of the shapes in a disc's mid-plane, in millimetres of that plane."""
    x, y = lattice()
    points = made.column.segments[segment].frame.world(np.stack([x, y, np.zeros_like(x)], axis=1)).T
    inside = np.any([shape(points) < 0 for shape in shapes], axis=0)
    return np.stack([x[inside], y[inside]], axis=1)


def between(one: FloatArray, other: FloatArray) -> float:
    return float(cKDTree(one).query(other)[0].min())


def feret(points: FloatArray) -> float:
    hull = points[ConvexHull(points).vertices]
    return float(np.linalg.norm(hull[:, None] - hull[None], axis=-1).max())


def left_artery(made: Made, segment: str) -> FloatArray:
    named = made.vessels.named
    return in_disc_plane(made, segment, named[AORTA], named[Structure(Kind.ILIAC_ARTERY, side=Side.LEFT)])


# --- the tools ---------------------------------------------------------------------------------------------------------------------


def test_profile_goes_through_its_knots_and_never_beyond_them() -> None:
    profile = Profile.through([3.0, 0.0, 1.0], [[5.0], [1.0], [4.0]])
    at = np.array([-9.0, 0.0, 1.0, 3.0, 9.0])
    np.testing.assert_allclose(profile(at)[0], [1.0, 1.0, 4.0, 5.0, 5.0], atol=1e-9)
    values = profile(np.linspace(0, 3, 301))[0]
    assert (np.diff(values) >= -1e-12).all()


def test_straight_tube_is_an_exact_capsule() -> None:
    shape = tube([[0, 0, 0], [6, -4, -12], [12, -8, -24]], 5.0)
    points = np.random.default_rng(1).uniform([-9, -18, -34], [21, 10, 10], (4000, 3))
    axis = np.array([12.0, -8.0, -24.0])
    share = np.clip(points @ axis / (axis @ axis), 0, 1)
    exact = np.linalg.norm(points - share[:, None] * axis, axis=1) - 5.0
    near = exact < 10.0
    np.testing.assert_allclose(shape(points.T)[near], exact[near], atol=1e-6)


@pytest.mark.parametrize(("power", "share"), [(2.0, np.pi), (4.0, 3.708149)])
def test_loft_has_the_area_of_its_outline(power: float, share: float) -> None:
    """The area of a superellipse; front and back halves have their own depth."""
    shape = loft([Section(z, 3.0, -2.0, (20.0, 15.0, 9.0), 30.0, power) for z in (-20.0, 20.0)])
    assert area_at(shape, np.zeros(3)) == pytest.approx(share * 20.0 * 12.0, rel=2e-3)


def test_furrow_is_as_deep_as_asked_for() -> None:
    shape = loft([Section(z, 0.0, 0.0, (80.0, 60.0, 60.0), furrow_mm=(7.0, 25.0)) for z in (-20.0, 20.0)])
    line = np.stack([np.zeros(2000), np.linspace(-70, -40, 2000), np.zeros(2000)])
    assert line[1][np.argmin(np.abs(shape(line)))] == pytest.approx(-53.0, abs=0.05)


def test_no_level_changes_faster_than_declared(pieces: tuple[Piece, ...]) -> None:
    rng = np.random.default_rng(11)
    for piece in pieces:
        box = piece.shape.box.grown(8.0)
        start = rng.uniform(box.low_mm, box.high_mm, (4000, 3)).T
        step = rng.normal(size=start.shape) * 1.5
        change = np.abs(piece.shape(start + step) - piece.shape(start)) / np.linalg.norm(step, axis=0)
        assert change.max() <= piece.shape.slope + 1e-6, piece.structure


def test_boxes_hold_their_shapes(pieces: tuple[Piece, ...]) -> None:
    for piece in pieces:
        if piece.structure is None or piece.structure.kind is Kind.TRUNK:
            continue
        box = piece.shape.box
        around = box.grown(15.0)
        points = np.random.default_rng(5).uniform(around.low_mm, around.high_mm, (40000, 3))
        outside = (points < box.low_mm).any(axis=1) | (points > box.high_mm).any(axis=1)
        assert (piece.shape(points[outside].T) > 0).all(), piece.structure


# --- muscles -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(("level", "area"), [(1.5, 437.0), (2.5, 990.0), (3.5, 1463.0), (4.5, 1775.0)])
def test_psoas_has_published_sections(mean: Made, side: Side, level: float, area: float) -> None:
    """Ivanac 2026, table 2, both sides pooled."""
    assert area_at(mean.psoas[side], mean.line.at(level)) == pytest.approx(area, rel=0.03)


def test_psoas_over_the_promontory(mean: Made) -> None:
    """1575 ± 476 mm² at L5/S1."""
    for side in Side:
        assert abs(area_at(mean.psoas[side], mean.line.at(5.5)) - 1575.0) < 476.0


def test_psoas_area_follows_its_scale() -> None:
    made = Made(MEAN.changed({"psoas_scale": 0.7}))
    assert area_at(made.psoas[Side.RIGHT], made.line.at(3.5)) == pytest.approx(0.49 * 1463.0, rel=0.05)


@pytest.mark.parametrize("side", list(Side))
def test_muscles_of_the_back_have_published_sections(mean: Made, side: Side) -> None:
    """Erector spinae and quadratus: Ivanac 2026; multifidus: recalled."""
    erector, multifidus = build_back(mean.parameters, mean.line, side)
    for level, outer, inner in ((1.5, 2250.0, 320.0), (2.5, 2290.0, 420.0), (3.5, 2110.0, 600.0), (4.5, 1500.0, 800.0)):
        middle = mean.line.at(level) - np.array([0.0, 45.0, 0.0])
        deep = area_at(multifidus, middle)
        both = area_at(Union((erector, multifidus)), middle)
        assert deep == pytest.approx(inner, rel=0.03)
        assert both - deep == pytest.approx(outer, rel=0.03)
    for level, area in ((1.5, 342.0), (2.5, 533.0), (3.5, 707.0)):
        assert area_at(quadratus(mean.line, side), mean.line.at(level)) == pytest.approx(area, rel=0.03)


def test_left_and_right_are_mirror_images(mean: Made) -> None:
    points = np.random.default_rng(2).uniform([5, -95, -90], [80, 40, 90], (5000, 3)).T
    mirrored = points * np.array([[-1.0], [1.0], [1.0]])
    for right, left in zip(*(build_back(mean.parameters, mean.line, side) for side in (Side.RIGHT, Side.LEFT)), strict=True):
        np.testing.assert_allclose(right(points), left(mirrored), atol=1e-6)
    np.testing.assert_allclose(quadratus(mean.line, Side.RIGHT)(points), quadratus(mean.line, Side.LEFT)(mirrored), atol=1e-6)


@pytest.mark.parametrize(
    "change", [{}, {"pelvis_width_mm": 250.0, "crest_over_l4l5_mm": 18.0}, {"pelvis_width_mm": 315.0, "psoas_scale": 0.7}]
)
def test_muscles_lie_on_both_sides_of_the_iliac_wing(change: dict[str, float]) -> None:
    """No fat on the bone of the fossa, where iliacus and gluteus medius and minimus arise."""
    made = Made(MEAN.changed(change))
    frame = pelvic_frame(made.parameters, made.column)
    wing = fitted_wing(made.parameters, made.column, frame)
    u, still = (a.ravel() for a in np.meshgrid(np.linspace(45.0, 95.0, 12), np.linspace(-50.0, 25.0, 12), indexing="ij"))
    edge = wing.outline.level(u, still)
    u, still, edge = u[edge < -14.0], still[edge < -14.0], edge[edge < -14.0]
    middle, tilt = wing.sheet(u, still)
    under_skin = Offset(build_trunk(made.parameters, made.line), -SKIN_MM)
    muscles = pelvic_pieces(made.parameters, made.column, under_skin, Tissue.MUSCLE)
    for outside in (1.0, -1.0):
        away = outside * (half_thickness(u, still, edge) + 1.0) * np.sqrt(1 + tilt)
        upright = out_of_chart(u, wing.stretched(still), middle + away)
        for side in Side:
            points = frame.world((upright * made.column.scale * np.array([[side.sign], [1.0], [1.0]])).T).T
            assert np.any([piece.shape(points) < 0 for piece in muscles], axis=0).mean() > 0.97


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.4])
def test_the_strongest_gluteal_muscles_end_all_the_same(strength: float) -> None:
    made = Made(MEAN.changed({"back_muscle_scale": strength, "posterior_fat_mm": 70.0, "trunk_width_mm": 500.0}))
    frame = pelvic_frame(made.parameters, made.column)
    wing = fitted_wing(made.parameters, made.column, frame)
    muscle = OnWing(wing, _GLUTEAL, strength)
    u, still = (a.ravel() for a in np.meshgrid(np.linspace(30.0, 100.0, 15), np.linspace(-60.0, 30.0, 15), indexing="ij"))
    inside = wing.outline.level(u, still) < -10.0
    u, still = u[inside], still[inside]
    middle, tilt = wing.sheet(u, still)
    for away, is_muscle in ((6.0, True), (40.0, False), (60.0, False), (90.0, False)):
        points = out_of_chart(u, wing.stretched(still), middle + away * np.sqrt(1 + tilt))
        assert ((muscle(points) < 0) == is_muscle).all(), away


def test_flanks_are_each_patients_own_and_lie_between_fat_and_cavity() -> None:
    thick = []
    for variant in range(6):
        made = Made(MEAN.changed({"variant": float(variant)}))
        trunk, flanks, cavity, *_ = skin_pieces(made.parameters, made.column)
        right, middle, z = made.line.at(3.0)
        ray = np.stack([np.linspace(right, right + 200.0, 2001), np.full(2001, middle + 15.0), np.full(2001, z)])
        wall = (flanks.shape(ray) < 0) & (cavity.shape(ray) > 0)
        thick.append(wall.sum() * 0.1)
        fat = (trunk.shape(ray) < 0) & (flanks.shape(ray) > 0) & (cavity.shape(ray) > 0)
        assert fat.sum() * 0.1 > SKIN_MM + 2.0
        box = flanks.shape.box
        points = np.random.default_rng(variant).uniform(box.low_mm, box.high_mm, (20_000, 3)).T
        assert (trunk.shape(points[:, flanks.shape(points) < 0]) < -SKIN_MM).all()
    assert 12.0 < min(thick) < max(thick) < 27.0
    assert np.ptp(thick) > 4.0


# --- corridors and vessels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "published", "spread"), [("l2l3", 16.3, 4.2), ("l3l4", 15.5, 4.6), ("l4l5", 11.7, 6.3), ("l4l5", 9.21, 4.90)]
)
def test_oblique_corridor_is_within_the_published_spread(mean: Made, segment: str, published: float, spread: float) -> None:
    corridor = between(in_disc_plane(mean, segment, mean.psoas[Side.LEFT]), left_artery(mean, segment))
    assert abs(corridor - published) < spread


@pytest.mark.parametrize("shift", [-4.0, 6.0])
def test_oblique_corridor_moves_as_asked(mean: Made, shift: float) -> None:
    moved = Made(MEAN.changed({"oblique_corridor_shift_mm": shift}))
    for segment in ("l3l4", "l4l5"):
        widths = [between(in_disc_plane(m, segment, m.psoas[Side.LEFT]), left_artery(m, segment)) for m in (mean, moved)]
        assert widths[1] - widths[0] == pytest.approx(shift, abs=1.6)


def test_right_psoas_lies_beside_the_cava(mean: Made) -> None:
    """PI at L4/5: 1.93 ± 1.50 mm (Wang 2023)."""
    named = mean.vessels.named
    veins = in_disc_plane(mean, "l4l5", named[CAVA], named[Structure(Kind.ILIAC_VEIN, side=Side.RIGHT)])
    assert abs(between(in_disc_plane(mean, "l4l5", mean.psoas[Side.RIGHT]), veins) - 1.93) < 1.50


def test_vessels_at_l4_l5_are_as_wide_as_published(mean: Made) -> None:
    """DAA 11.85 ± 3.15, DIVC 21.08 ± 7.26 mm (Wang 2023)."""
    named = mean.vessels.named
    assert abs(feret(left_artery(mean, "l4l5")) - 11.85) < 3.15
    veins = in_disc_plane(mean, "l4l5", named[CAVA], named[Structure(Kind.ILIAC_VEIN, side=Side.RIGHT)])
    assert abs(feret(veins) - 21.08) < 7.26


def test_aorta_and_cava_have_the_diameters_asked_for() -> None:
    made = Made(MEAN.changed({"aorta_diameter_mm": 20.0, "vena_cava_diameter_mm": 24.0}))
    middle = made.line.at(2.5)
    assert area_at(made.vessels.arterial_blood, middle) == pytest.approx(np.pi * 100.0, rel=0.05)
    x, y = lattice()
    points = np.stack([middle[0] + x, middle[1] + y, np.full_like(x, middle[2])])
    assert np.ptp(x[made.vessels.named[CAVA](points) < 0]) == pytest.approx(24.0, abs=1.5)


@pytest.mark.parametrize(("artery", "vein"), [(3.2, 3.6), (3.8, 4.4), (4.2, 4.6), (4.7, 4.8), (5.2, 5.4)])
def test_vessels_divide_where_asked(artery: float, vein: float) -> None:
    made = Made(MEAN.changed({"aortic_bifurcation_level": artery, "caval_confluence_level": vein}))
    for level, trunk, branch, blood in (
        (artery, AORTA, Kind.ILIAC_ARTERY, made.vessels.arterial_blood),
        (vein, CAVA, Kind.ILIAC_VEIN, made.vessels.venous_blood),
    ):
        place, up = division(made.line, level)
        assert _lumina(made, blood, place[2] + 6.0) == 1
        assert _lumina(made, blood, place[2] - 6.0) == 2
        points = place[:, None] + np.random.default_rng(3).uniform(-45, 45, (60000, 3)).T
        height = up @ (points - made.line.at(level)[:, None])
        assert height[made.vessels.named[trunk](points) < 0].min() == pytest.approx(0.0, abs=1.0)
        for side in Side:
            own = made.vessels.named[Structure(branch, side=side)](points) < 0
            assert height[own].max() == pytest.approx(0.0, abs=2.0)


def test_a_disc_plane_meets_the_trunk_whole_or_not_at_all() -> None:
    """Vessels divide in planes as discs lie: no sliver of the cava behind the iliac veins."""
    widths = []
    for level in (4.35, 4.65):
        made = Made(MEAN.changed({"aortic_bifurcation_level": 4.2, "caval_confluence_level": level}))
        points = in_disc_plane(made, "l4l5", made.vessels.named[CAVA])
        widths.append(feret(points) if len(points) else 0.0)
    assert widths[0] == 0.0
    assert widths[1] > 0.9 * MEAN.vena_cava_diameter_mm


def _lumina(made: Made, blood: Field, z_mm: float) -> int:
    x, y = lattice()
    side = round(len(x) ** 0.5)
    right, ahead = made.line.middle_at(z_mm)
    inside = blood(np.stack([right + x, ahead + y, np.full_like(x, z_mm)])) < 0
    return int(label(inside.reshape(side, side))[1])


_ODD: tuple[dict[str, float], ...] = (
    {},
    {"aorta_diameter_mm": 30.0, "vena_cava_diameter_mm": 34.0},
    {"aorta_offset_mm": 0.0},
    {"aorta_offset_mm": 22.0},
    {"scoliosis_deg": 40.0},
    {"scoliosis_deg": -40.0},
    {"psoas_scale": 1.5},
    {"slip_l5s1_mm": 12.0},
    {"bone_scale": 0.8},
    {"lordosis_deg": 65.0, "sacral_slope_deg": 50.0},
)


@pytest.mark.parametrize("changes", _ODD, ids=[" ".join(c) or "mean" for c in _ODD])
def test_nothing_runs_through_anything_else(changes: dict[str, float]) -> None:
    made = Made(MEAN.changed(changes))
    points = np.random.default_rng(4).uniform([-75, -50, -150], [75, 75, 120], (60000, 3)).T
    artery, vein = made.vessels.arteries(points) < 0, made.vessels.veins(points) < 0
    muscle = np.any([shape(points) < 0 for shape in made.psoas.values()], axis=0)
    bodies = np.any([Placed(Body(place), place.frame)(points) < -0.2 for place in made.column.vertebrae.values()], axis=0)
    assert min(artery.sum(), vein.sum(), muscle.sum(), bodies.sum()) > 100
    assert not (artery & vein).any()
    assert not ((artery | vein) & bodies).any()
    assert not ((artery | vein) & muscle).any()
    assert not (muscle & bodies).any()
    assert (build_trunk(made.parameters, made.line)(points)[artery | vein | muscle] < 0).all()


def test_vessels_lie_close_before_the_bodies(mean: Made) -> None:
    """1 to 3 mm, at the discs from L1/2 to L3/4."""
    for level in (1.5, 2.5, 3.5):
        middle = mean.line.at(level)
        x, y = lattice()
        points = np.stack([middle[0] + x, middle[1] + y, np.full_like(x, middle[2])])
        body = mean.line.hull(points) < 0
        for name in (AORTA, CAVA):
            vessel = mean.vessels.named[name](points) < 0
            gap = between(np.stack([x, y], axis=1)[body], np.stack([x, y], axis=1)[vessel])
            assert 1.0 <= gap <= 3.0


def test_organs_leave_vessels_and_psoas_alone(mean: Made) -> None:
    points = np.random.default_rng(6).uniform([-110, -50, -140], [110, 90, 100], (60000, 3)).T
    vessels = np.minimum(mean.vessels.arteries(points), mean.vessels.veins(points)) < 0
    muscle = np.any([shape(points) < 0 for shape in mean.psoas.values()], axis=0)
    renal = {3, 4, 8, 9}
    for index, piece in enumerate(visceral_pieces(mean.parameters, mean.column)):
        inside = piece.shape(points) < 0
        assert not (inside & muscle).any(), index
        assert index in renal or not (inside & vessels).any(), index


# --- skin --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fat", [6.0, 14.0, 40.0])
def test_skin_is_as_far_behind_the_spinous_processes_as_asked(fat: float) -> None:
    made = Made(MEAN.changed({"posterior_fat_mm": fat, "trunk_depth_mm": 240.0}))
    trunk = build_trunk(made.parameters, made.line)
    z = made.line.at(4.0)[2]
    line = np.stack([np.zeros(6000), np.linspace(-170, -50, 6000), np.full(6000, z)])
    skin = line[1][np.argmin(np.abs(trunk(line)))]
    assert made.line.spinous_at(z) - skin == pytest.approx(fat + SKIN_MM + SUPRASPINOUS_MM, abs=0.5)


def test_trunk_is_as_wide_and_deep_as_asked(mean: Made) -> None:
    trunk = build_trunk(mean.parameters, mean.line)
    ticks = np.linspace(-260, 260, 10401)
    across = np.stack([ticks, np.full_like(ticks, 25.0), np.zeros_like(ticks)])
    along = np.stack([np.zeros_like(ticks), ticks, np.zeros_like(ticks)])
    assert np.ptp(ticks[trunk(across) < 0]) == pytest.approx(330.0, abs=3.0)
    assert np.ptp(ticks[trunk(along) < 0]) == pytest.approx(220.0, abs=3.0)


def test_skin_to_epidural_space_is_as_published(mean: Made) -> None:
    """41.8 ± 9.7 mm at L3/4 and 47.8 ± 10.2 at L4/5 (MRI, n = 124), from the skin to the ligamentum flavum's inner surface."""
    trunk = build_trunk(mean.parameters, mean.line)
    for level, place, published, spread in ((3.5, "l3l4", 41.8, 9.7), (4.5, "l4l5", 47.8, 10.2)):
        z = mean.line.at(level)[2]
        line = np.stack([np.zeros(6000), np.linspace(-170, -50, 6000), np.full(6000, z)])
        skin = line[1][np.argmin(np.abs(trunk(line)))]
        disc = mean.column.segments[place].frame.origin_mm[1]
        # The canal begins half a disc behind the disc's middle, and is 17 mm deep.
        assert abs(disc - 17.5 - 17.0 - skin - published) < spread + 0.5
