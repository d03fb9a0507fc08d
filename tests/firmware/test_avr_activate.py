"""What becomes of sums in assembly: activations of 16, 24 and 32 bits, totals of partial sums, scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from avr_machine import Byte, Call, Far, Machine
from numpy.typing import NDArray

Make = Callable[..., Machine]
MAX, SHIFT16 = 1, 2
SLACK_CYCLES = 2
RETURN_ADDRESS_BYTES = 2
STACK = {16: 6, 24: 6, 32: 7}
TOPS = [255, 254, 127, 63, 31, 15, 1]
WAYS = [(bits, flags) for bits in STACK for flags in ((0, SHIFT16, MAX, MAX | SHIFT16) if bits == 24 else (0, SHIFT16))]


def as_bytes(values: NDArray[np.int64], count: int) -> bytes:
    return b"".join(int(value).to_bytes(count, "little", signed=True) for value in values)


@dataclass(frozen=True)
class Case:
    """One call of nn_avr_activate`bits`; `there` is what lies in out before it."""

    bits: int
    flags: int
    top: int
    sums: NDArray[np.int64]
    multipliers: NDArray[np.int64]
    there: NDArray[np.int64]

    @property
    def shift(self) -> int:
        return 16 if self.flags & SHIFT16 else 24

    @property
    def scaled(self) -> list[int]:
        """Unbounded integers, before the clamps."""
        pairs = zip(self.sums.tolist(), self.multipliers.tolist(), strict=True)
        return [(total * m + (1 << (self.shift - 1))) >> self.shift for total, m in pairs]

    @property
    def defined(self) -> list[int]:
        found = [min(max(value, 0), self.top) for value in self.scaled]
        return [max(pair) for pair in zip(found, self.there.tolist(), strict=True)] if self.flags & MAX else found

    @property
    def cycles(self) -> int:
        """As the routines' headers have it."""
        negative = int(np.count_nonzero(self.sums < 0))
        above = sum(value > self.top for value in self.scaled)
        rest = len(self.sums) - negative
        if self.bits == 16:
            return 49 + 18 * negative + (41 if self.shift == 16 else 38) * rest + above
        if self.bits == 24:
            is_max = self.flags & MAX
            once = 47 + (22 if is_max else 23) * negative + (55 + 6 * (self.shift == 16)) * rest + above
            return once + (4 * (rest - above) if is_max else 0)
        large, is_short = self.sums >= 1 << 24, self.multipliers < 256
        once = 51 + 24 * negative + (58 + 6 * (self.shift == 16)) * rest - above
        if self.shift == 16:
            return once - 11 * int(large.sum())
        return once - 3 * int((large & ~is_short).sum()) + 10 * int((large & is_short).sum())


