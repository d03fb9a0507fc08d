"""Small architectures, random networks for tests that need no training, and images to show them."""

from dataclasses import replace

import numpy as np

from host.nn import inference
from host.nn.dense_chain import DenseNumbers, join
from host.nn.fixed import codes
from host.nn.formats import WEIGHT_TOPS
from host.nn.layers import (
    Architecture,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
)
from host.nn.network import Network, Provenance, Scaling
from host.nn.parameters import initial
from host.nn.preconv import preconv_features
from host.train.qat import freeze, scales
from host.train.qat.narrow import narrowed
from host.train.qat.train import output_tops

NETS = {
    "dense": Architecture((1, 3, 4), (Flatten(), Dense(6), ReLU(), Dense(3))),
    "convolution of one channel": Architecture((1, 7, 6), (Conv2d(3, 3), Flatten(), Dense(4))),
    "convolution after convolution": Architecture((1, 9, 8), (Conv2d(6, 3), ReLU(), Conv2d(5, 3), Flatten(), Dense(4))),
    "padding": Architecture((2, 6, 7), (Conv2d(6, 3, padding=1), Conv2d(3, 5, padding=2), Flatten(), Dense(4))),
    "stride": Architecture((2, 9, 8), (Conv2d(4, 3, stride=2, padding=1), Conv2d(3, 2, stride=2), Flatten(), Dense(3))),
    "depthwise and pointwise": Architecture(
        (2, 7, 7), (Conv2d(6, 3, padding=1), Conv2d(6, 3, groups=6), Conv2d(4, 1), ReLU(), Flatten(), Dense(3))
    ),
    "groups": Architecture((2, 7, 7), (Conv2d(12, 3), Conv2d(4, 3, padding=1, groups=2), Flatten(), Dense(3))),
    "max-pool with a rest": Architecture((1, 9, 7), (Conv2d(3, 2), MaxPool2d(2), Conv2d(2, 2), Flatten(), Dense(3))),
    "overlapping max-pool": Architecture(
        (1, 10, 9), (MaxPool2d(2, 1), Conv2d(3, 2), ReLU(), MaxPool2d(3, 2), MaxPool2d(1, 2), Flatten(), Dense(3))
    ),
    "oblong": Architecture(
        (2, 9, 8),
        (
            *(Conv2d(6, (3, 2), padding=(1, 0, 2, 1)), ReLU(), MaxPool2d((1, 2), (1, 2)), Conv2d(4, (2, 3), (2, 1))),
            *(ReLU(), AveragePool2d((2, 1)), Flatten(), Dense(3)),
        ),
    ),
    "rows of another width": Architecture(
        (9, 8, 7), (Conv2d(3, (2, 3), padding=(1, 1, 0, 1)), Conv2d(6, (3, 6), padding=(2, 1)), Flatten(), Dense(3))
    ),
    "limited": Architecture(
        (1, 8, 7), (Conv2d(4, 3), ReLU(0.7), MaxPool2d(), Flatten(), Dense(6), ReLU(0.4), Dense(3))
    ),
    "average-pool": Architecture((1, 9, 10), (Conv2d(3, 2), AveragePool2d(3), Flatten(), Dense(3))),
    "normalised": Architecture(
        (1, 8, 8),
        (Conv2d(6, 3), BatchNorm(), ReLU(), MaxPool2d(), Flatten(), Dense(5), BatchNorm(0.3), ReLU(), Dense(3)),
    ),
}

WITH_DROPOUT = Architecture(
    (1, 6, 6), (Conv2d(4, 3), ReLU(), Dropout(0.4), Flatten(), Dense(8), Dropout(0.2), Dense(3))
)

LAYERS = {
    "plain": (Conv2d(5, 3), ReLU(), Flatten()),
    "padded": (Conv2d(4, 5, padding=2), ReLU(), MaxPool2d(), Conv2d(6, 3, padding=1), ReLU(), MaxPool2d(3), Flatten()),
    "strided": (Conv2d(4, 4, stride=2, padding=3), ReLU(), Conv2d(7, 2, stride=3), ReLU(), Flatten(), Dense(9), ReLU()),
    "depthwise": (
        *(Conv2d(6, 3, padding=1), ReLU(), Conv2d(6, 3, padding=1, groups=6), ReLU()),
        *(Conv2d(10, 1), ReLU(), MaxPool2d(), Conv2d(8, 3, groups=2), ReLU(), Flatten()),
    ),
    "pools": (MaxPool2d(), Conv2d(4, 3), MaxPool2d(2), ReLU(), AveragePool2d(2), Flatten(), Dense(5), ReLU()),
    "average first": (AveragePool2d(3), Conv2d(8, 2), ReLU(), AveragePool2d(), MaxPool2d(), Flatten()),
    "growing": (Conv2d(4, 3), ReLU(), Conv2d(8, 3), ReLU(), Conv2d(16, 3), ReLU(), MaxPool2d(), Flatten()),
    "overlapping": (
        *(MaxPool2d(2, 1), Conv2d(4, 3, padding=1), ReLU(), MaxPool2d(3, 2), Conv2d(6, 3), MaxPool2d(3, 1), ReLU()),
        *(MaxPool2d(1, 2), Flatten()),
    ),
    "separable": (
        *(Conv2d(7, 3), ReLU(), MaxPool2d(), Conv2d(7, 3, padding=1, groups=7), ReLU(), Conv2d(9, 1), ReLU()),
        *(MaxPool2d(3, 2), AveragePool2d(3), Flatten()),
    ),
    "strided depthwise": (
        *(Conv2d(4, 3), ReLU(), Conv2d(4, 5, stride=2, padding=2, groups=4), ReLU()),
        *(Conv2d(4, 3, groups=4), ReLU(), MaxPool2d(), Flatten()),
    ),
    "dense alone": (Flatten(), Dense(12), ReLU(), Dense(7), ReLU()),
    "one layer": (Flatten(),),
}
LIMITED = (
    *(Conv2d(6, 3, padding=1), ReLU(0.4), MaxPool2d(), Conv2d(8, 3), MaxPool2d(), ReLU(0.3)),
    *(Flatten(), Dense(12), ReLU(0.2)),
)
"""Apart from LAYERS, since nets of floats have no limit."""
UNPADDED = {"plain", "pools", "growing", "dense alone", "one layer", "average first"}


