"""A scan as NIfTI, so that a run's folder holds all that its report needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kambin.volume.scan import Scan

# what NIfTI-1 can hold as it is; anything else is stored as float32
_STORABLE = {np.dtype(name) for name in ("uint8", "int16", "int32", "float32", "float64", "uint16", "uint32", "int8")}


SIMULATED = b"simulated by Kambin, no patient"
"""The header's description of a scan of a digital patient."""


def write_nifti(scan: Scan, path: str | Path) -> None:
    """Write a scan in canonical order as ``.nii`` or ``.nii.gz``, sform and qform in RAS millimetres.

    NIfTI keeps its affine in float32, so positions are exact to about 1e-5 mm; intensities keep their type where the format
    has it. A simulated scan says so in its description.
    """
    import nibabel

    values = np.asarray(scan.values)
    values = values if values.dtype in _STORABLE else values.astype(np.float32)
    image: Any = nibabel.Nifti1Image(values, scan.grid.world_from_voxel, dtype=values.dtype)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    if scan.provenance.get("simulated"):
        image.header["descrip"] = SIMULATED
    image.set_sform(scan.grid.world_from_voxel, code="scanner")
    image.set_qform(scan.grid.world_from_voxel, code="scanner")
    nibabel.save(image, str(path))
