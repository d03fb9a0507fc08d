"""How an op's numbers lie in flash, read back and executed as nn.h and nn_avr.h define it."""

import dataclasses

import numpy as np
import pytest
from definition import requantised, run
from graphs import conv, dense_graph, random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import network_of, random_network
from nn_stages import random_float_rows, random_rows, rom_of, shift_of

from host.compile.boards import ATMEGA328P, BOARDS
from host.compile.kernels import avr_patch
from host.compile.kernels.avr_conv import DepthConv, PatchConv
from host.compile.kernels.avr_dense import DENSE16, DENSE24
from host.compile.kernels.avr_long import LongDense
from host.compile.kernels.avr_patch import PatchDense
from host.compile.kernels.avr_sums import SUMS16, SUMS24
from host.compile.kernels.floats import FloatConv, FloatDense
from host.compile.kernels.kinds import PORTABLE
from host.compile.kernels.portable import PortableConv, PortableDense
from host.compile.memory import Place
from host.compile.program import make_program
from host.compile.select import choose, plain
from host.nn.formats import WeightFormat
from host.quantise.lower import lower
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows
from host.quantise.requantisers import HalfUp

SOMEWHERE = Place(0, 4, backward=False)
STORED = {("nn_avr_dense16", 16): 2, ("nn_avr_sums16", 16): 2, ("nn_avr_dense24", 24): 4, ("nn_avr_sums24", 24): 3}
"""Bytes of one sum where it waits to be made an activation."""
BLOCK_KERNELS = {16: (DENSE16, SUMS16), 24: (DENSE24, SUMS24)}
LIMIT = {16: 12, 24: 7}


def block_numbers(step, block):
    """(weights (outputs, inputs), bias) of one block, decoded from the bytes that lie in flash."""
    rom, bits, inputs = step.packed.rom, step.packed.fields["bits"], step.ops[0].inputs
    at, width = block.rom, bits // 8
    bias = [int.from_bytes(rom[at + width * k :][:width], "little", signed=True) for k in range(block.outputs)]
    raw = np.frombuffer(rom[at + width * block.outputs :][: inputs * block.outputs], np.uint8)
    raw = raw.reshape(inputs, block.outputs)
    weights = raw.view(np.int8).astype(int) if bits == 16 else raw.astype(int) - 128
    return weights.T, np.array(bias)


def rule_of(step):
    """(multipliers (outputs,), shift)."""
    facts, outputs, told = step.packed.fields, step.ops[0].rows.outputs, dict(step.description.numbers)
    if "multiplier" in told:
        return np.full(outputs, told["multiplier"]), facts["bits"]
    # NN_AVR_SHIFT16
    return np.frombuffer(step.packed.rom[facts["multipliers"] :], "<u2").astype(int), 16 if told.get("flags") else 24


def execute(program, features):
    """Scores of one image, every intermediate number in the arena where the program puts it."""
    arena = np.full(program.arena_bytes, 0xA5, np.uint8)
    for step in program.steps:
        memory = features if step.place.source is None else arena[step.place.source :]
        width = STORED[step.kernel.name, step.packed.fields["bits"]]
        sums = np.zeros(step.ops[0].rows.outputs, int)
        for block in step.packed.fields["blocks"]:
            # The kernels run one after the other, and each reads the inputs anew.
            x = memory[: step.ops[0].inputs].astype(int)
            weights, bias = block_numbers(step, block)
            part = slice(block.first, block.first + block.outputs)
            sums[part] = weights @ x + bias
            if step.place.target is not None:
                place = step.place.target + width * block.first
                stored = sums[part].astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].ravel()
                arena[place : place + len(stored)] = stored
        if step.ops[0].rows.requantiser is not None:
            multipliers, shift = rule_of(step)
            activations = requantised(sums, multipliers, shift, step.ops[0].codes.high)
            arena[step.place.target : step.place.target + len(activations)] = activations
    return sums.tolist()


@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("sizes", [(1, 1, 2), (16, 12, 10), (64, 40, 10), (196, 25, 13), (30, 10), (9, 8, 30, 14, 10)])
def test_executed_as_laid_out_it_gives_the_references_scores(sizes, bits, keep_image):
    random = np.random.default_rng(sum(sizes))
    top, most = (63, 32767) if bits == 16 else (255, 8_000_000)
    graph = dense_graph(random, sizes, top=top, most=most)
    features = random_inputs(random, 4, sizes[0], top)
    for kernel in BLOCK_KERNELS[bits]:
        assert all(kernel.refuses((op,), ATMEGA328P) is None for op in graph.ops)
        tiles = [(kernel, (op,)) for op in graph.ops]
        program = make_program(graph, ATMEGA328P, tiles, keep_image=keep_image, pair=None)
        for row in features:
            program_scores = execute(program, row) if keep_image else execute_in_place(program, row)
            assert program_scores == run(graph, row.reshape(1, 1, -1))[-1].tolist()


