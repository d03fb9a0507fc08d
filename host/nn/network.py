"""A trained network as plain frozen data, and its float forward pass.

These dataclasses are what training hands to deployment: nothing here trains, quantises, reads a file or knows a board.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 8192  # images per matrix product: bounds the memory for the float32 copy of the features


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer: sum = bias + weights @ (x − input_offset), followed by ReLU except in the last layer.

    For the first layer x are the raw features 0..levels, for the others the activations of the layer before.
    `output_max` is the largest activation after ReLU over the training images; in the last layer the largest |score|.
    Weights trained for int8 are whole multiples of `weight_step`, which deployment then keeps; their `output_max` in
    front of another layer is the largest activation that the trained scale has room for.
    """

    weights: NDArray[np.float32]  # (out, in)
    bias: NDArray[np.float32]  # (out,)
    input_offset: NDArray[np.int16] | None = None  # (in,); None means zeros
    output_max: float = 0.0
    weight_step: float = 0.0  # 0: deployment chooses


@dataclass(frozen=True)
class Provenance:
    """Where a network comes from. It never influences a score.

    `history` holds one value per epoch (`preconv`) or per evaluation of the loss (`preconv-seed`). `metrics` holds
    accuracies 0..1: "train" and "test" are of this network. "validation" is of a rehearsal, not of this network: the
    same recipe and seed trained without the held-out images and measured on them, since the network itself was trained
    on all of them. It is missing where the rehearsal was skipped or interrupted.
    """

    dataset: str
    dataset_sha256: str
    preset: str
    seed: int
    engine: str = "numpy"
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the training images showed of the int8 net with activations 0..levels; deployment measures it once, so that
    an export needs no data."""

    levels: int
    accuracy: float  # 0..1 on the training images
    densities: tuple[NDArray[np.float32], ...]  # per layer (in,): share of the images whose input is not 0


@dataclass(frozen=True, eq=False)
class Network:
    """A front end and the layers behind it."""

    input_shape: tuple[int, int]  # (H, W) of the raw image
    layers: tuple[Dense, ...]
    labels: tuple[str, ...]
    provenance: Provenance
    front_end: str = "preconv"
    levels: int = 255  # largest feature: 255 (8 bits) or 63 (6 bits)
    calibrations: tuple[Calibration, ...] = ()


def activations(network: Network, features: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the output of every layer for features (N, in): after ReLU, and the raw scores (N, classes) last."""
    values = features.astype(np.float32)
    outputs = []
    for index, layer in enumerate(network.layers):
        if layer.input_offset is not None:
            values -= layer.input_offset.astype(np.float32)
        values = values @ layer.weights.T
        values += layer.bias
        if index < len(network.layers) - 1:
            np.maximum(values, np.float32(0), out=values)
        outputs.append(values)
    return outputs


def forward(network: Network, features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for features (N, in)."""
    scores = np.empty((len(features), len(network.layers[-1].bias)), np.float32)
    for rows in _chunks(len(features)):
        scores[rows] = activations(network, features[rows])[-1]
    return scores


def output_ranges(network: Network, features: NDArray[np.uint8]) -> list[float]:
    """Return what `Dense.output_max` means for each layer, measured over features (N, in)."""
    tops = [0.0] * len(network.layers)
    for rows in _chunks(len(features)):
        outputs = activations(network, features[rows])
        tops = [max(top, float(np.abs(values).max())) for top, values in zip(tops, outputs, strict=True)]
    return tops


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE))


def accuracy(network: Network, features: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Return the share 0..1 of rows whose largest score (the first, if several) is at the label."""
    return float(np.mean(forward(network, features).argmax(axis=1) == labels))
