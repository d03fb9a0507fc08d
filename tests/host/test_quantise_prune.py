"""Dead units left out of any two dense ops in a row, without a bit of any score changed."""

import dataclasses
import itertools

import numpy as np
import pytest
from graphs import dense_graph, graph_of, half_up
from networks import drawn_images, network_of, random_images, random_network

from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, ReLU
from host.quantise import ops
from host.quantise.lower import lower
from host.quantise.ops import Codes
from host.quantise.prune import pruned
from host.quantise.reference import infer
from host.quantise.requantisers import DoubleRounding

FLOATS = (WeightFormat.FLOAT32, WeightFormat.FLOAT16)


def deadened(network, place, units):
    """The network with these units of a dense layer dead: one silenced by its bias, the others without weights."""
    numbers = network.parameters.of(place)
    numbers["weights"][units] = 0.0
    numbers["bias"][units] = -1.0
    numbers["bias"][units[-1]] = 2.0  # constant and not zero: its share moves into the next bias where that is exact
    return network


def sizes(graph):
    return [op.rows.outputs for op in graph.ops if isinstance(op, ops.Dense)]


@pytest.mark.parametrize("fmt", WeightFormat)
def test_pruning_dead_units_changes_no_score(fmt):
    network = deadened(random_network(2, hidden=9, offset=False), 4, [1, 4, 6])
    images = random_images(2, count=200)
    whole, less = lower(network, fmt, prune=False), lower(network, fmt)
    assert sizes(whole) == [9, 4] and sizes(less) == [6 if fmt.is_integer else 7, 4]
    assert np.array_equal(infer(whole, images).words, infer(less, images).words)


@pytest.mark.parametrize("fmt", WeightFormat)
def test_so_it_is_behind_convolutions_and_in_longer_chains(fmt):
    layers = (Conv2d(3, 3), ReLU(), Flatten(), Dense(12), ReLU(), Dense(8), ReLU())
    network = network_of(layers)
    deadened(network, 3, [0, 5, 7])
    network.parameters.of(7)["weights"][:, [2, 3]] = 0.0  # two units of the last hidden layer that nobody hears
    images = drawn_images(30)
    whole, less = lower(network, fmt, prune=False), lower(network, fmt)
    assert sizes(whole) == [12, 8, 10]
    # What floats behind another float may come to is not known; behind a convolution of floats nothing is.
    assert sizes(less) == ([9, 6, 10] if fmt.is_integer else [12, 8, 10])
    assert np.array_equal(infer(whole, images).words, infer(less, images).words)


@pytest.mark.parametrize("fmt", FLOATS)
def test_floats_over_the_image_itself_are_judged_too(fmt):
    network = deadened(network_of((Flatten(), Dense(12), ReLU())), 1, [0, 5, 7])
    images = drawn_images(30)
    whole, less = lower(network, fmt, prune=False), lower(network, fmt)
    assert (sizes(whole), sizes(less)) == ([12, 10], [10, 10])
    assert np.array_equal(infer(whole, images).words, infer(less, images).words)


def test_a_net_of_dead_units_alone_keeps_one():
    network = deadened(random_network(2, hidden=3, offset=False), 4, [0, 1, 2])
    graph = lower(network)
    assert sizes(graph) == [1, 4]
    whole = infer(lower(network, prune=False), random_images())
    assert np.array_equal(infer(graph, random_images()).words, whole.words)


def every_input(count, top):
    return np.array(list(itertools.product((0, 1, top // 2, top), repeat=count)), np.uint8).reshape(-1, 1, count)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rule", ["half up", "double rounding", "with a zero code"])
def test_for_whole_numbers_every_score_of_every_input_stays(seed, rule):
    """Small random chains with many constant units, zero codes and clamps among them."""
    random = np.random.default_rng(seed)
    graph = dense_graph(random, (3, 7, 6, 4), style="few", most=20_000)
    found = []
    for op in graph.ops[:-1]:
        outputs = op.rows.outputs
        biases = random.choice([-30_000, -200, 0, 100, 30_000], outputs).astype(np.int32)
        weights = op.rows.weights * (random.random((outputs, 1)) < 0.6)
        requantiser, codes = half_up(outputs, 3, 9), Codes(63)
        if rule == "double rounding":
            requantiser = DoubleRounding(np.full(outputs, 2**30 + 7, np.int32), np.full(outputs, -6, np.int32))
        elif rule == "with a zero code":
            codes = Codes(60, 5, 20)
        rows = dataclasses.replace(op.rows, weights=weights.astype(np.int8), bias=biases, requantiser=requantiser)
        found.append(dataclasses.replace(op, rows=dataclasses.replace(rows, codes=codes)))
    last = graph.ops[-1]
    silent = last.rows.weights * (random.random(6) < 0.7)
    found.append(dataclasses.replace(last, rows=dataclasses.replace(last.rows, weights=silent.astype(np.int8))))
    chain = [found[0]]
    for op in found[1:]:
        chain.append(dataclasses.replace(op, source=chain[-1].codes))
    whole = graph_of(*chain)
    less = pruned(whole)
    images = every_input(3, 63)
    assert sum(sizes(less)) < sum(sizes(whole))
    assert np.array_equal(infer(less, images).words, infer(whole, images).words)


def test_densities_follow_the_units_that_stay():
    random = np.random.default_rng(1)
    graph = dense_graph(random, (6, 5, 3))
    graph.ops[1].rows.weights[:, [0, 3]] = 0
    less = pruned(graph)
    kept = [k for k, row in enumerate(graph.ops[0].rows.weights) if (less.ops[0].rows.weights == row).all(axis=1).any()]
    assert less.ops[0].density is graph.ops[0].density and 0 < len(kept) <= 3
    assert less.ops[1].density.tolist() == graph.ops[1].density[kept].tolist()
