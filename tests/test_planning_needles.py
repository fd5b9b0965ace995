"""Needles on the mean man: distances against exact ones, sides against each other, tips against their triangles, angles in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import kambin
from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame
from kambin.geometry.mesh_distance import closest_points_between
from kambin.geometry.section import Section
from kambin.measurement.result import NotMeasurable
from kambin.phantom import PatientParameters, build_patient
from kambin.planning.approaches import APPROACHES
from kambin.planning.around import Around
from kambin.planning.carm import CArm, down_the_barrel, scan_frame
from kambin.planning.fields import Fields
from kambin.planning.needle import GAUGE_MM, KAMBIN_NEEDLE, NOTHING, RADIOFREQUENCY, SAFE_NEEDLE
from kambin.planning.needle_aim import BEFORE_BODY_MM, BEFORE_DISC_MM
from kambin.planning.result import Plan
from kambin.planning.way import NOT_POSSIBLE, POSSIBLE
from kambin.spine import SpineModel, SurfaceMesh
from kambin.volume import Grid, Segmentation
from lego import mirrored

SPACING_MM = 1.4
NEEDLES = (SAFE_NEEDLE, KAMBIN_NEEDLE, RADIOFREQUENCY)


@pytest.fixture(scope="module")
def labels_of_the_mean_man() -> Segmentation:
    """L5 and S1 of the mean man, with his roots, hips and skin."""
    patient = build_patient(PatientParameters())
    kinds = {Kind.VERTEBRA, Kind.SACRUM, Kind.DISC, Kind.NERVE_ROOT, Kind.DURAL_SAC, Kind.HIP, Kind.TRUNK}
    names = {name: number for number, name in enumerate((each for each in patient.shapes if each.kind in kinds), start=1)}
    low, high = np.array([-88.0, -112.0, -108.0]), np.array([88.0, 36.0, -12.0])
    shape = np.ceil((high - low) / SPACING_MM).astype(int)
    grid = Grid.axis_aligned((int(shape[0]), int(shape[1]), int(shape[2])), SPACING_MM, low)
    labels = patient.labels(grid, names, parts=False)
    present = set(np.unique(labels).tolist())
    return Segmentation(grid, labels, {number: name for name, number in names.items() if number in present})


@pytest.fixture(scope="module")
def model(labels_of_the_mean_man: Segmentation) -> SpineModel:
    return kambin.reconstruct(labels_of_the_mean_man)


@pytest.fixture(scope="module")
def fields(model: SpineModel) -> Fields:
    return Fields(model)


@pytest.fixture(scope="module")
def plans(model: SpineModel, fields: Fields) -> dict[tuple[str, Side], Plan]:
    return {(key, side): planned(model, key, side, fields) for side in Side for key in NEEDLES}


def planned(model: SpineModel, key: str, side: Side, fields: Fields | None = None, **wishes: object) -> Plan:
    segment = model.segment("L5/S1")
    assert segment is not None
    approach = APPROACHES[key]
    return approach.plan(model, Around.of(model, segment, side, approach.region, fields), approach.wishes.but(**wishes))


def without(model: SpineModel, *gone: Structure) -> SpineModel:
    return replace(model, solids={name: solid for name, solid in model.solids.items() if name not in gone})


def test_clearances_are_those_of_the_meshes(plans: dict[tuple[str, Side], Plan]) -> None:
    compared = set()
    for (_, side), plan in plans.items():
        for way in plan.ways[: 1 if side is Side.LEFT else None]:
            needle = way.channel
            axis = SurfaceMesh(np.stack([needle.target_mm, needle.outer_end_mm, needle.outer_end_mm]), np.array([[0, 1, 2]]))
            for clearance in way.clearances:
                if clearance.obstacle.without or clearance.room_mm is None or clearance.room_mm > 8:
                    continue
                true = min(closest_points_between(axis, solid.mesh).distance_mm for solid in clearance.obstacle.solids)
                assert clearance.room_mm + needle.radius_mm == pytest.approx(true, abs=0.2), clearance.obstacle.name
                compared.add(clearance.obstacle.name)
    assert {"exiting L5 root", "S1 superior articular process", "iliac bone"} <= compared


@pytest.mark.parametrize("key", NEEDLES)
def test_both_sides_of_an_even_patient_are_planned_alike(plans: dict[tuple[str, Side], Plan], key: str) -> None:
    left, right = (plans[key, side] for side in (Side.LEFT, Side.RIGHT))
    mirrored = left.frame.local(left.target_mm) * [-1, 1, 1]
    assert mirrored == pytest.approx(right.frame.local(right.target_mm), abs=0.5)
    assert left.ways[0].slack_mm == pytest.approx(right.ways[0].slack_mm, abs=0.2)
    assert left.verdict.word == right.verdict.word
    for name in ("oblique_deg", "cranio_caudal_deg", "scan_oblique_deg", "scan_cranio_caudal_deg"):
        assert left.figures[name] == pytest.approx(right.figures[name], abs=8.0)  # many directions are as good
    for name in ("axial", "disc_plane"):
        assert left.figures[f"{name}_slack_mm"] == pytest.approx(right.figures[f"{name}_slack_mm"], abs=0.5)


def test_a_mirrored_and_turned_scan_gives_the_same_plan(labels_of_the_mean_man: Segmentation, plans: dict[tuple[str, Side], Plan]) -> None:
    """In the patient's terms. What is named by the scan's own slices is meant to change."""
    other = mirrored(labels_of_the_mean_man)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.radians(25.0) * np.array([0.6, -0.64, 0.48])).as_matrix()
    grid = Grid(other.grid.shape, turn @ other.grid.world_from_voxel)
    plan = planned(kambin.reconstruct(Segmentation(grid, other.labels, other.table)), SAFE_NEEDLE, Side.RIGHT)
    was = plans[SAFE_NEEDLE, Side.LEFT]
    assert plan.verdict.word == was.verdict.word
    for name in ("oblique_deg", "cranio_caudal_deg", "disc_plane_slack_mm"):
        assert plan.figures[name] == pytest.approx(was.figures[name], abs=0.05)
    way, twin = plan.ways[0], was.ways[0]
    apart = plan.frame.local(way.channel.target_mm) * [-1, 1, 1] - was.frame.local(twin.channel.target_mm)
    assert np.linalg.norm(apart) < 1.1  # of two targets beside each other, 1 mm apart, that are as good, either may be taken
    assert way.slack_mm == pytest.approx(twin.slack_mm, abs=0.2)
    assert way.entry is not None
    assert twin.entry is not None
    assert way.entry.depth_mm == pytest.approx(twin.entry.depth_mm, abs=1.0)


@pytest.mark.parametrize("key", [SAFE_NEEDLE, KAMBIN_NEEDLE])
def test_the_tip_lies_in_its_triangle_as_that_is_seen(plans: dict[tuple[str, Side], Plan], model: SpineModel, key: str) -> None:
    body = model.vertebra(Level.L5).part(Kind.BODY)  # type: ignore[union-attr]
    disc = model.segment("L5/S1").disc  # type: ignore[union-attr]
    for side in Side:
        plan = plans[key, side]
        outline = next(curve for curve in plan.evidence.curves if curve.role == "outline").points_mm
        towards = np.array(plan.evidence.facts["towards_the_eye"])
        view = Frame.from_cranial_anterior(outline[0], plan.frame.cranial, -towards)
        border = Section((view.local(outline)[:, [0, 2]],))
        for way in plan.ways:
            tip = way.channel.target_mm
            assert border.contains(view.local(tip)[[0, 2]])[0]
            goal, before = (body, BEFORE_BODY_MM) if key == SAFE_NEEDLE else (disc, BEFORE_DISC_MM)
            assert goal is not None
            assert float(goal.sample(tip)) == pytest.approx(before + way.channel.radius_mm, abs=0.15)


def test_a_radiofrequency_needle_ends_on_the_posterolateral_border_of_the_disc(
    plans: dict[tuple[str, Side], Plan], model: SpineModel
) -> None:
    disc = model.segment("L5/S1").disc  # type: ignore[union-attr]
    for side in Side:
        plan = plans[RADIOFREQUENCY, side]
        out, anterior, cranial = plan.frame.local(plan.target_mm) * [side.sign, 1, 1]
        outline = disc.section(plan.frame).largest.points
        reach = outline @ np.array([side.sign, -1.0])
        assert out - anterior == pytest.approx(reach.max(), abs=1.0)
        assert cranial == pytest.approx(0.0, abs=0.1)
        for way in plan.ways:
            assert abs(float(disc.sample(way.channel.target_mm))) < 0.15


def test_margins_are_kept_or_the_first_warning_says_which_is_not(plans: dict[tuple[str, Side], Plan], model: SpineModel) -> None:
    for plan in plans.values():
        assert plan.verdict.word == POSSIBLE
        assert all(way.keeps_margins for way in plan.ways)
        assert not plan.warnings
        for way in plan.ways:
            rooms = [each.room_mm - plan.wishes.margins_mm[each.obstacle.group] for each in way.clearances if each.room_mm is not None]
            assert min(rooms) == pytest.approx(way.slack_mm)
    tight = planned(model, KAMBIN_NEEDLE, Side.LEFT, radius_mm=GAUGE_MM[18] / 2, margins_mm={"nerve": 8.0, "bone": 3.0})
    assert tight.verdict.word == NOT_POSSIBLE
    assert len(tight.ways) == 1
    assert tight.ways[0].limiting is not None
    assert any("No way keeps all margins" in warning and tight.ways[0].limiting in warning for warning in tight.warnings)


def test_the_superior_articular_process_is_bone_to_a_needle(plans: dict[tuple[str, Side], Plan]) -> None:
    for plan in plans.values():
        assert "S1 superior articular process" in {each.obstacle.name for each in plan.ways[0].clearances}
        assert all(way.reamed_mm3 is None for way in plan.ways)


def test_alternatives_differ(plans: dict[tuple[str, Side], Plan]) -> None:
    for plan in plans.values():
        for index, way in enumerate(plan.ways):
            for other in plan.ways[:index]:
                apart = np.linalg.norm(way.channel.target_mm - other.channel.target_mm)
                assert way.channel.turned_by_deg(other.channel) >= 5.0 or apart >= 5.0


@pytest.mark.parametrize("side", Side)
def test_angles_of_a_c_arm_in_closed_form(side: Side) -> None:
    frame = Frame.from_cranial_anterior([0, 0, 0], [0.1, 0.3, 1.0], [0.2, 1.0, 0.0])
    assert CArm(0.0, 0.0).towards_the_eye(frame, side) == pytest.approx(-frame.anterior)
    assert CArm(90.0, 0.0).towards_the_eye(frame, side) == pytest.approx(side.sign * frame.right)
    assert CArm(30.0, 90.0).towards_the_eye(frame, side) == pytest.approx(frame.cranial)
    # a bisector of behind and the side, raised until it is as much up as back: tan(oblique) = 1, sin(cranio-caudal) = 1 / sqrt(3)
    diagonal = (side.sign * frame.right - frame.anterior + frame.cranial) / np.sqrt(3.0)
    angles = down_the_barrel(diagonal, frame, side)
    assert angles.oblique_deg == pytest.approx(45.0)
    assert angles.cranio_caudal_deg == pytest.approx(np.degrees(np.arcsin(1 / np.sqrt(3.0))))
    for oblique, tilt in ((12.0, -25.0), (45.0, 0.0), (88.0, 40.0)):
        again = down_the_barrel(CArm(oblique, tilt).towards_the_eye(frame, side), frame, side)
        assert (again.oblique_deg, again.cranio_caudal_deg) == pytest.approx((oblique, tilt))


def test_the_c_arm_looks_down_the_needle(plans: dict[tuple[str, Side], Plan], model: SpineModel) -> None:
    for (_, side), plan in plans.items():
        needle = plan.ways[0].channel
        for prefix, frame in (("", plan.frame), ("scan_", scan_frame(model))):
            angles = CArm(float(plan.figures[f"{prefix}oblique_deg"]), float(plan.figures[f"{prefix}cranio_caudal_deg"]))  # type: ignore[arg-type]
            assert angles.towards_the_eye(frame, side) == pytest.approx(needle.direction, abs=1e-9)
        assert plan.figures["oblique_deg"] == pytest.approx(90.0 - needle.alpha_deg(plan.frame))
        # the mean man's L5/S1 falls forwards by more than 25°, so what lies in his disc is steep on the table
        assert plan.figures["scan_cranio_caudal_deg"] > plan.figures["cranio_caudal_deg"] + 15  # type: ignore[operator]


def test_a_needle_in_the_safe_triangle_ends_beneath_the_pedicle(plans: dict[tuple[str, Side], Plan], model: SpineModel) -> None:
    for side in Side:
        plan = plans[SAFE_NEEDLE, side]
        neck = model.vertebra(Level.L5).pedicles[side]  # type: ignore[union-attr]
        inner, outer, low = (plan.frame.local(point) for point in (neck.medial_mm, neck.lateral_mm, neck.caudal_mm))
        for way in plan.ways:
            out, _, cranial = plan.frame.local(way.channel.target_mm) * [side.sign, 1, 1]
            assert abs(inner[0]) < out < abs(outer[0])
            assert cranial < low[2]


def test_no_needle_in_an_axial_slice_reaches_l5_s1(plans: dict[tuple[str, Side], Plan]) -> None:
    for plan in plans.values():
        assert plan.figures["axial_plan_verdict"] == NOT_POSSIBLE
        assert plan.figures["axial_slack_mm"] < 0  # type: ignore[operator]
        assert plan.figures["axial_slack_mm"] < plan.ways[0].slack_mm  # type: ignore[operator]
        assert plan.figures["disc_plane_plan_verdict"] == POSSIBLE
        assert plan.figures["disc_plane_barred_by"] == NOTHING
    for key in (SAFE_NEEDLE, KAMBIN_NEEDLE):
        assert "iliac bone" in str(plans[key, Side.LEFT].figures["axial_barred_by"])


@pytest.mark.parametrize("key", [SAFE_NEEDLE, KAMBIN_NEEDLE])
def test_it_is_the_iliac_bone_that_bars_the_axial_slice(model: SpineModel, key: str) -> None:
    """Fan's point: with the hip bone away the same target is reached in a slice of the scan."""
    plan = planned(without(model, Structure(Kind.HIP, None, Side.LEFT)), key, Side.LEFT)
    assert plan.figures["axial_plan_verdict"] == POSSIBLE
    assert plan.figures["axial_slack_mm"] >= 0  # type: ignore[operator]
    assert "iliac bone" in plan.warnings[0]
    assert plan.figures["axial_barred_by"] == NOTHING


