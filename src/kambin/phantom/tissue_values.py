"""What the scanners see of each tissue: relaxation times and proton density for MR, Hounsfield units for CT, and its texture.

The letter after a source says how far the figure was checked: *V* read in the source's text, *R* recalled from it, *D* derived from
its neighbours or chosen so that pictures look like real ones. Sources: de Bazelaire 2004, Radiology 230:652 (abdomen, 1.5 and 3 T);
Stanisz 2005, Magn Reson Med 54:507 (muscle, blood, cartilage, cord); Drake-Pérez 2018, AJNR 39:788 (spine by synthetic MR); Sollmann
2019, Clin Neuroradiol (lumbosacral roots and ganglia); Gold 2004, AJR 183:343 (marrow fat); Henkelman 1992, J Magn Reson Imaging 2:533
(fat in echo trains); Jang 2019, Radiology 291:360 (trabecular bone by age, CT); Baum 2018 (fat fraction of vertebral marrow); T2 of disc
by Pfirrmann grade: ESR poster, n = 479 discs, and Marinelli 2010, AJNR; muscles' fat by age: PMC7063279.

What changes with age and wear is a blend of two tissues, so that both scanners and the drawn contrasts follow the same number: see
`marrow`, `disc_core`, `muscle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kambin.phantom.tissue import Blend, Material, Tissue


@dataclass(frozen=True, slots=True)
class MrTissue:
    """Protons of a tissue: those in water, and a share in fat, which relaxes as fat does anywhere.

    Parameters
    ----------
    proton_density
        Of water and fat together, relative to cerebrospinal fluid.
    t1_ms
        Longitudinal relaxation of the water at 1.5 T and at 3 T.
    t2_ms
        Transverse relaxation of the water; the field changes it little.
    fat
        Share of the proton density that is fat, 0 to 1.
    """

    proton_density: float
    t1_ms: tuple[float, float]
    t2_ms: float
    fat: float = 0.0


@dataclass(frozen=True, slots=True)
class Texture:
    """How uneven a tissue is.

    Parameters
    ----------
    speckle
        Standard deviation of an even speckle (2 and 9 mm), relative to the tissue's own signal; in CT to 100 HU.
    streaks
        How much of another tissue there is in thin sheets along the body, where they are densest.
    towards
        That other tissue.
    """

    speckle: float = 0.0
    streaks: float = 0.0
    towards: Tissue = Tissue.FAT


# T1 and T2 (ms) of fat's main resonance: de Bazelaire R at 1.5 T, V at 3 T. Trains of narrowly spaced echoes keep the coupled
# protons in phase, which makes fat decay more slowly (Henkelman 1992 R; the size D).
FAT_T1_MS = (343.0, 382.0)
FAT_T2_SINGLE_ECHO_MS = 63.0
FAT_T2_ECHO_TRAIN_MS = 135.0

# Shares of fat at both ends of a blend (D); muscle has more in its streaks.
_FAT_IN_MARROW = (0.20, 0.85)
_FAT_IN_MUSCLE = (0.02, 0.40)

MR: Mapping[Tissue, MrTissue] = MappingProxyType(
    {
        Tissue.AIR: MrTissue(0.0, (1000.0, 1000.0), 1.0),
        Tissue.SKIN: MrTissue(0.60, (600.0, 750.0), 28.0),  # R
        Tissue.FAT: MrTissue(0.90, (800.0, 900.0), 40.0, fat=0.93),  # proton density R; the water in its septa D
        Tissue.MESENTERY: MrTissue(0.90, (800.0, 900.0), 40.0, fat=0.85),  # D
        # T2 43 (5) of erector spinae V; T1 from de Bazelaire V (898) to Stanisz R (1412).
        Tissue.MUSCLE: MrTissue(0.80, (930.0, 1100.0), 42.0, fat=_FAT_IN_MUSCLE[0]),
        Tissue.FATTY_MUSCLE: MrTissue(0.82, (930.0, 1100.0), 42.0, fat=_FAT_IN_MUSCLE[1]),
        Tissue.CORTICAL_BONE: MrTissue(0.15, (250.0, 280.0), 0.4),  # R
        Tissue.MARROW: MrTissue(0.70, (830.0, 960.0), 42.0, fat=_FAT_IN_MARROW[0]),  # with the fat, it fits de Bazelaire V (586, 49)
        Tissue.YELLOW_MARROW: MrTissue(0.80, (800.0, 930.0), 42.0, fat=_FAT_IN_MARROW[1]),  # Gold R
        Tissue.CARTILAGE: MrTissue(0.70, (1024.0, 1168.0), 30.0),  # Stanisz R
        Tissue.ANNULUS: MrTissue(0.55, (700.0, 820.0), 38.0),  # T2 37 to 40 in grade IV V, 55 to 62 in grade I V with its inner part
        Tissue.NUCLEUS: MrTissue(0.85, (1165.0, 1350.0), 170.0),  # T1 Drake-Pérez V; T2 between grades I (210) and II (129) V
        Tissue.DRIED_DISC: MrTissue(0.55, (650.0, 780.0), 42.0),  # T1 Drake-Pérez V (554 to 723); T2 below grade IV's (51) V
        Tissue.LIGAMENT: MrTissue(0.50, (600.0, 700.0), 16.0),  # R
        Tissue.CSF: MrTissue(1.00, (4273.0, 4200.0), 1200.0),  # Drake-Pérez V (1578 at rest); flow shortens it, R
        Tissue.NERVE: MrTissue(0.72, (850.0, 1050.0), 75.0),  # T2 Sollmann V (74.6 before, 65.4 after the ganglion); rest R
        Tissue.GANGLION: MrTissue(0.85, (950.0, 1150.0), 85.0),  # T2 Sollmann V (84.7); T1 D
        Tissue.ARTERIAL_BLOOD: MrTissue(0.90, (1441.0, 1932.0), 280.0),  # Stanisz R
        Tissue.VENOUS_BLOOD: MrTissue(0.90, (1441.0, 1932.0), 120.0),  # R
        Tissue.SLOW_BLOOD: MrTissue(0.90, (1200.0, 1450.0), 105.0),  # D: too slow to lose signal
        Tissue.VESSEL_WALL: MrTissue(0.70, (900.0, 1050.0), 45.0),  # D
        Tissue.KIDNEY_CORTEX: MrTissue(0.90, (966.0, 1142.0), 85.0),  # de Bazelaire R at 1.5 T, V at 3 T
        Tissue.KIDNEY_MEDULLA: MrTissue(0.95, (1412.0, 1545.0), 85.0),  # as the cortex
        Tissue.LIVER: MrTissue(0.80, (586.0, 809.0), 42.0, fat=0.03),  # de Bazelaire R
        Tissue.SPLEEN: MrTissue(0.85, (1057.0, 1328.0), 70.0),  # de Bazelaire R
        Tissue.BOWEL_WALL: MrTissue(0.85, (900.0, 1100.0), 58.0),  # D
        Tissue.BOWEL_CONTENT: MrTissue(0.75, (1000.0, 1150.0), 75.0),  # D: chyme, between water and stool
        Tissue.STOOL: MrTissue(0.55, (600.0, 700.0), 55.0, fat=0.05),  # D
        Tissue.GAS: MrTissue(0.0, (1000.0, 1000.0), 1.0),
        Tissue.METAL: MrTissue(0.0, (1000.0, 1000.0), 1.0),
    }
)

# Unenhanced, about 120 kV.
HOUNSFIELD: Mapping[Tissue, float] = MappingProxyType(
    {
        Tissue.AIR: -1000.0,
        Tissue.SKIN: 25.0,  # R 20 to 50
        Tissue.FAT: -103.0,  # R -100 (15)
        Tissue.MESENTERY: -98.0,  # D
        Tissue.MUSCLE: 56.0,  # R 55 (8) lean; psoas 48.4 (5.5) V, paraspinal 36 to 47 V with its fat, which blend and streaks give
        Tissue.FATTY_MUSCLE: -6.0,  # D by its fat
        Tissue.CORTICAL_BONE: 1150.0,  # R 700 to 1500 before partial volume
        Tissue.MARROW: 265.0,  # blended by age: Jang V: 226 (44) below 30 years, 89 (38) from 90 on
        Tissue.YELLOW_MARROW: -5.0,  # D from the same
        Tissue.CARTILAGE: 80.0,  # R
        Tissue.ANNULUS: 95.0,  # R 95 (15)
        Tissue.NUCLEUS: 75.0,  # R 75 (12)
        Tissue.DRIED_DISC: 90.0,  # D
        Tissue.LIGAMENT: 70.0,  # R 60 to 80
        Tissue.CSF: 12.0,  # R 10 to 20
        Tissue.NERVE: 35.0,  # R 30 to 40
        Tissue.GANGLION: 40.0,  # R
        Tissue.ARTERIAL_BLOOD: 42.0,  # R 40 (5)
        Tissue.VENOUS_BLOOD: 40.0,  # R
        Tissue.SLOW_BLOOD: 40.0,  # R
        Tissue.VESSEL_WALL: 45.0,  # D
        Tissue.KIDNEY_CORTEX: 34.0,  # R 30 to 35, without contrast cortex and medulla look alike
        Tissue.KIDNEY_MEDULLA: 31.0,  # R
        Tissue.LIVER: 56.0,  # R 55 to 60
        Tissue.SPLEEN: 48.0,  # R 45 to 50
        Tissue.BOWEL_WALL: 40.0,  # R
        Tissue.BOWEL_CONTENT: 28.0,  # R 10 to 40
        Tissue.STOOL: 15.0,  # R 20 to 80, with bubbles
        Tissue.GAS: -970.0,  # R
        Tissue.METAL: 8000.0,  # titanium at about 70 keV, D from its attenuation; pictures end at 3071
    }
)

# Chosen so that pictures look like real ones (D).
TEXTURE: Mapping[Tissue, Texture] = MappingProxyType(
    {
        Tissue.FAT: Texture(speckle=0.05, streaks=0.35, towards=Tissue.LIGAMENT),
        Tissue.MESENTERY: Texture(speckle=0.10, streaks=0.90, towards=Tissue.VESSEL_WALL),
        Tissue.MUSCLE: Texture(speckle=0.08, streaks=0.50),
        Tissue.FATTY_MUSCLE: Texture(speckle=0.22, streaks=1.30),
        Tissue.LIGAMENT: Texture(speckle=0.20),
        Tissue.MARROW: Texture(speckle=0.13),
        Tissue.YELLOW_MARROW: Texture(speckle=0.17),
        Tissue.NUCLEUS: Texture(speckle=0.06),
        Tissue.DRIED_DISC: Texture(speckle=0.15),
        Tissue.ANNULUS: Texture(speckle=0.15),
        Tissue.CSF: Texture(speckle=0.03, streaks=0.6, towards=Tissue.NERVE),  # rootlets
        Tissue.VENOUS_BLOOD: Texture(speckle=0.10),
        Tissue.KIDNEY_CORTEX: Texture(speckle=0.04),
        Tissue.KIDNEY_MEDULLA: Texture(speckle=0.04),
        Tissue.LIVER: Texture(speckle=0.05, streaks=0.30, towards=Tissue.VENOUS_BLOOD),
        Tissue.SPLEEN: Texture(speckle=0.05),
        Tissue.BOWEL_WALL: Texture(speckle=0.08),
        Tissue.BOWEL_CONTENT: Texture(speckle=0.15),
        Tissue.STOOL: Texture(speckle=0.35, streaks=0.80, towards=Tissue.GAS),
    }
)
TEXTURE_CT: Mapping[Tissue, Texture] = MappingProxyType(
    {
        Tissue.FAT: Texture(speckle=0.04, streaks=0.20, towards=Tissue.LIGAMENT),
        Tissue.MESENTERY: Texture(speckle=0.06, streaks=0.80, towards=Tissue.VESSEL_WALL),
        Tissue.MUSCLE: Texture(speckle=0.03, streaks=0.40),
        Tissue.FATTY_MUSCLE: Texture(speckle=0.20, streaks=1.10),
        Tissue.MARROW: Texture(speckle=0.36),  # trabeculae: 30 to 60 HU within a vertebra at 1 mm, R
        Tissue.YELLOW_MARROW: Texture(speckle=0.45),
        Tissue.BOWEL_CONTENT: Texture(speckle=0.06),
        Tissue.STOOL: Texture(speckle=0.50, streaks=0.45, towards=Tissue.GAS),
        Tissue.LIVER: Texture(speckle=0.03),
    }
)


def marrow_fat(age_years: float) -> float:
    """Fat share of a lumbar vertebra's marrow: .30 at 25 (Baum V: men .32, women .27 in their twenties), .50 at 65 (R .45 to .55)."""
    return 0.30 + 0.005 * (age_years - 25.0)


