"""A lumbarised S1: what the literature says of it, and that it comes about without a jump, an overlap or a nerve in the bone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray, Frame
from kambin.phantom import Patient, PatientParameters, build_patient
from kambin.phantom.column import Column, build_column
from kambin.phantom.field import Field
from kambin.phantom.hip import build_hips
from kambin.phantom.lumbarised import disc_space
from kambin.phantom.raster import paint_labels
from kambin.phantom.sacrum import SacrumShape, build_sacrum
from kambin.phantom.transition import FREE_FROM, Transition, place_transition
from kambin.phantom.truth.anatomy import anatomy_of
from kambin.phantom.truth.angles import sacral_slope
from kambin.phantom.truth.heights import disc_heights
from kambin.phantom.truth.table import Table
from kambin.volume import Grid

SACRUM, L6 = Structure(Kind.SACRUM), Structure(Kind.VERTEBRA, Level.L6)
HARD = (Kind.VERTEBRA, Kind.SACRUM, Kind.HIP, Kind.DISC)
SHARES = (0.15, 0.4, 0.5, 0.75, 1.0)
PATIENTS = {
    "fused": {"lumbarisation": 0.4},
    "free": {"lumbarisation": 1.0},
    "small": {"lumbarisation": 0.6, "bone_scale": 0.8, "pelvis_width_mm": 230.0, "facet_tropism_deg": 15.0, "slip_l5s1_mm": 8.0},
}


@cache
def patient(name: str) -> Patient:
    return build_patient(PatientParameters().changed(PATIENTS[name]))


@cache
def sacral(share: float) -> tuple[Column, SacrumShape]:
    parameters = PatientParameters(lumbarisation=share)
    column = build_column(parameters)
    return column, build_sacrum(parameters, column)


def bones(share: float) -> list[Field]:
    """The sacrum, and S1 where it is free."""
    sacrum = sacral(share)[1]
    return [sacrum.whole] if sacrum.freed is None else [sacrum.whole, sacrum.freed.whole]


def bone(share: float, points: FloatArray) -> np.ndarray:
    return np.any([level_at(shape, points) < 0 for shape in bones(share)], axis=0)


def placed(share: float) -> Transition:
    return place_transition(share, PatientParameters(), sacral(0.0)[0])


def grid_around(spacing: float) -> Grid:
    """Around L5, the sacrum down to S3 and the sacro-iliac joints of the mean man."""
    extent = np.array([130.0, 100.0, 85.0])
    return Grid.axis_aligned(tuple(int(e / spacing) for e in extent), spacing, (-65.0, -75.0, -140.0))


def points_of(grid: Grid) -> np.ndarray:
    return grid.world(np.indices(grid.shape).reshape(3, -1).T).T.astype(np.float32)


def level_at(shape: Field, points: np.ndarray) -> np.ndarray:
    box = shape.box
    near = np.flatnonzero((points > box.low_mm[:, None]).all(axis=0) & (points < box.high_mm[:, None]).all(axis=0))
    result = np.full(points.shape[1], 1e3, dtype=np.float32)
    result[near] = shape(points[:, near])
    return result


def height_at(shape: Field, frame: Frame, right: float, anterior: float, low: float, high: float) -> float:
    """How much of an upright line lies inside a shape, mm."""
    heights = np.arange(low, high, 0.05)
    line = frame.world(np.stack([np.full_like(heights, right), np.full_like(heights, anterior), heights], axis=1))
    return float((shape(line.T) < 0).mean() * (high - low))


def test_one_column_has_one_transition() -> None:
    with pytest.raises(InputError, match=r"lumbarisation 0\.4: expected 0 with a sacralisation of 0\.2"):
        PatientParameters(lumbarisation=0.4, sacralisation=0.2)
    with pytest.raises(InputError, match=r"lumbarisation: expected a number from 0 to 1, found 1\.1"):
        PatientParameters(lumbarisation=1.1)


def test_hip_bones_and_the_l5s1_endplate_stay() -> None:
    points = points_of(grid_around(6.0))
    for share in (0.0, 1.0):
        column, sacrum = sacral(share)
        hip = build_hips(PatientParameters(lumbarisation=share), column)[Structure(Kind.HIP, None, Side.LEFT)](points)
        plate = sacrum.endplate_level(*column.sacrum.local(points.T).T)
        if share == 0.0:
            usual = hip, plate
    np.testing.assert_array_equal(usual, (hip, plate))
    assert sacral(0.0)[1].transition is None
    first, size = placed(1.0).first, placed(1.0).first.size
    assert first.endplate(upper=True).origin_mm == pytest.approx(sacral(0.0)[0].sacrum.origin_mm, abs=1e-9)
    np.testing.assert_allclose(first.endplate(upper=True).axes, sacral(0.0)[0].sacrum.axes, atol=1e-12)
    assert (size.upper_width_mm, size.upper_depth_mm) == (50.0, 34.0)


def test_it_begins_without_a_jump() -> None:
    """With a dial next to nothing the sacrum is the usual one but for a thin disc."""
    points = points_of(grid_around(2.0))
    usual, begun = bone(0.0, points), bone(0.01, points)
    assert 0 < (usual ^ begun).sum() < 0.025 * usual.sum()


def test_it_frees_itself_without_a_jump() -> None:
    points = points_of(grid_around(2.0))
    fused, free = bone(FREE_FROM - 0.001, points), bone(FREE_FROM, points)
    assert (fused ^ free).sum() < 0.02 * fused.sum()


@pytest.mark.parametrize("share", [0.15, 0.4, FREE_FROM - 0.001])
def test_one_bone_as_long_as_anything_joins_it(share: float) -> None:
    grid = grid_around(1.6)
    inside = bone(share, points_of(grid)).reshape(grid.shape)
    joined, _count = ndimage.label(inside)
    assert np.bincount(joined.ravel())[1:].max() > 0.999 * inside.sum()
    assert sacral(share)[1].freed is None


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0])
def test_two_bones_with_room_between_them_when_free(share: float) -> None:
    points = points_of(grid_around(1.6))
    sacrum, vertebra = (level_at(shape, points) for shape in bones(share))
    # A level never exceeds slope times distance: where both are small the gap is small.
    assert (np.maximum(sacrum, vertebra) > 0.1).all()
    assert (vertebra < 0).sum() * 1.6**3 > 30_000.0


@pytest.mark.parametrize("name", PATIENTS)
def test_names(name: str) -> None:
    """A free S1 is the sixth lumbar vertebra, with its disc and root; a fused one is the sacrum's, with a disc in it."""
    shapes, free = patient(name).shapes, name != "fused"
    assert (L6 in shapes) == free
    assert (Structure(Kind.DISC, Level.L6) in shapes) == free
    assert (Structure(Kind.DISC, Level.S1) in shapes) != free
    roots = {structure.level for structure in shapes if structure.kind is Kind.NERVE_ROOT}
    assert (Level.L6 in roots) == free
    assert Level.S1 in roots


