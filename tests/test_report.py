"""The report against closed forms (projections, contours), Python's own HTML parser, and pictures of known content."""

from __future__ import annotations

import base64
import io
import re
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame, Plane
from kambin.measurement.result import (
    Evidence,
    EvidenceCurve,
    EvidencePlane,
    EvidencePoint,
    Measurement,
    Measurements,
    Published,
    Quantity,
)
from kambin.reconstruction.shape import solid_from_mask
from kambin.report import build_report, evidence, figures, render3d, slices, svg, tables
from kambin.report.doubts import all_doubts, not_measured
from kambin.report.figures import Atelier
from kambin.report.render3d import RenderingUnavailable, Stage
from kambin.report.view import View
from kambin.spine import Doubt, Endplate, MotionSegment, Severity, Solid, SpineModel, Vertebra
from kambin.volume import Grid, Scan

MALICE = "</title><script>alert('x')</script> & \"quoted\" <img src=x onerror=alert(1)>"
GRID = Grid.axis_aligned((50, 50, 60), 2.0, (-50.0, -60.0, -60.0))
VOID = {"meta", "link", "br", "img", "hr", "input"}


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> np.ndarray:
    points = GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return np.asarray(((points >= low) & (points <= high)).all(axis=-1))


def endplate(frame: Frame, height_mm: float) -> Endplate:
    points = frame.world([[x, y, height_mm] for x in (-15.0, 0.0, 15.0) for y in (-12.0, 0.0, 12.0)])
    return Endplate(points, Plane(frame.world([0, 0, height_mm]), frame.cranial * np.sign(height_mm)))


def vertebra(level: Level, z: float) -> tuple[Vertebra, np.ndarray]:
    mask = box((-20, -15, z - 12), (20, 15, z + 12))
    for side in (-1, 1):
        mask |= box((min(side * 8, side * 16), -36, z + 2), (max(side * 8, side * 16), -14, z + 10))
    mask |= box((-16, -44, z - 8), (16, -34, z + 8))
    frame = Frame(np.array([0.0, 0.0, z]), np.eye(3))
    return Vertebra(level, solid_from_mask(mask, GRID), frame, {}, endplate(frame, 12.0), endplate(frame, -12.0), True), mask


