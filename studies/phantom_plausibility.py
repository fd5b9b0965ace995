"""Whether anything runs through anything else in drawn patients, and whether roots stay in their foramina.

    python studies/phantom_plausibility.py 100 101 102 103 104 105 106 107 108 109

For each patient: volumes that two exact shapes share, counted on points 1 mm apart, and how deep such a point lies in both at most;
and what each exiting root's section under the medial half of its pedicle has above, below, before and behind it.
"""

from __future__ import annotations

import sys
from itertools import combinations, product

import numpy as np

from kambin.anatomy import Kind, Level, Side, Structure
from kambin.phantom import Patient, build_patient, paint_labels, sample
from kambin.volume import Grid

SPACING_MM = 1.0
AROUND = Grid.axis_aligned((150, 190, 260), SPACING_MM, (-75.0, -120.0, -150.0))
HARD = (Kind.VERTEBRA, Kind.SACRUM, Kind.HIP, Kind.DISC)
NERVES = (Kind.NERVE_ROOT, Kind.DURAL_SAC)
VESSELS = (Kind.AORTA, Kind.VENA_CAVA, Kind.ILIAC_ARTERY, Kind.ILIAC_VEIN)
ORGANS = (Kind.KIDNEY, Kind.BOWEL)
GROUPS = {
    "bones and discs": (HARD, HARD),
    "nerves, bones and discs": (NERVES, HARD),
    "vessels, bones and discs": (VESSELS, HARD),
    "organs, bones and discs": (ORGANS, HARD),
    "arteries and veins": ((Kind.AORTA, Kind.ILIAC_ARTERY), (Kind.VENA_CAVA, Kind.ILIAC_VEIN)),
    "nerves and vessels": (NERVES, VESSELS),
}
REACH_MM = 35.0
STEP_MM = 0.25


def shared(patient: Patient, one: Structure, other: Structure, inside: dict[Structure, np.ndarray]) -> tuple[float, float]:
    """Volume, mm³, and how deep a point of it lies in both at most, mm (as the shapes' levels tell it)."""
    both = np.argwhere(inside[one] & inside[other])
    if not len(both):
        return 0.0, 0.0
    points = AROUND.world(both).T
    depth = np.minimum(*(-np.asarray(patient.shapes[name](points)) for name in (one, other)))
    return len(both) * SPACING_MM**3, float(depth.max())


def report_overlaps(patient: Patient) -> None:
    kinds = {kind for group in GROUPS.values() for part in group for kind in part}
    names = [name for name in patient.shapes if name.kind in kinds]
    inside = {name: paint_labels([(1, patient.shapes[name])], AROUND) > 0 for name in names}
    for title, (first, second) in GROUPS.items():
        if first is second:
            pairs = list(combinations([name for name in names if name.kind in first], 2))
        else:
            pairs = list(product([name for name in names if name.kind in first], [name for name in names if name.kind in second]))
        found = [(*shared(patient, one, other, inside), one, other) for one, other in pairs]
        volume, deepest = sum(each[0] for each in found), max(found, key=lambda each: each[1])
        print(f"  {title}: {volume:.0f} mm³ shared, {deepest[1]:.2f} mm deep", *(deepest[2].key, deepest[3].key) if volume else ())


def surroundings(patient: Patient, level: Level, side: Side) -> list[float]:
    """What a root's section under the medial half of its pedicle has about it: how far from its middle the own vertebra lies above it, the
    next bone below it, body or disc before it, and either bone behind it, mm; infinity where it does not.
    """
    places = list(patient.column.vertebrae.values())
    at = next(k for k, place in enumerate(places) if place.level is level)
    place = places[at]
    own = patient.shapes[Structure(Kind.VERTEBRA, level)]
    below = places[at + 1].level if at + 1 < len(places) else None
    lower = patient.shapes[Structure(Kind.SACRUM) if below is None else Structure(Kind.VERTEBRA, below)]
    disc = patient.shapes[Structure(Kind.DISC, level)]
    right = side.sign * (0.5 * place.size.canal_width_mm + 0.25 * place.size.pedicle_width_mm)
    root = patient.shapes[Structure(Kind.NERVE_ROOT, level, side)]
    grid = np.array([[right, place.wall_mm - b, h] for h in np.arange(-30.0, 20.0, STEP_MM) for b in np.arange(-4.0, 16.0, STEP_MM)])
    section = grid[np.asarray(root(place.frame.world(grid).T)) < 0]
    if not len(section):
        return [np.inf] * 4
    ways = (((0, 0, 1), (own,)), ((0, 0, -1), (lower,)), ((0, 1, 0), (own, lower, disc)), ((0, -1, 0), (own, lower)))
    far = np.arange(0.0, REACH_MM, STEP_MM)
    result = []
    for way, shapes in ways:
        points = place.frame.world(section.mean(axis=0) + far[:, None] * np.array(way, dtype=float)).T
        hit = np.min([np.asarray(shape(points)) for shape in shapes], axis=0) < 0
        result.append(float(far[hit.argmax()]) if hit.any() else np.inf)
    return result


def report_roots(patient: Patient) -> None:
    levels = [place.level for place in patient.column.vertebrae.values() if place.level is not Level.T12]
    found = np.array([surroundings(patient, level, side) for level in levels for side in Side])
    enclosed = int(np.isfinite(found).all(axis=1).sum())
    words = ("own pedicle above", "next bone below", "body or disc before", "bone behind")
    far = [f"{word} {low:.1f} to {high:.1f} mm" for word, low, high in zip(words, found.min(axis=0), found.max(axis=0), strict=True)]
    print(f"  roots: {enclosed} of {len(found)} have all four about them; from their middle", ", ".join(far))


def main() -> None:
    for seed in sys.argv[1:]:
        patient = build_patient(sample(int(seed)))
        print(f"seed {seed}")
        report_overlaps(patient)
        report_roots(patient)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
