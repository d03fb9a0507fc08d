"""The learned nets' kernels in C against their slow definitions: shapes, strides, padding, groups, pools, edges."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_arguments import pointer
from hypothesis import given, settings
from hypothesis import strategies as st
from learned_definition import activation, run_stage
from numpy.typing import NDArray

from host.deploy.learned_arena import lay_out
from host.deploy.learned_nets import ConvStage, DenseStage, LearnedNet, PoolStage, Rows, Stage
from host.deploy.learned_plan import plan_learned

GUARD = 0xA5


def bytes_of(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_uint8) for name in names)


class Conv(ctypes.Structure):
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


class Pool(ctypes.Structure):
    """nn_pool."""

    _fields_ = bytes_of(
        "width", "channels", "size", "out_height", "out_width", "backward", "stride", "size_width", "stride_width"
    )


def random_rows(random: np.random.Generator, shape: tuple[int, ...], *, scores: bool = False, bits: int = 8) -> Rows:
    """Numbers whose activations use their range."""
    largest = 2 ** (bits - 1) - 1
    weights = random.integers(-largest, largest + 1, shape).astype(np.int8)
    bias = random.integers(-24 * largest, 24 * largest + 1, shape[0]).astype(np.int32)
    if scores:
        return Rows(weights, bias, None, 0, bits)
    shift = int(random.choice([16, 24]))
    typical = 40 * largest * np.sqrt(weights[0].size) + 1
    multipliers = np.minimum(random.uniform(0.2, 3, shape[0]) * 255 / typical * 2.0**shift + 1, 65535)
    return Rows(weights, bias, multipliers.astype(np.uint16), shift, bits)


def numbers_of(stage: Stage) -> NDArray[np.uint8]:
    """The stage's bytes in flash, with some in front, because `rows` may begin anywhere."""
    net = LearnedNet((1, 1), (stage,), ("0",), "test")
    return np.frombuffer(b"\x7f" * 5 + plan_learned(net).rom, np.uint8)


