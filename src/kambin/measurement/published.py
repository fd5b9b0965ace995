"""Published adult reference values, by quantity and level."""

from collections.abc import Mapping

from kambin.measurement.result import Published

PUBLISHED: Mapping[str, Mapping[str, Published]] = {}
