"""Pools over windows that do not overlap, by slicing: one strided view for each position in the window."""

from typing import Any

import numpy as np

from host.train.layers.layer import Array


def window_views(maps: Array, size: int) -> list[Array]:
    """Return size² views (C, H // size, W // size, N) of maps (C, H, W, N), in row-major order of the window."""
    height, width = maps.shape[1] // size, maps.shape[2] // size
    full = maps[:, : height * size, : width * size]
    return [full[:, i::size, j::size] for i in range(size) for j in range(size)]


class _Pool:
    def __init__(self, inputs: tuple[int, ...], size: int, batch: int, dtype: np.dtype[Any]) -> None:
        self._size = size
        channels, height, width = inputs
        self._out: Array = np.empty((channels, height // size, width // size, batch), dtype)
        self._back: Array = np.zeros((*inputs, batch), dtype)  # rows and columns left over stay zero for ever
        self._back_views = window_views(self._back, size)


class MaxPool(_Pool):
    """The gradient goes to the first of equal largest values, in row-major order, as in torch."""

    def __init__(self, inputs: tuple[int, ...], size: int, batch: int, dtype: np.dtype[Any]) -> None:
        super().__init__(inputs, size, batch, dtype)
        self._hit = np.empty(self._out.shape, np.bool_)

    def forward(self, x: Array) -> Array:
        self._views = window_views(x, self._size)
        self._out[...] = self._views[0]
        for view in self._views[1:]:
            np.maximum(self._out, view, out=self._out)
        return self._out

    def backward(self, gradient: Array) -> Array:
        # What one position takes is subtracted, so later equal values get zero.
        for view, back in zip(self._views, self._back_views, strict=True):
            np.equal(view, self._out, out=self._hit)
            np.multiply(gradient, self._hit, out=back)
            gradient -= back
        return self._back


class AveragePool(_Pool):
    """The gradient is shared equally."""

    def forward(self, x: Array) -> Array:
        views = window_views(x, self._size)
        self._out[...] = views[0]
        for view in views[1:]:
            self._out += view
        self._out /= len(views)
        return self._out

    def backward(self, gradient: Array) -> Array:
        gradient /= len(self._back_views)
        for back in self._back_views:
            back[...] = gradient
        return self._back
