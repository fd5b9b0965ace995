"""The shipped model on real scans that it was never trained on: Dice of each structure, and whether every level is right.

    python studies/segmentation_exam.py DATA OUT --model lumbosacral-any

DATA holds the folders ``mr-vb1``, ``mr-vb2``, ``mr-vb3`` (vertebral bodies by hand), ``mr-ivd`` (discs by hand) and ``ct-totalsegmentator``
(another model's labels, at 3 mm). OUT gets ``cases.csv`` with a row for each structure of each case, ``table.md``, and an overlay of
every case. Cases that are in ``cases.csv`` already are not done again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kambin import Scan
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import KambinError
from kambin.io import read_scan, read_segmentation
from kambin.pipeline.segment import SegmentOrder, segment_scan
from kambin.volume import Segmentation

COLUMNS = (
    "set", "case", "structure", "dice", "dice_any_level", "found_as", "truth_ml", "found_ml", "dice_in_slices", "dice_in_middle", "seconds",
    "doubts",
)  # fmt: skip
UPWARD = (Level.L5, Level.L4, Level.L3, Level.L2, Level.L1, Level.T12)
"""What the labels 1, 2, … of the vertebrae stand for; the one after is T11, which Kambin does not name."""

WHOLE = (Kind.VERTEBRA, Kind.BODY, Kind.ENDPLATE, Kind.ARCH)
COMMON_ILIAC_MM = 30.0
"""About so far below the top of the sacrum the common iliac vessels divide."""


@dataclass(frozen=True)
class Case:
    """A scan with labels by hand, or by another model."""

    group: str
    name: str
    scan: Path
    labels: Path
    truth: Mapping[int, Structure]


def cases(data: Path) -> Iterator[Case]:
    """Every case of the exam."""
    bodies = {number: Structure(Kind.BODY, level) for number, level in enumerate(UPWARD, 1)}
    # In VB1 label 1 is S1, seen in all three cases; the model does not tell S1's body from the sacrum.
    from_s1 = {number + 1: structure for number, structure in bodies.items()}
    for group, prefix in (("mr-vb2", "VB2"), ("mr-vb3", "VB3"), ("mr-vb1", "VB1")):
        for path in sorted((data / group).glob(f"{prefix}_*_seg.nii.gz")):
            name = path.name.removesuffix("_seg.nii.gz")
            yield Case(group, name, path.with_name(f"{name}.nii.gz"), path, from_s1 if group == "mr-vb1" else bodies)
    discs = {number: Structure(Kind.DISC, level) for number, level in enumerate(UPWARD[:5], 1)}
    for path in sorted((data / "mr-ivd").glob("IVD_*_seg.nii.gz")):
        name = path.name.removesuffix("_seg.nii.gz")
        yield Case("mr-ivd", name, path.with_name(f"{name}.nii.gz"), path, discs)


_MIDDLE = 0.2
"""Share of its labelled sagittal slices that is left out on either side of a structure: thick slices that hold a part of it only are drawn
or not as the reader pleases, and its side walls with them."""


def middle(labelled: npt.NDArray[np.bool_]) -> slice:
    """The middle three fifths of the sagittal slices in which a structure was drawn."""
    drawn = np.flatnonzero(labelled)
    first, end = int(drawn[0]), int(drawn[-1]) + 1
    return slice(round(first + _MIDDLE * (end - first)), round(end - _MIDDLE * (end - first)))


def dice(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Overlap of two masks; NaN where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / total if total else float("nan")


def rows_of(case: Case, order: SegmentOrder, out: Path) -> list[dict[str, object]]:
    """Segment a case and compare."""
    scan = read_scan(case.scan)
    truth = read_scan(case.labels)
    if not truth.grid.is_close(scan.grid):
        raise ValueError(f"{case.labels}: expected the scan's grid")
    labels = np.asarray(truth.values)
    try:
        made = segment_scan(scan, order, subject=case.scan)
    except KambinError as error:
        return [row(case, str(structure), doubts=str(error).splitlines()[0]) for n, structure in case.truth.items() if (labels == n).any()]
    overlay(scan, made.segmentation, labels, out / f"{case.group}-{case.name}.png")
    found = by_structure(made.segmentation)
    rows = []
    kind = next(iter(case.truth.values())).kind
    for number, structure in case.truth.items():
        mask = labels == number
        if not mask.any():
            continue
        own = found.get(structure, np.zeros_like(mask))
        names = {name: int((m & mask).sum()) for name, m in found.items() if name.kind is kind}
        best = max(names, key=lambda name: names[name], default=None)
        best = best if best is not None and names[best] > 0 else None
        any_level = round(dice(found[best], mask), 4) if best else 0.0
        labelled = mask.any(axis=(1, 2))  # sagittal slices in which somebody drew this structure
        in_slices = round(dice(own[labelled], mask[labelled]), 4)
        core = middle(labelled)
        in_middle = round(dice(own[core], mask[core]), 4)
        volumes = ml(mask, scan), ml(own, scan)
        compared = (round(dice(own, mask), 4), any_level, str(best) if best else "nothing", *volumes, in_slices, in_middle)
        rows.append(row(case, str(structure), *compared, round(made.seconds, 1), " | ".join(made.segmentation.doubts)))
    return rows


def row(case: Case, structure: str, *values: object, doubts: str = "") -> dict[str, object]:
    filled = list(values) if values else [0.0, 0.0, "nothing", "", "", 0.0, 0.0, "", doubts]
    return dict(zip(COLUMNS, [case.group, case.name, structure, *filled], strict=True))


def ml(mask: npt.NDArray[np.bool_], scan: Scan) -> float:
    return round(float(mask.sum()) * scan.grid.voxel_volume_mm3 / 1000.0, 2)


def by_structure(segmentation: Segmentation) -> dict[Structure, npt.NDArray[np.bool_]]:
    """A mask for each body and disc, endplates counted to bodies."""
    result: dict[Structure, npt.NDArray[np.bool_]] = {}
    for label, structure in segmentation.table.items():
        name = Structure(Kind.BODY, structure.level) if structure.kind is Kind.ENDPLATE else structure
        mask = np.asarray(segmentation.labels) == label
        result[name] = result[name] | mask if name in result else mask
    return result


def ct_rows(data: Path, order: SegmentOrder, out: Path) -> list[dict[str, object]]:
    """The CT against TotalSegmentator's labels: bones as one, psoas above the crest, vessels."""
    folder = data / "ct-totalsegmentator"
    scan = read_scan(folder / "example_ct.nii.gz")
    truth = read_segmentation(folder / "example_seg_v1_full_5de6e4d.nii.gz", scheme="totalsegmentator-v1")
    case = Case("ct-totalsegmentator", "example_ct", folder / "example_ct.nii.gz", folder, {})
    try:
        made = segment_scan(scan, order, subject=case.scan)
    except KambinError as error:
        return [row(case, "all", doubts=str(error).splitlines()[0])]
    overlay(scan, made.segmentation, np.zeros(scan.grid.shape), out / "ct-totalsegmentator.png")
    lumbar = [level for level in Level if level not in (Level.T12, Level.L6, Level.S1)]
    groups: dict[str, list[Structure]] = {
        "bones L1 to pelvis": [
            *(Structure(kind, level) for level in lumbar for kind in WHOLE),
            Structure(Kind.SACRUM), *(Structure(Kind.HIP, side=side) for side in Side),
        ],
        **{f"vertebra {level}": [Structure(kind, level) for kind in WHOLE] for level in lumbar},
        "sacrum": [Structure(Kind.SACRUM)],
        "left hip bone": [Structure(Kind.HIP, side=Side.LEFT)],
        "right hip bone": [Structure(Kind.HIP, side=Side.RIGHT)],
        "left psoas": [Structure(Kind.PSOAS, side=Side.LEFT)],
        "right psoas": [Structure(Kind.PSOAS, side=Side.RIGHT)],
        "aorta": [Structure(Kind.AORTA)],
        "vena cava": [Structure(Kind.VENA_CAVA)],
        "common iliac arteries": [Structure(Kind.ILIAC_ARTERY, side=side) for side in Side],
        "common iliac veins": [Structure(Kind.ILIAC_VEIN, side=side) for side in Side],
    }  # fmt: skip
    own, other = (masks(segmentation, groups) for segmentation in (made.segmentation, truth))
    heights = np.flatnonzero(other["left hip bone"].any(axis=(0, 1)) | other["right hip bone"].any(axis=(0, 1)))
    vertebrae = [name for name in groups if name.startswith("vertebra ")]
    rows = []
    for name in groups:
        one, two = own[name], other[name]
        if "psoas" in name:  # below the crest TotalSegmentator's label holds the iliacus too
            one, two = one[:, :, heights[-1] :], two[:, :, heights[-1] :]
        if name in ("aorta", "vena cava"):  # ours begins where the field of view of its training did
            top = np.flatnonzero(other["vertebra L1"].any(axis=(0, 1)))[-1]
            one, two = one[:, :, :top], two[:, :, :top]
        if "iliac" in name:  # TotalSegmentator's go on as the external ones, into the groin
            last = np.flatnonzero(other["sacrum"].any(axis=(0, 1)))[-1] - round(COMMON_ILIAC_MM / scan.grid.spacing_mm[2])
            one, two = one[:, :, last:], two[:, :, last:]
        overlap = round(dice(one, two), 4)
        found_as = max(vertebrae, key=lambda other_name: int((own[other_name] & other[name]).sum())) if name in vertebrae else ""
        doubts = " | ".join(made.segmentation.doubts)
        rows.append(row(case, name, overlap, overlap, found_as, ml(two, scan), ml(one, scan), "", "", round(made.seconds, 1), doubts))
    return rows


