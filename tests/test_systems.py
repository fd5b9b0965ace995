"""The published systems: their numbers against the papers', their preprocessing against the papers' formulas, and back again."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from kambin.anatomy.structures import Structure
from kambin.cli import main
from kambin.errors import InputError
from kambin.segmentation.folds import fold_of
from kambin.segmentation.networks import build_network, parameter_count
from kambin.segmentation.preprocess import prepare, prepare_classes, prepared_grids, restored, windows
from kambin.segmentation.published import LIVF_L5S1, OBLIQUE_L45, PELD_L5S1, SPINECT, SYSTEMS
from kambin.segmentation.systems import Cut, Preprocessing, System, find_system
from kambin.segmentation.targets import class_table
from kambin.volume import Grid

EVERY = [pytest.param(system, id=key) for key, system in SYSTEMS.items()]


@pytest.mark.parametrize("system", EVERY)
def test_the_networks_have_the_parameters_that_are_told(system: System) -> None:
    for setting in system.presets.values():
        network = build_network(setting.network.name, len(system.classes), setting.network.options)
        assert parameter_count(network) == setting.parameters


def test_spinect_has_the_published_number_of_parameters() -> None:
    setting = SPINECT.setting("full")
    assert setting.parameters == 22_581_411
    without = dict(setting.network.options) | {"joined_norm": False}
    assert parameter_count(build_network("unet3d", 3, without)) == 22_581_411 - 128


@pytest.mark.parametrize(
    ("system", "epochs", "rates"),
    [
        (LIVF_L5S1, 100, {0: 5e-4, 32: 5e-4, 33: 1e-4, 65: 1e-4, 66: 2e-5, 99: 2e-5}),
        (OBLIQUE_L45, 200, {0: 5e-3, 65: 5e-3, 66: 1e-3, 132: 1e-3, 133: 2e-4}),
        (SPINECT, 200, {0: 5e-4, 199: 5e-4}),
    ],
)
def test_schedules_are_the_published_ones(system: System, epochs: int, rates: dict[int, float]) -> None:
    recipe = system.setting("full").recipe
    assert recipe.epochs == epochs
    for epoch, rate in rates.items():
        assert recipe.learning_rate_in(epoch) == pytest.approx(rate)
    assert recipe.batch == (4 if system is SPINECT else 2)


@pytest.mark.parametrize("system", [LIVF_L5S1, PELD_L5S1, OBLIQUE_L45])
def test_published_means_are_those_of_the_published_classes(system: System) -> None:
    """A slip of the pen in a table would show: the mean over structures is printed too."""
    for metric in ("dice", "precision", "recall"):
        # the nerves of peld-l5s1 are two classes in its mean (eight output channels) and one in its table
        keys = [*system.classes.keys[1:], *(["nerve_root"] if system is PELD_L5S1 else [])]
        values = [system.published_value(metric, key) for key in keys]
        printed = system.published_value(metric, "mean")
        assert printed is not None
        assert np.mean([value.value for value in values if value]) == pytest.approx(printed.value, abs=1.5e-3)


def test_spinect_published_dice_and_iou_agree() -> None:
    for key in SPINECT.classes.keys[1:]:
        dice, iou = SPINECT.published_value("dice", key), SPINECT.published_value("iou", key)
        assert dice is not None
        assert iou is not None
        assert dice.value == pytest.approx(2 * iou.value / (1 + iou.value), abs=2e-3)


def paper_grid(depth: int = 100) -> Grid:
    return Grid.axis_aligned((320, 320, depth), 0.8, (-127.6, -127.6, -40.0))


def test_livf_cuts_and_pads_as_the_paper_has_it() -> None:
    rng = np.random.default_rng(1)
    values, grid = rng.normal(100, 20, (320, 320, 100)).astype(np.float32), paper_grid()
    ready = prepare(values, grid, LIVF_L5S1.preprocessing)
    # I[:, H/4 - 10 : 3H/4 + 10, W/4 - 20 : 3W/4], with the axes right, anterior, cranial
    cropped = values[80 - 10 : 240 + 10, 80 - 20 : 240, :]
    assert cropped.shape == (180, 180, 100)
    expected = np.zeros((180, 180, 128), np.float32)
    expected[:, :, 14:114] = (cropped - cropped.mean()) / cropped.std()
    assert ready.image.shape == (180, 180, 128)
    assert np.abs(ready.image - expected).max() < 1e-3


def test_oblique_cuts_and_pads_as_the_paper_has_it() -> None:
    inner, outer = prepared_grids(paper_grid(128), OBLIQUE_L45.preprocessing)
    assert inner.shape == outer.shape == (240, 180, 128)
    assert prepared_grids(paper_grid(88), OBLIQUE_L45.preprocessing)[1].shape == (240, 180, 128)


def test_peld_is_128_cubed_and_spinect_has_1_mm() -> None:
    assert prepared_grids(paper_grid(), PELD_L5S1.preprocessing)[1].shape == (128, 128, 128)
    grid = prepared_grids(Grid.axis_aligned((200, 200, 100), (0.78, 0.78, 0.8)), SPINECT.preprocessing)[1]
    assert grid.spacing_mm == pytest.approx([1.0, 1.0, 1.0])
    assert grid.shape == (156, 156, 80)


def test_preprocessing_moves_nothing() -> None:
    """A bright voxel's place in space stays, whatever is cut, resampled and padded."""
    grid = paper_grid()
    values = np.zeros(grid.shape, np.float32)
    values[150:157, 140:147, 50:57] = 1.0
    centre = grid.world((153, 143, 53))
    for system in SYSTEMS.values():
        for setting in system.presets.values():
            ready = prepare(values, grid, setting.preprocessing)
            weights = np.clip(ready.image - ready.image.min(), 0, None)
            bright = weights > 0.5 * weights.max()
            found = ready.grid.world(np.argwhere(bright)).mean(axis=0)
            assert np.abs(found - centre).max() <= ready.grid.spacing_mm.max()