def marrow(fat: float) -> Material:
    """Cancellous bone whose marrow has this share of fat; its bone is the thinner the more there is, as in `HOUNSFIELD`."""
    red, yellow = _FAT_IN_MARROW
    return Blend(Tissue.MARROW, Tissue.YELLOW_MARROW, min(max((fat - red) / (yellow - red), 0.0), 1.0))


def disc_core(wear: float) -> Material:
    """A nucleus by its wear: 0 is Pfirrmann grade I, 0.25 II, up to 1 for V. T2-weighted signal falls as it does with the T2 of the grades
    (210, 129, 84 and 51 ms in I to IV, V), which is fast at first."""
    return Blend(Tissue.NUCLEUS, Tissue.DRIED_DISC, 1.0 - (1.0 - wear) ** 1.6)


def muscle(fat: float) -> Material:
    """Muscle with this share of fat, all in all: that in its streaks (`kambin.phantom.texture.strands`) counted."""
    lean, fatty = (own + _MEAN_STRAND * TEXTURE[t].streaks for own, t in zip(_FAT_IN_MUSCLE, _MUSCLES, strict=True))
    return Blend(Tissue.MUSCLE, Tissue.FATTY_MUSCLE, min(max((fat - lean) / (fatty - lean), 0.0), 1.0))


_MUSCLES = (Tissue.MUSCLE, Tissue.FATTY_MUSCLE)
_MEAN_STRAND = 0.05
"""Mean of the pattern of strands."""
