"""Numbers as files, boards and hashes hold them."""

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError

_HALF_MAX = float(np.finfo(np.float16).max)


def little_endian(array: NDArray[np.generic]) -> bytes:
    """The array's numbers as every board and host agrees to count them."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def to_half(weights: NDArray[np.float32], what: str, do: str) -> NDArray[np.float16]:
    """Round to IEEE binary16, half to even; raise InputError, about `what` and what to `do`, rather than produce an
    infinity."""
    largest = np.max(np.abs(weights), initial=0.0)
    if largest >= _HALF_MAX:
        raise InputError(f"{what}: found a weight of {largest:.6g}, need below {_HALF_MAX:.0f}; {do}")
    return weights.astype(np.float16)
