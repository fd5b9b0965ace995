"""The plans' part of the report: its numbers against the plan's own, its structure against Python's HTML parser, its drawings against
closed forms."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame, Plane
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, Measurements
from kambin.planning import Plan, Plans, Wishes
from kambin.planning.around import Clearance
from kambin.planning.channel import Channel, direction_of
from kambin.planning.entry import Entry
from kambin.planning.entry_map import EntryMap
from kambin.planning.obstacles import Obstacle
from kambin.planning.way import Change, Verdict, WayIn
from kambin.reconstruction.shape import solid_from_mask
from kambin.report import build_report, plan_charts, plan_figures, plan_tables, plan_words, render3d
from kambin.report.figures import Atelier
from kambin.report.radiograph import CArm, as_seen, weakening
from kambin.report.view import View
from kambin.spine import Endplate, MotionSegment, Solid, SpineModel, Vertebra
from kambin.volume import Grid, Scan

MALICE = 'the <b>root</b> & "others" <script>alert(1)</script>'
GRID = Grid.axis_aligned((60, 60, 50), 2.0, (-60.0, -70.0, -50.0))
FRAME = Frame(np.zeros(3), np.eye(3))
VOID = {"meta", "link", "br", "img", "hr", "input"}
LEFT_45 = direction_of(FRAME, Side.LEFT, 45.0, 10.0)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> np.ndarray:
    points = GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return np.asarray(((points >= low) & (points <= high)).all(axis=-1))


def solid(low: tuple[float, float, float], high: tuple[float, float, float]) -> Solid:
    return solid_from_mask(box(low, high), GRID)


def vertebra(level: Level, z: float) -> Vertebra:
    points = np.array([[x, y, z] for x in (-15.0, 0.0, 15.0) for y in (-12.0, 0.0, 12.0)])
    up = np.array([0.0, 0.0, 1.0])
    top, bottom = (Endplate(points + h * up, Plane((z + h) * up, np.sign(h) * up)) for h in (12.0, -12.0))
    return Vertebra(level, solid((-20, -14, z - 12), (20, 14, z + 12)), Frame(z * up, np.eye(3)), {}, top, bottom, True)


@pytest.fixture(scope="module")
def model() -> SpineModel:
    upper, lower = vertebra(Level.L4, 18.0), vertebra(Level.L5, -18.0)
    assert upper.lower_endplate is not None
    assert lower.upper_endplate is not None
    segment = MotionSegment(upper, lower, FRAME, solid((-18, -13, -5), (18, 13, 5)), False, upper.lower_endplate, lower.upper_endplate)
    labels = box((-56, -64, -46), (54, 44, 44)).astype(np.uint16)
    root = solid((-30, -20, -40), (-24, -14, 20))
    solids = {Structure(Kind.TRUNK): solid((-56, -64, -46), (54, 44, 44)), Structure(Kind.NERVE_ROOT, Level.L4, Side.LEFT): root}
    return SpineModel(GRID, labels, {1: Structure(Kind.TRUNK)}, (upper, lower), (segment,), {}, solids, FRAME)


def way(
    model: SpineModel, rooms: dict[str, tuple[str, float | None]], *, entry: bool = True, radius_mm: float = 4.0, turn: float = 0.0
) -> WayIn:
    """A way with given rooms: by name the group and the room."""
    channel = Channel(np.array([-12.0, -13.0, 0.0]), direction_of(FRAME, Side.LEFT, 45.0 + turn, 10.0), radius_mm, 90.0)
    root = model.solids[Structure(Kind.NERVE_ROOT, Level.L4, Side.LEFT)]
    found = tuple(
        Clearance(Obstacle(group, name, (root,) if "exiting" in name else ()), room, 20.0, channel.at(20.0))
        for name, (group, room) in rooms.items()
    )
    known = [(each.room_mm - Wishes().margins_mm[each.obstacle.group], each.obstacle.name) for each in found if each.room_mm is not None]
    slack, limiting = min(known, default=(float("inf"), None))
    where = Entry(channel.at(61.5), 61.5, np.array([0.0, -64.0, 0.0]), 56.25, 58.75) if entry else None
    return WayIn(channel, where, None if entry else "no skin (trunk) is labelled", found, slack, limiting, 123.4)


@pytest.fixture
def plan(model: SpineModel) -> Plan:
    published = way(model, {"exiting L4 root": ("nerve", -0.62), "iliac bone": ("ilium", 0.0), "aorta": ("vessel", None)})
    best = way(model, {"exiting L4 root": ("nerve", 2.34), "L4 inferior articular process": ("iap", 0.4)}, turn=8.0)
    alphas, tilts = np.arange(10.0, 81.0, 10.0), np.arange(-15.0, 46.0, 10.0)
    slack = np.subtract.outer(np.linspace(-3, 3, len(alphas)), np.linspace(0, 2, len(tilts)))
    changes = (Change("exiting L4 root", -1.0, "A"), Change("exiting L4 root", -2.0, "A"))
    return Plan(
        level="L4/L5",
        side=Side.LEFT,
        approach="tf-peld",
        frame=FRAME,
        wishes=Wishes(),
        target_mm=published.channel.target_mm,
        verdict=Verdict("B", published.clearances[:1], changes),
        ways=(best,),
        published=published,
        figures={"gap_mm": 12.345, "area_mm2": None, "how": "free"},
        evidence=Evidence((EvidencePoint("b", published.channel.target_mm),), (EvidenceCurve("rim", np.eye(3) * 10.0, True, "outline"),)),
        not_seen=("traversing L5 root",),
        warnings=(f"The traversing L5 root was not seen: {MALICE}", "A second warning."),
        entry_map=EntryMap(alphas, tilts, slack, np.full(slack.shape, 61.5)),
    )


def without_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    def crashed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -11, "", "libEGL: no display <here>\n")

    monkeypatch.setattr(render3d.subprocess, "run", crashed)


class Outline(HTMLParser):
    """Checks that tags close in order; keeps identifiers, links and the words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.opened: list[bool] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        if tag == "details":
            self.opened.append("open" in own)
        self.ids += [own["id"]] if own.get("id") else []
        self.links += [own["href"]] if (own.get("href") or "").startswith("#") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def words_of(page: str) -> str:
    return " ".join(" ".join(Outline(page).words).split())


