"""A scanner whose contrast is drawn: for networks that shall not care which sequence they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from kambin.errors import InputError
from kambin.phantom.mr import MrScanner
from kambin.phantom.noise import uniforms
from kambin.phantom.tissue import MaterialValues, Tissue
from kambin.phantom.tissue_values import MR, TEXTURE

_CONTRAST, _MACHINE = 41, 42


@dataclass(frozen=True, slots=True)
class RandomScanner:
    """Every tissue has any intensity and roughness, independent of the others; sharpness, noise, coil and motion are drawn too.

    Parameters
    ----------
    title
        In words.
    shape, spacing_mm
        The usual grid, right, anterior, cranial.
    snr
        Lowest and highest ratio of white to noise.
    acquired
        Lowest and highest share of k-space: how blurred it gets.
    speckle
        Highest roughness of a tissue, relative to its intensity.
    bright_air
        Share of scans whose air is not black.
    """

    title: str = "random contrast, 0.8 mm isotropic"
    shape: tuple[int, int, int] = (128, 320, 320)
    spacing_mm: tuple[float, float, float] = (0.8, 0.8, 0.8)
    snr: tuple[float, float] = (12.0, 120.0)
    acquired: tuple[float, float] = (0.45, 1.0)
    speckle: float = 0.3
    bright_air: float = 0.2

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.snr[0] <= self.snr[1]:
            problems.append(f"expected snr from low to high, above 0, found {self.snr}")
        if not 0.05 <= self.acquired[0] <= self.acquired[1] <= 1:
            problems.append(f"expected acquired from low to high, 0.05 to 1, found {self.acquired}")
        if not (0 <= self.speckle <= 1 and 0 <= self.bright_air <= 1):
            problems.append(f"expected speckle and bright_air from 0 to 1, found {self.speckle} and {self.bright_air}")
        if problems:
            raise InputError(f"scanner {self.title}", *problems)

    @property
    def modality(self) -> None:
        """Neither MR nor CT."""
        return None

    def parameters(self) -> dict[str, object]:
        """All of them, for the record."""
        return asdict(self)


def drawn(scanner: RandomScanner, seed: int) -> tuple[MrScanner, MaterialValues]:
    """The machine and the tissues' channels that belong to a seed."""
    chance = uniforms(14, seed, _MACHINE).tolist()
    low, high = scanner.snr
    blur = [scanner.acquired[0] + (scanner.acquired[1] - scanner.acquired[0]) * c for c in chance[:3]]
    machine = MrScanner(
        title=scanner.title,
        # Of no use here: the tissues' signals are drawn.
        tr_ms=1.0,
        te_ms=1.0,
        contrast_te_ms=1.0,
        shape=scanner.shape,
        spacing_mm=scanner.spacing_mm,
        phase=1 + round(chance[3]),
        volumetric=True,
        thickness=0.8 + 0.4 * chance[4],
        bandwidth_hz=110.0 + 500.0 * chance[5],
        acquired=(blur[0], blur[1], blur[2]),
        apodised=0.1 + 0.9 * chance[6],
        snr=low * (high / low) ** chance[7],
        coil_depth_mm=70.0 + 400.0 * chance[8] * chance[8],
        normalised=chance[9],
        shading=0.5 * chance[10],
        breathing=0.1 * chance[11] * chance[11],
        pulsation=0.06 * chance[12] * chance[12],
    )
    return machine, _contrast(scanner, seed, bright_air=chance[13] < scanner.bright_air)


def _contrast(scanner: RandomScanner, seed: int, bright_air: bool) -> MaterialValues:
    result = MaterialValues()
    for tissue in Tissue:
        # Keyed by name: a new tissue leaves the others' contrast alone.
        signal, other, speckle, streaks = uniforms(4, seed, _CONTRAST, *tissue.value.encode()).tolist()
        signal *= 1000.0
        if tissue is Tissue.AIR and not bright_air:
            signal = 0.0
        fat = MR[tissue].fat * signal
        rough = scanner.speckle * speckle * speckle * signal if tissue is not Tissue.AIR else 0.0
        # Where a tissue has strands, they are of any brightness too.
        stranded = tissue in TEXTURE and TEXTURE[tissue].streaks > 0
        strands = 0.6 * streaks * (1000.0 * other - signal) if stranded else 0.0
        result[tissue] = (signal - fat, fat, signal - fat if tissue is Tissue.CSF else 0.0, rough, strands)
    return result
