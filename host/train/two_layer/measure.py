"""What a net of dense layers says of the features behind its front end: a few large matrix products."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from host.nn.dense_chain import DenseNumbers

Layers = tuple[DenseNumbers, ...]
_ROWS_AT_ONCE = 8192  # images per matrix product: bounds the memory for the float32 copy of the features


def activations(layers: Layers, features: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the output of every layer for features (N, in): after ReLU, and the raw scores (N, classes) last."""
    values = features.astype(np.float32)
    outputs = []
    for index, layer in enumerate(layers):
        if layer.input_offset is not None:
            values -= layer.input_offset.astype(np.float32)
        values = values @ layer.weights.T
        values += layer.bias
        if index < len(layers) - 1:
            np.maximum(values, np.float32(0), out=values)
        outputs.append(values)
    return outputs


def forward(layers: Layers, features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for features (N, in)."""
    scores = np.empty((len(features), len(layers[-1].bias)), np.float32)
    for rows in _chunks(len(features)):
        scores[rows] = activations(layers, features[rows])[-1]
    return scores


def output_ranges(layers: Layers, features: NDArray[np.uint8]) -> list[float]:
    """Return each layer's largest magnitude, measured over features (N, in)."""
    tops = [0.0] * len(layers)
    for rows in _chunks(len(features)):
        outputs = activations(layers, features[rows])
        tops = [max(top, float(np.abs(values).max())) for top, values in zip(tops, outputs, strict=True)]
    return tops


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE))


def accuracy(layers: Layers, features: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Return the share 0..1 of rows whose largest score (the first, if several) is at the label."""
    return float(np.mean(forward(layers, features).argmax(axis=1) == labels))
