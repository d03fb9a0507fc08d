"""Layers without a kernel: dense, ReLU, dropout, flatten."""

import math
from typing import Any

import numpy as np

from host.nn.numpy.layer import Array


class FullyConnected:
    """Weights (out, in) times vectors (in, N), plus a bias."""

    def __init__(self, numbers: dict[str, Array], gradients: dict[str, Array], batch: int, first: bool) -> None:
        self._numbers, self._gradients = numbers, gradients
        outputs, inputs = numbers["weights"].shape
        dtype = numbers["weights"].dtype
        self._out: Array = np.empty((outputs, batch), dtype)
        self._back: Array | None = None if first else np.empty((inputs, batch), dtype)

    def forward(self, x: Array) -> Array:
        self._x = x
        np.matmul(self._numbers["weights"], x, out=self._out)
        self._out += self._numbers["bias"][:, None]
        return self._out

    def backward(self, gradient: Array) -> Array | None:
        gradient.sum(axis=1, out=self._gradients["bias"])
        np.matmul(gradient, self._x.T, out=self._gradients["weights"])
        if self._back is not None:
            np.matmul(self._numbers["weights"].T, gradient, out=self._back)
        return self._back


class Rectifier:
    """max(x, 0); a comparison and a product, since np.maximum with a scalar was twice as slow."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._positive = np.empty(shape, np.bool_)
        self._out: Array = np.empty(shape, dtype)

    def forward(self, x: Array) -> Array:
        np.greater(x, 0, out=self._positive)
        return np.multiply(x, self._positive, out=self._out)

    def backward(self, gradient: Array) -> Array:
        gradient *= self._positive
        return gradient


class ClippedRectifier:
    """min(max(x, 0), limit)."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], limit: float) -> None:
        self._limit = limit
        self._inside = np.empty(shape, np.bool_)
        self._out: Array = np.empty(shape, dtype)

    def forward(self, x: Array) -> Array:
        np.greater(x, 0, out=self._inside)
        self._inside &= x < self._limit
        return np.clip(x, 0, self._limit, out=self._out)

    def backward(self, gradient: Array) -> Array:
        gradient *= self._inside
        return gradient


class Drop:
    """Inverted dropout: what stays is scaled up, so that nothing has to be done when the net is used."""

    def __init__(self, share: float, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self._share, self._shape, self._rng = share, shape, rng

    def forward(self, x: Array) -> Array:
        self._factor = (self._rng.random(self._shape, np.float32) >= self._share).astype(x.dtype)
        self._factor /= 1 - self._share
        out: Array = x * self._factor
        return out

    def backward(self, gradient: Array) -> Array:
        gradient *= self._factor
        return gradient


class Identity:
    """Dropout when the net is used."""

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, gradient: Array) -> Array:
        return gradient


class Flattened:
    """(C, H, W, N) to (C·H·W, N): the same memory."""

    def __init__(self, inputs: tuple[int, ...], batch: int) -> None:
        self._inputs, self._batch = inputs, batch

    def forward(self, x: Array) -> Array:
        return x.reshape(math.prod(self._inputs), self._batch)

    def backward(self, gradient: Array) -> Array:
        return gradient.reshape(*self._inputs, self._batch)
