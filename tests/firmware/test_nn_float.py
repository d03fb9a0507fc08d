"""Convolutions, dense layers and pools of floats in C against NumPy: float32, one product and one sum at a time, in the
order that docs/numerics.md states."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from c_arguments import pointer
from conv_definition import PoolStruct, bytes_of
from float_definition import FloatConv, FloatDense, pooled, random_floats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float32]
IN_FRONT = b"\x7f" * 5
GUARD = np.float32(7.25)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


class ConvStruct(ctypes.Structure):
    """nn_conv_float."""

    _fields_ = (
        ("rows", ctypes.c_uint32),
        *bytes_of("height", "width", "channels", "kernel", "stride", "padding", "pool"),
        *bytes_of("kernel_width", "stride_width", "padding_left", "pool_width", "group_inputs", "group_outputs"),
        *bytes_of("out_height", "out_width", "outputs", "backward", "relu"),
    )


class DenseStruct(ctypes.Structure):
    """nn_dense_float."""

    _fields_ = (("rows", ctypes.c_uint32), ("inputs", ctypes.c_uint16), *bytes_of("outputs", "relu"))


def kind(weights: NDArray[Any], values: NDArray[Any]) -> str:
    return f"{'f16' if weights.dtype == np.float16 else 'f32'}_{'u8' if values.dtype == np.uint8 else 'f32'}"


def run_conv(core: ctypes.CDLL, layer: FloatConv, values: NDArray[Any], backward: int = 0) -> Floats:
    out = np.full(int(np.prod(layer.out_shape)) + 4, GUARD)
    stage = ConvStruct(**layer.fields(len(IN_FRONT), backward=backward))
    numbers = np.frombuffer(IN_FRONT + layer.row_bytes, np.uint8)
    run = getattr(core, f"nn_conv_{kind(layer.weights, values)}")
    run(ctypes.byref(stage), pointer(numbers), pointer(values), pointer(out))
    assert np.all(out[-4:] == GUARD), "wrote past its outputs"
    return out[:-4].reshape(layer.out_shape)


def run_dense(core: ctypes.CDLL, layer: FloatDense, values: NDArray[Any]) -> Floats:
    outputs, inputs = layer.weights.shape
    out = np.full(outputs + 4, GUARD)
    stage = DenseStruct(len(IN_FRONT), inputs, outputs, layer.relu)
    numbers = np.frombuffer(IN_FRONT + layer.row_bytes, np.uint8)
    run = getattr(core, f"nn_dense_{kind(layer.weights, values)}")
    run(ctypes.byref(stage), pointer(numbers), pointer(values), pointer(out))
    assert np.all(out[-4:] == GUARD), "wrote past its outputs"
    return out[:-4]


def bits(values: Floats) -> list[int]:
    return np.ascontiguousarray(values).view(np.uint32).ravel().tolist()


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.tuples(*[st.integers(1, 3)] * 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=PAIRS,
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    pool=PAIRS,
    sides=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    backward=st.integers(0, 1),
    relu=st.booleans(),
    is_half=st.booleans(),
    is_u8=st.booleans(),
)
def test_any_convolution(
    core, seed, counts, kernel, stride, padding, pool, sides, backward, relu, is_half, is_u8
) -> None:
    random = np.random.default_rng(seed)
    groups, inputs, outputs = counts
    shape = (*sides, groups * inputs)
    limits = (kernel[0] - 1, kernel[1] - 1) * 2
    weights = random.normal(0, 0.2, (groups * outputs, *kernel, inputs)).astype(np.float16 if is_half else np.float32)
    bias = random.normal(0, 3, groups * outputs).astype(np.float32)
    bias[random.random(len(bias)) < 0.3] = -0.0
    around = tuple(min(pair) for pair in zip(padding, limits, strict=True))
    layer = FloatConv(shape, weights, bias, relu, stride, around, pool, groups)
    if min(*layer.convolved, *layer.out_shape) < 1:
        return
    values = random_floats(random, shape, is_u8)
    assert bits(run_conv(core, layer, values, backward)) == bits(layer.run(values))


@pytest.mark.parametrize("inputs", [1, 2, 64, 300, 5408])
@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("is_u8", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_dense(core: ctypes.CDLL, inputs: int, is_half: bool, is_u8: bool, relu: bool) -> None:
    random = np.random.default_rng(inputs)
    weights = random.normal(0, 0.1, (10, inputs)).astype(np.float16 if is_half else np.float32)
    layer = FloatDense(weights, random.normal(0, 1, 10).astype(np.float32), relu)
    values = random_floats(random, (inputs,), is_u8)
    assert bits(run_dense(core, layer, values)) == bits(layer.run(values))


def test_a_bias_of_minus_zero_counts_as_zero(core: ctypes.CDLL) -> None:
    """So that it makes no difference whether a product of zero is added."""
    weights = np.array([[-1.0], [1.0]], np.float32)
    for values in (np.zeros(1, np.uint8), np.zeros(1, np.float32), np.array([-0.0], np.float32)):
        layer = FloatDense(weights, np.array([-0.0, -0.0], np.float32), False)
        assert bits(run_dense(core, layer, values)) == [0, 0]


def test_products_are_rounded_before_they_are_added(core: ctypes.CDLL) -> None:
    # (1 + e)^2 - 1 - 2e is e^2 in a fused multiply-add, and 0 with the product rounded.
    e = np.float32(2.0**-13)
    bias = np.array([-(1 + 2 * e)], np.float32)
    values = np.array([1 + e], np.float32)
    assert bits(run_dense(core, FloatDense(np.array([[1 + e]], np.float32), bias, False), values)) == [0]
    layer = FloatConv((1, 1, 1), np.full((1, 1, 1, 1), 1 + e, np.float32), bias, False)
    assert bits(run_conv(core, layer, values.reshape(1, 1, 1))) == [0]


def test_the_order_of_a_sum(core: ctypes.CDLL) -> None:
    """Bias, then kernel row, kernel column, channel: numbers of very different sizes, whose order shows in the sum."""
    big = np.float32(2.0**25)
    values = np.ones((2, 2, 2), np.float32)
    weights = np.array([big, 1, -big, 1, 1, big, 1, -big], np.float32).reshape(1, 2, 2, 2)
    layer = FloatConv((2, 2, 2), weights, np.array([1.0], np.float32), False)
    found = run_conv(core, layer, values).item()
    assert found == layer.run(values).item() == 0.0
    assert float(weights.astype(np.float64).sum()) + 1 == 5.0


@pytest.mark.parametrize("is_average", [False, True])
@pytest.mark.parametrize(("size", "stride"), [((2, 2), (2, 2)), ((3, 1), (1, 2)), ((1, 5), (2, 3)), ((16, 16), (1, 1))])
@pytest.mark.parametrize("backward", [0, 1])
def test_pools(
    core: ctypes.CDLL, size: tuple[int, int], stride: tuple[int, int], is_average: bool, backward: int
) -> None:
    random = np.random.default_rng(sum(size))
    for shape in ((16, 16, 1), (17, 19, 3)):
        values = random_floats(random, shape, False)
        expected = pooled(values, size, stride, is_average)
        height, width, _ = expected.shape
        out = np.full(expected.size + 4, GUARD)
        stage = PoolStruct(shape[1], shape[2], size[0], height, width, backward, stride[0], size[1], stride[1])
        run = core.nn_pool_f32_average if is_average else core.nn_pool_f32_max
        run(ctypes.byref(stage), pointer(values), pointer(out))
        assert bits(out[:-4]) == bits(expected)
        assert np.all(out[-4:] == GUARD), "wrote past its outputs"
