"""The model that ships: what its file says, and what it sees of real scans that it was never trained on."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Structure
from kambin.io import read_scan
from kambin.pipeline.segment import Segmented, SegmentOrder, segment_scan
from kambin.segmentation import any_model
from kambin.segmentation.bundle import DEFAULT, read_model
from kambin.volume import Scan

UPWARD = (Level.L5, Level.L4, Level.L3, Level.L2, Level.L1)


def test_its_file_is_small_and_says_what_it_is():
    model = read_model(DEFAULT)
    assert model.name == any_model.NAME
    assert model.source.stat().st_size < 25e6
    assert model.description.classes == any_model.CLASSES
    assert model.description.modality is None
    assert model.card["real_scans_trained_on"] == 0
    assert model.card["licence"] == "Apache-2.0"
    assert len(model.card["credits"]) == 3


@pytest.fixture(scope="module")
def water_image(data_dir: Path) -> tuple[Scan, np.ndarray, Segmented]:
    scan = read_scan(data_dir / "mr-vb3" / "VB3_05.nii.gz")
    by_hand = np.asarray(read_scan(data_dir / "mr-vb3" / "VB3_05_seg.nii.gz").values)
    return scan, by_hand, segment_scan(scan, SegmentOrder())


def test_on_a_real_mr_every_level_is_right(water_image: tuple[Scan, np.ndarray, Segmented]):
    _, by_hand, made = water_image
    labels = np.asarray(made.segmentation.labels)
    number = {structure: n for n, structure in made.segmentation.table.items()}
    for hand, level in enumerate(UPWARD, 1):
        own, theirs = labels == number[Structure(Kind.BODY, level)], by_hand == hand
        assert 2 * (own & theirs).sum() / (own.sum() + theirs.sum()) > 0.8, level


def test_another_storage_order_gives_the_same_labels(water_image: tuple[Scan, np.ndarray, Segmented], data_dir: Path, tmp_path: Path):
    _, _, made = water_image
    image = nib.load(data_dir / "mr-vb3" / "VB3_05.nii.gz")
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(("S", "L", "A")))
    nib.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    again = segment_scan(read_scan(tmp_path / "turned.nii.gz"), SegmentOrder())
    assert again.segmentation.grid.is_close(made.segmentation.grid)
    assert (np.asarray(again.segmentation.labels) == np.asarray(made.segmentation.labels)).all()
