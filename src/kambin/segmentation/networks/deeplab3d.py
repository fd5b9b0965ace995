"""A 3D DeepLabV3+: a separable encoder, an atrous pyramid at a quarter of the size, a decoder that joins features of half the size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kambin.segmentation.networks.unet3d import NORMS


class DeepLab3D(nn.Module):
    """Modified for volumes of few centimetres: its finest features are at half the image's size, its deepest at a quarter.

    Parameters
    ----------
    classes
        Output channels.
    channels
        Input channels.
    widths
        Channels of the first layer, of the low-level features (half size), and of the first and the last blocks at a quarter.
    norm
        A key of `unet3d.NORMS`.
    blocks
        Residual blocks between the first and the last at a quarter.
    rates
        Dilations of the pyramid's branches; 1 is a plain 1 x 1 x 1 convolution.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128, 256),
        norm: str = "batch",
        blocks: int = 1,
        rates: Sequence[int] = (1, 2, 4, 8),
    ) -> None:
        super().__init__()
        first, low, middle, high = widths
        self.low = nn.Sequential(_conv(channels, first, norm, kernel=3, stride=2), _Residual(first, low, norm))
        self.high = nn.Sequential(
            _Residual(low, middle, norm, stride=2),
            *(_Residual(middle, middle, norm) for _ in range(blocks)),
            _Residual(middle, high, norm, dilation=2),
        )
        self.pyramid = nn.ModuleList(
            _conv(high, middle, norm) if rate == 1 else _Separable(high, middle, norm, dilation=rate) for rate in rates
        )
        # the image's mean is one voxel, which no normalisation over voxels can take
        self.pooled = nn.Sequential(nn.Conv3d(high, middle, kernel_size=1), nn.ReLU(inplace=True))
        self.joined = _conv(middle * (len(rates) + 1), middle, norm)
        self.narrow = _conv(low, first, norm)
        self.decode = nn.Sequential(_Separable(middle + first, middle, norm), _Separable(middle, middle, norm))
        self.head = nn.Conv3d(middle, classes, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Class scores of the image's size."""
        low = self.low(image)
        high = self.high(low)
        pooled = self.pooled(high.mean(dim=(2, 3, 4), keepdim=True)).expand(-1, -1, *high.shape[2:])
        x = self.joined(torch.cat([*(branch(high) for branch in self.pyramid), pooled], dim=1))
        x = self.decode(torch.cat([_resized(x, low), self.narrow(low)], dim=1))
        return _resized(self.head(x), image)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="trilinear", align_corners=False)


def _conv(before: int, after: int, norm: str, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv3d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, NORMS[norm](after), nn.ReLU(inplace=True))


class _Separable(nn.Sequential):
    """A 3 x 3 x 3 convolution of each channel by itself, then one of 1 x 1 x 1 across them."""

    def __init__(self, before: int, after: int, norm: str, stride: int = 1, dilation: int = 1, last: bool = True) -> None:
        each = nn.Conv3d(before, before, 3, stride=stride, padding=dilation, dilation=dilation, groups=before, bias=False)
        across = nn.Conv3d(before, after, kernel_size=1, bias=False)
        activation = [nn.ReLU(inplace=True)] if last else []
        super().__init__(each, NORMS[norm](before), across, NORMS[norm](after), *activation)


class _Residual(nn.Module):
    """Two separable convolutions around which the input is led by."""

    def __init__(self, before: int, after: int, norm: str, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            _Separable(before, after, norm, dilation=dilation), _Separable(after, after, norm, stride=stride, dilation=dilation, last=False)
        )
        straight = before == after and stride == 1
        self.past: nn.Module = nn.Identity()
        if not straight:
            self.past = nn.Sequential(nn.Conv3d(before, after, kernel_size=1, stride=stride, bias=False), NORMS[norm](after))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.inner(x) + self.past(x))
