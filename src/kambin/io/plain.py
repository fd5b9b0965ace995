"""Values of any of our kinds as plain JSON values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from kambin.anatomy.structures import Structure
from kambin.errors import InputError

# a list of numbers spread over lines; inside a text no line break stands as such, so no text can match
_NUMBERS = re.compile(r"\[\n\s+((?:[-+.\deE]+|null)(?:,\n\s+(?:[-+.\deE]+|null))*)\n\s+\]")


def json_text(document: Any) -> str:
    """JSON of plain values, indented, with lists of numbers on one line; no NaN.

    Raises
    ------
    ValueError
        When a number in it is NaN or infinite.
    """
    text = encodable(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False))
    return _NUMBERS.sub(lambda found: "[" + ", ".join(found[1].replace(",", " ").split()) + "]", text) + "\n"


def read_document(path: str | Path, schema: str, what: str) -> dict[str, Any]:
    """A results file of ours as it is: of which schema, and what it holds ("plans").

    Raises
    ------
    InputError
        When the file cannot be read, is not JSON, or is not of that schema.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, f"expected a file of {what}, found none that can be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(path, f"expected JSON, found something else ({error})") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise InputError(path, f"expected {what} of schema {schema}, found {found!r}")
    return dict(document)


def encodable(text: str) -> str:
    """The text with what UTF-8 cannot hold written as ``\\udcXX``.

    Only names of files in another encoding have such characters; inside JSON that is the escape for the very same one.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: Any) -> Any:
    """The value as dict, list, str, int, float, bool or None; NaN and infinity become None.

    Enums become their value, structures their key, paths and anything unknown their text, mappings and sequences are walked.
    """
    if value is None or (isinstance(value, bool | str | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {_key(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(entry) for entry in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Structure):
        return value.key
    return str(value) if not isinstance(value, PurePath) else value.as_posix()


def _key(key: Any) -> str:
    converted = plain(key)
    return converted if isinstance(converted, str) else str(converted)
