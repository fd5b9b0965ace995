"""What runs a network: OpenVINO on processors, ONNX Runtime on graphics cards, and on processors where there is no OpenVINO.

Both are imported here alone, when a network is opened. A network is compiled once, for one size of tile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.segmentation.bundle import Network
from kambin.segmentation.bundle_fields import Description, Triple
from kambin.segmentation.group_norm import unfold_group_norms

FloatArray = npt.NDArray[np.float32]
DEVICES = ("auto", "cpu", "gpu")
_GPU_PROVIDERS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider")
_TRIED_BY_ITSELF = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider")
"""CoreML is slower than a processor where it knows not every operation in three dimensions; so only when asked for."""
_NO_MEMORY = ("bad_alloc", "bad allocation", "out of memory", "failed to allocate", "cannot allocate", "not enough memory")


@dataclass(slots=True, eq=False)
class Runtime:
    """A network, compiled for tiles of one size; called with a tile in the order of a scan it gives its scores in that order.

    Parameters
    ----------
    tile
        Voxels right, anterior, cranial.
    classes
        Number of its output channels.
    device
        What it runs on, in words.
    """

    tile: Triple
    classes: int
    device: str
    _engine: Any
    _order: Triple
    _signs: Triple

    @property
    def is_gpu(self) -> bool:
        """Whether it runs on a graphics card, and in its memory."""
        return self.device.startswith("GPU")

    @property
    def activation_bytes(self) -> int | None:
        """About what the network needs beside its weights while it works; None where the engine does not tell."""
        found: int | None = self._engine.activation_bytes
        return found

    def __call__(self, tile: FloatArray) -> FloatArray:
        """Scores, shape (classes, x, y, z), of a tile, shape (x, y, z). The array is the engine's own: it holds until the next call.

        Raises
        ------
        MemoryError
            When there is not enough for the network at this size of tile.
        """
        order, flips = self._order, tuple(slice(None, None, sign) for sign in self._signs)
        given = np.ascontiguousarray(tile.transpose(order)[flips])[None, None]
        try:
            scores = self._engine(given)[0]
        except Exception as error:
            raise _told(error) from error
        back = np.argsort(order)
        result = scores[(slice(None), *flips)].transpose(0, *(1 + back))
        return np.asarray(result, dtype=np.float32)


def open_runtime(
    network: Network, description: Description, tile: Triple, device: str = "auto", *, source: str | Path = "model"
) -> Runtime:
    """Compile a network for tiles of one size.

    Parameters
    ----------
    network, description
        Of a bundle.
    tile
        Voxels right, anterior, cranial: multiples of what the network asks for.
    device
        ``"cpu"``, ``"gpu"``, or ``"auto"``: a graphics card where one can be used, else the processor.
    source
        The model's file, for messages.

    Raises
    ------
    InputError
        When the device is none of these or not there, neither runtime is installed, or the file is no network for one volume in and
        one score a class out.
    MemoryError
        When there is not enough for the network at this size of tile.
    """
    if device not in DEVICES:
        raise InputError("--device", f"expected {', '.join(DEVICES)}, found {device!r}")
    order, signs = description.axes
    shape = (1, 1, *(tile[axis] for axis in order))
    providers = _gpu_providers(device)
    try:
        engine, words = _opened(network, shape, providers, device, source)
    except InputError:
        raise
    except Exception as error:  # whatever an engine says of a file that it cannot use
        told = _told(error)
        if isinstance(told, MemoryError):
            raise told from error
        problem = f"{description.network} cannot be used ({' '.join(str(error).split())[:200]})"
        raise InputError(source, problem, hint="It is damaged, or no network in the ONNX format.") from error
    _check_output(engine.output_shape, description, tile, source)
    return Runtime(tile, len(description.classes), words, engine, order, signs)


def _opened(network: Network, shape: tuple[int, ...], providers: Sequence[str], device: str, source: str | Path) -> tuple[Any, str]:
    if providers:
        try:
            return _OrtEngine(network, shape, providers, source), f"GPU ({providers[0].removesuffix('ExecutionProvider')})"
        except Exception:
            if device == "gpu":
                raise
    if find_spec("openvino") is not None:
        return _OpenVinoEngine(network, shape, source), "CPU (OpenVINO)"
    if find_spec("onnxruntime") is not None:
        return _OrtEngine(network, shape, ("CPUExecutionProvider",), source), "CPU (ONNX Runtime)"
    hint = "Install it with `pip install openvino`, or ONNX Runtime with `pip install onnxruntime`."
    raise InputError("openvino", "expected what runs a network, found neither OpenVINO nor ONNX Runtime", hint=hint)


def _gpu_providers(device: str) -> list[str]:
    """What ONNX Runtime can use of graphics cards here.

    Raises
    ------
    InputError
        When one was asked for and there is none.
    """
    if device == "cpu":
        return []
    found: list[str] = []
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        there = onnxruntime.get_available_providers()
        found = [name for name in (_GPU_PROVIDERS if device == "gpu" else _TRIED_BY_ITSELF) if name in there]
    if device == "gpu" and not found:
        hint = "Install ONNX Runtime for your card, for example with `pip install 'kambin[gpu]'`, or use --device cpu."
        raise InputError("--device", "expected a graphics card that ONNX Runtime can use, found none", hint=hint)
    return found


class _OpenVinoEngine:
    """OpenVINO on the processor, in single precision: what it gives differs from other engines by rounding alone."""

    def __init__(self, network: Network, shape: tuple[int, ...], source: str | Path) -> None:
        import openvino

        core = openvino.Core()
        model = _mapped(core, network.content)
        _check_ends(len(model.inputs), len(model.outputs), source)
        model.reshape({model.inputs[0]: openvino.PartialShape(list(shape))})
        self.output_shape = tuple(int(n) for n in model.outputs[0].get_partial_shape().to_shape())
        unfold_group_norms(model)
        self.activation_bytes = _activation_bytes(model)
        wishes = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(threads())}
        self._request = core.compile_model(model, "CPU", wishes).create_infer_request()

    def __call__(self, given: FloatArray) -> FloatArray:
        import openvino

        self._request.set_input_tensor(openvino.Tensor(given, shared_memory=True))
        self._request.infer()
        result: FloatArray = self._request.get_output_tensor(0).data
        return result


def _mapped(core: Any, content: bytes) -> Any:
    """The network as a file of OpenVINO's own, which it maps: of an ONNX file it would hold a copy beside what it makes of it."""
    import openvino

    whole = core.read_model(model=content, weights=b"")
    try:
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            place = Path(folder) / "network.xml"
            openvino.save_model(whole, place, compress_to_fp16=False)
            return core.read_model(place)
    except (OSError, RuntimeError):  # no room for it
        return whole


