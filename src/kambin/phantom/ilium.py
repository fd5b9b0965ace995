"""The iliac wing: a curved sheet of bone whose thickness changes from place to place, inside a closed outline.

The sheet is told in a chart: `u` runs horizontally from the back to the front, a third of a right angle outwards; `v` upwards; `w`
outwards across both. Millimetres of the mean man, the origin in the middle of the S1 endplate, the pelvis upright.

Papers give spans and thicknesses, not the course of the outline or of the sheet: those were drawn after the proportions of one man's
pelvis (Remus 2021, PLoS ONE 16:e0250456) and then brought to the published spans.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kambin.geometry import FloatArray
from kambin.phantom.field import Box, Points, Values, smooth_maximum, smooth_minimum
from kambin.phantom.outline import Outline

CHART_RAD = float(np.radians(33.0))
"""Of the chart to the sagittal plane."""
_OUTLINE = (
    # posterior superior and inferior spines, and the crest between the former and the top
    (-25.0, -50.0), (-35.0, -42.0), (-39.0, -24.0), (-38.0, -10.0), (-31.0, 8.0), (-19.0, 24.0), (0.0, 37.5),
    # the crest's top, the tubercle, down to the anterior superior spine
    (22.0, 45.0), (45.0, 39.5), (67.0, 28.5), (87.0, 16.5), (102.0, 0.5), (113.0, -15.0), (114.5, -24.0),
    # the notch below it, the anterior inferior spine, the roof of the acetabulum
    (106.0, -33.0), (99.0, -42.0), (96.0, -53.0), (96.0, -63.0), (90.0, -71.0), (82.0, -82.0), (66.0, -98.0),
    # behind the acetabulum down to the ischium, the spine's root, and the greater sciatic notch
    (38.0, -112.0), (16.0, -117.0), (3.0, -108.0), (6.0, -92.0), (13.0, -74.0), (14.0, -61.0), (8.0, -52.0), (-8.0, -49.0),
)  # fmt: skip
_STILL_V_MM, _BLEND_MM = -62.0, 30.0
"""Below this the wing does not take part when the crest rises; over so much it begins to."""
_FAR_MM = 32.0
"""Further off than this the sheet's tilt at the foot of a point says nothing any more."""
RIDGE, _FOSSA_MM = 0.3, 60.0
"""The line where the fossa begins runs forward as it falls; the fossa's breadth."""


