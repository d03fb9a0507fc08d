"""The dense kernels in assembly: each block size against NumPy, bit for bit and cycle for cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from avr_machine import Answer, Call, Far, Machine
from numpy.typing import NDArray

Make = Callable[..., Machine]
SLACK_CYCLES = 2
RETURN_ADDRESS_BYTES = 2


@dataclass(frozen=True)
class Kernel:
    """A family of routines: `bits` of a sum as it is computed, `stored` bytes of it in RAM; what C takes for an nn_far
    where `is_far`. With `repeats` any number of inputs goes, and otherwise at most `most_inputs`."""

    name: str
    bits: int
    stored: int
    most_outputs: int
    most_inputs: int
    is_far: bool = True

    def cycles(self, x: NDArray[np.uint8], outputs: int) -> int:
        """As the routine's header has it."""
        inputs, zero = len(x), int(np.count_nonzero(x == 0))
        present = inputs - zero
        if self.bits == 16:
            once = 48 + 18 * outputs if outputs < 8 else 112 + 10 * outputs + 8 * (outputs == 12)
            return once + 8 * -(-inputs // 4) + present * (5 + 7 * outputs) + 8 * zero + 7 * ((inputs - 1) // 1024)
        if self.name == "dense24":
            return 109 + 23 * outputs + present * (10 + 8 * outputs) + 9 * zero
        once = 53 + 30 * outputs if outputs < 6 else 117 + 18 * outputs
        ends = int(np.count_nonzero(x[(inputs - 1) % 256 :: 256] == 0))  # the first piece is what is over
        again = (13 + 3 * outputs) * ((inputs - 1) // 256)
        return once + present * (10 + 8 * outputs) + 9 * zero + 2 * ends + again

    def stack(self, outputs: int) -> int:
        """Without the return address."""
        if self.bits == 16:
            return 4 + min(2 * outputs, 16) + 2 * (outputs == 12)
        return 20 if self.name == "dense24" else 5 + min(3 * outputs, 16)


DENSE16 = Kernel("dense16", 16, 2, 12, 65535, is_far=False)
DENSE24 = Kernel("dense24", 24, 4, 7, 255, is_far=False)
SUMS16 = Kernel("sums16", 16, 2, 12, 65535)
SUMS24 = Kernel("sums24", 24, 3, 7, 65535)
KERNELS = [
    pytest.param(kernel, outputs, id=f"{kernel.name}_{outputs}")
    for kernel in (SUMS16, DENSE24, SUMS24)
    for outputs in range(1, kernel.most_outputs + 1)
]
ENDS = [
    pytest.param(kernel, outputs, id=f"{kernel.name}_{outputs}")
    for kernel in (SUMS16, DENSE24, SUMS24)
    for outputs in sorted({1, kernel.most_outputs - 1, kernel.most_outputs})
]


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

    def sums(self, kernel: Kernel) -> bytes:
        """Exact, then reduced to the kernel's bits with their sign."""
        span = 1 << kernel.bits
        reduced = (self.bias + self.x.astype(np.int64) @ self.weights + span // 2) % span - span // 2
        return b"".join(int(value).to_bytes(kernel.stored, "little", signed=True) for value in reduced)


def run(chip: Machine, kernel: Kernel, blocks: list[Block], far: Callable[[int], Far | int] = int) -> list[Answer]:
    """Each block's answer; what lies behind its sums must stay as it is."""
    calls, at = [], chip.blob
    sums_at = chip.room + max(len(block.x) for block in blocks)
    for block in blocks:
        inputs, outputs = block.weights.shape
        length = outputs * kernel.stored
        memory = ((chip.room, block.x.tobytes()), (sums_at, bytes([0xA5] * (length + 4))))
        wanted = ((sums_at, length), (sums_at + length, 4))
        arguments = (chip.room, inputs, far(at), sums_at)
        calls.append(Call(f"nn_avr_{kernel.name}_{outputs}", arguments, memory, wanted))
        at += len(block.rom(kernel.bits))
    answers = chip.run(calls)
    assert all(np.all(answer.memory[1] == 0xA5) for answer in answers), "wrote past its sums"
    for block, answer in zip(blocks, answers, strict=True):
        assert answer.memory[0].tobytes() == block.sums(kernel)
    return answers


def check(make: Make, kernel: Kernel, blocks: list[Block]) -> None:
    chip = make(b"".join(block.rom(kernel.bits) for block in blocks), has_convolutions=False)
    for block, answer in zip(blocks, run(chip, kernel, blocks), strict=True):
        stated = kernel.cycles(block.x, len(block.bias))
        assert abs(answer.cycles - stated) <= SLACK_CYCLES, (block.weights.shape, answer.cycles - stated)
        assert answer.stack == kernel.stack(len(block.bias)) + RETURN_ADDRESS_BYTES


def random_block(random: np.random.Generator, kernel: Kernel, inputs: int, outputs: int, density: float) -> Block:
    most = 1 << (kernel.bits - 1)
    x = random.integers(0, 256, inputs) * (random.random(inputs) < density)
    weights = random.integers(-127, 128, (inputs, outputs))
    return Block(weights, random.integers(-most, most, outputs), x.astype(np.uint8))


@pytest.mark.parametrize(("kernel", "outputs"), KERNELS)
def test_random_blocks_of_any_length_and_density(machine: Make, kernel: Kernel, outputs: int) -> None:
    random = np.random.default_rng(100 * kernel.bits + outputs)
    lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 64, 201]
    check(
        machine,
        kernel,
        [random_block(random, kernel, n, outputs, density) for n in lengths for density in (0.0, 0.3, 0.7, 1.0)],
    )


@pytest.mark.parametrize(("kernel", "outputs"), KERNELS)
def test_long_blocks(machine: Make, kernel: Kernel, outputs: int) -> None:
    """About as many inputs as a byte counts, and as a byte counts fours."""
    random = np.random.default_rng(outputs)
    for inputs in (256, 257, 1024, 1025, 1400):
        if inputs <= kernel.most_inputs:
            check(machine, kernel, [random_block(random, kernel, inputs, outputs, 0.5)])


@pytest.mark.parametrize(("kernel", "outputs"), ENDS)
def test_the_largest_weights_and_inputs(machine: Make, kernel: Kernel, outputs: int) -> None:
    blocks, most = [], 1 << (kernel.bits - 1)
    for inputs in (1, 2, 3, 220):
        for weight in (-127, 127):
            for bias in (-most, 0, most - 1):
                weights = np.full((inputs, outputs), weight)
                blocks.append(Block(weights, np.full(outputs, bias), np.full(inputs, 255, np.uint8)))
    check(machine, kernel, blocks)


def test_a_sum_of_inputs_that_passes_16_bits(machine: Make) -> None:
    for inputs in (256, 257, 600, 1400):
        weights = np.tile([[1], [-1]], (inputs, 1))[:inputs]
        check(machine, SUMS24, [Block(weights, np.array([-5]), np.full(inputs, 255, np.uint8))])


@pytest.mark.parametrize(("kernel", "outputs"), ENDS)
def test_runs_of_zeros_step_over_their_own_weights_only(machine: Make, kernel: Kernel, outputs: int) -> None:
    random = np.random.default_rng(outputs)
    weights = random.integers(-127, 128, (17, outputs))
    bias = random.integers(-100, 101, outputs)
    blocks = []
    for start in range(17):
        for length in (1, 2, 5, 16):
            x = random.integers(1, 256, 17).astype(np.uint8)
            x[start : start + length] = 0
            blocks.append(Block(weights, bias, x))
    check(machine, kernel, blocks)
    one_alive = [Block(weights, bias, (np.arange(17) == k).astype(np.uint8)) for k in range(17)]
    check(machine, kernel, one_alive)


@pytest.mark.parametrize("kernel", [SUMS16, SUMS24], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_blocks_that_lie_across_the_banks_of_far_flash(machine: Make, kernel: Kernel, density: float) -> None:
    """5,408 inputs of an ATmega2560, whose weights begin in one bank of 64 KiB and end in the next one."""
    random = np.random.default_rng(5408)
    for outputs in (2, kernel.most_outputs):
        block = random_block(random, kernel, 5408, outputs, density)
        rom = block.rom(kernel.bits)
        for start in (0xFFFF - 2 * outputs, 0x20000 - len(rom) // 2, 0x10000):
            chip = machine(rom, mcu="atmega2560", blob_at=start, room_bytes=6000, has_convolutions=False)
            run(chip, kernel, [block], Far)


def test_near_blocks_where_flash_is_far(machine: Make) -> None:
    block = random_block(np.random.default_rng(3), DENSE16, 1300, 11, 0.5)
    chip = machine(block.rom(16), mcu="atmega2560", has_convolutions=False)
    run(chip, DENSE16, [block])
