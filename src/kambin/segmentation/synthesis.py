"""Training pictures drawn on the fly from maps of tissues: any contrast, any sharpness, any field of view, bodies bent and stretched.

A map of tissues tells for each voxel which material it is and which class it belongs to; `TissueMap` holds one, drawn once from a digital
patient. Every call of `draw` then makes a new picture of it: MR by the signal equations with drawn times of echo and repetition, CT with
and without contrast medium, or intensities that are not those of any scanner, so that a network learns shapes and not brightness. All of
it runs in PyTorch, on the processor or a GPU.

Billot 2023, Med Image Anal 86:102789 (SynthSeg) has shown that networks trained on such pictures see real ones of any sequence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from kambin.segmentation.classes import UNKNOWN

FAT_T1_MS, FAT_T2_MS = 350.0, 110.0


@dataclass(frozen=True, slots=True)
class TissueRow:
    """One material of one structure in a map.

    Parameters
    ----------
    mixture
        Names of its materials and their shares, which add up to 1.
    proton_density, t1_ms, t2_ms, fat
        What MR sees: relative to cerebrospinal fluid, of the water at 1.5 T, and the share that is fat.
    hounsfield
        What CT sees.
    index
        The class it belongs to, or `UNKNOWN`.
    """

    mixture: tuple[tuple[str, float], ...]
    proton_density: float
    t1_ms: float
    t2_ms: float
    fat: float
    hounsfield: float
    index: int

    @property
    def tissue(self) -> str:
        """What there is most of."""
        return max(self.mixture, key=lambda part: part[1])[0]


@dataclass(frozen=True, eq=False)
class TissueMap:
    """One patient's tissues on voxels of 1 mm, right, anterior, cranial.

    Parameters
    ----------
    ids
        For each voxel the number of its row; 0 is the air around.
    rows
        Row 1 is the first; row 0 is air and not listed.
    top
        Voxels from this index of the third axis on show a body without a column (the patient ends there): never seen in training.
    focus
        Voxels about which pictures are centred, shape (n, 3): those of the column.
    """

    ids: npt.NDArray[np.uint16]
    rows: tuple[TissueRow, ...]
    top: int
    focus: npt.NDArray[np.int16]

    @classmethod
    def of(cls, ids: npt.NDArray[np.uint16], rows: Sequence[TissueRow], column: Sequence[int], highest: Sequence[int]) -> TissueMap:
        """A map with its top and focus found.

        Parameters
        ----------
        ids, rows
            As above.
        column, highest
            Numbers of the rows that are of the column (bones, discs, sac, roots), and of the highest vertebra's body, through whose middle
            the patient is cut off.

        Raises
        ------
        ValueError
            When a number in `ids` has no row, or there is no column.
        """
        if int(ids.max()) > len(rows):
            raise ValueError(f"expected numbers up to {len(rows)}, for each of which there is a row, found {int(ids.max())}")
        heights = np.flatnonzero(_is_one_of(ids, highest, len(rows)).any(axis=(0, 1)))
        top = int(0.5 * (heights[0] + heights[-1])) if len(heights) else ids.shape[2]
        chance = np.random.default_rng(0)
        places = [np.argwhere(_is_one_of(ids[::2, ::2, :top:2], some, len(rows))) * 2 for some in (column, _others(rows, column))]
        if not len(places[0]):
            raise ValueError("expected a map that shows a column, found none in it")
        # Two of three pictures are about the column, one about what is named beside it.
        chosen = [some[chance.integers(len(some), size=n)] for some, n in zip(places, (16_000, 8_000), strict=True) if len(some)]
        return cls(ids, tuple(rows), top, np.concatenate(chosen).astype(np.int16))

    def column(self, name: str) -> Tensor:
        """One number of every row, that of air (0, or -1000 HU) first."""
        first = {"hounsfield": -1000.0, "t1_ms": 1000.0, "t2_ms": 1.0}.get(name, 0.0)
        return torch.tensor([first, *(float(getattr(row, name)) for row in self.rows)])


def _is_one_of(ids: npt.NDArray[np.uint16], some: Sequence[int], count: int) -> npt.NDArray[np.bool_]:
    table = np.zeros(count + 1, dtype=np.bool_)
    table[list(some)] = True
    return table[ids]


def _others(rows: Sequence[TissueRow], column: Sequence[int]) -> list[int]:
    """Rows beside the column that have a class of their own: not the first one, which is the rest of the body."""
    return [n for n, row in enumerate(rows, 1) if 1 < row.index < UNKNOWN and n not in set(column)]


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


class Chance:
    """Draws of one seed, on one device."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.host = np.random.default_rng(seed)
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return float(self.host.uniform(low, high))

    def logarithmic(self, low: float, high: float) -> float:
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def happens(self, share: float) -> bool:
        return bool(self.host.random() < share)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def uniforms(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def smooth(self, shape: Sequence[int], scale: float) -> Tensor:
        """A field of mean 0 and standard deviation of about 1 that changes over so many voxels."""
        coarse = [max(2, math.ceil(n / scale) + 1) for n in shape]
        field = functional.interpolate(self.normal(1, 1, *coarse), size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]
        return field * 1.6  # what interpolation took from its spread


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
    numbers, seen = place.sampled(source)
    look = _look(source, drawing, chance)
    picture = look.painted(numbers, drawing.spacing_mm, chance)
    picture = _acquired(picture, drawing.spacing_mm, chance)
    middle, scale, low, high = look.measure(place.glance(source))
    picture = ((picture.clamp(low, high) - middle) / scale) * seen
    classes = source.column("index").to(torch.uint8)[numbers]
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

    def sampled(self, source: TissueMap) -> tuple[Tensor, Tensor]:
        """For each voxel of the patch the row of its tissue, and whether it lies in the field of view."""
        axes = [torch.arange(n, dtype=torch.float32) * self.spacing_mm + float(c) for n, c in zip(self.shape, self.corner, strict=True)]
        views = [axis.view([-1 if i == j else 1 for j in range(3)]) for i, axis in enumerate(axes)]
        inside = [(v >= float(low)) & (v <= float(high)) for v, low, high in zip(views, self.low, self.high, strict=True)]
        seen = inside[0] & inside[1] & inside[2]
        places = self._into([view.expand(self.shape) for view in views])
        places = [place + bend for place, bend in zip(places, self.bend, strict=True)]
        numbers, known = _looked_up(source, places)
        return numbers, seen & known

    def glance(self, source: TissueMap) -> Tensor:
        """Rows of tissues all over the field of view, coarsely."""
        axes = [torch.linspace(float(low), float(high), 24) for low, high in zip(self.low, self.high, strict=True)]
        numbers, known = _looked_up(source, self._into(list(torch.meshgrid(*axes, indexing="ij"))))
        return numbers[known]


def _looked_up(source: TissueMap, places: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows at places given in voxels, and whether the patient's map tells them. Beside the body there is air; above and below, nothing."""
    ids = torch.from_numpy(source.ids.view(np.int16))
    x, y, z = (place.round().to(torch.int32) for place in places)
    nx, ny, nz = source.ids.shape
    known = (z >= 0) & (z < source.top)
    beside = (x < 0) | (x >= nx) | (y < 0) | (y >= ny)
    flat = (x.clamp(0, nx - 1) * ny + y.clamp(0, ny - 1)).to(torch.int64) * nz + z.clamp(0, nz - 1)
    numbers = ids.view(-1)[flat.view(-1)].view(flat.shape).to(torch.int64)
    return torch.where(beside, 0, numbers), known


def _matrix(drawing: Drawing, chance: Chance) -> npt.NDArray[np.float64]:
    """Turn, stretch and shear: from the patch's directions to the patient's."""
    result = np.diag(np.exp(chance.host.normal(0.0, 0.6 * drawing.stretched) + chance.host.normal(0.0, drawing.stretched, 3)))
    result = result + chance.host.normal(0.0, drawing.sheared, (3, 3)) * (1 - np.eye(3))
    for axis, deviation in enumerate(drawing.turned_deg):
        angle = math.radians(float(chance.host.normal(0.0, deviation)))
        one, two = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = math.cos(angle)
        turn[one, two], turn[two, one] = -math.sin(angle), math.sin(angle)
        result = turn @ result
    return result


@dataclass(frozen=True, slots=True)
class _Look:
    """Every row's intensity, speckle, unevenness and strands; and where a scanner cuts."""

    mean: Tensor
    speckle: Tensor
    uneven: Tensor
    strands: Tensor
    low: float = -math.inf
    high: float = math.inf

    def painted(self, numbers: Tensor, spacing_mm: float, chance: Chance) -> Tensor:
        shape = tuple(numbers.shape)
        result = self.mean[numbers]
        result += self.uneven[numbers] * chance.smooth(shape, chance.uniform(8, 30) / spacing_mm)
        fine = chance.normal(*shape)
        if chance.happens(0.6):
            fine = _blurred(fine, [chance.uniform(0.3, 1.2)] * 3)
            fine = fine / fine.std()
        result += self.speckle[numbers] * fine
        sheets = chance.smooth(shape, chance.uniform(3, 8) / spacing_mm) + 0.5 * chance.smooth(shape, chance.uniform(8, 16) / spacing_mm)
        result += self.strands[numbers] * torch.exp(-((sheets / chance.uniform(0.15, 0.5)) ** 2))
        return result.clamp(self.low, self.high)

    def measure(self, numbers: Tensor) -> tuple[float, float, float, float]:
        """Middle, spread and cuts of the field of view, as `normaliser` finds them in a scan."""
        values = self.mean[numbers].clamp(self.low, self.high)
        low, high = (float(v) for v in torch.quantile(values, torch.tensor([0.005, 0.995])))
        if not high > low:
            high = low + 1.0
        spread = 0.03 * (high - low)  # speckle and noise reach beyond the means
        values = values.clamp(low, high)
        return float(values.mean()), max(float(values.std()), 1e-3), low - spread, high + spread


def _look(source: TissueMap, drawing: Drawing, chance: Chance) -> _Look:
    which = chance.uniform()
    if which < drawing.mr:
        mean = _mr(source, chance)
    elif which < drawing.mr + drawing.ct:
        return _ct(source, chance)
    else:
        mean = _any(source, chance)
    count = len(mean)
    mean = mean * torch.exp(chance.uniform(0.02, 0.12) * chance.normal(count))
    size = mean.abs() + 0.03 * mean.max()
    rough = chance.uniform(0.0, 0.2)
    towards = mean[torch.randperm(count, generator=chance.generator)]
    return _Look(
        mean,
        rough * chance.uniforms(count) * size,
        chance.uniform(0.0, 0.25) * chance.uniforms(count) * size,
        (chance.uniforms(count) < 0.4) * chance.uniform(0.0, 0.8) * chance.uniforms(count) * (towards - mean) * _unruly(source),
    )


_UNRULY: Mapping[str, float] = {"fat": 1.0, "mesenteric": 1.0, "muscle": 1.0, "bowel": 1.0, "stool": 1.0, "liver": 0.5, "cerebro": 0.4}


def _unruly(source: TissueMap) -> Tensor:
    """How much of another tissue may run through each row's: strands of fat in muscle, vessels in fat, rootlets in fluid."""
    found = [max((v for k, v in _UNRULY.items() if row.tissue.startswith(k)), default=0.25) for row in source.rows]
    return torch.tensor([0.0, *found])


def _mr(source: TissueMap, chance: Chance) -> Tensor:
    """Signals of a sequence whose times are drawn: T2-, proton- or T1-weighted, spin or gradient echo, fat suppressed or not."""
    density, t1, t2, fat = (source.column(name) for name in ("proton_density", "t1_ms", "t2_ms", "fat"))
    count = len(density)
    t1 = t1 * torch.exp(0.12 * chance.normal(count))
    t2 = t2 * torch.exp(0.15 * chance.normal(count))
    kind = chance.uniform()
    if kind < 0.6:  # T2
        tr, te, flip = chance.uniform(2000, 7000), chance.uniform(60, 200), 90.0
    elif kind < 0.75:  # T1
        tr, te, flip = chance.uniform(350, 900), chance.uniform(5, 20), 90.0
    elif kind < 0.85:  # proton density
        tr, te, flip = chance.uniform(1500, 5000), chance.uniform(8, 40), 90.0
    else:  # gradient echo
        tr, te, flip = chance.uniform(5, 500), chance.uniform(1, 12), chance.uniform(5, 60)

    def signal(own_t1: Tensor, own_t2: Tensor) -> Tensor:
        e1 = torch.exp(-tr / own_t1)
        angle = math.radians(flip)
        return math.sin(angle) * (1 - e1) / (1 - math.cos(angle) * e1) * torch.exp(-te / own_t2)

    suppressed = chance.uniform(0.0, 0.3) if chance.happens(0.15 if kind < 0.85 else 0.6) else chance.uniform(0.7, 1.3)
    of_fat = signal(torch.tensor(FAT_T1_MS), torch.tensor(FAT_T2_MS * chance.uniform(0.7, 1.4))) * suppressed
    result = density * ((1 - fat) * signal(t1, t2) + fat * of_fat)
    return result * _flow(source, chance) / result.max().clamp(min=1e-4)


def _flow(source: TissueMap, chance: Chance) -> Tensor:
    """Blood that moves loses signal, or brings fresh one."""
    artery, vein = (chance.uniform(0.0, 1.0) if chance.happens(0.7) else chance.uniform(1.0, 3.0) for _ in range(2))
    factor = {"arterial blood": artery, "venous blood": vein}
    return torch.tensor([1.0, *(factor.get(row.tissue, 1.0) for row in source.rows)])


def _ct(source: TissueMap, chance: Chance) -> _Look:
    """Hounsfield units, with contrast medium or without, of any mineral content; cut as scanners and viewers do."""
    mean = source.column("hounsfield")
    count = len(mean)
    medium = chance.happens(0.5)
    gains = {
        "arterial blood": chance.uniform(20, 300) if medium else 0.0,
        "venous blood": chance.uniform(0, 180) if medium else 0.0,
        "kidney cortex": chance.uniform(20, 200) if medium else 0.0,
        "kidney medulla": chance.uniform(0, 180) if medium else 0.0,
        "liver": chance.uniform(0, 80) if medium else 0.0,
        "spleen": chance.uniform(0, 90) if medium else 0.0,
        "bowel content": chance.uniform(-20, 250) if chance.happens(0.3) else 0.0,
        "bowel wall": chance.uniform(0, 60) if medium else 0.0,
        "muscle": chance.uniform(-10, 20),
    }
    mean = mean + torch.tensor([0.0, *(gains.get(row.tissue, 0.0) for row in source.rows)])
    bone = (mean > 150) & (mean < 2000)
    marrow = torch.tensor([False, *(row.tissue.startswith("cancellous") for row in source.rows)])
    mean = torch.where(bone, mean * chance.uniform(0.45, 1.2), mean)
    mean = torch.where(marrow, mean * chance.uniform(0.7, 1.5) + chance.uniform(-20, 60), mean)
    mean = mean + 8.0 * chance.normal(count)
    speckle = torch.where(marrow, chance.uniform(10, 60) * torch.ones(count), chance.uniform(2, 25) * chance.uniforms(count))
    strands = (chance.uniforms(count) < 0.5) * chance.uniform(0, 80) * chance.normal(count) * _unruly(source)
    low = chance.uniform(-1024, -900) if chance.happens(0.7) else chance.uniform(-400, -120)
    high = chance.uniform(1200, 3000) if chance.happens(0.7) else chance.uniform(250, 1200)
    return _Look(mean, speckle, 10.0 * chance.uniforms(count), strands, low, high)


def _any(source: TissueMap, chance: Chance) -> Tensor:
    """Each material of any brightness; mixed ones in between, so that what is alike stays alike."""
    names = sorted({name for row in source.rows for name, _ in row.mixture})
    bright = dict(zip(names, chance.uniforms(len(names)).tolist(), strict=True))
    if chance.happens(0.7):
        bright["cortical bone"] = 0.3 * bright.get("cortical bone", 0.0)
    air = 0.0 if chance.happens(0.85) else chance.uniform()
    values = [sum(share * bright[name] for name, share in row.mixture) for row in source.rows]
    for name in ("bowel gas", "air"):
        values = [air if row.tissue == name else value for row, value in zip(source.rows, values, strict=True)]
    return torch.tensor([air, *values])


def _acquired(picture: Tensor, spacing_mm: float, chance: Chance) -> Tensor:
    """What a scanner's resolution, coil and noise make of it."""
    shape = tuple(picture.shape)
    slices = int(chance.host.integers(3))
    thick = chance.uniform(1.5, 5.0) if chance.happens(0.6) else 1.0
    plane = chance.uniform(0.6, 1.6) if chance.happens(0.75) else chance.uniform(1.6, 3.2)
    spacing = [(max(plane, thick) if axis == slices else plane) / spacing_mm for axis in range(3)]
    picture = _blurred(picture, [max(0.35, 0.42 * s * chance.uniform(0.7, 1.2)) for s in spacing])
    coarse = tuple(max(4, round(n / max(s, 1.0))) for n, s in zip(shape, spacing, strict=True))
    spread = float(picture.std()) + 1e-4
    if chance.happens(0.8):
        picture = picture * torch.exp(chance.uniform(0.0, 0.35) * chance.smooth(shape, chance.uniform(60, 200) / spacing_mm))
    noise = spread * chance.logarithmic(0.01, 0.25)
    if coarse != shape:
        picture = functional.interpolate(picture[None, None], size=coarse, mode="trilinear", align_corners=False)[0, 0]
        picture = picture + noise * chance.normal(*coarse)
        picture = functional.interpolate(picture[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]
    else:
        picture = picture + noise * chance.normal(*shape)
    if chance.happens(0.5):
        low, high = picture.min(), picture.max()
        share = ((picture - low) / (high - low + 1e-6)).clamp(1e-6, 1)
        picture = low + (high - low) * share ** chance.logarithmic(0.7, 1.4)
    return picture


def _blurred(picture: Tensor, deviations: Sequence[float]) -> Tensor:
    """A Gaussian along each axis."""
    result = picture[None, None]
    for axis, deviation in enumerate(deviations):
        if deviation < 0.15:
            continue
        reach = max(1, math.ceil(2.5 * deviation))
        line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32, device=picture.device) / deviation) ** 2)
        kernel = (line / line.sum()).view([1, 1, *(-1 if a == axis else 1 for a in range(3))])
        pads = [reach if a == axis else 0 for a in reversed(range(3)) for _ in range(2)]
        result = functional.conv3d(functional.pad(result, pads, mode="replicate"), kernel)
    return result[0, 0]