@dataclass(frozen=True, eq=False)
class Wing:
    """The iliac wing of the right side, upright, for the mean man's size.

    Parameters
    ----------
    rise
        How much the wing is stretched upwards: 0.1 raises the crest by about 9 mm.
    flare
        How far it leans outwards, against the mean man.
    """

    rise: float
    flare: float
    outline: Outline = field(default_factory=lambda: Outline.through(_OUTLINE, 3))

    @property
    def slope(self) -> float:
        return float(1.4 * max(1.0, 1.0 - self.rise) * max(1.0, self.flare) ** 0.5)

    @property
    def box(self) -> Box:
        return Box(
            np.array([10.0, -95.0, -125.0]), np.array([140.0 + 60.0 * max(self.flare, 0.2), 95.0, 60.0 + 130.0 * max(self.rise, 0.0)])
        )

    def __call__(self, points: Points) -> Values:
        u, v, w = into_chart(points)
        v = self.still(v)
        middle, tilt = self.sheet(u, v)
        edge = self.outline.level(u, v)
        half = half_thickness(u, v, edge)
        across = np.clip(w - middle, -_FAR_MM, _FAR_MM) / np.sqrt(1 + tilt)
        rim = np.maximum(edge + half, 0)
        return np.asarray(np.sqrt(rim * rim + across * across) - half)

    def still(self, v: Values) -> Values:
        """The height of the same place in the wing of the mean man."""
        kind = v.dtype.type
        over = np.maximum(v - kind(_STILL_V_MM), 0)
        bent = np.where(over < _BLEND_MM, over * over * kind(0.5 / _BLEND_MM), over - kind(0.5 * _BLEND_MM))
        return np.asarray(v - kind(self.rise / (1.0 + max(self.rise, 0.0))) * bent)

    def stretched(self, still: FloatArray) -> FloatArray:
        """The inverse of `still`."""
        low, high = np.full_like(still, -150.0), np.full_like(still, 300.0)
        for _ in range(40):
            middle = 0.5 * (low + high)
            above = self.still(middle) > still
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return low

    def sheet(self, u: Values, v: Values) -> tuple[Values, Values]:
        """The sheet's place across the chart, and the square of its steepness."""
        kind = u.dtype.type
        # Behind, the wing turns outwards to the posterior spines; in front and above it opens into the fossa.
        behind = np.maximum(12 - u, 0)
        hooked = np.maximum(u - 74, 0)
        share = (u - 14 + kind(RIDGE) * v) * kind(1 / _FOSSA_MM)
        ahead = np.minimum(smooth_maximum(share, np.zeros_like(share), 0.7), 1)
        bulge, bulge_steep = ahead * (2 - ahead), 2 * (1 - ahead) * np.clip(share * kind(1 / 1.4) + kind(0.5), 0, 1) * kind(1 / _FOSSA_MM)
        lean, lean_steep = self._lean(v)
        place = 62 + kind(0.0045) * behind * behind + bulge * lean - kind(0.010) * hooked * hooked
        along_u = -kind(0.009) * behind + bulge_steep * lean - kind(0.020) * hooked
        along_v = bulge * lean_steep + kind(RIDGE) * bulge_steep * lean
        return place, along_u * along_u + along_v * along_v

    def _lean(self, v: Values) -> tuple[Values, Values]:
        """How far the fossa's side leans outwards at a height, and how fast that grows."""
        kind = v.dtype.type
        rate, most, least = kind(0.56 * self.flare), kind(45.0 * self.flare), kind(1.0)
        straight = rate * (v + 60)
        capped = smooth_maximum(smooth_minimum(straight, np.full_like(v, most), 20.0), np.full_like(v, least), 16.0)
        below_top = np.clip(kind(0.5) + (most - straight) * kind(1 / 40.0), 0, 1)
        above_foot = np.clip(kind(0.5) + (straight - least) * kind(1 / 32.0), 0, 1)
        return capped, rate * below_top * above_foot


def _bell(u: Values, v: Values, centre: tuple[float, float], wide: tuple[float, float]) -> Values:
    """One in the middle of an oval, nought outside it, without a kink."""
    kind = u.dtype.type
    far = np.square((u - kind(centre[0])) * kind(0.5 / wide[0])) + np.square((v - kind(centre[1])) * kind(0.5 / wide[1]))
    return np.asarray(np.square(np.maximum(1 - far, 0)))


def half_thickness(u: Values, v: Values, edge: Values) -> Values:
    """Half the bone's thickness, mm: thin amid the fossa, thick along the crest, behind, and above the acetabulum.

    Parameters
    ----------
    u, v
        Place in the chart.
    edge
        Distance to the outline, negative inside.
    """
    kind = u.dtype.type
    behind = _bell(u, v, (1.0, -12.0), (23.0, 34.0)) * kind(8.6)
    roof = _bell(u, v, (60.0, -88.0), (38.0, 40.0)) * kind(16.5)
    pillar = _bell(u, v, (70.0, 14.0), (16.0, 50.0)) * kind(3.0)
    lip = np.minimum(smooth_maximum(edge + 20, np.zeros_like(u), 16.0) * kind(0.2), kind(4.0))
    thin = kind(3.2) + behind + roof + pillar
    # Along the crest only, and no more where the bone is thick anyway.
    lip = lip * np.clip((v + 70) * kind(1 / 40.0), 0, 1) * np.clip(1 - (thin - 4) * kind(1 / 9.0), 0, 1)
    return smooth_minimum(thin + lip, np.full_like(u, 19.0), 4.0)


def into_chart(points: Points) -> tuple[Values, Values, Values]:
    """(u, v, w) of points (right, anterior, cranial) of the upright pelvis."""
    x, y, z = points
    sine, cosine = (points.dtype.type(c) for c in (np.sin(CHART_RAD), np.cos(CHART_RAD)))
    return x * sine + y * cosine, z, x * cosine - y * sine


def out_of_chart(u: FloatArray, v: FloatArray, w: FloatArray) -> FloatArray:
    """The inverse of `into_chart`; shape (3, n)."""
    sine, cosine = np.sin(CHART_RAD), np.cos(CHART_RAD)
    return np.stack([u * sine + w * cosine, u * cosine - w * sine, v])
