"""Sizes that the kernels' counters do not hold are refused by name: never computed wrongly, nor left to a compiler."""

import dataclasses

import numpy as np
import pytest
from graphs import conv, dense_graph, graph_of, random_rows
from networks import network_of, random_network

from host.compile.boards import ATMEGA2560, BOARDS, HOST
from host.compile.budget import predict
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kinds import ASSEMBLY
from host.compile.select import all_exports, choose
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Flatten, MaxPool2d, ReLU
from host.quantise.lower import lower
from host.quantise.ops import Dense, Pool

NEAR_THE_LIMIT = (
    Pool((1, 255, 255), (5, 5), (5, 5), False),
    Pool((5, 100, 131), (2, 2), (2, 2), True),
    conv(np.random.default_rng(0), (1, 1, 255), 2, (1, 5), pads=(0, 2, 0, 2), pool=(1, 3)),
    conv(np.random.default_rng(0), (1, 100, 100), 6, (3, 3)),
    conv(np.random.default_rng(0), (255, 16, 16), 1, (16, 16)),
    conv(np.random.default_rng(0), (1, 20, 20), 2, (3, 3), strides=(255, 1)),
)
BEYOND = {
    "found a map of 120,000 bytes, need 65,535 at most": [
        Pool((3, 200, 200), (8, 8), (8, 8), False),
        conv(np.random.default_rng(1), (3, 200, 200), 2, (3, 3), pool=(8, 8)),
        conv(np.random.default_rng(1), (1, 200, 100), 6, (1, 1)),
    ],
    "found 73,695 weights of one output, need 65,535 at most": [
        conv(np.random.default_rng(1), (255, 17, 17), 2, (17, 17)),
    ],
    "positions, need each up to 255": [
        conv(np.random.default_rng(1), (1, 1, 255), 2, (1, 5), pads=(0, 4, 0, 4), pool=(1, 2)),
        conv(np.random.default_rng(1), (1, 250, 2), 2, (300, 1), pads=(60, 0, 60, 0)),
        conv(np.random.default_rng(1), (1, 20, 20), 2, (3, 3), strides=(1, 300)),
    ],
}


def refusals(op, chip):
    return [kernel.refuses((op,), chip) for kernel in CATALOGUE if kernel.takes((op,))]


@pytest.mark.parametrize("op", NEAR_THE_LIMIT)
def test_what_the_counters_hold_is_taken(op):
    assert None in refusals(op, HOST)


@pytest.mark.parametrize("chip", [HOST, ATMEGA2560])
@pytest.mark.parametrize(("reason", "op"), [(reason, op) for reason, ops in BEYOND.items() for op in ops])
def test_what_they_do_not_is_refused_by_every_kernel(reason, op, chip):
    found = refusals(op, chip)
    assert None not in found and found[-1].startswith("found ") and found[-1].endswith(reason)


@pytest.mark.parametrize("kernel", ["auto", "portable", "asm", "unrolled"])
@pytest.mark.parametrize("board", ["native", "uno"])
def test_scores_that_are_codes_have_no_kernel_yet(board, kernel):
    random = np.random.default_rng(2)
    *first, last = dense_graph(random, (6, 5, 3), top=255).ops
    last = Dense(last.input_shape, random_rows(random, (3, 5), 255, top=255), last.source)
    with pytest.raises(InputError, match="int8: dense 5-3: found scores that are codes, need sums; "):
        choose(graph_of(*first, last), BOARDS[board], kernel)


@pytest.mark.parametrize(("top", "bits"), [(15, 4), (31, 5)])
def test_a_front_end_of_fewer_bits_is_refused_with_those_that_it_has(top, bits):
    need = f"int8: activations: found {bits} bits, need 6 or 8 bits, as the codes of its fixed front end have; choose"
    with pytest.raises(InputError, match=need):
        lower(random_network(), top=top)


def test_what_code_cannot_hold_is_said_once():
    graph = dense_graph(np.random.default_rng(3), (20, 10), top=255)
    graph.ops[0].rows.bias[0] = 2**24
    with pytest.raises(InputError) as caught:
        choose(graph, BOARDS["uno"], "unrolled")
    said = str(caught.value)
    assert said.startswith("unrolled: dense 20-10: layer 1: found sums ")
    assert (said.count("unrolled"), said.count(";")) == (1, 1)


@pytest.mark.parametrize("inputs", [1, 100, 257])
def test_a_large_bias_alone_does_not_keep_a_layer_from_assembly(inputs):
    graph = dense_graph(np.random.default_rng(4), (inputs, 6, 3), top=255)
    graph.ops[0].rows.bias[2] = -(2**29)
    export = choose(graph, BOARDS["uno"], "asm")
    first = export.on_avr.steps[0]
    assert first.kernel.name == "nn_avr_long" and dict(first.description.numbers)["pieces"] >= 1


def test_layers_that_pointers_of_16_bits_do_not_reach_together_stay_in_assembly():
    mega, random = BOARDS["mega"], np.random.default_rng(5)
    graph = lower(random_network(shape=(16, 16), hidden=250, classes=90, top=63, scale=0.001))
    for op in graph.ops[1:]:
        op.rows.weights[random.random(op.rows.weights.shape) < 0.97] = 0  # little for the compiler of code
    export = choose(graph, mega, "asm")
    assert [(step.kernel.kind, step.packed.is_near) for step in export.on_avr.steps[1:]] == [(ASSEMBLY, False)] * 2
    assert predict(export.on(mega), mega).fits(mega)
    assert export.on_avr.crc in {crc for each in all_exports(export.graph) for crc in each.weights_crcs}


@pytest.mark.parametrize("fmt", WeightFormat)
def test_convolutions_take_turns_where_a_kernel_can(fmt):
    """Those of floats cannot: a program for a board that is too small says so, rather than computing something else."""
    layers = (Conv2d(8, 3), ReLU(), Conv2d(8, 3), ReLU(), MaxPool2d(4), Flatten())
    board = dataclasses.replace(BOARDS["uno"], ram=1100)
    found = choose(lower(network_of(layers), fmt), board, "portable").portable.layout.pair
    assert found == (0 if fmt.is_integer else None)