class _OrtEngine:
    """ONNX Runtime."""

    activation_bytes = None

    def __init__(self, network: Network, shape: tuple[int, ...], providers: Sequence[str], source: str | Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads()
        fallback = [] if "CPUExecutionProvider" in providers else ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(network.content, options, providers=[*providers, *fallback])
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        _check_ends(len(inputs), len(outputs), source)
        self._names = (inputs[0].name, outputs[0].name)
        self.output_shape = tuple(
            n if isinstance(n, int) else (1, None, *shape[2:])[axis] for axis, n in enumerate(outputs[0].shape or (None,) * 5)
        )

    def __call__(self, given: FloatArray) -> FloatArray:
        result: FloatArray = self._session.run([self._names[1]], {self._names[0]: given})[0]
        return result


def threads() -> int:
    """How many threads a network may use: $OMP_NUM_THREADS, or the cores that this process may run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_ends(inputs: int, outputs: int, source: str | Path) -> None:
    if (inputs, outputs) != (1, 1):
        raise InputError(source, f"expected a network of one input and one output, found {inputs} and {outputs}")


def _check_output(found: Sequence[int | None], description: Description, tile: Triple, source: str | Path) -> None:
    order, _ = description.axes
    expected = (1, len(description.classes), *(tile[axis] for axis in order))
    if len(found) != 5 or any(n is not None and n != e for n, e in zip(found, expected, strict=True)):
        text = " x ".join("?" if n is None else str(n) for n in found)
        problem = f"expected one score for each of {expected[1]} classes at every voxel ({' x '.join(map(str, expected))}), found {text}"
        raise InputError(source, problem, hint="The classes of its settings and the channels of its output have to agree.")


def _activation_bytes(model: Any) -> int:
    """Memory of the tensors between a network's layers, each gone as soon as nobody needs it: a lower bound of what it takes."""
    operations = model.get_ordered_ops()
    last_use: dict[tuple[str, int], int] = {}
    for position, operation in enumerate(operations):
        for given in operation.inputs():
            origin = given.get_source_output()
            last_use[(origin.get_node().get_friendly_name(), origin.get_index())] = position
    alive, most = 0, 0
    leaving: dict[int, int] = {}
    for position, operation in enumerate(operations):
        if operation.get_type_name() != "Constant":
            for index, output in enumerate(operation.outputs()):
                if output.get_partial_shape().is_static:
                    size = 4 * int(np.prod(list(output.get_shape()), dtype=np.int64))
                    alive += size
                    gone = last_use.get((operation.get_friendly_name(), index), len(operations))
                    leaving[gone] = leaving.get(gone, 0) + size
        most = max(most, alive)
        alive -= leaving.pop(position, 0)
    return most


def _told(error: Exception) -> Exception:
    """The same error; a `MemoryError` where an engine says in words that it found no memory."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(word in text for word in _NO_MEMORY):
        return MemoryError(str(error))
    return error
