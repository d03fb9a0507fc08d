"""The end of compiled code: scores go to memory as 32 bits each, and the first maximum of them is looked for.

Where one block of registers does not hold all of them, what is known so far waits on the stack until the next block.
"""

from collections.abc import Sequence
from dataclasses import replace

from host.compile.kernels.unrolled.avr_ops import FACTOR, INPUT, POINTER, SPARE, ZERO, Op, Registers


def store_scores(sums: Sequence[Registers]) -> list[Op]:
    """Each sum, widened to 32 bits, to Z+."""
    ops = []
    for registers in sums:
        ops += [Op(f"st Z+, r{register}", 1, 2) for register in registers]
        ops += [Op(f"mov r{INPUT}, r{registers[-1]}"), Op(f"lsl r{INPUT}"), Op(f"sbc r{INPUT}, r{INPUT}")]
        ops += [Op(f"st Z+, r{INPUT}", 1, 2)] * (4 - len(registers))
    return ops


def first_maximum(sums: Sequence[Registers], first: int = 0) -> list[Op]:
    """The class of the largest sum in the spare register, the sum itself in `_largest`. The first sum is that of class
    `first`; where others came before it, those registers hold the largest of them."""
    ops = [] if first else [*_take(sums[0]), Op(f"clr r{SPARE}")]
    for slot in range(0 if first else 1, len(sums)):
        pairs = zip(_largest(len(sums[slot])), sums[slot], strict=True)
        ops += [Op(f"{'cpc' if k else 'cp'} r{known}, r{new}") for k, (known, new) in enumerate(pairs)]
        taken = [*_take(sums[slot]), Op(f"ldi r{SPARE}, {first + slot}")]
        ops += [Op(f"brge .+{2 * len(taken)}", 1, 2), *(replace(op, cycles=0) for op in taken)]
    return ops


def pause_scores(size: int) -> list[Op]:
    """Between two blocks of scores: the largest so far and where the next score goes wait on the stack, and Z is the
    arena's pointer again, which r0 and r1 held."""
    waiting = [Op(f"push r{register}", 1, 2) for register in (*_largest(size), SPARE, POINTER, POINTER + 1)]
    clear = [Op(f"clr r{ZERO}")] if ZERO in _largest(size) else []
    return [*waiting, *clear, Op(f"movw r{POINTER}, r0")]


def point_to_scores(keep: bool) -> list[Op]:
    """Z is where the next score goes; with `keep` the arena's pointer is left in r0 and r1."""
    point = [Op(f"pop r{POINTER + 1}", 1, 2), Op(f"pop r{POINTER}", 1, 2)]
    return [Op(f"movw r0, r{POINTER}"), *point] if keep else point


def resume_largest(size: int) -> list[Op]:
    """The largest of the scores before, back where first_maximum wants it."""
    return [Op(f"pop r{register}", 1, 2) for register in reversed((*_largest(size), SPARE))]


def _largest(size: int) -> Registers:
    """The registers of the largest score so far: the products are done, so that none needs a zero any more."""
    return (INPUT, FACTOR, ZERO)[:size]


def _take(registers: Registers) -> list[Op]:
    """What makes a sum the largest so far."""
    if len(registers) == 2:
        return [Op(f"movw r{INPUT}, r{registers[0]}")]
    return [Op(f"mov r{known}, r{new}") for known, new in zip(_largest(len(registers)), registers, strict=True)]