def row(key: str, symbol: str, level: str, side: Side | None, value: float | None, **more: object) -> Measurement:
    published = {"": Published(15.7, 11.0, 20.0, "Someone 2020")} if key == "foraminal_height" else {}
    unit = "mm²" if "area" in key else "mm"
    quantity = Quantity(key, symbol, key.replace("_", " "), unit, f"What {symbol} is.", (1.0, 200.0), published)
    reason = None if value is not None else "no spinal canal is labelled"
    return Measurement(quantity, level, side, value, reason, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def model() -> SpineModel:
    upper, upper_mask = vertebra(Level.L4, 18.0)
    lower, lower_mask = vertebra(Level.L5, -18.0)
    disc_mask = box((-18, -13, -5), (18, 13, 5))
    disc = solid_from_mask(disc_mask, GRID)
    aorta_mask = box((-14, 20, -50), (-2, 32, 50))
    labels = np.zeros(GRID.shape, dtype=np.uint16)
    table = {
        1: upper.structure,
        2: lower.structure,
        3: Structure(Kind.DISC, Level.L4),
        4: Structure(Kind.AORTA),
    }
    for label, mask in enumerate((upper_mask, lower_mask, disc_mask, aorta_mask), start=1):
        labels[mask] = label
    frame = Frame(np.zeros(3), np.eye(3))
    assert upper.lower_endplate is not None
    assert lower.upper_endplate is not None
    segment = MotionSegment(upper, lower, frame, disc, False, upper.lower_endplate, lower.upper_endplate)
    return SpineModel(
        grid=GRID,
        labels=labels,
        table=table,
        vertebrae=(upper, lower),
        segments=(segment,),
        missing_segments={"L5/S1": "S1 is not labelled"},
        solids={Structure(Kind.AORTA): solid_from_mask(aorta_mask, GRID)},
        patient_frame=frame,
        doubts=(Doubt(Severity.SERIOUS, "left and right may be exchanged"), Doubt(Severity.NOTE, "thick slices")),
        provenance={"file": "seg<1>.nii.gz", "sha256": "ab" * 32, "scheme": "kambin"},
    )


@pytest.fixture(scope="session")
def measurements() -> Measurements:
    rows = []
    for side in Side:
        x = 16.0 * side.sign
        outline = np.array([[x, -16, -6], [x, -32, -6], [x, -32, 18], [x, -16, 18]], dtype=float)
        area = Evidence(
            curves=(EvidenceCurve("foramen", outline, True, "outline"), EvidenceCurve("gap", outline[:2], False, "bridge")),
            planes=(EvidencePlane("lateral cut", np.array([1.2 * x, 0, 0]), np.array([1.0, 0, 0])),),
            view="lateral",
        )
        value = 137.0 if side is Side.LEFT else 121.0
        rows.append(row("foraminal_area", "FA", "L4/L5", side, value, evidence=area, doubts=(f"a bridge of {value / 50:.1f} mm",)))
        line = Evidence(curves=(EvidenceCurve("FH", outline[[1, 2]], False, "measure"),), view="lateral")
        rows.append(row("foraminal_height", "FH", "L4/L5", side, 24.3 if side is Side.LEFT else 12.6, evidence=line))
    axial = Evidence(
        points=(EvidencePoint("a", np.array([-14.0, 22.0, 0.0])),),
        curves=(EvidenceCurve("DAA", np.array([[-14.0, 26.0, 0.0], [-2.0, 26.0, 0.0]]), False, "measure"),),
        view="axial",
    )
    rows.append(row("aorta_diameter", "DAA", "L4/L5", None, 12.2, evidence=axial))
    rows.append(row("canal_area", "CA", "L4/L5", None, None))
    rows.append(row("disc_height_middle", "DHm", "L4/L5", None, 512.7))
    rows.append(row("body_height", "VH", "L4", None, 24.1, evidence=Evidence(view="sagittal")))
    rows.append(row("lordosis", "LL", "L1–S1", None, 51.9))
    rows.append(row("foraminal_area_left_minus_right", "ΔFA", "L4/L5", None, 16.0))
    return Measurements(tuple(rows), {"note": "<made for a test>"})


@pytest.fixture(scope="session")
def scan() -> Scan:
    """Fat everywhere, and a bright block on the patient's right, in front and above."""
    values = np.full(GRID.shape, -100.0, dtype=np.float32)
    values[box((24, 10, 4), (44, 34, 40))] = 2000.0
    values[box((24, 10, -8), (44, 34, 8))] = 2000.0
    return Scan(GRID, values, "CT", {"file": "ct.nii.gz", "sha256": "cd" * 32})


def without_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose OpenGL ends the process that asks for it."""

    def crashed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -11, "", "libEGL: no display <here>\n")

    monkeypatch.setattr(render3d.subprocess, "run", crashed)


@pytest.fixture(scope="session")
def plain_page(model: SpineModel, measurements: Measurements, scan: Scan) -> str:
    with pytest.MonkeyPatch.context() as patch:
        without_rendering(patch)
        return build_report(model, measurements, scan, title=MALICE)


class Reader(HTMLParser):
    """Collects tags and text, and that every element is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def image_in(picture: str) -> np.ndarray:
    match = re.search(r'href="data:image/\w+;base64,([^"]+)"', picture)
    assert match is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("L"), dtype=float)


# -- the page -------------------------------------------------------------------------------------------------------------------


