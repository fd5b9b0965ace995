"""Networks by name. Each takes (n, 1, x, y, z) to class scores (n, classes, x, y, z).

Importing this needs no PyTorch; building a network does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kambin.errors import InputError

if TYPE_CHECKING:
    from torch import nn


def _unet3d(classes: int, **options: Any) -> nn.Module:
    from kambin.segmentation.networks.unet3d import UNet3D

    return UNet3D(classes, **options)


def _deeplab3d(classes: int, **options: Any) -> nn.Module:
    from kambin.segmentation.networks.deeplab3d import DeepLab3D

    return DeepLab3D(classes, **options)


def _compact(classes: int, **options: Any) -> nn.Module:
    from kambin.segmentation.networks.compact import CompactUNet

    return CompactUNet(classes, **options)


BUILDERS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType({"unet3d": _unet3d, "deeplab3d": _deeplab3d, "compact": _compact})


def build_network(name: str, classes: int, options: Mapping[str, Any]) -> nn.Module:
    """A new network, its convolutions initialised after He et al. (normal, by fan-in, for ReLU; biases 0).

    Parameters
    ----------
    name
        A key of `BUILDERS`.
    classes
        Output channels, the background among them.
    options
        What its builder takes beside.

    Raises
    ------
    InputError
        When there is no such network.
    """
    if name not in BUILDERS:
        raise InputError("network", f"expected one of {', '.join(BUILDERS)}, found {name!r}")
    network = BUILDERS[name](classes, **options)
    _initialise(network)
    return network


def parameter_count(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _initialise(network: nn.Module) -> None:
    from torch import nn

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            # a transposed convolution's weights lie the other way round
            if isinstance(module, nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
