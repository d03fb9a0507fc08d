"""Convolutions and pools in C whose two directions differ: kernels, strides, padding, windows; any input channels."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from c_arguments import pointer
from conv_definition import Conv, ConvStruct, Map, PoolStruct, random_conv, random_map
from hypothesis import given, settings
from hypothesis import strategies as st

GUARD = 0xA5
IN_FRONT = b"\x7f" * 5
PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
SIDES = st.tuples(st.integers(1, 10), st.integers(1, 10))
PADDING = st.tuples(*[st.integers(0, 3)] * 4)


def fitting(padding: tuple[int, ...], kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    """Padding that leaves a part of the kernel inside at every position."""
    above, left, below, right = padding
    rows, columns = kernel
    return min(above, rows - 1), min(left, columns - 1), min(below, rows - 1), min(right, columns - 1)


def run_conv(core: ctypes.CDLL, layer: Conv, values: Map, backward: int = 0, *, is_terse: bool = False) -> Map:
    out = np.full(int(np.prod(layer.out_shape)) + 8, GUARD, np.uint8)
    stage = ConvStruct(**layer.fields(len(IN_FRONT), backward=backward, is_terse=is_terse))
    numbers = np.frombuffer(IN_FRONT + layer.row_bytes, np.uint8)
    run = core.nn_conv_i8_run if layer.bits == 8 else core.nn_conv_packed_run
    run(ctypes.byref(stage), pointer(numbers), pointer(values), pointer(out))
    assert np.all(out[-8:] == GUARD), "wrote past its outputs"
    return out[:-8].reshape(layer.out_shape)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.tuples(*[st.integers(1, 4)] * 3),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    stride=PAIRS,
    padding=PADDING,
    pool=PAIRS,
    sides=SIDES,
    backward=st.integers(0, 1),
    bits=st.sampled_from([8, 4, 2]),
    top=st.sampled_from([255, 63, 31, 15]),
)
def test_any_convolution(core, seed, counts, kernel, stride, padding, pool, sides, backward, bits, top) -> None:
    random = np.random.default_rng(seed)
    groups, inputs, outputs = counts
    options = {"groups": groups, "bits": bits, "top": top, "stride": stride, "pool": pool}
    shape = (*sides, groups * inputs)
    layer = random_conv(random, shape, groups * outputs, kernel, padding=fitting(padding, kernel), **options)
    if min(*layer.convolved, *layer.out_shape) < 1:
        return
    values = random_map(random, shape)
    assert np.array_equal(run_conv(core, layer, values, backward), layer.run(values))


def test_what_a_square_layer_leaves_out(core: ctypes.CDLL) -> None:
    """As headers have it that were rendered before the two directions could differ."""
    random = np.random.default_rng(1)
    layer = random_conv(random, (9, 7, 3), 5, (3, 3), stride=(2, 2), padding=(1, 1, 1, 1), pool=(2, 2))
    values = random_map(random, layer.shape)
    assert np.array_equal(run_conv(core, layer, values, is_terse=True), layer.run(values))


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_padding_on_one_side_alone(core: ctypes.CDLL, bits: int) -> None:
    """As TensorFlow's SAME has it for an even number of positions with stride 2."""
    random = np.random.default_rng(2)
    for side in range(4):
        padding = tuple(int(index == side) for index in range(4))
        layer = random_conv(random, (8, 8, 2), 3, (3, 3), stride=(2, 2), padding=padding, bits=bits)
        values = random_map(random, layer.shape)
        assert np.array_equal(run_conv(core, layer, values), layer.run(values))


