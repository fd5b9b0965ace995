"""What training makes small, where some voxels are only known to be one of several classes.

With p the probabilities of the classes at a voxel and S the classes that its target allows (one, where it is labelled):

* cross-entropy: ``-log(sum of p over S)``. Where all classes are allowed it is 0, and so is its gradient.
* soft Dice of a class: over the voxels for which it is known whether they are of that class, that is, where S is that class alone or does
  not hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kambin.segmentation.systems import Loss, Recipe
from kambin.segmentation.targets import Targets

_SMOOTH = 1.0


class CrossEntropy(nn.Module):
    """Mean of ``-log(sum of p over S)`` over the voxels that teach anything, weighted.

    Takes log-probabilities (n, classes, x, y, z), as `OfScores` makes them, and class maps (n, x, y, z) of whole numbers.

    Parameters
    ----------
    targets
        What the numbers of class maps allow.
    weights
        One a class; a set that is not one class weighs as the background does. All the same where None.
    """

    def __init__(self, targets: Targets, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.allowed: Tensor
        self.weights: Tensor
        self.register_buffer("allowed", torch.from_numpy(targets.membership()))
        chosen = torch.ones(self.allowed.shape[1]) if weights is None else torch.tensor(weights, dtype=torch.float32)
        of_number = torch.full((self.allowed.shape[0],), float(chosen[0]))
        of_number[: len(chosen)] = chosen
        of_number[self.allowed.all(dim=1)] = 0.0  # nothing to learn there
        self.register_buffer("weights", of_number)
        self.classes = self.allowed.shape[1]

    def forward(self, logs: Tensor, numbers: Tensor) -> Tensor:
        """The loss."""
        numbers = numbers.long()
        known = numbers < self.classes
        loss = -logs.gather(1, torch.where(known, numbers, 0).unsqueeze(1)).squeeze(1)
        if not known.all():
            shut = ~self.allowed[numbers[~known]]
            several = logs.movedim(1, -1)[~known].masked_fill(shut, -torch.inf)
            loss = loss.masked_scatter(~known, -torch.logsumexp(several, dim=-1))
        weights = self.weights[numbers]
        return (loss * weights).sum() / weights.sum().clamp_min(1.0)


class SoftDice(nn.Module):
    """1 less the mean soft Dice of all classes, of the whole batch.

    Takes what `CrossEntropy` takes.

    Parameters
    ----------
    targets
        What the numbers of class maps allow.
    """

    def __init__(self, targets: Targets) -> None:
        super().__init__()
        self.allowed: Tensor
        self.register_buffer("allowed", torch.from_numpy(targets.membership()))
        self.classes = self.allowed.shape[1]
        self._several: Tensor
        count = self.allowed.sum(dim=1)
        self.register_buffer("_several", (count > 1) & (count < self.classes))

    def forward(self, logs: Tensor, numbers: Tensor) -> Tensor:
        """The loss."""
        numbers = numbers.long()
        found = logs.exp()
        axes = (0, 2, 3, 4)
        single = numbers < self.classes
        told = single.unsqueeze(1)
        if bool((self._several & torch.bincount(numbers.flatten(), minlength=len(self._several)).bool()).any()):
            # where several classes are allowed, the others are known not to be there
            allowed = self.allowed[numbers].movedim(-1, 1)
            told = told | ~allowed
        own = torch.where(single, numbers, 0)
        right = found.gather(1, own.unsqueeze(1)).squeeze(1) * single
        overlap = found.new_zeros(self.classes).index_add(0, own.flatten(), right.flatten())
        total = (found * told).sum(axes) + torch.bincount(own[single], minlength=self.classes)
        loss: Tensor = 1.0 - ((2.0 * overlap + _SMOOTH) / (total + _SMOOTH)).mean()
        return loss


class OfScores(nn.Module):
    """Several losses in equal parts, of a network's scores: these are brought to log-probabilities once, in single precision."""

    def __init__(self, *losses: nn.Module) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, scores: Tensor, numbers: Tensor) -> Tensor:
        """Loss of scores (n, classes, x, y, z) against class maps (n, x, y, z) of whole numbers."""
        logs = functional.log_softmax(scores.float(), dim=1)
        total: Tensor = torch.stack([loss(logs, numbers) for loss in self.losses]).sum()
        return total


_BUILDERS: dict[Loss, Callable[[Targets, Sequence[float] | None], nn.Module]] = {
    Loss.DICE_AND_CROSS_ENTROPY: lambda targets, weights: OfScores(SoftDice(targets), CrossEntropy(targets, weights)),
    Loss.WEIGHTED_CROSS_ENTROPY: lambda targets, weights: OfScores(CrossEntropy(targets, weights)),
}


def loss_of(recipe: Recipe, targets: Targets) -> nn.Module:
    """The loss that a recipe names."""
    return _BUILDERS[recipe.loss](targets, recipe.class_weights)
