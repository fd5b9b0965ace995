"""A network on a scan: Kambin's tiles against nnU-Net's own predictor and MONAI's sliding window, same network, same scan, same tiles.

Run as ``python benchmarks/bench_segmentation.py`` in an environment with kambin, torch, onnx, ``nnunetv2`` and ``monai``; what is not
installed is left out. The network is of the shipped model's kind with random weights (time does not depend on them); ``--network
unet3d`` takes a plain 3D U-Net. Each method runs in a process of its own that has computed one tile before the clock starts. nnU-Net's
mirroring is off. What is timed is from a normalised image to the class of every voxel and its probability.

``--scaling`` measures Kambin's time and memory from 64³ voxels to a whole abdomen of 512 x 512 x 400 instead, with the budget of 2 GB.

``--spinect`` measures the memory of the published network of `spinect` (22,581,411 parameters, random weights) on a CT of 0.8 mm, windows
and strides as published, beside the 305 MB that its paper tells.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from common import _peak_mib

CLASSES = 14
WIDTHS = {"compact": {}, "unet3d": {"widths": (16, 32, 64, 128, 256), "norm": "instance", "up": "transposed"}}
FloatArray = npt.NDArray[np.float32]
THREADS = int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))


def torso(shape: tuple[int, int, int]) -> FloatArray:
    """A normalised image: an elliptic cylinder of soft noise with brighter blocks in a column, in air."""
    rng = np.random.default_rng(0)
    image = rng.normal(-1.6, 0.02, shape).astype(np.float32)
    x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape[:2])
    inside = (x[:, None] / 0.85) ** 2 + (y[None, :] / 0.7) ** 2 < 1
    column = (x[:, None] / 0.15) ** 2 + ((y[None, :] + 0.2) / 0.15) ** 2 < 1
    for index in range(shape[2]):
        sheet = rng.normal(0.3, 0.3, shape[:2]).astype(np.float32)
        sheet[column] += 0.8 if index % 32 < 24 else -0.6
        image[:, :, index][inside] = sheet[inside]
    return image


def torch_network(kind: str) -> Any:
    """The network, weights rounded to half precision, as the exported file has them."""
    import torch

    from kambin.segmentation.networks import build_network

    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    network = build_network(kind, CLASSES, WIDTHS[kind])
    for name, weights in network.named_parameters():
        if "norm" in name and name.endswith("weight"):
            torch.nn.init.uniform_(weights, 0.5, 1.0)  # blocks that begin as nothing are to do something here
    return network.half().float().eval()


def with_nnunet(image: FloatArray, kind: str, patch: int, _: bytes) -> npt.NDArray[np.uint8]:
    return classes_and_probabilities(nnunet_logits(image, kind, patch))[0]


def classes_and_probabilities(logits: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """What Kambin gives too: the likeliest class of every voxel and its probability, by a softmax over all of them as both do it."""
    best, classes = logits.float().softmax(0).max(0)
    return classes.numpy().astype(np.uint8), (best * 255).round().numpy().astype(np.uint8)


def nnunet_logits(image: FloatArray, kind: str, patch: int) -> Any:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.network = torch_network(kind)
    predictor.configuration_manager = SimpleNamespace(patch_size=[patch] * 3)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=CLASSES)
    return predictor.predict_sliding_window_return_logits(torch.from_numpy(image)[None])


def with_monai(image: FloatArray, kind: str, patch: int, _: bytes) -> npt.NDArray[np.uint8]:
    return classes_and_probabilities(monai_logits(image, kind, patch))[0]


def monai_logits(image: FloatArray, kind: str, patch: int) -> Any:
    import torch
    from monai.inferers import sliding_window_inference

    network = torch_network(kind)
    with torch.inference_mode():
        given = torch.from_numpy(image)[None, None]
        return sliding_window_inference(given, [patch] * 3, 1, network, overlap=0.5, mode="gaussian", sigma_scale=0.125)[0]


def with_kambin(image: FloatArray, kind: str, patch: int, content: bytes) -> npt.NDArray[np.uint8]:  # noqa: ARG001
    return kambin_prediction(image, patch, content, skip_air=False).classes


def with_kambin_in_the_body(image: FloatArray, kind: str, patch: int, content: bytes) -> npt.NDArray[np.uint8]:  # noqa: ARG001
    return kambin_prediction(image, patch, content, skip_air=True).classes


def kambin_prediction(image: FloatArray, patch: int, content: bytes, skip_air: bool) -> Any:
    from kambin.segmentation.predict import Means, predict
    from kambin.volume import Grid, Scan

    scan = Scan(Grid.axis_aligned(image.shape, 1.0), image)
    return predict(scan, kambin_model(patch, content), Means("cpu", skip_air=skip_air))


def kambin_model(patch: int, content: bytes) -> Any:
    """The exported network, with a normalisation that leaves the image as it is."""
    from kambin.segmentation.bundle import Model, Network
    from kambin.segmentation.bundle_fields import described

    keys = ["background", "trunk", "vertebral_body", "posterior_arch", "sacrum", "disc", "dural_sac", "nerve_root", "hip_bone", "psoas",
            "aorta", "vena_cava", "common_iliac_artery", "common_iliac_vein"]  # fmt: skip
    settings = {
        "format": "kambin-model", "version": 1, "classes": keys, "patch": patch, "multiple": 16, "padding": "zero",
        # nothing is cut; a twentieth of the way from low to high, below which a tile counts as air, is just above that of `torso`
        "normalisation": {"kind": "fixed", "low": -3.0, "high": 30.0, "mean": 0, "deviation": 1},
    }  # fmt: skip
    return Model(Path("benchmark"), described(Path("benchmark"), settings), Network(lambda: content, "", len(content)))


def exported(kind: str) -> bytes:
    from kambin.segmentation.export import onnx_bytes

    return onnx_bytes(torch_network(kind))


NEEDS = {"with_nnunet": ("torch", "nnunetv2.inference.predict_from_raw_data"), "with_monai": ("torch", "monai.inferers")}


def measured_once(function: Callable[..., Any], *arguments: Any) -> tuple[float, float, float, Any]:
    """Of one run in a fresh process, after one tile: seconds, seconds of all threads together, peak memory (MiB), and the result.

    Memory is counted from when the libraries have been loaded: the network's weights and what a library keeps after the first tile are
    in it.
    """
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_once, (function, arguments))


def _once(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float, float, Any]:
    image, kind, patch, content = arguments
    for name in NEEDS.get(function.__name__, ("openvino", "kambin.segmentation.predict", "scipy.ndimage")):
        import_module(name)
    before = _peak_mib(reset=True)
    function(np.ascontiguousarray(image[:patch, :patch, :patch]), kind, patch, content)
    start, worked = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    return seconds, worked, max(_peak_mib() - before, 1.0), result


def agreement(kind: str, patch: int, content: bytes) -> dict[str, float]:
    """Largest difference in probability from a plain computation in double precision, on an image of 27 tiles."""
    import torch

    from kambin.segmentation.bundle_fields import Padding, Weights
    from kambin.segmentation.runtime import open_runtime
    from kambin.segmentation.tiles import planned, predict_probabilities, tile_weights

    shape = (2 * patch,) * 3
    image = torso(shape)
    model = kambin_model(patch, content)
    runtime = open_runtime(model.network, model.description, (patch,) * 3, "cpu")
    ours = predict_probabilities(runtime, image, (patch,) * 3, CLASSES, multiple=16, padding=Padding.ZERO)
    network, plan = torch_network(kind), planned(shape, (patch,) * 3, None, CLASSES)
    weights = tile_weights((patch,) * 3, Weights.GAUSSIAN).astype(float)
    total, counts = np.zeros((CLASSES, *shape)), np.zeros(shape)
    with torch.inference_mode():
        for start in plan.tiles(plan.bands[0]):
            box = tuple(slice(s, s + patch) for s in start)
            total[(slice(None), *box)] += network(torch.from_numpy(image[box].copy())[None, None])[0].numpy() * weights
            counts[box] += weights
    plain = _softmax(total / counts)
    found = {"Kambin": float(np.abs(ours - plain).max())}
    if find_spec("monai"):
        theirs = _softmax(monai_logits(image, kind, patch).double().numpy())
        found |= {"MONAI": float(np.abs(theirs - plain).max()), "Kambin against MONAI": float(np.abs(theirs - ours).max())}
    if find_spec("nnunetv2"):
        theirs = _softmax(nnunet_logits(image, kind, patch).double().numpy())
        found["nnU-Net (a Gaussian half a voxel off, sums in half precision)"] = float(np.abs(theirs - plain).max())
    return found


def _softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = np.exp(scores - scores.max(axis=0))
    return np.asarray(shifted / shifted.sum(axis=0))


def compare(kind: str, patch: int, size: int, content: bytes) -> None:
    image = torso((size, size, size))
    methods = {"Kambin": with_kambin, "Kambin, tiles in air left out": with_kambin_in_the_body}
    methods |= {"nnU-Net": with_nnunet} if find_spec("nnunetv2") else {}
    methods |= {"MONAI": with_monai} if find_spec("monai") else {}
    print(f"{size}³ voxels, tiles of {patch}³ half a tile apart, {CLASSES} classes, {THREADS} threads, network {kind}")
    print(f"{'':32} {'time':>9} {'of threads':>11} {'memory':>10} {'x time':>7} {'x memory':>9} {'same class':>11}")
    first: tuple[float, float, float, Any] | None = None
    for name, method in methods.items():
        seconds, worked, memory, classes = measured_once(method, image, kind, patch, content)
        first = first or (seconds, worked, memory, classes)
        ratios = f"{seconds / first[0]:7.2f} {memory / first[2]:9.2f} {float((classes == first[3]).mean()):11.3%}"
        print(f"{name:32} {seconds:7.1f} s {worked:9.1f} s {memory:6.0f} MiB {ratios}", flush=True)
    for name, difference in agreement(kind, patch, content).items():
        print(f"largest difference in probability from the plain computation: {name}: {difference:.1e}")


def scaling(kind: str, patch: int, content: bytes, largest: int) -> None:
    sizes = [(64, 64, 64), (128, 128, 128), (192, 192, 192), (256, 256, 256), (384, 384, 300), (512, 512, 400)]
    print(f"Kambin, tiles of {patch}³ half a tile apart, {CLASSES} classes, {THREADS} threads, budget 2 GB, network {kind}")
    print(f"{'voxels':>16} {'million':>8} {'time':>9} {'s / million':>12} {'memory':>10} {'bytes / voxel':>14}")
    for shape in (size for size in sizes if np.prod(size) <= largest * 1e6):
        million = float(np.prod(shape)) / 1e6
        seconds, _, memory, _ = measured_once(with_kambin, torso(shape), kind, patch, content)
        text = " x ".join(map(str, shape))
        each = memory * 1.048576 / million
        print(f"{text:>16} {million:8.2f} {seconds:7.1f} s {seconds / million:12.2f} {memory:6.0f} MiB {each:14.1f}", flush=True)


def spinect_bundle(place: str) -> None:
    import torch

    from kambin.segmentation.export import onnx_bytes, settings_of, write_bundle
    from kambin.segmentation.networks import build_network
    from kambin.segmentation.systems import find_system

    system = find_system("spinect")
    torch.manual_seed(0)
    setting = system.setting("full")
    content = onnx_bytes(build_network(setting.network.name, len(system.classes), setting.network.options))
    write_bundle(Path(place), settings_of(system, "full", content, {}), content)


def _spinect_once(place: str, shape: tuple[int, int, int], budget: int) -> tuple[float, float, int]:
    import_module("openvino")
    from kambin.segmentation.bundle import read_model
    from kambin.segmentation.predict import Means, predict
    from kambin.volume import Grid, Scan

    scan = Scan(Grid.axis_aligned(shape, 0.8), (torso(shape) * 300.0).astype(np.int16))
    before = _peak_mib(reset=True)
    start = time.perf_counter()
    found = predict(scan, read_model(place), Means("cpu", memory_bytes=budget, skip_air=False))
    return time.perf_counter() - start, _peak_mib() - before, found.computed


def spinect() -> None:
    """Memory of the whole inference, from reading the model on; beside it are the libraries and the scan."""
    shape = (200, 200, 120)
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "spinect.zip")
        with get_context("spawn").Pool(1) as pool:
            pool.apply(spinect_bundle, (place,))
        size = " x ".join(map(str, shape))
        print(f"spinect, 22,581,411 parameters, CT of {size} voxels of 0.8 mm, {THREADS} threads; published: 305 MB")
        for budget in (2_000_000_000, 500_000_000, 305_000_000):
            with get_context("spawn").Pool(1) as pool:
                try:
                    seconds, memory, tiles = pool.apply(_spinect_once, (place, shape, budget))
                except Exception as error:  # too small a budget is said as it is
                    print(f"budget {budget / 1e6:5.0f} MB: {error}")
                    continue
            print(f"budget {budget / 1e6:5.0f} MB: {tiles} windows, {seconds:.1f} s, {memory * 1.048576:.0f} MB", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--network", choices=sorted(WIDTHS), default="compact")
    options.add_argument("--patch", type=int, default=96, help="voxels of a tile along each axis")
    options.add_argument("--size", type=int, default=240, help="voxels of the scan along each axis (at 240 all place their tiles alike)")
    options.add_argument("--scaling", action="store_true")
    options.add_argument("--largest", type=float, default=1e9, help="with --scaling, million voxels at most")
    options.add_argument("--spinect", action="store_true")
    chosen = options.parse_args()
    if chosen.spinect:
        spinect()
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "network.onnx"
        with get_context("spawn").Pool(1) as pool:  # so that PyTorch's memory is not in this process
            place.write_bytes(pool.apply(exported, (chosen.network,)))
        content = place.read_bytes()
    if chosen.scaling:
        scaling(chosen.network, chosen.patch, content, chosen.largest)
    else:
        compare(chosen.network, chosen.patch, chosen.size, content)


if __name__ == "__main__":
    main()
