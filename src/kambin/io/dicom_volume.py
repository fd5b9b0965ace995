"""The slices of one DICOM series as one regular volume, or the reason why they are not one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.io.padding import LOWEST_HU
from kambin.io.raw import RAS_FROM_LPS, RawVolume, bad_spacing, make_grid

MODALITIES = ("CT", "MR")
_SAME_PLACE = 0.02  # of the slice distance: closer than this, two slices are at one place
_GAP = 1.5  # of the slice distance: farther than this, one is missing between
_UNEVEN = 0.05  # of the slice distance: how much a step may differ from the others
_SAME_DIRECTION = 1e-3  # on direction cosines
_TILT_DEG = 0.1

FloatArray = npt.NDArray[np.float64]


class File(Protocol):
    """What is needed of a DICOM file: a name to tell the user, its header, and its pixels when wanted."""

    @property
    def name(self) -> str: ...
    @property
    def header(self) -> Any: ...
    def dataset(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Slice:
    """One image in space (LPS, as DICOM says it).

    Parameters
    ----------
    name
        What to call it in a message.
    position_mm
        Centre of its first pixel, shape (3,).
    directions
        Unit vectors along growing column and growing row index, shape (2, 3).
    spacing_mm
        Distance between columns and between rows.
    shape
        Columns and rows.
    slope, intercept
        From stored to real values.
    file, frame
        Where its pixels are.
    """

    name: str
    position_mm: FloatArray
    directions: FloatArray
    spacing_mm: FloatArray
    shape: tuple[int, int]
    slope: float
    intercept: float
    file: File
    frame: int | None


def slices_of(files: Sequence[File]) -> list[File]:
    """The files of a series that are slices of a volume: images that are no scouts."""
    return [file for file in files if "Rows" in file.header and not _is_scout(file.header)]


def volume_of(source: Path, files: Sequence[File], label: str) -> RawVolume:
    """One regular volume from the files of a series; array axes along columns, rows and slices.

    Slices are sorted by their place along the normal, whatever their numbers. Values are rescaled as each slice says; in CT,
    padding and all below -1024 HU become -1024.

    Raises
    ------
    InputError
        When a slice does not tell its place, slices are missing, doubled, unevenly spaced, or of mixed size, spacing or direction,
        or pixels cannot be decoded.
    """
    subject = f"{source} ({label})"
    slices = [each for file in slices_of(files) for each in _slices(subject, file)]
    if len(slices) < 2:
        raise InputError(subject, f"expected a volume of several slices, found {len(slices)}")
    _refuse_mixed(subject, slices)
    normal = np.cross(slices[0].directions[0], slices[0].directions[1])
    slices = sorted(slices, key=lambda each: float(each.position_mm @ normal))
    _refuse_irregular(subject, slices, normal)
    step = (slices[-1].position_mm - slices[0].position_mm) / (len(slices) - 1)
    affine = np.eye(4)
    affine[:3, 0] = slices[0].directions[0] * slices[0].spacing_mm[0]
    affine[:3, 1] = slices[0].directions[1] * slices[0].spacing_mm[1]
    affine[:3, 2] = step
    affine[:3, 3] = slices[0].position_mm
    header = slices[0].file.header
    modality = str(header.get("Modality", "")) or None
    array = _values(subject, slices, modality)
    grid = make_grid(source, array.shape, RAS_FROM_LPS @ affine)
    provenance = _provenance(header)
    tilt_deg = float(np.degrees(np.arccos(np.clip(abs(step @ normal) / np.linalg.norm(step), 0.0, 1.0))))
    if tilt_deg > _TILT_DEG:
        provenance["gantry_tilt_deg"] = round(tilt_deg, 2)
    return RawVolume(source, array, grid, modality, {}, (), provenance)


def _is_scout(header: Any) -> bool:
    kind = [str(part).upper() for part in header.get("ImageType", []) or []]
    return "LOCALIZER" in kind or "SCOUT" in kind


def _slices(subject: str, file: File) -> list[Slice]:
    header = file.header
    shape = (int(header.Columns), int(header.Rows))
    shared = _first(header, "SharedFunctionalGroupsSequence")
    frames = header.get("PerFrameFunctionalGroupsSequence")
    try:
        if frames is None:
            if int(header.get("NumberOfFrames", 1) or 1) > 1:
                raise InputError(subject, f"{file.name} holds several frames that do not tell their places")
            return [
                _slice(f"instance {header.get('InstanceNumber', file.name)}", header, header, header, header, shape, file, None)
            ]
        result = []
        for index, frame in enumerate(frames):
            position, orientation, measures, values = (
                _first(frame, name) or _first(shared, name) or header for name in _FUNCTIONAL_GROUPS
            )
            result.append(_slice(f"frame {index + 1}", position, orientation, measures, values, shape, file, index))
        return result
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            subject, f"{file.name} does not tell its place: expected an image position, orientation and pixel spacing ({error})"
        ) from error


def _slice(
    name: str, position: Any, orientation: Any, measures: Any, values: Any, shape: tuple[int, int], file: File, frame: int | None
) -> Slice:
    directions = np.array(orientation.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    row_step, column_step = (float(value) for value in measures.PixelSpacing)
    slope, intercept = values.get("RescaleSlope"), values.get("RescaleIntercept")
    return Slice(
        name,
        np.array(position.ImagePositionPatient, dtype=np.float64).reshape(3),
        directions,
        np.array([column_step, row_step]),
        shape,
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
        file,
        frame,
    )


_FUNCTIONAL_GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
)


def _first(header: Any, name: str) -> Any:
    sequence = header.get(name) if header is not None else None
    return sequence[0] if sequence else None


def _refuse_mixed(subject: str, slices: Sequence[Slice]) -> None:
    first = slices[0]
    problems = []
    spacing = bad_spacing(first.spacing_mm)
    if spacing is not None:
        problems.append(spacing)
    if abs(np.linalg.norm(first.directions, axis=1) - 1).max() > 0.01 or abs(first.directions[0] @ first.directions[1]) > 0.01:
        problems.append(f"expected two unit directions at right angles, found {first.directions.ravel().tolist()}")
    checks: tuple[tuple[str, Callable[[Slice], bool], Callable[[Slice], str]], ...] = (
        ("image size", lambda each: each.shape == first.shape, lambda each: f"{each.shape[0]} x {each.shape[1]}"),
        (
            "pixel spacing",
            lambda each: np.allclose(each.spacing_mm, first.spacing_mm, rtol=1e-3),
            lambda each: f"{each.spacing_mm[0]:g} x {each.spacing_mm[1]:g} mm",
        ),
        (
            "orientation",
            lambda each: bool(np.allclose(each.directions, first.directions, atol=_SAME_DIRECTION)),
            lambda each: str(np.round(each.directions.ravel(), 3).tolist()),
        ),
    )
    for what, same, told in checks:
        others = [each for each in slices if not same(each)]
        if others:
            problems.append(
                f"mixed slices: expected one {what}, found {told(first)} ({first.name} and others) and {told(others[0])} "
                f"({_some([each.name for each in others])})"
            )
    if problems:
        raise InputError(subject, *problems)


def _refuse_irregular(subject: str, slices: Sequence[Slice], normal: FloatArray) -> None:
    heights_mm = np.array([float(each.position_mm @ normal) for each in slices])
    steps_mm = np.diff(heights_mm)
    apart = steps_mm[steps_mm > 1e-3]
    if apart.size == 0:
        raise InputError(subject, "doubled slices: expected slices at different places, found all at one")
    usual_mm = float(np.median(apart))
    problems = []
    doubled = np.flatnonzero(steps_mm < _SAME_PLACE * usual_mm)
    if doubled.size:
        told = _some([f"{slices[i].name} and {slices[i + 1].name} at {heights_mm[i]:.2f} mm" for i in doubled.tolist()])
        problems.append(f"doubled slices: {told}")
    gaps = np.flatnonzero(steps_mm > _GAP * usual_mm)
    if gaps.size:
        told = _some(
            [
                f"{round(steps_mm[i] / usual_mm) - 1} between {slices[i].name} and {slices[i + 1].name} "
                f"({heights_mm[i]:.2f} to {heights_mm[i + 1]:.2f} mm)"
                for i in gaps.tolist()
            ]
        )
        problems.append(f"missing slices: {told}, where slices lie {usual_mm:g} mm apart")
    rest = np.abs(steps_mm - usual_mm)
    rest[[*doubled, *gaps]] = 0
    if not problems and rest.max() > max(_UNEVEN * usual_mm, 0.02):
        worst = int(rest.argmax())
        problems.append(
            f"unevenly spaced slices: expected steps of {usual_mm:g} mm, found {steps_mm[worst]:g} mm "
            f"between {slices[worst].name} and {slices[worst + 1].name}"
        )
    if not problems:
        problems += _sideways(slices, normal, usual_mm)
    if problems:
        hint = "If the series holds several volumes (phases, echoes), export one of them alone." if doubled.size else None
        raise InputError(subject, *problems, hint=hint)


def _sideways(slices: Sequence[Slice], normal: FloatArray, usual_mm: float) -> list[str]:
    """Slices must lie on one straight line; a tilted gantry leans it, but does not bend it."""
    places = np.stack([each.position_mm for each in slices])
    straight = places[0] + np.linspace(0, 1, len(places))[:, None] * (places[-1] - places[0])
    off_mm = np.linalg.norm((places - straight) - ((places - straight) @ normal)[:, None] * normal, axis=1)
    worst = int(off_mm.argmax())
    if off_mm[worst] <= max(_UNEVEN * usual_mm, 0.05):
        return []
    return [f"shifted slices: {slices[worst].name} lies {off_mm[worst]:.2f} mm beside the line of the others"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _values(subject: str, slices: Sequence[Slice], modality: str | None) -> npt.NDArray[Any]:
    """Real values, shape (columns, rows, slices): int16 where they are whole and fit, float32 otherwise."""
    whole = all(each.slope == round(each.slope) and each.intercept == round(each.intercept) for each in slices)
    result = np.empty((*slices[0].shape, len(slices)), dtype=np.float32)
    decoded: dict[int, npt.NDArray[Any]] = {}
    for index, each in enumerate(slices):
        if each.frame is None:
            pixels = _pixels(subject, each)
        else:
            if id(each.file) not in decoded:
                decoded[id(each.file)] = np.atleast_3d(_pixels(subject, each))
            pixels = decoded[id(each.file)][each.frame]
        if pixels.shape != (each.shape[1], each.shape[0]):
            raise InputError(subject, f"expected {each.name} to be a grey image of {each.shape}, found an array of {pixels.shape}")
        values = pixels.astype(np.float32) * np.float32(each.slope) + np.float32(each.intercept)
        if modality == "CT":
            values[_padding(each.file.header, pixels)] = LOWEST_HU
            np.maximum(values, LOWEST_HU, out=values)
        result[:, :, index] = values.T
    fits = result.min() >= np.iinfo(np.int16).min and result.max() <= np.iinfo(np.int16).max
    return result.astype(np.int16) if whole and fits else result


def _pixels(subject: str, each: Slice) -> npt.NDArray[Any]:
    dataset = each.file.dataset()
    try:
        return np.asarray(dataset.pixel_array)
    except Exception as error:  # pydicom and its decoders raise many kinds
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        coding = getattr(syntax, "name", "unknown coding")
        raise InputError(
            subject,
            f"the pixels of {each.file.name} cannot be decoded ({coding}): {str(error).splitlines()[0]}",
            hint="For compressed images, install pylibjpeg with its plugins (pip install 'pydicom[pixeldata]' pylibjpeg-libjpeg).",
        ) from error


def _padding(header: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    padding = header.get("PixelPaddingValue")
    if padding is None:
        return np.zeros(pixels.shape, dtype=bool)
    limit = header.get("PixelPaddingRangeLimit", padding)
    low, high = sorted((int(padding), int(limit)))
    return np.asarray((pixels >= low) & (pixels <= high), dtype=np.bool_)


def _provenance(header: Any) -> dict[str, Any]:
    """What is worth keeping of the scanner. Nothing of the patient, the institution or the date."""
    wanted = {
        "manufacturer": "Manufacturer",
        "scanner": "ManufacturerModelName",
        "kernel": "ConvolutionKernel",
        "kvp": "KVP",
        "slice_thickness_mm": "SliceThickness",
        "sequence": "SequenceName",
        "field_strength_t": "MagneticFieldStrength",
        "patient_position": "PatientPosition",
    }
    found = {}
    for key, name in wanted.items():
        value = header.get(name)
        if value not in (None, ""):
            found[key] = float(value) if key.endswith(("_mm", "_t", "kvp")) else str(value)
    return found
