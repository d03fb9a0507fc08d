"""The oracle: classes and scores that a board must reproduce bit for bit, computed in NumPy for a batch of images.

Float sums run in the C's order, one float32 rounding per product and per sum; integer sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.deploy.nets import DeployedNet, FloatDense, Int8Dense
from host.nn.preconv import preconv_features
from host.quantise.numerics import requantise


@dataclass(frozen=True)
class Predictions:
    """classes (N,) uint8; scores (N, classes) int32 or float32."""

    classes: NDArray[np.uint8]
    scores: NDArray[np.int32] | NDArray[np.float32]

    @property
    def words(self) -> NDArray[np.uint32]:
        """Scores as the raw 32-bit words that travel in RESULT."""
        return self.scores.view(np.uint32)


def infer(net: DeployedNet, images: NDArray[np.uint8]) -> Predictions:
    """Run u8 images (N, H, W) through `net`."""
    features = preconv_features(images, net.levels)
    if isinstance(net.layers[0], Int8Dense):
        scores: NDArray[np.int32] | NDArray[np.float32] = _integer_scores(net, features)
    else:
        scores = _float_scores(net, features)
    return Predictions(np.argmax(scores, axis=1).astype(np.uint8), scores)


def layer_inputs(net: DeployedNet, features: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """What each int8 layer is given, (N, inputs) u8: the features first, then the activations."""
    inputs = [features]
    for layer in net.layers[:-1]:
        assert isinstance(layer, Int8Dense) and layer.requantiser is not None
        rule = layer.requantiser
        inputs.append(requantise(_sums(layer, inputs[-1]), rule.multiplier, rule.shift, rule.levels))
    return inputs


def _integer_scores(net: DeployedNet, features: NDArray[np.uint8]) -> NDArray[np.int32]:
    last = net.layers[-1]
    assert isinstance(last, Int8Dense)
    return _sums(last, layer_inputs(net, features)[-1]).astype(np.int32)


def _sums(layer: Int8Dense, inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
    # float64 holds every partial sum exactly (|sum| < 2^53), and its matrix product is the fast one.
    product = inputs.astype(np.float64) @ layer.weights.T.astype(np.float64)
    sums: NDArray[np.int64] = product.astype(np.int64) + layer.bias
    return sums


def _float_scores(net: DeployedNet, features: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Images run along the last axis, so that each step of the sum is one vector operation over the batch.
    activations = np.ascontiguousarray(features.T.astype(np.float32))
    for layer in net.layers:
        assert isinstance(layer, FloatDense)
        weights = layer.weights.astype(np.float32)
        sums = np.repeat(layer.bias[:, None], activations.shape[1], axis=1)
        for column, inputs in zip(weights.T, activations, strict=True):
            sums += column[:, None] * inputs
        activations = np.where(sums > 0, sums, np.float32(0.0)) if layer.relu else sums
    return np.ascontiguousarray(activations.T)
