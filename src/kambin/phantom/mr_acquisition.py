"""From the tissues' signals to a magnitude picture: k-space, coil, motion, noise."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.phantom.field import Box
from kambin.phantom.mr import MrScanner
from kambin.phantom.noise import normals, uniforms
from kambin.phantom.raster import Piece, Progress
from kambin.phantom.slices import Axes, Painter, Profile
from kambin.phantom.tissue import Material
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
_MARGIN = 8  # voxels painted around each slice, so that the edges of the picture do not ring into one another
_NOISE, _COIL, _MOTION = 21, 22, 23
_REFERENCE_DEPTH_MM = 60.0
_STILL_DEPTH_MM, _MOVING_DEPTH_MM = 110.0, 220.0


@dataclass(frozen=True)
class Acquisition:
    """One MR scan being made.

    Parameters
    ----------
    pieces
        The patient, RAS millimetres.
    scanner
        Sequence, coil and faults.
    grid
        Canonical.
    values, background
        The tissues' channels (`kambin.phantom.mr.channel_values`) and those of air.
    seed
        Of texture, noise, shading and motion.
    """

    pieces: Sequence[Piece]
    scanner: MrScanner
    grid: Grid
    values: Mapping[Material, tuple[float, ...]]
    background: tuple[float, ...]
    seed: int

    def run(self, progress: Progress | None = None) -> npt.NDArray[np.int16]:
        """Magnitudes in counts, white being about 1000, of the grid's shape."""
        picture = self._signal(_part(progress, 0.0, 0.8))
        if self.scanner.volumetric:
            self._encode_slices(picture)
        return self._detected(picture, _part(progress, 0.8, 1.0))

    @cached_property
    def axes(self) -> Axes:
        return Axes.of(self.grid, self.scanner.across, self.scanner.phase)

    @cached_property
    def painter(self) -> Painter:
        spacing, across = self.grid.spacing_mm, self.axes.across
        thin = max(1.0, float(np.delete(spacing, across).max()))
        profile = Profile.of(float(spacing[across]), float(spacing[across]) * self.scanner.thickness, thin)
        return Painter(
            self.pieces, self.grid, across, profile, self.values, self.background, speckled=0, stranded=1, seed=self.seed, finer=self._finer
        )

    @cached_property
    def _finer(self) -> tuple[int, int, int]:
        """Painted points for each voxel along the axes of the grid."""
        result = [1, 1, 1]
        result[self.axes.readout], result[self.axes.phase] = self.scanner.finer
        return _triple(result)

    def _signal(self, progress: Callable[[float], None]) -> Float32Array:
        """All slices without noise."""
        across = self.axes.across
        result = np.empty(self.grid.shape, dtype=np.float32)
        start, stop = _widened(self.grid.shape, across)
        for first, last in self.painter.chunks(_MARGIN):
            start[across], stop[across] = first, last
            channels = self._folded(start, stop)

            def transform(index: int, channels: Float32Array = channels, first: int = first) -> None:
                plane = np.take(channels, index, axis=across + 1)
                _take(result, first + index, across)[...] = self._in_plane(plane)

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(transform, range(last - first)))
            progress(last / self.grid.shape[across])
        return result

    def _folded(self, start: list[int], stop: list[int]) -> Float32Array:
        """Channels with what lies outside of the encoded field of view along the phase axis folded in."""
        channels = self.painter.paint(_triple(start), _triple(stop))
        phase, over = self.axes.phase, self.scanner.oversampling
        period = round(self.grid.shape[phase] * (1.0 + over))
        if over < 1.0:
            for shift in (-period, period):
                one, two = list(start), list(stop)
                one[phase] += shift
                two[phase] += shift
                channels += self.painter.paint(_triple(one), _triple(two))
        return channels

    def _in_plane(self, channels: Float32Array) -> FloatArray:
        """One slice through k-space: ghosts, fat's shift, the end of k-space. Margins are cut off."""
        from scipy.fft import irfft2, rfft2

        # Axes here: readout last.
        water, fat, pulsating = (self._readout_last(channel) for channel in channels.astype(np.float64))
        water = water + self._ghosts(water + fat, pulsating)
        finer_read, finer_phase = self.scanner.finer
        shape = (water.shape[0] // finer_phase, water.shape[1] // finer_read)
        phase_k, read_k = _frequencies(shape)
        shifted = np.exp(-2j * np.pi * read_k * self.scanner.fat_shift_voxels)
        spectrum = _middle(rfft2(water), shape) + _middle(rfft2(fat), shape) * shifted
        read, phase, _ = self.scanner.acquired
        # Painted points are means about them; encoded ones are not, which this undoes before k-space ends.
        spectrum *= _window(phase_k, phase, self.scanner.apodised) / np.sinc(phase_k / finer_phase)
        spectrum *= _window(read_k, read, self.scanner.apodised) / np.sinc(read_k / finer_read)
        plane = irfft2(spectrum, s=shape) / (finer_read * finer_phase)
        plane = plane[_MARGIN : _MARGIN + self.grid.shape[self.axes.phase], _MARGIN : _MARGIN + self.grid.shape[self.axes.readout]]
        return np.asarray(self._readout_last(plane))

    def _readout_last(self, plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """A slice with its readout last, or back again."""
        return plane.T if self.axes.readout < self.axes.phase else plane

    def _ghosts(self, signal: FloatArray, pulsating: FloatArray) -> FloatArray:
        """Copies of what moves, to both sides along the phase axis (the first); the shifts are the seed's."""
        result = np.zeros_like(signal)
        chance = uniforms(4, self.seed, _MOTION)
        moving = ((self.scanner.breathing, signal * self._belly), (self.scanner.pulsation, pulsating))
        for (strength, part), place, sign in zip(moving, chance[:2], chance[2:], strict=True):
            if strength > 0:
                shift = round((0.08 + 0.3 * place) * len(signal))
                amount = strength * 0.5 * (1.0 if sign < 0.5 else -1.0)
                result += amount * (np.roll(part, shift, axis=0) + np.roll(part, -shift, axis=0))
        return result

    @cached_property
    def _belly(self) -> FloatArray:
        """How much of a voxel moves with the breath, for the middle slice with its margins."""
        start, stop = _widened(self.grid.shape, self.axes.across)
        middle = self.grid.shape[self.axes.across] // 2
        start[self.axes.across], stop[self.axes.across] = middle, middle + 1
        depth = np.take(self._depth_mm(_triple(start), _triple(stop)), 0, axis=self.axes.across)
        for axis, times in enumerate(np.delete(self._finer, self.axes.across)):
            depth = np.repeat(depth, times, axis=axis)
        return self._readout_last(np.clip((depth - _STILL_DEPTH_MM) / (_MOVING_DEPTH_MM - _STILL_DEPTH_MM), 0.0, 1.0))

    def _encode_slices(self, picture: Float32Array) -> None:
        """The end of k-space along the slices, in place."""
        from scipy.fft import irfft, rfft

        across, count = self.axes.across, self.grid.shape[self.axes.across]
        if count < 4:
            return
        # Mirrored slices beyond both ends keep them from ringing into one another.
        margin = min(_MARGIN, count - 1)
        k = np.arange((count + 2 * margin) // 2 + 1) / (count + 2 * margin)
        window = _window(k, self.scanner.acquired[2], self.scanner.apodised) / np.sinc(k)
        rows = self.grid.shape[self.axes.phase]

        def encode(row: int) -> None:
            lines = np.take(picture, row, axis=self.axes.phase)
            lines = np.moveaxis(lines, across if across < self.axes.phase else across - 1, -1).astype(np.float64)
            padded = np.concatenate([lines[:, margin:0:-1], lines, lines[:, -2 : -2 - margin : -1]], axis=1)
            lines = irfft(rfft(padded) * window, n=padded.shape[1])[:, margin : margin + count]
            target = _take(picture, row, self.axes.phase)
            target[...] = np.moveaxis(lines, -1, across if across < self.axes.phase else across - 1)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(encode, range(rows)))

    def _detected(self, picture: Float32Array, progress: Callable[[float], None]) -> npt.NDArray[np.int16]:
        """Coil, noise, magnitude, whole numbers."""
        across = self.axes.across
        result = np.empty(self.grid.shape, dtype=np.int16)

        def detect(index: int) -> None:
            hears = self._coil(index)
            noise = self._noise(index)
            plane = np.hypot(_take(picture, index, across) * (hears * self._unsaturated(index)) + noise.real, noise.imag)
            if self.scanner.normalised > 0:
                plane /= np.power(hears, self.scanner.normalised)
            _take(result, index, across)[...] = np.clip(np.rint(plane), 0, np.iinfo(np.int16).max)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(detect, range(self.grid.shape[across])), start=1):
                progress(done / self.grid.shape[across])
        return result

    def _noise(self, index: int) -> npt.NDArray[np.complex128]:
        """Complex noise of one slice, ending where k-space does."""
        from scipy.fft import fft2, fftfreq, ifft2

        shape = (self.grid.shape[self.axes.phase], self.grid.shape[self.axes.readout])
        both = normals((2, *shape), self.seed, _NOISE, index).astype(np.float64)
        read, phase, _ = self.scanner.acquired
        window = _window(fftfreq(shape[0])[:, None], phase, self.scanner.apodised) * _window(fftfreq(shape[1]), read, self.scanner.apodised)
        scale = 1000.0 / self.scanner.snr / float(np.sqrt(np.square(window).mean()))
        noise = ifft2(fft2(both[0] + 1j * both[1]) * (window * scale))
        return np.asarray(noise.T if self.axes.readout < self.axes.phase else noise)

    def _coil(self, index: int) -> FloatArray:
        """What the coil hears of each voxel of a slice; one, 60 mm deep, apart from the shading."""
        start, stop = self._ends(index)
        ratio = self._depth_mm(start, stop) / self.scanner.coil_depth_mm
        reference = _REFERENCE_DEPTH_MM / self.scanner.coil_depth_mm
        hears = (1.0 + reference * reference) / (1.0 + ratio * ratio)
        for axis, curve in enumerate(self._shading):
            part = curve[start[axis] : stop[axis]]
            hears = hears * part.reshape([-1 if a == axis else 1 for a in range(3)])
        return np.asarray(np.take(hears, 0, axis=self.axes.across))

    def _unsaturated(self, index: int) -> FloatArray | float:
        """What the saturation band leaves of a slice."""
        if self.scanner.saturated <= 0:
            return 1.0
        depth = np.take(self._depth_mm(*self._ends(index)), 0, axis=self.axes.across)
        inside = np.clip((depth - self.scanner.saturation_depth_mm) / self.scanner.saturation_edge_mm, 0.0, 1.0)
        return np.asarray(1.0 - self.scanner.saturated * inside)

    def _ends(self, index: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Start and stop of one slice."""
        start, stop = [0, 0, 0], list(self.grid.shape)
        start[self.axes.across], stop[self.axes.across] = index, index + 1
        return _triple(start), _triple(stop)

    @cached_property
    def _shading(self) -> list[FloatArray]:
        """Unevenness along each axis of the grid, about one."""
        chance = self.scanner.shading * (2.0 * uniforms(6, self.seed, _COIL) - 1.0)
        places = [np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1) for n in self.grid.shape]
        return [1.0 + 0.5 * (one * t + two * (t * t - 0.5)) for t, one, two in zip(places, chance[:3], chance[3:], strict=True)]

    def _depth_mm(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> FloatArray:
        """How far voxels lie in front of the patient's rearmost point, at least 0."""
        row, origin = self.grid.world_from_voxel[1, :3], self.grid.world_from_voxel[1, 3]
        i, j, k = (np.arange(a, b, dtype=np.float64) for a, b in zip(start, stop, strict=True))
        anterior = row[0] * i[:, None, None] + row[1] * j[:, None] + row[2] * k + origin
        return np.asarray(np.maximum(anterior - self._rear_mm, 0.0))

    @cached_property
    def _rear_mm(self) -> float:
        rear = float(Box.enclosing([piece.shape.box for piece in self.pieces]).low_mm[1])
        # A shape without end has no rear.
        return rear if rear > -2000.0 else float(self.grid.corners_mm()[:, 1].min())


def _window(k: FloatArray, acquired: float, apodised: float) -> FloatArray:
    """How much of k-space is there, `k` in cycles per voxel: all up to a point, then fading as a cosine does."""
    edge = 0.5 * acquired
    inner = edge * (1.0 - apodised)
    size = np.abs(k)
    if apodised <= 0:
        return (size <= edge + 1e-9).astype(np.float64)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip((size - inner) / (edge - inner), 0.0, 1.0)))


