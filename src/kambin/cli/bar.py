"""Progress on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kambin.pipeline.progress import Progress


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A bar on stderr; nothing where it is not a terminal, or with `quiet`."""
    from rich.console import Console

    from kambin.pipeline.progress import silent

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield silent
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:<44.44}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(text: str, fraction: float) -> None:
            bar.update(task, description=text, completed=fraction)

        yield show
