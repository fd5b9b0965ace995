"""measurements.json and .csv: read back to equal values, valid by the published schema, no NaN ever."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from io_write_models import small_measurements, small_model
from kambin.anatomy.structures import Side
from kambin.errors import InputError
from kambin.io.measurements_json import read_doubts, read_measurements, write_measurements_csv, write_measurements_json
from kambin.measurement.result import Evidence, EvidencePoint, Measurement, Measurements, Quantity

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "schema" / "measurements-1.schema.json"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "measurements.json"
    write_measurements_json(small_measurements(), path, doubts=small_model().doubts, version="1.2.3")
    return path


def test_reads_back_to_equal_rows(written: Path) -> None:
    before, after = small_measurements(), read_measurements(written)
    assert dict(after.provenance) == {"file": "boxes.nii.gz"}
    for old, new in zip(before.rows, after.rows, strict=True):
        assert new.quantity == old.quantity
        assert (new.level, new.side, new.value, new.reason, new.doubts) == (old.level, old.side, old.value, old.reason, old.doubts)
        assert new.evidence.view == old.evidence.view
        for kind in ("points", "curves", "planes"):
            for was, is_now in zip(getattr(old.evidence, kind), getattr(new.evidence, kind), strict=True):
                for name in was.__dataclass_fields__:
                    np.testing.assert_array_equal(getattr(is_now, name), getattr(was, name))
    facts = after.rows[0].evidence.facts
    assert facts["unbounded"] is None
    assert facts["profile_mm2"] == [1.0, 2.5]
    assert facts["bridged"] is True
    assert read_doubts(written) == small_model().doubts


def test_written_again_from_what_was_read_is_the_same_file(written: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    write_measurements_json(read_measurements(written), again, doubts=read_doubts(written), version="1.2.3")
    assert again.read_bytes() == written.read_bytes()


def test_is_valid_by_its_schema_and_strict_json(written: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    document = json.loads(written.read_text(encoding="utf-8"), parse_constant=refuse)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert document["coordinate_system"] == "RAS"
    assert document["rows"][1]["value"] is None
    assert document["rows"][1]["status"] == "not_measurable"
    assert document["rows"][0]["published"]["mean"] == 107.8


@pytest.mark.parametrize(
    ("change", "path"),
    [({"value": None}, ("rows", 0)), ({"side": "west"}, ("rows", 0)), ({"coordinate_system": "LPS"}, ()), ({"status": "ok"}, ("rows", 1))],
)
def test_schema_refuses_what_is_wrong(written: Path, change: dict, path: tuple) -> None:
    document = json.loads(written.read_text(encoding="utf-8"))
    target = document
    for step in path:
        target = target[step]
    target.update(change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))


@given(value=st.floats(allow_nan=False, allow_infinity=False), point=st.tuples(*[st.floats(-1e4, 1e4)] * 3))
def test_every_number_survives_exactly(tmp_path_factory: pytest.TempPathFactory, value: float, point: tuple) -> None:
    path = tmp_path_factory.mktemp("exact") / "m.json"
    quantity = Quantity("k", "K", "k", "mm", "d", (0.0, 1.0))
    row = Measurement(quantity, "L4", None, value, evidence=Evidence((EvidencePoint("p", np.array(point)),)))
    write_measurements_json(Measurements((row,)), path)
    back = read_measurements(path).rows[0]
    assert back.value == value
    np.testing.assert_array_equal(back.evidence.points[0].position_mm, point)


def test_numpy_numbers_are_taken(tmp_path: Path) -> None:
    row = replace(small_measurements().rows[2], value=np.float64(1.5))
    write_measurements_json(Measurements((row,), {"n": np.int64(3), "p": tmp_path}), tmp_path / "m.json")
    assert read_measurements(tmp_path / "m.json").provenance["n"] == 3


def test_evidence_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    evidence = Evidence((EvidencePoint("p", np.array([0.0, np.nan, 1.0])),))
    rows = (replace(small_measurements().rows[2], evidence=evidence),)
    with pytest.raises(ValueError, match="SL at L4/L5"):
        write_measurements_json(Measurements(rows), tmp_path / "m.json")


def test_two_definitions_of_one_quantity_are_refused(tmp_path: Path) -> None:
    first = small_measurements().rows[2]
    second = replace(first, quantity=replace(first.quantity, definition="something else"))
    with pytest.raises(ValueError, match="slip"):
        write_measurements_json(Measurements((first, second)), tmp_path / "m.json")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "can be read"),
        ("{", "JSON"),
        ("[]", "None"),
        ('{"schema": "other/1"}', "other/1"),
        ('{"schema": "kambin.measurements/1"}', "damaged"),
    ],
)
def test_other_files_are_refused_with_one_clear_error(tmp_path: Path, content: str | None, found: str) -> None:
    path = tmp_path / "m.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=found) as caught:
        read_measurements(path)
    assert str(path) in str(caught.value)


def test_csv_has_a_line_a_row(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_measurements_csv(small_measurements(), path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["side"] for row in rows] == [Side.LEFT.value, Side.RIGHT.value, ""]
    assert float(rows[0]["value"]) == 100.0 / 3.0
    assert rows[1]["value"] == ""
    assert rows[1]["reason"] == "no right side in two boxes"
    assert rows[0]["unit"] == "mm²"
    assert (rows[0]["published_low"], rows[2]["published_low"]) == ("50.0", "")