def execute_in_place(program, features):
    """As `execute`, the image in the arena: whatever is written may lie over what of it is used up."""
    first, *others = program.steps
    assert first.place.source == program.image_at is not None
    apart = dataclasses.replace(first, place=dataclasses.replace(first.place, source=None))
    return execute(dataclasses.replace(program, steps=(apart, *others)), features)


@pytest.mark.parametrize("kernel", [DENSE16, DENSE24, SUMS16, SUMS24])
@pytest.mark.parametrize("outputs", [1, 7, 8, 12, 13, 24, 25, 40, 255])
def test_blocks_are_as_few_and_as_even_as_they_go(outputs, kernel):
    graph = dense_graph(np.random.default_rng(outputs), (20, outputs, 10), top=63)
    for op in graph.ops:
        packed = kernel.pack((op,), SOMEWHERE)
        blocks = packed.fields["blocks"]
        sizes = [block.outputs for block in blocks]
        assert len(sizes) == -(-op.rows.outputs // LIMIT[kernel.bits])
        assert sum(sizes) == op.rows.outputs and max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)
        at = first = 0
        for block in blocks:
            assert (block.rom, block.first) == (at, first)
            at, first = at + block.outputs * (kernel.bits // 8 + op.inputs), first + block.outputs
        has_multipliers = "multipliers" in packed.fields and op.rows.requantiser is not None
        assert len(packed.rom) == at + (2 * op.rows.outputs if has_multipliers else 0)


@pytest.mark.parametrize("kernel", ["portable", "asm", "unrolled"])
def test_what_vouches_for_the_weights_changes_with_each_of_them(kernel):
    graph = dense_graph(np.random.default_rng(4), (16, 9, 5), most=2000)

    def crcs():
        again = tuple(dataclasses.replace(op) for op in graph.ops)  # code is remembered by the identity of ops
        return choose(dataclasses.replace(graph, ops=again), BOARDS["uno"], kernel).weights_crcs

    before = crcs()
    assert len(set(before)) == (1 if kernel == PORTABLE else 2)
    for op in graph.ops:
        op.rows.weights[0, 0] += 1
        assert set(crcs()).isdisjoint(before)
        op.rows.weights[0, 0] -= 1
    assert crcs() == before


def test_a_row_is_bias_multiplier_and_weights_in_the_order_of_the_map():
    program = plain(lower(network_of("padded"))).portable
    (first, second), row = (op.rows for op in program.graph.ops[:2]), 4 + 2 + 25
    head = program.rom[:row]
    assert np.frombuffer(head[:4], "<i4")[0] == first.bias[0]
    assert np.frombuffer(head[4:6], "<u2")[0] == first.requantiser.multipliers[0]
    assert np.array_equal(np.frombuffer(head[6:], np.int8), first.weights[0].ravel())
    at = program.steps[1].rom
    assert at == 4 * row
    weights = np.frombuffer(program.rom[at + 6 :][:36], np.int8).reshape(3, 3, 4)
    assert np.array_equal(weights.transpose(2, 0, 1), second.weights[0])


def test_a_dense_row_over_a_map_follows_the_map_too_and_scores_have_no_multiplier():
    op = lower(network_of("plain")).ops[-1]
    channels, height, width = op.input_shape
    row = PortableDense().pack((op,), SOMEWHERE).rom[: 4 + op.inputs]
    assert np.frombuffer(row[:4], "<i4")[0] == op.rows.bias[0]
    weights = np.frombuffer(row[4:], np.int8).reshape(height, width, channels)
    assert np.array_equal(weights.transpose(2, 0, 1).ravel(), op.rows.weights[0])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    fmt=st.sampled_from(WeightFormat),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    counts=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    kind=st.sampled_from(["conv", "dense", "map", "scores"]),
    narrower=st.integers(0, 9),
)
def test_rows_are_what_nn_h_says_of_them(seed, fmt, shape, counts, kind, narrower):
    random, (groups, outputs) = np.random.default_rng(seed), counts
    (channels, height, width), is_conv = shape, kind == "conv"
    inputs = (channels, height, width) if is_conv else (channels * height * width,)
    if fmt.is_integer:
        rows = random_rows(random, (groups * outputs, *inputs), bits=fmt.bits, scores=kind == "scores")
        if rule := rows.requantiser:  # boards shift by 16 and 24 alone
            rule = HalfUp(rule.multipliers >> np.uint16(narrower) | np.uint16(1), rule.shift - narrower)
            rows = dataclasses.replace(rows, requantiser=rule)
    else:
        rows = random_float_rows(random, (groups * outputs, *inputs), fmt is WeightFormat.FLOAT16, relu=True)
    if is_conv:
        op, portable, of_floats = Conv((groups * channels, 9, 9), rows, Codes(), groups=groups), PortableConv, FloatConv
    else:
        op, portable, of_floats = Dense(inputs if kind == "dense" else shape, rows), PortableDense, FloatDense
    packed = (portable if fmt.is_integer else of_floats)().pack((op,), SOMEWHERE)
    assert packed.rom == rom_of(op)
    assert not fmt.is_integer or dict(packed.description.numbers)["shift"] == shift_of(rows)


