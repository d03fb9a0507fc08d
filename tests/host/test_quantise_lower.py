"""Which layers become which ops, with which numbers; what rounding costs; and which layers no op can be made of."""

from dataclasses import replace

import definition
import numpy as np
import pytest
from graphs import graph_of
from networks import LAYERS, UNPADDED, drawn_images, network_of, qat_network, random_network

from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import (
    Architecture,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    FixedConv2d,
    Flatten,
    LayerSpec,
    MaxPool2d,
    MinMaxNormalise,
    ReLU,
    preconv_layers,
)
from host.nn.network import Scaling, float_scores
from host.nn.parameters import Parameters
from host.quantise import ops
from host.quantise.graph import AFTER, AWARE, PER_TENSOR
from host.quantise.lower import lower
from host.quantise.numerics import largest_kept, to_int8
from host.quantise.reference import infer
from host.quantise.requantisers import DoubleRounding

INT8, INT4, TERNARY = WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY
PACKED = (INT4, TERNARY)
INTEGERS = (INT8, *PACKED)
CONV = (Conv2d(4, 3), ReLU(), Flatten())
STANDARD = Scaling(33, 78.0)
FRONT_END = preconv_layers(255)
BEHIND = {
    "front end": (*FRONT_END, Flatten(), Dense(12), ReLU()),
    "front end and convolutions": (*FRONT_END, Conv2d(6, 3), ReLU(), MaxPool2d(), Flatten()),
    "fixed kernel": (FixedConv2d(((1, -2), (2, 3)), padding=1), ReLU(), MaxPool2d(), Conv2d(4, 3), ReLU(), Flatten()),
}


def with_numbers(graph):
    return [op for op in graph.ops if isinstance(op, ops.Conv | ops.Dense)]


@pytest.mark.parametrize(
    ("name", "scaling"),
    [*((name, Scaling()) for name in (*LAYERS, *BEHIND)), *((name, STANDARD) for name in sorted(UNPADDED))],
)
def test_rounding_costs_little(name, scaling):
    """Padding needs unit scaling."""
    # The images on which the ranges were measured: others may saturate, and that is no rounding.
    network, images = network_of((LAYERS | BEHIND)[name], scaling=scaling), drawn_images(40, seed=6)
    exact, found = float_scores(network, images), infer(lower(network), images)
    assert np.mean(exact.argmax(axis=1) == found.classes) >= 0.9
    step = np.std(exact) / np.std(found.scores)
    assert np.abs(exact - step * found.scores).max() < 0.2 * np.std(exact)


@pytest.mark.parametrize("top", [255, 63])
@pytest.mark.parametrize("name", [*LAYERS, "front end and convolutions"])
def test_numbers_lie_in_their_ranges(name, top):
    for op in with_numbers(lower(network_of((LAYERS | BEHIND)[name]), top=top)):
        rows, rule = op.rows, op.rows.requantiser
        assert np.abs(rows.weights.astype(int)).max() <= 127 and rows.codes.high in (255, top)
        if rule is None:
            continue
        assert rule.multipliers.min() >= 1 and rule.shift in (16, 24) and rows.codes.high == top
        # Every row uses its 8 bits, to within one multiplier step.
        if top == 255:
            tops = np.abs(rows.flat.astype(int)).max(axis=1)
            assert np.all(tops >= 126 * rule.multipliers / (rule.multipliers + 1.0) - 1)


