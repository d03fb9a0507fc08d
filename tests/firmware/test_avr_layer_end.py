"""What follows the sums in assembly: requantising, widening, argmax; bit for bit and within the stated cycles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from avr_machine import Byte, Call, Machine
from definition import requantised
from numpy.typing import NDArray

Make = Callable[..., Machine]
SUMS = {16: "<i2", 24: "<i4"}
MULTIPLIERS = [1, 2, 127, 128, 200, 254, 255, 256, 257, 511, 4096, 32767, 32768, 65280, 65535]
MOST_OUTPUTS = 100
STACK_BYTES = {16: 3, 24: 6}
RETURN_ADDRESS_BYTES = 2


def interesting_sums(bits: int, multiplier: int, levels: int) -> NDArray[np.int64]:
    """The edges of the sums, of rounding and of saturation; the rest of a multiple of MOST_OUTPUTS at random."""
    random = np.random.default_rng(multiplier + levels)
    most = (1 << (bits - 1)) - 1
    fixed = [-most - 1, -most, -257, -256, -255, -2, -1, 0, 1, 2, 127, 128, 255, 256, 257, most - 1, most]
    for activation in (1, 2, levels // 2, levels - 1, levels, levels + 1):
        middle = ((2 * activation - 1) << bits) // (2 * multiplier)  # about where the activation before ends
        fixed += [middle + near for near in range(-2, 3)]
    rest = random.integers(-most // 4, most, 3 * MOST_OUTPUTS - len(fixed))
    return np.clip([*fixed, *rest], -most - 1, most)


def requantise_cycles(bits: int, multiplier: int, sums: NDArray[np.int64], levels: int) -> int:
    """docs/avr-kernels.md."""
    negative = int(np.count_nonzero(sums < 0))
    saturated = int(np.count_nonzero((sums * multiplier + (1 << (bits - 1))) >> bits > levels))
    if bits == 24:
        return 46 + 51 * len(sums) - 35 * negative + saturated
    if multiplier < 256:
        return 37 + 27 * len(sums) - 15 * negative + saturated
    return 37 + 33 * len(sums) - 21 * negative + saturated


@pytest.mark.parametrize("levels", [63, 255])
@pytest.mark.parametrize("bits", [16, 24])
def test_requantising_rounds_saturates_and_clamps_below_zero(machine: Make, bits: int, levels: int) -> None:
    chip = machine()
    cases = [
        (multiplier, part)
        for multiplier in MULTIPLIERS
        for part in interesting_sums(bits, multiplier, levels).reshape(3, MOST_OUTPUTS)
    ]
    out = chip.room + 4 * MOST_OUTPUTS
    calls = [
        Call(
            f"nn_avr_requantize{bits}",
            (chip.room, Byte(len(part)), multiplier, Byte(levels), out),
            ((chip.room, part.astype(SUMS[bits]).tobytes()), (out, bytes([0xA5] * (MOST_OUTPUTS + 2)))),
            ((out, MOST_OUTPUTS), (out + MOST_OUTPUTS, 2)),
        )
        for multiplier, part in cases
    ]
    for (multiplier, part), answer in zip(cases, chip.run(calls), strict=True):
        assert np.array_equal(answer.memory[0], requantised(part, multiplier, bits, levels)), multiplier
        assert np.all(answer.memory[1] == 0xA5), "wrote past its outputs"
        stated = requantise_cycles(bits, multiplier, part, levels)
        assert abs(answer.cycles - stated) <= 2, multiplier
        assert answer.stack == STACK_BYTES[bits] + RETURN_ADDRESS_BYTES


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("outputs", [1, 2, 255])
def test_requantising_in_place(machine: Make, bits: int, outputs: int) -> None:
    chip, multiplier = machine(), 4096
    sums = np.random.default_rng(outputs).integers(-500, 300 << (bits - 12), outputs).clip(None, (1 << (bits - 1)) - 1)
    memory = ((chip.room, sums.astype(SUMS[bits]).tobytes()),)
    arguments = (chip.room, Byte(outputs), multiplier, Byte(255), chip.room)
    answer = chip.run([Call(f"nn_avr_requantize{bits}", arguments, memory, ((chip.room, outputs),))])[0]
    assert np.array_equal(answer.memory[0], requantised(sums, multiplier, bits, 255))


@pytest.mark.parametrize("outputs", [1, 2, 3, 10, 255])
def test_widening_keeps_every_value(machine: Make, outputs: int) -> None:
    chip = machine()
    sums = np.random.default_rng(outputs).integers(-32768, 32768, outputs).astype("<i2")
    sums[:8] = [-32768, 32767, -1, 0, 1, -256, 255, 256][:outputs]
    # The largest layer's sums and scores together are more than there is room for: it widens in place, sums at the end.
    sums_at, guard = chip.room + 1500 - 2 * outputs, chip.room + 4 * outputs
    memory = ((guard, bytes([0xA5] * 2)), (sums_at, sums.tobytes()))
    wanted = ((chip.room, 4 * outputs), (guard, 2))
    answer = chip.run([Call("nn_avr_widen16", (sums_at, Byte(outputs), chip.room), memory, wanted)])[0]
    assert answer.memory[0].view("<i4").tolist() == sums.tolist()
    assert np.all(answer.memory[1] == (0xA5 if guard + 2 <= sums_at else answer.memory[1]))
    assert abs(answer.cycles - (16 + 17 * outputs)) <= 2


LOWEST, HIGHEST = -(2**31), 2**31 - 1


def argmax_cases() -> list[list[int]]:
    """Ties, extremes, sums that differ in one byte only, and everything at random."""
    random = np.random.default_rng(9)
    cases = [[5], [LOWEST], [1, 3, 3, 2], [LOWEST] * 10, [HIGHEST] * 10, [0] * 255, [-1, 0], [0, -1], [LOWEST, HIGHEST]]
    cases += [[HIGHEST, LOWEST], [3, 2, 1], [*range(-128, 127)], [-1, LOWEST, -1, 0, 0]]
    cases += [[base, base + step] for base in (-1, 0, 255, 65535, -65536) for step in (-65536, -256, -1, 1, 256, 65536)]
    cases += random.integers(LOWEST, HIGHEST, (60, 10), endpoint=True).tolist()
    cases += random.integers(-3, 4, (60, 10)).tolist()
    return cases


def test_argmax_takes_the_first_maximum(machine: Make) -> None:
    chip, cases = machine(), argmax_cases()
    calls = [
        Call("nn_avr_argmax32", (chip.room, Byte(len(case))), ((chip.room, np.array(case, "<i4").tobytes()),))
        for case in cases
    ]
    for case, answer in zip(cases, chip.run(calls), strict=True):
        assert answer.value & 0xFF == int(np.argmax(case)), case
        new_maxima = sum(score > max(case[:k]) for k, score in enumerate(case) if k)
        assert answer.cycles == 27 + 17 * (len(case) - 1) + 6 * new_maxima, case
