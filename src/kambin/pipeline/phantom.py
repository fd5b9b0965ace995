"""Digital patients as files: the scan, its labels, the truth, and what they were made from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kambin import __version__
from kambin.anatomy.schemes import builtin_scheme
from kambin.errors import InputError
from kambin.io.manifest import NAME as MANIFEST
from kambin.io.manifest import Manifest, Stage, now
from kambin.io.nifti_writer import write_nifti
from kambin.pipeline.folder import new_folder
from kambin.pipeline.inputs import RunInputs
from kambin.pipeline.progress import Progress, part, silent
from kambin.pipeline.stages import RunResult, run
from kambin.volume import Grid, Scan

if TYPE_CHECKING:
    from kambin.phantom import Patient

SCAN, LABELS, TRUTH, PARAMETERS = "scan.nii.gz", "labels.nii.gz", "truth.json", "parameters.json"
_MOST_PATIENTS = 10_000


@dataclass(frozen=True)
class PhantomOrder:
    """Which digital patients are wanted.

    Parameters
    ----------
    seed
        Of the first patient; the next ones follow it.
    count
        How many.
    scanner
        A name of `kambin.phantom.SCANNERS`.
    changes
        Patient parameters set by hand, by name.
    mean
        The mean man instead of a draw from the population.
    spacing_mm
        Of the voxels instead of the scanner's own: one number, or three for right, anterior and cranial.
    truth
        Whether to work out the true measurements too.

    Raises
    ------
    InputError
        When a number makes no sense.
    """

    seed: int = 0
    count: int = 1
    scanner: str = "t2-space"
    changes: Mapping[str, Any] = field(default_factory=dict)
    mean: bool = False
    spacing_mm: tuple[float, float, float] | None = None
    truth: bool = True

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError("--seed", f"expected a whole number from 0 on, found {self.seed}")
        if not 1 <= self.count <= _MOST_PATIENTS:
            raise InputError("--count", f"expected 1 to {_MOST_PATIENTS} patients, found {self.count}")

    def patient(self, index: int) -> Patient:
        """The patient with this place in the order."""
        from kambin.phantom import PatientParameters, build_patient, sample

        parameters = PatientParameters().changed(self.changes) if self.mean else sample(self.seed + index, self.changes)
        return build_patient(parameters)

    def grid(self, patient: Patient) -> Grid:
        """Where the scanner's voxels lie about this patient."""
        from kambin.phantom import SCANNERS, grid_about, middle_mm

        if self.scanner not in SCANNERS:
            raise InputError("--scanner", f"expected one of {', '.join(SCANNERS)}, found {self.scanner!r}")
        usual = SCANNERS[self.scanner]
        middle = middle_mm(patient.pieces)
        if self.spacing_mm is None:
            return grid_about(middle, usual.shape, usual.spacing_mm)
        size = [n * s for n, s in zip(usual.shape, usual.spacing_mm, strict=True)]
        shape = [max(1, round(length / s)) if s > 0 else 1 for length, s in zip(size, self.spacing_mm, strict=True)]
        return grid_about(middle, shape, self.spacing_mm)


def make_patients(
    order: PhantomOrder,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
) -> tuple[Path, ...]:
    """Write digital patients: one into `output` itself, several into numbered folders in it.

    Each has ``scan.nii.gz``, ``labels.nii.gz`` (scheme ``kambin``), ``truth.json`` and ``parameters.json``.

    Returns
    -------
    tuple of Path
        The patients' folders.

    Raises
    ------
    InputError
        When the order cannot be met.
    OutputError
        When the output cannot be written.
    """
    started = now()
    names = [""] if order.count == 1 else [f"patient-{order.seed + index:05d}" for index in range(order.count)]
    order.grid(order.patient(0))  # an absurd order is refused before anything is made
    with new_folder(output, overwrite) as folder:
        for index, name in enumerate(names):
            (folder / name).mkdir(exist_ok=True)
            share = part(progress, 0.99 * index / order.count, 0.99 * (index + 1) / order.count)
            _write_patient(order, index, folder / name, share)
        given = {"seed": order.seed, "count": order.count, "scanner": order.scanner, "set": dict(order.changes), "mean": order.mean}
        stage = Stage("phantom", tuple(sys.argv if command is None else command), started, now(), __version__)
        Manifest((), (), given).with_stage(stage).describe_outputs(folder).write(folder / MANIFEST)
    progress("done", 1.0)
    return tuple(Path(output) / name for name in names)


def _write_patient(order: PhantomOrder, index: int, folder: Path, progress: Progress) -> None:
    from kambin.phantom import simulate

    progress("building the patient", 0.0)
    patient = order.patient(index)
    grid = order.grid(patient)
    (folder / PARAMETERS).write_text(patient.parameters.to_json(), encoding="utf-8")
    ids = {structure: number for number, structure in builtin_scheme("kambin").table.items() if structure is not None}
    labels = patient.labels(grid, ids, progress=_told(progress, "painting labels", 0.0, 0.25))
    write_nifti(Scan(grid, labels, None, {"scheme": "kambin"}), folder / LABELS)
    scan = simulate(patient.pieces, order.scanner, grid, seed=order.seed + index, progress=_told(progress, "scanning", 0.25, 0.7))
    write_nifti(scan, folder / SCAN)
    if order.truth:
        from kambin.phantom.truth import truth_json

        progress("working out the truth", 0.7)
        (folder / TRUTH).write_text(truth_json(patient, __version__), encoding="utf-8")


def _told(progress: Progress, text: str, start: float, stop: float) -> Any:
    inner = part(progress, start, stop)
    return lambda fraction: inner(text, fraction)


def demonstrate(
    order: PhantomOrder,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
) -> RunResult:
    """One digital patient through everything that Kambin does: ``patient/`` and ``run/`` in the output folder.

    Raises
    ------
    InputError
        When the order cannot be met.
    OutputError
        When the output cannot be written.
    """
    started = now()
    with new_folder(output, overwrite) as folder:
        make_patients(order, folder / "patient", progress=part(progress, 0.0, 0.45), command=command)
        inputs = RunInputs([str(folder / "patient" / LABELS)], ["kambin"], str(folder / "patient" / SCAN))
        result = run(inputs, folder / "run", progress=part(progress, 0.45, 0.99), command=command)
        stage = Stage("demo", tuple(sys.argv if command is None else command), started, now(), __version__)
        Manifest((), (), {"seed": order.seed}).with_stage(stage).describe_outputs(folder).write(folder / MANIFEST)
    progress("done", 1.0)
    place = Path(output) / "run"
    return replace(result, folder=place, report=None if result.report is None else place / result.report.name)
