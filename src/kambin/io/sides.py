"""Sides that a label map leaves open: one label for both hips, say, split at the midline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Side, Structure
from kambin.io.naming import NamedVolume, number_of, table_of

_ONE_SIDE = 0.95  # share of a component's voxels on one side before the whole component is taken to be of that side


def with_sides_split(volume: NamedVolume) -> NamedVolume:
    """Give every structure that comes without a side its left and right.

    The midline is where the sacrum's centroid lies (the vertebrae's, where there is no sacrum). A connected part that lies almost
    wholly on one side is taken whole; one that spans both (hips joined at the symphysis) is cut at the midline. A doubt records it.
    """
    table = table_of(volume.labels)
    unsided = [(number, structure) for number, structure in table.items() if structure.kind.is_sided and structure.side is None]
    if not unsided:
        return volume
    landmark = [number for number, structure in table.items() if structure.kind is Kind.SACRUM]
    landmark_name = "sacrum"
    if not landmark:
        landmark = [number for number, structure in table.items() if structure.kind.is_vertebral]
        landmark_name = "vertebrae"
    if not landmark:
        landmark, landmark_name = [number for number, _ in unsided], "structures themselves"
    midline_mm = float(volume.grid.world(np.argwhere(np.isin(volume.labels, landmark)).mean(axis=0))[0])
    labels = volume.labels.copy()
    doubts = list(volume.doubts)
    for number, structure in unsided:
        mask = volume.labels == number
        voxels = np.argwhere(mask)
        right = _on_the_right(volume, mask, voxels, midline_mm)
        for side, chosen in ((Side.RIGHT, right), (Side.LEFT, ~right)):
            labels[tuple(voxels[chosen].T)] = number_of(Structure(structure.kind, structure.level, side))
        doubts.append(
            f"the {structure.label} of {volume.source.name} has one label for both sides; "
            f"split at the midline of the {landmark_name} ({int((~right).sum())} voxels left, {int(right.sum())} right)"
        )
    return replace(volume, labels=labels, doubts=tuple(doubts))


def _on_the_right(
    volume: NamedVolume, mask: npt.NDArray[np.bool_], voxels: npt.NDArray[np.int64], midline_mm: float
) -> npt.NDArray[np.bool_]:
    import cc3d

    right = volume.grid.world(voxels)[:, 0] > midline_mm
    components = np.asarray(cc3d.connected_components(mask, connectivity=6))[tuple(voxels.T)]
    for component in np.unique(components):
        inside = components == component
        share = float(right[inside].mean())
        if max(share, 1 - share) >= _ONE_SIDE:
            right[inside] = share > 0.5
    return right
