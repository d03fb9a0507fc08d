"""What no net had until a Graph could say it changes the hash: every number of every op, one after the other."""

from dataclasses import replace

import numpy as np
import pytest
from graphs import conv, dense_graph, graph_of, half_up, random_rows
from networks import random_network

from host.nn.formats import WeightFormat
from host.quantise.lower import lower
from host.quantise.ops import Codes, Conv, Dense, Pool
from host.quantise.requantisers import DoubleRounding


def with_op(graph, at, op):
    return replace(graph, ops=(*graph.ops[:at], op, *graph.ops[at + 1 :]))


def with_rows(graph, at, **changes):
    return with_op(graph, at, replace(graph.ops[at], rows=replace(graph.ops[at].rows, **changes)))


def behind_front_end():
    graph = dense_graph(np.random.default_rng(3), (16, 5, 3), top=255, shape=(8, 8))
    return with_rows(graph, 1, requantiser=half_up(5, 200, 16))


def convolutional(zero=0):
    random = np.random.default_rng(4)
    first = Pool((2, 9, 8), (2, 2), (1, 1), False, Codes(zero=zero))
    second = replace(conv(random, (2, 8, 7), 4, (3, 2), pads=(1, 1, 1, 0)), source=Codes(zero=zero))
    third = conv(random, second.output_shape, 4, (2, 2), groups=2)
    return graph_of(first, second, third, Dense(third.output_shape, random_rows(random, (3, third.rows.outputs * 42))))


def variants(graph, at):
    """One op with one number changed, in every way that a Graph can say."""
    op, rows = graph.ops[at], graph.ops[at].rows
    yield with_rows(graph, at, weights=rows.weights + (np.arange(rows.weights.size) == 3).reshape(rows.weights.shape))
    yield with_rows(graph, at, bias=rows.bias + 1)
    if rows.requantiser is not None:
        each = rows.requantiser.multipliers
        yield with_rows(graph, at, requantiser=replace(rows.requantiser, multipliers=each + np.uint16(1)))
        yield with_rows(graph, at, requantiser=replace(rows.requantiser, shift=rows.requantiser.shift - 1))
        exponents = np.zeros(len(each), np.int32)
        for more in (0, 1):
            yield with_rows(graph, at, requantiser=DoubleRounding(each.astype(np.int32), exponents + more))
        for codes in (Codes(254), Codes(255, 1), Codes(255, 0, 1)):
            yield with_rows(graph, at, codes=codes)
    if isinstance(op, Conv):
        for changes in (
            *({"pads": pads} for pads in ((0, 0, 1, 1), (0, 1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0))),
            *({"strides": (2, 1)}, {"strides": (1, 2)}, {"pool": (2, 1)}, {"pool": (1, 2)}),
        ):
            yield with_op(graph, at, replace(op, **changes))


@pytest.mark.parametrize(("graph", "places"), [(behind_front_end(), (1, 2)), (convolutional(), (1, 2, 3))])
def test_every_number_counts(graph, places):
    found = [graph, *(other for at in places for other in variants(graph, at))]
    assert len({each.hash for each in found}) == len(found) > 10


def test_the_code_that_stands_for_0_counts_before_a_pool_too():
    assert convolutional(zero=0).hash != convolutional(zero=128).hash
    strided = convolutional()
    for changes in ({"strides": (2, 1)}, {"size": (1, 2)}, {"is_average": True}):
        assert with_op(strided, 0, replace(strided.ops[0], **changes)).hash != strided.hash


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, WeightFormat.FLOAT16])
def test_where_floats_are_cut_off_counts(fmt):
    graph = lower(random_network(), fmt)
    found = [graph, with_rows(graph, 1, relu=False), with_rows(graph, 2, relu=True)]
    assert len({each.hash for each in found}) == 3


@pytest.mark.parametrize("graph", [behind_front_end(), convolutional()])
def test_names_and_what_was_measured_do_not(graph):
    (*others, last) = graph.ops
    measured = replace(last, density=np.ones(last.inputs, np.float32))
    renamed = replace(graph, labels=("a", "b", "c"), preset="other", rounding=None, score_step=2.0)
    assert renamed.hash == graph.hash == replace(graph, ops=(*others, measured)).hash
