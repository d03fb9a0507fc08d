"""The float kernels: C for every chip (firmware/lib/nn/nn.h), in the order of sums that docs/numerics.md says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from host.compile.boards import Chip
from host.compile.description import Description, Field, rows_field, small
from host.compile.kernels import layouts, pools, portable
from host.compile.kernels.kernel import OneOp, Packed, whole
from host.compile.memory import Place
from host.nn.formats import WeightFormat
from host.quantise.ops import Conv, Dense, Pool, Rows

_LONG_CALL_PRODUCT = 12.0
"""Of a product and its sum: six calls and returns of one cycle more each."""
_CALLED = {WeightFormat.FLOAT32: "f32", WeightFormat.FLOAT16: "f16"}


def _row_bytes(op: Conv | Dense) -> bytes:
    """A row for each output: bias float32, weights as they are."""
    bias = op.rows.bias.astype("<f4").view(np.uint8).reshape(-1, 4)
    weights = layouts.map_order(op)
    little = weights.astype(weights.dtype.newbyteorder("<")).view(np.uint8).reshape(len(weights), -1)
    return np.concatenate([bias, little], axis=1).tobytes()


def _called(op: Conv | Dense) -> str:
    return f"{_CALLED[op.rows.format]}_{'f32' if op.source.is_float else 'u8'}"


def _counted(products: float, chip: Chip) -> float:
    return _LONG_CALL_PRODUCT * products if chip.long_calls else 0.0


def _halves(rows: Rows) -> dict[str, dict[str, float]]:
    """How a weight of 16 bits becomes a float."""
    return whole("nn_half_to_float") if rows.format is WeightFormat.FLOAT16 else {}


class FloatConv(OneOp[Conv]):
    """nn_conv_f32 and nn_conv_f16, over codes or floats: convolution, ReLU and max-pool in one pass."""

    name = "nn_conv_float"
    template = "c/conv_float.j2"
    runs = Conv
    stack = portable.CONV_STACK
    on_floats = True

    def refusal(self, op: Conv) -> str | None:
        return portable.sides_refusal(op)

    def packed(self, op: Conv, place: Place) -> Packed:
        ends = {"backward": int(place.backward), "relu": int(op.rows.relu)}
        fields = rows_field(), *small((portable.side_fields(op, for_columns=True) | ends).items())
        return Packed(_row_bytes(op), Description("nn_conv_float", fields), {"called": _called(op)})

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
        return whole(f"nn_conv_{_called(op)}") | _halves(op.rows)

    def calls(self, op: Conv) -> Mapping[str, float]:
        return {"a step of nn_conv_float": 1}


class FloatDense(OneOp[Dense]):
    """nn_dense_f32 and nn_dense_f16, over codes or floats."""

    name = "nn_dense_float"
    template = "c/dense_float.j2"
    runs = Dense
    stack = portable.DENSE_STACK
    on_floats = True

    def refusal(self, op: Dense) -> str | None:
        return portable.units_refusal(op)

    def packed(self, op: Dense, place: Place) -> Packed:
        ends = small((("outputs", op.rows.outputs), ("relu", int(op.rows.relu))))
        fields = rows_field(), Field("inputs", 2, op.inputs), *ends
        return Packed(_row_bytes(op), Description("nn_dense_float", fields), {"called": _called(op)})

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        return _counted(op.nonzero * op.rows.outputs, chip)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        return {
            "nn_dense_float output": op.rows.outputs,
            "nn_dense_float input": op.inputs,
            f"nn_dense_float {'f32' if op.source.is_float else 'u8'} input used": op.nonzero,
            f"nn_dense_float {op.rows.format.label} product": op.nonzero * op.rows.outputs,
        }

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        names = [f"nn_dense_{_called(op)}", *([] if op.rows.relu else ["nn_argmax_f32"])]
        return whole(*names) | _halves(op.rows)

    def calls(self, op: Dense) -> Mapping[str, float]:
        return {"a step of nn_dense_float": 1}


class FloatPool(OneOp[Pool]):
    """nn_pool_f32_max and nn_pool_f32_average."""

    name = "nn_pool_float"
    template = "c/pool.j2"
    runs = Pool
    stack = portable.CONV_STACK
    on_floats = True

    def refusal(self, op: Pool) -> str | None:
        return pools.pool_refusal(op)

    def packed(self, op: Pool, place: Place) -> Packed:
        return Packed(b"", pools.pool_description(op, place))

    def counts(self, op: Pool, alive: float | None) -> Mapping[str, float]:
        # The largest of some floats costs by its inputs alone.
        counts = {name: count for name, count in pools.pool_counts(op).items() if name != "max window"}
        return {f"nn_pool_float {name}": count for name, count in counts.items()}

    def functions(self, op: Pool, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole(f"nn_pool_f32_{'average' if op.is_average else 'max'}")

    def calls(self, op: Pool) -> Mapping[str, float]:
        return {"a step of nn_pool_float": 1}
