"""Networks whose answer is known in closed form, as models on disk; made with onnx, run by whatever runs models."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

MODEL = "model.onnx"


def thresholds_onnx(edges: tuple[float, ...] = (-0.5, 0.5), *, sharp: float = 20.0, size: tuple[int, int, int] | None = None) -> bytes:
    """A 1 x 1 x 1 convolution whose largest score is that of class k between edges k-1 and k: classes are thresholds of the intensity.

    Scores are lines, score k = sharp * (k x - sum of the first k edges): score k is above score k-1 just where x is above edge k-1.
    """
    count = len(edges) + 1
    slopes = sharp * np.arange(count, dtype=np.float32)
    offsets = -sharp * np.concatenate([[0.0], np.cumsum(edges)]).astype(np.float32)
    return _convolution(slopes.reshape(count, 1, 1, 1, 1), offsets, 0, size)


def blur_onnx(edge: float = 0.5, width: int = 5, sharp: float = 20.0) -> bytes:
    """Two classes: whether the mean over a box of `width` voxels is above an edge; zeros beyond the tile."""
    kernel = np.zeros((2, 1, width, width, width), dtype=np.float32)
    kernel[1] = sharp / width**3
    return _convolution(kernel, np.array([0.0, -sharp * edge], dtype=np.float32), width // 2)


def axis_onnx() -> bytes:
    """Two classes: whether the intensity one voxel on, along the first axis of the input, is above 0."""
    kernel = np.zeros((2, 1, 3, 1, 1), dtype=np.float32)
    kernel[1, 0, 2] = 20.0
    return _convolution(kernel, np.zeros(2, dtype=np.float32), (1, 0, 0))


def group_norm_onnx(channels: int = 6, groups: int = 3, scale: tuple[float, ...] = (1.0, 0.5, 2.0)) -> bytes:
    """Two channels of a group normalisation, as PyTorch exports it, of a convolution with random kernels."""
    chance = np.random.default_rng(4)
    kernel = chance.normal(1.0, 1.0, (channels, 1, 3, 3, 3)).astype(np.float32)
    constants = {
        "kernel": kernel,
        "folded": np.array([0, groups, -1], dtype=np.int64),
        "scale": np.array(scale, dtype=np.float32),
        "shift": np.linspace(-1, 1, groups, dtype=np.float32),
        "gain": chance.uniform(0.5, 1.5, (channels, 1, 1, 1)).astype(np.float32),
        "head": chance.normal(0.0, 1.0, (2, channels, 1, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["before"], kernel_shape=[3, 3, 3], pads=[1] * 6),
        helper.make_node("Shape", ["before"], ["whole"]),
        helper.make_node("Reshape", ["before", "folded"], ["groups"]),
        helper.make_node("InstanceNormalization", ["groups", "scale", "shift"], ["normal"], epsilon=1e-3),
        helper.make_node("Reshape", ["normal", "whole"], ["back"]),
        helper.make_node("Mul", ["back", "gain"], ["gained"]),
        helper.make_node("Conv", ["gained", "head"], ["logits"], kernel_shape=[1, 1, 1]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n, "x", "y", "z"]) for name, n in (("image", 1), ("logits", 2))]
    weights = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _convolution(
    kernel: np.ndarray, bias: np.ndarray, pad: int | tuple[int, int, int], size: tuple[int, int, int] | None = None
) -> bytes:
    pads = [pad] * 3 if isinstance(pad, int) else list(pad)
    spatial: list[Any] = ["x", "y", "z"] if size is None else list(size)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, *spatial])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(bias), *spatial])
    weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    node = helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"], kernel_shape=kernel.shape[2:], pads=[*pads, *pads])
    graph = helper.make_graph([node], "tiny", [image], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def settings(content: bytes, **changes: Any) -> dict[str, Any]:
    """A model.json; a field that is given as None is null."""
    return {
        "format": "kambin-model",
        "version": 1,
        "name": "tiny",
        "title": "thresholds of the intensity",
        "model": MODEL,
        "sha256": hashlib.sha256(content).hexdigest(),
        "classes": ["background", "vertebral_body_L4", "disc_L4"],
        "spacing_mm": None,
        "normalisation": {"kind": "window", "low": 0, "high": 200},
        "patch": [16, 16, 16],
        "multiple": 4,
        "modality": None,
        "naming": "fixed",
        "activation": "softmax",
        "card": {"data": "none"},
    } | changes


def write_model(folder: Path, content: bytes | None = None, **changes: Any) -> Path:
    """A model as a folder; by default thresholds at 50 and 150 on a window from 0 to 200."""
    stored = thresholds_onnx() if content is None else content
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(stored)
    (folder / "model.json").write_text(json.dumps(settings(stored, **changes)))
    return folder