def test_page_is_well_formed_and_needs_nothing_from_outside(plain_page: str) -> None:
    page = read(plain_page)
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(", plain_page)
    assert len(plain_page) < 12e6


def test_title_and_every_other_word_is_escaped(plain_page: str) -> None:
    assert "<script" not in plain_page
    assert "<img" not in plain_page
    assert "seg<1>" not in plain_page
    assert "<made for" not in plain_page
    assert "<here>" not in plain_page
    assert MALICE in "".join(read(plain_page).text)


def test_every_row_is_in_the_page(plain_page: str, measurements: Measurements) -> None:
    words = "".join(read(plain_page).text)
    for each in measurements.rows:
        if each.quantity.key.endswith(tables.DIFFERENCE):
            assert "+16" in words
            continue
        assert each.quantity.symbol in words
        assert each.quantity.definition in words
        shown = each.reason if each.value is None else tables.rounded(each.value, each.quantity.unit)
        assert shown is not None
        assert shown in words


def test_doubts_come_first_and_worst_first(plain_page: str) -> None:
    assert plain_page.index('id="doubts"') < plain_page.index("<table")
    assert plain_page.index("may be exchanged") < plain_page.index("A bridge of") < plain_page.index("Thick slices")
    assert plain_page.index("S1 is not labelled") < plain_page.index('id="glance"')
    assert "For research. Not for clinical use. Not a medical device." in plain_page


def test_without_opengl_the_page_says_why_and_is_complete(plain_page: str) -> None:
    assert "3D pictures could not be drawn" in plain_page
    assert "libEGL: no display &lt;here&gt;" in plain_page
    assert plain_page.count("<figure") == 6  # four slices of the segment, two of the whole spine


def test_no_doubt_is_said_too(model: SpineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    without_rendering(monkeypatch)
    calm = dataclasses.replace(model, doubts=(), missing_segments={})
    page = build_report(calm, Measurements(()), None, title="calm")
    assert "gave cause for doubt" in page
    assert "none given; the label map alone" in page
    read(page)


def test_progress_runs_from_nothing_to_done(model: SpineModel, monkeypatch: pytest.MonkeyPatch) -> None:
    without_rendering(monkeypatch)
    told: list[float] = []
    build_report(model, Measurements(()), None, title="t", progress=lambda _what, fraction: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0


# -- pictures ---------------------------------------------------------------------------------------------------------------------


def test_the_patients_right_is_on_the_left_of_axial_and_coronal_slices(
    model: SpineModel, measurements: Measurements, scan: Scan
) -> None:
    atelier = Atelier(model, measurements, scan, None, model.all_solids())
    axial = image_in(figures.axial_slice(atelier, model.segments[0]).picture)
    height, width = axial.shape
    bright = np.argwhere(axial > 200)
    assert (bright[:, 1] < width / 2).all()
    assert (bright[:, 0] < height / 2).all()  # in front is on top
    block = Scan(GRID, np.where(box((24, -60, 4), (44, 60, 40)), 2000.0, -1000.0), "CT")
    coronal = figures.whole_spine_slices(Atelier(model, measurements, block, None, model.all_solids()))[1]
    bright = np.argwhere(image_in(coronal.picture) > 200)
    assert len(bright)
    assert (bright[:, 1] < image_in(coronal.picture).shape[1] / 2).all()
    assert re.search(r'class="edge" x="12"[^>]*>R<', coronal.picture)


def test_anterior_is_on_the_left_of_sagittal_slices(model: SpineModel, measurements: Measurements) -> None:
    front = Scan(GRID, np.where(box((-60, 20, -60), (60, 60, 60)), 2000.0, -1000.0), "CT")
    picture = figures.segment_slices(Atelier(model, measurements, front, None, model.all_solids()), model.segments[0])[2].picture
    bright = np.argwhere(image_in(picture) > 200)
    assert len(bright)
    assert (bright[:, 1] < image_in(picture).shape[1] / 2).all()


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(*[st.floats(-3.0, 3.0)] * 3),
    st.tuples(*[st.floats(-200.0, 200.0)] * 3),
    st.tuples(*[st.floats(-80.0, 80.0)] * 3),
    st.floats(0.05, 2.0),
)
def test_projection_is_the_closed_form(
    turn: tuple[float, ...], centre: tuple[float, ...], offset: tuple[float, ...], scale: float
) -> None:
    across, up, out = Rotation.from_rotvec(turn).as_matrix().T
    view = View(np.array(centre), across, up, scale, 640, 480)
    point = np.array(centre) + offset[0] * across + offset[1] * up + offset[2] * out
    assert view.project(point) == pytest.approx([320 + offset[0] / scale, 240 - offset[1] / scale], abs=1e-6)
    assert float(view.depth_mm(point)) == pytest.approx(offset[2], abs=1e-6)
    assert view.unproject(view.project(point)) == pytest.approx(point - offset[2] * out, abs=1e-6)
    lattice = view.lattice_mm(0.25)
    assert view.project(lattice[0, 0]) == pytest.approx([2.0, 2.0], abs=1e-6)
    assert view.project(lattice[-1, -1]) == pytest.approx([638.0, 478.0], abs=1e-6)


def ball(centre: tuple[float, float, float], radius_mm: float) -> Solid:
    points = GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1))
    field = np.linalg.norm(points - np.array(centre), axis=-1) - radius_mm
    mesh = solid_from_mask(field < 0, GRID).mesh
    return Solid(GRID, field.clip(-8, 8).astype(np.float32), mesh)


