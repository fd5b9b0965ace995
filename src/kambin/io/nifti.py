"""NIfTI-1 and NIfTI-2, single file, plain or gzipped.

The standard allows a file to place its voxels twice (sform and qform), once or not at all. The sform is used where it is set, the
qform otherwise; where both are set and differ, that is reported; where neither is, the file is refused, for left and right cannot
be known.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.io.nifti_writer import SIMULATED
from kambin.io.raw import RawVolume, bad_spacing, make_grid, three_axes

_UNIT_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_AGREE_MM = 0.1


def read_nifti(path: Path) -> RawVolume:
    """The volume of a NIfTI file, scaled as its header says, with the label names of its extended header where it has any.

    Raises
    ------
    InputError
        When the file cannot be read, is cut short, is not NIfTI, has no position in space, a spacing that is not positive, an axis
        too many, or colours.
    """
    import nibabel as nib

    content, digest = _content(path)
    kind = _kind(path, content)
    header = kind.header_class.from_fileobj(BytesIO(content), check=False)
    _refuse_bad_header(path, header)
    try:
        image = kind.from_bytes(content)
        array = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError) as error:
        raise InputError(path, f"the file ends early or is damaged ({error})") from error
    if array.dtype.fields is not None or array.dtype.kind not in "iufb":
        raise InputError(path, f"expected one number a voxel, found values of type {array.dtype}")
    array = three_axes(path, array)
    affine, doubts = _affine(path, image.header, array.shape[:3])
    provenance: dict[str, Any] = {"file": path.name, "format": "NIfTI", "sha256": digest}
    if bytes(image.header["descrip"]).startswith(SIMULATED):
        doubts = (*doubts, f"{path.name} is a simulated scan: a digital patient, no human being")
        provenance["simulated"] = True
    return RawVolume(path, array, make_grid(path, array.shape, affine), None, _names(image.header), doubts, provenance)


def _content(path: Path) -> tuple[bytes, str]:
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"the file cannot be read ({error.strerror or error})") from error
    digest = hashlib.sha256(stored).hexdigest()
    if stored[:2] != b"\x1f\x8b":
        return stored, digest
    try:
        return gzip.decompress(stored), digest
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(path, f"the compressed file ends early or is damaged ({error})") from error


def _kind(path: Path, content: bytes) -> Any:
    """The class that reads this header: NIfTI-1 or NIfTI-2, told by their magic."""
    import nibabel as nib

    if len(content) >= 348 and content[344:348] == b"n+1\0":
        return nib.Nifti1Image
    if len(content) >= 540 and content[4:8] == b"n+2\0":
        return nib.Nifti2Image
    if len(content) >= 348 and content[344:348] == b"ni1\0":
        raise InputError(path, "expected a single NIfTI file, found the header of a pair (.hdr and .img)")
    raise InputError(path, "expected a NIfTI file, found no NIfTI header in it")


def _refuse_bad_header(path: Path, header: Any) -> None:
    """Say all that is wrong with the header at once, before the library mends any of it silently."""
    problems = []
    problem = bad_spacing(header["pixdim"][1:4])
    if problem is not None:
        problems.append(problem)
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        problems.append("expected an sform or a qform, found neither: where its voxels are, and which side is left, is unknown")
    if problems:
        raise InputError(path, *problems)


def _affine(path: Path, header: Any, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    doubts: list[str] = []
    sform = header.get_sform(coded=True)[0]
    try:
        qform = header.get_qform(coded=True)[0]
    except Exception as error:
        if sform is None:
            raise InputError(path, f"its qform is not a rotation ({error})") from error
        qform = None
        doubts.append(f"{path.name}: the qform is not a rotation; the sform was used")
    affine = sform if sform is not None else qform
    if sform is not None and qform is not None:
        corners = np.array([[i, j, k, 1.0] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
        apart_mm = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
        if not apart_mm <= _AGREE_MM:
            doubts.append(f"{path.name}: sform and qform differ by up to {apart_mm:.1f} mm; the sform was used")
    spatial, _ = header.get_xyzt_units()
    factor = _UNIT_MM.get(spatial, 1.0)
    if factor != 1.0:
        doubts.append(f"{path.name}: its unit of length is the {spatial}; converted to millimetres")
    affine = np.array(affine, dtype=np.float64)
    affine[:3] *= factor
    return affine, tuple(doubts)


def _names(header: Any) -> dict[int, str]:
    """Label names in an extended header: the XML label table that TotalSegmentator and the Connectome Workbench write."""
    names: dict[int, str] = {}
    for extension in header.extensions:
        content = extension.get_content()
        text = content if isinstance(content, bytes) else str(content).encode()
        start, end = text.find(b"<LabelTable"), text.rfind(b"</LabelTable>")
        if start < 0 or end < 0:
            continue
        try:
            table = ElementTree.fromstring(text[start : end + len(b"</LabelTable>")])
        except ElementTree.ParseError:
            continue
        for label in table.iter("Label"):
            key = label.get("Key", "")
            if key.isdigit() and int(key) > 0 and label.text:
                names[int(key)] = label.text.strip()
    return names
