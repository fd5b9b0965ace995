"""DICOM: a file, a folder or a zip becomes one CT or MR volume.

A folder from an archive holds many things beside the volume: scouts, reports, dose sheets, encapsulated documents, other series.
They are passed over with a note. Where more than one series is a volume the user must choose; nothing is guessed.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from kambin.errors import InputError
from kambin.io.dicom_volume import MODALITIES, slices_of, volume_of
from kambin.io.raw import RawVolume

_FEWEST_SLICES = 3


@dataclass(frozen=True, eq=False)
class DicomFile:
    """One DICOM file: its header without pixels, and how to get its bytes again."""

    name: str
    header: Any
    path: Path
    member: str | None = None

    def content(self) -> bytes:
        if self.member is None:
            return self.path.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(self.member)

    def dataset(self) -> Any:
        """The whole data set, pixels included."""
        import pydicom

        return pydicom.dcmread(BytesIO(self.content()), force=True)


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """The files that carry one series UID.

    Parameters
    ----------
    uid, number, modality, description
        As the files say; `number` None and the texts empty where they say nothing.
    files
        Every file of the series.
    slices
        How many images (frames) it holds.
    reason
        Why it is not a volume, in words; None where it is one.
    """

    uid: str
    number: int | None
    modality: str
    description: str
    files: tuple[DicomFile, ...] = field(repr=False)
    slices: int
    reason: str | None = None

    @property
    def label(self) -> str:
        number = "no number" if self.number is None else f"series {self.number}"
        described = f" {self.description!r}" if self.description else ""
        return f"{number}: {self.modality or 'no modality'}{described}, {self.slices} slice{'' if self.slices == 1 else 's'}"


def read_dicom(source: Path, series: int | str | None = None) -> RawVolume:
    """One volume from a DICOM file (its series, from its folder), a folder or a zip.

    Raises
    ------
    InputError
        When there is no DICOM or no volume in it, several and none chosen, or the chosen one is not one regular volume (see
        `kambin.io.dicom_volume.volume_of`).
    """
    found, notes = list_series(source)
    chosen = _chosen(source, found, series, notes)
    others = [f"{each.label} ({each.reason or 'another volume'})" for each in found if each is not chosen]
    raw = volume_of(source, chosen.files, chosen.label)
    provenance = {
        "file": source.name,
        "format": "DICOM",
        "series_number": chosen.number,
        "series_description": chosen.description,
        "series_uid": chosen.uid,
        "slices": chosen.slices,
        "sha256": _joint_sha256(chosen.files),
        **raw.provenance,
    }
    if others or notes:
        provenance["passed_over"] = [*others, *notes]
    return replace(raw, provenance=provenance)


def list_series(source: Path) -> tuple[list[DicomSeries], list[str]]:
    """Every series in a folder, a zip or (for a file) the file's folder, by number; and notes on what is not DICOM.

    Raises
    ------
    InputError
        When there is no DICOM file, or the zip is damaged.
    """
    files: list[DicomFile] = []
    strangers = 0
    for entry in _entries(source):
        if isinstance(entry, DicomFile):
            files.append(entry)
        else:
            strangers += 1
    if not files:
        raise InputError(source, "expected DICOM files, found none")
    if source.is_file() and source.suffix.lower() != ".zip":
        own = next((file for file in files if file.path == source), None)
        if own is None:
            raise InputError(source, "expected a DICOM file, found something else or a damaged one")
        files = [file for file in files if file.header.get("SeriesInstanceUID") == own.header.get("SeriesInstanceUID")]
        strangers = 0
    groups: dict[str, list[DicomFile]] = {}
    for file in files:
        groups.setdefault(str(file.header.get("SeriesInstanceUID", "")), []).append(file)
    series = sorted(
        (_series(uid, group) for uid, group in groups.items()), key=lambda each: (each.number is None, each.number or 0)
    )
    notes = (
        [f"{strangers} file{'' if strangers == 1 else 's'} that {'is' if strangers == 1 else 'are'} not DICOM"] if strangers else []
    )
    return series, notes


def _entries(source: Path) -> Iterator[DicomFile | None]:
    """Each file's header; None for a file that is not DICOM."""
    if source.suffix.lower() == ".zip" and source.is_file():
        try:
            with zipfile.ZipFile(source) as archive:
                for member in archive.infolist():
                    if not member.is_dir():
                        with archive.open(member) as stream:
                            yield _header(Path(member.filename).name, stream, source, member.filename)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise InputError(source, f"the zip ends early or is damaged ({error})") from error
        return
    folder = source if source.is_dir() else source.parent
    paths = sorted(path for path in (folder.rglob("*") if source.is_dir() else folder.iterdir()) if path.is_file())
    for path in paths:
        try:
            with path.open("rb") as stream:
                yield _header(path.name, stream, path, None)
        except OSError as error:
            raise InputError(path, f"the file cannot be read ({error.strerror or error})") from error


