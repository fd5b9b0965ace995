"""Threads that share a task of NumPy's, which lets go of Python's lock while it computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self


class Crew:
    """So many threads, for as long as the ``with`` lasts.

    Parameters
    ----------
    workers
        With one, everything is done where it is asked for.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = max(1, workers)
        self._pool = ThreadPoolExecutor(self.workers) if self.workers > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def share(self, length: int, task: Callable[[slice], None]) -> None:
        """Have a task done on slices that make up so many rows; each row is done once, by one thread."""
        if self._pool is None:
            task(slice(0, length))
            return
        edges = [index * length // self.workers for index in range(self.workers + 1)]
        list(self._pool.map(lambda index: task(slice(edges[index], edges[index + 1])), range(self.workers)))
