"""A reconstructed model on disk, exactly: what is loaded measures to the same numbers as what was saved.

``model.npz`` is an ordinary NumPy archive without pickles: one ``.npy`` member an array, and ``model.json`` that says how they
belong together. It is Kambin's own working file; for other programs there are STL, GLB and ``.seg.nrrd`` beside it.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Level, Side, Structure
from kambin.errors import InputError
from kambin.geometry import FloatArray, Frame, Plane
from kambin.io.plain import encodable, plain
from kambin.spine import Doubt, Endplate, MotionSegment, PedicleNeck, Severity, Solid, SpineModel, SurfaceMesh, Vertebra
from kambin.volume.grid import Grid

SCHEMA = "kambin.model/1"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes, whenever it was saved


def save_model(model: SpineModel, path: str | Path) -> None:
    """Write a model. The same model gives the same bytes.

    Provenance is written as JSON, so a tuple in it comes back as a list and a path as text; all else comes back as it was.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        document = _Saver(archive).model(model)
        archive.writestr(_member("model.json"), encodable(json.dumps(document, allow_nan=False, ensure_ascii=False)))


def load_model(path: str | Path) -> SpineModel:
    """Read what `save_model` wrote.

    Raises
    ------
    InputError
        When the file is absent, damaged, or not a model of this schema.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read("model.json"))
            schema = document.get("schema")
            if schema != SCHEMA:
                raise InputError(path, f"expected a model of schema {SCHEMA}, found {schema!r}")
            return _Loader(archive).model(document)
    except InputError:
        raise
    except OSError as error:
        raise InputError(path, f"expected a reconstructed model, found no file that can be read ({error.strerror})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        hint = "Make it again with `kambin reconstruct`."
        raise InputError(path, f"expected a reconstructed model, found a damaged file ({error})", hint=hint) from error


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


class _Saver:
    """Writes each array and each shared value once, and refers to it by number."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._count = 0
        self._vertebrae: dict[int, int] = {}
        self._solids: dict[int, int] = {}
        self._solid_entries: list[dict[str, Any]] = []
        self._endplates: dict[int, int] = {}
        self._endplate_entries: list[dict[str, Any]] = []

    def model(self, model: SpineModel) -> dict[str, Any]:
        vertebrae = list(model.vertebrae)
        # a segment's vertebra is one of the model's; should one not be, it is kept all the same
        known = {id(vertebra) for vertebra in vertebrae}
        extra = [v for segment in model.segments for v in (segment.upper, segment.lower) if id(v) not in known]
        everything = vertebrae + list({id(v): v for v in extra}.values())
        self._vertebrae = {id(vertebra): index for index, vertebra in enumerate(everything)}
        entry = {
            "grid": _grid(model.grid),
            "labels": self._array(model.labels),
            "table": {str(label): structure.key for label, structure in model.table.items()},
            "vertebrae": [self._vertebra(vertebra) for vertebra in everything],
            "segments": [self._segment(segment) for segment in model.segments],
            "missing_segments": dict(model.missing_segments),
            "solids": {structure.key: self._solid(solid) for structure, solid in model.solids.items()},
            "patient_frame": _frame(model.patient_frame),
            "doubts": [[doubt.severity.value, doubt.text] for doubt in model.doubts],
            "provenance": plain(model.provenance),
            "drawn": sorted(structure.key for structure in model.drawn),
        }
        shared = {"vertebra_count": len(vertebrae), "solids": self._solid_entries, "endplates": self._endplate_entries}
        return {"schema": SCHEMA, "model": _whole(entry, SpineModel), "shared": shared}

    def _array(self, array: npt.NDArray[Any]) -> str:
        name = f"a{self._count}"
        self._count += 1
        with self._archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as file:
            np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
        return name

    def _vertebra(self, vertebra: Vertebra) -> dict[str, Any]:
        entry = {
            "level": vertebra.level.value,
            "solid": self._solid(vertebra.solid),
            "frame": _frame(vertebra.frame),
            "parts": {structure.key: self._solid(solid) for structure, solid in vertebra.parts.items()},
            "upper_endplate": self._endplate(vertebra.upper_endplate),
            "lower_endplate": self._endplate(vertebra.lower_endplate),
            "complete": bool(vertebra.complete),
            "pedicles": {side.value: _neck(neck) for side, neck in vertebra.pedicles.items()},
            "canal_centre_mm": None if vertebra.canal_centre_mm is None else np.asarray(vertebra.canal_centre_mm).tolist(),
        }
        return _whole(entry, Vertebra)

    def _segment(self, segment: MotionSegment) -> dict[str, Any]:
        entry = {
            "upper": self._vertebrae[id(segment.upper)],
            "lower": self._vertebrae[id(segment.lower)],
            "frame": _frame(segment.frame),
            "disc": self._solid(segment.disc),
            "disc_is_inferred": bool(segment.disc_is_inferred),
            "upper_endplate": self._endplate(segment.upper_endplate),
            "lower_endplate": self._endplate(segment.lower_endplate),
        }
        return _whole(entry, MotionSegment)

    def _solid(self, solid: Solid) -> int:
        if id(solid) not in self._solids:
            self._solids[id(solid)] = len(self._solid_entries)
            mesh = solid.mesh
            faces = mesh.faces.astype(np.uint32) if len(mesh.vertices_mm) < 2**32 else mesh.faces
            entry = {
                "grid": _grid(solid.grid),
                "level_mm": self._array(solid.level_mm),
                "vertices_mm": self._array(mesh.vertices_mm),
                "faces": self._array(faces),
            }
            self._solid_entries.append(entry)
        return self._solids[id(solid)]

    def _endplate(self, endplate: Endplate | None) -> int | None:
        if endplate is None:
            return None
        if id(endplate) not in self._endplates:
            self._endplates[id(endplate)] = len(self._endplate_entries)
            plane = {"origin_mm": endplate.plane.origin_mm.tolist(), "normal": endplate.plane.normal.tolist()}
            self._endplate_entries.append({"points_mm": self._array(endplate.points_mm), "plane": plane})
        return self._endplates[id(endplate)]


