"""What a network learns from: losses in closed form and against MONAI's, sides that swap, a loop that does not mind interruption."""

from __future__ import annotations

import errno
import io
import json
import math
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kambin.anatomy.structures import Structure
from kambin.errors import InputError, OutputError
from kambin.segmentation import checkpoints
from kambin.segmentation.augment import augmented
from kambin.segmentation.bundle import read_model
from kambin.segmentation.classes import UNKNOWN, ClassSet
from kambin.segmentation.combined import predicted_classes, summed
from kambin.segmentation.export import onnx_bytes, settings_of, write_bundle
from kambin.segmentation.losses import CrossEntropy, OfScores, SoftDice, loss_of
from kambin.segmentation.networks import BUILDERS, build_network
from kambin.segmentation.networks.unet3d import NORMS
from kambin.segmentation.published import LIVF_L5S1, SYSTEMS
from kambin.segmentation.sources import PreparedCase, ScanSource
from kambin.segmentation.systems import Augmentation, Recipe, Windows
from kambin.segmentation.targets import Targets
from kambin.segmentation.training import BEST, LAST, LOG, Training, train
from kambin.segmentation.workers import Worker, joined
from training_cases import KEYS, TINY

CLASSES = ClassSet(tuple(Structure.from_key(key) for key in KEYS))
CPU = Worker(torch.device("cpu"))


def scores_of(*probabilities: float) -> torch.Tensor:
    """Scores of one voxel whose softmax is this."""
    return torch.log(torch.tensor(probabilities)).reshape(1, -1, 1, 1, 1)


def voxel(number: int) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), number, dtype=torch.uint8)


# losses


def test_cross_entropy_of_a_labelled_voxel_is_the_logarithm_of_its_class() -> None:
    loss = OfScores(CrossEntropy(Targets.of(CLASSES)))
    assert float(loss(scores_of(0.1, 0.2, 0.3, 0.4), voxel(2))) == pytest.approx(-math.log(0.3))


def test_where_a_structure_was_not_labelled_its_probability_counts_as_background() -> None:
    targets = Targets.of(CLASSES, [("disc_L5",)])
    rest = targets.rest(("disc_L5",))
    loss = OfScores(CrossEntropy(targets))
    scores = scores_of(0.1, 0.2, 0.3, 0.4).requires_grad_()
    value = loss(scores, voxel(rest))
    assert float(value.detach()) == pytest.approx(-math.log(0.1 + 0.3 + 0.4))
    value.backward()
    # towards the sum, and not towards background in particular: the derivative is p times (1 - 1 / sum) inside the set, p outside
    expected = [0.1 * (1 - 1 / 0.8), 0.2, 0.3 * (1 - 1 / 0.8), 0.4 * (1 - 1 / 0.8)]
    assert scores.grad is not None
    assert scores.grad.ravel().tolist() == pytest.approx(expected, abs=1e-6)


def test_nothing_is_learnt_from_unknown_voxels() -> None:
    targets = Targets.of(CLASSES)
    for loss in (OfScores(CrossEntropy(targets)), OfScores(SoftDice(targets))):
        one, other = (scores_of(*p).requires_grad_() for p in ((0.1, 0.2, 0.3, 0.4), (0.7, 0.1, 0.1, 0.1)))
        values = [loss(scores, voxel(UNKNOWN)) for scores in (one, other)]
        assert float(values[0].detach()) == pytest.approx(float(values[1].detach()))
        values[0].backward()
        assert one.grad is not None
        assert not one.grad.any()


def test_weights_are_those_of_the_true_class() -> None:
    loss = OfScores(CrossEntropy(Targets.of(CLASSES), (1.0, 2.0, 4.0, 1.0)))
    scores = torch.cat([scores_of(0.1, 0.2, 0.3, 0.4)] * 2, dim=2)
    numbers = torch.tensor([1, 2], dtype=torch.uint8).reshape(1, 2, 1, 1)
    expected = -(2 * math.log(0.2) + 4 * math.log(0.3)) / 6
    assert float(loss(scores, numbers)) == pytest.approx(expected)
    assert float(loss(scores, numbers)) == pytest.approx(
        float(nn.functional.cross_entropy(scores, numbers.long(), torch.tensor([1.0, 2.0, 4.0, 1.0])))
    )


