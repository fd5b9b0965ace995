"""Label maps to named structures: pairs, several maps, levels and sides that the map leaves open."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from kambin.anatomy import Level, Side
from kambin.errors import InputError
from kambin.io import describe, read_segmentation
from kambin.volume import Grid, Segmentation

SHAPE = (12, 10, 40)
AFFINE = np.array([[2.0, 0, 0, -12], [0, 2, 0, -10], [0, 0, 2, 0], [0, 0, 0, 1]])
MR = ["totalsegmentator-mr", "totalsegmentator-vertebrae-mr"]


def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array.astype(np.uint8), affine), path)
    return path


def counts(seg: Segmentation) -> dict[str, int]:
    return {structure.key: number for structure, number in seg.voxel_counts().items()}


def column(*numbers: int, height: int = 6, gap: int = 2) -> np.ndarray:
    """Boxes stacked from the bottom up."""
    array = np.zeros(SHAPE, np.uint8)
    for index, number in enumerate(numbers):
        array[3:9, 3:7, index * (height + gap) : index * (height + gap) + height] = number
    return array


def discs(number: int, count: int) -> np.ndarray:
    """The gaps between the boxes of `column`."""
    array = np.zeros(SHAPE, np.uint8)
    for index in range(count):
        array[3:9, 3:7, index * 8 + 6 : index * 8 + 8] = number
    return array


# ------------------------------------------------------------------------------------------------------- levels and sides


def test_one_class_discs_are_numbered_from_the_vertebrae(tmp_path: Path) -> None:
    total = column(18, 19, 19, 19) + discs(20, 3)
    numbered = column(1, 2, 3, 4)
    seg = read_segmentation(write(tmp_path / "total.nii", total), write(tmp_path / "vert.nii", numbered), scheme=MR)
    bones = dict.fromkeys(("vertebra_L3", "vertebra_L4", "vertebra_L5", "sacrum"), 144)
    assert counts(seg) == bones | dict.fromkeys(("disc_L3", "disc_L4", "disc_L5"), 48)
    assert "numbered by the vertebrae next to them (below L3, L4, L5)" in seg.doubts[0]


def test_maps_may_come_in_either_order(tmp_path: Path) -> None:
    total = write(tmp_path / "total.nii", column(18, 19, 19, 19) + discs(20, 3))
    numbered = write(tmp_path / "vert.nii", column(1, 2, 3, 4))
    first = read_segmentation(total, numbered, scheme=MR)
    second = read_segmentation(numbered, total, scheme=MR[::-1])
    assert np.array_equal(first.labels, second.labels)


def test_a_disc_between_vertebrae_that_do_not_follow_one_another_has_no_level(tmp_path: Path) -> None:
    total = write(tmp_path / "total.nii", column(0, 0, 0) + discs(20, 2))
    numbered = write(tmp_path / "vert.nii", column(2, 4, 5))  # L5, then L3 and L2
    seg = read_segmentation(total, numbered, scheme=MR)
    assert "disc_L2" in counts(seg)
    assert counts(seg).get("disc_L4", 0) == 0
    assert "48 disc voxels next to no pair of named vertebrae were left out" in seg.doubts[0]


def test_discs_grown_together_are_parted(tmp_path: Path) -> None:
    total = discs(20, 3)
    total[9, 3:7, 6:24] = 20  # a bridge along the side
    seg = read_segmentation(
        write(tmp_path / "total.nii", total), write(tmp_path / "vert.nii", column(1, 2, 3, 4)), scheme=MR
    )
    assert {"disc_L3", "disc_L4", "disc_L5"} <= set(counts(seg))


@pytest.mark.parametrize("array", [column(18, 19, 19), discs(20, 3)], ids=["vertebrae", "discs"])
def test_one_class_without_numbers_says_what_to_add(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"share one label.*--labels total_mr.nii.gz --labels vertebrae_mr.nii.gz"):
        read_segmentation(write(tmp_path / "total.nii", array), scheme="totalsegmentator-mr")


def test_spider_counts_from_the_lowest(tmp_path: Path) -> None:
    path = write(tmp_path / "s.nii", column(1, 2, 3, 4) + discs(202, 1))
    with pytest.raises(InputError, match=r"level of the lowest vertebra must be told.*--lowest L5"):
        read_segmentation(path, scheme="spider")
    five, six = (read_segmentation(path, scheme="spider", lowest=level) for level in (Level.L5, "L6"))
    assert set(counts(five)) == {"vertebra_L5", "vertebra_L4", "vertebra_L3", "vertebra_L2", "disc_L4"}
    assert set(counts(six)) == {"vertebra_L6", "vertebra_L5", "vertebra_L4", "vertebra_L3", "disc_L5"}
    with pytest.raises(InputError, match="expected one of T12"):
        read_segmentation(path, scheme="spider", lowest="L9")


def test_lowest_against_a_scheme_that_names_levels(tmp_path: Path) -> None:
    path = write(tmp_path / "v.nii", column(24, 23))
    read_segmentation(path, scheme="verse", lowest="L5")
    with pytest.raises(InputError, match=r"expected L5, the lowest vertebra that v\.nii names, found L4"):
        read_segmentation(path, scheme="verse", lowest="L4")


def own_scheme(tmp_path: Path) -> Path:
    (tmp_path / "own.toml").write_text('[labels]\n1 = "sacrum"\n2 = "hip_bone"\n3 = "psoas"\n')
    return tmp_path / "own.toml"


def test_unsided_labels_are_split_by_the_sacrum(tmp_path: Path) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[4:6, 4:6, 4:10] = 1  # the sacrum's centroid at voxel 4.5: off the middle of the volume
    array[0:2, :, 5], array[8:12, :, 5] = 2, 2  # two hips, apart
    array[1:12, 8, 20] = 3  # one band across the midline
    seg = read_segmentation(write(tmp_path / "p.nii", array), scheme=own_scheme(tmp_path))
    assert counts(seg) == {"sacrum": 24, "hip_bone_left": 20, "hip_bone_right": 40, "psoas_left": 4, "psoas_right": 7}
    assert sum("one label for both sides; split at the midline of the sacrum" in doubt for doubt in seg.doubts) == 2
    right = seg.grid.world(np.argwhere(seg.mask(seg.find(*[s.kind for s in seg.structures if s.side], side=Side.RIGHT))))
    left = seg.grid.world(np.argwhere(seg.mask(seg.find(*[s.kind for s in seg.structures if s.side], side=Side.LEFT))))
    assert right[:, 0].min() > left[:, 0].max()


# ------------------------------------------------------------------------------------------------------------ several maps


def test_maps_on_different_grids_meet_by_geometry(tmp_path: Path) -> None:
    first = write(tmp_path / "a.nii", column(24, 23))
    fine = np.diag([-1.0, 1.0, 1.0, 1.0])  # finer, flipped, elsewhere
    fine[:3, 3] = (12, -12, 40)
    hip = np.zeros((30, 30, 30), np.uint8)
    hip[4:10, 5:15, 5:15] = 30
    second = write(tmp_path / "b.nii", hip, fine)
    seg = read_segmentation(first, second, scheme=["verse", "ctspinopelvic1k"])
    place = seg.grid.world(np.argwhere(seg.mask(seg.find(*{s.kind for s in seg.structures if s.side})))).mean(axis=0)
    assert np.abs(place - Grid((30, 30, 30), fine).world([6.5, 9.5, 9.5])).max() < 1.01
    assert "brought to it by its geometry" in seg.doubts[0]


def test_maps_that_do_not_overlap(tmp_path: Path) -> None:
    away = AFFINE.copy()
    away[0, 3] = 900
    first, second = write(tmp_path / "a.nii", column(24)), write(tmp_path / "b.nii", column(23), away)
    with pytest.raises(InputError, match="expected them to overlap in space"):
        read_segmentation(first, second, scheme="verse")


def test_where_maps_disagree_the_first_is_kept_and_it_is_said(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.nii", column(24)), write(tmp_path / "b.nii", column(23, 22))
    seg = read_segmentation(first, second, scheme="verse")
    assert counts(seg) == {"vertebra_L5": 144, "vertebra_L3": 144}
    assert "disagree in 144 voxels (L5 vertebra against L4 vertebra in 144)" in seg.doubts[0]


def test_the_cord_in_its_canal_is_read_as_canal(tmp_path: Path) -> None:
    array = column(45, 44)
    array[2:5, 8, :], array[3, 8, :] = 2, 1
    seg = read_segmentation(write(tmp_path / "t.nii", array), scheme="totalspineseg")
    assert counts(seg)["spinal_canal"] == 3 * 40
    assert seg.provenance["cord_voxels_read_as_canal"] == 40
    alone = read_segmentation(write(tmp_path / "v2.nii", column(27) // 27 * 79), scheme="totalsegmentator-v2")
    assert counts(alone) == {"spinal_cord": 144}


# ----------------------------------------------------------------------------------------------------------------- SPINEPS


def spineps_pair(tmp_path: Path, lowest: int = 24) -> tuple[Path, Path]:
    """Sacrum and three vertebrae, each a body, an arch and a left transverse process; discs, endplates, cord and canal."""
    which, what = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    which[3:9, 3:7, 0:6] = what[3:9, 3:7, 0:6] = 26
    for index in range(3):
        start, number = 8 + index * 8, lowest - index
        which[3:9, 3:7, start : start + 6] = number
        what[3:9, 4:7, start : start + 6] = 49
        what[4:8, 4:6, start + 1 : start + 5] = 50
        what[3:9, 3, start : start + 6] = 41
        what[3, 3, start : start + 6] = 43
        which[3:9, 3:7, start + 5], what[3:9, 3:7, start + 5] = 200 + number, 62
        which[3:9, 3:7, start - 2 : start], what[3:9, 3:7, start - 2 : start] = 100 + number, 100
    what[4:8, 0:3, :], what[5:7, 1, :] = 61, 60
    return write(tmp_path / "sub-1_seg-vert.nii.gz", which), write(tmp_path / "sub-1_seg-spine.nii.gz", what)


def test_the_pair_gives_parts_at_their_levels_in_either_order(tmp_path: Path) -> None:
    which, what = spineps_pair(tmp_path)
    first, second = read_segmentation(which, what, scheme="spineps"), read_segmentation(what, which, scheme="spineps")
    assert np.array_equal(first.labels, second.labels)
    found = counts(first)
    for level in ("L3", "L4", "L5"):
        assert found[f"vertebral_body_{level}"] == 6 * 3 * 5
        assert found[f"posterior_arch_{level}"] == 5 * 5
        assert found[f"transverse_process_{level}_left"] == 5
        assert found[f"endplate_{level}"] == 24
        assert found[f"disc_{level}"] == 48
    assert found["sacrum"] == 144
    assert found["spinal_canal"] == 4 * 3 * 40
    assert first.doubts == ()


def test_counted_instances_need_the_lowest(tmp_path: Path) -> None:
    pair = spineps_pair(tmp_path, lowest=8)
    with pytest.raises(InputError, match=r"numbered 6 to 8, which SPINEPS uses for C6, C7, T1, but .* --lowest L5"):
        read_segmentation(*pair, scheme="spineps")
    (tmp_path / "true").mkdir()
    counted = read_segmentation(*pair, scheme="spineps", lowest=Level.L5)
    truth = read_segmentation(*spineps_pair(tmp_path / "true"), scheme="spineps")
    assert np.array_equal(counted.labels, truth.labels)


def test_lowest_refuses_numbers_that_grow_upwards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="numbers that grow downwards, found 6 below 8"):
        read_segmentation(write(tmp_path / "v.nii", column(26, 6, 7, 8)), scheme="spineps", lowest="L5")


def test_the_instance_map_alone_gives_whole_vertebrae(tmp_path: Path) -> None:
    which, _ = spineps_pair(tmp_path)
    found = counts(read_segmentation(which, scheme="spineps"))
    assert found["vertebra_L4"] == 6 * 4 * 5
    assert found["disc_L4"] == 48


def test_the_sub_region_map_alone_is_refused(tmp_path: Path) -> None:
    _, what = spineps_pair(tmp_path)
    with pytest.raises(InputError, match=r"not their levels. Give the instance map"):
        read_segmentation(what, scheme="spineps")


def test_a_pair_of_one_kind_is_refused(tmp_path: Path) -> None:
    which, _ = spineps_pair(tmp_path)
    with pytest.raises(InputError, match="several instance maps"):
        read_segmentation(which, which, scheme="spineps")


def test_a_pair_on_two_grids_is_refused(tmp_path: Path) -> None:
    which, what = spineps_pair(tmp_path)
    moved = AFFINE.copy()
    moved[0, 3] += 5
    write(what, np.asarray(nib.load(what).dataobj), moved)
    with pytest.raises(InputError, match=r"on one grid, found .* at different places"):
        read_segmentation(which, what, scheme="spineps")


def test_unknown_ids_of_a_pair(tmp_path: Path) -> None:
    which, what = spineps_pair(tmp_path)
    array = np.asarray(nib.load(what).dataobj).copy()
    array[0, 0, 0] = 99
    write(what, array)
    with pytest.raises(InputError, match=r"seg-spine.*found also 99 \(1 voxel\)"):
        read_segmentation(which, what, scheme="spineps")


def test_cord_and_canal_exchanged_are_noticed(tmp_path: Path) -> None:
    which, what = spineps_pair(tmp_path)
    array = np.asarray(nib.load(what).dataobj)
    write(what, np.where(array == 60, 61, np.where(array == 61, 60, array)))
    seg = read_segmentation(which, what, scheme="spineps")
    assert "label 60 (spinal cord in SPINEPS) surrounds label 61 (spinal canal) in 40 of 40 slices" in seg.doubts[0]
    assert counts(seg)["spinal_canal"] == 4 * 3 * 40


def test_parts_of_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    which, what = spineps_pair(tmp_path)
    array = np.asarray(nib.load(what).dataobj).copy()
    array[0, 0, 0:7] = 42
    write(what, array)
    seg = read_segmentation(which, what, scheme="spineps")
    assert "7 voxels of sub-1_seg-spine.nii.gz name a part but belong to no vertebra" in seg.doubts[0]


def test_no_map_at_all() -> None:
    with pytest.raises(InputError, match="at least one label map"):
        read_segmentation(scheme="verse")


def test_describe_names_the_sub_regions(tmp_path: Path) -> None:
    which, what = spineps_pair(tmp_path)
    assert {entry.label: entry.structure for entry in describe(what, "spineps").labels}[41] == "posterior_arch"
    assert {entry.label: entry.structure for entry in describe(which, "spineps").labels}[124] == "disc_L5"


def test_kambins_own_seg_nrrd_comes_back_as_it_went(tmp_path: Path) -> None:
    from kambin.io.seg_nrrd import write_seg_nrrd

    seg = read_segmentation(*spineps_pair(tmp_path), scheme="spineps")
    write_seg_nrrd(seg.grid, seg.labels, seg.table, tmp_path / "own.seg.nrrd")
    back = read_segmentation(tmp_path / "own.seg.nrrd", scheme="kambin")
    assert np.array_equal(back.labels, seg.labels)
    assert dict(back.table) == dict(seg.table)
    assert back.grid.is_close(seg.grid)
