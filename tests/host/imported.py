"""What every test of an importer asks: the answers of the original, from our floats."""

from __future__ import annotations

import numpy as np

from host.importers import Options, import_net
from host.nn.network import float_scores

NEAR = 1e-4


def images_for(network, count=40, seed=3):
    """(count, channels, height, width) u8: noise, some blank and some full."""
    images = np.random.default_rng(seed).integers(0, 256, (count, *network.input_shape)).astype(np.uint8)
    images[0], images[1] = 0, 255
    return images


def inputs_of(network, images, low=0.0, high=1.0):
    """What an original that takes `low`..`high` is given for these pixels, in the same shape."""
    return (low + images.astype(np.float64) * ((high - low) / 255)).astype(np.float32)


def probabilities(scores, left):
    """Of scores (N, classes), by what was left to the host."""
    if "Sigmoid" in left or "sigmoid" in left:
        return 1 / (1 + np.exp(-scores[:, 1:].astype(np.float64)))
    if "Softmax" in left or "softmax" in left:
        powers = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    if "LogSoftmax" in left:
        return np.log(probabilities(scores, ("Softmax",)))
    return scores


def assert_same_answers(path, original, options=None, arrange=lambda x: x):
    """`original` answers inputs (N, channels, height, width) brought by `arrange` into its own layout."""
    options = options or Options()
    imported = import_net(path, options)
    network = imported.network
    images = images_for(network)
    inputs = arrange(inputs_of(network, images, *(options.input_range or (0.0, 1.0))))
    found = probabilities(float_scores(network, images), imported.left)
    want = np.asarray(original(inputs)).reshape(found.shape)
    assert np.ptp(want) > 0.01
    np.testing.assert_allclose(found, want, atol=NEAR, rtol=NEAR)
    return imported
