"""A model as a file: networks in ONNX beside a ``model.json`` that says how they are to be used.

A bundle is a zip file or a folder with the same content. What is in it is described in docs/segmentation.md; models that ship with
Kambin lie in the folder ``models`` beside this file and go by their names.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kambin.errors import InputError
from kambin.segmentation.bundle_fields import Description, described

SETTINGS = "model.json"
BUILT_IN = Path(__file__).resolve().parent / "models"
DEFAULT = "lumbosacral-any"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One network of a bundle. Its file is read when it is wanted and not held: an engine makes its own of it.

    Parameters
    ----------
    read
        Gives the ONNX file.
    sha256
        Its checksum, hexadecimal.
    size
        Of the file, bytes.
    """

    read: Callable[[], bytes] = field(repr=False)
    sha256: str
    size: int

    @property
    def content(self) -> bytes:
        """The ONNX file, read now.

        Raises
        ------
        InputError
            When it is gone, or another than it was when the bundle was read.
        """
        return self.read()


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A bundle, read and checked.

    Parameters
    ----------
    source
        The file or folder that it came from.
    description
        What ``model.json`` says of the network at full resolution.
    network
        That network.
    coarse, coarse_network
        The same of the network that takes a first look at low resolution, where there is one.
    card
        What its makers say of it: data, licences, results, limits.
    """

    source: Path
    description: Description
    network: Network
    coarse: Description | None = None
    coarse_network: Network | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.description.name

    def record(self) -> dict[str, Any]:
        """What tells this model from every other, for a manifest."""
        checksums = {"sha256": self.network.sha256}
        if self.coarse_network is not None:
            checksums["coarse_sha256"] = self.coarse_network.sha256
        return {"model": self.name, "title": self.description.title, "file": self.source.name, **checksums}


def built_in_models() -> tuple[str, ...]:
    """Names of the models that ship with Kambin."""
    if not BUILT_IN.is_dir():
        return ()
    zipped = {path.stem for path in BUILT_IN.glob("*.zip")}
    return tuple(sorted(zipped | {path.name for path in BUILT_IN.iterdir() if (path / SETTINGS).is_file()}))


def read_model(name_or_path: str | Path = DEFAULT) -> Model:
    """A model that ships with Kambin by its name, or one of the user's own by its path.

    Parameters
    ----------
    name_or_path
        A name of `built_in_models`; a bundle, as a zip file or a folder; a ``model.json``; or an ONNX file with its settings beside it, in
        ``NAME.json`` or ``model.json``.

    Raises
    ------
    InputError
        When there is none, it is damaged, is of another version of the format, or its settings are wrong: all of that at once.
    """
    source = _place(name_or_path)
    if source.suffix.lower() == ".zip":
        return _zipped(source)
    if source.is_dir():
        return _model(source, SETTINGS, lambda name: _file(source, name))
    if source.suffix.lower() == ".json":
        return _model(source, source.name, lambda name: _file(source.parent, name))
    if source.suffix.lower() == ".onnx":
        return _bare(source)
    hint = "A model is a .zip file or a folder with a model.json in it, or an .onnx file with a model.json beside it."
    raise InputError(source, f"expected a model, found a file named {source.name}", hint=hint)


def _place(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    names = built_in_models()
    if text in names:
        zipped = BUILT_IN / f"{text}.zip"
        return zipped if zipped.is_file() else BUILT_IN / text
    path = Path(text)
    if path.exists():
        return path
    near = get_close_matches(text.lower(), names, n=1, cutoff=0.5)
    there = f"There are {', '.join(names)}." if names else "No model ships with this installation; give the file of one."
    hint = f"Did you mean {near[0]}?" if near else there
    raise InputError("--model", f"expected the name of a model or the file of one, found {text!r}", hint=hint)


def _zipped(source: Path) -> Model:
    with _archive(source) as archive:
        # a bundle may have been zipped with the folder that it lay in
        found = sorted((name for name in archive.namelist() if Path(name).name == SETTINGS), key=len)
    if not found:
        raise InputError(source, f"expected a {SETTINGS} in the zip file, found none", hint="It is not a model of Kambin's format.")
    root = found[0].removesuffix(SETTINGS)

    def content(name: str) -> bytes:
        with _archive(source) as archive:
            try:
                return archive.read(root + name)
            except KeyError:
                raise InputError(source, f"expected {name} in the zip file, found none") from None

    return _model(source, SETTINGS, content)


@contextmanager
def _archive(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        # zipfile raises all of these, or children of them, for one damage or another
        raise InputError(source, f"the model file is damaged or no zip file ({error})", hint="Fetch or export it anew.") from error


def _file(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise InputError(folder / name, f"expected a file of the model, found none that can be read ({error.strerror})") from error


def _bare(source: Path) -> Model:
    """A lone ONNX file; its settings are in NAME.json or model.json beside it, and need not name it."""
    for name in (f"{source.stem}.json", SETTINGS):
        if (source.parent / name).is_file():
            settings = source.parent / name
            return _model(source, settings.name, lambda asked: _file(source.parent, asked), network=source.name)
    hint = "docs/segmentation.md describes it: classes, spacing, normalisation, patch."
    raise InputError(source, f"expected its settings in {source.stem}.json or {SETTINGS} beside it, found neither", hint=hint)


def _model(source: Path, settings: str, content: Callable[[str], bytes], network: str | None = None) -> Model:
    document = _document(source, settings, content(settings))
    if network is not None:
        document = {**document, "model": network}
    description = described(source, document)
    coarse = document.get("coarse")
    first = None if coarse is None else described(source, {**_inherited(document), **_mapping(source, "coarse", coarse)}, "coarse.")
    return Model(
        source,
        description,
        _network(source, description, content),
        first,
        None if first is None else _network(source, first, content),
        _mapping(source, "card", document.get("card") or {}),
    )


def _inherited(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a coarse look takes from the model at full resolution unless it says otherwise."""
    names = ("format", "version", "name", "title", "normalisation", "multiple", "modality", "orientation", "padding")
    return {name: document[name] for name in names if name in document}


def _mapping(source: Path, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(source, f"{key}: expected an object in {SETTINGS}, found {value!r}")
    return value


def _document(source: Path, settings: str, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise InputError(source, f"expected JSON in {settings}, found something else ({error})") from error
    return _mapping(source, settings, document)


def _network(source: Path, description: Description, content: Callable[[str], bytes]) -> Network:
    name, expected = description.network, description.sha256
    stored = content(name)
    found = hashlib.sha256(stored).hexdigest()

    def check(checksum: str, now: str) -> None:
        if now != checksum:
            problem = f"{name} is damaged or was changed: expected the checksum {checksum[:12]}…, found {now[:12]}…"
            raise InputError(source, problem, hint="Fetch or export the model anew.")

    def read() -> bytes:
        again = content(name)
        check(found, hashlib.sha256(again).hexdigest())
        return again

    check(expected or found, found)
    return Network(read, found, len(stored))
