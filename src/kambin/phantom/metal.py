"""Streaks around metal: what two X-ray energies and too few photons leave in the rays that cross it, projected back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kambin.phantom.noise import normals
from kambin.phantom.tissue import Tissue
from kambin.phantom.tissue_values import HOUNSFIELD

FloatArray = npt.NDArray[np.float64]
_ANGLES = 180
_NOISE = 32
# Attenuation per mm of water and of titanium at 50 and 80 keV, which stand for the spectrum (NIST XCOM, recalled), half the photons each.
_WATER = (0.02269, 0.01837)
_TITANIUM = (0.546, 0.182)
_METAL = 1.0 + HOUNSFIELD[Tissue.METAL] / 1000.0  # attenuation of painted metal, in that of water
_PHOTONS = 2.0e5  # per ray before the patient
_BODY_STEP = 4


def metal_error(hu: FloatArray, metal: FloatArray, pixel_mm: tuple[float, float], seed: int, index: int) -> FloatArray:
    """What metal adds to one slice, in Hounsfield units, by parallel projection, the error of each ray, and filtered back projection.

    Parameters
    ----------
    hu
        The slice with the metal, shape (m, n).
    metal
        Share of metal in each pixel.
    pixel_mm
        Spacing along both axes.
    seed, index
        Of the photon noise.

    Returns
    -------
    array
        Shape (m, n). Zero, exactly, where there is no metal in the slice.
    """
    if not metal.any():
        return np.zeros_like(hu)
    step = min(pixel_mm)
    angles = np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    half = int(np.ceil(0.5 * np.hypot(hu.shape[0] * pixel_mm[0], hu.shape[1] * pixel_mm[1]) / step)) + 2
    through_metal = _projected(metal, pixel_mm, step, half, angles)
    body = np.maximum(1.0 + hu / 1000.0 - metal * _METAL, 0.0)
    coarse, coarse_mm = _coarser(body, pixel_mm)
    through_body = _projected(coarse, coarse_mm, step * _BODY_STEP, half // _BODY_STEP + 2, angles)
    through_body = _finer(through_body, half)
    error = _error(through_body, through_metal, normals(through_metal.shape, seed, _NOISE, index).astype(np.float64))
    back = _projected_back(_ramp_filtered(error, step), hu.shape, pixel_mm, step, half, angles)
    return np.asarray(back * 1000.0 / _water_per_mm())


def _water_per_mm() -> float:
    return 0.5 * (_WATER[0] + _WATER[1])


def _error(body_mm: FloatArray, metal_mm: FloatArray, deviates: FloatArray) -> FloatArray:
    """How far the measured line integrals are from those at one energy; zero off the metal."""
    intensity = sum(0.5 * np.exp(-w * body_mm - t * metal_mm) for w, t in zip(_WATER, _TITANIUM, strict=True))
    without = sum(0.5 * np.exp(-w * body_mm) for w in _WATER)
    counts = _PHOTONS * intensity
    counts = np.maximum(counts + np.sqrt(counts + 10.0) * deviates, 2.0)
    measured = np.log(_PHOTONS * without) - np.log(counts)
    # Scanners correct for water, so that without metal nothing is wrong.
    ideal = _METAL * _water_per_mm() * metal_mm
    return np.where(metal_mm > 1e-6, measured - ideal, 0.0)


def _centred(shape: tuple[int, ...], pixel_mm: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    one = (np.arange(shape[0], dtype=np.float64) - 0.5 * (shape[0] - 1)) * pixel_mm[0]
    two = (np.arange(shape[1], dtype=np.float64) - 0.5 * (shape[1] - 1)) * pixel_mm[1]
    return np.asarray(one[:, None]), np.asarray(two[None, :])


def _projected(image: FloatArray, pixel_mm: tuple[float, float], step: float, half: int, angles: FloatArray) -> FloatArray:
    """Line integrals in mm, shape (angles, 2 half + 1): every quarter of a pixel is shared between its two nearest rays."""
    one, two = _centred(image.shape, pixel_mm)
    rows, columns = np.nonzero(image)
    quarters = 0.25 * np.array([[-1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, 1.0]])
    x = (one[rows] + quarters[0] * pixel_mm[0]).ravel()
    y = (two.T[columns] + quarters[1] * pixel_mm[1]).ravel()
    weight = np.repeat(image[rows, columns] * (0.25 * pixel_mm[0] * pixel_mm[1] / step), 4)
    count = 2 * half + 1
    result = np.empty((len(angles), count))
    for number, angle in enumerate(angles):
        place = (x * np.cos(angle) + y * np.sin(angle)) / step + half
        low = np.clip(np.floor(place).astype(np.intp), 0, count - 2)
        share = place - low
        result[number] = np.bincount(low, weight * (1.0 - share), count) + np.bincount(low + 1, weight * share, count)
    return result


def _coarser(image: FloatArray, pixel_mm: tuple[float, float]) -> tuple[FloatArray, tuple[float, float]]:
    """Means of blocks of pixels; the edges are padded with nothing."""
    pad = [(0, -n % _BODY_STEP) for n in image.shape]
    padded = np.pad(image, pad)
    blocks = padded.reshape(padded.shape[0] // _BODY_STEP, _BODY_STEP, padded.shape[1] // _BODY_STEP, _BODY_STEP)
    return blocks.mean(axis=(1, 3)), (pixel_mm[0] * _BODY_STEP, pixel_mm[1] * _BODY_STEP)


def _finer(sinogram: FloatArray, half: int) -> FloatArray:
    """A coarse sinogram at the rays of the fine one."""
    coarse_half = (sinogram.shape[1] - 1) // 2
    places = np.arange(-half, half + 1) / _BODY_STEP + coarse_half
    low = np.clip(np.floor(places).astype(np.intp), 0, sinogram.shape[1] - 2)
    share = places - low
    return np.asarray(sinogram[:, low] * (1.0 - share) + sinogram[:, low + 1] * share)


def _ramp_filtered(sinogram: FloatArray, step: float) -> FloatArray:
    """Filtered for back projection: the ramp, by its band-limited form in space (Ramachandran 1971), with a Hann window."""
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    count = sinogram.shape[1]
    size = next_fast_len(2 * count, real=True)
    places = np.minimum(np.arange(size), size - np.arange(size))
    kernel = np.zeros(size)
    kernel[0] = 0.25
    odd = places % 2 == 1
    kernel[odd] = -1.0 / np.square(np.pi * places[odd])
    window = 0.5 + 0.5 * np.cos(2.0 * np.pi * rfftfreq(size))
    filtered = irfft(rfft(sinogram, n=size, axis=1) * (rfft(kernel) * window), n=size, axis=1)
    return np.asarray(filtered[:, :count] / step)


def _projected_back(
    sinogram: FloatArray, shape: tuple[int, ...], pixel_mm: tuple[float, float], step: float, half: int, angles: FloatArray
) -> FloatArray:
    one, two = _centred(shape, pixel_mm)
    result = np.zeros(shape)
    for row, angle in zip(sinogram, angles, strict=True):
        place = (one * np.cos(angle) + two * np.sin(angle)) * (1.0 / step) + half
        low = place.astype(np.intp)
        place -= low
        slope = np.diff(row, append=row[-1])
        result += row[low] + slope[low] * place
    return np.asarray(result * (np.pi / len(angles)))
