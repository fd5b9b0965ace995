"""Measures and plans lumbosacral surgery on CT and MR scans.

>>> import kambin
>>> segmentation = kambin.Segmentation.read("labels.nii.gz", scheme="totalsegmentator-v2")  # doctest: +SKIP
>>> model = kambin.reconstruct(segmentation)  # doctest: +SKIP
>>> kambin.measure(model).value("FA", "L4/L5", kambin.Side.LEFT)  # doctest: +SKIP

Names are fetched when they are first used, so ``import kambin`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kambin.anatomy.structures import Kind, Level, Side, Structure
    from kambin.errors import InputError, KambinError, OutputError
    from kambin.measurement import measure
    from kambin.measurement.result import Measurements, NotMeasurable
    from kambin.planning import Plans, plan
    from kambin.reconstruction import reconstruct
    from kambin.spine import SpineModel
    from kambin.volume import Grid, Scan, Segmentation

try:
    __version__ = version("kambin")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

_HOMES = {
    "Grid": "kambin.volume",
    "InputError": "kambin.errors",
    "KambinError": "kambin.errors",
    "Kind": "kambin.anatomy.structures",
    "Level": "kambin.anatomy.structures",
    "Measurements": "kambin.measurement.result",
    "NotMeasurable": "kambin.measurement.result",
    "OutputError": "kambin.errors",
    "Plans": "kambin.planning",
    "Scan": "kambin.volume",
    "Segmentation": "kambin.volume",
    "Side": "kambin.anatomy.structures",
    "SpineModel": "kambin.spine",
    "Structure": "kambin.anatomy.structures",
    "measure": "kambin.measurement",
    "plan": "kambin.planning",
    "reconstruct": "kambin.reconstruction",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kambin' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # so that the next use costs nothing
    return value


def __dir__() -> list[str]:
    return sorted(set(__all__) | set(globals()))
