"""What a CT scanner fills the corners of its pictures with, outside the circle that it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LOWEST_HU = -1024
"""Air and all below it."""
_FEWEST, _MOST_BETWEEN = 0.01, 0.01


def without_padding(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The scan with its padding as air, as the DICOM reader has it.

    A file that lost its DICOM header does not tell. Padding is one number below -1024 (-2000, -2048, -3024) that at least a hundredth of
    all voxels have, with next to nothing (what was interpolated at its border) between it and air. Anything else is left as it is: a phase
    image has such values too.

    Parameters
    ----------
    values
        Of any shape; not changed. The same array comes back where there is no padding.
    """
    if values.size == 0 or not values.min() < LOWEST_HU:
        return values
    lowest = values.min()
    if np.mean(values == lowest) < _FEWEST or np.mean((values > lowest) & (values < LOWEST_HU)) > _MOST_BETWEEN:
        return values
    result: npt.NDArray[Any] = np.maximum(values, np.asarray(LOWEST_HU, dtype=values.dtype))
    return result
