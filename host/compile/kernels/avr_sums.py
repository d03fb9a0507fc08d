"""AVR assembly for dense ops of any net: a multiplier for each output, numbers anywhere in flash (nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from host.compile.boards import Chip
from host.compile.kernels import layouts, portable
from host.compile.kernels.avr_dense import Block, argmax_cycles, called_description, routines, sums16_cycles
from host.compile.kernels.kernel import OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Dense

_SHIFT16 = 2
"""NN_AVR_SHIFT16 in nn_avr.h."""


@dataclass(frozen=True)
class SumsDense(OneOpOnAvr[Dense]):
    """nn_avr_sums16 or nn_avr_sums24, exact where sums fit `bits`. Sums are written where the outputs will lie, and
    made activations in place."""

    bits: int
    block_max: int
    template = "avr8/sums.j2"
    runs = Dense
    stack = portable.DENSE_STACK

    @property
    def name(self) -> str:
        return f"nn_avr_sums{self.bits}"

    def refusal(self, op: Dense) -> str | None:
        return portable.dense_refusal(op) or layouts.sums_refusal(op.rows.sum_bounds(op.source.high), self.bits)

    def scratch(self, op: Dense) -> int:
        return self.bits // 8 * op.rows.outputs

    def packed(self, op: Dense, place: Place) -> Packed:
        rom, blocks, first = bytearray(), [], 0
        weights = layouts.map_order(op).astype(np.int16)
        for size in layouts.even_blocks(op.rows.outputs, self.block_max):
            part = slice(first, first + size)
            bias = op.rows.bias[part].astype(np.int32)
            blocks.append(Block(size, first, len(rom)))
            rom += bias.astype("<i2").tobytes() if self.bits == 16 else layouts.int24(bias)
            by_input = weights[part].T + (0 if self.bits == 16 else 128)
            rom += np.ascontiguousarray(by_input).astype(np.uint8).tobytes()
            first += size
        multipliers, shift = layouts.board_rule(op.rows)
        described = called_description(op, flags=_SHIFT16 if shift == layouts.SHORT_SHIFT else None)
        facts = {"bits": self.bits, "blocks": blocks, "multipliers": len(rom)}
        return Packed(bytes(rom) + (multipliers.astype("<u2").tobytes() if shift else b""), described, facts)

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        sizes = layouts.even_blocks(op.rows.outputs, self.block_max)
        cycles = sum(self._block_cycles(chip, size, op.inputs, op.nonzero) for size in sizes)
        return cycles + self._end_cycles(op, op.rows.outputs if alive is None else alive)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        return self.calls(op)

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        # Where one pointer reaches all flash they are the routines of nn_avr_dense16, under a second name.
        name = self.name if self.bits == 24 or chip.far_flash else "nn_avr_dense16"
        found = routines(name, layouts.even_blocks(op.rows.outputs, self.block_max))
        names = [f"nn_avr_activate{self.bits}"]
        if op.rows.requantiser is None:
            names = [f"nn_avr_widen{self.bits}", "nn_avr_argmax32"]
        return found | whole(*names)

    def calls(self, op: Dense) -> Mapping[str, float]:
        blocks = len(layouts.even_blocks(op.rows.outputs, self.block_max))
        return {"a step of nn_avr_sums": 1, "a block of nn_avr_sums": blocks}

    def _block_cycles(self, chip: Chip, size: int, inputs: int, nonzero: float) -> float:
        far = 2 * chip.far_flash
        if self.bits == 16:
            return sums16_cycles(size, inputs, nonzero) + far
        once = 53 + 30 * size if size < 6 else 117 + 18 * size
        again = (13 + 3 * size) * ((inputs - 1) // 256)
        return once + far + nonzero * (10 + 8 * size) + (9 + chip.far_flash) * (inputs - nonzero) + again

    def _end_cycles(self, op: Dense, alive: float) -> float:
        """What makes activations, or the answer, of sums."""
        outputs = op.rows.outputs
        if op.rows.requantiser is None:
            return 16 + (17 if self.bits == 16 else 20) * outputs + argmax_cycles(outputs)
        is_short = layouts.board_rule(op.rows)[1] == layouts.SHORT_SHIFT
        if self.bits == 16:
            return 49 + (41 if is_short else 38) * alive + 18 * (outputs - alive)
        return 47 + (61 if is_short else 55) * alive + 23 * (outputs - alive)


SUMS16 = SumsDense(bits=16, block_max=12)
SUMS24 = SumsDense(bits=24, block_max=7)
