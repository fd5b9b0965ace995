"""Pictures like a C-arm's: how much a beam is weakened on its way through the patient, dense bone dark, in a round field.

From the scan where it is CT; else from the bones' shapes, with a denser shell, as if nothing else were there. The beam is parallel, so that
lengths and what is drawn over the picture are true to scale, where a C-arm's spreads by some per cent.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind
from kambin.geometry import FloatArray
from kambin.report import slices
from kambin.report.view import View
from kambin.spine import SpineModel
from kambin.volume import Scan

FIELD_MM = 170.0
"""Diameter of the round field at the patient."""
_HALF_DEPTH_MM = 170.0
_STEP_MM = 1.5  # along the beam, through the bones' shapes; through a scan its voxels' size, within these:
_SCAN_STEPS_MM = (1.0, 3.0)
_PITCH_MM = (0.5, 1.0)  # of the picture: as fine as the scan shows, within these
_PER_VOXEL = 0.6
_CHUNK = 16  # steps of the beam summed at a time
_SHELL_MM, _SHELL, _SPONGE = 1.6, 1.7, 0.45  # cortical bone's thickness; what shell and sponge weaken more than water does
_EVENED_MM, _EVENED = 22.0, 0.75  # a fluoroscope evens out what changes slowly over the picture
_BONES = (Kind.VERTEBRA, Kind.SACRUM, Kind.HIP)

GreyImage = npt.NDArray[np.uint8]


class CArm:
    """What radiographs of one patient are simulated from.

    Parameters
    ----------
    model
        Whose bones.
    scan
        Used where it is CT.
    """

    def __init__(self, model: SpineModel, scan: Scan | None) -> None:
        self._scan = scan if scan is not None and slices.is_ct(scan) else None
        self._bones = [solid for structure, solid in model.all_solids().items() if structure.kind in _BONES]

    @property
    def source(self) -> str:
        """What the pictures are made from, in words."""
        return "simulated from the CT scan" if self._scan is not None else "simulated from the bones’ shapes alone"

    def picture(self, view: View) -> GreyImage:
        """A radiograph in a round field, dense structures dark, shape (rows, columns); black beyond the field."""
        finest = _PITCH_MM[0] if self._scan is None else _PER_VOXEL * float(min(self._scan.grid.spacing_mm))
        pitch = float(np.clip(finest, *_PITCH_MM))
        scale = view.mm_per_px / pitch
        points = view.lattice_mm(scale)
        weakened = self._from_scan(self._scan, points, view) if self._scan is not None else self._from_bones(points, view)
        return as_seen(weakened, _in_field(weakened.shape), _EVENED_MM / pitch)

    def _from_scan(self, scan: Scan, points: FloatArray, view: View) -> FloatArray:
        total = np.zeros(points.shape[:2])
        low = float(scan.values[::8, ::8, ::8].min())
        step = float(np.clip(min(scan.grid.spacing_mm), *_SCAN_STEPS_MM))
        for start, steps, count in _beam(points, view, step):
            matrix = scan.grid.voxel_from_world[:3, :3] @ steps.T
            values = _sampled(scan.values, matrix, scan.grid.voxel(start), (*points.shape[:2], count), min(low, -1000.0))
            total += weakening(values).sum(axis=-1) * step
        return total

    def _from_bones(self, points: FloatArray, view: View) -> FloatArray:
        total = np.zeros(points.shape[:2])
        to_sample = np.array([points.shape[1] / view.width_px, points.shape[0] / view.height_px])
        for bone in self._bones:
            vertices = bone.mesh.vertices_mm
            if not len(vertices):
                continue
            depth, seen = view.depth_mm(vertices), view.project(vertices) * to_sample
            x0, y0 = np.clip(np.floor(seen.min(axis=0)).astype(int) - 2, 0, points.shape[1::-1])
            x1, y1 = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 2, 0, points.shape[1::-1])
            if x1 - x0 < 2 or y1 - y0 < 2:
                continue
            part = points[y0:y1, x0:x1]
            for start, steps, count in _beam(part, view, _STEP_MM, float(depth.min()) - _STEP_MM, float(depth.max()) + _STEP_MM):
                level = bone.sample_box(start, steps, (*part.shape[:2], count))
                shell = np.where(level > -_SHELL_MM, _SHELL, _SPONGE)
                total[y0:y1, x0:x1] += (np.clip(0.5 - level / _STEP_MM, 0.0, 1.0) * shell).sum(axis=-1) * _STEP_MM
        return total


def weakening(hounsfield: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How much a tissue weakens the beam, as a share of what water does; bone more than its density says, as at a C-arm's voltage."""
    water = np.clip(hounsfield, -1000.0, 2500.0) / 1000.0 + 1.0
    return np.asarray(water + 1.2 * np.clip(hounsfield - 120.0, 0.0, 2000.0) / 1000.0, dtype=np.float32)


def as_seen(weakened: FloatArray, field: npt.NDArray[np.bool_], evened_px: float) -> GreyImage:
    """Grey values of a radiograph as a fluoroscope shows it: slow changes evened out, its own contrast, black beyond the field."""
    from scipy.ndimage import gaussian_filter

    flat = weakened - _EVENED * gaussian_filter(weakened, evened_px, mode="nearest")
    low, high = np.percentile(flat[field], (2.0, 99.7))
    dark = np.clip((flat - low) / max(high - low, 1e-6), 0.0, 1.0)
    grey = np.round(232.0 - 214.0 * dark**0.9)
    return np.asarray(np.where(field, grey, 0.0), dtype=np.uint8)


def _in_field(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    rows, columns = shape
    y, x = np.ogrid[:rows, :columns]
    radius = min(rows, columns) / 2.0
    return np.asarray(np.hypot(y + 0.5 - rows / 2.0, x + 0.5 - columns / 2.0) <= radius - 1.0)


def _beam(
    points: FloatArray, view: View, step_mm: float, nearest_mm: float = -_HALF_DEPTH_MM, farthest_mm: float = _HALF_DEPTH_MM
) -> Iterable[tuple[FloatArray, FloatArray, int]]:
    """The beam's samples by the handful: the first point, the steps down, across and along, shape (3, 3), and how many along."""
    low, high = max(nearest_mm, -_HALF_DEPTH_MM), min(farthest_mm, _HALF_DEPTH_MM)
    count = max(1, int(np.ceil((high - low) / step_mm)))
    down = points[1, 0] - points[0, 0]
    across = points[0, 1] - points[0, 0]
    along = step_mm * view.towards_viewer
    for first in range(0, count, _CHUNK):
        start = points[0, 0] + (low + (first + 0.5) * step_mm) * view.towards_viewer
        yield start, np.stack([down, across, along]), min(_CHUNK, count - first)


def _sampled(
    values: npt.NDArray[np.generic], matrix: FloatArray, offset: FloatArray, shape: tuple[int, ...], outside: float
) -> npt.NDArray[np.float32]:
    from scipy.ndimage import affine_transform

    found = affine_transform(
        values, matrix, offset, output_shape=shape, order=1, mode="constant", cval=outside, output=np.float32, prefilter=False
    )
    return np.asarray(np.nan_to_num(found, nan=outside), dtype=np.float32)
