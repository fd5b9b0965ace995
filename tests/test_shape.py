"""Masks to solids: shapes with known surfaces, digitised at the spacings that scans have, must come back."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from scipy.spatial.transform import Rotation

from kambin.reconstruction.shape import solid_and_note_from_mask, solid_from_mask, solids_from_masks, touches_border
from kambin.volume import Grid, canonical

SPACINGS = [(0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (3.0, 3.0, 3.0), (0.586, 0.586, 3.3)]


def grid_about_origin(spacing, extent_mm, turn=None, offset=(0.13, -0.21, 0.34)):
    """A lattice whose middle is near the world's origin, turned about it."""
    spacing = np.asarray(spacing, dtype=float)
    shape = tuple(int(n) for n in np.ceil(np.broadcast_to(extent_mm, 3) / spacing))
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn.as_matrix()) * spacing
    affine[:3, 3] = offset - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def centres(grid):
    return grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))


def ball(radius):
    return lambda p: np.linalg.norm(p, axis=-1) - radius


def torus(major, minor):
    return lambda p: np.hypot(np.hypot(p[..., 0], p[..., 1]) - major, p[..., 2]) - minor


def tube(outer, inner, half):
    def distance(p):
        r = np.hypot(p[..., 0], p[..., 1])
        q = np.stack([np.abs(r - (outer + inner) / 2) - (outer - inner) / 2, np.abs(p[..., 2]) - half], axis=-1)
        return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)

    return distance


def box(half):
    def distance(p):
        q = np.abs(p) - half
        return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)

    return distance


def pieces(mesh):
    return len(trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=False).split(only_watertight=False))


def assert_closed(mesh):
    """By our own count of edges, and by trimesh's after it has merged what it thinks are equal vertices."""
    assert mesh.is_watertight
    other = trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=True)
    assert other.is_watertight
    assert other.is_winding_consistent
    assert other.volume > 0
    corners = mesh.vertices_mm[mesh.faces]
    assert np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).min() > 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(
    ("name", "scale"), [("ball", 5), ("torus", 4), ("tube", 4), ("box", 5)]
)
def test_known_shapes_keep_their_place_and_volume(spacing, name, scale, turned):
    """Surface to 0.3 voxel RMS, volume to 2 %, at sizes of a few of the coarsest voxels."""
    coarse = max(spacing)
    size = scale * coarse
    shape = {
        "ball": ball(size),
        "torus": torus(2 * size, size),
        "tube": tube(2 * size, size, 1.5 * size),
        "box": box(np.array([1.0, 1.3, 1.1]) * size),
    }[name]
    volume = {
        "ball": 4 / 3 * np.pi * size**3,
        "torus": 2 * np.pi**2 * 2 * size**3,
        "tube": np.pi * 3 * size**2 * 3 * size,
        "box": 8 * 1.43 * size**3,
    }[name]
    turn = Rotation.from_rotvec([0.5, -0.3, 0.8]) if turned else None
    extent = {"ball": 2.6, "torus": 6.6, "tube": 5.4, "box": 4.6}[name] * size
    grid = grid_about_origin(spacing, extent, turn)
    mask = shape(centres(grid)) < 0
    solid, note = solid_and_note_from_mask(mask, grid)
    error = shape(solid.mesh.vertices_mm)
    # A face along the lattice lies up to half a voxel away from where the mask says: that is the mask's error, not ours.
    digitised = 0.5 if name in ("box", "tube") and not turned else 0.0
    assert note.mesh_volume_mm3 == pytest.approx(note.mask_volume_mm3, rel=0.005)
    # Counting voxels misses the truth by a few per cent at such sizes; the surface may add 2 % of its own at most.
    assert abs(note.mesh_volume_mm3 - volume) <= 0.02 * volume + abs(note.mask_volume_mm3 - volume)
    assert np.sqrt(np.mean(error**2)) <= (0.3 + digitised) * coarse
    assert abs(note.level_shift_mm) <= 0.1 * coarse
    assert_closed(solid.mesh)
    assert pieces(solid.mesh) == 1


@pytest.mark.parametrize("spacing", SPACINGS)
def test_volume_of_balls_wherever_they_lie(spacing):
    """Radius of 5 of the coarsest voxels; on average over places in the lattice the volume is the true one to 2 %."""
    radius = 5 * max(spacing)
    volumes = []
    for offset in np.random.default_rng(0).uniform(-0.5, 0.5, (6, 3)) * spacing:
        grid = grid_about_origin(spacing, 2 * radius + 4, offset=offset)
        volumes.append(solid_from_mask(ball(radius)(centres(grid)) < 0, grid).mesh.volume_mm3)
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_genus_of_torus(spacing):
    size = 4 * max(spacing)
    grid = grid_about_origin(spacing, 6.6 * size)
    mesh = solid_from_mask(torus(2 * size, size)(centres(grid)) < 0, grid).mesh
    # Euler's characteristic V - E + F, with E = 3 F / 2.
    assert len(mesh.vertices_mm) - len(mesh.faces) // 2 == 0


