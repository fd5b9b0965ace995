"""Group A or B from label maps at 0.8 mm against the verdict of the exact anatomy, on random digital patients.

    python studies/planning_verdicts.py OUT.csv --patients 10 --keep FOLDER

Ten patients have a hundred foramina. FOLDER is that of `phantom_measures.py`, whose models are used again. Rows are appended patient by
patient, and a patient that is in the file already is not done again.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from kambin.anatomy.structures import Level, Side
from kambin.io.model_file import load_model, save_model
from kambin.measurement.result import NotMeasurable
from kambin.phantom import build_patient, sample
from kambin.phantom.truth.anatomy import anatomy_of
from kambin.phantom.truth.placement import published_placement
from kambin.phantom.truth.table import Table
from kambin.phantom.truth.value import Unknown
from kambin.planning.around import Around
from kambin.planning.entry import skin_entry
from kambin.planning.fields import Fields
from kambin.planning.placement import Placement, judge
from kambin.planning.target import point_b_mm
from kambin.spine import SpineModel
from phantom_measures import append, done, kept, model_of

COLUMNS = ("seed", "level", "side", "true_group", "group", "firm", "true_alpha_deg", "alpha_deg", "b_apart_mm", "true_touched", "touched",
           "changes", "line_b_mm", "reason")  # fmt: skip
STEP_MM = 0.5


def rows_of(seed: int, keep: Path | None) -> list[dict[str, object]]:
    """Both verdicts for every foramen of one patient."""
    patient = build_patient(sample(seed))
    table = Table(anatomy_of(patient))
    path = None if keep is None else keep / f"{seed}-parts-0.8.npz"
    model = kept(path, lambda: model_of(seed, 0.8, True), load_model, save_model)
    fields = Fields(model)
    rows = []
    for space in table.anatomy.spaces:
        segment = model.segment(space.name)
        if space.upper is None or space.upper.level is Level.T12:
            continue
        for side in Side:
            row: dict[str, object] = {"seed": seed, "level": space.name, "side": side.value}
            try:
                true = published_placement(patient, table, space, side, STEP_MM)
                row |= {"true_group": true.group, "true_alpha_deg": f"{true.alpha_deg:.2f}"}
                row["true_touched"] = "; ".join(name.label for name in true.touched)
                if segment is None:
                    raise NotMeasurable("the model has no such segment")
                around, b = Around.of(model, segment, side, fields=fields), point_b_mm(segment, side)
                verdict, placement = judge(around, b)
                row |= {"group": verdict.word, "firm": verdict.is_firm, "alpha_deg": f"{placement.alpha_deg:.2f}"}
                row["b_apart_mm"] = f"{float(np.linalg.norm(b - true.target_mm)):.2f}"
                row["touched"] = "; ".join(f"{each.obstacle.name} {-(each.room_mm or 0):.1f} mm" for each in verdict.touched)
                row["line_b_mm"] = line_b(model, around, placement)
                row["changes"] = "; ".join(f"{c.structure} {c.shift_mm:+g}" for c in verdict.changes)
            except (Unknown, NotMeasurable) as reason:
                row["reason"] = str(reason)
            rows.append(row)
    return rows


def line_b(model: SpineModel, around: Around, placement: Placement) -> str:
    """Line B of the published placement; empty where the scan ends before the skin."""
    try:
        return f"{skin_entry(model, around.frame, placement.channel).line_b_mm:.1f}"
    except NotMeasurable:
        return ""


def summary(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    judged = [row for row in rows if row["group"] and row["true_group"]]
    agree = [row for row in judged if row["group"] == row["true_group"]]
    wrong = [row for row in judged if row["group"] != row["true_group"]]
    lines = [f"{len(judged)} foramina judged, {len(rows) - len(judged)} not; {len(agree)} agree, {len(wrong)} do not,"]
    lines.append(f"of which {sum(row['firm'] == 'False' for row in wrong)} are marked not firm; firm in all: "
                 f"{sum(row['firm'] == 'True' for row in judged)}")  # fmt: skip
    lines += [f"  {r['seed']} {r['level']} {r['side']}: true {r['true_group']} ({r['true_touched']}), found {r['group']} ({r['touched']}), "
              f"changes {r['changes']}" for r in wrong]  # fmt: skip
    for level in sorted({row["level"] for row in judged}):
        some = [row for row in judged if row["level"] == level]
        off = [float(row["alpha_deg"]) - float(row["true_alpha_deg"]) for row in some]
        alpha = [float(row["true_alpha_deg"]) for row in some]
        groups = sum(row["true_group"] == "A" for row in some)
        alphas = f"alpha {np.mean(alpha):.1f} ± {np.std(alpha):.1f}°, found {np.mean(off):+.2f} ± {np.std(off):.2f}°"
        across = [float(row["line_b_mm"]) for row in some if row["line_b_mm"]]
        entry = f"Line B {np.mean(across):.0f} ± {np.std(across):.0f} mm in {len(across)}" if across else "Line B in none"
        lines.append(f"{level}: {groups} of {len(some)} in group A; {alphas}; {entry}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--patients", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="a folder for models, so that judging again is quick")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first_seed, given.first_seed + given.patients):
        if seed in done(given.output):
            continue
        rows = rows_of(seed, given.keep)
        append(given.output, COLUMNS, rows)
        print(f"seed {seed}: {len(rows)} foramina", flush=True)
    print(summary(given.output))


if __name__ == "__main__":
    main()
