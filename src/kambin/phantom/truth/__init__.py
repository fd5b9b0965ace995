"""The true values of a digital patient: computed from its exact shapes, by none of the code that measures.

Endplates are heights along rays, sections are curves between levels, silhouettes are smallest levels along lines of sight, distances are
those of the nearest points of two surfaces. Each value is computed at a step and at half of it, and carries the error bound that
follows. Conventions (which tenth of a depth, which plane, how an open rim is closed) are those that the measures state; their code is
neither called nor copied.

Not here: the entry distance Line B and the angle α, which belong to a planned trajectory.
"""

from kambin.phantom.truth.table import SCHEMA, text_of, true_values, truth_json, values_of
from kambin.phantom.truth.value import Quantity, TrueValue, Unknown

__all__ = ["SCHEMA", "Quantity", "TrueValue", "Unknown", "text_of", "true_values", "truth_json", "values_of"]
