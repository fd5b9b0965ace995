"""Folders of scans with labels, as users have them: nnU-Net's raw layout, BIDS derivatives, a CSV list, Kambin's digital patients."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kambin.anatomy.schemes import Scheme, load_scheme, plain
from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.io.naming import structures_by_number
from kambin.io.raw import as_label_ids, finished
from kambin.io.read import read_labels_raw, read_scan, read_segmentation, straight
from kambin.volume.scan import Scan
from kambin.volume.segmentation import Segmentation

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
_MOST_TOLD = 8


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """One scan and its labels.

    Parameters
    ----------
    name
        Unique in its folder.
    image, labels
        Their files.
    scheme
        What the labels mean.
    group
        The patient: cases of one patient are never parted.
    labelled
        Keys of the classes that were labelled; None for all that the scheme can name.
    modality
        ``"CT"`` or ``"MR"`` where the folder says so.
    ignored
        The label of voxels that nobody labelled, where there is one.
    """

    name: str
    image: Path
    labels: Path
    scheme: Scheme
    group: str
    labelled: tuple[str, ...] | None = None
    modality: str | None = None
    ignored: int | None = None


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """What was found.

    Parameters
    ----------
    source
        The folder or list.
    kind
        How it is laid out, in words.
    cases
        In order of their names.
    whole
        Whether everything in the scans is labelled, so that a structure that a system does not know is known to be none of its own.
    """

    source: Path
    kind: str
    cases: tuple[TrainingCase, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCase:
    """A case in memory; `ignored` is True where nobody labelled."""

    scan: Scan
    segmentation: Segmentation
    ignored: npt.NDArray[np.bool_] | None = None


def read_training_folder(path: str | Path, scheme: str | Path | None = None) -> TrainingFolder:
    """Find the cases of a folder, or of a CSV list. Files are not opened yet.

    Parameters
    ----------
    path
        A folder in nnU-Net's raw layout (``dataset.json``, ``imagesTr``, ``labelsTr``); a BIDS folder with ``*_dseg`` label maps; a folder
        of digital patients; or a CSV file with the columns image, label, scheme and, if wanted, labelled, patient and modality.
    scheme
        Of all labels, instead of what the folder says.

    Raises
    ------
    InputError
        When there is none of these, a label has no meaning, or images and labels do not match: which ones, all at once.
    """
    source = Path(path)
    given = None if scheme is None else load_scheme(scheme)
    if source.is_file() and source.suffix.lower() == ".csv":
        return _from_csv(source, given)
    if not source.is_dir():
        raise InputError(source, "expected a folder of scans and labels, or a .csv list of them, found neither")
    for is_so, reader in _LAYOUTS:
        if is_so(source):
            return reader(source, given)
    hint = (
        "nnU-Net: dataset.json, imagesTr, labelsTr. BIDS: sub-* folders with *_dseg label maps. Digital patients: folders with "
        "scan.nii.gz and labels.nii.gz. Or a .csv with the columns image, label, scheme."
    )
    raise InputError(source, "expected a folder of scans with labels in a layout that Kambin knows, found none of them", hint=hint)


def read_case(case: TrainingCase) -> LoadedCase:
    """Open one case.

    Raises
    ------
    InputError
        When a file cannot be read, labels are not the scheme's, or image and labels do not lie on the same voxels.
    """
    scan = read_scan(case.image)
    segmentation = read_segmentation(case.labels, scheme=case.scheme)
    if not scan.grid.is_close(segmentation.grid, tolerance_mm=0.1):
        sizes = [" x ".join(map(str, grid.shape)) for grid in (scan.grid, segmentation.grid)]
        problem = f"expected the labels on the voxels of {case.image.name}, found {sizes[1]} voxels for its {sizes[0]}"
        if scan.grid.shape == segmentation.grid.shape:
            problem = f"expected the labels on the voxels of {case.image.name}, found as many at another place or of another size"
        raise InputError(case.labels, problem)
    ignored = None
    if case.ignored is not None:
        raw = finished(straight(read_labels_raw(case.labels, case.scheme), labels=True))
        ignored = np.asarray(as_label_ids(raw.source, raw.array) == case.ignored, dtype=np.bool_)
    return LoadedCase(scan, segmentation, ignored)


def _from_nnunet(folder: Path, scheme: Scheme | None) -> TrainingFolder:
    document = _json(folder / "dataset.json")
    named = document.get("labels")
    ignored = named.get("ignore") if isinstance(named, dict) else None
    scheme = scheme or _nnunet_scheme(folder / "dataset.json", document)
    ending = str(document.get("file_ending") or "")
    channels = document.get("channel_names") or document.get("modality") or {}
    if isinstance(channels, dict) and len(channels) > 1:
        names = ", ".join(map(str, channels.values()))
        raise InputError(folder / "dataset.json", f"expected images of one channel, found {len(channels)} ({names})")
    modality = _modality(str(next(iter(channels.values()), "")) if isinstance(channels, dict) else "")
    labels = {_stem(path, ending): path for path in _volumes(folder / "labelsTr", ending)}
    images = {_stem(path, ending).removesuffix("_0000"): path for path in _volumes(folder / "imagesTr", ending)}
    _check_pairs(folder, images, labels, "imagesTr", "labelsTr")
    cases = (TrainingCase(name, images[name], labels[name], scheme, name, None, modality, ignored) for name in sorted(labels))
    return TrainingFolder(folder, "nnU-Net", tuple(cases))


def _nnunet_scheme(file: Path, document: Mapping[str, object]) -> Scheme:
    """The labels of ``dataset.json``, whose names have to be those of structures."""
    labels = document.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise InputError(file, 'expected "labels" with a number for each name, found none')
    rows: dict[int, str] = {}
    problems = []
    for name, number in labels.items():
        if isinstance(name, str) and name.isdigit() and isinstance(number, str):  # nnU-Net's first version had it the other way round
            name, number = number, int(name)
        if not isinstance(number, int):
            problems.append(f"expected one number for {name!r}, found {number!r} (regions are not supported)")
        elif number != 0 and plain(str(name)) != "ignore":
            rows[number] = str(name)
    return _scheme_of(file, rows, problems, {n for k, n in labels.items() if plain(str(k)) == "ignore" and isinstance(n, int)})


def _from_bids(folder: Path, scheme: Scheme | None) -> TrainingFolder:
    maps = [path for path in sorted(folder.rglob("*_dseg.*")) if path.name.endswith(_SUFFIXES)]
    if not maps:
        raise InputError(folder, "expected label maps named *_dseg.nii.gz in it, found none")
    places = [folder]
    if folder.parent.name == "derivatives":
        places.append(folder.parent.parent)
    images: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in sorted({path for place in places for path in place.rglob("sub-*") if path.name.endswith(_SUFFIXES)}):
        if _suffix(path) not in ("dseg", "mask", "probseg") and "desc" not in _entities(path):
            images[_identity(path)].append(path)
    cases, problems = [], []
    for path in maps:
        found = images.get(_identity(path), [])
        if len(found) != 1:
            told = "none" if not found else ", ".join(each.name for each in found)
            problems.append(f"expected one image for {path.name}, found {told}")
            continue
        used = scheme or _bids_scheme(path, folder)
        subject = _entities(path).get("sub", _stem(path, ""))
        cases.append(TrainingCase(_stem(path, "").removesuffix("_dseg"), found[0], path, used, subject, None, _modality(_suffix(found[0]))))
    if problems:
        raise InputError(folder, *_some(problems))
    return TrainingFolder(folder, "BIDS", tuple(cases))


def _bids_scheme(labels: Path, root: Path) -> Scheme:
    """The table that names a label map's numbers: beside it, or in a folder above."""
    beside = labels.with_name(f"{_stem(labels, '')}.tsv")
    above = [parent for parent in labels.parents if parent == root or root in parent.parents]
    candidates = [beside, *(path for parent in above for path in (parent / "dseg.tsv", *sorted(parent.glob("*_dseg.tsv"))))]
    table = next((path for path in candidates if path.is_file()), None)
    if table is None:
        hint = "Its columns are index and name, a name such as vertebra_L5. Or name a scheme with --scheme."
        raise InputError(labels, f"expected its table {beside.name} beside it, or a dseg.tsv above, found neither", hint=hint)
    rows = _rows(table, "\t")
    if rows and not {"index", "name"} <= set(rows[0]):
        raise InputError(table, f"expected the columns index and name, found {', '.join(rows[0])}")
    problems = [f"expected a whole number as index, found {row['index']!r}" for row in rows if not row["index"].isdigit()]
    numbers = {int(row["index"]): row["name"] for row in rows if row["index"].isdigit() and int(row["index"]) != 0}
    return _scheme_of(table, numbers, problems, set())


