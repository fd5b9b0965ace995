"""The picture of docs/results/segmentation.md: two real scans, each beside the labels that the shipped model gives it.

    python studies/segmentation_pictures.py DATA docs/pictures/segmentation.webp

DATA holds the folders ``mr-sct`` (T2 of the Spinal Cord Toolbox tutorial, MIT) and ``ct-totalsegmentator`` (CT, Apache-2.0).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from kambin.anatomy.structures import Kind
from kambin.io import read_scan
from kambin.pipeline.segment import SegmentOrder, segment_scan
from kambin.volume import Scan, Segmentation
from segmentation_exam import colour

HEIGHT = 420
"""Pixels of a row."""
Slice = npt.NDArray[np.uint8]


def pair(scan: Scan, found: Segmentation, axis: int, window: tuple[float, float]) -> Slice:
    """One plane through the middle of the column: the scan, and the scan with its labels."""
    labels = np.asarray(found.labels)
    column = [n for n, s in found.table.items() if s.kind in (Kind.BODY, Kind.DISC)]
    middle = np.median(np.argwhere(np.isin(labels, column)), axis=0).astype(int)
    if axis == 2:  # through a body, where its pedicles are, not through a disc
        bodies = [n for n, s in found.table.items() if s.kind is Kind.BODY and s.level is not None and s.level.value == "L3"]
        middle[2] = int(np.median(np.argwhere(np.isin(labels, bodies))[:, 2]))
    where = tuple(int(middle[axis]) if a == axis else slice(None) for a in range(3))
    across, up = (scan.grid.spacing_mm[a] for a in range(3) if a != axis)
    grey, names = (np.asarray(a)[where].T[::-1] for a in (scan.values, labels))
    scale = HEIGHT / (grey.shape[0] * up)
    size = (round(grey.shape[1] * across * scale), HEIGHT)
    shown = 255 * np.clip((grey.astype(np.float64) - window[0]) / (window[1] - window[0]), 0, 1)
    picture = np.asarray(Image.fromarray(shown.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC), dtype=np.float64)[..., None]
    names = np.asarray(Image.fromarray(names.astype(np.uint16)).resize(size, Image.Resampling.NEAREST))
    colours = np.zeros((int(labels.max()) + 1, 3))
    for number, structure in found.table.items():
        colours[number] = colour(structure)
    named = np.isin(names, [n for n, s in found.table.items() if s.kind is not Kind.TRUNK])[..., None]
    plain = np.repeat(picture, 3, axis=2)
    return np.concatenate([plain, np.where(named, 0.55 * plain + 0.45 * colours[names], plain)], axis=1).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    mr, ct = (read_scan(arguments.data / name) for name in ("mr-sct/t2_lumbar.nii.gz", "ct-totalsegmentator/example_ct.nii.gz"))
    low, high = (float(v) for v in np.percentile(mr.values, [1, 99.7]))
    of_mr, of_ct = (segment_scan(scan, SegmentOrder()).segmentation for scan in (mr, ct))
    window = (-200.0, 500.0)
    rows = [
        np.concatenate([pair(mr, of_mr, 0, (low, high)), pair(ct, of_ct, 0, window)], axis=1),
        np.concatenate([pair(ct, of_ct, 1, window), pair(ct, of_ct, 2, window)], axis=1),
    ]
    width = max(row.shape[1] for row in rows)
    whole = np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])
    Image.fromarray(whole).save(arguments.picture, quality=85)


if __name__ == "__main__":
    main()
