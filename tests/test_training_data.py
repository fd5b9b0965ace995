"""Folders of scans with labels as users have them, and all that can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kambin.anatomy.structures import Structure
from kambin.errors import InputError
from kambin.io.nifti_writer import write_nifti
from kambin.io.training_data import read_case, read_training_folder
from kambin.volume import Grid, Scan
from training_cases import KEYS, NUMBERS, blocks, write_nnunet, write_patients


def structures(folder: Path) -> set[str]:
    return {structure.key for structure in read_case(read_training_folder(folder).cases[0]).segmentation.structures}


def test_nnunet_folders_name_their_labels_themselves(tmp_path: Path) -> None:
    found = read_training_folder(write_nnunet(tmp_path / "Dataset001_blocks"))
    assert found.kind == "nnU-Net"
    assert [case.name for case in found.cases] == [f"case{n}" for n in range(5)]
    assert {case.modality for case in found.cases} == {"MR"}
    assert structures(tmp_path / "Dataset001_blocks") == set(KEYS)


def test_nnunet_labels_may_be_named_in_words_and_left_unlabelled_with_ignore(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "d", 1)
    document = json.loads((folder / "dataset.json").read_text())
    document["labels"] = {"background": 0, "L5 disc": 1, "Left psoas": 2, "ignore": 3}
    (folder / "dataset.json").write_text(json.dumps(document))
    (case,) = read_training_folder(folder).cases
    loaded = read_case(case)
    assert {one.key for one in loaded.segmentation.structures} == {"disc_L5", "psoas_left"}
    assert loaded.ignored is not None
    labels = blocks(0)[1].values
    assert np.array_equal(loaded.ignored, labels == NUMBERS["psoas_right"])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"labels": {"background": 0, "blob": 1}}, "no structure is named 'blob'"),
        ({"labels": {"background": 0, "disc_L5": [1, 2]}}, "regions are not supported"),
        ({"labels": {}}, 'expected "labels"'),
        ({"channel_names": {"0": "T1", "1": "T2"}}, "one channel, found 2"),
    ],
)
def test_what_is_wrong_with_a_dataset_json_is_said(tmp_path: Path, change: dict[str, object], text: str) -> None:
    folder = write_nnunet(tmp_path / "d", 1)
    document = json.loads((folder / "dataset.json").read_text()) | change
    (folder / "dataset.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=text):
        read_training_folder(folder)


def test_images_and_labels_that_do_not_match_are_named(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "d", 3)
    (folder / "labelsTr" / "case1.nii.gz").unlink()
    (folder / "imagesTr" / "case2_0000.nii.gz").unlink()
    with pytest.raises(InputError) as error:
        read_training_folder(folder)
    assert error.value.problems == (
        "1 of 2 cases in imagesTr have no labels: case1",
        "1 of 2 cases in labelsTr have no images: case2",
    )


def test_labels_on_other_voxels_are_refused(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "d", 1)
    _, labels = blocks(0)
    own = (np.asarray(labels.values) == NUMBERS["disc_L5"]).astype(np.uint8)
    (case,) = read_training_folder(folder).cases
    write_nifti(Scan(Grid.axis_aligned((16, 16, 11), 1.0), own[:, :, :11]), case.labels)
    with pytest.raises(InputError, match="found 16 x 16 x 11 voxels for its 16 x 16 x 12"):
        read_case(case)
    write_nifti(Scan(Grid.axis_aligned((16, 16, 12), 1.0, (5.0, 0.0, 0.0)), own), case.labels)
    with pytest.raises(InputError, match="at another place"):
        read_case(case)


def test_digital_patients_are_labelled_whole(tmp_path: Path) -> None:
    found = read_training_folder(write_patients(tmp_path, 2))
    assert found.whole
    assert [case.name for case in found.cases] == ["patient-0", "patient-1"]
    assert structures(tmp_path) == set(KEYS)


def write_bids(root: Path) -> Path:
    (root / "derivatives" / "manual").mkdir(parents=True)
    (root / "dataset_description.json").write_text('{"Name": "blocks", "BIDSVersion": "1.9.0"}')
    for index, session in ((1, "a"), (1, "b"), (2, "a")):
        scan, labels = blocks(index)
        stem = f"sub-{index:02d}_ses-{session}"
        place = root / f"sub-{index:02d}" / f"ses-{session}" / "anat"
        derived = root / "derivatives" / "manual" / place.relative_to(root)
        place.mkdir(parents=True)
        derived.mkdir(parents=True)
        write_nifti(scan, place / f"{stem}_T2w.nii.gz")
        write_nifti(labels, derived / f"{stem}_space-orig_desc-expert_dseg.nii.gz")
    rows = "".join(f"{NUMBERS[key]}\t{key}\n" for key in KEYS)
    (root / "derivatives" / "manual" / "dseg.tsv").write_text("index\tname\n" + rows)
    return root


def test_bids_derivatives_beside_their_images(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "study")
    found = read_training_folder(root)
    assert found.kind == "BIDS"
    assert [(case.name, case.group, case.modality) for case in found.cases] == [
        ("sub-01_ses-a_space-orig_desc-expert", "01", "MR"),
        ("sub-01_ses-b_space-orig_desc-expert", "01", "MR"),
        ("sub-02_ses-a_space-orig_desc-expert", "02", "MR"),
    ]
    assert structures(root) == set(KEYS)
    alone = read_training_folder(root / "derivatives" / "manual")
    assert [case.image for case in alone.cases] == [case.image for case in found.cases]


def test_bids_label_maps_without_image_or_table_are_said(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "study")
    (root / "derivatives" / "manual" / "dseg.tsv").unlink()
    with pytest.raises(InputError, match=r"or a dseg\.tsv above"):
        read_training_folder(root)
    assert len(read_training_folder(root, "kambin").cases) == 3
    next((root / "sub-02").rglob("*_T2w.nii.gz")).unlink()
    with pytest.raises(InputError, match=r"one image for sub-02.*found none"):
        read_training_folder(root, "kambin")


def test_a_csv_list_with_schemes_and_what_was_labelled(tmp_path: Path) -> None:
    patients = write_patients(tmp_path / "data", 2)
    (tmp_path / "list.csv").write_text(
        "image,label,scheme,labelled,patient,name\n"
        "data/patient-0/scan.nii.gz,data/patient-0/labels.nii.gz,kambin,,x,one\n"
        f"{patients}/patient-1/scan.nii.gz,data/patient-1/labels.nii.gz,kambin,disc_L5;psoas_left,x,two\n"
    )
    found = read_training_folder(tmp_path / "list.csv")
    assert [(case.name, case.group, case.labelled) for case in found.cases] == [("one", "x", None), ("two", "x", ("disc_L5", "psoas_left"))]
    assert Structure.from_key("disc_L5") in read_case(found.cases[1]).segmentation.structures


def test_all_that_is_wrong_with_a_list_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,label,scheme\na/scan.nii.gz,a/labels.nii.gz,kambin\nb/scan.nii.gz,b/labels.nii.gz,kambin\n")
    with pytest.raises(InputError) as error:
        read_training_folder(tmp_path / "list.csv")
    assert len(error.value.problems) == 5
    assert "line 2" in error.value.problems[0]
    assert "scan twice" in error.value.problems[-1]
    (tmp_path / "list.csv").write_text("picture,label\n")
    with pytest.raises(InputError, match="image, label, scheme"):
        read_training_folder(tmp_path / "list.csv")


def test_a_folder_of_something_else_is_refused_with_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layout that Kambin knows"):
        read_training_folder(tmp_path)
    with pytest.raises(InputError, match="found neither"):
        read_training_folder(tmp_path / "nowhere")
