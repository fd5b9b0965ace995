"""A trained network as a model that Kambin runs without PyTorch: ONNX with half-precision weights and ``model.json``, in a zip file."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kambin.errors import InputError
from kambin.segmentation.bundle_fields import FORMAT, VERSION
from kambin.segmentation.checkpoints import write_whole
from kambin.segmentation.systems import Setting, System

MODEL, SETTINGS, OTHERS = "model.onnx", "model.json", "weights.npz"
_OPSET = 17
_LEAST = 64  # numbers in a tensor that is worth halving


def onnx_bytes(network: nn.Module, size: int = 32) -> bytes:
    """A network as ONNX: input ``image`` (1, 1, x, y, z), output ``logits``, both float32; weights stored in half precision.

    Parameters
    ----------
    network
        Put into evaluation mode, on the CPU.
    size
        Voxels along each axis of the image that it is traced with; another size may be given to the result.
    """
    import onnx

    network = network.cpu().eval()
    image = torch.zeros(1, 1, size, size, size)
    axes = {0: "n", 2: "x", 3: "y", 4: "z"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, about sizes that are indeed fixed
        path = Path(folder) / MODEL
        torch.onnx.export(
            network, (image,), str(path), input_names=["image"], output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes}, opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
        model = onnx.load(str(path))
    halve_weights(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def halve_weights(model: Any) -> None:
    """Store the weights of an ONNX model in half precision, in place; each is cast back where it is used, so all is computed as before."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != TensorProto.FLOAT or int(np.prod(weights.dims)) < _LEAST:
            continue
        values = numpy_helper.to_array(weights)
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT, name=f"{name}.cast"))
    for node in reversed(casts):
        model.graph.node.insert(0, node)


def other_weights(network: nn.Module, content: bytes) -> bytes:
    """What an ONNX file does not hold under its own name, scales of norms mostly, so that training can go on from a model."""
    held = named_weights(content)
    rest = {name: tensor.numpy() for name, tensor in network.state_dict().items() if name not in held}
    stream = io.BytesIO()
    np.savez_compressed(stream, **rest)
    return stream.getvalue()


def named_weights(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The weights of an ONNX file by name, in single precision."""
    import onnx
    from onnx import numpy_helper

    found = {}
    for weights in onnx.load_from_string(content).graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype.kind == "f":
            found[weights.name.removesuffix(".half")] = values.astype(np.float32)
    return found


def load_weights(network: nn.Module, path: Path) -> None:
    """Begin with the weights of a model file of the same network.

    Raises
    ------
    InputError
        When the file is no model, or one of another network.
    """
    from kambin.segmentation.bundle import read_model

    stored = named_weights(read_model(path).network.content)
    try:
        with zipfile.ZipFile(path) as archive, np.load(io.BytesIO(archive.read(OTHERS))) as others:
            stored |= {name: others[name] for name in others.files}
    except (KeyError, OSError, ValueError, zipfile.BadZipFile):  # a model that was made elsewhere; what is missing is said below
        pass
    own = network.state_dict()
    missing = [name for name, tensor in own.items() if name not in stored or stored[name].shape != tuple(tensor.shape)]
    if missing:
        problem = f"expected the weights of the same network, found none for {missing[0]} and {len(missing) - 1} more"
        raise InputError(path, problem)
    network.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(stored[name])) for name in own})


def settings_of(system: System, preset: str, content: bytes, card: Mapping[str, Any]) -> dict[str, Any]:
    """What ``model.json`` says of a system's network."""
    setting = system.setting(preset)
    windows, patch = setting.windows, setting.windows.size if setting.windows else setting.preprocessing.size
    if patch is None:
        raise ValueError("expected a system with windows or images of one size")
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": system.key if preset == "full" else f"{system.key}-{preset}",
        "title": system.title,
        "model": MODEL,
        "sha256": hashlib.sha256(content).hexdigest(),
        "classes": list(system.classes.keys),
        "spacing_mm": None if setting.preprocessing.spacing_mm is None else list(setting.preprocessing.spacing_mm),
        "normalisation": {"kind": "zscore"},
        "patch": list(patch),
        "multiple": _multiple(setting, patch),
        **({} if windows is None else {"stride": list(windows.stride)}),
        "modality": system.modality,
        "naming": "fixed",
        "preprocessing": system.key,
        "padding": "zero",
        "blend": "probabilities",
        "weights": "uniform",
        "activation": "softmax",
        "card": dict(card),
    }


def write_bundle(path: Path, settings: Mapping[str, Any], content: bytes, others: bytes | None = None) -> None:
    """The zip file of a model: its settings, its network, and what `other_weights` gives.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # a fixed date, so that the same model makes the same file
        parts = [(SETTINGS, json.dumps(settings, indent=1).encode()), (MODEL, content), *([(OTHERS, others)] if others else [])]
        for name, text in parts:
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    write_whole(path, buffer.getvalue())


def _multiple(setting: Setting, patch: tuple[int, int, int]) -> int:
    """The largest power of two up to what the network halves its input by that divides the patch."""
    most = 2 ** (len(setting.network.options["widths"]) - 1) if setting.network.name == "unet3d" else 4
    while any(n % most for n in patch):
        most //= 2
    return most
