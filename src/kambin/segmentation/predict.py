"""A model on a scan: a class and a confidence for every one of the scan's voxels.

The scan, in canonical order, is brought to the voxels that the model was trained on, normalised as a whole, and goes through the network
in tiles; probabilities come back onto the scan's own voxels. Where the model has a coarse network, that looks at the whole scan first,
and the rest is done only where it saw something.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kambin.errors import InputError
from kambin.segmentation.bundle import Model, Network
from kambin.segmentation.bundle_fields import Blend, Description, Triple
from kambin.segmentation.coarse import Look, coarse_look
from kambin.segmentation.crew import Crew
from kambin.segmentation.hounsfield import looks_like_ct
from kambin.segmentation.normalise import Normaliser, normaliser
from kambin.segmentation.onto_scan import ByteArray, OntoScan
from kambin.segmentation.rescale import Rescaling, grid_of
from kambin.segmentation.runtime import Runtime, open_runtime, threads
from kambin.segmentation.tiles import as_blended, finished_rows, padded, planned, tile_shape, tile_weights
from kambin.volume import Grid, Scan

Progress = Callable[[str, float], None]
Box = tuple[slice, slice, slice]
_AIR = 0.05
"""A tile whose intensities all lie below this share of the normalised range holds no patient."""
_LEAST_TILE = 32
_GUESSED_BYTES = 320  # of a voxel of a tile, where an engine does not tell what its network takes
_ENGINE_BYTES, _TIMES_WEIGHTS, _TIMES_ACTIVATIONS = 100 << 20, 4, 2
"""What an engine takes as measured: of its own, for each byte of a network's file, and for each byte between its layers."""
_LEAST_ROOM = 64 << 20


@dataclass(frozen=True, slots=True)
class Means:
    """What a model may use.

    Parameters
    ----------
    device
        ``"auto"``, ``"cpu"`` or ``"gpu"``.
    memory_bytes
        Of memory, beside the scan itself and the program.
    skip_air
        Whether tiles without a patient are taken for background and not computed.
    """

    device: str = "auto"
    memory_bytes: int = 2_000_000_000
    skip_air: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of a scan.

    Parameters
    ----------
    grid
        The scan's.
    classes
        Class of every voxel, 0 for background.
    confidence
        Probability of that class, 255 for 1.
    device
        What it ran on.
    tile
        Voxels of a tile.
    computed, skipped
        How many tiles were computed, and how many were left out because there was nothing in them.
    notes
        What is worth knowing of how it was done.
    """

    grid: Grid
    classes: ByteArray
    confidence: ByteArray
    device: str
    tile: Triple
    computed: int
    skipped: int
    notes: tuple[str, ...] = ()


def predict(scan: Scan, model: Model, means: Means | None = None, progress: Progress | None = None) -> Prediction:
    """Run a model on a scan.

    Parameters
    ----------
    scan
        With more than one intensity, all of them finite (see `kambin.segmentation.checks`).
    model
        As `kambin.segmentation.bundle.read_model` gives it.
    means
        What it may use.
    progress
        Told what is being done and the fraction behind.

    Raises
    ------
    InputError
        When the model cannot be run here, or there is not enough memory for it even in small tiles.
    """
    means, tell = means or Means(), progress or _silent
    description = model.description
    classes = np.zeros(scan.grid.shape, dtype=np.uint8)
    confidence = np.full(scan.grid.shape, 255, dtype=np.uint8)
    cut = _cut(description, scan.grid)
    grid = scan.grid.crop([p.start for p in cut], [p.stop for p in cut])
    seen = _Seen(scan.values[cut], grid, classes[cut], confidence[cut], looks_like_ct(scan))
    look = None
    if model.coarse is not None and model.coarse_network is not None:
        tell("looking where the spine is", 0.0)
        look = _first_look(seen, model.coarse, model.coarse_network, str(model.source), means)
        look.fill(seen.classes, seen.confidence, description.classes)
        if not look.sees:
            return Prediction(scan.grid, classes, confidence, look.device, look.tile, 0, 0)
    work = _Work(seen, Rescaling.of(seen.grid, description.spacing_mm), description, model.network, str(model.source), means, look)
    try:
        return Prediction(scan.grid, classes, confidence, *_in_fitting_tiles(work, tell))
    except MemoryError:
        raise _no_memory(work, None) from None


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The part of a scan that a network is to look at, and what it says of it, to be filled."""

    values: npt.NDArray[np.generic]
    grid: Grid
    classes: ByteArray
    confidence: ByteArray
    is_ct: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One network to be run on one scan."""

    seen: _Seen
    rescaling: Rescaling
    description: Description
    network: Network
    source: str
    means: Means
    look: Look | None = None

    @property
    def box(self) -> Box:
        """Which of the network's voxels are to be looked at."""
        x, y, z = self.rescaling.model_shape
        return (slice(0, x), slice(0, y), slice(0, z)) if self.look is None else self.look.box(self.rescaling)

    def normaliser(self) -> Normaliser:
        """Taken from the whole scan, wherever is looked."""
        wanted = self.description
        window = wanted.ct_window_hu if self.seen.is_ct else None
        try:
            return wanted.fixed or normaliser(self.seen.values, wanted.normalisation, wanted.low, wanted.high, window)
        except ValueError as error:
            raise InputError("scan", f"{error} (where {wanted.name} looks)") from error


