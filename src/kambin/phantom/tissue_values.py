"""What the scanners see of each tissue: relaxation times and proton density for MR, Hounsfield units for CT, and its texture.

The letter after a source says how far the figure was checked: *V* read in the source's text, *R* recalled from it, *D* derived from
its neighbours or chosen so that pictures look like real ones. Sources: de Bazelaire 2004, Radiology 230:652 (abdomen, 1.5 and 3 T);
Stanisz 2005, Magn Reson Med 54:507 (muscle, blood, cartilage, cord); Drake-Pérez 2018, AJNR 39:788 (spine by synthetic MR); Sollmann
2019, Clin Neuroradiol (lumbosacral roots and ganglia); Gold 2004, AJR 183:343 (marrow fat); Henkelman 1992, J Magn Reson Imaging 2:533
(fat in echo trains); Jang 2019, Radiology 291:360 (trabecular bone by age, CT); Baum 2018 (fat fraction of vertebral marrow).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kambin.phantom.tissue import Tissue


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
        Share of fat in thin strands along the body (1.5 by 3 mm, 18 mm long) at their brightest.
    """

    speckle: float = 0.0
    streaks: float = 0.0


# T1 and T2 (ms) of fat's main resonance: de Bazelaire R at 1.5 T, V at 3 T. Trains of narrowly spaced echoes keep the coupled
# protons in phase, which makes fat decay more slowly (Henkelman 1992 R; the size D).
FAT_T1_MS = (343.0, 382.0)
FAT_T2_SINGLE_ECHO_MS = 63.0
FAT_T2_ECHO_TRAIN_MS = 135.0

