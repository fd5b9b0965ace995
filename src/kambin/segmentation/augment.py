"""Variations of cases while they are learnt from: turned, bent, mirrored, noisy. All drawn from the generator that is given."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kambin.geometry import turned
from kambin.segmentation.systems import Augmentation
from kambin.segmentation.targets import Targets

_COARSE = 5  # points along each axis at which a smooth deformation is drawn


def augmented(
    image: Tensor, classes: Tensor, how: Augmentation, targets: Targets, generator: np.random.Generator, fill: int
) -> tuple[Tensor, Tensor]:
    """A variation of one case.

    Parameters
    ----------
    image, classes
        Intensities (float32) and class map (uint8), both (x, y, z). Not changed.
    how
        What may happen.
    targets
        Tells which number is which one's mirror image.
    generator
        The only source of chance.
    fill
        Class of what comes in from beyond the image, where the intensity is 0.
    """
    if how.rotation_deg or how.elastic:
        places = _places(image.shape, how, generator)
        image, classes = _moved(image, classes, places, fill)
    for axis in how.flips:
        if generator.random() < 0.5:
            image, classes = image.flip(axis), classes.flip(axis)
            if axis == 0:
                classes = torch.from_numpy(targets.mirrored())[classes.long()]
    if how.noise:
        strength = generator.uniform(0.0, how.noise)
        image = image + strength * torch.from_numpy(generator.standard_normal(tuple(image.shape), dtype=np.float32))
    return image, classes


def _places(shape: torch.Size, how: Augmentation, generator: np.random.Generator) -> Tensor:
    """Where each voxel's value is taken from: (x, y, z, 3), from -1 to 1 between the image's faces, cranial first as PyTorch has it."""
    turn = turned(generator.uniform(-how.rotation_deg, how.rotation_deg, 3))
    sizes = np.asarray(shape, dtype=np.float64)
    # turned in voxels, not in the unit cube, else the image would be sheared
    matrix = np.diag(1.0 / sizes) @ turn @ np.diag(sizes)
    theta = torch.from_numpy(matrix[::-1, ::-1].copy()).float()
    places = functional.affine_grid(torch.cat([theta, torch.zeros(3, 1)], dim=1)[None], [1, 1, *shape], align_corners=False)
    if how.elastic:
        drawn = generator.uniform(-1.0, 1.0, (1, 3, _COARSE, _COARSE, _COARSE)).astype(np.float32)
        drawn[:, :, [0, -1]] = drawn[:, :, :, [0, -1]] = drawn[..., [0, -1]] = 0.0
        smooth = functional.interpolate(torch.from_numpy(drawn), size=tuple(shape), mode="trilinear", align_corners=True)
        places = places + 2.0 * how.elastic * smooth.movedim(1, -1)
    return places


def _moved(image: Tensor, classes: Tensor, places: Tensor, fill: int) -> tuple[Tensor, Tensor]:
    moved = functional.grid_sample(image[None, None], places, mode="bilinear", padding_mode="zeros", align_corners=False)[0, 0]
    # 1 is added so that what lies beyond, which is sampled as 0, can be told
    shifted = classes[None, None].float() + 1.0
    labels = functional.grid_sample(shifted, places, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]
    return moved, torch.where(labels < 0.5, float(fill), labels - 1.0).to(torch.uint8)
