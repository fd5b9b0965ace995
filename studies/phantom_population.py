"""The population that digital patients are drawn from, beside published means and spreads.

    python studies/phantom_population.py OUT.csv --patients 40

True values of drawn patients, from the exact shapes at one coarse step, and of the mean man (seed "mean"). Rows are appended patient by
patient, and a patient that is in the file already is not done again. Prints a Markdown table: published figures, what the drawn patients
of that sex have there, and the difference of the means in published standard deviations.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import Frame
from kambin.phantom import Patient, PatientParameters, build_patient, sample
from kambin.phantom.field import Field
from kambin.phantom.raster import Piece
from kambin.phantom.tissue import Tissue
from kambin.phantom.truth import angles, corridor, foramen, heights, interlaminar, scene, sections, triangles
from kambin.phantom.truth.anatomy import Space, anatomy_of
from kambin.phantom.truth.endplates import Segment, level_in
from kambin.phantom.truth.plane import extent
from kambin.phantom.truth.table import Table
from kambin.phantom.truth.value import Taken, Unknown

COLUMNS = ("seed", "sex", "symbol", "level", "side", "value")
STEP_MM = 0.5
MEAN_MAN = "mean"
POOLED = "all"
SEGMENTS = ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")
VERTEBRAE = (Level.L1, Level.L2, Level.L3, Level.L4, Level.L5)
Row = tuple[str, str, str, float]


# --- what is taken of a patient ------------------------------------------------------------------------------------------------------


def values(patient: Patient) -> Iterator[Row]:
    """Symbol, level, side and value of each quantity that the patient has."""
    table = Table(anatomy_of(patient))
    for space in table.anatomy.spaces:
        if space.name in SEGMENTS:
            yield from _of_space(patient, table, space)
    for level in VERTEBRAE:
        yield from _taken(level.value, lambda level=level: heights.body_heights(table.bone(level, STEP_MM), STEP_MM))
        yield from _taken(level.value, lambda level=level: heights.body_width_and_depth(table.bone(level, STEP_MM), STEP_MM))
        yield from _taken(level.value, lambda level=level: _pedicle(table, level), Side.RIGHT)
    yield from _taken("L1–S1", lambda: {"LL": angles.between(table.posed(STEP_MM), Level.L1, Level.S1)})
    yield from _taken("S1", lambda: {"SS": angles.sacral_slope(table.posed(STEP_MM))})


def _of_space(patient: Patient, table: Table, space: Space) -> Iterator[Row]:
    name, anatomy = space.name, table.anatomy
    upper, lower = (Level(word) for word in name.split("/"))

    def frame() -> Frame:
        return table.segment(space, STEP_MM).frame

    for side in Side:
        yield from _taken(name, lambda side=side: foramen.foramen(table.half(space, side, STEP_MM), 0.8 * STEP_MM), side)
    yield from _taken(name, lambda: heights.disc_heights(table.segment(space, STEP_MM), STEP_MM))
    yield from _taken(name, lambda: {"SA": angles.between(table.posed(STEP_MM), upper, lower)})
    yield from _taken(name, lambda: sections.canal(anatomy, frame(), ("CA", "CD"), name, STEP_MM))
    if lower is not Level.S1:
        yield from _taken(name, lambda: sections.oblique_corridor(anatomy, frame(), name, STEP_MM))
        yield from _taken(name, lambda: sections.psoas_to_cava(anatomy, frame(), name, STEP_MM))
        yield from _taken(name, lambda: sections.vessel(anatomy, frame(), Kind.VENA_CAVA, "DIVC", name, STEP_MM))
    if name in ("L2/L3", "L4/L5"):
        yield from _taken(name, lambda: _arteries(patient, table, space))
    if name == "L4/L5":
        yield from _taken(name, lambda: table._crest(space, Side.RIGHT, STEP_MM), Side.RIGHT)
    if name == "L5/S1":
        yield from _taken(name, lambda: interlaminar.interlaminar_width(table.segment(space, STEP_MM), 0.8 * STEP_MM))
        for side in Side:
            yield from _taken(
                name, lambda side=side: interlaminar.interlaminar_height(table.segment(space, STEP_MM), side, 0.8 * STEP_MM), side
            )
            yield from _taken(name, lambda side=side: _triangles(table, space, side), side)
    if name in ("L3/L4", "L4/L5"):
        yield from _taken(name, lambda: _skin_to_epidural(patient, table.segment(space, STEP_MM)))


def _taken(level: str, take: Callable[[], Taken], side: Side | None = None) -> Iterator[Row]:
    try:
        found = take()
    except Unknown:
        return
    for symbol, value in found.items():
        yield symbol, level, "" if side is None else side.value, value


def _pedicle(table: Table, level: Level) -> Taken:
    neck = table.neck(level, Side.RIGHT, STEP_MM)
    return {"PW": neck.width_mm, "PH": neck.height_mm}


def _arteries(patient: Patient, table: Table, space: Space) -> Taken:
    """Lumen of the aorta, or of the left common iliac artery where it has divided: smallest caliper of the section, which is a tube's
    diameter however oblique the section; and the largest diameter of that vessel with its wall.
    """
    plane = table.segment(space, STEP_MM).frame
    loops = sections.section(_blood(patient.pieces), plane, 0.5 * STEP_MM)
    left = min(loops, key=lambda loop: float(loop[:, 0].mean()))
    turns = np.radians(np.arange(0.0, 180.0, 3.0))
    lumen = min(extent(left, (np.cos(turn), np.sin(turn))) for turn in turns)
    if len(loops) == 1:
        return {"aortic lumen": lumen, **sections.vessel(table.anatomy, plane, Kind.AORTA, "DAA", space.name, STEP_MM)}
    whole = sections.section(table.anatomy.shape(Kind.ILIAC_ARTERY, side=Side.LEFT), plane, 0.5 * STEP_MM)
    return {"iliac lumen": lumen, "DAA": max(extent(whole[0], (np.cos(turn), np.sin(turn))) for turn in turns)}


def _blood(pieces: tuple[Piece, ...]) -> Field:
    return next(piece.shape for piece in pieces if piece.layers[0].tissue is Tissue.ARTERIAL_BLOOD)


def _triangles(table: Table, space: Space, side: Side) -> Taken:
    """The Kambin triangle in the view where it is largest, and the safe triangle in its standard view, where there are any."""
    segment, neck = table.segment(space, STEP_MM), table.neck(corridor.exiting_level(space), side, STEP_MM)
    seen = scene.scene_of(table.anatomy, segment, side, neck.outline_mm)
    found: dict[str, float] = {}
    with suppress(Unknown):
        found["KT*"] = triangles.at_its_largest(seen, "KT", STEP_MM)["KT*"][0]
    with suppress(Unknown):
        found["ST"] = triangles.in_standard_view(seen, "ST", STEP_MM)["ST"]
    return found


def _skin_to_epidural(patient: Patient, segment: Segment) -> Taken:
    """From the skin to where a needle in the midline loses resistance: the flavum's front, looked for a little beside its cleft."""
    behind = np.arange(4.0, 40.0, 0.1)
    points = np.column_stack([np.full_like(behind, 1.5), segment.back_mm - behind, np.zeros_like(behind)])
    # The dura is of the same tissue, but has a name.
    ligaments = [piece.shape for piece in patient.pieces if piece.layers[0].tissue is Tissue.LIGAMENT and piece.structure is None]
    inside = np.min([level_in(shape, segment.frame, points) for shape in ligaments], axis=0) < 0
    if not inside.any():
        raise Unknown("no flavum there")
    skin = corridor.skin_behind(anatomy_of(patient), segment)["SKp"]
    return {"skin to epidural": skin - float(behind[inside.argmax()])}


