"""Pools by slicing: one strided view for each position in the window."""

from typing import Any

import numpy as np

from host.nn.numpy.layer import Array

Pair = tuple[int, int]


def window_views(maps: Array, window: Pair, strides: Pair) -> list[Array]:
    """Return a view (C, rows, columns, N) of maps (C, H, W, N) for each place in the window, in row-major order."""
    sides = zip(maps.shape[1:3], window, strides, strict=True)
    height, width = ((side - size) // stride * stride + 1 for side, size, stride in sides)
    down, across = strides
    return [maps[:, i : i + height : down, j : j + width : across] for i, j in np.ndindex(*window)]


class _Pool:
    def __init__(self, inputs: tuple[int, ...], window: Pair, strides: Pair, batch: int, dtype: np.dtype[Any]) -> None:
        self._window, self._strides = window, strides
        self._back: Array = np.zeros((*inputs, batch), dtype)  # what no window reaches stays zero for ever
        self._back_views = window_views(self._back, window, strides)
        self._out: Array = np.empty(self._back_views[0].shape, dtype)


class MaxPool(_Pool):
    """The gradient goes to the first of equal largest values of each window, in row-major order, as in torch."""

    def __init__(self, inputs: tuple[int, ...], window: Pair, strides: Pair, batch: int, dtype: np.dtype[Any]) -> None:
        super().__init__(inputs, window, strides, batch, dtype)
        self._hit = np.empty(self._out.shape, np.bool_)
        overlap = any(stride < size for stride, size in zip(strides, window, strict=True))
        # Where windows overlap, several add to one value of the gradient, each by way of this.
        self._share: Array | None = np.empty_like(self._out) if overlap else None

    def forward(self, x: Array) -> Array:
        self._views = window_views(x, self._window, self._strides)
        self._out[...] = self._views[0]
        for view in self._views[1:]:
            np.maximum(self._out, view, out=self._out)
        return self._out

    def backward(self, gradient: Array) -> Array:
        # What one position takes is subtracted, so later equal values get zero.
        if self._share is not None:
            self._back[...] = 0
        for view, back in zip(self._views, self._back_views, strict=True):
            np.equal(view, self._out, out=self._hit)
            share = np.multiply(gradient, self._hit, out=back if self._share is None else self._share)
            if self._share is not None:
                back += share
            gradient -= share
        return self._back


class AveragePool(_Pool):
    """Windows do not overlap. The gradient is shared equally."""

    def __init__(self, inputs: tuple[int, ...], window: Pair, batch: int, dtype: np.dtype[Any]) -> None:
        super().__init__(inputs, window, window, batch, dtype)

    def forward(self, x: Array) -> Array:
        views = window_views(x, self._window, self._strides)
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
