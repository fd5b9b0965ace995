"""SPINEPS writes two maps: which vertebra (instances, ``_seg-vert``) and which part of it (sub-regions, ``_seg-spine``).

Together they name every part at its level. Each is known by its content, so the order in which they are given does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.schemes import Scheme, builtin_scheme
from kambin.anatomy.structures import Kind, Level, Structure
from kambin.errors import InputError
from kambin.io.levels import levels_up_from
from kambin.io.naming import Labels, NamedVolume, check_names, named, number_of, refuse_unknown
from kambin.io.raw import RawVolume, as_label_ids

Table = dict[int, Structure | None]
_VERTEBRAE = (*range(1, 26), 28)  # VerSe numbers of C1 to L6, and T13
_LUMBAR = (20, 21, 22, 23, 24, 25)
_CORD, _CANAL, _SACRUM = 60, 61, 26


def read_spineps(raws: Sequence[RawVolume], scheme: Scheme, lowest: Level | None) -> NamedVolume:
    """The pair combined, or the instance map alone (whole vertebrae).

    Raises
    ------
    InputError
        When there are more than two maps, two of one kind, the sub-region map alone, a pair on different grids, ids outside the
        scheme, or vertebra numbers that contradict the anatomy and no `lowest` to mend them.
    """
    instances = [raw for raw in raws if not is_sub_region_map(raw)]
    regions = [raw for raw in raws if is_sub_region_map(raw)]
    if not instances:
        raise InputError(
            regions[0].source,
            "a SPINEPS sub-region map tells the parts of vertebrae but not their levels",
            hint="Give the instance map (_seg-vert) too.",
        )
    if len(instances) > 1 or len(regions) > 1:
        kind = "instance" if len(instances) > 1 else "sub-region"
        told = " and ".join(raw.source.name for raw in (instances if len(instances) > 1 else regions))
        raise InputError(told, f"expected one SPINEPS instance map and at most one sub-region map, found several {kind} maps")
    instance = instances[0]
    table = _instance_table(instance, scheme, lowest)
    if not regions:
        return _endplates_to_bodies(named(instance, scheme, table))
    return _endplates_to_bodies(_combined(instance, regions[0], scheme, table))


def _present(raw: RawVolume) -> set[int]:
    ids = as_label_ids(raw.source, raw.array)
    return set(np.flatnonzero(np.bincount(ids.ravel())).tolist()) - {0}


def is_sub_region_map(raw: RawVolume) -> bool:
    """Whether a map is SPINEPS's sub-regions rather than its instances: parts, cord or canal in it, and no vertebra number."""
    present = _present(raw)
    return not present & set(_VERTEBRAE) and bool(present & {*range(41, 51), _CORD, _CANAL, 62, 100})


def _instance_table(raw: RawVolume, scheme: Scheme, lowest: Level | None) -> Table:
    """The scheme's table, or, where the user tells the lowest vertebra, one with the levels counted up from it."""
    present = _present(raw)
    vertebrae = sorted(present & set(_VERTEBRAE) - {28})
    if lowest is None:
        if _SACRUM in present and vertebrae and not present & set(_LUMBAR):
            names = ", ".join(scheme.name_of(label) for label in vertebrae)
            raise InputError(
                raw.source,
                f"its vertebrae are numbered {vertebrae[0]} to {vertebrae[-1]}, which SPINEPS uses for {names}, "
                "but the lowest of them lies above a sacrum",
                hint="If they are counted from the top of the image, tell the lowest one: --lowest L5.",
            )
        return dict(scheme.table)
    if not vertebrae:
        return dict(scheme.table)
    bottom = vertebrae[-1]
    _check_lowest_is_lowest(raw, vertebrae)
    up = levels_up_from(lowest)
    table: Table = {label: s for label, s in scheme.table.items() if s is None or s.kind is Kind.SACRUM}
    for label in range(1, 26):
        place = bottom - label
        level = up[place] if 0 <= place < len(up) else None
        for offset, kind in ((0, Kind.VERTEBRA), (100, Kind.DISC), (200, Kind.ENDPLATE)):
            table[label + offset] = None if level is None else Structure(kind, level)
    table[200 + _SACRUM] = scheme.table[200 + _SACRUM]
    return table


def _check_lowest_is_lowest(raw: RawVolume, vertebrae: Sequence[int]) -> None:
    ids = as_label_ids(raw.source, raw.array)
    heights = {label: float(raw.grid.world(np.argwhere(ids == label).mean(axis=0))[2]) for label in vertebrae}
    bottom = min(heights, key=lambda label: heights[label])
    if bottom != vertebrae[-1]:
        raise InputError(
            raw.source,
            f"expected vertebra numbers that grow downwards, found {bottom} below {vertebrae[-1]}",
            hint="--lowest cannot count such a map.",
        )


