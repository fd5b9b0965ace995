"""The line that runs through the vertebral bodies, and places told by it: how far along, how far to the right, how far in front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import legfit, legval
from scipy.ndimage import binary_dilation, gaussian_filter1d, generate_binary_structure, label
from scipy.spatial import cKDTree

from kambin.geometry import FloatArray

_STEP_MM = 1.0
_BEYOND_MM = 120.0
"""How far the line goes on, straight, beyond both ends of the column."""
_CELL_MM = 3.0
_REACH_MM = 32.0
"""A body's corners lie no farther from the line."""
_MANY = 60_000


@dataclass(frozen=True, eq=False)
class ColumnLine:
    """A curve through the bodies, from caudal to cranial, in steps of 1 mm, with the patient's directions along it.

    Parameters
    ----------
    points_mm
        Shape (n, 3), RAS.
    tangents, rights
        Unit vectors, shape (n, 3): cranially along the column, and to the patient's right, square to it.
    first_mm
        Place along the line of the first point; 0 is the column's lower end.
    """

    points_mm: FloatArray
    tangents: FloatArray
    rights: FloatArray
    first_mm: float

    def local(self, points_mm: FloatArray) -> FloatArray:
        """To the right of the midline, in front of the line, and along it, of points of shape (n, 3)."""
        _, nearest = cKDTree(self.points_mm).query(points_mm)
        offset = points_mm - self.points_mm[nearest]
        tangent, right = self.tangents[nearest], self.rights[nearest]
        front = np.cross(tangent, right)
        along = self.first_mm + _STEP_MM * nearest + np.einsum("ij,ij->i", offset, tangent)
        return np.stack([np.einsum("ij,ij->i", offset, right), np.einsum("ij,ij->i", offset, front), along], axis=1)

    def index(self, along_mm: float) -> int:
        """The point of the line at a place along it."""
        return int(np.clip(round((along_mm - self.first_mm) / _STEP_MM), 0, len(self.points_mm) - 1))

    def point(self, along_mm: float) -> FloatArray:
        return np.asarray(self.points_mm[self.index(along_mm)], dtype=np.float64)

    def tangent(self, along_mm: float) -> FloatArray:
        return np.asarray(self.tangents[self.index(along_mm)], dtype=np.float64)

    def right(self, along_mm: float) -> FloatArray:
        return np.asarray(self.rights[self.index(along_mm)], dtype=np.float64)


def main_column(points_mm: FloatArray) -> np.ndarray:
    """Which points of bodies and discs belong to the largest heap of them, gaps of a missing disc bridged: shape (n,), bool."""
    cells = np.floor(points_mm / _CELL_MM).astype(np.int64)
    cells -= cells.min(axis=0) - 3
    filled = np.zeros(cells.max(axis=0) + 4, dtype=bool)
    filled[tuple(cells.T)] = True
    heaps, count = label(binary_dilation(filled, generate_binary_structure(3, 1), iterations=2))
    if count == 0:
        return np.zeros(0, dtype=bool)
    mine = heaps[tuple(cells.T)]
    return np.asarray(mine == np.bincount(mine).argmax())


