"""Dense layers as the kernels of nn_avr.h have them in flash: small pure functions, and the slow definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.int64]
BLOCK_MAX = 6
RUN_MAX = 255
PATCH_KERNELS = {8: "nn_avr_patch24", 4: "nn_avr_patch4", 2: "nn_avr_patch2"}
SUM_BITS = {8: 24, 4: 20, 2: 18}
"""What the sum of a call must fit, by the bits of a weight."""


@dataclass(frozen=True)
class Dense:
    """weights (outputs, inputs) of `bits`; multipliers at `shift`, or None for scores."""

    weights: Weights
    bias: Weights
    multipliers: Weights | None
    shift: int
    top: int
    bits: int = 8

    def sums(self, x: NDArray[np.uint8]) -> list[int]:
        values = [int(value) for value in x]
        rows = zip(self.weights.tolist(), self.bias.tolist(), strict=True)
        return [bias + sum(w * v for w, v in zip(row, values, strict=True)) for row, bias in rows]

    def outputs(self, x: NDArray[np.uint8]) -> list[int]:
        """Scores or activations."""
        if self.multipliers is None:
            return self.sums(x)
        pairs = zip(self.sums(x), self.multipliers.tolist(), strict=True)
        return [min(max((total * m + (1 << (self.shift - 1))) >> self.shift, 0), self.top) for total, m in pairs]


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
            part = weights[:, at : at + (rows + 1) * RUN_MAX]
            highest, lowest = np.maximum(part, 0).sum(axis=1) * top, np.minimum(part, 0).sum(axis=1) * top
            if highest.max() >= limit or lowest.min() < -limit:
                break
            rows += 1
        assert rows, "255 inputs always fit"
        shapes.append((rows, RUN_MAX))
        at += rows * RUN_MAX
    return [*shapes, (1, inputs - at)] if at < inputs else shapes


def long_bytes(layer: Dense, shapes: Sequence[tuple[int, int]]) -> bytes:
    """What nn_avr_long reads."""
    parts = [bytes(number for shape in shapes for number in shape)]
    first = 0
    for size in block_sizes(len(layer.bias)):
        block = slice(first, first + size)
        parts.append(layer.bias[block].astype("<i4").tobytes())
        if layer.multipliers is not None:
            parts.append(layer.multipliers[block].astype("<u2").tobytes())
        at = 0
        for rows, run in shapes:
            columns = layer.weights[block, at : at + rows * run].T
            parts += [bytes(3 * size), *(packed(column, layer.bits) for column in columns.tolist())]
            at += rows * run
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
