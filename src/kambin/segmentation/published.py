"""The four published systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from kambin.anatomy.structures import Kind, Level, Structure
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.systems import (
    Augmentation,
    Cut,
    Interpolation,
    Loss,
    NetworkChoice,
    Optimiser,
    Preprocessing,
    Published,
    Recipe,
    Setting,
    Shares,
    System,
    View,
    Windows,
)

_SACRUM, _S1 = Structure(Kind.SACRUM), Structure(Kind.VERTEBRA, Level.S1)
_VERTEBRA, _ROOTS = Structure(Kind.VERTEBRA), Structure(Kind.NERVE_ROOT)
_SPACE = (0.8, 0.8, 0.8)
_SMALL_UNET = {"widths": (8, 16, 32, 64), "norm": "instance", "up": "trilinear"}
_quick = partial(Recipe, learning_rate=0.03, optimiser=Optimiser.MUON, average=0.9)
_AXES = (
    "Axes: the paper's height is taken as right, its width as anterior, its depth as cranial; its asymmetrical cut of the width then "
    "leaves out what is in front and keeps the spinous process, whereas taken otherwise it would cut one side more than the other."
)
_LOSS = "The loss is not told: soft Dice and cross-entropy, in equal parts."
_SACRUM_READING = "Where a label map has one sacrum instead of its vertebrae, that counts as S1: little more of it is in view."


_Numbers = Mapping[str, Sequence[float | tuple[float, float]]]


def _results(classes: Sequence[str], table: _Numbers, cases: str = "test") -> tuple[Published, ...]:
    """One row for each number; the last of each line is the mean, where there is one more than there are classes."""
    rows = []
    for metric, values in table.items():
        for name, value in zip((*classes, "mean"), values, strict=False):
            mean, deviation = value if isinstance(value, tuple) else (value, None)
            rows.append(Published(metric, name, mean, deviation, cases))
    return tuple(rows)


_LIVF_CLASSES = ClassSet.from_keys(["background", "vertebra_L5", "disc_L5", "vertebra_S1"])
LIVF_L5S1 = System(
    key="livf-l5s1",
    title="Bones and disc about the L5/S1 foramen",
    paper="Liu Z, Su Z, Wang M, et al. Pain Physician 2022; 25:E27-E35",
    modality="MR",
    classes=_LIVF_CLASSES,
    words=("L5 vertebra", "disc", "S1 vertebra"),
    counted_as={_SACRUM: _S1},
    shares=Shares(70, 10, 20),
    presets={
        "full": Setting(
            Preprocessing((Cut(0.25, -10, 0.75, 10), Cut(0.25, -20, 0.75, 0), Cut()), size=(180, 180, 128)),
            NetworkChoice("unet3d", {"widths": (16, 32, 64, 128, 256), "norm": "batch", "up": "trilinear"}),
            Recipe(epochs=100, batch=2, learning_rate=5e-4, divided_at=(33, 66)),
            parameters=5_887_028,
        ),
        "cpu": Setting(
            Preprocessing((Cut(0.25, -10, 0.75, 10), Cut(0.25, -20, 0.75, 0), Cut()), (2.0, 2.0, 2.0), size=(72, 72, 48)),
            NetworkChoice("unet3d", _SMALL_UNET),
            _quick(epochs=12, steps=16, batch=2, divided_at=(8, 11)),
            parameters=365_916,
        ),
    },
    view=View("t2-space", "L5/S1", _SPACE, (256.0, 256.0, 86.4)),
    published=_results(
        _LIVF_CLASSES.keys[1:],
        {
            "dice": [(0.9346, 0.0293), (0.9039, 0.0622), (0.9332, 0.0151), (0.9239, 0.0282)],
            "precision": [(0.9415, 0.0435), (0.9059, 0.0617), (0.9379, 0.0292), (0.9285, 0.0273)],
            "recall": [(0.9295, 0.0301), (0.9100, 0.0832), (0.9300, 0.0303), (0.9231, 0.0357)],
        },
    ),
    readings=(
        "The cut leaves 180 x 180 voxels of 320 x 320; the printed 100 x 100 is a slip, since the padded size is 128 x 180 x 180.",
        _AXES,
        "Widths of the network are not told: 16 to 256 in five levels, two convolutions each, batch normalisation.",
        _LOSS,
        "Zeros are added in equal number on both ends.",
        _SACRUM_READING,
    ),
)

_PELD_CLASSES = ClassSet.from_keys(["background", "vertebra_L5", "disc_L5", "vertebra_S1", "nerve_root", "hip_bone", "trunk"])
PELD_L5S1 = System(
    key="peld-l5s1",
    title="What a working channel to L5/S1 meets",
    paper="Zhu Z, Liu E, Su Z, et al. Pain Physician 2024; 27:E245-E254",
    modality="MR",
    classes=_PELD_CLASSES,
    words=("L5 vertebra", "disc", "S1 vertebra", "lumbosacral nerves", "iliac bone", "skin"),
    counted_as={_SACRUM: _S1},
    shares=Shares(32, 8, 10),
    presets={
        "full": Setting(
            Preprocessing(spacing_mm=(2.0, 2.0, 0.8), size=(128, 128, 128)),
            NetworkChoice("unet3d", {"widths": (16, 32, 64, 128, 256), "norm": "batch", "up": "trilinear"}),
            Recipe(epochs=100, batch=2, learning_rate=5e-4, divided_at=(33, 66)),
            parameters=5_887_079,
        ),
        "cpu": Setting(
            Preprocessing(spacing_mm=(2.0, 2.0, 2.0)),
            NetworkChoice("unet3d", _SMALL_UNET),
            _quick(
                epochs=16, steps=20, batch=4, divided_at=(12, 15), patch=(48, 48, 48), centred=0.8,
                class_weights=(1.0, 1.0, 1.0, 1.0, 4.0, 2.0, 1.0),
            ),
            parameters=365_943,
            windows=Windows((48, 48, 48), (40, 40, 40)),
        ),
    },
    view=View("t2-space", "L5/S1", _SPACE, (256.0, 256.0, 86.4)),
    published=_results(
        _PELD_CLASSES.keys[1:],
        {
            "dice": [0.921, 0.885, 0.924, 0.808, 0.886, 0.816, 0.864],
            "precision": [0.939, 0.879, 0.928, 0.830, 0.897, 0.821, 0.875],
            "recall": [0.906, 0.907, 0.923, 0.800, 0.883, 0.845, 0.866],
        },
    ),
    readings=(
        "Eight output channels are told and seven listed: seven here. The printed means are those of seven structures in which the nerves "
        "count twice, so the authors seem to have had two classes of nerves, which their table gives as one.",
        "To which voxel size images are resampled is not told. Line B, 90 mm from the midline to the skin, needs the whole width of "
        "256 mm, so 2 mm in the axial plane and the slices as they are.",
        "Schedule and learning rate are not told: those of the same group's livf-l5s1. Of the 40 cases not tested, 8 validate, as in "
        "oblique-l45.",
        "Widths of the network are not told: as in livf-l5s1.",
        _LOSS,
        "Skin: Kambin names what lies inside it, so the class is the trunk with all in it that has no class of its own. Its outline is the "
        "skin; its Dice is not that of a thin layer and cannot be set beside the published one.",
        "Lumbosacral nerves: roots of every level in view, without the dural sac.",
        _SACRUM_READING,
    ),
)

_OBLIQUE_CLASSES = ClassSet.from_keys(
    ["background", "vertebra_L4", "disc_L4", "vertebra_L5", "dural_sac", "nerve_root_L4", "aorta", "psoas", "vena_cava"]
)
_TURNED = Augmentation(rotation_deg=15.0, elastic=0.02)
OBLIQUE_L45 = System(
    key="oblique-l45",
    title="The oblique way to L4/5",
    paper="Wang M, Su Z, Liu Z, et al. Bioengineering (Basel) 2023; 10:963. doi:10.3390/bioengineering10080963",
    modality="MR",
    classes=_OBLIQUE_CLASSES,
    words=("L4 vertebra", "disc", "L5 vertebra", "dura", "L4 nerve roots", "abdominal aorta", "psoas major", "inferior vena cava"),
    shares=Shares(32, 8, 10),
    presets={
        "full": Setting(
            Preprocessing((Cut(0.25, -40, 0.75, 40), Cut(0.25, -10, 0.75, 10), Cut()), size=(240, 180, 128)),
            NetworkChoice("deeplab3d", {"widths": (32, 64, 128, 256), "blocks": 4}),
            Recipe(epochs=200, batch=2, learning_rate=5e-3, divided_at=(66, 133), augmentation=_TURNED),
            parameters=676_393,
        ),
        "cpu": Setting(
            Preprocessing((Cut(0.25, -40, 0.75, 40), Cut(0.25, -10, 0.75, 10), Cut()), (2.0, 2.0, 2.0), size=(96, 80, 48)),
            NetworkChoice("deeplab3d", {"widths": (12, 24, 48, 64), "norm": "instance"}),
            _quick(epochs=16, steps=16, batch=2, divided_at=(11, 14), augmentation=Augmentation(10.0, 0.02)),
            parameters=73_365,
        ),
    },
    view=View("t2-space", "L4/L5", _SPACE, (256.0, 256.0, 86.4)),
    published=_results(
        _OBLIQUE_CLASSES.keys[1:],
        {
            "dice": [0.931, 0.924, 0.928, 0.903, 0.721, 0.852, 0.950, 0.880, 0.886],
            "precision": [0.941, 0.923, 0.937, 0.915, 0.756, 0.881, 0.948, 0.895, 0.899],
            "recall": [0.923, 0.928, 0.920, 0.896, 0.717, 0.837, 0.953, 0.872, 0.881],
        },
    ),
    readings=(
        "Axes as in livf-l5s1: the wider cut of the height holds both psoas muscles.",
        "Widths are in figures that the text does not give. Chosen: a separable, residual encoder of 32 and 64 channels at half size, 128 "
        "and 256 at a quarter, six blocks; a pyramid with dilations 1, 2, 4 and 8 and the image's mean; low-level features joined at "
        "half size.",
        "How strong the elastic deformation is is not told: shifts up to 2 % of the image.",
        _LOSS,
        "Columns of the printed table: PM is the psoas, IVC the vena cava.",
    ),
)

_SPINECT_CLASSES = ClassSet.from_keys(["background", "vertebra", "nerve_root"])
_WEIGHTS = (1.0, 1.0, 2.0)
_FLIPPED = Augmentation(noise=0.1, flips=(0, 1))
SPINECT = System(
    key="spinect",
    title="Bones and nerves on CT",
    paper="Fan G, Liu H, Wu Z, et al. AJNR Am J Neuroradiol 2019; 40:1074-1081. doi:10.3174/ajnr.A6070",
    modality="CT",
    classes=_SPINECT_CLASSES,
    words=("bone", "nerve"),
    counted_as={
        _SACRUM: _VERTEBRA,
        Structure(Kind.HIP): _VERTEBRA,
        Structure(Kind.DURAL_SAC): _ROOTS,
    },
    shares=Shares(32, 8, 10),
    presets={
        "full": Setting(
            Preprocessing(spacing_mm=(1.0, 1.0, 1.0), interpolation=Interpolation.NEAREST),
            NetworkChoice("unet3d", {"widths": (32, 64, 128, 256, 512), "norm": "batch", "up": "transposed", "joined_norm": True}),
            Recipe(
                epochs=200, steps=100, batch=4, learning_rate=5e-4, loss=Loss.WEIGHTED_CROSS_ENTROPY, class_weights=_WEIGHTS,
                patch=(64, 64, 32), augmentation=_FLIPPED, validation_cases=6,
            ),
            parameters=22_581_411,
            windows=Windows((64, 64, 32), (40, 40, 20)),
        ),
        "cpu": Setting(
            Preprocessing(spacing_mm=(1.2, 1.2, 1.2), interpolation=Interpolation.NEAREST),
            NetworkChoice("unet3d", {"widths": (8, 16, 32, 64), "norm": "batch", "up": "transposed"}),
            _quick(
                epochs=14, steps=20, batch=4, divided_at=(10, 13), loss=Loss.WEIGHTED_CROSS_ENTROPY,
                class_weights=_WEIGHTS, patch=(64, 64, 32), augmentation=_FLIPPED, validation_cases=2,
            ),
            parameters=351_179,
            windows=Windows((64, 64, 32), (40, 40, 20)),
        ),
    },
    view=View("ct-thin", "L5/S1", _SPACE, (160.0, 160.0, 96.0)),
    published=_results(
        _SPINECT_CLASSES.keys[1:],
        {
            "dice": [(0.9454, 0.0243), (0.9051, 0.0194)],
            "iou": [(0.8973, 0.0432), (0.8271, 0.0325)],
            "pixel_accuracy": [(0.9405, 0.0668), (0.9143, 0.0348)],
        },
    )
    + _results(
        _SPINECT_CLASSES.keys[1:],
        {
            "dice": [(0.8934, 0.0728), (0.8925, 0.0200)],
            "iou": [(0.8140, 0.1133), (0.8064, 0.0331)],
            "pixel_accuracy": [(0.9962, 0.0035), (0.8774, 0.0482)],
        },
        "another centre",
    ),
    readings=(
        "The published count of parameters: five levels of 32 to 512 channels with biased convolutions, two learnable numbers for each "
        "normalised channel and transposed convolutions that halve the channels have 22,581,283. The missing 128 are those of one more "
        "normalisation, of the 64 joined channels at full resolution. The paper does not say so: it is the simplest place that has "
        "exactly this number.",
        "How long it is trained is not told, but 4 h 35 min on one card: 200 epochs of 100 steps, each with a validation.",
        "Class weights are not told: 1, 1 and 2.",
        "How images are cropped is not told: not at all here; half of the patches are centred on a voxel of bone or nerve.",
        "The window: 32 x 64 x 64 with a stride of 20 x 40 x 40; the text once gives the stride as the window's size too.",
        "Bone: all vertebrae, sacrum and hip bones in view. Nerve: dural sac and roots.",
        "Noise: standard deviation up to 0.1; horizontal and vertical flips of the axial image: right and anterior.",
    ),
)

SYSTEMS: Mapping[str, System] = MappingProxyType({system.key: system for system in (LIVF_L5S1, PELD_L5S1, OBLIQUE_L45, SPINECT)})
