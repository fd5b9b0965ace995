"""A run's folder: made aside and put in place only when it is complete, so that nothing half-written ever stays."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kambin.errors import InputError, OutputError
from kambin.io.manifest import NAME as MANIFEST
from kambin.io.manifest import Manifest

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EIO}


def check_free(output: str | Path, overwrite: bool) -> Path:
    """The place of a new run's folder, links followed.

    An absent or empty folder is free. One that holds an earlier run is free when it may be overwritten, and holds nothing else.

    Raises
    ------
    OutputError
        When it is not; nothing has been touched then.
    """
    if not str(output):
        raise OutputError("--output", "expected a folder or a new name, found an empty text")
    place = Path(output).expanduser().resolve()
    if not place.exists():
        return place
    if not place.is_dir():
        raise OutputError(output, "expected a folder or a new name, found a file")
    try:
        if not any(place.iterdir()):
            return place
        is_run = (place / MANIFEST).is_file()
        present = sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if not p.is_dir()) if is_run else []
    except OSError as error:
        raise OutputError(output, f"the folder cannot be read ({error.strerror})") from error
    if not is_run:
        problem = f"the folder is not empty and holds no earlier run of Kambin (no {MANIFEST}), so it is left alone"
        raise OutputError(output, problem, hint="Choose a new folder with -o.")
    if not overwrite:
        raise OutputError(output, "the folder holds an earlier run", hint="Give --overwrite to replace it, or another folder with -o.")
    try:
        known = {record.name for record in Manifest.read(place / MANIFEST).outputs} | {MANIFEST}
    except InputError as error:
        raise OutputError(output, f"the folder holds a {MANIFEST} that is not Kambin's, so it is left alone") from error
    foreign = [name for name in present if name not in known]
    if foreign:
        some = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        problem = f"beside an earlier run the folder holds files that Kambin did not write ({some}), so it is left alone"
        raise OutputError(output, problem, hint="Move them, or choose another folder with -o.")
    return place


@contextmanager
def new_folder(output: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write a run into; when the block ends well it takes the place of `output`.

    It is made beside `output`, on the same disk. When the block raises, by an error, a full disk or Ctrl-C, it is removed and
    whatever was at `output` is as before.

    Raises
    ------
    OutputError
        When `output` is not free (see `check_free`), cannot be written to, or the disk is full.
    """
    place = check_free(output, overwrite)
    made = _missing_parents(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
    except OSError as error:
        _remove_empty(made)
        why = "a file stands where a folder is needed" if isinstance(error, FileExistsError) else error.strerror
        raise OutputError(output, f"expected a place that can be written to, found that it cannot ({why})") from error
    try:
        with _said_as_output_error(output, partial):
            yield partial
            partial.chmod(0o777 & ~_umask())  # mkdtemp made it private
            check_free(output, overwrite)  # another run may have finished there meanwhile
            _swap(partial, place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_empty(made)
        raise


@contextmanager
def updated_folder(folder: str | Path, *, whole: str | None = None) -> Iterator[Path]:
    """A folder to write some files of an existing run into; when the block ends well they replace those of the run, one by one.

    The manifest, where it is among them, comes last. When the block raises, the run is as before. `whole` is the name of a folder in the
    run of which nothing earlier is to stay.

    Raises
    ------
    OutputError
        When the run's folder cannot be written to, or the disk is full.
    """
    root = Path(folder)
    try:
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=root))
    except OSError as error:
        raise OutputError(folder, f"expected a folder that can be written to, found that it cannot ({error.strerror})") from error
    try:
        with _said_as_output_error(folder, partial):
            yield partial
            names = sorted((p.relative_to(partial) for p in partial.rglob("*") if p.is_file()), key=lambda n: (n.name == MANIFEST, n))
            if whole is not None:
                _remove_others(root / whole, {root / name for name in names})
            for name in names:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).replace(root / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def size_bytes(folder: Path) -> int:
    """Bytes in all files of a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@contextmanager
def _said_as_output_error(output: str | Path, partial: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            needed = size_bytes(partial)
            shutil.rmtree(partial, ignore_errors=True)
            raise OutputError(output, _full_text(partial.parent, needed), hint="Free some space, or choose another disk.") from error
        if error.errno in _FORBIDDEN and _is_inside(error.filename, partial.parent):
            raise OutputError(output, f"writing {Path(str(error.filename)).name} failed ({error.strerror})") from error
        raise


def _full_text(parent: Path, needed: int) -> str:
    free = "an unknown amount"
    with suppress(OSError):
        free = f"{shutil.disk_usage(parent).free / 1e6:.1f} MB"
    return f"the disk is full: {free} free, more than {needed / 1e6:.1f} MB needed"


def _is_inside(name: object, folder: Path) -> bool:
    return isinstance(name, str) and Path(name).is_relative_to(folder)


def _swap(partial: Path, place: Path) -> None:
    """Put the new folder in place; the old one goes only when the new one is there."""
    if not place.exists():
        partial.rename(place)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}.old-", dir=place.parent))
    kept = old / place.name
    try:
        place.rename(kept)
        try:
            partial.rename(place)
        except BaseException:
            kept.rename(place)
            raise
    finally:
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)


def _remove_others(folder: Path, kept: set[Path]) -> None:
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file() and path not in kept:
            path.unlink()
    with suppress(OSError):
        folder.rmdir()  # where nothing is left in it


def _missing_parents(place: Path) -> list[Path]:
    """Folders above `place` that do not exist yet, deepest first."""
    return [parent for parent in place.parents if not parent.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
