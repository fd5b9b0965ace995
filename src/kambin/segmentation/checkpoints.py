"""States of a training on disk: written aside and put in place at once, so that a full disk or Ctrl-C leaves the one before."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kambin.errors import InputError, OutputError

VERSION = 1


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state.

    Raises
    ------
    OutputError
        When the disk is full or may not be written to; an earlier state of that name is as it was.
    """
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **state}, buffer)
    write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a state. Nothing in it is run: only numbers, texts and tensors are read.

    Raises
    ------
    InputError
        When it is damaged, or of another version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(path, f"expected the state of a training, found none that can be read ({error.strerror})") from error
    except Exception as error:  # torch raises all kinds for one damage or another
        raise InputError(path, "expected the state of a training, found a damaged file", hint="Remove it to begin anew.") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        found = state.get("version") if isinstance(state, dict) else None
        raise InputError(path, f"expected the state of a training of version {VERSION}, found version {found!r}")
    return state


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or, where that fails, as it was before.

    Raises
    ------
    OutputError
        When the disk is full or may not be written to.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        hint = None
        why = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = f"the disk is full, {len(content) / 1e6:.1f} MB needed"
            hint = "Free some space; the same command goes on where it stopped."
        raise OutputError(path, f"writing failed ({why})", hint=hint) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