def test_contour_of_a_ball_is_a_circle_of_its_radius() -> None:
    view = View(np.array([0.0, 0.0, 6.0]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), 0.25, 400, 400)
    (line,) = slices.contour_set({Structure(Kind.AORTA): ball((5.0, -4.0, 0.0), 10.0)}, view)[Structure(Kind.AORTA)]
    radius_px = np.linalg.norm(line - view.project([5.0, -4.0, 6.0]), axis=1)
    assert radius_px == pytest.approx(8.0 / 0.25, abs=1.2)  # sqrt(10² - 6²) mm, to 0.3 mm on a lattice of 2 mm


def test_a_rendered_ball_lies_where_evidence_about_it_is_drawn() -> None:
    structure, centre = Structure(Kind.AORTA), (9.0, -7.0, 12.0)
    try:
        stage = Stage({structure: ball(centre, 9.0)})
    except RenderingUnavailable as reason:
        pytest.skip(str(reason))
    with stage:
        frame = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
        view = View(np.zeros(3), frame[0], frame[2], 0.4, 200, 160)
        image = stage.draw(view, [structure])
        assert image.shape == (160, 200, 3)
        rows, columns = np.nonzero(image.min(axis=2) < 240)
        assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx(view.project(centre), abs=1.0)
        assert len(rows) == pytest.approx(np.pi * (9.0 / 0.4) ** 2, rel=0.08)
        half = stage.draw(view, [structure], keep={structure: [Plane(np.array(centre), frame[0])]})
        assert (np.nonzero(half.min(axis=2) < 240)[1] >= view.project(centre)[0] - 1.5).all()
        assert (stage.draw(view, []) == 255).all()


def test_page_with_3d_views_and_no_scan(model: SpineModel, measurements: Measurements) -> None:
    page = build_report(model, measurements, None, title="labels alone")
    if "could not be drawn" in page:
        pytest.skip("no OpenGL here")
    assert page.count("<figure") == 13
    assert "label map in muted colours" in page
    read(page)


# -- words and small drawings -------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-50.0, 450.0), max_size=14), st.floats(1.0, 25.0))
def test_labels_keep_their_order_their_distance_and_their_column(wanted: list[float], gap: float) -> None:
    wanted = sorted(wanted)
    placed = svg.spread(wanted, gap, 0.0, 400.0)
    assert len(placed) == len(wanted)
    assert all(-1e-6 <= y <= 400.0 + 1e-6 for y in placed)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(placed))
    if len(wanted) == 1:
        assert placed[0] == pytest.approx(min(max(wanted[0], 0.0), 400.0))


