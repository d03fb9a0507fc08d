"""Float weights to rows of whole numbers, or of floats as a board has them: what each op's numbers are.

Two rules for a hidden layer's integers. By row: each output has its own 16-bit multiplier, and its weights' scale is
the one for which that multiplier is exact. By layer: one scale and one short multiplier, the activation's scale being
what they make it. Scales are what one step of a code is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.formats import NARROW_TOP, WeightFormat
from host.nn.numbers import to_half
from host.quantise import numerics
from host.quantise.ops import Codes, Rows
from host.quantise.requantisers import HalfUp

_GROWTH = 1.02
"""How much coarser weights become at a time, until their sums fit 16 bits."""
_NARROW_SHIFT, _WIDE_SHIFT = 16, 24
"""What AVR requantisers of a whole layer shift by, by their sums; a smaller shift is a larger multiplier."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a layer is given: codes, one of which is worth `scale`, `offset` being subtracted first: one number, or one
    for each input, in codes."""

    scale: float
    codes: Codes
    offset: NDArray[np.float64] | None = None
    offset_unit: float = 1.0
    """`offset` counts in codes of this size."""

    def correction(self, weights: NDArray[np.int8]) -> NDArray[np.float64] | float:
        """Σ w·offset for each row of whole weights (outputs, inputs), in codes: so centring costs a board nothing."""
        if self.offset is None:
            return 0.0
        wide = weights.astype(np.float64)
        total: NDArray[np.float64] = wide @ np.broadcast_to(self.offset, wide.shape[1:])
        return total / self.offset_unit


@dataclass(frozen=True)
class Layer:
    """The float numbers of a layer, weights (outputs, …) and bias (outputs,), float64; `name` is for messages."""

    name: str
    format: WeightFormat
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


def by_row(
    layer: Layer,
    inputs: Inputs,
    top: int,
    output_scale: float,
    wanted: NDArray[np.float64],
    *,
    shared: bool = False,
    learned: bool = False,
) -> tuple[Rows, float]:
    """Rows with a multiplier each and the output's scale; `wanted` (outputs,) are the scales that suit the weights
    best, 0 where all are 0. With `shared` all rows take the coarsest. A `learned` scale is met as nearly as can be,
    whatever its sums take; one of our own may be a little coarser, but must not saturate."""
    meet = np.rint if learned else np.ceil
    while True:
        rows, scale = _exact_rows(layer, inputs, top, output_scale, wanted, shared, meet)
        wide = ~_fits_int16(rows, inputs) & rows.flat.any(axis=1)
        if learned or _may_be_wide(inputs) or not wide.any():
            return rows, scale
        # Only the weights can give way: a row of small ones has its scale from elsewhere.
        largest = np.abs(layer.weights.reshape(rows.outputs, -1)).max(axis=1) / layer.format.weight_max
        wanted = np.where(wide, np.maximum(wanted, largest) * _GROWTH, wanted)


def _exact_rows(
    layer: Layer,
    inputs: Inputs,
    top: int,
    output_scale: float,
    wanted: NDArray[np.float64],
    shared: bool,
    meet: np.ufunc,
) -> tuple[Rows, float]:
    def multipliers(shift: int) -> NDArray[np.int64]:
        found = numerics.row_multipliers(wanted, layer.bias, inputs.scale, output_scale, shift, meet)
        return np.full_like(found, found.max()) if shared else found

    for shift in numerics.ROW_SHIFTS:
        chosen = multipliers(shift)
        if chosen.max() <= numerics.MULTIPLIER_MAX:
            break
    else:
        # A coarser activation: only where a sum of a few units is already as large as the largest activation.
        output_scale *= int(chosen.max()) / numerics.MULTIPLIER_MAX
        chosen = np.minimum(multipliers(shift), numerics.MULTIPLIER_MAX)
    scales = chosen.astype(np.float64) * (output_scale / (2.0**shift * inputs.scale))
    rows = whole_rows(layer, inputs, scales)
    rule = HalfUp(chosen.astype(np.uint16), shift)
    return Rows(layer.format, rows.weights, rows.bias, rule, Codes(top)), output_scale


def by_layer(layer: Layer, inputs: Inputs, top: int, output_max: float, scale: float | None) -> tuple[Rows, float]:
    """Rows with one scale and one multiplier up to 255, and the output's scale; `scale` is that of weights that were
    trained on one."""
    rows, accumulator = _one_scale(layer, inputs, scale)
    multiplier, shift = numerics.choose_requantiser(
        accumulator, output_max, top, _NARROW_SHIFT if top <= NARROW_TOP else _WIDE_SHIFT
    )
    rule = HalfUp(np.full(rows.outputs, multiplier, np.uint16), shift)
    return Rows(layer.format, rows.weights, rows.bias, rule, Codes(top)), accumulator * 2.0**shift / multiplier


def scores_by_layer(layer: Layer, inputs: Inputs, scale: float | None) -> tuple[Rows, float]:
    """Rows whose sums are the scores, as `by_layer` rounds them, and what one step of a score is worth."""
    return _one_scale(layer, inputs, scale)


def _one_scale(layer: Layer, inputs: Inputs, scale: float | None) -> tuple[Rows, float]:
    """The trained scale, or the finest for which the weights fit 8 bits; larger where sums must fit 16."""
    scale = scale or numerics.symmetric_step(layer.weights.astype(np.float32))
    while True:
        rows = whole_rows(layer, inputs, np.full(len(layer.bias), scale))
        if _may_be_wide(inputs) or _fits_int16(rows, inputs).all() or not rows.weights.any():
            return rows, scale * inputs.scale
        scale *= _GROWTH


def scores_by_row(
    layer: Layer, inputs: Inputs, wanted: NDArray[np.float64], *, learned: bool = False
) -> tuple[Rows, float]:
    """Rows whose sums are the scores, all in the same `wanted` scale (outputs,), and what one step of them is worth; a
    `learned` scale is left as it is, as in `by_row`."""
    scales = np.where(wanted > 0, wanted, 1.0)
    while True:
        rows = whole_rows(layer, inputs, scales)
        if learned or _may_be_wide(inputs) or _fits_int16(rows, inputs).all() or not rows.weights.any():
            return rows, float(scales[0]) * inputs.scale
        scales = scales * _GROWTH


def fixed(layer: Layer, inputs: Inputs, top: int, output_max: float) -> tuple[Rows, float]:
    """Rows of a kernel that is whole numbers already, exactly those, and the output's scale: the smallest for which
    `output_max` is at most `top`."""
    unit = top * inputs.scale / max(output_max, inputs.scale)
    shift = next(
        (s for s in numerics.ROW_SHIFTS if unit * 2.0**s < numerics.MULTIPLIER_MAX + 1), numerics.ROW_SHIFTS[-1]
    )
    multiplier = int(np.clip(np.floor(unit * 2.0**shift), 1, numerics.MULTIPLIER_MAX))
    rows = whole_rows(layer, inputs, np.ones(len(layer.bias)))
    rule = HalfUp(np.full(rows.outputs, multiplier, np.uint16), shift)
    return Rows(layer.format, rows.weights, rows.bias, rule, Codes(top)), inputs.scale * 2.0**shift / multiplier


def whole_rows(layer: Layer, inputs: Inputs, scales: NDArray[np.float64]) -> Rows:
    """Weights and bias rounded to `scales` (outputs,), sums proved to fit 32 bits."""
    spread = scales.reshape(-1, *(1,) * (layer.weights.ndim - 1))
    whole = numerics.to_int8(layer.weights, spread, layer.format.weight_max)
    exact = layer.bias / (scales * inputs.scale) - inputs.correction(whole.reshape(len(whole), -1))
    rows = Rows(layer.format, whole, numerics.to_int32(exact, f"{layer.name}: bias"))
    bounds = rows.sum_bounds(inputs.codes.high)
    if bounds.min() < -(2**31) or bounds.max() >= 2**31:
        raise InputError(
            f"{layer.name}: sums: found {bounds.min()}..{bounds.max()}, need 32 bits; train smaller weights"
        )
    return rows


def float_rows(layer: Layer, inputs: Inputs, relu: bool, codes: Codes) -> Rows:
    """Rows of floats: the inputs' scale goes into the weights, their offset into the bias, each rounded once."""
    scaled = (layer.weights * inputs.scale).astype(np.float32)
    weights: NDArray[Any] = (
        to_half(scaled, layer.format.label, "use float32") if layer.format is WeightFormat.FLOAT16 else scaled
    )
    bias = (layer.bias - inputs.correction(weights.reshape(len(weights), -1))).astype(np.float32)
    return Rows(layer.format, weights, bias, None, codes, relu)


def _may_be_wide(inputs: Inputs) -> bool:
    return inputs.codes.high > NARROW_TOP


def _fits_int16(rows: Rows, inputs: Inputs) -> NDArray[np.bool_]:
    """Whether every possible sum of each row fits 16 bits, (outputs,)."""
    low, high = rows.sum_bounds(inputs.codes.high)
    fits: NDArray[np.bool_] = (low >= -(2**15)) & (high < 2**15)
    return fits
