"""Group normalisation as OpenVINO computes it fastest: where a network's tensors lie.

An exported group normalisation folds each group's channels into one, normalises, and folds them back. OpenVINO's convolutions keep the
channels of a voxel side by side, so that each fold moves the whole tensor twice, which costs a third of the convolution that it follows.
Means over the voxels of each channel, brought together by group, say the same and move nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def unfold_group_norms(model: Any) -> int:
    """Replace the group normalisations of an OpenVINO model, whose shapes are known, by the same thing without folds.

    Parameters
    ----------
    model
        An ``openvino.Model`` reshaped to one size; changed in place. What is not recognised stays as it is.

    Returns
    -------
    int
        How many were replaced.
    """
    found = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MVN" and _replaced(node):
            found += 1
    return found


def _replaced(norm: Any) -> bool:
    import openvino.opset13 as ops

    folded = norm.input_value(0)
    fold = folded.get_node()
    if fold.get_type_name() != "Reshape" or not _is_static(folded) or not _is_static(fold.input_value(0)):
        return False
    given = fold.input_value(0)
    shape, groups = list(given.get_shape()), list(folded.get_shape())
    told = norm.get_attributes()
    axes = norm.input_value(1).get_node()
    if len(shape) != 5 or len(groups) != 3 or groups[:2] != [shape[0], groups[1]] or shape[0] != 1 or shape[1] % groups[1]:
        return False
    if axes.get_type_name() != "Constant" or [int(a) % 3 for a in np.atleast_1d(axes.data)] != [2]:
        return False
    if not told.get("normalize_variance") or str(told.get("eps_mode", "")).lower() != "inside_sqrt":
        return False
    steps, back = _until_unfolded(norm)
    if back is None or list(back.output(0).get_shape()) != shape:
        return False

    channels, each = shape[1], shape[1] // groups[1]
    of_voxel = np.array([1, channels, 1, 1, 1])

    def spread(values: Any) -> Any:
        """One value for each group, any shape: the same for each channel, shape (1, channels, 1, 1, 1)."""
        column = ops.reshape(values, np.array([groups[1], 1]), False)
        return ops.reshape(ops.broadcast(column, np.array([groups[1], each])), of_voxel, False)

    def mean(values: Any) -> Any:
        """Over the voxels and channels of each group."""
        by_channel = ops.reduce_mean(values, np.array([2, 3, 4]), True)
        return spread(ops.reduce_mean(ops.reshape(by_channel, np.array([groups[1], each]), False), np.array([1]), True))

    # The mean is taken off before squaring: the difference of two large sums would lose what matters.
    centred = ops.subtract(given, mean(given))
    spread_of = ops.sqrt(ops.add(mean(ops.multiply(centred, centred)), ops.constant(np.float32(told["eps"]))))
    result = ops.divide(centred, spread_of)
    for kind, values in steps:
        result = getattr(ops, kind)(result, spread(values))
    back.output(0).replace(result.output(0))
    return True


def _until_unfolded(norm: Any) -> tuple[list[tuple[str, Any]], Any]:
    """What is done to the folded tensor, group by group, until it is folded back, and what folds it back; None where that is not so."""
    steps: list[tuple[str, Any]] = []
    node, groups = norm, norm.output(0).get_shape()[1]
    while True:
        targets = [t for t in node.output(0).get_target_inputs() if t.get_node().get_type_name() != "ShapeOf"]
        if len(targets) != 1:
            return [], None
        before, node = node, targets[0].get_node()
        kind = node.get_type_name()
        if kind == "Reshape":
            return (steps, node) if _is_static(node.output(0)) else ([], None)
        if kind not in ("Multiply", "Add") or not _is_static(node.output(0)):
            return [], None
        others = [value for value in node.input_values() if value.get_node() != before]
        if len(others) != 1 or not _is_static(others[0]) or list(others[0].get_shape()) != [1, groups, 1]:
            return [], None
        steps.append((kind.lower(), others[0]))


def _is_static(output: Any) -> bool:
    return bool(output.get_partial_shape().is_static)