def test_dice_is_that_of_monai_where_all_is_labelled() -> None:
    monai = pytest.importorskip("monai.losses")
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn((2, 4, 5, 6, 7), generator=generator)
    numbers = torch.randint(0, 4, (2, 5, 6, 7), generator=generator)
    other = monai.DiceLoss(softmax=True, to_onehot_y=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    ours = OfScores(SoftDice(Targets.of(CLASSES)))
    assert float(ours(scores, numbers)) == pytest.approx(float(other(scores, numbers[:, None])), abs=1e-6)


def test_a_set_of_one_class_is_that_class_for_dice() -> None:
    """With voxels of sets among them the general way is taken; on labelled voxels both agree."""
    targets = Targets.of(CLASSES, [("disc_L5", "psoas_left")])
    generator = torch.Generator().manual_seed(2)
    scores = torch.randn((1, 4, 4, 4, 5), generator=generator)
    numbers = torch.randint(0, 4, (1, 4, 4, 5), generator=generator)
    wide = torch.cat([scores, scores[..., :1]], dim=-1)
    unknown = torch.cat([numbers, torch.full((1, 4, 4, 1), UNKNOWN)], dim=-1)
    loss = OfScores(SoftDice(targets))
    assert float(loss(wide, unknown)) == pytest.approx(float(loss(scores, numbers)), abs=1e-6)


def test_a_voxel_of_a_set_is_wrong_for_a_class_outside_the_set() -> None:
    targets = Targets.of(CLASSES, [("disc_L5",)])
    rest = targets.rest(("disc_L5",))
    loss = OfScores(SoftDice(targets))
    # of four classes only the disc is told there: 2 * 0 + 1 over 0.2 + 1; the three others are undefined, 1 each
    assert float(loss(scores_of(0.1, 0.2, 0.3, 0.4), voxel(rest))) == pytest.approx(1 - (3 + 1 / 1.2) / 4)


def test_targets_name_their_sets_and_know_their_mirror_images() -> None:
    targets = Targets.of(CLASSES, [("psoas_left",), None, KEYS])
    left = targets.rest(("psoas_left",))
    assert targets.membership()[left].tolist() == [True, True, False, True]
    mirrored = targets.mirrored()
    assert mirrored[:4].tolist() == [0, 1, 3, 2]
    assert targets.membership()[mirrored[left]].tolist() == [True, True, True, False]
    assert mirrored[mirrored[left]] == left
    assert mirrored[UNKNOWN] == UNKNOWN
    assert targets.rest(None) == targets.rest(KEYS) == 0
    with pytest.raises(InputError, match="found disc_L3"):
        Targets.of(CLASSES, [("disc_L3",)])


# augmentation


def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    classes = torch.randint(0, 4, (9, 8, 7), generator=generator, dtype=torch.uint8)
    return classes.float() * 10, classes


def test_a_mirrored_image_has_its_sides_swapped() -> None:
    image, classes = case()
    how, targets = Augmentation(flips=(0,)), Targets.of(CLASSES)
    seen = set()
    for seed in range(8):
        turned, labels = augmented(image, classes, how, targets, np.random.default_rng(seed), 0)
        if torch.equal(turned, image):
            assert torch.equal(labels, classes)
            seen.add("as it was")
        else:
            assert torch.equal(turned.flip(0), image)
            swapped = torch.tensor([0, 1, 3, 2], dtype=torch.uint8)[classes.long()]
            assert torch.equal(labels.flip(0), swapped)
            seen.add("mirrored")
    assert seen == {"as it was", "mirrored"}


def test_a_flip_of_front_and_back_swaps_no_sides() -> None:
    image, classes = case()
    for seed in range(6):
        turned, labels = augmented(image, classes, Augmentation(flips=(1, 2)), Targets.of(CLASSES), np.random.default_rng(seed), 0)
        assert torch.equal(turned, labels.float() * 10)


def test_labels_turn_and_bend_with_the_image() -> None:
    ball = torch.zeros(24, 24, 24)
    x, y, z = torch.meshgrid(*(torch.arange(24.0),) * 3, indexing="ij")
    ball[((x - 15) ** 2 + (y - 9) ** 2 + (z - 12) ** 2) < 16] = 1.0
    how, targets = Augmentation(15.0, 0.05), Targets.of(CLASSES)
    for seed in range(3):
        image, classes = augmented(ball, ball.to(torch.uint8), how, targets, np.random.default_rng(seed), 0)
        apart = (torch.argwhere(image > 0.5).float().mean(0) - torch.argwhere(classes == 1).float().mean(0)).abs().max()
        moved = (torch.argwhere(classes == 1).float().mean(0) - torch.tensor([15.0, 9.0, 12.0])).norm()
        assert apart < 0.2
        assert 0.05 < moved < 5.0
    again = augmented(ball, ball.to(torch.uint8), how, targets, np.random.default_rng(2), 0)[0]
    assert torch.equal(again, image)


def test_a_turn_keeps_distances_whatever_the_shape_of_the_image() -> None:
    points = torch.zeros(40, 24, 12)
    points[14, 12, 6] = points[26, 12, 6] = 1000.0
    for seed in range(3):
        image, _ = augmented(points, points.to(torch.uint8), Augmentation(15.0), Targets.of(CLASSES), np.random.default_rng(seed), 0)
        weights = image.reshape(-1)
        places = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in image.shape), indexing="ij"), -1).reshape(-1, 3)
        halves = [places[:, 0] < 20, places[:, 0] >= 20]
        ends = [(places[half] * weights[half, None]).sum(0) / weights[half].sum() for half in halves]
        assert float((ends[0] - ends[1]).norm()) == pytest.approx(12.0, abs=0.6)


