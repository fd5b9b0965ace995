"""FH, the foraminal height.

Longest cranio-caudal extent (mm) of the foramen in the lateral silhouette, along the segment's cranial axis. Liu 2022.
"""

import numpy as np

from kambin.geometry.section import extent_along
from kambin.measurement.lateral import Foramen
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, Quantity

FORAMINAL_HEIGHT = Quantity(
    key="foraminal_height",
    symbol="FH",
    name="foraminal height",
    unit="mm",
    definition="Longest cranio-caudal extent of the foramen in the lateral silhouette, along the segment's cranial axis.",
    plausible=(5.0, 30.0),
    published=PUBLISHED.get("foraminal_height", {}),
)


def foraminal_height(foramen: Foramen) -> tuple[float, Evidence]:
    """FH of one foramen, mm."""
    value, low, high = extent_along(foramen.hole.outline, (0.0, 1.0))
    # Drawn upright through the middle of the two ends, which need not lie above each other.
    at = (low[0] + high[0]) / 2
    line = foramen.view.world(np.array([[at, low[1]], [at, high[1]]]))
    ends = foramen.view.world(np.array([low, high]))
    curve = EvidenceCurve("FH", line, role="measure")
    evidence = foramen.evidence(curve)
    points = (EvidencePoint("lowest point", ends[0]), EvidencePoint("highest point", ends[1]))
    return value, Evidence(points, evidence.curves, evidence.planes, evidence.facts, evidence.view)