@pytest.mark.parametrize("fmt", INTEGERS)
@pytest.mark.parametrize("name", [*LAYERS, "front end", "front end and convolutions"])
def test_with_six_bits_sums_fit_sixteen_bits_behind_the_first_layer_that_reads_them(name, fmt):
    """The image itself has 8 bits; behind the front end there is none that has."""
    graph = lower(network_of((LAYERS | BEHIND)[name]), fmt, top=63)
    narrow = [op for op in with_numbers(graph) if op.source.high == 63]
    assert len(narrow) == len(with_numbers(graph)) - (0 if name in BEHIND else 1)
    for op in narrow:
        low, high = op.rows.sum_bounds(op.source.high)
        assert low.min() >= -(2**15) and high.max() < 2**15


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("fmt", PACKED)
@pytest.mark.parametrize("name", ["padded", "depthwise", "one layer", "front end", "front end and convolutions"])
def test_fewer_bits_keep_to_their_range_and_to_the_definition(name, fmt, per_tensor):
    graph, images = lower(network_of((LAYERS | BEHIND)[name]), fmt, per_tensor=per_tensor), drawn_images(3)
    assert graph.format is fmt and (fmt.weight_max, fmt.bits) == {INT4: (7, 4), TERNARY: (1, 2)}[fmt]
    for op in with_numbers(graph):
        assert op.rows.format is fmt and np.abs(op.rows.weights.astype(int)).max() == fmt.weight_max
        if per_tensor and op.rows.requantiser is not None:
            assert op.rows.requantiser.shared is not None
    assert graph.rounding == (PER_TENSOR if per_tensor else AFTER)
    assert infer(graph, images).scores.tolist() == [definition.scores(graph, image) for image in images]


def test_clipping_leaves_the_smaller_error():
    random = np.random.default_rng(0)
    weights = random.normal(0, 1, (5, 400))
    for fmt in PACKED:
        kept, widest = largest_kept(weights, fmt), np.abs(weights).max(axis=1)
        errors = []
        for top in (kept, widest):
            step = top[:, None] / fmt.weight_max
            errors.append(((to_int8(weights, step, fmt.weight_max) * step - weights) ** 2).sum(axis=1))
        assert np.all(kept < widest) and np.all(errors[0] < 0.9 * errors[1])
    assert np.array_equal(largest_kept(weights, INT8), widest)


def test_how_weights_came_about_is_said():
    front_end, conv = random_network(), network_of("plain")
    assert lower(conv).rounding == AFTER and lower(conv, per_tensor=True).rounding == PER_TENSOR
    assert lower(front_end).rounding == lower(front_end, per_tensor=True).rounding == PER_TENSOR
    assert lower(front_end, INT4).rounding == AFTER and lower(front_end, WeightFormat.FLOAT16).rounding is None
    trained = qat_network("plain", "int4")
    assert (lower(trained, INT4).rounding, lower(trained).rounding) == (AWARE, AFTER)
    assert lower(trained, INT4, post_training=True).rounding == AFTER


def test_a_silent_layer_and_an_empty_row_are_no_trouble():
    network = network_of(CONV)
    network.parameters.of(0)["weights"][1] = 0
    network.parameters.of(0)["bias"][:] = -9
    network.parameters.of(0)["bias"][1] = 0.3
    graph = lower(network)
    found = infer(graph, drawn_images(3)).scores
    assert found.tolist() == [definition.scores(graph, image) for image in drawn_images(3)]


@pytest.mark.parametrize("fmt", INTEGERS)
@pytest.mark.parametrize("top", [255, 63])
def test_a_bias_far_above_the_weights_is_kept(fmt, top):
    network = network_of((Conv2d(2, 3), ReLU(), Flatten()))
    numbers = network.parameters.of(0)
    numbers["weights"][0] *= 1e-9
    numbers["bias"][0] = network.output_max[1] / 2
    rows = lower(network, fmt, top=top).ops[0].rows
    rule = rows.requantiser
    assert rows.bias[0] * rule.multipliers[0] / 2**rule.shift == pytest.approx(top / 2, rel=1e-3)


def test_the_offset_of_the_features_is_exact_with_quantised_weights():
    network = random_network(1)
    plain = replace(network, scaling=Scaling(0, 1.0))
    with_offset, without = (lower(each, prune=False).ops[1].rows for each in (network, plain))
    folded = with_offset.weights.astype(int) @ network.scaling.offset.astype(int)
    assert np.array_equal(with_offset.weights, without.weights)
    assert np.all(np.abs(with_offset.bias - (without.bias - folded)) <= 1)


