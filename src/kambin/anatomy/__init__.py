"""The closed vocabulary of lumbosacral anatomy, and the label schemes that tools write it in."""

from kambin.anatomy.schemes import SCHEME_NAMES, Scheme, builtin_scheme, load_scheme, read_scheme
from kambin.anatomy.structures import Kind, Level, Side, Structure

__all__ = ["SCHEME_NAMES", "Kind", "Level", "Scheme", "Side", "Structure", "builtin_scheme", "load_scheme", "read_scheme"]
