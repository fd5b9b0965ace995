"""FW, the foraminal width.

Shortest distance (mm) from the postero-inferior corner of the upper body to the opposite (posterior) rim of the foramen in the
lateral silhouette.
Liu 2022.
"""

import numpy as np

from kambin.geometry import FloatArray
from kambin.geometry.hole import contour_loops
from kambin.measurement.lateral import Foramen
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity

FORAMINAL_WIDTH = Quantity(
    key="foraminal_width",
    symbol="FW",
    name="foraminal width",
    unit="mm",
    definition="Shortest distance in the lateral silhouette from the postero-inferior corner of the upper body, the point of its side "
    "view furthest backwards and downwards alike, to the rim behind it, within 50° of straight back.",
    plausible=(1.5, 20.0),
    published=PUBLISHED.get("foraminal_width", {}),
)

_FACING_DEG = 50.0
"""The opposite rim is what lies behind the corner within this angle of straight back."""
_CORNER_MM = 7.0
_BESIDE_MM = 3.0
"""How far beside the endplate's edge the corner is looked for."""
_BACK_AND_DOWN = np.array([-1.0, -1.0])


def body_corner(foramen: Foramen) -> FloatArray:
    """The postero-inferior corner of the upper body where it borders the foramen: plane coordinates, shape (2,).

    The rim point nearest to the place of the upper vertebra's side view, by its lower endplate's posterior edge, that lies furthest
    along the direction midway between *posterior* and *caudal*. A corner that is rounded, by nature or by voxels, has such a place too.

    Raises
    ------
    NotMeasurable
        When the foramen's rim does not come near that edge.
    """
    view = foramen.view
    plate = view.segment.frame.local(view.segment.upper_endplate.points_mm)
    # Not from the midline itself: on which side of it a point lies is chance.
    own_half = plate[view.side.sign * plate[:, 0] > 0.4]
    plate = own_half if len(own_half) >= 10 else plate
    edge = np.array([plate[:, 1].min(), np.median(plate[plate[:, 1] <= plate[:, 1].min() + 2.0, 2])])
    outline = _dense(foramen.hole.outline)
    near = outline[np.linalg.norm(outline - edge, axis=1) <= _CORNER_MM]
    if not len(near):
        raise NotMeasurable(f"the foramen does not reach the postero-inferior corner of {view.segment.upper.level}")
    body = np.concatenate([*contour_loops(-view.levels[0], view.lattice), np.empty((0, 2))])
    body = body[np.abs(body - edge).max(axis=1) <= _BESIDE_MM]
    corner = body[int((body @ _BACK_AND_DOWN).argmax())] if len(body) else edge
    return np.asarray(near[int(np.linalg.norm(near - corner, axis=1).argmin())])


def foraminal_width(foramen: Foramen) -> tuple[float, Evidence]:
    """FW of one foramen, mm.

    Raises
    ------
    NotMeasurable
        When there is no corner on the rim, or no rim behind it.
    """
    corner = body_corner(foramen)
    rim = _posterior_half(_dense(foramen.hole.outline), corner)
    offset = rim - corner
    distance = np.linalg.norm(offset, axis=1)
    behind = (distance > 0.5) & (-offset[:, 0] >= np.cos(np.radians(_FACING_DEG)) * distance)
    if not behind.any():
        raise NotMeasurable("no rim lies behind the postero-inferior corner of the upper body")
    nearest = int(np.where(behind, distance, np.inf).argmin())
    line = foramen.view.world(np.stack([corner, rim[nearest]]))
    evidence = foramen.evidence(EvidenceCurve("FW", line, role="measure"))
    points = (EvidencePoint("postero-inferior corner", line[0]), EvidencePoint("posterior rim", line[1]))
    return float(distance[nearest]), Evidence(points, evidence.curves, evidence.planes, evidence.facts, evidence.view)


def _posterior_half(rim: FloatArray, corner: FloatArray) -> FloatArray:
    """Of the two stretches of a rim between its highest and its lowest point, the one further from the corner: the far side of a notch
    beside the corner is not the opposite rim."""
    from_top = np.roll(rim, -int(rim[:, 1].argmax()), axis=0)
    lowest = int(from_top[:, 1].argmin())
    halves = from_top[: lowest + 1], np.concatenate([from_top[lowest:], from_top[:1]])
    return max(halves, key=lambda half: float(np.linalg.norm(half - corner, axis=1).min()))


def _dense(outline: FloatArray) -> FloatArray:
    """The outline with its edges' midpoints, so that a nearest point is found to a small fraction of the lattice."""
    following = np.roll(outline, -1, axis=0)
    return np.stack([outline + weight * (following - outline) for weight in (0.0, 0.25, 0.5, 0.75)], axis=1).reshape(-1, 2)