def _header(name: str, stream: Any, path: Path, member: str | None) -> DicomFile | None:
    import pydicom

    start = stream.read(132)
    # Files without the preamble exist; they begin with an element of group 0008 (or 0002), little endian.
    if start[128:] != b"DICM" and start[:2] not in (b"\x08\x00", b"\x02\x00"):
        return None
    if name.upper() == "DICOMDIR":
        return None
    if stream.seekable():
        stream.seek(0)
        source = stream
    else:
        source = BytesIO(start + stream.read())
    try:
        header = pydicom.dcmread(source, stop_before_pixels=True, force=True)
        return DicomFile(name, header, path, member) if "SOPClassUID" in header or "Modality" in header else None
    except Exception:  # pydicom lets many kinds through for files that only look like DICOM
        return None


def _series(uid: str, files: list[DicomFile]) -> DicomSeries:
    first = files[0].header
    number = first.get("SeriesNumber")
    frames = sum(int(file.header.get("NumberOfFrames", 1) or 1) for file in files if _has_image(file))
    return DicomSeries(
        uid,
        int(number) if number is not None and str(number).strip() else None,
        str(first.get("Modality", "") or ""),
        str(first.get("SeriesDescription", "") or ""),
        tuple(files),
        frames,
        _why_no_volume(files, frames),
    )


def _has_image(file: DicomFile) -> bool:
    return "Rows" in file.header and "Columns" in file.header


def _why_no_volume(files: list[DicomFile], frames: int) -> str | None:
    first = files[0].header
    kind = str(getattr(first.get("SOPClassUID", ""), "name", "")).replace(" Storage", "")
    if not any(_has_image(file) for file in files):
        return f"no images: {kind or 'not an image'}"
    if str(first.get("Modality", "")) not in MODALITIES:
        return f"neither CT nor MR: {kind or first.get('Modality', '')}"
    if not slices_of(files):
        return "scout images only"
    if frames < _FEWEST_SLICES:
        return f"fewer than {_FEWEST_SLICES} slices"
    return None


def _chosen(source: Path, found: list[DicomSeries], series: int | str | None, notes: list[str]) -> DicomSeries:
    listed = "; ".join(each.label + (f" ({each.reason})" if each.reason else "") for each in found)
    if series is not None:
        wanted = str(series).strip()
        matching = [each for each in found if str(each.number) == wanted or (each.uid and each.uid == wanted)]
        if len(matching) != 1:
            told = "several" if matching else "no"
            raise InputError(
                source, f"expected one series {wanted!r}, found {told} such series", f"there are {listed}", hint=_BY_UID
            )
        if matching[0].reason is not None:
            raise InputError(source, f"series {wanted} is not a volume: {matching[0].reason}")
        return matching[0]
    volumes = [each for each in found if each.reason is None]
    if not volumes:
        raise InputError(source, f"expected a CT or MR volume, found {listed}" + (f", and {notes[0]}" if notes else ""))
    if len(volumes) > 1:
        name = f"{source.name}#{volumes[0].number}"
        raise InputError(
            source,
            f"expected one CT or MR volume, found {len(volumes)}: " + "; ".join(each.label for each in volumes),
            hint=f"Choose one by its number: {name}.",
        )
    return volumes[0]


_BY_UID = "A series can also be chosen by its SeriesInstanceUID."


def _joint_sha256(files: tuple[DicomFile, ...]) -> str:
    """One checksum for a series: of its files' checksums, sorted, so that file names and their order do not count."""
    parts = sorted(hashlib.sha256(file.content()).hexdigest() for file in files)
    return hashlib.sha256("".join(parts).encode()).hexdigest()