def masks(segmentation: Segmentation, groups: Mapping[str, list[Structure]]) -> dict[str, npt.NDArray[np.bool_]]:
    labels = np.asarray(segmentation.labels)
    return {name: np.isin(labels, [n for n, s in segmentation.table.items() if s in set(wanted)]) for name, wanted in groups.items()}


def overlay(scan: Scan, segmentation: Segmentation, truth: npt.NDArray[np.generic], path: Path) -> None:
    """Sagittal, coronal and axial slices through the middle of the column: the scan, with the labels, with those by hand."""
    from PIL import Image

    labels = np.asarray(segmentation.labels)
    column = [n for n, s in segmentation.table.items() if s.kind in (Kind.BODY, Kind.DISC)]
    inside = np.argwhere(np.isin(labels, column))
    middle = np.median(inside, axis=0).astype(int) if len(inside) else np.asarray(labels.shape) // 2
    colours = np.zeros((int(labels.max()) + 1, 3), dtype=np.uint8)
    for number, structure in segmentation.table.items():
        colours[number] = colour(structure)
    low, high = np.percentile(scan.values, [1, 99.5])
    rows = []
    for axis in range(3):
        plane = [slice(None)] * 3
        plane[axis] = int(middle[axis])
        picture, names, hand = (np.asarray(a)[tuple(plane)].T[::-1] for a in (scan.values, labels, truth))
        grey = np.clip((picture.astype(float) - low) / max(high - low, 1e-9), 0, 1)[..., None] * np.array([255, 255, 255])
        mixed = np.where((names > 0)[..., None], 0.55 * grey + 0.45 * colours[names], grey)
        by_hand = np.where((hand > 0)[..., None], 0.55 * grey + 0.45 * np.array([0, 220, 0]), grey)
        rows.append(np.concatenate([grey, mixed, by_hand], axis=1).astype(np.uint8))
    width = max(r.shape[1] for r in rows)
    Image.fromarray(np.concatenate([np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows])).save(path)


