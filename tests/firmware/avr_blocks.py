"""Layers in blocks, as the kernels of nn_avr.h have them in flash: small pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from host.quantise.ops import Conv, Dense

Weights = NDArray[np.int8]
BLOCK_MAX = 6
RUN_MAX = 255
PATCH_KERNELS = {8: "nn_avr_patch24", 4: "nn_avr_patch4", 2: "nn_avr_patch2"}
SUM_BITS = {8: 24, 4: 20, 2: 18}
"""What the sum of a call must fit, by the bits of a weight."""


def block_sizes(outputs: int, most: int = BLOCK_MAX) -> list[int]:
    """As few blocks as there must be, their sizes as even as they go, larger ones first."""
    count = -(-outputs // most)
    return [outputs // count + (index < outputs % count) for index in range(count)]


def packed(fields: Sequence[int], bits: int) -> bytes:
    """One input's weights of a block, each plus 2^(bits-1): as many in a byte as fit, the first one lowest."""
    in_a_byte = 8 // bits
    values = [int(field) + 2 ** (bits - 1) for field in fields]
    groups = [values[at : at + in_a_byte] for at in range(0, len(values), in_a_byte)]
    return bytes(sum(value << (bits * place) for place, value in enumerate(group)) for group in groups)


def piece_shapes(weights: Weights, top: int, bits: int) -> list[tuple[int, int]]:
    """(rows, run) of pieces whose sums, of inputs up to `top`, fit the kernel's bits for every output: as many whole
    runs of 255 as go together, then what is left."""
    limit = 2 ** (SUM_BITS[bits] - 1)
    shapes: list[tuple[int, int]] = []
    at, inputs = 0, weights.shape[1]
    while inputs - at >= RUN_MAX:
        rows = 0
        while rows < RUN_MAX and at + (rows + 1) * RUN_MAX <= inputs:
            part = weights[:, at : at + (rows + 1) * RUN_MAX].astype(np.int64)
            highest, lowest = np.maximum(part, 0).sum(axis=1) * top, np.minimum(part, 0).sum(axis=1) * top
            if highest.max() >= limit or lowest.min() < -limit:
                break
            rows += 1
        assert rows, "255 inputs always fit"
        shapes.append((rows, RUN_MAX))
        at += rows * RUN_MAX
    return [*shapes, (1, inputs - at)] if at < inputs else shapes


def block_bytes(layer: Conv) -> bytes:
    """What nn_avr_conv reads of a layer of one group or a depthwise one: each block's biases, multipliers, weights."""
    bits, rule = layer.rows.format.bits, layer.rows.requantiser
    rows = layer.rows.weights.transpose(0, 2, 3, 1).reshape(layer.rows.outputs, -1)
    parts, first = [], 0
    for size in block_sizes(len(rows)):
        block = slice(first, first + size)
        starts = patch_starts(layer.rows.bias[block].tolist(), bits)
        parts += [(start % 2**24).to_bytes(3, "little") for start in starts]
        parts.append(rule.multipliers[block].astype("<u2").tobytes())
        columns = rows[block].T
        if layer.groups > 1:
            parts.append(columns.tobytes())
        else:
            parts += [packed(column, bits) for column in columns.tolist()]
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


def long_bytes(layer: Dense, shapes: Sequence[tuple[int, int]]) -> bytes:
    """What nn_avr_long reads."""
    rows = layer.rows
    parts = [bytes(number for shape in shapes for number in shape)]
    first = 0
    for size in block_sizes(rows.outputs):
        block = slice(first, first + size)
        parts.append(rows.bias[block].astype("<i4").tobytes())
        if rows.requantiser is not None:
            parts.append(rows.requantiser.multipliers[block].astype("<u2").tobytes())
        at = 0
        for count, run in shapes:
            columns = rows.weights[block, at : at + count * run].T
            parts += [bytes(3 * size), *(packed(column, rows.format.bits) for column in columns.tolist())]
            at += count * run
        first += size
    return b"".join(parts)


def blocks_text(outputs: int, bits: int, kernel: str) -> str:
    """The initialiser of nn_avr_blocks for a kernel such as nn_avr_patch24."""
    sizes = block_sizes(outputs)
    size = sizes[0]
    smaller = sum(other < size for other in sizes)
    strides = [-(-count * bits // 8) for count in (size, size - 1)]
    names = f"{kernel}_{size}", f"{kernel}_{size - 1}" if smaller else "0"
    return f"{{ {size}, {len(sizes) - smaller}, {smaller}, {strides[0]}, {strides[1]}, {names[0]}, {names[1]} }}"
