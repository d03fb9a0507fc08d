"""Convolutions and pools of integers in C against the definition, the two directions alike or not."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from c_arguments import pointer
from definition import run_op
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_stages import (
    GUARD,
    SQUARE,
    ConvStruct,
    conv_fields,
    from_memory,
    geometries,
    in_memory,
    numbers_of,
    pool_struct,
    random_conv,
    random_map,
    random_rows,
    square_geometries,
    with_guard,
)
from numpy.typing import NDArray

from host.compile.memory import Pair, lay_out, row_use
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows, elements

Map = NDArray[np.uint8]
SEEDS = st.integers(0, 2**32 - 1)
BITS = st.sampled_from([8, 4, 2])


def run_conv(core: ctypes.CDLL, op: Conv, image: Map, backward: int = 0, left_out: Collection[str] = ()) -> Map:
    numbers, (start,) = numbers_of(op)
    stage = ConvStruct(**conv_fields(op, start, backward=backward, left_out=left_out))
    run = core.nn_conv_i8_run if op.rows.format.bits == 8 else core.nn_conv_packed_run
    out = with_guard(run, stage, numbers, in_memory(image), out=np.empty(elements(op.output_shape), np.uint8))
    return from_memory(out, op.output_shape)


def check_conv(core: ctypes.CDLL, random: np.random.Generator, op: Conv, *arguments: Any) -> None:
    image = random_map(random, op.input_shape)
    assert np.array_equal(run_conv(core, op, image, *arguments), run_op(op, image))


def placed(rows: Rows, channels: int, geometry: tuple, groups: int = 1) -> Conv:
    """A convolution of a drawn geometry."""
    sides, _, strides, pads, pool = geometry
    return Conv((channels, *sides), rows, Codes(), strides, pads, groups, pool)


@settings(max_examples=200)
@given(
    seed=SEEDS,
    counts=st.tuples(*[st.integers(1, 4)] * 3),
    geometry=geometries(kernel=6, stride=4, pool=4, side=10),
    backward=st.integers(0, 1),
    bits=BITS,
    top=st.sampled_from([255, 63, 31, 15]),
)
def test_any_convolution(core, seed, counts, geometry, backward, bits, top) -> None:
    random, (groups, inputs, outputs) = np.random.default_rng(seed), counts
    rows = random_rows(random, (groups * outputs, inputs, *geometry[1]), bits=bits, top=top)
    check_conv(core, random, placed(rows, groups * inputs, geometry, groups), backward)


@settings(max_examples=100)
@given(
    seed=SEEDS,
    counts=st.tuples(*[st.integers(1, 4)] * 3),
    geometry=square_geometries(kernel=6, stride=3, pool=3, side=9),
    backward=st.integers(0, 1),
    bits=BITS,
    top=st.sampled_from([0, 255, 63, 31, 15]),
)
def test_what_a_square_layer_leaves_out(core, seed, counts, geometry, backward, bits, top) -> None:
    """As headers have it that were rendered before the two directions could differ, and those of top 0 before codes
    could end below 255."""
    random, (groups, inputs, outputs) = np.random.default_rng(seed), counts
    rows = random_rows(random, (groups * outputs, inputs, *geometry[1]), bits=bits, top=top or 255)
    left_out = SQUARE if top else (*SQUARE, "top")
    check_conv(core, random, placed(rows, groups * inputs, geometry, groups), backward, left_out)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_padding_on_one_side_alone(core: ctypes.CDLL, bits: int) -> None:
    """As TensorFlow's SAME has it for an even number of positions with stride 2."""
    random = np.random.default_rng(2)
    for side in range(4):
        pads = tuple(int(index == side) for index in range(4))
        check_conv(core, random, random_conv(random, (2, 8, 8), 3, (3, 3), strides=(2, 2), pads=pads, bits=bits))


