"""KT and ST, the Kambin and the safe triangle, each in its standard view and in the view in which it is largest.

What a surgeon sees of the disc and the upper vertebral body beside the exiting root: a line of sight counts where it meets these before any
other bone, root or sac. The border of that region is found between the lattice points, from how near each line passes to what hides.
Fan 2019; the views and the rules are in ``docs/triangles.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Side
from kambin.geometry import FloatArray
from kambin.geometry.hole import Lattice, contour_loops
from kambin.geometry.inscribed import largest_circle, largest_triangle
from kambin.geometry.section import Section, signed_area_mm2
from kambin.measurement.oblique_view import FAR_MM, SIGHT_STEP_MM, ObliqueView, Sampled, joined
from kambin.measurement.pedicle_size import PEDICLE_HEIGHT, pedicle_size
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, SpineModel, Vertebra

BoolArray = npt.NDArray[np.bool_]

_SEEN = {
    "kambin": "Seen 45° obliquely along the disc, hip bones left out: {} the region under and medial to the exiting root in which the disc "
    "or the upper body is seen.",
    "safe": "Seen 20° obliquely along the disc, hip bones left out: {} the region above the exiting root and below the upper pedicle in "
    "which the upper body is seen.",
}


def _quantities(name: str, symbol: str) -> tuple[Quantity, Quantity, Quantity]:
    title = "Kambin triangle" if name == "kambin" else "safe triangle"
    kinds = (
        ("", "", "", "mm²", "area of", 200.0),
        ("_corners", "t", ", three corners", "mm²", "area of the largest triangle with its corners on", 150.0),
        ("_circle", "d", ", inscribed circle", "mm", "diameter of the largest circle within", 14.0),
    )
    area, triangle, circle = (
        Quantity(key, symbol + mark, title + words, unit, _SEEN[name].format(what), (0.5, high), PUBLISHED.get(key, {}))
        for key, mark, words, unit, what, high in ((f"{name}_triangle{kind[0]}", *kind[1:]) for kind in kinds)
    )
    return area, triangle, circle


KAMBIN, SAFE = _quantities("kambin", "KT"), _quantities("safe", "ST")
"""Area, triangle, circle."""
_OBLIQUE_DEG = {KAMBIN: 45.0, SAFE: 20.0}

Ranges = tuple[tuple[float, float], tuple[float, float]]


def _of_largest(name: str, symbol: str, ranges: Ranges) -> tuple[Quantity, Quantity, Quantity]:
    title = "Kambin triangle" if name == "kambin" else "safe triangle"
    (near, far), (low, high) = ranges
    views = f"over views {near:g}° to {far:g}° oblique and {-low:g}° caudal to {high:g}° cranial"
    area = f"The largest area of such a region, hip bones in the way too, {views}."
    oblique = "Oblique angle of that view, from the segment's mid-sagittal plane."
    cranial = "Angle of that view to the disc mid-plane, positive from above."
    return (
        Quantity(f"{name}_triangle_largest", f"{symbol}*", f"{title} at its largest", "mm²", area, (0.5, 250.0)),
        Quantity(f"{name}_triangle_oblique", f"{symbol}*o", f"{title}'s best view, oblique", "°", oblique, (near, far)),
        Quantity(f"{name}_triangle_cranial", f"{symbol}*c", f"{title}'s best view, cranial", "°", cranial, (low, high)),
    )


_RANGES_DEG: Mapping[str, Ranges] = {"KT": ((20.0, 60.0), (-20.0, 30.0)), "ST": ((15.0, 35.0), (-20.0, 20.0))}
KAMBIN_LARGEST, SAFE_LARGEST = _of_largest("kambin", "KT", _RANGES_DEG["KT"]), _of_largest("safe", "ST", _RANGES_DEG["ST"])
"""Area, oblique angle, cranial angle."""
_TURNS_DEG = (10.0, 5.0, 2.5)
"""A grid of directions, then steps to the best neighbour."""
_QUICK_PITCH_MM, _QUICK_MM, _QUICK_HALF_MM = 1.2, 1.0, 48.0
"""While a view is looked for: the picture's lattice, and the lattice on which all that hides is joined, and that one's half width."""
_FAR_SIGHT_MM, _FAR_STEP_MM = (0.0, 140.0), 3.0
"""Where hip bones are looked for."""
_SLIT_MM = 0.6
_SHARE = 0.5
"""Of a region, that must lie where the triangle is looked for: else it is another one, or one without its border."""
_COARSE = 0.5
"""Voxels wider than this share of the largest circle are a doubt, wider ones than the circle a refusal."""
_TRIM = 0.02
"""Of an outline's points, so many are below its lower edge."""


