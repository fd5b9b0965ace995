"""Painting the digital patient: by blocks, as Kambin does it, against evaluating every shape at every voxel.

Run as ``python benchmarks/bench_phantom.py [SHARE]``. The input is the mean man on a 128 x 320 x 320 grid at 0.8 mm; looking at every
voxel is done on a share of it only (a slab across the middle, by default a sixteenth), since the whole takes long, and Kambin paints
that slab too. Both label maps are compared voxel by voxel, and the T2 SPACE scan of the whole grid is weighed beside its label map.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from common import measured

Labels = npt.NDArray[np.uint16]


def _patient_and_grid(share: int) -> tuple[object, object]:
    from kambin.phantom import PatientParameters, build_patient, usual_grid

    patient = build_patient(PatientParameters())
    from kambin.phantom import middle_mm

    grid = usual_grid("t2-space", middle_mm(patient.pieces))
    thick = grid.shape[2] // share
    start = (grid.shape[2] - thick) // 2
    return patient, grid.crop((0, 0, start), (*grid.shape[:2], start + thick))


def by_blocks(share: int) -> Labels:
    from kambin.phantom import paint_labels

    patient, grid = _patient_and_grid(share)
    return paint_labels(list(enumerate(patient.shapes.values(), start=1)), grid)


def at_every_voxel(share: int) -> Labels:
    patient, grid = _patient_and_grid(share)
    result = np.zeros(int(np.prod(grid.shape)), dtype=np.uint16)
    for first in range(0, result.size, 1 << 18):
        some = np.arange(first, min(first + (1 << 18), result.size))
        points = grid.world(np.stack(np.unravel_index(some, grid.shape), axis=-1)).T.astype(np.float32)
        for number, shape in enumerate(patient.shapes.values(), start=1):
            result[some[shape(points) < 0]] = number
    return result.reshape(grid.shape)


def scan() -> npt.NDArray[np.int16]:
    from kambin.phantom import simulate

    patient, grid = _patient_and_grid(1)
    return np.asarray(simulate(patient.pieces, "t2-space", grid).values)


def building() -> None:
    _patient_and_grid(1)


def main() -> None:
    share = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    built, _memory, _none = measured(building)
    blocks, memory_blocks, ours = measured(by_blocks, share)
    every, memory_every, theirs = measured(at_every_voxel, share)
    slower, heavier = (every - built) / (blocks - built), memory_every / memory_blocks
    print(f"a 1/{share} slab, labels: every voxel takes {slower:.1f}x the time, {heavier:.1f}x the memory")
    print(f"voxels that differ: {np.count_nonzero(ours != theirs)} of {ours.size}")
    whole, memory_whole, _labels = measured(by_blocks, 1)
    scanned, memory_scan, _values = measured(scan)
    print(f"whole grid: peak {memory_whole:.0f} MiB for the labels, {memory_scan:.0f} MiB for the scan")
    print(f"the scan takes {(scanned - built) / (whole - built):.1f}x the time of the labels")


if __name__ == "__main__":
    main()
