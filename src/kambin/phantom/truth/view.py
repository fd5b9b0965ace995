"""Silhouettes of exact shapes between two planes: the smallest level that each line of sight meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.geometry import FloatArray, Frame
from kambin.phantom.field import Field
from kambin.phantom.truth.endplates import level_in
from kambin.phantom.truth.plane import Flat, Sheet, axis, refined, weights

_ROUGH_MM = 1.0
_DOUBT_MM = 0.7
"""By how much a level interpolated from the rough lattice may be wrong."""
_CAP_MM = 3.0


@dataclass(frozen=True, eq=False)
class View:
    """Shapes seen along a frame's *right*, sampled roughly.

    Plane coordinates are (anterior, cranial).

    Parameters
    ----------
    frame
        Its right axis is the line of sight.
    sign
        -1 where one looks against it.
    shapes
        What is seen.
    out_mm, first_mm, second_mm
        The rough lattice: along the sight, and across it.
    levels
        Of each shape there, shape (len(shapes), k, n, m).
    """

    frame: Frame
    sign: int
    shapes: tuple[Field, ...]
    out_mm: FloatArray
    first_mm: FloatArray
    second_mm: FloatArray
    levels: FloatArray

    def exact(self, shape: Field, out: FloatArray, plane: FloatArray) -> FloatArray:
        """Levels at distances `out` (n,) beside plane points (n, 2)."""
        return level_in(shape, self.frame, np.column_stack([self.sign * out, plane]))

    def silhouette(self, step: float) -> Sheet:
        """The smallest level along every line of sight: exact near the outline."""
        return refined(self._smallest, Sheet(self.first_mm, self.second_mm, self.levels.min(axis=(0, 1))), self._window, step)

    def _smallest(self, points: FloatArray) -> FloatArray:
        """The smallest level of all shapes along the lines of sight through plane points (n, 2)."""
        profiles = self._profiles(points)
        lowest = profiles.min(axis=(0, 1))
        found = [self._least(shape, own, points, lowest)[0] for shape, own in zip(self.shapes, profiles, strict=True)]
        return np.asarray(np.min(found, axis=0))

    def depth_at(self, plane_mm: FloatArray) -> FloatArray:
        """Where along the sight through one plane point each shape comes nearest to it, mm, shape (len(shapes),)."""
        points = plane_mm[None]
        profiles = zip(self.shapes, self._profiles(points), strict=True)
        return np.array([float(self._least(shape, own, points, own.min(axis=0))[1][0]) for shape, own in profiles])

    @property
    def _window(self) -> tuple[tuple[float, float], tuple[float, float]]:
        first, second = self.first_mm, self.second_mm
        return (float(first[0]), float(first[-1])), (float(second[0]), float(second[-1]))

    def _profiles(self, points: FloatArray) -> FloatArray:
        """Rough levels along the lines of sight through plane points (n, 2), shape (len(shapes), k, n)."""
        (i, u), (j, v) = (weights(rough, at) for rough, at in zip((self.first_mm, self.second_mm), points.T, strict=True))
        low = self.levels[..., i, j] * (1 - v) + self.levels[..., i, j + 1] * v
        high = self.levels[..., i + 1, j] * (1 - v) + self.levels[..., i + 1, j + 1] * v
        return np.asarray(low * (1 - u) + high * u)

    def _least(self, shape: Field, profile: FloatArray, points: FloatArray, lowest: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A shape's smallest level along lines of sight, and where it is, looked for about every low place of its rough profile.

        Parameters
        ----------
        profile
            Rough levels, shape (k, n).
        points
            Where the lines pass, shape (n, 2).
        lowest
            The smallest rough level of all shapes, shape (n,).
        """
        edge = np.full_like(profile[:1], np.inf)
        padded = np.concatenate([edge, profile, edge])
        low = (profile <= padded[:-2]) & (profile <= padded[2:]) & (profile < lowest + _DOUBT_MM)
        station, line = np.nonzero(low)
        result, place = np.full(len(points), _CAP_MM), np.zeros(len(points))
        if not len(line):
            return result, place
        centre, width = self.out_mm[station], float(self.out_mm[1] - self.out_mm[0])
        for _ in range(3):
            # Five places, then half the width about the lowest: levels are smooth but for creases.
            at = np.clip(centre[:, None] + width * np.linspace(-1, 1, 5), self.out_mm[0], self.out_mm[-1])
            level = self.exact(shape, at.ravel(), np.repeat(points[line], 5, axis=0)).reshape(at.shape)
            centre, width = at[np.arange(len(at)), level.argmin(axis=1)], width * 0.45
            # Highest first, so that the lowest of a line's candidates stays.
            order = np.argsort(-level.min(axis=1), kind="stable")
            better = level.min(axis=1)[order] < result[line[order]]
            place[line[order][better]] = centre[order][better]
            np.minimum.at(result, line, level.min(axis=1))
        return result, place

    def section(self, out: float, step: float) -> Sheet:
        """The smallest level of all shapes in the plane at a distance along the sight."""
        place = float(np.interp(out, self.out_mm, np.arange(len(self.out_mm))))
        index = min(int(place), len(self.out_mm) - 2)
        share = place - index
        guess = ((1 - share) * self.levels[:, index] + share * self.levels[:, index + 1]).min(axis=0)
        plane = Flat.sagittal(self.frame, self.sign * out)
        levels = [plane.level(shape) for shape in self.shapes]

        def level(points: FloatArray) -> FloatArray:
            return np.asarray(np.min([one(points) for one in levels], axis=0))

        return refined(level, Sheet(self.first_mm, self.second_mm, guess), self._window, step)


def view_of(
    frame: Frame, sign: int, shapes: tuple[Field, ...], out: tuple[float, float], first: tuple[float, float], second: tuple[float, float]
) -> View:
    """Sample shapes roughly in a box of a frame.

    Parameters
    ----------
    out, first, second
        The box: along the sight, and along the frame's anterior and cranial axes.
    """
    sight = np.linspace(*out, max(int(np.ceil((out[1] - out[0]) / _ROUGH_MM)), 2) + 1)
    across = axis(*first, _ROUGH_MM), axis(*second, _ROUGH_MM)
    points = np.stack(np.meshgrid(sign * sight, *across, indexing="ij"), axis=-1)
    levels = [level_in(shape, frame, points.reshape(-1, 3)).reshape(points.shape[:-1]) for shape in shapes]
    return View(frame, sign, shapes, sight, *across, np.minimum(np.stack(levels), _CAP_MM))