def report(model: SpineModel, plans: Plans, monkeypatch: pytest.MonkeyPatch, scan: Scan | None = None) -> str:
    without_rendering(monkeypatch)
    return build_report(model, Measurements((), {}), scan, title="Someone", plans=plans)


# -- the page -----------------------------------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_its_links_lead_somewhere(model: SpineModel, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(plan, side=Side.RIGHT, warnings=(), not_seen=())
    page = report(model, Plans((plan, other), {("L4/L5", Side.LEFT, "needle"): f"no pedicle {MALICE}"}), monkeypatch)
    outline = Outline(page)
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.opened == [True, False]  # plans after the first are folded
    assert "<script" not in page
    assert "<b>root</b>" not in page
    text = words_of(page)
    assert "no pedicle the <b>root</b>" in text
    assert "cannot draw in 3D" in text
    assert "For research. Not for clinical use." in text
    assert page.index('<section id="plans-glance">') < page.index('<section id="glance">') < page.index('<section id="plans">')


def test_a_root_that_was_not_seen_is_said_before_the_verdict(model: SpineModel, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    page = report(model, Plans((plan,), {}), monkeypatch)
    inside = page[page.index(f'id="{plan_tables.anchor_of(plan)}"') :]
    unseen, verdict = inside.index("The traversing L5 root was not seen"), inside.index('class="verdict"')
    assert unseen < verdict
    assert inside.index("A second warning.") > unseen
    assert "as far as was seen" in inside
    assert "Not seen: traversing L5 root" in page[: page.index(f'id="{plan_tables.anchor_of(plan)}"')]


def test_numbers_are_the_plans_own(model: SpineModel, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words_of(report(model, Plans((plan,), {}), monkeypatch))
    assert "as published 45.0 10.0 56.2 58.8 61.5 0.0 −1.6 exiting L4 123" in text
    assert "found 1 53.0 10.0" in text
    assert "gap 12.3 mm" in text
    assert "area —" in text
    assert "Group B. The channel, placed as published, enters the exiting L4 root (0.6 mm inside)." in text
    assert "It would be group A if the exiting L4 root lay 1 mm further away." in text


def test_without_plans_the_page_says_nothing_of_them(model: SpineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    without_rendering(monkeypatch)
    assert "plans-glance" not in build_report(model, Measurements((), {}), None, title="Someone")


def test_where_nothing_could_be_planned_the_reasons_stand_there(model: SpineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {("L4/L5", side, "tf-peld"): "no disc to aim at" for side in Side}
    text = words_of(report(model, Plans((), reasons), monkeypatch))
    assert "No way in could be planned." in text
    which = "; ".join(f"transforaminal endoscopy at L4/L5 {side.value}" for side in Side)
    assert f"no disc to aim at {which}" in text


def test_an_unknown_entry_is_said_and_the_rest_stays(model: SpineModel, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = way(model, {"exiting L4 root": ("nerve", 2.0)}, entry=False)
    assert plan.entry_map is not None
    dark = replace(plan.entry_map, skin_mm=np.full(plan.entry_map.slack_mm.shape, np.nan))
    text = words_of(report(model, Plans((replace(plan, ways=(nowhere,), published=None, entry_map=dark),), {}), monkeypatch))
    assert "Entry unknown: no skin (trunk) is labelled." in text
    assert "on the skin, seen from behind" not in text
    assert "Room beyond the margins by direction" in text


def test_a_plan_without_any_way_is_still_a_page(model: SpineModel, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = replace(plan, ways=(), published=None, verdict=Verdict("not possible", (), ()), entry_map=None)
    text = words_of(report(model, Plans((empty,), {}), monkeypatch))
    assert "No way was found." in text
    assert "No way found keeps all margins." in text
    assert "C-arm lateral" in text


def test_a_needle_is_called_one(model: SpineModel, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    thin = way(model, {"exiting L4 root": ("nerve", 1.8)}, radius_mm=0.4)
    needle = replace(
        plan, approach="needle-safe", ways=(thin,), published=None, verdict=Verdict("possible", (), ()), wishes=Wishes(radius_mm=0.4)
    )
    text = words_of(report(model, Plans((needle,), {}), monkeypatch))
    assert "Down the needle best found" in text
    assert "45.0° oblique to the left and 10.0° cranial" in text
    assert "All margins are kept, with 0.8 mm to spare beside the exiting L4 root." in text
    assert "Firm as far as was seen." in text


# -- words ----------------------------------------------------------------------------------------------------------------------------


def test_of_several_changes_the_least_is_told(plan: Plan) -> None:
    moved = (("dural sac", 2.0), ("dural sac", 1.0), ("aorta", 2.0))
    changes = tuple(Change(name, shift, "not possible") for name, shift in moved)
    told = replace(plan, verdict=Verdict("possible", (), changes))
    words = "It would be not possible if the dural sac lay 1 mm nearer or the aorta lay 2 mm nearer."
    assert plan_words.firm_words(told) == words
    unsure = replace(told, unsure=("exiting L4 root",))
    assert plan_words.firm_words(unsure) == f"{words} But the network that drew the exiting L4 root was not sure of the outline."


@pytest.mark.parametrize(
    ("direction", "letters"),
    [((1, 0, 0), "R"), ((-1, 0.2, 0), "L"), ((-0.7, -0.72, 0), "PL"), ((0.1, 0.9, -0.5), "AI"), ((0, 0, 1), "S")],
)
def test_directions_are_named_by_their_larger_parts(direction: tuple[float, ...], letters: str) -> None:
    assert plan_words.direction_letters(FRAME, np.array(direction) / np.linalg.norm(direction)) == letters


# -- drawings -------------------------------------------------------------------------------------------------------------------------


def test_a_channel_seen_across_is_two_lines_and_two_half_circles() -> None:
    channel = Channel(np.zeros(3), np.array([-1.0, 0.0, 0.0]), 4.0, 60.0)
    view = View(np.array([-30.0, 0.0, 0.0]), FRAME.right, FRAME.cranial, 0.25, 640, 400)
    outline = plan_figures.channel_outline(view, channel)
    axis = np.stack([np.clip(outline[:, 0], 200.0, 440.0), np.full(len(outline), 200.0)], axis=1)
    np.testing.assert_allclose(np.linalg.norm(outline - axis, axis=1), 16.0, atol=1e-9)
    assert np.ptp(outline[:, 0]) == pytest.approx(240.0 + 32.0)


def test_a_shadow_lies_as_far_from_the_circle_as_the_structure_from_the_channel() -> None:
    """A ball beside the axis covers a disc of its own radius, wherever along the axis it lies."""
    points = GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1))
    channel = Channel(np.array([-12.0, -13.0, 0.0]), LEFT_45, 4.0, 60.0)
    view = plan_figures.barrel_view(channel, FRAME, 27.0, 540)
    centre = channel.at(25.0) + 12.0 * view.up
    ball = solid_from_mask(np.linalg.norm(points - centre, axis=-1) <= 6.0, GRID)
    (outline,) = plan_figures.shadow(Obstacle("nerve", "ball", (ball,)), view, channel)
    off = (outline - view.project(centre)) * view.mm_per_px
    np.testing.assert_allclose(np.linalg.norm(off, axis=1), 6.0, atol=0.8)
    beyond = Channel(channel.target_mm, channel.direction, 4.0, 15.0)
    assert plan_figures.shadow(Obstacle("nerve", "ball", (ball,)), view, beyond) == []


def test_down_the_barrel_the_viewer_stands_outside_with_the_head_up() -> None:
    channel = Channel(np.zeros(3), LEFT_45)
    view = plan_figures.barrel_view(channel, FRAME, 20.0, 400)
    np.testing.assert_allclose(view.towards_viewer, channel.direction, atol=1e-12)
    assert view.up @ FRAME.cranial > 0.9
    np.testing.assert_allclose(view.project(channel.at([0.0, 30.0])), 200.0, atol=1e-9)


def test_bars_are_as_long_as_the_room(plan: Plan) -> None:
    figure = plan_charts.clearance_bars(plan)
    assert figure is not None
    ticks = {float(t.replace("−", "-")): float(x) for x, t in re.findall(r'class="bar-tick" x="([\d.]+)"[^>]*>(−?\d+)<', figure.picture)}
    per_mm = (ticks[6.0] - ticks[0.0]) / 6.0
    bars = [(float(x), float(w)) for x, w in re.findall(r'<rect x="([\d.]+)"[^>]* width="([\d.]+)"', figure.picture)]
    lengths = sorted(round(w / per_mm, 2) for _, w in bars)
    assert lengths == pytest.approx(sorted([0.62, 1.5 / per_mm, 2.34, 0.4]), abs=0.02)
    values = re.findall(r'class="bar-value"[^>]*>([^<]+)<', figure.picture)
    assert sorted(values) == sorted(["−0.6 ✕", "2.3 ✓", "0.0 ✓", "0.4 ✓"])
    assert "Far from all of these: aorta." in figure.caption


def test_the_map_changes_colour_where_nothing_is_to_spare(model: SpineModel, plan: Plan) -> None:
    assert plan.entry_map is not None
    alphas, tilts = plan.entry_map.alpha_deg, plan.entry_map.cranial_deg
    level = replace(plan.entry_map, slack_mm=np.repeat((alphas - 45.0)[:, None] / 10.0, len(tilts), axis=1))
    atelier = Atelier(model, Measurements((), {}), None, None, model.all_solids())
    angles, skin = plan_charts.entry_maps(atelier, replace(plan, entry_map=level))
    line = re.search(r'class="map-line" d="M([^"Z]+)', angles.picture)
    assert line is not None
    x = [float(step.split(",")[0]) for step in line[1].split()]
    left = float(re.search(r'class="bar-tick" x="([\d.]+)"[^>]*>10°', angles.picture)[1])  # type: ignore[index]
    right = float(re.search(r'class="bar-tick" x="([\d.]+)"[^>]*>80°', angles.picture)[1])  # type: ignore[index]
    np.testing.assert_allclose(x, left + (right - left) * 0.5, atol=0.2)
    assert "seen from behind" in skin.caption


# -- radiographs ----------------------------------------------------------------------------------------------------------------------


def test_water_weakens_as_water_air_not_at_all_and_bone_more_than_its_density() -> None:
    air, water, bone = weakening(np.array([-1000.0, 0.0, 1000.0], dtype=np.float32))
    assert (air, water) == (0.0, 1.0)
    assert bone > 2.0


def test_what_is_dense_is_dark_and_beyond_the_field_it_is_black() -> None:
    weakened = np.full((200, 200), 100.0)
    weakened[90:110, 90:110] += 40.0
    y, x = np.ogrid[:200, :200]
    field = np.hypot(y - 99.5, x - 99.5) < 99.0
    grey = as_seen(weakened, field, 40.0)
    assert grey[100, 100] < grey[100, 60] - 100
    assert (grey[~field] == 0).all()
    assert (grey[field] > 0).all()


@pytest.mark.parametrize("with_scan", [True, False])
def test_a_radiograph_shows_a_bone_where_it_is(model: SpineModel, with_scan: bool) -> None:
    values = np.where(box((-56, -64, -46), (54, 44, 44)), 40.0, -1000.0).astype(np.float32)
    values[box((-20, -14, 6), (20, 14, 30)) | box((-20, -14, -30), (20, 14, -6))] = 700.0
    carm = CArm(model, Scan(GRID, values, "CT") if with_scan else None)
    assert ("CT" in carm.source) is with_scan
    view = View(np.zeros(3), FRAME.right, FRAME.cranial, 0.4, 250, 250)
    grey = carm.picture(view).astype(float)
    scale = grey.shape[0] / 250.0

    def at(x_mm: float, z_mm: float) -> float:
        column, row = np.round(view.project([x_mm, 0.0, z_mm]) * scale).astype(int)
        return float(grey[row - 2 : row + 3, column - 2 : column + 3].mean())

    assert at(12.0, 18.0) < at(12.0, 0.0) - 40
    assert at(12.0, -18.0) < at(32.0, -18.0) - 40


def test_a_magnetic_resonance_scan_is_no_radiograph(model: SpineModel) -> None:
    assert "shapes" in CArm(model, Scan(GRID, np.zeros(GRID.shape, dtype=np.float32), "MR")).source
