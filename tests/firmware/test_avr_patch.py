"""The learned nets' kernels in assembly: each block size against NumPy, bit for bit and cycle for cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from avr_machine import Answer, Byte, Call, Machine
from learned_definition import activation
from numpy.typing import NDArray

Make = Callable[..., Machine]
SLACK_CYCLES = 2
RETURN_ADDRESS_BYTES = 2
PATCH_STACK = 26
MAX, SHIFT16 = 1, 2


@dataclass(frozen=True)
class Patch:
    """weights (rows, run, outputs), bias (outputs,), inputs (rows, run); then gaps in bytes and what to skip."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    x: NDArray[np.uint8]
    skip: int
    weights_gap: int
    in_gap: int

    @property
    def description(self) -> bytes:
        """nn_avr_patch."""
        rows, run, _ = self.weights.shape
        words = (self.skip, rows | run << 8, self.weights_gap, self.in_gap)
        return np.array(words, "<u2").tobytes()

    @property
    def rom(self) -> bytes:
        bias = b"".join(int(value).to_bytes(3, "little", signed=True) for value in self.bias)
        rows = [(row + 128).astype(np.uint8).tobytes() + b"\x5a" * self.weights_gap for row in self.weights]
        return bias + b"\x5a" * self.skip + b"".join(rows)

    @property
    def inputs(self) -> bytes:
        return b"".join(row.tobytes() + b"\xff" * self.in_gap for row in self.x)

    @property
    def sums(self) -> list[int]:
        """Exact, then reduced to 24 bits with their sign."""
        exact = self.bias + np.einsum("ri,rio->o", self.x.astype(np.int64), self.weights)
        return ((exact + 2**23) % 2**24 - 2**23).tolist()

    @property
    def cycles(self) -> int:
        """As the routine's header has it."""
        rows, run, outputs = self.weights.shape
        zero, ends = int(np.count_nonzero(self.x == 0)), int(np.count_nonzero(self.x[:, -1] == 0))
        return 120 + 18 * outputs + 26 * rows + 2 * ends + (rows * run - zero) * (11 + 8 * outputs) + 9 * zero


def run(make: Make, patches: list[Patch]) -> list[Answer]:
    chip = make(b"".join(patch.rom for patch in patches))
    calls, at = [], chip.blob
    for patch in patches:
        outputs = len(patch.bias)
        inputs_at = chip.room + 8
        sums_at = inputs_at + len(patch.inputs)
        memory = (
            (chip.room, patch.description),
            (inputs_at, patch.inputs),
            (sums_at, bytes([0xA5] * (3 * outputs + 4))),
        )
        wanted = ((sums_at, 3 * outputs), (sums_at + 3 * outputs, 4))
        calls.append(Call(f"nn_avr_patch24_{outputs}", (inputs_at, chip.room, at, sums_at), memory, wanted))
        at += len(patch.rom)
    answers = chip.run(calls)
    assert all(np.all(answer.memory[1] == 0xA5) for answer in answers), "wrote past its sums"
    return answers


def check(make: Make, patches: list[Patch]) -> None:
    for patch, answer in zip(patches, run(make, patches), strict=True):
        found = answer.memory[0].reshape(-1, 3).astype(np.int64) @ [1, 1 << 8, 1 << 16]
        assert ((found + 2**23) % 2**24 - 2**23).tolist() == patch.sums
        assert abs(answer.cycles - patch.cycles) <= SLACK_CYCLES
        assert answer.stack <= PATCH_STACK + RETURN_ADDRESS_BYTES


def random_patch(random: np.random.Generator, rows: int, run: int, outputs: int, density: float) -> Patch:
    x = random.integers(0, 256, (rows, run)) * (random.random((rows, run)) < density)
    weights = random.integers(-127, 128, (rows, run, outputs))
    bias = random.integers(-(2**23), 2**23, outputs)
    skip, weights_gap, in_gap = (int(number) for number in random.integers(0, 40, 3))
    return Patch(weights, bias, x.astype(np.uint8), skip, weights_gap * outputs, in_gap)


@pytest.mark.parametrize("outputs", range(1, 7))
def test_every_block_size(machine: Make, outputs: int) -> None:
    random = np.random.default_rng(outputs)
    shapes = [(1, 1), (1, 255), (3, 3), (5, 40), (3, 36), (2, 64), (7, 7), (4, 1)]
    check(machine, [random_patch(random, *shape, outputs, 0.5) for shape in shapes])


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_nothing_but_zeros_and_none_at_all(machine: Make, density: float) -> None:
    random = np.random.default_rng(8)
    check(machine, [random_patch(random, 3, 20, outputs, density) for outputs in (1, 4, 6)])


def test_the_largest_sum_of_inputs(machine: Make) -> None:
    """1,275 inputs of 255: their sum takes a third byte."""
    x = np.full((5, 255), 255, np.uint8)
    for weight in (127, -127, 0):
        check(machine, [Patch(np.full((5, 255, 1), weight), np.array([12345]), x, 0, 0, 0)])


def rule(total: int, multiplier: int, how: int, there: int) -> int:
    found = activation(total, multiplier, 16 if how & SHIFT16 else 24)
    return max(found, there) if how & MAX else found


@pytest.mark.parametrize("how", [0, MAX, SHIFT16, MAX | SHIFT16])
def test_activations(machine: Make, how: int) -> None:
    random = np.random.default_rng(how)
    shift = 16 if how & SHIFT16 else 24
    multipliers = np.array([1, 2, 255, 256, 32768, 65535, *random.integers(1, 65536, 58)], np.int64)
    calls, expected = [], []
    chip = machine(multipliers.astype("<u2").tobytes())
    for step in (0, 1, 2, 127, 128, 254, 255, 256, -1, -1000):
        edges = (2 * step + 1 << (shift - 1)) // multipliers + random.integers(-1, 2, len(multipliers))
        sums = np.clip(edges, -(2**23), 2**23 - 1)
        there = random.integers(0, 256, len(sums)).astype(np.uint8)
        packed = sums.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        out_at = chip.room + len(packed)
        arguments = (chip.room, Byte(len(sums)), chip.blob, Byte(how), out_at)
        memory = ((chip.room, packed), (out_at, there.tobytes() + b"\xa5"))
        calls.append(Call("nn_avr_activate24", arguments, memory, ((out_at, len(sums) + 1),)))
        rows = zip(sums.tolist(), multipliers.tolist(), there.tolist(), strict=True)
        expected.append([*(rule(total, m, how, old) for total, m, old in rows), 0xA5])
    for answer, values in zip(chip.run(calls), expected, strict=True):
        assert answer.memory[0].tolist() == values
        assert answer.stack <= 6 + RETURN_ADDRESS_BYTES