@pytest.mark.parametrize("kernel", [(1, 5), (5, 1)])
def test_one_dimension(core: ctypes.CDLL, kernel: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    shape, pool = ((2, 1, 200), (1, 3)) if kernel[0] == 1 else ((2, 200, 1), (3, 1))
    check_conv(core, random, random_conv(random, shape, 4, kernel, pool=pool))


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 5, 12])
def test_depthwise(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random = np.random.default_rng(inputs)
    options = {"groups": inputs, "bits": bits, "pads": (1, 1, 1, 1), "pool": (2, 2)}
    check_conv(core, random, random_conv(random, (inputs, 9, 7), 2 * inputs, (3, 3), **options))


def test_wide_rows_and_many_channels(core: ctypes.CDLL) -> None:
    """A kernel row of more than 255 weights, a map of more than 32 KiB."""
    random = np.random.default_rng(7)
    check_conv(core, random, random_conv(random, (200, 6, 30), 3, (3, 3), pads=(1, 1, 1, 1)))


def test_the_limits_of_a_byte(core: ctypes.CDLL) -> None:
    """255 channels, rows and columns, in turn."""
    random = np.random.default_rng(4)
    for shape in ((255, 2, 2), (2, 255, 2), (2, 2, 255)):
        op = random_conv(random, shape, 2, (2, 2), pads=(1, 0, 0, 1))
        for top in (255, 63):
            check_conv(core, random, replace(op, rows=replace(op.rows, codes=Codes(top))))


def test_a_map_may_grow_over_the_one_it_comes_from(core: ctypes.CDLL) -> None:
    """Two rows in front are room enough for a padded 3x3 convolution of as many channels."""
    random = np.random.default_rng(8)
    op = random_conv(random, (4, 10, 8), 4, (3, 3), pads=(1, 1, 1, 1))
    image, row = random_map(random, op.input_shape), 8 * 4
    numbers, (start,) = numbers_of(op)
    for backward in (0, 1):
        arena = np.full(image.size + 2 * row, GUARD, np.uint8)
        source, target = (arena, arena[2 * row :]) if backward else (arena[2 * row :], arena)
        source[: image.size] = in_memory(image).ravel()
        stage = ConvStruct(**conv_fields(op, start, backward=backward))
        core.nn_conv_i8_run(ctypes.byref(stage), pointer(numbers), pointer(source), pointer(target))
        assert np.array_equal(from_memory(target[: image.size], op.output_shape), run_op(op, image))


@st.composite
def two_geometries(draw: st.DrawFn) -> list[tuple]:
    """The second one's input is what the first one puts out."""
    first = draw(geometries(kernel=4, stride=4, pool=4, side=13))
    rows = Rows(None, np.empty((1, 1, *first[1])), np.empty(1))
    between = placed(rows, 1, first).output_shape[1:]
    return [first, draw(geometries(kernel=4, stride=4, pool=4, side=13, shape=between))]


@settings(max_examples=100)
@given(
    seed=SEEDS,
    channels=st.tuples(*[st.integers(1, 5)] * 3),
    both=two_geometries(),
    keep_image=st.booleans(),
    bits=BITS,
)
def test_two_convolutions_in_turns(core, seed, channels, both, keep_image, bits) -> None:
    """In the arena that the exporter lays out, so that a row overwritten too early shows, and with room for the second
    kernel's rows alone between them."""
    random = np.random.default_rng(seed)
    ops = []
    for turn, geometry in enumerate(both):
        rows = random_rows(random, (channels[turn + 1], channels[turn], *geometry[1]), bits=bits)
        ops.append(placed(rows, channels[turn], geometry))
    image, shape = random_map(random, ops[0].input_shape), ops[1].output_shape
    expected = run_op(ops[1], run_op(ops[0], image))
    numbers, starts = numbers_of(*ops)
    stages = [ConvStruct(**conv_fields(op, start)) for op, start in zip(ops, starts, strict=True)]

    def run(source: Map, between: Map, out: Map) -> Map:
        pair = core.nn_conv_i8_pair if bits == 8 else core.nn_conv_packed_pair
        pair(*map(ctypes.byref, stages), *map(pointer, (numbers, source, between, out)))
        return from_memory(out[: expected.size], shape)

    scores = Dense(shape, random_rows(random, (2, expected.size), scores=True))
    layout = lay_out([row_use([op]) for op in (*ops, scores)], keep_image, Pair(0, ops[1]))
    arena = np.full(layout.arena_bytes + 8, GUARD, np.uint8)
    source = in_memory(image).ravel()
    if layout.image is not None:
        arena[layout.image :][: image.size] = source
        source = arena[layout.image :]
    assert np.array_equal(run(source, arena[layout.places[1].source :], arena[layout.places[1].target :]), expected)
    assert np.all(arena[-8:] == GUARD), "wrote past the arena"
    rows_bytes = ops[1].kernel[0] * ops[1].input_shape[2] * channels[1]
    between, out = (np.full(size + 8, GUARD, np.uint8) for size in (rows_bytes, expected.size))
    assert np.array_equal(run(in_memory(image), between, out), expected)
    assert np.all(out[-8:] == GUARD) and np.all(between[-8:] == GUARD), "wrote past its room"


def check_pool(core: ctypes.CDLL, op: Pool, image: Map, stage: ctypes.Structure) -> None:
    run = core.nn_pool_average if op.is_average else core.nn_pool_max
    out = with_guard(run, stage, in_memory(image), out=np.empty(elements(op.output_shape), np.uint8))
    assert np.array_equal(from_memory(out, op.output_shape), run_op(op, image))


@st.composite
def windows(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """For each axis side, window and stride."""
    sizes = [draw(st.integers(1, 16)) for _ in range(2)]
    return [(draw(st.integers(size, 17)), size, draw(st.integers(1, 5))) for size in sizes]


@settings(max_examples=150)
@given(seed=SEEDS, axes=windows(), channels=st.integers(1, 4), is_average=st.booleans(), backward=st.integers(0, 1))
def test_any_pool(core, seed, axes, channels, is_average, backward) -> None:
    sides, size, strides = zip(*axes, strict=True)
    op = Pool((channels, *sides), size, strides, is_average)
    random = np.random.default_rng(seed)
    for image in (random_map(random, op.input_shape), np.full(op.input_shape, 255, np.uint8)):
        check_pool(core, op, image, pool_struct(op, backward))


@pytest.mark.parametrize("is_average", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("backward", [0, 1])
def test_a_pool_without_a_stride(core: ctypes.CDLL, size: int, is_average: bool, backward: int) -> None:
    """As headers have it that were rendered before there was one: windows side by side."""
    random = np.random.default_rng(size)
    for shape in ((1, 16, 16), (7, 17, 19), (3, 32, 16)):
        op = Pool(shape, (size, size), (size, size), is_average)
        stage = pool_struct(op, backward)
        stage.stride = stage.size_width = stage.stride_width = 0
        check_pool(core, op, random_map(random, shape), stage)
