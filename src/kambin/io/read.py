"""The door: a path becomes a `Scan` or a `Segmentation`, whatever format it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kambin.anatomy.schemes import Scheme, load_scheme
from kambin.anatomy.structures import Kind, Level, Structure
from kambin.errors import InputError
from kambin.io.levels import check_lowest, counted_from_below, with_discs_numbered, without_unnumbered_vertebrae
from kambin.io.naming import NamedVolume, are_open, named, number_of, structures_by_number, table_of
from kambin.io.padding import without_padding
from kambin.io.raw import RawVolume, finished, readable
from kambin.io.sides import with_sides_split
from kambin.io.spineps import read_spineps
from kambin.volume.grid import Grid
from kambin.volume.resample import ensure_overlap, nearest
from kambin.volume.scan import Scan
from kambin.volume.segmentation import Segmentation

SchemeLike = str | Path | Scheme
Scale = tuple[float, float, float]


def read_scan(path: str | Path, *, series: int | str | None = None, spacing_scale: Scale | None = None) -> Scan:
    """Read a scan in any format: NIfTI, NRRD, MetaImage, or DICOM as a file, a folder or a zip.

    Parameters
    ----------
    path
        The file or folder. ``path#4`` chooses DICOM series number 4.
    series
        The DICOM series to take where there are several: its number or its UID.
    spacing_scale
        Factors for the spacing along the file's own three axes, where the file's scale is known to be wrong.

    Raises
    ------
    InputError
        When there is nothing there, or it cannot be read as one volume with a place in space.
    """
    raw = read_raw(path, series=series)
    raw = finished(straight(raw), spacing_scale)
    provenance = {**raw.provenance, "doubts": list(raw.doubts)} if raw.doubts else raw.provenance
    values = raw.array if raw.modality not in (None, "CT") else without_padding(raw.array)
    return Scan(raw.grid, values, raw.modality, provenance)


def read_segmentation(
    *paths: str | Path,
    scheme: SchemeLike | Sequence[SchemeLike],
    lowest: Level | str | None = None,
    spacing_scale: Scale | None = None,
) -> Segmentation:
    """Read a label map, or the several files that make one, by the declared scheme.

    Parameters
    ----------
    paths
        Label maps, ``.seg.nrrd`` segmentations, or folders with one mask file per structure. Where several overlap, the first
        given wins; a label that names its level wins over one that does not.
    scheme
        Name, file or `Scheme`: one for all paths, or one for each.
    lowest
        The level of the lowest vertebra, for schemes that count from it.
    spacing_scale
        As in `read_scan`, for every path.

    Raises
    ------
    InputError
        When a file cannot be read, its labels are not the scheme's, the maps do not overlap, or levels remain unknown.
    """
    if not paths:
        raise InputError("labels", "expected at least one label map, found none")
    level = _level(lowest)
    schemes = _schemes(scheme, len(paths))
    volumes: list[NamedVolume] = []
    pair: list[RawVolume] = []
    for path, its_scheme in zip(paths, schemes, strict=True):
        raw = finished(straight(read_labels_raw(path, its_scheme), labels=True), spacing_scale)
        if its_scheme.is_pair:
            pair.append(raw)
            continue
        table = counted_from_below(its_scheme, raw.source, level) if its_scheme.from_below else None
        volume = named(raw, its_scheme, table)
        if level is not None and not its_scheme.from_below:
            check_lowest(volume, level)
        volumes.append(volume)
    if pair:
        volumes.insert(0, read_spineps(pair, next(s for s in schemes if s.is_pair), level))
    return _segmentation(_merged(volumes))


def read_raw(path: str | Path, *, series: int | str | None = None) -> RawVolume:
    """The numbers that a file, folder or zip holds, in stored order. See `read_scan`."""
    text = str(path)
    if series is None and "#" in text and not Path(text).exists():
        text, _, series = text.rpartition("#")
    source = readable(text)
    name = source.name.lower()
    if is_dicom(source):
        from kambin.io.dicom import read_dicom

        return read_dicom(source, series)
    if series is not None:
        raise InputError(path, "expected a DICOM folder or zip to choose a series from, found another format")
    if name.endswith((".nrrd", ".nhdr")):
        from kambin.io.nrrd import read_nrrd

        return read_nrrd(source)
    if name.endswith((".mha", ".mhd")):
        from kambin.io.metaimage import read_metaimage

        return read_metaimage(source)
    if name.endswith((".nii", ".nii.gz")):
        from kambin.io.nifti import read_nifti

        return read_nifti(source)
    raise InputError(source, f"expected one of {', '.join(FORMATS)}, found a name that ends in none of these")


FORMATS = (".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha", ".mhd", "DICOM files, a folder or a .zip of them")


def is_dicom(path: Path) -> bool:
    """Whether a path is to be read as DICOM: a folder, a zip, or a file with DICOM's mark or the name of one."""
    if path.is_dir() or path.name.lower().endswith((".zip", ".dcm", ".dicom", ".ima")):
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(path, f"the file cannot be read ({error.strerror or error})") from error