@dataclass(frozen=True, eq=False)
class _Scene:
    """What one triangle is bounded by, what is looked for in it, and what hides that.

    Parameters
    ----------
    roof_mm
        A point at the height of its upper border, RAS.
    """

    safe: bool
    root: tuple[Sampled, ...]
    target: tuple[Sampled, ...]
    hiding: tuple[Sampled, ...]
    hips: tuple[Sampled, ...]
    roof_mm: FloatArray

    @property
    def name(self) -> str:
        return (SAFE if self.safe else KAMBIN)[0].name

    def outline(self, view: ObliqueView) -> FloatArray:
        """The polygon's border, shape (n, 2).

        Raises
        ------
        NotMeasurable
            When nothing of it is seen.
        """
        step = max(SIGHT_STEP_MM, view.lattice.pitch_mm)
        roof = float((self.roof_mm - view.origin_mm) @ view.second)
        of_root = view.levels(self.root, step_mm=step)
        hides = np.minimum(of_root, view.levels(self.hiding, step_mm=step))
        clear = _clear(view.levels(self.target, step_mm=step), hides)
        if self.hips:
            clear = np.minimum(clear, view.levels(self.hips, _FAR_SIGHT_MM, _FAR_STEP_MM).min(axis=-1))
        if self.safe:
            clear = np.minimum(clear, roof - view.lattice.second_mm)
        zone = _zone(of_root.min(axis=-1) < 0, self.safe) & (view.lattice.second_mm < roof)
        return _outline(clear, zone, view.lattice, self.name)

    def joined(self, segment: MotionSegment, middle_mm: FloatArray) -> _Scene:
        """The same in fewer shapes, to be looked at often."""

        def one(shapes: tuple[Sampled, ...]) -> tuple[Sampled, ...]:
            return (joined(shapes, segment.frame, middle_mm, _QUICK_HALF_MM, _QUICK_MM),)

        return replace(self, root=one(self.root), target=one(self.target), hiding=one(self.hiding))


def kambin_triangle(model: SpineModel, segment: MotionSegment, side: Side) -> Mapping[Quantity, tuple[float, Evidence]]:
    """KT, its triangle and its circle.

    Raises
    ------
    NotMeasurable
        When the exiting root is missing, the parts of a vertebra could not be told apart, or nothing of the triangle is seen.
    """
    return _taken(KAMBIN, model, segment, side)


def safe_triangle(model: SpineModel, segment: MotionSegment, side: Side) -> Mapping[Quantity, tuple[float, Evidence]]:
    """ST, its triangle and its circle; raises as `kambin_triangle`."""
    return _taken(SAFE, model, segment, side)


def largest_kambin_triangle(model: SpineModel, segment: MotionSegment, side: Side) -> Mapping[Quantity, tuple[float, Evidence]]:
    """KT* and the two angles of its view, hip bones in the way where they are labelled; raises as `kambin_triangle`."""
    return _largest(KAMBIN_LARGEST, model, segment, side)


def largest_safe_triangle(model: SpineModel, segment: MotionSegment, side: Side) -> Mapping[Quantity, tuple[float, Evidence]]:
    """ST* and the two angles of its view; raises as `kambin_triangle`."""
    return _largest(SAFE_LARGEST, model, segment, side)


