"""The oracle: classes and scores that a board must reproduce bit for bit, computed in NumPy for a batch of images.

Integer sums are exact. Float sums run in the C's order, one float32 rounding for each product and each sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.nn.preconv import preconv_features
from host.nn.windows import largest, views
from host.quantise.graph import Graph
from host.quantise.numerics import mean_of_counts
from host.quantise.ops import Conv, Dense, Op, Pool, Preconv, Rows

Values: TypeAlias = NDArray[Any]
"""u8 codes, or float32."""
Scores: TypeAlias = NDArray[np.int32] | NDArray[np.float32]
"""(N, classes)."""
_BATCH = 64
"""Images at once: what a convolution is unrolled into should stay small."""
_FLOAT32_EXACT = 2**24


@dataclass(frozen=True)
class Predictions:
    """classes (N,) uint8; scores (N, classes) int32 or float32."""

    classes: NDArray[np.uint8]
    scores: Scores

    @property
    def words(self) -> NDArray[np.uint32]:
        """Scores as the raw 32-bit words that travel in RESULT."""
        return self.scores.view(np.uint32)


def infer(graph: Graph, images: NDArray[np.uint8]) -> Predictions:
    """Run u8 images (N, H, W), or (N, C, H, W), through `graph`."""
    found: NDArray[Any] = np.empty((len(images), graph.classes), np.int32 if graph.format.is_integer else np.float32)
    for start in range(0, len(images), _BATCH):
        batch = slice(start, start + _BATCH)
        values: Values = as_maps(images[batch])
        for op in graph.ops[:-1]:
            values = activations(op, values)
        found[batch] = scores(graph.ops[-1], values)
    return Predictions(np.argmax(found, axis=1).astype(np.uint8), found)


def as_maps(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, H, W) as maps of one channel; (N, C, H, W) as they are."""
    return images[:, None] if images.ndim == 3 else images


def op_inputs(graph: Graph, images: NDArray[np.uint8]) -> list[Values]:
    """What each op is given for a batch of images."""
    inputs: list[Values] = [as_maps(images)]
    for op in graph.ops[:-1]:
        inputs.append(activations(op, inputs[-1]))
    return inputs


def scores(op: Op, values: Values) -> Scores:
    """(N, classes) of the last op."""
    assert isinstance(op, Dense)
    if not op.rows.format.is_integer:
        return _float_dense(op, values)
    if op.rows.requantiser is not None:
        return activations(op, values).astype(np.int32)
    return dense_sums(op, values).astype(np.int32)


def activations(op: Op, values: Values) -> Values:
    """What a hidden op makes of maps (N, C, H, W) or vectors (N, units): the same in its output shape."""
    if isinstance(op, Preconv):
        return preconv_features(values[:, 0], op.top).reshape(-1, *op.output_shape)
    if isinstance(op, Pool):
        return _pooled(op, values)
    if isinstance(op, Dense):
        return _codes(op.rows, dense_sums(op, values)) if op.rows.format.is_integer else _float_dense(op, values)
    maps: Values = _codes(op.rows, conv_sums(op, values)) if op.rows.format.is_integer else _float_conv(op, values)
    return largest(maps, op.pool, op.pool)


