"""Digital patients as files: the scan, its labels, the truth, and what they were made from."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kambin import __version__
from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Side
from kambin.errors import InputError
from kambin.io.manifest import NAME as MANIFEST
from kambin.io.manifest import Manifest, Stage, now
from kambin.io.nifti_writer import write_nifti
from kambin.pipeline.cohort import BEGUN, cohort_folder
from kambin.pipeline.folder import new_folder
from kambin.pipeline.inputs import RunInputs
from kambin.pipeline.plans import PlanOrder
from kambin.pipeline.progress import Progress, part, silent
from kambin.pipeline.stages import RunResult, plan_stage, report_stage, run
from kambin.volume import Grid, Scan

if TYPE_CHECKING:
    from kambin.phantom import Patient
    from kambin.phantom.surfaces import Deformation, SurfaceAtlas

SCAN, LABELS, TRUTH, PARAMETERS = "scan.nii.gz", "labels.nii.gz", "truth.json", "parameters.json"
_MOST_PATIENTS = 10_000
_NO_TRUTH = "none: true values are worked out from the models' exact shapes, which bones and discs from surfaces do not have"


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
        Of the voxels instead of the scanner's own: along right, anterior and cranial.
    truth
        Whether to work out the true measurements too; there are none for surfaces.
    surfaces
        Description of a set of surfaces, or its folder (`kambin.io.surfaces`): the anatomy is theirs, deformed for each patient anew, or,
        with `mean`, as it is.
    size_mm
        Of the field of view instead of the scanner's own, along the same axes.
    turned_deg
        Of the field of view: about the right, then the anterior, then the cranial axis.
    level
        What the field of view is about and must hold whole: a disc or a lumbar vertebra's body (``L4/L5``, ``L4``). By default it is
        about the middle of the vertebrae.
    tissues
        Whether to write a map of the tissues instead of a scan: from it, networks are trained in any contrast. No truth then.

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
    surfaces: str | None = None
    size_mm: tuple[float, float, float] | None = None
    turned_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    level: str | None = None
    tissues: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError("--seed", f"expected a whole number from 0 on, found {self.seed}")
        if not 1 <= self.count <= _MOST_PATIENTS:
            raise InputError("--count", f"expected 1 to {_MOST_PATIENTS} patients, found {self.count}")

    def parameters(self) -> dict[str, Any]:
        """What was asked for, for the manifest."""
        given = {"seed": self.seed, "count": self.count, "scanner": self.scanner, "set": dict(self.changes), "mean": self.mean}
        given |= {"surfaces": self.surfaces, "spacing_mm": self.spacing_mm, "size_mm": self.size_mm, "truth": self.truth}
        return given | {"turned_deg": self.turned_deg, "level": self.level, "tissues": self.tissues}

    @cached_property
    def atlas(self) -> SurfaceAtlas | None:
        """The anatomy that the surfaces show, read once."""
        if self.surfaces is None:
            return None
        from kambin.io.surfaces import read_surfaces
        from kambin.phantom.surfaces import read_atlas

        return read_atlas(read_surfaces(self.surfaces))

    def patient(self, index: int) -> Patient:
        """The patient with this place in the order."""
        from kambin.phantom import PatientParameters, build_patient, sample

        seed = None if self.mean else self.seed + index
        if self.atlas is not None:
            return self.atlas.patient(self.atlas.drawn(seed, self.changes), self.deformation(index))
        return build_patient(PatientParameters().changed(self.changes) if seed is None else sample(seed, self.changes))

    def deformation(self, index: int) -> Deformation | None:
        """How the surfaces' anatomy is deformed for this patient."""
        return None if self.atlas is None or self.mean else self.atlas.deformation(self.seed + index)

    def record(self, index: int, patient: Patient) -> str:
        """What a patient was made from, as JSON."""
        if self.atlas is None:
            return patient.parameters.to_json()
        deformation = self.deformation(index)
        document = {
            "surfaces": {"description": self.surfaces, "credit": self.atlas.surfaces.credit},
            "deformation": None if deformation is None else asdict(deformation),
            "models": asdict(patient.parameters),
            "truth": _NO_TRUTH,
        }
        return json.dumps(document, indent=2) + "\n"

    def grid(self, patient: Patient) -> Grid:
        """Where the scanner's voxels lie about this patient."""
        from kambin.phantom import SCANNERS, view_of

        if self.scanner not in SCANNERS:
            raise InputError("--scanner", f"expected one of {', '.join(SCANNERS)}, found {self.scanner!r}")
        usual = SCANNERS[self.scanner]
        spacing = self.spacing_mm or usual.spacing_mm
        size = self.size_mm or tuple(n * s for n, s in zip(usual.shape, usual.spacing_mm, strict=True))
        shape = [max(1, round(length / s)) if s > 0 else 1 for length, s in zip(size, spacing, strict=True)]
        return view_of(patient, shape, spacing, self.turned_deg, self.level)


