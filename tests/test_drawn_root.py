"""Roots drawn by hand: what a file may say, what a tube is, and the surface of a channel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kambin.errors import InputError
from kambin.io.roots import read_drawn_points
from kambin.planning.capsule import capsule_surface
from kambin.planning.channel import Channel
from kambin.reconstruction.drawn_root import tube

POINTS = [[-10.0, -20.0, 30.0], [-14.0, -18.0, 25.5], [-20.0, -15.0, 20.0]]


def markups(path: Path, points: list[Any], **changes: Any) -> Path:
    control = [{"id": str(index), "position": point, "positionStatus": "defined"} for index, point in enumerate(points, start=1)]
    markup = {"type": "Curve", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": control, **changes}
    path.write_text(json.dumps({"@schema": "any", "markups": [markup]}))
    return path


def test_markups_are_read_in_the_frame_they_name(tmp_path: Path) -> None:
    lps = [[-x, -y, z] for x, y, z in POINTS]
    code = ["mm", "UCUM", "millimeter"]
    for path in (
        markups(tmp_path / "lps.mrk.json", lps),
        markups(tmp_path / "ras.mrk.json", POINTS, coordinateSystem="RAS", type="Fiducial", coordinateUnits=code),
    ):
        found = read_drawn_points(path)
        np.testing.assert_array_equal(found.points_mm, POINTS)
        assert found.radius_mm is None


def test_a_point_that_was_not_placed_is_left_out(tmp_path: Path) -> None:
    path = markups(tmp_path / "a.mrk.json", POINTS, coordinateSystem="RAS")
    document = json.loads(path.read_text())
    document["markups"][0]["controlPoints"].append({"position": [0.0, 0.0, 0.0], "positionStatus": "undefined"})
    path.write_text(json.dumps(document))
    assert len(read_drawn_points(path).points_mm) == 3


@pytest.mark.parametrize(
    ("header", "signs"), [("x,y,z", (1, 1, 1)), ("R, A, S", (1, 1, 1)), ("l,p,s", (-1, -1, 1)), ("\ufeffx,y,z,radius", (1, 1, 1))]
)
def test_tables_are_read_by_their_header(tmp_path: Path, header: str, signs: tuple[int, int, int]) -> None:
    path = tmp_path / "a.csv"
    with_radius = "radius" in header
    lines = [",".join(f"{value:g}" for value in np.multiply(point, signs)) + (",2.25" if with_radius else "") for point in POINTS]
    path.write_text("\n".join([header, *lines, "", lines[-1]]), encoding="utf-8")  # an empty line, and a point twice
    found = read_drawn_points(path)
    np.testing.assert_array_equal(found.points_mm, POINTS)
    assert (found.radius_mm is None) is not with_radius
    if found.radius_mm is not None:
        np.testing.assert_array_equal(found.radius_mm, 2.25)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,2,3\n4,5,6\n", "names the columns"),
        ("", "found nothing"),
        ("x,y,z\n1,2,3\n", "at least two different points along the root, found 1"),
        ("x,y,z\n1,2,3\n1,2,3\n", "found 1"),
        ("x,y,z\n", "found 0"),
        ("x,y,z\n1,2,3\n4,oops,6\n", "3 numbers in line 3, found 4,oops,6"),
        ("x,y,z\n1,2\n4,5,6\n", "line 2"),
        ("x,y,z\n1,2,nan\n4,5,6\n", "line 2"),
        ("x,y,z,radius\n1,2,3,0\n4,5,6,2\n", "radii above 0"),
    ],
)
def test_a_bad_table_is_one_clear_error(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "root.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=found) as caught:
        read_drawn_points(path)
    assert caught.value.subject == str(path)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"coordinateSystem": None}, "LPS or RAS"),
        ({"coordinateUnits": "voxel"}, "positions in mm"),
        ({"type": "Plane"}, "found 'Plane'"),
        ({"controlPoints": 3}, "controlPoints"),
        ({"controlPoints": [{"position": [1, 2]}, {"position": [1, 2, 3]}]}, "position of point 1"),
        ({"controlPoints": [{"position": [1, 2, 3]}]}, "at least two"),
    ],
)
def test_bad_markups_are_one_clear_error(tmp_path: Path, changes: dict[str, Any], found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_drawn_points(markups(tmp_path / "a.mrk.json", POINTS, **changes))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.mrk.json", "{", "found no JSON"),
        ("a.mrk.json", "[]", "without markups"),
        ("a.mrk.json", '{"markups": [{}, {}]}', "one markup"),
        ("a.txt", "", "'.txt'"),
        ("missing.csv", None, "can be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str | None, found: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=found):
        read_drawn_points(tmp_path / name)


def test_a_tube_is_all_within_its_radius() -> None:
    points = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [20.0, 5.0, -5.0]])
    solid = tube(points, np.full(3, 2.5))
    assert solid.mesh.is_watertight
    # two cylinders and the ball of their ends; the bend takes a little off
    assert solid.mesh.volume_mm3 == pytest.approx(np.pi * 2.5**2 * (10 + np.sqrt(150)) + 4 / 3 * np.pi * 2.5**3, rel=0.02)
    assert float(solid.sample([5.0, 0.0, 4.0])) == pytest.approx(1.5, abs=0.05)
    assert float(solid.sample([-1.0, 0.0, 0.0])) == pytest.approx(-1.5, abs=0.05)


def test_a_tube_widens_evenly() -> None:
    solid = tube(np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]]), np.array([2.0, 4.0]))
    assert float(solid.sample([10.0, 3.0, 0.0])) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("direction", [(0.3, -0.5, 0.7), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0)])
def test_the_surface_of_a_channel_is_closed_and_lies_on_its_wall(direction: tuple[float, float, float]) -> None:
    channel = Channel(np.array([1.0, 2.0, 3.0]), np.array(direction), 4.0, 150.0)
    mesh = capsule_surface(channel)
    assert mesh.is_watertight
    assert mesh.volume_mm3 == pytest.approx(np.pi * 16 * 150 + 4 / 3 * np.pi * 64, rel=0.01)
    offset = mesh.vertices_mm - channel.target_mm
    along = np.clip(offset @ channel.direction, 0.0, 150.0)
    np.testing.assert_allclose(np.linalg.norm(offset - along[:, None] * channel.direction, axis=1), 4.0, atol=1e-9)
