"""The portable dense layer against Python's unbounded integers: any width of weights, any top, and the rule of one
multiplier of 8 bits at any shift, which it computes with the same bits."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_arguments import pointer
from conv_definition import bytes_of, packed_row
from dense_layout import Dense
from numpy.typing import NDArray

IN_FRONT = b"\x7f" * 5


class DenseStruct(ctypes.Structure):
    """nn_dense."""

    _fields_ = (("rows", ctypes.c_uint32), ("inputs", ctypes.c_uint16), *bytes_of("outputs", "shift", "bits", "top"))


def row_bytes(layer: Dense) -> bytes:
    """A row for each output: bias, multiplier where there is one, weights."""
    parts = []
    for index, weights in enumerate(layer.weights.tolist()):
        parts.append(int(layer.bias[index]).to_bytes(4, "little", signed=True))
        if layer.multipliers is not None:
            parts.append(int(layer.multipliers[index]).to_bytes(2, "little"))
        parts.append(packed_row(weights, layer.bits))
    return b"".join(parts)


def run(core: ctypes.CDLL, layer: Dense, x: NDArray[np.uint8]) -> list[int]:
    outputs, inputs = layer.weights.shape
    is_scores = layer.multipliers is None
    out = np.full(outputs + 4, 0x5A5A5A5A, np.int32) if is_scores else np.full(outputs + 4, 0x5A, np.uint8)
    stage = DenseStruct(len(IN_FRONT), inputs, outputs, layer.shift, layer.bits, layer.top)
    kind = f"{'' if layer.bits == 8 else 'packed_'}{'scores' if is_scores else 'hidden'}"
    numbers = np.frombuffer(IN_FRONT + row_bytes(layer), np.uint8)
    getattr(core, f"nn_dense_{kind}")(ctypes.byref(stage), pointer(numbers), pointer(x), pointer(out))
    assert np.all(out[outputs:].view(np.uint8) == 0x5A), "wrote past its outputs"
    return out[:outputs].tolist()


def at_shift(multiplier: int, shift: int) -> tuple[int, int]:
    """(m, s) as the same rule at a shift of 16 or 24."""
    fixed = 16 if shift <= 16 and multiplier << (16 - shift) <= 0xFFFF else 24
    assert shift <= fixed and multiplier << (fixed - shift) <= 0xFFFF
    return multiplier << (fixed - shift), fixed


def ruled(weights: NDArray[np.int64], bias: NDArray[np.int64], rule: tuple[int, int], top: int) -> Dense:
    multiplier, shift = at_shift(*rule)
    return Dense(weights, bias, np.full(len(bias), multiplier), shift, top)


def defined(layer: Dense, rule: tuple[int, int], x: NDArray[np.uint8]) -> list[int]:
    multiplier, shift = rule
    return [min(max((s * multiplier + (1 << (shift - 1))) >> shift, 0), layer.top) for s in layer.sums(x)]


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 7, 64, 255, 256, 257, 784])
def test_random_layers(core: ctypes.CDLL, inputs: int) -> None:
    random = np.random.default_rng(inputs)
    for outputs in (1, 10, 40, 255):
        x = random.integers(0, 256, inputs).astype(np.uint8)
        weights, bias = random.integers(-127, 128, (outputs, inputs)), random.integers(-50000, 50001, outputs)
        scores = Dense(weights, bias, None, 0, 255)
        assert run(core, scores, x) == scores.sums(x)
        for top in (255, 63):
            rule = int(random.integers(1, 256)), 16
            hidden = ruled(weights, bias, rule, top)
            assert run(core, hidden, x) == defined(hidden, rule, x)


@pytest.mark.parametrize("top", [255, 63, 31, 15])
@pytest.mark.parametrize("shift", [8, 9, 12, 15, 16, 17, 20, 23, 24])
def test_one_multiplier_at_any_shift(core: ctypes.CDLL, shift: int, top: int) -> None:
    """All that a rule of 8 bits can be, from sums far below zero to the largest ones."""
    random, x = np.random.default_rng(shift), np.array([255], np.uint8)
    for multiplier in (1, 2, 127, 128, 254, 255):
        limit = (1 << 31) - 1
        sums = [-(1 << 31), -1, 0, 1, 2, limit]
        middles = [((2 * k - 1) << shift) // (2 * multiplier) for k in (1, 2, top - 1, top, top + 1)]
        sums += [min(middle + near, limit) for middle in middles for near in (-1, 0, 1)]
        bias = np.array([*sums, *random.integers(0, limit, 30, endpoint=True)], np.int64)
        layer = ruled(np.zeros((len(bias), 1), np.int64), bias, (multiplier, shift), top)
        assert run(core, layer, x) == defined(layer, (multiplier, shift), x)


def test_a_shift_below_eight_needs_a_small_multiplier(core: ctypes.CDLL) -> None:
    x = np.array([1], np.uint8)
    for multiplier, shift in ((1, 1), (127, 7), (3, 2)):
        layer = ruled(np.zeros((5, 1), np.int64), np.array([-1, 0, 1, 100, 255]), (multiplier, shift), 255)
        assert run(core, layer, x) == defined(layer, (multiplier, shift), x)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("inputs", [1, 3, 5, 64, 800, 5408, 65535])
def test_any_width_of_weights(core: ctypes.CDLL, inputs: int, bits: int) -> None:
    random, most = np.random.default_rng(inputs), 2 ** (bits - 1) - 1
    x = (random.integers(0, 256, inputs) * (random.random(inputs) < 0.7)).astype(np.uint8)
    weights, bias = random.integers(-most, most + 1, (7, inputs)), random.integers(-9000, 9001, 7)
    scores = Dense(weights, bias, None, 0, 255, bits)
    assert run(core, scores, x) == scores.sums(x)
    typical = 40 * most * np.sqrt(inputs) + 1
    multipliers = np.clip(random.uniform(0.2, 3, 7) * 31 / typical * 2.0**24, 1, 65535).astype(np.int64)
    hidden = Dense(weights, bias, multipliers, 24, 31, bits)
    assert run(core, hidden, x) == hidden.outputs(x)


def test_largest_sums_of_either_sign(core: ctypes.CDLL) -> None:
    """33,000 products of 127 * 255 come near 2^30, where the exporter stops."""
    weights = np.array([[127] * 33000, [-127] * 33000])
    layer = Dense(weights, np.array([2**30, -(2**30)]), None, 0, 255)
    x = np.full(33000, 255, np.uint8)
    assert run(core, layer, x) == layer.sums(x)