def cases(random: np.random.Generator, bits: int, flags: int, top: int) -> list[Case]:
    """Sums around where an activation begins and ends, for each multiplier."""
    multipliers = np.array([1, 2, 255, 256, 32768, 65535, *random.integers(1, 65536, 44)], np.int64)
    shift, most, found = 16 if flags & SHIFT16 else 24, (1 << (bits - 1)) - 1, []
    for step in (0, 1, 2, top - 1, top, top + 1, 127, 128, 254, 255, 256, -1, -1000):
        edges = (2 * step + 1 << (shift - 1)) // multipliers + random.integers(-1, 2, len(multipliers))
        there = random.integers(0, top + 1, len(multipliers))
        found.append(Case(bits, flags, top, np.clip(edges, -most - 1, most), multipliers, there))
    ends = np.array([-most - 1, -most, -1, 0, 1, most - 1, most, most >> 1, most >> 7])
    ends = np.concatenate([ends, random.integers(-most - 1, most, 41, endpoint=True)])
    return [*found, Case(bits, flags, top, ends, random.permutation(multipliers), there)]


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize(("bits", "flags"), WAYS)
def test_activations(machine: Make, bits: int, flags: int, top: int) -> None:
    given = cases(np.random.default_rng(bits + flags + top), bits, flags, top)
    chip = machine(b"".join(case.multipliers.astype("<u2").tobytes() for case in given))
    calls, at = [], chip.blob
    for case in given:
        packed = as_bytes(case.sums, bits // 8)
        out_at = chip.room + len(packed)
        arguments = (chip.room, Byte(len(case.sums)), at, flags | top << 8, out_at)
        memory = ((chip.room, packed), (out_at, case.there.astype(np.uint8).tobytes() + b"\xa5"))
        calls.append(Call(f"nn_avr_activate{bits}", arguments, memory, ((out_at, len(case.sums) + 1),)))
        at += 2 * len(case.multipliers)
    for case, answer in zip(given, chip.run(calls), strict=True):
        assert answer.memory[0].tolist() == [*case.defined, 0xA5]
        assert answer.stack <= STACK[bits] + RETURN_ADDRESS_BYTES
        assert abs(answer.cycles - case.cycles) <= SLACK_CYCLES


@pytest.mark.parametrize("bits", [16, 32])
def test_activations_in_place(machine: Make, bits: int) -> None:
    random, count = np.random.default_rng(bits), 255
    sums = random.integers(-(1 << (bits - 2)), 1 << (bits - 2), count)
    case = Case(bits, SHIFT16, 63, sums, random.integers(1, 9000, count), np.zeros(count, np.int64))
    chip = machine(case.multipliers.astype("<u2").tobytes())
    arguments = (chip.room, Byte(count), chip.blob, SHIFT16 | 63 << 8, chip.room)
    memory = ((chip.room, as_bytes(sums, bits // 8)),)
    answer = chip.run([Call(f"nn_avr_activate{bits}", arguments, memory, ((chip.room, count),))])[0]
    assert answer.memory[0].tolist() == case.defined


@pytest.mark.parametrize("bits", STACK)
def test_multipliers_that_lie_across_the_banks_of_far_flash(machine: Make, bits: int) -> None:
    random, count = np.random.default_rng(bits), 100
    sums = random.integers(-(1 << (bits - 3)), 1 << (bits - 2), count)
    case = Case(bits, 0, 63, sums, random.integers(1, 65536, count), np.zeros(count, np.int64))
    chip = machine(case.multipliers.astype("<u2").tobytes(), mcu="atmega2560", blob_at=0x20000 - 77)
    out_at = chip.room + count * bits // 8
    arguments = (chip.room, Byte(count), Far(chip.blob), 63 << 8, out_at)
    memory = ((chip.room, as_bytes(sums, bits // 8)),)
    answer = chip.run([Call(f"nn_avr_activate{bits}", arguments, memory, ((out_at, count),))])[0]
    assert answer.memory[0].tolist() == case.defined


def signed24(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    ends = [-(2**23), 2**23 - 1, -1, 0, 1, 255, 256, -256, 65535, 65536, -65536]
    return np.array([*ends, *random.integers(-(2**23), 2**23, count)])[:count]


@pytest.mark.parametrize("count", [1, 2, 7, 100, 200])
def test_totals_of_partial_sums(machine: Make, count: int) -> None:
    chip, random = machine(), np.random.default_rng(count)
    sums = signed24(random, count)
    totals = random.integers(-(2**30), 2**30, count)
    at = chip.room + 3 * count
    memory = ((chip.room, as_bytes(sums, 3)), (at, as_bytes(totals, 4) + b"\xa5\xa5"))
    call = Call("nn_avr_add24", (chip.room, Byte(count), at), memory, ((at, 4 * count), (at + 4 * count, 2)))
    answer = chip.run([call])[0]
    assert answer.memory[0].tobytes() == as_bytes(totals + sums, 4)
    assert answer.memory[1].tolist() == [0xA5, 0xA5]
    assert abs(answer.cycles - (16 + 32 * count)) <= SLACK_CYCLES
    assert answer.stack == RETURN_ADDRESS_BYTES


@pytest.mark.parametrize("count", [1, 2, 7, 100, 200])
def test_scores_of_three_bytes_become_four(machine: Make, count: int) -> None:
    chip = machine()
    sums = signed24(np.random.default_rng(count), count)
    for sums_at in (chip.room + count, chip.room + 4 * count + 2):  # over its own end, and elsewhere
        out_at, guard = chip.room, chip.room + 4 * count
        memory = ((guard, b"\xa5\xa5"), (sums_at, as_bytes(sums, 3)))
        call = Call("nn_avr_widen24", (sums_at, Byte(count), out_at), memory, ((out_at, 4 * count), (guard, 2)))
        answer = chip.run([call])[0]
        assert answer.memory[0].tobytes() == as_bytes(sums, 4)
        assert answer.memory[1].tolist() == [0xA5, 0xA5]
        assert abs(answer.cycles - (16 + 20 * count)) <= SLACK_CYCLES