MR: Mapping[Tissue, MrTissue] = MappingProxyType(
    {
        Tissue.AIR: MrTissue(0.0, (1000.0, 1000.0), 1.0),
        Tissue.SKIN: MrTissue(0.60, (600.0, 750.0), 28.0),  # R
        Tissue.FAT: MrTissue(0.90, (800.0, 900.0), 40.0, fat=0.93),  # proton density R; the water in its septa D
        Tissue.MUSCLE: MrTissue(
            0.80, (930.0, 1100.0), 42.0, fat=0.03
        ),  # T2 43 (5) of erector spinae V; T1 from de Bazelaire V (898) to Stanisz R (1412)
        Tissue.CORTICAL_BONE: MrTissue(0.15, (250.0, 280.0), 0.4),  # R
        Tissue.MARROW: MrTissue(
            0.70, (830.0, 960.0), 42.0, fat=0.42
        ),  # mixture fits de Bazelaire V (586, 49); fat Baum V (.30 at 30), .45 to .55 at 65 R
        Tissue.CARTILAGE: MrTissue(0.70, (1024.0, 1168.0), 30.0),  # Stanisz R
        Tissue.ANNULUS: MrTissue(0.55, (700.0, 820.0), 38.0),  # Drake-Pérez V desiccated disc; T2 by Pfirrmann grade V
        Tissue.NUCLEUS: MrTissue(0.82, (1150.0, 1350.0), 105.0),  # Drake-Pérez V (.79, 1165, 102): whole normal disc
        Tissue.LIGAMENT: MrTissue(0.50, (600.0, 700.0), 16.0),  # R
        Tissue.CSF: MrTissue(1.00, (4273.0, 4200.0), 1200.0),  # Drake-Pérez V (1578 at rest); flow shortens it, R
        Tissue.NERVE: MrTissue(0.72, (850.0, 1050.0), 75.0),  # T2 Sollmann V (74.6 before, 65.4 after the ganglion); rest R
        Tissue.GANGLION: MrTissue(0.85, (950.0, 1150.0), 85.0),  # T2 Sollmann V (84.7); T1 D
        Tissue.ARTERIAL_BLOOD: MrTissue(0.90, (1441.0, 1932.0), 280.0),  # Stanisz R
        Tissue.VENOUS_BLOOD: MrTissue(0.90, (1441.0, 1932.0), 120.0),  # R
        Tissue.VESSEL_WALL: MrTissue(0.70, (900.0, 1050.0), 45.0),  # D
        Tissue.KIDNEY_CORTEX: MrTissue(0.90, (966.0, 1142.0), 85.0),  # de Bazelaire R at 1.5 T, V at 3 T
        Tissue.KIDNEY_MEDULLA: MrTissue(0.95, (1412.0, 1545.0), 85.0),  # as the cortex
        Tissue.LIVER: MrTissue(0.80, (586.0, 809.0), 42.0, fat=0.03),  # de Bazelaire R
        Tissue.BOWEL_WALL: MrTissue(0.85, (900.0, 1100.0), 58.0),  # D
        Tissue.BOWEL_CONTENT: MrTissue(0.75, (1100.0, 1250.0), 110.0),  # D: chyme, between water and stool
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
        Tissue.MUSCLE: 52.0,  # R 55 (8) lean; psoas 48.4 (5.5) V, paraspinal 36 to 47 V with its fat, which the streaks give here
        Tissue.CORTICAL_BONE: 1150.0,  # R 700 to 1500 before partial volume
        Tissue.MARROW: 165.0,  # Jang V: 226 (44) below 30 years, 89 (38) from 90 on
        Tissue.CARTILAGE: 80.0,  # R
        Tissue.ANNULUS: 95.0,  # R 95 (15)
        Tissue.NUCLEUS: 75.0,  # R 75 (12)
        Tissue.LIGAMENT: 70.0,  # R 60 to 80
        Tissue.CSF: 12.0,  # R 10 to 20
        Tissue.NERVE: 35.0,  # R 30 to 40
        Tissue.GANGLION: 40.0,  # R
        Tissue.ARTERIAL_BLOOD: 42.0,  # R 40 (5)
        Tissue.VENOUS_BLOOD: 40.0,  # R
        Tissue.VESSEL_WALL: 45.0,  # D
        Tissue.KIDNEY_CORTEX: 34.0,  # R 30 to 35, without contrast cortex and medulla look alike
        Tissue.KIDNEY_MEDULLA: 31.0,  # R
        Tissue.LIVER: 56.0,  # R 55 to 60
        Tissue.BOWEL_WALL: 40.0,  # R
        Tissue.BOWEL_CONTENT: 20.0,  # R 10 to 40
        Tissue.GAS: -970.0,  # R
        Tissue.METAL: 8000.0,  # titanium at about 70 keV, D from its attenuation; pictures end at 3071
    }
)

# Chosen so that pictures look like real ones (D).
TEXTURE: Mapping[Tissue, Texture] = MappingProxyType(
    {
        Tissue.FAT: Texture(speckle=0.05),
        Tissue.MUSCLE: Texture(speckle=0.06, streaks=0.45),
        Tissue.MARROW: Texture(speckle=0.10),
        Tissue.NUCLEUS: Texture(speckle=0.06),
        Tissue.ANNULUS: Texture(speckle=0.10),
        Tissue.CSF: Texture(speckle=0.02),
        Tissue.VENOUS_BLOOD: Texture(speckle=0.10),
        Tissue.KIDNEY_CORTEX: Texture(speckle=0.04),
        Tissue.KIDNEY_MEDULLA: Texture(speckle=0.04),
        Tissue.LIVER: Texture(speckle=0.05),
        Tissue.BOWEL_WALL: Texture(speckle=0.08),
        Tissue.BOWEL_CONTENT: Texture(speckle=0.35),
    }
)
TEXTURE_CT: Mapping[Tissue, Texture] = MappingProxyType(
    {
        Tissue.FAT: Texture(speckle=0.04),
        Tissue.MUSCLE: Texture(speckle=0.03, streaks=0.45),
        Tissue.MARROW: Texture(speckle=0.28),  # trabeculae: 30 to 60 HU within a vertebra at 1 mm, R
        Tissue.BOWEL_CONTENT: Texture(speckle=0.25),
        Tissue.LIVER: Texture(speckle=0.03),
    }
)
