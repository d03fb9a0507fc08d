"""Convolutions and pools of integers as nn.h and docs/numerics.md word them: slowly, one output at a time, and what the
kernels read."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from dense_layout import block_sizes, packed
from numpy.typing import NDArray

Pair = tuple[int, int]
Map = NDArray[np.uint8]
"""(row, column, channel), as in memory."""


def bytes_of(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_uint8) for name in names)


class ConvStruct(ctypes.Structure):
    """nn_conv_i8."""

    _fields_ = (
        ("rows", ctypes.c_uint32),
        *bytes_of("height", "width", "channels", "kernel", "stride", "padding", "pool"),
        *bytes_of("kernel_width", "stride_width", "padding_left", "pool_width", "group_inputs", "group_outputs"),
        *bytes_of("out_height", "out_width", "outputs", "shift", "backward", "bits", "top"),
    )


class PoolStruct(ctypes.Structure):
    """nn_pool."""

    _fields_ = bytes_of(
        *("width", "channels", "size", "out_height", "out_width", "backward", "stride", "size_width", "stride_width")
    )


@dataclass(frozen=True)
class Conv:
    """weights (outputs, kernel rows, kernel columns, channels of a group) of `bits`; `padding` above, left of,
    below and right of the input."""

    shape: tuple[int, int, int]  # of the input: rows, columns, channels
    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    multipliers: NDArray[np.int64]
    shift: int = 24
    top: int = 255
    bits: int = 8
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
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
        return height // self.pool[0], width // self.pool[1], len(self.weights)

    def sum_at(self, values: Map, output: int, y: int, x: int) -> int:
        _, rows, columns, share = self.weights.shape
        first = output // (len(self.weights) // self.groups) * share
        total = int(self.bias[output])
        for i in range(rows):
            for j in range(columns):
                row, column = y * self.stride[0] - self.padding[0] + i, x * self.stride[1] - self.padding[1] + j
                if 0 <= row < self.shape[0] and 0 <= column < self.shape[1]:
                    part = values[row, column, first : first + share].astype(np.int64)
                    total += int((self.weights[output, i, j] * part).sum())
        return total

    def activation(self, total: int, output: int) -> int:
        scaled = (total * int(self.multipliers[output]) + (1 << (self.shift - 1))) >> self.shift
        return min(max(scaled, 0), self.top)

    def run(self, values: Map) -> Map:
        found = np.zeros(self.out_shape, np.uint8)
        window = [(i, j) for i in range(self.pool[0]) for j in range(self.pool[1])]
        for y, x, o in np.ndindex(found.shape):
            places = [(y * self.pool[0] + i, x * self.pool[1] + j) for i, j in window]
            found[y, x, o] = max(self.activation(self.sum_at(values, o, *place), o) for place in places)
        return found

    def fields(self, rows: int, *, backward: int = 0, is_terse: bool = False) -> dict[str, int]:
        """nn_conv_i8; `is_terse` leaves out what a square layer with activations up to 255 may leave out."""
        (height, width, channels), (out_height, out_width, outputs) = self.shape, self.out_shape
        _, kernel, kernel_width, share = self.weights.shape
        found = {"rows": rows, "height": height, "width": width, "channels": channels, "kernel": kernel}
        found |= {"stride": self.stride[0], "padding": self.padding[0], "pool": self.pool[0]}
        found |= {"group_inputs": share, "group_outputs": outputs // self.groups, "out_height": out_height}
        found |= {"out_width": out_width, "outputs": outputs, "shift": self.shift, "backward": backward}
        found["bits"] = self.bits
        if is_terse:
            return found
        wide = {"kernel_width": kernel_width, "stride_width": self.stride[1], "padding_left": self.padding[1]}
        return {**found, **wide, "pool_width": self.pool[1], "top": self.top}

    @property
    def row_bytes(self) -> bytes:
        """A row for each output: bias, multiplier, weights."""
        parts = []
        for weights, bias, multiplier in zip(self.weights, self.bias, self.multipliers, strict=True):
            parts += [int(bias).to_bytes(4, "little", signed=True), int(multiplier).to_bytes(2, "little")]
            parts.append(packed_row(weights.ravel().tolist(), self.bits))
        return b"".join(parts)


def packed_row(weights: list[int], bits: int) -> bytes:
    """A byte each, or each plus 2^(bits-1) in fields, the first one lowest."""
    if bits == 8:
        return bytes(weight & 0xFF for weight in weights)
    count = 8 // bits
    fields = [weight + 2 ** (bits - 1) for weight in weights]
    groups = [fields[at : at + count] for at in range(0, len(fields), count)]
    return bytes(sum(field << (bits * place) for place, field in enumerate(group)) for group in groups)


def random_conv(
    random: np.random.Generator,
    shape: tuple[int, int, int],
    outputs: int,
    kernel: Pair,
    *,
    groups: int = 1,
    bits: int = 8,
    top: int = 255,
    stride: Pair = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    pool: Pair = (1, 1),
) -> Conv:
    """Numbers whose activations use their range."""
    most = 2 ** (bits - 1) - 1
    weights = random.integers(-most, most + 1, (outputs, *kernel, shape[2] // groups))
    shift = int(random.choice([16, 24]))
    typical = 40 * most * np.sqrt(weights[0].size) + 1
    multipliers = np.clip(random.uniform(0.2, 3, outputs) * top / typical * 2.0**shift, 1, 65535).astype(np.int64)
    bias = random.integers(-24 * most, 24 * most + 1, outputs)
    return Conv(shape, weights, bias, multipliers, shift, top, bits, stride, padding, pool, groups)


def random_map(random: np.random.Generator, shape: tuple[int, ...], density: float = 0.7) -> Map:
    return (random.integers(0, 256, shape) * (random.random(shape) < density)).astype(np.uint8)


def block_bytes(layer: Conv) -> bytes:
    """What nn_avr_conv reads of a layer of one group or a depthwise one: each block's biases, multipliers, weights."""
    is_depthwise = layer.groups > 1
    rows = layer.weights.reshape(len(layer.weights), -1)
    parts, first = [], 0
    for size in block_sizes(len(rows)):
        block = slice(first, first + size)
        starts = patch_starts(layer.bias[block].tolist(), layer.bits)
        parts += [(start % 2**24).to_bytes(3, "little") for start in starts]
        parts.append(layer.multipliers[block].astype("<u2").tobytes())
        columns = rows[block].T
        if is_depthwise:
            parts.append(columns.astype(np.int8).tobytes())
        else:
            parts += [packed(column, layer.bits) for column in columns.tolist()]
        first += size
    return b"".join(parts)


def patch_starts(bias: list[int], bits: int) -> list[int]:
    """With what a patch kernel's sums start: of outputs in one byte, 2^(bits * place) times its bias, and the next
    one's start."""
    starts, in_a_byte = list(bias), 8 // bits
    for index in reversed(range(len(starts))):
        place = index % in_a_byte
        following = starts[index + 1] if index + 1 < len(starts) and place + 1 < in_a_byte else 0
        starts[index] = starts[index] * 2 ** (bits * place) + following
    return starts
