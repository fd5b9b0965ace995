"""Training pictures drawn on the fly from maps of tissues: any contrast, any sharpness, any field of view, bodies bent and stretched.

A map of tissues tells for each voxel which material it is and which class it belongs to; `TissueMap` holds one, drawn once from a digital
patient. Every call of `draw` then makes a new picture of it: MR by the signal equations with drawn times of echo and repetition, CT with
and without contrast medium, or intensities that are not those of any scanner, so that a network learns shapes and not brightness. All of
it runs in PyTorch, on the processor or a GPU.

Billot 2023, Med Image Anal 86:102789 (SynthSeg) has shown that networks trained on such pictures see real ones of any sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from kambin.geometry import turned
from kambin.segmentation.chance import Chance, blurred
from kambin.segmentation.classes import UNKNOWN
from kambin.segmentation.looks import drawn_look
from kambin.segmentation.shells import REST, drawn_surfaces
from kambin.segmentation.tissues import Continued, TissueMap

_VERTEBRAE_ABOVE = 4


@dataclass(frozen=True, slots=True)
class Drawing:
    """Within which bounds pictures are drawn.

    Parameters
    ----------
    spacing_mm
        Of the pictures' voxels.
    shapes
        Of the patches, in voxels; one is drawn each time.
    turned_deg, stretched, sheared
        Standard deviations of the turns about each axis, of the logarithm of the size along each axis, and of shears.
    bent_mm
        Highest standard deviation of the smooth displacements, which change over `bent_over_mm`.
    mr, ct
        Shares of pictures that look like MR and like CT; the rest are of any contrast.
    """

    spacing_mm: float = 1.5
    shapes: tuple[tuple[int, int, int], ...] = ((64, 80, 80), (48, 96, 96), (80, 80, 64), (96, 64, 64), (64, 64, 96))
    turned_deg: tuple[float, float, float] = (10.0, 7.0, 7.0)
    stretched: float = 0.10
    sheared: float = 0.05
    bent_mm: float = 3.5
    bent_over_mm: float = 28.0
    mr: float = 0.45
    ct: float = 0.2


def draw(source: TissueMap, drawing: Drawing, chance: Chance, shape: tuple[int, int, int] | None = None) -> tuple[Tensor, Tensor]:
    """One training pair.

    Parameters
    ----------
    source
        The patient.
    drawing
        The bounds.
    chance
        Where the draws come from.
    shape
        Of the patch; drawn, where None.

    Returns
    -------
    tuple
        The picture, float32 of mean 0 and spread 1 over the whole field of view (0 outside it), and the classes, uint8, `UNKNOWN` outside.
    """
    if shape is None:
        shape = drawing.shapes[int(chance.host.integers(len(drawing.shapes)))]
    place = _Placement(source, drawing, chance, shape)
    numbers, classes, seen = place.sampled(source)
    numbers, classes = drawn_surfaces(source, numbers, classes, chance)
    look = drawn_look(source, drawing.mr, drawing.ct, chance)
    picture = look.painted(numbers, drawing.spacing_mm, chance)
    picture = _acquired(picture, drawing.spacing_mm, chance, look.coils)
    middle, scale, low, high = look.measure(place.glance(source))
    picture = ((picture.clamp(low, high) - middle) / scale) * seen
    return picture, torch.where(seen, classes, torch.tensor(UNKNOWN, dtype=torch.uint8))


class _Placement:
    """Where a patch and the field of view around it lie in the patient."""

    def __init__(self, source: TissueMap, drawing: Drawing, chance: Chance, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.spacing_mm = drawing.spacing_mm
        size = np.asarray(shape) * drawing.spacing_mm
        focus = source.focus[int(chance.host.integers(len(source.focus)))].astype(np.float64)
        focus[2] = min(focus[2], source.top - 5.0)
        self.matrix = _matrix(drawing, chance)
        # The field of view, relative to the focus, in the patch's frame.
        kind = chance.host.choice(["sagittal", "axial", "any"], p=[0.45, 0.3, 0.25])
        half = {
            "sagittal": [chance.uniform(25, 60), chance.uniform(60, 190), chance.uniform(70, 190)],
            "axial": [chance.uniform(80, 220), chance.uniform(80, 180), chance.uniform(20, 190)],
            "any": [chance.uniform(30, 200), chance.uniform(40, 180), chance.uniform(30, 190)],
        }[str(kind)]
        away = chance.host.uniform(-0.35, 0.35, 3) * half
        self.low, self.high = away - half, away + half
        # The patch covers the focus, or lies anywhere in the field of view.
        if chance.happens(0.8):
            corner = -chance.host.uniform(0.2, 0.8, 3) * size
        else:
            corner = self.low + chance.host.random(3) * np.maximum(self.high - self.low - size, 0.0)
        # Where it can, it lies within the field of view.
        room = self.high - self.low - size
        centred = 0.5 * (self.low + self.high) - 0.5 * size
        self.corner = np.where(room > 0, np.clip(corner, self.low, self.high - size), centred)
        self.focus = focus
        self.bend = self._bend(drawing, chance)

    def _bend(self, drawing: Drawing, chance: Chance) -> Tensor:
        """Smooth displacements in millimetres, (3, x, y, z)."""
        amount = drawing.bent_mm * chance.uniform()
        over = drawing.bent_over_mm / drawing.spacing_mm
        fields = [amount * chance.smooth(self.shape, over) + 0.25 * amount * chance.smooth(self.shape, 0.4 * over) for _ in range(3)]
        return torch.stack(fields)

    def _into(self, offsets: list[Tensor]) -> list[Tensor]:
        """Places in the patient of places relative to the focus."""
        m = self.matrix
        return [float(self.focus[a]) + sum(float(m[a, b]) * offsets[b] for b in range(3)) for a in range(3)]  # type: ignore[misc]

    def sampled(self, source: TissueMap) -> tuple[Tensor, Tensor, Tensor]:
        """For each voxel of the patch the row of its tissue, its class, and whether it lies in the field of view."""
        axes = [torch.arange(n, dtype=torch.float32) * self.spacing_mm + float(c) for n, c in zip(self.shape, self.corner, strict=True)]
        views = [axis.view([-1 if i == j else 1 for j in range(3)]) for i, axis in enumerate(axes)]
        inside = [(v >= float(low)) & (v <= float(high)) for v, low, high in zip(views, self.low, self.high, strict=True)]
        seen = inside[0] & inside[1] & inside[2]
        places = self._into([view.expand(self.shape) for view in views])
        places = [place + bend for place, bend in zip(places, self.bend, strict=True)]
        numbers, classes, known = looked_up(source, places)
        return numbers, classes, seen & known

    def glance(self, source: TissueMap) -> Tensor:
        """Rows of tissues all over the field of view, coarsely."""
        axes = [torch.linspace(float(low), float(high), 24) for low, high in zip(self.low, self.high, strict=True)]
        numbers, _, known = looked_up(source, self._into(list(torch.meshgrid(*axes, indexing="ij"))))
        return numbers[known]


def looked_up(source: TissueMap, places: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and classes at places given in voxels, and whether the map tells them. Beside the body there is air."""
    ids = torch.from_numpy(source.ids.view(np.int16))
    nx, ny, nz = source.ids.shape
    continued = None
    if source.above is None:
        known = places[2] < source.top - 0.5
    else:
        places, continued, known = _lowered(source.above, places)
    x, y, z = (place.round().to(torch.int32) for place in places)
    known = known & (z >= 0) & (z < nz)
    beside = (x < 0) | (x >= nx) | (y < 0) | (y >= ny)
    flat = (x.clamp(0, nx - 1) * ny + y.clamp(0, ny - 1)).to(torch.int64) * nz + z.clamp(0, nz - 1)
    numbers = ids.view(-1)[flat.view(-1)].view(flat.shape).to(torch.int64)
    numbers = torch.where(beside, 0, numbers)
    classes = source.column("index").to(torch.uint8)[numbers]
    if continued is not None and source.above is not None:
        for ending in source.above.ends:
            classes = torch.where(continued & (classes == ending), torch.tensor(REST, dtype=torch.uint8), classes)
    return numbers, classes, known


