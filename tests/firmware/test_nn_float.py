"""Convolutions, dense layers and pools of floats in C against the definition: float32, one product and one sum at a
time, in the order that docs/numerics.md states."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from definition import run_op
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_stages import (
    FloatConvStruct,
    FloatDenseStruct,
    conv_fields,
    dense_fields,
    from_memory,
    geometries,
    in_memory,
    numbers_of,
    pool_struct,
    random_float_rows,
    random_floats,
    random_map,
    with_guard,
)
from numpy.typing import NDArray

from host.nn.formats import WeightFormat
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows, elements

Floats = NDArray[np.float32]
FLOATS = Codes(is_float=True)


def run(core: ctypes.CDLL, op: Conv | Dense, values: NDArray[Any], backward: int = 0) -> Floats:
    numbers, (start,) = numbers_of(op)
    is_conv = isinstance(op, Conv)
    fields = conv_fields(op, start, backward=backward) if is_conv else dense_fields(op, start)
    stage = (FloatConvStruct if is_conv else FloatDenseStruct)(**fields)
    kinds = "f16" if op.rows.format is WeightFormat.FLOAT16 else "f32", "u8" if values.dtype == np.uint8 else "f32"
    kernel = getattr(core, f"nn_{'conv' if is_conv else 'dense'}_{'_'.join(kinds)}")
    given_values = in_memory(values) if is_conv else values
    out = with_guard(kernel, stage, numbers, given_values, out=np.empty(elements(op.output_shape), np.float32))
    return from_memory(out, op.output_shape) if is_conv else out


def bits(values: Floats) -> list[int]:
    return np.ascontiguousarray(values).view(np.uint32).ravel().tolist()


def check(core: ctypes.CDLL, random: np.random.Generator, op: Conv | Dense, is_u8: bool, *arguments: int) -> None:
    values = (random_map if is_u8 else random_floats)(random, op.input_shape)
    assert bits(run(core, op, values, *arguments)) == bits(run_op(op, values))


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.tuples(*[st.integers(1, 3)] * 3),
    geometry=geometries(kernel=4, stride=3, pool=3, side=8),
    backward=st.integers(0, 1),
    relu=st.booleans(),
    is_half=st.booleans(),
    is_u8=st.booleans(),
)
def test_any_convolution(core, seed, counts, geometry, backward, relu, is_half, is_u8) -> None:
    random, (groups, inputs, outputs) = np.random.default_rng(seed), counts
    sides, kernel, strides, pads, pool = geometry
    rows = random_float_rows(random, (groups * outputs, inputs, *kernel), is_half, relu)
    source = Codes(is_float=not is_u8)
    check(core, random, Conv((groups * inputs, *sides), rows, source, strides, pads, groups, pool), is_u8, backward)


@pytest.mark.parametrize("inputs", [1, 2, 64, 300, 5408])
@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("is_u8", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_dense(core: ctypes.CDLL, inputs: int, is_half: bool, is_u8: bool, relu: bool) -> None:
    random = np.random.default_rng(inputs)
    check(core, random, Dense((inputs,), random_float_rows(random, (10, inputs), is_half, relu)), is_u8)


def dense_of(weights: list[list[Any]], bias: list[Any]) -> Dense:
    rows = Rows(WeightFormat.FLOAT32, np.array(weights, np.float32), np.array(bias, np.float32), codes=FLOATS)
    return Dense((len(weights[0]),), rows)


def test_a_bias_of_minus_zero_counts_as_zero(core: ctypes.CDLL) -> None:
    """So that it makes no difference whether a product of zero is added."""
    op = dense_of([[-1.0], [1.0]], [-0.0, -0.0])
    for values in (np.zeros(1, np.uint8), np.zeros(1, np.float32), np.array([-0.0], np.float32)):
        assert bits(run(core, op, values)) == [0, 0]


def test_products_are_rounded_before_they_are_added(core: ctypes.CDLL) -> None:
    # (1 + e)^2 - 1 - 2e is e^2 in a fused multiply-add, and 0 with the product rounded.
    e = np.float32(2.0**-13)
    bias, values = [-(1 + 2 * e)], np.array([1 + e], np.float32)
    assert bits(run(core, dense_of([[1 + e]], bias), values)) == [0]
    weights = np.full((1, 1, 1, 1), 1 + e, np.float32)
    rows = Rows(WeightFormat.FLOAT32, weights, np.array(bias, np.float32), codes=FLOATS)
    assert bits(run(core, Conv((1, 1, 1), rows, FLOATS), values.reshape(1, 1, 1))) == [0]


def test_the_order_of_a_sum(core: ctypes.CDLL) -> None:
    """Bias, then kernel row, kernel column, channel: numbers of very different sizes, whose order shows in the sum."""
    big = np.float32(2.0**25)
    weights = np.array([big, 1, -big, 1, 1, big, 1, -big], np.float32).reshape(1, 2, 2, 2).transpose(0, 3, 1, 2)
    op = Conv((2, 2, 2), Rows(WeightFormat.FLOAT32, weights, np.ones(1, np.float32), codes=FLOATS), FLOATS)
    values = np.ones((2, 2, 2), np.float32)
    assert run(core, op, values).item() == run_op(op, values).item() == 0.0
    assert float(weights.astype(np.float64).sum()) + 1 == 5.0


@pytest.mark.parametrize("is_average", [False, True])
@pytest.mark.parametrize(("size", "stride"), [((2, 2), (2, 2)), ((3, 1), (1, 2)), ((1, 5), (2, 3)), ((16, 16), (1, 1))])
@pytest.mark.parametrize("backward", [0, 1])
def test_pools(
    core: ctypes.CDLL, size: tuple[int, int], stride: tuple[int, int], is_average: bool, backward: int
) -> None:
    random = np.random.default_rng(sum(size))
    for shape in ((1, 16, 16), (3, 17, 19)):
        op, values = Pool(shape, size, stride, is_average, FLOATS), random_floats(random, shape)
        kernel = core.nn_pool_f32_average if is_average else core.nn_pool_f32_max
        out = np.empty(elements(op.output_shape), np.float32)
        found = with_guard(kernel, pool_struct(op, backward), in_memory(values), out=out)
        assert bits(from_memory(found, op.output_shape)) == bits(run_op(op, values))
