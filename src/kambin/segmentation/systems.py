"""The four published systems, and others of one's own, as data: what is told apart, in which scans, by which network, trained how.

Nothing here computes anything: `preprocess` reads `Preprocessing`, `networks` reads `NetworkChoice`, `training` reads `Recipe`. Where a
paper is silent or contradicts itself, `System.readings` says what was chosen. Papers number axes depth, height, width (cranial,
right, anterior in these scans); here, as everywhere in Kambin, axes are right, anterior, cranial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.segmentation.classes import ClassSet

Triple = tuple[int, int, int]


class Loss(Enum):
    """What training makes small."""

    DICE_AND_CROSS_ENTROPY = "soft Dice and cross-entropy"
    WEIGHTED_CROSS_ENTROPY = "weighted cross-entropy"


class Optimiser(Enum):
    """What makes it small."""

    ADAM = "Adam"
    MUON = "Muon"


class Interpolation(Enum):
    """How a scan is brought to another voxel size."""

    NEAREST = "nearest"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of one axis of n voxels that is kept: from ``start * n + start_voxels`` to ``stop * n + stop_voxels``."""

    start: float = 0.0
    start_voxels: int = 0
    stop: float = 1.0
    stop_voxels: int = 0

    def __call__(self, n: int) -> tuple[int, int]:
        """First index, and the one past the last, both within the axis.

        >>> Cut(0.25, -10, 0.75, 10)(320)
        (70, 250)
        """
        first, last = int(self.start * n) + self.start_voxels, int(self.stop * n) + self.stop_voxels
        return min(max(first, 0), n - 1), max(min(last, n), 1)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From a scan to what the network sees, in this order: cut, another voxel size, intensities, padding.

    Parameters
    ----------
    cut
        For each axis.
    spacing_mm
        The voxel size; None for the scan's own.
    interpolation
        To that size, of intensities; labels always take the nearest.
    size
        Voxels along each axis: zeros are added on both ends, and what is too much is cut off on both. None: as large as it is.
    """

    cut: tuple[Cut, Cut, Cut] = (Cut(), Cut(), Cut())
    spacing_mm: tuple[float, float, float] | None = None
    interpolation: Interpolation = Interpolation.LINEAR
    size: Triple | None = None


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """A network by its name in `networks.BUILDERS`, and what its builder is given beside the number of classes."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How cases are varied while they are learnt from; nothing by default.

    Parameters
    ----------
    rotation_deg
        About each axis, at most.
    elastic
        Largest shift of a smooth random deformation, as a part of the image's size along each axis.
    noise
        Standard deviation of added noise, at most; intensities have a standard deviation of about 1.
    flips
        Axes (0 right, 1 anterior, 2 cranial) along which half of all images are mirrored. Mirrored left and right swap the names of sides.
    """

    rotation_deg: float = 0.0
    elastic: float = 0.0
    noise: float = 0.0
    flips: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    epochs
        How many.
    steps
        Batches of an epoch; None: as many as it takes to see every case once.
    batch
        Images, or patches, of a step.
    learning_rate, divided_at, divided_by
        Of the optimiser; divided after so many epochs.
    loss, class_weights
        What is made small; weights are of its cross-entropy, one a class, the background first.
    patch
        Size of the parts that are learnt from; None for whole images.
    centred
        Share of the patches whose middle is a voxel of some class.
    augmentation
        See there.
    validation_cases
        How many are drawn to validate with after each epoch; None for all.
    optimiser
        The papers take Adam. Muon goes as far in a third of the steps.
    average
        Where it is more than 0, weights are averaged over the last 1 / (1 - average) steps.
    """

    epochs: int
    batch: int
    learning_rate: float
    divided_at: tuple[int, ...] = ()
    divided_by: float = 5.0
    steps: int | None = None
    loss: Loss = Loss.DICE_AND_CROSS_ENTROPY
    class_weights: tuple[float, ...] | None = None
    patch: Triple | None = None
    centred: float = 0.5
    augmentation: Augmentation = Augmentation()
    validation_cases: int | None = None
    optimiser: Optimiser = Optimiser.ADAM
    average: float = 0.0

    def learning_rate_in(self, epoch: int) -> float:
        """Of an epoch, counted from 0."""
        return self.learning_rate / self.divided_by ** sum(epoch >= at for at in self.divided_at)


