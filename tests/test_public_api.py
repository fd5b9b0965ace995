"""The public names, held as a list; and that importing them costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kambin
from kambin import errors

PUBLIC = [
    "Grid",
    "InputError",
    "KambinError",
    "Kind",
    "Level",
    "Measurements",
    "NotMeasurable",
    "OutputError",
    "Plans",
    "Scan",
    "Segmentation",
    "Side",
    "SpineModel",
    "Structure",
    "__version__",
    "measure",
    "plan",
    "reconstruct",
]
IMAGING = {"vtk", "vtkmodules", "torch", "trame", "SimpleITK", "matplotlib", "trimesh", "pandas", "nibabel", "pydicom", "scipy"}
HEAVY = IMAGING | {"numpy", "rich", "typer"}


def test_public_names_are_these_and_no_others() -> None:
    assert kambin.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(kambin))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(kambin, name) is not None


def test_names_are_the_things_themselves() -> None:
    assert kambin.InputError is errors.InputError
    assert issubclass(kambin.OutputError, kambin.InputError)
    assert issubclass(kambin.InputError, kambin.KambinError)


def test_an_unknown_name_is_said_by_name() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = kambin.no_such_thing


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(m for m in sys.modules if '.' not in m))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_kambin_loads_nothing_heavy() -> None:
    assert not _loaded_after("import kambin").intersection(HEAVY)


def test_values_need_numpy_alone() -> None:
    needed = _loaded_after("import kambin; kambin.Scan, kambin.Segmentation, kambin.SpineModel, kambin.Measurements, kambin.InputError")
    assert not needed.intersection(HEAVY - {"numpy"})


def test_the_command_line_starts_without_the_heavy_rooms() -> None:
    assert not _loaded_after("import kambin.cli").intersection(IMAGING)
