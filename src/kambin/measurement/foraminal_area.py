"""FA, the foraminal area.

Area (mm²) of the hole in the lateral silhouette of one half of a motion segment (upper vertebra, disc, lower vertebra), cut at
the mid-sagittal plane and at the lateral border of the upper pedicle. A gap in its rim (a facet joint, seen from the side) is closed in
its mouth: where a disc a millimetre wider than the gap sticks. Liu 2022.
"""

from kambin.measurement.lateral import Foramen
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, Quantity

FORAMINAL_AREA = Quantity(
    key="foraminal_area",
    symbol="FA",
    name="foraminal area",
    unit="mm²",
    definition="Area of the hole in the lateral silhouette of one half of the motion segment, between the "
    "mid-sagittal plane and the lateral border of the upper pedicle; a gap in its rim is closed in its mouth, where a disc a millimetre "
    "wider than the gap sticks.",
    plausible=(20.0, 350.0),
    published=PUBLISHED.get("foraminal_area", {}),
)


def foraminal_area(foramen: Foramen) -> tuple[float, Evidence]:
    """FA of one foramen, mm²."""
    return foramen.hole.area_mm2, foramen.evidence()
