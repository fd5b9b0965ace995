"""What a file is, told before anyone measures on it: `describe` for ``kambin info``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.schemes import Scheme, load_scheme
from kambin.anatomy.structures import Structure
from kambin.io.raw import RawVolume, finished, readable
from kambin.io.read import is_dicom, read_labels_raw, read_raw, straight
from kambin.io.spineps import is_sub_region_map
from kambin.volume.grid import Grid
from kambin.volume.scan import looks_like_labels

_POSITIONS = {
    "HFS": "head first, supine",
    "HFP": "head first, prone",
    "HFDR": "head first, lying on the right side",
    "HFDL": "head first, lying on the left side",
    "FFS": "feet first, supine",
    "FFP": "feet first, prone",
    "FFDR": "feet first, lying on the right side",
    "FFDL": "feet first, lying on the left side",
}


@dataclass(frozen=True, slots=True)
class LabelInfo:
    """One label of a label map: its number, what the file or the scheme calls it (None where neither does), its size."""

    label: int
    name: str | None
    structure: str | None
    voxels: int
    volume_ml: float


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One DICOM series; `reason` says why it is no volume, None where it is one."""

    number: int | None
    modality: str
    description: str
    slices: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a file holds. Plain values only, so that `to_dict` is ready for JSON.

    Parameters
    ----------
    path, format
        The file as named, and its format.
    content
        ``"scan"``, ``"label map"`` (by its values: a guess) or ``"several series"``.
    shape, spacing_mm, orientation
        Of the axes as the file stores them; orientation letters are the directions that they run to.
    obliquity_deg
        Largest angle between an axis and the anatomical direction nearest to it.
    extent_mm
        Size of the box of voxels along its own axes, right, anterior, cranial.
    box_mm
        Lowest and highest RAS coordinate of the box.
    modality, patient_position
        As the file says.
    data_type, lowest, highest
        Type and range of the values.
    labels, series
        Of a label map; of a DICOM folder.
    warnings
        What is odd about it, in words.
    """

    path: str
    format: str
    content: str
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    orientation: str | None = None
    obliquity_deg: float | None = None
    extent_mm: tuple[float, ...] | None = None
    box_mm: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    modality: str | None = None
    patient_position: str | None = None
    data_type: str | None = None
    lowest: float | None = None
    highest: float | None = None
    labels: tuple[LabelInfo, ...] = ()
    series: tuple[SeriesInfo, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries, lists, numbers and texts."""
        return asdict(self)


def describe(path: str | Path, scheme: str | Path | Scheme | None = None) -> FileInfo:
    """Tell what a scan, a label map or a DICOM folder holds.

    Parameters
    ----------
    path
        As in `kambin.io.read_scan`; with a scheme also what `read_segmentation` takes.
    scheme
        Names the labels; where it is given the file is taken for a label map.

    Raises
    ------
    InputError
        When the file cannot be read. A DICOM folder of several volumes is no error here: they are listed.
    """
    its_scheme = None if scheme is None else load_scheme(scheme)
    series: tuple[SeriesInfo, ...] = ()
    text = str(path)
    source = Path(text if Path(text).exists() else text.rpartition("#")[0] or text)
    if its_scheme is None and is_dicom(readable(source)):
        series = _series(source)
        if source == Path(text) and sum(each.reason is None for each in series) != 1:
            return FileInfo(text, "DICOM", "several series", series=series, warnings=_series_warnings(series, source))
    stored = read_raw(path) if its_scheme is None else read_labels_raw(path, its_scheme)
    values = stored.array
    is_labels = its_scheme is not None or bool(stored.names) or looks_like_labels(values)
    raw = finished(straight(stored, labels=is_labels))
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if values.size else (0.0, 0.0)
    corners = raw.grid.corners_mm()
    return FileInfo(
        path=text,
        format=str(stored.provenance.get("format", "")),
        content="label map" if is_labels else "scan",
        shape=stored.grid.shape,
        spacing_mm=_rounded(stored.grid.spacing_mm, 4),
        orientation=stored.grid.orientation,
        obliquity_deg=round(stored.grid.obliquity_deg, 2),
        extent_mm=_rounded(np.asarray(raw.grid.shape) * raw.grid.spacing_mm, 1),
        box_mm=(_rounded(corners.min(axis=0), 1), _rounded(corners.max(axis=0), 1)),
        modality=stored.modality,
        patient_position=_position(stored),
        data_type=str(values.dtype),
        lowest=low,
        highest=high,
        labels=_labels(stored, its_scheme) if is_labels else (),
        series=series,
        provenance=dict(stored.provenance),
        warnings=_warnings(raw, is_labels),
    )


