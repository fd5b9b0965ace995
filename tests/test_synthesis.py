"""Training pictures drawn from maps of tissues."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'kambin[train]'")

from kambin.anatomy.structures import Kind, Structure  # noqa: E402
from kambin.segmentation.any_model import CLASSES  # noqa: E402
from kambin.segmentation.chance import Chance  # noqa: E402
from kambin.segmentation.classes import UNKNOWN  # noqa: E402
from kambin.segmentation.looks import drawn_look  # noqa: E402
from kambin.segmentation.networks.compact import CompactUNet  # noqa: E402
from kambin.segmentation.normalise import Normalisation, normaliser  # noqa: E402
from kambin.segmentation.shells import REST, drawn_surfaces  # noqa: E402
from kambin.segmentation.synthesis import Drawing, draw, looked_up  # noqa: E402
from kambin.segmentation.tissues import TissueMap, TissueRow  # noqa: E402

SHAPE = (32, 32, 32)


def row(name: str, index: int, hounsfield: float, t2_ms: float = 50.0) -> TissueRow:
    return TissueRow(((name, 1.0),), 0.8, 900.0, t2_ms, 0.05, hounsfield, index)


@pytest.fixture(scope="module")
def ball() -> TissueMap:
    """A ball of marrow in a cylinder of fat that stands in air."""
    ids = np.zeros((160, 160, 160), dtype=np.uint16)
    x, y, z = np.indices(ids.shape) - 80
    ids[np.hypot(x, y) < 70] = 1
    ids[x * x + y * y + z * z < 12**2] = 2
    rows = [row("fat", 1, -100.0), row("cancellous bone with marrow", 2, 250.0)]
    return TissueMap.of(ids, rows, column=[2], bodies=[])


def test_a_seed_gives_its_picture_again(ball: TissueMap):
    one, other = (draw(ball, Drawing(), Chance(5), SHAPE) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert not torch.equal(one[0], draw(ball, Drawing(), Chance(6), SHAPE)[0])


def test_pictures_are_finite_and_classes_are_the_maps(ball: TissueMap):
    for seed in range(20):
        picture, classes = draw(ball, Drawing(), Chance(seed), SHAPE)
        assert picture.shape == classes.shape == SHAPE
        assert torch.isfinite(picture).all()
        assert set(classes.unique().tolist()) <= {0, 1, 2, UNKNOWN}
        assert (picture[classes == UNKNOWN] == 0).all()


def test_without_turns_and_bends_the_ball_keeps_its_size(ball: TissueMap):
    still = Drawing(turned_deg=(0, 0, 0), stretched=0.0, sheared=0.0, bent_mm=0.0, spacing_mm=1.0)
    best = max(int((draw(ball, still, Chance(seed), (80, 80, 80))[1] == 2).sum()) for seed in range(16))
    assert best == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)


def test_a_plain_ct_is_what_the_table_says():
    ids = np.ones((90, 90, 90), dtype=np.uint16)
    ids[30:60] = 2
    source = TissueMap.of(ids, [row("fat", 1, -100.0), row("liver", 2, 400.0)], column=[2], bodies=[])
    contrast = 0
    for seed in range(30):
        picture, classes = draw(source, Drawing(ct=1.0, mr=0.0, turned_deg=(0, 0, 0), bent_mm=0.0), Chance(seed), SHAPE)
        if (classes == 1).sum() > 500 and (classes == 2).sum() > 500:
            contrast += 1
            assert picture[classes == 2].mean() > picture[classes == 1].mean() + 0.3
    assert contrast > 5


def test_only_a_scanner_with_coils_shades(ball: TissueMap):
    assert not any(drawn_look(ball, 0.0, 1.0, Chance(seed)).coils for seed in range(4))
    assert all(drawn_look(ball, 1.0, 0.0, Chance(seed)).coils for seed in range(4))


def test_above_the_highest_vertebras_middle_nothing_is_learnt():
    ids = np.ones((60, 60, 100), dtype=np.uint16)
    ids[20:40, 20:40, 20:80] = 2
    ids[20:40, 20:40, 80:] = 3
    source = TissueMap.of(ids, [row("fat", 1, -100.0), row("m", 2, 200.0), row("m", 2, 200.0)], column=[2, 3], bodies=[[3]])
    assert source.top == 89
    assert source.focus[:, 2].max() < source.top


def leaning_column() -> TissueMap:
    """Three slanted blocks of marrow, 20 voxels apart along (0.1, 0.2, 1), between discs; psoas beside them; nothing above the third."""
    ids = np.ones((80, 80, 110), dtype=np.uint16)
    x, y, z = np.indices(ids.shape)
    x, y = x - 0.1 * z - 30, y - 0.2 * z - 20
    column = (abs(x) < 10) & (abs(y) < 8) & (z >= 20) & (z < 80)
    ids[column] = 3
    for n in range(3):
        ids[column & (abs(z - 30 - 20 * n) <= 6)] = 4 + n
    ids[(abs(x - 16) < 4) & (abs(y) < 8)] = 2
    rows = [row("fat", 1, -100.0), row("muscle", 9, 50.0), row("annulus fibrosus", 5, 80.0), *(row("m", 2, 200.0) for _ in range(3))]
    return TissueMap.of(ids, rows, column=[3, 4, 5, 6], bodies=[[6], [5], [4]], ends=(9,))


def test_above_the_highest_vertebra_the_column_goes_on_as_it_was():
    source = leaning_column()
    assert source.above is not None
    still = Drawing(turned_deg=(0, 0, 0), stretched=0.0, sheared=0.0, bent_mm=0.0, spacing_mm=1.0)
    heights = torch.arange(20, 125, dtype=torch.float32)
    middle = [0.1 * heights + 30, 0.2 * heights + 20, heights]
    _, classes, known = looked_up(source, middle)
    assert known.all()
    of_body = (heights - 30 + 10).remainder(20) - 10
    told = abs(abs(of_body) - 6.5) > 1.5
    assert torch.equal(classes[told] == 2, (abs(of_body) < 6.5)[told])
    assert torch.equal(classes[told] == 5, (abs(of_body) > 6.5)[told])
    _, beside, _ = looked_up(source, [middle[0] + 16, middle[1], middle[2]])
    assert (beside[heights < 68] == 9).all()
    assert (beside[heights > 73] == 1).all()
    _, classes = draw(source, still, Chance(1), SHAPE)
    assert set(classes.unique().tolist()) <= {0, 1, 2, 5, 9, UNKNOWN}


def a_hip_in_muscle() -> tuple[TissueMap, torch.Tensor, torch.Tensor]:
    """A plate of marrow, nine voxels thick, that is a hip bone; its rows and classes."""
    hip = CLASSES.index(Structure(Kind.HIP))
    numbers = torch.full((60, 60, 60), 1)
    numbers[25:34] = 2
    rows = [row("muscle", REST, 55.0), row("cancellous bone with marrow", hip, 150.0), row("cortical bone", hip, 1150.0)]
    source = TissueMap.of(numbers.numpy().astype(np.uint16), rows, column=[2], bodies=[])
    return source, numbers, torch.where(numbers == 2, hip, REST).to(torch.uint8)


def test_surfaces_are_drawn_within_their_bounds():
    source, numbers, classes = a_hip_in_muscle()
    depth = torch.arange(60)
    depth = torch.minimum(depth - 24, 34 - depth).clamp(min=0)  # of a slice of the plate, from 1 on
    hip, deepest, thinned, whole = int(classes.max()), 0, 0, 0
    for seed in range(40):
        now, told = drawn_surfaces(source, numbers, classes, Chance(seed))
        assert now.shape == told.shape == numbers.shape
        assert set(now.unique().tolist()) <= {1, 2, 3}
        gone = (classes == hip) & (told != hip)
        assert torch.equal(told == hip, (now > 1) & (classes == hip))  # bone is named bone, muscle is not
        assert not ((told == hip) & (classes != hip)).any()
        assert (depth[gone.any(dim=(1, 2))] == 1).all()  # never more than its outermost voxel
        hard = (now == 3) & (classes == hip)
        deepest = max([deepest, *depth[hard.any(dim=(1, 2))].tolist()])
        thinned, whole = thinned + int(gone.any()), whole + int(not hard.any())
    assert 10 < thinned < 30
    assert 3 < whole < 25
    assert deepest in (3, 4)  # a crust of three voxels, a voxel deeper where the plate was thinned


def test_far_above_nothing_is_known():
    source = leaning_column()
    _, _, known = looked_up(source, [torch.tensor([80.0]), torch.tensor([80.0]), torch.tensor([400.0])])
    assert not known.any()


def test_a_map_without_a_column_or_with_strange_numbers_is_refused():
    ids = np.ones((8, 8, 8), dtype=np.uint16)
    with pytest.raises(ValueError, match="column"):
        TissueMap.of(ids, [row("fat", 1, -100.0)], column=[], bodies=[])
    with pytest.raises(ValueError, match="row"):
        TissueMap.of(ids * 5, [row("fat", 1, -100.0)], column=[1], bodies=[])


def test_training_and_use_measure_alike(ball: TissueMap):
    """What a picture of the whole field of view is normalised to is about what `normaliser` would make of it."""
    wide = Drawing(spacing_mm=3.0, mr=1.0, ct=0.0)
    spreads = []
    for seed in range(12):
        picture, classes = draw(ball, wide, Chance(seed), (48, 48, 48))
        seen = (classes != UNKNOWN).numpy()
        if seen.sum() < 20_000:
            continue
        values = picture.numpy()[seen]
        spreads.append(float(normaliser(values, Normalisation.PERCENTILE)(values).std() / values.std()))
    assert len(spreads) > 3
    assert 0.6 < np.median(spreads) < 1.6


def test_the_compact_network_answers_on_its_inputs_grid():
    network = CompactUNet(5, widths=(8, 16), depths=(1, 1))
    assert network.multiple == 4
    image = torch.randn(2, 1, 16, 20, 12)
    answer = network(image)
    assert answer.shape == (2, 5, 16, 20, 12)
    answer.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