# --- what is published -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """One published series of a quantity: level, mean and SD each; the SD is None where only means are printed."""

    symbol: str
    unit: str
    source: str
    cells: Mapping[str, tuple[float, float | None]]
    sex: str = ""
    borrowed_sd: float | None = None
    """Of another series, where this one prints none."""


def _cells(levels: tuple[str, ...], means: str, spreads: str = "") -> dict[str, tuple[float, float | None]]:
    sds = [float(word) for word in spreads.split()] if spreads else [None] * len(levels)
    return dict(zip(levels, zip((float(word) for word in means.split()), sds, strict=True), strict=True))


_V = tuple(level.value for level in VERTEBRAE)
_OC = SEGMENTS[1:3]
_LOW, _BOTTOM = SEGMENTS[3:4], SEGMENTS[4:]
PUBLISHED = (
    Series("FA", "mm²", "AANS 2025", _cells((POOLED,), "133.1", "34.7")),
    Series("FA", "mm²", "Liu 2022", _cells(_BOTTOM, "107.8"), borrowed_sd=34.7),
    Series("FH", "mm", "AANS 2025", _cells((POOLED,), "17.7", "3.0")),
    Series("FH", "mm", "Liu 2022", _cells(_BOTTOM, "15.7"), borrowed_sd=3.0),
    Series("FW", "mm", "Liu 2022", _cells(_BOTTOM, "6.9"), borrowed_sd=2.1),
    Series("KT*", "mm²", "Fan", _cells(_BOTTOM, "37.8", "20.9")),
    Series("ST", "mm²", "Fan", _cells(_BOTTOM, "8.69", "2.24")),
    Series("OC", "mm", "Li 2018", _cells(SEGMENTS[:1], "18.9"), borrowed_sd=4.2),
    Series("OC", "mm", "J Orthop Surg Res 2022", _cells(_OC, "16.3 15.5", "4.2 4.6")),
    Series("OC", "mm", "Wang 2023", _cells(_LOW, "9.21", "4.90")),
    Series("PI", "mm", "Li 2018", _cells(SEGMENTS[:3], "14.8 5.5 3.0")),
    Series("PI", "mm", "Wang 2023", _cells(_LOW, "1.93", "1.50")),
    Series("DAA", "mm", "Wang 2023", _cells(_LOW, "11.85", "3.15")),
    Series("DIVC", "mm", "Wang 2023", _cells(_LOW, "21.08", "7.26")),
    Series("aortic lumen", "mm", "Ann Vasc Surg 2019", _cells(SEGMENTS[1:2], "16.49", "2.12"), "male"),
    Series("aortic lumen", "mm", "Ann Vasc Surg 2019", _cells(SEGMENTS[1:2], "14.50", "1.73"), "female"),
    Series("iliac lumen", "mm", "Ann Vasc Surg 2019", _cells(_LOW, "9.65", "1.76"), "male"),
    Series("iliac lumen", "mm", "Ann Vasc Surg 2019", _cells(_LOW, "8.45", "1.28"), "female"),
    Series("DHa", "mm", "Onishi 2019", _cells(SEGMENTS[2:], "9.3 10.9 12.4"), borrowed_sd=1.9),
    Series("DHm", "mm", "Shin 2024", _cells(SEGMENTS, "6.6 7.9 8.8 9.3 8.1", "1.4 1.6 1.6 1.75 1.9")),
    Series("DHm", "mm", "Iranian MR series", _cells(SEGMENTS, "10.0 11.59 12.45 13.82 12.99", "1.89 1.51 1.79 1.96 2.53")),
    Series("DHm", "mm", "Nepalese MR series", _cells((SEGMENTS[0], *SEGMENTS[3:]), "7.89 11.96 11.10"), borrowed_sd=1.9),
    Series("DHp", "mm", "Nepalese MR series", _cells((SEGMENTS[0], *SEGMENTS[3:]), "5.52 8.09 6.94"), borrowed_sd=1.3),
    Series("VHa", "mm", "Gilad 1985", _cells(_V[:4], "25.4 27.2 27.9 27.4", "2.2 2.0 2.1 2.2"), "male"),
    Series("VHp", "mm", "Gilad 1985", _cells(_V[:4], "27.1 27.0 27.9 27.1", "2.1 2.1 2.1 2.3"), "male"),
    Series("VHa", "mm", "Cook 2021", _cells(_V[4:], "30.7", "1.9"), "male"),
    Series("VHa", "mm", "Cook 2021", _cells(_V[4:], "29.6", "1.8"), "female"),
    Series("VHp", "mm", "Cook 2021", _cells(_V[4:], "26.8", "1.9"), "male"),
    Series("VHp", "mm", "Cook 2021", _cells(_V[4:], "25.5", "1.6"), "female"),
    Series("VD", "mm", "Abbas 2021", _cells(_V, "29.9 31.3 32.6 32.8 32.9"), "male", 2.5),
    Series("PW", "mm", "Zindrick 1987", _cells(_V, "8.7 8.9 10.3 12.9 18.0", "2.3 2.2 2.6 2.1 4.1")),
    Series("PW", "mm", "Cook 2021", _cells(_V[4:], "16.6", "2.3"), "male"),
    Series("PW", "mm", "Cook 2021", _cells(_V[4:], "15.1", "1.8"), "female"),
    Series("PH", "mm", "Zindrick 1987", _cells(_V, "15.4 15.0 14.9 14.8 14.0", "2.8 1.5 2.4 2.1 2.3")),
    Series("PH", "mm", "Cook 2021", _cells(_V[4:], "13.1", "1.4"), "male"),
    Series("PH", "mm", "Cook 2021", _cells(_V[4:], "12.5", "1.0"), "female"),
    Series("CD", "mm", "Chatha 2011", _cells((SEGMENTS[0], SEGMENTS[4]), "15.6 11.6"), borrowed_sd=2.0),
    Series("ICH", "mm", "Orthop Proc 2009", _cells(_LOW, "4.3"), borrowed_sd=11.0),
    Series("skin to epidural", "mm", "Lee 2004", _cells(SEGMENTS[2:4], "41.8 47.8", "9.7 10.2")),
    Series("skin to epidural", "mm", "Iranian MR 2025", _cells(SEGMENTS[2:3], "57.1", "11.8")),
    Series("skin to epidural", "mm", "Pain Pract 2005", _cells(SEGMENTS[2:3], "53.7", "8.8"), "male"),
    Series("skin to epidural", "mm", "Pain Pract 2005", _cells(SEGMENTS[2:3], "48.3", "9.3"), "female"),
    Series("IWw", "mm", "Wang D 2021", _cells(_BOTTOM, "23.55", "4.91")),
    Series("IWh", "mm", "Wang D 2021", _cells(_BOTTOM, "9.34", "2.45")),
    Series("LL", "°", "Moussallem 2014", _cells(("L1–S1",), "46"), borrowed_sd=13.2),
    Series("LL", "°", "Asian Spine J", _cells(("L1–S1",), "36.8", "13.2")),
    Series("SS", "°", "Okpala", _cells(("S1",), "44.5", "9.9")),
    Series("SA", "°", "Sci Rep 2022", _cells(SEGMENTS, "1.2 5.9 9.1 12.7 21.6", "3.6 4.1 4.2 5.1 7.7")),
)
"""Names of sources are those of docs/references.md."""


