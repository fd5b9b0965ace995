"""FW, the foraminal width.

Shortest distance (mm) from the postero-inferior corner of the upper body to the opposite (posterior) rim of the foramen in the lateral silhouette.
Liu 2022.
"""

import numpy as np

from kambin.geometry import FloatArray
from kambin.measurement.lateral import Foramen
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity

FORAMINAL_WIDTH = Quantity(
    key="foraminal_width",
    symbol="FW",
    name="foraminal width",
    unit="mm",
    definition="Shortest distance from the postero-inferior corner of the upper body to the opposite (posterior) rim of the foramen in the lateral "
    "silhouette.",
    plausible=(1.5, 20.0),
    published=PUBLISHED.get("foraminal_width", {}),
)

_FACING_DEG = 50.0
"""The opposite rim is what lies behind the corner within this angle of straight back."""
_CORNER_MM = 7.0


def body_corner(foramen: Foramen) -> FloatArray:
    """The postero-inferior corner of the upper body where it borders the foramen: plane coordinates, shape (2,).

    The corner is where the rim, coming down the posterior wall, turns forward under the body: the rim point furthest along the direction between
    *posterior* and *caudal* among those that belong to the upper vertebra and lie by its lower endplate's posterior edge.

    Raises
    ------
    NotMeasurable
        When the foramen's rim does not come near that edge.
    """
    view = foramen.view
    plate = view.segment.frame.local(view.segment.upper_endplate.points_mm)
    own_half = plate[view.side.sign * plate[:, 0] > 0.0]
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
    corner = body_corner(foramen)
    outline = _dense(foramen.hole.outline)
    offset = outline - corner
    distance = np.linalg.norm(offset, axis=1)
    behind = (distance > 0.5) & (-offset[:, 0] >= np.cos(np.radians(_FACING_DEG)) * distance)
    if not behind.any():
        raise NotMeasurable("no rim lies behind the postero-inferior corner of the upper body")
    nearest = int(np.where(behind, distance, np.inf).argmin())
    line = foramen.view.world(np.stack([corner, outline[nearest]]))
    evidence = foramen.evidence(EvidenceCurve("FW", line, role="measure"))
    points = (EvidencePoint("postero-inferior corner", line[0]), EvidencePoint("posterior rim", line[1]))
    return float(distance[nearest]), Evidence(points, evidence.curves, evidence.planes, evidence.facts, evidence.view)


def _dense(outline: FloatArray) -> FloatArray:
    """The outline with its edges' midpoints, so that a nearest point is found to a small fraction of the lattice."""
    following = np.roll(outline, -1, axis=0)
    return np.concatenate([outline + weight * (following - outline) for weight in (0.0, 0.25, 0.5, 0.75)])
