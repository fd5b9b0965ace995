"""The zero set of a level field as a closed triangle surface: the one door to VTK in this room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kambin.spine.solid import SurfaceMesh
from kambin.volume.grid import Grid

ZERO_GUARD_MM = 1e-3
"""Samples nearer to zero than this are moved to it: a zero exactly on a lattice point would make triangles without area."""


def guarded(level_mm: npt.NDArray[np.float32], guard_mm: float = ZERO_GUARD_MM) -> npt.NDArray[np.float32]:
    """A copy of the field in which no sample lies within `guard_mm` of zero; the sign (zero counts as outside) is kept."""
    result = np.array(level_mm, dtype=np.float32)
    result[(result >= 0) & (result < guard_mm)] = guard_mm
    result[(result < 0) & (result > -guard_mm)] = -guard_mm
    return result


def zero_surface(level_mm: npt.NDArray[np.float32], grid: Grid) -> SurfaceMesh:
    """The zero set of a sampled field (negative inside), by flying edges, in RAS millimetres.

    The field must be positive on the whole border of its lattice, so that the surface is closed, and must keep clear of zero at
    the samples (see `guarded`).

    Parameters
    ----------
    level_mm
        Samples of `grid`'s shape.
    grid
        Where they are; an affine of either handedness.

    Returns
    -------
    SurfaceMesh
        Faces counter-clockwise seen from outside; without vertices where the field has no negative sample.

    Raises
    ------
    ValueError
        When the field is negative on the lattice's border.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    if any(float(level_mm.take(end, axis).min()) < 0 for axis in range(3) for end in (0, -1)):
        raise ValueError("expected a field that is positive on the border of its lattice, found negative samples there")
    image = vtkImageData()
    image.SetDimensions(*level_mm.shape)
    # VTK's first index runs fastest, so the samples are handed over in Fortran order.
    samples = np.ascontiguousarray(level_mm.ravel(order="F"), dtype=np.float32)
    image.GetPointData().SetScalars(numpy_to_vtk(samples, deep=False))  # type: ignore[no-untyped-call]
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    output = contour.GetOutput()
    if not output.GetNumberOfPolys():
        return SurfaceMesh(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
    voxel = vtk_to_numpy(output.GetPoints().GetData()).astype(np.float64)  # type: ignore[no-untyped-call]
    faces = vtk_to_numpy(output.GetPolys().GetConnectivityArray()).astype(np.int64).reshape(-1, 3)  # type: ignore[no-untyped-call]
    # Flying edges turn faces towards smaller values, here inwards, in index space; a left-handed affine reverses that.
    if np.linalg.det(grid.world_from_voxel[:3, :3]) > 0:
        faces = faces[:, ::-1]
    return SurfaceMesh(grid.world(voxel), faces)
