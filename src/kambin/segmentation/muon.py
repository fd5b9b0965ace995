"""An optimiser that turns every kernel's step into one of equal strength in all directions; few steps then go a long way.

Jordan 2024, "Muon: an optimizer for hidden layers in neural networks". Kernels between the first layer and the last are taken as
matrices of outputs by inputs, and their averaged gradient is brought near to an orthogonal matrix by a Newton-Schulz iteration; all other
weights follow Adam.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_ITERATION = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors whose singular values are all about 1 (0.7 to 1.2); zero stays zero."""
    a, b, c = _ITERATION
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    # Each round multiplies x from the left by a polynomial of x x^T. All of these commute, so they are gathered as small square matrices,
    # in double precision since they are squared again and again, and the wide one is multiplied once.
    square = (x @ x.T).double()
    one = torch.eye(len(square), dtype=square.dtype, device=square.device)
    whole = one
    for _ in range(_ROUNDS):
        factor = a * one + b * square + c * square @ square
        whole = factor @ whole
        square = factor @ square @ factor
    answer = whole.to(x.dtype) @ x
    result: Tensor = answer.T if matrix.shape[0] > matrix.shape[1] else answer
    return result


class Muon(torch.optim.Optimizer):
    """Muon for a network's inner kernels, Adam for its other weights.

    Parameters
    ----------
    network
        Its first and last convolutions are left to Adam. Kernels of transposed convolutions have their outputs on the second axis.
    lr
        Of the kernels; each step changes their spectral norm by about as much.
    others
        What the rate of Adam is, as a part of `lr`.
    momentum, decay
        Of the kernels' averaged gradient, and of all weights.
    """

    def __init__(self, network: nn.Module, lr: float, others: float = 0.17, momentum: float = 0.95, decay: float = 1e-4) -> None:
        layers = [m for m in network.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)]
        inner = [(m.weight, isinstance(m, nn.ConvTranspose3d)) for m in layers[1:-1] if m.groups == 1]
        chosen = {id(weight) for weight, _ in inner}
        rest = [weight for weight in network.parameters() if id(weight) not in chosen]
        groups: list[dict[str, Any]] = [
            {"params": [weight for weight, _ in inner], "share": 1.0, "is_kernel": True},
            {"params": rest, "share": others, "is_kernel": False},
        ]
        self._transposed = {id(weight) for weight, transposed in inner if transposed}
        super().__init__(groups, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; weights without a gradient stay."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            rate = group["lr"] * group["share"]
            move = self._kernel if group["is_kernel"] else self._adam
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1.0 - rate * group["decay"])
                    weight.add_(move(weight, group), alpha=-rate)
        return loss

    def _kernel(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[weight]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"]
        mean.mul_(group["momentum"]).add_(weight.grad)
        ahead = weight.grad + group["momentum"] * mean
        turned = ahead.movedim(1, 0) if id(weight) in self._transposed else ahead
        matrix = turned.reshape(turned.shape[0], -1)
        step = orthogonalised(matrix) * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        back = step.reshape(turned.shape)
        result: Tensor = back.movedim(0, 1) if id(weight) in self._transposed else back
        return result

    def _adam(self, weight: Tensor, _group: dict[str, Any], betas: tuple[float, float] = (0.9, 0.98)) -> Tensor:
        state = self.state[weight]
        for name in ("mean", "square"):
            if name not in state:
                state[name] = torch.zeros_like(weight)
        mean, square = state["mean"], state["square"]
        state["steps"] = steps = state.get("steps", 0) + 1
        mean.lerp_(weight.grad, 1 - betas[0])
        square.lerp_(weight.grad.square(), 1 - betas[1])  # type: ignore[union-attr]
        result: Tensor = (mean / (1 - betas[0] ** steps)) / ((square / (1 - betas[1] ** steps)).sqrt() + 1e-8)
        return result
