"""The ways in that Kambin knows, by the names that users give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kambin.planning.around import POSTEROLATERAL, Around, Region
from kambin.planning.interlaminar import INTERLAMINAR, INTERLAMINAR_WISHES, POSTERIOR, plan_interlaminar
from kambin.planning.needle import (
    EPIDURAL_WISHES,
    KAMBIN_NEEDLE,
    RADIOFREQUENCY,
    RADIOFREQUENCY_WISHES,
    SAFE_NEEDLE,
    plan_kambin_needle,
    plan_radiofrequency,
    plan_safe_needle,
)
from kambin.planning.oblique import ANTEROLATERAL, OBLIQUE, OBLIQUE_WISHES, plan_oblique
from kambin.planning.result import Plan
from kambin.planning.transforaminal import TRANSFORAMINAL, plan_transforaminal
from kambin.planning.wishes import Wishes
from kambin.spine import SpineModel


@dataclass(frozen=True)
class Approach:
    """One kind of way in.

    Parameters
    ----------
    key, name
        As users type it, and as reports print it.
    wishes
        What is asked where the surgeon does not say.
    region
        Where about a segment it runs.
    plan
        Takes the model, what surrounds the foramen, and the wishes. Raises `NotMeasurable` where it cannot be planned.
    """

    key: str
    name: str
    wishes: Wishes
    region: Region
    plan: Callable[[SpineModel, Around, Wishes], Plan]


_ALL = (
    Approach(TRANSFORAMINAL, "transforaminal endoscopy", Wishes(), POSTEROLATERAL, plan_transforaminal),
    Approach(SAFE_NEEDLE, "epidural needle, safe triangle", EPIDURAL_WISHES, POSTEROLATERAL, plan_safe_needle),
    Approach(KAMBIN_NEEDLE, "epidural needle, Kambin triangle", EPIDURAL_WISHES, POSTEROLATERAL, plan_kambin_needle),
    Approach(RADIOFREQUENCY, "radiofrequency needle to the disc", RADIOFREQUENCY_WISHES, POSTEROLATERAL, plan_radiofrequency),
    Approach(OBLIQUE, "oblique corridor to the disc", OBLIQUE_WISHES, ANTEROLATERAL, plan_oblique),
    Approach(INTERLAMINAR, "interlaminar endoscopy", INTERLAMINAR_WISHES, POSTERIOR, plan_interlaminar),
)

APPROACHES: Mapping[str, Approach] = MappingProxyType({approach.key: approach for approach in _ALL})
