"""AVR assembly for dense ops with one multiplier: all outputs of a block in registers (nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from host.compile.boards import Chip
from host.compile.description import Description, Field, small
from host.compile.kernels import layouts, portable
from host.compile.kernels.kernel import OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Dense
from host.quantise.requantisers import HalfUp

MAX_NEAR_BYTES = 2**15 - 1
"""What an object may be at most where pointers and sizes have 16 bits."""


@dataclass(frozen=True)
class Block:
    """A run of outputs that one call computes; `rom` is its offset into the step's bytes."""

    outputs: int
    first: int
    rom: int


@dataclass(frozen=True)
class BlockDense(OneOpOnAvr[Dense]):
    """nn_avr_dense16 or nn_avr_dense24: exact where sums fit `bits`. Sums are written where the outputs will lie, and
    requantised in place."""

    bits: int
    block_max: int
    max_inputs: int
    sum_bytes: int
    template = "avr8/dense.j2"
    runs = Dense
    stack = portable.DENSE_STACK

    @property
    def name(self) -> str:
        return f"nn_avr_dense{self.bits}"

    @property
    def _shift(self) -> int:
        return self.bits  # of the kernels' requantisers

    def refusal(self, op: Dense) -> str | None:
        if refusal := portable.dense_refusal(op):
            return refusal
        if refusal := layouts.sums_refusal(op.rows.sum_bounds(op.source.high), self.bits):
            return refusal
        if op.rows.flat.size > MAX_NEAR_BYTES:
            return f"found {op.rows.flat.size:,} bytes of weights, need {MAX_NEAR_BYTES:,} at most for near flash reads"
        if op.inputs > self.max_inputs:
            return f"found {op.inputs} inputs, need {self.max_inputs} at most with {self.bits}-bit sums"
        rule = op.rows.requantiser
        if isinstance(rule, HalfUp) and rule.shared is None:
            return "found a multiplier for each output, need one for all"
        return layouts.rule_refusal(op.rows, self._shift)

    def scratch(self, op: Dense) -> int:
        if op.rows.requantiser is None and self.bits == 24:
            return 0  # sums of 32 bits are the scores
        return self.sum_bytes * op.rows.outputs

    def packed(self, op: Dense, place: Place) -> Packed:
        rom, blocks, first = bytearray(), [], 0
        for size in layouts.even_blocks(op.rows.outputs, self.block_max):
            blocks.append(Block(size, first, len(rom)))
            rom += self._block_bytes(op, slice(first, first + size))
            first += size
        multiplier = int(layouts.board_rule(op.rows, self._shift)[0][0]) if op.rows.requantiser else None
        described = called_description(op, multiplier=multiplier)
        return Packed(bytes(rom), described, {"blocks": blocks, "bits": self.bits}, is_near=True)

    def _block_bytes(self, op: Dense, part: slice) -> bytes:
        """Biases, then the weights input by input."""
        input_major, bias = np.ascontiguousarray(layouts.map_order(op)[part].T), op.rows.bias[part]
        if self.bits == 16:
            return bias.astype("<i2").tobytes() + input_major.tobytes()
        return layouts.int24(bias.astype(np.int32)) + (input_major.astype(np.int16) + 128).astype(np.uint8).tobytes()

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        nonzero, outputs, cycles = op.nonzero, op.rows.outputs, 0.0
        for size in layouts.even_blocks(outputs, self.block_max):
            if self.bits == 16:
                cycles += sums16_cycles(size, op.inputs, nonzero)
            else:
                cycles += 109 + 23 * size + nonzero * (10 + 8 * size) + 9 * (op.inputs - nonzero)
        if op.rows.requantiser is None:
            return cycles + argmax_cycles(outputs) + (16 + 17 * outputs if self.bits == 16 else 0)
        return cycles + self._requantising(op, outputs if alive is None else alive)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        return self.calls(op)

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        found = routines(self.name, layouts.even_blocks(op.rows.outputs, self.block_max))
        if op.rows.requantiser is not None:
            names = [f"nn_avr_requantize{self.bits}"]
        else:
            names = ["nn_avr_argmax32", *(["nn_avr_widen16"] if self.bits == 16 else [])]
        return found | whole(*names)

    def calls(self, op: Dense) -> Mapping[str, float]:
        blocks = len(layouts.even_blocks(op.rows.outputs, self.block_max))
        return {"a step of nn_avr_dense16": 1, "a block of nn_avr_dense16": blocks}

    def _requantising(self, op: Dense, alive: float) -> float:
        silent = op.rows.outputs - alive
        if self.bits == 24:
            return 46 + 51 * op.rows.outputs - 35 * silent
        if layouts.board_rule(op.rows, self._shift)[0][0] < 256:
            return 37 + 27 * op.rows.outputs - 15 * silent
        return 37 + 33 * op.rows.outputs - 21 * silent


def called_description(op: Dense, *, multiplier: int | None = None, flags: int | None = None) -> Description:
    """nn_avr_called."""
    top = op.codes.high if op.rows.requantiser else None
    ends = small((("outputs", op.rows.outputs), ("flags", flags), ("top", top)))
    return Description("nn_avr_called", (Field("inputs", 2, op.inputs), Field("multiplier", 2, multiplier), *ends))


def routines(name: str, sizes: list[int]) -> dict[str, dict[str, float]]:
    """The assembly for blocks of these sizes, each with what makes its bytes."""
    return {f"{name}_{size}": {name: 1, f"{name} output": size} for size in sizes}


def sums16_cycles(size: int, inputs: int, nonzero: float) -> float:
    """One block of nn_avr_dense16 or nn_avr_sums16."""
    once = 48 + 18 * size if size < 8 else 112 + 10 * size + 8 * (size == 12)
    each = nonzero * (5 + 7 * size) + 8 * (inputs - nonzero)
    return once + 8 * -(-inputs // 4) + each + 7 * ((inputs - 1) // 1024)


def argmax_cycles(classes: int) -> float:
    """nn_avr_argmax32; how often it finds a larger score is 1/2 + 1/3 + … on average, any order being as likely."""
    return 27 + 17 * (classes - 1) + 6 * sum(1 / k for k in range(2, classes + 1))


DENSE16 = BlockDense(bits=16, block_max=12, max_inputs=portable.MAX_INPUTS, sum_bytes=2)
DENSE24 = BlockDense(bits=24, block_max=7, max_inputs=255, sum_bytes=4)