def test_relu_and_max_pool_commute():
    before = network_of((Conv2d(4, 3), ReLU(), MaxPool2d(), Flatten()))
    after = network_of((Conv2d(4, 3), MaxPool2d(), ReLU(), Flatten()))
    assert lower(before).hash == lower(after).hash


def test_a_second_pool_stands_alone():
    first, second = lower(network_of((Conv2d(4, 3), ReLU(), MaxPool2d(), MaxPool2d(), Flatten()))).ops[:2]
    assert isinstance(first, ops.Conv) and isinstance(second, ops.Pool) and first.pool == second.size == (2, 2)


def test_a_max_pool_that_overlaps_stands_alone_and_commutes_with_relu():
    pool = MaxPool2d(3, 2)
    before = lower(network_of((Conv2d(4, 3), ReLU(), pool, Flatten())))
    after = lower(network_of((Conv2d(4, 3), pool, ReLU(), Flatten())))
    assert before.ops[1] == after.ops[1] == ops.Pool((4, 14, 14), (3, 3), (2, 2), is_average=False)
    assert before.hash == after.hash and before.ops[1].output_shape == (4, 6, 6)


def test_the_front_end_is_one_op_and_convolutions_follow_it():
    graph = lower(network_of(BEHIND["front end and convolutions"]))
    kinds = [type(op) for op in graph.ops]
    assert kinds == [ops.Preconv, ops.Conv, ops.Dense] and graph.ops[1].input_shape == (1, 8, 8)
    assert lower(network_of(BEHIND["front end and convolutions"]), top=63).ops[0] == ops.Preconv((1, 16, 16), 63)


def test_any_whole_kernel_becomes_a_depthwise_convolution_of_exactly_its_numbers():
    kernel = ((1, -2), (2, 3))
    layers = (FixedConv2d(kernel, padding=1), ReLU(), MaxPool2d(), Conv2d(4, 3), ReLU(), Flatten())
    graph = lower(network_of(layers, shape=(3, 16, 16)))
    first = graph.ops[0]
    assert isinstance(first, ops.Conv) and first.is_depthwise and first.groups == 3 and first.pads == (1, 1, 1, 1)
    assert first.rows.weights.tolist() == [[[list(row) for row in kernel]]] * 3 and not first.rows.bias.any()
    assert first.pool == (2, 2) and infer(graph, drawn_images(4, (3, 16, 16))).scores.any()