def _scene(safe: bool, model: SpineModel, segment: MotionSegment, side: Side) -> _Scene:
    upper, lower = segment.upper, segment.lower
    root, body, neck = model.solid(Kind.NERVE_ROOT, upper.level, side), upper.part(Kind.BODY), upper.pedicles.get(side)
    if root is None:
        raise NotMeasurable(f"no {side} root of {upper.level} is labelled: it bounds the triangle")
    if body is None:
        raise NotMeasurable(f"the body of {upper.level} could not be told apart from its arch")
    if neck is None:
        raise NotMeasurable(f"no {side} pedicle of {upper.level} was found, which the triangle lies under")
    arch = [solid for name, solid in upper.parts.items() if name.kind is not Kind.BODY]
    soft = (model.solid(Kind.NERVE_ROOT, lower.level, side), model.solid(Kind.DURAL_SAC))
    hiding = [lower.solid, *arch, *(solid for solid in soft if solid is not None)]
    hip = model.solid(Kind.HIP, None, side)
    return _Scene(
        safe,
        (root,),
        (body,) if safe else (body, segment.disc),
        (*hiding, segment.disc) if safe else tuple(hiding),
        () if hip is None else (hip,),
        _lower_edge(upper, side, segment) if safe else neck.caudal_mm,
    )


def _taken(
    quantities: tuple[Quantity, Quantity, Quantity], model: SpineModel, segment: MotionSegment, side: Side
) -> Mapping[Quantity, tuple[float, Evidence]]:
    scene = replace(_scene(quantities is SAFE, model, segment, side), hips=())
    view = ObliqueView.of(segment, side, _OBLIQUE_DEG[quantities])
    area, triangle, circle, evidence = _read(quantities[0], view, scene.outline(view), view.voxel_mm(model.grid))
    return {quantity: (value, evidence) for quantity, value in zip(quantities, (area, triangle, circle), strict=True)}


def _largest(
    quantities: tuple[Quantity, Quantity, Quantity], model: SpineModel, segment: MotionSegment, side: Side
) -> Mapping[Quantity, tuple[float, Evidence]]:
    scene = _scene(quantities is SAFE_LARGEST, model, segment, side)
    best = _best_view(scene, segment, side, _RANGES_DEG["ST" if scene.safe else "KT"])
    view = ObliqueView.of(segment, side, *best)
    area, _, _, evidence = _read(quantities[0], view, scene.outline(view), view.voxel_mm(model.grid))
    return {quantity: (value, evidence) for quantity, value in zip(quantities, (area, *best), strict=True)}


