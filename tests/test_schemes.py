"""Label schemes against the page of conventions they were written from, transcribed here; and schemes of the user's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kambin.anatomy import SCHEME_NAMES, Kind, Level, Scheme, Structure, builtin_scheme, load_scheme, read_scheme
from kambin.errors import InputError
from kambin.io.levels import counted_from_below

COLUMNS = (
    "totalsegmentator-v2",
    "totalsegmentator-v1",
    "totalsegmentator-mr",
    "totalsegmentator-vertebrae-mr",
    "spineps",
    "totalspineseg",
    "spider",
    "nv-segment",
    "ctspinopelvic1k",
)
LUMBAR = "vertebra_L1 vertebra_L2 vertebra_L3 vertebra_L4 vertebra_L5"
# One line a row of the page: structures, then the numbers in each column, "-" where the tool has none.
ROWS = {
    "L1 L2 L3 L4 L5": (
        LUMBAR,
        "31 30 29 28 27", "22 21 20 19 18", "-", "6 5 4 3 2", "20 21 22 23 24", "41 42 43 44 45", "5 4 3 2 1", "37 36 35 34 33",
        "20 21 22 23 24",
    ),
    "L6 / S1": ("vertebra_L6 vertebra_S1", "- 26", "- -", "- -", "- -", "25 -", "46 -", "- -", "- 127", "25 29"),
    "sacrum": ("sacrum", "25", "92", "18", "1", "26", "50", "-", "97", "26"),
    "discs": ("disc_L3 disc_L4 disc_L5", "-", "-", "-", "-", "122 123 124", "94 95 100", "203 202 201", "-", "-"),
    "cord / canal": ("spinal_cord spinal_canal", "79 -", "- -", "21 -", "- -", "60 61", "1 2", "- 100", "121 -", "- -"),
    "arch": (
        "posterior_arch spinous_process transverse_process_left transverse_process_right",
        "-", "-", "-", "-", "41 42 43 44", "-", "-", "-", "-",
    ),
    "articular": (
        "superior_articular_process_left superior_articular_process_right "
        "inferior_articular_process_left inferior_articular_process_right",
        "-", "-", "-", "-", "45 46 47 48", "-", "-", "-", "-",
    ),
    "body": ("vertebral_body vertebral_body endplate", "-", "-", "-", "-", "49 50 62", "-", "-", "-", "-"),
    "hip": ("hip_bone_left hip_bone_right", "77 78", "90 91", "38 39", "-", "-", "-", "-", "95 96", "30 31"),
    "psoas": ("psoas_left psoas_right", "88 89", "102 103", "48 49", "-", "-", "-", "-", "106 107", "66 67"),
    "aorta": ("aorta vena_cava", "52 63", "7 8", "23 24", "-", "-", "-", "-", "6 7", "68 69"),
    "iliac": (
        "common_iliac_artery_left common_iliac_artery_right common_iliac_vein_left common_iliac_vein_right",
        "65 66 67 68", "51 52 53 54", "26 27 28 29", "-", "-", "-", "-", "58 59 60 61", "70 71 72 73",
    ),
    "nerve": (
        "nerve_root_L4_left nerve_root_L4_right nerve_root_L5_left nerve_root_L5_right nerve_root_S1_left nerve_root_S1_right",
        "-", "-", "-", "-", "-", "-", "-", "-", "60 61 62 63 64 65",
    ),
}  # fmt: skip
ONE_CLASS = {"totalsegmentator-mr": {19: "vertebra", 20: "disc"}, "nv-segment": {134: "disc"}}


def truth() -> list[tuple[str, str, int | None]]:
    cells = []
    for keys, *columns in ROWS.values():
        for name, column in zip(COLUMNS, columns, strict=True):
            numbers = column.split()
            if numbers == ["-"]:
                numbers = ["-"] * len(keys.split())
            cells += [(name, key, None if n == "-" else int(n)) for key, n in zip(keys.split(), numbers, strict=True)]
    return cells


def full_table(name: str) -> dict[int, Structure | None]:
    scheme = builtin_scheme(name)
    if scheme.from_below:
        return counted_from_below(scheme, Path("map"), Level.L5)
    return {**scheme.table, **(scheme.parts or {}), **{k: v for k, v in scheme.table.items() if k not in range(40, 64)}}


@pytest.mark.parametrize(("name", "key", "number"), truth())
def test_every_cell_of_the_page(name: str, key: str, number: int | None) -> None:
    table = full_table(name)
    wanted = Structure.from_key(key)
    numbers = sorted(n for n, structure in table.items() if structure == wanted)
    if number is None:
        assert numbers == []
    else:
        assert table[number] == wanted
        several = {("spineps", "vertebral_body"), ("spineps", "endplate"), ("spineps", "sacrum")}
        assert numbers == [number] or (name, key) in several


VISCERA = {
    "totalsegmentator-v1": {"kidney_left": [3], "kidney_right": [2], "bowel": [55, 56, 57]},
    "totalsegmentator-v2": {"kidney_left": [3, 23], "kidney_right": [2, 24], "bowel": [18, 19, 20]},
    "totalsegmentator-mr": {"kidney_left": [3], "kidney_right": [2], "bowel": [13, 14, 15]},
    "nv-segment": {"kidney": [2], "kidney_left": [14, 116], "kidney_right": [5, 117], "bowel": [13, 18, 19, 62]},
    "kambin": {"kidney_left": [91], "kidney_right": [92], "bowel": [93]},
}
"""From the tools' own lists: what is no bone, nerve, muscle or vessel, and not to be hit."""