def conv_sums(op: Conv, maps: Values) -> NDArray[np.int64]:
    """Sums before activation and pool, (N, outputs, height, width)."""
    dtype = _exact_type(op)
    windows = _windows(op, maps.astype(dtype))
    count, channels, height, width = windows.shape[:4]
    grouped = windows.reshape(count, op.groups, channels // op.groups, height, width, *op.kernel)
    columns = grouped.transpose(1, 0, 3, 4, 2, 5, 6).reshape(op.groups, count * height * width, -1)
    weights = op.rows.weights.reshape(op.groups, op.rows.outputs // op.groups, -1).astype(dtype)
    sums = (columns @ weights.transpose(0, 2, 1)).astype(np.int64)
    maps_of_groups = sums.reshape(op.groups, count, height, width, -1).transpose(1, 0, 4, 2, 3)
    found: NDArray[np.int64] = maps_of_groups.reshape(count, -1, height, width)
    return found + op.rows.bias[:, None, None].astype(np.int64)


def dense_sums(op: Dense, values: Values) -> NDArray[np.int64]:
    """Sums before the activation, (N, outputs)."""
    dtype = _exact_type(op)
    product = values.reshape(len(values), -1).astype(dtype) @ op.rows.weights.T.astype(dtype)
    sums: NDArray[np.int64] = product.astype(np.int64) + op.rows.bias.astype(np.int64)
    return sums


def _windows(op: Conv, maps: NDArray[Any]) -> NDArray[Any]:
    """(N, channels, height, width, kernel rows, kernel columns) of each position."""
    top, left, bottom, right = op.pads
    edges = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(maps, edges, constant_values=op.source.zero)
    windows = np.lib.stride_tricks.sliding_window_view(padded, op.kernel, axis=(2, 3))
    return windows[:, :, :: op.strides[0], :: op.strides[1]]


def _exact_type(op: Conv | Dense) -> type[np.float32] | type[np.float64]:
    """The faster float type in which no partial sum of products can need rounding, in whatever order it is taken."""
    most = op.source.high * int(np.abs(op.rows.flat.astype(np.int64)).sum(axis=1).max())
    return np.float32 if most < _FLOAT32_EXACT else np.float64


def _codes(rows: Rows, sums: NDArray[np.int64]) -> NDArray[np.uint8]:
    assert rows.requantiser is not None
    scaled = rows.requantiser.scaled(sums) + rows.codes.zero
    held: NDArray[np.uint8] = np.clip(scaled, rows.codes.low, rows.codes.high).astype(np.uint8)
    return held


def _pooled(op: Pool, values: Values) -> Values:
    if not op.is_average:
        return largest(values, op.size, op.strides)
    parts, count = list(views(values, op.size, op.strides)), op.size[0] * op.size[1]
    if values.dtype == np.uint8:
        return mean_of_counts(np.stack(parts).sum(axis=0, dtype=np.int64), count, op.center)
    total: NDArray[np.float32] = reduce(np.add, parts)
    mean: Values = total / np.float32(count)
    return mean


def _float_dense(op: Dense, values: Values) -> NDArray[np.float32]:
    """The products in the order in which the inputs lie in memory: of a map row, column, channel."""
    weights = op.rows.weights
    if values.ndim == 4:
        weights = weights.reshape(-1, *op.input_shape).transpose(0, 2, 3, 1).reshape(len(weights), -1)
        values = values.transpose(0, 2, 3, 1)
    flat = values.reshape(len(values), -1).T.astype(np.float32)
    return np.ascontiguousarray(_in_order(op.rows, weights, flat).T)


def _float_conv(op: Conv, maps: Values) -> NDArray[np.float32]:
    """The products of a position in the order kernel row, kernel column, channel."""
    windows = _windows(op, maps.astype(np.float32))
    count, channels, height, width = windows.shape[:4]
    share, outputs = channels // op.groups, op.rows.outputs // op.groups
    found = np.empty((count, op.rows.outputs, height, width), np.float32)
    for group in range(op.groups):
        mine = windows[:, group * share : (group + 1) * share]
        inputs = mine.transpose(4, 5, 1, 0, 2, 3).reshape(-1, count * height * width)
        rows = slice(group * outputs, (group + 1) * outputs)
        weights = op.rows.weights[rows].transpose(0, 2, 3, 1).reshape(outputs, -1)
        part = Rows(op.rows.format, weights, op.rows.bias[rows], relu=op.rows.relu)
        sums = _in_order(part, weights, np.ascontiguousarray(inputs))
        found[:, rows] = sums.reshape(outputs, count, height, width).transpose(1, 0, 2, 3)
    return found


def _in_order(rows: Rows, weights: NDArray[Any], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """(outputs, M) of weights (outputs, n) and inputs (n, M): bias first, then one product after the other; images run
    along the last axis, so that each step of the sum is one vector operation."""
    inputs = np.ascontiguousarray(inputs)
    sums = np.repeat(rows.bias.astype(np.float32)[:, None] + np.float32(0), inputs.shape[1], axis=1)  # −0 counts as +0
    for column, values in zip(weights.T.astype(np.float32), inputs, strict=True):
        sums += column[:, None] * values
    return np.where(sums > 0, sums, np.float32(0.0)) if rows.relu else sums
