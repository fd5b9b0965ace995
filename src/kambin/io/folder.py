"""A folder with one mask file per structure, as TotalSegmentator writes without ``--ml``: the file's name is the structure's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kambin.anatomy.schemes import Scheme
from kambin.errors import InputError
from kambin.io.nifti import read_nifti
from kambin.io.raw import RawVolume, as_label_ids


def read_mask_folder(folder: Path, scheme: Scheme) -> RawVolume:
    """The masks of a folder as one label map in the scheme's numbers. Names known but not used are skipped unread.

    Where masks overlap, the later number of the scheme wins and a doubt says how many voxels.

    Raises
    ------
    InputError
        When there are no masks, a file's name is not of the scheme, a mask is not one, or the files are on different grids.
    """
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith((".nii", ".nii.gz")) and path.name[0] != ".")
    if not files:
        raise InputError(
            folder,
            "expected mask files (.nii or .nii.gz), one for each structure, found none",
            hint="A DICOM folder cannot be read as labels.",
        )
    labels = _labels(folder, files, scheme)
    used = sorted((label, path) for label, path in labels.items() if scheme.table[label] is not None)
    if not used:
        told = ", ".join(path.name for path in files[:5])
        raise InputError(folder, f"expected masks of structures that Kambin uses, found only {told}")
    first: RawVolume | None = None
    joined: Any = None
    overlapping, checksums = 0, {}
    for label, path in used:
        raw = read_nifti(path)
        mask = _mask(raw)
        if first is None:
            first, joined = raw, np.zeros(mask.shape, dtype=np.uint16)
        elif not first.grid.is_close(raw.grid):
            raise InputError(
                folder,
                f"expected masks on one grid, found {first.source.name} with {first.grid.shape} voxels and {path.name} "
                f"with {raw.grid.shape}, or at another place",
            )
        overlapping += int(np.count_nonzero(joined[mask]))
        joined[mask] = label
        checksums[path.name] = raw.provenance["sha256"]
    assert first is not None
    doubts = first.doubts
    if overlapping:
        doubts = (*doubts, f"masks in {folder.name} overlap in {overlapping} voxels; the later structure of the scheme was kept")
    names = {label: scheme.names[label] for label, _ in used if label in scheme.names}
    provenance = {"file": folder.name, "format": "folder of NIfTI masks", "sha256": checksums}
    return replace(first, source=folder, array=joined, names=names, doubts=doubts, provenance=provenance)


def _labels(folder: Path, files: list[Path], scheme: Scheme) -> dict[int, Path]:
    found: dict[int, Path] = {}
    unknown, twice = [], []
    for path in files:
        stem = path.name[: path.name.lower().rindex(".nii")]
        label = scheme.id_named(stem)
        if label is None:
            unknown.append(path.name)
        elif label in found:
            twice.append(f"{found[label].name} and {path.name} name one structure")
        else:
            found[label] = path
    problems = list(twice)
    if unknown and not scheme.ignores_unlisted:
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        problems.append(f"expected file names of the scheme {scheme.name}, found also {', '.join(unknown[:8])}{more}")
    if problems:
        raise InputError(folder, *problems)
    return found


def _mask(raw: RawVolume) -> Any:
    ids = as_label_ids(raw.source, raw.array)
    values = np.flatnonzero(np.bincount(ids.ravel()))
    if np.count_nonzero(values) > 1:
        told = ", ".join(str(value) for value in values[values > 0][:5])
        raise InputError(raw.source, f"expected a mask of one structure (0 and one other value), found {told}")
    return ids > 0
