"""The hash of a Graph: the same for ever for what exists, and another for every number that determines a score."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from graphs import conv, dense_graph, graph_of, half_up
from networks import LAYERS, network_of, random_network

from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Flatten, MaxPool2d, ReLU
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import Codes, Conv, Dense, Pool, Preconv
from host.quantise.requantisers import DoubleRounding

INT8 = WeightFormat.INT8


def changed(graph: Graph, at: int, **fields: object) -> Graph:
    """With other fields of an op, or of its numbers."""
    op = graph.ops[at]
    names = {field.name for field in dataclasses.fields(op)}
    of_rows = {name: value for name, value in fields.items() if name not in names}
    if of_rows:
        op = dataclasses.replace(op, rows=dataclasses.replace(op.rows, **of_rows))
    op = dataclasses.replace(op, **{name: value for name, value in fields.items() if name in names})
    return dataclasses.replace(graph, ops=(*graph.ops[:at], op, *graph.ops[at + 1 :]))


def test_that_of_one_multiplier_a_layer_behind_the_front_end_is_the_first_description():
    """Written out once more: firmware in the field was built with it."""
    graph = lower(random_network(4))
    _, first, last = graph.ops
    rule = first.rows.requantiser
    facts = {
        "format": "int8",
        "input": [8, 8],
        "front_end": "preconv",
        "levels": 255,
        "layers": [
            {"shape": list(first.rows.weights.shape), "requantiser": [int(rule.multipliers[0]), rule.shift, 255]},
            {"shape": list(last.rows.weights.shape), "requantiser": None},
        ],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for op in (first, last):
        digest.update(op.rows.weights.tobytes() + op.rows.bias.astype("<i4").tobytes())
    assert graph.hash == digest.hexdigest() and graph.hash_bytes == digest.digest()[:8]


def test_that_of_convolutions_is_the_second_description():
    graph = lower(network_of((Conv2d(4, 3, padding=1), ReLU(), MaxPool2d(), Flatten())))
    first, last = graph.ops
    shift = first.rows.requantiser.shift
    facts = [
        *("int8", [16, 16], 255),
        ["conv", [1, 16, 16], [4, 1, 3, 3], shift, 1, 1, 1, 2],
        ["dense", [4, 8, 8], [10, 256], 0],
    ]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(first.rows.weights.tobytes() + first.rows.bias.astype("<i4").tobytes())
    digest.update(first.rows.requantiser.multipliers.astype("<u2").tobytes())
    digest.update(last.rows.weights.tobytes() + last.rows.bias.astype("<i4").tobytes())
    assert graph.hash == digest.hexdigest()


def test_it_follows_the_numbers_and_nothing_else():
    graph = lower(random_network(1))
    again = lower(random_network(1, preset="other"))
    assert graph.hash == again.hash and len(graph.hash_bytes) == 8
    for other in (
        dataclasses.replace(graph, labels=("a", "b", "c", "d"), preset="x", rounding=None, score_step=7.0),
        changed(graph, 1, density=np.zeros(16, np.float32)),
    ):
        assert other.hash == graph.hash
    assert lower(network_of("plain", seed=1)).hash == lower(network_of("plain", seed=1)).hash
    assert lower(network_of("plain", seed=1)).hash != lower(network_of("plain", seed=2)).hash


@pytest.mark.parametrize("network", [random_network(1), network_of("plain")], ids=["front end", "convolution"])
def test_format_top_and_way_of_rounding_are_part_of_it(network):
    graphs = [
        lower(network, fmt, top=top, per_tensor=per_tensor)
        for fmt in WeightFormat
        for top in (255, 63)
        for per_tensor in (False, True)
        if fmt.is_integer or (top == 255 and not per_tensor)
    ]
    has_rows = not isinstance(graphs[0].ops[0], Preconv)
    assert len({graph.hash for graph in graphs}) == len(graphs) - (0 if has_rows else 2)  # int8: one scale a layer


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("name", ["weights", "bias"])
def test_each_number_counts(place, name):
    graph = lower(random_network(1))
    numbers = getattr(graph.ops[place].rows, name).copy()
    numbers.flat[0] += 1
    assert changed(graph, place, **{name: numbers}).hash != graph.hash


def test_what_a_graph_came_to_say_later_is_described_only_where_it_is_said():
    """Sides that are the same are one number, as when there was but one; a field at its default is not there."""
    random = np.random.default_rng(0)
    first = conv(random, (1, 9, 9), 4, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1), pool=(2, 2))
    graph = graph_of(first, dense_graph(random, (16, 5), top=255).ops[0])
    graph = changed(graph, 1, input_shape=first.output_shape)
    facts = ["conv", [1, 9, 9], [4, 1, 3, 3], 24, 2, 1, 1, 2]
    assert first.output_shape == (4, 2, 2) and json.dumps(facts) in described(graph)
    assert '"codes"' not in described(graph) and '"source"' not in described(graph)
    others = [
        changed(graph, 0, strides=(2, 1)),
        changed(graph, 0, pads=(1, 1, 1, 0)),
        changed(graph, 0, pads=(0, 1, 1, 1)),
        changed(graph, 0, pads=(1, 0, 1, 1)),
        changed(graph, 0, pool=(2, 1)),
        changed(graph, 0, pool=(1, 2)),
        changed(graph, 0, groups=2),
        changed(graph, 0, source=Codes(zero=3)),
        changed(graph, 0, source=Codes(200)),
        changed(graph, 0, codes=Codes(250)),
        changed(graph, 0, codes=Codes(255, 2)),
        changed(graph, 0, codes=Codes(255, 0, 2)),
        changed(graph, 0, requantiser=half_up(4, first.rows.requantiser.multipliers, 23)),
        changed(graph, 0, requantiser=half_up(4, (1, 2, 3, 4), 24)),
        changed(graph, 0, requantiser=rounded_twice(4, -3)),
        changed(graph, 0, requantiser=rounded_twice(4, -4)),
        changed(graph, 0, requantiser=rounded_twice(4, -3, 2**30 + 1)),
        changed(graph, 1, requantiser=half_up(5, 1, 8)),
        changed(graph, 1, requantiser=half_up(5, 1, 8), codes=Codes(99)),
        changed(graph, 1, relu=True),
        dataclasses.replace(graph, input_shape=(2, 9, 9)),
        graph,
    ]
    assert len({each.hash for each in others}) == len(others)


def rounded_twice(outputs, exponent, multiplier=2**30):
    return DoubleRounding(np.full(outputs, multiplier, np.int32), np.full(outputs, exponent, np.int32))


def described(graph):
    """What is hashed before the numbers."""
    found = []
    real = hashlib.sha256
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashlib, "sha256", lambda text: found.append(text.decode()) or real(text))
        assert dataclasses.replace(graph).hash
    return found[0]


def test_kind_window_and_strides_of_a_pool_count():
    graph = lower(network_of((Conv2d(4, 3), ReLU(), MaxPool2d(4, 1), Flatten())))
    assert isinstance(graph.ops[1], Pool)
    pools = [
        changed(graph, 1, strides=strides, size=size, is_average=is_average)
        for size in ((4, 4), (4, 3))
        for strides in ((1, 1), (2, 1), (4, 4))
        for is_average in (False, True)
    ]
    assert len({each.hash for each in pools}) == len(pools)


def test_longer_multipliers_and_several_tops_take_the_second_description():
    graph = dense_graph(np.random.default_rng(2), (16, 8, 6, 5), shape=(8, 8))
    assert described(graph).startswith('{"format"')
    for other in (
        changed(graph, 1, requantiser=half_up(8, 256, 16)),
        changed(graph, 1, requantiser=half_up(8, range(1, 9), 16)),
        changed(graph, 2, codes=Codes(255)),
        changed(graph, 1, requantiser=rounded_twice(8, -3)),
        dataclasses.replace(graph, format=WeightFormat.INT4),
    ):
        assert described(other).startswith("[") and other.hash != graph.hash


@pytest.mark.parametrize("name", LAYERS)
def test_every_net_has_its_own(name):
    graph = lower(network_of(name))
    assert all(isinstance(op, Conv | Dense | Pool) for op in graph.ops)
    assert [other for other in LAYERS if lower(network_of(other)).hash == graph.hash] == [name]
