"""Rounding, saturation, bounds and the requantiser's choice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import InputError
from host.quantise import numerics


def test_to_int8_rounds_half_to_even_and_never_gives_minus_128():
    weights = np.array([0.5, 1.5, -0.5, -2.5, 500.0, -500.0], np.float32)
    assert numerics.to_int8(weights, 1.0).tolist() == [0, 2, 0, -2, 127, -127]


def test_symmetric_step_puts_the_largest_weight_on_127():
    weights = np.array([[0.1, -0.7], [0.3, 0.2]], np.float32)
    assert np.abs(numerics.to_int8(weights, numerics.symmetric_step(weights))).max() == 127
    assert numerics.symmetric_step(np.zeros((2, 2), np.float32)) == 1.0


def test_a_bias_beyond_int32_is_refused():
    with pytest.raises(InputError, match="bias of layer 1"):
        numerics.to_int32(np.array([3e9]), "int8: bias of layer 1")


def test_a_weight_beyond_half_precision_is_refused():
    with pytest.raises(InputError, match="use float32"):
        numerics.to_half(np.array([70000.0], np.float32))


@given(
    step=st.floats(1e-7, 10.0),
    share=st.floats(0.0, 1.0),
    kind=st.sampled_from([(63, 16, 2.0**15), (255, 24, 2.0**23)]),
)
def test_the_requantiser_holds_the_range_and_wastes_little_of_it(step, share, kind):
    levels, max_shift, largest_sum = kind
    sums_at_most = largest_sum**share
    output_max = step * sums_at_most
    multiplier, shift = numerics.choose_requantiser(step, output_max, levels, max_shift)
    held = levels * step * 2.0**shift / multiplier
    assert 1 <= multiplier <= 255 and 1 <= shift <= max_shift
    assert multiplier << (max_shift - shift) <= 0xFFFF
    assert held >= output_max * (1 - 1e-9)
    if sums_at_most >= max(2 * levels, levels * 2.0**max_shift / 0xFFFF):
        assert held <= output_max * 1.01


def test_requantise_is_the_stated_formula():
    sums = np.arange(-70000, 70000, 37, dtype=np.int64)
    got = numerics.requantise(sums, 201, 13, 255)
    want = [min(max((int(s) * 201 + 4096) >> 13, 0), 255) for s in sums]
    assert got.tolist() == want


@given(st.integers(0, 2**32 - 1))
def test_sum_bounds_are_reached_and_never_passed(seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (3, 5)).astype(np.int8)
    bias = rng.integers(-1000, 1000, 3).astype(np.int32)
    low, high = numerics.sum_bounds(weights, bias, 63)
    corners = np.array(np.meshgrid(*[[0, 63]] * 5)).reshape(5, -1)
    sums = weights.astype(int) @ corners + bias[:, None]
    assert np.array_equal(sums.min(axis=1), low) and np.array_equal(sums.max(axis=1), high)
