"""A system and cases small enough to train in a second: two psoas muscles and a disc as blocks of their own brightness."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Structure
from kambin.io.nifti_writer import write_nifti
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.systems import Augmentation, NetworkChoice, Preprocessing, Recipe, Setting, Shares, System, View, Windows
from kambin.volume import Grid, Scan

KEYS = ("disc_L5", "psoas_left", "psoas_right")
NUMBERS = {structure.key: number for number, structure in builtin_scheme("kambin").table.items() if structure is not None}
_NETWORK = NetworkChoice("unet3d", {"widths": (4, 8), "norm": "instance"})
_WHOLE = Setting(
    Preprocessing(size=(16, 16, 12)),
    _NETWORK,
    Recipe(epochs=2, batch=2, learning_rate=0.02, divided_at=(1,), augmentation=Augmentation(10.0, 0.05, 0.1, (0, 1))),
    parameters=0,
)
_PATCHES = Setting(
    Preprocessing(),
    _NETWORK,
    Recipe(epochs=2, steps=2, batch=2, learning_rate=0.02, patch=(8, 8, 8), validation_cases=1),
    parameters=0,
    windows=Windows((8, 8, 8), (5, 5, 5)),
)
TINY = System(
    key="tiny",
    title="Blocks",
    paper="none",
    modality="MR",
    classes=ClassSet(tuple(Structure.from_key(key) for key in KEYS)),
    words=("disc", "left", "right"),
    shares=Shares(3, 1, 1),
    presets={"full": _WHOLE, "cpu": _PATCHES},
    view=View("t2-space", "L5/S1", (1.0, 1.0, 1.0), (16.0, 16.0, 12.0)),
    published=(),
    readings=(),
)


def blocks(seed: int, left_out: tuple[str, ...] = ()) -> tuple[Scan, Scan]:
    """A scan of a disc between two muscles, and its labels in the scheme ``kambin``."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((16, 16, 12), np.uint16)
    shift = int(rng.integers(0, 3))
    labels[1:5, 4 + shift : 10 + shift, 2:10] = NUMBERS["psoas_left"]
    labels[11:15, 4 + shift : 10 + shift, 2:10] = NUMBERS["psoas_right"]
    labels[6:10, 4 + shift : 10 + shift, 4:8] = NUMBERS["disc_L5"]
    values = rng.normal(100, 5, labels.shape) + 60.0 * (labels == NUMBERS["disc_L5"]) + 30.0 * (labels > 0)
    for key in left_out:
        labels[labels == NUMBERS[key]] = 0
    grid = Grid.axis_aligned((16, 16, 12), 1.0)
    return Scan(grid, np.clip(values, 0, None).astype(np.int16), "MR"), Scan(grid, labels)


def write_nnunet(folder: Path, count: int = 5, keys: tuple[str, ...] = KEYS) -> Path:
    """Cases in nnU-Net's raw layout, of which only these structures were labelled."""
    import json

    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    numbers = {key: number for number, key in enumerate(keys, 1)}
    document = {"channel_names": {"0": "T2"}, "labels": {"background": 0, **numbers}, "numTraining": count, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(document))
    for index in range(count):
        scan, labels = blocks(index, tuple(key for key in KEYS if key not in keys))
        own = np.zeros(labels.values.shape, np.uint8)
        for key, number in numbers.items():
            own[labels.values == NUMBERS[key]] = number
        write_nifti(scan, folder / "imagesTr" / f"case{index}_0000.nii.gz")
        write_nifti(Scan(labels.grid, own), folder / "labelsTr" / f"case{index}.nii.gz")
    return folder


def write_patients(folder: Path, count: int = 5) -> Path:
    """Cases as `kambin phantom` writes them."""
    for index in range(count):
        place = folder / f"patient-{index}"
        place.mkdir(parents=True)
        scan, labels = blocks(index)
        write_nifti(scan, place / "scan.nii.gz")
        write_nifti(labels, place / "labels.nii.gz")
    return folder
