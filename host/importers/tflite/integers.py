"""What TensorFlow Lite Micro makes of scales before it computes: multipliers, and the codes that activations end at."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from host.importers.multipliers import quantised_multipliers
from host.importers.tflite.file import Tensor
from host.nn.given import EXPONENTS, GivenRows

CENTER = 128
"""The u8 code that stands for int8's 0."""
_LOW, _HIGH = -128, 127
_LIMITS = {"RELU": math.inf, "RELU6": 6.0}
_MOST_SHIFT = 32


def zero_code(tensor: Tensor) -> int:
    """The u8 code of 0.0."""
    return int(tensor.zeros[0]) + CENTER


def scale_of(tensor: Tensor) -> float:
    """What one step of its codes is worth."""
    return float(tensor.scales[0])


def clamps(tensor: Tensor, activation: str) -> tuple[int, int]:
    """(lowest, highest) u8 code of a tensor behind an activation, rounded in float32 as TensorFlow Lite does."""
    low, high = _LOW, _HIGH
    if activation in _LIMITS:
        low = int(tensor.zeros[0])
        steps = float(np.float32(_LIMITS[activation]) / tensor.scales[0])
        if steps < _HIGH - _LOW:
            high = min(high, low + math.floor(steps + 0.5))
    return low + CENTER, high + CENTER


def layer_rows(
    weights: NDArray[np.int8], bias: NDArray[np.int32], tensors: tuple[Tensor, Tensor, Tensor], activation: str
) -> GivenRows:
    """Rows of a layer with weights (outputs, …) of the tensors (input, weights, output). Raise OverflowError where a
    sum is worth more than 2^30 steps of the output."""
    source, filters, target = tensors
    product = float(source.scales[0]) * filters.scales.astype(np.float64)
    multipliers, exponents = quantised_multipliers(np.broadcast_to(product / float(target.scales[0]), len(bias)))
    low, high = clamps(target, activation)
    return GivenRows(weights, bias, multipliers, exponents, scale_of(target), zero_code(target), low, high)


def mean_rows(source: Tensor, target: Tensor, channels: int, count: int) -> GivenRows:
    """Rows of the mean of `count` codes of each channel. The division goes into the multiplier, brought up by as many
    bits as the count has and then rounded down. Raise OverflowError as `layer_rows`."""
    multipliers, exponents = quantised_multipliers(np.array([float(source.scales[0]) / float(target.scales[0])]))
    multiplier, exponent = int(multipliers[0]), int(exponents[0])
    shift = min(count.bit_length() - 1, _MOST_SHIFT, exponent - EXPONENTS[0])
    return GivenRows(
        None,
        np.zeros(channels, np.int32),
        np.full(channels, (multiplier << shift) // count, np.int32),
        np.full(channels, exponent - shift, np.int32),
        scale_of(target),
        zero_code(target),
    )