def _combined(instance: RawVolume, regions: RawVolume, scheme: Scheme, table: Table) -> NamedVolume:
    if not instance.grid.is_close(regions.grid, tolerance_mm=0.1):
        raise InputError(
            f"{instance.source.name} and {regions.source.name}",
            f"expected the two SPINEPS maps on one grid, found {instance.grid.shape} and {regions.grid.shape} voxels"
            + (" at different places" if instance.grid.shape == regions.grid.shape else ""),
        )
    parts = scheme.parts or {}
    which, what = as_label_ids(instance.source, instance.array), as_label_ids(regions.source, regions.array)
    check_names(instance, scheme, sorted(_present(instance)))
    rows, columns = int(which.max()) + 1, int(what.max()) + 1
    counts = np.bincount(which.ravel().astype(np.int64) * columns + what.ravel(), minlength=rows * columns).reshape(rows, columns)
    _refuse_unknown_pair(instance, regions, scheme, counts)
    lookup = np.zeros((rows, columns), dtype=np.uint16)
    unused: dict[str, int] = {}
    homeless = 0
    for label, part in np.argwhere(counts > 0).tolist():
        if label == 0 and part == 0:
            continue
        structure = _joined(label, part, table, parts)
        if structure is not None:
            lookup[label, part] = number_of(structure)
        elif label == 0:
            homeless += int(counts[label, part])
        else:
            name = scheme.name_of(label)
            unused[name] = unused.get(name, 0) + int(counts[label, part])
    doubts = [*instance.doubts, *regions.doubts]
    if homeless:
        doubts.append(f"{homeless} voxels of {regions.source.name} name a part but belong to no vertebra or disc; left out")
    doubts += _cord_and_canal_doubts(regions, what)
    provenance = {
        **instance.provenance,
        "scheme": scheme.name,
        "not_used_voxels": unused,
        "sub_regions": dict(regions.provenance),
    }
    return NamedVolume(instance.source, instance.grid, lookup[which, what], tuple(doubts), provenance)


def _endplates_to_bodies(volume: NamedVolume) -> NamedVolume:
    """Every endplate voxel given to the vertebra that it lies on.

    Some versions number an endplate by its vertebra, others by the disc it borders, so that one number covers the lower endplate of
    one vertebra and the upper one of the next. The nearest vertebra is right for both.
    """
    from scipy.ndimage import distance_transform_edt

    table = builtin_scheme("kambin").table
    endplates = {number: s for number, s in table.items() if s is not None and s.kind is Kind.ENDPLATE}
    bones = {
        number: s
        for number, s in table.items()
        if s is not None and (s.kind.is_vertebral or s.kind is Kind.SACRUM) and number not in endplates
    }
    where = np.isin(volume.labels, list(endplates))
    bone = np.isin(volume.labels, list(bones))
    if not where.any() or not bone.any():
        return volume
    spans = [np.flatnonzero(where.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    window = tuple(slice(max(int(span[0]) - 8, 0), int(span[-1]) + 9) for span in spans)
    nearest = distance_transform_edt(~bone[window], sampling=volume.grid.spacing_mm, return_distances=False, return_indices=True)
    owner = volume.labels[window][tuple(nearest)]
    to_endplate = np.zeros(max(table) + 1, dtype=volume.labels.dtype)
    for number, structure in bones.items():
        # The sacrum has no endplate of its own in the vocabulary: its voxels go to the sacrum.
        own = Structure(Kind.ENDPLATE, structure.level) if structure.level is not None else structure
        to_endplate[number] = number_of(own)
    labels = volume.labels.copy()
    labels[window] = np.where(where[window], to_endplate[owner], volume.labels[window])
    return replace(volume, labels=labels)


def _joined(label: int, part: int, table: Table, parts: Mapping[int, Structure | None]) -> Structure | None:
    """What a voxel is that the one map calls `label` and the other `part`."""
    region = parts.get(part)
    owner = table.get(label)
    if label == 0:
        return region if region is not None and not region.kind.is_levelled else None
    if owner is not None and owner.kind is Kind.VERTEBRA and region is not None and region.kind.is_vertebral:
        return Structure(region.kind, owner.level, region.side)
    return owner


def _refuse_unknown_pair(instance: RawVolume, regions: RawVolume, scheme: Scheme, counts: npt.NDArray[Any]) -> None:
    by_label, by_part = counts.sum(axis=1), counts.sum(axis=0)
    refuse_unknown(instance.source, scheme, {i: int(n) for i, n in enumerate(by_label) if n and i and i not in scheme.table})
    known = scheme.parts or {}
    refuse_unknown(regions.source, scheme, {i: int(n) for i, n in enumerate(by_part) if n and i and i not in known})


def _cord_and_canal_doubts(raw: RawVolume, ids: Labels) -> list[str]:
    """Whether the number of the cord surrounds that of the canal: the two are then exchanged, whatever the scheme says.

    Judged slice by slice across the spine: in how many does the one span the other from side to side?
    """
    cord, canal = ids == _CORD, ids == _CANAL
    both = np.flatnonzero(cord.any(axis=(0, 1)) & canal.any(axis=(0, 1)))
    if both.size == 0:
        return []
    outside = sum(_width(cord[:, :, k]) > _width(canal[:, :, k]) for k in both)
    if outside <= both.size / 2:
        return []
    return [
        f"{raw.source.name}: label {_CORD} (spinal cord in SPINEPS) surrounds label {_CANAL} (spinal canal) "
        f"in {outside} of {both.size} slices, so the two are exchanged in this file; both are read as the spinal canal"
    ]


def _width(section: npt.NDArray[np.bool_]) -> int:
    columns = np.flatnonzero(section.any(axis=1))
    return int(columns[-1] - columns[0])