def _middle(spectrum: npt.NDArray[np.complex128], shape: tuple[int, int]) -> npt.NDArray[np.complex128]:
    """The low frequencies of a real transform that one of this shape would have."""
    rows = shape[0]
    low = spectrum[:, : shape[1] // 2 + 1]
    return low if rows == len(spectrum) else np.concatenate([low[: (rows + 1) // 2], low[len(low) - rows // 2 :]])


def _frequencies(shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Cycles per voxel along phase, a column, and readout, a row, of a real transform."""
    from scipy.fft import fftfreq, rfftfreq

    return np.asarray(fftfreq(shape[0])[:, None]), np.asarray(rfftfreq(shape[1]))


def _widened(shape: tuple[int, int, int], across: int) -> tuple[list[int], list[int]]:
    """Start and stop of slices with their margins, lengths made such that they transform quickly."""
    from scipy.fft import next_fast_len

    start = [0 if axis == across else -_MARGIN for axis in range(3)]
    stop = [n if axis == across else next_fast_len(n + 2 * _MARGIN, real=True) - _MARGIN for axis, n in enumerate(shape)]
    return start, stop


def _take(volume: npt.NDArray[Any], index: int, axis: int) -> npt.NDArray[Any]:
    """A slice of a volume, as a view."""
    place: list[slice | int] = [slice(None)] * 3
    place[axis] = index
    return volume[tuple(place)]


def _triple(numbers: Sequence[int]) -> tuple[int, int, int]:
    one, two, three = numbers
    return one, two, three


def _part(progress: Progress | None, low: float, high: float) -> Callable[[float], None]:
    """Progress of one of several steps."""

    def report(fraction: float) -> None:
        if progress is not None:
            progress(low + (high - low) * fraction)

    return report
