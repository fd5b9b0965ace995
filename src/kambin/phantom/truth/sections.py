"""True sections of soft tissue: canal or sac, vessels, psoas; and the height of the iliac crest."""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Kind, Side
from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Field
from kambin.phantom.truth.anatomy import Anatomy
from kambin.phantom.truth.plane import Flat, axis, curves, feret, finely, gap, longest_chord, signed_area
from kambin.phantom.truth.value import Unknown

_FIRST_CUBE_MM = 8.0
_LEAST_MM2 = 4.0
"""A smaller section counts as none: the measures' convention."""
_LEAST_VESSEL_MM2 = 40.0
"""A great vessel is never so thin: what is left of one beside its branches is none."""
_CAP_MM = 2.0
_RIDGE_MM = 40.0


def section(shape: Field, frame: Frame, step: float) -> list[FloatArray]:
    """A shape's outlines in a frame's axial plane, (right, anterior), the largest first."""
    corners = frame.local(shape.box.corners_mm)
    if corners[:, 2].min() > 0 or corners[:, 2].max() < 0:
        return []
    # An oblique plane cuts the box of a long shape in a small part of its shadow.
    low, high = _where_cut(shape, frame)
    loops = curves(finely(Flat.axial(frame).level(shape), (low[0], high[0]), (low[1], high[1]), step))
    return sorted((loop for loop in loops if abs(signed_area(loop)) >= _LEAST_MM2), key=lambda loop: -abs(signed_area(loop)))


def _where_cut(shape: Field, frame: Frame) -> tuple[FloatArray, FloatArray]:
    """The box, in the plane, of a shape's box where the plane cuts it."""
    corners = frame.local(shape.box.corners_mm)
    points = [corners[np.abs(corners[:, 2]) < 1e-9, :2]]
    for one in range(8):
        for other in (one ^ 1, one ^ 2, one ^ 4):
            a, b = corners[one], corners[other]
            if a[2] < 0 <= b[2]:
                points.append((a + (b - a) * (-a[2] / (b[2] - a[2])))[None, :2])
    met = np.concatenate(points)
    return met.min(axis=0) - 3.0, met.max(axis=0) + 3.0


def canal(anatomy: Anatomy, frame: Frame, symbols: tuple[str, str], where: str, step: float) -> dict[str, float]:
    """Area (mm²) and longest sagittal chord (mm) of the sac, or of the canal where there is no sac."""
    shape = _canal(anatomy)
    loops = section(shape, frame, 0.5 * step)
    if not loops:
        raise Unknown(f"the dural sac does not reach {where}")
    area = sum(abs(signed_area(loop)) for loop in loops[:1])
    return dict(zip(symbols, (area, longest_chord(loops[0], step)), strict=True))


def _canal(anatomy: Anatomy) -> Field:
    for kind in (Kind.DURAL_SAC, Kind.SPINAL_CANAL):
        try:
            return anatomy.shape(kind)
        except Unknown:
            continue
    raise Unknown("this patient has no dural sac")


def _in_plane(anatomy: Anatomy, frame: Frame, kind: Kind, side: Side | None, name: str, step: float) -> list[FloatArray]:
    loops = section(anatomy.shape(kind, side=side), frame, 0.5 * step)
    if kind in (Kind.AORTA, Kind.VENA_CAVA):
        loops = [loop for loop in loops if abs(signed_area(loop)) >= _LEAST_VESSEL_MM2]
    if not loops:
        raise Unknown(f"the {'' if side is None else f'{side} '}{kind.value.replace('_', ' ')} does not reach the {name} disc mid-plane")
    return loops


def vessel(anatomy: Anatomy, frame: Frame, kind: Kind, symbol: str, name: str, step: float) -> dict[str, float]:
    """Largest diameter of a vessel's (largest) section in the disc mid-plane, mm."""
    return {symbol: feret(_in_plane(anatomy, frame, kind, None, name, step)[0])}


