"""What a run is made from, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from kambin.anatomy.schemes import SCHEME_NAMES, Scheme, load_scheme
from kambin.anatomy.structures import Level
from kambin.errors import InputError
from kambin.io import read_scan, read_segmentation
from kambin.io.manifest import FileRecord
from kambin.pipeline.progress import Progress, silent
from kambin.pipeline.segment import SegmentOrder
from kambin.volume import Scan, Segmentation
from kambin.volume.resample import ensure_overlap
from kambin.volume.scan import looks_like_labels


@dataclass(frozen=True)
class RunInputs:
    """The files of a run and how to read them.

    Parameters
    ----------
    labels
        Label maps; where several overlap, the first wins. None: the scan is segmented.
    schemes
        Names of schemes or files of the user's own: one for all maps, or one for each.
    scan
        The scan they were made from, where there is one; the scan to be segmented.
    lowest
        Level of the lowest vertebra, for schemes that count from it.
    spacing_scale
        Factors for the spacing along the files' own three axes, of label maps and scan alike, where their scale is known to be
        wrong.
    segment
        How the scan is to be segmented where there is no label map; by default with the model that ships with Kambin.

    Raises
    ------
    InputError
        Neither scan nor label map, no scheme or too many or too few, a scheme without a label map, a label map that is given as the scan
        too, factors that are not positive.
    """

    labels: Sequence[str | Path]
    schemes: Sequence[str | Path]
    scan: str | Path | None = None
    lowest: Level | None = None
    spacing_scale: tuple[float, float, float] | None = None
    segment: SegmentOrder | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "schemes", tuple(self.schemes))
        self._check_labels()
        if self.scan is not None and any(_same_file(self.scan, path) for path in self.labels):
            hint = "Give the scan that the labels were made from, or leave it out: the numbers come from the label map alone."
            raise InputError("SCAN", f"expected a scan, found the label map itself: {self.scan}", hint=hint)
        scale = self.spacing_scale
        if scale is not None and not (len(scale) == 3 and all(0 < factor < float("inf") for factor in scale)):
            raise InputError("--spacing-scale", f"expected three positive factors such as 1.5,1.5,2, found {scale}")

    def _check_labels(self) -> None:
        """That labels and schemes go together, and that there is something to begin with."""
        if not self.labels:
            if self.scan is None:
                hint = "Give the scan, or a label map with --labels and its scheme with --scheme."
                raise InputError("SCAN", "expected a scan or a label map, found neither", hint=hint)
            for given, name in ((self.schemes, "--scheme"), (self.lowest, "--lowest")):
                if given:
                    raise InputError(name, "expected a label map that it is about, found none", hint="Give the label map with --labels.")
            return
        if not self.schemes:
            hint = "`kambin schemes` lists them; a scheme is never guessed from the numbers."
            raise InputError("--scheme", "expected the name of the scheme that the label map follows, found none", hint=hint)
        if len(self.schemes) not in (1, len(self.labels)):
            found = f"found {len(self.schemes)} schemes for {len(self.labels)} label maps"
            raise InputError("--scheme", f"expected one scheme for all label maps or one for each, {found}")

    def load_schemes(self) -> list[Scheme]:
        """The schemes, each read.

        Raises
        ------
        InputError
            When one is not built in and not a file; near names are suggested.
        """
        return [find_scheme(name) for name in self.schemes]

    def read_segmentation(self) -> Segmentation:
        """The label maps as one segmentation."""
        return read_segmentation(
            *self.labels, scheme=self.load_schemes(), lowest=self.lowest, spacing_scale=self.spacing_scale
        )

    def read_scan(self) -> Scan | None:
        """The scan, or None where there is none."""
        return None if self.scan is None else read_scan(self.scan, spacing_scale=self.spacing_scale)

    def read_scan_to_segment(self, progress: Progress = silent) -> Scan:
        """The scan of a run without label maps."""
        if self.scan is None:
            raise TypeError("a run without label maps has a scan")
        progress("reading the scan", 0.0)
        return read_scan(self.scan, spacing_scale=self.spacing_scale)

    def records(self) -> tuple[FileRecord, ...]:
        """Name, size and checksum of every file that was given."""
        given: list[tuple[str, str | Path]] = [] if self.scan is None else [("scan", self.scan)]
        given += [("labels", path) for path in self.labels]
        given += [("scheme", path) for path in self.schemes if Path(path).suffix.lower() in (".toml", ".csv")]
        return tuple(FileRecord.of(_without_series(path), str(path), role) for role, path in given)

    def parameters(self) -> dict[str, Any]:
        """What was asked for, for the manifest."""
        return {
            "schemes": [str(name) for name in self.schemes],
            "lowest": None if self.lowest is None else self.lowest.value,
            "spacing_scale": None if self.spacing_scale is None else list(self.spacing_scale),
        }


def find_scheme(name: str | Path) -> Scheme:
    """A built-in scheme by its name, or a user's own by its path.

    Raises
    ------
    InputError
        When it is neither; names that are near are suggested.
    """
    text = str(name)
    if text in SCHEME_NAMES or Path(text).suffix.lower() in (".toml", ".csv"):
        return load_scheme(text)
    near = get_close_matches(text.lower().replace("_", "-"), SCHEME_NAMES, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(SCHEME_NAMES)}."
    raise InputError("scheme", f"expected the name of a scheme, or a .toml or .csv file of your own, found {text!r}", hint=hint)


def read_inputs(inputs: RunInputs, progress: Progress = silent) -> tuple[Segmentation, Scan | None]:
    """The segmentation and the scan, each on its own grid. What is odd about the scan is among the segmentation's doubts.

    Raises
    ------
    InputError
        When a file cannot be read or scan and label map do not overlap in space.
    """
    inputs.load_schemes()  # a misspelt scheme is said before a large file is read
    progress("reading the label map", 0.0)
    segmentation = inputs.read_segmentation()
    if inputs.scan is None:
        return segmentation, None
    progress("reading the scan", 0.5)
    scan = inputs.read_scan()
    if scan is None:
        return segmentation, None
    ensure_overlap(scan.grid, segmentation.grid, "scan", "label map")
    return replace(segmentation, doubts=(*segmentation.doubts, *_scan_doubts(scan))), scan


def _scan_doubts(scan: Scan) -> tuple[str, ...]:
    """What reading the scan left open, and whether it is a scan at all; in words for the report."""
    doubts = tuple(str(text) for text in scan.provenance.get("doubts", ()))
    if looks_like_labels(scan.values):
        count = len(np.unique(scan.values))
        values = "a single value" if count == 1 else f"{count} different whole values in even patches"
        doubts += (
            f"What was given as the scan holds {values} and looks like a label map: is it the right file? "
            "The measurements do not come from it; the slices in the report do.",
        )
    return doubts


def _same_file(first: str | Path, second: str | Path) -> bool:
    try:
        return Path(first).samefile(second)
    except OSError:  # one of them is not there, or is a DICOM series (folder#4); reading it says so
        return False


def _without_series(path: str | Path) -> Path:
    """The path without the ``#4`` that chooses a DICOM series in it."""
    whole = Path(path)
    return whole if whole.exists() or "#" not in str(path) else Path(str(path).rpartition("#")[0])