@pytest.mark.parametrize("spacing", SPACINGS)
def test_level_is_about_the_distance(spacing):
    """Offsets of 1 and 2 mm are taken from the field, so its error there may not exceed the surface's own by much."""
    coarse = max(spacing)
    radius = max(12.0, 6 * coarse)
    grid = grid_about_origin(spacing, 2 * radius + 16)
    solid = solid_from_mask(ball(radius)(centres(grid)) < 0, grid)
    for offset in (-2.0, -1.0, 1.0, 2.0):
        directions = np.random.default_rng(0).normal(size=(2000, 3))
        points = directions / np.linalg.norm(directions, axis=1, keepdims=True) * (radius + offset)
        error = solid.sample(points) - offset
        assert np.sqrt(np.mean(error**2)) < 0.05 + 0.15 * coarse
        assert abs(error.mean()) < 0.03 + 0.05 * coarse
    assert solid.level_mm.max() <= 4.0
    assert solid.level_mm.min() >= -4.0


@pytest.mark.parametrize("spacing", SPACINGS)
def test_mesh_is_the_zero_of_the_field(spacing):
    grid = grid_about_origin(spacing, 60, Rotation.from_rotvec([0.2, 0.1, -0.4]))
    solid = solid_from_mask(torus(18, 8)(centres(grid)) < 0, grid)
    assert np.abs(solid.sample(solid.mesh.vertices_mm)).max() < 1e-3


@pytest.mark.parametrize("spacing", SPACINGS)
def test_flat_faces_of_a_box_on_voxel_faces_stay_flat(spacing):
    """To a tenth of the coarsest voxel away from the edges, which smoothing rounds."""
    counts = np.round(np.array([11, 12, 10]) * max(spacing) / spacing).astype(int)
    mask = np.pad(np.ones(counts, dtype=bool), 4)
    mesh = solid_from_mask(mask, Grid.axis_aligned(mask.shape, spacing)).mesh
    low, high = np.full(3, 3.5) * spacing, (counts + 3.5) * spacing
    margin = 3.0 * max(spacing)
    checked = 0
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        inner = np.all(
            (mesh.vertices_mm[:, others] > low[others] + margin) & (mesh.vertices_mm[:, others] < high[others] - margin), axis=1
        )
        place = mesh.vertices_mm[inner, axis]
        for face in (low[axis], high[axis]):
            near = place[np.abs(place - face) < 2 * max(spacing)]
            checked += len(near)
            assert np.abs(near - face).max(initial=0) <= 0.1 * max(spacing)
    assert checked > 100


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1), (0.6, -0.51, 0.61), (0.85, 0.49, 0.17)])
def test_plates_one_voxel_thick_survive_whole(spacing, normal):
    """The thinnest plate that a lattice can hold (neighbours meet at edges only): one piece, and no hole through it."""
    spacing = np.array(spacing)
    normal = np.array(normal, dtype=float) / np.linalg.norm(normal)
    reach = 14 * np.sqrt(spacing.min() * spacing.max())
    grid = grid_about_origin(spacing, 2.6 * reach, offset=(0.01, 0.02, 0.03))
    points = centres(grid)
    along = points @ normal
    radial = np.linalg.norm(points - along[..., None] * normal, axis=-1)
    half = np.abs(normal * spacing).max() / 2
    mask = (along >= -half) & (along < half) & (radial < reach)
    assert label(mask, np.ones((3, 3, 3)))[1] == 1
    solid, note = solid_and_note_from_mask(mask, grid)
    assert_closed(solid.mesh)
    assert pieces(solid.mesh) == 1
    assert len(solid.mesh.vertices_mm) - len(solid.mesh.faces) // 2 == 2
    assert note.mesh_volume_mm3 == pytest.approx(note.mask_volume_mm3, rel=0.02)