def _series(source: Path) -> tuple[SeriesInfo, ...]:
    from kambin.io.dicom import list_series

    found, _ = list_series(source)
    return tuple(SeriesInfo(each.number, each.modality, each.description, each.slices, each.reason) for each in found)


def _series_warnings(series: tuple[SeriesInfo, ...], source: Path) -> tuple[str, ...]:
    volumes = [each for each in series if each.reason is None]
    if not volumes:
        return ("no series here is a CT or MR volume",)
    return (f"{len(volumes)} series are volumes; choose one by its number: {source.name}#{volumes[0].number}",)


def _position(raw: RawVolume) -> str | None:
    code = raw.provenance.get("patient_position")
    return None if code is None else _POSITIONS.get(str(code), str(code))


def _rounded(values: npt.ArrayLike, digits: int) -> tuple[float, ...]:
    return tuple(round(float(value), digits) + 0.0 for value in np.asarray(values))


def _labels(raw: RawVolume, scheme: Scheme | None) -> tuple[LabelInfo, ...]:
    values = raw.array
    if values.min() < 0 or values.max() > 65535:
        return ()
    counts = np.bincount(values.ravel().astype(np.int64))
    table: Mapping[int, Structure | None] = {} if scheme is None else scheme.table
    names: Mapping[int, str] = {} if scheme is None else scheme.names
    if scheme is not None and scheme.is_pair and is_sub_region_map(raw):
        table, names = scheme.parts or {}, scheme.part_names or {}
    found = []
    for label in np.flatnonzero(counts[1:]) + 1:
        number = int(label)
        structure = table.get(number)
        name = raw.names.get(number) or names.get(number)
        volume_ml = round(float(counts[number]) * raw.grid.voxel_volume_mm3 / 1000, 2)
        found.append(LabelInfo(number, name, None if structure is None else structure.key, int(counts[number]), volume_ml))
    return tuple(found)


def _warnings(raw: RawVolume, is_labels: bool) -> tuple[str, ...]:
    warnings = list(raw.doubts)
    grid = raw.grid
    spacing = grid.spacing_mm
    if spacing.max() > 3 * spacing.min():
        warnings.append(f"slices are coarse: {spacing.max():.2f} mm apart against {spacing.min():.2f} mm within")
    if grid.obliquity_deg > 20:
        warnings.append(f"the volume is oblique by {grid.obliquity_deg:.0f} degrees")
    extent = np.asarray(grid.shape) * spacing
    if extent.max() < 60 or extent.max() > 2500:
        warnings.append(f"its longest side is {extent.max():.0f} mm, an odd size for a lumbar spine: is the spacing right?")
    if raw.array.dtype.kind == "f" and not np.isfinite(raw.array).all():
        warnings.append(f"{int((~np.isfinite(raw.array)).sum())} voxels are NaN or infinite")
    if not is_labels and _bone_in_front(raw.array, grid):
        warnings.append("bone lies in front of the body's centre: front and back, or head and feet, may be exchanged")
    return tuple(warnings)


def _bone_in_front(values: npt.NDArray[Any], grid: Grid) -> bool:
    """Whether, in what looks like a CT, the bone's centroid lies clearly in front of the body's: the spine belongs behind."""
    step = tuple(slice(None, None, max(1, n // 96)) for n in values.shape)
    sample = values[step]
    if sample.min() > -900 or sample.max() < 300:
        return False
    body, bone = sample > -300, sample > 250
    if body.sum() < 100 or bone.sum() < 100:
        return False
    steps = np.array([axis.step or 1 for axis in step])
    centres = [grid.world(np.argwhere(mask).mean(axis=0) * steps)[1] for mask in (bone, body)]
    return bool(centres[0] - centres[1] > 15.0)

