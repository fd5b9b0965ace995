"""The skin where nobody labelled it: the outline of the body in the scan itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Structure
from kambin.volume import Grid, Scan, Segmentation

BoolArray = npt.NDArray[np.bool_]

AIR_HU = -300.0
"""Half way between air and fat, about: what is denser is the patient, or the table."""
_COARSE_MM = 2.0
_TABLE_MM = 6.0
"""A table's plates, clothes and cables are thinner than this."""
_LEAST_SHARE = 0.1
"""A body fills at least this much of a scan of the trunk."""


def with_trunk(segmentation: Segmentation, scan: Scan | None) -> Segmentation:
    """The label map with the trunk added from the scan where it has none, and a doubt that says so.

    Left as it is where the trunk is labelled, there is no CT, or it shows no outline. In MR no threshold told the body from the background
    in all of six scans that were tried (surface coils, suppressed fat, narrow slabs): there the skin stays unknown.
    """
    if scan is None or any(structure.kind is Kind.TRUNK for structure in segmentation.table.values()):
        return segmentation
    body = body_mask(scan)
    if body is None:
        return segmentation
    mask, grid = body
    number = max(segmentation.table, default=0) + 1
    labels = np.array(segmentation.labels)
    for index in range(labels.shape[0]):  # a sheet at a time: the positions of all voxels together would outweigh the map
        sheet = np.stack(np.meshgrid(index, *(np.arange(n) for n in labels.shape[1:]), indexing="ij"), axis=-1)[0]
        voxel = np.rint(grid.voxel(segmentation.grid.world(sheet))).astype(np.int64)
        inside = ((voxel >= 0) & (voxel < np.array(mask.shape))).all(axis=-1)
        held = np.zeros(inside.shape, dtype=bool)
        held[inside] = mask[tuple(voxel[inside].T)]
        labels[index][held & (labels[index] == 0)] = number
    if not (labels == number).any():
        return segmentation
    doubt = "the skin was not labelled: it is the body's outline in the scan, which may lie a voxel off, and clothes may count as skin"
    table = {**segmentation.table, number: Structure(Kind.TRUNK)}
    return replace(segmentation, labels=labels, table=table, doubts=(*segmentation.doubts, doubt))


def body_mask(scan: Scan) -> tuple[BoolArray, Grid] | None:
    """Where the patient is in a CT, on its grid or a coarser one: denser than `AIR_HU`, without table and cables, holes filled.

    None where the scan is no CT, or no body is seen.
    """
    from scipy import ndimage

    if not _is_ct(scan):
        return None
    every = np.maximum(np.rint(_COARSE_MM / scan.grid.spacing_mm).astype(int), 1)
    values = np.asarray(scan.values[:: every[0], :: every[1], :: every[2]], dtype=np.float32)
    x, y, z = values.shape
    grid = Grid((x, y, z), scan.grid.with_spacing_scaled(every).world_from_voxel)
    body = ndimage.gaussian_filter(values, 0.5) > AIR_HU
    # beyond the field of view the body goes on
    reach = np.maximum(np.rint(0.5 * _TABLE_MM / grid.spacing_mm).astype(int), 1)
    body = np.pad(body, [(int(r), int(r)) for r in reach], mode="edge")
    offset = np.moveaxis(np.indices(2 * reach + 1), 0, -1) - reach
    body = ndimage.binary_opening(body, np.linalg.norm(offset / reach, axis=-1) <= 1.0)
    pieces, count = ndimage.label(body[tuple(slice(int(r), -int(r)) for r in reach)])
    if not count:
        return None
    largest = pieces == 1 + int(np.argmax(ndimage.sum_labels(np.ones_like(pieces), pieces, range(1, count + 1))))
    cranial = int(np.abs(grid.world_from_voxel[2, :3]).argmax())
    for sheet in np.moveaxis(largest, cranial, 0):  # bowel gas is inside the skin
        sheet[:] = ndimage.binary_fill_holes(sheet)
    return (largest, grid) if largest.mean() >= _LEAST_SHARE else None


def _is_ct(scan: Scan) -> bool:
    return scan.modality == "CT" or (scan.modality is None and float(np.percentile(scan.values[::4, ::4, ::4], 1)) < -700.0)
