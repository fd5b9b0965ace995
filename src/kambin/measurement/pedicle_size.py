"""Pedicle width and height.

Read from the pedicle's smallest section (mm): of all planes through the pedicle that lie across it, the one in which the area of
bone is least. Such a plane passes through the notches above and below the pedicle, beside the canal, and before the root of the
transverse process, wherever these are; nothing has to be cut away by a window. Width is the section's smallest caliper within 30° of
the vertebra's right axis, height its extent along the vertebra's cranial axis. Zindrick 1987; Panjabi 1992.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np

from kambin.anatomy.structures import Side
from kambin.geometry import FloatArray, Frame
from kambin.geometry.hole import BoolArray, Lattice, contour_loops
from kambin.geometry.section import Section, extent_along, polygon_centroid, signed_area_mm2
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, NotMeasurable, Quantity
from kambin.spine import PedicleNeck, Vertebra

PEDICLE_WIDTH = Quantity(
    key="pedicle_width",
    symbol="PW",
    name="pedicle width",
    unit="mm",
    definition="Smallest caliper, within 30° of the vertebra's right axis, of the pedicle's smallest section.",
    plausible=(3.0, 28.0),
    published=PUBLISHED.get("pedicle_width", {}),
)
PEDICLE_HEIGHT = Quantity(
    key="pedicle_height",
    symbol="PH",
    name="pedicle height",
    unit="mm",
    definition="Extent along the vertebra's cranial axis of the pedicle's smallest section.",
    plausible=(6.0, 26.0),
    published=PUBLISHED.get("pedicle_height", {}),
)
Cut = tuple[float, float, float]
"""A plane across a pedicle: how far before the pivot (mm), how far its normal turns toward the midline and how far it rises (degrees)."""

_LOW: Cut = (-4.0, -9.0, -18.0)
_HIGH: Cut = (9.0, 45.0, 18.0)
_FIRST_TRIES = ((-3.0, -1.0, 1.0, 3.0, 5.0, 7.0), (0.0, 12.0, 24.0, 36.0), (-12.0, 0.0, 12.0))
_FIRST_STEPS: Cut = (0.75, 6.0, 6.0)
_HALVINGS = 3
_USUAL: Cut = (0.0, 15.0, 0.0)
_SPREAD: Cut = (4.0, 30.0, 20.0)
_PREFERENCE = 0.02
"""So much more area is counted for a plane that lies `_SPREAD` away from `_USUAL`: of many equal ones (parallel sides) one is chosen."""
_HALF_WINDOW_MM = 24.0
_SEARCH_PITCH_MM, _PITCH_MM = 0.8, 0.4
_BESIDE_MM = 2.4
"""The medial end of a section is looked for within this height of its pivot."""
_FROM_MIDLINE_MM = 2.0
_MOST_TURNED_DEG = 30.0
_TRIM = 0.02
_MIN_AREA_MM2 = 20.0
"""What is thinner is a single slice of a label map, or a splinter between two of them."""
_ROUNDS = 2
_KEPT: WeakKeyDictionary[Vertebra, dict[Side, tuple[Frame, FloatArray]]] = WeakKeyDictionary()
"""The sections that were found, for as long as their vertebrae live."""
_NO_SECTION = "the {side} pedicle of {level} has no section of its own"


def pedicle_size(vertebra: Vertebra, side: Side) -> dict[Quantity, tuple[float, Evidence]]:
    """PW and PH of one pedicle, mm.

    Raises
    ------
    NotMeasurable
        When the pedicle was not found, or its section runs into the body or the processes everywhere.
    """
    neck = vertebra.pedicles.get(side)
    if neck is None:
        raise NotMeasurable(f"no {side} pedicle of {vertebra.level} was found")
    plane, loop = _smallest_section(vertebra, side, neck)
    angle = min(
        np.radians(np.arange(-_MOST_TURNED_DEG, _MOST_TURNED_DEG + 0.1, 1.0)),
        key=lambda a: extent_along(loop, (np.cos(a), np.sin(a)), _TRIM)[0],
    )
    across, upright = np.array([np.cos(angle), np.sin(angle)]), np.array([0.0, 1.0])
    centre = polygon_centroid(loop)
    result = {}
    outline = EvidenceCurve("pedicle", _world(plane, side, loop), closed=True, role="outline")
    for quantity, direction in ((PEDICLE_WIDTH, across), (PEDICLE_HEIGHT, upright)):
        value, low, high = extent_along(loop, direction, _TRIM)
        ends = np.stack([centre + ((end - centre) @ direction) * direction for end in (low, high)])
        line = EvidenceCurve(quantity.symbol, _world(plane, side, ends), role="measure")
        facts = {"section_area_mm2": round(signed_area_mm2(loop), 2)}
        result[quantity] = (value, Evidence(curves=(line, outline), facts=facts, view="coronal"))
    return result


def pedicle_outline_mm(vertebra: Vertebra, side: Side) -> FloatArray:
    """The outline of one pedicle's smallest section, RAS, shape (n, 3). Raises as `pedicle_size`."""
    neck = vertebra.pedicles.get(side)
    if neck is None:
        raise NotMeasurable(f"no {side} pedicle of {vertebra.level} was found")
    plane, loop = _smallest_section(vertebra, side, neck)
    return _world(plane, side, loop)


