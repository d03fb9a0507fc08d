"""Quantised nets against plain definitions, and pruning that must not change a bit."""

import dataclasses

import numpy as np
import pytest
from host.deploy.nets import Int8Dense
from host.deploy.old_networks import preconv
from host.deploy.quantise import quantise
from host.deploy.reference import infer
from networks import random_images, random_network

from host.nn.formats import WeightFormat
from host.nn.network import float_scores
from host.nn.preconv import preconv_features


def slow_int8_scores(net, features):
    """docs/numerics.md, one number at a time in Python integers."""
    activations = [int(x) for x in features]
    for layer in net.layers:
        sums = [
            int(b) + sum(int(w) * x for w, x in zip(row, activations, strict=True))
            for row, b in zip(layer.weights, layer.bias, strict=True)
        ]
        rule = layer.requantiser
        if rule is None:
            return sums
        half = 1 << (rule.shift - 1)
        activations = [min(max((s * rule.multiplier + half) >> rule.shift, 0), rule.levels) for s in sums]
    raise AssertionError


def slow_float_scores(net, features):
    """Sums in the C's order, every product and sum rounded to float32."""
    activations = [np.float32(x) for x in features]
    for layer in net.layers:
        outputs = []
        for row, bias in zip(layer.weights, layer.bias, strict=True):
            total = np.float32(bias)
            for weight, x in zip(row, activations, strict=True):
                total = np.float32(total + np.float32(np.float32(weight) * x))
            outputs.append(max(total, np.float32(0)) if layer.relu else total)
        activations = outputs
    return activations


@pytest.mark.parametrize("seed", range(4))
def test_the_integer_reference_is_the_definition(seed):
    net = quantise(random_network(seed), WeightFormat.INT8)
    images = random_images(seed)
    predictions = infer(net, images)
    for features, scores in zip(preconv_features(images), predictions.scores, strict=True):
        assert slow_int8_scores(net, features) == scores.tolist()


FORMATS = (WeightFormat.FLOAT32, WeightFormat.FLOAT16, WeightFormat.INT8)
"""Of pre-convolved nets."""


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT16, WeightFormat.FLOAT32])
def test_the_float_reference_sums_in_order(fmt):
    net = quantise(random_network(3), fmt)
    images = random_images(3, count=10)
    predictions = infer(net, images)
    for features, scores in zip(preconv_features(images), predictions.scores, strict=True):
        assert np.array_equal(np.array(slow_float_scores(net, features), np.float32), scores)


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_stays_close_to_the_trained_network(fmt):
    network = random_network(5, shape=(16, 16), hidden=20, classes=10)
    images = random_images(5, count=300, shape=(16, 16))
    trained = float_scores(network, images)
    agree = np.mean(infer(quantise(network, fmt), images).classes == trained.argmax(axis=1))
    assert agree >= (0.95 if fmt is WeightFormat.INT8 else 0.99)


def test_the_offset_is_exact_with_quantised_weights():
    network = preconv(random_network(1))
    bare = dataclasses.replace(network.layers[0], input_offset=None)
    plain = dataclasses.replace(network, layers=(bare, network.layers[1]))
    with_offset = quantise(network, WeightFormat.INT8, prune=False).layers[0]
    without = quantise(plain, WeightFormat.INT8, prune=False).layers[0]
    folded = with_offset.weights.astype(int) @ network.layers[0].input_offset.astype(int)
    assert np.array_equal(with_offset.weights, without.weights)
    assert np.all(np.abs(with_offset.bias - (without.bias - folded)) <= 1)


def deadened(network, units):
    """The network with these hidden units dead: one silenced by its bias, the others without weights."""
    network = preconv(network)
    first, last = network.layers
    weights, bias = first.weights.copy(), first.bias.copy()
    weights[units] = 0.0
    bias[units] = -1.0
    bias[units[-1]] = 2.0  # constant and not zero: its share moves into the next bias where that is exact
    return dataclasses.replace(network, layers=(dataclasses.replace(first, weights=weights, bias=bias), last))


@pytest.mark.parametrize("fmt", FORMATS)
def test_pruning_dead_units_changes_no_score(fmt):
    network = deadened(random_network(2, hidden=9, offset=False), [1, 4, 6])
    images = random_images(2, count=200)
    whole, pruned = quantise(network, fmt, prune=False), quantise(network, fmt)
    assert len(whole.layers[0].bias) == 9
    assert len(pruned.layers[0].bias) == (6 if fmt is WeightFormat.INT8 else 7)
    assert np.array_equal(infer(whole, images).words, infer(pruned, images).words)


def test_a_net_of_dead_units_alone_keeps_one():
    network = deadened(random_network(2, hidden=3, offset=False), [0, 1, 2])
    net = quantise(network, WeightFormat.INT8)
    assert len(net.layers[0].bias) == 1
    assert np.array_equal(
        infer(net, random_images()).words,
        infer(quantise(network, WeightFormat.INT8, prune=False), random_images()).words,
    )


def test_the_hash_follows_the_numbers_and_nothing_else():
    net = quantise(random_network(1), WeightFormat.INT8)
    again = quantise(random_network(1, preset="other"), WeightFormat.INT8)
    assert net.hash == again.hash and len(net.hash_bytes) == 8
    layer = net.layers[1]
    assert isinstance(layer, Int8Dense)
    bias = layer.bias.copy()
    bias[0] += 1
    changed = dataclasses.replace(net, layers=(net.layers[0], dataclasses.replace(layer, bias=bias)))
    assert changed.hash != net.hash
    assert len({quantise(random_network(1), fmt).hash for fmt in FORMATS}) == 3
