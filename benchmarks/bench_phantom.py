"""Painting the digital patient: by blocks, as Kambin does it, against evaluating every shape at every voxel.

Run as ``python benchmarks/bench_phantom.py [SHARE]``. The input is the mean man on a 128 x 320 x 320 grid at 0.8 mm; looking at every
voxel is done on a share of it only (a slab across the middle, by default a sixteenth), since the whole takes long, and Kambin paints
that slab too. Both label maps are compared voxel by voxel; building the patient and the T2 SPACE scan of the whole grid are weighed beside
its label map. Time is that of the processor, all threads together, so that other work on the machine disturbs it little.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from common import measured

Labels = npt.NDArray[np.uint16]


Timed = tuple[float, Any]


def _patient_and_grid(share: int) -> tuple[Any, Any]:
    from kambin.phantom import PatientParameters, build_patient, middle_mm, usual_grid

    patient = build_patient(PatientParameters())
    grid = usual_grid("t2-space", middle_mm(patient.pieces))
    thick = grid.shape[2] // share
    start = (grid.shape[2] - thick) // 2
    return patient, grid.crop((0, 0, start), (*grid.shape[:2], start + thick))


def _timed(function: Callable[[], Any]) -> Timed:
    """Processor time (s), and the result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def by_blocks(share: int) -> Timed:
    from kambin.phantom import paint_labels

    patient, grid = _patient_and_grid(share)
    return _timed(lambda: paint_labels(list(enumerate(patient.shapes.values(), start=1)), grid))


def at_every_voxel(share: int) -> Timed:
    patient, grid = _patient_and_grid(share)
    return _timed(lambda: _looked_at_everywhere(patient.shapes.values(), grid))


def _looked_at_everywhere(shapes: Any, grid: Any) -> Labels:
    result = np.zeros(int(np.prod(grid.shape)), dtype=np.uint16)
    for first in range(0, result.size, 1 << 18):
        some = np.arange(first, min(first + (1 << 18), result.size))
        points = grid.world(np.stack(np.unravel_index(some, grid.shape), axis=-1)).T.astype(np.float32)
        for number, shape in enumerate(shapes, start=1):
            result[some[shape(points) < 0]] = number
    return result.reshape(grid.shape)


def scan() -> Timed:
    from kambin.phantom import simulate

    patient, grid = _patient_and_grid(1)
    return _timed(lambda: simulate(patient.pieces, "t2-space", grid).values)


def building() -> Timed:
    return _timed(lambda: _patient_and_grid(1) and None)


def main() -> None:
    share = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    _wall, memory_blocks, (blocks, ours) = measured(by_blocks, share)
    _wall, memory_every, (every, theirs) = measured(at_every_voxel, share)
    print(f"a 1/{share} slab, labels: every voxel takes {every / blocks:.1f}x the time, {memory_every / memory_blocks:.1f}x the memory")
    print(f"voxels that differ: {np.count_nonzero(ours != theirs)} of {ours.size}", flush=True)
    _wall, memory_whole, (whole, _labels) = measured(by_blocks, 1)
    _wall, memory_scan, (scanned, _values) = measured(scan)
    built = measured(building)[2][0]
    print(f"whole grid: every voxel, by the slab, would take {share * every / whole:.0f}x the time of the labels")
    print(f"whole grid: peak {memory_whole:.0f} MiB for the labels, {memory_scan:.0f} MiB for the scan")
    print(f"the scan takes {scanned / whole:.1f}x the time of the labels, building the patient {built / whole:.1f}x")


if __name__ == "__main__":
    main()
