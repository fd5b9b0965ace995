"""The 3D U-Net, in the variants of the papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm3d,
    # The same as `nn.InstanceNorm3d(channels, affine=True)`, which copies each tensor to another layout and back.
    "instance": lambda channels: nn.GroupNorm(channels, channels),
}


class UNet3D(nn.Module):
    """Two 3 x 3 x 3 convolutions at each level, each with its normalisation and ReLU; maxima of 2 x 2 x 2 on the way down.

    Any size will do whose axes are at least ``2 ** (len(widths) - 1)`` long with interpolation, a multiple of that with transposed
    convolutions.

    Parameters
    ----------
    classes
        Output channels.
    channels
        Input channels.
    widths
        Channels of each level, the finest first.
    norm
        A key of `NORMS`.
    up
        ``"trilinear"`` interpolation to the size of the level above, or ``"transposed"`` convolutions of 2 x 2 x 2 that also bring the
        channels to those of the level above.
    joined_norm
        Whether what is joined at the finest level is normalised once more.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        norm: str = "batch",
        up: str = "trilinear",
        joined_norm: bool = False,
    ) -> None:
        super().__init__()
        if up not in ("trilinear", "transposed"):
            raise ValueError(f"expected trilinear or transposed, found {up!r}")
        self.transposed = up == "transposed"
        self.encode = nn.ModuleList(_Block(before, after, norm) for before, after in zip((channels, *widths), widths, strict=False))
        self.decode, self.up = nn.ModuleList(), nn.ModuleList()
        for below, here in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(nn.ConvTranspose3d(below, here, kernel_size=2, stride=2) if self.transposed else nn.Identity())
            self.decode.append(_Block(here + (here if self.transposed else below), here, norm))
        self.joined = NORMS[norm](2 * widths[0]) if joined_norm else nn.Identity()
        self.head = nn.Conv3d(widths[0], classes, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Class scores of the image's size."""
        x, skips = image, []
        for level, encode in enumerate(self.encode):
            x = encode(x if level == 0 else functional.max_pool3d(x, 2))
            skips.append(x)
        skips.pop()
        for up, decode in zip(self.up, self.decode, strict=True):
            skip = skips.pop()
            x = up(x) if self.transposed else functional.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=False)
            x = torch.cat([skip, x], dim=1)
            x = decode(x if skips else self.joined(x))
        scores: Tensor = self.head(x)
        return scores


class _Block(nn.Sequential):
    def __init__(self, before: int, after: int, norm: str) -> None:
        super().__init__(
            nn.Conv3d(before, after, kernel_size=3, padding=1),
            NORMS[norm](after),
            nn.ReLU(inplace=True),
            nn.Conv3d(after, after, kernel_size=3, padding=1),
            NORMS[norm](after),
            nn.ReLU(inplace=True),
        )
