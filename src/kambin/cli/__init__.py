"""The command line: a thin door to the pipeline."""

from kambin.cli.app import app, main

__all__ = ["app", "main"]
