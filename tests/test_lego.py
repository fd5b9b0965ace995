"""Measures against closed forms, on a spine built of boxes and cylinders."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.measurement import Measurements, measure
from kambin.reconstruction import reconstruct
from kambin.volume import Grid, Segmentation, canonical
from lego import LegoSpine, mirrored

SPINE = LegoSpine(levels=(Level.L4, Level.L5))
TURN = Rotation.from_rotvec(np.radians(25.0) * np.array([0.6, 0.64, 0.48])).as_matrix()


@pytest.fixture(scope="module", params=["upright", "turned by 25°"])
def measured(request: pytest.FixtureRequest) -> Measurements:
    rotation = None if request.param == "upright" else TURN
    return measure(reconstruct(SPINE.segmentation(1.0, rotation)))


def lengths() -> list[tuple[str, str, Side | None, float]]:
    both = [(symbol, level, side, true) for symbol, level, true in PAIRED_LENGTHS for side in Side]
    return both + [(symbol, level, None, true) for symbol, level, true in SINGLE_LENGTHS]


PAIRED_LENGTHS = [
    ("FH", "L4/L5", SPINE.foramen_height_mm),
    ("FW", "L4/L5", SPINE.foramen_depth_mm),
    ("PW", "L4", SPINE.pedicle_width_mm),
    ("PH", "L4", SPINE.pedicle_height_mm),
]
SINGLE_LENGTHS = [
    ("DHa", "L4/L5", SPINE.disc_height_mm),
    ("DHm", "L4/L5", SPINE.disc_height_mm),
    ("DHp", "L4/L5", SPINE.disc_height_mm),
    ("VHa", "L4", SPINE.body_height_mm),
    ("VHm", "L4", SPINE.body_height_mm),
    ("VHp", "L5", SPINE.body_height_mm),
    ("VD", "L4", SPINE.body_depth_mm),
    ("SL", "L4/L5", 0.0),
    ("CD", "L4/L5", SPINE.canal_depth_mm - 2.0),
    ("OC", "L4/L5", SPINE.oblique_corridor_mm),
    ("PI", "L4/L5", SPINE.psoas_to_cava_mm),
]


@pytest.mark.parametrize(("symbol", "level", "side", "true"), lengths())
def test_lengths_to_three_tenths_of_a_voxel(measured: Measurements, symbol: str, level: str, side: Side | None, true: float) -> None:
    assert measured.value(symbol, level, side) == pytest.approx(true, abs=0.3)


DIAMETERS = [("DAA", SPINE.aorta_diameter_mm), ("DIVC", SPINE.cava_diameter_mm), ("VW", SPINE.body_width_mm)]


@pytest.mark.parametrize(("symbol", "true"), DIAMETERS)
def test_largest_diameters_to_half_a_voxel(measured: Measurements, symbol: str, true: float) -> None:
    """A largest diameter takes the outermost ripple of a voxel surface on both ends."""
    level = "L4" if symbol == "VW" else "L4/L5"
    assert measured.value(symbol, level) == pytest.approx(true, abs=0.55)


@pytest.mark.parametrize("symbol", ["FA", "FA₃"])
@pytest.mark.parametrize("side", list(Side))
def test_foraminal_areas_to_three_per_cent(measured: Measurements, symbol: str, side: Side) -> None:
    assert measured.value(symbol, "L4/L5", side) == pytest.approx(SPINE.foramen_area_mm2, rel=0.03)


def test_canal_area_to_three_per_cent(measured: Measurements) -> None:
    true = 2 * (SPINE.canal_half_width_mm - 3.0) * (SPINE.canal_depth_mm - 2.0)
    assert measured.value("CA", "L4/L5") == pytest.approx(true, rel=0.03)


def test_angles_are_straight(measured: Measurements) -> None:
    assert measured.value("DW", "L4/L5") == pytest.approx(0.0, abs=0.5)
    assert measured.value("SA", "L4/L5") == pytest.approx(0.0, abs=0.5)


def test_what_is_not_there_is_said(measured: Measurements) -> None:
    (row,) = measured.find("LL")
    assert row.value is None
    assert row.reason == "L1 is not labelled"
    assert {row.reason for row in measured.find("ICH", side=Side.LEFT)} == {"no left hip bone is labelled"}


def test_frame_is_the_one_the_spine_was_built_in() -> None:
    model = reconstruct(SPINE.segmentation(1.0, TURN, (12.0, -7.0, 30.0)))
    frame = model.segments[0].frame
    assert np.degrees(np.arccos(np.clip(np.diag(frame.axes @ TURN), -1, 1))).max() < 0.5
    middle = TURN @ [0.0, SPINE.body_depth_mm / 2, -SPINE.pitch_mm / 2] + [12.0, -7.0, 30.0]
    assert np.linalg.norm(frame.origin_mm - middle) < 0.3


def test_mirrored_anatomy_swaps_left_and_right_exactly() -> None:
    original = LegoSpine(levels=(Level.L4, Level.L5), asymmetry_mm=2.0).segmentation(1.0, TURN)
    plain, swapped = measure(reconstruct(original)), measure(reconstruct(mirrored(original)))
    left_sided = {"OC"}  # defined on one side of the patient only
    compared = 0
    for row in plain.rows:
        if row.quantity.symbol in left_sided | {"PI"} or row.quantity.symbol.startswith("Δ"):
            continue
        side = None if row.side is None else row.side.opposite
        (other,) = swapped.find(row.quantity.symbol, row.level, side)
        assert (row.value is None) == (other.value is None), (row.quantity.symbol, row.level, row.reason, other.reason)
        if row.value is not None:
            assert other.value == pytest.approx(row.value, abs=1e-6), (row.quantity.symbol, row.level, str(row.side))
            compared += 1
    assert compared > 25


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_storage_order_and_flips_change_nothing(order: tuple[int, int, int]) -> None:
    base = LegoSpine(levels=(Level.L4, Level.L5)).segmentation(1.5, TURN)
    labels = np.flip(np.transpose(base.labels, order), axis=(0, 2))
    affine = base.grid.world_from_voxel.copy()
    affine[:3, :3] = base.grid.world_from_voxel[:3, list(order)]
    for axis in (0, 2):
        affine[:3, 3] += affine[:3, axis] * (labels.shape[axis] - 1)
        affine[:3, axis] *= -1
    stored = Grid(labels.shape, affine)
    assert stored.orientation != base.grid.orientation
    array, grid = canonical(np.ascontiguousarray(labels), stored)
    again = Segmentation(grid, array.astype(np.uint16), base.table)
    one, other = measure(reconstruct(base)), measure(reconstruct(again))
    for row, same in zip(one.rows, other.rows, strict=True):
        assert (row.value is None) == (same.value is None)
        if row.value is not None:
            assert same.value == pytest.approx(row.value, abs=1e-6)


def test_parts_of_a_lego_vertebra_lie_where_they_were_built() -> None:
    model = reconstruct(SPINE.segmentation(1.0))
    vertebra = model.vertebra(Level.L4)
    assert vertebra is not None
    for side in Side:
        pedicle = vertebra.part(Kind.PEDICLE, side)
        assert pedicle is not None
        middle = pedicle.mesh.vertices_mm.mean(axis=0)
        assert side.sign * middle[0] == pytest.approx(SPINE.canal_half_width_mm + SPINE.pedicle_width_mm / 2, abs=2.0)
        superior, inferior = vertebra.part(Kind.SUPERIOR_ARTICULAR, side), vertebra.part(Kind.INFERIOR_ARTICULAR, side)
        assert superior is not None
        assert inferior is not None
        assert superior.mesh.vertices_mm[:, 2].max() > 20.0
        assert inferior.mesh.vertices_mm[:, 2].min() < -12.0
    body = vertebra.part(Kind.BODY)
    assert body is not None
    assert body.mesh.volume_mm3 == pytest.approx(SPINE.body_width_mm * SPINE.body_depth_mm * SPINE.body_height_mm, rel=0.05)


def test_reconstruction_keeps_volume_and_is_watertight() -> None:
    segmentation = SPINE.segmentation(1.0, TURN)
    model = reconstruct(segmentation)
    counts = segmentation.voxel_counts()
    for structure, solid in model.all_solids().items():
        assert solid.mesh.is_watertight, structure
        assert solid.mesh.volume_mm3 == pytest.approx(counts[structure] * segmentation.grid.voxel_volume_mm3, rel=0.02), structure


def test_arguments_are_not_changed() -> None:
    segmentation = SPINE.segmentation(1.5)
    before = segmentation.labels.copy()
    measure(reconstruct(segmentation))
    assert np.array_equal(segmentation.labels, before)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: {}, "expected lumbar vertebrae, found none"),
        (lambda s: {label: s.table[label] for label in s.table if s.table[label] == Structure(Kind.VERTEBRA, Level.L4)}, "found only L4"),
    ],
)
def test_too_few_vertebrae_are_refused(change, told: str) -> None:
    from kambin.errors import InputError

    segmentation = SPINE.segmentation(2.0)
    table = change(segmentation)
    labels = np.where(np.isin(segmentation.labels, list(table)), segmentation.labels, 0).astype(np.uint16)
    with pytest.raises(InputError, match=told):
        reconstruct(Segmentation(segmentation.grid, labels, table))


def test_wrong_scale_is_refused_with_both_sizes() -> None:
    from kambin.errors import InputError

    small = SPINE.segmentation(1.5)
    grid = Grid.axis_aligned(small.grid.shape, 0.6)
    with pytest.raises(InputError, match=r"scale is not that of a human spine.*apart, found 15\.\d mm"):
        reconstruct(Segmentation(grid, small.labels, small.table))


def test_swapped_sides_are_refused() -> None:
    from kambin.errors import InputError

    original = SPINE.segmentation(1.5)
    table = {label: structure.mirrored for label, structure in original.table.items()}
    with pytest.raises(InputError, match=r"left and right contradict each other: .*left psoas lies 43 mm to the right"):
        reconstruct(Segmentation(original.grid, original.labels, table))


def test_aorta_on_the_wrong_side_is_a_serious_doubt() -> None:
    mirror = mirrored(SPINE.segmentation(1.5))
    model = reconstruct(mirror)
    assert model.doubts[0].severity.value == "serious"
    assert "RIGHT of the vena cava" in model.doubts[0].text


def test_vertebrae_upside_down_are_refused() -> None:
    from kambin.errors import InputError

    original = SPINE.segmentation(2.0)
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    array, grid = canonical(original.labels, Grid(original.grid.shape, flip @ original.grid.world_from_voxel))
    with pytest.raises(InputError, match="expected L4 above L5 in patient coordinates"):
        reconstruct(Segmentation(grid, array.astype(np.uint16), original.table))


def test_the_trunk_is_all_within_the_skin() -> None:
    """Its surface has no walls about what else is labelled: the volume is that of every label together."""
    spine = SPINE.segmentation(2.0)
    labels = np.pad(spine.labels, 3)
    trunk = int(max(spine.table)) + 1
    labels[1:-1, 1:-1, 1:-1][labels[1:-1, 1:-1, 1:-1] == 0] = trunk
    grid = Grid.axis_aligned(labels.shape, 2.0, spine.grid.world([-3.0, -3.0, -3.0]))
    model = reconstruct(Segmentation(grid, labels, {**spine.table, trunk: Structure(Kind.TRUNK)}))
    solid = model.solid(Kind.TRUNK)
    assert solid is not None
    assert solid.mesh.volume_mm3 == pytest.approx(np.count_nonzero(labels) * 8.0, rel=1e-3)
    assert len(solid.section(model.segments[0].frame).loops) == 1