DEMO = PhantomOrder(truth=False, spacing_mm=(1.0, 1.0, 1.0), size_mm=(340.0, 256.0, 230.0))
"""The demo's patient: seen from flank to flank, since ways in begin at the skin."""
_DEMO_PLANS = PlanOrder(levels=("L4/L5", "L5/S1"), sides=(Side.RIGHT,))
"""Where most ways in are gone. All levels and both sides would take several times as long."""


def make_patients(
    order: PhantomOrder,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    command: Sequence[str] | None = None,
) -> tuple[Path, ...]:
    """Write digital patients: one into `output` itself, several into numbered folders in it.

    When several are interrupted, those that are complete stay, and the same order goes on with the next one.

    Each has ``scan.nii.gz``, ``labels.nii.gz`` (scheme ``kambin``), ``truth.json`` and ``parameters.json``; those from
    surfaces have no truth. Where maps of tissues were ordered, each has these (``tissues.nii.gz``, ``tissues.csv``) and its parameters.

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
    first = order.patient(0)
    order.grid(first)  # an absurd order is refused before anything is made
    given = order.parameters()

    def describe(folder: Path) -> None:
        stage = Stage("phantom", tuple(sys.argv if command is None else command), started, now(), __version__)
        manifest = Manifest((), (), given).with_stage(stage).describe_outputs(folder)
        replace(manifest, outputs=tuple(record for record in manifest.outputs if record.name != BEGUN)).write(folder / MANIFEST)

    if order.count == 1:
        with new_folder(output, overwrite) as folder:
            progress("building the patient", 0.0)
            _write_patient(order, 0, first, folder, part(progress, 0.0, 0.99))
            describe(folder)
    else:
        with cohort_folder(output, given, overwrite) as folder:
            for index, name in enumerate(names):
                if (folder / name).is_dir():
                    continue
                share = part(progress, 0.99 * index / order.count, 0.99 * (index + 1) / order.count)
                share("building the patient", 0.0)
                with new_folder(folder / name) as place:
                    _write_patient(order, index, order.patient(index) if index else first, place, share)
            describe(folder)
    progress("done", 1.0)
    return tuple(Path(output) / name for name in names)


def _write_patient(order: PhantomOrder, index: int, patient: Patient, folder: Path, progress: Progress) -> None:
    from kambin.phantom import simulate

    grid = order.grid(patient)
    (folder / PARAMETERS).write_text(order.record(index, patient), encoding="utf-8")
    ids = {structure: number for number, structure in builtin_scheme("kambin").table.items() if structure is not None}
    if order.tissues:
        from kambin.io.tissue_maps import write_tissue_map
        from kambin.phantom import paint_tissues

        write_tissue_map(folder, grid, *paint_tissues(patient, grid, ids, progress=_told(progress, "painting tissues", 0.0, 0.95)))
        return
    labels = patient.labels(grid, ids, progress=_told(progress, "painting labels", 0.0, 0.25))
    write_nifti(Scan(grid, labels, None, {"scheme": "kambin"}), folder / LABELS)
    scan = simulate(patient.pieces, order.scanner, grid, seed=order.seed + index, progress=_told(progress, "scanning", 0.25, 0.7))
    write_nifti(scan, folder / SCAN)
    if order.truth and order.surfaces is None:
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

    Ways in are planned on the right of the two lowest levels alone.

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
        place = folder / "run"
        measured = run(inputs, place, plan=False, report=False, progress=part(progress, 0.45, 0.7), command=command)
        planned = plan_stage(place, _DEMO_PLANS, progress=part(progress, 0.7, 0.85), command=command)
        shown = report_stage(place, progress=part(progress, 0.85, 0.99), command=command)
        stage = Stage("demo", tuple(sys.argv if command is None else command), started, now(), __version__)
        Manifest((), (), {"seed": order.seed}).with_stage(stage).describe_outputs(folder).write(folder / MANIFEST)
    progress("done", 1.0)
    report = None if shown.report is None else Path(output) / "run" / shown.report.name
    return replace(measured, folder=Path(output) / "run", report=report, plans=planned.plans)
