"""The integer kernels in C against the definition: shapes, strides, padding, groups, pools, edges."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_arguments import pointer
from definition import run_op
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from host.compile.kernels import layouts
from host.compile.memory import Pair, lay_out, row_use
from host.nn.formats import WeightFormat
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows
from host.quantise.requantisers import HalfUp

GUARD = 0xA5
FORMATS = {8: WeightFormat.INT8, 4: WeightFormat.INT4, 2: WeightFormat.TERNARY}


def bytes_of(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_uint8) for name in names)


class ConvLayer(ctypes.Structure):
    """nn_conv_i8."""

    _fields_ = (
        ("rows", ctypes.c_uint32),
        *bytes_of("height", "width", "channels", "kernel", "stride", "padding", "pool"),
        *bytes_of("kernel_width", "stride_width", "padding_left", "pool_width"),
        *bytes_of(
            "group_inputs", "group_outputs", "out_height", "out_width", "outputs", "shift", "backward", "bits", "top"
        ),
    )


class RowsLayer(ctypes.Structure):
    """nn_dense."""

    _fields_ = (("rows", ctypes.c_uint32), ("inputs", ctypes.c_uint16), *bytes_of("outputs", "shift", "bits", "top"))


class PoolLayer(ctypes.Structure):
    """nn_pool."""

    _fields_ = bytes_of(
        "width", "channels", "size", "out_height", "out_width", "backward", "stride", "size_width", "stride_width"
    )


def random_rows(
    random: np.random.Generator, shape: tuple[int, ...], *, scores: bool = False, bits: int = 8, top: int = 255
) -> Rows:
    """Numbers whose activations use their range."""
    largest = 2 ** (bits - 1) - 1
    weights = random.integers(-largest, largest + 1, shape).astype(np.int8)
    bias = random.integers(-24 * largest, 24 * largest + 1, shape[0]).astype(np.int32)
    if scores:
        return Rows(FORMATS[bits], weights, bias)
    shift = int(random.choice([16, 24]))
    typical = 40 * largest * np.sqrt(weights[0].size) + 1
    multipliers = np.minimum(random.uniform(0.2, 3, shape[0]) * 255 / typical * 2.0**shift + 1, 65535)
    return Rows(FORMATS[bits], weights, bias, HalfUp(multipliers.astype(np.uint16), shift), Codes(top))


def numbers_of(op: Conv | Dense) -> NDArray[np.uint8]:
    """The op's bytes in flash, with some in front, because `rows` may begin anywhere."""
    return np.frombuffer(b"\x7f" * 5 + layouts.row_bytes(op), np.uint8)


def conv_of(shape: tuple[int, int, int], rows: Rows, stride: int, padding: int, groups: int, pool: int) -> Conv:
    return Conv(shape, rows, Codes(), (stride, stride), (padding,) * 4, groups, (pool, pool))


