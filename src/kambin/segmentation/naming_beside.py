"""Names beside the column: sides of hip bones, psoas and iliac vessels, the dural sac and the great vessels."""

from __future__ import annotations

from functools import partial

import numpy as np

from kambin.anatomy.structures import Kind, Level, Side, Structure
from kambin.segmentation.clean import beside, in_turn, large_and_near, large_pieces, near_the_largest
from kambin.segmentation.column_line import ColumnLine
from kambin.segmentation.naming_work import Work
from kambin.segmentation.places import BoolArray, Places
from kambin.segmentation.sides import right_branch, right_of

_APART_MM = 8.0
_BESIDE_MM = 65.0
"""So near to the column's middle come psoas, aorta and vena cava at least somewhere; what was taken for them in the belly wall does not."""
_RIM_MM = 5.0
"""Of T12, from which the psoas may still begin."""
_BROKEN_MM = 8.0
"""So far apart may the parts of a bone or muscle be that was found broken."""
_BRANCHES = ((Kind.ILIAC_ARTERY, Kind.AORTA), (Kind.ILIAC_VEIN, Kind.VENA_CAVA))


def name_sides(work: Work, line: ColumnLine, sacrum: Places) -> None:
    """Hip bones by the sacrum's midline, psoas and iliac vessels by the column's."""
    hips = work.of(Kind.HIP)
    if len(hips):
        kept = work.kept(Kind.HIP, large_and_near(hips, 0.25, _BROKEN_MM))
        if len(sacrum):
            lateral = (kept.mm - sacrum.mm.mean(axis=0)) @ line.right(0.0)
        else:
            lateral = line.local(kept.mm)[:, 0]
        _name_both(work, Kind.HIP, kept, right_of(kept, lateral))
    psoas = work.of(Kind.PSOAS)
    if len(psoas):
        whole = partial(large_and_near, share=0.1, within_mm=_BROKEN_MM)
        low_enough = beside(psoas, line.points_mm, _BESIDE_MM) & (line.local(psoas.mm)[:, 2] < _origin_of_psoas(work, line))
        kept = work.kept(Kind.PSOAS, in_turn(psoas, low_enough, whole))
        _name_both(work, Kind.PSOAS, kept, right_of(kept, line.local(kept.mm)[:, 0]))
    for kind, stem in _BRANCHES:
        vessel = work.of(kind)
        if len(vessel):
            kept = work.kept(kind, large_pieces(vessel, 0.05))
            local = line.local(kept.mm)
            _name_both(work, kind, kept, right_branch(kept, local[:, 0], local[:, 2], work.of(stem)))


def _origin_of_psoas(work: Work, line: ColumnLine) -> float:
    """Place along the line above which there is no psoas: it takes its highest origin from the lower rim of T12.

    Beside T12 lie lung, liver and spleen, which a narrow field of view cuts to strips like muscles. Infinity where T12 is not named.
    """
    body = np.argwhere(work.labels == work.numbers[Structure(Kind.BODY, Level.T12)])
    if not len(body):
        return float("inf")
    return float(np.percentile(line.local(work.grid.world(body))[:, 2], 2)) + _RIM_MM


def _name_both(work: Work, kind: Kind, places: Places, right: BoolArray) -> None:
    work.name(places, right, Structure(kind, None, Side.RIGHT))
    work.name(places, ~right, Structure(kind, None, Side.LEFT))


def name_sac_and_vessels(work: Work, line: ColumnLine) -> None:
    """The dural sac and the great vessels, and the check of sides that these allow."""
    places = {}
    for kind, share, within in ((Kind.DURAL_SAC, 0.02, 40.0), (Kind.AORTA, 0.05, 60.0), (Kind.VENA_CAVA, 0.05, 60.0)):
        if len(work.of(kind)):
            near = beside(work.of(kind), line.points_mm, _BESIDE_MM)
            chosen = in_turn(work.of(kind), near, partial(near_the_largest, share=share, within_mm=within))
            if not chosen.any():
                continue
            places[kind] = work.kept(kind, chosen)
            work.name(places[kind], np.ones(len(places[kind]), dtype=bool), Structure(kind))
    if Kind.AORTA in places and Kind.VENA_CAVA in places:
        aorta, cava = line.local(places[Kind.AORTA].mm), line.local(places[Kind.VENA_CAVA].mm)
        low, high = max(aorta[:, 2].min(), cava[:, 2].min()), min(aorta[:, 2].max(), cava[:, 2].max())
        one, other = (v[(v[:, 2] >= low) & (v[:, 2] <= high), 0] for v in (aorta, cava))
        if len(one) and len(other) and np.median(one) - np.median(other) > _APART_MM:
            apart = float(np.median(one) - np.median(other))
            work.doubts.append(
                f"The aorta lies {apart:.0f} mm to the RIGHT of the vena cava: the scan may be mirrored, so that "
                "every left and right would be wrong (or the patient has situs inversus or a left-sided vena cava). Check before use."
            )