@dataclass(frozen=True, slots=True)
class Windows:
    """A trained network at work on parts of a scan: their probabilities are summed where they overlap."""

    size: Triple
    stride: Triple


@dataclass(frozen=True, slots=True)
class Setting:
    """All that may differ between the published training and a small one.

    Parameters
    ----------
    preprocessing, network, recipe
        See there.
    windows
        None where a whole image goes through the network at once.
    parameters
        Numbers that the network learns.
    """

    preprocessing: Preprocessing
    network: NetworkChoice
    recipe: Recipe
    parameters: int
    windows: Windows | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """Cases of one fold, of all cases: to train, to validate, to test; as published, and in that proportion for another number."""

    train: int
    validation: int
    test: int

    @property
    def folds(self) -> int:
        return round((self.train + self.validation + self.test) / self.test)


@dataclass(frozen=True, slots=True)
class Published:
    """A published result, as a fraction of 1.

    Parameters
    ----------
    metric
        ``dice``, ``precision``, ``recall``, ``iou`` or ``pixel_accuracy``.
    name
        Key of a class, or ``mean`` of all structures.
    value, deviation
        Mean and, where it is given, standard deviation.
    cases
        Of the same centre unless it says otherwise.
    """

    metric: str
    name: str
    value: float
    deviation: float | None = None
    cases: str = "test"


@dataclass(frozen=True, slots=True)
class View:
    """Scans of digital patients that are like those of the paper.

    Parameters
    ----------
    scanner
        A name of `kambin.phantom.SCANNERS`.
    level
        What the field of view is about.
    spacing_mm, size_mm
        Of the voxels and of the field of view.
    """

    scanner: str
    level: str
    spacing_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class System:
    """A published system.

    Parameters
    ----------
    key, title, paper
        Its name here, in words, and its source.
    modality
        ``"MR"`` or ``"CT"``.
    classes
        What is told apart.
    words
        What the paper calls each class.
    counted_as
        Structures that belong to a class under another name: the whole sacrum to S1, say.
    shares
        The folds.
    presets
        Settings by name: ``full`` as published, ``cpu`` for minutes on two cores.
    view
        Of digital patients.
    published
        Its results.
    readings
        What was chosen where the paper is silent or contradicts itself.
    """

    key: str
    title: str
    paper: str
    modality: str
    classes: ClassSet
    words: tuple[str, ...]
    shares: Shares
    presets: Mapping[str, Setting]
    view: View
    published: tuple[Published, ...]
    readings: tuple[str, ...]
    counted_as: Mapping[Structure, Structure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.classes.structures):
            raise ValueError(f"expected words for {len(self.classes.structures)} structures, found {len(self.words)}")
        object.__setattr__(self, "presets", MappingProxyType(dict(self.presets)))
        object.__setattr__(self, "counted_as", MappingProxyType(dict(self.counted_as)))

    @property
    def preprocessing(self) -> Preprocessing:
        """As published. Presets cut the same part of a scan; their voxels may be larger."""
        return self.presets["full"].preprocessing

    def setting(self, preset: str) -> Setting:
        """One of `presets`.

        Raises
        ------
        InputError
            When there is none of that name.
        """
        if preset not in self.presets:
            raise InputError("--preset", f"expected one of {', '.join(self.presets)}, found {preset!r}")
        return self.presets[preset]

    def published_value(self, metric: str, name: str) -> Published | None:
        """Its result on test cases of its own centre, where it is given."""
        for result in self.published:
            if (result.metric, result.name, result.cases) == (metric, name, "test"):
                return result
        return None


def find_system(key: str) -> System:
    """A system by its key.

    Raises
    ------
    InputError
        When there is none.
    """
    from kambin.segmentation.published import SYSTEMS

    if key not in SYSTEMS:
        raise InputError("--system", f"expected one of {', '.join(SYSTEMS)}, found {key!r}", hint="`kambin systems` lists them.")
    return SYSTEMS[key]


def described(value: Any) -> Any:
    """Settings as dicts, lists, texts and numbers, for a record of what was used."""
    if is_dataclass(value):
        return {each.name: described(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [described(each) for each in value]
    return value.value if isinstance(value, Enum) else value
