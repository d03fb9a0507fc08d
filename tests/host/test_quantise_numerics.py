"""Rounding, saturation, bounds and the requantiser's choice."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from definition import scale_twice_rounded
from hypothesis import example, given
from hypothesis import strategies as st

from host.errors import InputError
from host.nn.numbers import to_half
from host.quantise import numerics
from host.quantise.requantisers import DoubleRounding


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
        to_half(np.array([70000.0], np.float32), "float16", "use float32")


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


def test_halves_are_rounded_up():
    sums = np.arange(-70000, 70000, 37, dtype=np.int64)
    assert numerics.half_up(sums, 201, 13).tolist() == [(int(s) * 201 + 4096) >> 13 for s in sums]


@given(st.integers(0, 2**32 - 1))
def test_sum_bounds_are_reached_and_never_passed(seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (3, 5)).astype(np.int8)
    bias = rng.integers(-1000, 1000, 3).astype(np.int32)
    low, high = numerics.sum_bounds(weights, bias, 63)
    corners = np.array(np.meshgrid(*[[0, 63]] * 5)).reshape(5, -1)
    sums = weights.astype(int) @ corners + bias[:, None]
    assert np.array_equal(sums.min(axis=1), low) and np.array_equal(sums.max(axis=1), high)


INT32 = st.integers(-(2**31), 2**31 - 1)


def nearest(value, away):
    """A Fraction rounded to the nearest whole number; of two the upper one, or with `away` that further from zero."""
    if away and value < 0:
        return -floor(-value + Fraction(1, 2))
    return floor(value + Fraction(1, 2))


@given(total=INT32, multiplier=st.integers(2**30, 2**31 - 1), exponent=st.integers(-31, 0))
@example(total=-(2**30), multiplier=2**30, exponent=-1)
@example(total=2**30, multiplier=2**30, exponent=-30)
@example(total=-3, multiplier=2**30, exponent=-1)
@example(total=-(2**31), multiplier=2**31 - 1, exponent=0)
def test_double_rounding_rounds_the_product_half_up_and_the_shift_half_away_from_zero(total, multiplier, exponent):
    once = nearest(Fraction(total * multiplier, 2**31), away=False)
    assert double_rounded(total, multiplier, exponent) == nearest(Fraction(once, 2**-exponent), away=True)


@given(total=st.integers(-(2**20), 2**20), multiplier=st.integers(2**30, 2**31 - 1), exponent=st.integers(1, 10))
def test_an_exponent_above_zero_shifts_the_sum_before_the_product(total, multiplier, exponent):
    assert double_rounded(total, multiplier, exponent) == nearest(
        Fraction(total * 2**exponent * multiplier, 2**31), away=False
    )


@given(
    sums=st.lists(INT32, min_size=6, max_size=6),
    multipliers=st.lists(st.integers(2**30, 2**31 - 1), min_size=2, max_size=2),
    exponents=st.lists(st.integers(-12, 0), min_size=2, max_size=2),
)
def test_each_output_has_its_own_multiplier_and_exponent(sums, multipliers, exponents):
    rule = DoubleRounding(np.array(multipliers, np.int32), np.array(exponents, np.int32))
    given = np.array(sums, np.int64).reshape(1, 2, 1, 3)
    expected = [scale_twice_rounded(rule, k, int(given[0, k, 0, x])) for k in range(2) for x in range(3)]
    assert rule.scaled(given).ravel().tolist() == expected
    assert rule.of(np.array([False, True])).scaled(given[:, 1:]).ravel().tolist() == expected[3:]


def double_rounded(total, multiplier, exponent):
    return int(numerics.double_rounded(np.array([total]), np.array([multiplier]), np.array([exponent]))[0])


@given(st.lists(st.integers(0, 255), min_size=1, max_size=9))
def test_a_mean_of_activations_rounds_halves_up(values):
    assert numerics.mean_of_counts(np.array([sum(values)]), len(values))[0] == nearest(
        Fraction(sum(values), len(values)), away=False
    )
