"""The report's pictures: which views of which structures, what is drawn over them, and what each caption says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame, Plane
from kambin.measurement.result import Measurement, Measurements
from kambin.report import slices, svg
from kambin.report.evidence import Drawn, draw_rows, seen_from
from kambin.report.render3d import Stage
from kambin.report.style import look_of
from kambin.report.view import View
from kambin.spine import MotionSegment, Solid, SpineModel
from kambin.volume import Scan

_NEURAL = (Kind.NERVE_ROOT, Kind.DURAL_SAC, Kind.SPINAL_CANAL, Kind.SPINAL_CORD)
_VESSELS = (Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN)
_PEDICLE_OFFSET_MM = 16.0  # where to cut when no pedicle was told apart: about the pedicles' distance from the midline
_SLAB_MM = 52.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture and its caption. `css` sorts it into the page's grid."""

    picture: str
    caption: str
    css: str = ""


@dataclass(frozen=True, eq=False)
class Atelier:
    """What all pictures of one report are made from. `stage` is None where nothing can be drawn in 3D."""

    model: SpineModel
    measurements: Measurements
    scan: Scan | None
    stage: Stage | None
    solids: Mapping[Structure, Solid]

    def rows(self, level: str, view: str, side: Side | None = None) -> list[Measurement]:
        """Measured rows of a segment that are best seen in a view; of one side or of none where a side is given."""
        frame = next(segment.frame for segment in self.model.segments if segment.name == level)
        rows = [row for row in self.measurements.rows if row.level == level and row.is_measured]
        return [row for row in rows if (side is None or row.side in (None, side)) and seen_from(row, frame) == view]

    def of_kind(self, *kinds: Kind) -> list[Structure]:
        return [structure for structure in self.solids if structure.kind in kinds]


# -- three dimensions ---------------------------------------------------------------------------------------------------------


def whole_spine_views(atelier: Atelier) -> list[Figure]:
    """The whole model from in front, from the patient's left and from behind, all at one scale."""
    stage, frame = atelier.stage, atelier.model.patient_frame
    if stage is None:
        return []
    shown = [structure for structure in atelier.solids if structure.kind not in (Kind.TRUNK, Kind.BOWEL)]
    bones = [vertebra.solid.mesh.vertices_mm for vertebra in atelier.model.vertebrae]
    bones += [atelier.solids[structure].mesh.vertices_mm for structure in atelier.of_kind(Kind.HIP)]
    local = frame.local(np.concatenate(bones))
    low, high = local.min(axis=0), local.max(axis=0)
    width = 420
    scale = max((high[0] - low[0]) / (width - 20), (high[1] - low[1]) / (width - 20), (high[2] - low[2]) / 640)
    height = round((high[2] - low[2]) / scale) + 70
    centre = frame.world((low + high) / 2.0)
    no_hips = [structure for structure in shown if structure.kind is not Kind.HIP]
    sides = (
        ("from the front", frame.right * -1.0, shown, ("right", "left")),
        ("from the patient’s left", frame.anterior * -1.0, no_hips, ("anterior", "posterior")),
        ("from behind", frame.right, shown, ("left", "right")),
    )
    figures = []
    for words, across, visible, edges in sides:
        view = View(centre, across, frame.cranial, scale, width, height)
        image = stage.draw(view, visible)
        words_at_edges = svg.edge_words(width, height, edges[0], edges[1], "", "")
        overlay = [*_level_names(view, atelier.model), words_at_edges, svg.scale_bar(scale, height, 50.0)]
        note = "; hip bones left out" if len(visible) != len(shown) else ""
        caption = f"Whole spine seen {words}{note}. {edges[0].capitalize()} is on the left of the picture."
        figures.append(Figure(picture(view, image, overlay, caption, "render"), caption, "third"))
    return figures


def segment_views(atelier: Atelier, segment: MotionSegment) -> list[Figure]:
    """One motion segment from the patient's left, right, from behind and from above."""
    if atelier.stage is None:
        return []
    figures = [_lateral_view(atelier, atelier.stage, segment, side) for side in (Side.LEFT, Side.RIGHT)]
    return [*figures, _posterior_view(atelier, atelier.stage, segment), _cranial_view(atelier, atelier.stage, segment)]


