"""The assembly's layout of a net, read back and executed as nn_avr.h defines it, in one array for the arena."""

import dataclasses

import numpy as np
import pytest
from host.deploy.nets import Requantiser
from host.deploy.plan import plan
from host.deploy.quantise import quantise
from host.deploy.reference import layer_inputs
from host.deploy.twin import asm_twin, twin_arena_bytes, unrolled_twin
from int8_nets import int8_net, random_inputs
from networks import random_network

from host.errors import InputError
from host.nn.formats import WeightFormat
from host.quantise.numerics import requantise

TYPES = {16: "<i2", 24: "<i4"}
FIXED_SHIFT = {16: 16, 24: 24}
LIMIT = {16: 12, 24: 7}


def block_numbers(twin, step, block):
    """(weights (outputs, inputs), bias) of one block, decoded from the bytes that lie in flash."""
    at, width = block.rom, step.bits // 8
    bias = [
        int.from_bytes(twin.rom[at + width * k : at + width * (k + 1)], "little", signed=True)
        for k in range(block.outputs)
    ]
    at += width * block.outputs
    raw = np.frombuffer(twin.rom[at : at + step.inputs * block.outputs], np.uint8).reshape(step.inputs, block.outputs)
    weights = raw.view(np.int8).astype(int) if step.bits == 16 else raw.astype(int) - 128
    return weights.T, np.array(bias)


def execute(twin, features, arena_bytes):
    """Scores of one image, every intermediate number in the arena where the twin puts it."""
    arena = np.full(arena_bytes, 0xA5, np.uint8)
    arena[: len(features)] = features
    for step in twin.steps:
        sums = np.zeros(step.outputs, int)
        for block in step.blocks:
            # The kernels run one after the other, and each reads the inputs anew.
            x = arena[step.source : step.source + step.inputs].astype(int)
            weights, bias = block_numbers(twin, step, block)
            sums[block.first : block.first + block.outputs] = weights @ x + bias
            stored = sums[block.first : block.first + block.outputs].astype(TYPES[step.bits])
            if step.multiplier or step.bits == 16:
                place = step.target + stored.itemsize * block.first
                arena[place : place + stored.nbytes] = stored.view(np.uint8)
        if step.multiplier:
            activations = requantise(sums, step.multiplier, FIXED_SHIFT[step.bits], step.levels)
            arena[step.target : step.target + step.outputs] = activations
    return sums


def expected(net, features):
    last = net.layers[-1]
    return layer_inputs(net, features)[-1].astype(int) @ last.weights.T.astype(int) + last.bias


@pytest.mark.parametrize("levels", [63, 255])
@pytest.mark.parametrize("sizes", [(1, 1, 2), (16, 12, 10), (64, 40, 10), (196, 25, 13), (30, 10), (9, 8, 30, 14, 10)])
def test_executed_as_laid_out_it_gives_the_references_scores(sizes, levels):
    random = np.random.default_rng(sum(sizes))
    net = int8_net(random, sizes, levels=levels, most=32767 if levels == 63 else 8_000_000)
    planned, features = plan(net, "asm"), random_inputs(random, 8, sizes[0], levels)
    assert {step.bits for step in planned.twin.steps} <= ({16} if levels == 63 else {16, 24})
    for row, scores in zip(features, expected(net, features), strict=True):
        assert execute(planned.twin, row, planned.arena_bytes).tolist() == scores.tolist()