def _smallest_section(vertebra: Vertebra, side: Side, neck: PedicleNeck) -> tuple[Frame, FloatArray]:
    """As `_found_section`, looked for once: sizes, triangles and plans all ask for it."""
    kept = _KEPT.setdefault(vertebra, {})
    if side not in kept:
        kept[side] = _found_section(vertebra, side, neck)
    return kept[side]


def _found_section(vertebra: Vertebra, side: Side, neck: PedicleNeck) -> tuple[Frame, FloatArray]:
    """The plane of a pedicle's smallest section, its anterior axis the normal, and the outline in (out, cranial) of that plane.

    *Out* is away from the midline on either side, so that mirrored bone gives the same numbers.

    Raises
    ------
    NotMeasurable
        When no plane has a section that is the pedicle's own.
    """
    pivot, tries = neck.centre_mm, [(a, b, c) for a in _FIRST_TRIES[0] for b in _FIRST_TRIES[1] for c in _FIRST_TRIES[2]]
    for _ in range(_ROUNDS):  # the second about the middle of the first one's section, which the neck's own is only near to
        score = _scores(vertebra, side, pivot)
        cut = _least(score, tries)
        if not np.isfinite(score(cut)):
            raise NotMeasurable(_NO_SECTION.format(side=side, level=vertebra.level))
        plane = _plane(vertebra, side, pivot, cut)
        loop = _outline(vertebra, side, plane)
        middle = polygon_centroid(loop)
        pivot, tries = _world(plane, side, middle[None])[0], [(0.0, cut[1], cut[2])]
    if signed_area_mm2(loop) < _MIN_AREA_MM2:
        raise NotMeasurable(_NO_SECTION.format(side=side, level=vertebra.level))
    return plane, loop


def _least(score: Callable[[Cut], float], tries: list[Cut]) -> Cut:
    """The plane of least score: the best of some tries, then step by step downhill, the steps halved where none helps."""
    best = min(tries, key=score)
    least, steps, halvings = score(best), np.asarray(_FIRST_STEPS), 0
    while halvings < _HALVINGS:
        beside = [_moved(best, way * steps * one) for one in np.eye(3) for way in (-1.0, 1.0)]
        scores = [score(cut) for cut in beside]
        if min(scores) < least:
            best, least = beside[int(np.argmin(scores))], min(scores)
        else:
            steps, halvings = steps / 2, halvings + 1
    return best


def _moved(cut: Cut, by: FloatArray) -> Cut:
    along, inwards, rise = np.clip(np.asarray(cut) + by, _LOW, _HIGH).tolist()
    return along, inwards, rise


def _scores(vertebra: Vertebra, side: Side, pivot_mm: FloatArray) -> Callable[[Cut], float]:
    """Area of the section by a plane (mm²), a little more for an unusual plane; infinite where it is not the pedicle's own."""
    lattice = Lattice.window((-_HALF_WINDOW_MM, _HALF_WINDOW_MM), (-_HALF_WINDOW_MM, _HALF_WINDOW_MM), _SEARCH_PITCH_MM)
    known: dict[Cut, float] = {}

    def score(cut: Cut) -> float:
        if cut not in known:
            away = (np.asarray(cut) - _USUAL) / _SPREAD
            area = _area_mm2(vertebra, side, _plane(vertebra, side, pivot_mm, cut), lattice)
            known[cut] = area * (1.0 + _PREFERENCE * float(away @ away))
        return known[cut]

    return score


