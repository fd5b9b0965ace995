"""DICOM files made from nothing, with a known value at every place in space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ROWS, COLUMNS = 5, 6


def field(lps_mm: np.ndarray) -> np.ndarray:
    """The value at a place: whole numbers in HU, different in all three directions."""
    return np.rint(3 * lps_mm[..., 0] + 7 * lps_mm[..., 1] - 2 * lps_mm[..., 2])


def plane(position: np.ndarray, directions: tuple[float, ...], spacing: tuple[float, float], rows: int, columns: int) -> np.ndarray:
    """Places (LPS) of the pixels of one slice, shape (rows, columns, 3); spacing between rows, then between columns."""
    along = np.reshape(directions, (2, 3))
    r, c = np.mgrid[:rows, :columns]
    return position + c[..., None] * along[0] * spacing[1] + r[..., None] * along[1] * spacing[0]


def blank(sop_class: str, modality: str, series: str, number: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Secret^Person", "ID-4711", "19700101"
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = modality, series, number
    dataset.SeriesDescription = f"series {number}"
    return dataset


def fill(dataset: Dataset, pixels: np.ndarray) -> None:
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()


def ct_slice(
    position: tuple[float, float, float] | np.ndarray,
    *,
    instance: int,
    series: str,
    number: int = 1,
    directions: tuple[float, ...] = AXIAL,
    spacing: tuple[float, float] = (2.0, 1.0),
    shape: tuple[int, int] = (ROWS, COLUMNS),
    slope: float = 1.0,
    intercept: float = -1024.0,
    modality: str = "CT",
    **more: Any,
) -> FileDataset:
    """One slice whose rescaled values are `field` at their places."""
    dataset = blank(CT_IMAGE if modality == "CT" else MR_IMAGE, modality, series, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = instance
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [float(x) for x in position], list(directions)
    dataset.PixelSpacing = list(spacing)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    values = field(plane(np.asarray(position, float), directions, spacing, *shape))
    fill(dataset, (values - intercept) / slope)
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


def series_of(count: int = 6, step: tuple[float, float, float] = (0, 0, 3.0), first: float = 0.0, **more: Any) -> list[FileDataset]:
    """Slices `step` apart, numbered against their order in space, as scanners may."""
    uid = more.pop("series", None) or generate_uid()
    places = [np.array([-10.0, -20.0, first]) + index * np.asarray(step) for index in range(count)]
    return [ct_slice(place, instance=count - index, series=uid, **more) for index, place in enumerate(places)]


def save(folder: Path, datasets: list[FileDataset], suffix: str = ".dcm", prefix: str = "im") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{prefix}{index:03}{suffix}", enforce_file_format=True)
    return folder


def document(sop_class: str, number: int = 99) -> FileDataset:
    """An encapsulated PDF or a structured report: DICOM without an image."""
    dataset = blank(sop_class, "DOC" if sop_class == PDF else "SR", generate_uid(), number)
    if sop_class == PDF:
        dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
        dataset.EncapsulatedDocument = b"%PDF-1.4 nothing "
    return dataset


def enhanced(count: int = 6, step_mm: float = 3.0) -> FileDataset:
    """One multi-frame file, its frames out of order, place and rescale in functional groups."""
    dataset = blank(ENHANCED_CT, "CT", generate_uid(), 1)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared, orientation, measures, values = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing = [2.0, 1.0]
    values.RescaleSlope, values.RescaleIntercept = 1.0, -1024.0
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([values])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    order = [*range(0, count, 2), *range(1, count, 2)]
    frames, pixels = [], []
    for index in order:
        position, frame = Dataset(), Dataset()
        place = np.array([-10.0, -20.0, index * step_mm])
        position.ImagePositionPatient = place.tolist()
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
        pixels.append(field(plane(place, AXIAL, (2.0, 1.0), ROWS, COLUMNS)) + 1024)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.NumberOfFrames = count
    fill(dataset, np.stack(pixels))
    return dataset


__all__ = ["AXIAL", "PDF", "REPORT", "ct_slice", "document", "enhanced", "field", "pydicom", "save", "series_of"]
