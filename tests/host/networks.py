"""Small random networks for tests that need no training."""

from dataclasses import replace

import numpy as np

from host.nn.dense_chain import DenseNumbers, join
from host.nn.network import Provenance
from host.nn.preconv import preconv_features


def random_network(seed=0, shape=(8, 8), hidden=7, classes=4, offset=True, preset="test", scale=0.02, top=255):
    """A network whose hidden activations and scores are of ordinary size."""
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
