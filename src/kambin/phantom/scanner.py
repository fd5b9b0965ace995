"""Scans of a digital patient: the scanners by name, their usual grids, and the one function that scans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind
from kambin.errors import InputError
from kambin.geometry import turned
from kambin.phantom.ct import BONE, SOFT, CtAcquisition, CtScanner
from kambin.phantom.field import Box
from kambin.phantom.mr import MrScanner, channel_values
from kambin.phantom.mr_acquisition import Acquisition
from kambin.phantom.random_contrast import RandomScanner, drawn
from kambin.phantom.raster import Piece, Progress, meets
from kambin.phantom.tissue import Tissue
from kambin.volume import Grid, Scan, canonical

Scanner = MrScanner | CtScanner | RandomScanner

_MOST_VOXELS = 400_000_000
_SPACING_MM = (0.05, 50.0)

# Parameters of the papers where they give them (T2 SPACE: TR 2800, TE 189, 0.8 mm, 320 x 320); else usual clinical ones.
SCANNERS: Mapping[str, Scanner] = MappingProxyType(
    {
        "t2-space": MrScanner(
            title="T2 SPACE, sagittal, 0.8 mm isotropic",
            tr_ms=2800.0,
            te_ms=189.0,
            contrast_te_ms=95.0,
            restored=True,
            shape=(128, 320, 320),
            spacing_mm=(0.8, 0.8, 0.8),
            field_t=3.0,
            volumetric=True,
            thickness=1.0,
            bandwidth_hz=620.0,
            acquired=(1.0, 0.95, 0.85),
            snr=45.0,
            normalised=0.75,
            breathing=0.02,
            pulsation=0.01,
        ),
        "t2-sag": MrScanner(
            title="T2 TSE, sagittal, 0.7 x 0.7 x 4 mm",
            tr_ms=3500.0,
            te_ms=105.0,
            contrast_te_ms=105.0,
            restored=True,
            shape=(17, 384, 384),
            spacing_mm=(4.4, 0.7, 0.7),
            acquired=(1.0, 0.8, 1.0),
            saturated=0.65,
            snr=115.0,
        ),
        "t1-sag": MrScanner(
            title="T1 TSE, sagittal, 0.7 x 0.7 x 4 mm",
            tr_ms=550.0,
            te_ms=11.0,
            contrast_te_ms=11.0,
            shape=(17, 384, 384),
            spacing_mm=(4.4, 0.7, 0.7),
            acquired=(1.0, 0.8, 1.0),
            saturated=0.65,
            snr=60.0,
            arterial_flow=0.1,
            venous_flow=0.4,
        ),
        "t2-ax": MrScanner(
            title="T2 TSE, axial, 0.6 x 0.6 x 4 mm",
            tr_ms=3800.0,
            te_ms=100.0,
            contrast_te_ms=100.0,
            restored=True,
            shape=(352, 352, 40),
            spacing_mm=(0.6, 0.6, 4.4),
            across=2,
            phase=0,
            acquired=(1.0, 0.75, 1.0),
            snr=85.0,
        ),
        "ct-thin": CtScanner(title="CT, soft kernel, 0.8 mm", kernel=SOFT, shape=(512, 512, 280), spacing_mm=(0.78, 0.78, 0.8)),
        "ct-thin-bone": CtScanner(title="CT, bone kernel, 0.8 mm", kernel=BONE, shape=(512, 512, 280), spacing_mm=(0.78, 0.78, 0.8)),
        "ct-thick": CtScanner(title="CT, soft kernel, 5 mm", kernel=SOFT, shape=(512, 512, 45), spacing_mm=(0.78, 0.78, 5.0)),
        "ct-thick-bone": CtScanner(title="CT, bone kernel, 5 mm", kernel=BONE, shape=(512, 512, 45), spacing_mm=(0.78, 0.78, 5.0)),
        "random": RandomScanner(),
    }
)


def simulate(
    pieces: Sequence[Piece],
    scanner: str | Scanner = "t2-space",
    grid: Grid | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Scan:
    """A scan of a patient.

    The same arguments give the same numbers on any machine: nothing depends on the number of threads, and what two machines' arithmetic
    may differ by is far below the rounding to whole numbers.

    Parameters
    ----------
    pieces
        The patient in painting order, RAS millimetres; air around it. Not changed.
    scanner
        A name of `SCANNERS`, or a scanner of one's own (`dataclasses.replace` one of them).
    grid
        Where the voxels shall be, of any spacing, orientation and obliquity; the scan is stored on it in canonical order. Where its slices
        are much thicker than its pixels, they are the slices of the scan. By default the scanner's usual grid about the
        vertebrae's middle, for CT moved forwards or back to hold the whole body.
    seed
        Of texture, noise, shading and motion, not negative.
    progress
        Called with the finished fraction.

    Returns
    -------
    Scan
        16-bit whole numbers: Hounsfield units, or counts of which the brightest of fat and cerebrospinal fluid has about 1000.

    Raises
    ------
    InputError
        When the scanner is not known, the seed is negative, there is nothing to scan, or the grid is absurd or misses the patient;
        before memory is taken.
    """
    machine = _scanner(scanner)
    if not pieces:
        raise InputError("pieces", "expected a patient of at least one piece, found none")
    if not isinstance(seed, int) or seed < 0:
        raise InputError("seed", f"expected a whole number from 0 on, found {seed!r}")
    lattice = usual_grid(machine, _aim_mm(pieces, machine)) if grid is None else _canonical(_checked(grid))
    size = np.asarray(lattice.shape)
    # As far again on each side: what lies there may fold in.
    if not any(meets(piece.shape, lattice.crop(-size, 2 * size)) for piece in pieces):
        raise InputError("grid", "expected a field of view that meets the patient, found one that lies beside")
    values = _values(pieces, machine, lattice, seed, progress)
    return Scan(lattice, values, machine.modality, _provenance(scanner, machine, seed))


def usual_grid(scanner: str | Scanner, centre_mm: npt.ArrayLike) -> Grid:
    """The scanner's own matrix and spacing, along the patient's axes, about a point."""
    machine = _scanner(scanner)
    return grid_about(centre_mm, machine.shape, machine.spacing_mm)


def grid_about(
    centre_mm: npt.ArrayLike,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    turned_deg: Sequence[float] = (0.0, 0.0, 0.0),
) -> Grid:
    """A grid about a point, turned in space.

    Parameters
    ----------
    centre_mm
        RAS millimetres.
    shape
        Voxels to the right, anterior and cranial.
    spacing_mm
        In the same order.
    turned_deg
        Turns about the right, then the anterior, then the cranial axis.

    Raises
    ------
    InputError
        When a spacing is not positive, a size absurd or a number not finite; all of them at once.
    """
    numbers = [np.asarray(n, dtype=np.float64) for n in (centre_mm, shape, spacing_mm, turned_deg)]
    names = ("centre_mm", "shape", "spacing_mm", "turned_deg")
    problems = [
        f"expected three finite numbers for {name}, found {n.tolist()}"
        for name, n in zip(names, numbers, strict=True)
        if n.shape != (3,) or not np.isfinite(n).all()
    ]
    if problems:
        raise InputError("grid", *problems)
    problems = _size_problems(numbers[1], numbers[2])
    if problems:
        raise InputError("grid", *problems)
    counts = (int(shape[0]), int(shape[1]), int(shape[2]))
    affine = np.eye(4)
    affine[:3, :3] = turned(numbers[3]) * numbers[2]
    affine[:3, 3] = numbers[0] - affine[:3, :3] @ (0.5 * (np.asarray(counts) - 1))
    return Grid(counts, affine)


def middle_mm(pieces: Sequence[Piece]) -> npt.NDArray[np.float64]:
    """The middle of the box around the vertebrae, or around all bones, or everything, where none are named."""
    vertebrae = [p for p in pieces if p.structure is not None and p.structure.kind is Kind.VERTEBRA]
    bones = [p for p in pieces if any(layer.tissue is Tissue.MARROW for layer in p.layers)]
    box = Box.enclosing([p.shape.box for p in vertebrae or bones or pieces])
    return np.asarray(0.5 * (box.low_mm + box.high_mm))


def _scanner(scanner: str | Scanner) -> Scanner:
    if not isinstance(scanner, str):
        return scanner
    if scanner not in SCANNERS:
        raise InputError("scanner", f"expected one of {', '.join(SCANNERS)}, found {scanner!r}")
    return SCANNERS[scanner]


def _aim_mm(pieces: Sequence[Piece], machine: Scanner) -> npt.NDArray[np.float64]:
    """Where the usual grid is put."""
    aim = middle_mm(pieces)
    body = Box.enclosing([p.shape.box for p in pieces])
    # Shapes without end say nothing of the body's size.
    if isinstance(machine, CtScanner) and body.high_mm[1] - body.low_mm[1] < 1000.0:
        aim[1] = 0.5 * (body.low_mm[1] + body.high_mm[1])
    return aim


def _values(pieces: Sequence[Piece], machine: Scanner, grid: Grid, seed: int, progress: Progress | None) -> npt.NDArray[np.int16]:
    if isinstance(machine, CtScanner):
        return CtAcquisition(pieces, machine, grid, seed).run(progress)
    if isinstance(machine, RandomScanner):
        machine, values = drawn(machine, seed)
    else:
        values = channel_values(machine)
    return Acquisition(pieces, machine, grid, values, values[Tissue.AIR], seed).run(progress)


def _checked(grid: Grid) -> Grid:
    problems = _size_problems(np.asarray(grid.shape, dtype=np.float64), grid.spacing_mm)
    if problems:
        raise InputError("grid", *problems)
    return grid


def _size_problems(shape: npt.NDArray[np.float64], spacing_mm: npt.NDArray[np.float64]) -> list[str]:
    problems = []
    low, high = _SPACING_MM
    if not ((spacing_mm >= low) & (spacing_mm <= high)).all():
        problems.append(f"expected spacings of {low:g} to {high:g} mm, found {_text(spacing_mm)}")
    if not ((shape >= 1) & (shape == np.floor(shape))).all():
        problems.append(f"expected whole numbers of voxels, at least one along each axis, found {_text(shape)}")
    elif math.prod(shape.tolist()) > _MOST_VOXELS:
        problems.append(f"expected at most {_MOST_VOXELS:,} voxels, found {_text(shape)}")
    return problems


def _text(numbers: npt.NDArray[np.float64]) -> str:
    return " x ".join(f"{n:g}" for n in numbers)


def _canonical(grid: Grid) -> Grid:
    """The same voxels, axes in canonical order."""
    nothing = np.broadcast_to(np.uint8(0), grid.shape)
    return canonical(nothing, grid)[1]


def _provenance(asked: str | Scanner, machine: Scanner, seed: int) -> dict[str, Any]:
    name = asked if isinstance(asked, str) else machine.title
    return {"simulated": True, "scanner": name, "seed": seed, "parameters": machine.parameters()}
