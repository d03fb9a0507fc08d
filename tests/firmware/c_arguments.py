"""What ctypes hands to the C core."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray


def pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    """The array's first element, which the caller keeps alive."""
    return array.ctypes.data_as(ctypes.c_void_p)
