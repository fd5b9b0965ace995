"""A published system on a cohort of digital patients, fold by fold, beside its published table.

    python studies/systems_on_patients.py livf-l5s1 OUT --patients 20 --preset cpu

Makes the patients (field of view, level and scanner as in the paper), trains each fold and writes OUT/table-PRESET.md. All of it goes on
where it was interrupted: patients that are there are not made again, finished epochs not trained again, tested folds not opened again.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

from kambin.errors import InputError
from kambin.pipeline.phantom import PhantomOrder, make_patients
from kambin.pipeline.train import train_system
from kambin.pipeline.train_cases import TrainOrder
from kambin.pipeline.train_results import METRICS_FILE, RESULTS, TestRow, read_rows, summary
from kambin.segmentation.systems import System, find_system

SHOWN = {"dice": "Dice", "precision": "precision", "recall": "recall", "iou": "IoU", "pixel_accuracy": "pixel accuracy"}


def make_cohort(system: System, folder: Path, count: int, first_seed: int, spacing_mm: float | None) -> None:
    """The patients that are not there yet. A seed whose patient has no such level is passed over."""
    view = system.view
    spacing = view.spacing_mm if spacing_mm is None else (spacing_mm,) * 3
    order = PhantomOrder(scanner=view.scanner, level=view.level, spacing_mm=spacing, size_mm=view.size_mm, truth=False)
    made = len(list(folder.glob("patient-*/scan.nii.gz")))
    for seed in range(first_seed, first_seed + 3 * count):
        place = folder / f"patient-{seed:05d}"
        if made >= count:
            return
        if place.exists():
            continue
        try:
            make_patients(replace(order, seed=seed), place)
        except InputError as error:
            if error.subject != "level":
                raise
            print(f"{place.name} is left out: {error}", flush=True)
            continue
        made += 1
        print(f"{place.name}: {made} of {count}", flush=True)


def tested(system: System, folder: Path, data: Path, given: argparse.Namespace) -> list[TestRow]:
    """Rows of every fold that is asked for; those that are finished are read."""
    rows: list[TestRow] = []
    for fold in given.folds:
        place = folder / given.preset / f"fold-{fold}"
        if not (place / RESULTS).is_file():
            order = TrainOrder(system.key, str(data), fold, given.preset, given.epochs, given.seed, given.device)
            result = train_system(order, place)
            print(f"fold {fold}: {len(result.log)} epochs, best validation Dice {max(one.mean for one in result.log):.3f}", flush=True)
        rows += read_rows(place / METRICS_FILE)
    return rows


def table(system: System, rows: list[TestRow], given: argparse.Namespace) -> str:
    """Each structure and measure as Markdown, found and published."""
    words = dict(zip(system.classes.keys[1:], system.words, strict=True)) | {"mean": "mean"}
    found = summary(system, rows)
    cases = len({row.case for row in rows})
    measures = [name for name in SHOWN if name in {one.metric for one in system.published}]
    measures += [name for name in SHOWN if name not in measures]
    lines = [
        f"## `{system.key}`, preset `{given.preset}`",
        "",
        f"{cases} digital patients tested in {len(given.folds)} of {system.shares.folds} folds; mean ± standard deviation over cases, in "
        "the scans' own voxels; in brackets the published value.",
        "",
        "| structure | " + " | ".join(SHOWN[name] for name in measures) + " |",
        "|---" * (len(measures) + 1) + "|",
    ]
    for key, of_class in found.items():
        cells = [cell(of_class[name], system, name, key) for name in measures]
        lines.append(f"| {words[key]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(statistics: tuple[float, float, int], system: System, metric: str, key: str) -> str:
    """One measure of one structure."""
    mean, deviation, count = statistics
    told = "–" if count == 0 else f"{mean:.3f}" + ("" if math.isnan(deviation) else f" ± {deviation:.3f}")
    published = system.published_value(metric, key)
    return told if published is None else f"{told} ({published.value:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system")
    parser.add_argument("output", type=Path)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=2000)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--spacing", type=float, help="voxel size of the scans in mm, instead of the paper's")
    parser.add_argument("--data", type=Path, help="a cohort that is there already, or shall be shared; by default in the output")
    given = parser.parse_args()
    system = find_system(given.system)
    data = given.data or given.output / "patients"
    make_cohort(system, data, given.patients, given.first_seed, given.spacing)
    rows = tested(system, given.output, data, given)
    text = table(system, rows, given)
    (given.output / f"table-{given.preset}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
