"""The float kernels: C for every chip (firmware/lib/nn/nn.h), in the order of sums that docs/numerics.md says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from host.compile.boards import Chip
from host.compile.kernels import layouts, portable
from host.compile.kernels.kernel import Cost, OneOp, Packed
from host.nn.formats import WeightFormat
from host.quantise.ops import Conv, Dense, Pool, Rows


@dataclass(frozen=True)
class _Cycles:
    """Measured: of a product and its sum, of an input of zero, of an output, and bytes of code."""

    product: float
    zero: float
    output: float
    code: int


_CYCLES = {
    WeightFormat.FLOAT32: _Cycles(340.0, 30.0, 300.0, 2030),
    WeightFormat.FLOAT16: _Cycles(370.0, 30.0, 300.0, 2036),
}
_STEP_CYCLES, _POSITION_CYCLES, _COMPARED_CYCLES = 300.0, 800.0, 80.0
_POOLED_ONCE, _POOLED_CYCLES = 130.0, 140.0
_LONG_CALL_PRODUCT = 12.0
"""Six calls and returns of one cycle more each."""
_CALLED = {WeightFormat.FLOAT32: "f32", WeightFormat.FLOAT16: "f16"}


def _row_bytes(op: Conv | Dense) -> bytes:
    """A row for each output: bias float32, weights as they are."""
    bias = op.rows.bias.astype("<f4").view(np.uint8).reshape(-1, 4)
    weights = layouts.map_order(op)
    little = weights.astype(weights.dtype.newbyteorder("<")).view(np.uint8).reshape(len(weights), -1)
    return np.concatenate([bias, little], axis=1).tobytes()


def _packed(op: Conv | Dense) -> Packed:
    called = f"{_CALLED[op.rows.format]}_{'f32' if op.source.is_float else 'u8'}"
    return Packed(_row_bytes(op), {"called": called})


def _products(rows: Rows, count: float, share: float, chip: Chip) -> float:
    """So many products, of inputs of which a share is not zero."""
    costs, more = _CYCLES[rows.format], _LONG_CALL_PRODUCT if chip.long_calls else 0.0
    return count * (share * (costs.product + more) + (1 - share) * costs.zero)


class FloatConv(OneOp[Conv]):
    """nn_conv_f32 and nn_conv_f16, over codes or floats: convolution, ReLU and max-pool in one pass."""

    name = "nn_conv_float"
    template = "c/conv_float.j2"
    runs = Conv
    on_floats = True

    def refusal(self, op: Conv) -> str | None:
        return portable.sides_refusal(op)

    def packed(self, op: Conv) -> Packed:
        return _packed(op)

    def cost_of(self, op: Conv, chip: Chip, alive: float | None) -> Cost:
        costs, total = _CYCLES[op.rows.format], 0.0
        share = op.input_shape[0] // op.groups
        for (y, x), count in portable.windows(op).items():
            products = _products(op.rows, y * x * share, op.share, chip) + costs.output
            total += count * (op.rows.outputs * products + _POSITION_CYCLES)
        return Cost(total, {f"nn_conv_{_CALLED[op.rows.format]}": costs.code + 900}, stack=portable.CONV_STACK)


class FloatDense(OneOp[Dense]):
    """nn_rows_f32 and nn_rows_f16, over codes or floats."""

    name = "nn_rows_float"
    template = "c/dense_float.j2"
    runs = Dense
    on_floats = True

    def refusal(self, op: Dense) -> str | None:
        return portable.units_refusal(op)

    def packed(self, op: Dense) -> Packed:
        return _packed(op)

    def cost_of(self, op: Dense, chip: Chip, alive: float | None) -> Cost:
        costs, outputs = _CYCLES[op.rows.format], op.rows.outputs
        products = _products(op.rows, op.inputs, op.nonzero / op.inputs, chip) + costs.output
        argmax = 0.0 if op.rows.relu else _COMPARED_CYCLES * outputs
        code = {f"nn_rows_{_CALLED[op.rows.format]}": costs.code}
        return Cost(_STEP_CYCLES + outputs * products + argmax, code, stack=portable.DENSE_STACK)


class FloatPool(OneOp[Pool]):
    """nn_pool_f32_max and nn_pool_f32_average."""

    name = "nn_pool_float"
    template = "c/pool.j2"
    runs = Pool
    on_floats = True

    def refusal(self, op: Pool) -> str | None:
        return portable.pool_refusal(op)

    def cost_of(self, op: Pool, chip: Chip, alive: float | None) -> Cost:
        channels, height, width = op.output_shape
        each = _POOLED_ONCE + _POOLED_CYCLES * op.size[0] * op.size[1]
        return Cost(_STEP_CYCLES + channels * height * width * each, {"nn_pool_f32": 900}, stack=portable.CONV_STACK)
