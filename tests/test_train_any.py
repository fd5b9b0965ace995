"""The shipped model trained anew, whole way and small: maps, training, resumption, model file, use of its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'kambin[train]'")

from kambin.anatomy.structures import Structure  # noqa: E402
from kambin.errors import InputError  # noqa: E402
from kambin.io.tissue_maps import write_tissue_map  # noqa: E402
from kambin.phantom import MappedTissue  # noqa: E402
from kambin.pipeline.train_any import AnyOrder, train_any  # noqa: E402
from kambin.segmentation import any_model  # noqa: E402
from kambin.segmentation.any_model import AnyRecipe, AnySetting  # noqa: E402
from kambin.segmentation.bundle import read_model  # noqa: E402
from kambin.segmentation.export import load_weights  # noqa: E402
from kambin.segmentation.muon import Muon, orthogonalised  # noqa: E402
from kambin.segmentation.networks import build_network  # noqa: E402
from kambin.volume import Grid  # noqa: E402

TINY = AnySetting(
    AnyRecipe(epochs=2, steps=2, batch=1, small=((16, 16, 16),), small_until=1.0, judged=2),
    {"widths": (8, 8, 8, 8), "depths": (1, 1, 1, 1)},
)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Two patients: a column of boxes in a cylinder."""
    for number in range(2):
        ids = np.zeros((90, 90, 100), dtype=np.uint16)
        x, y, _ = np.indices(ids.shape)
        ids[np.hypot(x - 45, y - 45) < 42] = 1
        ids[25:65, 25 + number : 65, :] = 2
        ids[25:65, 25 + number : 65, 40:52] = 3
        rows = [
            MappedTissue((("fat", 1.0),), Structure.from_key("trunk"), 0.9, 800.0, 40.0, 0.9, -100.0),
            MappedTissue((("cancellous bone with marrow", 1.0),), Structure.from_key("vertebral_body_L4"), 0.7, 800.0, 42.0, 0.3, 200.0),
            MappedTissue((("annulus fibrosus", 1.0),), Structure.from_key("disc_L4"), 0.5, 700.0, 38.0, 0.0, 90.0),
        ]
        (tmp_path / "maps" / f"{number}").mkdir(parents=True)
        write_tissue_map(tmp_path / "maps" / f"{number}", Grid.axis_aligned(ids.shape, 1.0), ids, rows)
    return tmp_path / "maps"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_model, "PRESETS", {"full": TINY})


def test_from_maps_to_a_model_and_on_where_it_was_left(maps: Path, tmp_path: Path):
    torch.set_num_threads(1)
    whole = train_any(AnyOrder(maps, device="cpu"), tmp_path / "whole")
    train_any(AnyOrder(maps, device="cpu", epochs=1), tmp_path / "parts")
    parts = train_any(AnyOrder(maps, device="cpu", epochs=2), tmp_path / "parts")
    assert len(whole.log) == len(parts.log) == 2
    assert whole.log[0].loss == parts.log[0].loss
    model = read_model(whole.model)
    assert model.description.classes == any_model.CLASSES
    assert model.description.spacing_mm == (any_model.SPACING_MM,) * 3
    begun = build_network("compact", len(any_model.CLASSES), TINY.network)
    load_weights(begun, whole.model)
    best = torch.load(tmp_path / "whole" / "best.pt", weights_only=True)["network"]
    assert all(torch.allclose(tensor, best[name], atol=2e-3) for name, tensor in begun.state_dict().items())


def test_weights_of_another_network_are_refused(maps: Path, tmp_path: Path):
    made = train_any(AnyOrder(maps, device="cpu", epochs=1), tmp_path / "one")
    other = build_network("compact", len(any_model.CLASSES), {"widths": (16, 8, 8, 8), "depths": (1, 1, 1, 1)})
    with pytest.raises(InputError, match="same network"):
        load_weights(other, made.model)


def test_a_folder_without_maps_and_coarse_ones_are_refused(maps: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="maps of tissues"):
        train_any(AnyOrder(tmp_path / "empty"), tmp_path / "out")
    with pytest.raises(InputError, match="preset"):
        train_any(AnyOrder(maps, preset="huge"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_rate_falls_from_its_share_on():
    recipe = AnyRecipe(epochs=10, rate=1.0, annealed_from=0.5)
    assert [recipe.learning_rate_in(epoch) for epoch in (0, 5, 6, 9)] == pytest.approx([1.0, 1.0, 0.8, 0.2])
    assert replace(recipe, epochs=1).learning_rate_in(0) == 1.0


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (40, 8)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape: tuple[int, int]):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
    one, _, other = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.allclose(orthogonalised(matrix) @ other.T @ one.T, one @ torch.diag(values.new_ones(len(values))) @ one.T, atol=0.6)


def test_muon_brings_a_convolution_to_its_least_squares():
    torch.manual_seed(0)
    network = torch.nn.Sequential(*(torch.nn.Conv3d(1 if n == 0 else 4, 4, 3, padding=1) for n in range(3)))
    target = torch.nn.Conv3d(1, 4, 3, padding=1)
    optimiser = Muon(network, 0.02)
    losses = []
    for _ in range(60):
        image = torch.randn(2, 1, 6, 6, 6)
        loss = (network(image) - target(image).detach()).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.2 * losses[0]


