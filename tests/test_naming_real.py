"""Names told by anatomy on real label maps of other programs, their levels and sides forgotten; these maps are not part of the project."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Kind, Level, Structure
from kambin.io import read_segmentation
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.naming import named
from kambin.volume import Segmentation

KINDS = {
    Kind.BODY: "vertebral_body",
    Kind.ARCH: "posterior_arch",
    Kind.SACRUM: "sacrum",
    Kind.DISC: "disc",
    Kind.SPINAL_CANAL: "dural_sac",
    Kind.HIP: "hip_bone",
    Kind.PSOAS: "psoas",
    Kind.AORTA: "aorta",
    Kind.VENA_CAVA: "vena_cava",
    Kind.ILIAC_ARTERY: "common_iliac_artery",
    Kind.ILIAC_VEIN: "common_iliac_vein",
}
CLASSES = ClassSet.from_keys(["background", *KINDS.values()])
NUMBER = {s: n for n, s in builtin_scheme("kambin").table.items() if s is not None}


def forgotten(segmentation: Segmentation, bodies: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The true names in parts, and their classes; where whole vertebrae are labelled, `bodies` tells which of it is body."""
    truth, classes = np.zeros(segmentation.grid.shape, dtype=np.uint16), np.zeros(segmentation.grid.shape, dtype=np.uint8)
    for structure in segmentation.structures:
        kinds = [structure.kind]
        if structure.kind is Kind.VERTEBRA:
            kinds = [Kind.SACRUM] if structure.level is Level.S1 else [Kind.BODY, Kind.ARCH]
        elif structure.kind.is_vertebral and structure.kind not in (Kind.BODY, Kind.ENDPLATE):
            kinds = [Kind.ARCH]
        elif structure.kind is Kind.ENDPLATE:
            kinds = [Kind.BODY]
        for kind in kinds:
            if kind not in KINDS:
                continue
            mask = segmentation.mask(structure)
            if len(kinds) == 2 and bodies is not None:
                mask &= bodies if kind is Kind.BODY else ~bodies
            name = Kind.DURAL_SAC if kind is Kind.SPINAL_CANAL else kind
            level, side = structure.level if name.is_levelled else None, structure.side if name.is_sided else None
            truth[mask] = NUMBER[Structure(name, level, side)]
            classes[mask] = CLASSES.keys.index(KINDS[kind])
    return truth, classes


def share_right(truth: np.ndarray, result: Segmentation, *kinds: Kind) -> float:
    table = builtin_scheme("kambin").table
    mask = np.isin(truth, [n for n, s in table.items() if s is not None and s.kind in kinds])
    assert mask.any()
    return float(np.mean(result.labels[mask] == truth[mask]))


@pytest.mark.parametrize(
    ("name", "scheme"), [("example_seg_v1_full_5de6e4d", "totalsegmentator-v1"), ("example_seg_v2_fast_HEAD", "totalsegmentator-v2")]
)
def test_ct(data_dir: Path, name: str, scheme: str) -> None:
    """No disc is labelled, and bodies come from another model than the vertebrae: their rims disagree."""
    folder = data_dir / "ct-totalsegmentator"
    segmentation = read_segmentation(folder / f"{name}.nii.gz", scheme=scheme)
    image = nib.as_closest_canonical(nib.load(folder / "spine_report_vertebrae_body_HEAD.nii.gz"))
    truth, classes = forgotten(segmentation, np.asarray(image.dataobj) == 1)
    result = named(classes, segmentation.grid, CLASSES)
    assert result.provenance["levels"] == ["L5", "L4", "L3", "L2", "L1", "T12"]
    assert share_right(truth, result, Kind.BODY) > 0.99
    assert share_right(truth, result, Kind.ARCH) > 0.95
    assert share_right(truth, result, Kind.HIP, Kind.PSOAS) > 0.999
    assert share_right(truth, result, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN) > 0.93
    assert not any("mirrored" in doubt for doubt in result.doubts)


def test_sagittal_mr(data_dir: Path) -> None:
    """Seventeen slices 3.3 mm apart, 56 mm wide."""
    folder = data_dir / "labels-spineps"
    pair = (folder / "spine_semantic_ref.nii.gz", folder / "spine_instance_ref.nii.gz")
    segmentation = read_segmentation(*pair, scheme="spineps", lowest=Level.L5)
    truth, classes = forgotten(segmentation)
    result = named(classes, segmentation.grid, CLASSES)
    assert result.provenance["levels"] == ["L5", "L4", "L3", "L2", "L1", "T12"]
    assert share_right(truth, result, Kind.BODY, Kind.DISC, Kind.SACRUM) > 0.99
    assert share_right(truth, result, Kind.ARCH) > 0.95
