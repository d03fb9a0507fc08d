"""The reference is the definition, for every net and for all that a Graph can say, whether or not a kernel takes it."""

import dataclasses
import itertools

import definition
import numpy as np
import pytest
from graphs import conv, dense_graph, graph_of, random_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LAYERS, LIMITED, drawn_images, network_of, random_images, random_network

from host.nn.formats import WeightFormat
from host.nn.layers import AveragePool2d, Conv2d, Dense, FixedConv2d, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import float_scores
from host.quantise import ops
from host.quantise.lower import lower
from host.quantise.ops import Codes
from host.quantise.reference import activations, infer, op_inputs
from host.quantise.requantisers import DoubleRounding, HalfUp

INT8, FLOAT32, FLOAT16 = WeightFormat.INT8, WeightFormat.FLOAT32, WeightFormat.FLOAT16
NETS = LAYERS | {
    "front end": (*preconv_layers(63), Flatten(), Dense(6), ReLU()),
    "front end and convolutions": (*preconv_layers(255), Conv2d(4, 3), ReLU(), AveragePool2d(), Flatten()),
    "fixed kernel": (FixedConv2d(((1, -1), (1, -1))), ReLU(), MaxPool2d(2), Conv2d(3, 3), ReLU(), Flatten()),
    "oblong": (
        *(Conv2d(6, (3, 2), padding=(1, 0, 2, 1)), ReLU(), MaxPool2d((1, 2)), Conv2d(4, (2, 3), (2, 1)), ReLU()),
        *(AveragePool2d((2, 1)), MaxPool2d((1, 3), (1, 2)), Flatten()),
    ),
}


def defined(graph, images):
    return [definition.scores(graph, image) for image in images]


@pytest.mark.parametrize("fmt", WeightFormat)
@pytest.mark.parametrize("name", NETS)
def test_the_reference_is_the_definition(name, fmt):
    graph, images = lower(network_of(NETS[name]), fmt), drawn_images(3)[1:]
    found = infer(graph, images)
    assert found.scores.tolist() == defined(graph, images)
    assert found.classes.tolist() == [int(np.argmax(row)) for row in found.scores]
    layer_by_layer = definition.run(graph, images[1])[:-1]
    for values, expected in zip(op_inputs(graph, images)[1:], layer_by_layer, strict=True):
        assert np.array_equal(values[1], expected)


BITS = [*itertools.product(["padded", "separable", "oblong"], [15, 31, 63])]
BITS += [("front end", 63), ("front end and convolutions", 63)]


@pytest.mark.parametrize(("name", "top"), BITS)
def test_so_it_is_with_fewer_bits_for_activations(name, top):
    images = drawn_images(3)
    for fmt in (INT8, WeightFormat.TERNARY):
        graph = lower(network_of(NETS[name]), fmt, top=top)
        assert infer(graph, images).scores.tolist() == defined(graph, images)
        assert max(int(values.max()) for values in op_inputs(graph, images)[1:]) <= top


@pytest.mark.parametrize("fmt", [INT8, WeightFormat.INT4, WeightFormat.TERNARY])
def test_so_it_is_with_limits_which_are_tops_of_their_own(fmt):
    network = network_of(LIMITED)
    wider = dataclasses.replace(network, output_max=tuple(1.7 * reach for reach in network.output_max))
    graph, images = lower(wider, fmt), drawn_images(3)
    assert infer(graph, images).scores.tolist() == defined(graph, images)
    tops = [op.codes.high for op in graph.ops[:-1]]
    assert max(tops) < 255
    for top, values in zip(tops, op_inputs(graph, images)[1:], strict=True):
        assert values.max() <= top


@pytest.mark.parametrize("fmt", WeightFormat)
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_so_it_is_for_two_dense_layers_behind_the_front_end(seed, offset, fmt):
    graph, images = lower(random_network(seed, offset=offset), fmt), random_images(seed, 12)
    assert infer(graph, images).scores.tolist() == defined(graph, images)


@pytest.mark.parametrize("fmt", [INT8, FLOAT32])
def test_so_it_is_for_several_channels(fmt):
    graph, images = lower(network_of("padded", shape=(3, 16, 16)), fmt), drawn_images(3, (3, 16, 16))
    assert infer(graph, images).scores.tolist() == defined(graph, images)


@pytest.mark.parametrize("style", ["dense", "sparse", "few"])
def test_so_it_is_for_random_integers(style):
    graph = dense_graph(np.random.default_rng(3), (16, 9, 12, 5), style=style, shape=(8, 8))
    assert infer(graph, random_images()).scores.tolist() == defined(graph, random_images())


