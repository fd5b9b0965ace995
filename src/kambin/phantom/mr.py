"""MR scanners: what a sequence makes of each tissue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from kambin.errors import InputError
from kambin.phantom.tissue import MaterialValues, Tissue
from kambin.phantom.tissue_values import FAT_T1_MS, FAT_T2_ECHO_TRAIN_MS, FAT_T2_SINGLE_ECHO_MS, MR, TEXTURE, MrTissue, Texture

_FAT_PPM = 3.4  # fat's main resonance lies this far below water's (Dixon 1984, Radiology 153:189)
_MHZ_PER_T = 42.577  # of protons

# A tissue's channels: water, fat, what pulsates, speckle, strands.
Channels = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class MrScanner:
    """A spin echo sequence, its coil and its faults. Axes are those of a canonical grid: 0 right, 1 anterior, 2 cranial.

    Parameters
    ----------
    title
        In words.
    tr_ms, te_ms
        Repetition time and (effective) echo time as the console shows them.
    contrast_te_ms
        Echo time of a plain spin echo with the same contrast: `te_ms` itself, except that trains of low, varying flip angles store
        magnetisation along the field for half of the time and so weight much less than their echo time says
        (Mugler 2014, J Magn Reson Imaging 39:745).
    echo_train
        Whether narrowly spaced echoes make fat bright.
    restored
        Whether what is left after the echo train is tipped back, which brightens fluids (driven equilibrium).
    field_t
        1.5 or 3.
    shape, spacing_mm
        The usual grid, right, anterior, cranial.
    across, phase
        Axes of slices and of phase encoding.
    volumetric
        Whether slices are encoded in k-space too.
    thickness
        Of a slice, relative to the slice spacing; below one there are gaps.
    bandwidth_hz
        For each voxel along the readout; fat is shifted by 3.4 ppm of the resonance frequency over this.
    acquired
        Share of k-space filled along readout, phase and, where volumetric, slices, 0 to 1; the rest is zero.
    finer
        Points painted for each voxel along readout and phase: with one, frequencies near the end of k-space hold a share of those
        beyond it, which costs the ringing of sharp edges some truth and nothing else.
    apodised
        Share of the filled k-space over which it fades out, 0 (all the ringing) to 1 (hardly any).
    snr
        White (see `white`) over the standard deviation of the noise, 60 mm deep in the back.
    coil_depth_mm
        Depth, from the patient's rearmost point, at which the spine coil hears half as much as at the surface.
    normalised
        How much of that is corrected afterwards, 0 to 1; noise deep in the body grows with it.
    saturated
        Share of the signal that a saturation band in front takes away, so that the moving belly disturbs less.
    saturation_depth_mm, saturation_edge_mm
        How far in front of the patient's rearmost point that band begins, and how much further it takes its full share.
    shading
        Size of a smooth unevenness that no correction takes away, 0 to 1.
    breathing, pulsation
        Strength of the ghosts of the moving belly and of cerebrospinal fluid along the phase axis, relative to their signal.
    arterial_flow, venous_flow
        What flowing blood keeps of its signal.
    oversampling
        How far, relative to the field of view, phase encoding reaches beyond it; what lies further out folds in.
    texture
        Scale of all tissue texture.

    Raises
    ------
    InputError
        When a parameter is out of range, with all of them.
    """

    title: str
    tr_ms: float
    te_ms: float
    contrast_te_ms: float
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    echo_train: bool = True
    restored: bool = False
    field_t: float = 1.5
    across: int = 0
    phase: int = 2
    volumetric: bool = False
    thickness: float = 0.9
    bandwidth_hz: float = 200.0
    acquired: tuple[float, float, float] = (1.0, 0.8, 1.0)
    finer: tuple[int, int] = (1, 1)
    apodised: float = 0.3
    snr: float = 70.0
    coil_depth_mm: float = 105.0
    normalised: float = 0.45
    saturated: float = 0.0
    saturation_depth_mm: float = 150.0
    saturation_edge_mm: float = 60.0
    shading: float = 0.1
    breathing: float = 0.04
    pulsation: float = 0.02
    arterial_flow: float = 0.03
    venous_flow: float = 0.3
    oversampling: float = 1.0
    texture: float = 1.0
    modality: str = "MR"

    def __post_init__(self) -> None:
        problems = []
        lengths = ("coil_depth_mm", "saturation_depth_mm", "saturation_edge_mm")
        for name in ("tr_ms", "te_ms", "contrast_te_ms", "thickness", "bandwidth_hz", "snr", *lengths):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                problems.append(f"expected {name} above 0, found {value}")
        for name in ("saturated", "shading", "breathing", "pulsation", "arterial_flow", "venous_flow", "apodised", "normalised"):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"expected {name} from 0 to 1, found {getattr(self, name)}")
        if self.field_t not in (1.5, 3.0):
            problems.append(f"expected field_t of 1.5 or 3, found {self.field_t}")
        if not all(0.05 <= share <= 1 for share in self.acquired):
            problems.append(f"expected acquired from 0.05 to 1, found {self.acquired}")
        if not all(isinstance(n, int) and 1 <= n <= 8 for n in self.finer):
            problems.append(f"expected finer of whole numbers from 1 to 8, found {self.finer}")
        if not 0 <= self.oversampling <= 10:
            problems.append(f"expected oversampling from 0 to 10, found {self.oversampling}")
        if not 0 <= self.texture <= 10:
            problems.append(f"expected texture from 0 to 10, found {self.texture}")
        if problems:
            raise InputError(f"scanner {self.title}", *problems)

    @property
    def fat_shift_voxels(self) -> float:
        """How many voxels fat lies behind water along the readout."""
        return _FAT_PPM * _MHZ_PER_T * self.field_t / self.bandwidth_hz

    def parameters(self) -> dict[str, object]:
        """All of them, for the record."""
        return asdict(self)


def spin_echo(proton_density: float, t1_ms: float, t2_ms: float, tr_ms: float, te_ms: float, *, restored: bool = False) -> float:
    """Signal of a spin echo with a long repetition against the echo time: PD (1 - exp(-TR/T1)) exp(-TE/T2).

    Where what is left of the transverse magnetisation is tipped back after the echo (driven equilibrium; Becker 1969, J Am Chem Soc
    91:7784), a fluid begins the next repetition with it: PD (1 - E1) E2 / (1 - E1 E2), E1 and E2 being the two exponentials.
    """
    e1, e2 = math.exp(-tr_ms / t1_ms), math.exp(-te_ms / t2_ms)
    return proton_density * (1.0 - e1) * e2 / (1.0 - e1 * e2 if restored else 1.0)


def water_and_fat(tissue: MrTissue, scanner: MrScanner) -> tuple[float, float]:
    """Signal of a tissue's water and of its fat, proton density of cerebrospinal fluid being one."""
    field = 0 if scanner.field_t < 2 else 1
    fat_t2 = FAT_T2_ECHO_TRAIN_MS if scanner.echo_train else FAT_T2_SINGLE_ECHO_MS
    tr, te = scanner.tr_ms, scanner.contrast_te_ms
    water = spin_echo(tissue.proton_density * (1.0 - tissue.fat), tissue.t1_ms[field], tissue.t2_ms, tr, te, restored=scanner.restored)
    return water, spin_echo(tissue.proton_density * tissue.fat, FAT_T1_MS[field], fat_t2, tr, te, restored=scanner.restored)