def _from_csv(file: Path, scheme: Scheme | None) -> TrainingFolder:
    rows = _rows(file, ",")
    needed = {"image", "label"} | (set() if scheme else {"scheme"})
    header = set(rows[0]) if rows else set()
    if not needed <= header:
        raise InputError(file, f"expected the columns {', '.join(sorted(needed))}, found {', '.join(sorted(header)) or 'nothing'}")
    cases, problems = [], []
    for line, row in enumerate(rows, 2):
        image, labels = (file.parent / row[name] for name in ("image", "label"))
        problems += [f"line {line}: there is no {path}" for path in (image, labels) if not path.exists()]
        labelled = tuple(row.get("labelled", "").replace(";", " ").split()) or None
        name = row.get("name") or _stem(image, "")
        of_row = scheme or load_scheme(_beside(file, row["scheme"]))
        cases.append(TrainingCase(name, image, labels, of_row, row.get("patient") or name, labelled, _modality(row.get("modality", ""))))
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problems.append(f"expected a name of its own for each image, found {', '.join(twice)} twice (a column name may give others)")
    if problems:
        raise InputError(file, *_some(problems))
    return TrainingFolder(file, "CSV", tuple(sorted(cases, key=lambda case: case.name)))


def _from_patients(folder: Path, scheme: Scheme | None) -> TrainingFolder:
    used = scheme or load_scheme("kambin")
    places = (folder, *sorted(place for place in folder.iterdir() if place.is_dir()))
    found = [place for place in places if all((place / name).is_file() for name in ("scan.nii.gz", "labels.nii.gz"))]
    cases = (TrainingCase(each.name, each / "scan.nii.gz", each / "labels.nii.gz", used, each.name) for each in found)
    return TrainingFolder(folder, "digital patients", tuple(cases), whole=True)


