"""What all layers of the NumPy engine share.

Arrays have the batch as their last axis: maps are (channels, height, width, N), vectors (units, N). Every slice along
channels, rows or columns is then a run of whole batches, convolutions become few large matrix products without
transposing, and flattening costs nothing. A layer is built for one batch size and keeps its buffers, so what `forward`
or `backward` returns is overwritten by the next call.
"""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Layer(Protocol):
    """One step of a net."""

    def forward(self, x: Array) -> Array:
        """Return the output for a batch; `x` stays untouched and must stay as it is until `backward`."""

    def backward(self, gradient: Array) -> Array | None:
        """Take the loss's gradient at the output, overwriting it if need be; return that at the input.

        Gradients of the layer's own numbers are written, not added. None where nobody needs the one at the input.
        """


class Scratch:
    """Memory for what lives only inside one call, shared by all layers of a net so that it stays in the cache."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._buffer: Array = np.empty(0, dtype)

    def array(self, shape: tuple[int, ...]) -> Array:
        """Return uninitialised memory of this shape, valid until the next call."""
        size = math.prod(shape)
        if size > self._buffer.size:
            self._buffer = np.empty(size, self._buffer.dtype)
        return self._buffer[:size].reshape(shape)