def test_what_comes_in_from_beyond_is_the_rest() -> None:
    full = torch.ones(12, 12, 12)
    rest = 4
    targets = Targets.of(CLASSES, [("disc_L5",)])
    _, classes = augmented(full, full.to(torch.uint8), Augmentation(30.0), targets, np.random.default_rng(1), rest)
    assert set(classes.unique().tolist()) == {1, rest}


# the loop


def prepared(count: int = 4) -> list[PreparedCase]:
    cases = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        classes = np.zeros((12, 8, 8), np.uint8)
        classes[2 + seed % 2 : 6, 2:6, 2:6], classes[8:10, 2:6, 2:6] = 1, 2
        cases.append(PreparedCase(str(seed), (classes + rng.normal(0, 0.3, classes.shape)).astype(np.float32), classes))
    return cases


def training(epochs: int, seed: int = 0, recipe: Recipe | None = None) -> Training:
    recipe = replace(recipe or TINY.setting("full").recipe, epochs=epochs, divided_at=(2,))
    targets = Targets.of(CLASSES)
    torch.manual_seed(seed)
    network = build_network("unet3d", 4, {"widths": (4, 8), "norm": "batch"})
    source = ScanSource(prepared(), recipe, targets, seed)

    def validate(now: nn.Module, _epoch: int) -> dict[str, float]:
        found = predicted_classes(now, prepared()[0].image, None, CPU.device)
        return {"disc_L5": float((found == prepared()[0].classes).mean()), "psoas_left": float("nan")}

    return Training(network, source, loss_of(recipe, targets), recipe, validate, {"seed": seed}, seed)


