"""Compiles dense layers of integers into straight AVR code: the weights are the program.

A pure function from integers to operations; templates/model_code.S.j2 only prints them. For every block of up to
twelve outputs (eight that need 24 bits) the sums stay in registers; each input is loaded once, skipped whole when it
is zero, and meets its weights as additions of shared products (products.py). Zero weights cost nothing. Registers
that a block leaves free hold its most frequent factors.

The routine is `uint8_t model_dense(uint8_t *arena, int32_t *scores)`; it reads and writes the activations at the arena
offsets that the program gave them, and returns the first maximum of the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels.unrolled import avr_ops as avr
from host.compile.kernels.unrolled.avr_ops import Op
from host.compile.kernels.unrolled.blocks import BLOCK_OUTPUTS, split_blocks
from host.compile.kernels.unrolled.encode import machine_code
from host.compile.kernels.unrolled.products import Plan, max_shifts, plan_products
from host.compile.kernels.unrolled.requantise import NEGATIVE_CYCLES, Requantise, requantise
from host.compile.kernels.unrolled.scores import (
    first_maximum,
    pause_scores,
    point_to_scores,
    resume_largest,
    store_scores,
)
from host.compile.kernels.unrolled.source import Source, check
from host.errors import InputError

__all__ = ["Part", "Source", "Unrolled", "least_flash_bytes", "unroll"]

ROUNDS_OF_HOLDING = 2
CALL_CYCLES = 8
SAVED = (*range(2, 18), 28, 29)


@dataclass(frozen=True)
class Part:
    """A stretch of code whose time depends on whether input `input` of layer `layer` is zero, or on nothing (-1).

    Besides the steps of that input this is the requantising in the layer before, which makes it.
    """

    layer: int
    input: int
    title: str
    ops: tuple[Op, ...]
    cycles_nonzero: int
    cycles_zero: int


@dataclass(frozen=True)
class Unrolled:
    """The whole dense part, in order of execution."""

    parts: tuple[Part, ...]

    @property
    def machine_code(self) -> bytes:
        """The routine as it lies in flash."""
        return machine_code(op for part in self.parts for op in part.ops)

    def expected_cycles(self, densities: Sequence[NDArray[np.float64]]) -> float:
        """Mean cycles of an inference; densities[layer] (inputs,) is how often each input is not 0."""
        total = float(CALL_CYCLES)
        for part in self.parts:
            share = 1.0 if part.input < 0 else float(densities[part.layer][part.input])
            total += share * part.cycles_nonzero + (1.0 - share) * part.cycles_zero
        return total


def unroll(layers: Sequence[Source], sum_bits: int = 16) -> Unrolled:
    """Compile `layers`, of which the last makes scores. Raises InputError where it does not, and where sums of
    `sum_bits` cannot be proved: 16, or 24, where outputs that need them take half as many registers again, and cycles
    for each weight."""
    if not layers[-1].is_scores:
        raise InputError("found activations behind the last layer, need scores")
    parts = [_fixed(0, "save registers; r28 = 0", _prologue())]
    pointer = 0
    for index, layer in enumerate(layers):
        check(layer, index, sum_bits)
        # The first maximum is looked for in the order of the classes.
        blocks = split_blocks(layer.weights, layer.density, layer.levels, layer.sum_bytes, layer.is_scores)
        for number, outputs in enumerate(blocks):
            block = _Block(layer, index, number, outputs, pointer)
            parts += block.compile()
            pointer = block.pointer
    parts.append(_fixed(len(layers) - 1, "restore registers", _epilogue()))
    return Unrolled(tuple(parts))


def least_flash_bytes(layers: Sequence[Source]) -> int:
    """Bytes of flash that `unroll(layers)` takes at least, counted without compiling anything: what no choice of blocks
    and products can save."""
    words = avr.words(_prologue()) + avr.words(_epilogue())
    for layer in layers:
        magnitudes, sizes = np.abs(layer.weights), layer.sum_bytes
        # Biases, and what each weight adds.
        words += int((sizes * (1 + np.count_nonzero(magnitudes, axis=1))).sum())
        # Each input is loaded, and each of its products made, for at least so many blocks.
        words += _blocks_holding(magnitudes != 0)
        for magnitude in set(np.unique(magnitudes).tolist()) - {0, *(1 << k for k in range(3))}:
            words += _blocks_holding(magnitudes == magnitude)
        words += _fewest_words_at_the_end(layer)
    return 2 * words


def _blocks_holding(outputs: NDArray[np.bool_]) -> int:
    """How many blocks at least hold those (outputs, inputs) that an input serves, all inputs together."""
    return int((-(-np.count_nonzero(outputs, axis=0) // BLOCK_OUTPUTS)).sum())


def _fewest_words_at_the_end(layer: Source) -> int:
    outputs = len(layer.bias)
    if not layer.is_scores:
        return 3 * outputs
    sums = avr.sum_registers(layer.sum_bytes.tolist())
    return avr.words([*store_scores(sums), *first_maximum(sums)])


def _fixed(layer: int, title: str, ops: Sequence[Op]) -> Part:
    return Part(layer, -1, title, tuple(ops), avr.cycles(ops), avr.cycles(ops))


def _prologue() -> list[Op]:
    save = [Op(f"push r{register}", 1, 2) for register in (*SAVED, 22, 23)]
    return [*save, Op("movw r30, r24"), Op(f"clr r{avr.ZERO}")]


def _epilogue() -> list[Op]:
    restore = [Op(f"pop r{register}", 1, 2) for register in reversed(SAVED)]
    return [Op(f"mov r24, r{avr.SPARE}"), Op("clr r1"), *restore, Op("ret", 1, 0)]


class _Block:
    """Compiles one block of one layer; `pointer` follows where in the arena Z points."""

    def __init__(self, layer: Source, index: int, number: int, outputs: tuple[int, ...], pointer: int) -> None:
        self.layer, self.index, self.number, self.outputs, self.pointer = layer, index, number, outputs, pointer
        self.weights = layer.weights[list(outputs)]
        self.sums = avr.sum_registers(layer.sum_bytes[list(outputs)].tolist())
        free = range(self.sums[-1][-1] + 1, avr.FIRST_SUM + avr.SUM_REGISTERS)
        self.spare = [*reversed([r for r in free if r >= avr.LOWEST_IMMEDIATE]), avr.SPARE]
        self.held = self._choose_held()

    def compile(self) -> list[Part]:
        rules = self.layer.rules(self.outputs)
        biases = [int(b) for b in self.layer.bias[list(self.outputs)]]
        for slot, rule in enumerate(rules):
            if rule.multiplier == 0:
                biases[slot] += 1 << (rule.shift - 1)
        start = avr.load_biases(biases, self.sums)
        for factor, register in self.held.items():
            start += avr.load_constant(register, factor)
        parts = [_fixed(self.index, f"layer {self.index + 1}, outputs {_list(self.outputs)}", start)]
        for column in range(self.weights.shape[1]):
            if self.weights[:, column].any():
                parts += self._move(self.layer.source + column)
                parts.append(self._step(column))
        return parts + (self._finish_hidden(rules) if rules else self._finish_scores())

    def _choose_held(self) -> dict[int, int]:
        """Factor → register, for the factors most often multiplied by."""
        held: dict[int, int] = {}
        for _ in range(ROUNDS_OF_HOLDING):
            uses: Counter[int] = Counter()
            for column in range(self.weights.shape[1]):
                for phase in self._plan(column, held).phases:
                    uses.update({p.immediate: self.layer.density[column] for p in phase if p.kind == "mul"})
            ranked = sorted(uses, key=lambda factor: (-uses[factor], factor))
            held = {factor: register for factor, register in zip(ranked, self.spare, strict=False) if uses[factor] > 1}
        return held

    def _plan(self, column: int, held: dict[int, int]) -> Plan:
        magnitudes = {abs(int(w)) for w in self.weights[:, column]} - {0}
        return plan_products(magnitudes, max_shifts(self.layer.levels), held)

    def _move(self, offset: int) -> list[Part]:
        """Brings `offset` within reach of LDD and STD."""
        if 0 <= offset - self.pointer <= avr.DISPLACEMENT_REACH:
            return []
        ops = avr.move_pointer(offset - self.pointer)
        self.pointer = offset
        return [_fixed(self.index, f"Z = arena + {offset}", ops)]

    def _step(self, column: int) -> Part:
        """Load one input, skip if zero where that pays, and spend it on every sum that wants it."""
        body = self._body(column)
        load = Op(f"ldd r{avr.INPUT}, Z+{self.layer.source + column - self.pointer}", 1, 2)
        work = avr.cycles(body)
        density = float(self.layer.density[column])
        title = f"input {column}: {_list(self.weights[:, column])}"
        if work <= density * (work + 2) + (1 - density) * 3:
            return Part(self.index, column, title, (load, *body), 2 + work, 2 + work)
        skip = f".Lskip_{self.index}_{self.number}_{column}"
        # Within a branch's reach of 63 words: twelve sums want twelve products at most, and each takes four words.
        ops = (load, Op(f"tst r{avr.INPUT}"), Op(f"breq {skip}"), *body, avr.label(skip))
        return Part(self.index, column, title, ops, 4 + work, 5)

    def _body(self, column: int) -> list[Op]:
        ops: list[Op] = []
        for shift, phase in enumerate(self._plan(column, self.held).phases):
            if shift:
                ops.append(Op(f"lsl r{avr.INPUT}"))
            for product in phase:
                ops += self._make(product.kind, product.immediate)
                pair = (avr.INPUT, avr.ZERO) if product.kind == "input" else (0, 1)
                ops += self._spend(column, product.magnitude, pair)
        return ops

    def _make(self, kind: str, factor: int) -> list[Op]:
        if kind == "input":
            return []
        if kind == "add":
            return [Op(f"add r0, r{avr.INPUT}"), Op(f"adc r1, r{avr.ZERO}")]
        if kind == "double":
            return [Op("lsl r0"), Op("rol r1")]
        load = [] if factor in self.held else [Op(f"ldi r{avr.FACTOR}, {factor}")]
        return [*load, Op(f"mul r{avr.INPUT}, r{self.held.get(factor, avr.FACTOR)}", 1, 2)]

    def _spend(self, column: int, magnitude: int, pair: tuple[int, int]) -> list[Op]:
        ops = []
        for slot, weight in enumerate(self.weights[:, column]):
            if abs(int(weight)) == magnitude:
                first, other = ("add", "adc") if weight > 0 else ("sub", "sbc")
                # A sum of two bytes ends before the zero.
                terms = zip((first, other, other), self.sums[slot], (*pair, avr.ZERO), strict=False)
                ops += [Op(f"{name} r{register}, r{term}") for name, register, term in terms]
        return ops

    def _finish_hidden(self, rules: Sequence[Requantise]) -> list[Part]:
        parts = []
        for slot, (output, rule) in enumerate(zip(self.outputs, rules, strict=True)):
            parts += self._move(self.layer.target + output)
            offset = self.layer.target + output - self.pointer
            ops = tuple(requantise(rule, self.sums[slot], offset, f".Loff_{self.index}_{output}"))
            work = avr.cycles(ops)
            off = NEGATIVE_CYCLES if rule.branches else work
            parts.append(Part(self.index + 1, output, f"output {output}", ops, work, off))
        return parts

    def _finish_scores(self) -> list[Part]:
        """Store them behind those of the blocks before, and see whether one is larger than theirs."""
        first, size = self.outputs[0], len(self.sums[0])
        is_last = self.outputs[-1] + 1 == len(self.layer.bias)
        before = resume_largest(size) if first else []
        after = [] if is_last else pause_scores(size)
        store = [*point_to_scores(keep=not is_last), *store_scores(self.sums)]
        return [
            _fixed(self.index, "scores, 32 bits each", store),
            _fixed(self.index, "argmax", [*before, *first_maximum(self.sums, first), *after]),
        ]


def _list(values: Sequence[int] | NDArray[np.int64]) -> str:
    return " ".join(str(int(value)) for value in values)
