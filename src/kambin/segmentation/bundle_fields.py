"""What ``model.json`` says of a network, field by field, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from kambin.errors import InputError
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.normalise import Normalisation, Normaliser

FORMAT, VERSION = "kambin-model", 1
FIXED = "fixed"
"""The kind of normalisation that is the same for every scan: cut at low and high, less a mean, over a deviation (nnU-Net's for CT)."""
_KEYS = {
    "format", "version", "name", "title", "model", "sha256", "classes", "spacing_mm", "normalisation", "patch", "multiple", "stride",
    "modality", "naming", "preprocessing", "activation", "card", "coarse", "orientation", "padding", "blend", "weights",
}  # fmt: skip
_AXES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}

Triple = tuple[int, int, int]


class Naming(Enum):
    """How classes get their levels and sides."""

    ANATOMY = "anatomy"
    """Told afterwards, from where the structures lie."""
    FIXED = "fixed"
    """Each class is one structure already."""


class Blend(Enum):
    """What is averaged where tiles overlap."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"


class Weights(Enum):
    """How much a tile counts at each of its voxels."""

    GAUSSIAN = "gaussian"
    UNIFORM = "uniform"


class Padding(Enum):
    """What lies beyond a scan that is smaller than a tile."""

    EDGE = "edge"
    """The nearest voxel of the scan."""
    ZERO = "zero"
    """0 after normalisation."""


_Choice = TypeVar("_Choice", bound=Enum)


@dataclass(frozen=True, slots=True)
class Description:
    """How one network is to be used.

    Parameters
    ----------
    name, title
        What it is called, and what it is, in a few words.
    network
        Name of its ONNX file.
    sha256
        Checksum of that; None where the settings do not say.
    classes
        What its output channels stand for.
    spacing_mm
        The voxels that it was trained on, right, anterior, cranial; None for those of the scan.
    normalisation, low, high
        What is done to intensities; see `kambin.segmentation.normalise`.
    fixed
        Instead of those, one that is the same for every scan.
    ct_window_hu
        Where CT is cut before that is done; None for no CT, or where it is not.
    patch
        Voxels of a tile, right, anterior, cranial.
    multiple
        Of what the sizes of a tile have to be multiples.
    stride
        Voxels from one tile to the next; half a tile where the settings do not say.
    modality
        ``"CT"`` or ``"MR"`` where it was trained on that alone.
    naming
        How classes get their levels and sides.
    preprocessing
        The published system whose crop it needs, by its key.
    orientation
        Where the axes of its input run to: ``"RAS"``; ``"SAR"`` of one that takes cranial, anterior, right.
    padding, blend, weights
        As their types say.
    gives_probabilities
        Whether its output has been through a softmax already.
    """

    name: str
    title: str
    network: str
    sha256: str | None
    classes: ClassSet
    spacing_mm: tuple[float, float, float] | None
    normalisation: Normalisation
    low: float
    high: float
    patch: Triple
    fixed: Normaliser | None = None
    ct_window_hu: tuple[float, float] | None = None
    multiple: int = 1
    stride: Triple | None = None
    modality: str | None = None
    naming: Naming = Naming.ANATOMY
    preprocessing: str | None = None
    orientation: str = "RAS"
    padding: Padding = Padding.EDGE
    blend: Blend = Blend.LOGITS
    weights: Weights = Weights.GAUSSIAN
    gives_probabilities: bool = False

    @property
    def axes(self) -> tuple[Triple, Triple]:
        """For each axis of the network's input, the axis of a scan that it is, and whether it runs the same way (1) or not (-1)."""
        chosen = [_AXES[letter] for letter in self.orientation]
        order, signs = zip(*chosen, strict=True)
        return (order[0], order[1], order[2]), (signs[0], signs[1], signs[2])


def described(source: Path, document: Mapping[str, Any], prefix: str = "") -> Description:
    """What a ``model.json`` says of a network.

    Parameters
    ----------
    source
        The model's file, for messages.
    document
        The settings, as read.
    prefix
        Before the names of the fields in messages.

    Raises
    ------
    InputError
        When the format or its version is another, or with all fields that are wrong, each by name.
    """
    _check_version(source, document)
    fields = _Fields(document, prefix)
    known = {
        "name": fields.text("name", source.stem),
        "title": fields.text("title", ""),
        "network": fields.text("model", "model.onnx"),
        "sha256": fields.checksum("sha256"),
        "classes": fields.classes("classes"),
        "spacing_mm": fields.spacing("spacing_mm"),
        "patch": fields.sizes("patch"),
        "multiple": fields.whole("multiple", 1),
        "stride": fields.sizes("stride", needed=False),
        "modality": fields.one_of("modality", ("CT", "MR")),
        "naming": fields.choice("naming", Naming, Naming.ANATOMY),
        "preprocessing": fields.text("preprocessing", "") or None,
        "orientation": fields.orientation("orientation"),
        "padding": fields.choice("padding", Padding, Padding.EDGE),
        "blend": fields.choice("blend", Blend, Blend.LOGITS),
        "weights": fields.choice("weights", Weights, Weights.GAUSSIAN),
        "gives_probabilities": fields.one_of("activation", ("softmax", "none")) == "none",
        **fields.normalisation("normalisation"),
    }
    fields.check_sizes(known["patch"], known["multiple"], known["stride"])
    strange = sorted(set(document) - _KEYS)
    if strange:
        fields.problems.append(f"expected no fields but {', '.join(sorted(_KEYS))}, found also {', '.join(strange)}")
    if fields.problems:
        raise InputError(source, *fields.problems, hint="docs/segmentation.md describes the format.")
    return Description(**known)


