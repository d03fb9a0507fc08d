"""How an op's numbers lie in flash: rows for the portable kernels (nn.h), blocks for the assembly (nn_avr.h)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.quantise.numerics import MULTIPLIER_MAX, ROW_SHIFTS
from host.quantise.ops import Conv, Dense, Rows
from host.quantise.requantisers import DoubleRounding, HalfUp

SHIFTS = SHORT_SHIFT, LONG_SHIFT = min(ROW_SHIFTS), max(ROW_SHIFTS)
"""By which boards shift, the first that will do: whole bytes."""


def map_order(op: Conv | Dense) -> NDArray[Any]:
    """Weights (outputs, inputs of one output), the inputs in the order of a map in memory: row, column, channel."""
    weights = op.rows.weights
    if isinstance(op, Dense) and len(op.input_shape) == 3:
        weights = weights.reshape(len(weights), *op.input_shape)
    if weights.ndim == 4:
        weights = weights.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(weights).reshape(op.rows.outputs, -1)


def map_shares(op: Dense) -> NDArray[np.float64]:
    """How often each input is not zero, in the order of `map_order`."""
    shares = op.shares
    return shares.reshape(op.input_shape).transpose(1, 2, 0).reshape(-1) if len(op.input_shape) == 3 else shares


def row_bytes(op: Conv | Dense) -> bytes:
    """A row for each output: bias, multiplier where there is one, weights."""
    rows = op.rows
    parts = [rows.bias.astype("<i4").view(np.uint8).reshape(-1, 4)]
    if rows.requantiser is not None:
        multipliers, _ = board_rule(rows)
        parts.append(multipliers.astype("<u2").view(np.uint8).reshape(-1, 2))
    weights = map_order(op)
    parts.append(weights.view(np.uint8) if rows.format.bits == 8 else pack_fields(weights, rows.format.bits))
    return np.concatenate(parts, axis=1).tobytes()


def board_rule(rows: Rows, shift: int | None = None) -> tuple[NDArray[np.uint16], int]:
    """Multipliers and shift as boards have them, of rows without a `rule_refusal`; (zeros, 0) for scores."""
    rule = rows.requantiser
    if rule is None:
        return np.zeros(rows.outputs, np.uint16), 0
    assert isinstance(rule, HalfUp)
    found = at_whole_bytes(int(rule.multipliers.max()), rule.shift, SHIFTS if shift is None else (shift,))
    assert found is not None
    return rule.multipliers << np.uint16(found[1] - rule.shift), found[1]


def at_whole_bytes(multiplier: int, shift: int, shifts: tuple[int, ...] = SHIFTS) -> tuple[int, int] | None:
    """The same rule at the first of `shifts` at which its multiplier fits 16 bits: a smaller shift is a larger
    multiplier."""
    wide = ((multiplier << (whole - shift), whole) for whole in shifts if whole >= shift)
    return next((found for found in wide if found[0] <= MULTIPLIER_MAX), None)


def rule_refusal(rows: Rows, shift: int | None = None) -> str | None:
    """Why an op's sums cannot be brought to activations by a 16-bit multiplier and one of SHIFTS, or the given one."""
    rule = rows.requantiser
    if isinstance(rule, DoubleRounding):
        return "found a requantiser that rounds twice, need one multiplier and one shift"
    if rule is None:
        return None
    return shift_refusal(int(rule.multipliers.max()), rule.shift, SHIFTS if shift is None else (shift,))


def shift_refusal(multiplier: int, shift: int, shifts: tuple[int, ...] = SHIFTS) -> str | None:
    """Why a rule cannot be had at any of `shifts`."""
    if at_whole_bytes(multiplier, shift, shifts) is not None:
        return None
    need = f"one below {MULTIPLIER_MAX + 1} at shift {' or '.join(map(str, shifts))}"
    return f"found multiplier {multiplier} at shift {shift}, need {need}"


def sums_refusal(bounds: NDArray[np.int64], bits: int) -> str | None:
    """Why sums of such bounds are none of `bits`."""
    low, high = int(bounds.min()), int(bounds.max())
    return f"found sums {low}..{high}, need {bits} bits" if max(-low, high + 1) > 1 << (bits - 1) else None


def pack_fields(weights: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Weights (rows, n) as fields of `bits`, each plus 2^(bits−1), one behind the other from a byte's lowest bit on:
    (rows, bytes). What is left of the last byte is zero."""
    fields = (weights.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    ones = np.unpackbits(fields[:, :, None], axis=2, bitorder="little", count=bits)
    return np.packbits(ones.reshape(len(fields), -1), axis=1, bitorder="little")


def block_refusal(rows: Rows) -> str | None:
    """Why no byte of a block holds whole weights: an input's fields begin on a byte, and none lies across two."""
    return f"found {rows.format.label} weights, need 8, 4 or 2 bits" if 8 % rows.format.bits else None


def int24(values: NDArray[np.int32]) -> bytes:
    """Three bytes each, low byte first."""
    return values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def even_blocks(outputs: int, limit: int) -> list[int]:
    """Sizes of as few blocks as the limit allows, as even as they go, larger ones first."""
    count = -(-outputs // limit)
    return [outputs // count + (1 if k < outputs % count else 0) for k in range(count)]
