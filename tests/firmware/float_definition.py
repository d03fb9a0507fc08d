"""Layers of floats as docs/numerics.md words them, and what nn.h reads of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pair = tuple[int, int]


def started(bias: np.float32) -> np.float32:
    return np.float32(bias + np.float32(0.0))


def added(total: np.float32, weight: Any, value: Any) -> np.float32:
    """One product and one sum, each rounded."""
    return np.float32(total + np.float32(np.float32(weight) * np.float32(value)))


def rectified(total: np.float32, relu: bool) -> np.float32:
    return total if not relu or total > 0 else np.float32(0.0)


def row_bytes(weights: NDArray[Any], bias: Floats) -> bytes:
    """A row for each output: its bias, its weights."""
    kind = "<f2" if weights.dtype == np.float16 else "<f4"
    rows = zip(weights.reshape(len(bias), -1), bias, strict=True)
    return b"".join(np.array(b, "<f4").tobytes() + row.astype(kind).tobytes() for row, b in rows)


@dataclass(frozen=True)
class FloatConv:
    """weights (outputs, kernel rows, kernel columns, channels of a group), float32 or float16; `padding` above, left
    of, below and right of the input (rows, columns, channels)."""

    shape: tuple[int, int, int]
    weights: NDArray[Any]
    bias: Floats
    relu: bool
    stride: Pair = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    pool: Pair = (1, 1)
    groups: int = 1

    @property
    def convolved(self) -> Pair:
        above, left, below, right = self.padding
        _, rows, columns, _ = self.weights.shape
        height = (self.shape[0] + above + below - rows) // self.stride[0] + 1
        return height, (self.shape[1] + left + right - columns) // self.stride[1] + 1

    @property
    def out_shape(self) -> tuple[int, int, int]:
        height, width = self.convolved
        return height // self.pool[0], width // self.pool[1], len(self.bias)

    def sum_at(self, values: NDArray[Any], output: int, y: int, x: int) -> np.float32:
        _, rows, columns, share = self.weights.shape
        first = output // (len(self.bias) // self.groups) * share
        total = started(self.bias[output])
        for i, j, c in np.ndindex(rows, columns, share):
            row, column = y * self.stride[0] - self.padding[0] + i, x * self.stride[1] - self.padding[1] + j
            if 0 <= row < self.shape[0] and 0 <= column < self.shape[1]:
                total = added(total, self.weights[output, i, j, c], values[row, column, first + c])
        return rectified(total, self.relu)

    def run(self, values: NDArray[Any]) -> Floats:
        found = np.zeros(self.out_shape, np.float32)
        for y, x, o in np.ndindex(found.shape):
            places = [(y * self.pool[0] + i, x * self.pool[1] + j) for i, j in np.ndindex(*self.pool)]
            best, *others = (self.sum_at(values, o, *place) for place in places)
            for other in others:
                best = other if other > best else best
            found[y, x, o] = best
        return found

    def fields(self, rows: int, backward: int = 0) -> dict[str, int]:
        """nn_conv_float."""
        (height, width, channels), (out_height, out_width, outputs) = self.shape, self.out_shape
        _, kernel, kernel_width, share = self.weights.shape
        found = {"rows": rows, "height": height, "width": width, "channels": channels}
        found |= {"kernel": kernel, "stride": self.stride[0], "padding": self.padding[0], "pool": self.pool[0]}
        found |= {"kernel_width": kernel_width, "stride_width": self.stride[1], "padding_left": self.padding[1]}
        found |= {"pool_width": self.pool[1], "group_inputs": share, "group_outputs": outputs // self.groups}
        found |= {"out_height": out_height, "out_width": out_width, "outputs": outputs}
        return {**found, "backward": backward, "relu": int(self.relu)}

    @property
    def row_bytes(self) -> bytes:
        return row_bytes(self.weights, self.bias)


@dataclass(frozen=True)
class FloatDense:
    """weights (outputs, inputs), float32 or float16."""

    weights: NDArray[Any]
    bias: Floats
    relu: bool

    def run(self, values: NDArray[Any]) -> Floats:
        found = []
        for row, bias in zip(self.weights, self.bias, strict=True):
            total = started(bias)
            for weight, value in zip(row, values, strict=True):
                total = added(total, weight, value)
            found.append(rectified(total, self.relu))
        return np.array(found, np.float32)

    @property
    def row_bytes(self) -> bytes:
        return row_bytes(self.weights, self.bias)


def pooled(values: Floats, size: Pair, stride: Pair, is_average: bool) -> Floats:
    rows, columns, channels = values.shape
    shape = (rows - size[0]) // stride[0] + 1, (columns - size[1]) // stride[1] + 1, channels
    found = np.zeros(shape, np.float32)
    for y, x, c in np.ndindex(shape):
        window = values[y * stride[0] :, x * stride[1] :, c][: size[0], : size[1]].ravel()
        total, largest = np.float32(0.0), window[0]
        for value in window:
            total = np.float32(total + value)
            largest = value if value > largest else largest
        found[y, x, c] = np.float32(total / np.float32(len(window))) if is_average else largest
    return found


def random_floats(random: np.random.Generator, shape: tuple[int, ...], is_u8: bool) -> NDArray[Any]:
    """A third of them zero; float32 of every sign and of sizes far apart, or u8."""
    kept = random.random(shape) < 0.7
    if is_u8:
        return (random.integers(0, 256, shape) * kept).astype(np.uint8)
    values: NDArray[Any] = (random.normal(0, 1, shape) * 10.0 ** random.integers(-3, 4, shape) * kept).astype(
        np.float32
    )
    return values