def _silent(_text: str, _fraction: float) -> None:
    pass


def _cut(description: Description, grid: Grid) -> Box:
    """The part of a scan that the model wants to see: all of it, or what its published system cuts out."""
    x, y, z = (slice(0, n) for n in grid.shape)
    if description.preprocessing is not None:
        from kambin.segmentation.systems import find_system

        cut = find_system(description.preprocessing).preprocessing.cut
        x, y, z = (slice(*part(n)) for part, n in zip(cut, grid.shape, strict=True))
    return (x, y, z)


def _first_look(seen: _Seen, coarse: Description, network: Network, source: str, means: Means) -> Look:
    """The coarse network on the whole scan, on voxels of its own."""
    rescaling = Rescaling.of(seen.grid, coarse.spacing_mm)
    grid = grid_of(seen.grid, rescaling)
    small = _Seen(rescaling.image(seen.values), grid, np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8), seen.is_ct)
    work = _Work(small, Rescaling.of(grid, None), coarse, network, source, replace(means, skip_air=False))
    device, tile, *_ = _in_fitting_tiles(work, _silent)
    return coarse_look(small.classes, small.confidence, coarse.classes, rescaling, rescaling.spacing_mm(seen.grid), device, tile)


def _in_fitting_tiles(work: _Work, tell: Progress) -> tuple[str, Triple, int, int, tuple[str, ...]]:
    """Run a network in tiles as large as it was trained on; in smaller ones where the memory does not suffice.

    Raises
    ------
    InputError
        When it does not suffice for small ones either.
    """
    wanted = work.description
    held = 4 * math.prod(part.stop - part.start for part in work.box) + 2 * work.seen.classes.size
    held += _ENGINE_BYTES + _TIMES_WEIGHTS * work.network.size
    room = work.means.memory_bytes - held
    if room < _LEAST_ROOM:
        raise _no_memory(work, held + _LEAST_ROOM)
    tell("preparing the scan", 0.0)
    to_measure = work.normaliser()
    image = work.rescaling.image(work.seen.values, work.box)
    for sheet in image:
        sheet[...] = to_measure(sheet)
    size = (image.shape[0], image.shape[1], image.shape[2])
    # a published system pads a small scan to the size that it was trained on
    tile: Triple | None = tile_shape(size, wanted.patch, wanted.multiple) if wanted.preprocessing is None else wanted.patch
    notes: tuple[str, ...] = ()
    while tile is not None:
        try:
            done = _attempted(work, image, to_measure, tile, room, tell)
        except MemoryError:
            done = None
        if done is not None:
            return (*done, notes)
        tile = _smaller(tile, wanted.multiple)
        if tile is not None:
            text = " x ".join(map(str, tile))
            notes = (f"for want of memory the scan was looked at in tiles of {text} voxels, smaller than the model was trained on",)
    raise _no_memory(work, None)


