"""Random graphs, made directly from integers, so that any weights and any requantiser can occur."""

import itertools
import math

import numpy as np

from host.nn.formats import WeightFormat
from host.quantise.graph import Graph
from host.quantise.numerics import sum_bounds
from host.quantise.ops import Codes, Conv, Dense, Preconv, Rows, elements
from host.quantise.requantisers import HalfUp

REQUANTISERS = {
    # (multiplier, shift), and how code does it.
    "moved": (1, 8),  # the upper byte as it is
    "shifted": (32, 15),  # by 10
    "rotated": (1, 5),
    "rotated far": (4, 5),  # by 3
    "narrow": (201, 16),
    "wide": (129, 14),
    "rounding to zero": (3, 16),
}


def half_up(outputs, multiplier, shift):
    """A requantiser of one multiplier for all outputs, or of one each."""
    return HalfUp(np.broadcast_to(np.asarray(multiplier, np.uint16), outputs).copy(), shift)


def random_weights(random, shape, style="dense", top=127):
    """int64 (outputs, …): `dense`, `sparse` with silent inputs, or `few` magnitudes with powers of two."""
    if style == "few":
        return random.choice([-16, -4, -2, -1, 0, 0, 0, 1, 2, 3, 4, 5, 8], shape).clip(-top, top)
    weights = np.rint(random.laplace(0, 0.1 * top, shape)).clip(-top, top).astype(np.int64)
    if style == "sparse":
        weights *= random.random(shape) < 0.15
        weights[:, ::5] = 0
    return weights


def within(weights, bias, top, most):
    """The weights (outputs, …) and biases, made smaller until every sum lies in -most..most."""
    while np.abs(sum_bounds(weights.reshape(len(weights), -1), bias, top)).max() > most:
        weights, bias = np.trunc(weights * 0.75).astype(np.int64), bias * 3 // 4
    return weights, bias


def random_rows(random, shape, source=255, *, top=None, style="dense", way="narrow", most=32767, fmt=WeightFormat.INT8):
    """Rows of weights `shape` for inputs 0..source; codes 0..top, or scores where that is None."""
    weights = random_weights(random, shape, style, fmt.weight_max)
    weights, bias = within(weights, random.integers(-3000, 3000, shape[0]), source, most)
    rule = None if top is None else half_up(shape[0], *REQUANTISERS[way])
    codes = Codes() if top is None else Codes(top)
    return Rows(fmt, weights.astype(np.int8), bias.astype(np.int32), rule, codes)


def graph_of(*ops, fmt=WeightFormat.INT8):
    """A graph of these ops."""
    labels = tuple(map(str, range(ops[-1].output_shape[0])))
    return Graph(ops[0].input_shape, ops, labels, "test", fmt)


def dense_graph(random, sizes, *, top=63, shape=None, **options):
    """Dense ops sizes[0]-sizes[1]-… with activations 0..top. With `shape`, an image's (height, width), they stand
    behind the front end; else the image is their input, (1, 1, sizes[0]), its codes 0..top too."""
    ops = [] if shape is None else [Preconv((1, *shape), top)]
    at = (1, 1, sizes[0]) if shape is None else ops[0].output_shape
    assert elements(at) == sizes[0]
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        hidden = index < len(sizes) - 2
        rows = random_rows(random, (outputs, inputs), top, top=top if hidden else None, **options)
        ops.append(Dense(at, rows, Codes(top), random.random(inputs).astype(np.float32)))
        at = ops[-1].output_shape
    return graph_of(*ops, fmt=options.get("fmt", WeightFormat.INT8))


def conv(random, shape, channels, kernel, *, source=255, top=255, groups=1, most=32767, fmt=WeightFormat.INT8, **sides):
    """A convolution of maps `shape` (channels, height, width) with random numbers, a multiplier for each output."""
    weights = (channels, shape[0] // groups, *kernel)
    rows = random_rows(random, weights, source, top=top, most=most, fmt=fmt)
    share = math.prod(weights[1:]) * source
    rule = HalfUp(random.integers(1, 1 + max(1, 2**24 // share), channels).clip(1, 0xFFFF).astype(np.uint16), 24)
    rows = Rows(fmt, rows.weights, rows.bias, rule, rows.codes)
    return Conv(shape, rows, Codes(source), groups=groups, **sides)


def random_inputs(random, count, inputs, top):
    """uint8 (count, inputs) of any density; the first all zero, the second all at the top."""
    values = random.integers(0, top + 1, (count, inputs)) * (random.random((count, inputs)) < random.random((count, 1)))
    values[:2] = [[0], [top]]
    return values.astype(np.uint8)
