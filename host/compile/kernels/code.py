"""Weights as code: all dense ops at the end of a net as one AVR routine (unrolled/compiler.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from host.compile.boards import Chip, Family
from host.compile.kernels import layouts, portable
from host.compile.kernels.kernel import CODE, Cost, Ops, Packed, Room
from host.compile.kernels.unrolled.compiler import Source, Unrolled, unroll
from host.compile.memory import Place
from host.errors import InputError
from host.quantise.ops import Dense, HalfUp

_SOMEWHERE = Place(0, None, backward=False)


@dataclass(frozen=True)
class DenseCode:
    """model_dense: the routine, which returns the first maximum of the scores."""

    name: str = "code"
    kind: str = CODE
    template: str = "avr8/code.j2"

    def takes(self, ops: Ops) -> int:
        return len(ops) if all(isinstance(op, Dense) for op in ops) else 0

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        if chip.family is not Family.AVR:
            return f"found {chip.name}, need an AVR"
        for op in ops:
            assert isinstance(op, Dense)
            refusal = portable.rows_refusal(op.rows, op.source)
            rule = op.rows.requantiser
            if refusal is None and isinstance(rule, HalfUp) and rule.shared is None:
                refusal = "found a multiplier for each output, need one for all"
            if refusal is not None:
                return refusal
        try:
            _compiled(ops, _SOMEWHERE)
        except InputError as error:
            return str(error)
        return None

    def room(self, ops: Ops) -> Room:
        """Hidden activations, in two places in turn."""
        even, odd = _hidden_sizes(ops)
        return Room(scratch=even + odd, stays_near=True, in_arena=True)

    def pack(self, ops: Ops, place: Place) -> Packed:
        code = _compiled(ops, place)
        return Packed(code.machine_code, {"code": code}, align=2)

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        code = _compiled(ops, _SOMEWHERE)
        densities = [op.shares for op in ops if isinstance(op, Dense)]
        return Cost(code.expected_cycles(densities), {}, stack=portable.DENSE_STACK)


def _hidden_sizes(ops: Ops) -> tuple[int, int]:
    sizes = [op.rows.outputs for op in ops[:-1] if isinstance(op, Dense)]
    return max(sizes[0::2], default=0), max(sizes[1::2], default=0)


@lru_cache(maxsize=16)
def _compiled(ops: Ops, place: Place) -> Unrolled:
    """Raise InputError where the compiler cannot; ops are told apart by their identity."""
    first = ops[0]
    assert isinstance(first, Dense) and place.source is not None
    even, _ = _hidden_sizes(ops)
    work = first.inputs if place.target is None else place.target
    starts = [place.source, *(work + (even if number % 2 else 0) for number in range(len(ops) - 1)), work]
    sources = []
    for number, op in enumerate(ops):
        assert isinstance(op, Dense)
        rule = op.rows.requantiser
        multipliers, shift = (rule.multipliers, rule.shift) if isinstance(rule, HalfUp) else (np.zeros(1), 0)
        sources.append(
            Source(
                weights=layouts.map_order(op).astype(np.int64),
                bias=op.rows.bias.astype(np.int64),
                multiplier=int(multipliers[0]),
                shift=shift,
                levels=op.source.high,
                source=starts[number],
                target=starts[number + 1],
                density=op.shares,
            )
        )
    return unroll(sources)
