"""What a model cannot be used on, said before it is; and whether there is a spine in what it found."""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import VERTEBRAL_KINDS, Kind
from kambin.errors import InputError, NoSpineError
from kambin.segmentation.bundle_fields import Description
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.hounsfield import looks_like_ct
from kambin.segmentation.onto_scan import ByteArray
from kambin.volume import Grid, Scan
from kambin.volume.scan import looks_like_labels

_SPINAL = VERTEBRAL_KINDS | {Kind.SACRUM, Kind.DISC}
_LEAST_MM3 = 2000.0
"""A slice of 5 mm through one vertebral body holds about three times as much."""
_ENOUGH = 8_000_000
"""So many voxels tell a label map from a scan."""


def refuse_unfit(scan: Scan, description: Description, subject: object, force: bool = False) -> None:
    """Do nothing where a model can be used on a scan.

    Parameters
    ----------
    scan
        To be segmented.
    description
        Of the model.
    subject
        The scan as the user named it.
    force
        Whether to use the model on scans that it was not made for.

    Raises
    ------
    InputError
        When the scan is a single slice, holds NaN or infinity, or is constant; and unless `force`, when it looks like a label map, or is of
        another modality than the model was made for.
    """
    values = scan.values
    if min(values.shape) < 2:
        shape = " x ".join(map(str, values.shape))
        raise InputError(subject, f"expected a volume of several slices, found a single slice ({shape} voxels)")
    if values.dtype.kind == "f":
        bad = values.size - int(sum(np.count_nonzero(np.isfinite(sheet)) for sheet in values))
        if bad:
            problem = f"expected finite intensities, found NaN or infinity in {bad} of {values.size} voxels"
            raise InputError(subject, problem, hint="Replace them by the intensity of air.")
    if values.min() == values.max():
        raise InputError(subject, f"expected a scan of more than one intensity, found {values.flat[0]:g} everywhere")
    if force:
        return
    if looks_like_labels(values[:, :, :: max(1, values.size // _ENOUGH)]):
        hint = "Give the scan that it was made from; or --force, if it is a scan after all."
        raise InputError(subject, "expected a scan, found what looks like a label map", hint=hint)
    found = scan.modality or ("CT" if looks_like_ct(scan) else None)
    if description.modality is not None and found is not None and found != description.modality:
        problem = f"expected {description.modality} for the model {description.name}, found {found}"
        raise InputError(subject, problem, hint="Choose another model with --model; --force uses this one all the same.")


def has_spine(classes: ByteArray, known: ClassSet, grid: Grid) -> bool:
    """Whether some connected part of vertebrae, sacrum and discs is larger than noise; of any class, in a model that has none of these."""
    import cc3d

    spinal = np.array([False, *(structure.kind in _SPINAL for structure in known.structures)])
    if not spinal.any():
        spinal = np.arange(len(known)) > 0
    mask = spinal[classes]
    if not mask.any():
        return False
    box = tuple(slice(i[0], i[-1] + 1) for i in (np.flatnonzero(mask.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))))
    parts = np.asarray(cc3d.connected_components(np.ascontiguousarray(mask[box]), connectivity=26))
    largest = int(np.bincount(parts.ravel())[1:].max())
    return largest * grid.voxel_volume_mm3 >= _LEAST_MM3


def no_spine(subject: object, model: str, *problems: str) -> NoSpineError:
    """What is said where there is none; with more of what was looked for and found, where that is known."""
    return NoSpineError(
        subject,
        f"no spine in view: {model} found no vertebra, sacrum or disc in it, or too little of them",
        *problems,
        hint="Is it a scan of the lumbar spine or pelvis? Nothing was written.",
    )