@pytest.mark.parametrize("name", SCHEME_NAMES)
def test_kidneys_and_bowel(name: str) -> None:
    found: dict[str, list[int]] = {}
    for number, structure in builtin_scheme(name).table.items():
        if structure is not None and structure.kind in (Kind.KIDNEY, Kind.BOWEL):
            found.setdefault(structure.key, []).append(number)
    assert found == VISCERA.get(name, {})


def test_one_class_maps_name_no_level() -> None:
    for name, entries in ONE_CLASS.items():
        for number, key in entries.items():
            assert builtin_scheme(name).table[number] == Structure.from_key(key)


def test_the_transcription_is_the_page(data_dir: Path) -> None:
    page = data_dir.parent / "design" / "LABELS.md"
    if not page.is_file():
        pytest.skip(f"the page of conventions is not here: {page}")
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    rows = [row for row in rows if not set("".join(row)) <= set("-| ")]
    assert len(rows) == len(ROWS)
    for row, (label, (_, *columns)) in zip(rows, ROWS.items(), strict=True):
        for name, cell, column in zip(COLUMNS, row[1:], columns, strict=True):
            expected = [int(n) for n in column.split() if n != "-"]
            if name == "spider" and label == "L1 L2 L3 L4 L5":
                assert "L5 = 1" in cell
                continue
            if "one class" in cell:
                assert all(number in ONE_CLASS[name] for number in numbers_in(cell))
            elif (name, label) == ("spineps", "L6 / S1"):
                assert numbers_in(cell) == [25, 26]  # 26 is the whole sacrum; SPINEPS calls it S1
            else:
                assert numbers_in(cell) == expected, (label, name)


def numbers_in(cell: str) -> list[int]:
    cell = re.sub(r"\([^)]*\)", "", cell)
    cell = re.sub(r"(\d+)–(\d+)", lambda m: " ".join(str(n) for n in range(int(m[1]), int(m[2]) + 1)), cell)
    return [int(n) for n in re.findall(r"\d+", cell)]


def test_numbers_known_but_not_used_have_names() -> None:
    counts = {"totalsegmentator-v1": 104, "totalsegmentator-v2": 117, "totalsegmentator-mr": 50, "nv-segment": 345}
    for name in SCHEME_NAMES:
        scheme = builtin_scheme(name)
        assert all(scheme.names[number] for number in scheme.table)
        assert len(scheme.table) == counts.get(name, len(scheme.table))


@pytest.mark.parametrize("version", [1, 2])
def test_names_are_totalsegmentators_own(data_dir: Path, version: int) -> None:
    listed = json.loads((data_dir / "ct-totalsegmentator" / f"labels_v{version}.json").read_text())
    scheme = builtin_scheme(f"totalsegmentator-v{version}")
    assert {number: entry["name"] for number, entry in listed.items()} == {number: scheme.names[int(number)] for number in listed}


def test_verse_numbers() -> None:
    table = builtin_scheme("verse").table
    assert table[19] == Structure(Kind.VERTEBRA, Level.T12)
    assert table[25] == Structure(Kind.VERTEBRA, Level.L6)
    assert table[26] == Structure(Kind.SACRUM)
    assert all(table[number] is None for number in (*range(1, 19), 27, 28))


