"""A folder of many patients: each appears when it is complete, and what was interrupted goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kambin import __version__
from kambin.errors import OutputError
from kambin.io.manifest import NAME as MANIFEST
from kambin.io.plain import plain
from kambin.pipeline.folder import check_free, new_folder

BEGUN = "cohort.json"
"""What was ordered, for as long as it is not complete."""


@contextmanager
def cohort_folder(output: str | Path, given: Mapping[str, Any], overwrite: bool) -> Iterator[Path]:
    """A folder into which patients are put one by one; when the block ends well it is complete.

    When the block is interrupted the patients that are complete stay, with `BEGUN` beside them, and the same order in the same place goes
    on. Where nothing is complete yet, nothing stays. A complete cohort is replaced as a whole, and only by a whole one.

    Parameters
    ----------
    output
        Where.
    given
        What was ordered; how many may differ from the order that was interrupted.
    overwrite
        Whether a complete cohort may be replaced.

    Raises
    ------
    OutputError
        When the place is not free, holds the beginning of another order, or cannot be written to.
    """
    place = Path(output).expanduser().resolve()
    order: dict[str, Any] = plain({"kambin": __version__, **given})
    if (place / MANIFEST).is_file():
        with new_folder(output, overwrite) as folder:
            yield folder
        return
    if (place / BEGUN).is_file():
        _check_same(place, order)
    else:
        _begin(check_free(output, overwrite), order)
    try:
        yield place
        (place / BEGUN).unlink()
    except BaseException:
        if not any(path.name != BEGUN for path in place.iterdir()):
            with suppress(OSError):
                (place / BEGUN).unlink()
                place.rmdir()
        raise


def _check_same(place: Path, order: Mapping[str, Any]) -> None:
    try:
        earlier = json.loads((place / BEGUN).read_text(encoding="utf-8"))
        other = sorted(key for key in {*earlier, *order} - {"count"} if earlier.get(key) != order.get(key))
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(place / BEGUN, f"expected what was ordered, found something else ({error})") from error
    if other:
        problem = f"the folder holds the beginning of another order (other: {', '.join(other)})"
        raise OutputError(place, problem, hint="Give the same order to go on, or another folder with -o.")


def _begin(place: Path, order: Mapping[str, Any]) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / BEGUN).write_text(json.dumps(order, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(place, f"expected a place that can be written to, found that it cannot ({error.strerror})") from error
