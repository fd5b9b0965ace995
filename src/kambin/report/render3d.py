"""The one door to VTK: solids in, pictures out. Off-screen, one window for all pictures, each shape uploaded once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Structure
from kambin.errors import KambinError
from kambin.geometry import Plane
from kambin.report.style import look_of, rgb
from kambin.report.view import View
from kambin.spine import Solid, SurfaceMesh

RgbImage = npt.NDArray[np.uint8]
_PROBE = """
from kambin.report.render3d import _open_window, _read_pixels
window, renderer = _open_window(16, 16)
renderer.SetBackground(1.0, 0.0, 0.0)
window.Render()
assert _read_pixels(window)[8, 8].tolist() == [255, 0, 0], "the picture came back empty"
"""
_PROBE_SECONDS = 60.0
_CUT_SHADE = 0.84  # a cut face is darker than the surface around it, so that it is seen as one


class RenderingUnavailable(KambinError):
    """This machine cannot draw in 3D; the text says why."""


def probe_rendering() -> None:
    """Draw one small picture in a process of its own, because a missing OpenGL library can end the process that asks for it.

    Raises
    ------
    RenderingUnavailable
        When nothing could be drawn.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RenderingUnavailable(f"no 3D picture could be drawn within {_PROBE_SECONDS:.0f} s ({type(error).__name__})") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"the drawing library ended with status {done.returncode}"
        raise RenderingUnavailable(f"no OpenGL (EGL, GLX or OSMesa) that can draw off-screen: {reason[:200]}")


class Stage:
    """Every shape of one model, ready to be drawn from any side.

    Parameters
    ----------
    solids
        The shapes by structure.
    oversampling
        Pictures are drawn this many times larger and averaged down.
    check
        Called once before VTK is touched; raises `RenderingUnavailable` where nothing can be drawn.

    Raises
    ------
    RenderingUnavailable
        When this machine cannot draw.
    """

    def __init__(
        self, solids: Mapping[Structure, Solid], oversampling: int = 2, check: Callable[[], None] = probe_rendering
    ) -> None:
        check()
        self._oversampling = oversampling
        self._size = (0, 0)
        try:
            self._window, self._renderer = _open_window(64, 64)
            self._actors = {structure: _actor(solid.mesh, structure) for structure, solid in solids.items()}
            self._ghosts: dict[Structure, Any] = {}
        except (ImportError, RuntimeError) as error:
            raise RenderingUnavailable(f"the drawing library could not be used: {error}") from error
        for actor in self._actors.values():
            self._renderer.AddActor(actor)

    def draw(
        self,
        view: View,
        visible: Iterable[Structure],
        *,
        keep: Mapping[Structure, Iterable[Plane]] | None = None,
        opacity: Mapping[Structure, float] | None = None,
        ghosts: Mapping[Structure, Iterable[Plane]] | None = None,
        caps: Mapping[Structure, Iterable[Plane]] | None = None,
    ) -> RgbImage:
        """A picture of `view`'s size, shape (height, width, 3), on white.

        Parameters
        ----------
        view
            Parallel projection.
        visible
            What to draw; structures without a shape are passed over.
        keep
            For a structure, the planes on whose positive side it is drawn; the rest is cut away.
        opacity
            Opacities that differ from the structure's usual one.
        ghosts
            Structures to be drawn once more as through frosted glass, with the planes on whose positive side that is done.
        caps
            For a structure, the planes whose cut faces are filled in.
        """
        shown, ghosts = set(visible), ghosts or {}
        for structure, actor in self._actors.items():
            actor.SetVisibility(structure in shown)
            for face in (actor.GetProperty(), actor.GetBackfaceProperty()):
                face.SetOpacity((opacity or {}).get(structure, look_of(structure).opacity))
            _set_clipping(actor.GetMapper(), (keep or {}).get(structure, ()))
        for structure in {*ghosts, *self._ghosts} & set(self._actors):
            if structure not in self._ghosts:
                self._ghosts[structure] = _ghost_of(self._actors[structure])
                self._renderer.AddActor(self._ghosts[structure])
            self._ghosts[structure].SetVisibility(structure in ghosts)
            _set_clipping(self._ghosts[structure].GetMapper(), ghosts.get(structure, ()))
        filled = {structure: planes for structure, planes in (caps or {}).items() if structure in shown & set(self._actors)}
        faces = [_cap(self._actors[structure], structure, plane) for structure, planes in filled.items() for plane in planes]
        for face in faces:
            self._renderer.AddActor(face)
        self._aim(view)
        self._window.Render()
        for face in faces:
            self._renderer.RemoveActor(face)
        return _averaged(_read_pixels(self._window), self._oversampling)

    def close(self) -> None:
        """Give the window back."""
        self._window.Finalize()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _aim(self, view: View) -> None:
        size = (view.width_px * self._oversampling, view.height_px * self._oversampling)
        if size != self._size:
            self._window.SetSize(*size)
            self._size = size
        camera = self._renderer.GetActiveCamera()
        camera.ParallelProjectionOn()
        camera.SetFocalPoint(*view.centre_mm)
        camera.SetPosition(*(view.centre_mm + 1000.0 * view.towards_viewer))
        camera.SetViewUp(*view.up)
        camera.SetParallelScale(view.height_px * view.mm_per_px / 2.0)
        self._renderer.ResetCameraClippingRange()


