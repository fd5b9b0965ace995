"""Label schemes: which structure each number in a tool's label map stands for.

A number means nothing without its scheme, so a scheme is always named by the user and never guessed. Every number that a tool may
write is in its table, either with the structure it stands for or as *known but not used* (`None`); a number in neither is an
error when a file is read. Built-in tables are data, in the same small CSV form as a scheme of the user's own: columns ``id``,
``structure`` (a `Structure.key`, or ``ignore``) and, optionally, ``name`` (what the tool itself calls it).
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kambin.anatomy.structures import Kind, Level, Structure
from kambin.errors import InputError

IGNORE = "ignore"

_TITLES = {
    "totalsegmentator-v1": "TotalSegmentator v1, task total (CT, 104 classes)",
    "totalsegmentator-v2": "TotalSegmentator v2, task total (CT, 117 classes)",
    "totalsegmentator-mr": "TotalSegmentator, task total_mr (MR, 50 classes)",
    "totalsegmentator-vertebrae-mr": "TotalSegmentator, task vertebrae_mr (MR, numbered vertebrae)",
    "spineps": "SPINEPS: the pair of instance (_seg-vert) and sub-region (_seg-spine) maps",
    "totalspineseg": "TotalSpineSeg (MR)",
    "spider": "SPIDER (MR): vertebrae and discs counted from the bottom",
    "verse": "VerSe 2020 (CT): vertebrae C1 to L6, sacrum",
    "nv-segment": "NV-Segment-CTMR (345 classes)",
    "ctspinopelvic1k": "CTSpinoPelvic1K v4 (CT)",
    "kambin": "Kambin's own: every structure that Kambin knows, in 8 bits",
}
SCHEME_NAMES = tuple(_TITLES)


@dataclass(frozen=True, eq=False)
class Scheme:
    """What each number of a label map stands for.

    Parameters
    ----------
    name
        The name used on the command line, or the file a user's own scheme came from.
    title
        What it is, in words.
    table
        Structure of every number the tool may write; None where the number is known but Kambin has no use for it.
    names
        What the tool calls each number; used to check names that a file carries, and in messages.
    parts
        For a scheme that comes as a pair of maps, the table of the second one: sub-regions without a level.
    part_names
        What the tool calls the numbers of `parts`.
    from_below
        Whether vertebrae are counted from the lowest one up, so that its level must be told.
    ignores_unlisted
        Whether numbers outside the table are ignored rather than refused. Only a user's own scheme may ask for that.

    Raises
    ------
    ValueError
        When a number is not positive, is 0 (background), or has a name but no entry in its table.
    """

    name: str
    title: str
    table: Mapping[int, Structure | None]
    names: Mapping[int, str]
    parts: Mapping[int, Structure | None] | None = None
    part_names: Mapping[int, str] | None = None
    from_below: bool = False
    ignores_unlisted: bool = False

    def __post_init__(self) -> None:
        problems = [f"expected positive label numbers, found {label}" for label in self.table if label < 1]
        nameless = sorted(set(self.names) - set(self.table))
        if nameless:
            problems.append(f"numbers {nameless} have a name but no entry")
        if problems:
            raise ValueError("; ".join(problems))
        for field in ("table", "names", "parts", "part_names"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, MappingProxyType(dict(value)))

    @property
    def structures(self) -> tuple[Structure, ...]:
        """Every structure that the scheme can name, each once, in the order of its numbers."""
        listed = [*self.table.values(), *(self.parts or {}).values()]
        return tuple(dict.fromkeys(structure for structure in listed if structure is not None))

    @property
    def is_pair(self) -> bool:
        return self.parts is not None

    def name_of(self, label: int) -> str:
        """What the tool calls a number; the structure's key where it has no name for it; its digits for an unknown number."""
        structure = self.table.get(label)
        return self.names.get(label) or (structure.key if structure is not None else str(label))

    def id_named(self, text: str) -> int | None:
        """The number that a tool's name, a structure's key or its words stand for, or None. Case, spaces and hyphens do not count.

        >>> builtin_scheme("totalsegmentator-v2").id_named("Vertebrae L5")
        27
        """
        return self._ids_by_name().get(plain(text))

    def _ids_by_name(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for label, structure in self.table.items():
            candidates = [self.names.get(label, "")]
            if structure is not None:
                candidates += [structure.key, structure.label]
            for candidate in candidates:
                if candidate:
                    found.setdefault(plain(candidate), label)
        return found


def plain(text: str) -> str:
    """A name with case, spaces and hyphens taken out of account."""
    return "_".join(text.strip().lower().replace("-", "_").split())


def load_scheme(name_or_path: str | Path | Scheme) -> Scheme:
    """A built-in scheme by its name, or a user's own from a TOML or CSV file.

    Raises
    ------
    InputError
        When the name is not built in and names no such file, or the file is not a scheme.
    """
    if isinstance(name_or_path, Scheme):
        return name_or_path
    text = str(name_or_path)
    if text in _TITLES:
        return builtin_scheme(text)
    if Path(text).suffix.lower() in (".toml", ".csv"):
        return read_scheme(text)
    raise InputError(
        "scheme", f"expected one of {', '.join(SCHEME_NAMES)}, or a .toml or .csv file of your own, found {text!r}"
    )


@cache
def builtin_scheme(name: str) -> Scheme:
    """One of `SCHEME_NAMES`.

    Raises
    ------
    KeyError
        When there is no such scheme.
    """
    title = _TITLES[name]
    table, names = _builtin_table(name)
    parts, part_names = _builtin_table("spineps-subregions") if name == "spineps" else (None, None)
    return Scheme(name, title, table, names, parts, part_names, from_below=name == "spider")


def _builtin_table(name: str) -> tuple[dict[int, Structure | None], dict[int, str]]:
    text = (files("kambin.anatomy") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    table: dict[int, Structure | None] = {}
    names: dict[int, str] = {}
    for row in csv.DictReader(text.splitlines()):
        label = int(row["id"])
        table[label] = None if row["structure"] == IGNORE else Structure.from_key(row["structure"])
        names[label] = row["name"]
    return table, names


def read_scheme(path: str | Path) -> Scheme:
    """A user's own scheme.

    A TOML file holds a table ``[labels]`` of ``number = "structure key"`` (or ``"ignore"``), and may hold ``title = "..."`` and
    ``unlisted = "ignore"``. A CSV file has the columns ``id`` and ``structure``, optionally ``name``; an ``id`` of ``*`` with
    ``ignore`` stands for all numbers not listed.

    Raises
    ------
    InputError
        All that is wrong with the file at once, each with its key or line, and the structure names that are allowed.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(file, f"the scheme file cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(file, "expected a text file in UTF-8") from error
    rows, settings = _toml_rows(file, text) if file.suffix.lower() == ".toml" else _csv_rows(file, text)
    return _user_scheme(file, rows, settings)


Row = tuple[str, Any, Any, str | None]  # where it stands in the file, number, structure key, the tool's name


def _toml_rows(file: Path, text: str) -> tuple[list[Row], dict[str, Any]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(file, f"not valid TOML: {error}") from error
    labels = content.pop("labels", None)
    if not isinstance(labels, dict):
        raise InputError(file, "expected a table [labels] with lines such as 27 = \"vertebra_L5\", found none")
    strange = sorted(set(content) - {"title", "unlisted"})
    if strange:
        raise InputError(file, f"expected only title, unlisted and [labels], found also {', '.join(strange)}")
    return [(f"key {key}", key, value, None) for key, value in labels.items()], content


def _csv_rows(file: Path, text: str) -> tuple[list[Row], dict[str, Any]]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    table = list(csv.reader(line for _, line in lines))
    header = [cell.strip().lower() for cell in table[0]] if table else []
    if not {"id", "structure"} <= set(header):
        raise InputError(file, f"expected a first line with the columns id and structure, found {', '.join(header) or 'nothing'}")
    rows: list[Row] = []
    settings: dict[str, Any] = {}
    for (number, _), cells in zip(lines[1:], table[1:], strict=True):
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if row.get("id") == "*":
            settings["unlisted"] = row.get("structure", "")
        else:
            rows.append((f"line {number}", row.get("id", ""), row.get("structure", ""), row.get("name") or None))
    return rows, settings


def _user_scheme(file: Path, rows: list[Row], settings: dict[str, Any]) -> Scheme:
    problems: list[str] = []
    table: dict[int, Structure | None] = {}
    names: dict[int, str] = {}
    for where, number, key, name in rows:
        try:
            label = int(number)
        except (TypeError, ValueError):
            problems.append(f"{where}: expected a whole number, found {number!r}")
            continue
        if not 1 <= label <= 65535:
            problems.append(f"{where}: expected a number from 1 to 65535, found {label}")
        elif label in table:
            problems.append(f"{where}: the number {label} is given twice")
        elif key == IGNORE:
            table[label] = None
        else:
            try:
                table[label] = Structure.from_key(str(key))
            except ValueError:
                problems.append(f"{where}: no structure is named {key!r}")
                continue
        if name is not None:
            names[label] = name
    unlisted = settings.get("unlisted", "refuse")
    if unlisted not in (IGNORE, "refuse"):
        problems.append(f'unlisted: expected "ignore" or "refuse", found {unlisted!r}')
    if not problems and not any(structure is not None for structure in table.values()):
        problems.append("expected at least one number with a structure, found none")
    if problems:
        raise InputError(file, *problems, hint=f"Allowed are {allowed_keys()}.")
    title = str(settings.get("title", f"your own scheme, {file.name}"))
    return Scheme(file.name, title, table, {k: v for k, v in names.items() if k in table}, ignores_unlisted=unlisted == IGNORE)


def allowed_keys() -> str:
    """In words, which structure names a user's scheme may use."""

    def shape(kind: Kind) -> str:
        return kind.value + ("_LEVEL" if kind.is_levelled else "") + ("_SIDE" if kind.is_sided else "")

    levels = ", ".join(level.value for level in Level)
    kinds: Iterable[str] = (shape(kind) for kind in Kind)
    return f"{', '.join(kinds)} (LEVEL one of {levels}; SIDE left or right), and {IGNORE}"
