"""The skin that is taken from a CT where nobody labelled it."""

from __future__ import annotations

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Structure
from kambin.reconstruction.trunk import body_mask, with_trunk
from kambin.volume import Grid, Scan, Segmentation


def ct(spacing_mm: float = 1.5, modality: str | None = "CT") -> tuple[Scan, np.ndarray]:
    """An elliptic body with gas inside it, on a table with a gap of air between; and where the body truly is."""
    grid = Grid.axis_aligned((150, 120, 40), spacing_mm, [-112.0, -90.0, 0.0])
    x, y, z = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    body = (x / 90) ** 2 + (y / 60) ** 2 < 1
    values = np.where(body, 40.0, -1000.0)
    values[(x - 30) ** 2 + (y - 20) ** 2 + (z - 30) ** 2 < 12**2] = -900.0
    values[(np.abs(y + 70) < 2.0) & (np.abs(x) < 100)] = 200.0
    return Scan(grid, values + np.random.default_rng(1).normal(0, 15, grid.shape), modality), body


def bone(scan: Scan) -> Segmentation:
    labels = np.zeros(scan.grid.shape, dtype=np.uint16)
    labels[70:80, 50:60, 10:20] = 3
    return Segmentation(scan.grid, labels, {3: Structure(Kind.VERTEBRA, Level.L4)})


def test_the_outline_is_the_body_without_table_and_gas() -> None:
    scan, body = ct()
    made = with_trunk(bone(scan), scan)
    number = next(label for label, structure in made.table.items() if structure.kind is Kind.TRUNK)
    found = made.labels > 0
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.985
    assert not found[:, :14].any()  # the table, and the air over it
    assert (made.labels == 3).sum() == (bone(scan).labels == 3).sum()
    assert (made.labels == number).any()
    assert any("skin was not labelled" in doubt for doubt in made.doubts)


def test_the_scan_may_be_coarser_than_the_labels() -> None:
    scan, _ = ct(3.0)
    fine = bone(ct()[0])
    made = with_trunk(fine, scan)
    assert made.labels.shape == fine.labels.shape
    assert (made.labels > 0).sum() > 0.9 * fine.labels.size * 0.3


@pytest.mark.parametrize("modality", ["MR", None])
def test_what_is_no_ct_or_has_a_trunk_is_left_alone(modality: str | None) -> None:
    scan, _ = ct(modality=modality)
    bright = Scan(scan.grid, scan.values + 1000.0, modality)
    assert body_mask(bright) is None
    assert with_trunk(bone(scan), bright).table == bone(scan).table
    labelled = with_trunk(bone(scan), Scan(scan.grid, scan.values, "CT"))
    assert with_trunk(labelled, Scan(scan.grid, scan.values, "CT")) is labelled
    assert with_trunk(bone(scan), None).table == bone(scan).table
