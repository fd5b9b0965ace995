"""KT and ST, the Kambin and the safe triangle, each in its standard view.

What a surgeon sees of the disc and the upper vertebral body beside the exiting root: a line of sight counts where it meets these before any
other bone, root or sac. The border of that region is found between the lattice points, from how near each line passes to what hides.
Fan 2019; the views and the rules are in ``docs/triangles.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Side
from kambin.geometry import FloatArray
from kambin.geometry.hole import Lattice, contour_loops
from kambin.geometry.section import Section, convex_outline, signed_area_mm2
from kambin.measurement.lateral import posterior_edge_mm
from kambin.measurement.pedicle_size import PEDICLE_HEIGHT, pedicle_size
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, Solid, SpineModel, Vertebra
from kambin.volume import Grid

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
_WINDOW_MM = ((-18.0, 24.0), (-14.0, 16.0))
_MIDDLE_MM = (14.0, 3.0)
"""The window's middle: out from the mid-sagittal plane, and cranial of the disc mid-plane; in depth the disc space's posterior edge."""
_PITCH_MM, _SIGHT_STEP_MM = 0.4, 0.6
_SIGHT_MM = (-28.0, 36.0)
_SLIT_MM = 0.6
_SHARE = 0.5
"""Of a region, that must lie where the triangle is looked for: else it is another one, or one without its border."""
_COARSE = 0.5
"""Voxels wider than this share of the largest circle are a doubt, wider ones than the circle a refusal."""
_FAR_MM = 3.0
_TRIM = 0.02
"""Levels count up to this distance."""


@dataclass(frozen=True, eq=False)
class ObliqueView:
    """One side of a segment seen obliquely along its disc.

    Parameters
    ----------
    origin_mm
        The window's middle, RAS.
    sight, first, second
        Towards the eye, and the picture's axes: unit vectors, RAS.
    """

    origin_mm: FloatArray
    sight: FloatArray
    first: FloatArray
    second: FloatArray
    lattice: Lattice

    @classmethod
    def of(cls, segment: MotionSegment, side: Side, oblique_deg: float) -> ObliqueView:
        frame = segment.frame
        out, turn = side.sign * frame.right, np.radians(oblique_deg)
        middle = frame.world([side.sign * _MIDDLE_MM[0], posterior_edge_mm(segment), _MIDDLE_MM[1]])
        sight = np.sin(turn) * out - np.cos(turn) * frame.anterior
        first = np.cos(turn) * out + np.sin(turn) * frame.anterior
        return cls(middle, sight, first, frame.cranial, Lattice.window(*_WINDOW_MM, _PITCH_MM))

    def levels(self, solids: Iterable[Solid]) -> FloatArray:
        """The smallest level of some solids along each line of sight, nearest to the eye first, shape (n, m, k)."""
        shape = (*self.lattice.shape, int((_SIGHT_MM[1] - _SIGHT_MM[0]) / _SIGHT_STEP_MM) + 1)
        start = self.origin_mm + self.lattice.first_mm[0] * self.first + self.lattice.second_mm[0] * self.second
        steps = np.stack([_PITCH_MM * self.first, _PITCH_MM * self.second, -_SIGHT_STEP_MM * self.sight])
        result = np.full(shape, _FAR_MM)
        for solid in solids:
            np.minimum(result, solid.sample_box(start + _SIGHT_MM[1] * self.sight, steps, shape), out=result)
        return result

    def voxel_mm(self, grid: Grid) -> float:
        """How wide a voxel of a grid is across the line of sight, along that of the picture's axes where it is wider."""
        steps = grid.world_from_voxel[:3, :3]
        return float(max(np.linalg.norm(steps.T @ axis) for axis in (self.first, self.second)))

    def world(self, plane_mm: FloatArray) -> FloatArray:
        """RAS of plane points, shape (..., 2) to (..., 3)."""
        return np.asarray(self.origin_mm + plane_mm[..., :1] * self.first + plane_mm[..., 1:] * self.second)


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


def _taken(
    quantities: tuple[Quantity, Quantity, Quantity], model: SpineModel, segment: MotionSegment, side: Side
) -> Mapping[Quantity, tuple[float, Evidence]]:
    upper, lower = segment.upper, segment.lower
    root, body, neck = model.solid(Kind.NERVE_ROOT, upper.level, side), upper.part(Kind.BODY), upper.pedicles.get(side)
    if root is None:
        raise NotMeasurable(f"no {side} root of {upper.level} is labelled: it bounds the triangle")
    if body is None:
        raise NotMeasurable(f"the body of {upper.level} could not be told apart from its arch")
    if neck is None:
        raise NotMeasurable(f"no {side} pedicle of {upper.level} was found, which the triangle lies under")
    view = ObliqueView.of(segment, side, _OBLIQUE_DEG[quantities])
    arch = [solid for name, solid in upper.parts.items() if name.kind is not Kind.BODY]
    soft = (model.solid(Kind.NERVE_ROOT, lower.level, side), model.solid(Kind.DURAL_SAC))
    hiding = [lower.solid, *arch, *(solid for solid in soft if solid is not None)]
    safe = quantities is SAFE
    lowest = _lower_edge(upper, side, segment) if safe else neck.caudal_mm
    roof = float((lowest - view.origin_mm) @ view.second)
    of_root = view.levels([root])
    hides = np.minimum(of_root, view.levels([*hiding, segment.disc] if safe else hiding))
    target = view.levels([body] if safe else [body, segment.disc])
    below = view.lattice.second_mm < roof
    clear = _clear(target, hides)
    if safe:
        clear = np.minimum(clear, roof - view.lattice.second_mm)
    name = quantities[0].name
    outline = _outline(clear, _zone(of_root.min(axis=-1) < 0, safe) & below, view.lattice, name)
    return _read(quantities, view, outline, view.voxel_mm(model.grid))


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
    return np.asarray(np.minimum(np.where(before, hides, _FAR_MM).min(axis=-1), -target.min(axis=-1)))


