"""One glTF 2.0 binary scene of all structures, for viewers and web pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kambin.anatomy.structures import Structure
from kambin.geometry import FloatArray
from kambin.io.appearance import colour_of, opacity_of
from kambin.io.thin import thinned
from kambin.spine import SurfaceMesh

if TYPE_CHECKING:
    from trimesh.visual.material import PBRMaterial

# glTF: metres, right-handed, +Y up, the front of the asset faces +Z. Rows: left, cranial, anterior.
GLTF_FROM_RAS = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
_METRES_PER_MM = 1e-3


def gltf_from_ras(points_mm: FloatArray) -> FloatArray:
    """glTF metres of RAS millimetres, shape (..., 3): x the patient's left, y cranial, z anterior."""
    return np.asarray(points_mm @ GLTF_FROM_RAS.T * _METRES_PER_MM + 0.0)


def write_glb(meshes: Mapping[Structure, SurfaceMesh], path: str | Path) -> None:
    """Write surfaces as one ``.glb``: a named node for each, with its colour; soft tissue is translucent.

    For looking at: large surfaces have a quarter of their triangles (`kambin.io.thin`).
    Empty surfaces are left out. The scene's ``extras`` state frame and unit, each mesh's its structure.

    Raises
    ------
    ValueError
        When there is no surface to write.
    """
    import trimesh

    scene = trimesh.Scene()
    # Opaque things first: viewers blend translucent ones in the order of the file.
    for structure, mesh in sorted(meshes.items(), key=lambda item: -opacity_of(item[0])):
        if not len(mesh.faces):
            continue
        lighter = thinned(mesh)
        shape = trimesh.Trimesh(gltf_from_ras(lighter.vertices_mm), lighter.faces, process=False, validate=False)
        shape.visual = trimesh.visual.TextureVisuals(material=_material(structure))  # type: ignore[no-untyped-call]
        shape.metadata = {"structure": structure.key, "label": structure.label}
        scene.add_geometry(shape, node_name=structure.key, geom_name=structure.key)
    if not scene.geometry:
        raise ValueError("expected at least one surface that is not empty")
    axes = "x patient left, y cranial, z anterior"
    scene.metadata = {"generator": "kambin", "unit": "m", "axes": axes, "origin": "scanner origin"}
    Path(path).write_bytes(scene.export(file_type="glb", include_normals=True))  # type: ignore[no-untyped-call]


def _material(structure: Structure) -> PBRMaterial:
    from trimesh.visual.material import PBRMaterial

    opacity = opacity_of(structure)
    # glTF's colour factor is linear light, ours is sRGB
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour_of(structure)]
    return PBRMaterial(  # type: ignore[no-untyped-call]
        name=structure.key,
        baseColorFactor=[*linear, opacity],
        metallicFactor=0.0,
        roughnessFactor=0.75,
        alphaMode="OPAQUE" if opacity >= 1.0 else "BLEND",
        doubleSided=opacity < 1.0,
    )
