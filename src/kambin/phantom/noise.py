"""Random numbers that are the same on any machine and with any version of numpy.

Only the generators' raw bits are promised to stay; normal deviates are not. So they are looked up by sixteen raw bits in a table of
the normal quantiles, rounded far above what two machines' arithmetic may differ by. Their spread is one, and they end at 4.2.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
_STEPS = 1 << 16


def normals(shape: tuple[int, ...], *key: int) -> Float32Array:
    """Independent standard normal deviates.

    Parameters
    ----------
    shape
        Any.
    key
        Not negative; each key has its own numbers: the seed, what they are for, the slice.
    """
    count = int(np.prod(shape))
    bits = np.random.PCG64(np.random.SeedSequence(list(key))).random_raw((count + 3) // 4)
    # Little-endian on every machine.
    places = np.asarray(bits, dtype="<u8").view("<u2")[:count]
    return np.asarray(_quantiles()[places].reshape(shape), dtype=np.float32)


def uniforms(count: int, *key: int) -> npt.NDArray[np.float64]:
    """Independent numbers from 0 to 1, shape (count,); the keys as for `normals`."""
    bits = np.random.PCG64(np.random.SeedSequence(list(key))).random_raw(count)
    return np.asarray(bits >> np.uint64(11), dtype=np.float64) * 2.0**-53


@cache
def _quantiles() -> Float32Array:
    from scipy.special import ndtri

    exact = ndtri((np.arange(_STEPS) + 0.5) / _STEPS)
    table: Float32Array = (np.round(exact / exact.std() * 4096.0) / 4096.0).astype(np.float32)
    table.setflags(write=False)
    return table