@pytest.mark.parametrize("levels", [63, 255])
@pytest.mark.parametrize("outputs", [1, 7, 8, 12, 13, 24, 25, 40, 255])
def test_blocks_are_as_few_and_as_even_as_they_go(outputs, levels):
    most = 32767 if levels == 63 else 2**22
    net = int8_net(np.random.default_rng(outputs), (20, outputs, 10), levels=levels, most=most)
    twin = asm_twin(net)
    at = 0
    for step in twin.steps:
        sizes = [block.outputs for block in step.blocks]
        assert len(sizes) == -(-step.outputs // LIMIT[step.bits])
        assert sum(sizes) == step.outputs and max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)
        for block in step.blocks:
            assert (block.rom, block.first) == (at, sum(b.outputs for b in step.blocks if b.first < block.first))
            at += block.outputs * (step.bits // 8 + step.inputs)
    assert at == len(twin.rom)


def test_a_layer_takes_16_bits_only_where_every_sum_fits():
    net = int8_net(np.random.default_rng(0), (3, 2, 2))
    first = net.layers[0]
    first.weights[:] = 127
    for bias, bits in ((32767 - 3 * 127 * 63, 16), (32768 - 3 * 127 * 63, 24)):
        first.bias[:] = bias
        assert asm_twin(net).steps[0].bits == bits
    first.weights[:] = -127
    for bias, bits in ((-32768 + 3 * 127 * 63, 16), (-32769 + 3 * 127 * 63, 24)):
        first.bias[:] = bias
        assert asm_twin(net).steps[0].bits == bits


def with_rule(net, multiplier, shift):
    first, *rest = net.layers
    rule = Requantiser(multiplier, shift, net.levels)
    return dataclasses.replace(net, layers=(dataclasses.replace(first, requantiser=rule), *rest))


def refused(work, net):
    """The message: one line that says what was found, what is needed and what to do."""
    with pytest.raises(InputError) as caught:
        work(net)
    text = str(caught.value)
    assert text.isprintable() and ": found " in text and ", need " in text and "; " in text
    return text


def test_the_shift_is_moved_into_the_multiplier():
    net = int8_net(np.random.default_rng(0), (4, 3, 2))
    assert asm_twin(with_rule(net, 255, 9)).steps[0].multiplier == 255 << 7
    assert asm_twin(with_rule(net, 255, 8)).steps[0].multiplier == 255 << 8
    assert asm_twin(with_rule(net, 127, 7)).steps[0].multiplier == 127 << 9
    assert "found multiplier 128 at shift 7, need one below 65536 at shift 16" in refused(
        asm_twin, with_rule(net, 128, 7)
    )
    assert "found multiplier 1 at shift 17" in refused(asm_twin, with_rule(net, 1, 17))


def test_sums_and_lengths_that_no_kernel_holds():
    random = np.random.default_rng(1)
    wide = int8_net(random, (1021, 1, 2))
    assert "layer 1: found 1021 inputs, need 1020 at most with 16-bit sums" in refused(asm_twin, wide)
    net = int8_net(random, (256, 2, 2), levels=255, most=1 << 22)
    assert "layer 1: found 256 inputs, need 255 at most with 24-bit sums" in refused(asm_twin, net)
    net = int8_net(random, (4, 2, 2))
    net.layers[0].bias[:] = 1 << 23
    assert "sums of layer 1: found" in refused(asm_twin, net)
    assert "need 24 bits" in refused(asm_twin, net)
    assert "need 16 bits" in refused(unrolled_twin, net)


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT16, WeightFormat.FLOAT32])
@pytest.mark.parametrize("work", [asm_twin, unrolled_twin])
def test_only_int8_nets_have_a_twin(fmt, work):
    assert f"found format {fmt.label}, need int8" in refused(work, quantise(random_network(), fmt))


@pytest.mark.parametrize(
    ("shape", "name"), [((16, 16), "16x16"), ((28, 28), "28x28"), ((8, 8), None), ((28, 16), None)]
)
@pytest.mark.parametrize("work", [asm_twin, unrolled_twin])
def test_the_front_end_in_assembly_is_for_the_sizes_that_it_has(shape, name, work):
    inputs = shape[0] * shape[1] // 4
    assert work(int8_net(np.random.default_rng(2), (inputs, 3, 2), style="sparse", shape=shape)).front_end == name


@pytest.mark.parametrize("kernel", ["asm", "unrolled"])
@pytest.mark.parametrize("sizes", [(30, 10), (4, 60, 3), (64, 40, 10)])
def test_the_arena_holds_everything(kernel, sizes):
    planned = plan(int8_net(np.random.default_rng(3), sizes, style="few"), kernel)
    assert planned.arena_bytes >= max(twin_arena_bytes(planned.twin), 2 * sizes[0])


def test_what_vouches_for_the_weights_changes_with_each_of_them():
    net = int8_net(np.random.default_rng(4), (16, 9, 5))
    for kernel in ("asm", "unrolled"):
        before = plan(net, kernel).weights_crcs
        assert len(set(before)) == 2
        for layer in net.layers:
            layer.weights[0, 0] += 1
            changed = plan(net, kernel).weights_crcs
            layer.weights[0, 0] -= 1
            assert changed[0] != before[0] and changed[1] != before[1]
