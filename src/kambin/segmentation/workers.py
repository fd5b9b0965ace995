"""One training on several GPUs: the processes that torchrun starts, each with its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from kambin.errors import InputError


@dataclass(frozen=True, slots=True)
class Worker:
    """This process among all that train together.

    Parameters
    ----------
    device
        Where it computes.
    rank, count
        Which of how many it is; the first one validates and writes.
    may_halve
        Whether a network may be run in half precision while it learns.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    may_halve: bool = True

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def mixed(self, network: nn.Module) -> torch.autocast:
        """The context in which a network is run while it learns: in half precision where that is quicker and as good.

        On CUDA GPUs, and on processors with matrix units for bfloat16 (AMX), where convolutions are five times as quick; those of single
        channels take twice as long there, so networks that have them, and all on other processors, run in single precision. AVX-512's
        bfloat16 would be twice as quick, but gradients of kernels over pictures two voxels deep came out as garbage (PyTorch 2.13).
        """
        if self.device.type == "cuda":
            return torch.autocast("cuda", enabled=self.may_halve)
        dense = all(layer.groups == 1 for layer in network.modules() if isinstance(layer, nn.Conv3d))
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.may_halve and dense and _has_matrix_units())

    def shared(self, network: nn.Module) -> nn.Module:
        """The network with its gradients averaged over all processes."""
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    def agreed(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        total = torch.tensor(value, device=self.device, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total) / self.count

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            import torch.distributed as dist

            dist.barrier()


@contextmanager
def joined(device: str = "auto") -> Iterator[Worker]:
    """This process, joined with the others where torchrun started several.

    Parameters
    ----------
    device
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    InputError
        When there is no such device.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count == 1:
        yield Worker(_device(device, 0))
        return
    import torch.distributed as dist

    local = int(os.environ.get("LOCAL_RANK", "0"))
    found = _device(device, local)
    if found.type == "cuda":
        torch.cuda.set_device(found)
    dist.init_process_group("nccl" if found.type == "cuda" else "gloo")
    try:
        yield Worker(found, rank, count)
    finally:
        dist.destroy_process_group()


def _has_matrix_units() -> bool:
    """Whether the processor multiplies matrices of bfloat16 by itself."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older PyTorch
    return bool(known.get("amx_bf16", False))


def _device(name: str, local: int) -> torch.device:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda", local % there) if there else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError("--device", f"expected auto, cpu, cuda or cuda:1, found {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError("--device", f"expected auto, cpu, cuda or cuda:1, found {name!r}")
    if device.type == "cuda":
        device = torch.device("cuda", local % max(there, 1) if device.index is None else device.index)
        if (device.index or 0) >= there:
            hint = "Leave it out to take what there is."
            raise InputError("--device", f"expected one of {there} CUDA devices, found {name!r}", hint=hint)
    return device
