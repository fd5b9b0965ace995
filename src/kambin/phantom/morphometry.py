"""Published dimensions of the lumbosacral spine: the mean adult man that every digital patient is a variation of.

Millimetres and degrees. `SOURCES` says where each row comes from; what no paper gives level by level is interpolated between those
that one gives, and marked so there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from kambin.anatomy.structures import Level

LUMBAR = (Level.T12, Level.L1, Level.L2, Level.L3, Level.L4, Level.L5)
SEGMENTS = ("t12l1", "l1l2", "l2l3", "l3l4", "l4l5", "l5s1")
"""The motion segments as parameter names have them, cranial to caudal; each lies under the vertebra of the same index."""


@dataclass(frozen=True, slots=True)
class VertebraSize:
    """Dimensions of one vertebra.

    Parameters
    ----------
    upper_width_mm, upper_depth_mm, lower_width_mm, lower_depth_mm
        Of its endplates.
    posterior_height_mm
        Of the body along its posterior wall.
    wedge_deg
        Between its endplates, positive when the body is higher in front.
    upper_concavity_mm, lower_concavity_mm
        Depth of its endplates below their rim.
    canal_width_mm, canal_depth_mm
        Of the bony canal at pedicle height.
    pedicle_width_mm, pedicle_height_mm, pedicle_length_mm
        At the isthmus; the length is what lies free between body and arch.
    pedicle_angle_deg
        Of the pedicle's axis to the sagittal plane, positive when it converges towards the front.
    transverse_span_mm
        From tip to tip of the transverse processes.
    spinous_reach_mm, spinous_height_mm
        Distance of the tip of the spinous process behind the posterior wall, and the height of the process.
    lamina_height_mm, lamina_thickness_mm
        Of each lamina.
    """

    upper_width_mm: float
    upper_depth_mm: float
    lower_width_mm: float
    lower_depth_mm: float
    posterior_height_mm: float
    wedge_deg: float
    upper_concavity_mm: float
    lower_concavity_mm: float
    canal_width_mm: float
    canal_depth_mm: float
    pedicle_width_mm: float
    pedicle_height_mm: float
    pedicle_length_mm: float
    pedicle_angle_deg: float
    transverse_span_mm: float
    spinous_reach_mm: float
    spinous_height_mm: float
    lamina_height_mm: float
    lamina_thickness_mm: float

    def scaled(self, factor: float) -> VertebraSize:
        """All lengths multiplied; angles stay."""
        return replace(self, **{f.name: getattr(self, f.name) * factor for f in fields(self) if f.name.endswith("_mm")})


@dataclass(frozen=True, slots=True)
class JointSize:
    """A pair of facet joints.

    Parameters
    ----------
    angle_deg
        Of the joint to the sagittal plane.
    apart_mm
        Between the centres of the left and the right joint.
    width_mm, height_mm
        Of the articular surface.
    gap_mm
        From bone to bone: the cartilage of both sides.
    setback_mm
        Of the joint's centre behind the posterior wall.
    """

    angle_deg: float
    apart_mm: float
    width_mm: float
    height_mm: float
    gap_mm: float
    setback_mm: float

    def scaled(self, factor: float) -> JointSize:
        """All lengths multiplied; angles stay."""
        return replace(self, **{f.name: getattr(self, f.name) * factor for f in fields(self) if f.name.endswith("_mm")})


_VERTEBRAE = """
        T12   L1    L2    L3    L4    L5
uw     40.5  42.5  44.0  46.0  48.5  49.5
ud     32.0  33.0  34.0  34.8  35.2  35.4
lw     43.0  44.5  46.5  49.0  51.0  50.5
ld     32.8  34.0  34.6  35.0  35.0  34.2
ph     25.2  26.6  27.4  27.4  27.0  26.4
wedge  -3.6  -2.8  -1.0   0.8   2.4   6.6
uc      0.4   0.5   0.6   0.7   0.8   0.9
lc      1.4   1.7   1.7   1.6   1.5   1.2
cw     22.4  23.2  23.6  24.3  25.4  28.0
cd     17.6  18.2  17.4  17.0  17.4  17.6
pw      8.0   8.6   8.9  10.2  13.0  17.6
pht    15.9  15.4  15.0  14.8  14.6  13.4
pl      8.0   8.5   8.3   7.8   6.8   5.5
pa     -4.0  10.0  12.0  14.0  17.0  26.0
ts     47.0  74.0  80.0  88.0  84.0  92.0
sr     44.0  48.0  51.0  51.0  47.0  40.0
sh     20.0  22.0  23.0  22.0  19.0  15.0
lh     22.0  23.5  24.0  23.0  22.0  20.5
lt      6.0   6.2   6.2   6.1   6.0   6.0
"""
_JOINTS = """
      T12/L1  L1/2  L2/3  L3/4  L4/5  L5/S1
angle   24.0  27.0  31.0  38.0  46.0   53.0
apart   23.0  25.0  27.5  31.5  37.5   45.0
width   11.0  12.5  13.5  14.5  15.5   16.0
height  12.0  13.0  14.0  15.0  16.0   16.0
gap      1.8   1.9   1.9   1.9   1.9    1.9
back    14.4  14.8  15.2  15.4  16.0   16.6
"""


def _columns(table: str) -> list[tuple[float, ...]]:
    rows = [line.split() for line in table.strip().splitlines()[1:]]
    return list(zip(*([float(cell) for cell in row[1:]] for row in rows), strict=True))


VERTEBRAE = MappingProxyType(dict(zip(LUMBAR, (VertebraSize(*column) for column in _columns(_VERTEBRAE)), strict=True)))
"""The mean man's vertebrae."""
JOINTS = MappingProxyType(dict(zip(SEGMENTS, (JointSize(*column) for column in _columns(_JOINTS)), strict=True)))
"""His facet joints, by segment."""
DISC_HEIGHT_MM = MappingProxyType(dict(zip(SEGMENTS, (7.0, 8.6, 10.2, 11.2, 11.8, 10.8), strict=True)))
"""Height in the middle of each disc."""
DISC_WEDGE_SHARE = MappingProxyType(dict(zip(SEGMENTS, (0.04, 0.10, 0.15, 0.18, 0.24, 0.33), strict=True)))
"""Share of each disc in the lordosis that lies in the discs from L1/2 down; T12/L1's counts apart."""
S1_WIDTH_MM, S1_DEPTH_MM, S1_CONCAVITY_MM = 50.0, 34.0, 0.3
"""The sacral endplate."""