def test_numbers_as_shown() -> None:
    assert tables.rounded(-0.04, "mm") == "0.0"
    assert tables.rounded(-3.26, "mm") == "−3.3"
    assert tables.rounded(107.83, "mm²") == "108"
    assert tables.with_unit(5.04, "°") == "5.0°"


def test_paired_rows_show_difference_standing_and_reason(measurements: Measurements) -> None:
    rows = {each.quantity.symbol: each for each in tables.paired_rows(r for r in measurements.rows if r.level == "L4/L5")}
    assert list(rows) == ["FA", "FH", "DAA", "CA", "DHm"]
    height = rows["FH"]
    assert height.left is not None
    assert height.right is not None
    assert (height.left.text, height.left.standing, height.right.standing, height.difference) == ("24.3", "above", "within", "+11.7")
    assert "left 24.3 mm, above the published range" in height.bar
    assert rows["CA"].reason == "not measurable: no spinal canal is labelled"
    assert rows["DHm"].single is not None
    assert rows["DHm"].single.doubtful


def test_doubts_that_differ_in_numbers_alone_become_one(model: SpineModel, measurements: Measurements) -> None:
    shown = all_doubts(model, measurements)
    assert [doubt.severity for doubt in shown] == sorted(
        (doubt.severity for doubt in shown), key=[Severity.SERIOUS, Severity.WARNING, Severity.NOTE].index
    )
    bridges = [doubt for doubt in shown if "bridge" in doubt.text]
    assert [(doubt.text, doubt.where) for doubt in bridges] == [("A bridge of 2.4 to 2.7 mm.", "FA left and right at L4/L5")]
    assert any("512.7 mm: outside what is plausible" in doubt.text for doubt in shown)
    assert not_measured(measurements) == (("No spinal canal is labelled.", "CA at L4/L5"),)


def outlined(key: str, symbol: str, turn: Rotation, size_mm: float) -> Measurement:
    """A row that names no view, with a square outline: in the sagittal plane as it stands, then turned."""
    square = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]]) * size_mm
    curve = EvidenceCurve(symbol, turn.apply(square) + np.array([16.0, -24.0, 0.0]), True, "outline")
    return row(key, symbol, "L4/L5", Side.RIGHT, 60.0, evidence=Evidence(curves=(curve,)))


@pytest.mark.parametrize(("axis", "view"), [([0, 0, 0.5], "lateral"), ([0, 0, 1.5], "coronal"), ([0, 1.3, 0], "axial")])
def test_an_outline_is_drawn_where_it_is_not_seen_edge_on(axis: list[float], view: str) -> None:
    one = outlined("narrowest_section", "FA₃", Rotation.from_rotvec(axis), 5.0)
    assert evidence.seen_from(one, Frame(np.zeros(3), np.eye(3))) == view


def test_a_smaller_outline_lies_over_a_larger_one() -> None:
    view = View(np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 0.2, 600, 500)
    small, large = (outlined(name, name, Rotation.identity(), size) for name, size in (("FA", 4.0), ("FB", 8.0)))
    drawn = evidence.draw_rows(view, [small, large])
    assert drawn.rows == (small, large)
    shapes = "".join(drawn.shapes)
    assert shapes.index("FB: FB") < shapes.index("FA: FA")


def test_a_row_whose_lines_another_has_drawn_is_still_named() -> None:
    view = View(np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 0.2, 600, 500)
    first, second = (outlined(name, name, Rotation.identity(), 4.0) for name in ("LL", "SS"))
    drawn = evidence.draw_rows(view, [first, second])
    assert len(drawn.labels) == 2
    assert sum(shape.count("<title>") for shape in drawn.shapes) == 1