def described(op: Conv, backward: int, top: int | None = None) -> ConvLayer:
    """`top` is what the description says; 0 stands for 255."""
    (channels, height, width), (outputs, out_height, out_width) = op.input_shape, op.output_shape
    sizes = (height, width, channels, op.kernel[0], op.strides[0], op.pads[0], op.pool[0], 0, 0, 0, 0)
    groups = (channels // op.groups, outputs // op.groups)
    shift, bits = layouts.board_rule(op.rows)[1], op.rows.format.bits
    ends = (out_height, out_width, outputs, shift, backward, bits, op.codes.high if top is None else top)
    return ConvLayer(5, *sizes, *groups, *ends)


def run_conv(core: ctypes.CDLL, op: Conv, image: NDArray[np.uint8], backward: int, top: int | None = None):
    """(C, H, W) in and out; the kernel's own order is rows, columns, channels."""
    memory = np.ascontiguousarray(image.transpose(1, 2, 0))
    outputs, height, width = op.output_shape
    out = np.full(outputs * height * width + 8, GUARD, np.uint8)
    layer, numbers = described(op, backward, top), numbers_of(op)
    run = core.nn_conv_i8_run if op.rows.format.bits == 8 else core.nn_conv_packed_run
    run(ctypes.byref(layer), pointer(numbers), pointer(memory), pointer(out))
    assert np.all(out[-8:] == GUARD), "wrote past its outputs"
    return out[:-8].reshape(height, width, outputs).transpose(2, 0, 1)


def random_image(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return (random.integers(0, 256, shape) * (random.random(shape) < 0.7)).astype(np.uint8)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    groups=st.integers(1, 4),
    inputs=st.integers(1, 4),
    outputs=st.integers(1, 4),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 3),
    padding=st.integers(0, 5),
    pool=st.integers(1, 3),
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    backward=st.integers(0, 1),
    bits=st.sampled_from([8, 4, 2]),
    top=st.sampled_from([0, 255, 63, 31, 15]),
)
def test_any_convolution(
    core, seed, groups, inputs, outputs, kernel, stride, padding, pool, sides, backward, bits, top
) -> None:
    random = np.random.default_rng(seed)
    rows = random_rows(random, (groups * outputs, inputs, kernel, kernel), bits=bits, top=top or 255)
    op = conv_of((groups * inputs, *sides), rows, stride, min(padding, kernel - 1), groups, pool)
    if min(*op.convolved, *op.output_shape) < 1:
        return
    image = random_image(random, op.input_shape)
    assert np.array_equal(run_conv(core, op, image, backward, top), run_op(op, image))


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 5, 12])
def test_depthwise(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random = np.random.default_rng(inputs)
    op = conv_of((inputs, 9, 7), random_rows(random, (2 * inputs, 1, 3, 3), bits=bits), 1, 1, inputs, 2)
    image = random_image(random, op.input_shape)
    assert np.array_equal(run_conv(core, op, image, 0), run_op(op, image))


def test_wide_rows_and_many_channels(core: ctypes.CDLL) -> None:
    """A kernel row of more than 255 weights, a map of more than 32 KiB."""
    random = np.random.default_rng(7)
    op = conv_of((200, 6, 30), random_rows(random, (3, 200, 3, 3)), 1, 1, 1, 1)
    image = random_image(random, op.input_shape)
    assert np.array_equal(run_conv(core, op, image, 0), run_op(op, image))


def test_a_map_may_grow_over_the_one_it_comes_from(core: ctypes.CDLL) -> None:
    """Three rows in front are room enough for a padded 3x3 convolution of as many channels."""
    random = np.random.default_rng(8)
    op = conv_of((4, 10, 8), random_rows(random, (4, 4, 3, 3)), 1, 1, 1, 1)
    image = random_image(random, op.input_shape)
    row, size = 8 * 4, image.size
    for backward in (0, 1):
        arena = np.full(size + 2 * row, GUARD, np.uint8)
        source, target = (0, 2 * row) if backward else (2 * row, 0)
        arena[source : source + size] = image.transpose(1, 2, 0).ravel()
        layer, numbers = described(op, backward), numbers_of(op)
        at = arena.ctypes.data
        core.nn_conv_i8_run(
            ctypes.byref(layer), pointer(numbers), ctypes.c_void_p(at + source), ctypes.c_void_p(at + target)
        )
        found = arena[target : target + size].reshape(10, 8, 4).transpose(2, 0, 1)
        assert np.array_equal(found, run_op(op, image))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.tuples(*[st.integers(1, 5)] * 3),
    kernels=st.tuples(*[st.integers(1, 4)] * 2),
    strides=st.tuples(*[st.integers(1, 3)] * 2),
    paddings=st.tuples(*[st.integers(0, 3)] * 2),
    pools=st.tuples(*[st.integers(1, 3)] * 2),
    sides=st.tuples(st.integers(2, 14), st.integers(2, 14)),
    keep_image=st.booleans(),
    bits=st.sampled_from([8, 4, 2]),
)
def test_two_convolutions_in_turns(
    core, seed, channels, kernels, strides, paddings, pools, sides, keep_image, bits
) -> None:
    """In the arena that the exporter lays out, so that a row overwritten too early shows."""
    random = np.random.default_rng(seed)
    ops, shape = [], (channels[0], *sides)
    for turn in (0, 1):
        rows = random_rows(random, (channels[turn + 1], shape[0], kernels[turn], kernels[turn]), bits=bits)
        op = conv_of(shape, rows, strides[turn], min(paddings[turn], kernels[turn] - 1), 1, pools[turn])
        if min(*op.convolved, *op.output_shape) < 1:
            return
        ops.append(op)
        shape = op.output_shape
    scores = Dense(shape, random_rows(random, (2, int(np.prod(shape))), scores=True))
    layout = lay_out([row_use([op]) for op in (*ops, scores)], keep_image, Pair(0, ops[1]))
    image = random_image(random, ops[0].input_shape)
    memory = np.ascontiguousarray(image.transpose(1, 2, 0))
    arena = np.full(layout.arena_bytes + 8, GUARD, np.uint8)
    if layout.image is not None:
        arena[layout.image :][: image.size] = memory.ravel()
    first, second = (described(op, 0) for op in ops)
    numbers = numbers_of(ops[0])
    second.rows = len(numbers)
    numbers = np.concatenate([numbers, numbers_of(ops[1])[5:]])
    at = arena.ctypes.data
    source = pointer(memory) if layout.image is None else ctypes.c_void_p(at + layout.image)
    between, out = layout.places[1].source, layout.places[1].target
    run = core.nn_conv_i8_pair if bits == 8 else core.nn_conv_packed_pair
    places = (source, ctypes.c_void_p(at + between), ctypes.c_void_p(at + out))
    run(ctypes.byref(first), ctypes.byref(second), pointer(numbers), *places)
    outputs, height, width = shape
    found = arena[out:][: outputs * height * width].reshape(height, width, outputs).transpose(2, 0, 1)
    assert np.array_equal(found, run_op(ops[1], run_op(ops[0], image)))
    assert np.all(arena[-8:] == GUARD), "wrote past the arena"