def sure(classes: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.float32]:
    """Probabilities of 1 for these classes."""
    return np.stack([classes == index for index in range(count)]).astype(np.float32)


def test_probabilities_come_back_finer_than_the_networks_voxels() -> None:
    """A ball of 2 mm voxels, partly filled at its border, is round in voxels of 0.8 mm."""
    coarse, fine = Grid.axis_aligned((24, 24, 24), 2.0, (0.4, 0.4, 0.4)), Grid.axis_aligned((60, 60, 60), 0.8, (0.0, 0.0, 0.0))

    def depth(grid: Grid) -> npt.NDArray[np.float64]:
        points = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
        return 15.0 - np.linalg.norm(points - 23.7, axis=-1)

    share = np.clip(0.5 + depth(coarse) / 2.0, 0.0, 1.0).astype(np.float32)
    truth = depth(fine) > 0

    def dice(found: npt.NDArray[np.uint8]) -> float:
        return 2.0 * np.count_nonzero(truth & (found == 1)) / (np.count_nonzero(truth) + np.count_nonzero(found == 1))

    assert dice(restored(np.stack([1.0 - share, share]), coarse, fine)) > 0.99
    assert dice(restored(sure((share > 0.5).astype(np.uint8), 2), coarse, fine)) < 0.98


@pytest.mark.parametrize("system", [LIVF_L5S1, OBLIQUE_L45])
def test_a_class_map_comes_back_as_it_was_where_the_network_looked(system: System) -> None:
    rng = np.random.default_rng(2)
    grid = paper_grid(96)
    classes = rng.integers(0, len(system.classes), grid.shape).astype(np.uint8)
    there = prepare_classes(classes, grid, system.preprocessing)
    outer = prepared_grids(grid, system.preprocessing)[1]
    back = restored(sure(there, len(system.classes)), outer, grid)
    ranges = [cut(n) for cut, n in zip(system.preprocessing.cut, grid.shape, strict=True)]
    inside = tuple(slice(*each) for each in ranges)
    assert np.array_equal(back[inside], classes[inside])
    back[inside] = 0
    assert not back.any()  # elsewhere it did not look


def test_a_resampled_block_comes_back_within_a_voxel() -> None:
    grid = Grid.axis_aligned((60, 60, 40), 0.8)
    classes = np.zeros(grid.shape, np.uint8)
    classes[15:45, 20:40, 10:30] = 1
    outer = prepared_grids(grid, SPINECT.preprocessing)[1]
    back = restored(sure(prepare_classes(classes, grid, SPINECT.preprocessing), 2), outer, grid)
    wrong = np.argwhere(back != classes)
    assert len(wrong) < 0.12 * classes.sum()
    eroded = back[17:43, 22:38, 12:28]
    assert eroded.all()


def test_a_cut_never_leaves_the_axis_and_never_leaves_nothing() -> None:
    for n in (1, 5, 40, 320):
        first, last = Cut(0.25, -40, 0.75, 40)(n)
        assert 0 <= first < last <= n


def test_a_constant_scan_cannot_be_prepared() -> None:
    with pytest.raises(ValueError, match="constant"):
        prepare(np.ones((8, 8, 8)), Grid.axis_aligned((8, 8, 8), 1.0), Preprocessing())


