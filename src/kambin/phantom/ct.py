"""CT scanners: kernel, noise, slice thickness, metal."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.phantom.metal import metal_error
from kambin.phantom.noise import normals
from kambin.phantom.raster import Piece, Progress
from kambin.phantom.slices import Axes, Painter, Profile
from kambin.phantom.tissue import MaterialValues, Tissue
from kambin.phantom.tissue_values import HOUNSFIELD, TEXTURE_CT, Texture
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
_NOISE = 31
_MARGIN = 8
_LOWEST_HU, _HIGHEST_HU = -1024, 3071
_WATER_PER_MM = 0.0193  # attenuation of water at about 70 keV (NIST XCOM, recalled)
_REFERENCE_MM = 300.0
# Of the exponent by which noise grows with the way through the body, this much is left by tube current modulation and bow-tie filter.
_UNMODULATED = 0.45


@dataclass(frozen=True, slots=True)
class Kernel:
    """A reconstruction kernel by its modulation transfer function, ``(1 + edge (f/f50)^2) exp(-ln 2 (1 + edge) (f/f50)^steep)``.

    Parameters
    ----------
    f50_per_mm
        Where, without edge enhancement, half of the contrast is left, cycles per millimetre.
    edge
        Enhancement of middle frequencies, 0 for none.
    steep
        How abruptly it ends, 2 for a Gaussian.
    """

    f50_per_mm: float
    edge: float = 0.0
    steep: float = 2.0

    def mtf(self, f_per_mm: FloatArray) -> FloatArray:
        ratio = f_per_mm / self.f50_per_mm
        fall = np.exp(-math.log(2.0) * (1.0 + self.edge) * np.power(ratio, self.steep))
        return np.asarray((1.0 + self.edge * np.square(ratio)) * fall)


# Half contrast at 3.5 to 4 cycles per cm with standard kernels, 8 to 10 with bone kernels, which overshoot before (recalled from
# makers' data sheets).
SOFT = Kernel(f50_per_mm=0.38)
BONE = Kernel(f50_per_mm=0.75, edge=1.2, steep=2.5)


@dataclass(frozen=True, slots=True)
class CtScanner:
    """A CT protocol. Axes are those of a canonical grid: 0 right, 1 anterior, 2 cranial.

    Parameters
    ----------
    title
        In words.
    kernel
        Sharpness and, with it, the colour of the noise.
    shape, spacing_mm
        The usual grid, right, anterior, cranial.
    thickness
        Of a slice, relative to the slice spacing.
    noise_hu
        Standard deviation in the middle of 300 mm of water, of 5 mm slices of the soft kernel at dose 1; the other kernels, slices
        and doses follow from it. About 12 HU in routine abdomens (recalled).
    dose
        Relative; noise falls with its square root.
    across
        Axis of the slices.
    texture
        Scale of all tissue texture.

    Raises
    ------
    InputError
        When a parameter is out of range, with all of them.
    """

    title: str
    kernel: Kernel
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    thickness: float = 1.0
    noise_hu: float = 12.0
    dose: float = 1.0
    across: int = 2
    texture: float = 1.0
    modality: str = "CT"

    def __post_init__(self) -> None:
        names = ("thickness", "dose")
        problems = [f"expected {n} above 0, found {getattr(self, n)}" for n in names if not getattr(self, n) > 0]
        if not 0 <= self.noise_hu <= 1000:
            problems.append(f"expected noise_hu from 0 to 1000, found {self.noise_hu}")
        if not 0 <= self.texture <= 10:
            problems.append(f"expected texture from 0 to 10, found {self.texture}")
        if problems:
            raise InputError(f"scanner {self.title}", *problems)

    def parameters(self) -> dict[str, object]:
        """All of them, for the record."""
        return asdict(self)


@dataclass(frozen=True)
class CtAcquisition:
    """One CT scan being made.

    Parameters
    ----------
    pieces
        The patient, RAS millimetres.
    scanner
        The protocol.
    grid
        Canonical.
    seed
        Of texture and noise.
    """

    pieces: Sequence[Piece]
    scanner: CtScanner
    grid: Grid
    seed: int

    def run(self, progress: Progress | None = None) -> npt.NDArray[np.int16]:
        """Hounsfield units of the grid's shape, -1024 to 3071."""
        across = self.axes.across
        result = np.empty(self.grid.shape, dtype=np.int16)
        start, stop = [-_MARGIN] * 3, [n + _MARGIN for n in self.grid.shape]
        for first, last in self.painter.chunks(_MARGIN):
            start[across], stop[across] = first, last
            channels = self.painter.paint((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

            def scan(index: int, channels: Float32Array = channels, first: int = first) -> None:
                hu, metal = np.take(channels, index, axis=across + 1).astype(np.float64)
                place: list[slice | int] = [slice(None)] * 3
                place[across] = first + index
                result[tuple(place)] = np.clip(np.rint(self._slice(hu, metal, first + index)), _LOWEST_HU, _HIGHEST_HU)

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(scan, range(last - first)))
            if progress is not None:
                progress(last / self.grid.shape[across])
        return result

    @cached_property
    def axes(self) -> Axes:
        return Axes.of(self.grid, self.scanner.across, phase=1)

    @cached_property
    def painter(self) -> Painter:
        spacing, across = self.grid.spacing_mm, self.axes.across
        thin = max(1.0, float(np.delete(spacing, across).max()))
        profile = Profile.of(float(spacing[across]), float(spacing[across]) * self.scanner.thickness, thin)
        values = MaterialValues({tissue: self._channels(tissue) for tissue in Tissue})
        return Painter(self.pieces, self.grid, across, profile, values, self._channels(Tissue.AIR), speckled=0, stranded=0, seed=self.seed)

    def _channels(self, tissue: Tissue) -> tuple[float, ...]:
        """Hounsfield units, share of metal, amounts of speckle and of strands."""
        rough, hu = TEXTURE_CT.get(tissue, Texture()), HOUNSFIELD[tissue]
        speckle, strands = rough.speckle * 100.0, rough.streaks * (HOUNSFIELD[rough.towards] - hu)
        return hu, float(tissue is Tissue.METAL), self.scanner.texture * speckle, self.scanner.texture * strands

    @cached_property
    def _pixel_mm(self) -> tuple[float, float]:
        one, two = np.delete(self.grid.spacing_mm, self.axes.across)
        return float(one), float(two)

    def _slice(self, hu: FloatArray, metal: FloatArray, index: int) -> FloatArray:
        """One slice as the scanner shows it; the margins are cut off."""
        from scipy.fft import irfft2, rfft2

        noise = self._noise(hu, index) if self.scanner.noise_hu > 0 else 0.0
        if metal.any():
            hu = hu + metal_error(hu, metal, self._pixel_mm, self.seed, index)
        pad = [(0, fast - n) for fast, n in zip(self._fast, hu.shape, strict=True)]
        one, two, size = self._frequencies
        # Painted voxels are means over the voxel, which the kernel's own sharpness replaces.
        blur = self.scanner.kernel.mtf(size) / (np.sinc(one * self._pixel_mm[0]) * np.sinc(two * self._pixel_mm[1]))
        plane = irfft2(rfft2(np.pad(hu, pad, mode="edge")) * blur, s=self._fast)[: hu.shape[0], : hu.shape[1]] + noise
        return np.asarray(plane[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])

    def _noise(self, hu: FloatArray, index: int) -> FloatArray:
        """Noise of filtered back projection: its power rises with frequency and falls with the kernel.

        Riederer 1978, Phys Med Biol 23:446.

        Rays along one axis and along the other make noise of their own, strong along the long way through the body: horizontal streaks
        in a wide pelvis.
        """
        from scipy.fft import irfft2, rfft2

        white = normals((2, *self._fast), self.seed, _NOISE, index).astype(np.float64)
        one, two, size = self._frequencies
        size = np.maximum(size, 1e-6)
        colour = np.sqrt(size) * self.scanner.kernel.mtf(size) * self._noise_scale
        result = np.zeros_like(hu)
        for axis, across_ray in enumerate((two, one)):
            # Rays along an axis know nothing of changes along it: they make the frequencies across.
            made = irfft2(rfft2(white[axis]) * (colour * np.abs(across_ray) / size), s=self._fast)[: hu.shape[0], : hu.shape[1]]
            way = np.maximum(1.0 + hu / 1000.0, 0.0).sum(axis=axis, keepdims=True) * self._pixel_mm[axis]
            result += made * np.exp(0.5 * _UNMODULATED * _WATER_PER_MM * (way - _REFERENCE_MM))
        return result

    @cached_property
    def _noise_scale(self) -> float:
        """Amplitude at which `noise_hu` comes out for a soft kernel at 5 mm, on pixels of this grid."""
        # Without the lattice's end: variance is the integral of the power over the frequencies that a pixel grid of 0.7 mm holds.
        f = np.linspace(0.0, 0.71, 2000)
        power = float(np.sum(f * np.square(SOFT.mtf(f)) * 2.0 * np.pi * f) * (f[1] - f[0]))
        slice_mm = self.scanner.thickness * float(self.grid.spacing_mm[self.axes.across])
        sigma = self.scanner.noise_hu * math.sqrt(5.0 / slice_mm / self.scanner.dose)
        return sigma / math.sqrt(power * self._pixel_mm[0] * self._pixel_mm[1])

    @cached_property
    def _fast(self) -> tuple[int, int]:
        from scipy.fft import next_fast_len

        one, two = (int(n) + 2 * _MARGIN for n in np.delete(self.grid.shape, self.axes.across))
        return next_fast_len(one, real=True), next_fast_len(two, real=True)

    @cached_property
    def _frequencies(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cycles per millimetre along the two axes of a slice, and their length."""
        from scipy.fft import fftfreq, rfftfreq

        one = np.asarray(fftfreq(self._fast[0], self._pixel_mm[0])[:, None])
        two = np.asarray(rfftfreq(self._fast[1], self._pixel_mm[1]))
        return one, two, np.hypot(one, two)