def weights(folder: Path, name: str = LAST) -> dict[str, torch.Tensor]:
    return checkpoints.load_checkpoint(folder / name)["network"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    log = train(training(4), whole, CPU)
    train(training(1), parts, CPU)
    train(training(3), parts, CPU)
    again = train(training(4), parts, CPU)
    assert same(weights(whole), weights(parts))
    assert same(weights(whole, BEST), weights(parts, BEST))
    assert [entry.loss for entry in log] == [entry.loss for entry in again]
    assert [entry.learning_rate for entry in log] == pytest.approx([0.02, 0.02, 0.004, 0.004])
    lines = (parts / LOG).read_text().splitlines()
    assert lines[0] == "epoch,learning_rate,loss,mean_dice,dice_disc_L5,dice_psoas_left,seconds"
    assert len(lines) == 5
    assert ",," in lines[1]  # what is undefined is empty
    best = max(log, key=lambda entry: entry.mean)
    assert checkpoints.load_checkpoint(parts / BEST)["epoch"] == best.epoch


def test_curves_are_written_for_tensorboard_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert Path(folder).parent == tmp_path
            assert purge_step == 1

        def add_scalar(self, name: str, value: float, epoch: int) -> None:
            told.append((name, value, epoch))

        def close(self) -> None:
            told.append(("closed", 0.0, 0))

    module = types.ModuleType("tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    (entry,) = train(training(1), tmp_path, CPU)
    assert ("loss", entry.loss, 1) in told
    assert ("dice/mean", entry.mean, 1) in told
    assert all(name != "dice/psoas_left" for name, _, _ in told)  # undefined
    assert told[-1][0] == "closed"


def test_another_seed_trains_another_network(tmp_path: Path) -> None:
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        train(training(1, seed), tmp_path / str(seed), CPU)
    assert not same(weights(tmp_path / "0"), weights(tmp_path / "1"))


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    train(training(1), tmp_path, CPU)
    with pytest.raises(InputError, match="seed is 1 and was 0"):
        train(training(2, seed=1), tmp_path, CPU)


def test_averaged_weights_go_with_what_batch_normalisation_has_seen(tmp_path: Path) -> None:
    recipe = replace(TINY.setting("full").recipe, average=0.5)
    train(replace(training(1, recipe=recipe), average=recipe.average), tmp_path, CPU)
    last, kept = checkpoints.load_checkpoint(tmp_path / LAST)["network"], weights(tmp_path, BEST)
    statistics = [key for key in last if "running" in key]
    assert statistics
    assert all(torch.equal(last[key], kept[key]) for key in statistics)
    assert not same(last, kept)


def test_a_network_learns(tmp_path: Path) -> None:
    log = train(training(12, recipe=replace(TINY.setting("full").recipe, augmentation=Augmentation())), tmp_path, CPU)
    assert log[-1].loss < 0.6 * log[0].loss
    assert log[-1].mean > 0.9


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_epochs_before(tmp_path: Path) -> None:
    train(training(1), tmp_path, CPU)
    before = (tmp_path / LAST).read_bytes()
    broken = training(2)

    class Broken:
        steps_per_epoch = 1

        def batch(self, _step: int, _generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.full((1, 1, 8, 8, 8), torch.nan), torch.zeros((1, 8, 8, 8), dtype=torch.uint8)

    with pytest.raises(InputError, match="epoch 2 is no number"):
        train(replace(broken, source=Broken()), tmp_path, CPU)
    assert (tmp_path / LAST).read_bytes() == before


def test_ctrl_c_within_an_epoch_leaves_the_one_before(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    train(training(2), whole, CPU)
    train(training(1), tmp_path, CPU)

    def stop(_text: str, done: float) -> None:
        if done > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(training(2), tmp_path, CPU, stop)
    train(training(2), tmp_path, CPU)
    assert same(weights(whole), weights(tmp_path))


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(training(1), tmp_path, CPU)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        train(training(2), tmp_path, CPU)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "cut"])
def test_a_damaged_checkpoint_is_said(tmp_path: Path, content: bytes | str) -> None:
    train(training(1), tmp_path, CPU)
    whole = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(InputError, match="damaged"):
        train(training(2), tmp_path, CPU)


def test_whole_images_come_once_an_epoch_each_time_in_another_order() -> None:
    cases = [PreparedCase(str(n), np.full((2, 2, 2), n, np.float32), np.zeros((2, 2, 2), np.uint8)) for n in range(6)]
    source = ScanSource(cases, Recipe(1, 2, 0.1), Targets.of(CLASSES))
    epochs = []
    for epoch in range(2):
        batches = [source.batch(3 * epoch + step, np.random.default_rng(0))[0][:, 0, 0, 0, 0].tolist() for step in range(3)]
        epochs.append([int(n) for batch in batches for n in batch])
        assert sorted(epochs[-1]) == list(range(6))
    assert epochs[0] != epochs[1]
    # two processes share each batch
    halves = [ScanSource(cases, Recipe(1, 2, 0.1), Targets.of(CLASSES), rank=rank, workers=2) for rank in (0, 1)]
    shared = [int(half.batch(1, np.random.default_rng(0))[0][0, 0, 0, 0, 0]) for half in halves]
    assert shared == epochs[0][2:4]


def test_patches_hold_a_class_in_their_middle_when_they_are_centred() -> None:
    recipe = Recipe(1, 4, 0.1, patch=(4, 4, 4), centred=1.0)
    source = ScanSource(prepared(), recipe, Targets.of(CLASSES))
    images, classes = source.batch(0, np.random.default_rng(1))
    assert images.shape == (4, 1, 4, 4, 4)
    assert images.dtype == torch.float32
    assert (classes.reshape(4, -1) > 0).any(dim=1).all()


def test_a_patch_larger_than_its_image_is_padded_with_what_teaches_nothing() -> None:
    recipe = Recipe(1, 1, 0.1, patch=(16, 8, 8))
    images, classes = ScanSource(prepared(1), recipe, Targets.of(CLASSES)).batch(0, np.random.default_rng(1))
    assert images.shape == (1, 1, 16, 8, 8)
    assert (classes[0, 12:] == UNKNOWN).all()
    assert not images[0, 0, 12:].any()


# the networks at work, and as models


@pytest.mark.parametrize("name", ["unet3d", "deeplab3d"])
def test_networks_answer_at_the_size_of_the_image(name: str) -> None:
    options = {"unet3d": {"widths": (2, 4, 8)}, "deeplab3d": {"widths": (2, 4, 8, 8)}}[name]
    network = build_network(name, 3, options).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 13, 10, 17)).shape == (1, 3, 13, 10, 17)
    assert name in BUILDERS


