"""The crura of the diaphragm: two tapering bands of muscle that hug the front of the bodies, the right one down to L3, the left one to L2.

What lies against a body at T12 and L1 is muscle, not fat. Places and sizes by recalled values of adults on CT (5 to 10 mm thick at L1).
"""

from __future__ import annotations

import numpy as np

from kambin.anatomy.structures import Side
from kambin.phantom.column_line import ColumnLine
from kambin.phantom.compose import Cut, Offset
from kambin.phantom.field import Field
from kambin.phantom.loft import Section, loft
from kambin.phantom.vessels import Vessels

# By height in vertebrae (1.5 is the L1/L2 disc): how far beside the middle, as a part of half the body's width; half of its own width; its
# thickness.
_CRUS = {
    -1.5: (0.66, 14.0, 7.0),
    -0.5: (0.74, 15.0, 7.5),
    0.5: (0.80, 15.0, 7.5),
    1.0: (0.82, 14.0, 7.0),
    1.5: (0.80, 12.0, 6.0),
    2.0: (0.76, 10.0, 4.8),
    2.5: (0.72, 7.5, 3.4),
    3.0: (0.68, 5.0, 2.0),
}
_LOWEST = {Side.RIGHT: 3.0, Side.LEFT: 2.5}
_SUNK_MM = 0.5


def crus(line: ColumnLine, vessels: Vessels, side: Side) -> Field:
    """One crus, clear of the column and the great vessels."""
    sections = []
    for level, (share, half, thick) in _CRUS.items():
        if level > _LOWEST[side]:
            continue
        half, thick = half * line.scale, thick * line.scale
        x, _, z = line.at(level)
        away = x + side.sign * share * line.half_width_at(z)
        before, after = line.before([away - 1.0, away + 1.0], z, 0.5 * thick - _SUNK_MM)
        turn = float(np.degrees(np.arctan(0.5 * (after - before))))
        sections.append(Section(z, away, 0.5 * (before + after), (half, 0.5 * thick, 0.5 * thick), turn, 2.2))
    return Cut(loft(sections, 6.0), (line.hull, Offset(vessels.arteries, 1.0), Offset(vessels.veins, 1.0)), 1.0)