def random_network(seed=0, shape=(8, 8), hidden=7, classes=4, offset=True, preset="test", scale=0.02, top=255):
    """Two dense layers behind the front end, hidden activations and scores of ordinary size."""
    rng = np.random.default_rng(seed)
    inputs = (shape[0] // 2) * (shape[1] // 2)
    first = DenseNumbers(
        rng.normal(0, scale, (hidden, inputs)).astype(np.float32),
        rng.normal(0, 1, hidden).astype(np.float32),
        rng.integers(0, 200, inputs).astype(np.int16) if offset else None,
        output_max=6.0,
    )
    last = DenseNumbers(
        rng.normal(0, 0.3, (classes, hidden)).astype(np.float32),
        rng.normal(0, 0.5, classes).astype(np.float32),
        None,
        output_max=5.0,
    )
    provenance = Provenance(
        "digits", "0" * 64, preset, seed, "numpy", {"loss": (2.0, 1.0)}, {"train": 0.9, "test": 0.8}
    )
    layers = (first, last)
    tops = output_ranges(layers, preconv_features(random_images(seed, 300, shape), top))
    measured = [replace(layer, output_max=top) for layer, top in zip(layers, tops, strict=True)]
    return join(shape, top, measured, tuple(str(k) for k in range(classes)), provenance)


def output_ranges(layers, features):
    """Each layer's largest magnitude over features (N, in), by one product for all of them."""
    values, tops = features.astype(np.float32), []
    for index, layer in enumerate(layers):
        if layer.input_offset is not None:
            values -= layer.input_offset.astype(np.float32)
        values = values @ layer.weights.T
        values += layer.bias
        if index < len(layers) - 1:
            np.maximum(values, np.float32(0), out=values)
        tops.append(float(np.abs(values).max()))
    return tops


def random_images(seed=0, count=50, shape=(8, 8)):
    """Images with strokes and empty ground, as real ones have; some constant."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    images[rng.random(images.shape) < 0.5] = 0
    images[0], images[1] = 0, 255
    return images


def drawn_images(count, shape=16, seed=5):
    """(count, side, side) u8, or (count, *shape): strokes on an empty ground, some blank and some full images."""
    size = (count, shape, shape) if isinstance(shape, int) else (count, *shape)
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, size).astype(np.uint8)
    images *= random.random(size) < 0.4
    images[:1], images[1:2] = 0, 255
    return images


def network_of(layers, *, side=16, shape=None, classes=10, seed=1, scaling=None):
    """`layers`, a tuple or a name in LAYERS, and a dense one for the scores, on maps `shape` (channels, height, width);
    random weights and biases, ranges measured on images like those that it will see."""
    layers = LAYERS[layers] if isinstance(layers, str) else layers
    architecture = Architecture(shape or (1, side, side), (*layers, Dense(classes)))
    parameters = initial(architecture, seed)
    random = np.random.default_rng(seed)
    for index in range(len(layers) + 1):
        for name, array in parameters.of(index).items():
            if name == "bias":
                array[...] = random.normal(0, 0.1, array.shape)
    scaling = scaling or Scaling()
    seen = codes(architecture, drawn_images(40, shape or side, seed=6))
    _, ranges = inference.scores_and_ranges(parameters, scaling, seen)
    source = Provenance("digits", "0" * 64, "test", seed)
    return Network(parameters, scaling, tuple(map(str, range(classes))), source, ranges)


def limited_network(**options):
    """LIMITED, whose codes above the limits are never used: as if training had seen outputs twice as large."""
    network = network_of(LIMITED, **options)
    return replace(network, output_max=tuple(2 * reach for reach in network.output_max))


def qat_network(layers, *formats, **options):
    """The net of `network_of` with numbers trained for `formats`, as they are where training starts."""
    network = network_of(layers, **options)
    parameters = network.parameters
    images = drawn_images(40, options.get("shape") or options.get("side", 16), seed=6)
    tops = output_tops(parameters, network.scaling, codes(network.architecture, images))
    unit = 1 / network.scaling.divisor
    results = [
        freeze.freeze(fmt, parameters, scales.start(parameters, WEIGHT_TOPS[fmt], 255, tops, unit))
        for fmt in formats or WEIGHT_TOPS
    ]
    return replace(network, qat=tuple(results))


def frozen_scores(network, result, images):
    """What the rounded net said in training, with the numbers that `freeze` made of it."""
    learned = scales.empty(result.parameters.architecture, WEIGHT_TOPS[result.format], result.top)
    for index, logs in learned.weights.items():
        logs[...] = np.log(result.weight_steps[index][: len(logs)])
    for index, log in learned.outputs.items():
        log[...] = np.log(result.output_steps[index])
    parameters, scaling = narrowed(result.parameters, network.scaling, result.top)
    return freeze.scores(parameters, learned, scaling, codes(parameters.architecture, images))