@pytest.mark.parametrize("key", NEEDLES)
def test_without_a_root_there_is_a_plan_that_says_so_first(model: SpineModel, plans: dict[tuple[str, Side], Plan], key: str) -> None:
    bare = without(model, Structure(Kind.NERVE_ROOT, Level.L5, Side.RIGHT))
    plan = planned(bare, key, Side.RIGHT)
    assert "exiting L5 root" in plan.not_seen
    assert "exiting L5 root was not seen" in plan.warnings[0]
    assert "exiting L5 root" not in {each.obstacle.name for each in plan.ways[0].clearances}
    # aimed elsewhere, but not far: under the pedicle, or at the disc's border
    assert np.linalg.norm(plan.target_mm - plans[key, Side.RIGHT].target_mm) < 12.0
    assert any("in its place" in warning for warning in plan.warnings) == (key != RADIOFREQUENCY)


def test_where_the_network_was_unsure_no_verdict_is_firm(model: SpineModel, plans: dict[tuple[str, Side], Plan]) -> None:
    root = Structure(Kind.NERVE_ROOT, Level.L5, Side.LEFT)
    shares = {root.key: 0.31, Structure(Kind.DURAL_SAC).key: 0.9, Structure(Kind.NERVE_ROOT, Level.L5, Side.RIGHT).key: 0.2}
    drawn = replace(model, provenance={**model.provenance, "segmented_by": {"confidence": shares}})
    plan = planned(drawn, SAFE_NEEDLE, Side.LEFT)
    same = plans[SAFE_NEEDLE, Side.LEFT]
    assert plan.unsure == ("exiting L5 root",)
    assert "exiting L5 root was drawn without being sure (confidence 0.31" in plan.warnings[0]
    assert not plan.is_firm
    assert plan.verdict.word == same.verdict.word
    assert same.unsure == ()


def test_without_a_pedicle_there_is_no_safe_needle(model: SpineModel) -> None:
    segment = model.segment("L5/S1")
    assert segment is not None
    none = replace(segment, upper=replace(segment.upper, pedicles={}))
    with pytest.raises(NotMeasurable, match="no left pedicle of L5"):
        APPROACHES[SAFE_NEEDLE].plan(model, Around.of(model, none, Side.LEFT), APPROACHES[SAFE_NEEDLE].wishes)


def test_a_needle_that_is_too_short_is_said(model: SpineModel, fields: Fields) -> None:
    plan = planned(model, SAFE_NEEDLE, Side.LEFT, fields, length_mm=60.0)
    entry = plan.ways[0].entry
    assert entry is not None
    assert entry.depth_mm > 60.0
    assert any("a needle of 60 mm does not reach" in warning for warning in plan.warnings)
