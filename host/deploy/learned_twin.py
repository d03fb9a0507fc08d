"""The AVR twin of a learned net: the same integers laid out for the assembly kernels of nn_avr.h.

A stage that those kernels cannot run (groups of more than one channel, rows that are too long, sums that need more than
24 bits) keeps the portable kernel and its layout; both live in one program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.deploy.learned_nets import LEVELS, ConvStage, DenseStage, LearnedNet, PoolStage, Stage
from host.deploy.learned_rows import map_order, packed, row_bytes
from host.quantise.numerics import sum_bounds

BLOCK_MAX = 6
RUN_MAX = 255
WEIGHTS_MAX = 10_000
SUM_BITS = {8: 24, 4: 20, 2: 18}
"""What a kernel's sums must fit, by the bits of a weight."""
KERNELS = {8: "nn_avr_patch24", 4: "nn_avr_patch4", 2: "nn_avr_patch2"}
DEPTH_KERNEL = "nn_avr_depth24"


@dataclass(frozen=True)
class Blocks:
    """Outputs in `larger` blocks of `size`, then `smaller` ones of one less; weights of `bits`. `is_depthwise` where
    each output has a channel of its own."""

    size: int
    larger: int
    smaller: int
    bits: int
    is_depthwise: bool

    @property
    def sizes(self) -> list[int]:
        return [self.size] * self.larger + [self.size - 1] * self.smaller

    @property
    def kernel(self) -> str:
        """The routine's name, its number of outputs left out."""
        return DEPTH_KERNEL if self.is_depthwise else KERNELS[self.bits]

    def stride(self, size: int) -> int:
        """Bytes of a block's weights for one input."""
        return -(-size * self.bits // 8)


@dataclass(frozen=True)
class TwinStage:
    """Where a stage's bytes begin; without blocks it is the portable kernel's. A dense stage's inputs are taken as
    `pieces` of `piece` each."""

    rom: int
    blocks: Blocks | None
    pieces: int
    piece: int


@dataclass(frozen=True)
class LearnedTwin:
    """One TwinStage for each stage, and all their bytes."""

    stages: tuple[TwinStage, ...]
    rom: bytes


def learned_twin(net: LearnedNet) -> LearnedTwin:
    """Lay `net` out for an AVR."""
    rom = bytearray()
    stages = []
    for stage in net.stages:
        pieces, piece = _pieces(stage)
        blocks = None
        if not isinstance(stage, PoolStage) and _runs(stage, piece):
            blocks = cut(stage.rows.outputs, stage.rows.bits, _is_depthwise(stage))
        stages.append(TwinStage(len(rom), blocks, pieces, piece))
        rom += row_bytes(stage) if blocks is None else _block_bytes(stage, blocks)
    return LearnedTwin(tuple(stages), bytes(rom))


def cut(outputs: int, bits: int, is_depthwise: bool = False) -> Blocks:
    """As few blocks as there must be, their sizes as even as they go."""
    count = -(-outputs // BLOCK_MAX)
    size = -(-outputs // count)
    larger = outputs - (size - 1) * count
    return Blocks(size, larger, count - larger, bits, is_depthwise)


def _pieces(stage: Stage) -> tuple[int, int]:
    """(pieces, piece) whose product is a dense stage's inputs, the pieces as long as they may be; else (0, 0)."""
    if not isinstance(stage, DenseStage):
        return 0, 0
    inputs = stage.rows.weights.shape[1]
    return next(((inputs // p, p) for p in range(RUN_MAX, 0, -1) if inputs % p == 0 and inputs // p <= 255), (0, 0))


def _is_depthwise(stage: ConvStage | DenseStage) -> bool:
    """An output for each channel, from that one alone."""
    return isinstance(stage, ConvStage) and 1 < stage.groups == stage.input_shape[0] == stage.rows.outputs


def _runs(stage: ConvStage | DenseStage, piece: int) -> bool:
    """Whether the assembly kernels can compute this stage."""
    weights = stage.rows.weights
    if isinstance(stage, ConvStage):
        is_full = stage.groups == 1 and stage.kernel * stage.input_shape[0] <= RUN_MAX
        fits = is_full or (_is_depthwise(stage) and stage.rows.bits == 8)
    else:
        fits = piece > 0
    bounds = sum_bounds(weights.reshape(len(weights), -1), stage.rows.bias, LEVELS)
    limit = 2 ** (SUM_BITS[stage.rows.bits] - 1)
    return fits and weights[0].size <= WEIGHTS_MAX and bounds.min() >= -limit and bounds.max() < limit


def _block_bytes(stage: Stage, blocks: Blocks) -> bytes:
    assert not isinstance(stage, PoolStage)
    weights = map_order(stage)
    rows, first, parts = stage.rows, 0, []
    for size in blocks.sizes:
        part = slice(first, first + size)
        parts.append(_int24(_starts(rows.bias[part], rows.bits)))
        if rows.multipliers is not None:
            parts.append(rows.multipliers[part].astype("<u2").tobytes())
        by_input = np.ascontiguousarray(weights[part].T)
        parts.append((by_input if blocks.is_depthwise else packed(by_input, rows.bits)).tobytes())
        first += size
    return b"".join(parts)


def _starts(bias: NDArray[np.int32], bits: int) -> NDArray[np.int32]:
    """What each sum begins with: 2^(bits·place) times its own bias, and the start of the next one in its byte."""
    starts = bias.astype(np.int64)
    for index in range(len(bias) - 1, -1, -1):
        place = index % (8 // bits)
        starts[index] <<= bits * place
        if place + 1 < 8 // bits and index + 1 < len(bias):
            starts[index] += starts[index + 1]
    return starts.astype(np.int32)  # the kernels count in 24 bits, and so modulo 2^24


def _int24(values: NDArray[np.int32]) -> bytes:
    return values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