def line_through(points_mm: FloatArray, behind_mm: FloatArray) -> ColumnLine:
    """The line through points of bodies and discs.

    Parameters
    ----------
    points_mm
        Of bodies and discs, shape (n, 3).
    behind_mm
        Of what lies behind them in the midline, the dural sac or else the arches, shape (m, 3); may be empty: the patient is then taken
        to lie straight.
    """
    points = points_mm[:: max(1, len(points_mm) // _MANY)]
    line = _start(points)
    for _ in range(4):
        line = _centred(line, points)
    tangents = _tangents(line)
    low, high = line[0], line[-1]
    count = int(_BEYOND_MM / _STEP_MM)
    steps = _STEP_MM * np.arange(1, count + 1)[:, None]
    full = np.concatenate([(low - steps * tangents[0])[::-1], line, high + steps * tangents[-1]])
    along = np.concatenate([np.tile(tangents[0], (count, 1)), tangents, np.tile(tangents[-1], (count, 1))])
    return ColumnLine(full, along, _rights(full, along, behind_mm), -_BEYOND_MM)


def _start(points: FloatArray) -> FloatArray:
    """Means of slices across the longest direction of all points, or across the cranial axis where none is longest."""
    middle = points.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((points - middle).T))
    axis = vectors[:, 2] * np.sign(vectors[2, 2] or 1.0)
    if values[2] < 2.0 * values[1] or axis[2] < 0.5:
        axis = np.array([0.0, 0.0, 1.0])
    height = (points - middle) @ axis
    low, high = np.percentile(height, [0.2, 99.8])
    edges = np.linspace(low, high, max(3, int((high - low) / 8.0) + 1))
    place = np.digitize(height, edges[1:-1])
    rows = [points[place == k].mean(axis=0) for k in range(len(edges) - 1) if np.any(place == k)]
    line = np.array(rows)
    # The ends of the line are those of the column, not the middles of its last slices.
    ends = [line[0] + axis * (low - (line[0] - middle) @ axis), line[-1] + axis * (high - (line[-1] - middle) @ axis)]
    return _even(np.concatenate([ends[:1], line, ends[1:]]))


def _even(line: FloatArray) -> FloatArray:
    """The same line in steps of equal length."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    places = np.arange(0.0, lengths[-1], _STEP_MM)
    return np.stack([np.interp(places, lengths, line[:, axis]) for axis in range(3)], axis=1)


def _tangents(line: FloatArray) -> FloatArray:
    tangents = np.gradient(line, axis=0)
    return np.asarray(tangents / np.linalg.norm(tangents, axis=1, keepdims=True))


def _centred(line: FloatArray, points: FloatArray) -> FloatArray:
    """The line moved to the middle of the points about it; a polynomial, whose degree grows with its length, keeps it from folding."""
    distance, nearest = cKDTree(line).query(points, distance_upper_bound=_REACH_MM)
    if np.count_nonzero(np.isfinite(distance)) < 50:
        return line
    # No farther than there are points, lest it grow at its ends from turn to turn.
    low, high = (int(value) for value in np.percentile(nearest[np.isfinite(distance)], [0.3, 99.7]))
    line, nearest = line[low : high + 1], nearest - low
    if len(line) < 12:
        return line
    tangents = _tangents(line)
    margin = min(6, len(line) // 6)  # the last slices are not whole, and their middles lie askew
    inner = np.isfinite(distance) & (nearest > margin) & (nearest < len(line) - 1 - margin)
    chosen, index = points[inner], nearest[inner]
    offset = chosen - line[index]
    offset -= np.einsum("ij,ij->i", offset, tangents[index])[:, None] * tangents[index]
    place = 2.0 * index / (len(line) - 1) - 1.0
    degree = int(np.clip(1 + len(line) * _STEP_MM / 80.0, 1, 5))
    smooth = legval(np.linspace(-1, 1, len(line)), legfit(place, line[index] + offset, degree))
    return _even(np.asarray(smooth.T, dtype=np.float64))


def _rights(line: FloatArray, tangents: FloatArray, behind: FloatArray) -> FloatArray:
    """To the patient's right along the line: square to it and to the way to what lies behind it."""
    count = len(line)
    total, weight = np.zeros((count, 3)), np.zeros(count)
    if len(behind):
        behind = behind[:: max(1, len(behind) // _MANY)]
        distance, nearest = cKDTree(line).query(behind, distance_upper_bound=2.0 * _REACH_MM)
        near = np.isfinite(distance) & (nearest > 60) & (nearest < count - 61)
        offset = behind[near] - line[nearest[near]]
        total = np.stack([np.bincount(nearest[near], offset[:, axis], minlength=count) for axis in range(3)], axis=1)
        weight = np.bincount(nearest[near], minlength=count).astype(np.float64)
    if weight.sum() < 50:
        front = np.tile([0.0, 1.0, 0.0], (count, 1))
    else:
        # A weak pull towards the mean direction holds where there is nothing behind.
        mean = total.sum(axis=0) / weight.sum()
        front = -gaussian_filter1d(total, 15.0, axis=0) - 0.02 * gaussian_filter1d(weight, 15.0).max() * mean
    rights = np.cross(front, tangents)
    return np.asarray(rights / np.maximum(np.linalg.norm(rights, axis=1, keepdims=True), 1e-9))
