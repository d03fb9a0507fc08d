"""The kernels of nets that TensorFlow Lite quantised: C for every chip (firmware/lib/nn/nn.h), whose codes have one of
their own for 0.0 and whose sums are rounded twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Chip
from host.compile.description import Description, Field, rows_field, small
from host.compile.kernels.kernel import OneOp, Packed, whole
from host.compile.kernels.layouts import map_order
from host.compile.kernels.portable import (
    CONV_STACK,
    DENSE_STACK,
    conv_fields,
    patch_cycles,
    sides_refusal,
    units_refusal,
    windows,
)
from host.compile.memory import Place
from host.quantise.ops import Conv, Dense, Rows
from host.quantise.requantisers import DoubleRounding


def _refusal(rows: Rows) -> str | None:
    """What these kernels cannot compute, whatever the op."""
    if not isinstance(rows.requantiser, DoubleRounding):
        return "found sums that are rounded once or are scores, need ones rounded twice"
    if rows.format.bits != 8:
        return f"found {rows.format.label} weights, need int8"
    return None if rows.codes.high else "found codes of 0 alone, need larger ones"


def _rule(rows: Rows) -> DoubleRounding:
    assert isinstance(rows.requantiser, DoubleRounding)
    return rows.requantiser


def _row_bytes(op: Conv | Dense, *biases: NDArray[Any]) -> bytes:
    """A row for each output: biases, multiplier, exponent, weights."""
    rule = _rule(op.rows)
    parts = [each.astype("<i4").view(np.uint8).reshape(-1, 4) for each in (*biases, rule.multipliers)]
    parts.append(rule.exponents.astype(np.int8).view(np.uint8).reshape(-1, 1))
    return np.concatenate([*parts, map_order(op).view(np.uint8)], axis=1).tobytes()


def _bits_shifted(rows: Rows) -> float:
    """By how many bits a rule shifts on average, which AVRs do one at a time."""
    return float(np.abs(_rule(rows).exponents).mean())


class AffineConv(OneOp[Conv]):
    """nn_conv_affine: convolution and max-pool in one pass."""

    name = "nn_conv_affine"
    template = "c/conv_affine.j2"
    runs = Conv
    stack = CONV_STACK

    def refusal(self, op: Conv) -> str | None:
        return sides_refusal(op) or _refusal(op.rows)

    def packed(self, op: Conv, place: Place) -> Packed:
        # Where the kernel reaches outside the map, no zero code has gone into the bias.
        inside = op.rows.bias.astype(np.int64) + op.source.zero * op.rows.flat.astype(np.int64).sum(axis=1)
        codes = small((("in_zero", op.source.zero), ("zero", op.codes.zero), ("low", op.codes.low)))
        described = Description("nn_conv_affine", (*conv_fields(op, place, "conv."), *codes))
        return Packed(_row_bytes(op, op.rows.bias, inside), described)

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        share = op.input_shape[0] // op.groups
        if op.groups == 1:
            sums = sum(count * y * patch_cycles(x * share) for (y, x), count in windows(op).items())
        else:
            sums = sum(count * y * x for (y, x), count in windows(op).items()) * patch_cycles(share)
        return op.rows.outputs * sums

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        outputs, share = op.rows.outputs, op.input_shape[0] // op.groups
        found = windows(op)
        at_edges = {at: count for at, count in found.items() if at != op.kernel and op.source.zero}
        positions = sum(found.values())

        def runs(counts: Mapping[tuple[int, int], int]) -> int:
            return sum(count * y * (1 if op.groups == 1 else x) for (y, x), count in counts.items())

        def patches(counts: Mapping[tuple[int, int], int]) -> int:
            return sum(count * (1 if op.groups == 1 else y) for (y, _), count in counts.items())

        return {
            "nn_conv_affine": 1,
            "nn_conv_affine position": positions,
            "nn_conv_affine sum": positions * outputs,
            f"nn_conv_affine {'run' if op.groups == 1 else 'grouped run'}": runs(found) * outputs,
            "nn_conv_affine patch": (patches(found) - positions) * outputs,
            "nn_conv_affine edge patch": patches(at_edges) * outputs,
            "nn_conv_affine edge run": runs(at_edges) * outputs,
            "nn_conv_affine edge weight": sum(count * y * x for (y, x), count in at_edges.items()) * share * outputs,
            "a bit of nn_affine_code": positions * outputs * _bits_shifted(op.rows),
        }

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole("nn_walk_load", "nn_conv_affine_run", "nn_patch_sum", "nn_affine_code")


class AffineDense(OneOp[Dense]):
    """nn_dense_affine: fully connected, over a whole map as it lies in memory; the last one's codes are the scores."""

    name = "nn_dense_affine"
    template = "c/dense_affine.j2"
    runs = Dense
    stack = DENSE_STACK

    def refusal(self, op: Dense) -> str | None:
        return units_refusal(op) or _refusal(op.rows)

    def packed(self, op: Dense, place: Place) -> Packed:
        codes = (("zero", op.codes.zero), ("low", op.codes.low), ("high", op.codes.high))
        fields = rows_field(), Field("inputs", 2, op.inputs), *small((("outputs", op.rows.outputs), *codes))
        return Packed(_row_bytes(op, op.rows.bias), Description("nn_dense_affine", fields))

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        return op.rows.outputs * patch_cycles(op.inputs)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        outputs = op.rows.outputs
        return {
            "nn_dense_affine": 1,
            "nn_dense_affine sum": outputs,
            "a bit of nn_affine_code": outputs * _bits_shifted(op.rows),
        }

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole("nn_dense_affine_hidden", "nn_run_sum", "nn_affine_code")
