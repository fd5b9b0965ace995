"""From a scan to a label map: a model, names by anatomy, and the file that holds them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError, NoSpineError, OutputError
from kambin.io import read_scan, read_segmentation
from kambin.io.label_map import label_suffix, write_labels, write_shares
from kambin.io.manifest import FileRecord
from kambin.io.naming import NamedVolume, number_of, structures_by_number
from kambin.io.sides import with_sides_split
from kambin.pipeline import outputs
from kambin.pipeline.progress import Progress, part, silent
from kambin.segmentation.bundle import DEFAULT, Model, read_model
from kambin.segmentation.bundle_fields import Naming
from kambin.segmentation.checks import has_spine, no_spine, refuse_unfit
from kambin.segmentation.hounsfield import looks_like_ct, without_soft_hips
from kambin.segmentation.predict import Means, Prediction, predict
from kambin.volume import Scan, Segmentation

_OPEN_NUMBER = 256  # from there on, structures whose level or side is open
RESEARCH_ONLY = "For research, not for clinical use: look at every outline before you trust it."


@dataclass(frozen=True, slots=True)
class SegmentOrder:
    """How a scan is to be segmented.

    Parameters
    ----------
    model
        A model's name or file.
    means
        What it may use.
    force
        Whether to use it on scans that it was not made for.
    """

    model: str | Path = DEFAULT
    means: Means = field(default_factory=Means)
    force: bool = False

    def parameters(self) -> dict[str, Any]:
        """What was asked for, for the manifest."""
        return {"model": str(self.model), "device": self.means.device, "memory_bytes": self.means.memory_bytes, "force": self.force}


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """A scan's label map and how it came about.

    Parameters
    ----------
    segmentation
        In the numbers of the scheme ``kambin``, on the scan's grid. Its provenance tells the model and the mean confidence by structure.
    confidence
        Probability of the class of each voxel, 255 for 1.
    model
        What made it.
    seconds
        How long that took, reading not counted.
    """

    segmentation: Segmentation
    confidence: npt.NDArray[np.uint8]
    model: Model
    seconds: float


def segment_scan(scan: Scan, order: SegmentOrder, *, subject: object = "scan", progress: Progress = silent) -> Segmented:
    """Segment a scan.

    Parameters
    ----------
    scan
        The scan, as the project reads it.
    order
        How.
    subject
        The scan as the user named it, for messages.
    progress
        Told what is being done and the fraction behind.

    Raises
    ------
    InputError
        When the model or the device is not there, the scan cannot be segmented by it, or no spine is in view.
    """
    model = read_model(order.model)
    refuse_unfit(scan, model.description, subject, order.force)
    started = time.perf_counter()
    found = predict(scan, model, order.means, part(progress, 0.0, 0.85))
    if not has_spine(found.classes, model.description.classes, scan.grid):
        raise no_spine(subject, model.name)
    progress("naming levels and sides", 0.85)
    notes = found.notes
    if model.description.modality is None and looks_like_ct(scan):
        classes, soft = without_soft_hips(found.classes, scan, model.description.classes)
        found, notes = replace(found, classes=classes), (*notes, *([] if soft is None else [soft]))
    try:
        segmentation = _numbered(_named(found, model))
    except NoSpineError as error:
        raise no_spine(subject, model.name, *error.problems) from error
    progress("summing up", 0.98)
    how = {
        **model.record(),
        "device": found.device,
        "tile": list(found.tile),
        "tiles_computed": found.computed,
        "tiles_skipped": found.skipped,
        "forced": order.force,
        "confidence": _mean_confidence(segmentation, found.confidence),
    }
    provenance = {**segmentation.provenance, "scheme": "kambin", "segmented_by": how}
    doubts = (*(str(text) for text in scan.provenance.get("doubts", ())), *notes, *segmentation.doubts)
    segmentation = replace(segmentation, doubts=tuple(dict.fromkeys(doubts)), provenance=provenance)
    return Segmented(segmentation, found.confidence, model, time.perf_counter() - started)


def segment_file(
    path: str | Path,
    output: str | Path,
    order: SegmentOrder | None = None,
    *,
    confidence: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Segmented:
    """Segment the scan in a file and write its label map in the scheme ``kambin``, on the scan's own voxels in canonical order.

    Parameters
    ----------
    path
        The scan, in any format that the project reads.
    output
        The label map to write: ``.nii.gz``, ``.nii`` or ``.seg.nrrd``.
    order
        How; by default with the model that ships with Kambin.
    confidence
        Where to write how sure the model is of each voxel: ``.nii.gz`` or ``.nii``.
    overwrite
        Whether files that are there may be replaced.
    progress
        Told what is being done and the fraction behind.

    Raises
    ------
    InputError
        As `segment_scan`, and when the scan cannot be read.
    OutputError
        When an output is there already, or cannot be written to. Nothing is left half-written.
    """
    _check_outputs(path, output, confidence, overwrite)
    wanted = order or SegmentOrder()
    read_model(wanted.model)  # a misspelt name is said before a large file is read
    progress("reading the scan", 0.0)
    result = segment_scan(read_scan(path), wanted, subject=path, progress=part(progress, 0.05, 0.95))
    progress("writing", 0.95)
    grid, made = result.segmentation.grid, result.segmentation
    with _aside(output) as place:
        write_labels(grid, np.asarray(made.labels), made.table, place)
        if confidence is not None:
            with _aside(confidence) as second:
                write_shares(grid, result.confidence, second)
    progress("done", 1.0)
    return result


def segment_into(
    folder: Path, scan: Scan, order: SegmentOrder, subject: object, progress: Progress = silent
) -> tuple[Segmentation, dict[str, Any], FileRecord]:
    """Segment a run's scan, and keep its label map and the confidence in the run's folder.

    Parameters
    ----------
    folder
        Of the run.
    scan, order, subject, progress
        As in `segment_scan`.

    Returns
    -------
    tuple
        The label map as it can be read back from the folder, so that a run from that file gives the same numbers; what the manifest
        says of how it was made; and the model as one of the run's inputs.
    """
    found = segment_scan(scan, order, subject=subject, progress=part(progress, 0.0, 0.95))
    made, place = found.segmentation, folder / outputs.LABELS
    progress("writing the label map", 0.95)
    write_labels(made.grid, np.asarray(made.labels), made.table, place)
    write_shares(made.grid, found.confidence, folder / outputs.CONFIDENCE)
    stored = read_segmentation(place, scheme="kambin")
    told = {**order.parameters(), **made.provenance["segmented_by"]}
    record = FileRecord.of(found.model.source, found.model.name, "model")
    return replace(stored, doubts=made.doubts, provenance={**stored.provenance, **made.provenance}), told, record


def _named(found: Prediction, model: Model) -> Segmentation:
    """Classes as structures: told by anatomy, or as they are where the model's classes are structures already."""
    known = model.description.classes
    if model.description.naming is Naming.FIXED:
        table = dict(enumerate(known.structures, start=1))
        return Segmentation(found.grid, found.classes.astype(np.uint16), table)
    from kambin.segmentation.naming import named

    made: Segmentation = named(found.classes, found.grid, known, found.confidence)
    return made