def test_single_voxel_upon_a_face_is_let_go_and_a_lone_voxel_is_kept():
    mask = np.zeros((24, 24, 24), dtype=bool)
    mask[4:20, 4:20, 4:12] = True
    mask[12, 12, 12] = True
    mesh = solid_from_mask(mask, Grid.axis_aligned(mask.shape, 1.0)).mesh
    assert mesh.vertices_mm[:, 2].max() < 11.5 + 0.7
    mask[12, 12, 12] = False
    mask[12, 12, 17] = True
    assert pieces(solid_from_mask(mask, Grid.axis_aligned(mask.shape, 1.0)).mesh) == 2


@pytest.mark.parametrize(("run", "left"), [(2, 0.1), (3, 0.25), (4, 0.5), (6, 0.75)])
def test_terraces_of_a_slope_go(run, left):
    """A slope of 1 in `run`, at 3 mm: of the steps that marching cubes shows, no more than this part is left."""
    marching_cubes = pytest.importorskip("skimage.measure").marching_cubes
    grid = Grid.axis_aligned((30, 20, 18), 3.0)
    points = centres(grid)
    slope = points[..., 2] - 15 - points[..., 0] / run
    mask = (slope < 0) & (points[..., 2] > 5) & (np.abs(points[..., 1] - 28) < 24) & (np.abs(points[..., 0] - 43) < 36)
    mask &= points[..., 2] < 46

    def roughness(v):
        top = (np.abs(v[:, 1] - 28) < 14) & (np.abs(v[:, 0] - 43) < 24) & (v[:, 2] > 14) & (v[:, 2] < 38)
        return np.std(v[top, 2] - 15 - v[top, 0] / run)

    bricks = grid.world(marching_cubes(mask.astype(np.float32), 0.5)[0].astype(float))
    assert roughness(solid_from_mask(mask, grid).mesh.vertices_mm) <= left * roughness(bricks)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0.02, 0.98), target=st.sampled_from([0.5, 1.0]))
def test_any_mask_gives_a_closed_surface(seed, density, target):
    mask = np.random.default_rng(seed).random((9, 8, 10)) < density
    mask[4, 4, 4] = True
    solid = solid_from_mask(mask, Grid.axis_aligned(mask.shape, (1.0, 0.8, 1.3)), target_spacing_mm=target)
    assert_closed(solid.mesh)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    axis=st.integers(0, 2),
    spacing=st.sampled_from(SPACINGS),
)
def test_mirrored_masks_give_mirrored_fields(seed, axis, spacing):
    rng = np.random.default_rng(seed)
    mask = np.zeros((18, 16, 17), dtype=bool)
    for _ in range(5):
        low = rng.integers(2, 10, 3)
        mask[tuple(slice(a, a + n) for a, n in zip(low, rng.integers(1, 6, 3), strict=True))] = True
    grid = Grid.axis_aligned(mask.shape, spacing)
    plain = solid_from_mask(mask, grid).level_mm
    mirrored = np.flip(solid_from_mask(np.flip(mask, axis), grid).level_mm, axis)
    difference = (mirrored - plain)[np.abs(plain) < 3.9]
    # The same to rounding, but for the level's shift, whose last digit (0.001 mm) may fall the other way, and with it the guard
    # of 0.001 mm about zero.
    assert np.abs(difference).max() < 3.1e-3
    assert np.abs(difference - np.median(difference))[np.abs(plain[np.abs(plain) < 3.9]) > 0.01].max() < 1e-5


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
)
def test_storage_order_does_not_matter(seed, order, flips):
    """The same voxels, stored in another order and brought back by `canonical`, give the same solid."""
    rng = np.random.default_rng(seed)
    mask = rng.random((8, 9, 7)) < 0.5
    grid = Grid.axis_aligned(mask.shape, (0.9, 1.1, 2.0), rng.normal(size=3) * 50)
    affine = grid.world_from_voxel[:, [*order, 3]].copy()
    stored = np.transpose(mask, order)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
            stored = np.flip(stored, axis)
    again, again_grid = canonical(stored, Grid(stored.shape, affine))
    one, two = solid_from_mask(mask, grid), solid_from_mask(again, again_grid)
    np.testing.assert_array_equal(one.level_mm, two.level_mm)
    assert one.grid.is_close(two.grid, 1e-6)
    # Left in that order, of whatever handedness, the shape is the same one too.
    raw = solid_from_mask(stored, Grid(stored.shape, affine)).mesh
    assert raw.volume_mm3 == pytest.approx(one.mesh.volume_mm3, rel=2e-3)
    assert_closed(raw)


