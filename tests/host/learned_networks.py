"""Small nets of learned kernels with random weights, their ranges measured on the images that they will see."""

import numpy as np

from host.nn import inference
from host.nn.fixed import codes
from host.nn.layers import (
    Architecture,
    AveragePool2d,
    Conv2d,
    Dense,
    Flatten,
    MaxPool2d,
    ReLU,
)
from host.nn.network import Network, Provenance, Scaling
from host.nn.parameters import initial

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
UNPADDED = {"plain", "pools", "growing", "dense alone", "one layer", "average first"}


def drawn_images(count, side=16, seed=5):
    """(count, side, side) u8: strokes on an empty ground, some blank and some full images among them."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, side, side)).astype(np.uint8)
    images *= random.random((count, side, side)) < 0.4
    images[:1], images[1:2] = 0, 255
    return images


def learned_network(layers, *, side=16, classes=10, seed=1, scaling=None):
    """`layers`, a tuple or a name in LAYERS, and a dense one for the scores; random weights and biases."""
    layers = LAYERS[layers] if isinstance(layers, str) else layers
    parameters = initial(Architecture((1, side, side), (*layers, Dense(classes))), seed)
    random = np.random.default_rng(seed)
    for index in range(len(layers) + 1):
        for name, array in parameters.of(index).items():
            if name == "bias":
                array[...] = random.normal(0, 0.1, array.shape)
    scaling = scaling or Scaling()
    _, ranges = inference.scores_and_ranges(
        parameters, scaling, codes(parameters.architecture, drawn_images(40, side, seed=6))
    )
    source = Provenance("digits", "0" * 64, "test", seed)
    return Network(parameters, scaling, tuple(map(str, range(classes))), source, ranges)
