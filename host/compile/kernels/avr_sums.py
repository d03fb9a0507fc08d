"""AVR assembly for dense ops of any net: a multiplier for each output, numbers anywhere in flash, rows of any length
(nn_avr.h)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Chip, Family
from host.compile.kernels import layouts, portable
from host.compile.kernels.avr_dense import Block, argmax_cycles, sums16_cycles
from host.compile.kernels.kernel import ASSEMBLY, Cost, Ops, Packed, Room
from host.compile.memory import Place
from host.quantise.ops import Dense

_CALL = 26
"""Bytes of code that call one routine."""
_ROUTINE_BYTES = {16: (172, 40), 24: (150, 44)}
"""Of one routine: fixed, and for each output of its block."""
_LARGEST_24 = 2**23 - 1


@dataclass(frozen=True)
class Piece:
    """A run of inputs whose part of each sum fits 24 bits, and its blocks."""

    first: int
    inputs: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class SumsDense:
    """nn_avr_sums16 or nn_avr_sums24, exact where sums fit `bits`, or, where the op `is_long`, as many pieces as it
    takes for the parts to fit. Sums are written where the outputs will lie, and made activations in place."""

    bits: int
    block_max: int
    is_long: bool = False
    kind: str = ASSEMBLY
    template: str = "avr8/sums.j2"

    @property
    def name(self) -> str:
        return f"nn_avr_sums{self.bits}{'_long' if self.is_long else ''}"

    @property
    def _sum_bytes(self) -> int:
        return 4 if self.is_long else self.bits // 8

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Dense))

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        op = ops[0]
        assert isinstance(op, Dense)
        if chip.family is not Family.AVR:
            return f"found {chip.name}, need an AVR"
        refusal = portable.PortableDense().refuses(ops, chip)
        if refusal is not None:
            return refusal
        bounds, limit = op.rows.bounds(op.source), 2 ** (self.bits - 1)
        is_wide = bool(bounds.min() < -limit or bounds.max() >= limit)
        if is_wide != self.is_long:
            need = "more than" if self.is_long else ""
            return f"found sums {bounds.min()}..{bounds.max()}, need {need} {self.bits} bits".replace("  ", " ")
        if self.is_long and np.abs(op.rows.bias).max() > _LARGEST_24:
            return f"found a bias of {np.abs(op.rows.bias).max()}, need 24 bits"
        return None

    def room(self, ops: Ops) -> Room:
        op = ops[0]
        assert isinstance(op, Dense)
        if not self.is_long:
            return Room(scratch=self._sum_bytes * op.rows.outputs)
        sums = 3 * min(self.block_max, op.rows.outputs)
        totals = 0 if op.rows.requantiser is None else 4 * op.rows.outputs
        return Room(scratch=totals + sums)

    def pack(self, ops: Ops, place: Place) -> Packed:
        op = ops[0]
        assert isinstance(op, Dense)
        rom = bytearray()
        pieces = []
        for first, last in self._cuts(op):
            pieces.append(Piece(first, last - first, self._blocks(op, first, last, rom)))
        multipliers, shift = layouts.board_rule(op.rows)
        at = len(rom)
        if shift:
            rom += multipliers.astype("<u2").tobytes()
        facts = {"bits": self.bits, "pieces": pieces, "is_long": self.is_long, "shift": shift, "multipliers": at}
        return Packed(bytes(rom), facts)

    def _cuts(self, op: Dense) -> list[tuple[int, int]]:
        return cuts(layouts.map_order(op), op) if self.is_long else [(0, op.inputs)]

    def _blocks(self, op: Dense, first: int, last: int, rom: bytearray) -> tuple[Block, ...]:
        """Write the weights of a run of inputs, with the biases in the first one."""
        found, output = [], 0
        weights = layouts.map_order(op)[:, first:last].astype(np.int16)
        bias = op.rows.bias.astype(np.int32) if first == 0 else np.zeros(op.rows.outputs, np.int32)
        for size in layouts.even_blocks(op.rows.outputs, self.block_max):
            part = slice(output, output + size)
            found.append(Block(size, output, len(rom)))
            rom += bias[part].astype("<i2").tobytes() if self.bits == 16 else layouts.int24(bias[part])
            by_input = weights[part].T + (0 if self.bits == 16 else 128)
            rom += np.ascontiguousarray(by_input).astype(np.uint8).tobytes()
            output += size
        return tuple(found)

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        op = ops[0]
        assert isinstance(op, Dense)
        shares, outputs = op.shares, op.rows.outputs
        sizes = layouts.even_blocks(outputs, self.block_max)
        cuts_found = self._cuts(op)
        cycles = 0.0
        for first, last in cuts_found:
            nonzero = float(shares[first:last].sum())
            cycles += sum(self._block_cycles(size, last - first, nonzero) for size in sizes)
            if self.is_long:
                cycles += 16 * len(sizes) + (32 if first else 20) * outputs
        cycles += self._end_cycles(op, outputs if alive is None else alive)
        fixed, each = _ROUTINE_BYTES[self.bits]
        code = {f"nn_avr_sums{self.bits}_{size}": fixed + each * size for size in sizes}
        code |= self._end_code(op)
        calls = len(cuts_found) * len(sizes) * (2 if self.is_long else 1) + 1
        return Cost(cycles, code, _CALL * calls, portable.DENSE_STACK)

    def _block_cycles(self, size: int, inputs: int, nonzero: float) -> float:
        if self.bits == 16:
            return sums16_cycles(size, inputs, nonzero)
        once = 53 + 30 * size if size < 6 else 117 + 18 * size
        again = (13 + 3 * size) * ((inputs - 1) // 256)
        return once + nonzero * (10 + 8 * size) + 9 * (inputs - nonzero) + again

    def _end_cycles(self, op: Dense, alive: float) -> float:
        """What makes activations, or the answer, of sums."""
        outputs, rule = op.rows.outputs, op.rows.requantiser
        if rule is None:
            widen = 0 if self.is_long else 16 + (17 if self.bits == 16 else 20) * outputs
            return widen + argmax_cycles(outputs)
        is_short = layouts.board_rule(op.rows)[1] == layouts.SHORT_SHIFT
        once, each, off = {2: (49, 38, 18), 3: (47, 55, 23), 4: (51, 58, 24)}[self._sum_bytes]
        each += {2: 3, 3: 6, 4: 6}[self._sum_bytes] if is_short else 0
        return once + each * alive + off * (outputs - alive)

    def _end_code(self, op: Dense) -> dict[str, int]:
        code = {"nn_avr_add24": 40} if self.is_long else {}
        if op.rows.requantiser is None:
            return code | {f"nn_avr_widen{self.bits}": 26 if self.bits == 16 else 30}
        return code | {f"nn_avr_activate{8 * self._sum_bytes}": 150}


def cuts(weights: NDArray[np.int8], op: Dense) -> list[tuple[int, int]]:
    """Runs of inputs, as long as they may be, for which every part of a sum fits 24 bits, the bias in the first one."""
    wide = weights.astype(np.int64) * op.source.high
    low, high = np.minimum(wide, 0), np.maximum(wide, 0)
    found, first = [], 0
    bias = op.rows.bias.astype(np.int64)
    lowest, highest = bias.copy(), bias.copy()
    for at in range(weights.shape[1]):
        lowest, highest = lowest + low[:, at], highest + high[:, at]
        if lowest.min() < -_LARGEST_24 or highest.max() > _LARGEST_24:
            found.append((first, at))
            first, lowest, highest = at, low[:, at].copy(), high[:, at].copy()
    return [*found, (first, weights.shape[1])]


SUMS16 = SumsDense(bits=16, block_max=12)
SUMS24 = SumsDense(bits=24, block_max=7)
LONG24 = SumsDense(bits=24, block_max=7, is_long=True)
