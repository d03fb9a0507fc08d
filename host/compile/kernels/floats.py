"""The float kernels: C for every chip (firmware/lib/nn/nn.h), in the order of sums that docs/numerics.md says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from host.compile.boards import Chip
from host.compile.kernels import layouts, pools, portable
from host.compile.kernels.kernel import OneOp, Packed, whole
from host.compile.kernels.measured import Measured
from host.nn.formats import WeightFormat
from host.quantise.ops import Conv, Dense, Pool, Rows

_CYCLES = Measured(
    near={
        "nn_dense_float": 0,
        "nn_dense_float output": 246.2,
        "nn_dense_float input": 91.4,
        "nn_dense_float u8 input used": 55.28,
        "nn_dense_float float16 product": 328.84,
        "nn_dense_float f32 input used": 0,
        "nn_dense_float float32 product": 280.46,
        "nn_conv_float": 76361.2,
        "nn_conv_float position": 2989.39,
        "nn_conv_float sum": 1113.69,
        "nn_conv_float tap": 72.91,
        "nn_conv_float pixel": 96.14,
        "nn_conv_f32_u8 product": 16.44,
        "nn_conv_float product of zero": 0,
        "nn_conv_f32_f32 product": 48.03,
        "nn_conv_f16_u8 product": 120.37,
        "nn_pool_float once": 288.65,
        "nn_pool_float line": 0,
        "nn_pool_float position": 143.01,
        "nn_pool_float average window": 332.85,
        "nn_pool_float average row": 166.42,
        "nn_pool_float average input": 83.21,
        "nn_conv_f16_f32 product": 207.96,
        "nn_pool_float max window": 0,
        "nn_pool_float max row": 56.04,
        "nn_pool_float max input": 62.76,
    },
    far={
        "nn_dense_float": 0,
        "nn_dense_float output": 270.95,
        "nn_dense_float input": 104.61,
        "nn_dense_float u8 input used": 228.9,
        "nn_dense_float float16 product": 334.45,
        "nn_dense_float f32 input used": 29.87,
        "nn_dense_float float32 product": 282.26,
        "nn_conv_float": 106241,
        "nn_conv_float position": 3819.38,
        "nn_conv_float sum": 1321.19,
        "nn_conv_float tap": 95.97,
        "nn_conv_float pixel": 119.2,
        "nn_conv_f32_u8 product": 40.68,
        "nn_conv_float product of zero": 206.32,
        "nn_conv_f32_f32 product": 48.03,
        "nn_conv_f16_u8 product": 0,
        "nn_pool_float once": 312.75,
        "nn_pool_float line": 23.72,
        "nn_pool_float position": 167.11,
        "nn_pool_float average window": 338.87,
        "nn_pool_float average row": 169.43,
        "nn_pool_float average input": 84.72,
        "nn_conv_f16_f32 product": 207.96,
        "nn_pool_float max window": 0,
        "nn_pool_float max row": 56.04,
        "nn_pool_float max input": 62.76,
    },
)
_FLASH = Measured(
    near={
        "nn_dense_f16_u8": 474.12,
        "float arithmetic": 0,
        "nn_half_to_float": 136.1,
        "a step of nn_dense_float": 420.68,
        "nn_dense_f16_f32": 491.5,
        "nn_argmax_f32": 80,
        "nn_dense_f32_u8": 477.82,
        "nn_dense_f32_f32": 493.96,
        "nn_conv_f32_u8": 1557.93,
        "a step of nn_conv_float": 220.71,
        "nn_conv_f32_f32": 1870.52,
        "nn_conv_f16_u8": 1824.1,
        "nn_pool_f32_average": 604,
        "a step of nn_pool_float": 27.91,
        "nn_conv_f16_f32": 1974.47,
        "nn_pool_f32_max": 588.47,
    },
    far={
        "nn_dense_f16_u8": 0,
        "float arithmetic": 0,
        "nn_half_to_float": 137.2,
        "a step of nn_dense_float": 422.03,
        "nn_dense_f16_f32": 575.13,
        "nn_argmax_f32": 79.71,
        "nn_dense_f32_u8": 574.18,
        "nn_dense_f32_f32": 587.03,
        "nn_conv_f32_u8": 1894.52,
        "a step of nn_conv_float": 217.38,
        "nn_conv_f32_f32": 1870.52,
        "nn_conv_f16_u8": 2013.2,
        "nn_pool_f32_average": 606.96,
        "a step of nn_pool_float": 24.58,
        "nn_conv_f16_f32": 1974.47,
        "nn_pool_f32_max": 588.47,
    },
)
_LONG_CALL_PRODUCT = 12.0
"""Of a product and its sum: six calls and returns of one cycle more each."""
_CALLED = {WeightFormat.FLOAT32: "f32", WeightFormat.FLOAT16: "f16"}


def _row_bytes(op: Conv | Dense) -> bytes:
    """A row for each output: bias float32, weights as they are."""
    bias = op.rows.bias.astype("<f4").view(np.uint8).reshape(-1, 4)
    weights = layouts.map_order(op)
    little = weights.astype(weights.dtype.newbyteorder("<")).view(np.uint8).reshape(len(weights), -1)
    return np.concatenate([bias, little], axis=1).tobytes()


def _packed(op: Conv | Dense) -> Packed:
    return Packed(_row_bytes(op), {"called": _called(op)})


def _called(op: Conv | Dense) -> str:
    return f"{_CALLED[op.rows.format]}_{'f32' if op.source.is_float else 'u8'}"


def _counted(products: float, chip: Chip) -> float:
    return _LONG_CALL_PRODUCT * products if chip.long_calls else 0.0


def _library(rows: Rows) -> dict[str, dict[str, float]]:
    """What the compiler's library has of floats, and how a weight of 16 bits becomes one."""
    names = ["float arithmetic", *(["nn_half_to_float"] if rows.format is WeightFormat.FLOAT16 else [])]
    return whole(*names)


