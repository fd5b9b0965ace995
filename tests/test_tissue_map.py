"""Maps of tissues: what is painted is what a scanner's label map and tissues say; what is written comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Kind, Structure
from kambin.errors import InputError
from kambin.io.tissue_maps import IDS, TABLE, read_tissue_map, write_tissue_map
from kambin.phantom import PatientParameters, build_patient, grid_about, middle_mm, paint_signal, paint_tissues
from kambin.phantom.tissue import MaterialValues
from kambin.phantom.tissue_values import HOUNSFIELD

NUMBERS = {structure: number for number, structure in builtin_scheme("kambin").table.items() if structure is not None}


@pytest.fixture(scope="module")
def painted():
    patient = build_patient(PatientParameters())
    grid = grid_about(middle_mm(patient.pieces), (40, 44, 40), (4.0, 4.0, 4.0))
    return patient, grid, *paint_tissues(patient, grid, NUMBERS)


def test_the_structures_are_those_of_the_label_map(painted):
    patient, grid, ids, rows = painted
    labels = patient.labels(grid, NUMBERS)
    named = np.array([0, *(0 if row.structure is None else NUMBERS[row.structure] for row in rows)])
    assert (named[ids] == labels).all()
    assert {row.structure.kind for row in rows if row.structure} >= {Kind.BODY, Kind.DISC, Kind.DURAL_SAC, Kind.PSOAS, Kind.TRUNK}


def test_deep_inside_each_tissue_ct_sees_what_the_table_says(painted):
    patient, grid, ids, rows = painted
    values = MaterialValues({tissue: (hounsfield,) for tissue, hounsfield in HOUNSFIELD.items()})
    picture = paint_signal(patient.pieces, grid, values, (-1000.0,))[0]
    told = np.array([-1000.0, *(row.hounsfield for row in rows)])[ids]
    # Away from surfaces there is no partial volume; the two painters share no more than the shapes.
    inner = np.ones(ids.shape, dtype=bool)
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(ids, step, axis) == ids
    inner[[0, -1]] = inner[:, [0, -1]] = inner[:, :, [0, -1]] = False
    assert inner.sum() > 5000
    assert np.mean(np.abs(picture[inner] - told[inner]) < 1.0) > 0.99


def test_what_is_written_comes_back(painted, tmp_path: Path):
    _, grid, ids, rows = painted
    write_tissue_map(tmp_path, grid, ids, rows)
    again_grid, again_ids, again_rows = read_tissue_map(tmp_path)
    assert again_grid.is_close(grid)
    assert (again_ids == ids).all()
    assert again_rows == rows


def test_a_folder_that_is_none_is_refused(painted, tmp_path: Path):
    with pytest.raises(InputError, match=TABLE):
        read_tissue_map(tmp_path)
    _, grid, ids, rows = painted
    write_tissue_map(tmp_path, grid, ids, rows[:-1])
    with pytest.raises(InputError, match=IDS):
        read_tissue_map(tmp_path)
    (tmp_path / TABLE).write_text((tmp_path / TABLE).read_text().replace("1,", "7,", 1))
    with pytest.raises(InputError, match="line 2"):
        read_tissue_map(tmp_path)


def test_parts_keep_their_names(painted):
    *_, rows = painted
    assert any(row.structure == Structure.from_key("vertebral_body_L4") for row in rows)
