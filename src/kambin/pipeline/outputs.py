"""The files of a run's folder, by name, and how each stage writes its own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kambin.anatomy.structures import Structure
from kambin.io.glb import write_glb
from kambin.io.measurements_json import write_measurements_csv, write_measurements_json
from kambin.io.model_file import save_model
from kambin.io.seg_nrrd import write_seg_nrrd
from kambin.io.slicer_markups import write_markups
from kambin.io.stl import write_stl
from kambin.measurement.result import Measurements
from kambin.pipeline.progress import Progress
from kambin.spine import Solid, SpineModel, SurfaceMesh
from kambin.volume import Grid

MODEL = "model.npz"
SCAN = "scan.nii.gz"
SCENE = "scene.glb"
SURFACES = "models"
SEGMENTATION = "segmentation.seg.nrrd"
MEASUREMENTS = "measurements.json"
TABLE = "measurements.csv"
MARKUPS = "evidence.mrk.json"
REPORT = "report.html"
_MANY_FACES = 60_000


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
    write_glb({structure: _for_viewing(solid) for structure, solid in model.all_solids().items()}, folder / SCENE)
    progress("writing the segmentation", 0.85)
    write_seg_nrrd(model.grid, model.labels, model.table, folder / SEGMENTATION)


def _for_viewing(solid: Solid) -> SurfaceMesh:
    """A solid's surface; of one with very many triangles (the trunk) that of every second or third sample of its level field.

    The scene is thinned by collapsing edges, which takes minutes on such surfaces.
    """
    every = math.isqrt(len(solid.mesh.faces) // _MANY_FACES)
    if every < 2:
        return solid.mesh
    from kambin.reconstruction.isosurface import guarded, zero_surface

    coarse = solid.level_mm[::every, ::every, ::every]
    # What lies beyond the last sample is outside, so that the surface stays closed.
    level = np.pad(coarse, 1, constant_values=float(solid.level_mm.max()))
    affine = solid.grid.with_spacing_scaled([every] * 3).world_from_voxel.copy()
    affine[:3, 3] -= affine[:3, :3].sum(axis=1)
    shape = (int(level.shape[0]), int(level.shape[1]), int(level.shape[2]))
    return zero_surface(guarded(level), Grid(shape, affine))


def write_measurement_files(measurements: Measurements, model: SpineModel, folder: Path, version: str) -> None:
    """Measurements as JSON and CSV, and their evidence as markups."""
    write_measurements_json(measurements, folder / MEASUREMENTS, doubts=model.doubts, version=version)
    write_measurements_csv(measurements, folder / TABLE)
    write_markups(measurements, folder / MARKUPS)
