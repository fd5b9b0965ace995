"""Anatomies from surfaces: real bones and discs in place of the models', the models' roots, sac, vessels, muscles and fat along them, and
smooth random deformations of the whole. For training; there is no truth for them."""

from kambin.phantom.surfaces.atlas import SurfaceAtlas, read_atlas
from kambin.phantom.surfaces.deform import Deformation, draw_deformation, gentle_deformation, warp_of
from kambin.phantom.surfaces.lattice import LatticeField, mesh_field
from kambin.phantom.surfaces.surface_set import NamedSurface, SurfaceSet
from kambin.phantom.surfaces.warp import Warp, Warped, warped_patient

__all__ = [
    "Deformation",
    "LatticeField",
    "NamedSurface",
    "SurfaceAtlas",
    "SurfaceSet",
    "Warp",
    "Warped",
    "draw_deformation",
    "gentle_deformation",
    "mesh_field",
    "read_atlas",
    "warp_of",
    "warped_patient",
]
