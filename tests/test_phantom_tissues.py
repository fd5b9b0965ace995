"""What tissues look like follows the patient's age, build and wear, by published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Structure
from kambin.phantom.ct import CtScanner
from kambin.phantom.disc import Lens, wear
from kambin.phantom.field import HalfSpace
from kambin.phantom.marrow import marrow_pieces
from kambin.phantom.mr import MrScanner, channel_values
from kambin.phantom.muscles import muscle_fat
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.patient import Patient, build_patient
from kambin.phantom.raster import Layer, Piece, paint_signal
from kambin.phantom.scanner import SCANNERS, grid_about, simulate
from kambin.phantom.texture import strands
from kambin.phantom.tissue import Blend, Material, MaterialValues, Tissue
from kambin.phantom.tissue_values import HOUNSFIELD, MR, TEXTURE, disc_core, marrow, marrow_fat, muscle

MEAN = PatientParameters()


@pytest.fixture(scope="module")
def patient() -> Patient:
    return build_patient(MEAN)


def hounsfield(material: Material) -> float:
    return MaterialValues({tissue: (hu,) for tissue, hu in HOUNSFIELD.items()})[material][0]


def fat_of(material: Material) -> float:
    return MaterialValues({tissue: (protons.fat,) for tissue, protons in MR.items()})[material][0]


def t2_signal(material: Material) -> float:
    return sum(channel_values(SCANNERS["t2-sag"])[material][:2])  # type: ignore[arg-type]


# --- blends ------------------------------------------------------------------------------------------------------------------------


def test_a_blend_lies_between_its_tissues_in_proportion() -> None:
    values = MaterialValues({Tissue.FAT: (10.0, 0.0), Tissue.MUSCLE: (2.0, 4.0)})
    quarter = Blend(Tissue.FAT, Tissue.MUSCLE, 0.25)
    assert values[quarter] == pytest.approx((8.0, 1.0))
    assert values[Blend(quarter, Tissue.MUSCLE, 0.5)] == pytest.approx((5.0, 2.5))


def test_tissues_without_values_and_shares_beyond_the_whole_are_refused() -> None:
    with pytest.raises(KeyError):
        MaterialValues()[Tissue.FAT]
    with pytest.raises(ValueError, match=r"share from 0 to 1, found 1\.2"):
        Blend(Tissue.FAT, Tissue.MUSCLE, 1.2)


@pytest.mark.parametrize("name", ["t2-sag", "ct-thin", "random"])
def test_scanners_see_a_blend_as_the_mean_of_its_halves(name: str) -> None:
    """A block of each tissue and one of both: their means, noise and texture apart."""
    block = HalfSpace(np.zeros(3), np.array([1.0, 0.0, 0.0]))
    grid = grid_about((-60.0, 0.0, 0.0), (24, 24, 24), (1.0, 1.0, 1.0))
    seen = []
    for material in (Tissue.MUSCLE, Tissue.NUCLEUS, Blend(Tissue.MUSCLE, Tissue.NUCLEUS, 0.5)):
        pieces = [Piece(block, (Layer(material),))]
        seen.append(float(simulate(pieces, name, grid, seed=2).values[6:-6, 6:-6, 6:-6].mean()))
    assert seen[2] == pytest.approx((seen[0] + seen[1]) / 2, abs=0.04 * abs(seen[0] - seen[1]) + 8.0)


# --- marrow ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "hu", "spread"), [(25.0, 226.0, 44.0), (90.0, 89.0, 38.0)])
def test_marrow_in_ct_by_age(age: float, hu: float, spread: float) -> None:
    """Jang 2019: L1, 226 ± 44 HU below 30 years and 89 ± 38 from 90 on; what falls between them falls evenly."""
    assert abs(hounsfield(marrow(marrow_fat(age))) - hu) < 0.5 * spread


def test_marrow_holds_the_fat_that_it_is_said_to() -> None:
    """Baum 2018: 32.0 ± 8.0 % in men's and 27.2 ± 6.0 % in women's twenties."""
    assert 0.272 < fat_of(marrow(marrow_fat(25.0))) < 0.320
    for fat in (0.25, 0.4, 0.6):
        assert fat_of(marrow(fat)) == pytest.approx(fat)


def test_old_marrow_is_brighter_in_mr() -> None:
    signals = [t2_signal(marrow(marrow_fat(age))) for age in (20.0, 50.0, 80.0)]
    assert signals == sorted(signals)
    assert signals[2] > 1.3 * signals[0]


def test_what_lies_in_the_marrow_stays_in_the_bones(patient: Patient) -> None:
    bones = [patient.shapes[Structure(Kind.VERTEBRA, level)] for level in patient.column.vertebrae]
    bones.append(patient.shapes[Structure(Kind.SACRUM)])
    worn = MEAN.changed({"degeneration": 0.9, "variant": 3})
    rng = np.random.default_rng(1)
    found = 0
    for piece in marrow_pieces(worn, patient.column):
        box = piece.shape.box
        points = rng.uniform(box.low_mm, box.high_mm, (400, 3)).T
        inside = points[:, piece.shape(points) < 0]
        found += inside.shape[1]
        if inside.shape[1]:
            # A vein leaves through the posterior wall, a node through the endplate.
            assert (np.min([bone(inside) for bone in bones], axis=0) < 2.5).all()
    assert found > 2000


# --- discs -------------------------------------------------------------------------------------------------------------------------


def test_worn_discs_are_dark_and_the_difference_from_the_annulus_is_lost() -> None:
    """T2 of the nucleus falls by grades 210, 129, 84, 51 ms (ESR poster), of the annulus from about 58 to 38."""
    signals = [t2_signal(disc_core(worn)) for worn in np.linspace(0.0, 1.0, 5)]
    assert signals == sorted(signals, reverse=True)
    annulus = t2_signal(Tissue.ANNULUS)
    assert signals[0] > 4.0 * annulus
    assert signals[-1] < 1.6 * annulus
    # As a single echo of the published times and a water content that falls by a fifth would have it.
    assert signals[2] / signals[0] == pytest.approx(0.9 * math.exp(-105.0 / 84.0) / math.exp(-105.0 / 170.0), rel=0.25)
    assert signals[3] / signals[0] == pytest.approx(0.8 * math.exp(-105.0 / 51.0) / math.exp(-105.0 / 170.0), rel=0.25)


def test_discs_that_lost_height_or_burst_are_worn_further() -> None:
    assert wear(MEAN, "l4l5") == MEAN.degeneration
    assert wear(MEAN.changed({"disc_height_l4l5_mm": 7.0}), "l4l5") > 0.8
    assert wear(MEAN.changed({"disc_height_l4l5_mm": 7.0}), "l3l4") == MEAN.degeneration
    assert MEAN.degeneration < wear(MEAN.changed({"herniation_l5s1_mm": 5.0}), "l5s1") < 1.0
    worst = MEAN.changed({"disc_height_l4l5_mm": 2.0, "herniation_l4l5_mm": 9.0, "degeneration": 0.9})
    assert wear(worst, "l4l5") <= 1.0


def test_nucleus_is_a_lens_within_its_disc(patient: Patient) -> None:
    segment = patient.column.segments["l3l4"]
    disc = patient.shapes[Structure(Kind.DISC, Level.L3)]
    lenses = [p.shape for p in patient.pieces if isinstance(p.shape, Lens) and np.allclose(p.shape.frame.cranial, segment.frame.cranial)]
    nucleus, cleft = lenses
    points = np.random.default_rng(2).uniform(-30.0, 30.0, (3, 60000)) * [[1.0], [1.0], [0.3]]
    points = segment.frame.world(points.T).T
    inside = nucleus(points) < 0
    assert inside.sum() > 500
    assert (disc(points[:, inside]) < 0).all()
    assert (nucleus(points[:, cleft(points) < 0]) < 0).all()
    # Thickest in the middle.
    heights = []
    for right in (0.0, 0.55 * nucleus.half_mm[0], 0.9 * nucleus.half_mm[0]):
        line = nucleus.frame.world(np.stack([np.full(400, right), np.zeros(400), np.linspace(-9, 9, 400)], axis=1)).T
        heights.append(float((nucleus(line) < 0).sum()))
    assert heights[0] >= heights[1] > heights[2] > 0


# --- muscles -----------------------------------------------------------------------------------------------------------------------


def test_fat_in_muscles_by_age_sex_and_build() -> None:
    """PMC7063279: 12.3 ± 5.6 and 19.4 ± 8.2 % in the back's muscles below and above 38 years, 4.5 ± 1.5 and 6.9 ± 2.9 % in the psoas."""
    for age, back, psoas in ((28.0, (12.3, 5.6), (4.5, 1.5)), (52.0, (19.4, 8.2), (6.9, 2.9))):
        person = MEAN.changed({"age_years": age})
        mean = 50.0 * (muscle_fat(person, "erector") + muscle_fat(person, "multifidus"))
        assert abs(mean - back[0]) < back[1]
        assert abs(100.0 * muscle_fat(person, "psoas") - psoas[0]) < psoas[1]
    assert muscle_fat(MEAN, "multifidus") > muscle_fat(MEAN, "erector") > muscle_fat(MEAN, "psoas")
    assert muscle_fat(MEAN.changed({"bmi_kg_m2": 34.0}), "erector") > muscle_fat(MEAN, "erector")
    assert muscle_fat(MEAN.changed({"sex": "female"}), "erector") > muscle_fat(MEAN, "erector")


