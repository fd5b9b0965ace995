"""Names told by anatomy: of a digital patient, whose true names are known, its levels and sides forgotten and parts of it spoilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from kambin.anatomy.schemes import builtin_scheme
from kambin.anatomy.structures import Kind, Structure
from kambin.errors import InputError, NoSpineError
from kambin.phantom import PatientParameters, build_patient, view_of
from kambin.segmentation.classes import ClassSet
from kambin.segmentation.level_count import Landmark, against, place_name
from kambin.segmentation.naming import named
from kambin.volume import Grid, Segmentation

BONES = ["vertebral_body", "posterior_arch", "sacrum", "disc"]
VESSELS = ["aorta", "vena_cava", "common_iliac_artery", "common_iliac_vein"]
CLASSES = ClassSet.from_keys(["background", "trunk", *BONES, "dural_sac", "nerve_root", "hip_bone", "psoas", *VESSELS])
STRUCTURES = {n: s for n, s in builtin_scheme("kambin").table.items() if s is not None}
NUMBER = {s: n for n, s in STRUCTURES.items()}


def number(key: str) -> int:
    return NUMBER[Structure.from_key(key)]


def class_of(key: str) -> int:
    return CLASSES.keys.index(key)


@dataclass(frozen=True)
class Man:
    """A digital man: his true names and the classes that a perfect network would find, voxel by voxel."""

    grid: Grid
    truth: npt.NDArray[np.uint16]
    classes: npt.NDArray[np.uint8]

    def where(self, key: str) -> npt.NDArray[np.bool_]:
        return self.truth == number(key)

    def middle(self, key: str) -> npt.NDArray[np.int64]:
        return np.argwhere(self.where(key)).mean(axis=0).round().astype(np.int64)


def forgotten(labels: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """True names in parts that a network tells apart, and their classes."""
    names, classes = np.zeros(256, dtype=np.uint16), np.zeros(256, dtype=np.uint8)
    for label, structure in STRUCTURES.items():
        index = CLASSES.index(structure) or (1 if structure.kind in (Kind.KIDNEY, Kind.BOWEL) else 0)
        if index:
            kind = CLASSES.structures[index - 1].kind
            level, side = structure.level if kind.is_levelled else None, structure.side if kind.is_sided else None
            names[label], classes[label] = NUMBER[Structure(kind, level, side)], index
    return names[labels], classes[labels]


@pytest.fixture(scope="module")
def man() -> Man:
    patient = build_patient(PatientParameters())
    grid = view_of(patient, (100, 70, 90), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0), None)
    return Man(grid, *forgotten(patient.labels(grid, NUMBER)))


def share_right(man: Man, segmentation: Segmentation, *kinds: Kind) -> float:
    """Share of the voxels of these kinds that are named as they should be."""
    wanted = [n for n, s in STRUCTURES.items() if s.kind in kinds]
    mask = np.isin(man.truth, wanted)
    return float(np.mean(segmentation.labels[mask] == man.truth[mask]))


LEVELS = ["L5", "L4", "L3", "L2", "L1", "T12"]
COLUMN = (Kind.BODY, Kind.DISC, Kind.SACRUM)


class TestWhole:
    def test_every_name(self, man: Man) -> None:
        before = man.classes.copy()
        result = named(man.classes, man.grid, CLASSES)
        assert share_right(man, result, *COLUMN, Kind.HIP, Kind.PSOAS, Kind.AORTA, Kind.VENA_CAVA, Kind.DURAL_SAC) == 1.0
        assert share_right(man, result, Kind.TRUNK) > 0.999  # small holes are filled
        assert share_right(man, result, Kind.ARCH) > 0.95  # 3 mm voxels close every facet joint
        assert share_right(man, result, Kind.NERVE_ROOT) > 0.9
        assert share_right(man, result, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN) > 0.95
        assert result.provenance["levels"] == LEVELS
        assert result.provenance["counted_from"] == "sacrum"
        assert result.doubts == ()
        assert np.array_equal(before, man.classes)

    def test_no_psoas_above_the_lower_rim_of_t12(self, man: Man) -> None:
        """Lung, liver and spleen beside T12, cut to a strip by a narrow field of view, look like a muscle that goes on upwards."""
        classes = man.classes.copy()
        body = np.argwhere(man.where("vertebral_body_T12"))
        middle = body.mean(axis=0).round().astype(int)
        strip = np.zeros(classes.shape, dtype=bool)
        strip[body[:, 0].max() + 2 : body[:, 0].max() + 6, middle[1] - 5 : middle[1] + 5, middle[2] : middle[2] + 12] = True
        joined = np.argwhere(man.where("psoas_right")).max(axis=0)[2]
        strip[body[:, 0].max() + 2 : body[:, 0].max() + 4, middle[1] - 2 : middle[1] + 2, joined - 3 : middle[2]] = True
        strip &= np.isin(classes, (0, 1))
        classes[strip] = class_of("psoas")
        result = named(classes, man.grid, CLASSES)
        low = np.argwhere(man.where("vertebral_body_T12"))[:, 2].min()
        psoas = np.isin(result.labels, [number("psoas_right"), number("psoas_left")])
        assert np.argwhere(psoas)[:, 2].max() <= low + 3
        assert share_right(man, result, Kind.PSOAS) == 1.0
        assert any("psoas" in doubt and "left out" in doubt for doubt in result.doubts)

    def test_a_disc_within_the_sacrum_is_a_doubt(self) -> None:
        """S1 half freed: still part of the sacrum, with a disc below it."""
        patient = build_patient(PatientParameters().changed({"lumbarisation": 0.45}))
        grid = view_of(patient, (100, 70, 100), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0), None)
        half_freed = Man(grid, *forgotten(patient.labels(grid, NUMBER)))
        assert half_freed.where("disc_S1").sum() > 0.2 * half_freed.where("disc_L4").sum()
        result = named(half_freed.classes, grid, CLASSES)
        assert share_right(half_freed, result, *COLUMN) > 0.99
        assert any("sixth lumbar vertebra (L6, a lumbarised S1)" in doubt for doubt in result.doubts)

    @pytest.mark.parametrize(("axis", "degrees"), [(1, 30.0), (1, -30.0), (0, 25.0), (2, 20.0)])
    def test_turned_patient(self, man: Man, axis: int, degrees: float) -> None:
        """A column leaning by 30° either way, a flexed one, a patient who lies turned."""
        angle = np.radians(degrees)
        turn = np.eye(4)
        one, other = [k for k in range(3) if k != axis]
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        result = named(man.classes, Grid(man.grid.shape, turn @ man.grid.world_from_voxel), CLASSES)
        assert share_right(man, result, *COLUMN, Kind.PSOAS, Kind.HIP) > 0.999
        assert share_right(man, result, Kind.ARCH) > 0.94

    def test_thick_sagittal_slices(self, man: Man) -> None:
        """Every second plane of the middle 60 mm: slices 6 mm apart, no flank in view."""
        middle = man.middle("vertebral_body_L3")[0]
        planes = slice(middle - 10, middle + 10, 2)
        affine = man.grid.world_from_voxel.copy()
        affine[:3, 3] = man.grid.world((middle - 10, 0, 0))
        affine[:3, 0] *= 2
        classes = np.ascontiguousarray(man.classes[planes])
        result = named(classes, Grid(classes.shape, affine), CLASSES)
        some = Man(result.grid, man.truth[planes], classes)
        assert share_right(some, result, *COLUMN) > 0.999
        assert share_right(some, result, Kind.ARCH) > 0.9

    def test_classes_that_have_names_keep_them(self, man: Man) -> None:
        classes = ClassSet.from_keys(["background", "vertebra_L5", "psoas_left"])
        result = named(np.where(man.classes > 0, man.classes % 3, 0).astype(np.uint8), man.grid, classes)
        assert {s.key for s in result.structures} == {"vertebra_L5", "psoas_left"}

    def test_bodies_alone(self, man: Man) -> None:
        classes = ClassSet.from_keys(["background", "vertebral_body"])
        result = named((man.classes == class_of("vertebral_body")).astype(np.uint8), man.grid, classes)
        assert share_right(man, result, Kind.BODY) == 1.0
        assert any("CALLED L5" in doubt for doubt in result.doubts)


class TestSpoilt:
    """What networks do wrong."""

    @pytest.mark.parametrize("instead", ["vertebral_body", "trunk"])
    def test_disc_not_found(self, man: Man, instead: str) -> None:
        classes = np.where(man.where("disc_L3"), class_of(instead), man.classes).astype(np.uint8)
        result = named(classes, man.grid, CLASSES)
        assert share_right(man, result, Kind.BODY) > 0.99
        assert result.provenance["levels"] == LEVELS
        assert share_right(man, result, Kind.ARCH) > 0.95

    def test_body_broken_in_two(self, man: Man) -> None:
        classes = man.classes.copy()
        height = man.middle("vertebral_body_L2")[2]
        slab = man.where("vertebral_body_L2")
        slab[:, :, :height] = slab[:, :, height + 1 :] = False
        classes[slab] = class_of("trunk")
        result = named(classes, man.grid, CLASSES)
        keep = Man(man.grid, np.where(slab, 0, man.truth).astype(np.uint16), classes)
        assert share_right(keep, result, Kind.BODY) == 1.0

    def test_islands(self, man: Man) -> None:
        """A lump in the belly and one before the sacrum, each called vertebral body."""
        classes = man.classes.copy()
        lumps = np.zeros(classes.shape, dtype=bool)
        x, y, z = man.middle("vertebral_body_L3")
        lumps[x - 3 : x + 3, y + 16 : y + 22, z : z + 6] = True
        x, y, z = man.middle("sacrum")
        lumps[x - 3 : x + 3, y + 13 : y + 18, z - 4 : z + 2] = True
        classes[lumps] = class_of("vertebral_body")
        result = named(classes, man.grid, CLASSES)
        assert result.provenance["levels"] == LEVELS
        assert share_right(man, result, Kind.BODY) == 1.0
        bodies = np.isin(man.truth, [number(f"vertebral_body_{level}") for level in LEVELS])
        assert not np.any(result.mask(result.find(Kind.BODY)) & lumps & ~bodies)

    def test_first_sacral_body_called_a_vertebra(self, man: Man) -> None:
        """The sacrum's first body, with its alae beside it, is no L5 and shifts no level."""
        classes = man.classes.copy()
        disc = man.middle("disc_L5")
        top = man.where("sacrum")
        top[: disc[0] - 7] = top[disc[0] + 8 :] = False
        top[:, : disc[1] - 8] = top[:, :, : disc[2] - 9] = False
        classes[top] = class_of("vertebral_body")
        assert top.sum() * 27 > 10_000
        result = named(classes, man.grid, CLASSES)
        assert result.provenance["levels"] == LEVELS
        assert share_right(man, result, *COLUMN) > 0.995

    def test_sacrum_broken_in_two(self, man: Man) -> None:
        classes = man.classes.copy()
        height = man.middle("sacrum")[2]
        gap = man.where("sacrum")
        gap[:, :, :height] = gap[:, :, height + 2 :] = False
        classes[gap] = class_of("trunk")
        result = named(classes, man.grid, CLASSES)
        keep = Man(man.grid, np.where(gap, 0, man.truth).astype(np.uint16), classes)
        assert share_right(keep, result, *COLUMN) > 0.999

    def test_vertebra_not_found(self, man: Man) -> None:
        """A level with no body is left out, not closed up."""
        lost = man.where("vertebral_body_L3") | man.where("disc_L3")
        classes = np.where(lost, class_of("trunk"), man.classes).astype(np.uint8)
        result = named(classes, man.grid, CLASSES)
        assert result.provenance["levels"] == ["L5", "L4", "L2", "L1", "T12"]
        assert any("directly above L4" in doubt for doubt in result.doubts)