def _check_version(source: Path, document: Mapping[str, Any]) -> None:
    if document.get("format") != FORMAT:
        raise InputError(source, f'expected "format": "{FORMAT}" in its settings, found {document.get("format")!r}')
    if document.get("version") != VERSION:
        problem = f"expected a model of version {VERSION} of the format, found version {document.get('version')!r}"
        raise InputError(source, problem, hint="It was made for another version of Kambin.")


class _Fields:
    """Fields of one document; what is wrong with them is kept, so that it can be said at once."""

    def __init__(self, document: Mapping[str, Any], prefix: str) -> None:
        self.document, self.prefix = document, prefix
        self.problems: list[str] = []

    def _wrong(self, key: str, expected: str) -> None:
        self.problems.append(f"{self.prefix}{key}: expected {expected}, found {self.document.get(key)!r}")

    def text(self, key: str, otherwise: str) -> str:
        value = self.document.get(key)
        if value is None:
            return otherwise
        if not isinstance(value, str) or not value:
            self._wrong(key, "a text")
            return otherwise
        return value

    def checksum(self, key: str) -> str | None:
        value = self.document.get(key)
        if value is not None and not (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
            self._wrong(key, "64 hexadecimal digits")
        return value if isinstance(value, str) else None

    def classes(self, key: str) -> ClassSet | None:
        value = self.document.get(key)
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self._wrong(key, "a list of names, the first of them background")
            return None
        try:
            return ClassSet.from_keys(value)
        except ValueError as error:
            self.problems.append(f"{self.prefix}{key}: {error}")
            return None

    def spacing(self, key: str) -> tuple[float, float, float] | None:
        value = self.document.get(key)
        numbers = [value] * 3 if _is_number(value) else value
        if value is None:
            return None
        if not isinstance(numbers, list) or len(numbers) != 3 or not all(_is_number(n) and 0.05 <= n <= 50 for n in numbers):
            self._wrong(key, "null, one or three lengths in millimetres from 0.05 to 50")
            return None
        return (float(numbers[0]), float(numbers[1]), float(numbers[2]))

    def sizes(self, key: str, needed: bool = True) -> Triple | None:
        value = self.document.get(key)
        if value is None and not needed:
            return None
        numbers = [value] * 3 if isinstance(value, int) else value
        if not isinstance(numbers, list) or len(numbers) != 3 or not all(_is_whole(n) and 1 <= n <= 4096 for n in numbers):
            self._wrong(key, "three whole numbers of voxels")
            return None
        return (numbers[0], numbers[1], numbers[2])

    def whole(self, key: str, otherwise: int) -> int:
        value = self.document.get(key, otherwise)
        if not _is_whole(value) or not 1 <= value <= 512:
            self._wrong(key, "a whole number from 1 to 512")
            return otherwise
        return int(value)

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str | None:
        value = self.document.get(key)
        if value is not None and value not in allowed:
            self._wrong(key, f"{' or '.join(allowed)} or null")
        return value if value in allowed else None

    def choice(self, key: str, kind: type[_Choice], otherwise: _Choice) -> _Choice:
        value = self.document.get(key)
        if value is None:
            return otherwise
        try:
            return kind(value)
        except ValueError:
            self._wrong(key, " or ".join(str(one.value) for one in kind))
            return otherwise

    def orientation(self, key: str) -> str:
        value = self.document.get(key, "RAS")
        if not isinstance(value, str) or len(value) != 3 or {_AXES.get(letter, (9,))[0] for letter in value} != {0, 1, 2}:
            self._wrong(key, "three letters, one of each pair R/L, A/P and S/I")
            return "RAS"
        return value

    def normalisation(self, key: str) -> dict[str, Any]:
        value = self.document.get(key)
        known: dict[str, Any] = {"normalisation": Normalisation.PERCENTILE, "low": 0.5, "high": 99.5}
        needed = {"percentile": set(), "zscore": set(), "window": {"low", "high"}, FIXED: {"low", "high", "mean", "deviation"}}
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(value, dict) or kind not in needed:
            self._wrong(key, f'an object with "kind", one of {", ".join(needed)}')
            return known
        window = value.get("ct")
        if window is not None and not (kind in ("percentile", "zscore") and _is_rising_pair(window)):
            self._wrong(key, "ct, beside percentile or zscore alone, as two rising numbers of Hounsfield units")
            return known
        numbers = {name: n for name, n in value.items() if name not in ("kind", "ct")}
        if not needed[kind] <= set(numbers) <= needed[kind] | {"low", "high"} or not all(_is_number(n) for n in numbers.values()):
            self._wrong(key, f"beside that kind {' and '.join(sorted(needed[kind])) or 'low and high at most'}, numbers")
            return known
        low, high = numbers.get("low", 0.5), numbers.get("high", 99.5)
        if not low < high or (kind == "percentile" and not 0 <= low < high <= 100) or numbers.get("deviation", 1) <= 0:
            self._wrong(key, "low less than high, percentiles from 0 to 100, a deviation above 0")
            return known
        if kind == FIXED:
            return known | {"fixed": Normaliser(low, high, numbers["mean"], numbers["deviation"])}
        ct = None if window is None else (float(window[0]), float(window[1]))
        return {"normalisation": Normalisation(kind), "low": float(low), "high": float(high), "ct_window_hu": ct}

    def check_sizes(self, patch: Triple | None, multiple: int, stride: Triple | None) -> None:
        if patch is not None and any(n % multiple for n in patch):
            self._wrong("patch", f"multiples of {multiple} voxels")
        if patch is not None and stride is not None and any(s > n for s, n in zip(stride, patch, strict=True)):
            self._wrong("stride", f"no more than the patch, {patch}, so that tiles leave no gap")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_rising_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
