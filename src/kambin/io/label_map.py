"""Label maps in the scheme ``kambin``, and how sure of them a model is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.io.seg_nrrd import renumbered, write_seg_nrrd
from kambin.volume.grid import Grid

SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd")
_MOST = 255


def label_suffix(path: str | Path, argument: str = "--output") -> str:
    """Which of `SUFFIXES` a name ends in.

    Raises
    ------
    InputError
        When in none of them.
    """
    name = Path(path).name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return suffix
    raise InputError(argument, f"expected a name that ends in {', '.join(SUFFIXES)}, found {str(path)!r}")


def write_labels(grid: Grid, labels: npt.NDArray[np.uint16], table: Mapping[int, Structure], path: str | Path) -> None:
    """Write a label map in the numbers of the scheme ``kambin``: NIfTI in single bytes, or 3D Slicer's ``.seg.nrrd``, by the name's ending.

    Parameters
    ----------
    grid, labels, table
        The label map in canonical order; 0 is background, every other value a key of `table`.
    path
        The file to write.

    Raises
    ------
    ValueError
        When a structure has no number in the scheme, because its level or side is open.
    """
    numbers, names = renumbered(labels, table)
    strange = [structure.key for number, structure in names.items() if number > _MOST]
    if strange:
        raise ValueError(f"expected structures of the scheme kambin, found {', '.join(strange)}")
    if label_suffix(path) == ".seg.nrrd":
        write_seg_nrrd(grid, numbers, names, path)
    else:
        _write_bytes(grid, numbers.astype(np.uint8), path)


def write_shares(grid: Grid, shares: npt.NDArray[np.uint8], path: str | Path) -> None:
    """Write shares from 0 to 1, stored in single bytes (255 for 1), as NIfTI whose header scales them: readers see 0 to 1."""
    _write_bytes(grid, shares, path, slope=1 / _MOST)


def _write_bytes(grid: Grid, values: npt.NDArray[np.uint8], path: str | Path, slope: float | None = None) -> None:
    import nibabel

    image: Any = nibabel.Nifti1Image(values, grid.world_from_voxel, dtype=np.uint8)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    image.set_sform(grid.world_from_voxel, code="scanner")
    image.set_qform(grid.world_from_voxel, code="scanner")
    if slope is not None:
        image.header.set_slope_inter(slope, 0.0)  # what is stored stays as it is
    nibabel.save(image, str(path))
