"""Real anatomy scanned again: the shapes of a reconstructed spine, turned in space and drawn on another grid."""

from __future__ import annotations

import numpy as np

from kambin.anatomy import Kind, Structure
from kambin.spine import Solid, SpineModel
from kambin.volume import Grid, Segmentation


def shapes_of(model: SpineModel, names: tuple[str, ...]) -> dict[Structure, Solid]:
    """The vertebrae and discs of some motion segments, with all that lies around the spine."""
    chosen = [segment for segment in model.segments if segment.name in names]
    shapes = dict(model.solids)
    for segment in chosen:
        shapes[Structure(Kind.DISC, segment.upper.level)] = segment.disc
    for segment in chosen:
        for vertebra in (segment.upper, segment.lower):
            shapes[vertebra.structure] = vertebra.solid
    return shapes


def scanned(
    shapes: dict[Structure, Solid],
    rotation: np.ndarray,
    spacing_mm: float,
    about_mm: np.ndarray,
    half_size_mm: tuple[float, float, float] = (62, 58, 60),
) -> Segmentation:
    """A label map of the shapes turned by `rotation` (world from local) about a point, on an upright grid around it. Later shapes win."""
    half = np.asarray(half_size_mm)
    shape = tuple(int(n) for n in np.ceil(2 * half / spacing_mm))
    grid = Grid.axis_aligned(shape, spacing_mm, about_mm - spacing_mm * (np.asarray(shape) - 1) / 2)
    # A voxel of the new grid lies at R^T (x - c) + c in the old patient.
    first = rotation.T @ (grid.world([0, 0, 0]) - about_mm) + about_mm
    steps = spacing_mm * rotation
    labels = np.zeros(shape, dtype=np.uint16)
    table = {}
    for number, (structure, solid) in enumerate(shapes.items(), start=1):
        inside = solid.sample_box(first, steps, shape) < 0.0
        if inside.sum() > 50:
            labels[inside] = number
            table[number] = structure
    present = set(np.unique(labels).tolist())
    return Segmentation(grid, labels, {number: structure for number, structure in table.items() if number in present})
