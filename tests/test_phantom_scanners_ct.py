"""Simulated CT against closed forms: Hounsfield units, kernels, noise, metal; and what scanners refuse."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from kambin.errors import InputError
from kambin.geometry import Frame
from kambin.phantom.ct import BONE, SOFT, CtScanner
from kambin.phantom.field import Ellipsoid, HalfSpace, capsule
from kambin.phantom.metal import _ANGLES, _projected, _projected_back, _ramp_filtered, metal_error
from kambin.phantom.mr import MrScanner
from kambin.phantom.random_contrast import RandomScanner
from kambin.phantom.raster import Layer, Piece
from kambin.phantom.scanner import SCANNERS, grid_about, middle_mm, simulate, usual_grid
from kambin.phantom.tissue import Tissue
from kambin.phantom.tissue_values import HOUNSFIELD
from kambin.volume import Grid

SMOOTH = CtScanner("smooth", SOFT, (64, 64, 8), (0.8, 0.8, 2.5), noise_hu=0.0, texture=0.0)


def ellipsoid(half: tuple[float, float, float], tissue: Tissue) -> Piece:
    return Piece(Ellipsoid(Frame(np.zeros(3), np.eye(3)), half), (Layer(tissue),))


@pytest.mark.parametrize("tissue", [Tissue.MUSCLE, Tissue.FAT, Tissue.MARROW, Tissue.CSF])
@pytest.mark.parametrize("name", ["ct-thin", "ct-thick", "ct-thin-bone"])
def test_mean_of_an_even_body_is_its_tissues_hounsfield_unit(tissue: Tissue, name: str) -> None:
    scanner = replace(SCANNERS[name], texture=0.0)  # type: ignore[type-var]
    grid = grid_about((0, 0, 0), (140, 120, 10), (0.78, 0.78, scanner.spacing_mm[2]))
    scan = simulate([ellipsoid((45, 38, 90), tissue)], scanner, grid, seed=3)
    i, j, _k = np.indices(grid.shape)
    within = np.hypot((i - 69.5) * 0.78 / 45, (j - 59.5) * 0.78 / 38) < 0.75
    assert scan.modality == "CT"
    assert scan.values[within].mean() == pytest.approx(HOUNSFIELD[tissue], abs=1)


@pytest.mark.parametrize("kernel", [SOFT, BONE])
def test_an_edge_is_as_sharp_as_the_kernel_says(kernel: object) -> None:
    # The modulation transfer function measured as on a real scanner: from an edge at several places between the voxels (the slanted
    # edge of ISO 12233), here of fluid against fat.
    scanner, f = replace(SMOOTH, kernel=kernel), np.array([0.2, 0.4, 0.6, 0.8])
    index = np.rint(f * 200 * 0.4).astype(int)
    found = np.zeros(4, dtype=complex)
    for place in (0.0, 0.1, 0.2, 0.3):
        fat, fluid = (
            Piece(HalfSpace(np.array([x, 0, 0]), np.array([1.0, 0, 0])), (Layer(t),)) for x, t in ((1e3, Tissue.FAT), (place, Tissue.CSF))
        )
        line = simulate([fat, fluid], scanner, Grid.axis_aligned((201, 16, 2), (0.4, 0.4, 2.0), (-40, 0, 0))).values[:, 8, 1]
        spread = np.fft.fft(np.diff(line.astype(float)) / (HOUNSFIELD[Tissue.FAT] - HOUNSFIELD[Tissue.CSF]))
        found += spread[index] * np.exp(2j * np.pi * f * place) / 4
    # The difference of neighbours blurs by one voxel.
    np.testing.assert_allclose(np.abs(found) / np.sinc(f * 0.4), kernel.mtf(f), atol=0.04)  # type: ignore[attr-defined]


def test_noise_in_water_is_as_given_and_falls_with_dose_and_thickness() -> None:
    # Cerebrospinal fluid stands for water: 300 mm of it.
    pieces = [Piece(capsule((0, 0, -200), (0, 0, 200), 150 / 1.012), (Layer(Tissue.CSF),))]
    scanner = CtScanner("noisy", SOFT, (448, 448, 2), (0.7, 0.7, 5.0), texture=0.0)

    def spread(machine: CtScanner) -> float:
        return float(simulate(pieces, machine, usual_grid(machine, (0, 0, 0)), seed=1).values[180:268, 180:268].std())

    assert spread(scanner) == pytest.approx(12, rel=0.06)
    assert spread(replace(scanner, dose=0.25)) == pytest.approx(24, rel=0.06)
    assert spread(replace(scanner, spacing_mm=(0.7, 0.7, 1.25))) == pytest.approx(24, rel=0.06)
    assert spread(replace(scanner, kernel=BONE)) > 2 * 12


def test_noise_has_the_colour_of_filtered_back_projection() -> None:
    pieces = [ellipsoid((200, 200, 400), Tissue.CSF)]
    machine = CtScanner("noisy", SOFT, (256, 256, 4), (0.7, 0.7, 3.0), texture=0.0)
    values = simulate(pieces, machine, usual_grid(machine, (0, 0, 0))).values.astype(float)
    power = np.square(np.abs(np.fft.fft2(values - values.mean(axis=(0, 1)), axes=(0, 1)))).mean(axis=2)
    f = np.fft.fftfreq(256, 0.7)
    size = np.hypot(f[:, None], f)
    measured = np.array([power[(size > a) & (size <= a + 0.05)].mean() for a in np.arange(0.05, 0.5, 0.05)])
    middle = np.arange(0.075, 0.5, 0.05)
    expected = middle * SOFT.mtf(middle) ** 2
    assert np.corrcoef(measured, expected)[0, 1] > 0.99
    assert measured.argmax() in (2, 3, 4)


def test_wide_bodies_have_streaky_noise_along_their_width() -> None:
    machine = CtScanner("noisy", SOFT, (512, 400, 8), (0.8, 0.8, 3.0), texture=0.0)

    def powers(half: tuple[float, float, float]) -> tuple[float, float]:
        """Of the noise in the body's middle that changes along its width, and along its depth."""
        values = simulate([ellipsoid(half, Tissue.CSF)], machine, usual_grid(machine, (0, 0, 0))).values[206:306, 150:250].astype(float)
        power = np.square(np.abs(np.fft.fft2(values - values.mean(axis=(0, 1)), axes=(0, 1)))).mean(axis=2)
        return float(power[8:30, :4].mean()), float(power[:4, 8:30].mean())

    wide, even = powers((195, 115, 500)), powers((150, 150, 500))
    assert even[1] / even[0] == pytest.approx(1, rel=0.15)
    # Beer's law along the two ways, less what modulation leaves.
    assert wide[1] / wide[0] == pytest.approx(math.exp(0.45 * 0.0193 * 1.012 * 2 * (195 - 115)), rel=0.25)


