"""Biases and weights are rounded to nearest, halves to even: never down, never towards zero."""

from __future__ import annotations

import numpy as np
import pytest

from host.nn.formats import WeightFormat
from host.quantise import rounding
from host.quantise.ops import Codes

EXACT = [2.6, -2.6, 2.4, -2.4, 2.5, 3.5, -2.5]
NEAREST = [3, -3, 2, -2, 2, 4, -2]
UNIT = rounding.Inputs(1.0, Codes())


def layer(weights: list[list[float]], bias: list[float]) -> rounding.Layer:
    return rounding.Layer("int8: layer 1", WeightFormat.INT8, np.array(weights), np.array(bias))


def test_biases_are_rounded_to_the_nearest() -> None:
    rows = rounding.whole_rows(layer([[1.0]] * len(EXACT), EXACT), UNIT, np.ones(len(EXACT)))
    assert rows.bias.tolist() == NEAREST


def test_weights_are_rounded_to_the_nearest() -> None:
    rows = rounding.whole_rows(layer([EXACT], [0.0]), UNIT, np.ones(1))
    assert rows.weights.tolist() == [NEAREST]


@pytest.mark.parametrize("offset", [0, 3])
def test_a_bias_takes_the_offset_with_the_rounded_weights(offset: int) -> None:
    inputs = rounding.Inputs(1.0, Codes(), np.array(float(offset)))
    rows = rounding.whole_rows(layer([EXACT], [0.6]), inputs, np.ones(1))
    assert rows.bias.tolist() == [round(0.6 - offset * sum(NEAREST))]


def test_a_layer_of_one_scale_rounds_its_biases_in_that_scale() -> None:
    rows, step = rounding.scores_by_layer(layer([[127.0, 1.0], [0.0, 0.0]], [2.6, -2.6]), UNIT, None)
    assert step == 1.0
    assert rows.bias.tolist() == [3, -3]


@pytest.mark.parametrize("learned", [False, True])
def test_scores_of_narrow_codes_fit_16_bits_unless_their_scale_was_learned(learned: bool) -> None:
    inputs = rounding.Inputs(1.0, Codes(63))
    rows, step = rounding.scores_by_row(layer([[120.0] * 10], [0.0]), inputs, np.ones(1), learned=learned)
    assert (int(rows.sum_bounds(inputs.codes.high).max()) > 32767) == (step == 1.0) == learned
