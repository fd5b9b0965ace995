"""Shared fixtures. Real scans and label maps are not part of the project: tests that use them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The gate tries the same examples every time; at a developer's desk they are new ones on every run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

_DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans and label maps: $KAMBIN_DATA, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("KAMBIN_DATA", _DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"real scans and label maps are not here: no folder {folder} (set KAMBIN_DATA to their place)")
    return folder
