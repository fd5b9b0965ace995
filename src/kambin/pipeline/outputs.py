"""The files of a run's folder, by name, and how each stage writes its own."""

from __future__ import annotations

from pathlib import Path

from kambin.anatomy.structures import Structure
from kambin.io.glb import write_glb
from kambin.io.measurements_json import write_measurements_csv, write_measurements_json
from kambin.io.model_file import save_model
from kambin.io.seg_nrrd import write_seg_nrrd
from kambin.io.slicer_markups import write_markups
from kambin.io.stl import write_stl
from kambin.measurement.result import Measurements
from kambin.pipeline.progress import Progress
from kambin.spine import SpineModel, SurfaceMesh

MODEL = "model.npz"
SCAN = "scan.nii.gz"
SCENE = "scene.glb"
SURFACES = "models"
SEGMENTATION = "segmentation.seg.nrrd"
MEASUREMENTS = "measurements.json"
TABLE = "measurements.csv"
MARKUPS = "evidence.mrk.json"
REPORT = "report.html"


def surfaces(model: SpineModel) -> dict[Structure, SurfaceMesh]:
    """Every surface of the model, vertebral parts after the whole structures."""
    result = {structure: solid.mesh for structure, solid in model.all_solids().items()}
    for vertebra in model.vertebrae:
        result |= {structure: solid.mesh for structure, solid in vertebra.parts.items()}
    return result


def write_model_files(model: SpineModel, folder: Path, progress: Progress) -> None:
    """The model itself, a surface a structure, the scene of whole structures, and the label map with its parts."""
    progress("writing the model", 0.0)
    save_model(model, folder / MODEL)
    progress("writing surfaces", 0.5)
    (folder / SURFACES).mkdir()
    for structure, mesh in surfaces(model).items():
        write_stl(mesh, folder / SURFACES / f"{structure.key}.stl", structure.key)
    progress("writing the scene", 0.7)
    write_glb({structure: solid.mesh for structure, solid in model.all_solids().items()}, folder / SCENE)
    progress("writing the segmentation", 0.85)
    write_seg_nrrd(model.grid, model.labels, model.table, folder / SEGMENTATION)


def write_measurement_files(measurements: Measurements, model: SpineModel, folder: Path, version: str) -> None:
    """Measurements as JSON and CSV, and their evidence as markups."""
    write_measurements_json(measurements, folder / MEASUREMENTS, doubts=model.doubts, version=version)
    write_measurements_csv(measurements, folder / TABLE)
    write_markups(measurements, folder / MARKUPS)
