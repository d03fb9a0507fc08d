"""Rounding, saturation and bounds: the only place that decides them. Defined in docs/numerics.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.formats import WeightFormat

INT8_MAX = WeightFormat.INT8.weight_max
ROW_SHIFTS = (24, 16)
"""By what activations of per-row layers are shifted, the finer first; both are whole bytes on a board."""
MULTIPLIER_MAX = 0xFFFF
_BIAS_BITS = 30
_MULTIPLIER_BITS = 63
_CLIPPINGS = 64


def symmetric_step(weights: NDArray[np.float32]) -> float:
    """The step that puts the largest |weight| on 127; 1.0 for all-zero weights, where any step will do."""
    largest = float(np.max(np.abs(weights), initial=0.0))
    return largest / INT8_MAX if largest > 0.0 else 1.0


def to_int8(
    weights: NDArray[np.floating], step: float | NDArray[np.float64], largest: int = INT8_MAX
) -> NDArray[np.int8]:
    """Round half to even and saturate at ±largest (never −128, so that negation is safe)."""
    rounded = np.rint(weights.astype(np.float64) / step)
    return np.clip(rounded, -largest, largest).astype(np.int8)


def largest_kept(weights: NDArray[np.float64], fmt: WeightFormat) -> NDArray[np.float64]:
    """Which magnitude of each row (rows, n) comes to lie on the format's largest weight: (rows,), 0 for rows of zeros.

    With 8 bits the largest there is. With fewer the one, of `_CLIPPINGS` shares of the largest, that leaves the
    smallest squared error: what lies above it saturates, so that all others are rounded more finely.
    """
    largest: NDArray[np.float64] = np.abs(weights).max(axis=1, initial=0.0)
    if fmt is WeightFormat.INT8:
        return largest
    best = np.full(len(weights), np.inf)
    found: NDArray[np.float64] = largest.copy()
    for share in np.linspace(1.0, 0.0, _CLIPPINGS, endpoint=False):
        step = np.where(largest > 0.0, largest * share, 1.0)[:, None] / fmt.weight_max
        error = ((to_int8(weights, step, fmt.weight_max) * step - weights) ** 2).sum(axis=1)
        better = error < best
        best[better], found[better] = error[better], largest[better] * share
    return found


def to_int32(values: NDArray[np.float64], what: str) -> NDArray[np.int32]:
    """Round half to even; raise InputError where an int32 cannot hold the result."""
    rounded = np.rint(values)
    limit = np.iinfo(np.int32).max
    if np.any(np.abs(rounded) > limit):
        raise InputError(
            f"{what}: found {np.max(np.abs(rounded)):.3g}, need at most {limit}; train with smaller biases"
        )
    return rounded.astype(np.int32)


def row_multipliers(
    weight_steps: NDArray[np.float64],
    biases: NDArray[np.float64],
    input_step: float,
    output_step: float,
    shift: int,
    meet: np.ufunc = np.ceil,
) -> NDArray[np.int64]:
    """For each row the smallest multiplier m >= 1 whose weights' step is not below `weight_steps` and for which the
    bias fits `_BIAS_BITS`.

    A weight then counts in steps of `m · output_step / (2^shift · input_step)`. Not yet held to 16 bits. With `meet`
    np.rint the step is the nearest to `weight_steps`. Raise InputError where 64 bits do not hold one.
    """
    unit = output_step / 2.0**shift
    for_weights = meet(weight_steps * input_step / unit)
    for_biases = np.ceil(np.abs(biases) / (2.0**_BIAS_BITS * unit))
    most = float(max(for_weights.max(initial=1), for_biases.max(initial=1)))
    if not most < 2.0**_MULTIPLIER_BITS:
        found = f"found weights or biases of {most:.3g} steps of a layer's output"
        raise InputError(f"rows: {found}, need less than 2^{_MULTIPLIER_BITS}; check the net's numbers")
    wanted: NDArray[np.int64] = np.maximum(1, np.maximum(for_weights, for_biases)).astype(np.int64)
    return wanted


def sum_bounds(weights: NDArray[np.signedinteger], bias: NDArray[np.signedinteger], top: int) -> NDArray[np.int64]:
    """Lowest and highest possible sum of each row of weights, (2, outputs), for inputs of 0..top."""
    wide = weights.astype(np.int64)
    low = bias + top * np.minimum(wide, 0).sum(axis=1)
    high = bias + top * np.maximum(wide, 0).sum(axis=1)
    return np.stack([low, high])


def choose_requantiser(accumulator_step: float, output_max: float, levels: int, max_shift: int) -> tuple[int, int]:
    """(multiplier, shift) whose range `levels · accumulator_step · 2^shift / multiplier` is the smallest that holds
    `output_max`. The multiplier is at most 255, and below 2^16 when brought to `max_shift`, as AVR kernels want it."""
    wanted = min(levels * accumulator_step / max(output_max, accumulator_step), 0xFFFF / 2.0**max_shift)
    shift = int(np.clip(np.floor(np.log2(255.0 / wanted)), 1, max_shift))
    return int(np.clip(np.floor(wanted * 2.0**shift), 1, 255)), shift


def half_up(sums: NDArray[np.int64], multiplier: int | NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """(sum·multiplier + 2^(shift−1)) >> shift, shapes kept; multipliers broadcast."""
    scaled: NDArray[np.int64] = (sums * multiplier + (1 << (shift - 1))) >> shift
    return scaled


def double_rounded(
    sums: NDArray[np.int64], multiplier: NDArray[np.int64], exponent: NDArray[np.int64]
) -> NDArray[np.int64]:
    """sum·2^exponent·multiplier / 2^31 as TensorFlow Lite's reference kernels compute it: the doubled high half of the
    product rounded half away from zero downwards of it (SaturatingRoundingDoublingHighMul), then, where the exponent
    is below 0, a division by a power of two that rounds half away from zero (RoundingDivideByPOT)."""
    shifted = sums << np.maximum(exponent, 0)
    product = shifted * multiplier
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = _toward_zero(product + nudge, 31)
    right = np.maximum(-exponent, 0)
    mask = (np.int64(1) << right) - 1
    threshold = (mask >> 1) + (high < 0)
    rounded: NDArray[np.int64] = (high >> right) + ((high & mask) > threshold)
    return rounded


def _toward_zero(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Values / 2^bits, the fraction dropped, as C divides."""
    halves: NDArray[np.int64] = np.sign(values) * (np.abs(values) >> bits)
    return halves


def mean_of_counts(sums: NDArray[np.int64], count: int, center: int = 0) -> NDArray[np.uint8]:
    """The mean of `count` codes whose sum is given, rounded to nearest, halves away from `center`: all of them upwards
    for 0."""
    nudges = np.where(sums > center * count, count // 2, (count - 1) // 2) if center else count // 2
    means: NDArray[np.uint8] = ((sums + nudges) // count).astype(np.uint8)
    return means
