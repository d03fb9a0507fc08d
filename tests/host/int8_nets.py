"""Random deployed int8 nets, made directly from integers, so that any weights and any requantiser can occur."""

import itertools

import numpy as np
from host.deploy.nets import DeployedNet, Int8Dense, Requantiser

from host.nn.formats import WeightFormat
from host.quantise.numerics import sum_bounds

REQUANTISERS = {
    # (multiplier, shift), and how unrolled code does it.
    "moved": (1, 8),  # the upper byte as it is
    "shifted": (32, 15),  # by 10
    "rotated": (1, 5),
    "rotated far": (4, 5),  # by 3
    "narrow": (201, 16),
    "wide": (129, 14),
    "rounding to zero": (3, 16),
}


def random_weights(random, shape, style):
    """int64 (outputs, inputs): `dense`, `sparse` with silent inputs, or `few` magnitudes with powers of two."""
    if style == "few":
        return random.choice([-16, -4, -2, -1, 0, 0, 0, 1, 2, 3, 4, 5, 8], shape)
    weights = np.rint(random.laplace(0, 12, shape)).clip(-127, 127).astype(np.int64)
    if style == "sparse":
        weights *= random.random(shape) < 0.15
        weights[:, ::5] = 0
    return weights


def within(weights, bias, levels, most):
    """The weights and biases, made smaller until every sum lies in -most..most."""
    while np.abs(sum_bounds(weights, bias, levels)).max() > most:
        weights, bias = np.trunc(weights * 0.75).astype(np.int64), bias * 3 // 4
    return weights, bias


def int8_net(random, sizes, *, levels=63, style="dense", way="narrow", most=32767, shape=None):
    """A net of layers sizes[0]-sizes[1]-… whose every sum lies in -most..most."""
    layers = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weights = random_weights(random, (outputs, inputs), style)
        bias = random.integers(-3000, 3000, outputs)
        weights, bias = within(weights, bias, levels, most)
        is_last = index == len(sizes) - 2
        rule = None if is_last else Requantiser(*REQUANTISERS[way], levels)
        density = random.random(inputs).astype(np.float32)
        layers.append(Int8Dense(weights.astype(np.int8), bias.astype(np.int32), rule, density))
    return DeployedNet(
        format=WeightFormat.INT8,
        input_shape=shape or (2, 2 * sizes[0]),
        front_end="preconv",
        levels=levels,
        layers=tuple(layers),
        labels=tuple(str(k) for k in range(sizes[-1])),
        preset="test",
    )


def random_inputs(random, count, inputs, levels):
    """uint8 (count, inputs) of any density; the first all zero, the second all at the top."""
    values = random.integers(0, levels + 1, (count, inputs)) * (
        random.random((count, inputs)) < random.random((count, 1))
    )
    values[:2] = [[0], [levels]]
    return values.astype(np.uint8)