class _Loader:
    """The inverse of `_Saver`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._solids: list[Solid] = []
        self._endplates: list[Endplate] = []

    def model(self, document: Mapping[str, Any]) -> SpineModel:
        shared, document = document["shared"], document["model"]
        self._solids = [self._solid(entry) for entry in shared["solids"]]
        self._endplates = [self._endplate(entry) for entry in shared["endplates"]]
        vertebrae = [self._vertebra(entry) for entry in document["vertebrae"]]
        return SpineModel(
            grid=_read_grid(document["grid"]),
            labels=self._array(document["labels"]),
            table={int(label): Structure.from_key(key) for label, key in document["table"].items()},
            vertebrae=tuple(vertebrae[: shared["vertebra_count"]]),
            segments=tuple(self._segment(entry, vertebrae) for entry in document["segments"]),
            missing_segments=document["missing_segments"],
            solids={Structure.from_key(key): self._solids[index] for key, index in document["solids"].items()},
            patient_frame=_read_frame(document["patient_frame"]),
            doubts=tuple(Doubt(Severity(severity), text) for severity, text in document["doubts"]),
            provenance=document["provenance"],
            drawn=frozenset(Structure.from_key(key) for key in document.get("drawn", ())),
        )

    def _array(self, name: str) -> npt.NDArray[Any]:
        with self._archive.open(f"{name}.npy") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        array.setflags(write=False)
        return array

    def _solid(self, entry: Mapping[str, Any]) -> Solid:
        mesh = SurfaceMesh(self._array(entry["vertices_mm"]), self._array(entry["faces"]).astype(np.int64))
        return Solid(_read_grid(entry["grid"]), self._array(entry["level_mm"]), mesh)

    def _endplate(self, entry: Mapping[str, Any]) -> Endplate:
        plane = Plane(np.array(entry["plane"]["origin_mm"]), np.array(entry["plane"]["normal"]))
        # Plane scales its normal to length one, which can move the last bit of one that already is; the saved bits are the truth.
        normal = np.array(entry["plane"]["normal"], dtype=np.float64)
        normal.setflags(write=False)
        object.__setattr__(plane, "normal", normal)
        return Endplate(self._array(entry["points_mm"]), plane)

    def _optional_endplate(self, index: int | None) -> Endplate | None:
        return None if index is None else self._endplates[index]

    def _vertebra(self, entry: Mapping[str, Any]) -> Vertebra:
        return Vertebra(
            level=Level(entry["level"]),
            solid=self._solids[entry["solid"]],
            frame=_read_frame(entry["frame"]),
            parts={Structure.from_key(key): self._solids[index] for key, index in entry["parts"].items()},
            upper_endplate=self._optional_endplate(entry["upper_endplate"]),
            lower_endplate=self._optional_endplate(entry["lower_endplate"]),
            complete=entry["complete"],
            pedicles={Side(side): _read_neck(neck) for side, neck in entry["pedicles"].items()},
            canal_centre_mm=_optional_point(entry["canal_centre_mm"]),
        )

    def _segment(self, entry: Mapping[str, Any], vertebrae: list[Vertebra]) -> MotionSegment:
        return MotionSegment(
            upper=vertebrae[entry["upper"]],
            lower=vertebrae[entry["lower"]],
            frame=_read_frame(entry["frame"]),
            disc=self._solids[entry["disc"]],
            disc_is_inferred=entry["disc_is_inferred"],
            upper_endplate=self._endplates[entry["upper_endplate"]],
            lower_endplate=self._endplates[entry["lower_endplate"]],
        )


def _whole(entry: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """The entry; a value that has grown a field which is not saved yet must not lose it in silence."""
    missing = {each.name for each in fields(kind)} ^ set(entry)
    if missing:
        raise TypeError(f"expected every field of {kind.__name__} to be saved, found a difference in {sorted(missing)}")
    return entry


def _neck(neck: PedicleNeck) -> dict[str, list[float]]:
    return {each.name: np.asarray(getattr(neck, each.name), dtype=np.float64).tolist() for each in fields(neck)}


def _read_neck(entry: Mapping[str, Any]) -> PedicleNeck:
    return PedicleNeck(**{name: np.array(point, dtype=np.float64) for name, point in entry.items()})


def _optional_point(entry: list[float] | None) -> FloatArray | None:
    return None if entry is None else np.array(entry, dtype=np.float64)


def _grid(grid: Grid) -> dict[str, Any]:
    return {"shape": list(grid.shape), "world_from_voxel": grid.world_from_voxel.tolist()}


def _read_grid(entry: Mapping[str, Any]) -> Grid:
    return Grid(tuple(entry["shape"]), np.array(entry["world_from_voxel"], dtype=np.float64))


def _frame(frame: Frame) -> dict[str, Any]:
    return {"origin_mm": frame.origin_mm.tolist(), "axes": frame.axes.tolist()}


def _read_frame(entry: Mapping[str, Any]) -> Frame:
    return Frame(np.array(entry["origin_mm"]), np.array(entry["axes"]))
