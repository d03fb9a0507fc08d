"""AVR instructions as data, and the straight-line pieces that a routine begins with: constants, biases, the pointer.

Registers are fixed here, once, for everything that is compiled from weights:

    r0, r1 product    r2.. sums, two or three each    r26 input    r27 factor    r28 = 0    r29 spare    Z (r30) arena
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FIRST_SUM, SUM_REGISTERS = 2, 24
INPUT, FACTOR, ZERO, SPARE, POINTER = 26, 27, 28, 29, 30
DISPLACEMENT_REACH = 63
LOWEST_IMMEDIATE = 16
"""LDI and CPI know only r16..r31."""


Registers = tuple[int, ...]


@dataclass(frozen=True)
class Op:
    """One instruction or label; `cycles` is for the path on which no branch is taken."""

    text: str
    words: int = 1
    cycles: int = 1


def words(ops: Iterable[Op]) -> int:
    return sum(op.words for op in ops)


def cycles(ops: Iterable[Op]) -> int:
    return sum(op.cycles for op in ops)


def sum_registers(sizes: Iterable[int]) -> list[Registers]:
    """Which hold the sums of a block, sums of so many bytes: each one's, lowest first."""
    found, at = [], FIRST_SUM
    for size in sizes:
        found.append(tuple(range(at, at + size)))
        at += size
    return found


def label(name: str) -> Op:
    return Op(f"{name}:", 0, 0)


def move_pointer(distance: int) -> list[Op]:
    """Z += distance (bytes): either sign, and forward only what lies beyond the reach of LDD."""
    if -DISPLACEMENT_REACH <= distance < 0:
        return [Op(f"sbiw r{POINTER}, {-distance}", 1, 2)]
    return [Op(f"subi r{POINTER}, lo8({-distance})"), Op(f"sbci r{POINTER + 1}, hi8({-distance})")]


def load_constant(register: int, value: int) -> list[Op]:
    """Register = value, 0..255; the low registers go through the factor register."""
    if value == 0:
        return [Op(f"clr r{register}")]
    if register >= LOWEST_IMMEDIATE:
        return [Op(f"ldi r{register}, {value}")]
    return [Op(f"ldi r{FACTOR}, {value}"), Op(f"mov r{register}, r{FACTOR}")]


def load_biases(biases: Sequence[int], sums: Sequence[Registers]) -> list[Op]:
    ops = []
    for bias, registers in zip(biases, sums, strict=True):
        for place, register in enumerate(registers):
            ops += load_constant(register, bias >> 8 * place & 0xFF)
    return ops
