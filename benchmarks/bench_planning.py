"""Candidate channels: by distance fields, as Kambin tries them, against VTK's and trimesh's collisions of meshes.

Run as ``python benchmarks/bench_planning.py [MODEL.npz]``. Without a model (of a run's folder) the mean man's L4 to S1 at 1 mm is made
first. Same foramen, same structures, same candidates, one process; VTK and trimesh (where python-fcl is installed) are asked about some
of the candidates only, since they take long. Time is that of the processor, all threads together.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kambin.anatomy.structures import Side
from kambin.io.model_file import load_model
from kambin.planning.around import Around
from kambin.planning.channel import Channel, direction_of
from kambin.planning.fields import Fields
from kambin.planning.lowest import lowest_along
from kambin.planning.search import Cone, roomiest_lines, targets_about
from kambin.planning.target import point_b_mm
from kambin.planning.transforaminal import plan_transforaminal
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel

CANDIDATES = 100_000
ASKED_ELSEWHERE = 40
RADIUS_MM, LENGTH_MM = 4.0, 120.0


def mean_man() -> SpineModel:
    import kambin
    from kambin.anatomy.schemes import builtin_scheme
    from kambin.phantom import PatientParameters, build_patient
    from kambin.volume import Grid, Segmentation

    low, high = np.array([-125.0, -112.0, -115.0]), np.array([125.0, 60.0, -10.0])
    grid = Grid.axis_aligned(tuple(int(n) for n in high - low), 1.0, low)
    scheme = builtin_scheme("kambin").table
    labels = build_patient(PatientParameters()).labels(grid, {structure: n for n, structure in scheme.items() if structure is not None})
    present = set(np.unique(labels).tolist()) - {0}
    return kambin.reconstruct(Segmentation(grid, labels, {n: s for n, s in scheme.items() if n in present and s is not None}))


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time (s), and the result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def by_vtk(around: Around, targets: Any, directions: Any) -> list[bool]:
    """Whether each channel meets any structure, by the collision of its mesh with theirs."""
    import vtk

    bones = [as_vtk(solid.mesh) for obstacle in around.fields for solid in obstacle.solids]
    pairs = []
    for bone in bones:
        pair = vtk.vtkCollisionDetectionFilter()
        pair.SetInputData(1, bone)
        pair.SetTransform(1, vtk.vtkTransform())
        pair.SetCollisionModeToFirstContact()
        pairs.append(pair)
    found = []
    for target, direction in zip(targets, directions, strict=True):
        tube = channel_mesh(target, direction)
        meets = False
        for pair in pairs:
            pair.SetInputData(0, tube)
            pair.SetTransform(0, vtk.vtkTransform())
            pair.Update()
            meets = meets or pair.GetNumberOfContacts() > 0
        found.append(meets)
    return found


def by_trimesh(around: Around, targets: Any, directions: Any) -> list[bool]:
    import trimesh

    manager = trimesh.collision.CollisionManager()
    for number, solid in enumerate(solid for obstacle in around.fields for solid in obstacle.solids):
        manager.add_object(str(number), trimesh.Trimesh(solid.mesh.vertices_mm, solid.mesh.faces, process=False))
    found = []
    for target, direction in zip(targets, directions, strict=True):
        tube = trimesh.creation.cylinder(RADIUS_MM, segment=np.stack([target, target + LENGTH_MM * direction]), sections=32)
        found.append(bool(manager.in_collision_single(tube)))
    return found


def as_vtk(mesh: Any) -> Any:
    import pyvista

    return pyvista.PolyData.from_regular_faces(mesh.vertices_mm, mesh.faces)


def channel_mesh(target: Any, direction: Any) -> Any:
    import pyvista

    middle = target + 0.5 * LENGTH_MM * direction
    return pyvista.Cylinder(center=middle, direction=direction, radius=RADIUS_MM, height=LENGTH_MM, resolution=32).triangulate()


def main() -> None:
    model = load_model(sys.argv[1]) if len(sys.argv) > 1 else mean_man()
    segment = model.segment("L5/S1")
    assert segment is not None
    fields = Fields(model)
    seconds, around = timed(lambda: Around.of(model, segment, Side.LEFT, fields=fields))
    weight = sum(field.distance_mm.nbytes for field in around.fields.values()) / 2**20
    print(f"fields of one foramen: {weight:.0f} MiB, {len(around.fields)} structures")
    rng = np.random.default_rng(1)
    cone = Cone()
    targets = targets_about(segment.frame, point_b_mm(segment, Side.LEFT), cone)[rng.integers(13, size=CANDIDATES)]
    directions = direction_of(segment.frame, Side.LEFT, rng.uniform(10, 80, CANDIDATES), rng.uniform(-15, 45, CANDIDATES))
    free = around.free(dict.fromkeys(Wishes().margins_mm, 0.0))
    wall = time.perf_counter()
    ours, (lowest, _) = timed(lambda: lowest_along(free, targets, directions, LENGTH_MM))
    wall = time.perf_counter() - wall
    print(f"{CANDIDATES} candidates: {CANDIDATES / ours:.0f} a second of processor time, {CANDIDATES / wall:.0f} a second by the clock")
    some = slice(0, ASKED_ELSEWHERE)
    for name, other in (("VTK", by_vtk), ("trimesh", by_trimesh)):
        try:
            theirs, meets = timed(lambda other=other: other(around, targets[some], directions[some]))
        except (ImportError, ValueError) as missing:
            print(f"{name}: not asked ({missing})")
            continue
        ratio = (theirs / ASKED_ELSEWHERE) / (ours / CANDIDATES)
        alike = int(((lowest[some] < RADIUS_MM) == np.array(meets)).sum())
        print(f"{name}: {ratio:.0f}x the time of a candidate; {alike} of {ASKED_ELSEWHERE} judged alike")
    some_way = Channel(targets[0], direction_of(segment.frame, Side.LEFT, 45.0, 5.0))
    moved, _ = timed(lambda: [around.rooms_mm(some_way) for _ in range(50)])
    planned, _ = timed(lambda: plan_transforaminal(model, around, Wishes()))
    aims = targets_about(segment.frame, point_b_mm(segment, Side.LEFT), cone)
    lines = roomiest_lines(free, segment.frame, Side.LEFT, aims, cone, LENGTH_MM)
    print(f"one channel moved, all structures: {1000 * moved / 50:.1f} ms")
    print(f"a whole plan takes {planned / seconds:.2f} of the time of its fields; {planned:.2f} s of processor time here")
    print(f"branch and bound: {len(lines.slack_mm)} lines, best {lines.slack_mm.max():.2f} mm; "
          f"{CANDIDATES} random ones: best {lowest.max():.2f} mm")  # fmt: skip


if __name__ == "__main__":
    main()