def test_disc_grows_and_body_becomes_square() -> None:
    """O'Driscoll 1996: a rudimentary disc, then one of full depth, then a square body; S1's wedge and waist go."""
    places = [placed(share) for share in (0.0, 0.3, 0.6, 1.0)]
    heights = [place.segment.height_mm for place in places]
    tapers = [place.first.size.upper_width_mm / place.first.size.lower_width_mm for place in places]
    wedges = [place.first.size.wedge_deg for place in places]
    assert (np.diff(heights) > 0).all()
    assert (np.diff(tapers) < 0).all()
    assert (np.diff(wedges) < 0).all()
    # Wigh 1980: the upper is more than 1.37 times as wide as the lower end of a sacral S1, less than that of a square one.
    assert tapers[0] > 1.37 > tapers[2]


@pytest.mark.parametrize(("share", "low", "high"), [(0.3, 2.0, 5.0), (0.6, 4.5, 8.0), (1.0, 7.5, 11.0)])
def test_disc_space_by_rays(share: float, low: float, high: float) -> None:
    """Of what height the space between the bones is: near that of a lumbar disc in the end."""
    frame = placed(share).segment.frame
    bony = sum(height_at(shape, frame, 0.0, 0.0, -10.0, 10.0) for shape in bones(share))
    assert low < 20.0 - bony < high


def test_alae_shrink_to_transverse_processes() -> None:
    """On a line through the ala of S1 and S2."""
    column = sacral(0.0)[0]
    ala = [sum(height_at(shape, column.sacrum, 42.0, -12.0, -45.0, 5.0) for shape in bones(share)) for share in (0.0, *SHARES)]
    assert (np.diff(ala) < 0).all()
    assert ala[-1] < 0.4 * ala[0]


