"""A scan: intensities on a grid, with what is known of where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.volume.grid import Grid


@dataclass(frozen=True, eq=False)
class Scan:
    """Intensities of one CT or MR volume, stored in canonical order (axes nearest to right, anterior, cranial).

    Parameters
    ----------
    grid
        Where the voxels are.
    values
        Intensities of `grid`'s shape; Hounsfield units for CT, arbitrary for MR.
    modality
        ``"CT"``, ``"MR"`` or None where the file does not say.
    provenance
        What is known of the origin: file name, checksum, series, scanner. Never the patient's name.

    Raises
    ------
    ValueError
        When `values` has not `grid`'s shape.
    """

    grid: Grid
    values: npt.NDArray[Any]
    modality: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.shape != self.grid.shape:
            raise ValueError(f"expected values of shape {self.grid.shape}, found {values.shape}")
        values = values.view()
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    @classmethod
    def read(cls, path: str | Path) -> Scan:
        """Read a scan from NIfTI, NRRD, MHA, a DICOM file, folder or zip. See `kambin.io.read_scan`."""
        from kambin.io import read_scan

        return read_scan(path)
