"""A patient's tissues voxel by voxel: what networks are trained from, in any contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.phantom.compose import Offset
from kambin.phantom.field import Field
from kambin.phantom.patient import Patient
from kambin.phantom.raster import Progress, paint_labels
from kambin.phantom.tissue import Material, Tissue
from kambin.phantom.tissue_values import HOUNSFIELD, MR
from kambin.volume import Grid


@dataclass(frozen=True, slots=True)
class MappedTissue:
    """One material of one structure.

    Parameters
    ----------
    mixture
        Names of the materials and their shares, which add up to 1; one, where nothing is mixed.
    structure
        What it is part of, in label maps; None for what has no name.
    proton_density, t1_ms, t2_ms, fat
        As MR at 1.5 T sees it: relative to cerebrospinal fluid, of its water, and the share that is fat.
    hounsfield
        As unenhanced CT sees it.
    """

    mixture: tuple[tuple[str, float], ...]
    structure: Structure | None
    proton_density: float
    t1_ms: float
    t2_ms: float
    fat: float
    hounsfield: float


def paint_tissues(
    patient: Patient, grid: Grid, numbers: Mapping[Structure, int], *, progress: Progress | None = None
) -> tuple[npt.NDArray[np.uint16], tuple[MappedTissue, ...]]:
    """For each voxel which material of which structure its centre lies in.

    Parameters
    ----------
    patient
        The patient.
    grid
        Where the voxels are.
    numbers
        A label for every structure that shall be told apart, as for `Patient.labels`.
    progress
        Called with the finished fraction.

    Returns
    -------
    tuple
        Numbers of `grid`'s shape, 0 in the air around; and what number 1 and the following ones stand for.
    """
    materials: dict[Material, int] = {}
    shapes: list[tuple[int, Field]] = []
    for piece in patient.pieces:
        for layer in piece.layers:
            number = materials.setdefault(layer.tissue, 1 + len(materials))
            shapes.append((number, Offset(piece.shape, -layer.depth_mm) if layer.depth_mm else piece.shape))
    painted = paint_labels(shapes, grid, progress=None if progress is None else lambda done: progress(0.7 * done))
    labels = patient.labels(grid, numbers, progress=None if progress is None else lambda done: progress(0.7 + 0.3 * done))
    return _numbered(painted, list(materials), labels, {number: structure for structure, number in numbers.items()})


def _numbered(
    painted: npt.NDArray[np.uint16], materials: list[Material], labels: npt.NDArray[np.uint16], structures: Mapping[int, Structure]
) -> tuple[npt.NDArray[np.uint16], tuple[MappedTissue, ...]]:
    """One number for each pair of a material and a label that occurs."""
    width = len(materials) + 1
    pairs = labels.astype(np.uint32) * np.uint32(width) + painted
    found = np.flatnonzero(np.bincount(pairs.ravel()))
    found = found[found != 0]
    table = np.zeros(int(found[-1]) + 1 if len(found) else 1, dtype=np.uint16)
    table[found] = np.arange(1, len(found) + 1)
    met = [divmod(pair, width) for pair in found.tolist()]
    rows = tuple(_row(materials[number - 1] if number else Tissue.AIR, structures.get(label)) for label, number in met)
    return table[pairs], rows


def _row(material: Material, structure: Structure | None) -> MappedTissue:
    shares = _shares(material)
    seen = [(share, (MR[t].proton_density, MR[t].t1_ms[0], MR[t].t2_ms, MR[t].fat, HOUNSFIELD[t])) for t, share in shares.items()]
    mixed = [sum(share * values[place] for share, values in seen) for place in range(5)]
    return MappedTissue(tuple((tissue.value, share) for tissue, share in shares.items()), structure, *mixed)


def _shares(material: Material) -> dict[Tissue, float]:
    """The tissues of a mixture of mixtures."""
    if isinstance(material, Tissue):
        return {material: 1.0}
    result: dict[Tissue, float] = {}
    for part, share in ((material.one, 1.0 - material.share), (material.other, material.share)):
        for tissue, inner in _shares(part).items():
            result[tissue] = result.get(tissue, 0.0) + share * inner
    return {tissue: share for tissue, share in result.items() if share > 0}
