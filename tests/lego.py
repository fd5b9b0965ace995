"""A lumbar spine built of boxes, whose foramina, discs, pedicles and canals are known in closed form.

Each vertebra: a box for the body, two pedicles, two articular pillars (pars with inferior process), a lamina plate, two
transverse processes and a spinous
process. The superior articular processes of the vertebra below close the foramen behind. All in a frame of its own (right,
anterior, cranial),
placed in space by a rotation and a shift, and drawn on any grid by asking of every voxel centre whether it lies inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.volume import Grid, Segmentation, canonical

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class LegoSpine:
    """Dimensions in millimetres; `pitch_mm` is the distance between neighbouring vertebrae."""

    body_width_mm: float = 46.0
    body_depth_mm: float = 34.0
    body_height_mm: float = 28.0
    disc_height_mm: float = 10.0
    pedicle_width_mm: float = 10.0
    pedicle_height_mm: float = 14.0
    canal_half_width_mm: float = 11.0
    foramen_depth_mm: float = 9.0
    canal_depth_mm: float = 17.0
    levels: tuple[Level, ...] = (Level.L3, Level.L4, Level.L5)
    asymmetry_mm: float = 0.0

    @property
    def pitch_mm(self) -> float:
        return self.body_height_mm + self.disc_height_mm

    @property
    def foramen_height_mm(self) -> float:
        """From the lower edge of one pedicle to the upper edge of the next."""
        return self.pitch_mm - self.pedicle_height_mm

    @property
    def foramen_area_mm2(self) -> float:
        return self.foramen_height_mm * self.foramen_depth_mm

    def boxes(self) -> dict[Structure, list[Box]]:
        """Every structure as boxes in (right, anterior, cranial); the middle of the first body is the origin."""
        result: dict[Structure, list[Box]] = {}
        width, depth, height = self.body_width_mm / 2, self.body_depth_mm, self.body_height_mm / 2
        inner, outer = self.canal_half_width_mm, self.canal_half_width_mm + self.pedicle_width_mm
        wall = 0.0  # posterior wall of the body; the body reaches forward from it
        rear = wall - self.foramen_depth_mm
        back = wall - self.canal_depth_mm
        for number, level in enumerate(self.levels):
            z = -number * self.pitch_mm
            top = z + height - 2.0
            low = top - self.pedicle_height_mm
            bone: list[Box] = [((-width, width), (wall, wall + depth), (z - height, z + height))]
            for side in (-1, 1):

                def sided(a: float, b: float, side: int = side) -> tuple[float, float]:
                    return (min(side * a, side * b), max(side * a, side * b))

                shift = self.asymmetry_mm if side > 0 else 0.0
                bone.append((sided(inner, outer), (rear, wall), (low, top)))  # pedicle
                bone.append((sided(inner - 3, outer), (rear - 8 - shift, rear - shift), (low - 14, top)))  # pars and inferior process
                bone.append((sided(inner, outer + 1), (rear - 8 - shift, rear - shift), (top, top + 9)))  # superior articular process
                bone.append((sided(outer, outer + 20), (rear - 6, rear - 1), (top - 8, top - 2)))  # transverse process
                bone.append((sided(0, inner), (back - 5, back), (low - 6, low + 6)))  # lamina
                bone.append((sided(inner - 3, inner), (back - 5, rear - shift), (low - 6, low + 6)))  # joins lamina and pars
            bone.append(((-4, 4), (back - 28, back - 4), (low - 8, low + 4)))  # spinous process
            result[Structure(Kind.VERTEBRA, level)] = bone
            if number + 1 < len(self.levels):
                result[Structure(Kind.DISC, level)] = [
                    ((-width, width), (wall, wall + depth), (z - height - self.disc_height_mm, z - height))
                ]
        bottom = -(len(self.levels) - 1) * self.pitch_mm - height
        result[Structure(Kind.SPINAL_CANAL)] = [((-inner + 3, inner - 3), (back + 1, wall - 1), (bottom, height))]
        middle = -(len(self.levels) - 1) * self.pitch_mm / 2
        span = (middle - 60.0, middle + 60.0)
        front = wall + depth
        result[Structure(Kind.PSOAS, side=Side.LEFT)] = [((-60.0, -26.0), (wall - 4, front + 25), span)]
        result[Structure(Kind.PSOAS, side=Side.RIGHT)] = [((26.0, 60.0), (wall - 4, front + 25), span)]
        return result

    def tubes(self) -> dict[Structure, tuple[float, float, float]]:
        """Vessels as upright cylinders: centre (right, anterior) and radius."""
        front = self.body_depth_mm
        return {Structure(Kind.AORTA): (-8.0, front + 12.0, 8.0), Structure(Kind.VENA_CAVA): (12.0, front + 14.0, 10.0)}

    oblique_corridor_mm = 26.0 - 8.0 - 8.0  # from the left psoas's inner face to the aorta
    psoas_to_cava_mm = 26.0 - 12.0 - 10.0
    aorta_diameter_mm = 16.0
    cava_diameter_mm = 20.0

    def segmentation(
        self,
        spacing_mm: float | tuple[float, float, float] = 1.0,
        rotation: np.ndarray | None = None,
        shift_mm: tuple[float, float, float] = (0, 0, 0),
    ) -> Segmentation:
        """The spine drawn on an axis-aligned grid, turned by `rotation` (rows: world from local) about the middle of the spine."""
        turn = np.eye(3) if rotation is None else np.asarray(rotation)
        boxes = self.boxes()
        corners = np.array([[[x, y, z] for x in box[0] for y in box[1] for z in box[2]] for several in boxes.values() for box in several])
        world = corners.reshape(-1, 3) @ turn.T + np.asarray(shift_mm)
        # Voxel centres lie half a millimetre off the boxes' whole-millimetre faces when nothing is turned or shifted.
        low, high = np.floor(world.min(axis=0)) - 5.5, world.max(axis=0) + 6.0
        spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=float), (3,))
        shape = tuple(int(n) for n in np.ceil((high - low) / spacing))
        grid = Grid.axis_aligned(shape, tuple(spacing), low)
        points = (grid.world(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)) - np.asarray(shift_mm)) @ turn
        labels = np.zeros(shape, dtype=np.uint16)
        table = {}
        # Bone is drawn last: it wins over canal and muscle where edges meet.
        ordered = sorted(boxes.items(), key=lambda item: item[0].kind.is_vertebral)
        middle = -(len(self.levels) - 1) * self.pitch_mm / 2
        for number, (structure, (right, anterior, radius)) in enumerate(self.tubes().items(), start=1):
            table[number] = structure
            inside = np.hypot(points[..., 0] - right, points[..., 1] - anterior) < radius
            labels[inside & (np.abs(points[..., 2] - middle) < 60.0)] = number
        for number, (structure, several) in enumerate(ordered, start=len(table) + 1):
            table[number] = structure
            for box in several:
                inside = np.ones(shape, dtype=bool)
                for axis, (start, stop) in enumerate(box):
                    inside &= (points[..., axis] >= start) & (points[..., axis] < stop)
                labels[inside] = number
        array, canonical_grid = canonical(labels, grid)
        return Segmentation(canonical_grid, array.astype(np.uint16), table)


def mirrored(segmentation: Segmentation) -> Segmentation:
    """The mirror image of the anatomy about x = 0: left becomes right, in space and by name."""
    affine = segmentation.grid.world_from_voxel.copy()
    affine[0] = -affine[0]
    array, grid = canonical(segmentation.labels, Grid(segmentation.grid.shape, affine))
    return Segmentation(grid, array.astype(np.uint16), {label: structure.mirrored for label, structure in segmentation.table.items()})
