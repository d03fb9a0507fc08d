"""The dense kernels in assembly: each block size against NumPy, bit for bit and cycle for cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from avr_machine import Answer, Call, Machine
from numpy.typing import NDArray

Make = Callable[..., Machine]
KERNELS = [(16, outputs) for outputs in range(1, 13)] + [(24, outputs) for outputs in range(1, 8)]
MOST_INPUTS = {16: 1020, 24: 255}
SUMS = {16: "<i2", 24: "<i4"}
SLACK_CYCLES = 2
STACK_BYTES = {16: 21, 24: 20}
RETURN_ADDRESS_BYTES = 2


@dataclass(frozen=True)
class Block:
    """weights (inputs, outputs), bias (outputs,), and the inputs (inputs,) that meet them."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    x: NDArray[np.uint8]

    def rom(self, bits: int) -> bytes:
        """As nn_avr.h lays it out."""
        bias = b"".join(int(value).to_bytes(bits // 8, "little", signed=True) for value in self.bias)
        return bias + (self.weights + (128 if bits == 24 else 0)).astype(np.uint8).tobytes()

    def sums(self, bits: int) -> NDArray[np.int64]:
        """Exact, then reduced to `bits` bits with their sign."""
        span = 1 << bits
        return (self.bias + self.x.astype(np.int64) @ self.weights + span // 2) % span - span // 2

    def cycles(self, bits: int) -> int:
        """docs/avr-kernels.md."""
        inputs, outputs = self.weights.shape
        zero = int(np.count_nonzero(self.x == 0))
        if bits == 16:
            return 114 + 10 * outputs + 8 * -(-inputs // 4) + (inputs - zero) * (5 + 7 * outputs) + 8 * zero
        return 109 + 23 * outputs + (inputs - zero) * (10 + 8 * outputs) + 9 * zero


def run(make: Make, bits: int, blocks: list[Block]) -> list[Answer]:
    """Each block's answer; what lies behind its sums must stay as it is."""
    roms = [block.rom(bits) for block in blocks]
    chip = make(b"".join(roms), has_learned=False)
    calls, at = [], chip.blob
    sums_at = chip.room + MOST_INPUTS[bits]
    for block, rom in zip(blocks, roms, strict=True):
        inputs, outputs = block.weights.shape
        length = outputs * np.dtype(SUMS[bits]).itemsize
        memory = ((chip.room, block.x.tobytes()), (sums_at, bytes([0xA5] * (length + 4))))
        wanted = ((sums_at, length), (sums_at + length, 4))
        calls.append(Call(f"nn_avr_dense{bits}_{outputs}", (chip.room, inputs, at, sums_at), memory, wanted))
        at += len(rom)
    answers = chip.run(calls)
    assert all(np.all(answer.memory[1] == 0xA5) for answer in answers), "wrote past its sums"
    return answers


def check(make: Make, bits: int, blocks: list[Block]) -> None:
    for block, answer in zip(blocks, run(make, bits, blocks), strict=True):
        assert answer.memory[0].view(SUMS[bits]).tolist() == block.sums(bits).tolist()
        assert abs(answer.cycles - block.cycles(bits)) <= SLACK_CYCLES
        assert answer.stack == STACK_BYTES[bits] + RETURN_ADDRESS_BYTES


def random_block(random: np.random.Generator, bits: int, inputs: int, outputs: int, density: float) -> Block:
    most = 1 << (bits - 1)
    x = random.integers(0, 256, inputs) * (random.random(inputs) < density)
    weights = random.integers(-127, 128, (inputs, outputs))
    return Block(weights, random.integers(-most, most, outputs), x.astype(np.uint8))


@pytest.mark.parametrize(("bits", "outputs"), KERNELS)
def test_random_blocks_of_any_length_and_density(machine: Make, bits: int, outputs: int) -> None:
    random = np.random.default_rng(100 * bits + outputs)
    lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 64, 201]
    check(
        machine,
        bits,
        [random_block(random, bits, n, outputs, density) for n in lengths for density in (0.0, 0.3, 0.7, 1.0)],
    )


@pytest.mark.parametrize(("bits", "outputs"), KERNELS)
def test_the_longest_block(machine: Make, bits: int, outputs: int) -> None:
    inputs = MOST_INPUTS[bits]
    check(machine, bits, [random_block(np.random.default_rng(outputs), bits, inputs, outputs, 0.5)])


@pytest.mark.parametrize(("bits", "outputs"), [(16, 1), (16, 11), (16, 12), (24, 1), (24, 7)])
def test_the_largest_weights_and_inputs(machine: Make, bits: int, outputs: int) -> None:
    blocks = []
    for inputs in (1, 2, 3, 220):
        for weight in (-127, 127):
            for bias in (-(1 << (bits - 1)), 0, (1 << (bits - 1)) - 1):
                weights = np.full((inputs, outputs), weight)
                blocks.append(Block(weights, np.full(outputs, bias), np.full(inputs, 255, np.uint8)))
    check(machine, bits, blocks)


@pytest.mark.parametrize(("bits", "outputs"), [(16, 1), (16, 12), (24, 1), (24, 7)])
def test_runs_of_zeros_step_over_their_own_weights_only(machine: Make, bits: int, outputs: int) -> None:
    random = np.random.default_rng(outputs)
    weights = random.integers(-127, 128, (17, outputs))
    bias = random.integers(-100, 101, outputs)
    blocks = []
    for start in range(17):
        for length in (1, 2, 5, 16):
            x = random.integers(1, 256, 17).astype(np.uint8)
            x[start : start + length] = 0
            blocks.append(Block(weights, bias, x))
    check(machine, bits, blocks)
    one_alive = [Block(weights, bias, (np.arange(17) == k).astype(np.uint8)) for k in range(17)]
    check(machine, bits, one_alive)
