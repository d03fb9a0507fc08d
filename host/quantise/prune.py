"""Leaves out hidden units that provably cannot change any score, for any image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.quantise.graph import Graph
from host.quantise.numerics import to_int32
from host.quantise.ops import Dense, Op, Rows


def pruned(graph: Graph) -> Graph:
    """Drop units of a dense op before a dense op whose activation is the same for every possible input, folding whole
    constants into the next bias. Exact: the remaining sums are unchanged, for any image."""
    ops = list(graph.ops)
    for at in range(len(ops) - 1):
        op, following = ops[at], ops[at + 1]
        if isinstance(op, Dense) and isinstance(following, Dense):
            alive, bias = _alive(op, following)
            ops[at], ops[at + 1] = _kept(op, following, alive, bias)
    return replace(graph, ops=tuple(ops))


def _alive(op: Dense, following: Dense) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Which units stay, and the bias behind them. What floats may come to is not known, so that only units whose inputs
    are codes can be judged."""
    if op.rows.format.is_integer:
        return _alive_codes(op, following.rows)
    return _alive_floats(op, following.rows), following.rows.bias


def _alive_codes(op: Dense, following: Rows) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    rule, codes = op.rows.requantiser, op.rows.codes
    assert rule is not None
    lowest, highest = np.clip(rule.scaled(op.rows.sum_bounds(op.source.high)) + codes.zero, codes.low, codes.high)
    silent = ~following.flat.any(axis=0)
    alive = (lowest != highest) & ~silent
    alive |= ~alive.any() & (np.arange(alive.size) == 0)  # a layer keeps at least one unit
    constant = following.flat.astype(np.int64) @ np.where(alive, 0, lowest)
    return alive, to_int32((following.bias + constant).astype(np.float64), "folded bias")


def _alive_floats(op: Dense, following: Rows) -> NDArray[np.bool_]:
    """Only units that are exactly +0 for every input, or whose outgoing weights are all 0, may go: adding ±0 to a sum
    that did not start at −0 leaves every bit as it was. A rounding margin keeps the proof honest."""
    if op.source.is_float:
        return np.ones(op.rows.outputs, np.bool_)
    wide, bias = op.rows.weights.astype(np.float64), op.rows.bias.astype(np.float64)
    highest = bias + op.source.high * np.maximum(wide, 0.0).sum(axis=1)
    margin = 1e-4 * (np.abs(bias) + op.source.high * np.abs(wide).sum(axis=1))
    dead = (highest + margin < 0.0) | ((bias <= 0.0) & ~(wide > 0.0).any(axis=1))
    if np.all(following.bias != 0.0):
        dead |= ~following.weights.any(axis=0)
    if dead.all():
        dead[0] = False
    alive: NDArray[np.bool_] = ~dead
    return alive


def _kept(op: Dense, following: Dense, alive: NDArray[np.bool_], bias: NDArray[Any]) -> tuple[Op, Op]:
    rows = op.rows
    rule = None if rows.requantiser is None else rows.requantiser.of(alive)
    first = replace(rows, weights=rows.weights[alive], bias=rows.bias[alive], requantiser=rule)
    second = replace(following.rows, weights=following.rows.weights[:, alive], bias=bias)
    density = None if following.density is None else following.density[alive]
    return replace(op, rows=first), replace(following, rows=second, input_shape=(int(alive.sum()),), density=density)
