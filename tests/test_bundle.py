"""Models as files: what is read, and one clear error for each way in which a file can be wrong."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.segmentation import bundle
from kambin.segmentation.bundle import built_in_models, read_model
from kambin.segmentation.bundle_fields import _KEYS, Naming, Padding, Weights
from kambin.segmentation.group_norm import unfold_group_norms
from kambin.segmentation.normalise import Normalisation
from kambin.segmentation.runtime import open_runtime
from tiny_models import MODEL, axis_onnx, blur_onnx, group_norm_onnx, settings, thresholds_onnx, write_model


def zipped(folder: Path, inside: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, inside + file.name)
    return path


def test_folder_zip_settings_and_lone_network_are_the_same_model(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny")
    places = [folder, zipped(folder), folder / "model.json", folder / MODEL]
    models = [read_model(place) for place in places]
    assert len({model.network.sha256 for model in models}) == 1
    assert len({repr(model.description) for model in models}) == 1
    found = models[0].description
    assert found.classes.structures == (Structure.from_key("vertebral_body_L4"), Structure.from_key("disc_L4"))
    assert (found.patch, found.multiple, found.naming, found.normalisation) == ((16, 16, 16), 4, Naming.FIXED, Normalisation.WINDOW)
    assert models[0].record()["sha256"] == json.loads((folder / "model.json").read_text())["sha256"]


def test_a_bundle_zipped_with_its_folder_is_read(tmp_path) -> None:
    assert read_model(zipped(write_model(tmp_path / "tiny"), "tiny/")).name == "tiny"


def test_a_lone_network_finds_the_settings_of_its_name(tmp_path) -> None:
    folder = write_model(tmp_path / "m", name="by model.json")
    shutil.copy(folder / MODEL, folder / "mine.onnx")
    assert read_model(folder / "mine.onnx").name == "by model.json"
    (folder / "mine.json").write_text(json.dumps(settings(thresholds_onnx(), name="by its own name")))
    assert read_model(folder / "mine.onnx").name == "by its own name"


def test_built_in_models_go_by_their_names(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bundle, "BUILT_IN", tmp_path / "models")
    assert built_in_models() == ()
    with pytest.raises(InputError, match=r"expected the name of a model.*'tiny-any'.*No model ships"):
        read_model("tiny-any")
    zipped(write_model(tmp_path / "models" / "tiny-any"))
    shutil.rmtree(tmp_path / "models" / "tiny-any")
    write_model(tmp_path / "models" / "other")
    assert built_in_models() == ("other", "tiny-any")
    assert read_model("tiny-any").source.name == "tiny-any.zip"
    assert read_model("other").source.name == "other"
    with pytest.raises(InputError, match=r"Did you mean tiny-any\?"):
        read_model("tiny_any")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": "nnunet"}, r'"format": "kambin-model".*nnunet'),
        ({"version": 2}, r"version 1 of the format, found version 2.*another version of Kambin"),
        ({"classes": ["disc_L4"]}, r"classes: .*background.*disc_L4"),
        ({"classes": ["background", "kneecap"]}, r"classes: .*kneecap"),
        ({"spacing_mm": [1, 1]}, r"spacing_mm: expected null, one or three lengths"),
        ({"spacing_mm": -1}, r"spacing_mm: "),
        ({"patch": [16, 18, 16]}, r"patch: expected multiples of 4"),
        ({"stride": [20, 16, 16]}, r"stride: expected no more than the patch"),
        ({"multiple": 0}, r"multiple: "),
        ({"modality": "US"}, r"modality: expected CT or MR or null, found 'US'"),
        ({"naming": "guessed"}, r"naming: expected anatomy or fixed"),
        ({"normalisation": {"kind": "window", "low": 5, "high": 1}}, r"normalisation: "),
        ({"normalisation": {"kind": "window"}}, r"normalisation: .*high and low"),
        ({"normalisation": {"kind": "magic"}}, r"normalisation: .*percentile, zscore, window, fixed"),
        ({"normalisation": {"kind": "fixed", "low": 0, "high": 1, "mean": 0, "deviation": 0}}, r"normalisation: "),
        ({"normalisation": {"kind": "percentile", "ct": [300, -200]}}, r"normalisation: .*two rising numbers of Hounsfield units"),
        ({"normalisation": {"kind": "window", "low": 0, "high": 1, "ct": [0, 1]}}, r"normalisation: .*beside percentile or zscore alone"),
        ({"orientation": "RRS"}, r"orientation: expected three letters"),
        ({"padding": "mirror"}, r"padding: expected edge or zero"),
        ({"sha256": "abc"}, r"sha256: expected 64 hexadecimal digits"),
        ({"colour": "blue"}, r"found also colour"),
        ({"card": "none"}, r"card: expected an object"),
        ({"coarse": {"model": "model.onnx", "classes": "disc"}}, r"coarse.classes: .*coarse.patch: "),
    ],
)
def test_wrong_settings_are_said_by_name(tmp_path, changes, expected) -> None:
    folder = write_model(tmp_path / "tiny", **changes)
    with pytest.raises(InputError, match=expected) as caught:
        read_model(folder)
    assert str(folder) in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny", patch=3, spacing_mm="one", padding=7)
    with pytest.raises(InputError) as caught:
        read_model(folder)
    assert len(caught.value.problems) == 3


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [_cut, _flip, lambda path: path.write_bytes(b""), lambda path: path.write_text("a letter")])
def test_a_damaged_zip_is_one_clear_error(tmp_path, damage) -> None:
    path = zipped(write_model(tmp_path / "tiny"))
    damage(path)
    with pytest.raises(InputError, match=r"tiny.zip.*(damaged|changed|checksum|expected)"):
        read_model(path)


def test_a_changed_network_is_told_by_its_checksum(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny")
    (folder / MODEL).write_bytes(blur_onnx())
    with pytest.raises(InputError, match=r"model.onnx is damaged or was changed: expected the checksum"):
        read_model(folder)


def test_missing_parts_are_said(tmp_path) -> None:
    folder = write_model(tmp_path / "tiny")
    (folder / MODEL).unlink()
    with pytest.raises(InputError, match=r"model.onnx.*expected a file of the model"):
        read_model(folder)
    with pytest.raises(InputError, match=r"expected model.onnx in the zip file, found none"):
        read_model(zipped(folder))
    (folder / "model.json").write_text("{")
    with pytest.raises(InputError, match=r"expected JSON in model.json"):
        read_model(folder)
    lone = tmp_path / "lone" / "net.onnx"
    lone.parent.mkdir()
    lone.write_bytes(thresholds_onnx())
    with pytest.raises(InputError, match=r"expected its settings in net.json or model.json beside it"):
        read_model(lone)
    with pytest.raises(InputError, match=r"expected a model, found a file named notes.txt"):
        read_model(_written(tmp_path / "notes.txt"))
    with pytest.raises(InputError, match=r"expected a model.json in the zip file"):
        read_model(_empty_zip(tmp_path / "empty.zip"))


def _written(path: Path) -> Path:
    path.write_text("x")
    return path


def _empty_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    return path


def test_published_settings_of_inference_are_kept(tmp_path) -> None:
    folder = write_model(
        tmp_path / "tiny", padding="zero", weights="uniform", blend="probabilities", stride=[8, 8, 4], orientation="SAR",
        normalisation={"kind": "fixed", "low": -100, "high": 300, "mean": 60.0, "deviation": 40.0},
    )  # fmt: skip
    found = read_model(folder).description
    assert (found.padding, found.weights, found.stride) == (Padding.ZERO, Weights.UNIFORM, (8, 8, 4))
    assert found.axes == ((2, 1, 0), (1, 1, 1))
    assert found.fixed is not None
    np.testing.assert_allclose(found.fixed(np.array([-500.0, 60.0, 1000.0])), [-4.0, 0.0, 6.0])


def test_the_documents_example_is_read(tmp_path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "segmentation.md").read_text(encoding="utf-8")
    example = json.loads(text.split("```json")[1].split("```")[0])
    folder = write_model(tmp_path / "tiny")
    (folder / "model.json").write_text(json.dumps({name: value for name, value in example.items() if name != "sha256"}))
    found = read_model(folder).description
    assert (found.name, found.spacing_mm, found.naming) == ("my-model", (1.0, 1.0, 1.0), Naming.ANATOMY)
    for field in _KEYS:
        assert f"`{field}`" in text, field


# --- networks at work ---


def test_a_network_gives_what_onnx_runtime_gives(tmp_path) -> None:
    model = read_model(write_model(tmp_path / "tiny", blur_onnx(), classes=["background", "disc_L4"]))
    runtime = open_runtime(model.network, model.description, (16, 12, 20), "cpu")
    tile = np.random.default_rng(1).normal(size=(16, 12, 20)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.network.content, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"image": tile[None, None]})[0][0]
    np.testing.assert_allclose(runtime(tile), expected, atol=1e-4)
    assert runtime.activation_bytes is None or runtime.activation_bytes >= 3 * tile.nbytes


def test_group_normalisation_gives_what_onnx_runtime_gives(tmp_path) -> None:
    """OpenVINO is given another form of it, also where the mean is far from nought and the groups have gains of their own."""
    content = group_norm_onnx()
    model = read_model(write_model(tmp_path / "tiny", content, classes=["background", "disc_L4"]))
    tile = 300.0 + np.random.default_rng(1).normal(size=(16, 12, 20)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"image": tile[None, None]})[0][0]
    assert np.ptp(expected) > 1.0
    np.testing.assert_allclose(open_runtime(model.network, model.description, tile.shape, "cpu")(tile), expected, atol=2e-3)

    graph = openvino.Core().read_model(model=content, weights=b"")
    graph.reshape([1, 1, *tile.shape])
    assert unfold_group_norms(graph) == 1
    steps = openvino.Core().compile_model(graph, "CPU").get_runtime_model().get_ordered_ops()
    assert "MVN" not in {str(step.get_rt_info()["layerType"]) for step in steps}
    assert unfold_group_norms(openvino.Core().read_model(model=content, weights=b"")) == 0  # sizes not known: left alone


def test_without_openvino_onnx_runtime_does_the_same(tmp_path, monkeypatch) -> None:
    model = read_model(write_model(tmp_path / "tiny"))
    tile = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(16, 16, 16)
    usual = open_runtime(model.network, model.description, (16, 16, 16), "cpu")(tile)
    from importlib.util import find_spec

    monkeypatch.setattr("kambin.segmentation.runtime.find_spec", lambda name: None if name == "openvino" else find_spec(name))
    other = open_runtime(model.network, model.description, (16, 16, 16), "cpu")
    assert other.device == "CPU (ONNX Runtime)"
    np.testing.assert_allclose(other(tile), usual, atol=1e-5)
    monkeypatch.setattr("kambin.segmentation.runtime.find_spec", lambda _: None)
    with pytest.raises(InputError, match="found neither OpenVINO nor ONNX Runtime"):
        open_runtime(model.network, model.description, (16, 16, 16), "auto")


@pytest.mark.parametrize(
    ("orientation", "axis", "step"), [("RAS", 0, 1), ("LPS", 0, -1), ("SAR", 2, 1), ("IPL", 2, -1), ("ARS", 1, 1), ("PIR", 1, -1)]
)
def test_the_networks_own_axes_are_honoured(tmp_path, orientation, axis, step) -> None:
    """The network looks one voxel on along its first axis; which way that is in the scan is said by the orientation."""
    model = read_model(write_model(tmp_path / "tiny", axis_onnx(), classes=["background", "disc_L4"], orientation=orientation))
    tile = np.random.default_rng(2).normal(size=(8, 12, 16)).astype(np.float32)
    found = open_runtime(model.network, model.description, (8, 12, 16), "cpu")(tile)[1]
    expected = np.zeros_like(tile)
    moved = [slice(None)] * 3, [slice(None)] * 3
    moved[0][axis], moved[1][axis] = (slice(None, -1), slice(1, None)) if step > 0 else (slice(1, None), slice(None, -1))
    expected[tuple(moved[0])] = 20 * tile[tuple(moved[1])]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_classes_and_channels_have_to_agree(tmp_path) -> None:
    model = read_model(write_model(tmp_path / "tiny", classes=["background", "disc_L4"]))
    with pytest.raises(InputError, match=r"one score for each of 2 classes.*found 1 x 3 x 16 x 16 x 16"):
        open_runtime(model.network, model.description, (16, 16, 16), "cpu", source="tiny")


def test_what_is_no_network_is_said(tmp_path) -> None:
    model = read_model(write_model(tmp_path / "tiny", b"no network at all"))
    with pytest.raises(InputError, match=r"tiny: model.onnx cannot be used"):
        open_runtime(model.network, model.description, (16, 16, 16), "cpu", source="tiny")


def test_devices_that_are_not_there_are_said(tmp_path, monkeypatch) -> None:
    model = read_model(write_model(tmp_path / "tiny"))
    with pytest.raises(InputError, match=r"--device: expected auto, cpu, gpu, found 'tpu'"):
        open_runtime(model.network, model.description, (16, 16, 16), "tpu")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InputError, match=r"--device: expected a graphics card.*kambin\[gpu\]"):
        open_runtime(model.network, model.description, (16, 16, 16), "gpu")