def _lateral_view(atelier: Atelier, stage: Stage, segment: MotionSegment, side: Side) -> Figure:
    frame = segment.frame
    outward = frame.right * float(side.sign)
    view = View(frame.world([0.0, -16.0, 0.0]), frame.anterior * float(side.sign), frame.cranial, 0.17, 640, 580)
    rows = atelier.rows(segment.name, "lateral", side)
    half = Plane(frame.origin_mm, outward)
    cut = _lateral_cut(frame, rows, side)
    bones = _segment_bones(segment)
    roots = [structure for structure in atelier.of_kind(Kind.NERVE_ROOT) if structure.side is side]
    planes = [half] if cut is None else [half, Plane(cut.origin_mm, -outward)]
    image = stage.draw(
        view,
        [*bones, *roots],
        keep=dict.fromkeys(bones, planes),
        ghosts={} if cut is None else dict.fromkeys(bones, (Plane(cut.origin_mm, outward),)),
        caps=dict.fromkeys(bones, planes),
    )
    drawn = draw_rows(view, rows)
    edges = ("anterior", "posterior") if side is Side.LEFT else ("posterior", "anterior")
    words = svg.edge_words(view.width_px, view.height_px, *edges, "", "")
    overlay = [*drawn.shapes, words, svg.scale_bar(view.mm_per_px, view.height_px), *drawn.labels]
    caption = f"{segment.name} seen from the patient’s {side}; the {side} half alone is drawn. " + (
        "What lies outside the lateral cut is faint. " if cut is not None else ""
    )
    caption += _what_is_drawn(drawn)
    return Figure(picture(view, image, overlay, caption, "render"), caption, "half")


def _posterior_view(atelier: Atelier, stage: Stage, segment: MotionSegment) -> Figure:
    frame = segment.frame
    view = View(frame.origin_mm, frame.right, frame.cranial, 0.225, 640, 500)
    bones = _segment_bones(segment)
    others = atelier.of_kind(*_NEURAL, *_VESSELS, Kind.PSOAS, Kind.HIP)
    slab = [Plane(frame.world([0, 0, _SLAB_MM]), -frame.cranial), Plane(frame.world([0, 0, -_SLAB_MM]), frame.cranial)]
    shown = [*bones, *others]
    image = stage.draw(view, shown, keep=dict.fromkeys(shown, slab), opacity=dict.fromkeys(atelier.of_kind(Kind.HIP), 0.3))
    drawn = draw_rows(view, atelier.rows(segment.name, "coronal"))
    words = svg.edge_words(view.width_px, view.height_px, "left", "right", "", "")
    overlay = [*drawn.shapes, words, svg.scale_bar(view.mm_per_px, view.height_px), *drawn.labels]
    caption = f"{segment.name} seen from behind; the patient’s left is on the left of the picture. {_what_is_drawn(drawn)}"
    return Figure(picture(view, image, overlay, caption, "render"), caption, "half")


def _cranial_view(atelier: Atelier, stage: Stage, segment: MotionSegment) -> Figure:
    frame = segment.frame
    view = View(frame.world([0.0, 2.0, 0.0]), frame.right, frame.anterior, 0.225, 640, 500)
    bones = _segment_bones(segment)
    cut = segment.mid_plane
    crossed = [s for s in atelier.of_kind(*_NEURAL, *_VESSELS, Kind.PSOAS, Kind.HIP) if _is_cut(atelier.solids[s], cut)]
    below = [Plane(cut.origin_mm, -cut.normal)]
    shown = [*bones, *crossed]
    image = stage.draw(view, shown, keep=dict.fromkeys(shown, below), opacity=dict.fromkeys(crossed, 1.0), caps=dict.fromkeys(shown, below))
    drawn = draw_rows(view, atelier.rows(segment.name, "axial"))
    words = svg.edge_words(view.width_px, view.height_px, "left", "right", "anterior", "")
    overlay = [*drawn.shapes, words, svg.scale_bar(view.mm_per_px, view.height_px), *drawn.labels]
    caption = (
        f"{segment.name} cut along the disc mid-plane, seen from above: the patient’s left is on the left of the picture, unlike the "
        f"axial slice. {_what_is_drawn(drawn)}"
    )
    return Figure(picture(view, image, overlay, caption, "render"), caption, "half")


def _segment_bones(segment: MotionSegment) -> list[Structure]:
    return [segment.upper.structure, segment.lower.structure, Structure(Kind.DISC, segment.upper.level)]


def _is_cut(solid: Solid, plane: Plane) -> bool:
    distance = plane.signed_distance_mm(solid.mesh.vertices_mm)
    return bool(distance.size and distance.min() < 0.0 < distance.max())


