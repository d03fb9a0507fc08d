"""Nets as another tool's quantiser would have made them, of random whole numbers."""

from __future__ import annotations

import math

import numpy as np

from host.nn.given import Given, GivenRows
from host.nn.layers import Architecture, AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU, weight_shape
from host.nn.network import Network, Provenance, Scaling
from host.nn.parameters import empty

GIVEN = {
    "given, padded": (
        *(Conv2d(4, 5, padding=2), ReLU(), MaxPool2d(), Conv2d(6, 3, (2, 1), (1, 0, 0, 1)), ReLU(6.0)),
        *(AveragePool2d(2), Flatten()),
    ),
    "given, depthwise": (
        *(Conv2d(6, 3, 2, padding=1), ReLU(), Conv2d(6, 3, padding=1, groups=6), Conv2d(9, 1), ReLU()),
        *(AveragePool2d((8, 8)), Flatten(), Dense(11), ReLU()),
    ),
    "given, oblong": (Conv2d(8, (4, 3), padding=(1, 1, 2, 1)), MaxPool2d((3, 2)), Flatten(), Dense(12)),
    "given, dense": (Flatten(), Dense(40), ReLU(), Dense(6), ReLU()),
}
MEANS = {"given, depthwise"}
"""Nets whose average pools have a scale of their own, as MEAN has."""


def given_network(layers, shape=(1, 16, 16), seed=3, classes=10, zero=95, with_means=False):
    """Layers with a last dense one behind them, whose codes spread over most of their range."""
    rng = np.random.default_rng(seed)
    architecture = Architecture(shape, (*layers, Dense(classes)))
    parameters, scale, rows = empty(architecture), 0.02, []
    for index, (layer, inputs) in enumerate(zip(architecture.layers, architecture.shapes, strict=False)):
        follows = architecture.layers[index + 1 : index + 2]
        is_mean = with_means and isinstance(layer, AveragePool2d)
        if not (is_mean or isinstance(layer, Conv2d | Dense)):
            rows.append(None)
            continue
        outputs = architecture.shapes[index + 1][0]
        weights = None if is_mean else rng.integers(-127, 128, weight_shape(layer, inputs)).astype(np.int8)
        terms = math.prod(layer.window) if is_mean else math.prod(weights.shape[1:])
        spread = 73 * math.sqrt(terms)  # of sums, where codes spread by one
        real = rng.uniform(0.5, 1.5, 1 if is_mean else outputs) / (terms if is_mean else spread)
        mantissa, exponent = np.frexp(np.broadcast_to(real, outputs))
        is_relu = isinstance(follows[0] if follows else None, ReLU)
        out_zero = 0 if is_relu else int(rng.integers(100, 150))
        bias = np.zeros(outputs) if is_mean else rng.normal(0, spread * 20, outputs)
        rows.append(
            GivenRows(
                weights,
                bias.astype(np.int32),
                np.floor(mantissa * 2.0**31).astype(np.int32),
                exponent.astype(np.int32),
                scale,
                out_zero,
                out_zero if is_relu else 0,
                200 if is_relu and follows[0].limit else 255,
            )
        )
        if weights is not None:
            numbers = parameters.of(index)
            numbers["weights"][...] = weights * 0.01
            numbers["bias"][...] = bias * 0.01 * scale
    return Network(
        parameters,
        Scaling(zero, 1 / scale),
        tuple(str(k) for k in range(classes)),
        Provenance("imported", "0" * 64, "given", 0),
        tuple(1.0 for _ in architecture.layers),
        given=Given("TensorFlow Lite", tuple(rows), 128),
    )


def tied_network(shape=(1, 16, 16), zero=95):
    """Factors that are powers of two, from 1/8 to 8, behind few weights of -1..1: halves of either rounding and of
    either sign come up all the time, and shifts to the left."""
    rng = np.random.default_rng(7)
    layers = (Conv2d(6, 2, 2), Conv2d(4, 3, padding=1), ReLU(), Flatten(), Dense(12), Dense(8))
    architecture = Architecture(shape, layers)
    parameters, rows, scale = empty(architecture), [], 0.02
    exponents = {0: (0, -1, -2), 1: (0, -1), 4: (0, 1, 2, 3), 5: (0, 1, 4)}
    for index, (layer, inputs) in enumerate(zip(layers, architecture.shapes, strict=False)):
        if not isinstance(layer, Conv2d | Dense):
            rows.append(None)
            continue
        sizes = weight_shape(layer, inputs)
        terms = math.prod(sizes[1:])
        weights = rng.integers(-1, 2, sizes) * (rng.random(sizes) < min(1, 8 / terms))
        bias, is_relu = rng.integers(-9, 10, sizes[0]), index == 1
        numbers = parameters.of(index)
        numbers["weights"][...], numbers["bias"][...] = weights, bias * scale
        rows.append(
            GivenRows(
                weights.astype(np.int8),
                bias.astype(np.int32),
                np.full(sizes[0], 2**30, np.int32),
                np.resize(exponents[index], sizes[0]).astype(np.int32),
                scale,
                *((3, 3, 200) if is_relu else (121 + index, 0, 255)),
            )
        )
    return Network(
        parameters,
        Scaling(zero, 1 / scale),
        tuple("abcdefgh"),
        Provenance("imported", "0" * 64, "given", 0),
        tuple(1.0 for _ in layers),
        given=Given("TensorFlow Lite", tuple(rows), 128),
    )