class TestPartialViews:
    def cut(self, man: Man, low: int, high: int) -> tuple[Man, Segmentation]:
        classes = np.ascontiguousarray(man.classes[:, :, low:high])
        grid = man.grid.crop((0, 0, low), (*man.grid.shape[:2], high))
        return Man(grid, man.truth[:, :, low:high], classes), named(classes, grid, CLASSES)

    def test_cut_through_l5(self, man: Man) -> None:
        """No sacrum: what lies beside the column tells the level, and it is said that it is a guess."""
        no_sacrum = np.where(man.classes == class_of("sacrum"), class_of("trunk"), man.classes).astype(np.uint8)
        some = Man(man.grid, np.where(man.where("sacrum"), number("trunk"), man.truth).astype(np.uint16), no_sacrum)
        some, result = self.cut(some, int(man.middle("vertebral_body_L5")[2]), man.grid.shape[2])
        assert share_right(some, result, Kind.BODY, Kind.DISC) > 0.99
        assert any("guess" in doubt and "usually do" in doubt for doubt in result.doubts)

    def test_l3_to_l5(self, man: Man) -> None:
        some, result = self.cut(man, 0, int(man.middle("vertebral_body_L2")[2]) - 2)
        assert result.provenance["levels"][:3] == ["L5", "L4", "L3"]
        assert share_right(some, result, *COLUMN) > 0.999

    @pytest.mark.parametrize(("sides", "is_doubted"), [(("left", "right"), True), (("left",), False)])
    def test_belly_wall_taken_for_a_crest(self, man: Man, sides: tuple[str, ...], is_doubted: bool) -> None:
        """Both crests far too high speak against the count; one alone is not believed."""
        classes = man.classes.copy()
        for side in sides:
            hip = np.argwhere(man.where(f"hip_bone_{side}"))
            x, y, z = hip[hip[:, 2] == hip[:, 2].max()].mean(axis=0).round().astype(int)
            classes[x - 2 : x + 3, y - 2 : y + 3, z : z + 16] = class_of("hip_bone")
        doubts = named(classes, man.grid, CLASSES).doubts
        assert any("sixth lumbar vertebra" in doubt for doubt in doubts) is is_doubted
        assert any("crests were found at different heights" in doubt for doubt in doubts) is not is_doubted

    def test_no_hip_no_vessel_no_sacrum(self, man: Man) -> None:
        keep = ["background", "trunk", "vertebral_body", "posterior_arch", "disc"]
        classes = np.where(man.classes <= 3, man.classes, np.where(man.classes == class_of("disc"), 4, 1)).astype(np.uint8)
        classes[:, :, : man.middle("disc_L4")[2] - 4] = 0
        result = named(classes, man.grid, ClassSet.from_keys(keep))
        assert any("settle them before" in doubt for doubt in result.doubts)


