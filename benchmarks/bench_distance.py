"""Exact distance fields: the transform that Kambin uses (edt, two threads) against `scipy.ndimage.distance_transform_edt`.

Run as ``python benchmarks/bench_distance.py``. Both transform the same masks of a 320 x 320 x 128 map at 0.8 mm; the fields are
compared voxel by voxel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common import label_map, measured

Mask = npt.NDArray[np.bool_]
Spacing = tuple[float, float, float]


def with_kambin(mask: Mask, spacing_mm: Spacing) -> npt.NDArray[np.float32]:
    from kambin.reconstruction.distance import distance_mm

    return distance_mm(mask, spacing_mm, threads=2)


def with_scipy(mask: Mask, spacing_mm: Spacing) -> npt.NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(mask, sampling=spacing_mm))


def main() -> None:
    labels, grid, origin = label_map()
    present = np.flatnonzero(np.bincount(labels.ravel()))[1:]
    largest = int(present[np.argmax(np.bincount(labels.ravel())[present])])
    one = labels == largest
    cases = {
        "outside of all structures": labels == 0,
        "outside of the largest one": ~one,
        "inside of the largest one": one,
        "outside, 0.8 x 0.8 x 3.2 mm": (labels == 0)[:, :, ::4],
    }
    print(f"input: {origin}, {labels.shape}, {grid.spacing_mm[0]:.1f} mm")
    print(f"{'field':32} {'time':>8} {'memory':>8} {'largest difference':>20}")
    for name, mask in cases.items():
        spacing = (0.8, 0.8, 3.2) if mask.shape != labels.shape else (0.8, 0.8, 0.8)
        mask = np.ascontiguousarray(mask)
        time_ours, memory_ours, ours = measured(with_kambin, mask, spacing, repeats=3)
        time_scipy, memory_scipy, theirs = measured(with_scipy, mask, spacing, repeats=2)
        difference = float(np.abs(ours - theirs).max())
        print(f"{name:32} {time_scipy / time_ours:7.1f}x {memory_scipy / memory_ours:7.1f}x {difference:17.6f} mm")
    print("(time and memory of scipy as ratios to edt's)")


if __name__ == "__main__":
    main()
