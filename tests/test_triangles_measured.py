"""KT and ST measured on a label map of the mean man's L5/S1, against the truth of his exact shapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.measurement.result import NotMeasurable
from kambin.measurement.triangles import KAMBIN, SAFE, kambin_triangle, largest_kambin_triangle, largest_safe_triangle, safe_triangle
from kambin.phantom.parameters import PatientParameters
from kambin.phantom.patient import Patient, build_patient
from kambin.phantom.truth.anatomy import anatomy_of
from kambin.phantom.truth.scene import scene_of
from kambin.phantom.truth.table import STEP_MM, Table
from kambin.phantom.truth.triangles import at_its_largest, in_standard_view
from kambin.reconstruction.reconstruct import reconstruct
from kambin.spine import SpineModel
from kambin.volume import Grid, Segmentation

_SPACING_MM = 0.8
_THICK_MM = (4.4, 0.75, 0.75)
_LEFT_OUT = {Kind.TRUNK, Kind.PSOAS}


def modelled(patient: Patient, low_mm: tuple[float, ...], high_mm: tuple[float, ...], spacing_mm: tuple[float, float, float]) -> SpineModel:
    """The model from labels drawn in a box."""
    names = {name: number for number, name in enumerate((n for n in patient.shapes if n.kind not in _LEFT_OUT), start=1)}
    low = np.array(low_mm)
    shape = tuple(int(n) for n in np.ceil((np.array(high_mm) - low) / spacing_mm))
    grid = Grid.axis_aligned((shape[0], shape[1], shape[2]), spacing_mm, low)
    labels = patient.labels(grid, names, parts=False)
    return reconstruct(Segmentation(grid, labels, {number: name for name, number in names.items()}))


@pytest.fixture(scope="module")
def found() -> tuple[SpineModel, dict[str, float]]:
    """The model from labels, and the true values on the right."""
    patient = build_patient(PatientParameters())
    model = modelled(patient, (-58.0, -110.0, -120.0), (100.0, 50.0, -10.0), (_SPACING_MM,) * 3)  # with the right hip bone
    anatomy = anatomy_of(patient)
    table, space = Table(anatomy), anatomy.spaces[-1]
    neck = table.neck(Level.L5, Side.RIGHT, STEP_MM)
    scene = scene_of(anatomy, table.segment(space, STEP_MM), Side.RIGHT, neck.outline_mm)
    standard = {**in_standard_view(scene, "KT", 0.25), **in_standard_view(scene, "ST", 0.25)}
    largest = {**at_its_largest(scene, "KT", 0.25), **at_its_largest(scene, "ST", 0.25)}
    return model, {**standard, **{symbol: value for symbol, (value, _) in largest.items()}}


def test_measured_as_they_are(found: tuple[SpineModel, dict[str, float]]) -> None:
    model, truth = found
    segment = model.segment("L5/S1")
    assert segment is not None
    measured = {**kambin_triangle(model, segment, Side.RIGHT), **safe_triangle(model, segment, Side.RIGHT)}
    values = {quantity.symbol: value for quantity, (value, _) in measured.items()}
    assert values["KT"] == pytest.approx(truth["KT"], rel=0.05)
    assert values["KTd"] == pytest.approx(truth["KTd"], abs=0.4)
    # A twelfth of a millimetre all round is a square millimetre.
    assert values["ST"] == pytest.approx(truth["ST"], abs=1.5)
    assert values["STd"] == pytest.approx(truth["STd"], abs=0.4)


def test_the_largest_view_is_found(found: tuple[SpineModel, dict[str, float]]) -> None:
    """Among views that a hip bone stands in the way of; the area is flat about its maximum, so the angles are not sharp."""
    model, truth = found
    segment = model.segment("L5/S1")
    assert segment is not None
    measured = {**largest_kambin_triangle(model, segment, Side.RIGHT), **largest_safe_triangle(model, segment, Side.RIGHT)}
    for quantity, (value, evidence) in measured.items():
        if quantity.unit == "mm²":
            assert value == pytest.approx(truth[quantity.symbol], rel=0.08)
        else:
            assert value == pytest.approx(truth[quantity.symbol], abs=5.0)
        angles = {"o": "oblique_deg", "c": "cranial_deg"}
        if quantity.symbol[-1] in angles:
            assert evidence.facts[angles[quantity.symbol[-1]]] == value
    hipless = replace(model, solids={name: solid for name, solid in model.solids.items() if name.kind is not Kind.HIP})
    areas = [
        next(value for quantity, (value, _) in largest_kambin_triangle(each, segment, Side.RIGHT).items() if quantity.unit == "mm²")
        for each in (model, hipless)
    ]
    assert areas[1] > areas[0] + 5.0


def test_evidence_is_what_the_value_is_read_from(found: tuple[SpineModel, dict[str, float]]) -> None:
    model, _ = found
    segment = model.segment("L5/S1")
    assert segment is not None
    for quantities, measured in ((KAMBIN, kambin_triangle(model, segment, Side.LEFT)), (SAFE, safe_triangle(model, segment, Side.LEFT))):
        area, evidence = measured[quantities[0]]
        outline = evidence.curves[0].points_mm
        vector = 0.5 * np.cross(outline - outline[0], np.roll(outline, -1, axis=0) - outline[0]).sum(axis=0)
        assert np.linalg.norm(vector) == pytest.approx(area, rel=1e-6)
        # Flat to the sight.
        assert abs(vector @ np.array(evidence.facts["towards_the_eye"])) == pytest.approx(area, rel=1e-3)


def test_without_a_root_there_is_no_hypotenuse(found: tuple[SpineModel, dict[str, float]]) -> None:
    from dataclasses import replace

    model, _ = found
    gone = Structure(Kind.NERVE_ROOT, Level.L5, Side.LEFT)
    bare = replace(model, solids={name: solid for name, solid in model.solids.items() if name != gone})
    segment = bare.segment("L5/S1")
    assert segment is not None
    with pytest.raises(NotMeasurable, match="no left root of L5"):
        kambin_triangle(bare, segment, Side.LEFT)
    assert kambin_triangle(bare, segment, Side.RIGHT)


def test_thick_slices_are_doubted_and_a_region_around_the_root_is_refused() -> None:
    """Sagittal slices of 4.4 mm of a lumbarised S1. Seen at L6/S1 is only what lies above the root, with a corner beside it: 200 mm² that
    are no Kambin triangle.
    """
    patient = build_patient(PatientParameters().changed({"lumbarisation": 1.0}))
    model = modelled(patient, (-52.8, -90.0, -130.0), (52.8, 30.0, -45.0), _THICK_MM)
    hidden, seen = model.segment("L6/S1"), model.segment("L5/L6")
    assert hidden is not None
    assert seen is not None
    with pytest.raises(NotMeasurable, match="the root does not bound the Kambin triangle"):
        kambin_triangle(model, hidden, Side.LEFT)
    with pytest.raises(NotMeasurable, match=r"voxels of 4\.\d mm across the line of sight are coarse"):
        safe_triangle(model, hidden, Side.LEFT)
    _, evidence = kambin_triangle(model, seen, Side.LEFT)[KAMBIN[0]]
    assert any("coarse" in doubt for doubt in evidence.doubts)