def _attempted(
    work: _Work, image: npt.NDArray[np.float32], to_measure: Normaliser, tile: Triple, room: float, tell: Progress
) -> tuple[str, Triple, int, int] | None:
    """Run a network in tiles of that size; None where they would take too much and smaller ones can be had."""
    tell("opening the network", 0.02)
    runtime = _opened(work, tile)
    voxels = math.prod(runtime.tile)
    if runtime.is_gpu:
        needed = 4 * runtime.classes * voxels  # all else is the card's own memory
    else:
        needed = _TIMES_ACTIVATIONS * (runtime.activation_bytes or _GUESSED_BYTES * voxels)
    if needed > 0.7 * room and _smaller(tile, work.description.multiple) is not None:
        return None
    computed, skipped = _in_tiles(work, image, to_measure, runtime, room - needed, tell)
    return runtime.device, runtime.tile, computed, skipped


def _opened(work: _Work, tile: Triple) -> Runtime:
    """The network for that tile; for its own patch where it takes no other (a file exported for one size)."""
    wanted, network, source, device = work.description, work.network, work.source, work.means.device
    try:
        return open_runtime(network, wanted, tile, device, source=source)
    except InputError:
        if tile == wanted.patch:
            raise
        return open_runtime(network, wanted, wanted.patch, device, source=source)


def _in_tiles(
    work: _Work,
    image: npt.NDArray[np.float32],
    to_measure: Normaliser,
    runtime: Runtime,
    room: float,
    tell: Progress,
) -> tuple[int, int]:
    """Run an opened network; how many tiles were computed, and how many left out."""
    wanted, tile = work.description, runtime.tile
    whole, inner = padded(image, tile, wanted.padding)
    size = (whole.shape[0], whole.shape[1], whole.shape[2])
    plan = planned(size, tile, _stride(wanted, tile), runtime.classes, int(max(room, _LEAST_ROOM)), even=wanted.preprocessing is None)
    blend = Blend.PROBABILITIES if wanted.gives_probabilities else wanted.blend
    air = _air(to_measure) if work.means.skip_air else -np.inf
    counts = {True: 0, False: 0}

    def needed(start: Triple) -> bool:
        box = tuple(slice(s, s + n) for s, n in zip(start, tile, strict=True))
        result = work.look is None or work.look.touches(start, tile, inner, work.box, work.rescaling)
        result = result and (air == -np.inf or float(whole[box].max()) > air)
        counts[result] += 1
        return result

    def done(share: float) -> None:
        tell("segmenting", 0.03 + 0.97 * share)

    network = as_blended(runtime, wanted.blend, wanted.gives_probabilities)
    weights = tile_weights(tile, wanted.weights)
    with Crew(threads()) as crew:
        onto = OntoScan(plan, work.rescaling, inner, work.box, blend, work.seen.classes, work.seen.confidence, crew)
        for row in finished_rows(network, whole, plan, runtime.classes, weights=weights, wanted=needed, done=done, crew=crew):
            onto.take(row)
    return counts[True], counts[False]


def _air(to_measure: Normaliser) -> float:
    """The normalised intensity below which there is air; minus infinity where the measure has no bounds to tell by."""
    if not (math.isfinite(to_measure.low) and math.isfinite(to_measure.high)):
        return -np.inf
    limit = to_measure.low + _AIR * (to_measure.high - to_measure.low)
    return (limit - to_measure.middle) / to_measure.scale


def _stride(wanted: Description, tile: Triple) -> Triple | None:
    """As many voxels as the model says; less in proportion where its tiles had to be smaller."""
    if wanted.stride is None:
        return None
    first, second, third = (max(1, round(s * t / p)) for s, t, p in zip(wanted.stride, tile, wanted.patch, strict=True))
    return (first, second, third)


def _smaller(tile: Triple, multiple: int) -> Triple | None:
    """Half the tile along its longest axis, or None where it is small already."""
    axis = int(np.argmax(tile))
    half = multiple * max(1, round(tile[axis] / 2 / multiple))
    if half >= tile[axis] or half < min(_LEAST_TILE, tile[axis]):
        return None
    sizes = [half if index == axis else n for index, n in enumerate(tile)]
    return (sizes[0], sizes[1], sizes[2])


def _no_memory(work: _Work, least: int | None) -> InputError:
    shape = " x ".join(map(str, work.rescaling.model_shape))
    found = f"{work.means.memory_bytes / 1e9:.2f} GB"
    if least is None:
        return InputError("memory", f"expected enough for a network on {shape} voxels in small tiles, found too little", hint="Free some.")
    hint = "Give more with --memory, or cut the scan to the part that matters."
    return InputError("--memory", f"expected at least {least / 1e9:.2f} GB for a scan of {shape} voxels, found {found}", hint=hint)
