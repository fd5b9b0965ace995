"""Slices of the scan (or of the label map, where there is no scan) along any plane, and contours of the structures on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.geometry import FloatArray
from kambin.report.style import look_of, rgb
from kambin.report.view import View
from kambin.spine import Solid
from kambin.volume import Grid, Scan

BONE_WINDOW_HU = (-500.0, 1300.0)  # width 1800, level 400
SOFT_WINDOW_HU = (-160.0, 240.0)  # width 400, level 40
_MR_PERCENTILES = (1.0, 99.5)
_PALENESS = 0.55


def is_ct(scan: Scan) -> bool:
    """Whether a scan is CT; one whose file does not name its modality is taken for it when it holds air-like values (below -500)."""
    if scan.modality is None:
        return float(scan.values[::4, ::4, ::4].min()) < -500.0
    return scan.modality == "CT"


def intensity_window(scan: Scan, soft_tissue: bool) -> tuple[float, float]:
    """The intensities shown black and white: a bone or soft-tissue window for CT, percentiles of the volume otherwise."""
    if is_ct(scan):
        return SOFT_WINDOW_HU if soft_tissue else BONE_WINDOW_HU
    sample = np.asarray(scan.values[::2, ::2, ::2], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = np.percentile(sample, _MR_PERCENTILES)
    return float(low), float(high) if high > low else float(low) + 1.0


def scan_slice(scan: Scan, view: View, window: tuple[float, float], samples_per_px: float = 1.25) -> npt.NDArray[np.uint8]:
    """Grey values of the scan on the view's plane, shape (rows, columns): linear interpolation, black outside the scan."""
    from scipy.ndimage import map_coordinates

    points = view.lattice_mm(samples_per_px)
    voxel = np.moveaxis(scan.grid.voxel(points.reshape(-1, 3)), -1, 0)
    low, high = window
    box, start = _needed(scan.values, voxel)
    values = map_coordinates(box, voxel - start[:, None], order=1, mode="constant", cval=low, output=np.float32)
    grey = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0.0, 1.0) * 255.0
    return np.asarray(grey.round(), dtype=np.uint8).reshape(points.shape[:2])


def label_slice(
    grid: Grid, labels: npt.NDArray[np.uint16], table: Mapping[int, Structure], view: View, samples_per_px: float = 1.0
) -> npt.NDArray[np.uint8]:
    """The label map on the view's plane in muted colours on white, shape (rows, columns, 3): the nearest voxel's label."""
    points = view.lattice_mm(samples_per_px)
    index = np.rint(grid.voxel(points.reshape(-1, 3))).astype(np.int64)
    inside = ((index >= 0) & (index < np.asarray(grid.shape))).all(axis=1)
    found = np.zeros(len(index), dtype=np.uint16)
    found[inside] = labels[tuple(index[inside].T)]
    palette = np.full((max([0, *table, int(found.max(initial=0))]) + 1, 3), 255.0)
    for label, structure in table.items():
        colour = np.array(rgb(look_of(structure).surface)) * 255.0
        palette[label] = colour + (255.0 - colour) * _PALENESS
    return np.asarray(palette[found].round(), dtype=np.uint8).reshape(*points.shape[:2], 3)


def contours(solid: Solid, view: View, lattice_mm: FloatArray) -> list[FloatArray]:
    """Where a shape's surface crosses the view's plane: polylines in picture coordinates, shape (n, 2) each.

    `lattice_mm` is the view's `lattice_mm` at the sampling wanted; only the part of it that the shape can reach is sampled.
    """
    from contourpy import contour_generator

    vertices = solid.mesh.vertices_mm
    if not len(vertices):
        return []
    depth = view.depth_mm(vertices)
    if not depth.min() <= 0.0 <= depth.max():
        return []
    rows, columns = lattice_mm.shape[:2]
    step_x, step_y = view.width_px / columns, view.height_px / rows
    reach = view.project(vertices[np.abs(depth) <= max(4.0 * float(solid.grid.spacing_mm.max()), 4.0)])
    if not len(reach):
        reach = view.project(vertices)
    (x0, y0), (x1, y1) = reach.min(axis=0), reach.max(axis=0)
    j0, j1 = max(0, int(x0 / step_x) - 3), min(columns, int(x1 / step_x) + 4)
    i0, i1 = max(0, int(y0 / step_y) - 3), min(rows, int(y1 / step_y) + 4)
    if j1 - j0 < 2 or i1 - i0 < 2:
        return []
    level = solid.sample(lattice_mm[i0:i1, j0:j1])
    if level.min() >= 0.0 or level.max() <= 0.0:
        return []
    x, y = (np.arange(j0, j1) + 0.5) * step_x, (np.arange(i0, i1) + 0.5) * step_y
    lines = contour_generator(x, y, level).lines(0.0)
    return [np.asarray(line, dtype=np.float64) for line in lines if len(line) > 3]


def contour_set(
    solids: Mapping[Structure, Solid], view: View, samples_per_px: float = 0.5
) -> dict[Structure, list[FloatArray]]:
    """`contours` of every shape that the plane crosses inside the picture."""
    lattice = view.lattice_mm(samples_per_px)
    found = {structure: contours(solid, view, lattice) for structure, solid in solids.items()}
    return {structure: lines for structure, lines in found.items() if lines}


def _needed(values: npt.NDArray[np.generic], voxel: FloatArray) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """The box of a volume that the positions fall in (as float32), and the index of its first voxel: keeps memory small."""
    limit = np.asarray(values.shape) - 1
    start = np.clip(np.floor(voxel.min(axis=1)).astype(np.int64) - 1, 0, limit)
    stop = np.clip(np.ceil(voxel.max(axis=1)).astype(np.int64) + 2, start + 1, limit + 1)
    box = values[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
    return np.asarray(box, dtype=np.float32), start.astype(np.float64)
