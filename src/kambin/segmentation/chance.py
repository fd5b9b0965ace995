"""What is drawn by chance, and the blur that both noise and scanners have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor


class Chance:
    """Draws of one seed, on one device."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.host = np.random.default_rng(seed)
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return float(self.host.uniform(low, high))

    def logarithmic(self, low: float, high: float) -> float:
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def happens(self, share: float) -> bool:
        return bool(self.host.random() < share)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def uniforms(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def smooth(self, shape: Sequence[int], scale: float) -> Tensor:
        """A field of mean 0 and standard deviation of about 1 that changes over so many voxels."""
        coarse = [max(2, math.ceil(n / scale) + 1) for n in shape]
        field = functional.interpolate(self.normal(1, 1, *coarse), size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]
        return field * 1.6  # what interpolation took from its spread


def blurred(picture: Tensor, deviations: Sequence[float]) -> Tensor:
    """A Gaussian along each axis."""
    result = picture[None, None]
    for axis, deviation in enumerate(deviations):
        if deviation < 0.15:
            continue
        reach = max(1, math.ceil(2.5 * deviation))
        line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32, device=picture.device) / deviation) ** 2)
        kernel = (line / line.sum()).view([1, 1, *(-1 if a == axis else 1 for a in range(3))])
        pads = [reach if a == axis else 0 for a in reversed(range(3)) for _ in range(2)]
        result = functional.conv3d(functional.pad(result, pads, mode="replicate"), kernel)
    return result[0, 0]