def white(scanner: MrScanner) -> float:
    """The signal that becomes 1000 counts: fat's or cerebrospinal fluid's, whichever is brighter."""
    return max(sum(water_and_fat(MR[tissue], scanner)) for tissue in (Tissue.FAT, Tissue.CSF))


def channel_values(scanner: MrScanner) -> MaterialValues:
    """For each tissue its water, fat, pulsating signal and amounts of speckle and of strands, in counts."""
    scale = 1000.0 / white(scanner)
    flow: Mapping[Tissue, float] = {Tissue.ARTERIAL_BLOOD: scanner.arterial_flow, Tissue.VENOUS_BLOOD: scanner.venous_flow}
    signals = {}
    for tissue, protons in MR.items():
        water, fat = (signal * scale * flow.get(tissue, 1.0) for signal in water_and_fat(protons, scanner))
        signals[tissue] = water, fat
    return MaterialValues({tissue: _channels(tissue, signals, scanner.texture) for tissue in MR})


def _channels(tissue: Tissue, signals: Mapping[Tissue, tuple[float, float]], texture: float) -> Channels:
    """A tissue's channels from its own signal and that of the tissue which its strands take it towards."""
    rough = TEXTURE.get(tissue, Texture())
    water, fat = signals[tissue]
    pulsating = water if tissue is Tissue.CSF else 0.0
    strands = sum(signals[rough.towards]) - water - fat
    return water, fat, pulsating, texture * rough.speckle * (water + fat), texture * rough.streaks * strands