COLOURS = {
    Kind.ARCH: (230, 120, 40), Kind.SACRUM: (200, 60, 200), Kind.DURAL_SAC: (60, 90, 255), Kind.NERVE_ROOT: (255, 255, 0),
    Kind.HIP: (220, 200, 200), Kind.PSOAS: (160, 40, 40), Kind.AORTA: (255, 0, 0), Kind.VENA_CAVA: (0, 0, 200),
    Kind.ILIAC_ARTERY: (255, 90, 90), Kind.ILIAC_VEIN: (90, 90, 255),
}  # fmt: skip


def colour(structure: Structure) -> tuple[int, int, int]:
    """Bodies and discs in two shades by turns, so that a level that is skipped or parted shows."""
    odd = structure.level is not None and structure.level.rank % 2
    if structure.kind in (Kind.BODY, Kind.ENDPLATE):
        return (255, 230, 150) if odd else (255, 170, 60)
    if structure.kind is Kind.DISC:
        return (80, 220, 255) if odd else (0, 160, 160)
    return COLOURS.get(structure.kind, (0, 0, 0))


def table(path: Path) -> str:
    """Markdown: each set's mean, then every case, worst first."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ["set", "structures", "mean Dice", "median", "lowest", "levels right", "Dice whatever the level", "Dice in labelled slices"]
    lines = [f"| {' | '.join([*columns, 'in their middle'])} |"]
    lines.append("|---" * 9 + "|")
    for group in dict.fromkeys(r["set"] for r in rows):
        own = [r for r in rows if r["set"] == group]
        values = np.array([float(r["dice"]) for r in own])
        any_level = np.array([float(r["dice_any_level"]) for r in own])
        right, told = sum(r["found_as"] == r["structure"] for r in own), sum(bool(r["found_as"]) for r in own)
        figures = f"{values.mean():.3f} | {np.median(values):.3f} | {values.min():.3f}"
        parts = " | ".join(_mean_of(own, column) for column in ("dice_in_slices", "dice_in_middle"))
        lines.append(f"| {group} | {len(own)} | {figures} | {right} of {told} | {any_level.mean():.3f} | {parts} |")
    lines += ["", "| case | mean Dice | lowest | levels right | doubts |", "|---|---|---|---|---|"]
    names = dict.fromkeys((r["set"], r["case"]) for r in rows)
    by_case = {name: [r for r in rows if (r["set"], r["case"]) == name] for name in names}
    for name in sorted(by_case, key=lambda n: np.mean([float(r["dice"]) for r in by_case[n]])):
        own = by_case[name]
        values = [float(r["dice"]) for r in own]
        worst = min(own, key=lambda r: float(r["dice"]))
        right, told = sum(r["found_as"] == r["structure"] for r in own), sum(bool(r["found_as"]) for r in own)
        figures = f"{np.mean(values):.3f} | {min(values):.3f} ({worst['structure']})"
        lines.append(f"| {name[1]} | {figures} | {right} of {told} | {own[0]['doubts']} |")
    return "\n".join(lines) + "\n"


def _mean_of(rows: list[dict[str, str]], column: str) -> str:
    values = [float(r[column]) for r in rows if r[column]]
    return f"{np.mean(values):.3f}" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="lumbosacral-any")
    parser.add_argument("--only", default="", help="Part of the names of the cases to do.")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "cases.csv"
    done: set[tuple[str, str]] = set()
    if path.exists():
        with path.open(encoding="utf-8") as file:
            done = {(r["set"], r["case"]) for r in csv.DictReader(file)}
    order = SegmentOrder(model=arguments.model)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not done:
            writer.writeheader()
        for case in cases(arguments.data):
            if (case.group, case.name) in done or arguments.only not in case.name:
                continue
            writer.writerows(rows_of(case, order, arguments.out))
            file.flush()
        if ("ct-totalsegmentator", "example_ct") not in done and arguments.only in "example_ct":
            writer.writerows(ct_rows(arguments.data, order, arguments.out))
    (arguments.out / "table.md").write_text(table(path), encoding="utf-8")
    print(table(path))


if __name__ == "__main__":
    main()