def test_projection_of_a_disc_is_its_chord_and_back_projection_returns_the_disc() -> None:
    spacing, radius = 0.5, 20.0
    place = (np.arange(161) - 80) * spacing
    fine = (np.arange(161 * 5) - 402) * spacing / 5
    inside = np.hypot(fine[:, None], fine) < radius
    disc = inside.reshape(161, 5, 161, 5).mean(axis=(1, 3))
    angles = np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    sinogram = _projected(disc, (spacing, spacing), spacing, 130, angles)
    rays = (np.arange(261) - 130) * spacing
    chord = 2 * np.sqrt(np.maximum(radius**2 - rays**2, 0))
    away = np.abs(np.abs(rays) - radius) > 2
    assert np.abs(sinogram[:, away] - chord[away]).max() < 0.4
    back = _projected_back(_ramp_filtered(sinogram, spacing), disc.shape, (spacing, spacing), spacing, 130, angles)
    distance = np.hypot(place[:, None], place)
    assert back[distance < 17].mean() == pytest.approx(1, abs=0.01)
    assert np.abs(back[(distance > 23) & (distance < 38)]).mean() < 0.02


def test_metal_streaks_stay_in_its_slices_and_join_two_screws() -> None:
    body = ellipsoid((90, 70, 200), Tissue.MUSCLE)
    screws = [Piece(capsule((s * 25, 0, 0), (s * 25, 30, 0), 3.0), (Layer(Tissue.METAL),)) for s in (-1, 1)]
    grid = grid_about((0, 0, 0), (250, 200, 11), (0.8, 0.8, 3.0))
    with_metal, without = (simulate(p, SMOOTH, grid).values.astype(int) for p in ([body, *screws], [body]))
    changed = np.abs(with_metal - without).max(axis=(0, 1)) > 0
    assert changed.nonzero()[0].tolist() == [4, 5, 6] or changed.nonzero()[0].tolist() == [5]
    assert with_metal.max() == 3071
    # Beam hardening: a dark band between the two.
    between = np.s_[115:135, 105:120, 5]
    assert with_metal[between].mean() < without[between].mean() - 30
    assert not metal_error(np.zeros((8, 8)), np.zeros((8, 8)), (1.0, 1.0), 0, 0).any()