@pytest.mark.parametrize("kernel", [(1, 5), (5, 1)])
def test_one_dimension(core: ctypes.CDLL, kernel: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    shape = (1, 200, 2) if kernel[0] == 1 else (200, 1, 2)
    pool = (1, 3) if kernel[0] == 1 else (3, 1)
    layer = random_conv(random, shape, 4, kernel, pool=pool)
    values = random_map(random, shape)
    assert np.array_equal(run_conv(core, layer, values), layer.run(values))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.tuples(*[st.integers(1, 4)] * 3),
    kernels=st.tuples(PAIRS, PAIRS),
    strides=st.tuples(PAIRS, PAIRS),
    paddings=st.tuples(PADDING, PADDING),
    pools=st.tuples(PAIRS, PAIRS),
    sides=st.tuples(st.integers(2, 13), st.integers(2, 13)),
    bits=st.sampled_from([8, 4, 2]),
)
def test_two_convolutions_in_turns(core, seed, channels, kernels, strides, paddings, pools, sides, bits) -> None:
    """With room for the second kernel's rows alone between them."""
    random = np.random.default_rng(seed)
    layers, shape = [], (*sides, channels[0])
    for turn in (0, 1):
        padding = fitting(paddings[turn], kernels[turn])
        options = {"stride": strides[turn], "padding": padding, "pool": pools[turn], "bits": bits}
        layer = random_conv(random, shape, channels[turn + 1], kernels[turn], **options)
        if min(*layer.convolved, *layer.out_shape) < 1:
            return
        layers.append(layer)
        shape = layer.out_shape
    first, second = layers
    values = random_map(random, first.shape)
    numbers = np.frombuffer(first.row_bytes + second.row_bytes, np.uint8)
    structs = ConvStruct(**first.fields(0)), ConvStruct(**second.fields(len(first.row_bytes)))
    between = np.full(kernels[1][0] * second.shape[1] * second.shape[2] + 8, GUARD, np.uint8)
    out = np.full(int(np.prod(shape)) + 8, GUARD, np.uint8)
    run = core.nn_conv_i8_pair if bits == 8 else core.nn_conv_packed_pair
    places = (pointer(values), pointer(between), pointer(out))
    run(*(ctypes.byref(struct) for struct in structs), pointer(numbers), *places)
    assert np.array_equal(out[:-8].reshape(shape), second.run(first.run(values)))
    assert np.all(out[-8:] == GUARD) and np.all(between[-8:] == GUARD), "wrote past its room"


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 17), st.integers(1, 17), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    stride=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    is_average=st.booleans(),
    backward=st.integers(0, 1),
)
def test_any_pool(core, seed, shape, size, stride, is_average, backward) -> None:
    height, width = ((side - kernel) // step + 1 for side, kernel, step in zip(shape, size, stride, strict=False))
    if min(height, width) < 1:
        return
    random = np.random.default_rng(seed)
    for values in (random_map(random, shape), np.full(shape, 255, np.uint8)):
        expected = np.zeros((height, width, shape[2]), np.uint8)
        for y, x, c in np.ndindex(expected.shape):
            window = values[y * stride[0] :, x * stride[1] :, c][: size[0], : size[1]].astype(int)
            mean = (window.sum() + window.size // 2) // window.size
            expected[y, x, c] = mean if is_average else window.max()
        out = np.full(expected.size + 8, GUARD, np.uint8)
        stage = PoolStruct(shape[1], shape[2], size[0], height, width, backward, stride[0], size[1], stride[1])
        run = core.nn_pool_average if is_average else core.nn_pool_max
        run(ctypes.byref(stage), pointer(values), pointer(out))
        assert np.array_equal(out[:-8].reshape(expected.shape), expected)
        assert np.all(out[-8:] == GUARD), "wrote past its outputs"


def test_the_limits_of_a_byte(core: ctypes.CDLL) -> None:
    """255 rows, columns and channels, in turn."""
    random = np.random.default_rng(4)
    for shape in ((255, 2, 2), (2, 255, 2), (2, 2, 255)):
        layer = random_conv(random, shape, 2, (2, 2), padding=(1, 0, 0, 1))
        values = random_map(random, shape)
        assert np.array_equal(run_conv(core, layer, values), layer.run(values))
        assert np.array_equal(run_conv(core, replace(layer, top=63), values), np.minimum(layer.run(values), 63))
