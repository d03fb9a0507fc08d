"""The windows of pools over maps of any number type, taken apart without copying."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.shapes import Pair


def views(maps: NDArray[Any], window: Pair, strides: Pair) -> Iterator[NDArray[Any]]:
    """A view (..., rows, columns) for each place in the window, row by row; what is left over is dropped."""
    height, width = (
        (side - size) // stride * stride + 1
        for side, size, stride in zip(maps.shape[-2:], window, strides, strict=True)
    )
    for y, x in np.ndindex(window):
        yield maps[..., y : y + height : strides[0], x : x + width : strides[1]]


def largest(maps: NDArray[Any], window: Pair, strides: Pair) -> NDArray[Any]:
    """Return the largest value of each window of maps (..., H, W)."""
    found: NDArray[Any] = reduce(np.maximum, views(maps, window, strides))
    return found