class FloatConv(OneOp[Conv]):
    """nn_conv_f32 and nn_conv_f16, over codes or floats: convolution, ReLU and max-pool in one pass."""

    name = "nn_conv_float"
    template = "c/conv_float.j2"
    runs = Conv
    cycles, flash, stack = _CYCLES, _FLASH, portable.CONV_STACK
    on_floats = True

    def refusal(self, op: Conv) -> str | None:
        return portable.sides_refusal(op)

    def packed(self, op: Conv) -> Packed:
        return _packed(op)

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        return _counted(self._products(op) * op.share, chip)

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        inside, products = self._products(op) / (op.input_shape[0] // op.groups), self._products(op)
        positions = op.used[0] * op.used[1]
        return {
            "nn_conv_float": 1,
            "nn_conv_float position": positions,
            "nn_conv_float sum": positions * op.rows.outputs,
            "nn_conv_float tap": positions * op.rows.outputs * op.kernel[0] * op.kernel[1],
            "nn_conv_float pixel": inside,
            f"nn_conv_{_called(op)} product": products * op.share,
            "nn_conv_float product of zero": products * (1 - op.share),
        }

    def _products(self, op: Conv) -> float:
        inside = sum(count * y * x for (y, x), count in portable.windows(op).items())
        return inside * op.rows.outputs * (op.input_shape[0] // op.groups)

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        name = f"nn_conv_{_called(op)}"
        return whole(name) | _library(op.rows)


class FloatDense(OneOp[Dense]):
    """nn_dense_f32 and nn_dense_f16, over codes or floats."""

    name = "nn_dense_float"
    template = "c/dense_float.j2"
    runs = Dense
    cycles, flash, stack = _CYCLES, _FLASH, portable.DENSE_STACK
    on_floats = True

    def refusal(self, op: Dense) -> str | None:
        return portable.units_refusal(op)

    def packed(self, op: Dense) -> Packed:
        return _packed(op)

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        return _counted(op.nonzero * op.rows.outputs, chip)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        return {
            "nn_dense_float": 1,
            "nn_dense_float output": op.rows.outputs,
            "nn_dense_float input": op.inputs,
            f"nn_dense_float {'f32' if op.source.is_float else 'u8'} input used": op.nonzero,
            f"nn_dense_float {op.rows.format.label} product": op.nonzero * op.rows.outputs,
        }

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        names = [f"nn_dense_{_called(op)}", *([] if op.rows.relu else ["nn_argmax_f32"])]
        return whole(*names) | _library(op.rows)


class FloatPool(OneOp[Pool]):
    """nn_pool_f32_max and nn_pool_f32_average."""

    name = "nn_pool_float"
    template = "c/pool.j2"
    runs = Pool
    cycles, flash, stack = _CYCLES, _FLASH, portable.CONV_STACK
    on_floats = True

    def refusal(self, op: Pool) -> str | None:
        return pools.pool_refusal(op)

    def counts(self, op: Pool, alive: float | None) -> Mapping[str, float]:
        return {f"nn_pool_float {name}": count for name, count in pools.pool_counts(op).items()}

    def functions(self, op: Pool, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        kind = "average" if op.is_average else "max"
        return whole(f"nn_pool_f32_{kind}", "float arithmetic")
