"""Training in two processes gives what training in one gives; and what needs no PyTorch does not load it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kambin.segmentation.checkpoints import load_checkpoint
from kambin.segmentation.training import LAST, Training, train
from kambin.segmentation.workers import Worker

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from test_workers import plain_training
from kambin.segmentation.training import train
from kambin.segmentation.workers import joined

with joined("cpu") as worker:
    train(plain_training(worker.rank, worker.count), Path(sys.argv[1]), replace(worker, may_halve=False))
"""


def plain_training(rank: int = 0, workers: int = 1) -> Training:
    """Two epochs with a loss that is a mean over voxels, so that the mean over two halves of a batch is that of the batch."""
    from dataclasses import replace

    from kambin.segmentation.losses import loss_of
    from kambin.segmentation.networks import build_network
    from kambin.segmentation.sources import ScanSource
    from kambin.segmentation.systems import Augmentation, Loss
    from kambin.segmentation.targets import Targets
    from test_training import CLASSES, prepared, training

    whole = training(2)
    recipe = replace(whole.recipe, loss=Loss.WEIGHTED_CROSS_ENTROPY, augmentation=Augmentation())
    targets = Targets.of(CLASSES)
    torch.manual_seed(0)
    network = build_network("unet3d", 4, {"widths": (4, 8), "norm": "instance"})
    source = ScanSource(prepared(), recipe, targets, 0, rank, workers)
    return replace(whole, network=network, source=source, loss=loss_of(recipe, targets), recipe=recipe)


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    log = train(plain_training(), one, Worker(torch.device("cpu"), may_halve=False))
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*command, str(tmp_path / "script.py"), str(two)], capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    states = [load_checkpoint(folder / LAST) for folder in (one, two)]
    assert [entry["loss"] for entry in states[1]["log"]] == pytest.approx([entry.loss for entry in log], abs=1e-5)
    for name, weights in states[0]["network"].items():
        # a bias before a normalisation has no gradient but rounding, which Adam makes as large as any
        if not name.endswith(("0.bias", "3.bias")):
            assert torch.allclose(weights, states[1]["network"][name], atol=2e-3), name


@pytest.mark.parametrize("rooms", ["kambin.cli.app", "kambin.pipeline.train", "kambin.segmentation.published, kambin.io.training_data"])
def test_what_needs_no_pytorch_does_not_load_it(rooms: str) -> None:
    code = f"import sys, {rooms}; print([name for name in ('torch', 'onnx', 'monai') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_without_pytorch_training_says_how_to_get_it() -> None:
    code = """
import sys
sys.modules["torch"] = None
from kambin.errors import InputError
from kambin.pipeline.train import train_system
from kambin.pipeline.train_cases import TrainOrder
try:
    train_system(TrainOrder("spinect", "nowhere"), "out")
except InputError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'kambin[train]'" in told


@pytest.mark.parametrize(("known", "units"), [({"amx_bf16": True}, True), ({"avx512_bf16": True}, False), ({}, False)])
def test_half_precision_is_used_where_matrix_units_make_it_quicker(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, bool], units: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    dense, apart = torch.nn.Conv3d(2, 2, 3), torch.nn.Conv3d(2, 2, 3, groups=2)
    worker, image = Worker(torch.device("cpu")), torch.zeros(1, 2, 4, 4, 4)
    with worker.mixed(dense):
        assert dense(image).dtype == (torch.bfloat16 if units else torch.float32)
    with worker.mixed(apart):
        assert apart(image).dtype == torch.float32
    with replace(worker, may_halve=False).mixed(dense):
        assert dense(image).dtype == torch.float32
