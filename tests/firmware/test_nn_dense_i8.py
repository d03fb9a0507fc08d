"""The integer layers in C against Python's unbounded integers."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_arguments import pointer
from numpy.typing import NDArray


class Layer(ctypes.Structure):
    """nn_dense_i8."""

    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("inputs", ctypes.c_uint16),
        ("outputs", ctypes.c_uint8),
        ("accumulator_bits", ctypes.c_uint8),
        ("multiplier", ctypes.c_uint8),
        ("shift", ctypes.c_uint8),
        ("levels", ctypes.c_uint8),
    )


class Dense:
    """One layer's numbers, kept alive while C looks at them."""

    def __init__(
        self, weights: object, bias: object, *, bits: int = 32, rule: tuple[int, int, int] = (1, 1, 255)
    ) -> None:
        self.weights = np.ascontiguousarray(weights, np.int8)
        self.bias = np.ascontiguousarray(bias, np.int32)
        self.rule = rule
        outputs, inputs = self.weights.shape
        self.layer = Layer(pointer(self.weights), pointer(self.bias), inputs, outputs, bits, *rule)

    def sums(self, x: NDArray[np.uint8]) -> list[int]:
        values = [int(v) for v in x]
        rows = zip(self.weights.tolist(), self.bias.tolist(), strict=True)
        return [bias + sum(w * v for w, v in zip(row, values, strict=True)) for row, bias in rows]

    def defined_hidden(self, x: NDArray[np.uint8]) -> list[int]:
        multiplier, shift, levels = self.rule
        return [min(max((s * multiplier + (1 << (shift - 1))) >> shift, 0), levels) for s in self.sums(x)]

    def hidden(self, core: ctypes.CDLL, x: NDArray[np.uint8]) -> list[int]:
        out = np.full(len(self.bias) + 4, 0xA5, np.uint8)
        core.nn_dense_i8_hidden(ctypes.byref(self.layer), pointer(x), pointer(out))
        assert np.all(out[len(self.bias) :] == 0xA5), "wrote past its outputs"
        return out[: len(self.bias)].tolist()

    def scores(self, core: ctypes.CDLL, x: NDArray[np.uint8]) -> list[int]:
        out = np.full(len(self.bias) + 4, 0x5A5A5A5A, np.int32)
        core.nn_dense_i8_scores(ctypes.byref(self.layer), pointer(x), pointer(out))
        assert np.all(out[len(self.bias) :] == 0x5A5A5A5A), "wrote past its outputs"
        return out[: len(self.bias)].tolist()


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 7, 64, 255, 256, 257, 784])
def test_random_layers(core: ctypes.CDLL, inputs: int) -> None:
    random = np.random.default_rng(inputs)
    for outputs in (1, 10, 40, 255):
        x = random.integers(0, 256, inputs).astype(np.uint8)
        weights = random.integers(-127, 128, (outputs, inputs))
        dense = Dense(weights, random.integers(-50000, 50001, outputs), rule=(int(random.integers(1, 256)), 16, 255))
        assert dense.scores(core, x) == dense.sums(x)
        assert dense.hidden(core, x) == dense.defined_hidden(x)


@pytest.mark.parametrize("levels", [255, 63])
@pytest.mark.parametrize("shift", [1, 2, 7, 8, 9, 15, 16, 17, 24, 30, 31])
def test_every_shift_rounds_and_clamps(core: ctypes.CDLL, shift: int, levels: int) -> None:
    random = np.random.default_rng(shift)
    for multiplier in (1, 2, 127, 128, 254, 255):
        # Sums from far below zero to the largest for which the exporter's proof holds.
        largest = ((1 << 32) - 1 - (1 << (shift - 1))) // multiplier
        limit = min(largest, (1 << 31) - 1)
        edge = [-(1 << 31), -limit, -1, 0, 1, 2, limit - 1, limit]
        edge += [v for k in (0, 1, levels, levels + 1) if 0 <= (v := ((k << shift) // multiplier)) <= limit]
        sums = np.array([*edge, *random.integers(0, limit, 50, endpoint=True)], np.int64)
        dense = Dense(np.zeros((len(sums), 1)), sums, rule=(multiplier, shift, levels))
        assert dense.hidden(core, np.array([255], np.uint8)) == dense.defined_hidden(np.array([255], np.uint8))


def test_negative_sums_become_zero(core: ctypes.CDLL) -> None:
    dense = Dense([[-1], [-127], [0]], [0, 0, -1], rule=(255, 1, 255))
    assert dense.hidden(core, np.array([255], np.uint8)) == [0, 0, 0]


def test_zero_weights_give_the_bias(core: ctypes.CDLL) -> None:
    dense = Dense(np.zeros((3, 64)), [-7, 0, 2_000_000_000])
    assert dense.scores(core, np.full(64, 255, np.uint8)) == [-7, 0, 2_000_000_000]


@pytest.mark.parametrize("bits", [16, 32])
def test_largest_products_of_either_sign(core: ctypes.CDLL, bits: int) -> None:
    dense = Dense([[127], [-127]], [0, 0], bits=bits)
    assert dense.scores(core, np.array([255], np.uint8)) == [127 * 255, -127 * 255]


def test_a_16_bit_sum_may_wrap_on_the_way(core: ctypes.CDLL) -> None:
    # 4 * 127 * 255 = 129,540 is far outside; the final sum is not.
    row = [127] * 4 + [-127] * 4
    dense = Dense([row, [-w for w in row]], [-32768, 32767], bits=16)
    assert dense.scores(core, np.full(8, 255, np.uint8)) == [-32768, 32767]


def test_16_and_32_bits_agree_where_16_suffice(core: ctypes.CDLL) -> None:
    random = np.random.default_rng(5)
    weights = random.integers(-2, 3, (40, 64))
    bias = random.integers(-1000, 1000, 40)
    x = random.integers(0, 64, 64).astype(np.uint8)
    narrow = Dense(weights, bias, bits=16, rule=(200, 12, 63))
    wide = Dense(weights, bias, bits=32, rule=(200, 12, 63))
    assert narrow.scores(core, x) == wide.scores(core, x) == wide.sums(x)
    assert narrow.hidden(core, x) == wide.hidden(core, x) == wide.defined_hidden(x)


@pytest.mark.parametrize(
    ("scores", "first"),
    [([5], 0), ([1, 3, 3, 2], 1), ([-(2**31), -(2**31)], 0), ([-1, 0, 2**31 - 1], 2), ([0, 0, 0], 0), ([3, 2, 1], 0)],
)
def test_argmax_takes_the_first_maximum(core: ctypes.CDLL, scores: list[int], first: int) -> None:
    core.nn_argmax_i32.restype = core.nn_argmax_f32.restype = ctypes.c_uint8
    assert core.nn_argmax_i32(pointer(np.array(scores, np.int32)), len(scores)) == first
    assert core.nn_argmax_f32(pointer(np.array(scores, np.float32)), len(scores)) == first
