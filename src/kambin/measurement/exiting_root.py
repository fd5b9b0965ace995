"""The exiting root of a foramen, and its distances (mm) to the disc and to the pedicle that it passes under.

ND and NP are shortest distances between surfaces, in space; 0 where the labels overlap.
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Side
from kambin.measurement.published import PUBLISHED
from kambin.measurement.result import Evidence, EvidenceCurve, EvidencePoint, NotMeasurable, Quantity
from kambin.spine import MotionSegment, Solid, SpineModel

NERVE_TO_DISC = Quantity(
    key="nerve_to_disc",
    symbol="ND",
    name="exiting root to disc",
    unit="mm",
    definition="Shortest distance from the exiting root to the disc.",
    plausible=(0.0, 20.0),
    published=PUBLISHED.get("nerve_to_disc", {}),
)
NERVE_TO_PEDICLE = Quantity(
    key="nerve_to_pedicle",
    symbol="NP",
    name="exiting root to pedicle",
    unit="mm",
    definition="Shortest distance from the exiting root to the pedicle that it passes under.",
    plausible=(0.0, 12.0),
    published=PUBLISHED.get("nerve_to_pedicle", {}),
)


def exiting_root(model: SpineModel, segment: MotionSegment, side: Side) -> Solid:
    """The root that leaves through a foramen, named by the vertebra above.

    Raises
    ------
    NotMeasurable
        When it is not labelled.
    """
    root = model.solid(Kind.NERVE_ROOT, segment.upper.level, side)
    if root is None:
        raise NotMeasurable(f"no {side} root of {segment.upper.level} is labelled, which leaves through the {segment.name} foramen")
    return root


def nerve_to_disc(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """ND of one side, mm.

    Raises
    ------
    NotMeasurable
        When the exiting root or the disc is not labelled.
    """
    root = exiting_root(model, segment, side)
    if segment.disc_is_inferred:
        raise NotMeasurable(f"no disc is labelled at {segment.name}: how far it bulges towards the root is not known")
    return _apart(NERVE_TO_DISC, root, segment.disc, "disc", "axial")


def nerve_to_pedicle(model: SpineModel, segment: MotionSegment, side: Side) -> tuple[float, Evidence]:
    """NP of one side, mm.

    Raises
    ------
    NotMeasurable
        When the exiting root is not labelled, or the pedicle could not be told apart.
    """
    root, pedicle = exiting_root(model, segment, side), segment.upper.part(Kind.PEDICLE, side)
    if pedicle is None:
        raise NotMeasurable(f"the {side} pedicle of {segment.upper.level} could not be told apart from its vertebra")
    return _apart(NERVE_TO_PEDICLE, root, pedicle, "pedicle", "lateral")


def _apart(quantity: Quantity, root: Solid, other: Solid, name: str, view: str) -> tuple[float, Evidence]:
    """The shortest distance between two solids, with the place where they come so near."""
    from kambin.geometry.mesh_distance import closest_points_between

    pair = closest_points_between(root.mesh, other.mesh)
    overlap = (root.sample(other.mesh.vertices_mm) < 0).any() or (other.sample(root.mesh.vertices_mm) < 0).any()
    evidence = Evidence(
        points=(EvidencePoint("nearest point of the root", pair.first_mm), EvidencePoint(f"nearest point of the {name}", pair.second_mm)),
        curves=(EvidenceCurve(quantity.symbol, np.stack([pair.first_mm, pair.second_mm]), role="measure"),),
        view=view,
    )
    return 0.0 if overlap else pair.distance_mm, evidence