def _from_only_csv(folder: Path, scheme: Scheme | None) -> TrainingFolder:
    return _from_csv(next(folder.glob("*.csv")), scheme)


_LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Scheme | None], TrainingFolder]], ...] = (
    (lambda folder: (folder / "dataset.json").is_file(), _from_nnunet),
    (lambda folder: (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*")), _from_bids),
    (lambda folder: any(folder.glob("*/labels.nii.gz")) or (folder / "labels.nii.gz").is_file(), _from_patients),
    (lambda folder: len(list(folder.glob("*.csv"))) == 1, _from_only_csv),
)


def _scheme_of(file: Path, rows: Mapping[int, str], problems: list[str], unused: Iterable[int]) -> Scheme:
    table: dict[int, Structure | None] = dict.fromkeys(unused)
    names: dict[int, str] = {}
    for number, name in rows.items():
        structure = _structures_by_name().get(plain(name))
        if structure is None:
            problems.append(f"no structure is named {name!r}")
        else:
            table[number], names[number] = structure, name
    if problems:
        hint = "Name labels as Kambin does (vertebra_L5, psoas_left, see docs/labels.md), or give a scheme of your own with --scheme."
        raise InputError(file, *_some(problems), hint=hint)
    return Scheme(file.name, f"labels of {file.name}", table, names)


@cache
def _structures_by_name() -> dict[str, Structure]:
    return {plain(name): structure for structure in structures_by_number().values() for name in (structure.label, structure.key)}


def _check_pairs(folder: Path, images: Mapping[str, Path], labels: Mapping[str, Path], image_place: str, label_place: str) -> None:
    problems = []
    for one, other, place, missing in ((images, labels, image_place, "labels"), (labels, images, label_place, "images")):
        lonely = sorted(set(one) - set(other))
        if lonely:
            told = ", ".join(lonely[:_MOST_TOLD]) + (f" and {len(lonely) - _MOST_TOLD} more" if len(lonely) > _MOST_TOLD else "")
            problems.append(f"{len(lonely)} of {len(one)} cases in {place} have no {missing}: {told}")
    if not images and not labels:
        problems.append(f"expected images in {image_place} and labels in {label_place}, found none")
    if problems:
        raise InputError(folder, *problems)


def _volumes(folder: Path, ending: str) -> list[Path]:
    if not folder.is_dir():
        raise InputError(folder, "expected a folder, found none")
    return sorted(path for path in folder.iterdir() if path.name.endswith((ending,) if ending else _SUFFIXES) and path.name[0] != ".")


def _stem(path: Path, ending: str) -> str:
    for suffix in (ending, *_SUFFIXES, ".tsv"):
        if suffix and path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.stem


def _suffix(path: Path) -> str:
    return _stem(path, "").rpartition("_")[2]


def _entities(path: Path) -> dict[str, str]:
    return {key: value for key, dash, value in (part.partition("-") for part in _stem(path, "").split("_")) if dash}


def _identity(path: Path) -> tuple[str, ...]:
    """What an image and its label map have in common in their names."""
    derived = ("label", "desc", "seg", "space", "res", "den")
    return tuple(sorted(f"{key}-{value}" for key, value in _entities(path).items() if key not in derived))


def _modality(text: str) -> str | None:
    name = text.strip().upper()
    if name.startswith("CT"):
        return "CT"
    return "MR" if name.startswith(("MR", "T1", "T2", "PD", "FLAIR", "DIXON", "STIR")) else None


def _json(file: Path) -> dict[str, object]:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(file, f"expected JSON, found something else ({error})") from error
    if not isinstance(document, dict):
        raise InputError(file, "expected a JSON object, found something else")
    return document


def _rows(file: Path, delimiter: str) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = list(csv.DictReader(stream, delimiter=delimiter))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(file, f"expected a table as text, found something else ({error})") from error
    # cells beyond the last column come as a list, under no name
    return [{key.strip().lower(): (value or "").strip() for key, value in row.items() if key is not None} for row in table]


def _beside(file: Path, scheme: str) -> str:
    beside = file.parent / scheme
    return str(beside) if scheme.endswith((".csv", ".toml")) and beside.is_file() else scheme


def _some(problems: list[str]) -> list[str]:
    more = len(problems) - _MOST_TOLD
    return problems if more <= 0 else [*problems[:_MOST_TOLD], f"and {more} more of the kind"]