def read_labels_raw(path: str | Path, scheme: Scheme) -> RawVolume:
    """The numbers of a label map, a `.seg.nrrd` or a folder of masks, in stored order. See `read_segmentation`."""
    source = readable(path)
    if source.is_dir():
        from kambin.io.folder import read_mask_folder

        return read_mask_folder(source, scheme)
    if source.name.lower().endswith(".seg.nrrd"):
        from kambin.io.nrrd import read_segments

        return read_segments(source, scheme)
    return read_raw(source)


def straight(raw: RawVolume, labels: bool = False) -> RawVolume:
    """The volume with its axes at right angles: a skewed one (a tilted gantry) is resampled, and that is recorded."""
    from kambin.volume.resample import linear, skew_deg, straightened

    skew = skew_deg(raw.grid)
    if skew < 0.1:
        return raw
    grid = straightened(raw.grid)
    if labels:
        array = nearest(raw.array, raw.grid, grid)
    else:
        array = linear(raw.array, raw.grid, grid, outside=float(raw.array.min()))
    doubt = f"{raw.source.name}: its axes are {skew:.1f} degrees off right angles (a tilted gantry?); resampled to a straight grid"
    return replace(raw, array=array, grid=grid, doubts=(*raw.doubts, doubt))


def _level(lowest: Level | str | None) -> Level | None:
    if lowest is None or isinstance(lowest, Level):
        return lowest
    try:
        return Level(str(lowest).upper())
    except ValueError as error:
        raise InputError("lowest", f"expected one of {', '.join(level.value for level in Level)}, found {lowest!r}") from error


def _schemes(scheme: SchemeLike | Sequence[SchemeLike], count: int) -> list[Scheme]:
    given: Sequence[SchemeLike] = [scheme] if isinstance(scheme, str | Path | Scheme) else list(scheme)
    if len(given) not in (1, count):
        raise InputError("scheme", f"expected one scheme for all label maps or one for each of the {count}, found {len(given)}")
    found = [load_scheme(each) for each in given]
    return found * count if len(found) == 1 else found


def _merged(volumes: Sequence[NamedVolume]) -> NamedVolume:
    """Several maps as one, on the grid of the first."""
    if len(volumes) == 1:
        return volumes[0]
    grid = volumes[0].grid
    labels = volumes[0].labels.copy()
    doubts = list(volumes[0].doubts)
    for volume in volumes[1:]:
        added = _on_grid(volume, grid, volumes[0].source.name)
        doubts += volume.doubts
        if added is not volume.labels:
            doubts.append(f"{volume.source.name} lies on another grid than {volumes[0].source.name}; brought to it by its geometry")
        added_open = are_open(added)
        free = (labels == 0) | (are_open(labels) & (added != 0) & ~added_open)
        clash = (labels != 0) & (added != 0) & ~free & (labels != added)
        one_class = added_open & clash
        if (clash & ~one_class).any():
            doubts.append(_overlap_text(labels, added, clash & ~one_class, volumes[0].source.name, volume.source.name))
        labels = np.where(free, added, labels)
    provenance = {"label_maps": [dict(volume.provenance) for volume in volumes]}
    return NamedVolume(volumes[0].source, grid, labels, tuple(doubts), provenance)


def _on_grid(volume: NamedVolume, grid: Grid, first_name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    if volume.grid.is_close(grid):
        return volume.labels
    ensure_overlap(grid, volume.grid, first_name, volume.source.name)
    return nearest(volume.labels, volume.grid, grid)


def _overlap_text(
    first: np.ndarray[tuple[int, ...], np.dtype[np.uint16]],
    second: np.ndarray[tuple[int, ...], np.dtype[np.uint16]],
    where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    first_name: str,
    second_name: str,
) -> str:
    pairs, counts = np.unique(np.stack([first[where], second[where]]), axis=1, return_counts=True)
    known = structures_by_number()
    order = np.argsort(counts)[::-1][:3]
    told = ", ".join(f"{known[int(pairs[0, i])]} against {known[int(pairs[1, i])]} in {counts[i]}" for i in order)
    return f"{first_name} and {second_name} disagree in {int(where.sum())} voxels ({told}); {first_name} was kept"


def _cord_as_canal(volume: NamedVolume) -> NamedVolume:
    """Where a canal is labelled around the cord, both are the canal: measured with a hole in it, it would come out too small."""
    canal, cord = number_of(Structure(Kind.SPINAL_CANAL)), number_of(Structure(Kind.SPINAL_CORD))
    inside = volume.labels == cord
    if not inside.any() or not (volume.labels == canal).any():
        return volume
    provenance = {**volume.provenance, "cord_voxels_read_as_canal": int(inside.sum())}
    return replace(volume, labels=np.where(inside, np.uint16(canal), volume.labels), provenance=provenance)


def _segmentation(volume: NamedVolume) -> Segmentation:
    volume = with_discs_numbered(without_unnumbered_vertebrae(volume))
    volume = _cord_as_canal(with_sides_split(volume))
    if not volume.labels.any():
        raise InputError(volume.source, "expected structures that Kambin knows, found none in it")
    return Segmentation(volume.grid, volume.labels, table_of(volume.labels), volume.doubts, volume.provenance)