def expected(op: Dense, x: NDArray[np.uint8]) -> NDArray[np.int64]:
    """What `definition` says, for rows so long that Python's own whole numbers would take seconds."""
    sums = op.rows.weights.astype(np.int64) @ x.astype(np.int64) + op.rows.bias
    rule = op.rows.requantiser
    if rule is None:
        return sums
    return np.clip((sums * rule.multipliers + (1 << (rule.shift - 1))) >> rule.shift, 0, op.codes.high)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 64, 255, 256, 800, 5408, 65535])
def test_dense_rows(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random = np.random.default_rng(inputs)
    for outputs, top in ((1, 0), (10, 63)):
        x = random_image(random, (inputs,))
        for scores in (False, True):
            op = Dense((inputs,), random_rows(random, (outputs, inputs), scores=scores, bits=bits, top=top or 255))
            shift = layouts.board_rule(op.rows)[1]
            layer, numbers = RowsLayer(5, inputs, outputs, shift, bits, top), numbers_of(op)
            out = np.full(outputs + 4, 0x5A5A5A5A, np.int32)
            kind = f"{'' if bits == 8 else 'packed_'}{'scores' if scores else 'hidden'}"
            run = getattr(core, f"nn_dense_{kind}")
            run(ctypes.byref(layer), pointer(numbers), pointer(x), pointer(out))
            found = out[:outputs].tolist() if scores else out.view(np.uint8)[:outputs].tolist()
            assert found == expected(op, x).tolist()
            past = out[outputs:].view(np.uint8) if scores else out.view(np.uint8)[outputs:]
            assert np.all(past == 0x5A), "wrote past its outputs"


@pytest.mark.parametrize("top", [255, 63, 31, 15])
@pytest.mark.parametrize("shift", [16, 24])
def test_every_activation_rounds_and_clamps(core: ctypes.CDLL, shift: int, top: int) -> None:
    core.nn_activation.restype = ctypes.c_uint8
    random = np.random.default_rng(shift)
    for multiplier in (1, 2, 255, 256, 257, 32767, 32768, 65534, 65535, *random.integers(1, 65536, 30).tolist()):
        steps = [((2 * k + 1) << (shift - 1)) // multiplier + d for k in range(top + 2) for d in (-1, 0, 1)]
        sums = [-(2**31), -1, 0, 1, 2, 65535, 65536, 2**31 - 1, *steps, *random.integers(0, 2**31, 50).tolist()]
        for total in sums:
            if total < 2**31:
                numbers = (ctypes.c_int32(total), ctypes.c_uint16(multiplier), ctypes.c_uint8(shift))
                found = core.nn_activation(*numbers, ctypes.c_uint8(top))
                assert found == min(max((total * multiplier + (1 << (shift - 1))) >> shift, 0), top), (
                    total,
                    multiplier,
                )


@pytest.mark.parametrize("is_average", [False, True])
@pytest.mark.parametrize(
    ("size", "stride"), [(size, 0) for size in (1, 2, 3, 5, 16)] + [(3, 2), (2, 1), (16, 1), (2, 5)]
)
@pytest.mark.parametrize("backward", [0, 1])
def test_pools(core: ctypes.CDLL, size: int, stride: int, is_average: bool, backward: int) -> None:
    """Stride 0 is what headers say that were rendered before there was one: as the size."""
    random = np.random.default_rng(size)
    for shape in ((1, 16, 16), (7, 17, 19), (3, 32, 16)):
        op = Pool(shape, (size, size), (stride or size, stride or size), is_average)
        channels, height, width = op.output_shape
        for image in (random_image(random, shape), np.full(shape, 255, np.uint8)):
            memory = np.ascontiguousarray(image.transpose(1, 2, 0))
            out = np.full(channels * height * width + 8, GUARD, np.uint8)
            run = core.nn_pool_average if is_average else core.nn_pool_max
            layer = PoolLayer(shape[2], channels, size, height, width, backward, stride)
            run(ctypes.byref(layer), pointer(memory), pointer(out))
            found = out[:-8].reshape(height, width, channels).transpose(2, 0, 1)
            assert np.array_equal(found, run_op(op, image))
            assert np.all(out[-8:] == GUARD), "wrote past its outputs"


def test_largest_sums_of_either_sign(core: ctypes.CDLL) -> None:
    """33,000 products of 127 * 255 come near 2^30, where the exporter stops."""
    weights = np.array([[127] * 33000, [-127] * 33000], np.int8)
    op = Dense((33000,), Rows(WeightFormat.INT8, weights, np.array([2**30, -(2**30)], np.int32)))
    x = np.full(33000, 255, np.uint8)
    layer, numbers, out = RowsLayer(5, 33000, 2, 0), numbers_of(op), np.zeros(2, np.int32)
    core.nn_dense_scores(ctypes.byref(layer), pointer(numbers), pointer(x), pointer(out))
    assert out.tolist() == expected(op, x).tolist()
