"""Small hand-made values for the tests of writers, pipeline and command line: two boxes as vertebrae, and rows about them."""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.geometry import Frame, Plane
from kambin.measurement.result import (
    Evidence,
    EvidenceCurve,
    EvidencePlane,
    EvidencePoint,
    Measurement,
    Measurements,
    Published,
    Quantity,
)
from kambin.spine import Doubt, Endplate, MotionSegment, PedicleNeck, Severity, Solid, SpineModel, SurfaceMesh, Vertebra
from kambin.volume import Grid, Scan

FACES = np.array(
    [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]]
)


def box_mesh(low, high) -> SurfaceMesh:
    """A box between two RAS corners, 12 triangles facing outwards."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    corners = [(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0), (x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)]
    return SurfaceMesh(np.array(corners, dtype=float), FACES)


def box_solid(low, high, spacing_mm: float = 5.0) -> Solid:
    """The same with its exact signed distance, sampled."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing_mm) + 5)
    grid = Grid.axis_aligned(shape, spacing_mm, low - 2 * spacing_mm)
    points = grid.world(np.moveaxis(np.indices(shape), 0, -1))
    outside = np.maximum(np.maximum(low - points, points - high), 0.0)
    inside = np.minimum(points - low, high - points).min(axis=-1)
    level = np.where(inside > 0, -inside, np.linalg.norm(outside, axis=-1))
    return Solid(grid, level.astype(np.float32), box_mesh(low, high))


def _endplate(z: float, up: float) -> Endplate:
    x, y = np.meshgrid(np.linspace(-20, 20, 5), np.linspace(-15, 15, 4))
    points = np.column_stack([x.ravel() + 10.0, y.ravel() - 7.0, np.full(x.size, z) + 0.01 * x.ravel()])
    return Endplate(points, Plane.fit(points, (0.0, 0.0, up)))


def small_model() -> SpineModel:
    """L4 and L5 as boxes of 40 x 30 x 25 mm about x = 10, y = -7, with a left pedicle and an aorta; oblique label grid."""
    angle = np.radians(10.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2.0, 2.5, 3.0])
    affine[:3, 3] = (-60.25, -50.5, -31.125)
    grid = Grid((40, 36, 24), affine)
    place = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    within = (np.abs(place[0] - 10) < 20) & (np.abs(place[1] + 7) < 15)
    labels = np.zeros(grid.shape, dtype=np.uint16)
    labels[within & (place[2] >= 5) & (place[2] < 30)] = 300
    labels[within & (place[2] >= -30) & (place[2] < -5)] = 301
    labels[within & (place[2] >= -5) & (place[2] < 0)] = 7
    labels[within & (place[2] >= 0) & (place[2] < 5)] = 8  # a second label of the same disc
    l4, l5 = Structure(Kind.VERTEBRA, Level.L4), Structure(Kind.VERTEBRA, Level.L5)
    disc = Structure(Kind.DISC, Level.L4)
    frame = Frame.from_cranial_anterior((10.0, -7.0, 0.1), (0.01, 0.02, 1.0), (0.0, 1.0, 0.03))
    pedicle = Structure(Kind.PEDICLE, Level.L4, Side.LEFT)
    upper = Vertebra(
        Level.L4, box_solid((-10, -22, 5), (30, 8, 30)), frame.moved_to((10, -7, 17.5)),
        {pedicle: box_solid((-10, -30, 15), (-2, -22, 25))}, _endplate(30, 1), _endplate(5, -1), True,
        {Side.LEFT: PedicleNeck(*np.random.default_rng(4).normal(size=(5, 3)))}, np.array([10.0, -25.0, 1 / 3]),
    )  # fmt: skip
    lower = Vertebra(
        Level.L5, box_solid((-10, -22, -30), (30, 8, -5)), frame.moved_to((10, -7, -17.5)), {}, _endplate(-5, 1), None, False
    )
    segment = MotionSegment(
        upper, lower, frame, box_solid((-10, -22, -5), (30, 8, 5)), True, upper.lower_endplate, lower.upper_endplate
    )
    return SpineModel(
        grid,
        labels,
        {300: l4, 301: l5, 7: disc, 8: disc},
        (upper, lower),
        (segment,),
        {"L5/S1": "the sacrum is not in the field of view"},
        {Structure(Kind.AORTA): box_solid((-15, 20, -30), (0, 35, 30))},
        frame,
        (Doubt(Severity.WARNING, "Two boxes are no spine – ½ of one at most."),),
        {"file": "boxes.nii.gz", "spacing_mm": np.array([2.0, 2.5, 3.0]), "nested": {"third": 1 / 3}},
    )


AREA = Quantity(
    "foraminal_area", "FA", "foraminal area", "mm²", "Area of the hole.", (10.0, 400.0),
    {"L4/L5": Published(107.8, 50.0, 170.5, "Someone 2020")},
)  # fmt: skip
LISTHESIS = Quantity("slip", "SL", "slip", "%", "How far L4 stands before L5.", (-30.0, 60.0))


def small_measurements() -> Measurements:
    """Three rows: a measured one with all kinds of evidence, one that could not be measured, one without a side."""
    rim = np.array([[1.5, -20.0, 0.1], [1.5, -25.0, 0.2], [1.5, -25.0, 10 / 3]])
    evidence = Evidence(
        (EvidencePoint("postero-inferior corner", np.array([1.5, -20.0, 5.0])),),
        (
            EvidenceCurve("rim", rim, closed=True, role="outline"),
            EvidenceCurve("bridge", rim[:2], role="bridge"),
            EvidenceCurve("axis", rim, role="construction"),
        ),
        (EvidencePlane("lateral cut", np.array([25.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])),),
        {"bridge_mm": 5.001, "bridged": True, "missing": None, "unbounded": float("nan"), "profile_mm2": np.array([1.0, 2.5])},
        "lateral",
    )
    rows = (
        Measurement(AREA, "L4/L5", Side.LEFT, 100.0 / 3.0, evidence=evidence, doubts=("the disc is inferred",)),
        Measurement(AREA, "L4/L5", Side.RIGHT, None, reason="no right side in two boxes"),
        Measurement(LISTHESIS, "L4/L5", None, -0.0625),
    )
    return Measurements(rows, {"file": "boxes.nii.gz"})


def small_scan() -> Scan:
    """Hounsfield-like values that know where they are: value = 10 x + 3 y + z, rounded."""
    grid = Grid.axis_aligned((30, 28, 26), (3.0, 3.0, 3.5), (-40.0, -50.0, -40.0))
    place = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    return Scan(grid, np.round(place @ [10.0, 3.0, 1.0]).astype(np.int16), "CT", {"file": "ct.nii.gz"})
