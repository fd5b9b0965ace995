"""How every command ends: 0 done, 2 the user's to mend, 1 a fault of ours, 130 interrupted. One clear error, never a traceback."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from kambin.errors import InputError, KambinError, OutputError

DONE, OUR_FAULT, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Terminated(BaseException):
    """SIGTERM, as an exception, so that whatever was half-written is removed on the way out."""


@contextmanager
def door(*, as_json: bool = False, debug: bool = False) -> Iterator[None]:
    """Turn whatever a command raises into an error on stderr (and JSON on stdout) and an exit status."""
    try:
        yield
    except typer.Exit:
        raise
    except (KeyboardInterrupt, Terminated) as stop:
        status = INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
        fail("interrupted; nothing was written", {"type": "Interrupted"}, status, as_json)
    except InputError as error:
        _trace(debug)
        hint = f" {error.hint}" if error.hint else ""
        problems = "; ".join(problem.rstrip(".") for problem in error.problems)
        details = {"subject": error.subject, "problems": list(error.problems), "hint": error.hint}
        kind = "OutputError" if isinstance(error, OutputError) else "InputError"
        fail(f"{error.subject}: {problems}.{hint}", {"type": kind, **details}, BAD_INPUT, as_json)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; say nothing more
        raise typer.Exit(DONE) from None
    except Exception as error:
        _trace(debug)
        text = "there is not enough memory for this" if isinstance(error, MemoryError) else _one_line(error)
        where = "" if debug else " Run it again with --debug for the traceback, and please report it."
        kind = "KambinError" if isinstance(error, KambinError) else "InternalError"
        fail(f"a fault in Kambin: {text}.{where}", {"type": kind}, OUR_FAULT, as_json)


def fail(message: str, details: dict[str, Any], status: int, as_json: bool) -> None:
    """Say what went wrong and leave with `status`.

    Raises
    ------
    typer.Exit
        Always.
    """
    typer.echo(f"error: {message}", err=True)
    if as_json:
        typer.echo(json.dumps({"error": {"message": message, **details}, "status": status}))
    raise typer.Exit(status)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _trace(debug: bool) -> None:
    if debug:
        traceback.print_exc()