def rules(outputs, kind, random):
    """A requantiser under which many sums come to lie inside a byte."""
    if kind == "half up":
        return HalfUp(random.integers(1, 4000, outputs).astype(np.uint16), 22)
    multipliers = random.integers(2**30, 2**31, outputs).astype(np.int32)
    return DoubleRounding(multipliers, random.integers(-12, 1, outputs).astype(np.int32))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    pool=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    depthwise=st.booleans(),
    kind=st.sampled_from(["half up", "double rounding"]),
    zeros=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    clamp=st.tuples(st.integers(0, 100), st.integers(100, 255)),
    average=st.booleans(),
    as_codes=st.booleans(),
)
def test_so_it_is_for_all_that_importers_will_bring(
    seed, channels, kernel, strides, pads, pool, depthwise, kind, zeros, clamp, average, as_codes
):
    """Oblong kernels, strides, pools, a padding for each side, codes for zero, clamps, both ways of rounding, scores as
    codes."""
    random = np.random.default_rng(seed)
    pads = tuple(min(pad, size - 1) for pad, size in zip(pads, kernel * 2, strict=True))
    groups = channels if depthwise else 1
    outputs = channels * 2 if depthwise else 3
    first = conv(random, (channels, 9, 10), outputs, kernel, groups=groups, strides=strides, pads=pads, pool=pool)
    codes = Codes(clamp[1], clamp[0], zeros[1])
    rows = dataclasses.replace(first.rows, requantiser=rules(outputs, kind, random), codes=codes)
    first = dataclasses.replace(first, rows=rows, source=Codes(zero=zeros[0]))
    if min(first.output_shape) < 1:
        return
    height, width = first.output_shape[1:]
    window = (min(2, height), min(3, width))
    second = ops.Pool(first.output_shape, window, window if average else (1, 2), average, codes)
    inputs = ops.elements(second.output_shape)
    last_rows = random_rows(random, (4, inputs), 255, top=255 if as_codes else None, most=2**20)
    if as_codes:
        last_rows = dataclasses.replace(last_rows, requantiser=rules(4, kind, random), codes=Codes(250, 2, 30))
    graph = graph_of(first, second, ops.Dense(second.output_shape, last_rows, codes))
    images = random.integers(0, 256, (2, channels, 9, 10)).astype(np.uint8)
    found = infer(graph, images)
    assert found.scores.dtype == np.int32 and found.scores.tolist() == defined(graph, images)


def test_what_lies_outside_is_the_code_that_stands_for_zero():
    """A frame of that code around the map changes nothing but how the padding is said."""
    random = np.random.default_rng(1)
    padded = dataclasses.replace(conv(random, (2, 6, 7), 3, (3, 3), pads=(1, 2, 0, 1)), source=Codes(zero=77))
    image = random.integers(0, 256, (1, 2, 6, 7)).astype(np.uint8)
    framed = np.pad(image, ((0, 0), (0, 0), (1, 0), (2, 1)), constant_values=77)
    bare = dataclasses.replace(padded, input_shape=framed.shape[1:], pads=(0, 0, 0, 0))
    assert padded.output_shape == bare.output_shape == (3, 5, 8)
    assert np.array_equal(activations(padded, image), activations(bare, framed))


@pytest.mark.parametrize("fmt", WeightFormat)
def test_every_format_stays_close_to_the_trained_network(fmt):
    network = random_network(5, shape=(16, 16), hidden=20, classes=10)
    images = random_images(5, count=300, shape=(16, 16))
    trained = float_scores(network, images)
    agree = np.mean(infer(lower(network, fmt), images).classes == trained.argmax(axis=1))
    least = {INT8: 0.95, FLOAT16: 0.99, FLOAT32: 0.99, WeightFormat.INT4: 0.8, WeightFormat.TERNARY: 0.4}
    assert agree >= least[fmt]


@pytest.mark.parametrize("name", NETS)
def test_floats_are_the_trained_network_to_a_few_digits(name):
    network, images = network_of(NETS[name]), drawn_images(8)
    trained, found = float_scores(network, images), infer(lower(network, FLOAT32), images).scores
    # A mean of the image's own codes is a whole code.
    share = 1e-2 if name == "average first" else 1e-4
    assert found == pytest.approx(trained, rel=1e-4, abs=float(share * np.abs(trained).max()))


def test_batches_do_not_matter():
    graph, images = lower(network_of("padded")), drawn_images(130)
    at_once, one_by_one = infer(graph, images), [infer(graph, image[None]).scores[0] for image in images[60:70]]
    assert np.array_equal(at_once.scores[60:70], one_by_one)
    assert at_once.words.dtype == np.uint32 and np.array_equal(at_once.words.view(np.int32), at_once.scores)
