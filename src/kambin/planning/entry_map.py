"""Over all directions that were looked at, how much room a way in would have and where it would meet the skin: what a map is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Side
from kambin.geometry import FloatArray, Frame
from kambin.planning.channel import direction_of
from kambin.planning.search import Lines
from kambin.spine import SpineModel

_STEP_MM = 2.0
_FARTHEST_MM = 300.0


@dataclass(frozen=True, eq=False)
class EntryMap:
    """Room by direction.

    Parameters
    ----------
    alpha_deg, cranial_deg
        The directions' angles, rising, shape (a,) and (c,).
    slack_mm
        Room beyond the margins of the best target within the tolerance, shape (a, c), to 0.01 mm; negative where a margin cannot be kept.
    skin_mm
        From the target to the skin along each direction, to 2 mm, shape (a, c); NaN where the skin is not met.
    """

    alpha_deg: FloatArray
    cranial_deg: FloatArray
    slack_mm: FloatArray
    skin_mm: FloatArray


def entry_map(model: SpineModel, frame: Frame, side: Side, target_mm: FloatArray, swept: Lines, radius_mm: float) -> EntryMap:
    """The map of a sweep over all directions and targets (`kambin.planning.search.sweep`).

    Parameters
    ----------
    model
        Whose skin it is.
    frame, side
        That the angles are named by.
    target_mm
        From where the skin is looked for.
    swept
        All lines of the sweep.
    radius_mm
        Of the channel.
    """
    alpha, which_alpha = np.unique(swept.alpha_deg, return_inverse=True)
    cranial, which_cranial = np.unique(swept.cranial_deg, return_inverse=True)
    slack = np.full((len(alpha), len(cranial)), -np.inf)
    np.maximum.at(slack, (which_alpha, which_cranial), swept.slack_mm - radius_mm)
    directions = direction_of(frame, side, alpha[:, None], cranial[None, :])
    return EntryMap(alpha, cranial, slack.round(2), skin_distances_mm(model, target_mm, directions))


def skin_distances_mm(model: SpineModel, start_mm: FloatArray, directions: npt.ArrayLike) -> FloatArray:
    """How far out the last labelled voxel lies along each direction, shape (..., 3) to (...).

    NaN where the model has no trunk, or the field of view ends first.
    """
    along = np.asarray(directions, dtype=np.float64)
    if model.solid(Kind.TRUNK) is None:
        return np.full(along.shape[:-1], np.nan)
    steps = np.arange(0.0, _FARTHEST_MM, _STEP_MM)
    voxel = np.rint(model.grid.voxel(start_mm + steps[:, None] * along[..., None, :])).astype(np.int64)
    inside = ((voxel >= 0) & (voxel < np.asarray(model.grid.shape))).all(axis=-1)
    labelled = np.zeros(inside.shape, dtype=bool)
    labelled[inside] = model.labels[tuple(voxel[inside].T)] != 0
    last = len(steps) - 1 - labelled[..., ::-1].argmax(axis=-1)
    beyond = np.take_along_axis(inside, np.minimum(last + 1, len(steps) - 1)[..., None], axis=-1)[..., 0]
    known = labelled.any(axis=-1) & beyond & (last + 1 < len(steps))
    return np.where(known, steps[last] + _STEP_MM / 2.0, np.nan)
