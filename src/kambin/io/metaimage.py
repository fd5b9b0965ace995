"""MetaImage (``.mha``, and ``.mhd`` with its raw file), whose positions are LPS millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kambin.errors import InputError
from kambin.io.raw import RAS_FROM_LPS, RawVolume, bad_spacing, make_grid, sha256_of, three_axes

_HEADER_BYTES = 65536


def read_metaimage(path: Path) -> RawVolume:
    """The volume of a MetaImage file.

    Raises
    ------
    InputError
        When the file cannot be read or is cut short, does not tell its offset and directions, has an axis too many, more than one
        number a voxel, or a spacing that is not positive.
    """
    _refuse_bad_header(path, _header(path))
    import SimpleITK as sitk

    try:
        image: Any = sitk.ReadImage(str(path), imageIO="MetaImageIO")
    except RuntimeError as error:
        raise InputError(path, f"the file ends early or is damaged ({_short(error)})") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(path, f"expected one number a voxel, found {image.GetNumberOfComponentsPerPixel()}")
    array = three_axes(path, np.transpose(sitk.GetArrayFromImage(image)))
    dimensions = image.GetDimension()
    directions = np.reshape(image.GetDirection(), (dimensions, dimensions))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = directions * np.asarray(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    provenance = {"file": path.name, "format": "MetaImage", "sha256": sha256_of(path)}
    return RawVolume(path, array, make_grid(path, array.shape, RAS_FROM_LPS @ affine), None, {}, (), provenance)


def _header(path: Path) -> dict[str, str]:
    """The header's lines as they stand: ITK fills in what is missing and mends what is wrong without a word."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_HEADER_BYTES)
    except OSError as error:
        raise InputError(path, f"the file cannot be read ({error.strerror or error})") from error
    fields: dict[str, str] = {}
    for line in content.split(b"\n"):
        key, mark, value = line.partition(b"=")
        if not mark:
            break
        name = key.strip().decode("ascii", "replace")
        fields[name] = value.strip().decode("ascii", "replace")
        if name == "ElementDataFile":
            break
    if "NDims" not in fields or "ElementDataFile" not in fields:
        raise InputError(path, "expected a MetaImage file, found no MetaImage header in it")
    return fields


def _refuse_bad_header(path: Path, fields: dict[str, str]) -> None:
    problems = []
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    if spacing is None:
        problems.append("expected its spacing (ElementSpacing), found none")
    else:
        try:
            problem = bad_spacing([float(value) for value in spacing.split()[:3]])
        except ValueError:
            problem = f"expected a spacing in numbers, found {spacing!r}"
        if problem is not None:
            problems.append(problem)
    if not {"Offset", "Position", "Origin"} & set(fields):
        problems.append("expected its position (Offset), found none")
    if not {"TransformMatrix", "Rotation", "Orientation"} & set(fields):
        problems.append("expected its directions (TransformMatrix), found none: which side is left is unknown")
    if problems:
        raise InputError(path, *problems)


def _short(error: Exception) -> str:
    """The last line of ITK's message, which is the one that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unreadable"