def _zone(root: BoolArray, safe: bool) -> BoolArray:
    """Straight above the root, or medial to it at the same height."""
    beside = np.logical_or.accumulate(root, axis=1) if safe else np.logical_or.accumulate(root[::-1], axis=0)[::-1]
    return np.asarray(beside & ~root)


def _outline(clear: FloatArray, zone: BoolArray, lattice: Lattice, name: str) -> FloatArray:
    """The border of the clear region that has most of the zone, shape (n, 2); it must lie there for the most part."""
    from scipy.ndimage import distance_transform_edt, label

    field = np.full(clear.shape, -_PITCH_MM)
    field[1:-1, 1:-1] = clear[1:-1, 1:-1]
    depth = distance_transform_edt(field > 0, sampling=_PITCH_MM) - 0.5 * _PITCH_MM
    pieces, count = label(depth > 0.5 * _SLIT_MM)
    sizes = np.bincount(pieces[zone], minlength=count + 1)
    sizes[0] = 0
    covered = f"nothing of the {name} is seen: it is covered"
    if not sizes.any():
        raise NotMeasurable(covered)
    own = pieces == int(sizes.argmax())
    if sizes.max() < _SHARE * np.count_nonzero(own):
        raise NotMeasurable(f"the root does not bound the {name}: what is seen beside it runs on around it, or the root is drawn in pieces")
    loops = contour_loops(np.minimum(field, 2.0 * _SLIT_MM - distance_transform_edt(~own, sampling=_PITCH_MM)), lattice)
    deepest = lattice.at(np.unravel_index(int(np.where(own, depth, -1.0).argmax()), own.shape))
    about = [loop for loop in loops if Section((loop,)).contains(deepest)[0]]
    if not about:
        raise NotMeasurable(covered)
    return max(about, key=lambda loop: abs(signed_area_mm2(loop)))


def _read(
    quantities: tuple[Quantity, Quantity, Quantity], view: ObliqueView, outline: FloatArray, voxel_mm: float
) -> Mapping[Quantity, tuple[float, Evidence]]:
    """The three values of one polygon, all with the same evidence.

    Raises
    ------
    NotMeasurable
        When a voxel is wider across the line of sight than the polygon's largest circle: its border is then drawn by chance.
    """
    corners = _largest_triangle(outline)
    centre, radius = _largest_circle(outline)
    symbol = quantities[0].symbol
    doubts: tuple[str, ...] = ()
    if voxel_mm > 2.0 * _COARSE * radius:
        what = f"a {quantities[0].name} whose largest circle has {2 * radius:.1f} mm"
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
        facts={"oblique_deg": _OBLIQUE_DEG[quantities], "cranial_deg": 0.0, "towards_the_eye": [round(float(c), 4) for c in view.sight]},
        doubts=doubts,
    )
    values = abs(signed_area_mm2(outline)), abs(signed_area_mm2(corners)), 2.0 * radius
    return {quantity: (value, evidence) for quantity, value in zip(quantities, values, strict=True)}


def _largest_triangle(outline: FloatArray) -> FloatArray:
    """The largest triangle between points of an outline: between corners of its convex hull."""
    corners = convex_outline(outline)
    offset = corners[:, None] - corners[None]  # [i, j]: from j to i
    twice = np.abs(offset[:, None, :, 0] * offset[None, :, :, 1] - offset[:, None, :, 1] * offset[None, :, :, 0])
    return corners[list(np.unravel_index(int(twice.argmax()), twice.shape))]


def _largest_circle(outline: FloatArray) -> tuple[FloatArray, float]:
    """Centre and radius of the largest circle within an outline."""
    half = 0.5 * float(np.ptp(outline, axis=0).max())
    best, radius = 0.5 * (outline.min(axis=0) + outline.max(axis=0)), 0.0
    spread = np.stack(np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 13)), axis=-1).reshape(-1, 2)
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    while half > 0.01:
        points = best + half * spread
        offset = points[:, None] - start
        share = np.clip(np.einsum("ijk,jk->ij", offset, along) / np.maximum(np.square(along).sum(axis=1), 1e-18), 0.0, 1.0)
        away = np.linalg.norm(offset - share[..., None] * along, axis=-1).min(axis=1)
        away[~Section((outline,)).contains(points)] = 0.0
        if away.max() > radius:
            best, radius = points[int(away.argmax())], float(away.max())
        half *= 0.4
    return best, radius
