"""NRRD (``.nrrd``, ``.nhdr``) and 3D Slicer's segmentations (``.seg.nrrd``), in any of the anatomical spaces NRRD names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.schemes import Scheme
from kambin.errors import InputError
from kambin.io.raw import RawVolume, bad_spacing, make_grid, sha256_of, three_axes

# Signs that take each of NRRD's anatomical spaces to RAS.
_RAS_SIGNS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
_SEGMENT = re.compile(r"Segment(\d+)_(\w+)$")
_NAMELESS = re.compile(r"segment[ _]?\d*$", re.IGNORECASE)


def read_nrrd(path: Path) -> RawVolume:
    """The volume of an NRRD file.

    Raises
    ------
    InputError
        When the file cannot be read or is cut short, has no anatomical space or no directions, an axis too many, or a spacing that
        is not positive.
    """
    array, header = _content(path)
    if _list_axis(header) is not None or array.ndim > 3:
        array = _without_list_axis(path, array, header)
    array = three_axes(path, array)
    names = {segment.value: segment.name for segment in _segments(header) if segment.layer == 0}
    return _volume(path, array, header, names)


def read_segments(path: Path, scheme: Scheme) -> RawVolume:
    """A segmentation of 3D Slicer as one label map in the numbers of a scheme, each segment by its name or its id.

    Layers are merged; where segments overlap, the later layer wins and a doubt says how many voxels. A segment with no name of its
    own (``Segment_3``) is read by its label value.

    Raises
    ------
    InputError
        As `read_nrrd`; and when a segment's name is not of the scheme.
    """
    array, header = _content(path)
    segments = _segments(header)
    if not segments:
        return read_nrrd(path)
    axis = _list_axis(header)
    layers = array[np.newaxis] if axis is None else np.moveaxis(array, axis, 0)
    if layers.ndim != 4:
        raise InputError(path, f"expected layers of three axes each, found an array of shape {array.shape}")
    numbers = _numbers(path, segments, scheme)
    joined = np.zeros(layers.shape[1:], dtype=np.uint16)
    overlapping = 0
    for segment in segments:
        number = numbers[segment.index]
        if not 0 <= segment.layer < layers.shape[0]:
            raise InputError(path, f"expected {layers.shape[0]} layers, found segment {segment.name!r} on layer {segment.layer}")
        mask = layers[segment.layer] == segment.value
        overlapping += int(np.count_nonzero(joined[mask]))
        joined[mask] = number
    raw = _volume(path, joined, header, {})
    if overlapping:
        doubt = f"segments of {path.name} overlap in {overlapping} voxels; the later segment was kept"
        raw = replace(raw, doubts=(*raw.doubts, doubt))
    told = {segment.name: scheme.name_of(numbers[segment.index]) for segment in segments}
    return replace(raw, provenance={**raw.provenance, "segments": told})


@dataclass(frozen=True, slots=True)
class _Segment:
    index: int
    name: str
    key: str
    value: int
    layer: int


def _segments(header: Mapping[str, Any]) -> list[_Segment]:
    found: dict[int, dict[str, str]] = {}
    for key, value in header.items():
        match = _SEGMENT.match(key)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = str(value)
    segments = []
    for index, entry in sorted(found.items()):
        if "LabelValue" in entry or "Name" in entry or "ID" in entry:
            name = entry.get("Name") or entry.get("ID") or f"Segment_{index}"
            value = int(entry.get("LabelValue", index + 1))
            segments.append(_Segment(index, name, entry.get("ID", ""), value, int(entry.get("Layer", 0))))
    return segments


def _numbers(path: Path, segments: list[_Segment], scheme: Scheme) -> dict[int, int]:
    numbers: dict[int, int] = {}
    unknown = []
    for segment in segments:
        number = scheme.id_named(segment.name)
        if number is None and segment.key:
            number = scheme.id_named(segment.key)
        if number is None and _NAMELESS.match(segment.name) and segment.value in scheme.table:
            number = segment.value
        if number is None and not scheme.ignores_unlisted:
            unknown.append(repr(segment.name))
        numbers[segment.index] = number or 0
    if unknown:
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        raise InputError(
            path,
            f"expected segment names of the scheme {scheme.name}, found also {', '.join(unknown[:10])}{more}",
            hint="Rename the segments, or name them in a scheme of your own.",
        )
    return numbers


def _content(path: Path) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    import nrrd

    try:
        array, header = nrrd.read(str(path))
    except FileNotFoundError as error:
        raise InputError(path, f"the file cannot be read ({error})") from error
    except Exception as error:  # pynrrd lets zlib, struct and numpy errors of a damaged file through
        raise InputError(path, f"the file is not NRRD, ends early or is damaged ({error})") from error
    return array, dict(header)


def _list_axis(header: Mapping[str, Any]) -> int | None:
    """The axis that counts layers or channels rather than places: the one without a direction, or of kind ``list``."""
    for axis, kind in enumerate(header.get("kinds", [])):
        if str(kind).lower() not in ("domain", "space", "none", "???"):
            return axis
    directions = header.get("space directions")
    if directions is not None:
        for axis, direction in enumerate(directions):
            if direction is None or np.isnan(np.asarray(direction, dtype=np.float64)).all():
                return axis
    return None


def _without_list_axis(path: Path, array: npt.NDArray[Any], header: Mapping[str, Any]) -> npt.NDArray[Any]:
    axis = _list_axis(header)
    if axis is not None and array.shape[axis] == 1:
        return np.asarray(np.take(array, 0, axis=axis))
    return three_axes(path, array)


def _volume(path: Path, array: npt.NDArray[Any], header: Mapping[str, Any], names: Mapping[int, str]) -> RawVolume:
    affine = _affine(path, header)
    provenance = {"file": path.name, "format": "NRRD", "sha256": sha256_of(path)}
    return RawVolume(path, array, make_grid(path, array.shape, affine), None, names, (), provenance)


def _affine(path: Path, header: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    space = str(header.get("space", "none")).lower()
    signs = _RAS_SIGNS.get(space)
    directions, origin = header.get("space directions"), header.get("space origin")
    problems = []
    if signs is None:
        known = "left-posterior-superior, right-anterior-superior or left-anterior-superior"
        problems.append(f"expected the space {known}, found {space}: which side is left is unknown")
    if directions is None or origin is None:
        missing = " and ".join(n for n, v in (("space directions", directions), ("space origin", origin)) if v is None)
        problems.append(f"expected space directions and a space origin, found no {missing}")
    if problems or signs is None or directions is None:
        raise InputError(path, *problems)
    rows = [np.asarray(row, dtype=np.float64) for axis, row in enumerate(directions) if axis != _list_axis(header)]
    matrix = np.array(rows, dtype=np.float64)
    if matrix.shape != (3, 3):
        raise InputError(path, f"expected three space directions of three numbers, found {len(rows)}")
    problem = bad_spacing(np.linalg.norm(matrix, axis=1))
    if problem is not None:
        raise InputError(path, problem)
    units = [str(unit).strip('"') for unit in header.get("space units", [])]
    if any(unit not in ("mm", "millimeter", "millimetre", "") for unit in units):
        raise InputError(path, f"expected space units of mm, found {', '.join(units)}")
    affine = np.eye(4)
    affine[:3, :3] = np.diag(signs) @ matrix.T
    affine[:3, 3] = np.asarray(signs) * np.asarray(origin, dtype=np.float64)
    return affine