def test_one_kernel_that_is_not_that_of_the_front_end_is_no_front_end():
    blurred = FRONT_END[0]
    for layers in ((blurred, ReLU(), MaxPool2d(2)), (replace(blurred, padding=0), ReLU(), MaxPool2d(2))):
        first = lower(network_of((*layers, Flatten(), Dense(5), ReLU()))).ops[0]
        assert isinstance(first, ops.Conv) and first.rows.weights[0, 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


@pytest.mark.parametrize(
    ("layers", "scaling", "complaint"),
    [
        ((Conv2d(4, 3), Flatten()), None, "layer 0: found Conv2d without ReLU"),
        ((Conv2d(4, 3), AveragePool2d(), ReLU(), Flatten()), None, "layer 0: found Conv2d without ReLU"),
        ((Flatten(), Dense(4)), None, "layer 1: found Dense without ReLU"),
        (
            *((Conv2d(4, 3, padding=1), ReLU(), Flatten()), Scaling(-3, 80.0)),
            "layer 0: found padding around pixels with -3 subtracted in int8",
        ),
        ((ReLU(), *CONV), STANDARD, "ReLU on pixels"),
        ((Conv2d(4, 3), BatchNorm(), ReLU(), Flatten()), None, "layer 0: found Conv2d without ReLU"),
        ((Dropout(0.5), *CONV), None, "layer 0: found Dropout"),
        ((MinMaxNormalise(255), *CONV), None, "layer 0: found MinMaxNormalise"),
        (
            (FixedConv2d(((200,),)), ReLU(), *CONV),
            None,
            "layer 0: found a fixed kernel with 200, need numbers up to 127",
        ),
    ],
)
def test_what_no_op_can_be_made_of_is_refused(layers: tuple[LayerSpec, ...], scaling, complaint):
    with pytest.raises(InputError) as caught:
        lower(network_of(layers, scaling=scaling))
    assert complaint in str(caught.value) and str(caught.value).startswith("int8: ") and "\n" not in str(caught.value)


def test_padding_around_pixels_with_a_mean_subtracted_is_at_the_mean():
    """PyTorch's `Normalize` before a padded convolution: the code nearest to 0.0 stands for it."""
    network = network_of((Conv2d(4, 3, padding=1), ReLU(), Flatten()), scaling=Scaling(33.3, 78.5))
    graph = lower(network)
    first, images = graph.ops[0], drawn_images(100)
    assert first.source.zero == 33 and isinstance(first.rows.requantiser, DoubleRounding)
    exact, rounded = float_scores(network, images), infer(graph, images).scores * graph.score_step
    assert np.abs(exact - rounded).max() < 0.03 * np.abs(exact).max()
    at_zero = infer(replace(graph, ops=(replace(first, source=ops.Codes()), *graph.ops[1:])), images).scores
    assert np.abs(exact - at_zero * graph.score_step).max() > 0.03 * np.abs(exact).max()
    for fmt in (INT4, TERNARY, WeightFormat.FLOAT32):
        with pytest.raises(InputError, match=f"layer 0: found padding around pixels with 33 subtracted in {fmt.label}"):
            lower(network, fmt)


def test_a_fixed_kernel_must_fit_the_format_it_goes_in():
    network = network_of(BEHIND["fixed kernel"])
    assert lower(network, INT4).format is INT4
    with pytest.raises(InputError, match="ternary: layer 0: found a fixed kernel with 3, need numbers up to 1; use"):
        lower(network, TERNARY)


@pytest.mark.parametrize(
    ("own", "asked", "complaint"),
    [
        (63, 255, "found 8 bits, need 6 bits, as the codes of its fixed front end have; choose those"),
        (255, 15, "found 4 bits, need 6 or 8 bits, as the codes of its fixed front end have; choose those"),
        (255, 100, "found codes up to 100, need 6 or 8 bits, as"),
        (63, 64, "found codes up to 64, need 6 bits, as"),
    ],
)
def test_a_top_that_the_net_cannot_have_is_refused(own, asked, complaint):
    with pytest.raises(InputError, match=f"int8: activations: {complaint}"):
        lower(random_network(top=own), top=asked)
    # Floats have no top to choose.
    assert lower(random_network(top=own), WeightFormat.FLOAT32, top=asked).ops[0].top == own


def with_relu_at_the_end(network):
    longer = Architecture(network.architecture.input_shape, (*network.architecture.layers, ReLU()))
    parameters = Parameters(longer, network.parameters.flat, network.parameters.measured)
    return replace(network, parameters=parameters, output_max=(*network.output_max, 1.0))


def test_the_last_layer_must_be_the_scores():
    with pytest.raises(InputError, match="found ReLU behind the scores"):
        lower(with_relu_at_the_end(network_of("plain")))


def test_padding_is_a_pixel_of_zero():
    """A black frame around the image, which is what padding is, changes no sum."""
    op = lower(network_of((Conv2d(4, 3, padding=1), ReLU(), Flatten()))).ops[0]
    image = drawn_images(3)[2]
    framed = np.pad(image, 1)
    for y, x in ((0, 0), (0, 7), (15, 15)):
        window = framed[y : y + 3, x : x + 3].astype(int)
        expected = ((op.rows.weights[:, 0] * window).sum(axis=(1, 2)) + op.rows.bias).tolist()
        assert [definition.conv_sum(op, image[None], o, y, x) for o in range(4)] == expected


def test_a_graph_knows_its_labels_classes_and_products():
    graph = lower(network_of("plain"))
    assert (graph.labels, graph.classes, graph.preset) == (tuple("0123456789"), 10, "test")
    assert graph.macs == 5 * 9 * 14 * 14 + 10 * 5 * 14 * 14 and graph.image_shape == (16, 16)
    assert graph_of(*graph.ops).top == 255
