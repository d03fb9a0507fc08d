"""What TensorFlow Lite Micro makes of scales before it computes: of codes, and of the mean over a map."""

from __future__ import annotations

import numpy as np

from host.importers.multipliers import quantised_multipliers
from host.importers.tflite.file import Tensor
from host.nn.given import EXPONENTS, GivenRows

CENTER = 128
"""The u8 code that stands for int8's 0."""
_MOST_SHIFT = 32


def zero_code(tensor: Tensor) -> int:
    """The u8 code of 0.0."""
    return int(tensor.zeros[0]) + CENTER


def scale_of(tensor: Tensor) -> float:
    """What one step of its codes is worth."""
    return float(tensor.scales[0])


def mean_rows(factor: float, scale: float, zero: int, channels: int, count: int) -> GivenRows:
    """Rows of the mean of `count` codes of each channel, steps of which are worth `factor` steps of the output, which
    counts in codes of `scale` from `zero`. The division goes into the multiplier, brought up by as many bits as the
    count has and then rounded down. Raise OverflowError where a code is worth more than 2^30 steps."""
    multipliers, exponents = quantised_multipliers(np.array([factor]))
    multiplier, exponent = int(multipliers[0]), int(exponents[0])
    shift = min(count.bit_length() - 1, _MOST_SHIFT, exponent - EXPONENTS[0])
    return GivenRows(
        None,
        np.zeros(channels, np.int32),
        np.full(channels, (multiplier << shift) // count, np.int32),
        np.full(channels, exponent - shift, np.int32),
        scale,
        zero,
    )
