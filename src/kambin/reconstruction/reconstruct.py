"""From a label map to the model of one patient's spine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import PART_KINDS, Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import Frame, unit
from kambin.reconstruction.checks import check_frame, check_levels, check_order, check_sides
from kambin.reconstruction.masks import BoneMask, bone_masks, check_human_size
from kambin.reconstruction.parts import PedicleLandmarks, pedicle_landmarks, vertebral_parts
from kambin.reconstruction.sacral_parts import sacral_processes
from kambin.reconstruction.segments import NoSegment, are_neighbours, find_disc_space
from kambin.reconstruction.shape import solids_from_masks
from kambin.reconstruction.vertebrae import Posed, cut_by_border, pose_all
from kambin.spine import Doubt, MotionSegment, Severity, Solid, SpineModel, Vertebra
from kambin.volume import Segmentation

Progress = Callable[[str, float], None]
Masks = dict[str, "Callable[[], npt.NDArray[np.bool_]] | npt.NDArray[np.bool_]"]

_FEWEST_VOXELS = 20
"""A structure with fewer voxels has no shape worth the name."""


def reconstruct(segmentation: Segmentation, *, progress: Progress | None = None) -> SpineModel:
    """Rebuild the spine from a label map: shapes, vertebral parts, frames, disc spaces; sides and levels checked against the anatomy.

    Parameters
    ----------
    segmentation
        A label map with at least two neighbouring vertebrae.
    progress
        Called with what is being done and the fraction that is finished.

    Returns
    -------
    SpineModel
        With its doubts, worst first.

    Raises
    ------
    InputError
        When there are fewer than two vertebrae, their scale or order is not human, or left and right contradict each other.
    """
    tell = progress or (lambda _what, _fraction: None)
    tell("finding vertebrae", 0.0)
    bones, doubts = bone_masks(segmentation)
    check_human_size(bones)
    doubts += check_order(bones) + check_levels(bones)
    solids = _shapes(segmentation, bones, tell)
    bone_solids = [solids.pop(bone.level.value) for bone in bones]
    bodies = [solids.pop(f"body {bone.level.value}", None) for bone in bones]
    around = {Structure.from_key(key): solid for key, solid in solids.items()}
    discs = {structure.level: solid for structure, solid in around.items() if structure.kind is Kind.DISC}
    around = {structure: solid for structure, solid in around.items() if structure.kind is not Kind.DISC}

    tell("finding frames and endplates", 0.55)
    posed, pose_doubts = pose_all(bones, bone_solids, bodies)
    patient = _patient_frame(posed)
    doubts += pose_doubts + check_frame(patient) + check_sides(patient, around)
    tell("telling vertebral parts apart", 0.75)
    vertebrae, painted, table = _vertebrae(segmentation, posed)
    tell("finding disc spaces", 0.85)
    segments, missing = _segments(vertebrae, posed, discs, around)
    doubts += _segment_doubts(segments, missing) + [Doubt(Severity.WARNING, text) for text in segmentation.doubts]
    tell("done", 1.0)
    return SpineModel(
        grid=segmentation.grid,
        labels=painted,
        table=table,
        vertebrae=tuple(vertebrae),
        segments=tuple(segments),
        missing_segments=missing,
        solids=around,
        patient_frame=patient,
        doubts=tuple(sorted(doubts, key=lambda doubt: -list(Severity).index(doubt.severity))),
        provenance=dict(segmentation.provenance),
    )


def _segment_doubts(segments: list[MotionSegment], missing: Mapping[str, str]) -> list[Doubt]:
    """What is to be said of discs that nobody labelled and of segments that were not found."""
    inferred = ", ".join(segment.name for segment in segments if segment.disc_is_inferred)
    text = f"No disc is labelled at {inferred}: the space between the endplates stands for it, without any bulge."
    notes = [Doubt(Severity.NOTE, f"{name}: no motion segment, since {reason}.") for name, reason in missing.items()]
    return [Doubt(Severity.WARNING, text), *notes] if inferred else notes


def _shapes(segmentation: Segmentation, bones: tuple[BoneMask, ...], tell: Progress) -> dict[str, Solid]:
    """Shapes of all that is labelled: whole bones by level, bodies where told apart, the rest by structure key.

    The trunk holds all that is labelled: its surface is the skin, without the walls of what lies within. Where every voxel is labelled
    the skin lies outside, and there is none.
    """
    masks: Masks = {}
    for bone in bones:
        masks[bone.level.value] = _whole(bone, segmentation)
        body = segmentation.find(Kind.BODY, Kind.ENDPLATE, level=bone.level)
        if (
            bone.level is not Level.S1
            and any(s.kind is Kind.BODY for s in body)
            and len(segmentation.find(*PART_KINDS, level=bone.level)) > len(body)
        ):
            masks[f"body {bone.level.value}"] = _of(segmentation, body)
    counts = segmentation.voxel_counts()
    has_skin = sum(counts.values()) < segmentation.labels.size
    for structure in segmentation.structures:
        if structure.kind is Kind.TRUNK and not has_skin:
            continue
        vertebral = structure.kind.is_vertebral or structure.kind is Kind.SACRUM
        nameless = structure.kind.is_levelled and structure.level is None
        if not vertebral and not nameless and counts[structure] >= _FEWEST_VOXELS:
            masks[structure.key] = _of(segmentation, segmentation.structures if structure.kind is Kind.TRUNK else (structure,))
    if not masks:
        raise InputError("labels", "expected structures with voxels, found none")
    done: list[str] = []

    def on_done(name: str) -> None:
        done.append(name)
        tell("rebuilding surfaces", 0.05 + 0.5 * len(done) / len(masks))

    return solids_from_masks(masks, segmentation.grid, on_done=on_done)


def _of(segmentation: Segmentation, structures: tuple[Structure, ...]) -> Callable[[], npt.NDArray[np.bool_]]:
    return lambda: segmentation.mask(structures)


def _whole(bone: BoneMask, segmentation: Segmentation) -> Callable[[], npt.NDArray[np.bool_]]:
    def mask() -> npt.NDArray[np.bool_]:
        full = np.zeros(segmentation.grid.shape, dtype=np.bool_)
        window = tuple(slice(int(low), int(low) + size) for low, size in zip(bone.start, bone.mask.shape, strict=True))
        full[window] = bone.mask
        return full

    return mask


def _patient_frame(posed: list[Posed]) -> Frame:
    """The column as a whole: origin at the mean of the lumbar bodies, cranial from the lowest to the highest, anterior their mean."""
    lumbar = [p for p in posed if p.level is not Level.S1]
    cranial = lumbar[0].frame.origin_mm - (lumbar[-1] if len(lumbar) > 1 else posed[-1]).frame.origin_mm
    anterior = np.mean([p.frame.anterior for p in lumbar], axis=0)
    return Frame.from_cranial_anterior(np.mean([p.frame.origin_mm for p in lumbar], axis=0), unit(cranial), anterior)


def _vertebrae(segmentation: Segmentation, posed: list[Posed]) -> tuple[list[Vertebra], npt.NDArray[np.uint16], dict[int, Structure]]:
    """The vertebrae with their parts, and the label map with the parts painted in."""
    painted = segmentation.labels.copy()
    table = dict(segmentation.table)
    vertebrae = []
    for p in posed:
        parts: dict[Structure, Solid] = {}
        pedicles = pedicle_landmarks(p)
        given = [s for s in segmentation.find(*PART_KINDS, level=p.level) if s.kind is not Kind.ENDPLATE]
        if len(given) > 1:
            parts = dict(
                solids_from_masks(
                    {s: _of(segmentation, (s,)) for s in given if segmentation.voxel_counts()[s] >= _FEWEST_VOXELS},
                    segmentation.grid,
                )
            )
        elif p.level is not Level.S1 and p.foramen is not None:
            parts = _found_parts(p, pedicles, painted, table)
        elif p.level is Level.S1:
            parts = _solid_parts(sacral_processes(p), p)
        plates = {upper: p.endplate(upper) for upper in (True, False)}
        plates = {upper: None if plate is None or cut_by_border(plate, segmentation.grid) else plate for upper, plate in plates.items()}
        vertebrae.append(
            Vertebra(
                level=p.level,
                solid=p.solid,
                frame=p.frame,
                parts=parts,
                upper_endplate=plates[True],
                lower_endplate=plates[False],
                complete=not p.bone.touches_border,
                pedicles={side: found.neck(p.frame) for side, found in pedicles.items()},
                canal_centre_mm=None if p.foramen is None else p.foramen.centre_mm,
            )
        )
    return vertebrae, painted, table


def _found_parts(
    posed: Posed, pedicles: Mapping[Side, PedicleLandmarks], painted: npt.NDArray[np.uint16], table: dict[int, Structure]
) -> dict[Structure, Solid]:
    labels, names = vertebral_parts(posed, pedicles)
    sampled = posed.bone
    voxels = np.argwhere(sampled.mask)
    fine = np.round(posed.solid.grid.voxel(sampled.grid.world(voxels))).astype(np.int64)
    fine = np.clip(fine, 0, np.asarray(labels.shape) - 1)
    part = labels[tuple(fine.T)].astype(np.int64)
    first = max(table) + 1
    at = tuple((voxels + sampled.start).T)
    keep = part > 0
    painted[tuple(axis[keep] for axis in at)] = (first + part[keep] - 1).astype(np.uint16)
    table.update({first + index: name for index, name in enumerate(names)})
    present = {name: labels == number for number, name in enumerate(names, start=1)}
    return _solid_parts(present, posed)


def _solid_parts(masks: Mapping[Structure, npt.NDArray[np.bool_]], posed: Posed) -> dict[Structure, Solid]:
    big = {name: mask for name, mask in masks.items() if int(mask.sum()) >= _FEWEST_VOXELS}
    return dict(solids_from_masks(big, posed.solid.grid))


def _segments(
    vertebrae: list[Vertebra], posed: list[Posed], discs: Mapping[Level | None, Solid], around: Mapping[Structure, Solid]
) -> tuple[list[MotionSegment], dict[str, str]]:
    canal = around.get(Structure(Kind.SPINAL_CANAL)) or around.get(Structure(Kind.DURAL_SAC))
    segments, missing = [], {}
    for (upper, lower), (above, below) in zip(pairwise(vertebrae), pairwise(posed), strict=True):
        name = f"{upper.level}/{lower.level}"
        if not are_neighbours(upper.level, lower.level):
            missing[name] = "the vertebrae are not neighbours"
            continue
        if upper.lower_endplate is None or lower.upper_endplate is None:
            missing[name] = "an endplate lies outside the field of view"
            continue
        try:
            space = find_disc_space(above, below, discs.get(upper.level), canal)
        except NoSegment as reason:
            missing[name] = str(reason)
            continue
        segments.append(
            MotionSegment(upper, lower, space.frame, space.disc, space.inferred, space.endplate(upper=True), space.endplate(upper=False))
        )
    return segments, missing
