"""A small U-Net that sees and answers at full resolution but thinks at half: made for a laptop's processor.

The first layer folds 2 x 2 x 2 voxels into channels; most of the work is done on an eighth of the voxels. What comes of it is unfolded,
joined with a first look at the voxels themselves, and one thin layer at full resolution draws the outlines. Skips are added, not joined,
which halves the work of the widest layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class CompactUNet(nn.Module):
    """From (n, channels, x, y, z) to (n, classes, x, y, z); x, y and z multiples of `multiple`.

    Parameters
    ----------
    classes
        Output channels.
    channels
        Input channels.
    widths
        Channels at half resolution, at a quarter, and so on.
    depths
        Residual blocks at each of them, on the way down.
    fine
        Channels at full resolution.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128, 192),
        depths: Sequence[int] = (1, 2, 2, 2),
        fine: int = 16,
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        self.look = nn.Conv3d(channels, fine, kernel_size=3, padding=1)
        self.stem = nn.Conv3d(channels, widths[0], kernel_size=2, stride=2)
        self.down = nn.ModuleList(
            nn.Conv3d(before, after, kernel_size=2, stride=2) for before, after in pairwise(widths)
        )
        self.encode = nn.ModuleList(
            nn.Sequential(*(_Block(width) for _ in range(depth))) for width, depth in zip(widths, depths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(after, before, kernel_size=2, stride=2) for before, after in pairwise(widths)
        )
        self.decode = nn.ModuleList(_Block(width) for width in widths[:-1])
        self.unfold = nn.ConvTranspose3d(widths[0], fine, kernel_size=2, stride=2)
        self.outline = nn.Conv3d(fine, fine, kernel_size=3, padding=1)
        self.act = nn.LeakyReLU(0.01, inplace=True)
        self.head = nn.Conv3d(fine, classes, kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, a=0.01)
            elif isinstance(module, nn.ConvTranspose3d):
                # Each output voxel is reached by one kernel position of every input channel.
                nn.init.normal_(module.weight, std=(1.0 / module.in_channels) ** 0.5)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        x = self.encode[0](self.stem(image))
        skips = []
        for down, encode in zip(self.down, list(self.encode)[1:], strict=True):
            skips.append(x)
            x = encode(down(x))
        for up, decode, skip in zip(reversed(self.up), reversed(self.decode), reversed(skips), strict=True):
            x = decode(up(x) + skip)
        fine = self.act(self.unfold(x) + self.look(image))
        answer: Tensor = self.head(self.act(self.outline(fine) + fine))
        return answer


class _Block(nn.Module):
    """Two convolutions, each normalised; the input is led by the second."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width, width, kernel_size=3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(_groups(width), width)
        self.second = nn.Conv3d(width, width, kernel_size=3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(_groups(width), width)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.act(self.first_norm(self.first(x)))
        answer: Tensor = self.act(self.second_norm(self.second(inner) + x))
        return answer


def _groups(width: int) -> int:
    return max(1, width // 8)
