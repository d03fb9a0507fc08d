"""The oracle for nets of learned kernels: scores that a board must reproduce bit for bit, for a batch of images."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from host.deploy.learned_nets import LEVELS, ConvStage, DenseStage, LearnedNet, PoolStage, Rows, Stage
from host.deploy.reference import Predictions
from host.quantise.numerics import mean_of_counts, requantise

_BATCH = 64
"""Images at once: what a convolution is unrolled into should stay small."""
_FLOAT32_EXACT = 2**24


def infer_learned(net: LearnedNet, images: NDArray[np.uint8]) -> Predictions:
    """Run u8 images (N, H, W) through `net`."""
    found = np.empty((len(images), net.stages[-1].output_shape[0]), np.int32)
    for start in range(0, len(images), _BATCH):
        batch = slice(start, start + _BATCH)
        found[batch] = scores(net, images[batch])
    return Predictions(np.argmax(found, axis=1).astype(np.uint8), found)


def scores(net: LearnedNet, images: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(N, classes) for u8 images (N, H, W), all at once."""
    values: NDArray[np.uint8] = images[:, None]
    for stage in net.stages[:-1]:
        values = activations(stage, values)
    last = net.stages[-1]
    assert isinstance(last, DenseStage)
    return _dense_sums(last, values).astype(np.int32)


def activations(stage: Stage, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a hidden stage makes of u8 maps (N, C, H, W) or vectors (N, units): the same in its output shape."""
    if isinstance(stage, PoolStage):
        if stage.is_average:
            views = _window_views(values, stage.size, stage.stride)
            return mean_of_counts(np.stack(views).sum(axis=0, dtype=np.int64), stage.size**2)
        return _max_pooled(values, stage.size, stage.stride)
    if isinstance(stage, DenseStage):
        return _requantised(stage.rows, _dense_sums(stage, values))
    maps = _requantised(stage.rows, conv_sums(stage, values))
    return _max_pooled(maps, stage.pool, stage.pool)


def conv_sums(stage: ConvStage, maps: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums before ReLU and pool, (N, outputs, height, width)."""
    dtype = _exact_type(stage.rows)
    edge = (stage.padding, stage.padding)
    padded = np.pad(maps.astype(dtype), ((0, 0), (0, 0), edge, edge))
    kernel, stride, groups = stage.kernel, stage.stride, stage.groups
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    count, channels, height, width = windows.shape[:4]
    grouped = windows.reshape(count, groups, channels // groups, height, width, kernel, kernel)
    columns = grouped.transpose(1, 0, 3, 4, 2, 5, 6).reshape(groups, count * height * width, -1)
    weights = stage.rows.weights.reshape(groups, stage.rows.outputs // groups, -1).astype(dtype)
    sums = (columns @ weights.transpose(0, 2, 1)).astype(np.int64)
    maps_of_groups = sums.reshape(groups, count, height, width, -1).transpose(1, 0, 4, 2, 3)
    found: NDArray[np.int64] = maps_of_groups.reshape(count, -1, height, width)
    return found + stage.rows.bias[:, None, None]


def _dense_sums(stage: DenseStage, values: NDArray[np.uint8]) -> NDArray[np.int64]:
    dtype = _exact_type(stage.rows)
    product = values.reshape(len(values), -1).astype(dtype) @ stage.rows.weights.T.astype(dtype)
    sums: NDArray[np.int64] = product.astype(np.int64) + stage.rows.bias
    return sums


def _exact_type(rows: Rows) -> type[np.float32] | type[np.float64]:
    """The faster float type in which no partial sum of products can need rounding, in whatever order it is taken."""
    largest = LEVELS * int(np.abs(rows.weights.reshape(rows.outputs, -1).astype(np.int64)).sum(axis=1).max())
    return np.float32 if largest < _FLOAT32_EXACT else np.float64


def _requantised(rows: Rows, sums: NDArray[np.int64]) -> NDArray[np.uint8]:
    assert rows.multipliers is not None
    multipliers = rows.multipliers.astype(np.int64).reshape(-1, *(1,) * (sums.ndim - 2))
    return requantise(sums, multipliers, rows.shift, LEVELS)


def _max_pooled(maps: NDArray[np.uint8], size: int, stride: int) -> NDArray[np.uint8]:
    largest: NDArray[np.uint8] = reduce(np.maximum, _window_views(maps, size, stride))
    return largest


def _window_views(maps: NDArray[np.uint8], size: int, stride: int) -> list[NDArray[np.uint8]]:
    """A view (N, C, rows, columns) for each position in the window, what is left over dropped."""
    height, width = ((side - size) // stride * stride + 1 for side in maps.shape[2:])
    return [maps[:, :, i : i + height : stride, j : j + width : stride] for i in range(size) for j in range(size)]
