"""Simulated MR against the physics: spin echo, k-space, noise, geometry."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kambin.geometry import Frame
from kambin.phantom.field import Ellipsoid, HalfSpace, RoundedBox, capsule
from kambin.phantom.mr import MrScanner, channel_values
from kambin.phantom.mr_acquisition import Acquisition
from kambin.phantom.noise import normals, uniforms
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.scanner import SCANNERS, grid_about, simulate
from kambin.phantom.slices import Axes, Profile
from kambin.phantom.texture import speckle, strands
from kambin.phantom.tissue import Tissue
from kambin.phantom.tissue_values import HOUNSFIELD, MR
from kambin.volume import Grid

NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)


def ball(x: float, y: float, z: float, radius: float, tissue: Tissue) -> Piece:
    return Piece(Ellipsoid(Frame(np.array([x, y, z]), np.eye(3)), (radius, radius, radius)), (Layer(tissue),))


def toy() -> list[Piece]:
    """Fat under skin, muscle, a vertebral body and a disc, the sac with a root, two vessels."""

    def box(y: float, z: float, half: tuple[float, float, float], *layers: Layer) -> Piece:
        return Piece(RoundedBox(Frame(np.array([0.0, y, z]), np.eye(3)), half, 3.0), layers)

    body = Ellipsoid(Frame(np.array([0.0, 10.0, 0.0]), np.eye(3)), (70.0, 55.0, 120.0))
    return [
        Piece(body, (Layer(Tissue.SKIN), Layer(Tissue.FAT, 2.0))),
        Piece(Ellipsoid(body.frame, (60.0, 45.0, 110.0)), (Layer(Tissue.MUSCLE),)),
        box(5.0, 18.0, (20.0, 15.0, 13.0), Layer(Tissue.CORTICAL_BONE), Layer(Tissue.MARROW, 1.0)),
        box(5.0, -18.0, (20.0, 15.0, 13.0), Layer(Tissue.CORTICAL_BONE), Layer(Tissue.MARROW, 1.0)),
        box(5.0, 0.0, (20.0, 15.0, 5.0), Layer(Tissue.ANNULUS), Layer(Tissue.NUCLEUS, 3.5)),
        Piece(capsule((0, -20, -70), (0, -20, 70), 8.0), (Layer(Tissue.CSF),)),
        Piece(capsule((3, -22, -70), (3, -22, 70), 1.0), (Layer(Tissue.NERVE),)),
        Piece(capsule((12, 34, -70), (12, 34, 70), 8.0), (Layer(Tissue.ARTERIAL_BLOOD),)),
        Piece(capsule((-12, 34, -70), (-12, 34, 70), 8.0), (Layer(Tissue.VENOUS_BLOOD),)),
    ]


def ideal(**changes: object) -> MrScanner:
    """A scanner without faults, but for those given."""
    plain: dict[str, object] = {
        "title": "ideal", "tr_ms": 3000.0, "te_ms": 100.0, "contrast_te_ms": 100.0, "shape": (32, 32, 32), "spacing_mm": (1.0, 1.0, 1.0),
        "acquired": (1.0, 1.0, 1.0), "apodised": 0.0, "snr": 1e6, "coil_depth_mm": 1e6, "shading": 0.0, "breathing": 0.0,
        "pulsation": 0.0, "texture": 0.0, "volumetric": True, "thickness": 1.0,
    }  # fmt: skip
    return MrScanner(**{**plain, **changes})  # type: ignore[arg-type]


def cube(n: int, spacing_mm: float = 1.0) -> Grid:
    return grid_about((0, 0, 0), (n, n, n), (spacing_mm,) * 3)


@pytest.mark.parametrize(("tr", "te"), [(3000.0, 100.0), (600.0, 12.0), (2800.0, 60.0)])
def test_signals_are_those_of_the_spin_echo_equation(tr: float, te: float) -> None:
    scanner = ideal(tr_ms=tr, te_ms=te, contrast_te_ms=te)
    pieces = [ball(0, -16, 0, 10, Tissue.CSF), ball(0, 16, 0, 10, Tissue.NUCLEUS)]
    scan = simulate(pieces, scanner, cube(64)).values.astype(float)
    found = scan[28:36, 44:52, 28:36].mean() / scan[28:36, 12:20, 28:36].mean()
    one, two = MR[Tissue.NUCLEUS], MR[Tissue.CSF]
    expected = one.proton_density / two.proton_density
    expected *= (1 - math.exp(-tr / one.t1_ms[0])) / (1 - math.exp(-tr / two.t1_ms[0]))
    expected *= math.exp(-te / one.t2_ms) / math.exp(-te / two.t2_ms)
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("field_t", "bandwidth_hz"), [(1.5, 100.0), (3.0, 150.0), (1.5, 500.0)])
def test_fat_is_shifted_by_its_frequency_over_the_bandwidth(field_t: float, bandwidth_hz: float) -> None:
    scanner = ideal(field_t=field_t, bandwidth_hz=bandwidth_hz, phase=2, across=0, apodised=0.5)
    made = []
    for fat in (False, True):
        values = dict.fromkeys(Tissue, NOTHING)
        values[Tissue.FAT] = (0.0, 1000.0, 0.0, 0.0, 0.0) if fat else (1000.0, 0.0, 0.0, 0.0, 0.0)
        made.append(Acquisition([ball(0, 0, 0, 12, Tissue.FAT)], scanner, cube(48), values, NOTHING, 1).run().astype(float))
    # Where the cross-correlation along each axis peaks, by its slope in phase.
    for axis, expected in enumerate((0.0, 3.4e-6 * 42.577e6 * field_t / bandwidth_hz, 0.0)):
        lines = [np.fft.rfft(volume.sum(axis=tuple({0, 1, 2} - {axis}))) for volume in made]
        found = -np.angle(lines[1][1] / lines[0][1]) * 48 / (2 * np.pi)
        assert found == pytest.approx(expected, abs=0.03)


def test_noise_in_air_is_rayleighs_and_rices_within() -> None:
    # Moments of the two distributions in closed form (Gudbjartsson 1995): sigma is 20 counts, white 1000.
    scan = simulate([ball(0, 20, 0, 12, Tissue.CSF)], ideal(snr=50.0), cube(80)).values.astype(float)
    air, within = scan[:, :30, :], scan[36:44, 56:64, 36:44]
    assert air.mean() == pytest.approx(20 * math.sqrt(math.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(20 * math.sqrt(2 - math.pi / 2), rel=0.01)
    assert within.mean() == pytest.approx(math.hypot(1000, 20), rel=0.003)
    assert within.std() == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("acquired", [0.5, 0.8])
def test_the_end_of_k_space_rings_as_gibbs_has_it(acquired: float) -> None:
    # An edge through a voxel centre: the first overshoot is 8.95 % high, half a period beyond it; a period is 1 / (k-space's end).
    wall = Piece(HalfSpace(np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])), (Layer(Tissue.CSF),))
    values = dict.fromkeys(Tissue, NOTHING)
    values[Tissue.CSF] = (10000.0, 0.0, 0.0, 0.0, 0.0)
    grid = Grid.axis_aligned((4, 16, 241), 1.0, (0, 0, -120))
    scanner = ideal(acquired=(1.0, acquired, 1.0), phase=2, finer=(1, 4))
    line = Acquisition([wall], scanner, grid, values, NOTHING, 1).run()[2, 8].astype(float)
    inside = line[121 - 33 : 121][::-1]
    if acquired == 0.5:
        assert inside[:6].max() == pytest.approx(10895, abs=40)
        assert inside[:6].argmax() == 2
    power = np.abs(np.fft.rfft((inside - inside.mean()) * np.hanning(33), 4096))
    power[:200] = 0
    assert np.fft.rfftfreq(4096)[power.argmax()] == pytest.approx(acquired / 2, abs=0.02)


def test_apodisation_takes_the_ringing_away() -> None:
    piece = [ball(0, 0, 0, 14, Tissue.CSF)]
    rings = [simulate(piece, ideal(acquired=(1.0, 0.6, 1.0), apodised=a), cube(48)).values.max() for a in (0.0, 0.4, 1.0)]
    assert rings[0] > rings[1] > rings[2]
    assert rings[2] < 1015


def test_what_lies_outside_the_field_of_view_folds_in_by_its_width() -> None:
    grid = cube(48)
    outside, inside = [ball(0, 0, 40, 8, Tissue.CSF)], [ball(0, 0, -8, 8, Tissue.CSF)]
    folded = simulate(outside, ideal(oversampling=0.0, phase=2), grid).values
    assert np.abs(folded.astype(int) - simulate(inside, ideal(oversampling=0.0, phase=2), grid).values).max() <= 1
    assert simulate(outside, ideal(oversampling=1.0, phase=2), grid).values.max() < 60  # its own ringing only
    assert simulate(outside, ideal(oversampling=0.0, phase=1), grid).values.max() < 60


def test_thick_slices_are_weighted_means_of_thin_ones() -> None:
    pieces, scanner = toy(), ideal(volumetric=False, across=0)
    thick = simulate(pieces, replace(scanner, thickness=0.9), grid_about((1, 0, 0), (3, 96, 96), (4.0, 1.0, 1.0))).values
    thin = simulate(pieces, scanner, grid_about((1, 0, 0), (120, 96, 96), (0.1, 1.0, 1.0))).values.astype(float)
    # The trapezoid that the profile promises, at forty slices for each thick one.
    place = (np.arange(120) - 59.5) * 0.1
    weight = np.clip((0.65 - np.abs(place) / 3.6) / 0.3, 0, 1)
    expected = np.tensordot(weight / weight.sum(), thin, axes=1)
    difference = np.abs(thick[1] - expected)
    assert difference.mean() < 3
    assert np.percentile(difference, 99) < 60


def test_slice_profile() -> None:
    gap = Profile.of(4.4, 3.96, 1.0)
    assert sum(gap.weights) == pytest.approx(1)
    assert gap.weights == pytest.approx(gap.weights[::-1])
    assert Profile.of(0.8, 0.8, 1.0) == Profile(1, 0, (1.0,))
    overlap = Profile.of(1.0, 5.0, 1.0)
    assert overlap.count == 1
    assert len(overlap.weights) * 1.0 == pytest.approx(6, abs=1.1)
    assert overlap.first == -(len(overlap.weights) // 2)


def test_axes_follow_thick_slices() -> None:
    sagittal, axial = grid_about((0, 0, 0), (9, 9, 9), (4, 1, 1)), grid_about((0, 0, 0), (9, 9, 9), (1, 1, 4))
    assert Axes.of(sagittal, 0, 2) == Axes(0, 1, 2)
    assert Axes.of(axial, 0, 2) == Axes(2, 0, 1)
    assert Axes.of(cube(8), 0, 2) == Axes(0, 1, 2)


def test_flowing_blood_is_dark_and_t1_and_t2_order_tissues_as_textbooks_do() -> None:
    t2, t1 = channel_values(SCANNERS["t2-sag"]), channel_values(SCANNERS["t1-sag"])  # type: ignore[arg-type]

    def order(values: dict[Tissue, tuple[float, ...]], *tissues: Tissue) -> None:
        signals = [values[t][0] + values[t][1] for t in tissues]
        assert signals == sorted(signals, reverse=True)

    order(t2, Tissue.CSF, Tissue.NUCLEUS, Tissue.MARROW, Tissue.MUSCLE, Tissue.ANNULUS, Tissue.LIGAMENT, Tissue.CORTICAL_BONE)
    order(t1, Tissue.FAT, Tissue.MARROW, Tissue.MUSCLE, Tissue.CSF, Tissue.CORTICAL_BONE)
    assert sum(t2[Tissue.ARTERIAL_BLOOD][:2]) < 0.05 * sum(t2[Tissue.CSF][:2])
    assert sum(t2[Tissue.VENOUS_BLOOD][:2]) < 0.3 * sum(t2[Tissue.CSF][:2])


def test_ghosts_stand_to_both_sides_along_phase() -> None:
    pieces = [ball(0, 0, 0, 7, Tissue.CSF)]
    scan = simulate(pieces, ideal(pulsation=0.2, phase=2), cube(64), seed=5).values.astype(int)
    plain = simulate(pieces, ideal(phase=2), cube(64), seed=5).values.astype(int)
    ghosts = np.abs(scan - plain).sum(axis=(0, 1))
    shift = round((0.08 + 0.3 * uniforms(4, 5, 23)[1]) * 80)  # the transform is 80 long
    assert ghosts[31 + shift] > 10 * ghosts[31]
    assert ghosts[31 + shift] == pytest.approx(ghosts[32 - shift], rel=0.1)
    assert np.abs(scan - plain).sum(axis=(1, 2))[:20].sum() < 0.02 * np.abs(scan - plain).sum()


def test_same_seed_same_bytes_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces, grid = toy(), grid_about((0, 0, 0), (10, 30, 30), (3.0, 2.5, 2.5), (8, 5, 3))
    for name in ("t2-space", "t1-sag", "ct-thin", "random"):
        first = simulate(pieces, name, grid, seed=7).values
        monkeypatch.setattr(os, "cpu_count", lambda: 1)
        again = simulate(pieces, name, grid, seed=7).values
        monkeypatch.undo()
        assert first.tobytes() == again.tobytes()
        assert first.tobytes() != simulate(pieces, name, grid, seed=8).values.tobytes()


def test_normal_deviates_are_normal_and_the_same_everywhere() -> None:
    sample = normals((200_000,), 3, 1).astype(float)
    assert stats.kstest(sample, "norm").pvalue > 0.001
    assert sample.std() == pytest.approx(1, abs=0.01)
    # From raw bits, which numpy promises to keep: what one machine drew, all do.
    assert (normals((2, 3), 1, 2, 3).ravel() * 4096).astype(int).tolist() == [2447, 7370, -6039, 1807, -4344, 4659]


def test_texture_stays_with_the_patient() -> None:
    points = np.random.default_rng(1).uniform(-60, 60, (3, 200_000))
    assert speckle(points, 4).mean() == pytest.approx(0, abs=0.02)
    assert speckle(points, 4).std() == pytest.approx(1, abs=0.1)
    assert 0 <= strands(points, 4).min() <= strands(points, 4).max() <= 1 + 1e-9
    pieces = [ball(0, 0, 0, 40, Tissue.MARROW)]
    scanner = ideal(texture=1.0)
    one = simulate(pieces, scanner, cube(40), seed=3).values
    other = simulate(pieces, scanner, Grid.axis_aligned((40, 40, 40), 1.0, (-16.5, -19.5, -19.5)), seed=3).values
    assert one[3 + 8 : -8, 8:-8, 8:-8].std() > 10
    np.testing.assert_allclose(one[3 + 8 : -8, 8:-8, 8:-8], other[8 : -3 - 8, 8:-8, 8:-8], atol=12)


@pytest.mark.parametrize("turned", [(0, 0, 0), (20, 0, 0), (10, -15, 25)])
def test_a_ball_is_where_it_is_on_any_grid(turned: tuple[float, float, float]) -> None:
    centre = np.array([5.0, -7.0, 11.0])
    # Water alone, without faults: the centroid of the intensity.
    scan = simulate([ball(*centre, 9.0, Tissue.CSF)], ideal(apodised=1.0), grid_about((0, 0, 0), (60, 60, 60), (0.9, 1.0, 1.1), turned))
    values = np.where(scan.values > 30, scan.values, 0).astype(float)
    place = np.stack([np.arange(60.0)] * 3)
    middle = [np.tensordot(values.sum(axis=tuple({0, 1, 2} - {axis})), place[axis], 1) / values.sum() for axis in range(3)]
    np.testing.assert_allclose(scan.grid.world(middle), centre, atol=0.05)


def test_stored_order_does_not_matter() -> None:
    grid = grid_about((0, 0, 0), (20, 30, 40), (4.0, 1.5, 1.5))
    affine = grid.world_from_voxel[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * 39
    affine[:3, 0] *= -1
    scans = [simulate(toy(), "t2-sag", g, seed=2) for g in (grid, Grid((40, 20, 30), affine))]
    assert scans[1].grid.is_close(grid)
    assert scans[0].values.tobytes() == scans[1].values.tobytes()


def test_spine_coil_hears_the_back_best_and_normalisation_evens_it() -> None:
    pieces = [Piece(RoundedBox(Frame(np.zeros(3), np.eye(3)), (30, 90, 30), 1.0), (Layer(Tissue.CSF),))]
    grid = grid_about((0, 0, 0), (16, 200, 16), (1, 1, 1))
    lines = [simulate(pieces, ideal(coil_depth_mm=100.0, normalised=n), grid).values[8, :, 8].astype(float) for n in (0.0, 1.0)]
    # One over one plus the square of depth over 100 mm; the back is at -90.
    depth = grid.world(np.stack([np.full(200, 8), np.arange(200), np.full(200, 8)], axis=1))[:, 1] + 90
    inside = (depth > 15) & (depth < 165)
    np.testing.assert_allclose(lines[0][inside], 1000 * 1.36 / (1 + (depth[inside] / 100) ** 2), rtol=0.02)
    np.testing.assert_allclose(lines[1][inside], 1000, rtol=0.02)


def test_saturation_band_takes_its_share_in_front() -> None:
    pieces = [Piece(RoundedBox(Frame(np.zeros(3), np.eye(3)), (30, 60, 30), 1.0), (Layer(Tissue.CSF),))]
    scanner = ideal(saturated=0.7, saturation_depth_mm=50.0, saturation_edge_mm=15.0)
    line = simulate(pieces, scanner, grid_about((0, 0, 0), (16, 140, 16), (1, 1, 1))).values[8, :, 8].astype(float)
    np.testing.assert_allclose(line[20:55], 1000, atol=3)
    np.testing.assert_allclose(line[80:115], 300, atol=3)


def test_random_contrast_ignores_physics_but_follows_the_seed() -> None:
    grid, pieces = grid_about((0, 10, 0), (16, 26, 26), (5, 5, 5)), toy()
    fat_over_csf = []
    for seed in range(8):
        scan = simulate(pieces, "random", grid, seed=seed)
        assert scan.modality is None
        where = np.rint(grid.voxel([[0, 58, 0], [0, -17, 30]])).astype(int)
        fat_over_csf.append(float(scan.values[tuple(where[0])]) / max(1.0, float(scan.values[tuple(where[1])])))
    assert min(fat_over_csf) < 0.7
    assert max(fat_over_csf) > 1.5


def test_every_tissue_has_its_values() -> None:
    assert set(MR) == set(HOUNSFIELD) == set(Tissue)


def test_nothing_given_is_changed() -> None:
    pieces, grid = toy(), grid_about((0, 0, 0), (8, 40, 40), (4, 2, 2))
    before = [piece.shape for piece in pieces]
    done: list[float] = []
    scan = simulate(pieces, "t2-sag", grid, progress=done.append)
    assert [piece.shape for piece in pieces] == before
    assert scan.values.dtype == np.int16
    assert scan.modality == "MR"
    assert scan.provenance["seed"] == 0
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
