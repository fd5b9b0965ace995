"""The surfaces that an anatomy is made from, and whether they can be those of a lumbar spine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray, unit
from kambin.spine import SurfaceMesh

LEVELS = (Level.L1, Level.L2, Level.L3, Level.L4, Level.L5)
NEEDED = (
    *(Structure(Kind.VERTEBRA, level) for level in LEVELS),
    *(Structure(Kind.DISC, level) for level in LEVELS),
    Structure(Kind.SACRUM),
)
"""Besides these the hip bones, both in one surface or each in its own."""
OPTIONAL = (*(Structure(Kind.PSOAS, side=side) for side in Side), Structure(Kind.TRUNK))
"""What comes from the models where there is no surface."""
HIPS = (Structure(Kind.HIP), *(Structure(Kind.HIP, side=side) for side in Side))
_VERTEBRA_MM = (45.0, 140.0)
_MOST_LEAN_COSINE = 0.7


@dataclass(frozen=True, eq=False)
class NamedSurface:
    """A surface, and what the user calls it.

    Parameters
    ----------
    name
        The file it came from.
    mesh
        RAS millimetres.
    """

    name: str
    mesh: SurfaceMesh

    @property
    def centre_mm(self) -> FloatArray:
        """The middle of what it encloses, RAS."""
        middle = self.mesh.vertices_mm.mean(axis=0)
        a, b, c = (self.mesh.vertices_mm[self.mesh.faces[:, k]] - middle for k in range(3))
        shares = np.einsum("ij,ij->i", a, np.cross(b, c))
        return np.asarray(middle + (shares[:, None] * (a + b + c)).sum(axis=0) / (4.0 * shares.sum()))

    def moved(self, by_mm: FloatArray) -> NamedSurface:
        return replace(self, mesh=SurfaceMesh(self.mesh.vertices_mm + by_mm, self.mesh.faces))


@dataclass(frozen=True, eq=False)
class SurfaceSet:
    """One anatomy's surfaces in one frame.

    Parameters
    ----------
    name
        What the set is called in messages.
    surfaces
        Vertebrae L1 to L5, the discs under them, the sacrum, and the hip bones; psoas muscles and the trunk (the skin) where there are any.
    muscles
        Further muscles, which label maps do not name.
    credit
        Whose work it is, for the record.

    Raises
    ------
    InputError
        When one is missing, or not closed; when they are not those of a lumbar spine in RAS millimetres. All that is wrong is said at once.
    """

    name: str
    surfaces: Mapping[Structure, NamedSurface]
    muscles: Sequence[NamedSurface] = ()
    credit: str = ""

    def __post_init__(self) -> None:
        for problems in (self._missing(), self._open(), self._elsewhere()):
            found = list(problems)
            if found:
                raise InputError(self.name, *found)

    @property
    def everything(self) -> tuple[NamedSurface, ...]:
        return (*self.surfaces.values(), *self.muscles)

    def __getitem__(self, name: Structure) -> NamedSurface:
        return self.surfaces[name]

    def moved(self, by_mm: FloatArray) -> SurfaceSet:
        """The same, somewhere else."""
        surfaces = {name: surface.moved(by_mm) for name, surface in self.surfaces.items()}
        return replace(self, surfaces=surfaces, muscles=tuple(muscle.moved(by_mm) for muscle in self.muscles))

    def _missing(self) -> Iterator[str]:
        lacking = [name.key for name in NEEDED if name not in self.surfaces]
        if HIPS[0] not in self.surfaces:
            lacking += [name.key for name in HIPS[1:] if name not in self.surfaces]
        if lacking:
            yield f"expected surfaces of all of the column and the pelvis, found none of {', '.join(lacking)}"
        for name in self.surfaces:
            if name not in (*NEEDED, *HIPS, *OPTIONAL):
                yield f"expected no surface of {name.key}: there is a model of it, or no use for it"

    def _open(self) -> Iterator[str]:
        for surface in self.everything:
            edges = open_edges(surface.mesh)
            if edges:
                yield f"{surface.name}: expected a closed surface, found {edges} edges that do not join two faces"
            elif surface.mesh.volume_mm3 <= 0.0:
                yield f"{surface.name}: expected faces counter-clockwise seen from outside, found them turned inside out"

    def _elsewhere(self) -> Iterator[str]:
        vertebrae = {level: self[Structure(Kind.VERTEBRA, level)] for level in LEVELS}
        low, high = _VERTEBRA_MM
        for surface in vertebrae.values():
            size = float(np.ptp(surface.mesh.vertices_mm, axis=0).max())
            if not low <= size <= high:
                yield f"{surface.name}: expected a vertebra of {low:g} to {high:g} mm, found {size:.4g} mm: are the units right?"
                return
        centres = [surface.centre_mm for surface in (*vertebrae.values(), self[Structure(Kind.SACRUM)])]
        up = unit(centres[0] - centres[-2])
        if up[2] < _MOST_LEAN_COSINE:
            found = "{:.2f} {:.2f} {:.2f}".format(*up)
            yield f"expected the column to rise along the cranial axis, found it from L5 to L1 along {found} (right, anterior, cranial)"
            return
        heights = [float(centre @ up) for centre in centres]
        if sorted(heights, reverse=True) != heights:
            yield "expected L1, L2, L3, L4, L5 and the sacrum from the top down, found them in another order"
        yield from self._turned(np.mean(centres[:-1], axis=0))

    def _turned(self, middle: FloatArray) -> Iterator[str]:
        """Back to front, or left to right."""
        discs = np.mean([self[Structure(Kind.DISC, level)].centre_mm for level in LEVELS], axis=0)
        ahead = float(discs[1] - middle[1])
        if ahead < 3.0:
            yield f"expected the discs before the middle of the vertebrae, found them {ahead:.1f} mm ahead: is back taken for front?"
        for name, surface in self.surfaces.items():
            if name.side is not None and (surface.centre_mm[0] - middle[0]) * name.side.sign <= 0.0:
                yield f"{surface.name}: expected it on the patient's {name.side}, found it on the {name.side.opposite}"


def open_edges(mesh: SurfaceMesh) -> int:
    """How many edges do not join exactly two faces that run along them in opposite directions."""
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    forward = edges[:, 0] < edges[:, 1]
    keys, which = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    along = np.bincount(which.ravel(), weights=forward, minlength=len(keys))
    against = np.bincount(which.ravel(), weights=~forward, minlength=len(keys))
    return int(((along != 1) | (against != 1)).sum())