# --- beside each other -----------------------------------------------------------------------------------------------------------------


def report(path: Path) -> str:
    """The Markdown table, one series a line, and how many of the published figures the population meets."""
    rows = list(_read(path))
    sexes = dict.fromkeys((row["seed"], row["sex"]) for row in rows if row["seed"] != MEAN_MAN)
    head = ("quantity", "sex", "level", "simulated", "mean man", "published", "source", "difference in SD")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    met: list[bool] = []
    for series in PUBLISHED:
        cells = [_beside(rows, series, level, met) for level in series.cells]
        levels, simulated, man, published, off = (", ".join(words) for words in zip(*cells, strict=True))
        name = f"{series.symbol} {series.unit}"
        lines.append(f"| {' | '.join((name, series.sex, levels, simulated, man, published, series.source, off))} |")
    women = sum(sex == "female" for _seed, sex in sexes)
    lines.append(f"\n{len(sexes)} drawn patients, {women} of them women. Within one published SD: {sum(met)} of {len(met)} means. ")
    return "\n".join(lines) + "An asterisk: the SD of another series, where this one prints none."


def _beside(rows: list[dict[str, str]], series: Series, level: str, met: list[bool]) -> tuple[str, str, str, str, str]:
    """One cell of a series beside the drawn patients: level, theirs, the mean man's, the published figure, the difference."""
    mean, sd = series.cells[level]
    drawn, man = _found(rows, series, level)
    spread = sd or series.borrowed_sd
    simulated = f"{np.mean(drawn):.1f} ± {np.std(drawn, ddof=1):.1f}" if len(drawn) > 1 else "–"
    off = "–"
    if spread and drawn:
        away = (float(np.mean(drawn)) - mean) / spread
        met.append(abs(away) <= 1.0)
        off = f"{away:+.1f}" + ("" if sd else "*")
    published = f"{mean:g}" + (f" ± {sd:g}" if sd else "")
    return level, simulated, f"{np.mean(man):.1f}" if man else "–", published, off