def _numbered(segmentation: Segmentation) -> Segmentation:
    """In the numbers of the scheme ``kambin``. Sides that are open are split at the midline; what stays without a level is left out."""
    lookup = np.zeros(max(segmentation.table, default=0) + 1, dtype=np.uint16)
    for label, structure in segmentation.table.items():
        lookup[label] = number_of(structure)
    volume = NamedVolume(Path("model"), segmentation.grid, lookup[segmentation.labels])
    doubts = list(segmentation.doubts)
    if (lookup >= _OPEN_NUMBER).any():
        volume = with_sides_split(volume)
        doubts += (text.replace("of model has", "has").replace("of model have", "have") for text in volume.doubts)
    labels = np.array(volume.labels)
    counts = np.bincount(labels.ravel())
    for number in np.flatnonzero(counts[_OPEN_NUMBER:]) + _OPEN_NUMBER:
        structure = structures_by_number()[int(number)]
        doubts.append(f"the level of {structure.label} could not be told; {counts[number]} voxels were left out of the label map")
        labels[labels == number] = 0
    present = np.flatnonzero(np.bincount(labels.ravel())).tolist()
    table = {number: structures_by_number()[number] for number in present if number}
    return replace(segmentation, labels=labels, table=table, doubts=tuple(doubts))


def _mean_confidence(segmentation: Segmentation, confidence: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Mean probability of each structure's voxels, by its key."""
    size = max(segmentation.table, default=0) + 1
    total, count = np.zeros(size), np.zeros(size)
    for labels, shares in zip(segmentation.labels, confidence, strict=True):
        total += np.bincount(labels.ravel(), weights=shares.ravel(), minlength=size)
        count += np.bincount(labels.ravel(), minlength=size)
    return {structure.key: round(float(total[n] / count[n]) / 255, 4) for n, structure in sorted(segmentation.table.items()) if count[n]}


def _check_outputs(path: str | Path, output: str | Path, confidence: str | Path | None, overwrite: bool) -> None:
    """Say what is wrong with the names of the outputs before anything is done."""
    if not str(output):
        raise OutputError("--output", "expected the name of a label map to write, found an empty text")
    label_suffix(output)
    if confidence is not None and label_suffix(confidence, "--confidence") == ".seg.nrrd":
        raise InputError("--confidence", f"expected a name that ends in .nii.gz or .nii, found {str(confidence)!r}")
    places = [Path(p) for p in (output, confidence) if p is not None]
    if len(places) == 2 and places[0].resolve() == places[1].resolve():
        raise InputError("--confidence", "expected another file than that of the label map, found the same")
    for place in places:
        if place.exists() and Path(path).exists() and place.samefile(path):
            raise OutputError(place, "expected a new file, found the scan itself", hint="Choose another name.")
        if place.is_dir() or (place.exists() and not overwrite):
            hint = None if place.is_dir() else "Give --overwrite to replace it, or another name."
            raise OutputError(place, f"expected a new name, found a {'folder' if place.is_dir() else 'file'} there", hint=hint)
        if not place.resolve().parent.is_dir():
            raise OutputError(place, "expected a folder to write into, found none", hint=f"Make {place.parent} first.")


@contextmanager
def _aside(output: str | Path) -> Iterator[Path]:
    """A name to write to, beside `output` and with its ending; when the block ends well it takes the place of `output`."""
    place = Path(output).resolve()
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
        yield folder / place.name
        os.replace(folder / place.name, place)
    except OSError as error:
        raise OutputError(output, f"expected a place that can be written to, found that it cannot ({error.strerror or error})") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