@pytest.mark.parametrize("name", PATIENTS)
def test_nothing_overlaps_and_no_nerve_runs_through_bone(name: str) -> None:
    made, spacing = patient(name), 1.6
    points = points_of(grid_around(spacing))
    soft = (Kind.NERVE_ROOT, Kind.DURAL_SAC, Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN)
    levels = {name: level_at(shape, points) for name, shape in made.shapes.items() if name.kind in HARD + soft}
    for index, (one, first) in enumerate(levels.items()):
        for two, second in list(levels.items())[index + 1 :]:
            if one.kind in HARD or two.kind in HARD:
                both = int(np.count_nonzero((first < -0.4) & (second < -0.4)))
                assert both * spacing**3 < 25.0, (one.key, two.key, both)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("name", ["small", "free"])
def test_root_passes_between_the_pedicle_and_the_sacrum(name: str, side: Side) -> None:
    """Out of the canal, under the pedicle of the freed S1, over the ala of S2."""
    made = patient(name)
    place = place_transition(made.parameters.lumbarisation, made.parameters, made.column)
    root, size, shelf = made.shapes[Structure(Kind.NERVE_ROOT, Level.L6, side)], place.first.size, place.second.endplate(upper=True)
    right = side.sign * (0.5 * size.canal_width_mm + 0.5 * size.pedicle_width_mm)
    heights, ahead = (a.ravel() for a in np.meshgrid(np.arange(-25.0, 25.0, 0.5), np.arange(-30.0, 15.0, 0.5)))
    points = shelf.world(np.stack([np.full_like(heights, right), ahead, heights], axis=1))
    passing = points[root(points.T) < 0]
    assert len(passing)
    under = place.first.height_mm / 2 - 1.5 - size.pedicle_height_mm
    assert (place.first.frame.local(passing)[:, 2] < under).all()
    assert (made.shapes[SACRUM](passing.T) > 0).all()
    assert (made.shapes[L6](passing.T) > 0).all()


@pytest.mark.parametrize("share", [0.75, 1.0])
def test_facet_joints_have_their_gap(share: float) -> None:
    joint = placed(share).segment.joints[Side.LEFT]
    along = np.arange(-8.0, 8.0, 0.02)
    line = joint.frame.world(np.stack([np.zeros_like(along), along, np.full_like(along, -1.0)], axis=1)).T
    sacrum, vertebra = (along[shape(line) < 0] for shape in bones(share))
    behind, before = vertebra[vertebra > 0].min(), sacrum[sacrum < 0].max()
    assert behind - before == pytest.approx(joint.size.gap_mm, abs=0.4)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_slopes_and_boxes_hold(share: float) -> None:
    rng = np.random.default_rng(4)
    points = rng.uniform((-62.0, -75.0, -140.0), (62.0, 20.0, -60.0), (20_000, 3)).T
    step = rng.choice([0.02, 0.3, 2.0, 6.0], points.shape[1])
    direction = rng.normal(size=points.shape)
    moved = points + direction / np.linalg.norm(direction, axis=0) * step
    for shape in (*bones(share), disc_space(placed(share))):
        assert (np.abs(shape(moved) - shape(points)) <= shape.slope * step * 1.001 + 1e-9).all()
        within = points[:, shape(points) < 0]
        assert (within >= shape.box.low_mm[:, None]).all()
        assert (within <= shape.box.high_mm[:, None]).all()


def test_parts_fill_the_freed_vertebra() -> None:
    made = patient("small")
    grid = grid_around(2.4)
    numbers = {name: n for n, name in enumerate([*made.shapes, *made.parts], start=1)}
    whole, parts = (made.labels(grid, numbers, parts=wanted) for wanted in (False, True))
    found = {name for name, n in numbers.items() if (parts[whole == numbers[L6]] == n).any()}
    assert found == {name for name in made.parts if name.level is Level.L6}
    assert len(found) == 12
    sacrum = paint_labels([(1, made.shapes[SACRUM])], grid) > 0
    assert not (sacrum & (whole == numbers[L6])).any()


def test_truth_counts_a_free_s1_as_l6() -> None:
    table = Table(anatomy_of(patient("free")))
    place = placed(1.0)
    assert [space.name for space in table.anatomy.spaces][-2:] == ["L5/L6", "L6/S1"]
    disc = disc_heights(table.segment(table.anatomy.spaces[-1], 0.5), 0.5)
    assert disc["DHm"] == pytest.approx(place.segment.height_mm + 0.92 * 1.3, abs=0.8)
    # The sacrum now begins at S2: its slope is S1's with the body's wedge and the disc's.
    assert sacral_slope(table.posed(0.5)) == pytest.approx(38.0 + 5.0 + 9.0, abs=1.0)
    assert [space.name for space in anatomy_of(patient("fused")).spaces][-1] == "L5/S1"