class TestDoubts:
    def test_mirrored_scan(self, man: Man) -> None:
        """Sides go by the file; that the vessels contradict them is said."""
        classes = np.ascontiguousarray(man.classes[::-1])
        doubts = named(classes, man.grid, CLASSES).doubts
        assert any("mirrored" in doubt for doubt in doubts)

    def test_uncertain_structure(self, man: Man) -> None:
        confidence = np.where(man.where("disc_L2"), 80, 240).astype(np.uint8)
        doubts = named(man.classes, man.grid, CLASSES, confidence).doubts
        assert [doubt for doubt in doubts if "L2 disc (0.31)" in doubt]

    def test_no_spine(self, man: Man) -> None:
        classes = np.where(man.classes == 1, 1, 0).astype(np.uint8)
        classes[40:44, 40:44, 40:43] = class_of("vertebral_body")
        with pytest.raises(NoSpineError, match=r"found 1\.3 cm³ of bodies and 0\.0 cm³ of sacrum") as caught:
            named(classes, man.grid, CLASSES)
        assert isinstance(caught.value, InputError)

    def test_shape_and_class_are_checked(self, man: Man) -> None:
        with pytest.raises(ValueError, match="shape"):
            named(man.classes[1:], man.grid, CLASSES)
        with pytest.raises(ValueError, match="expected classes 0 to 1"):
            named(man.classes, man.grid, ClassSet.from_keys(["background", "trunk"]))


