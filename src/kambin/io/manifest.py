"""The manifest of a run: what went in, what came out, with checksums, and with what it was made."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kambin.errors import InputError
from kambin.io.plain import json_text, plain
from kambin.spine import Doubt, Severity

SCHEMA = "kambin.manifest/1"
NAME = "manifest.json"
_PACKAGES = ("numpy", "scipy", "nibabel", "SimpleITK", "pydicom", "vtk", "trimesh", "edt", "connected-components-3d", "openvino")


@dataclass(frozen=True)
class FileRecord:
    """One file, or one folder of files taken together, with its checksum.

    `name` is the path as the user gave it for an input, and relative to the run's folder for an output. The checksum of a folder
    is that of the lines ``<sha256>  <relative path>``, sorted by path.
    """

    name: str
    sha256: str
    size_bytes: int
    role: str = "output"
    files: int = 1

    @classmethod
    def of(cls, path: str | Path, name: str, role: str = "output") -> FileRecord:
        """Record a file or a folder as it is now.

        Raises
        ------
        InputError
            When it cannot be read.
        """
        source = Path(path)
        try:
            if not source.is_dir():
                return cls(name, _sha256(source), source.stat().st_size, role)
            members = sorted(p for p in source.rglob("*") if p.is_file())
            lines = [f"{_sha256(member)}  {member.relative_to(source).as_posix()}" for member in members]
            digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            return cls(name, digest, sum(member.stat().st_size for member in members), role, len(members))
        except OSError as error:
            raise InputError(path, f"expected a file or folder, found none that can be read ({error.strerror})") from error


@dataclass(frozen=True)
class Stage:
    """One stage of a run: when, how called, and with which version."""

    name: str
    command: tuple[str, ...]
    started: datetime
    finished: datetime
    kambin_version: str


@dataclass(frozen=True)
class Manifest:
    """All that is known of how a run's folder came about."""

    stages: tuple[Stage, ...]
    inputs: tuple[FileRecord, ...]
    parameters: dict[str, Any]
    outputs: tuple[FileRecord, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def with_stage(self, stage: Stage, **changes: Any) -> Manifest:
        """The same with a stage added (instead of an earlier one of that name), and other fields changed."""
        kept = tuple(earlier for earlier in self.stages if earlier.name != stage.name)
        return replace(self, stages=(*kept, stage), environment=environment(), **changes)

    def describe_outputs(self, folder: str | Path) -> Manifest:
        """The same with the files that `folder` holds now, the manifest itself left out."""
        root = Path(folder)
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        return replace(self, outputs=tuple(FileRecord.of(root / name, name) for name in names if name != NAME))

    def write(self, path: str | Path) -> None:
        """Write the manifest as JSON."""
        document = {
            "schema": SCHEMA,
            "kambin_version": self.stages[-1].kambin_version,
            "command": list(self.stages[0].command),
            "started": min(stage.started for stage in self.stages).isoformat(),
            "finished": max(stage.finished for stage in self.stages).isoformat(),
            "stages": [_stage(stage) for stage in self.stages],
            "inputs": [_record(record) for record in self.inputs],
            "parameters": plain(self.parameters),
            "outputs": [_record(record) for record in self.outputs],
            "doubts": [{"severity": doubt.severity.value, "text": doubt.text} for doubt in self.doubts],
            "environment": self.environment,
        }
        Path(path).write_text(json_text(document), encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read a manifest.

        Raises
        ------
        InputError
            When the file cannot be read or is not a manifest of this schema.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
            if document["schema"] != SCHEMA:
                raise InputError(path, f"expected a manifest of schema {SCHEMA}, found {document['schema']!r}")
            return cls(
                stages=tuple(_read_stage(entry) for entry in document["stages"]),
                inputs=tuple(FileRecord(**entry) for entry in document["inputs"]),
                parameters=dict(document["parameters"]),
                outputs=tuple(FileRecord(**entry) for entry in document["outputs"]),
                doubts=tuple(Doubt(Severity(entry["severity"]), entry["text"]) for entry in document["doubts"]),
                environment=dict(document["environment"]),
            )
        except OSError as error:
            raise InputError(path, f"expected the manifest of a run, found none that can be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(path, f"expected the manifest of a run, found something else ({error!r})") from error


def now() -> datetime:
    """The present moment, UTC, to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def environment() -> dict[str, str]:
    """Versions of the interpreter, the platform and the packages that numbers may depend on."""
    result = {"python": platform.python_version(), "platform": platform.platform()}
    return result | dict(_versions(_PACKAGES))


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(record: FileRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("name", "role", "sha256", "size_bytes", "files")}


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "command": list(stage.command),
        "started": stage.started.isoformat(),
        "finished": stage.finished.isoformat(),
        "kambin_version": stage.kambin_version,
    }


def _read_stage(entry: dict[str, Any]) -> Stage:
    started, finished = (datetime.fromisoformat(entry[name]) for name in ("started", "finished"))
    return Stage(entry["name"], tuple(entry["command"]), started, finished, entry["kambin_version"])
