"""The shape of one structure, in its two forms: a level field that can be sampled, and a surface that can be cut and drawn.

Both are made from the same numbers (the surface is the field's zero), so what is measured is what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kambin.geometry import FloatArray, Frame
from kambin.geometry.hole import Lattice, contour_loops
from kambin.geometry.section import Section, signed_area_mm2
from kambin.volume.grid import Grid

_SECTION_PITCH_MM = 0.5


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """A closed triangle surface in RAS millimetres, faces counter-clockwise seen from outside.

    Parameters
    ----------
    vertices_mm
        Shape (n, 3).
    faces
        Vertex indices, shape (m, 3).
    """

    vertices_mm: FloatArray
    faces: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices_mm, dtype=np.float64)
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise ValueError(f"expected (n, 3) vertices and (m, 3) faces, found {vertices.shape} and {faces.shape}")
        if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise ValueError(f"expected faces that index {len(vertices)} vertices, found indices {faces.min()} to {faces.max()}")
        vertices.setflags(write=False)
        faces.setflags(write=False)
        object.__setattr__(self, "vertices_mm", vertices)
        object.__setattr__(self, "faces", faces)

    @property
    def volume_mm3(self) -> float:
        """Enclosed volume (divergence theorem); positive when the faces are oriented outwards."""
        if not len(self.faces):
            return 0.0
        centred = self.vertices_mm - self.vertices_mm.mean(axis=0)
        a, b, c = (centred[self.faces[:, corner]] for corner in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)

    @property
    def area_mm2(self) -> float:
        a, b, c = (self.vertices_mm[self.faces[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2.0)

    @property
    def is_watertight(self) -> bool:
        """Whether every edge is shared by exactly two faces that run along it in opposite directions."""
        if not len(self.faces):
            return False
        edges = np.concatenate([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]])
        n = np.int64(len(self.vertices_mm))
        forward = np.sort(edges[:, 0] * n + edges[:, 1])
        backward = np.sort(edges[:, 1] * n + edges[:, 0])
        return bool(np.array_equal(forward, backward) and (np.diff(forward) > 0).all())


@dataclass(frozen=True, eq=False)
class Solid:
    """One structure's shape.

    Parameters
    ----------
    grid
        Where the field is sampled.
    level_mm
        About the signed distance to the surface, negative inside, of `grid`'s shape; exact in its zero set, clipped a few
        millimetres away from it.
    mesh
        The zero set as a surface.
    """

    grid: Grid
    level_mm: npt.NDArray[np.float32]
    mesh: SurfaceMesh

    def __post_init__(self) -> None:
        if self.level_mm.shape != self.grid.shape:
            raise ValueError(f"expected a level field of shape {self.grid.shape}, found {self.level_mm.shape}")
        self.level_mm.setflags(write=False)

    def sample(self, points_mm: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The level field at RAS points, shape (..., 3) to (...): trilinear; the clip value outside the field's own grid."""
        from scipy.ndimage import map_coordinates

        points = np.asarray(points_mm, dtype=np.float64)
        voxel = np.moveaxis(self.grid.voxel(points.reshape(-1, 3)), -1, 0)
        outside = float(self.level_mm.max())
        values = map_coordinates(self.level_mm, voxel, order=1, mode="constant", cval=outside, output=np.float32)
        return np.asarray(values.reshape(points.shape[:-1]), dtype=np.float32)

    def sample_box(self, origin_mm: npt.ArrayLike, steps_mm: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """The level field on a regular lattice, much faster than point by point.

        Parameters
        ----------
        origin_mm
            RAS position of the lattice's first point, shape (3,).
        steps_mm
            RAS step along each lattice axis, shape (d, 3), for a lattice of d = 1, 2 or 3 axes.
        shape
            Number of points along each axis, d numbers.

        Returns
        -------
        array of `shape`
            As `sample` of the same points.
        """
        from scipy.ndimage import affine_transform

        steps = np.zeros((3, 3))
        steps[: len(shape)] = np.asarray(steps_mm, dtype=np.float64)
        full = (*shape, *(1,) * (3 - len(shape)))
        matrix = self.grid.voxel_from_world[:3, :3] @ steps.T
        offset = self.grid.voxel(np.asarray(origin_mm, dtype=np.float64))
        outside = float(self.level_mm.max())
        values = affine_transform(
            self.level_mm, matrix, offset, output_shape=full, order=1, mode="constant", cval=outside, output=np.float32, prefilter=False
        )
        return np.asarray(values.reshape(shape), dtype=np.float32)

    def section(self, frame: Frame) -> Section:
        """The solid cut by a frame's (right, anterior) plane: its outlines in those coordinates; empty where the plane misses it.

        Taken from the level field on a lattice of half a millimetre laid about the cut's own middle, so that it is the same for a mirrored
        solid (the faces of a mesh are not).
        """
        vertices = frame.local(self.mesh.vertices_mm)
        reach = float(self.grid.spacing_mm.max()) * 2.0
        near = vertices[np.abs(vertices[:, 2]) <= reach]
        if not len(near):
            return Section(())
        low, high = near[:, :2].min(axis=0) - 2.0, near[:, :2].max(axis=0) + 2.0
        lattice = Lattice.window((float(low[0]), float(high[0])), (float(low[1]), float(high[1])), _SECTION_PITCH_MM)
        origin = frame.world([lattice.first_mm[0], lattice.second_mm[0], 0.0])
        level = self.sample_box(origin, _SECTION_PITCH_MM * frame.axes[:2], lattice.shape).astype(np.float64)
        loops = contour_loops(-level, lattice)
        return Section(tuple(sorted(loops, key=lambda loop: -abs(signed_area_mm2(loop)))))

    @property
    def bounds_mm(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest RAS coordinates of the surface."""
        return self.mesh.vertices_mm.min(axis=0), self.mesh.vertices_mm.max(axis=0)
