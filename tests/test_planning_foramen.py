"""Planning on a digital patient: clearances against exact mesh distances, sides against each other, bone against counted voxels."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import kambin
from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Kind, Level, Side
from kambin.geometry import Frame
from kambin.geometry.mesh_distance import closest_points_between
from kambin.io.plan_json import write_plan_json
from kambin.measurement.result import NotMeasurable
from kambin.phantom import PatientParameters, build_patient
from kambin.planning.around import Around
from kambin.planning.channel import Channel
from kambin.planning.entry import skin_entry
from kambin.planning.field import REACH_MM
from kambin.planning.fields import Fields
from kambin.planning.placement import GROUPS
from kambin.planning.reaming import about_reamed_mm3, inside_mm3, level_of
from kambin.planning.result import Plan, Plans
from kambin.planning.transforaminal import TRANSFORAMINAL, plan_transforaminal
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel, SurfaceMesh
from kambin.volume import Grid, Segmentation

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "schema" / "plan-1.schema.json"


@pytest.fixture(scope="module")
def model() -> SpineModel:
    """L4 to S1 of the mean man, with his roots, hips, vessels and skin."""
    patient = build_patient(PatientParameters())
    low, high = np.array([-120.0, -112.0, -112.0]), np.array([120.0, 50.0, -20.0])
    grid = Grid.axis_aligned(tuple(int(n) for n in np.ceil((high - low) / 1.2)), 1.2, low)
    scheme = builtin_scheme("kambin").table
    labels = patient.labels(grid, {structure: number for number, structure in scheme.items() if structure is not None})
    present = set(np.unique(labels).tolist()) - {0}
    return kambin.reconstruct(Segmentation(grid, labels, {n: s for n, s in scheme.items() if n in present and s is not None}))


@pytest.fixture(scope="module")
def arounds(model: SpineModel) -> dict[Side, Around]:
    segment = model.segment("L5/S1")
    assert segment is not None
    fields = Fields(model)
    return {side: Around.of(model, segment, side, fields=fields) for side in Side}


@pytest.fixture(scope="module")
def plans(model: SpineModel, arounds: dict[Side, Around]) -> dict[Side, Plan]:
    return {side: plan_transforaminal(model, around, Wishes()) for side, around in arounds.items()}


def test_the_sacrum_has_its_articular_processes(model: SpineModel) -> None:
    sacrum = model.vertebra(Level.S1)
    assert sacrum is not None
    sizes = [sacrum.part(Kind.SUPERIOR_ARTICULAR, side).mesh.volume_mm3 for side in Side]  # type: ignore[union-attr]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)
    assert 800 < sizes[0] < 6000


@pytest.mark.parametrize("side", Side)
def test_clearances_are_those_of_the_meshes(plans: dict[Side, Plan], side: Side) -> None:
    plan = plans[side]
    compared = 0
    for way in plan.every_way():
        channel = way.channel
        axis = SurfaceMesh(np.stack([channel.target_mm, channel.outer_end_mm, channel.outer_end_mm]), np.array([[0, 1, 2]]))
        for clearance in way.clearances:
            if clearance.obstacle.without or clearance.room_mm is None:
                continue
            distance = clearance.room_mm + channel.radius_mm
            if 0.3 < distance < REACH_MM - 1.5:
                true = min(closest_points_between(axis, solid.mesh).distance_mm for solid in clearance.obstacle.solids)
                assert distance == pytest.approx(true, abs=0.02), clearance.obstacle.name
                compared += 1
    assert compared > 10


def test_the_published_placement_touches_the_ilium_in_the_mid_plane(plans: dict[Side, Plan]) -> None:
    for side, plan in plans.items():
        frame = plan.frame
        assert plan.published is not None
        contact = next(point.position_mm for point in plan.evidence.points if point.name == "c")
        assert frame.local(plan.target_mm)[2] == pytest.approx(0.0, abs=1e-6)
        assert plan.published.channel.cranial_deg(frame) == pytest.approx(0.0, abs=1e-6)
        room = next(each.room_mm for each in plan.published.clearances if each.obstacle.group == "ilium")
        assert room == pytest.approx(0.0, abs=0.1)
        assert side.sign * frame.local(contact)[0] > 30
        touched = {each.obstacle.name for each in plan.published.clearances if each.touches and each.obstacle.group in GROUPS}
        assert plan.verdict.word == ("B" if touched else "A")
        assert {each.obstacle.name for each in plan.verdict.touched} == touched


def test_both_sides_of_an_even_patient_are_planned_alike(plans: dict[Side, Plan]) -> None:
    left, right = (plans[side] for side in (Side.LEFT, Side.RIGHT))
    assert left.figures["published_alpha_deg"] == pytest.approx(right.figures["published_alpha_deg"], abs=0.5)
    assert left.ways[0].slack_mm == pytest.approx(right.ways[0].slack_mm, abs=0.2)
    rooms = [{each.obstacle.name: each.room_mm for each in plan.every_way()[0].clearances} for plan in (left, right)]
    for name in ("exiting L5 root", "L5 inferior articular process", "dural sac"):
        assert rooms[0][name] == pytest.approx(rooms[1][name], abs=0.2)


def test_alternatives_differ_and_none_is_roomier_than_need_be(plans: dict[Side, Plan]) -> None:
    for plan in plans.values():
        assert plan.ways
        for index, way in enumerate(plan.ways):
            for other in plan.ways[:index]:
                apart = np.linalg.norm(way.channel.target_mm - other.channel.target_mm)
                assert way.channel.turned_by_deg(other.channel) >= 5.0 or apart >= 5.0


def test_bone_to_ream_is_what_is_counted(plans: dict[Side, Plan], arounds: dict[Side, Around]) -> None:
    plan = plans[Side.RIGHT]
    reamable = arounds[Side.RIGHT].reamable
    assert reamable is not None
    assert plan.published is not None
    bone, field = reamable
    middle = bone.mesh.vertices_mm.mean(axis=0)
    channel = Channel(middle - 30.0 * plan.published.channel.direction, plan.published.channel.direction, 4.0, 80.0)
    low, high = bone.bounds_mm
    points = np.random.default_rng(3).uniform(low, high, (200_000, 3))
    inside = (bone.sample(points) < 0) & (level_of(channel, points) < 0)
    counted = float(inside.mean() * np.prod(high - low))
    assert counted > 150
    assert inside_mm3(channel, [bone]) == pytest.approx(counted, rel=0.03)
    about = about_reamed_mm3(field, channel.target_mm[None], channel.direction[None], 4.0, 80.0)[0]
    assert about == pytest.approx(counted, rel=0.3)


def test_a_conflict_is_what_is_counted(plans: dict[Side, Plan]) -> None:
    """By points thrown at the channel, whatever the structure: also one that others were taken out of."""
    rng = np.random.default_rng(4)
    compared = 0
    for plan in plans.values():
        for way in plan.every_way():
            for each in way.clearances:
                assert (each.conflict_mm3 is not None) == each.touches
                if not each.touches or each.conflict_mm3 < 15:
                    continue
                along = Frame.from_cranial_anterior(way.channel.target_mm, way.channel.direction, plan.frame.anterior)
                points = along.world(rng.uniform([-4.0, -4.0, -4.0], [4.0, 4.0, 154.0], (400_000, 3)))
                points = points[level_of(way.channel, points) < 0]
                within = np.min([solid.sample(points) for solid in each.obstacle.solids], axis=0) < 0
                for part in each.obstacle.without:
                    within &= part.sample(points) >= 0
                counted = float(within.sum() * 8.0 * 8.0 * 158.0 / 400_000)
                assert each.conflict_mm3 == pytest.approx(counted, rel=0.1, abs=4.0), each.obstacle.name
                compared += 1
    assert compared


def test_the_entry_lies_on_the_skin_or_its_absence_is_explained(model: SpineModel, plans: dict[Side, Plan]) -> None:
    plan = plans[Side.LEFT]
    segment = model.segment("L5/S1")
    assert segment is not None
    backwards = Channel(plan.target_mm, -segment.frame.anterior)
    entry = skin_entry(model, segment.frame, backwards)
    trunk = model.solid(Kind.TRUNK)
    assert trunk is not None
    assert abs(float(trunk.sample(entry.point_mm))) < 0.3
    assert 30 < entry.depth_mm < 110
    # straight back from 14 mm beside the midline, the chord and the arc are about that
    assert entry.line_b_mm == pytest.approx(abs(segment.frame.local(plan.target_mm)[0]), abs=2.0)
    assert entry.line_b_mm <= entry.arc_mm <= entry.line_b_mm + 2.0
    with pytest.raises(NotMeasurable, match="field of view"):
        skin_entry(model, segment.frame, Channel(plan.target_mm, segment.frame.cranial))


def test_plans_are_written_with_all_their_numbers(plans: dict[Side, Plan], tmp_path: Path) -> None:
    made = tuple(plans.values())
    path = tmp_path / "plan.json"
    write_plan_json(Plans(made, {("L4/L5", Side.LEFT, TRANSFORAMINAL): "no pedicle"}, {"labels": "x"}), path, version="1")
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert document["coordinate_system"] == "RAS"
    assert document["not_planned"] == [{"level": "L4/L5", "side": "left", "approach": "tf-peld", "reason": "no pedicle"}]
    for entry, (side, found) in zip(document["plans"], plans.items(), strict=True):
        assert (entry["side"], entry["group"], entry["firm"]) == (side.value, found.verdict.word, found.verdict.is_firm)
        for way, written in zip(found.every_way(), (entry["published"], *entry["ways"]), strict=True):
            assert written["target_mm"] == pytest.approx(way.channel.target_mm)
            assert np.linalg.norm(written["direction"]) == pytest.approx(1.0)
            assert written["alpha_deg"] == pytest.approx(way.channel.alpha_deg(found.frame))
            assert min(written["clearance_mm"].values()) == pytest.approx(way.clearances[0].room_mm)
            assert (written["entry_mm"] is None) == (written["entry_reason"] is not None)
