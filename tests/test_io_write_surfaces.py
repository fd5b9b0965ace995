"""STL, GLB and markups, read back by other programs' libraries: volume and place of a known box, sides the right way round."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import trimesh
import vtk

from io_write_models import box_mesh, small_measurements, small_model
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.io.glb import write_glb
from kambin.io.slicer_markups import write_markups
from kambin.io.stl import write_stl
from kambin.spine import SurfaceMesh

LOW, HIGH = np.array([10.0, -7.0, 100.0]), np.array([14.0, -2.0, 106.0])  # RAS: on the right, behind, above


def test_stl_holds_the_box_in_lps(tmp_path: Path) -> None:
    path = tmp_path / "box.stl"
    write_stl(box_mesh(LOW, HIGH), path, "vertebra_L4")
    found = trimesh.load(path)
    assert found.is_watertight
    assert found.volume == pytest.approx(4 * 5 * 6, rel=1e-6)  # positive: faces still point outwards
    np.testing.assert_allclose(found.bounds, [[-14, 2, 100], [-10, 7, 106]])


def test_stl_header_says_frame_unit_and_name(tmp_path: Path) -> None:
    path = tmp_path / "box.stl"
    write_stl(box_mesh(LOW, HIGH), path, "superior_articular_process_L5_right")
    header = path.read_bytes()[:80].decode("ascii")
    assert header.rstrip() == "KAMBIN LPS mm SPACE=LPS superior_articular_process_L5_right"
    assert path.stat().st_size == 84 + 50 * 12
    reader = vtk.vtkSTLReader()  # what 3D Slicer reads it with; it looks for SPACE=LPS in this header
    reader.SetFileName(str(path))
    reader.Update()
    assert reader.GetOutput().GetNumberOfPolys() == 12
    assert "SPACE=LPS" in reader.GetHeader()


def test_stl_normals_are_the_faces_own(tmp_path: Path) -> None:
    mesh = SurfaceMesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]]), np.array([[0, 1, 2], [0, 1, 3]]))
    write_stl(mesh, tmp_path / "t.stl", "t")
    raw = np.frombuffer((tmp_path / "t.stl").read_bytes()[84:], dtype="<f4", count=3)
    np.testing.assert_array_equal(raw, [0, 0, 1])
    second = np.frombuffer((tmp_path / "t.stl").read_bytes()[134:], dtype="<f4", count=3)
    np.testing.assert_array_equal(second, [0, 0, 0])  # a triangle without area has no direction


def test_glb_is_metres_y_up_and_named(tmp_path: Path) -> None:
    path = tmp_path / "scene.glb"
    bone, skin = Structure(Kind.VERTEBRA, Level.L4), Structure(Kind.TRUNK)
    empty = SurfaceMesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))
    write_glb({skin: box_mesh(LOW - 5, HIGH + 5), bone: box_mesh(LOW, HIGH), Structure(Kind.AORTA): empty}, path)
    scene = trimesh.load(path)
    assert set(scene.graph.nodes_geometry) == {"vertebra_L4", "trunk"}
    assert scene.geometry["vertebra_L4"].volume == pytest.approx(120e-9, rel=1e-4)
    # x the patient's left, y cranial, z anterior
    np.testing.assert_allclose(scene.geometry["vertebra_L4"].bounds, [[-0.014, 0.100, -0.007], [-0.010, 0.106, -0.002]], atol=1e-7)
    assert scene.geometry["vertebra_L4"].metadata["structure"] == "vertebra_L4"
    assert scene.geometry["vertebra_L4"].visual.material.alphaMode == "OPAQUE"
    assert scene.geometry["trunk"].visual.material.alphaMode == "BLEND"
    assert scene.metadata["unit"] == "m"


def test_glb_is_a_gltf_that_vtk_reads_too(tmp_path: Path) -> None:
    path = tmp_path / "scene.glb"
    write_glb({Structure(Kind.HIP, side=Side.LEFT): box_mesh(LOW, HIGH)}, path)
    assert path.read_bytes()[:4] == b"glTF"
    reader = vtk.vtkGLTFReader()
    reader.SetFileName(str(path))
    reader.Update()
    bounds = [0.0] * 6
    reader.GetOutput().GetBounds(bounds)
    np.testing.assert_allclose(bounds, [-0.014, -0.010, 0.100, 0.106, -0.007, -0.002], atol=1e-6)


def test_glb_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one surface"):
        write_glb({}, tmp_path / "scene.glb")
    assert not (tmp_path / "scene.glb").exists()


def test_writing_does_not_change_the_mesh_and_is_repeatable(tmp_path: Path) -> None:
    solids = small_model().all_solids()
    meshes = {structure: solid.mesh for structure, solid in solids.items()}
    before = {structure: mesh.vertices_mm.copy() for structure, mesh in meshes.items()}
    write_glb(meshes, tmp_path / "a.glb")
    write_glb(meshes, tmp_path / "b.glb")
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()
    for structure, mesh in meshes.items():
        np.testing.assert_array_equal(mesh.vertices_mm, before[structure])


# The parts of 3D Slicer's markups schema v1.0.3 (draft 07) that these files use, in our own words.
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_RGB = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 3, "maxItems": 3}
_POINT = {
    "type": "object",
    "required": ["position", "positionStatus"],
    "properties": {
        "id": {"type": "string"},
        "label": {"type": "string"},
        "position": {**_NUMBERS, "minItems": 3, "maxItems": 3},
        "orientation": {**_NUMBERS, "minItems": 9, "maxItems": 9},
        "positionStatus": {"enum": ["undefined", "preview", "defined"]},
    },
}
_MARKUPS_SCHEMA = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string", "pattern": "markups-schema-v1\\.0\\.3\\.json#$"},
        "markups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "coordinateSystem"],
                "properties": {
                    "type": {"enum": ["Fiducial", "Line", "Angle", "Curve", "ClosedCurve", "Plane", "ROI"]},
                    "coordinateSystem": {"const": "LPS"},
                    "coordinateUnits": {"enum": ["mm", "um"]},
                    "controlPoints": {"type": "array", "items": _POINT},
                    "display": {
                        "type": "object",
                        "properties": {
                            "color": _RGB,
                            "selectedColor": _RGB,
                            "visibility": {"type": "boolean"},
                            "glyphType": {"enum": ["Sphere3D", "Vertex2D", "Cross2D"]},
                        },
                    },
                },
            },
        },
    },
}


def test_markups_follow_slicers_schema(tmp_path: Path) -> None:
    path = tmp_path / "evidence.mrk.json"
    write_markups(small_measurements(), path)
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(document, _MARKUPS_SCHEMA)
    by_name = {markup["name"]: markup for markup in document["markups"]}
    assert {name: markup["type"] for name, markup in by_name.items()} == {
        "FA L4/L5 left: rim": "ClosedCurve",
        "FA L4/L5 left: bridge": "Line",
        "FA L4/L5 left: axis": "Curve",
        "FA L4/L5 left: points": "Fiducial",
    }
    corner = by_name["FA L4/L5 left: points"]["controlPoints"][0]
    assert corner["label"] == "postero-inferior corner"
    assert corner["position"] == [-1.5, 20.0, 5.0]  # RAS 1.5, -20, 5
    assert not by_name["FA L4/L5 left: axis"]["display"]["visibility"]
    assert by_name["FA L4/L5 left: rim"]["description"] == "foraminal area 33.3333 mm² (outline)"