def test_instances_are_normalised_as_pytorch_does_it() -> None:
    image = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(NORMS["instance"](3)(image), nn.InstanceNorm3d(3, affine=True)(image), atol=1e-5)


def test_convolutions_begin_as_he_et_al_have_it() -> None:
    torch.manual_seed(0)
    network = build_network("unet3d", 3, {"widths": (16, 32), "up": "transposed"})
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.kernel_size == (3, 3, 3) and module.in_channels > 1:
            assert float(module.weight.detach().std()) == pytest.approx(math.sqrt(2 / (27 * module.in_channels)), rel=0.05)
            assert not module.bias.any()
        if isinstance(module, nn.ConvTranspose3d):
            assert float(module.weight.detach().std()) == pytest.approx(math.sqrt(2 / (8 * module.in_channels)), rel=0.1)


def test_combined_windows_sum_probabilities() -> None:
    """A network that answers from each voxel alone gives the same in windows as at once, times the number of windows there."""
    network = nn.Conv3d(1, 3, kernel_size=1)
    image = np.random.default_rng(1).normal(size=(11, 9, 7)).astype(np.float32)
    total = summed(network, image, Windows((6, 6, 6), (3, 3, 3)), CPU.device)
    with torch.no_grad():
        once = torch.softmax(network(torch.from_numpy(image)[None, None]), dim=1)[0]
    counts = total.sum(dim=0)
    assert torch.allclose(total / counts, once, atol=1e-6)
    assert counts.min() == pytest.approx(1.0)
    assert counts.max() > 1.5


def test_a_written_model_is_read_back_and_gives_the_same_numbers(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    for number, options in enumerate(({"widths": (4, 8, 8)}, {"widths": (4, 8), "up": "transposed", "norm": "instance"})):
        network = build_network("unet3d", 4, options).eval()
        content = onnx_bytes(network, 16)
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        assert [(one.name, one.type) for one in session.get_inputs()] == [("image", "tensor(float)")]
        # interpolation takes any size, transposed convolutions take multiples
        for shape in ((16, 16, 16), (24, 16, 32), (18, 16, 22)):
            image = np.random.default_rng(number).normal(size=(1, 1, *shape)).astype(np.float32)
            (logits,) = session.run(["logits"], {"image": image})
            with torch.no_grad():
                expected = torch.softmax(network(torch.from_numpy(image)), dim=1).numpy()
            found = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
            assert np.abs(found - expected).max() < 2e-3
    write_bundle(tmp_path / "model.zip", settings_of(LIVF_L5S1, "cpu", content, {"fold": 0}), content)
    model = read_model(tmp_path / "model.zip")
    assert model.description.classes == LIVF_L5S1.classes
    assert model.description.preprocessing == "livf-l5s1"
    assert model.card == {"fold": 0}
    first = (tmp_path / "model.zip").read_bytes()
    write_bundle(tmp_path / "model.zip", settings_of(LIVF_L5S1, "cpu", content, {"fold": 0}), content)
    assert (tmp_path / "model.zip").read_bytes() == first


def test_weights_are_stored_in_half_precision() -> None:
    network = build_network("unet3d", 4, {"widths": (8, 16)})
    numbers = sum(parameter.numel() for parameter in network.parameters())
    assert len(onnx_bytes(network, 16)) < 2 * numbers + 20_000


@pytest.mark.parametrize("preset", ["full", "cpu"])
def test_every_system_can_be_written_as_a_model(preset: str, tmp_path: Path) -> None:
    for system in SYSTEMS.values():
        settings = settings_of(system, preset, b"network", {})
        write_bundle(tmp_path / "model.zip", settings, b"network")
        read = read_model(tmp_path / "model.zip").description
        assert read.classes == system.classes
        assert (read.stride is not None) == (system.presets[preset].windows is not None)
    with zipfile.ZipFile(io.BytesIO((tmp_path / "model.zip").read_bytes())) as archive:
        assert json.loads(archive.read("model.json"))["modality"] == "CT"


def test_a_device_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match="auto, cpu, cuda"), joined("abacus"):
        pass
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="0 CUDA devices"), joined("cuda"):
            pass
    with joined("cpu") as worker:
        assert worker.is_first
