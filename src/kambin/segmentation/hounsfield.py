"""What Hounsfield units tell of a network's classes: on CT, bone has a bright cortex, whatever its marrow is.

The network has learnt shapes in any brightness. The muscles of the flank lie about the trunk as the iliac wing does below them, and are
taken for it in places.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Structure
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.onto_scan import ByteArray
from kambin.volume import Scan

_AIR_HU = -700.0
_CORTEX_HU = 150.0
_DEEPEST_MM = 10.0
"""Few places in a hip bone lie farther from its surface, and over the acetabulum, where some do, it is dense; muscle so near passes."""
_TOLD_MM3 = 2000.0


def looks_like_ct(scan: Scan) -> bool:
    """Whether a scan says that it is CT; where it says nothing, whether intensities reach as far below 0 as only Hounsfield units do."""
    return scan.modality == "CT" if scan.modality else bool(scan.values.min() < _AIR_HU)


def without_soft_hips(classes: ByteArray, scan: Scan, known: ClassSet) -> tuple[ByteArray, str | None]:
    """The classes of a CT without hip bone that has no cortex near it: that becomes the rest of the body.

    Parameters
    ----------
    classes
        Of each voxel of the scan; not changed.
    scan
        In Hounsfield units.
    known
        What the classes stand for.

    Returns
    -------
    tuple
        The classes, and what was left out, in words; None where that is next to nothing.
    """
    from edt import edt

    hips = np.array([False, *(structure.kind is Kind.HIP for structure in known.structures)])
    mask = hips[classes]
    if not mask.any():
        return classes, None
    # a box about them, with room for the cortex around
    spacing = scan.grid.spacing_mm
    spans = (np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    rooms = [int(np.ceil(_DEEPEST_MM / step)) for step in spacing]
    box = tuple(slice(max(0, span[0] - room), span[-1] + 1 + room) for span, room in zip(spans, rooms, strict=True))
    apart = edt(np.asarray(scan.values[box] < _CORTEX_HU), anisotropy=tuple(float(step) for step in spacing))
    soft = mask[box] & (apart > _DEEPEST_MM)
    if not soft.any():
        return classes, None
    result = classes.copy()
    result[box][soft] = known.index(Structure(Kind.TRUNK)) or 0
    volume = float(soft.sum()) * scan.grid.voxel_volume_mm3
    told = f"{volume / 1000:.0f} cm³ found as hip bone, too far from anything as bright as bone, were left out."
    return result, told if volume > _TOLD_MM3 else None
