"""Anatomies from surfaces: closed forms for the shapes, refusals, invertible deformations; the real atlas where it is at hand."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.ndimage import map_coordinates

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.cli import main
from kambin.errors import InputError
from kambin.geometry import Frame
from kambin.geometry.mesh_distance import mesh_distance_mm
from kambin.io.surfaces import read_surfaces
from kambin.phantom import PatientParameters, paint_labels
from kambin.phantom.column import build_column
from kambin.phantom.field import Box, HalfSpace, RoundedBox, capsule
from kambin.phantom.surfaces import SurfaceSet, Warp, Warped, draw_deformation, gentle_deformation, mesh_field, read_atlas, warp_of
from kambin.phantom.surfaces.landmarks import exits_mm
from kambin.phantom.surfaces.lattice import apart, trilinear
from kambin.phantom.surfaces.passages import way_through
from kambin.phantom.surfaces.surface_set import LEVELS, NEEDED, NamedSurface
from kambin.spine import SurfaceMesh
from kambin.volume import Grid, Scan

ATLAS = Path(__file__).resolve().parents[1] / "studies" / "atlas-lumbosacral.toml"
HARD = (Kind.VERTEBRA, Kind.SACRUM, Kind.HIP, Kind.DISC)


def surface(mesh: trimesh.Trimesh, moved: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SurfaceMesh:
    return SurfaceMesh(mesh.vertices + np.array(moved), mesh.faces)


def ball(radius: float, moved: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SurfaceMesh:
    return surface(trimesh.creation.icosphere(subdivisions=4, radius=radius), moved)


def block(size: tuple[float, float, float], moved: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SurfaceMesh:
    return surface(trimesh.creation.box(size), moved)


def boxes_for_a_spine() -> dict[Structure, NamedSurface]:
    """A set that a spine could be, as far as it can be told before it is looked at closely."""
    result = {}
    for number, level in enumerate(LEVELS):
        z = 80.0 - 40.0 * number
        result[Structure(Kind.VERTEBRA, level)] = NamedSurface(f"v{number}.ply", block((50.0, 80.0, 28.0), (0.0, -20.0, z)))
        result[Structure(Kind.DISC, level)] = NamedSurface(f"d{number}.ply", block((48.0, 34.0, 9.0), (0.0, 0.0, z - 20.0)))
    result[Structure(Kind.SACRUM)] = NamedSurface("s.ply", block((100.0, 60.0, 100.0), (0.0, -30.0, -160.0)))
    for side in Side:
        result[Structure(Kind.HIP, side=side)] = NamedSurface(f"{side}.ply", block((40.0, 100.0, 150.0), (side.sign * 80.0, 0.0, -150.0)))
    return result


def turned(surfaces: dict[Structure, NamedSurface], axes: np.ndarray) -> dict[Structure, NamedSurface]:
    return {name: replace(one, mesh=SurfaceMesh(one.mesh.vertices_mm @ axes.T, one.mesh.faces)) for name, one in surfaces.items()}


def refusal(surfaces: dict[Structure, NamedSurface]) -> str:
    with pytest.raises(InputError) as caught:
        SurfaceSet("a set", surfaces)
    return str(caught.value)


# --- shapes from surfaces


@pytest.mark.parametrize(("mesh", "volume"), [(ball(10.0), 4.0 / 3.0 * np.pi * 1000.0), (block((20.0, 12.0, 8.0)), 1920.0)])
def test_painted_volume_is_the_closed_form(mesh: SurfaceMesh, volume: float) -> None:
    # Turned, so that no face lies along a layer of voxels.
    turn = trimesh.transformations.euler_matrix(0.3, 0.5, 0.7)[:3, :3]
    shape = mesh_field(SurfaceMesh(mesh.vertices_mm @ turn.T, mesh.faces), 0.6)
    grid = Grid.axis_aligned((60, 60, 60), 0.45, (-13.1, -13.2, -13.3))
    painted = np.count_nonzero(paint_labels([(1, shape)], grid)) * 0.45**3
    assert painted == pytest.approx(volume, rel=0.01)


def test_levels_are_distances_near_the_surface_and_never_larger_further_away() -> None:
    mesh = ball(10.0, (3.0, -2.0, 1.0))
    shape = mesh_field(mesh, 0.6)
    points = np.random.default_rng(1).uniform(-22, 24, (6000, 3)).astype(np.float32)
    found, truth = shape(points.T), mesh_distance_mm(points, mesh).distance_mm
    inside = np.linalg.norm(points - [3.0, -2.0, 1.0], axis=1) < 10.0
    near = truth < 0.6
    assert np.abs(found - np.where(inside, -truth, truth))[near].max() < 0.03
    assert (np.abs(found) <= truth + 0.1).all()
    assert (np.sign(found) == np.where(inside, -1, 1))[truth > 0.1].all()
    # The promise that painting relies on.
    steps = np.linalg.norm(points[1:] - points[:-1], axis=1)
    assert (np.abs(np.diff(found)) <= shape.slope * steps + 1e-4).all()


def test_between_nodes_as_another_implementation_has_it() -> None:
    rng = np.random.default_rng(6)
    tables = rng.normal(size=(2, 5, 4, 6)).astype(np.float32)
    place = rng.uniform(0, 1, (3, 500)) * np.array([[4.0], [3.0], [5.0]])
    place = np.hstack([place, np.zeros((3, 1)), [[4.0], [3.0], [5.0]]])
    truth = [map_coordinates(table.astype(np.float64), place, order=1) for table in tables]
    assert np.abs(trilinear(tables, place) - truth).max() < 1e-6


def test_a_shape_can_end_flat() -> None:
    shape = mesh_field(ball(10.0), 0.5, Box(np.array([0.0, -50.0, -50.0]), np.full(3, 50.0)))
    assert shape(np.array([[-0.4], [0.0], [0.0]]))[0] == pytest.approx(0.4, abs=1e-6)
    assert shape(np.array([[4.0], [0.0], [0.0]]))[0] == pytest.approx(-4.0, abs=0.6)
    assert shape.box.low_mm[0] == 0.0


def test_neighbours_that_overlap_are_set_apart() -> None:
    one, other = mesh_field(ball(10.0), 0.5), mesh_field(ball(10.0, (18.0, 0.0, 0.0)), 0.5)
    first, second = apart(one, [other], 1.4), apart(other, [one], 1.4)
    along = np.stack([np.linspace(5.0, 13.0, 801), np.zeros(801), np.zeros(801)])
    free = (first(along) > 0) & (second(along) > 0)
    assert along[0][free].min() == pytest.approx(8.3, abs=0.3)
    assert along[0][free].max() == pytest.approx(9.7, abs=0.3)
    points = np.random.default_rng(2).uniform(-11, 29, (20000, 3)).T
    assert not ((first(points) < 0) & (second(points) < 0)).any()
    far = points[0] < 0
    assert np.array_equal(first(points[:, far]), one(points[:, far]))


def test_lines_come_out_where_the_shape_ends() -> None:
    shape = mesh_field(ball(10.0), 0.5)
    starts = np.array([[0.0, 0.0, 0.0], [0.0, 6.0, 0.0], [0.0, 30.0, 0.0]])
    out = exits_mm(shape, starts, np.array([1.0, 0.0, 0.0]), 20.0)
    assert out[:2] == pytest.approx([10.0, 8.0], abs=0.05)
    assert np.isnan(out[2])


def test_a_way_leads_through_the_hole() -> None:
    wall = RoundedBox(Frame(np.zeros(3), np.eye(3)), (30.0, 5.0, 30.0), 0.5)

    class Holed:
        slope, box = 1.0, wall.box
        hole = capsule([6.0, -20.0, 4.0], [6.0, 20.0, 4.0], 4.0)

        def __call__(self, points: np.ndarray) -> np.ndarray:
            return np.maximum(wall(points), -self.hole(points))

    within = Box(np.array([-15.0, -16.0, -15.0]), np.array([15.0, 16.0, 15.0]))
    way = way_through(Holed(), np.array([0.0, -12.0, 0.0]), np.array([0.0, 12.0, 0.0]), within)
    assert way is not None
    dense = np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(way)])
    assert Holed()(dense.T).min() > 1.5
    crossing = dense[np.abs(dense[:, 1]) < 3.0]
    assert np.abs(crossing[:, [0, 2]] - [6.0, 4.0]).max() < 2.5
    assert way_through(wall, np.array([0.0, -12.0, 0.0]), np.array([0.0, 12.0, 0.0]), within) is None


# --- what is refused


def test_a_plausible_set_is_taken() -> None:
    assert len(SurfaceSet("a set", boxes_for_a_spine()).everything) == len(NEEDED) + 2


def test_open_surfaces_are_refused_with_the_number_of_their_edges() -> None:
    surfaces = boxes_for_a_spine()
    name = Structure(Kind.DISC, Level.L3)
    mesh = surfaces[name].mesh
    surfaces[name] = replace(surfaces[name], mesh=SurfaceMesh(mesh.vertices_mm, mesh.faces[1:]))
    assert "d2.ply" in refusal(surfaces)
    assert "3 edges" in refusal(surfaces)
    surfaces[name] = replace(surfaces[name], mesh=SurfaceMesh(mesh.vertices_mm, mesh.faces[:, ::-1]))
    assert "inside out" in refusal(surfaces)


def test_what_is_missing_is_named() -> None:
    surfaces = boxes_for_a_spine()
    del surfaces[Structure(Kind.VERTEBRA, Level.L2)], surfaces[Structure(Kind.HIP, side=Side.LEFT)]
    assert "vertebra_L2, hip_bone_left" in refusal(surfaces)
    extra = boxes_for_a_spine() | {Structure(Kind.AORTA): NamedSurface("a.ply", ball(5.0))}
    assert "aorta" in refusal(extra)


def test_other_frames_and_units_are_refused() -> None:
    surfaces = boxes_for_a_spine()
    assert "units" in refusal(turned(surfaces, 0.1 * np.eye(3)))
    lying = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    assert "cranial axis" in refusal(turned(surfaces, lying))
    half_turn = np.diag([-1.0, -1.0, 1.0])
    message = refusal(turned(surfaces, half_turn))
    assert "back taken for front" in message
    assert "on the patient's left, found it on the right" in message
    one, other = (Structure(Kind.VERTEBRA, level) for level in (Level.L2, Level.L3))
    assert "another order" in refusal(surfaces | {one: surfaces[other], other: surfaces[one]})


def written(folder: Path, surfaces: dict[Structure, NamedSurface], ras_from_file: np.ndarray, **described: str) -> Path:
    """The set as files in another frame, with their description."""
    lines = [f'{key} = "{value}"' for key, value in described.items()] + ["[surfaces]"]
    for name, one in surfaces.items():
        trimesh.Trimesh(one.mesh.vertices_mm @ np.linalg.inv(ras_from_file).T, one.mesh.faces, process=False).export(folder / one.name)
        lines.append(f'{name.key} = "{one.name}"')
    (folder / "surfaces.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_files_are_brought_to_the_patients_millimetres(tmp_path: Path) -> None:
    surfaces = boxes_for_a_spine()
    # x anterior, y left, z up, centimetres.
    ras_from_file = 10.0 * np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = read_surfaces(written(tmp_path, surfaces, ras_from_file, units="cm", axes="ALS", credit="nobody"))
    for name, one in surfaces.items():
        assert found[name].centre_mm == pytest.approx(one.centre_mm, abs=1e-3)
        assert found[name].mesh.volume_mm3 == pytest.approx(one.mesh.volume_mm3, rel=1e-5)
    assert found.credit == "nobody"


def test_a_reflected_frame_keeps_faces_outwards(tmp_path: Path) -> None:
    surfaces = boxes_for_a_spine()
    reflection = np.diag([-1.0, 1.0, 1.0])
    mirrored = {n: replace(s, mesh=SurfaceMesh(s.mesh.vertices_mm, s.mesh.faces[:, ::-1])) for n, s in surfaces.items()}
    found = read_surfaces(written(tmp_path, mirrored, reflection, axes="LAS"))
    assert min(one.mesh.volume_mm3 for one in found.everything) > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('axes = "ALS"', 'axes = "AAS"'), "axes: expected three letters"),
        (lambda text: text.replace('units = "mm"', 'units = "inch"'), "units: expected one of mm, cm, m"),
        (lambda text: text.replace("vertebra_L1 =", "vertebra_L9 ="), "vertebra_L9"),
        (lambda text: text.replace("v0.ply", "nowhere.ply"), "no such file"),
        (lambda text: text.replace("v0.ply", "v0.doc"), "found '.doc'"),
        (lambda text: text + "\nwhat is this", "TOML"),
        (lambda text: "colour = 1\n" + text, "colour"),
        (lambda text: text.split("[surfaces]")[0], "[surfaces]"),
    ],
)
def test_bad_descriptions_are_refused(tmp_path: Path, change, said: str) -> None:
    folder = written(tmp_path, boxes_for_a_spine(), np.eye(3), units="mm", axes="ALS")
    file = folder / "surfaces.toml"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_surfaces(folder)
    assert said in str(caught.value)


def test_files_that_are_no_surfaces_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, boxes_for_a_spine(), np.eye(3))
    (folder / "d1.ply").write_bytes(b"ply\nnothing")
    with pytest.raises(InputError, match=r"d1\.ply"):
        read_surfaces(folder)
    with pytest.raises(InputError, match="no such file"):
        read_surfaces(tmp_path / "absent.toml")


def test_the_command_refuses_other_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path, boxes_for_a_spine(), np.eye(3), axes="RSA")
    with pytest.raises(SystemExit) as left:
        main(["phantom", "--surfaces", str(folder), "-o", str(tmp_path / "out"), "--quiet"])
    assert left.value.code == 2
    assert "cranial axis" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- deformations


@pytest.fixture(scope="module")
def column():
    return build_column(PatientParameters())


AROUND = Box(np.array([-90.0, -90.0, -150.0]), np.array([90.0, 60.0, 120.0]))


@pytest.mark.parametrize("seed", range(4))
def test_deformations_can_be_undone_and_turn_nothing_inside_out(column, seed: int) -> None:
    deformation = gentle_deformation(seed, column, AROUND, 1.5)
    warp = warp_of(deformation, column, AROUND)
    assert warp.steepness <= 0.7
    assert deformation == draw_deformation(seed, deformation.strength)
    points = np.random.default_rng(seed).uniform(AROUND.low_mm - 60, AROUND.high_mm + 60, (4000, 3)).T
    assert np.abs(warp(warp.forward(points)) - points).max() < 1e-4
    step = 0.05
    columns = [(warp(points + step * axis[:, None]) - warp(points - step * axis[:, None])) / (2 * step) for axis in np.eye(3)]
    determinant = np.linalg.det(np.stack(columns).transpose(2, 1, 0))
    assert determinant.min() >= (1.0 - warp.steepness) ** 3
    assert determinant.max() <= (1.0 + warp.steepness) ** 3


def test_the_same_seed_deforms_alike_and_others_differ(column) -> None:
    one, again, other = (warp_of(draw_deformation(seed), column, AROUND) for seed in (5, 5, 6))
    assert one.shift_mm.tobytes() == again.shift_mm.tobytes()
    assert np.abs(one.shift_mm - other.shift_mm).max() > 3.0
    assert draw_deformation(5) == draw_deformation(5)
    with pytest.raises(InputError):
        draw_deformation(-1)
    with pytest.raises(InputError):
        draw_deformation(1, 9.0)


def test_no_deformation_leaves_all_in_its_place(column) -> None:
    warp = warp_of(draw_deformation(3, 0.0), column, AROUND)
    assert np.abs(warp.shift_mm).max() < 1e-4


def test_scale_alone_scales(column) -> None:
    deformation = replace(draw_deformation(3, 0.0), scale=(1.1, 1.1, 1.1))
    warp = warp_of(deformation, column, AROUND)
    grown = Warped(mesh_field(ball(10.0), 0.5), warp)
    grid = Grid.axis_aligned((40, 40, 40), 0.7, (-13.6, -13.7, -13.8))
    assert np.count_nonzero(paint_labels([(1, grown)], grid)) * 0.7**3 == pytest.approx(1.331 * ball(10.0).volume_mm3, rel=0.01)


def test_vertebrae_lean_as_they_are_told(column) -> None:
    """A bend at one disc turns what is above it about that disc, and nothing below."""
    still = draw_deformation(3, 0.0)
    warp = warp_of(replace(still, bend_deg=(0.0, 0.0, 0.0, 4.0, 0.0, 0.0)), column, AROUND)
    for level, turn in ((Level.L2, 4.0), (Level.L3, 4.0), (Level.L4, 0.0), (Level.L5, 0.0)):
        before, after = column.vertebrae[level].frame, warp.carried(column.vertebrae[level].frame)
        angle = np.degrees(np.arctan2(-after.cranial @ before.anterior, after.cranial @ before.cranial))
        assert angle == pytest.approx(turn, abs=0.15), level
    joint = column.segments["l3l4"].frame.origin_mm
    assert np.linalg.norm(warp.forward(joint[:, None])[:, 0] - joint) < 0.05


def test_bent_shapes_keep_their_promises(column) -> None:
    warp = warp_of(gentle_deformation(8, column, AROUND, 1.5), column, AROUND)
    shape = Warped(capsule([-20.0, -10.0, -60.0], [25.0, 10.0, 70.0], 12.0), warp)
    points = np.random.default_rng(4).uniform(AROUND.low_mm, AROUND.high_mm, (40000, 3)).T
    inside = points[:, shape(points) < 0]
    assert (inside > shape.box.low_mm[:, None]).all()
    assert (inside < shape.box.high_mm[:, None]).all()
    steps = np.linalg.norm(np.diff(points, axis=1), axis=0)
    assert (np.abs(np.diff(shape(points))) <= shape.slope * steps + 1e-4).all()
    grid = Grid.axis_aligned((60, 60, 90), 2.0, (-60.0, -60.0, -90.0))
    voxels = grid.world(np.indices(grid.shape).reshape(3, -1).T).T.astype(np.float32)
    plain = (shape(voxels) < 0).reshape(grid.shape)
    assert np.array_equal(paint_labels([(1, shape)], grid) == 1, plain)
    endless = Warped(HalfSpace(np.zeros(3), np.array([0.0, 1.0, 0.0])), warp)
    assert endless.box.high_mm[1] > 1e4


def test_shifts_that_would_fold_space_are_refused() -> None:
    shift = np.zeros((3, 4, 4, 4), dtype=np.float32)
    shift[0, 2:] = 4.5
    with pytest.raises(ValueError, match="changes by less"):
        Warp(np.zeros(3), 4.0, shift)


# --- the real atlas


@pytest.fixture(scope="module")
def atlas(data_dir: Path, tmp_path_factory: pytest.TempPathFactory):
    place = data_dir / "atlas-lumbosacral"
    if not place.is_dir():
        pytest.skip(f"the surfaces are not here: no folder {place}")
    lines = ATLAS.read_text(encoding="utf-8").splitlines()
    file = tmp_path_factory.mktemp("atlas") / "surfaces.toml"
    file.write_text("\n".join(f'folder = "{place}"' if line.startswith("folder") else line for line in lines), encoding="utf-8")
    return read_atlas(read_surfaces(file))


@pytest.fixture(scope="module")
def patients(atlas):
    return {seed: atlas.patient(atlas.drawn(seed), atlas.deformation(seed)) for seed in (1, 2)} | {"still": atlas.patient()}


def volume_mm3(shape) -> float:
    size = np.ceil((shape.box.high_mm - shape.box.low_mm) / 0.8).astype(int) + 2
    grid = Grid.axis_aligned(tuple(size.tolist()), 0.8, tuple((shape.box.low_mm - 0.8).tolist()))
    return float(np.count_nonzero(paint_labels([(1, shape)], grid)) * 0.8**3)


def test_labels_have_the_surfaces_volumes(atlas) -> None:
    for name in (Structure(Kind.DISC, Level.L4), Structure(Kind.SACRUM), Structure(Kind.PSOAS, side=Side.LEFT)):
        assert volume_mm3(atlas.shapes[name]) == pytest.approx(atlas.surfaces[name].mesh.volume_mm3, rel=0.01), name
    l4 = atlas.surfaces[Structure(Kind.VERTEBRA, Level.L4)].mesh
    assert volume_mm3(mesh_field(l4, 0.6)) == pytest.approx(l4.volume_mm3, rel=0.01)
    # As surfaces the vertebrae run into each other at the facets; the joints' gaps are taken from both.
    assert 0.97 * l4.volume_mm3 < volume_mm3(atlas.shapes[Structure(Kind.VERTEBRA, Level.L4)]) < l4.volume_mm3


def test_the_atlas_is_measured_plausibly(atlas) -> None:
    column = atlas.column
    heights = [segment.height_mm for segment in list(column.segments.values())[1:]]
    assert all(6.0 < height < 14.0 for height in heights)
    mirrored = [abs(place.frame.origin_mm[0]) for place in column.vertebrae.values()]
    assert max(mirrored) < 0.5  # its authors made it symmetric
    l1, s1 = column.vertebrae[Level.L1].endplate(upper=True), column.sacrum
    lordosis = np.degrees(np.arctan2(s1.cranial[1], s1.cranial[2]) - np.arctan2(l1.cranial[1], l1.cranial[2]))
    assert atlas.parameters.lordosis_deg == pytest.approx(lordosis, abs=0.5)
    for line in atlas.sacrum.foramina.values():
        dense = np.concatenate([np.linspace(a, b, 10) for a, b in pairwise(line)])
        assert atlas.sacrum.whole(dense.T).min() > 0.8


@pytest.mark.parametrize("which", ["still", 1, 2])
def test_nerves_run_through_neither_bone_nor_disc(patients, which) -> None:
    patient = patients[which]
    hard = [shape for name, shape in patient.shapes.items() if name.kind in HARD]
    for name, shape in patient.shapes.items():
        if name.kind not in (Kind.NERVE_ROOT, Kind.DURAL_SAC):
            continue
        ticks = [np.arange(low, high, 2.0) for low, high in zip(shape.box.low_mm, shape.box.high_mm, strict=True)]
        points = np.stack(np.meshgrid(*ticks, indexing="ij")).reshape(3, -1)
        points = points[:, shape(points) < -0.2]
        assert points.shape[1] > 20, name
        low, high = points.min(axis=1), points.max(axis=1)
        near = [other for other in hard if (other.box.low_mm < high).all() and (other.box.high_mm > low).all()]
        assert near, name
        assert min(float(other(points).min()) for other in near) > -0.3, name


def test_deformed_patients_differ(patients) -> None:
    numbers = {name: number for number, name in enumerate(patients["still"].shapes, start=1)}
    grid = Grid.axis_aligned((50, 60, 90), 2.0, (-50.0, -80.0, -110.0))
    maps = [patient.labels(grid, numbers, parts=False) for patient in patients.values()]
    for one in range(3):
        for other in range(one):
            assert np.mean(maps[one] != maps[other]) > 0.05


def test_parts_fill_a_vertebra(patients) -> None:
    patient = patients[1]
    numbers = {name: number for number, name in enumerate([*patient.shapes, *patient.parts], start=1)}
    middle = patient.column.vertebrae[Level.L4].frame.origin_mm
    grid = Grid.axis_aligned((70, 70, 45), 1.5, tuple((middle - [52.0, 72.0, 34.0]).tolist()))
    whole, parts = (patient.labels(grid, numbers, parts=wanted) for wanted in (False, True))
    four = whole == numbers[Structure(Kind.VERTEBRA, Level.L4)]
    found = {name for name in patient.parts if name.level is Level.L4 and (parts[four] == numbers[name]).any()}
    assert found == {name for name in patient.parts if name.level is Level.L4}
    body = parts == numbers[Structure(Kind.BODY, Level.L4)]
    assert 0.5 < body.sum() / four.sum() < 0.75
    place = patient.column.vertebrae[Level.L4]
    ahead = place.frame.local(grid.world(np.argwhere(body)))[:, 1]
    assert (ahead > place.wall_mm - 6.0).mean() > 0.98


def test_what_surfaces_tell_cannot_be_set(atlas) -> None:
    with pytest.raises(InputError, match="bone_scale"):
        atlas.drawn(1, {"bone_scale": 1.0})
    assert atlas.drawn(1, {"root_scale": 1.2}).root_scale == 1.2
    assert atlas.drawn(1) != atlas.drawn(2)
    assert atlas.drawn(None) == atlas.parameters


def test_the_command_writes_scan_labels_and_record(atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kambin.io.surfaces.read_surfaces", lambda _path: atlas.surfaces)
    monkeypatch.setattr("kambin.phantom.surfaces.read_atlas", lambda _surfaces: atlas)
    out = tmp_path / "p"
    with pytest.raises(SystemExit) as left:
        main(["phantom", "-o", str(out), "--surfaces", "x", "--seed", "2", "--spacing", "6", "--scanner", "random", "--quiet"])
    assert left.value.code == 0
    assert sorted(file.name for file in out.iterdir()) == ["labels.nii.gz", "manifest.json", "parameters.json", "scan.nii.gz"]
    record = json.loads((out / "parameters.json").read_text(encoding="utf-8"))
    assert record["deformation"]["seed"] == 2
    assert record["truth"].startswith("none")
    assert Scan.read(out / "scan.nii.gz").values.std() > 0
