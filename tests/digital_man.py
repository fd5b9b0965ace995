"""A piece of the mean digital man, painted as a label map and reconstructed."""

from __future__ import annotations

import numpy as np

import kambin
from kambin.anatomy.schemes import builtin_scheme
from kambin.phantom import PatientParameters, build_patient
from kambin.spine import SpineModel
from kambin.volume import Grid, Segmentation


def piece_of_the_mean_man(low: tuple[float, float, float], high: tuple[float, float, float], spacing_mm: float) -> SpineModel:
    """What lies between two corners, RAS millimetres."""
    count = np.ceil((np.array(high) - low) / spacing_mm).astype(int)
    grid = Grid.axis_aligned((int(count[0]), int(count[1]), int(count[2])), spacing_mm, low)
    scheme = builtin_scheme("kambin").table
    labels = build_patient(PatientParameters()).labels(grid, {s: n for n, s in scheme.items() if s is not None})
    present = set(np.unique(labels).tolist()) - {0}
    return kambin.reconstruct(Segmentation(grid, labels, {n: s for n, s in scheme.items() if n in present and s is not None}))