def _plane(vertebra: Vertebra, side: Side, pivot_mm: FloatArray, cut: Cut) -> Frame:
    """A plane across the pedicle as a frame: origin in the plane, *anterior* its normal, *cranial* the vertebra's as seen in it."""
    body = vertebra.frame
    inwards, rise = np.tan(np.radians(cut[1:]))
    normal = body.anterior - side.sign * inwards * body.right + rise * body.cranial
    normal = normal / np.linalg.norm(normal)
    return Frame.from_cranial_anterior(pivot_mm + cut[0] * normal, body.cranial - (body.cranial @ normal) * normal, normal)


def _level_on(vertebra: Vertebra, side: Side, plane: Frame, lattice: Lattice) -> FloatArray:
    """The bone's level on a lattice in (out, cranial) of a plane."""
    origin = _world(plane, side, np.array([[lattice.first_mm[0], lattice.second_mm[0]]]))[0]
    steps = lattice.pitch_mm * np.stack([side.sign * plane.right, plane.cranial])
    return vertebra.solid.sample_box(origin, steps, lattice.shape).astype(np.float64)


def _area_mm2(vertebra: Vertebra, side: Side, plane: Frame, lattice: Lattice) -> float:
    """Area of the bone around a plane's origin, lattice cells on its border counted in part; infinite where it is no pedicle's."""
    from scipy.ndimage import binary_dilation, label

    level = _level_on(vertebra, side, plane, lattice)
    inside = level < 0.0
    middle = len(lattice.first_mm) // 2
    if not inside[middle, middle]:
        return float("inf")
    pieces, _ = label(inside)
    own = pieces == pieces[middle, middle]
    if _reaches_border(own) or not _borders_canal(vertebra, side, plane, lattice, own):
        return float("inf")
    share = np.clip(0.5 - level / lattice.pitch_mm, 0.0, 1.0)
    return float(share[binary_dilation(own)].sum() * lattice.pitch_mm**2)


def _reaches_border(region: BoolArray) -> bool:
    """Whether a section leaves the window: it runs into the body, or along a process."""
    return bool(region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any())


def _borders_canal(vertebra: Vertebra, side: Side, plane: Frame, lattice: Lattice, own: BoolArray) -> bool:
    """Whether a section's medial end lies beside the front half of the canal: further back are lamina, pars and articular processes,
    further out the transverse process."""
    if vertebra.canal_centre_mm is None:
        return True
    beside = own[:, np.abs(lattice.second_mm) <= _BESIDE_MM].any(axis=1)
    end = np.array([[lattice.first_mm[int(beside.argmax())], 0.0]])
    medial = vertebra.frame.local(_world(plane, side, end)[0]) - vertebra.frame.local(vertebra.canal_centre_mm)
    return bool(medial[1] >= 0.0 and side.sign * medial[0] >= _FROM_MIDLINE_MM)


def _outline(vertebra: Vertebra, side: Side, plane: Frame) -> FloatArray:
    """The outline, anticlockwise in (out, cranial), of the bone around a plane's origin.

    Raises
    ------
    NotMeasurable
        When it is not closed, or there is none.
    """
    lattice = Lattice.window((-_HALF_WINDOW_MM, _HALF_WINDOW_MM), (-_HALF_WINDOW_MM, _HALF_WINDOW_MM), _PITCH_MM)
    loops = contour_loops(-_level_on(vertebra, side, plane, lattice), lattice)
    holding = [loop for loop in loops if Section((loop,)).contains([[0.0, 0.0]])[0]]
    if not holding:
        raise NotMeasurable(_NO_SECTION.format(side=side, level=vertebra.level))
    loop = max(holding, key=lambda found: abs(signed_area_mm2(found)))
    return loop if signed_area_mm2(loop) > 0 else loop[::-1]


def _world(plane: Frame, side: Side, points_mm: FloatArray) -> FloatArray:
    """RAS of (out, cranial) points of a plane, shape (n, 2) to (n, 3)."""
    return plane.world(np.stack([side.sign * points_mm[:, 0], np.zeros(len(points_mm)), points_mm[:, 1]], axis=1))
