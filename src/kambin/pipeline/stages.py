"""The stages of a run. Each reads what the one before wrote, so a run in one go and a run by stages give the same numbers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kambin import __version__
from kambin.errors import InputError
from kambin.io import read_scan
from kambin.io.manifest import NAME as MANIFEST
from kambin.io.manifest import FileRecord, Manifest, Stage, now
from kambin.io.measurements_json import read_measurements
from kambin.io.model_file import load_model
from kambin.io.nifti_writer import write_nifti
from kambin.io.plain import encodable
from kambin.measurement.result import Measurements
from kambin.pipeline import outputs
from kambin.pipeline.folder import new_folder, updated_folder
from kambin.pipeline.inputs import RunInputs, read_inputs
from kambin.pipeline.plans import PlanOrder, make_plans, read_back, with_ordered_roots
from kambin.pipeline.progress import Progress, part, silent
from kambin.pipeline.segment import SegmentOrder, segment_into
from kambin.planning import Plans
from kambin.spine import Doubt, SpineModel
from kambin.volume import Scan


@dataclass(frozen=True)
class RunResult:
    """What a stage or a run leaves behind.

    Parameters
    ----------
    folder
        Where everything was written.
    doubts
        Doubts about the model, worst first.
    measurements
        The rows, where they were measured.
    report
        The report's file, where one was written.
    notes
        What the user should know that is not about the patient: a report that is out of date, for example.
    plans
        The ways in, where they were planned.
    """

    folder: Path
    doubts: tuple[Doubt, ...]
    measurements: Measurements | None = None
    report: Path | None = None
    notes: tuple[str, ...] = ()
    plans: Plans | None = None


def run(
    inputs: RunInputs,
    output: str | Path,
    *,
    overwrite: bool = False,
    plan: bool = True,
    report: bool = True,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
) -> RunResult:
    """Reconstruct, measure, plan and report in one go.

    Parameters
    ----------
    inputs
        The files and how to read them.
    output
        The folder to make. It appears when everything in it is complete.
    overwrite
        Whether an earlier run may be replaced.
    plan
        Whether to plan every way in that the model allows.
    report
        Whether to write ``report.html``.
    progress
        Told what is being done and the fraction behind.
    command
        What the manifest gives as the command; by default the program's own arguments.

    Raises
    ------
    InputError
        When the input cannot be used.
    OutputError
        When the output cannot be written.
    """
    with new_folder(output, overwrite) as folder:
        manifest, model = _reconstruct(inputs, folder, part(progress, 0.0, 0.4), command)
        manifest, measurements = _measure(model, manifest, folder, part(progress, 0.4, 0.55), command)
        plans: Plans | None = None
        notes: tuple[str, ...] = ()
        if plan:
            manifest, plans, notes = _plan_if_possible(model, manifest, folder, part(progress, 0.55, 0.8), command)
        if report:
            manifest = _report(model, measurements, plans, manifest, folder, folder, part(progress, 0.8, 0.99), command)
        manifest.describe_outputs(folder).write(folder / MANIFEST)
    progress("done", 1.0)
    place = Path(output)
    return RunResult(place, model.doubts, measurements, place / outputs.REPORT if report else None, notes, plans)


def reconstruct_stage(
    inputs: RunInputs,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
) -> RunResult:
    """The first stage alone: the model, its surfaces and the scan, in a new folder. Parameters and errors as in `run`."""
    with new_folder(output, overwrite) as folder:
        manifest, model = _reconstruct(inputs, folder, part(progress, 0.0, 0.99), command)
        manifest.describe_outputs(folder).write(folder / MANIFEST)
    progress("done", 1.0)
    return RunResult(Path(output), model.doubts)


def measure_stage(folder: str | Path, *, progress: Progress = silent, command: Sequence[str] | None = None) -> RunResult:
    """Measure the model in a run's folder; replaces its measurements.

    Raises
    ------
    InputError
        When the folder holds no run.
    OutputError
        When it cannot be written to.
    """
    root = Path(folder)
    manifest, model = _open(root)
    before = _checksum(manifest, outputs.MEASUREMENTS)
    with updated_folder(root) as new:
        manifest, measurements = _measure(model, manifest, new, part(progress, 0.0, 0.99), command)
        manifest = _with_outputs(manifest, new)
        manifest.write(new / MANIFEST)
    progress("done", 1.0)
    stale = (root / outputs.REPORT).exists() and before != _checksum(manifest, outputs.MEASUREMENTS)
    note = f"{outputs.REPORT} shows earlier measurements; make it anew with `kambin report {folder}`"
    return RunResult(root, model.doubts, measurements, notes=(note,) if stale else ())


def plan_stage(
    folder: str | Path, order: PlanOrder | None = None, *, progress: Progress = silent, command: Sequence[str] | None = None
) -> RunResult:
    """Plan ways in through the model in a run's folder; replaces its plans.

    Parameters
    ----------
    folder
        Of the run.
    order
        What is to be planned; by default all that the model allows.
    progress, command
        As in `run`.

    Raises
    ------
    InputError
        When the folder holds no run, or what is asked for cannot be.
    OutputError
        When it cannot be written to.
    """
    root, wanted = Path(folder), order or PlanOrder()
    manifest, model = _open(root)
    before = _checksum(manifest, outputs.PLAN)
    with updated_folder(root, whole=outputs.PLAN_SURFACES) as new:
        manifest, plans = _plan(model, manifest, wanted, new, part(progress, 0.0, 0.99), command)
        manifest = _with_outputs(manifest, new, instead_of=f"{outputs.PLAN_SURFACES}/")
        manifest.write(new / MANIFEST)
    progress("done", 1.0)
    stale = (root / outputs.REPORT).exists() and before != _checksum(manifest, outputs.PLAN)
    note = f"{outputs.REPORT} shows earlier plans, or none; make it anew with `kambin report {folder}`"
    return RunResult(root, model.doubts, notes=(note,) if stale else (), plans=plans)


def report_stage(folder: str | Path, *, progress: Progress = silent, command: Sequence[str] | None = None) -> RunResult:
    """Write the report of a run's folder anew.

    Raises
    ------
    InputError
        When the folder holds no run, or one that is not yet measured.
    OutputError
        When it cannot be written to.
    """
    root = Path(folder)
    manifest, model = _open(root)
    if not (root / outputs.MEASUREMENTS).is_file():
        hint = f"Measure it first with `kambin measure {folder}`."
        raise InputError(folder, f"expected a run that is measured, found no {outputs.MEASUREMENTS} in it", hint=hint)
    measurements = read_measurements(root / outputs.MEASUREMENTS)
    plans, model = read_back(root / outputs.PLAN, model) if (root / outputs.PLAN).is_file() else (None, model)
    with updated_folder(root) as new:
        manifest = _report(model, measurements, plans, manifest, root, new, part(progress, 0.0, 0.99), command)
        _with_outputs(manifest, new).write(new / MANIFEST)
    progress("done", 1.0)
    return RunResult(root, model.doubts, measurements, root / outputs.REPORT, plans=plans)


def _reconstruct(
    inputs: RunInputs, folder: Path, progress: Progress, command: Sequence[str] | None
) -> tuple[Manifest, SpineModel]:
    from kambin.reconstruction import reconstruct
    from kambin.reconstruction.trunk import with_trunk

    started = now()
    start = 0.1 if inputs.labels else 0.7  # segmenting takes longer than all that follows
    more: tuple[FileRecord, ...] = ()
    parameters = inputs.parameters()
    if inputs.labels:
        segmentation, scan = read_inputs(inputs, part(progress, 0.0, start))
    else:
        scan = inputs.read_scan_to_segment(part(progress, 0.0, 0.02))
        order = inputs.segment or SegmentOrder()
        segmentation, parameters["segmentation"], model_used = segment_into(folder, scan, order, inputs.scan, part(progress, 0.02, start))
        more = (model_used,)
    segmentation = with_trunk(segmentation, scan)
    if scan is not None:
        write_nifti(scan, folder / outputs.SCAN)
        parameters["scan"] = {"modality": scan.modality, "spacing_mm": scan.grid.spacing_mm}
        del scan  # a large one should not sit beside the distance fields
    made = reconstruct(segmentation, progress=part(progress, start, 0.8))
    outputs.write_model_files(made, folder, part(progress, 0.8, 0.95))
    del made, segmentation
    progress("reading the model back", 0.95)
    model = load_model(folder / outputs.MODEL)  # what a later stage would measure is what is measured now
    empty = Manifest((), (*inputs.records(), *more), parameters)
    return empty.with_stage(_stage("reconstruct", started, command), doubts=model.doubts), model


def _measure(
    model: SpineModel, manifest: Manifest, folder: Path, progress: Progress, command: Sequence[str] | None
) -> tuple[Manifest, Measurements]:
    from kambin.measurement import measure

    started = now()
    measurements = measure(model, progress=part(progress, 0.0, 0.9))
    progress("writing the measurements", 0.9)
    outputs.write_measurement_files(measurements, model, folder, __version__)
    measurements = read_measurements(folder / outputs.MEASUREMENTS)
    return manifest.with_stage(_stage("measure", started, command)), measurements


def _plan(
    model: SpineModel, manifest: Manifest, order: PlanOrder, folder: Path, progress: Progress, command: Sequence[str] | None
) -> tuple[Manifest, Plans]:
    started = now()
    with_roots = with_ordered_roots(model, order)
    plans = make_plans(with_roots, order, progress)
    outputs.write_plan_files(plans, with_roots, folder, __version__)
    plans, _ = read_back(folder / outputs.PLAN, model)  # what a later report shows is what is shown now
    inputs = (*(record for record in manifest.inputs if record.role != "root"), *order.records())
    parameters = {**manifest.parameters, "plan": order.parameters()}
    return manifest.with_stage(_stage("plan", started, command), inputs=inputs, parameters=parameters), plans


def _plan_if_possible(
    model: SpineModel, manifest: Manifest, folder: Path, progress: Progress, command: Sequence[str] | None
) -> tuple[Manifest, Plans | None, tuple[str, ...]]:
    """All that the model allows. A fault of ours in planning does not cost the run its measurements; it becomes a note."""
    try:
        return *_plan(model, manifest, PlanOrder(), folder, progress, command), ()
    except OSError:  # a full disk is the run's matter
        raise
    except Exception as fault:
        for name in (outputs.PLAN, outputs.PLAN_MARKUPS):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / outputs.PLAN_SURFACES, ignore_errors=True)
        return manifest, None, (f"nothing was planned: a fault in Kambin ({type(fault).__name__}: {fault})",)


def _report(
    model: SpineModel,
    measurements: Measurements,
    plans: Plans | None,
    manifest: Manifest,
    source: Path,
    folder: Path,
    progress: Progress,
    command: Sequence[str] | None,
) -> Manifest:
    from kambin.report import build_report

    started = now()
    scan = _stored_scan(source, manifest)
    html = build_report(model, measurements, scan, plans=plans, title=_title(manifest), progress=progress)
    (folder / outputs.REPORT).write_text(encodable(html), encoding="utf-8")
    return manifest.with_stage(_stage("report", started, command))


def _stored_scan(folder: Path, manifest: Manifest) -> Scan | None:
    """The run's scan, with what its NIfTI copy does not tell: the modality, and which file it was made from."""
    if not (folder / outputs.SCAN).is_file():
        return None
    known: dict[str, Any] = manifest.parameters.get("scan") or {}
    scan = read_scan(folder / outputs.SCAN)
    provenance = dict(scan.provenance)
    for record in manifest.inputs:
        if record.role == "scan":
            provenance |= {"file": Path(record.name).name, "sha256": record.sha256}
    return replace(scan, modality=known.get("modality"), provenance=provenance)


