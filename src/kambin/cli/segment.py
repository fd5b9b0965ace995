"""The command that turns a scan into a label map."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kambin.cli.bar import progress_bar
from kambin.cli.door import door
from kambin.errors import InputError

if TYPE_CHECKING:
    from kambin.pipeline.segment import Segmented, SegmentOrder

ModelOption = Annotated[str, typer.Option("--model", "-m", help="The model: a name, or the file of your own.")]
DeviceOption = Annotated[str, typer.Option(help="What it runs on: auto, cpu or gpu.")]
MemoryOption = Annotated[str, typer.Option(help="How much memory it may take, beside the scan itself: 2GB, 800MB.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Segment what the model was not made for: another modality, for example.")]

DEFAULT_MODEL, DEFAULT_DEVICE, DEFAULT_MEMORY = "lumbosacral-any", "auto", "2GB"
_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def segment(
    scan: Annotated[str, typer.Argument(help="The scan: NIfTI, NRRD, MHA, or a DICOM folder or zip.", show_default=False)],
    output: Annotated[str, typer.Option("--output", "-o", help="The label map to write: .nii.gz or .seg.nrrd.", show_default=False)],
    model: ModelOption = DEFAULT_MODEL,
    device: DeviceOption = DEFAULT_DEVICE,
    memory: MemoryOption = DEFAULT_MEMORY,
    confidence: Annotated[
        str | None, typer.Option(help="Write how sure the model is of each voxel (0 to 1) to this .nii.gz.", show_default=False)
    ] = None,
    force: ForceOption = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,
) -> None:
    """A label map from a scan alone: vertebrae, discs, sacrum, nerves, vessels, muscles, by the shipped model or your own."""
    with door(as_json=json, debug=debug):
        from kambin.cli import show
        from kambin.pipeline.segment import segment_file

        order = segment_order(model, device, memory, force)
        with progress_bar(quiet) as bar:
            result = segment_file(scan, output, order, confidence=confidence, overwrite=overwrite, progress=bar)
        if json:
            show.emit(document_of(result, output, confidence))
        elif not quiet:
            show_segmented(result, output, confidence)


def segment_order(model: str, device: str, memory: str, force: bool) -> SegmentOrder:
    """What the options ask for.

    Raises
    ------
    InputError
        When the amount of memory is none.
    """
    from kambin.pipeline.segment import SegmentOrder
    from kambin.segmentation.predict import Means

    return SegmentOrder(model, Means(device, memory_bytes(memory)), force)


def memory_bytes(text: str) -> int:
    """Bytes of ``2GB``, ``800 MB``, ``1.5GiB``.

    Raises
    ------
    InputError
        When the text is no such amount, or less than 100 MB.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*", text)
    unit = None if found is None else _UNITS.get(found[2].upper())
    if found is None or unit is None:
        raise InputError("--memory", f"expected an amount such as 2GB or 800MB, found {text!r}")
    amount = int(float(found[1]) * unit)
    if amount < 100_000_000:
        raise InputError("--memory", f"expected at least 100MB, found {text!r}")
    return amount


def document_of(result: Segmented, output: str, confidence: str | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    made = result.segmentation
    how = dict(made.provenance["segmented_by"])
    mean = how.pop("confidence")
    counts = made.voxel_counts()
    volume = made.grid.voxel_volume_mm3 / 1000
    return {
        "status": 0,
        "labels": output,
        "confidence": confidence,
        "scheme": "kambin",
        "made_by": how,
        "seconds": round(result.seconds, 2),
        "structures": [
            {"key": s.key, "voxels": counts[s], "volume_ml": round(counts[s] * volume, 3), "confidence": mean.get(s.key)}
            for s in made.structures
        ],
        "doubts": list(made.doubts),
        "note": _research_only(),
    }


def show_segmented(result: Segmented, output: str, confidence: str | None) -> None:
    """Doubts on stderr; what was found, and where it is, on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, aside = Console(highlight=False), Console(highlight=False, stderr=True)
    made = result.segmentation
    for doubt in made.doubts:
        aside.print(Text.assemble(("doubt: ", "yellow"), doubt))
    counts, mean = made.voxel_counts(), made.provenance["segmented_by"]["confidence"]
    table = Table("structure", box=None)
    table.add_column("ml", justify="right")
    table.add_column("confidence", justify="right")
    for structure in made.structures:
        volume = counts[structure] * made.grid.voxel_volume_mm3 / 1000
        table.add_row(structure.label, f"{volume:.1f}", f"{mean.get(structure.key, 0):.2f}")
    console.print(table)
    how = made.provenance["segmented_by"]
    console.print(f"model   {how['model']} ({how['sha256'][:12]}) on {how['device']}, {result.seconds:.0f} s", markup=False)
    console.print(f"labels  {output} (scheme kambin)", soft_wrap=True, markup=False)
    if confidence is not None:
        console.print(f"confidence  {confidence}", soft_wrap=True, markup=False)
    console.print(_research_only())


def _research_only() -> str:
    from kambin.pipeline.segment import RESEARCH_ONLY

    return RESEARCH_ONLY
