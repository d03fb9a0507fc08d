"""The hash of a Graph: over the canonical description of its ops and every number that determines a score.

Boards in the field answer with it, so it can never change for a net that exists. Two descriptions are in use for ever:
that of nets behind the fixed front end whose layers have one multiplier each, and that of all others. What a Graph
learned to say later is described only where it is said.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import WeightFormat
from host.nn.numbers import little_endian
from host.quantise.ops import Codes, Conv, Dense, MapShape, Op, Pool, Preconv, Rows
from host.quantise.requantisers import DoubleRounding, HalfUp

Ops = tuple[Op, ...]
Description = tuple[str, list[NDArray[np.generic]]]


def graph_hash(fmt: WeightFormat, input_shape: MapShape, top: int, ops: Ops) -> str:
    """SHA-256, hexadecimal; `top` is the largest activation."""
    describe = _first_description if _is_of_the_first_kind(fmt, ops) else _description
    facts, arrays = describe(fmt, input_shape, top, ops)
    digest = hashlib.sha256(facts.encode())
    for array in arrays:
        digest.update(little_endian(array))
    return digest.hexdigest()


def _is_of_the_first_kind(fmt: WeightFormat, ops: Ops) -> bool:
    """The front end, then dense layers alone, as floats or as int8 with one multiplier up to 255 a layer."""
    first, *others = ops
    if not isinstance(first, Preconv) or (fmt.is_integer and fmt is not WeightFormat.INT8):
        return False
    tops = {first.top, *(op.codes.high for op in others[:-1])}
    return len(tops) == 1 and all(
        isinstance(op, Dense) and _has_short_multiplier(op.rows) and _is_usual(op.rows, is_last=op is others[-1])
        for op in others
    )


def _has_short_multiplier(rows: Rows) -> bool:
    rule = rows.requantiser
    if rule is None:
        return True
    return isinstance(rule, HalfUp) and rule.shared is not None and rule.shared <= 255


def _is_usual(rows: Rows, *, is_last: bool) -> bool:
    """Codes from 0, which stands for itself; of floats all but the scores cut off below 0."""
    return (rows.codes.low, rows.codes.zero) == (0, 0) and rows.relu == (not rows.format.is_integer and not is_last)


def _first_description(fmt: WeightFormat, input_shape: MapShape, top: int, ops: Ops) -> Description:
    rows = [op.rows for op in ops if isinstance(op, Dense)]
    facts = {
        "format": fmt.label,
        "input": input_shape[1:],
        "front_end": "preconv",
        "levels": top,
        "layers": [{"shape": each.weights.shape, "requantiser": _short_rule(each)} for each in rows],
    }
    return json.dumps(facts, sort_keys=True), [array for each in rows for array in (each.weights, each.bias)]


def _short_rule(rows: Rows) -> list[int] | None:
    rule = rows.requantiser
    if not isinstance(rule, HalfUp):
        return None
    return [int(rule.multipliers[0]), rule.shift, rows.codes.high]


def _description(fmt: WeightFormat, input_shape: MapShape, top: int, ops: Ops) -> Description:
    shape = input_shape[1:] if input_shape[0] == 1 else input_shape
    facts = [fmt.label, shape, top, *(_op_facts(op, at == 0) for at, op in enumerate(ops))]
    arrays: list[NDArray[np.generic]] = []
    for op in ops:
        if isinstance(op, Conv | Dense):
            arrays += [op.rows.weights, op.rows.bias, *_rule_arrays(op.rows)]
    return json.dumps(facts), arrays


def _rule_arrays(rows: Rows) -> list[NDArray[np.generic]]:
    rule = rows.requantiser
    if isinstance(rule, DoubleRounding):
        return [rule.multipliers, rule.exponents]
    return [np.zeros(0, np.uint16) if rule is None else rule.multipliers]


def _op_facts(op: Op, is_first: bool) -> list[object]:
    if isinstance(op, Preconv):
        return ["preconv", op.input_shape, op.top]
    if isinstance(op, Pool):
        found: list[object] = ["average" if op.is_average else "max", op.input_shape, _plain(op.size)]
        found += [] if op.strides == op.size else [_plain(op.strides)]
        found += [["center", op.center]] if op.center and op.is_average else []
        return found + _source(op, is_first)
    shift = op.rows.requantiser.shift if isinstance(op.rows.requantiser, HalfUp) else 0
    shapes: list[object] = [op.input_shape, op.rows.weights.shape, shift]
    kind = "conv" if isinstance(op, Conv) else "dense"
    found = [kind, *shapes]
    if isinstance(op, Conv):
        found += [_plain(op.strides), _plain(op.pads), op.groups, _plain(op.pool)]
    return found + _additions(op, is_first)


def _plain(sides: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number where all are the same, as when there was but one."""
    return sides[0] if len(set(sides)) == 1 else sides


def _additions(op: Conv | Dense, is_first: bool) -> list[object]:
    found: list[object] = []
    rows = op.rows
    if isinstance(rows.requantiser, DoubleRounding):
        found.append("double rounding")
    if rows.requantiser is not None and rows.codes != Codes(rows.codes.high):
        found.append(["codes", rows.codes.low, rows.codes.high, rows.codes.zero])
    elif rows.requantiser is not None and rows.codes.high != 255:
        found.append(["top", rows.codes.high])
    return found + _source(op, is_first) + (["relu"] if rows.relu else [])


def _source(op: Conv | Dense | Pool, is_first: bool) -> list[object]:
    """An image's codes, where they are not simply bytes: of others the op before says it."""
    if not is_first or op.source == Codes():
        return []
    return [["source", op.source.low, op.source.high, op.source.zero]]