def _open_window(width: int, height: int) -> tuple[Any, Any]:
    """An off-screen window and its renderer: white ground, three soft lights that follow the eye, shadows in the crevices."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  the implementation behind vtkRenderWindow
    from vtkmodules.vtkCommonCore import vtkLogger, vtkObject
    from vtkmodules.vtkRenderingCore import vtkLightKit, vtkRenderer, vtkRenderWindow

    # VTK tries one window system after the other and complains of each on the user's terminal; only the last word matters here.
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    vtkObject.GlobalWarningDisplayOff()
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    window.SetSize(width, height)
    renderer = vtkRenderer()
    renderer.SetBackground(1.0, 1.0, 1.0)
    renderer.SetUseDepthPeeling(1)
    renderer.SetMaximumNumberOfPeels(4)
    renderer.SetOcclusionRatio(0.02)
    renderer.UseFXAAOff()
    renderer.UseSSAOOn()
    renderer.SetSSAORadius(9.0)
    renderer.SetSSAOBias(0.6)
    renderer.SetSSAOKernelSize(24)
    renderer.SSAOBlurOn()
    kit = vtkLightKit()
    kit.SetKeyLightIntensity(0.88)
    kit.SetKeyLightAngle(38.0, -28.0)
    kit.SetKeyToFillRatio(2.2)
    kit.SetKeyToHeadRatio(2.6)
    kit.SetKeyToBackRatio(4.5)
    kit.SetKeyLightWarmth(0.54)
    kit.SetFillLightWarmth(0.47)
    kit.AddLightsToRenderer(renderer)
    window.AddRenderer(renderer)
    return window, renderer


def _actor(mesh: SurfaceMesh, structure: Structure) -> Any:
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkPolyDataNormals
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    to_vtk: Any = numpy_support.numpy_to_vtk
    to_ids: Any = numpy_support.numpy_to_vtkIdTypeArray
    points = vtkPoints()
    points.SetData(to_vtk(mesh.vertices_mm.astype(np.float32), deep=True))
    cells = vtkCellArray()
    offsets = np.arange(0, 3 * len(mesh.faces) + 1, 3, dtype=np.int64)
    cells.SetData(to_ids(offsets, deep=True), to_ids(mesh.faces.ravel(), deep=True))
    data = vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    normals = vtkPolyDataNormals()
    normals.SetInputData(data)
    normals.SplittingOff()
    normals.ConsistencyOff()
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    actor = vtkActor()
    actor.SetMapper(mapper)
    look = look_of(structure)
    surface = actor.GetProperty()
    surface.SetColor(*rgb(look.surface))
    surface.SetInterpolationToPhong()
    surface.SetAmbient(0.12)
    surface.SetDiffuse(0.92)
    surface.SetSpecular(0.10)
    surface.SetSpecularPower(18.0)
    # Where a shape is cut open its inside is seen; drawn flat it reads as the cut face.
    actor.SetBackfaceProperty(_flat(structure))
    return actor


def _flat(structure: Structure, shade: float = 1.0) -> Any:
    from vtkmodules.vtkRenderingCore import vtkProperty

    inside = vtkProperty()
    inside.SetColor(*(shade * part for part in rgb(look_of(structure).surface)))
    inside.SetAmbient(1.0)
    inside.SetDiffuse(0.0)
    inside.SetSpecular(0.0)
    return inside


def _cap(actor: Any, structure: Structure, plane: Plane) -> Any:
    """The face where a plane cuts a shape, filled."""
    from vtkmodules.vtkCommonDataModel import vtkPlane
    from vtkmodules.vtkFiltersCore import vtkCutter
    from vtkmodules.vtkFiltersGeneral import vtkContourTriangulator
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    cut = vtkPlane()
    cut.SetOrigin(*plane.origin_mm)
    cut.SetNormal(*plane.normal)
    cutter = vtkCutter()
    cutter.SetCutFunction(cut)
    cutter.SetInputConnection(actor.GetMapper().GetInputConnection(0, 0))
    filler = vtkContourTriangulator()
    filler.SetInputConnection(cutter.GetOutputPort())
    filler.Update()
    flat = filler.GetOutput()
    flat.GetPointData().SetNormals(None)  # those of the shape's wall, along which the cut runs
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(flat)
    mapper.ScalarVisibilityOff()
    face = vtkActor()
    face.SetMapper(mapper)
    face.SetProperty(_flat(structure, _CUT_SHADE))
    return face


def _ghost_of(actor: Any) -> Any:
    """The same shape, faint, with a mapper of its own so that it can be cut elsewhere."""
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(actor.GetMapper().GetInputConnection(0, 0))
    ghost = vtkActor()
    ghost.SetMapper(mapper)
    ghost.GetProperty().DeepCopy(actor.GetProperty())
    ghost.GetProperty().SetOpacity(0.22)
    return ghost


def _set_clipping(mapper: Any, planes: Iterable[Plane]) -> None:
    from vtkmodules.vtkCommonDataModel import vtkPlane

    mapper.RemoveAllClippingPlanes()
    for plane in planes:
        cut = vtkPlane()
        cut.SetOrigin(*plane.origin_mm)
        cut.SetNormal(*plane.normal)
        mapper.AddClippingPlane(cut)


def _read_pixels(window: Any) -> RgbImage:
    """The window's picture, first row on top."""
    from vtkmodules.util import numpy_support
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

    to_numpy: Any = numpy_support.vtk_to_numpy
    width, height = window.GetSize()
    pixels = vtkUnsignedCharArray()
    window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
    return np.ascontiguousarray(to_numpy(pixels).reshape(height, width, 3)[::-1])


def _averaged(image: RgbImage, factor: int) -> RgbImage:
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.asarray(blocks.mean(axis=(1, 3)).round(), dtype=np.uint8)