@settings(max_examples=8, deadline=None)
@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.tuples(*[st.floats(-200, 200)] * 3))
def test_rigid_motion_of_the_grid_moves_the_solid(turn, shift):
    grid = Grid.axis_aligned((14, 13, 12), (0.8, 1.0, 2.5))
    mask = np.random.default_rng(4).random(grid.shape) < 0.6
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), shift
    one, two = solid_from_mask(mask, grid), solid_from_mask(mask, Grid(grid.shape, motion @ grid.world_from_voxel))
    np.testing.assert_allclose(two.level_mm, one.level_mm, atol=1e-3)
    assert two.mesh.volume_mm3 == pytest.approx(one.mesh.volume_mm3, rel=1e-3)


def test_position_in_the_array_does_not_matter():
    small = np.random.default_rng(2).random((6, 7, 5)) < 0.6
    fields = []
    for start in ((3, 4, 5), (11, 9, 7)):
        mask = np.zeros((24, 24, 24), dtype=bool)
        mask[tuple(slice(a, a + n) for a, n in zip(start, small.shape, strict=True))] = small
        solid = solid_from_mask(mask, Grid.axis_aligned(mask.shape, 1.0))
        fields.append(solid.level_mm)
    np.testing.assert_array_equal(*fields)


def test_cut_at_the_border_is_flat_and_closed():
    """A rod that leaves the image ends with a face on the image's border, at its full width."""
    grid = Grid.axis_aligned((21, 21, 14), (1.0, 1.0, 3.0))
    points = centres(grid)
    mask = np.hypot(points[..., 0] - 10, points[..., 1] - 10) < 6
    solid, note = solid_and_note_from_mask(mask, grid)
    assert note.touches_border
    assert_closed(solid.mesh)
    z = solid.mesh.vertices_mm[:, 2]
    assert z.min() == pytest.approx(-1.5, abs=0.01)
    assert z.max() == pytest.approx(13 * 3 + 1.5, abs=0.01)
    rim = np.hypot(*(solid.mesh.vertices_mm[z > z.max() - 0.5, :2] - 10).T)
    assert rim.max() == pytest.approx(6, abs=0.35)
    assert note.mesh_volume_mm3 == pytest.approx(note.mask_volume_mm3, rel=0.005)
    assert not touches_border(np.pad(mask, 1))


def test_arguments_stay_as_they_are():
    mask = np.random.default_rng(0).random((9, 9, 9)) < 0.5
    before = mask.copy()
    mask.setflags(write=False)
    solid_from_mask(mask, Grid.axis_aligned(mask.shape, 2.0))
    np.testing.assert_array_equal(mask, before)


def test_empty_and_misshapen_masks_are_refused():
    grid = Grid.axis_aligned((5, 5, 5), 1.0)
    with pytest.raises(ValueError, match="at least one true voxel"):
        solid_from_mask(np.zeros((5, 5, 5), dtype=bool), grid)
    with pytest.raises(ValueError, match=r"expected a mask of shape \(5, 5, 5\)"):
        solid_from_mask(np.ones((4, 5, 5), dtype=bool), grid)


def test_several_in_threads_are_those_made_one_by_one():
    grid = Grid.axis_aligned((24, 24, 24), 1.0)
    points = centres(grid)
    masks = {radius: np.linalg.norm(points - 11.5, axis=-1) < radius for radius in (9, 5, 7)}
    done = []
    lazily = {9: masks[9], 5: lambda: masks[5], 7: lambda: masks[7]}
    solids = solids_from_masks(lazily, grid, on_done=done.append, workers=2)
    assert list(solids) == [9, 5, 7]
    assert sorted(done) == [5, 7, 9]
    for radius, mask in masks.items():
        np.testing.assert_array_equal(solids[radius].level_mm, solid_from_mask(mask, grid).level_mm)


def test_real_vertebrae_at_3_mm(data_dir):
    """TotalSegmentator's L5 to L3 and sacrum: closed, in one piece as the mask is, volume kept, smoother than marching cubes."""
    path = data_dir / "ct-totalsegmentator" / "example_seg_v1_full_5de6e4d.nii.gz"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    image = nib.load(path)
    array = np.asarray(image.dataobj).round().astype(np.uint8)
    labels, grid = canonical(array, Grid(array.shape, image.affine))
    for number in (92, 18, 19, 20):
        mask = labels == number
        solid, note = solid_and_note_from_mask(mask, grid)
        assert_closed(solid.mesh)
        assert note.mesh_volume_mm3 == pytest.approx(note.mask_volume_mm3, rel=0.005)
        assert pieces(solid.mesh) <= label(mask, np.ones((3, 3, 3)))[1] + 1
        # No voxel deeper than one voxel inside (or outside) changes sides.
        depth = solid.sample(grid.world(np.argwhere(mask)))
        assert depth.max() < 0.75 * 3.0
