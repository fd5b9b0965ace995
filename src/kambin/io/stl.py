"""Binary STL. Positions are LPS millimetres, and the 80-byte header says so in the way that 3D Slicer reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kambin.io.lps import lps_from_ras
from kambin.spine import SurfaceMesh

_TRIANGLE = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def write_stl(mesh: SurfaceMesh, path: str | Path, name: str) -> None:
    """Write one surface as binary STL.

    STL itself states neither frame nor unit; the header reads ``KAMBIN LPS mm SPACE=LPS <name>``. Positions are rounded to
    float32 by the format. RAS to LPS is a half turn about the cranial axis, so faces keep their orientation.

    Parameters
    ----------
    mesh
        The surface, RAS millimetres.
    path
        The file to write; replaced where it exists.
    name
        ASCII name of the structure, for the header (cut to what fits).
    """
    corners = lps_from_ras(mesh.vertices_mm)[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    triangles = np.zeros(len(corners), dtype=_TRIANGLE)
    triangles["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    triangles["corners"] = corners
    header = f"KAMBIN LPS mm SPACE=LPS {name}".encode("ascii", "replace")[:80].ljust(80, b" ")
    with Path(path).open("wb") as file:
        file.write(header)
        file.write(np.uint32(len(triangles)).astype("<u4").tobytes())
        file.write(triangles.tobytes())