def _lowered(above: Continued, places: Sequence[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Places in the patient of places above, whether they were above, and whether they lie low enough to be known."""
    n, m, t = above.normal, above.turn, above.shift

    def are_above() -> Tensor:
        return float(n[0]) * x + float(n[1]) * y + float(n[2]) * z > above.offset

    x, y, z = places
    continued = still = are_above()
    for _ in range(_VERTEBRAE_ABOVE):
        if not bool(still.any()):
            break
        lower = [float(m[a, 0]) * x + float(m[a, 1]) * y + float(m[a, 2]) * z + float(t[a]) for a in range(3)]
        x, y, z = (torch.where(still, one, other) for one, other in zip(lower, (x, y, z), strict=True))
        still = are_above()
    return [x, y, z], continued, ~still


def _matrix(drawing: Drawing, chance: Chance) -> npt.NDArray[np.float64]:
    """Turn, stretch and shear: from the patch's directions to the patient's."""
    result = np.diag(np.exp(chance.host.normal(0.0, 0.6 * drawing.stretched) + chance.host.normal(0.0, drawing.stretched, 3)))
    result = result + chance.host.normal(0.0, drawing.sheared, (3, 3)) * (1 - np.eye(3))
    return np.asarray(turned(chance.host.normal(0.0, drawing.turned_deg)) @ result, dtype=np.float64)


def _acquired(picture: Tensor, spacing_mm: float, chance: Chance, coils: bool) -> Tensor:
    """What a scanner's resolution, coil and noise make of it."""
    shape = tuple(picture.shape)
    slices = int(chance.host.integers(3))
    thick = chance.uniform(1.5, 5.0) if chance.happens(0.6) else 1.0
    plane = chance.uniform(0.6, 1.6) if chance.happens(0.75) else chance.uniform(1.6, 3.2)
    spacing = [(max(plane, thick) if axis == slices else plane) / spacing_mm for axis in range(3)]
    picture = blurred(picture, [max(0.35, 0.42 * s * chance.uniform(0.7, 1.2)) for s in spacing])
    coarse = tuple(max(4, round(n / max(s, 1.0))) for n, s in zip(shape, spacing, strict=True))
    spread = float(picture.std()) + 1e-4
    if coils and chance.happens(0.8):
        picture = picture * torch.exp(chance.uniform(0.0, 0.35) * chance.smooth(shape, chance.uniform(60, 200) / spacing_mm))
    noise = spread * chance.logarithmic(0.01, 0.25)
    if coarse != shape:
        picture = functional.interpolate(picture[None, None], size=coarse, mode="trilinear", align_corners=False)[0, 0]
        picture = picture + noise * chance.normal(*coarse)
        picture = functional.interpolate(picture[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]
    else:
        picture = picture + noise * chance.normal(*shape)
    if coils and chance.happens(0.5):
        low, high = picture.min(), picture.max()
        share = ((picture - low) / (high - low + 1e-6)).clamp(1e-6, 1)
        picture = low + (high - low) * share ** chance.logarithmic(0.7, 1.4)
    return picture