def oblique_corridor(anatomy: Anatomy, frame: Frame, name: str, step: float) -> dict[str, float]:
    """OC, mm: from the left psoas to the aorta, or to the left common iliac artery where the aorta has divided."""
    psoas = _in_plane(anatomy, frame, Kind.PSOAS, Side.LEFT, name, step)
    reasons = []
    for kind, side in ((Kind.AORTA, None), (Kind.ILIAC_ARTERY, Side.LEFT)):
        try:
            tubes = _in_plane(anatomy, frame, kind, side, name, step)
        except Unknown as reason:
            reasons.append(str(reason))
        else:
            return {"OC": min(gap(one, other) for one in psoas for other in tubes)}
    raise Unknown(" and ".join(reasons))


def psoas_to_cava(anatomy: Anatomy, frame: Frame, name: str, step: float) -> dict[str, float]:
    """PI, mm: from the right psoas to the vena cava."""
    psoas = _in_plane(anatomy, frame, Kind.PSOAS, Side.RIGHT, name, step)
    tubes = _in_plane(anatomy, frame, Kind.VENA_CAVA, None, name, step)
    return {"PI": min(gap(one, other) for one in psoas for other in tubes)}


def crest_top(anatomy: Anatomy, side: Side, cranial: FloatArray, step: float) -> FloatArray:
    """The top of the iliac crest along the column, RAS: as high as the hip bone reaches, over the middle of its upper two millimetres.

    The highest point alone could lie anywhere along a flat ridge.
    """
    shape = anatomy.shape(Kind.HIP, side=side)
    highest = _highest(shape, cranial, 0.1 * step)
    if highest is None:
        raise Unknown(f"the {side} hip bone is empty")
    across = np.linalg.svd(cranial[None])[2][1:]
    pitch = 0.4 * step
    flat = axis(-_RIDGE_MM, _RIDGE_MM, pitch)
    down = np.arange(0.5 * pitch, _CAP_MM, pitch)
    u, v, w = (lattice.ravel() for lattice in np.meshgrid(flat, flat, down, indexing="ij"))
    points = highest + np.stack([u, v], axis=1) @ across - w[:, None] * cranial
    share = np.clip(0.5 - np.asarray(shape(np.ascontiguousarray(points.T))) / pitch, 0.0, 1.0)
    middle = np.asarray((share @ points) / share.sum())
    return np.asarray(middle + ((highest - middle) @ cranial) * cranial)


def _highest(shape: Field, direction: FloatArray, precision: float) -> FloatArray | None:
    """The point of a shape furthest along a direction: cubes that may hold it, halved until they are small.

    A crest is thin and runs on far: a lattice that closes in on its own best point ends on another hill.
    """
    pitch = _FIRST_CUBE_MM
    lattice = (axis(low, high, pitch) for low, high in zip(shape.box.low_mm, shape.box.high_mm, strict=True))
    cubes = np.stack(np.meshgrid(*lattice, indexing="ij"), axis=-1).reshape(-1, 3)
    best: FloatArray | None = None
    while pitch >= precision and len(cubes):
        level = np.asarray(shape(np.ascontiguousarray(cubes.T)))
        inside = cubes[level < 0]
        if len(inside) and (best is None or (inside @ direction).max() > best @ direction):
            best = inside[int((inside @ direction).argmax())]
        # A level is at most the slope times the distance to the shape; a cube reaches half its diagonal from its middle.
        may = level < 0.5 * np.sqrt(3.0) * pitch * shape.slope
        if best is not None:
            may &= cubes @ direction + 0.5 * pitch * np.abs(direction).sum() > best @ direction
        halves = 0.25 * pitch * np.stack(np.meshgrid(*((-1.0, 1.0),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        cubes, pitch = (cubes[may][:, None] + halves).reshape(-1, 3), 0.5 * pitch
    return best
