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

_MANY_LABELS = 400
_ALIKE = 0.6  # share of voxels off the ground whose neighbour has the same value, in a label map


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


def looks_like_labels(values: npt.NDArray[Any]) -> bool:
    """Whether values look like labels rather than intensities: whole, not negative, few, and mostly equal to their neighbours.

    A guess. A scan reduced to two or three grey levels looks the same; noise, of which every scan has some, does not.
    """
    if values.dtype.kind not in "iubf" or values.size == 0 or values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        return False
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and np.array_equal(values, np.rint(values))):
        return False
    counts = np.bincount(values.ravel().astype(np.int64))
    if np.count_nonzero(counts) > _MANY_LABELS:
        return False
    inside = values[:-1] != counts.argmax()  # the commonest value is the ground: 0 in a label map, the padding in a scan
    total = int(np.count_nonzero(inside))
    return total == 0 or int(np.count_nonzero(inside & (values[:-1] == values[1:]))) >= _ALIKE * total
