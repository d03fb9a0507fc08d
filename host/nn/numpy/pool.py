"""Pools by slicing: one strided view for each position in the window."""

from typing import Any

import numpy as np

from host.nn.numpy.layer import Array


def window_views(maps: Array, size: int, stride: int) -> list[Array]:
    """Return size² views (C, rows, columns, N) of maps (C, H, W, N), in row-major order of the window."""
    height, width = ((side - size) // stride * stride + 1 for side in maps.shape[1:3])
    return [maps[:, i : i + height : stride, j : j + width : stride] for i in range(size) for j in range(size)]


class _Pool:
    def __init__(self, inputs: tuple[int, ...], size: int, stride: int, batch: int, dtype: np.dtype[Any]) -> None:
        self._size, self._stride = size, stride
        self._back: Array = np.zeros((*inputs, batch), dtype)  # what no window reaches stays zero for ever
        self._back_views = window_views(self._back, size, stride)
        self._out: Array = np.empty(self._back_views[0].shape, dtype)


class MaxPool(_Pool):
    """The gradient goes to the first of equal largest values of each window, in row-major order, as in torch."""

    def __init__(self, inputs: tuple[int, ...], size: int, stride: int, batch: int, dtype: np.dtype[Any]) -> None:
        super().__init__(inputs, size, stride, batch, dtype)
        self._hit = np.empty(self._out.shape, np.bool_)
        # Where windows overlap, several add to one value of the gradient, each by way of this.
        self._share: Array | None = np.empty_like(self._out) if stride < size else None

    def forward(self, x: Array) -> Array:
        self._views = window_views(x, self._size, self._stride)
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

    def __init__(self, inputs: tuple[int, ...], size: int, batch: int, dtype: np.dtype[Any]) -> None:
        super().__init__(inputs, size, size, batch, dtype)

    def forward(self, x: Array) -> Array:
        views = window_views(x, self._size, self._stride)
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
