"""FW, the foraminal width.

Shortest distance (mm) from the postero-inferior corner of the upper body to the opposite (posterior) rim of the foramen in the
lateral silhouette.
Liu 2022.
"""

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray
from kambin.measurement.lateral import Foramen
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity

FORAMINAL_WIDTH = Quantity(
    key="foraminal_width",
    symbol="FW",
    name="foraminal width",
    unit="mm",
    definition="Shortest distance from the postero-inferior corner of the upper body to the opposite (posterior) rim "
    "of the foramen in the lateral "
    "silhouette.",
    plausible=(1.5, 20.0),
    published=PUBLISHED.get("foraminal_width", {}),
)

_FACING_DEG = 50.0
"""The opposite rim is what lies behind the corner within this angle of straight back."""
_CORNER_MM = 7.0
_DETOUR_OF_RIM = 0.2
"""And at least this fraction of the whole rim: the far side of a notch beside the corner is not the opposite rim."""
_ROUNDING_MM = 1.0
_DETOUR = 1.5
"""A rim point lies opposite when the way to it along the rim is at least so many times the straight one (1 beside the corner,
1.57 across a circle)."""


def body_corner(foramen: Foramen) -> FloatArray:
    """The postero-inferior corner of the upper body where it borders the foramen: plane coordinates, shape (2,).

    The corner is where the rim, coming down the posterior wall, turns forward under the body: the rim point furthest along the
    direction between
    *posterior* and *caudal* among those that belong to the upper vertebra and lie by its lower endplate's posterior edge.

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
    outline = foramen.hole.outline
    near = outline[np.linalg.norm(outline - edge, axis=1) <= _CORNER_MM]
    if not len(near):
        raise NotMeasurable(f"the foramen does not reach the postero-inferior corner of {view.segment.upper.level}")
    return np.asarray(near[int(np.linalg.norm(near - edge, axis=1).argmin())])


def foraminal_width(foramen: Foramen) -> tuple[float, Evidence]:
    """FW of one foramen, mm.

    Raises
    ------
    NotMeasurable
        When there is no corner on the rim, or no rim behind it.
    """
    apex = body_corner(foramen)
    outline = _dense(foramen.hole.outline)
    best = (np.inf, apex, apex)
    # Reconstruction rounds a corner: the nearest of the rim points beside its apex stands for it.
    for corner in outline[np.linalg.norm(outline - apex, axis=1) <= _ROUNDING_MM]:
        offset = outline - corner
        distance = np.linalg.norm(offset, axis=1)
        behind = (distance > 0.5) & (-offset[:, 0] >= np.cos(np.radians(_FACING_DEG)) * distance) & _across_the_hole(corner, outline)
        if behind.any():
            nearest = int(np.where(behind, distance, np.inf).argmin())
            best = min(best, (float(distance[nearest]), corner, outline[nearest]), key=lambda found: found[0])
    value, corner, opposite = best
    if not np.isfinite(value):
        raise NotMeasurable("no rim lies behind the postero-inferior corner of the upper body")
    line = foramen.view.world(np.stack([corner, opposite]))
    evidence = foramen.evidence(EvidenceCurve("FW", line, role="measure"))
    points = (EvidencePoint("postero-inferior corner", line[0]), EvidencePoint("posterior rim", line[1]))
    return value, Evidence(points, evidence.curves, evidence.planes, evidence.facts, evidence.view)


def _across_the_hole(corner: FloatArray, rim: FloatArray) -> npt.NDArray[np.bool_]:
    """Which rim points face the corner across the hole: the way to them along the rim, either way round, is much longer than straight."""
    steps = np.linalg.norm(np.roll(rim, -1, axis=0) - rim, axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    start = along[int(np.linalg.norm(rim - corner, axis=1).argmin())]
    one_way = np.abs(along - start)
    way = np.minimum(one_way, steps.sum() - one_way)
    straight = np.linalg.norm(rim - corner, axis=1)
    return np.asarray(way >= np.maximum(_DETOUR * straight, _DETOUR_OF_RIM * steps.sum()))


def _dense(outline: FloatArray) -> FloatArray:
    """The outline with its edges' midpoints, so that a nearest point is found to a small fraction of the lattice."""
    following = np.roll(outline, -1, axis=0)
    return np.stack([outline + weight * (following - outline) for weight in (0.0, 0.25, 0.5, 0.75)], axis=1).reshape(-1, 2)
