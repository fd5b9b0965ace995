"""The whole way from a label map to measurements, beside the usual surfaces alone, with peak memory.

Run as ``python benchmarks/bench_run.py``. The input is that of the other benchmarks: 320 x 320 x 128 voxels of 0.8 mm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench_surfaces import usual_surfaces
from common import label_map, measured
from kambin.volume import Grid


def whole_run(labels: npt.NDArray[np.uint8], grid: Grid) -> int:
    """Reconstruct and measure, as `kambin run` does before it writes; how many values were measured."""
    from kambin.anatomy.schemes import builtin_scheme
    from kambin.measurement import measure
    from kambin.reconstruction import reconstruct
    from kambin.volume import Segmentation

    table = builtin_scheme("totalsegmentator-v1").table
    named = {int(n): structure for n in np.unique(labels) if n and (structure := table.get(int(n))) is not None}
    segmentation = Segmentation(grid, labels.astype(np.uint16), named)
    return sum(row.is_measured for row in measure(reconstruct(segmentation)).rows)


def main() -> None:
    labels, grid, origin = label_map()
    print(f"input: {origin}, {labels.shape}, {grid.spacing_mm[0]:.1f} mm")
    seconds, memory, rows = measured(whole_run, labels, grid)
    usual, usual_memory, _ = measured(usual_surfaces, labels, grid, "taubin")
    print(f"whole run (shapes, parts, frames, {rows} values): peak {memory:.0f} MiB above the interpreter and the input")
    print(f"marching_cubes + taubin, surfaces alone: {usual / seconds:.2f}x the time, {usual_memory / memory:.2f}x the memory of that")


if __name__ == "__main__":
    main()