def _best_view(scene: _Scene, segment: MotionSegment, side: Side, ranges: Ranges) -> tuple[float, float]:
    """Oblique and cranial angle of the view that shows most: of a grid, then by ever shorter steps to the best neighbour."""
    quick = scene.joined(segment, ObliqueView.of(segment, side, 0.0).origin_mm)
    known: dict[tuple[float, float], float] = {}

    def area(angles: tuple[float, float]) -> float:
        if angles not in known:
            try:
                known[angles] = abs(signed_area_mm2(quick.outline(ObliqueView.of(segment, side, *angles, _QUICK_PITCH_MM))))
            except NotMeasurable:
                known[angles] = 0.0
        return known[angles]

    (near, far), (low, high) = ranges
    step = _TURNS_DEG[0]
    best = max(((float(o), float(c)) for o in np.arange(near, far + 1, step) for c in np.arange(low, high + 1, step)), key=area)
    for step in _TURNS_DEG[1:]:
        about = [(best[0] + i * step, best[1] + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        best = max((best, *(at for at in about if near <= at[0] <= far and low <= at[1] <= high)), key=area)
    if not area(best):
        raise NotMeasurable(f"nothing of the {scene.name} is seen in any view: it is covered")
    return best


def _lower_edge(vertebra: Vertebra, side: Side, segment: MotionSegment) -> FloatArray:
    """The lowest point of a pedicle's smallest section: the safe triangle ends at it, so a millimetre tells."""
    outline = next(curve for curve in pedicle_size(vertebra, side)[PEDICLE_HEIGHT][1].curves if curve.closed).points_mm
    height = outline @ segment.frame.cranial
    return np.asarray(outline[int(np.argsort(height, kind="stable")[int(_TRIM * len(height))])])


def _clear(target: FloatArray, hides: FloatArray) -> FloatArray:
    """How clear each line of sight is: by how much all that hides keeps away from it before the target, or how far it misses that by."""
    within = target < 0
    end = np.where(within.any(axis=-1), within.argmax(axis=-1), target.argmin(axis=-1))
    before = np.arange(target.shape[-1]) <= end[..., None]
    return np.asarray(np.minimum(np.where(before, hides, FAR_MM).min(axis=-1), -target.min(axis=-1)))


def _zone(root: BoolArray, safe: bool) -> BoolArray:
    """Straight above the root, or medial to it at the same height."""
    beside = np.logical_or.accumulate(root, axis=1) if safe else np.logical_or.accumulate(root[::-1], axis=0)[::-1]
    return np.asarray(beside & ~root)


def _outline(clear: FloatArray, zone: BoolArray, lattice: Lattice, name: str) -> FloatArray:
    """The border of the clear region that has most of the zone, shape (n, 2); it must lie there for the most part."""
    from scipy.ndimage import distance_transform_edt, label

    pitch = lattice.pitch_mm
    field = np.full(clear.shape, -pitch)
    field[1:-1, 1:-1] = clear[1:-1, 1:-1]
    depth = distance_transform_edt(field > 0, sampling=pitch) - 0.5 * pitch
    pieces, count = label(depth > 0.5 * _SLIT_MM)
    sizes = np.bincount(pieces[zone], minlength=count + 1)
    sizes[0] = 0
    covered = f"nothing of the {name} is seen: it is covered"
    if not sizes.any():
        raise NotMeasurable(covered)
    own = pieces == int(sizes.argmax())
    if sizes.max() < _SHARE * np.count_nonzero(own):
        raise NotMeasurable(f"the root does not bound the {name}: what is seen beside it runs on around it, or the root is drawn in pieces")
    loops = contour_loops(np.minimum(field, 2.0 * _SLIT_MM - distance_transform_edt(~own, sampling=pitch)), lattice)
    deepest = lattice.at(np.unravel_index(int(np.where(own, depth, -1.0).argmax()), own.shape))
    about = [loop for loop in loops if Section((loop,)).contains(deepest)[0]]
    if not about:
        raise NotMeasurable(covered)
    return max(about, key=lambda loop: abs(signed_area_mm2(loop)))


def _read(area: Quantity, view: ObliqueView, outline: FloatArray, voxel_mm: float) -> tuple[float, float, float, Evidence]:
    """Area, triangle and circle of one polygon, and the evidence of all three.

    Raises
    ------
    NotMeasurable
        When a voxel is wider across the line of sight than the polygon's largest circle: its border is then drawn by chance.
    """
    corners = largest_triangle(outline)
    centre, radius = largest_circle(outline)
    symbol = area.symbol
    doubts: tuple[str, ...] = ()
    if voxel_mm > 2.0 * _COARSE * radius:
        what = f"a {area.name} whose largest circle has {2 * radius:.1f} mm"
        found = f"voxels of {voxel_mm:.1f} mm across the line of sight are coarse for {what}"
        if voxel_mm > 2.0 * radius:
            raise NotMeasurable(found)
        doubts = (found,)
    round_about = np.radians(np.arange(0.0, 360.0, 7.5))
    circle = centre + radius * np.stack([np.cos(round_about), np.sin(round_about)], axis=-1)
    evidence = Evidence(
        points=(EvidencePoint("centre of the largest circle", view.world(centre)),),
        curves=(
            EvidenceCurve(symbol, view.world(outline), closed=True, role="outline"),
            EvidenceCurve("triangle", view.world(corners), closed=True),
            EvidenceCurve("largest circle", view.world(circle), closed=True),
        ),
        facts={
            "oblique_deg": view.oblique_deg,
            "cranial_deg": view.cranial_deg,
            "towards_the_eye": [round(float(c), 4) for c in view.sight],
        },
        doubts=doubts,
    )
    return abs(signed_area_mm2(outline)), abs(signed_area_mm2(corners)), 2.0 * radius, evidence