@pytest.mark.parametrize("fmt", [WeightFormat.INT4, WeightFormat.TERNARY])
def test_packed_weights_take_their_bits_and_a_row_begins_on_a_byte(fmt):
    graph = lower(network_of("padded"), fmt)
    rows = [op.rows for op in graph.ops if not isinstance(op, Pool)]
    row_bytes = [-(-each.weights[0].size * fmt.bits // 8) for each in rows]
    rom = plain(graph).portable.rom
    expected = sum((6 + size) * each.outputs for size, each in zip(row_bytes, rows, strict=True))
    assert len(rom) == expected - 2 * rows[-1].outputs  # scores have no multiplier
    row = np.frombuffer(rom[6 : 6 + row_bytes[0]], np.uint8)
    fields = (row[:, None] >> (fmt.bits * np.arange(8 // fmt.bits))).ravel()[:25] & (2**fmt.bits - 1)
    assert (fields.astype(int) - 2 ** (fmt.bits - 1)).tolist() == rows[0].weights[0].ravel().tolist()


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, WeightFormat.FLOAT16])
def test_floats_are_rows_of_a_bias_and_weights(fmt):
    graph = lower(random_network(hidden=7, classes=5), fmt)
    program = plain(graph).portable
    kind = "<f2" if fmt is WeightFormat.FLOAT16 else "<f4"
    for step, op in zip(program.steps[1:], graph.ops[1:], strict=True):
        row = np.dtype([("bias", "<f4"), ("weights", kind, op.inputs)])
        rows = np.frombuffer(program.rom[step.rom :][: row.itemsize * op.rows.outputs], row)
        assert np.array_equal(rows["bias"], op.rows.bias) and np.array_equal(rows["weights"], op.rows.weights)


def test_a_depthwise_convolution_is_laid_out_for_its_own_kernel():
    op = lower(network_of("separable")).ops[1]
    rom, blocks = DepthConv().pack((op,), SOMEWHERE).rom, avr_patch.cut(op.rows, is_depthwise=True)
    assert (blocks.sizes, blocks.routine) == ([4, 3], "nn_avr_depth24")
    block = rom[4 * (3 + 2 + 9) :]
    assert len(block) == 3 * (3 + 2 + 9)
    bias = np.frombuffer(b"".join(block[at : at + 3] + b"\0" for at in (0, 3, 6)), "<i4")
    assert np.array_equal(bias, op.rows.bias[4:] % 2**24)
    assert np.array_equal(np.frombuffer(block[9:15], "<u2"), op.rows.requantiser.multipliers[4:])
    weights = np.frombuffer(block[15:], np.int8).reshape(3, 3, 3)
    assert np.array_equal(weights, op.rows.weights[4:, 0].transpose(1, 2, 0))


def test_blocks_of_a_patch_are_laid_out_input_by_input():
    op = conv(np.random.default_rng(5), (3, 8, 8), 8, (2, 2), most=2**22)
    rom, sizes = PatchConv().pack((op,), SOMEWHERE).rom, avr_patch.cut(op.rows).sizes
    assert sizes == [4, 4] and len(rom) == 8 * (3 + 2 + 12)
    for k, first in ((0, 0), (1, 4)):
        block = rom[k * len(rom) // 2 :]
        assert [int.from_bytes(block[3 * i :][:3], "little") for i in range(4)] == (
            op.rows.bias[first : first + 4] % 2**24
        ).tolist()
        weights = np.frombuffer(block[20:68], np.uint8).reshape(2, 2, 3, 4).astype(int) - 128
        assert np.array_equal(weights.transpose(3, 2, 0, 1), op.rows.weights[first : first + 4])


@pytest.mark.parametrize("fmt", [WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY])
def test_a_row_too_long_for_one_sum_is_cut_where_it_must_be(fmt):
    random = np.random.default_rng(6)
    weights = random.integers(-fmt.weight_max, fmt.weight_max + 1, (10, 5408))
    op = Dense((5408,), Rows(fmt, weights.astype(np.int8), random.integers(-9, 9, 10).astype(np.int32)))
    assert PatchDense().refuses((op,), ATMEGA328P) is not None
    assert LongDense().refuses((op,), ATMEGA328P) is None
    packed = LongDense().pack((op,), SOMEWHERE)
    rom, told = packed.rom, dict(packed.description.numbers)
    pieces = np.frombuffer(rom[: 2 * told["pieces"]], np.uint8).reshape(-1, 2).astype(int).prod(axis=1)
    assert pieces.sum() == 5408 and len(pieces) > 1
    limit = 2 ** ({8: 24, 4: 20, 2: 18}[fmt.bits] - 1)
    for part in np.split(weights, np.cumsum(pieces)[:-1], axis=1):
        assert 255 * np.abs(np.where(part > 0, part, 0).sum(axis=1)).max() < limit
        assert 255 * np.abs(np.where(part < 0, part, 0).sum(axis=1)).max() <= limit
