"""How bright each tissue is, and how uneven: MR by the signal equations, CT, or the brightness of no scanner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from kambin.segmentation.chance import Chance, blurred
from kambin.segmentation.tissues import TissueMap

FAT_T1_MS, FAT_T2_MS = 350.0, 110.0


@dataclass(frozen=True, slots=True)
class Look:
    """Every row's intensity, speckle, unevenness and strands; where a scanner cuts; and whether it has coils, which shade."""

    mean: Tensor
    speckle: Tensor
    uneven: Tensor
    strands: Tensor
    low: float = -math.inf
    high: float = math.inf
    coils: bool = True

    def painted(self, numbers: Tensor, spacing_mm: float, chance: Chance) -> Tensor:
        shape = tuple(numbers.shape)
        result = self.mean[numbers]
        result += self.uneven[numbers] * chance.smooth(shape, chance.uniform(8, 30) / spacing_mm)
        fine = chance.normal(*shape)
        if chance.happens(0.6):
            fine = blurred(fine, [chance.uniform(0.3, 1.2)] * 3)
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


def drawn_look(source: TissueMap, mr: float, ct: float, chance: Chance) -> Look:
    """A look of this patient: like MR in a share `mr` of the draws, like CT in a share `ct`, of any brightness in the rest."""
    which = chance.uniform()
    if which < mr:
        mean = _mr(source, chance)
    elif which < mr + ct:
        return _ct(source, chance)
    else:
        mean = _any(source, chance)
    count = len(mean)
    mean = mean * torch.exp(chance.uniform(0.02, 0.12) * chance.normal(count))
    size = mean.abs() + 0.03 * mean.max()
    rough = chance.uniform(0.0, 0.2)
    towards = mean[torch.randperm(count, generator=chance.generator)]
    return Look(
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


def _ct(source: TissueMap, chance: Chance) -> Look:
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
    if chance.happens(0.75):  # about as it will be cut in use
        low, high = chance.uniform(-320, -120), chance.uniform(400, 1200)
    else:
        low = chance.uniform(-1024, -900) if chance.happens(0.7) else chance.uniform(-400, -120)
        high = chance.uniform(1200, 3000) if chance.happens(0.7) else chance.uniform(250, 1200)
    return Look(mean, speckle, 10.0 * chance.uniforms(count), strands, low, high, coils=False)


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