def _found(rows: list[dict[str, str]], series: Series, level: str) -> tuple[list[float], list[float]]:
    """Values of drawn patients of the series' sex, and those of the mean man."""
    levels = SEGMENTS if level == POOLED else (level,)
    own = [row for row in rows if row["symbol"] == series.symbol and row["level"] in levels and series.sex in ("", row["sex"])]
    drawn = [float(row["value"]) for row in own if row["seed"] != MEAN_MAN]
    return drawn, [float(row["value"]) for row in own if row["seed"] == MEAN_MAN]


def _read(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def add(path: Path, seed: str) -> None:
    """Append one patient's rows, all or none."""
    parameters = PatientParameters() if seed == MEAN_MAN else sample(int(seed))
    rows = [(seed, parameters.sex, *row[:3], f"{row[3]:.5g}") for row in values(build_patient(parameters))]
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([COLUMNS, *rows] if fresh else rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=100)
    given = parser.parse_args()
    done = {row["seed"] for row in _read(given.output)}
    for seed in (MEAN_MAN, *(str(given.first_seed + index) for index in range(given.patients))):
        if seed not in done:
            started = time.process_time()
            add(given.output, seed)
            print(f"seed {seed}: {time.process_time() - started:.0f} s of CPU", flush=True)
    print(report(given.output))


if __name__ == "__main__":
    main()
