"""Results made readable: one self-contained page of pictures, tables and doubts. Computes nothing clinical."""

from kambin.report.html import build_report

__all__ = ["build_report"]