def _title(manifest: Manifest) -> str:
    """What the report is called: the scan's name, or the first label map's."""
    names = {record.role: record.name for record in reversed(manifest.inputs)}
    name = Path(names.get("scan") or names.get("labels") or "unnamed").name
    for suffix in (".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".mha", ".mhd", ".zip", ".dcm"):
        name = name.removesuffix(suffix)
    return name


def _open(root: Path) -> tuple[Manifest, SpineModel]:
    if not (root / MANIFEST).is_file() or not (root / outputs.MODEL).is_file():
        hint = "Make one with `kambin run` or `kambin reconstruct`."
        raise InputError(root, f"expected the folder of a run, found no {MANIFEST} and {outputs.MODEL} in it", hint=hint)
    return Manifest.read(root / MANIFEST), load_model(root / outputs.MODEL)


def _stage(name: str, started: datetime, command: Sequence[str] | None) -> Stage:
    return Stage(name, tuple(sys.argv if command is None else command), started, now(), __version__)


def _with_outputs(manifest: Manifest, new: Path, *, instead_of: str | None = None) -> Manifest:
    """The manifest with the records of the files that have just been made in place of the earlier ones.

    Of names that begin with `instead_of` nothing earlier stays.
    """
    made = {record.name: record for record in manifest.describe_outputs(new).outputs}
    kept = {r.name: r for r in manifest.outputs if instead_of is None or not r.name.startswith(instead_of)}
    return replace(manifest, outputs=tuple(sorted((kept | made).values(), key=_name)))


def _name(record: FileRecord) -> str:
    return record.name


def _checksum(manifest: Manifest, name: str) -> str | None:
    return next((record.sha256 for record in manifest.outputs if record.name == name), None)
