"""Slices of the scan (or of the label map, where there is no scan) along any plane, and contours of the structures on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def intensity_window(scan: Scan, soft_tissue: bool) -> tuple[float, float]:
    """The intensities shown black and white: a bone or soft-tissue window for CT, percentiles of the volume otherwise.

    A scan whose file does not name its modality is taken for CT when it holds air-like values (below -500).
    """
    modality = scan.modality
    if modality is None and float(scan.values[::4, ::4, ::4].min()) < -500.0:
        modality = "CT"
    if modality == "CT":
        return SOFT_WINDOW_HU if soft_tissue else BONE_WINDOW_HU
    sample = np.asarray(scan.values[::2, ::2, ::2], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = np.percentile(sample, _MR_PERCENTILES)
    return float(low), float(high) if high > low else float(low) + 1.0


def scan_slice(scan: Scan, view: View, window: tuple[float, float], samples_per_px: float = 1.5) -> npt.NDArray[np.uint8]:
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


def contours(solid: Solid, view: View, samples_per_px: float = 0.5) -> list[FloatArray]:
    """Where a shape's surface crosses the view's plane: polylines in picture coordinates, shape (n, 2) each."""
    from contourpy import contour_generator

    if not _crosses(solid, view):
        return []
    columns, rows = max(2, round(view.width_px * samples_per_px)), max(2, round(view.height_px * samples_per_px))
    points = view.lattice_mm(samples_per_px)
    level = solid.sample(points)
    if level.min() >= 0.0 or level.max() <= 0.0:
        return []
    x = (np.arange(columns) + 0.5) * view.width_px / columns
    y = (np.arange(rows) + 0.5) * view.height_px / rows
    lines = contour_generator(x, y, level).lines(0.0)
    return [np.asarray(line, dtype=np.float64) for line in lines if len(line) > 3]


def contour_set(solids: Mapping[Structure, Solid], view: View, leave_out: Iterable[Structure] = ()) -> dict[Structure, list[FloatArray]]:
    """`contours` of every shape that the plane crosses inside the picture."""
    skipped = set(leave_out)
    found = {structure: contours(solid, view) for structure, solid in solids.items() if structure not in skipped}
    return {structure: lines for structure, lines in found.items() if lines}


def _crosses(solid: Solid, view: View) -> bool:
    if not len(solid.mesh.vertices_mm):
        return False
    depth = view.depth_mm(solid.mesh.vertices_mm)
    return bool(depth.min() <= 0.0 <= depth.max())


def _needed(values: npt.NDArray[np.generic], voxel: FloatArray) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """The box of a volume that the positions fall in (as float32), and the index of its first voxel: keeps memory small."""
    limit = np.asarray(values.shape) - 1
    start = np.clip(np.floor(voxel.min(axis=1)).astype(np.int64) - 1, 0, limit)
    stop = np.clip(np.ceil(voxel.max(axis=1)).astype(np.int64) + 2, start + 1, limit + 1)
    box = values[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
    return np.asarray(box, dtype=np.float32), start.astype(np.float64)