def described(stage: ConvStage, backward: int, top: int = 0) -> Conv:
    (channels, height, width), (outputs, out_height, out_width) = stage.input_shape, stage.output_shape
    sizes = (height, width, channels, stage.kernel, stage.stride, stage.padding, stage.pool, 0, 0, 0, 0)
    groups = (channels // stage.groups, outputs // stage.groups)
    ends = (out_height, out_width, outputs, stage.rows.shift, backward, stage.rows.bits, top)
    return Conv(5, *sizes, *groups, *ends)


def clamped(values: NDArray[np.uint8], top: int) -> NDArray[np.uint8]:
    """What is clamped at 255 already, clamped at `top`, which the kernels take for 255 where it is 0."""
    return np.minimum(values, top or 255).astype(np.uint8)


def run_conv(
    core: ctypes.CDLL, stage: ConvStage, image: NDArray[np.uint8], backward: int, top: int = 0
) -> NDArray[np.uint8]:
    """(C, H, W) in and out; the kernel's own order is rows, columns, channels."""
    memory = np.ascontiguousarray(image.transpose(1, 2, 0))
    outputs, height, width = stage.output_shape
    out = np.full(outputs * height * width + 8, GUARD, np.uint8)
    layer, numbers = described(stage, backward, top), numbers_of(stage)
    run = core.nn_conv_i8_run if stage.rows.bits == 8 else core.nn_conv_packed_run
    run(ctypes.byref(layer), pointer(numbers), pointer(memory), pointer(out))
    assert np.all(out[-8:] == GUARD), "wrote past its outputs"
    return out[:-8].reshape(height, width, outputs).transpose(2, 0, 1)


def random_image(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return (random.integers(0, 256, shape) * (random.random(shape) < 0.7)).astype(np.uint8)


@settings(max_examples=200, deadline=None)
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
    rows = random_rows(random, (groups * outputs, inputs, kernel, kernel), bits=bits)
    stage = ConvStage((groups * inputs, *sides), rows, stride, min(padding, kernel - 1), groups, pool)
    if min(*stage.convolved, *stage.output_shape) < 1:
        return
    image = random_image(random, stage.input_shape)
    assert np.array_equal(run_conv(core, stage, image, backward, top), clamped(run_stage(stage, image), top))


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 5, 12])
def test_depthwise(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random = np.random.default_rng(inputs)
    stage = ConvStage((inputs, 9, 7), random_rows(random, (2 * inputs, 1, 3, 3), bits=bits), 1, 1, inputs, 2)
    image = random_image(random, stage.input_shape)
    assert np.array_equal(run_conv(core, stage, image, 0), run_stage(stage, image))


def test_wide_rows_and_many_channels(core: ctypes.CDLL) -> None:
    """A kernel row of more than 255 weights, a map of more than 32 KiB."""
    random = np.random.default_rng(7)
    stage = ConvStage((200, 6, 30), random_rows(random, (3, 200, 3, 3)), 1, 1, 1, 1)
    image = random_image(random, stage.input_shape)
    assert np.array_equal(run_conv(core, stage, image, 0), run_stage(stage, image))


def test_a_map_may_grow_over_the_one_it_comes_from(core: ctypes.CDLL) -> None:
    """Three rows in front are room enough for a padded 3x3 convolution of as many channels."""
    random = np.random.default_rng(8)
    stage = ConvStage((4, 10, 8), random_rows(random, (4, 4, 3, 3)), 1, 1, 1, 1)
    image = random_image(random, stage.input_shape)
    row, size = 8 * 4, image.size
    for backward in (0, 1):
        arena = np.full(size + 2 * row, GUARD, np.uint8)
        source, target = (0, 2 * row) if backward else (2 * row, 0)
        arena[source : source + size] = image.transpose(1, 2, 0).ravel()
        layer, numbers = described(stage, backward), numbers_of(stage)
        at = arena.ctypes.data
        core.nn_conv_i8_run(
            ctypes.byref(layer), pointer(numbers), ctypes.c_void_p(at + source), ctypes.c_void_p(at + target)
        )
        found = arena[target : target + size].reshape(10, 8, 4).transpose(2, 0, 1)
        assert np.array_equal(found, run_stage(stage, image))


@settings(max_examples=60, deadline=None)
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
    stages, shape = [], (channels[0], *sides)
    for turn in (0, 1):
        rows = random_rows(random, (channels[turn + 1], shape[0], kernels[turn], kernels[turn]), bits=bits)
        stage = ConvStage(shape, rows, strides[turn], min(paddings[turn], kernels[turn] - 1), 1, pools[turn])
        if min(*stage.convolved, *stage.output_shape) < 1:
            return
        stages.append(stage)
        shape = stage.output_shape
    scores = DenseStage(shape, random_rows(random, (2, int(np.prod(shape))), scores=True))
    layout = lay_out(LearnedNet(sides, (*stages, scores), ("0", "1"), "test"), keep_image, pair=0)
    image = random_image(random, stages[0].input_shape)
    memory = np.ascontiguousarray(image.transpose(1, 2, 0))
    arena = np.full(layout.arena_bytes + 8, GUARD, np.uint8)
    if layout.image is not None:
        arena[layout.image :][: image.size] = memory.ravel()
    first, second = (described(stage, 0) for stage in stages)
    numbers = numbers_of(stages[0])
    second.rows = len(numbers)
    numbers = np.concatenate([numbers, numbers_of(stages[1])[5:]])
    at = arena.ctypes.data
    source = pointer(memory) if layout.image is None else ctypes.c_void_p(at + layout.image)
    between, out = layout.places[1].source, layout.places[1].target
    run = core.nn_conv_i8_pair if bits == 8 else core.nn_conv_packed_pair
    places = (source, ctypes.c_void_p(at + between), ctypes.c_void_p(at + out))
    run(ctypes.byref(first), ctypes.byref(second), pointer(numbers), *places)
    outputs, height, width = shape
    found = arena[out:][: outputs * height * width].reshape(height, width, outputs).transpose(2, 0, 1)
    assert np.array_equal(found, run_stage(stages[1], run_stage(stages[0], image)))
    assert np.all(arena[-8:] == GUARD), "wrote past the arena"


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 64, 255, 256, 800, 5408, 65535])
def test_dense_rows(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random = np.random.default_rng(inputs)
    for outputs, top in ((1, 0), (10, 63)):
        x = random_image(random, (inputs,))
        for scores in (False, True):
            stage = DenseStage((inputs,), random_rows(random, (outputs, inputs), scores=scores, bits=bits))
            layer, numbers = RowsLayer(5, inputs, outputs, stage.rows.shift, bits, top), numbers_of(stage)
            out = np.full(outputs + 4, 0x5A5A5A5A, np.int32)
            kind = f"{'' if bits == 8 else 'packed_'}{'scores' if scores else 'hidden'}"
            run = getattr(core, f"nn_dense_{kind}")
            run(ctypes.byref(layer), pointer(numbers), pointer(x), pointer(out))
            found = out[:outputs].tolist() if scores else out.view(np.uint8)[:outputs].tolist()
            assert found == list(run_stage(stage, x) if scores else clamped(run_stage(stage, x), top))
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
                assert found == activation(total, multiplier, shift, top), (total, multiplier)


@pytest.mark.parametrize("is_average", [False, True])
@pytest.mark.parametrize(
    ("size", "stride"), [(size, 0) for size in (1, 2, 3, 5, 16)] + [(3, 2), (2, 1), (16, 1), (2, 5)]
)
@pytest.mark.parametrize("backward", [0, 1])
def test_pools(core: ctypes.CDLL, size: int, stride: int, is_average: bool, backward: int) -> None:
    """Stride 0 is what headers say that were rendered before there was one: as the size."""
    random = np.random.default_rng(size)
    for shape in ((1, 16, 16), (7, 17, 19), (3, 32, 16)):
        stage = PoolStage(shape, size, stride or size, is_average)
        channels, height, width = stage.output_shape
        for image in (random_image(random, shape), np.full(shape, 255, np.uint8)):
            memory = np.ascontiguousarray(image.transpose(1, 2, 0))
            out = np.full(channels * height * width + 8, GUARD, np.uint8)
            run = core.nn_pool_average if is_average else core.nn_pool_max
            layer = Pool(shape[2], channels, size, height, width, backward, stride)
            run(ctypes.byref(layer), pointer(memory), pointer(out))
            found = out[:-8].reshape(height, width, channels).transpose(2, 0, 1)
            assert np.array_equal(found, run_stage(stage, image))
            assert np.all(out[-8:] == GUARD), "wrote past its outputs"


def test_largest_sums_of_either_sign(core: ctypes.CDLL) -> None:
    """33,000 products of 127 * 255 come near 2^30, where the exporter stops."""
    weights = np.array([[127] * 33000, [-127] * 33000], np.int8)
    stage = DenseStage((33000,), Rows(weights, np.array([2**30, -(2**30)], np.int32), None, 0))
    x = np.full(33000, 255, np.uint8)
    layer, numbers, out = RowsLayer(5, 33000, 2, 0), numbers_of(stage), np.zeros(2, np.int32)
    core.nn_dense_scores(ctypes.byref(layer), pointer(numbers), pointer(x), pointer(out))
    assert out.tolist() == run_stage(stage, x)
