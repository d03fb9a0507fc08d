"""Numbers trained for a format: the board's integers say what the rounded net said while it was trained."""

from dataclasses import replace

import numpy as np
import pytest
from learned_networks import LAYERS, drawn_images
from tuned_networks import tuned_network

from host.deploy.deployment import all_plans, infer
from host.deploy.learned_nets import PoolStage
from host.deploy.learned_quantise import quantise_learned
from host.nn.formats import WEIGHT_TOPS
from host.quantise.numerics import WeightFormat
from host.train.qat import freeze

FORMATS = tuple(WEIGHT_TOPS)


def rounded_scores(network, fmt, images):
    tuned = network.qat_for(fmt)
    return freeze.scores_of(network, tuned, images)


def score_unit(network, fmt):
    """What one step of the integer scores is worth."""
    tuned = network.qat_for(fmt)
    inputs = [step for step in tuned.output_steps if step > 0]
    return tuned.weight_steps[-1][0] * (inputs[-1] if inputs else 1 / network.scaling.divisor)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", LAYERS)
def test_the_integers_say_what_the_rounded_net_said(name, fmt):
    network, images = tuned_network(name, fmt), drawn_images(40, seed=6)
    expected = rounded_scores(network, fmt, images)
    net = quantise_learned(network, WeightFormat[fmt.upper()])
    found = infer(net, images)
    assert np.mean(expected.argmax(axis=1) == found.classes) >= 0.95
    # Multipliers have 16 bits and biases are whole numbers: that much may differ, and a code of an activation here or
    # there; codes of weights may not.
    assert np.abs(expected - found.scores * score_unit(network, fmt)).max() < 0.04 * np.std(expected)
    tuned = network.qat_for(fmt)
    stages = [stage for stage in net.stages if not isinstance(stage, PoolStage)]
    weighted = [index for index, steps in enumerate(tuned.weight_steps) if steps is not None]
    for stage, index in zip(stages, weighted, strict=True):
        weights, steps = tuned.parameters.of(index)["weights"], tuned.weight_steps[index]
        codes = np.rint(weights / steps.reshape(-1, *(1,) * (weights.ndim - 1)))
        assert np.array_equal(codes, stage.rows.weights)


def test_each_format_takes_its_own_numbers_and_none_where_rounding_is_asked_for():
    network = tuned_network("padded", "int4")
    plain = replace(network, qat=())
    assert quantise_learned(network).hash == quantise_learned(plain).hash
    int4 = WeightFormat.INT4
    assert quantise_learned(network, int4).hash != quantise_learned(plain, int4).hash
    assert quantise_learned(network, int4, post_training=True).hash == quantise_learned(plain, int4).hash
    tensor = quantise_learned(plain, int4, per_tensor=True)
    assert quantise_learned(network, int4, per_tensor=True).hash == tensor.hash


@pytest.mark.parametrize("fmt", [WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY])
def test_a_board_flashed_before_the_net_was_tuned_is_still_known(fmt):
    network = tuned_network("plain")
    known = {planned.net.hash for planned in all_plans(network, fmt)}
    assert known >= {planned.net.hash for planned in all_plans(replace(network, qat=()), fmt)}
    assert quantise_learned(network, fmt).hash in known


def test_a_silent_row_and_a_bias_far_above_its_weights_are_no_trouble():
    network = tuned_network("plain", "int8")
    tuned = network.qat_for("int8")
    numbers, steps = tuned.parameters.of(0), tuned.weight_steps[0]
    numbers["weights"][:2] = 0
    steps[:2] = 1e-12
    numbers["bias"][1] = 100 * tuned.output_steps[1]
    stage = quantise_learned(network).stages[0]
    assert stage.rows.bias[1] * stage.rows.multipliers[1] / 2**stage.rows.shift == pytest.approx(100, rel=1e-3)
    assert np.abs(stage.rows.bias.astype(float)).max() <= 2**30
