"""A network at work on one prepared image: all of it at once, or in windows whose probabilities are summed (SPINECT's way)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from kambin.segmentation.preprocess import windows as window_corners
from kambin.segmentation.sources import padded_part
from kambin.segmentation.systems import Windows


def predicted(
    network: nn.Module, image: npt.NDArray[np.float32], windows: Windows | None, device: torch.device
) -> npt.NDArray[np.float32]:
    """The probability of every class at every voxel, (classes, x, y, z).

    Parameters
    ----------
    network
        On `device`; put into evaluation mode and left in it.
    image
        (x, y, z), prepared.
    windows
        None for the whole image at once.
    device
        Where the network is.
    """
    network.eval()
    with torch.no_grad(), torch.autocast(device.type, enabled=device.type == "cuda"):
        if windows is None:
            scores = network(torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device))
            return np.asarray(functional.softmax(scores.float(), dim=1)[0].cpu().numpy())
        total = summed(network, image, windows, device)
        return np.asarray((total / total.sum(dim=0)).numpy())


def predicted_classes(
    network: nn.Module, image: npt.NDArray[np.float32], windows: Windows | None, device: torch.device
) -> npt.NDArray[np.uint8]:
    """The likeliest class of every voxel; arguments as those of `predicted`."""
    return np.asarray(predicted(network, image, windows, device).argmax(axis=0), dtype=np.uint8)


@torch.no_grad()
def summed(network: nn.Module, image: npt.NDArray[np.float32], windows: Windows, device: torch.device) -> Tensor:
    """Sum over all windows of the probabilities of every class, (classes, x, y, z).

    An image smaller than a window is padded with zeros on its far ends for it.
    """
    total: Tensor | None = None
    x, y, z = image.shape
    for corner in window_corners((x, y, z), windows.size, windows.stride):
        part = np.ascontiguousarray(padded_part(image, corner, windows.size, 0.0))
        found = functional.softmax(network(torch.from_numpy(part)[None, None].to(device)).float(), dim=1)[0].cpu()
        if total is None:
            total = torch.zeros(found.shape[0], x, y, z)
        box = tuple(slice(first, first + n) for first, n in zip(corner, windows.size, strict=True))
        here = total[(slice(None), *box)]
        here += found[:, : here.shape[1], : here.shape[2], : here.shape[3]]
    assert total is not None
    return total
