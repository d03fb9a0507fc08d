"""Weights as code: all dense ops at the end of a net as one AVR routine (unrolled/compiler.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from host.compile.boards import Chip, Family
from host.compile.kernels import layouts, portable
from host.compile.kernels.kernel import Cost, Ops, Packed, Room
from host.compile.kernels.kinds import CODE
from host.compile.kernels.unrolled.compiler import Source, Unrolled, least_flash_bytes, unroll
from host.compile.memory import Place
from host.errors import InputError
from host.quantise.ops import Dense, computes_floats
from host.quantise.requantisers import HalfUp

_SUM_BITS = 24


@dataclass(frozen=True)
class DenseCode:
    """model_dense: the routine, which returns the first maximum of the scores. Sums that need 24 bits come fewer to a
    block."""

    name: str = "code"
    kind: str = CODE
    template: str = "avr8/code.j2"

    def takes(self, ops: Ops) -> int:
        return len(ops) if all(isinstance(op, Dense) and not computes_floats(op) for op in ops) else 0

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        if chip.family is not Family.AVR:
            return f"found {chip.name}, need an AVR"
        for op in ops:
            assert isinstance(op, Dense)
            if refusal := portable.rows_refusal(op.rows, op.source):
                return refusal
        try:
            sources = _sources(ops, 0, _behind(ops))
            least = least_flash_bytes(sources)
            if chip.flash is not None and least > chip.flash:
                return f"found {least:,} bytes of code at least, need {chip.flash:,} at most"
            _compiled(ops, 0, _behind(ops))
        except InputError as error:
            return str(error)
        return None

    def room(self, ops: Ops) -> Room:
        """Hidden activations, in two places in turn."""
        even, odd = _hidden_sizes(ops)
        return Room(scratch=even + odd, stays_near=True, in_arena=True)

    def pack(self, ops: Ops, place: Place) -> Packed:
        assert place.source is not None
        work = _behind(ops) if place.target is None else place.target
        code = _compiled(ops, place.source, work)
        return Packed(code.machine_code, fields={"code": code}, align=2)

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        code = _compiled(ops, 0, _behind(ops))
        densities = [layouts.map_shares(op) for op in ops if isinstance(op, Dense)]
        return Cost(code.expected_cycles(densities), {}, stack=portable.DENSE_STACK)


def _hidden_sizes(ops: Ops) -> tuple[int, int]:
    sizes = [op.rows.outputs for op in ops[:-1] if isinstance(op, Dense)]
    return max(sizes[0::2], default=0), max(sizes[1::2], default=0)


def _behind(ops: Ops) -> int:
    """Where hidden activations lie if the inputs do at 0: right behind them, as the arena has them where it can."""
    first = ops[0]
    assert isinstance(first, Dense)
    return first.inputs


def _sources(ops: Ops, start: int, work: int) -> list[Source]:
    """`start` and `work`: the arena offsets of the inputs, and of all activations behind them."""
    even, _ = _hidden_sizes(ops)
    starts = [start, *(work + (even if number % 2 else 0) for number in range(len(ops) - 1)), work]
    sources = []
    for number, op in enumerate(ops):
        assert isinstance(op, Dense)
        rule = op.rows.requantiser
        hidden = rule if isinstance(rule, HalfUp) else None
        sources.append(
            Source(
                weights=layouts.map_order(op).astype(np.int64),
                bias=op.rows.bias.astype(np.int64),
                multiplier=0 if hidden is None else hidden.multipliers.astype(np.int64),
                shift=0 if hidden is None else hidden.shift,
                levels=op.source.high,
                source=starts[number],
                target=starts[number + 1],
                density=layouts.map_shares(op),
                output_levels=op.codes.high,
            )
        )
    return sources


@lru_cache(maxsize=16)
def _compiled(ops: Ops, start: int, work: int) -> Unrolled:
    """Raise InputError where the compiler cannot; ops are told apart by their identity."""
    return unroll(_sources(ops, start, work), _SUM_BITS)