def _lateral_cut(frame: Frame, rows: Sequence[Measurement], side: Side) -> Plane | None:
    """The plane at which measures cut off what lies lateral to the foramen's rim, where their evidence names one."""
    for row in rows:
        for plane in row.evidence.planes:
            offset = float(frame.local(plane.origin_mm)[0]) * side.sign
            if abs(float(plane.normal @ frame.right)) > 0.9 and offset > 6.0:
                return Plane(plane.origin_mm, plane.normal)
    return None


# -- slices -----------------------------------------------------------------------------------------------------------------------


def segment_slices(atelier: Atelier, segment: MotionSegment) -> list[Figure]:
    """Slices of one motion segment along its own frame: through each foramen, mid-sagittal, and in the disc mid-plane."""
    frame, name = segment.frame, segment.name
    figures = []
    for side in (Side.LEFT, Side.RIGHT):
        offset = _foramen_offset_mm(segment, side)
        view = View(frame.world([offset, -16.0, 0.0]), -frame.anterior, frame.cranial, 0.17, 640, 540)
        drawn = draw_rows(view, atelier.rows(name, "lateral", side), only_roles=("outline", "bridge"))
        caption = f"{name}, sagittal slice through the {side} foramen, {abs(offset):.0f} mm from the midline. Anterior is on the left."
        if drawn.rows:
            caption += f" {_what_is_drawn(drawn)} Outlines are projected onto this slice."
        figures.append(_slice(atelier, view, drawn, caption, ("A", "P", "S", "I"), soft=False, css="half"))
    view = View(frame.world([0.0, -16.0, 0.0]), -frame.anterior, frame.cranial, 0.17, 640, 540)
    drawn = draw_rows(view, atelier.rows(name, "sagittal"))
    caption = f"{name}, mid-sagittal slice, seen from the patient’s left. {_what_is_drawn(drawn)}"
    figures.append(_slice(atelier, view, drawn, caption, ("A", "P", "S", "I"), soft=False, css="half"))
    figures.append(axial_slice(atelier, segment))
    return figures


def axial_slice(atelier: Atelier, segment: MotionSegment) -> Figure:
    """The disc mid-plane, seen from below as radiologists do: the patient's right is on the left of the picture."""
    frame = segment.frame
    view = View(frame.world([0.0, 4.0, 0.0]), -frame.right, frame.anterior, 0.24, 640, 540)
    drawn = draw_rows(view, atelier.rows(segment.name, "axial"))
    caption = (
        f"{segment.name}, slice along the disc mid-plane, seen from below: the patient’s right is on the left of the picture. "
        f"{_what_is_drawn(drawn)}"
    )
    return _slice(atelier, view, drawn, caption, ("R", "L", "A", "P"), soft=True, css="half")


def whole_spine_slices(atelier: Atelier) -> list[Figure]:
    """The mid-sagittal plane with the angles of the whole spine, and the coronal plane through the vertebral bodies."""
    model, frame = atelier.model, atelier.model.patient_frame
    centres = frame.local(np.array([vertebra.frame.origin_mm for vertebra in model.vertebrae]))
    low, high = float(centres[:, 2].min()) - 45.0, float(centres[:, 2].max()) + 30.0
    width, height = 560, 720
    scale = (high - low) / height
    middle = frame.world([float(centres[:, 0].mean()), float(centres[:, 1].mean()) - 12.0, (low + high) / 2.0])
    segments = {segment.name for segment in model.segments}
    rows = [row for row in model_rows(atelier.measurements, segments) if row.evidence.view in ("sagittal", "lateral")]
    own = {vertebra.level.value for vertebra in model.vertebrae if vertebra.level is not Level.S1}
    view = View(middle, -frame.anterior, frame.cranial, scale, width, height)
    wide = draw_rows(view, [row for row in rows if row.level not in own])
    bodies = draw_rows(view, [row for row in rows if row.level in own], labelled=False)
    drawn = Drawn((*bodies.shapes, *wide.shapes), wide.labels, (*bodies.rows, *wide.rows))
    caption = f"Mid-sagittal slice of the whole spine, seen from the patient’s left. {_what_is_drawn(drawn)}"
    figures = [_slice(atelier, view, drawn, caption, ("A", "P", "S", "I"), soft=False, css="half")]
    middle = frame.world([0.0, float(centres[:, 1].mean()), (low + high) / 2.0])
    view = View(middle, -frame.right, frame.cranial, scale, width, height)
    bones = [row for row in model_rows(atelier.measurements, segments) if row.evidence.view == "coronal"]
    flat = draw_rows(view, bones, labelled=False)
    lowest = [row for segment in model.segments[-2:] for row in atelier.rows(segment.name, "coronal")]
    crests = draw_rows(view, lowest, with_level=True, labels_below_px=0.8 * height)  # clear of crests and pedicles
    drawn = Drawn((*flat.shapes, *crests.shapes), crests.labels, (*flat.rows, *crests.rows))
    caption = f"Coronal slice through the vertebral bodies: the patient’s right is on the left of the picture. {_what_is_drawn(drawn)}"
    figures.append(_slice(atelier, view, drawn, caption, ("R", "L", "S", "I"), soft=False, css="half"))
    return figures


