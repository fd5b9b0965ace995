"""How a scanner cuts the patient into slices, and the picture of a few slices before anything goes wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.phantom.raster import Piece, paint_signal
from kambin.phantom.texture import add_texture, speckle, strands
from kambin.phantom.tissue import Material
from kambin.volume import Grid

Float32Array = npt.NDArray[np.float32]
_THICK = 1.5
_CHUNK_VOXELS = 6 << 20
_RAMP = 0.15


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes of a grid are to a scanner.

    Parameters
    ----------
    across
        Array axis along which slices follow each other.
    readout, phase
        The two axes within a slice.
    """

    across: int
    readout: int
    phase: int

    @classmethod
    def of(cls, grid: Grid, across: int, phase: int) -> Axes:
        """The axes that a scanner prefers, unless the grid's own thick slices say otherwise.

        Parameters
        ----------
        across, phase
            The scanner's, as axes of a canonical grid.
        """
        spacing = grid.spacing_mm
        others = np.delete(spacing, int(spacing.argmax()))
        if spacing.max() > _THICK * others.max():
            across = int(spacing.argmax())
        if phase == across:
            phase = min({0, 1, 2} - {across}, key=lambda axis: abs(axis - 1))
        return cls(across, 3 - across - phase, phase)


@dataclass(frozen=True, slots=True)
class Profile:
    """The slice profile, sampled.

    Parameters
    ----------
    count
        Thin slices painted for each slice spacing.
    first
        Index of the first of them that counts for a slice, from the first of that slice's own spacing.
    weights
        They add up to one.
    """

    count: int
    first: int
    weights: tuple[float, ...]

    @classmethod
    def of(cls, spacing_mm: float, thickness_mm: float, thin_mm: float) -> Profile:
        """A trapezoid as wide at half height as the slice is thick.

        Parameters
        ----------
        spacing_mm
            From slice to slice; wider than the thickness where there are gaps, narrower where slices overlap.
        thickness_mm
            At half height.
        thin_mm
            The thin slices are at most about this thick.
        """
        count = max(1, round(spacing_mm / thin_mm))
        if count == 1 and thickness_mm < _THICK * spacing_mm:
            return cls(1, 0, (1.0,))
        step = spacing_mm / count
        reach = int(np.ceil((0.5 + _RAMP) * thickness_mm / step))
        places = np.arange(-reach, count + reach)
        distance = np.abs((places + 0.5) * step - 0.5 * spacing_mm) / thickness_mm
        heights = np.clip((0.5 + _RAMP - distance) / (2 * _RAMP), 0.0, 1.0)
        used = np.flatnonzero(heights > 0)
        heights = heights[used[0] : used[-1] + 1]
        return cls(count, int(places[used[0]]), tuple((heights / heights.sum()).tolist()))


@dataclass(frozen=True)
class Painter:
    """Paints slices of one patient: channels with partial volume, texture and slice profile.

    Parameters
    ----------
    pieces
        The patient.
    grid
        The whole scan's.
    across
        Axis along which slices follow each other.
    profile
        Of the slices.
    values
        For each tissue its channels; the last two are the amounts of speckle and of strands, which go to the channels below.
    background
        The channels of air.
    speckled, stranded
        Numbers of the channels that speckle and strands are added to.
    seed
        Of the texture.
    finer
        How many points are painted for each voxel, along each axis of the grid but the slices'; the first lies at its centre.
    """

    pieces: Sequence[Piece]
    grid: Grid
    across: int
    profile: Profile
    values: Mapping[Material, tuple[float, ...]]
    background: tuple[float, ...]
    speckled: int
    stranded: int
    seed: int
    finer: tuple[int, int, int] = (1, 1, 1)

    def paint(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Float32Array:
        """Channels of the grid's voxels from `start` up to `stop`, which may lie outside it; shape (channels, ...).

        Along an axis painted finer there are as many times more.
        """
        count, weights = self.profile.count, self.profile.weights
        thin = self._thin_grid(start, stop)
        picture = paint_signal(self.pieces, thin, self.values, self.background)
        add_texture(picture[self.speckled], picture[-2], thin, speckle, self.seed)
        add_texture(picture[self.stranded], picture[-1], thin, strands, self.seed)
        picture = picture[:-2]
        if weights == (1.0,) and count == 1:
            return picture
        slices = stop[self.across] - start[self.across]
        shape = np.array(picture.shape)
        shape[self.across + 1] = slices
        result = np.zeros(shape, dtype=np.float32)
        for first, weight in enumerate(weights):
            place: list[slice] = [slice(None)] * 4
            place[self.across + 1] = slice(first, first + count * (slices - 1) + 1, count)
            result += picture[tuple(place)] * np.float32(weight)
        return result

    def chunks(self, margin: int) -> Iterator[tuple[int, int]]:
        """Ranges of slices, each small enough to be painted at once.

        Parameters
        ----------
        margin
            Voxels painted around each slice.
        """
        plane = np.prod([n + 2 * margin for axis, n in enumerate(self.grid.shape) if axis != self.across])
        plane *= np.prod(self.finer)
        channels = len(self.background) / 6
        size = max(1, int(_CHUNK_VOXELS / (plane * self.profile.count * channels)))
        total = self.grid.shape[self.across]
        for start in range(0, total, size):
            yield start, min(start + size, total)

    def _thin_grid(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Grid:
        """The thin slices that count for some slices."""
        axis, count = self.across, self.profile.count
        affine = self.grid.world_from_voxel.copy()
        affine[:3, axis] /= count
        origin = np.array(start, dtype=np.float64)
        # The first thin slice lies half a spacing before the slice's middle, and half a thin slice on.
        origin[axis] += (self.profile.first + 0.5) / count - 0.5
        affine[:3, 3] = self.grid.world(origin)
        affine[:3, :3] /= self.finer
        shape = np.subtract(stop, start) * self.finer
        shape[axis] = count * (shape[axis] - 1) + len(self.profile.weights)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