def test_kambins_own_scheme_names_everything_once_in_eight_bits() -> None:
    scheme = builtin_scheme("kambin")
    whole = []
    for kind in Kind:
        for level in Level if kind.is_levelled else (None,):
            for side in (None,) if not kind.is_sided else tuple(Structure.from_key(f"hip_bone_{s}").side for s in ("left", "right")):
                whole.append(Structure(kind, level, side))
    # What the published CT system tells apart has no levels.
    whole += [Structure.from_key(key) for key in ("vertebra", "nerve_root_left", "nerve_root_right")]
    assert set(scheme.table.values()) == set(whole)
    assert len(scheme.table) == len(whole)
    assert max(scheme.table) <= 255
    spot = {19: "vertebra_T12", 24: "vertebra_L5", 26: "sacrum", 30: "hip_bone_left", 41: "psoas_right", 50: "aorta"}
    spot |= {60: "dural_sac", 70: "nerve_root_L1_left", 83: "nerve_root_S1_right", 90: "trunk", 55: "common_iliac_vein_right"}
    spot |= {123: "disc_L4", 144: "vertebral_body_L5"}
    assert {number: scheme.table[number].key for number in spot} == spot


def test_names_are_found_however_they_are_written() -> None:
    scheme = builtin_scheme("totalsegmentator-v2")
    assert scheme.id_named("vertebrae_L5") == scheme.id_named("Vertebrae L5") == scheme.id_named("vertebra_L5") == 27
    assert scheme.id_named("L5 vertebra") == 27
    assert scheme.id_named("left hip bone") == 77
    assert scheme.id_named("kneecap") is None


def test_unknown_scheme_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"totalsegmentator-v1.*found 'totalseg'"):
        load_scheme("totalseg")


def test_own_scheme_from_toml_and_csv_agree(tmp_path: Path) -> None:
    toml, table = tmp_path / "own.toml", tmp_path / "own.csv"
    toml.write_text('title = "Ours"\nunlisted = "ignore"\n[labels]\n4 = "vertebra_L4"\n5 = "vertebra_L5"\n9 = "hip_bone"\n7 = "ignore"\n')
    table.write_text("# ours\nid,structure,name\n4,vertebra_L4,fourth\n5,vertebra_L5,fifth\n9,hip_bone,pelvis\n7,ignore,liver\n*,ignore,\n")
    first, second = read_scheme(toml), read_scheme(table)
    assert first.title == "Ours"
    assert dict(first.table) == dict(second.table)
    assert first.table[7] is None
    assert first.table[9] == Structure(Kind.HIP)
    assert first.ignores_unlisted
    assert second.ignores_unlisted
    assert second.id_named("Fifth") == 5


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.toml", '[labels]\n4 = "vertebra_L7"\n5 = "liver"\n', r"key 4: no structure is named 'vertebra_L7'; key 5.*Allowed are"),
        ("a.toml", '[labels]\n4 = "vertebra_L4"\nx = "sacrum"\n', r"key x: expected a whole number"),
        ("a.toml", '[labels]\n0 = "sacrum"\n', r"key 0: expected a number from 1"),
        ("a.toml", "[labels]\n4 = ignore", r"not valid TOML"),
        ("a.toml", 'title = "x"\n', r"expected a table \[labels\]"),
        ("a.toml", '[labels]\n4 = "ignore"\n', r"at least one number with a structure"),
        ("a.toml", 'unlisted = "drop"\n[labels]\n4 = "sacrum"\n', r"unlisted: expected"),
        ("a.csv", "id,structure\n4,vertebra_L4\n4,vertebra_L5\n", r"line 3: the number 4 is given twice"),
        ("a.csv", "number,what\n4,sacrum\n", r"columns id and structure, found number, what"),
        ("a.csv", "", r"columns id and structure, found nothing"),
        ("a.csv", "id,structure\n4,disc_L4_left\n", r"line 2: no structure is named 'disc_L4_left'"),
    ],
)
def test_a_bad_own_scheme_is_told_by_file_and_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        read_scheme(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_own_scheme(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_scheme(tmp_path / "none.toml")


def test_scheme_refuses_background_as_a_label() -> None:
    with pytest.raises(ValueError, match="positive label numbers, found 0"):
        Scheme("x", "x", {0: None}, {})