@pytest.mark.parametrize("fat", [0.06, 0.15, 0.35])
def test_muscle_holds_the_fat_that_it_is_said_to(fat: float) -> None:
    """In its fibres and in its streaks, whose mean is that of the pattern."""
    material = muscle(fat)
    streaks = MaterialValues({tissue: (rough.streaks,) for tissue, rough in TEXTURE.items()})[material][0]
    points = np.random.default_rng(3).uniform(-70, 70, (3, 100_000))
    mean = float(np.mean([strands(points, seed).mean() for seed in (1, 2)]))
    assert fat_of(material) + mean * streaks == pytest.approx(fat, abs=0.012)


# --- the rest ----------------------------------------------------------------------------------------------------------------------


def test_variants_are_uneven_in_other_places_but_each_in_the_same_ones(patient: Patient) -> None:
    grid = grid_about((0.0, 0.0, 0.0), (30, 24, 20), (1.0, 1.0, 1.0))
    values = channel_values(SCANNERS["t1-sag"])  # type: ignore[arg-type]
    seen = []
    for variant in (4, 4, 12):
        pieces = marrow_pieces(MEAN.changed({"variant": variant}), patient.column)
        seen.append(paint_signal(pieces, grid, values, values[Tissue.MARROW]))
    assert seen[0].tobytes() == seen[1].tobytes()
    assert np.abs(seen[0] - seen[2]).max() > 20.0


def test_strands_take_a_tissue_towards_the_one_that_they_are_made_of() -> None:
    t1, ct = SCANNERS["t1-sag"], SCANNERS["ct-thin"]
    assert isinstance(t1, MrScanner)
    assert isinstance(ct, CtScanner)
    values = channel_values(t1)
    assert values[Tissue.MUSCLE][-1] > 0 > values[Tissue.FAT][-1]
