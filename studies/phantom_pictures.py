"""Simulated slices beside real ones, at the same levels and windows, on voxels of the same size.

    python studies/phantom_pictures.py DATA docs/pictures/simulated-beside-real.webp

DATA holds the real scans: ``mr-sct/t2_lumbar.nii.gz`` (Spinal Cord Toolbox tutorial, MIT licence), ``ct-acrin-dicom/series`` (TCIA,
ACRIN-FLT-Breast, CC BY 3.0) and ``ct-totalsegmentator/example_ct.nii.gz`` (TotalSegmentator, Apache-2.0).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from kambin import Scan
from kambin.phantom import PatientParameters, build_patient, grid_about, simulate
from kambin.phantom.scanner import SCANNERS

ANTERIOR_LEFT = (np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0]))  # seen from the left: anterior on the left
FROM_BELOW = (np.array([-1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))  # the patient's right on the left
SAGITTAL_MM, AXIAL_MM = (150.0, 176.0), (360.0, 246.0)
# Patients like the real ones as far as these can be judged from their scans.
YOUNG = {"degeneration": 0.1, "age_years": 30.0, "posterior_fat_mm": 10.0, "variant": 3.0}
WOMAN = {
    "sex": "female", "age_years": 48.0, "bmi_kg_m2": 25.0, "bone_scale": 0.94, "posterior_fat_mm": 16.0, "trunk_width_mm": 325.0,
    "trunk_depth_mm": 212.0, "psoas_scale": 0.86, "back_muscle_scale": 0.92, "variant": 5.0, "pelvis_width_mm": 285.0,
}  # fmt: skip
ELDERLY = {
    "age_years": 68.0, "bmi_kg_m2": 29.0, "degeneration": 0.5, "posterior_fat_mm": 24.0, "trunk_width_mm": 350.0, "trunk_depth_mm": 258.0,
    "variant": 8.0, "disc_bulge_l4l5_mm": 1.5, "facet_hypertrophy_l4l5_mm": 1.5,
}  # fmt: skip
# Where the real patients' levels are, in the coordinates of their scans: the L3/L4 disc of one, the L4/L5 disc of the other.
WOMAN_AT_MM, ELDERLY_AT_MM = (14.0, -47.0, -650.75), (-3.5, 133.0, 259.0)


def sampled(
    scan: Scan, centre_mm: np.ndarray, axes: tuple[np.ndarray, np.ndarray], size_mm: tuple[float, float], step_mm: float
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


def sagittal(data: Path) -> np.ndarray:
    """T2 in the midline and through the foramina, two pairs in a row."""
    patient = build_patient(PatientParameters().changed(YOUNG))
    made = simulate(patient.pieces, "t2-sag", grid_about((6.0, -10.0, 0.0), (5, 256, 320), (4.0, 0.9, 0.9)), seed=4)
    real = Scan.read(data / "mr-sct" / "t2_lumbar.nii.gz")
    middle = real.grid.world((np.asarray(real.grid.shape) - 1) / 2)
    white = [float(np.percentile(np.asarray(scan.values), share)) for scan, share in ((made, 98.8), (real, 99.7))]
    pictures = []
    for right in (0.0, 13.0):
        pictures.append(windowed(sampled(made, np.array([right, -5.0, 16.0]), ANTERIOR_LEFT, SAGITTAL_MM, 0.5), 0, white[0]))
        pictures.append(windowed(sampled(real, middle + np.array([right, 0.0, 0.0]), ANTERIOR_LEFT, SAGITTAL_MM, 0.5), 0, white[1]))
    return np.hstack(pictures)


def axial(
    changes: dict[str, float | str],
    level: float,
    voxel_mm: tuple[float, float, float],
    dose: float,
    real: Scan,
    real_at_mm: tuple[float, float, float],
) -> np.ndarray:
    """CT at one level, a pair."""
    patient = build_patient(PatientParameters().changed(changes))
    place = patient.column.height_of(level)
    shape = [round(size / step) + 8 for size, step in zip(AXIAL_MM, voxel_mm, strict=False)]
    # The column lies in the rear half of a body.
    ahead = np.array([0.0, 22.0, 0.0])
    centre = place + ahead
    made = simulate(patient.pieces, replace(SCANNERS["ct-thick"], dose=dose), grid_about(centre, (*shape, 3), voxel_mm), seed=5)
    pair = ((made, centre), (real, np.asarray(real_at_mm) + ahead))
    return np.hstack([windowed(sampled(scan, at_mm, FROM_BELOW, AXIAL_MM, 0.6), -160, 300) for scan, at_mm in pair])


def main(data: Path, output: Path) -> None:
    from PIL import Image

    rows = [
        sagittal(data),
        axial(WOMAN, 3.5, (0.98, 0.98, 4.25), 0.5, Scan.read(data / "ct-acrin-dicom" / "series"), WOMAN_AT_MM),
        axial(ELDERLY, 4.5, (3.0, 3.0, 3.0), 3.0, Scan.read(data / "ct-totalsegmentator" / "example_ct.nii.gz"), ELDERLY_AT_MM),
    ]
    Image.fromarray(np.vstack(rows)).save(output, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