def test_thick_slices_average_a_slant_as_a_plane_does() -> None:
    # A plane tilted by 45 degrees through 5 mm slices: the mean over the slice keeps its place in the middle, and widens the edge.
    slant = Piece(HalfSpace(np.zeros(3), np.array([1.0, 0.0, 1.0]) / math.sqrt(2)), (Layer(Tissue.CSF),))
    line = simulate([slant], SMOOTH, Grid.axis_aligned((101, 16, 3), (0.5, 0.5, 5.0), (-25, 0, -5))).values[:, 8, 1].astype(float)
    share = (line + 1000) / (HOUNSFIELD[Tissue.CSF] + 1000)
    assert np.interp(0.5, share[::-1], np.linspace(25, -25, 101)) == pytest.approx(0, abs=0.1)
    width = np.interp([0.9, 0.1], share[::-1], np.linspace(25, -25, 101))
    assert abs(width[1] - width[0]) == pytest.approx(0.8 * 5.0, rel=0.15)


def test_values_are_kept_to_what_scanners_store() -> None:
    scan = simulate([ellipsoid((20, 20, 20), Tissue.METAL)], "ct-thin", grid_about((0, 0, 0), (80, 80, 4), (0.8, 0.8, 0.8)))
    assert scan.values.dtype == np.int16
    assert scan.values.min() >= -1024
    assert scan.values.max() == 3071


def test_usual_grid_is_about_the_vertebrae_and_ct_holds_the_body() -> None:
    body = Piece(Ellipsoid(Frame(np.array([0.0, 60.0, 0.0]), np.eye(3)), (150, 110, 300)), (Layer(Tissue.FAT),))
    bone = Piece(capsule((0, 0, 20), (0, 0, 60), 20), (Layer(Tissue.MARROW),))
    np.testing.assert_allclose(middle_mm([body, bone]), (0, 0, 40), atol=1e-9)
    small = replace(SMOOTH, shape=(16, 16, 4), spacing_mm=(20.0, 20.0, 2.0))
    middle = simulate([body, bone], small).grid.world((7.5, 7.5, 1.5))
    np.testing.assert_allclose(middle, (0, 60, 40), atol=1e-9)


def test_parameters_can_be_written_down() -> None:
    scan = simulate([ellipsoid((9, 9, 9), Tissue.FAT)], "ct-thin", grid_about((0, 0, 0), (16, 16, 4), (2, 2, 2)))
    assert json.loads(json.dumps(dict(scan.provenance)))["parameters"]["kernel"]["f50_per_mm"] == SOFT.f50_per_mm


def test_presets_are_those_promised() -> None:
    assert {"t2-space", "t2-sag", "t1-sag", "t2-ax", "ct-thin", "ct-thick", "random"} <= set(SCANNERS)
    space = SCANNERS["t2-space"]
    assert isinstance(space, MrScanner)
    assert (space.tr_ms, space.te_ms, space.spacing_mm, space.shape[1:]) == (2800, 189, (0.8, 0.8, 0.8), (320, 320))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scanner": "pet"}, ["scanner", "t2-space", "ct-thin", "random", "'pet'"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"seed": 1.5}, ["seed", "1.5"]),
        ({"pieces": []}, ["pieces", "none"]),
        ({"grid": Grid.axis_aligned((100_000, 100_000, 100_000), 1.0)}, ["grid", "voxels", "100000"]),
        ({"grid": Grid.axis_aligned((10, 10, 10), 0.001)}, ["grid", "spacings", "0.001"]),
    ],
)
def test_what_cannot_be_scanned_is_refused_by_name(arguments: dict[str, object], words: list[str]) -> None:
    given: dict[str, object] = {"pieces": [ellipsoid((9, 9, 9), Tissue.FAT)], "scanner": "ct-thin", **arguments}
    with pytest.raises(InputError) as caught:
        simulate(**given)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "spacing", "word"),
    [
        ((10, 10, 10), (1, -1, 1), "spacings"),
        ((10, 10, 10), (0, 1, 1), "spacings"),
        ((10, 0, 10), (1, 1, 1), "at least one"),
        ((10, 2.5, 10), (1, 1, 1), "whole"),
        ((10_000, 10_000, 10_000), (1, 1, 1), "at most"),
        ((10, 10, 10), (1, float("nan"), 1), "finite"),
        ((10, 10), (1, 1, 1), "three"),
    ],
)
def test_absurd_grids_are_refused(shape: tuple[int, ...], spacing: tuple[float, ...], word: str) -> None:
    with pytest.raises(InputError, match=word):
        grid_about((0, 0, 0), shape, spacing)


def test_all_that_is_wrong_with_a_grid_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        grid_about((0, 0, 0), (0, 4, 4), (1, 0, 1))
    assert len(caught.value.problems) == 2


def test_absurd_scanners_are_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        replace(SCANNERS["t2-sag"], tr_ms=0.0, snr=-3.0, acquired=(2.0, 1.0, 1.0))  # type: ignore[type-var]
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError, match="dose"):
        replace(SMOOTH, dose=0.0)
    with pytest.raises(InputError, match="snr"):
        RandomScanner(snr=(5.0, 2.0))
