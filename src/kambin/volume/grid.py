"""Where voxels are, apart from what they hold.

Inside Kambin every position is in patient RAS+ millimetres (x to the patient's right, y anterior, z cranial) and every array is
stored so that its axes run as nearly as they can to right, anterior, cranial. `canonical` brings any storage order to that one, so
that nothing downstream depends on how a file happened to be written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of voxel centres in patient space.

    Parameters
    ----------
    shape
        Number of voxels along each of the three array axes.
    world_from_voxel
        4 x 4 affine from array indices (of voxel centres) to RAS millimetres.

    Raises
    ------
    ValueError
        All that is wrong at once: not three axes, an empty axis, an affine that is not finite, not 4 x 4, or singular.
    """

    shape: tuple[int, int, int]
    world_from_voxel: FloatArray

    def __post_init__(self) -> None:
        problems = []
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape, default=0) < 1:
            problems.append(f"expected three axes of at least one voxel, found shape {shape}")
        affine = np.array(self.world_from_voxel, dtype=np.float64)
        if affine.shape != (4, 4):
            problems.append(f"expected a 4 x 4 affine, found shape {affine.shape}")
        elif not np.isfinite(affine).all():
            problems.append("expected a finite affine, found NaN or infinity in it")
        elif abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            problems.append("expected voxels with a volume, found a singular affine (a spacing of zero?)")
        if problems:
            raise ValueError("; ".join(problems))
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "world_from_voxel", affine)

    @classmethod
    def axis_aligned(
        cls, shape: tuple[int, int, int], spacing_mm: float | tuple[float, float, float], origin_mm: npt.ArrayLike = (0.0, 0.0, 0.0)
    ) -> Grid:
        """A grid whose axes are exactly right, anterior and cranial; `origin_mm` is the centre of its first voxel."""
        affine = np.eye(4)
        affine[:3, :3] = np.diag(np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (3,)))
        affine[:3, 3] = origin_mm
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> FloatArray:
        """Distance between neighbouring voxel centres along each array axis, shape (3,)."""
        return np.asarray(np.linalg.norm(self.world_from_voxel[:3, :3], axis=0), dtype=np.float64)

    @property
    def voxel_volume_mm3(self) -> float:
        return float(abs(np.linalg.det(self.world_from_voxel[:3, :3])))

    @property
    def voxel_from_world(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.world_from_voxel), dtype=np.float64)

    @property
    def orientation(self) -> str:
        """The anatomical direction that each array axis runs to, nearest letters: ``RAS``, ``LPS``, ``PIR`` ..."""
        order, signs = _nearest_axes(self.world_from_voxel[:3, :3])
        letters = ["?"] * 3
        for world_axis, voxel_axis in enumerate(order):
            letters[voxel_axis] = ("RL", "AP", "SI")[world_axis][0 if signs[world_axis] > 0 else 1]
        return "".join(letters)

    @property
    def obliquity_deg(self) -> float:
        """Largest angle between an array axis and the anatomical axis nearest to it."""
        order, _ = _nearest_axes(self.world_from_voxel[:3, :3])
        columns = self.world_from_voxel[:3, :3] / self.spacing_mm
        cosines = [abs(columns[world, voxel]) for world, voxel in enumerate(order)]
        return float(np.degrees(np.arccos(np.clip(min(cosines), -1.0, 1.0))))

    def world(self, voxel: npt.ArrayLike) -> FloatArray:
        """RAS millimetres of (possibly fractional) array indices, shape (..., 3)."""
        indices = np.asarray(voxel, dtype=np.float64)
        return np.asarray(indices @ self.world_from_voxel[:3, :3].T + self.world_from_voxel[:3, 3], dtype=np.float64)

    def voxel(self, world_mm: npt.ArrayLike) -> FloatArray:
        """Fractional array indices of RAS millimetres, shape (..., 3)."""
        inverse = self.voxel_from_world
        points = np.asarray(world_mm, dtype=np.float64)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3], dtype=np.float64)

    def corners_mm(self) -> FloatArray:
        """The eight outer corners of the lattice (voxel faces, not centres), shape (8, 3)."""
        low, high = np.full(3, -0.5), np.asarray(self.shape) - 0.5
        choice = np.indices((2, 2, 2)).reshape(3, 8).T.astype(bool)
        return self.world(np.where(choice, high, low))

    def crop(self, start: npt.ArrayLike, stop: npt.ArrayLike) -> Grid:
        """The part of this grid from index `start` up to (not including) `stop`; both may lie outside it (padding)."""
        first = np.asarray(start, dtype=np.int64)
        shape = np.asarray(stop, dtype=np.int64) - first
        affine = self.world_from_voxel.copy()
        affine[:3, 3] = self.world(first)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    def with_spacing_scaled(self, factors: npt.ArrayLike) -> Grid:
        """The same lattice with the spacing along each **array** axis multiplied, about the first voxel."""
        affine = self.world_from_voxel.copy()
        affine[:3, :3] *= np.asarray(factors, dtype=np.float64)
        return Grid(self.shape, affine)

    def is_close(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether two grids put every voxel at the same place, to `tolerance_mm` at their corners."""
        return self.shape == other.shape and bool(np.abs(self.corners_mm() - other.corners_mm()).max() <= tolerance_mm)

    def overlap_fraction(self, other: Grid) -> float:
        """Fraction of this grid's voxels (sampled) that lie inside `other`."""
        axes = [np.linspace(0, n - 1, min(n, 24)) for n in self.shape]
        samples = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        inside = other.voxel(self.world(samples))
        return float(np.all((inside > -0.5) & (inside < np.asarray(other.shape) - 0.5), axis=1).mean())


def _nearest_axes(linear: FloatArray) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """For each world axis the array axis nearest to it, and the sign of their dot product; a one-to-one assignment."""
    from scipy.optimize import linear_sum_assignment

    cosines = linear / np.linalg.norm(linear, axis=0)
    rows, columns = linear_sum_assignment(-np.abs(cosines))
    order = tuple(int(column) for column in columns[np.argsort(rows)])
    return order, tuple(float(np.sign(cosines[row, column])) for row, column in enumerate(order))


def canonical(array: npt.NDArray[np.generic], grid: Grid) -> tuple[npt.NDArray[np.generic], Grid]:
    """Reorder storage so that array axes run nearest to right, anterior, cranial. Voxels keep their place in space.

    Returns a C-contiguous array (a copy only where needed) and its grid. The argument is not changed.
    """
    order, signs = _nearest_axes(grid.world_from_voxel[:3, :3])
    affine = grid.world_from_voxel.copy()
    affine[:3, :3] = grid.world_from_voxel[:3, list(order)]
    result = np.transpose(array, order)
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:3, 3] += affine[:3, axis] * (result.shape[axis] - 1)
            affine[:3, axis] = -affine[:3, axis]
            result = np.flip(result, axis)
    shape = (int(result.shape[0]), int(result.shape[1]), int(result.shape[2]))
    return np.ascontiguousarray(result), Grid(shape, affine)
