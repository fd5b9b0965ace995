"""Folders of surfaces, described by a small TOML file: what each is, in which unit and frame.

::

    folder = "atlas"        # beside this file; by default the file's own folder
    units = "mm"            # or cm, or m
    axes = "ALS"            # where the files' x, y and z point: here anterior, left, superior
    credit = "who made them, and under which licence"
    muscles = ["iliacus_L.ply", "iliacus_R.ply"]

    [surfaces]
    vertebra_L1 = "bone_L1.ply"
    hip_bone = "both_hips.ply"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray
from kambin.phantom.surfaces.surface_set import NamedSurface, SurfaceSet
from kambin.spine import SurfaceMesh

MANIFEST = "surfaces.toml"
_UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_AXES = {"R": (0, 1.0), "L": (0, -1.0), "A": (1, 1.0), "P": (1, -1.0), "S": (2, 1.0), "I": (2, -1.0)}
_KEYS = ("folder", "units", "axes", "credit", "muscles", "surfaces")
_SUFFIXES = (".ply", ".stl", ".obj", ".off", ".glb")


def read_surfaces(path: str | Path) -> SurfaceSet:
    """The surfaces that a description names, in RAS millimetres.

    Parameters
    ----------
    path
        The description, or a folder with one named ``surfaces.toml``.

    Raises
    ------
    InputError
        When the description or a file cannot be read, and as `SurfaceSet`.
    """
    place = Path(path)
    if place.is_dir():
        place = place / MANIFEST
    described = _described(place)
    ras_from_file = _frame(place, described)
    folder = place.parent / str(described.get("folder", "."))
    surfaces = {}
    for key, name in _table(place, described).items():
        try:
            structure = Structure.from_key(key)
        except ValueError:
            raise InputError(place, f"expected the name of a structure such as vertebra_L3 or psoas_left, found {key!r}") from None
        surfaces[structure] = _read(folder, name, ras_from_file)
    muscles = tuple(_read(folder, name, ras_from_file) for name in described.get("muscles", ()))
    return SurfaceSet(str(path), surfaces, muscles, str(described.get("credit", "")))


def _described(place: Path) -> Mapping[str, Any]:
    try:
        with place.open("rb") as file:
            described = tomllib.load(file)
    except FileNotFoundError:
        raise InputError(place, "expected a description of the surfaces, found no such file", hint="docs/phantom.md shows one.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(place, f"expected a description of surfaces in TOML, found {error}") from error
    unknown = [key for key in described if key not in _KEYS]
    if unknown:
        raise InputError(place, f"expected {', '.join(_KEYS)}, found {', '.join(unknown)}")
    return described


def _frame(place: Path, described: Mapping[str, Any]) -> FloatArray:
    """RAS millimetres of the files' coordinates, shape (3, 3)."""
    units, axes = described.get("units", "mm"), described.get("axes", "RAS")
    problems = []
    if units not in _UNITS_MM:
        problems.append(f"units: expected one of {', '.join(_UNITS_MM)}, found {units!r}")
    if not isinstance(axes, str) or sorted(_AXES.get(letter, (9, 0.0))[0] for letter in axes) != [0, 1, 2]:
        problems.append(f"axes: expected three letters, one each of R or L, A or P, S or I, found {axes!r}")
    if problems:
        raise InputError(place, *problems)
    result = np.zeros((3, 3))
    for column, letter in enumerate(axes):
        row, sign = _AXES[letter]
        result[row, column] = sign * _UNITS_MM[units]
    return result


def _table(place: Path, described: Mapping[str, Any]) -> Mapping[str, str]:
    table, muscles = described.get("surfaces"), described.get("muscles", [])
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise InputError(place, "expected a table [surfaces] of file names by structure, found none")
    if not isinstance(muscles, list) or not all(isinstance(name, str) for name in muscles):
        raise InputError(place, f"muscles: expected a list of file names, found {muscles!r}")
    return table


def _read(folder: Path, name: str, ras_from_file: FloatArray) -> NamedSurface:
    import trimesh

    file = folder / name
    if file.suffix.lower() not in _SUFFIXES:
        raise InputError(file, f"expected a surface as {', '.join(_SUFFIXES)}, found {file.suffix or 'no suffix'!r}")
    if not file.is_file():
        raise InputError(file, "expected a surface, found no such file")
    try:
        mesh = trimesh.load_mesh(file)
        vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
        if not len(faces) or not np.isfinite(vertices).all():
            raise ValueError("no faces, or places that are not numbers")
    except Exception as error:  # the readers of six formats fail in as many ways
        raise InputError(file, f"expected a triangle surface, found {error or type(error).__name__}") from error
    turned = np.linalg.det(ras_from_file) < 0
    return NamedSurface(name, SurfaceMesh(vertices @ ras_from_file.T, faces[:, ::-1] if turned else faces))
