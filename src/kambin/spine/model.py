"""The reconstructed spine of one patient: shapes, parts, frames, and the doubts about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from kambin.anatomy.structures import Kind, Level, Side, Structure, segment_name
from kambin.geometry import FloatArray, Frame, Plane
from kambin.spine.solid import Solid
from kambin.volume.grid import Grid


class Severity(Enum):
    """How much a doubt matters."""

    NOTE = "note"  # worth knowing
    WARNING = "warning"  # a measure or two may be off
    SERIOUS = "serious"  # side or level may be wrong: look before using any number


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that the anatomy says and the file does not, or the other way round."""

    severity: Severity
    text: str


@dataclass(frozen=True, eq=False)
class Endplate:
    """One bony endplate, sampled on a regular lattice of the vertebra's or the segment's frame.

    Parameters
    ----------
    points_mm
        RAS points of the endplate's surface, shape (n, 3).
    plane
        Their least-squares plane, the normal pointing out of the body.
    """

    points_mm: FloatArray
    plane: Plane


@dataclass(frozen=True, eq=False)
class PedicleNeck:
    """The narrow place of one pedicle, RAS millimetres.

    Parameters
    ----------
    centre_mm
        Its middle.
    medial_mm, lateral_mm, cranial_mm, caudal_mm
        Its borders, each of shape (3,).
    """

    centre_mm: FloatArray
    medial_mm: FloatArray
    lateral_mm: FloatArray
    cranial_mm: FloatArray
    caudal_mm: FloatArray


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra. For S1 the solid is the whole sacrum, and only the upper endplate exists.

    Parameters
    ----------
    level
        Its name.
    solid
        The whole bone.
    frame
        Origin at the body's centre; cranial along the body, anterior away from the canal.
    parts
        Level solids of the parts, by structure (body, pedicles, processes ...). Empty where they could not be told apart. Of S1 only the
        superior articular processes.
    upper_endplate, lower_endplate
        None where it is out of the field of view or not found.
    complete
        Whether the bone lies whole inside the field of view.
    pedicles
        The necks of the pedicles that were found, by side.
    canal_centre_mm
        Centre of the vertebral foramen at the height of the frame's origin, or None where there is no arch.
    """

    level: Level
    solid: Solid
    frame: Frame
    parts: Mapping[Structure, Solid]
    upper_endplate: Endplate | None
    lower_endplate: Endplate | None
    complete: bool
    pedicles: Mapping[Side, PedicleNeck] = field(default_factory=dict)
    canal_centre_mm: FloatArray | None = None

    def part(self, kind: Kind, side: Side | None = None) -> Solid | None:
        """The solid of one part, or None."""
        return self.parts.get(Structure(kind, self.level, side))

    @property
    def structure(self) -> Structure:
        return Structure(Kind.SACRUM) if self.level is Level.S1 else Structure(Kind.VERTEBRA, self.level)


@dataclass(frozen=True, eq=False)
class MotionSegment:
    """Two neighbouring vertebrae and the disc between them.

    Parameters
    ----------
    upper, lower
        The vertebrae.
    frame
        Origin at the disc's centroid; cranial normal to the disc mid-plane; anterior from the canal toward the disc.
    disc
        The disc's shape; where no disc was labelled, the space between the facing endplates.
    disc_is_inferred
        True where the disc was not labelled.
    upper_endplate, lower_endplate
        The endplates facing the disc: the lower one of `upper`, the upper one of `lower`, over their common footprint.
    """

    upper: Vertebra
    lower: Vertebra
    frame: Frame
    disc: Solid
    disc_is_inferred: bool
    upper_endplate: Endplate
    lower_endplate: Endplate

    @property
    def name(self) -> str:
        return segment_name(self.upper.level, self.lower.level)

    @property
    def mid_plane(self) -> Plane:
        """The disc mid-plane, its normal cranial."""
        return Plane(self.frame.origin_mm, self.frame.cranial)


@dataclass(frozen=True, eq=False)
class SpineModel:
    """Everything reconstructed from one segmentation.

    Parameters
    ----------
    grid
        The grid of the label map the model was made from (canonical order).
    labels, table
        That label map, with vertebral parts, for slices and for export: 0 is background, else a key of `table`.
    vertebrae
        Cranial to caudal; the last is S1 (the sacrum) where it is in the field of view.
    segments
        Motion segments whose two vertebrae and disc space are present, cranial to caudal.
    missing_segments
        Neighbouring vertebrae that make no segment, by name ("L5/S1"), with the reason.
    solids
        Every other structure: dura, canal, roots, hips, psoas, vessels, trunk.
    patient_frame
        The spine's own directions (origin at the centre of the lumbar bodies): cranial along the column.
    doubts
        Worst first.
    provenance
        Inputs with checksums, scheme, parameters, version.
    drawn
        Those of the solids that somebody drew by hand: modelled, not seen.
    """

    grid: Grid
    labels: npt.NDArray[np.uint16]
    table: Mapping[int, Structure]
    vertebrae: tuple[Vertebra, ...]
    segments: tuple[MotionSegment, ...]
    missing_segments: Mapping[str, str]
    solids: Mapping[Structure, Solid]
    patient_frame: Frame
    doubts: tuple[Doubt, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    drawn: frozenset[Structure] = frozenset()

    def __post_init__(self) -> None:
        for name in ("table", "missing_segments", "solids", "provenance"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def confidence(self) -> Mapping[Structure, float]:
        """Of each structure that a network drew, the mean probability (0 to 1) of its voxels; empty for labels of other origin."""
        told = self.provenance.get("segmented_by", {}).get("confidence", {})
        return {Structure.from_key(key): float(value) for key, value in told.items()}

    def solid(self, kind: Kind, level: Level | None = None, side: Side | None = None) -> Solid | None:
        """The shape of one structure that is not a vertebra or disc, or None."""
        return self.solids.get(Structure(kind, level, side))

    def vertebra(self, level: Level) -> Vertebra | None:
        return next((v for v in self.vertebrae if v.level is level), None)

    def segment(self, name: str) -> MotionSegment | None:
        return next((s for s in self.segments if s.name == name), None)

    def all_solids(self) -> dict[Structure, Solid]:
        """Every shape for drawing and export: whole vertebrae, discs, then the rest; not the vertebral parts."""
        result = {vertebra.structure: vertebra.solid for vertebra in self.vertebrae}
        result |= {Structure(Kind.DISC, segment.upper.level): segment.disc for segment in self.segments}
        return result | dict(self.solids)
