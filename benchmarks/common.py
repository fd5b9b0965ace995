"""What the benchmarks share: one label map as input, and a way to time and weigh one method in a process of its own."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.volume import Grid, canonical

SHAPE = (320, 320, 128)
SPACING_MM = 0.8
REAL = "ct-totalsegmentator/example_seg_v1_full_5de6e4d.nii.gz"
LUMBAR = (18, 19, 20, 21)  # L5 to L2 in that map: the field of view is centred on them


def label_map() -> tuple[npt.NDArray[np.uint8], Grid, str]:
    """The input: a real map where $KAMBIN_DATA (or ``../shared/data`` beside the checkout) has it, else a synthetic spine."""
    folder = Path(os.environ.get("KAMBIN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if (folder / REAL).is_file():
        return (*_real(folder / REAL), "a TotalSegmentator map of a real CT, resampled")
    return (*_synthetic(), "a synthetic stack of shapes")


def _real(path: Path) -> tuple[npt.NDArray[np.uint8], Grid]:
    """Every label of Kambin's vocabulary, interpolated linearly; the strongest wins, as a network at 0.8 mm would draw them."""
    import nibabel as nib
    from scipy.ndimage import affine_transform

    from kambin.anatomy.schemes import builtin_scheme

    known = {number for number, structure in builtin_scheme("totalsegmentator-v1").table.items() if structure is not None}

    image = nib.load(path)
    array = np.asarray(image.dataobj).round().astype(np.uint8)
    labels, grid = canonical(array, Grid(array.shape, image.affine))
    middle = grid.world(np.argwhere(np.isin(labels, LUMBAR))).mean(axis=0)
    fine = Grid.axis_aligned(SHAPE, SPACING_MM, middle - SPACING_MM * (np.array(SHAPE) - 1) / 2)
    to_coarse = grid.voxel_from_world @ fine.world_from_voxel
    best = np.full(SHAPE, 0.5, dtype=np.float32)
    result = np.zeros(SHAPE, dtype=np.uint8)
    for number in sorted(known.intersection(np.unique(labels).tolist())):
        share = affine_transform((labels == number).astype(np.float32), to_coarse, output_shape=SHAPE, order=1)
        better = share > best
        best[better], result[better] = share[better], number
    return result, fine


def _synthetic() -> tuple[npt.NDArray[np.uint8], Grid]:
    """Bodies, arches, processes, hips, muscles and vessels from ellipsoids, rings and rods."""
    grid = Grid.axis_aligned(SHAPE, SPACING_MM, -SPACING_MM * (np.array(SHAPE) - 1) / 2)
    x, y, z = (axis.astype(np.float32) for axis in np.ogrid[tuple(slice(0, n) for n in SHAPE)])
    x, y, z = ((axis - (n - 1) / 2) * SPACING_MM for axis, n in zip((x, y, z), SHAPE, strict=True))
    result = np.zeros(SHAPE, dtype=np.uint8)
    for side in (-1, 1):
        result[((x - side * 75) / 45) ** 2 + ((y + 10) / 50) ** 2 + ((z + 35) / 30) ** 2 < 1] = 20 + side
        result[((x - side * 45) / 18) ** 2 + ((y - 5) / 22) ** 2 + 0 * z < 1] = 30 + side
        result[(x - side * 10) ** 2 + (y - 45) ** 2 + 0 * z < 64] = 40 + side
    for number, height in enumerate((-34, 0, 34), start=1):
        body = ((x / 24) ** 2 + ((y - 8) / 17) ** 2 < 1) & (np.abs(z - height) < 13)
        arch = (np.abs(np.hypot(x, y + 18) - 13) < 4) & (np.abs(z - height) < 9)
        process = (np.abs(x) < 4) & (np.abs(y + 45) < 16) & (np.abs(z - height + 4) < 8)
        wings = (np.abs(x) < 45) & ((y + 10) ** 2 + (z - height) ** 2 < 25)
        result[body | arch | process | wings] = number
    return result, grid


def measured(function: Callable[..., Any], *arguments: Any, repeats: int = 1) -> tuple[float, float, Any]:
    """Least wall time (s) of some repeats, peak memory above that at the start (MiB), and the result, from a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (function, arguments, repeats))


def _measure(function: Callable[..., Any], arguments: tuple[Any, ...], repeats: int) -> tuple[float, float, Any]:
    function(*arguments)  # once unmeasured: imports, and the first touch of every library
    before = _peak_mib(reset=True)
    times, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times), max(_peak_mib() - before, 1.0), result


def _peak_mib(reset: bool = False) -> float:
    """Highest memory of this process so far; on Linux the count can be started anew from what is in use now."""
    status = Path("/proc/self/status")
    if status.is_file():
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        return float(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024.0
    unit = 1024.0 if sys.platform == "darwin" else 1.0  # ru_maxrss is bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / 1024.0
