"""What a file holds before anyone has said what it means: numbers on a grid, and notes on how they were read.

Every reader returns a `RawVolume` in the order that the file stores, on a grid in RAS millimetres; `finished` then brings it into
canonical order. Scans and label maps are made from it in `kambin.io.read`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.volume.grid import Grid, canonical

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MOST_LABELS = 1000


@dataclass(frozen=True, eq=False)
class RawVolume:
    """Numbers on a grid, and how they were read.

    Parameters
    ----------
    source
        The file or folder, as the user named it.
    array
        Shape (i, j, k), in the order of the file until `finished`.
    grid
        Where its voxels are, RAS millimetres.
    modality
        ``"CT"``, ``"MR"`` or None.
    names
        Names that the file itself gives to its label values, lower-cased as found.
    doubts
        What reading left open.
    provenance
        File name, checksum, format and the like. Never anything of the patient.
    """

    source: Path
    array: npt.NDArray[Any]
    grid: Grid
    modality: str | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def finished(raw: RawVolume, spacing_scale: tuple[float, float, float] | None = None) -> RawVolume:
    """The volume in canonical order, its spacing first multiplied along the file's own axes where the user asks for that.

    Raises
    ------
    InputError
        When a factor is not a positive number.
    """
    grid, doubts, provenance = raw.grid, raw.doubts, dict(raw.provenance)
    provenance["stored_orientation"] = raw.grid.orientation
    if spacing_scale is not None:
        factors = np.asarray(spacing_scale, dtype=np.float64)
        if factors.shape != (3,) or not np.isfinite(factors).all() or (factors <= 0).any():
            raise InputError("spacing_scale", f"expected three positive factors, found {spacing_scale}")
        grid = grid.with_spacing_scaled(factors)
        told = " x ".join(f"{factor:g}" for factor in factors)
        provenance["spacing_scale"] = [float(factor) for factor in factors]
        doubts = (*doubts, f"the spacing of {raw.source.name} was multiplied by {told} (along its stored axes), as asked for")
    array, grid = canonical(raw.array, grid)
    return replace(raw, array=array, grid=grid, doubts=doubts, provenance=provenance)


def make_grid(source: Path, shape: tuple[int, ...], world_from_voxel: npt.NDArray[np.float64]) -> Grid:
    """A grid, its failures told as the file's."""
    try:
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), world_from_voxel)
    except ValueError as error:
        raise InputError(source, str(error)) from error


def bad_spacing(spacing: npt.ArrayLike) -> str | None:
    """What is wrong with a file's spacing, or None."""
    values = np.asarray(spacing, dtype=np.float64)
    if np.isfinite(values).all() and (values > 0).all():
        return None
    return f"expected a positive spacing in millimetres along each axis, found {' x '.join(f'{value:g}' for value in values)}"


def three_axes(source: Path, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array with trailing axes of length 1 taken off.

    Raises
    ------
    InputError
        When anything but three axes is left.
    """
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 3:
        found = f"expected one volume of three axes, found an array of shape {array.shape}"
        raise InputError(source, found, hint="Extract one volume of it first.")
    if array.ndim < 3:
        raise InputError(source, f"expected a volume of three axes, found an array of shape {array.shape}")
    return array


def sha256_of(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def readable(path: str | Path) -> Path:
    """The path, when there is something there.

    Raises
    ------
    InputError
        When there is no such file or folder, or it may not be looked at.
    """
    found = Path(path)
    try:
        if not found.exists():
            raise InputError(found, "no such file or folder")
    except OSError as error:
        raise InputError(found, f"cannot be read ({error.strerror or error})") from error
    return found


def as_label_ids(source: Path, array: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """An array as label numbers: whole, from 0 to 65535, not too many of them. Floats that hold whole numbers will do.

    Raises
    ------
    InputError
        When it looks like a scan.
    """
    hint = "Give the label map here, and the scan as the scan."
    looks = "this looks like a scan, not labels: expected whole numbers"
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(source, f"{looks}, found NaN or infinity", hint=hint)
        if not np.array_equal(array, np.rint(array)):
            odd = float(array[array != np.rint(array)].flat[0])
            raise InputError(source, f"{looks}, found {odd:g}", hint=hint)
    elif array.dtype.kind not in "iub":
        raise InputError(source, f"{looks}, found values of type {array.dtype}", hint=hint)
    if array.size and (array.min() < 0 or array.max() > 65535):
        raise InputError(source, f"{looks} from 0 to 65535, found {array.min():g} to {array.max():g}", hint=hint)
    ids = array.astype(np.uint16)
    distinct = int(np.count_nonzero(np.bincount(ids.ravel())))
    if distinct > MOST_LABELS:
        raise InputError(source, f"{looks}, at most {MOST_LABELS} different ones, found {distinct}", hint=hint)
    return ids
