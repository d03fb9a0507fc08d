"""A stage's numbers as the portable kernels read them: one row of bytes for each output (nn.h)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.deploy.learned_nets import ConvStage, DenseStage, PoolStage, Stage


def map_order(stage: ConvStage | DenseStage) -> NDArray[np.int8]:
    """Weights (outputs, inputs of one output), the inputs in the order of a map in memory: row, column, channel."""
    weights = stage.rows.weights
    if isinstance(stage, DenseStage) and len(stage.input_shape) == 3:
        weights = weights.reshape(len(weights), *stage.input_shape)
    if weights.ndim == 4:
        weights = weights.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(weights).reshape(stage.rows.outputs, -1)


def row_bytes(stage: Stage) -> bytes:
    """A row for each output: bias, multiplier where there is one, weights; nothing for a pool."""
    if isinstance(stage, PoolStage):
        return b""
    rows = stage.rows
    parts = [rows.bias.astype("<i4").view(np.uint8).reshape(-1, 4)]
    if rows.multipliers is not None:
        parts.append(rows.multipliers.astype("<u2").view(np.uint8).reshape(-1, 2))
    weights = map_order(stage)
    parts.append(weights.view(np.uint8) if rows.bits == 8 else packed(weights, rows.bits))
    return np.concatenate(parts, axis=1).tobytes()


def packed(weights: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Weights (rows, n) as fields of `bits`, each plus 2^(bits−1), a byte's first one lowest: (rows, bytes)."""
    in_a_byte = 8 // bits
    fields = (weights.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    fields = np.pad(fields, ((0, 0), (0, -fields.shape[1] % in_a_byte)))
    places = fields.reshape(len(fields), -1, in_a_byte) << (bits * np.arange(in_a_byte)).astype(np.uint8)
    found: NDArray[np.uint8] = np.bitwise_or.reduce(places, axis=2).astype(np.uint8)
    return found
