"""The portable dense layer against unbounded integers: any width of weights, any top, any rule."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from nn_stages import DenseStruct, dense_expected, dense_fields, numbers_of, random_map, random_rows, with_guard
from numpy.typing import NDArray

from host.nn.formats import WeightFormat
from host.quantise.ops import Codes, Dense, Rows
from host.quantise.requantisers import HalfUp


def run(core: ctypes.CDLL, op: Dense, x: NDArray[np.uint8], **fields: int) -> list[int]:
    kind = f"{'' if op.rows.format.bits == 8 else 'packed_'}{'hidden' if op.rows.requantiser else 'scores'}"
    numbers, (start,) = numbers_of(op)
    out = np.empty(op.rows.outputs, np.uint8 if op.rows.requantiser else np.int32)
    stage = DenseStruct(**dense_fields(op, start) | fields)
    return with_guard(getattr(core, f"nn_dense_{kind}"), stage, numbers, x, out=out).tolist()


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 7, 64, 255, 256, 257, 784, 5408, 65535])
def test_rows_of_any_length(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random, x = np.random.default_rng(inputs), random_map(np.random.default_rng(inputs), (inputs,))
    for outputs in (1, 10, 255) if inputs < 1000 else (7,):
        for options in ({"scores": True}, {"top": 255}, {"top": 63}, {"top": 31}):
            op = Dense((inputs,), random_rows(random, (outputs, inputs), bits=bits, **options))
            assert run(core, op, x) == dense_expected(op, x)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 5, 40, 257, 5408])
def test_what_a_layer_of_codes_up_to_255_leaves_out(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    """As headers have it that were rendered before there were others."""
    random = np.random.default_rng(inputs)
    x = random_map(random, (inputs,))
    for scores in (False, True):
        op = Dense((inputs,), random_rows(random, (30, inputs), scores=scores, bits=bits))
        assert run(core, op, x, top=0) == dense_expected(op, x)


def ruled(bias: list[int], multiplier: int, shift: int, top: int) -> Dense:
    """Sums that are the biases alone, of one rule, which boards have at a shift of 16 or 24."""
    count = len(bias)
    rule = HalfUp(np.full(count, multiplier, np.uint16), shift)
    rows = Rows(WeightFormat.INT8, np.zeros((count, 1), np.int8), np.array(bias, np.int32), rule, Codes(top))
    return Dense((1,), rows)


@pytest.mark.parametrize("top", [255, 63, 31, 15])
@pytest.mark.parametrize("shift", [8, 9, 12, 15, 16, 17, 20, 23, 24])
def test_one_multiplier_at_any_shift(core: ctypes.CDLL, shift: int, top: int) -> None:
    """All that a rule of 8 bits can be, from sums far below zero to the largest ones."""
    random, x, limit = np.random.default_rng(shift), np.array([255], np.uint8), 2**31 - 1
    for multiplier in (1, 2, 127, 128, 254, 255):
        middles = [((2 * k - 1) << shift) // (2 * multiplier) for k in (1, 2, top - 1, top, top + 1)]
        near = [min(middle + near, limit) for middle in middles for near in (-1, 0, 1)]
        sums = [-limit - 1, -1, 0, 1, 2, limit, *near, *random.integers(0, limit, 30, endpoint=True).tolist()]
        op = ruled(sums, multiplier, shift, top)
        assert run(core, op, x) == dense_expected(op, x)


def test_a_shift_below_eight_needs_a_small_multiplier(core: ctypes.CDLL) -> None:
    x = np.array([1], np.uint8)
    for multiplier, shift in ((1, 1), (127, 7), (3, 2)):
        op = ruled([-1, 0, 1, 100, 255], multiplier, shift, 255)
        assert run(core, op, x) == dense_expected(op, x)


@pytest.mark.parametrize("top", [255, 63, 31, 15])
@pytest.mark.parametrize("shift", [16, 24])
def test_every_activation_rounds_and_clamps(core: ctypes.CDLL, shift: int, top: int) -> None:
    """Multipliers of all 16 bits, sums on both sides of each half."""
    random, x = np.random.default_rng(shift), np.array([0], np.uint8)
    for multiplier in (1, 2, 255, 256, 257, 32767, 32768, 65534, 65535, *random.integers(1, 65536, 30).tolist()):
        steps = [((2 * k + 1) << (shift - 1)) // multiplier + d for k in range(top + 2) for d in (-1, 0, 1)]
        sums = [-(2**31), -1, 0, 1, 2, 65535, 65536, 2**31 - 1, *steps, *random.integers(0, 2**31, 50).tolist()]
        sums = [total for total in sums if total < 2**31]
        for at in range(0, len(sums), 255):
            op = ruled(sums[at : at + 255], multiplier, shift, top)
            assert run(core, op, x) == dense_expected(op, x)


def test_largest_sums_of_either_sign(core: ctypes.CDLL) -> None:
    """33,000 products of 127 * 255 come near 2^30, where the exporter stops."""
    weights = np.array([[127] * 33000, [-127] * 33000], np.int8)
    op = Dense((33000,), Rows(WeightFormat.INT8, weights, np.array([2**30, -(2**30)], np.int32)))
    x = np.full(33000, 255, np.uint8)
    assert run(core, op, x) == dense_expected(op, x)
