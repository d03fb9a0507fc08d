"""Requantising by a shift below eight: the instructions, run here one by one on every sum, against the definition."""

import numpy as np
import pytest
from definition import requantised

from host.compile.kernels.unrolled import avr_ops as avr
from host.compile.kernels.unrolled import requantise as avr_requantise
from host.compile.kernels.unrolled.compiler import Source, unroll
from host.compile.kernels.unrolled.requantise import NEGATIVE_CYCLES, Requantise

TOP = 63
(SUM,) = avr.sum_registers([2])


def run(ops, low, high):
    """Execute straight code with forward branches; return what it stored and the cycles it took."""
    registers = {**dict(zip(SUM, (low, high), strict=True)), avr.ZERO: 0}
    labels = {op.text[:-1]: k for k, op in enumerate(ops) if op.text.endswith(":")}
    stored, at, cycles, carry, negative = None, 0, 0, 0, False
    while at < len(ops):
        name, _, rest = ops[at].text.partition(" ")
        operands = [text.strip() for text in rest.split(",")]
        number = int(operands[0][1:]) if operands[0].startswith("r") else 0
        at += 1
        cycles += 0 if name.endswith(":") else 1
        if name == "clr":
            registers[number] = 0
        elif name == "tst":
            negative = registers[number] > 127
        elif name == "brmi" and negative:
            at, cycles = labels[operands[0]], cycles + 1
        elif name in ("lsl", "rol"):
            value = registers[number] << 1 | (carry if name == "rol" else 0)
            registers[number], carry = value & 0xFF, value >> 8
        elif name == "ldi":
            registers[number] = int(operands[1])
        elif name == "cp":
            carry = int(registers[number] < registers[int(operands[1][1:])])
        elif name == "brsh" and not carry:
            at, cycles = at + 1, cycles + 1  # over one word
        elif name == "mov":
            registers[number] = registers[int(operands[1][1:])]
        elif name == "std":
            stored, cycles = registers[int(operands[1][1:])], cycles + 1
        else:
            assert name in ("brmi", "brsh") or name.endswith(":"), ops[at - 1]
    return stored, cycles


@pytest.mark.parametrize("shift", range(3, 8))
@pytest.mark.parametrize("clamp", [False, True])
def test_every_sum_is_shifted_exactly_and_in_the_cycles_foretold(shift, clamp):
    half = 1 << (shift - 1)
    top = min(((256 if clamp else TOP + 1) << shift) - 1, 2**15 - 1)
    ops = avr_requantise.requantise(Requantise(0, shift, TOP, clamp), SUM, 5, ".Loff")
    for rounded in [*range(-(2**15), 0, 97), *range(-300, top + 1)]:
        stored, cycles = run(ops, rounded & 0xFF, rounded >> 8 & 0xFF)
        assert stored == requantised(np.array([rounded - half]), 1, shift, TOP)[0]
        assert cycles == (avr.cycles(ops) if rounded >= 0 else NEGATIVE_CYCLES)


def source(weight, shift, bias=0):
    """One input, one output, a multiplier of 2^(16 − shift) at shift 16."""
    return Source(
        weights=np.array([[weight]]),
        bias=np.array([bias]),
        multiplier=1 << (16 - shift),
        shift=16,
        levels=TOP,
        source=0,
        target=64,
        density=np.ones(1),
    )


@pytest.mark.parametrize(
    ("weight", "shift", "multiplies"),
    [
        (100, 7, False),
        (100, 5, False),  # 6300 / 32 = 197: a byte, clamped
        (127, 4, True),  # 8001 / 16 = 500: more than a byte
        (4, 2, True),  # more rotations than a multiplication takes
        (100, 8, False),
    ],
)
def test_a_power_of_two_multiplies_only_where_a_shift_would_not_do(weight, shift, multiplies):
    scores = Source(np.array([[1]]), np.array([0]), 0, 0, TOP, 64, 0, np.ones(1))
    parts = unroll([source(weight, shift), scores]).parts
    (part,) = [part for part in parts if part.title == "output 0"]
    assert any(op.text.startswith("mul") for op in part.ops) is multiplies
