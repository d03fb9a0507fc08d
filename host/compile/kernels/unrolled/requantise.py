"""Requantising in compiled code: the instructions that make an activation of one sum in the fastest way there is."""

from dataclasses import dataclass

from host.compile.kernels.unrolled.avr_ops import FACTOR, INPUT, SPARE, ZERO, Op, Registers, label

NEGATIVE_CYCLES = 6
"""What requantising takes where the work on a negative sum is skipped."""
BYTE_MAX = 255


@dataclass(frozen=True)
class Requantise:
    """clamp((sum * multiplier + 2^(shift - 1)) >> shift, 0, levels), shift 16 or 24, or with multiplier 0 the same as a
    plain shift right of a sum of two bytes: (sum + 2^(shift - 1)) >> shift, where the rounding term already stands in
    the bias and the result fits a byte. `clamp` says whether some input can exceed levels at all."""

    multiplier: int
    shift: int
    levels: int
    clamp: bool

    @property
    def branches(self) -> bool:
        """Whether a negative sum takes the short way of NEGATIVE_CYCLES."""
        return self.multiplier != 0 or self.shift < 8


def requantise(rule: Requantise, registers: Registers, offset: int, name: str) -> list[Op]:
    """The sum in two or three registers becomes the byte Z + offset. Cycles are those of a positive sum; a negative one
    is quicker."""
    body, result = _body(rule, registers)
    high = registers[-1]
    if result == high:
        skip = [Op(f"sbrc r{high}, 7", 1, 2), Op(f"clr r{high}", 1, 0)]
        return [*skip, *body, Op(f"std Z+{offset}, r{high}", 1, 2)]
    skip = [Op(f"clr r{result}"), Op(f"tst r{high}"), Op(f"brmi {name}")]
    return [*skip, *body, label(name), Op(f"std Z+{offset}, r{result}", 1, 2)]


def _body(rule: Requantise, registers: Registers) -> tuple[list[Op], int]:
    """What becomes of a sum that is not negative, and where."""
    if len(registers) == 3:
        return _scaled_long(rule, *registers), SPARE
    low, high = registers
    if rule.multiplier == 0 and rule.shift >= 8:
        return _shifted(rule, high), high
    if rule.multiplier == 0:
        return _rotated(rule, low, high), SPARE
    if rule.shift == 24:
        return _scaled_far(rule, low, high), 1
    if rule.multiplier < 256:
        return _scaled_narrow(rule, low, high), 1
    return _scaled_wide(rule, low, high), SPARE


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


def _clamp(levels: int, register: int, *beyond: int) -> list[Op]:
    """Register = min(register, levels), `beyond` being the bytes above it: as quick either way."""
    if levels == BYTE_MAX and register == SPARE:
        # Whatever lies beyond is too much.
        gather = [Op(f"or r{beyond[0]}, r{byte}") for byte in beyond[1:]]
        return [*gather, Op(f"cpse r{beyond[0]}, r{ZERO}", 1, 2), Op(f"ldi r{SPARE}, {levels}", 1, 0)]
    return [
        Op(f"ldi r{FACTOR}, {levels}"),
        Op(f"cp r{FACTOR}, r{register}"),
        *(Op(f"cpc r{ZERO}, r{byte}") for byte in beyond),
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
    ops = [*_product(rule.multiplier, low, high), Op(f"lsl r{INPUT}"), Op(f"adc r{SPARE}, r{ZERO}")]
    # Boards carry code for other tops that always clamps: the same integers shall go on giving the same bytes.
    clamp = rule.clamp or rule.levels != BYTE_MAX
    return ops + ([Op(f"adc r1, r{ZERO}"), *_clamp(rule.levels, SPARE, 1)] if clamp else [])


def _scaled_far(rule: Requantise, low: int, high: int) -> list[Op]:
    """(sum * multiplier + 2^23) >> 24 in r1, 128 at most."""
    ops = [Op(f"clr r{SPARE}"), *_product(rule.multiplier, low, high), Op(f"lsl r{SPARE}"), Op(f"adc r1, r{ZERO}")]
    return ops + (_clamp(rule.levels, 1) if rule.clamp else [])


def _scaled_long(rule: Requantise, low: int, middle: int, high: int) -> list[Op]:
    """(sum * multiplier + half) >> 16 or 24 of a sum of three bytes, in the spare register, which was 0. The product's
    bytes but the lowest gather in the input and spare registers and in those of the sum's bytes that are spent."""
    ops = [
        Op(f"ldi r{FACTOR}, lo8({rule.multiplier})"),
        Op(f"mul r{low}, r{FACTOR}", 1, 2),
        Op(f"mov r{INPUT}, r1"),
        Op(f"ldi r{FACTOR}, hi8({rule.multiplier})"),
        Op(f"mul r{low}, r{FACTOR}", 1, 2),
        Op(f"add r{INPUT}, r0"),
        Op(f"adc r{SPARE}, r1"),
        Op(f"clr r{low}"),
        Op(f"mul r{middle}, r{FACTOR}", 1, 2),
        Op(f"add r{SPARE}, r0"),
        Op(f"adc r{low}, r1"),
        Op(f"ldi r{FACTOR}, lo8({rule.multiplier})"),
        Op(f"mul r{middle}, r{FACTOR}", 1, 2),
        Op(f"add r{INPUT}, r0"),
        Op(f"adc r{SPARE}, r1"),
        Op(f"adc r{low}, r{ZERO}"),
        Op(f"clr r{middle}"),
        Op(f"mul r{high}, r{FACTOR}", 1, 2),
        Op(f"add r{SPARE}, r0"),
        Op(f"adc r{low}, r1"),
        Op(f"adc r{middle}, r{ZERO}"),
        Op(f"ldi r{FACTOR}, hi8({rule.multiplier})"),
        Op(f"mul r{high}, r{FACTOR}", 1, 2),
        Op(f"add r{low}, r0"),
        Op(f"adc r{middle}, r1"),
    ]
    carry = [Op(f"adc r{low}, r{ZERO}"), Op(f"adc r{middle}, r{ZERO}")]
    if rule.shift == 24:
        ops += [Op(f"lsl r{SPARE}"), *carry, Op(f"mov r{SPARE}, r{low}")]
        return ops + (_clamp(rule.levels, SPARE, middle) if rule.clamp else [])
    ops += [Op(f"lsl r{INPUT}"), Op(f"adc r{SPARE}, r{ZERO}"), *carry]
    return ops + (_clamp(rule.levels, SPARE, low, middle) if rule.clamp else [])
