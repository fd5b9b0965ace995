"""Errors that a user reads come whole through another process."""

from __future__ import annotations

import pickle

import pytest

from kambin.errors import InputError, NoSpineError, OutputError


@pytest.mark.parametrize("kind", [InputError, OutputError, NoSpineError])
@pytest.mark.parametrize("hint", [None, "Take another one."])
def test_an_error_comes_whole_through_another_process(kind: type[InputError], hint: str | None) -> None:
    error = kind("scan.nii.gz", "expected a spine, found a box", "and no side", hint=hint)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.subject, again.problems, again.hint, str(again)) == (error.subject, error.problems, hint, str(error))
