"""What differs from bone to bone at its surface: how thick its crust is, how thin the iliac wing, and what clings to it from outside.

A digital patient's cortex is as thick everywhere, its iliac wing always has marrow inside. Real ones have wings of two plates that touch,
sclerotic endplates and joints, and crura, ligaments and small vessels where the patient has plain fat. So that a network does not learn
the patients' surfaces, each picture draws its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from kambin.anatomy.structures import Kind, Structure
from kambin.segmentation.any_model import CLASSES
from kambin.segmentation.chance import Chance
from kambin.segmentation.tissues import TissueMap

REST = CLASSES.index(Structure(Kind.TRUNK)) or 0
_HIP = CLASSES.index(Structure(Kind.HIP)) or 0
_FIRM = tuple(CLASSES.index(Structure(kind)) or 0 for kind in (Kind.BODY, Kind.ARCH, Kind.SACRUM, Kind.DISC, Kind.HIP))
_CLINGING = ("ligament", "tendon", "muscle", "cortical", "venous", "arterial")
_CRUSTED = {Kind.HIP: (0.7, 3), Kind.ARCH: (0.4, 2), Kind.SACRUM: (0.4, 2), Kind.BODY: (0.25, 1)}
"""How often each bone's crust is thicker than the patient's, and by how many voxels at most."""


def drawn_surfaces(source: TissueMap, numbers: Tensor, classes: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """The patch with the surfaces of its bones drawn anew.

    Parameters
    ----------
    source
        The patient.
    numbers, classes
        For each voxel the row of its tissue, and its class, uint8.
    chance
        Where the draws come from.
    """
    if chance.happens(0.5):
        numbers, classes = _thinned(source, numbers, classes, chance)
    for kind, (share, most) in _CRUSTED.items():
        if chance.happens(share):
            numbers = _crusted(source, numbers, classes, kind, int(chance.host.integers(1, most + 1)), chance)
    return _rind(source, numbers, classes, chance), classes


def _thinned(source: TissueMap, numbers: Tensor, classes: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """The hip bone a voxel thinner in places, muscle there instead."""
    muscles = [n for n, row in enumerate(source.rows, 1) if row.index == REST and row.tissue.startswith("muscle")]
    if not muscles:
        return numbers, classes
    where = (classes == _HIP) & _about(classes == REST, 1) & _places(numbers, chance)
    return torch.where(where, muscles[int(chance.host.integers(len(muscles)))], numbers), torch.where(where, REST, classes)


def _crusted(source: TissueMap, numbers: Tensor, classes: Tensor, kind: Kind, voxels: int, chance: Chance) -> Tensor:
    """A bone's cortex thicker in places."""
    own = CLASSES.index(Structure(kind)) or 0
    hard = [n for n, row in enumerate(source.rows, 1) if row.index == own and row.mixture == (("cortical bone", 1.0),)]
    if not hard:
        return numbers
    bone = classes == own
    return torch.where(bone & _about(~bone, voxels) & _places(numbers, chance), hard[0], numbers)


def _rind(source: TissueMap, numbers: Tensor, classes: Tensor, chance: Chance) -> Tensor:
    """Ligaments, crura and small vessels that cling to the column in places: what touches bone is not always fat."""
    rows = [n for n, row in enumerate(source.rows, 1) if row.index == REST and row.tissue.startswith(_CLINGING)]
    if not rows or chance.happens(0.4):
        return numbers
    firm = torch.zeros(256, dtype=torch.bool)
    firm[list(_FIRM)] = True
    near = _about(firm[classes.long()], 1 if chance.happens(0.6) else int(chance.host.integers(2, 5)))
    where = near & (classes == REST) & _places(numbers, chance)
    return torch.where(where, rows[int(chance.host.integers(len(rows)))], numbers)


def _about(where: Tensor, voxels: int) -> Tensor:
    """Those, and the voxels within so many of them."""
    near = where.float()[None, None]
    for _ in range(voxels):
        near = functional.max_pool3d(near, 3, stride=1, padding=1)
    return near[0, 0] > 0


def _places(numbers: Tensor, chance: Chance) -> Tensor:
    """Some places of a patch, in patches: from a sixth of it to most."""
    return chance.smooth(tuple(numbers.shape), chance.uniform(5, 15)) > chance.uniform(-1.0, 1.0)
