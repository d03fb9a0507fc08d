"""A real factor as TensorFlow Lite's integers have it: a 31-bit multiplier and a power of two."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from host.nn.given import EXPONENTS

_ONE = 1 << 31


def quantised_multipliers(factors: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(multipliers, exponents) (outputs,) of factors from 0: factor ≈ multiplier / 2^31 · 2^exponent, as TensorFlow
    Lite's QuantizeMultiplier rounds it, halves away from zero. What is below 2^−32 becomes 0. Raise OverflowError where
    a sum is worth 2^30 steps of the output or more."""
    if not ((factors >= 0) & (factors < 2.0 ** EXPONENTS[1])).all():
        raise OverflowError(f"outputs in steps of {1 / factors.max():.3g} of those of the sums")
    pairs = [_quantised(float(factor)) for factor in factors]
    multipliers, exponents = zip(*pairs, strict=True)
    return np.array(multipliers, np.int32), np.array(exponents, np.int32)


def _quantised(factor: float) -> tuple[int, int]:
    share, exponent = math.frexp(factor)
    multiplier = math.floor(share * _ONE + 0.5)  # exact: a share has 53 bits, and is not negative
    if multiplier == _ONE:
        multiplier, exponent = _ONE // 2, exponent + 1
    return (0, 0) if exponent < EXPONENTS[0] else (multiplier, exponent)