def model_rows(measurements: Measurements, segments: Iterable[str]) -> list[Measurement]:
    """Rows of the whole spine and of single vertebrae."""
    names = set(segments)
    return [row for row in measurements.rows if row.level not in names]


def _foramen_offset_mm(segment: MotionSegment, side: Side) -> float:
    """How far to the patient's right to cut: through the pedicles that bound the foramen."""
    offsets = []
    for vertebra in (segment.upper, segment.lower):
        pedicle = vertebra.part(Kind.PEDICLE, side)
        if pedicle is not None and len(pedicle.mesh.vertices_mm):
            offsets.append(float(segment.frame.local(pedicle.mesh.vertices_mm.mean(axis=0))[0]))
    offset = float(np.mean(offsets)) if offsets else _PEDICLE_OFFSET_MM * side.sign
    return offset if 6.0 < offset * side.sign < 32.0 else _PEDICLE_OFFSET_MM * side.sign


def _slice(
    atelier: Atelier, view: View, drawn: Drawn, caption: str, edges: tuple[str, str, str, str], *, soft: bool, css: str
) -> Figure:
    scan, model = atelier.scan, atelier.model
    if scan is not None:
        image = slices.scan_slice(scan, view, slices.intensity_window(scan, soft))
        kind = "scan"
    else:
        image = slices.label_slice(model.grid, model.labels, model.table, view)
        kind = "labels"
    outlines = [
        svg.path(line, "contour", style=f"stroke:{look_of(structure).contour}", title=structure.label)
        for structure, lines in slices.contour_set(atelier.solids, view).items()
        for line in lines
    ]
    left, right, top, bottom = edges
    letters = svg.edge_words(view.width_px, view.height_px, left, right, top, bottom)
    overlay = [*outlines, *drawn.shapes, letters, svg.scale_bar(view.mm_per_px, view.height_px), *drawn.labels]
    return Figure(picture(view, image, overlay, caption, kind), caption, css)


# -- together -------------------------------------------------------------------------------------------------------------------


def picture(view: View, image: npt.NDArray[np.uint8] | None, overlay: Iterable[str], description: str, css: str) -> str:
    """A picture with what is drawn over it; the drawing alone where there is no image."""
    width, height = view.width_px, view.height_px
    if image is None:
        return svg.canvas(width, height, overlay, description, css)
    ground = f'<image href="{svg.embedded(image)}" x="0" y="0" width="{width}" height="{height}" preserveAspectRatio="none"/>'
    return svg.canvas(width, height, [ground, *overlay], description, css)


def _level_names(view: View, model: SpineModel) -> list[str]:
    """The vertebrae's names on their bodies, moved apart where they would touch."""
    places = sorted((view.project(vertebra.frame.origin_mm).tolist()[::-1], vertebra.level.value) for vertebra in model.vertebrae)
    heights = svg.spread([y for (y, _), _ in places], 17.0, 12.0, view.height_px - 12.0)
    return [svg.text(x, y + 5.0, name, "level-name", "middle") for ((_, x), name), y in zip(places, heights, strict=True)]


def _what_is_drawn(drawn: Drawn) -> str:
    """Names of the quantities drawn, each once, and what a dashed line means."""
    names = dict.fromkeys(f"{row.quantity.symbol} {row.quantity.name}" for row in drawn.rows)
    if not names:
        return ""
    text = f"Drawn: {', '.join(names)}."
    if any(curve.role == "bridge" for row in drawn.rows for curve in row.evidence.curves):
        text += " Dashed: where an open rim was closed."
    return text


def legend(solids: Mapping[Structure, Solid]) -> str:
    """The colours of the structures present, in words."""
    seen = {look_of(structure).word: look_of(structure) for structure in solids if structure.kind is not Kind.TRUNK}
    return "".join(
        f'<li><span class="swatch" style="background:{look.surface};border-color:{look.contour}"></span>{escape(word)}</li>'
        for word, look in seen.items()
    )
