"""The kernels of nets that TensorFlow Lite quantised: C for every chip (firmware/lib/nn/nn.h), whose codes have one of
their own for 0.0 and whose sums are rounded twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Chip
from host.compile.description import Description, Field, rows_field, small
from host.compile.kernels import portable
from host.compile.kernels.kernel import OneOp, Packed, whole
from host.compile.kernels.layouts import map_order
from host.compile.kernels.portable import patch_cycles, positive_share, sides_refusal, units_refusal, windows
from host.compile.memory import Place
from host.quantise.ops import Conv, Dense, Rows
from host.quantise.requantisers import DoubleRounding


def affine_refusal(rows: Rows) -> str | None:
    """What these kernels cannot compute, whatever the op."""
    if not isinstance(rows.requantiser, DoubleRounding):
        return "found sums that are rounded once or are scores, need ones rounded twice"
    if rows.format.bits != 8:
        return f"found {rows.format.label} weights, need int8"
    return None if rows.codes.high else "found codes of 0 alone, need larger ones"


def _rule(rows: Rows) -> DoubleRounding:
    assert isinstance(rows.requantiser, DoubleRounding)
    return rows.requantiser


def rule_bytes(rows: Rows) -> NDArray[np.uint8]:
    """Of each output multiplier and exponent, (outputs, 5)."""
    rule = _rule(rows)
    exponents = rule.exponents.astype(np.int8).view(np.uint8).reshape(-1, 1)
    return np.concatenate([_bytes_of(rule.multipliers), exponents], axis=1)


def _row_bytes(op: Conv | Dense, *biases: NDArray[Any]) -> bytes:
    """A row for each output: biases, multiplier, exponent, weights."""
    parts = [*map(_bytes_of, biases), rule_bytes(op.rows), map_order(op).view(np.uint8)]
    return np.concatenate(parts, axis=1).tobytes()


def _bytes_of(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    return numbers.astype("<i4").view(np.uint8).reshape(-1, 4)


def conv_fields(op: Conv, place: Place, prefix: str = "") -> tuple[Field, ...]:
    """nn_conv_affine."""
    codes = (("in_zero", op.source.zero), ("zero", op.codes.zero), ("low", op.codes.low))
    return *portable.conv_fields(op, place, f"{prefix}conv."), *small(codes, prefix)


def range_fields(op: Dense) -> tuple[Field, ...]:
    """Where the codes of a dense op end."""
    return small((("zero", op.codes.zero), ("low", op.codes.low), ("high", op.codes.high)))


def code_counts(rows: Rows, sums: float, in_full: float, positive: float) -> dict[str, float]:
    """nn_affine_code of so many sums, of which a share needs its product and one is above 0; it shifts by whole bytes
    at once, but else bit by bit."""
    exponents = _rule(rows).exponents
    right = np.maximum(-exponents - 1, 0)
    bits = np.maximum(exponents, 0) + np.where(right > 7, right - 8, right)
    full = sums * in_full
    return {
        "nn_affine_code": sums,
        "nn_affine_code in full": full,
        "nn_affine_code above 0": sums * positive,
        "a bit of nn_affine_code": full * float(bits.mean()),
    }


def conv_codes(op: Conv, alive: float | None) -> dict[str, float]:
    """What a convolution does to its sums. A product is not needed where a sum is negative and a code of 0.0 or more is
    there already."""
    positive = positive_share(op, alive if op.codes.zero == 0 else None)
    first = 0.0 if op.codes.zero <= op.codes.low else 1 / (op.pool[0] * op.pool[1])
    sums = op.used[0] * op.used[1] * op.rows.outputs
    return code_counts(op.rows, sums, first + (1 - first) * positive, positive)


def edges(op: Conv) -> Mapping[tuple[int, int], int]:
    """As portable.windows, of those positions where the kernel meets codes of 0.0 outside the map that are not 0."""
    return {at: count for at, count in windows(op).items() if at != op.kernel and op.source.zero}


def dense_counts(op: Dense, alive: float | None) -> dict[str, float]:
    """What both of the dense kernels do to their sums."""
    positive = 0.5 if alive is None or op.codes.zero else alive / op.rows.outputs
    return code_counts(op.rows, op.rows.outputs, positive if op.codes.zero <= op.codes.low else 1.0, positive)


class AffineConv(OneOp[Conv]):
    """nn_conv_affine: convolution and max-pool in one pass."""

    name = "nn_conv_affine"
    template = "c/conv_affine.j2"
    runs = Conv
    stack = portable.CONV_STACK

    def refusal(self, op: Conv) -> str | None:
        return sides_refusal(op) or affine_refusal(op.rows)

    def packed(self, op: Conv, place: Place) -> Packed:
        # Where the kernel reaches outside the map, no zero code has gone into the bias.
        inside = op.rows.bias.astype(np.int64) + op.source.zero * op.rows.flat.astype(np.int64).sum(axis=1)
        return Packed(_row_bytes(op, op.rows.bias, inside), Description("nn_conv_affine", conv_fields(op, place)))

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        return portable.sums_cycles(op)

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        outputs, share = op.rows.outputs, op.input_shape[0] // op.groups
        found, at_edges = windows(op), edges(op)
        positions = sum(found.values())

        def runs(counts: Mapping[tuple[int, int], int]) -> int:
            return sum(count * y * (1 if op.groups == 1 else x) for (y, x), count in counts.items())

        def patches(counts: Mapping[tuple[int, int], int]) -> int:
            return sum(count * (1 if op.groups == 1 else y) for (y, _), count in counts.items())

        return {
            "nn_conv_affine": 1,
            "nn_conv_affine sum": positions * outputs,
            f"nn_conv_affine {'run' if op.groups == 1 else 'grouped run'}": runs(found) * outputs,
            "nn_conv_affine patch": (patches(found) - positions) * outputs,
            "nn_conv_affine edge run": runs(at_edges) * outputs,
            "nn_conv_affine edge weight": sum(count * y * x for (y, x), count in at_edges.items()) * share * outputs,
        } | conv_codes(op, alive)

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole("nn_walk_load", "nn_conv_affine_run", "nn_patch_sum", "nn_affine_code")


class AffineDense(OneOp[Dense]):
    """nn_dense_affine: fully connected, over a whole map as it lies in memory; the last one's codes are the scores."""

    name = "nn_dense_affine"
    template = "c/dense_affine.j2"
    runs = Dense
    stack = portable.DENSE_STACK

    def refusal(self, op: Dense) -> str | None:
        return units_refusal(op) or affine_refusal(op.rows)

    def packed(self, op: Dense, place: Place) -> Packed:
        own = rows_field(), Field("inputs", 2, op.inputs), *small((("outputs", op.rows.outputs),))
        fields = *own, *range_fields(op)
        return Packed(_row_bytes(op, op.rows.bias), Description("nn_dense_affine", fields))

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        return op.rows.outputs * patch_cycles(op.inputs)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        return {"nn_dense_affine": 1, "nn_dense_affine sum": op.rows.outputs} | dense_counts(op, alive)

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole("nn_dense_affine", "nn_run_sum", "nn_affine_code")