def test_windows_cover_every_voxel_and_end_with_the_image() -> None:
    covered = np.zeros((70, 100, 33), int)
    for x, y, z in windows((70, 100, 33), (64, 64, 32), (40, 40, 20)):
        assert (x + 64, y + 64, z + 32) <= (70, 100, 33) or max(x + 64 - 70, y + 64 - 100, z + 32 - 33) <= 0
        covered[x : x + 64, y : y + 64, z : z + 32] += 1
    assert covered.min() >= 1
    assert windows((10, 10, 10), (64, 64, 32), (40, 40, 20)) == [(0, 0, 0)]


@pytest.mark.parametrize(("system", "count"), [(LIVF_L5S1, 100), (PELD_L5S1, 50), (OBLIQUE_L45, 50), (SPINECT, 50)])
def test_folds_have_the_published_sizes_and_test_each_case_once(system: System, count: int) -> None:
    groups = {f"case{index:03d}": f"case{index:03d}" for index in range(count)}
    tested: Counter[str] = Counter()
    for number in range(5):
        fold = fold_of(groups, system.shares, number, seed=3)
        shares = system.shares
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (shares.train, shares.validation, shares.test)
        assert set(fold.train) | set(fold.validation) | set(fold.test) == set(groups)
        assert fold == fold_of(dict(reversed(groups.items())), system.shares, number, seed=3)
        tested.update(fold.test)
    assert set(tested.values()) == {1}


def test_cases_of_one_patient_stay_together() -> None:
    groups = {f"case{index}": f"patient{index // 2}" for index in range(24)}
    for number in range(5):
        fold = fold_of(groups, PELD_L5S1.shares, number)
        parts = [{groups[name] for name in names} for names in (fold.train, fold.validation, fold.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


@pytest.mark.parametrize(("count", "fold", "text"), [(4, 4, "no case to test"), (20, 5, "0 to 4"), (20, -1, "0 to 4"), (0, 0, "no case")])
def test_a_fold_that_cannot_be_is_refused(count: int, fold: int, text: str) -> None:
    with pytest.raises(InputError, match=text):
        fold_of({str(n): str(n) for n in range(count)}, LIVF_L5S1.shares, fold)


def test_labels_find_their_classes() -> None:
    keys = ["pedicle_L5_left", "sacrum", "hip_bone_left", "nerve_root_L5_right", "nerve_root_L4_left", "psoas_left", "trunk", "dural_sac"]
    table = {number: Structure.from_key(key) for number, key in enumerate(keys, 1)}

    def names(system: System) -> dict[str, str]:
        numbers = class_table(system, table).numbers
        return {key: system.classes.keys[numbers[number]] for number, key in enumerate(keys, 1)}

    peld, spinect, oblique = names(PELD_L5S1), names(SPINECT), names(OBLIQUE_L45)
    assert (peld["pedicle_L5_left"], peld["sacrum"], peld["hip_bone_left"]) == ("vertebra_L5", "vertebra_S1", "hip_bone")
    assert (peld["psoas_left"], peld["nerve_root_L4_left"]) == ("trunk", "nerve_root")  # the trunk has no holes
    assert {spinect[key] for key in ("pedicle_L5_left", "sacrum", "hip_bone_left")} == {"vertebra"}
    assert {spinect[key] for key in ("dural_sac", "nerve_root_L5_right")} == {"nerve_root"}
    assert (oblique["nerve_root_L4_left"], oblique["nerve_root_L5_right"]) == ("nerve_root_L4", "background")


def test_the_sacrum_is_s1_only_where_s1_has_no_label_of_its_own() -> None:
    sacrum, s1 = Structure.from_key("sacrum"), Structure.from_key("vertebra_S1")
    assert class_table(LIVF_L5S1, {1: sacrum}).numbers == {1: 3}
    found = class_table(LIVF_L5S1, {1: sacrum, 2: s1})
    assert found.numbers == {1: 0, 2: 3}
    assert found.outside == (sacrum,)
    assert class_table(SPINECT, {1: sacrum, 2: s1}).numbers == {1: 1, 2: 1}


def test_an_unknown_system_or_preset_is_said() -> None:
    with pytest.raises(InputError, match="livf-l5s1, peld-l5s1, oblique-l45, spinect"):
        find_system("unet")
    with pytest.raises(InputError, match="full, cpu"):
        SPINECT.setting("tiny")


def test_the_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["systems", "--json"])
    assert leaving.value.code == 0
    told = {one["key"]: one for one in json.loads(capsys.readouterr().out)["systems"]}
    assert list(told) == list(SYSTEMS)
    assert told["spinect"]["parameters"] == 22_581_411
    assert {"paper", "modality", "structures", "network", "published", "readings"} <= set(told["oblique-l45"])
    with pytest.raises(SystemExit) as leaving:
        main(["systems"])
    assert leaving.value.code == 0
    assert "published Dice 0.931" in capsys.readouterr().out
