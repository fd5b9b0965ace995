"""The files of a run's folder, by name, and how each stage writes its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kambin.anatomy.structures import Kind, Structure
from kambin.io.glb import write_glb
from kambin.io.measurements_json import write_measurements_csv, write_measurements_json
from kambin.io.model_file import save_model
from kambin.io.plan_json import write_plan_json
from kambin.io.plan_markups import write_plan_markups
from kambin.io.seg_nrrd import write_seg_nrrd
from kambin.io.slicer_markups import write_markups
from kambin.io.stl import write_stl
from kambin.measurement.result import Measurements
from kambin.pipeline.progress import Progress
from kambin.planning import Plan, Plans
from kambin.planning.capsule import capsule_surface
from kambin.planning.reaming import inside_level
from kambin.planning.way import WayIn
from kambin.spine import Solid, SpineModel, SurfaceMesh
from kambin.volume import Grid

MODEL = "model.npz"
SCAN = "scan.nii.gz"
LABELS = "labels.nii.gz"
CONFIDENCE = "confidence.nii.gz"
SCENE = "scene.glb"
SURFACES = "models"
SEGMENTATION = "segmentation.seg.nrrd"
MEASUREMENTS = "measurements.json"
TABLE = "measurements.csv"
MARKUPS = "evidence.mrk.json"
REPORT = "report.html"
PLAN = "plan.json"
PLAN_MARKUPS = "plan.mrk.json"
PLAN_SURFACES = "plans"
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


def write_plan_files(plans: Plans, model: SpineModel, folder: Path, version: str) -> None:
    """Plans as JSON, their channels and evidence as markups, and the surfaces of channels and of the bone to ream."""
    write_plan_json(plans, folder / PLAN, doubts=model.doubts, version=version)
    write_plan_markups(plans, folder / PLAN_MARKUPS)
    for name, mesh in plan_surfaces(plans, model):
        (folder / PLAN_SURFACES).mkdir(exist_ok=True)
        write_stl(mesh, folder / PLAN_SURFACES / f"{name}.stl", name)


def plan_surfaces(plans: Plans, model: SpineModel) -> Iterator[tuple[str, SurfaceMesh]]:
    """The surfaces of every plan by the names of their files: of the first way, and of the published placement where there is one."""
    for plan in plans.plans:
        for ending, way in (("", next(iter(plan.ways), None)), ("-published", plan.published)):
            if way is None:
                continue
            yield f"{plan.name}-channel{ending}", capsule_surface(way.channel)
            reamed = _to_ream(plan, way, model)
            if reamed is not None:
                yield f"{plan.name}-to-ream{ending}", reamed


def _to_ream(plan: Plan, way: WayIn, model: SpineModel) -> SurfaceMesh | None:
    """The bone of the superior articular process in a channel's way, or None."""
    segment = model.segment(plan.level)
    bone = None if segment is None else segment.lower.part(Kind.SUPERIOR_ARTICULAR, plan.side)
    found = inside_level(way.channel, [bone]) if bone is not None and way.reamed_mm3 else None
    if found is None:
        return None
    from kambin.reconstruction.isosurface import guarded, zero_surface

    grid, level = found
    return zero_surface(guarded(level), grid)
