"""AVR instructions as data, and the straight-line pieces that unroll.py joins: biases, requantising, scores, argmax.

Registers are fixed here, once, for everything that is compiled from weights:

    r0, r1 product    r2.. sums, two each    r26 input    r27 factor    r28 = 0    r29 spare    Z (r30) arena
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FIRST_SUM = 2
INPUT, FACTOR, ZERO, SPARE, POINTER = 26, 27, 28, 29, 30
_LARGEST = (INPUT, FACTOR, SPARE)
"""The largest score so far and its class."""
DISPLACEMENT_REACH = 63
NEGATIVE_CYCLES = 6
"""What requantising takes where the work on a negative sum is skipped."""
LOWEST_IMMEDIATE = 16
"""LDI and CPI know only r16..r31."""


@dataclass(frozen=True)
class Op:
    """One instruction or label; `cycles` is for the path on which no branch is taken."""

    text: str
    words: int = 1
    cycles: int = 1


@dataclass(frozen=True)
class Requantise:
    """clamp((sum * multiplier + 2^(shift - 1)) >> shift, 0, levels), shift 16 or 24, or with multiplier 0 the same as a
    plain shift right: (sum + 2^(shift - 1)) >> shift, where the rounding term already stands in the bias and the result
    fits a byte. `clamp` says whether some input can exceed levels at all."""

    multiplier: int
    shift: int
    levels: int
    clamp: bool

    @property
    def branches(self) -> bool:
        """Whether a negative sum takes the short way of NEGATIVE_CYCLES."""
        return self.multiplier != 0 or self.shift < 8


def words(ops: Iterable[Op]) -> int:
    return sum(op.words for op in ops)


def cycles(ops: Iterable[Op]) -> int:
    return sum(op.cycles for op in ops)


def sum_register(slot: int) -> int:
    """The low half of the pair that holds sum `slot` of a block."""
    return FIRST_SUM + 2 * slot


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


def load_biases(biases: Sequence[int]) -> list[Op]:
    ops = []
    for slot, bias in enumerate(biases):
        low = sum_register(slot)
        ops += load_constant(low, bias & 0xFF) + load_constant(low + 1, bias >> 8 & 0xFF)
    return ops


def requantise(rule: Requantise, slot: int, offset: int, name: str) -> list[Op]:
    """Sum `slot` becomes the byte Z + offset. Cycles are those of a positive sum; a negative one is quicker."""
    low, high = sum_register(slot), sum_register(slot) + 1
    if rule.multiplier == 0 and rule.shift >= 8:
        body, result = _shifted(rule, high), high
    elif rule.multiplier == 0:
        body, result = _rotated(rule, low, high), SPARE
    elif rule.shift == 24:
        body, result = _scaled_far(rule, low, high), 1
    elif rule.multiplier < 256:
        body, result = _scaled_narrow(rule, low, high), 1
    else:
        body, result = _scaled_wide(rule, low, high), SPARE
    if result == high:
        skip = [Op(f"sbrc r{high}, 7", 1, 2), Op(f"clr r{high}", 1, 0)]
        return [*skip, *body, Op(f"std Z+{offset}, r{high}", 1, 2)]
    skip = [Op(f"clr r{result}"), Op(f"tst r{high}"), Op(f"brmi {name}")]
    return [*skip, *body, label(name), Op(f"std Z+{offset}, r{result}", 1, 2)]


def _shifted(rule: Requantise, high: int) -> list[Op]:
    ops = [Op(f"lsr r{high}") for _ in range(rule.shift - 8)]
    if rule.clamp:
        ops += _clamp(rule.levels, high)
    return ops


def _rotated(rule: Requantise, low: int, high: int) -> list[Op]:
    """Sum >> shift in the spare register, a shift below 8: fewer rotations the other way, into the high half."""
    ops = [op for _ in range(8 - rule.shift) for op in (Op(f"lsl r{low}"), Op(f"rol r{high}"))]
    if rule.clamp:
        ops += _clamp(rule.levels, high)
    return [*ops, Op(f"mov r{SPARE}, r{high}")]


def _clamp(levels: int, register: int) -> list[Op]:
    """Register = min(register, levels): four cycles either way."""
    return [
        Op(f"ldi r{FACTOR}, {levels}"),
        Op(f"cp r{FACTOR}, r{register}"),
        Op("brsh .+2", 1, 2),
        Op(f"mov r{register}, r{FACTOR}", 1, 0),
    ]


def _scaled_narrow(rule: Requantise, low: int, high: int) -> list[Op]:
    """(sum * multiplier + 2^15) >> 16 in r1, multiplier below 256."""
    ops = [
        Op(f"ldi r{FACTOR}, {rule.multiplier}"),
        Op(f"mul r{low}, r{FACTOR}", 1, 2),
        Op(f"mov r{INPUT}, r1"),
        Op(f"mul r{high}, r{FACTOR}", 1, 2),
        Op(f"add r{INPUT}, r0"),
        Op(f"adc r1, r{ZERO}"),
        Op(f"lsl r{INPUT}"),
        Op(f"adc r1, r{ZERO}"),
    ]
    return ops + (_clamp(rule.levels, 1) if rule.clamp else [])


def _product(multiplier: int, low: int, high: int) -> list[Op]:
    """The upper three bytes of sum * multiplier, 16 bits each, the sum not negative: in r1, the spare register, which
    was 0, and the input register, highest first."""
    return [
        Op(f"ldi r{FACTOR}, lo8({multiplier})"),
        Op(f"mul r{low}, r{FACTOR}", 1, 2),
        Op(f"mov r{INPUT}, r1"),
        Op(f"mul r{high}, r{FACTOR}", 1, 2),
        Op(f"add r{INPUT}, r0"),
        Op(f"adc r{SPARE}, r1"),
        Op(f"ldi r{FACTOR}, hi8({multiplier})"),
        Op(f"mul r{low}, r{FACTOR}", 1, 2),
        Op(f"add r{INPUT}, r0"),
        Op(f"adc r{SPARE}, r1"),
        Op(f"sbc r{low}, r{low}"),
        Op(f"mul r{high}, r{FACTOR}", 1, 2),
        Op(f"add r{SPARE}, r0"),
        Op(f"adc r1, r{ZERO}"),
        Op(f"sub r1, r{low}"),
    ]


def _scaled_wide(rule: Requantise, low: int, high: int) -> list[Op]:
    """The same with a 16-bit multiplier, in the spare register; r1 catches what exceeds a byte."""
    return [
        *_product(rule.multiplier, low, high),
        Op(f"lsl r{INPUT}"),
        Op(f"adc r{SPARE}, r{ZERO}"),
        Op(f"adc r1, r{ZERO}"),
        Op(f"ldi r{FACTOR}, {rule.levels}"),
        Op(f"cp r{FACTOR}, r{SPARE}"),
        Op(f"cpc r{ZERO}, r1"),
        Op("brsh .+2", 1, 2),
        Op(f"mov r{SPARE}, r{FACTOR}", 1, 0),
    ]


def _scaled_far(rule: Requantise, low: int, high: int) -> list[Op]:
    """(sum * multiplier + 2^23) >> 24 in r1, 128 at most."""
    ops = [Op(f"clr r{SPARE}"), *_product(rule.multiplier, low, high), Op(f"lsl r{SPARE}"), Op(f"adc r1, r{ZERO}")]
    return ops + (_clamp(rule.levels, 1) if rule.clamp else [])


def store_scores(count: int) -> list[Op]:
    """Each sum, widened to 32 bits, to Z+."""
    ops = []
    for slot in range(count):
        low, high = sum_register(slot), sum_register(slot) + 1
        ops += [Op(f"st Z+, r{low}", 1, 2), Op(f"st Z+, r{high}", 1, 2), Op(f"mov r{INPUT}, r{high}")]
        ops += [Op(f"lsl r{INPUT}"), Op(f"sbc r{INPUT}, r{INPUT}")]
        ops += [Op(f"st Z+, r{INPUT}", 1, 2)] * 2
    return ops


def first_maximum(count: int, first: int = 0) -> list[Op]:
    """The class of the largest sum in the spare register, the sum in the input and factor registers. The first sum is
    that of class `first`; where others came before it, those registers hold the largest of them."""
    ops = [] if first else [Op(f"movw r{INPUT}, r{FIRST_SUM}"), Op(f"clr r{SPARE}")]
    for slot in range(0 if first else 1, count):
        low = sum_register(slot)
        ops += [Op(f"cp r{INPUT}, r{low}"), Op(f"cpc r{FACTOR}, r{low + 1}"), Op("brge .+4", 1, 2)]
        ops += [Op(f"movw r{INPUT}, r{low}", 1, 0), Op(f"ldi r{SPARE}, {first + slot}", 1, 0)]
    return ops


def pause_scores() -> list[Op]:
    """Between two blocks of scores: the largest so far and where the next score goes wait on the stack, and Z is the
    arena's pointer again, which r0 and r1 held."""
    waiting = [Op(f"push r{register}", 1, 2) for register in (*_LARGEST, POINTER, POINTER + 1)]
    return [*waiting, Op(f"movw r{POINTER}, r0")]


def resume_largest() -> list[Op]:
    """The largest of the scores before, back where first_maximum wants it."""
    return [Op(f"pop r{register}", 1, 2) for register in reversed(_LARGEST)]
