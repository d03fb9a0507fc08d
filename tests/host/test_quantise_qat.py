"""Numbers trained for a format: the board's integers say what the rounded net said while it was trained."""

from dataclasses import replace

import numpy as np
import pytest
from networks import LAYERS, LIMITED, drawn_images, frozen_scores, qat_network

from host.compile.candidates import candidates
from host.nn.formats import WEIGHT_TOPS, WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.quantise.lower import lower
from host.quantise.ops import Conv
from host.quantise.ops import Dense as DenseOp
from host.quantise.reference import infer

FORMATS = tuple(WEIGHT_TOPS)
FRONT_END = preconv_layers(255)
NETS = LAYERS | {
    "limited": LIMITED,
    "front end": (*FRONT_END, Flatten(), Dense(12), ReLU()),
    "front end and convolution": (*FRONT_END, Conv2d(6, 3), ReLU(), MaxPool2d(), Flatten()),
}


def rounded_scores(network, fmt, images):
    return frozen_scores(network, network.qat_for(fmt), images)


def score_unit(network, fmt):
    """What one step of the integer scores is worth."""
    tuned = network.qat_for(fmt)
    inputs = [step for step in tuned.output_steps if step > 0]
    return tuned.weight_steps[-1][0] * (inputs[-1] if inputs else 1 / network.scaling.divisor)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", NETS)
def test_the_integers_say_what_the_rounded_net_said(name, fmt):
    network, images = qat_network(NETS[name], fmt), drawn_images(40, seed=6)
    expected = rounded_scores(network, fmt, images)
    graph = lower(network, WeightFormat[fmt.upper()])
    found = infer(graph, images)
    assert np.mean(expected.argmax(axis=1) == found.classes) >= 0.95
    # Multipliers have 16 bits and biases are whole numbers: that much may differ, and a code of an activation here or
    # there; codes of weights may not.
    assert np.abs(expected - found.scores * score_unit(network, fmt)).max() < 0.04 * np.std(expected)
    tuned = network.qat_for(fmt)
    ops = [op for op in graph.ops if isinstance(op, Conv | DenseOp)]
    weighted = [index for index, steps in enumerate(tuned.weight_steps) if steps is not None]
    for op, index in zip(ops, weighted, strict=True):
        weights, steps = tuned.parameters.of(index)["weights"], tuned.weight_steps[index]
        codes = np.rint(weights / steps.reshape(-1, *(1,) * (weights.ndim - 1)))
        assert np.array_equal(codes, op.rows.weights)


def test_each_format_takes_its_own_numbers_and_none_where_rounding_is_asked_for():
    network = qat_network("padded", "int4")
    plain = replace(network, qat=())
    assert lower(network).hash == lower(plain).hash
    int4 = WeightFormat.INT4
    assert lower(network, int4).hash != lower(plain, int4).hash
    assert lower(network, int4, post_training=True).hash == lower(plain, int4).hash
    tensor = lower(plain, int4, per_tensor=True)
    assert lower(network, int4, per_tensor=True).hash == tensor.hash


@pytest.mark.parametrize("fmt", [WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY])
def test_a_board_flashed_before_the_net_was_tuned_is_still_known(fmt):
    network = qat_network("plain")
    known = {each.graph.hash for each in candidates(network, fmt)}
    assert known >= {each.graph.hash for each in candidates(replace(network, qat=()), fmt)}
    assert lower(network, fmt).hash in known


def test_a_silent_row_and_a_bias_far_above_its_weights_are_no_trouble():
    network = qat_network("plain", "int8")
    tuned = network.qat_for("int8")
    numbers, steps = tuned.parameters.of(0), tuned.weight_steps[0]
    numbers["weights"][:2] = 0
    steps[:2] = 1e-12
    numbers["bias"][1] = 100 * tuned.output_steps[1]
    rows = lower(network).ops[0].rows
    rule = rows.requantiser
    assert rows.bias[1] * rule.multipliers[1] / 2**rule.shift == pytest.approx(100, rel=1e-3)
    assert np.abs(rows.bias.astype(float)).max() <= 2**30