def test_places_have_names() -> None:
    assert [place_name(place) for place in (-1.0, -0.5, 0.0, 0.5, 1.1, 2.5, 5.0, 7.4)] == [
        "S1", "L5/S1", "L5", "L4/L5", "L4", "L2/L3", "T12", "T10"
    ]  # fmt: skip


class TestCount:
    """Landmarks beside the column, in vertebrae from the middle of the lowest."""

    def marks(self, crest: float, fork: float) -> tuple[Landmark, ...]:
        return Landmark("the iliac crests meet it", crest, 0.5, 0.35), Landmark("the aorta divides", fork, 0.8, 0.45)

    def test_nothing_speaks_against_the_usual(self) -> None:
        assert against(self.marks(0.3, 1.0), 0, 0.8, 6) is None
        assert against((), 0, None, 3) is None

    def test_sixth_lumbar_vertebra(self) -> None:
        """What a digital patient with a lumbarised S1 shows."""
        doubt = against(self.marks(1.31, 1.81), 0, 0.73, 6)
        assert doubt is not None
        assert "the iliac crests meet it at L3/L4 and the aorta divides at L3" in doubt
        assert "sixth lumbar vertebra" in doubt

    def test_fifth_in_the_sacrum(self) -> None:
        doubt = against(self.marks(-0.5, -0.2), 0, 1.0, 5)
        assert doubt is not None
        assert "fifth lumbar vertebra may be part of the sacrum" in doubt

    def test_a_disc_in_the_sacrum_and_landmarks_make_one_doubt(self) -> None:
        alone = against(self.marks(0.3, 1.0), 0, 0.8, 6, 0.35)
        assert alone is not None
        assert "there is a disc, 35 % as large as the others" in alone
        assert "sixth lumbar vertebra" in alone
        assert against(self.marks(0.3, 1.0), 0, 0.8, 6, 0.17) is None
        both = against(self.marks(-0.5, -0.2), 0, 1.0, 5, 0.35)
        assert both is not None
        assert "do not agree on which one" in both
        assert "each level then" not in both

    def test_rudimentary_disc(self) -> None:
        doubt = against(self.marks(0.5, 0.8), 0, 0.25, 6)
        assert doubt is not None
        assert "only 25 % as thick" in doubt
        assert "transitional" in doubt
