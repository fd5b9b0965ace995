"""Vertebral body height (anterior, middle, posterior), width and depth.

Heights (mm) between the endplates along the vertebra's cranial axis in its mid-sagittal plane, taken as disc heights are. At mid-height:
width (mm), the extent along the vertebra's right axis of the front two thirds of the body (behind, the pedicles' roots widen it), and
depth (mm), the extent of all of it along the anterior axis in the mid-sagittal plane.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Level
from kambin.geometry import FloatArray
from kambin.geometry.section import Section, extent_along
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, NotMeasurable, Quantity
from kambin.spine import Vertebra

_EDGE_FRACTION = 0.1
_MIDLINE_MM = 3.0
_TRIM = 0.02
_PEDICLE_SHARE = 1.0 / 3.0
"""Share of a body's depth, from behind, that the pedicles may rise from."""


def _quantity(key: str, symbol: str, name: str, definition: str, plausible: tuple[float, float]) -> Quantity:
    return Quantity(key, symbol, name, "mm", definition, plausible, PUBLISHED.get(key, {}))


_ALONG = "Distance between the endplates along the vertebra's cranial axis in its mid-sagittal plane, "
ANTERIOR = _quantity(
    "body_height_anterior", "VHa", "anterior body height", _ALONG + "a tenth of their common depth behind the anterior edge.", (10.0, 45.0)
)
MIDDLE = _quantity("body_height_middle", "VHm", "middle body height", _ALONG + "at the middle of their common depth.", (8.0, 45.0))
POSTERIOR = _quantity(
    "body_height_posterior",
    "VHp",
    "posterior body height",
    _ALONG + "a tenth of their common depth before the posterior edge.",
    (10.0, 45.0),
)
WIDTH = _quantity(
    "body_width",
    "VW",
    "body width",
    "Extent along the vertebra's right axis, at mid-height, of the front two thirds of the body.",
    (25.0, 75.0),
)
DEPTH = _quantity(
    "body_depth",
    "VD",
    "body depth",
    "Extent of the body along the vertebra's anterior axis in its mid-sagittal plane at mid-height.",
    (18.0, 52.0),
)
_FRACTIONS = {ANTERIOR: 1.0 - _EDGE_FRACTION, MIDDLE: 0.5, POSTERIOR: _EDGE_FRACTION}


def body_heights(vertebra: Vertebra) -> dict[Quantity, tuple[float, Evidence]]:
    """VHa, VHm, VHp of one vertebra, mm.

    Raises
    ------
    NotMeasurable
        When an endplate is missing or does not reach the mid-sagittal plane.
    """
    upper, lower = _endplates(vertebra)
    upper, lower = (points[np.abs(points[:, 0]) <= _MIDLINE_MM] for points in (upper, lower))
    if len(upper) < 10 or len(lower) < 10:
        raise NotMeasurable(f"the endplates of {vertebra.level} do not reach its mid-sagittal plane")
    back, front = max(upper[:, 1].min(), lower[:, 1].min()), min(upper[:, 1].max(), lower[:, 1].max())
    result = {}
    for quantity, fraction in _FRACTIONS.items():
        at = back + fraction * (front - back)
        ends = [float(points[np.abs(points[:, 1] - at) <= 1.5, 2].mean()) for points in (lower, upper)]
        line = vertebra.frame.world([[0.0, at, ends[0]], [0.0, at, ends[1]]])
        result[quantity] = (ends[1] - ends[0], Evidence(curves=(EvidenceCurve(quantity.symbol, line, role="measure"),), view="sagittal"))
    return result


def _endplates(vertebra: Vertebra) -> tuple[FloatArray, FloatArray]:
    for plate, name in ((vertebra.upper_endplate, "upper"), (vertebra.lower_endplate, "lower")):
        if plate is None:
            raise NotMeasurable(f"the {name} endplate of {vertebra.level} is not in the field of view or was not found")
    assert vertebra.upper_endplate is not None
    assert vertebra.lower_endplate is not None
    return vertebra.frame.local(vertebra.upper_endplate.points_mm), vertebra.frame.local(vertebra.lower_endplate.points_mm)


def body_width_and_depth(vertebra: Vertebra) -> dict[Quantity, tuple[float, Evidence]]:
    """VW and VD of one vertebra, mm.

    Raises
    ------
    NotMeasurable
        For the sacrum, or when the body was not told apart from its arch, or is cut by the border of the field of view.
    """
    body = vertebra.part(Kind.BODY)
    if vertebra.level is Level.S1:
        raise NotMeasurable("the body of S1 has no border of its own inside the sacrum")
    if body is None:
        raise NotMeasurable(f"the body of {vertebra.level} was not told apart from its arch")
    if not vertebra.complete and (vertebra.upper_endplate is None or vertebra.lower_endplate is None):
        raise NotMeasurable(f"{vertebra.level} is cut by the border of the field of view")
    frame = vertebra.frame
    section = body.section(frame).largest
    if section.is_empty:
        raise NotMeasurable(f"the body of {vertebra.level} does not reach its own mid-height")
    back, front = _chord(section, 0.0)
    # Behind, the roots of the pedicles stand out sideways; where exactly they end is nobody's to say.
    before_pedicles = section.points[section.points[:, 1] >= back + _PEDICLE_SHARE * (front - back)]
    width, left, right = extent_along(before_pedicles, (1.0, 0.0), _TRIM)
    at = float(left[1] + right[1]) / 2
    return {
        WIDTH: (width, _axial_line(vertebra, WIDTH.symbol, (float(left[0]), at), (float(right[0]), at))),
        DEPTH: (front - back, _axial_line(vertebra, DEPTH.symbol, (0.0, back), (0.0, front))),
    }


def _chord(section: Section, right_mm: float) -> tuple[float, float]:
    """First and last anterior coordinate at which a section crosses a sagittal line."""
    start, end = section.segments()
    crosses = (start[:, 0] > right_mm) != (end[:, 0] > right_mm)
    if crosses.sum() < 2:
        raise NotMeasurable("the body does not cross its own mid-sagittal plane")
    weight = (right_mm - start[crosses, 0]) / (end[crosses, 0] - start[crosses, 0])
    depth = start[crosses, 1] + weight * (end[crosses, 1] - start[crosses, 1])
    return float(depth.min()), float(depth.max())


def _axial_line(vertebra: Vertebra, name: str, first: tuple[float, float], second: tuple[float, float]) -> Evidence:
    line = vertebra.frame.world([[*first, 0.0], [*second, 0.0]])
    return Evidence(curves=(EvidenceCurve(name, line, role="measure"),), view="vertebra axial")
