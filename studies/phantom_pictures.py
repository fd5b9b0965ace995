"""Simulated slices beside real ones, at the same levels and windows.

    python studies/phantom_pictures.py DATA docs/pictures/simulated-beside-real.webp

DATA holds the real scans: ``mr-sct/t2_lumbar.nii.gz`` (Spinal Cord Toolbox tutorial, MIT licence) and
``ct-totalsegmentator/example_ct.nii.gz`` (TotalSegmentator, Apache-2.0).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from kambin import Scan
from kambin.phantom import PatientParameters, build_patient, grid_about, simulate


def sampled(
    scan: Scan, centre_mm: np.ndarray, axes: tuple[np.ndarray, np.ndarray], size_mm: tuple[float, float], step_mm: float = 0.5
) -> np.ndarray:
    """A picture cut from a scan: rows from the top down."""
    from scipy.ndimage import map_coordinates

    across = np.arange(-size_mm[0] / 2, size_mm[0] / 2, step_mm)
    up = np.arange(size_mm[1] / 2, -size_mm[1] / 2, -step_mm)
    points = centre_mm + up[:, None, None] * axes[1] + across[None, :, None] * axes[0]
    voxels = np.moveaxis(scan.grid.voxel(points), -1, 0)
    return map_coordinates(np.asarray(scan.values, dtype=np.float32), voxels, order=1, mode="constant", cval=float(np.min(scan.values)))


def windowed(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    return (255 * np.clip((picture - low) / (high - low), 0, 1)).astype(np.uint8)


def main(data: Path, output: Path) -> None:
    from PIL import Image

    anterior_left = (np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0]))  # seen from the left: anterior on the left
    from_below = (np.array([-1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))  # the patient's right on the left
    patient = build_patient(PatientParameters().changed({"degeneration": 0.1, "posterior_fat_mm": 12.0}))
    column = patient.column
    t2 = simulate(patient.pieces, "t2-sag", grid_about((0.0, -10.0, -5.0), (9, 320, 320), (4.0, 0.8, 0.8)), seed=4)
    real_t2 = Scan.read(data / "mr-sct" / "t2_lumbar.nii.gz")
    real_ct = Scan.read(data / "ct-totalsegmentator" / "example_ct.nii.gz")
    rows = []
    middle = real_t2.grid.world((np.asarray(real_t2.grid.shape) - 1) / 2)
    size = (150.0, 190.0)
    scale = [float(np.percentile(np.asarray(scan.values), 99.7)) for scan in (t2, real_t2)]
    pictures = []
    for right in (0.0, 13.0):
        made = sampled(t2, np.array([right, -5.0, 10.0]), anterior_left, size)
        real = sampled(real_t2, middle + np.array([right, 0.0, 0.0]), anterior_left, size)
        pictures += [windowed(made, 0, scale[0]), windowed(real, 0, scale[1])]
    rows.append(np.hstack(pictures))
    pictures = []
    # The real patient's L3/L4 and L4/L5 discs, in the coordinates of that scan.
    for segment, real_at in (("l3l4", (-4.3, 135.0, 296.6)), ("l4l5", (-3.5, 133.0, 259.0))):
        frame = column.segments[segment].frame
        made = simulate(patient.pieces, "ct-thin", grid_about(frame.origin_mm, (420, 340, 5), (0.9, 0.9, 1.0)), seed=5)
        pictures.append(windowed(sampled(made, frame.origin_mm - [0.0, 10.0, 0.0], from_below, size), -160, 300))
        pictures.append(windowed(sampled(real_ct, np.asarray(real_at), from_below, size), -160, 300))
    rows.append(np.hstack(pictures))
    Image.fromarray(np.vstack(rows)).save(output, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
