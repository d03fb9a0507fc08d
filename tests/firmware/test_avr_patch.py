"""The learned nets' kernels in assembly: each block size against NumPy, bit for bit and cycle for cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from avr_machine import Answer, Byte, Call, Machine
from learned_definition import activation
from numpy.typing import NDArray

from host.deploy.learned_twin import SUM_BITS

Make = Callable[..., Machine]
SLACK_CYCLES = 2
RETURN_ADDRESS_BYTES = 2
PATCH_STACK = 27
DEPTH_STACK = 20
KERNELS = {8: "nn_avr_patch24", 4: "nn_avr_patch4", 2: "nn_avr_patch2"}
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
    bits: int = 8

    @property
    def description(self) -> bytes:
        """nn_avr_patch."""
        rows, run, _ = self.weights.shape
        words = (self.skip, rows | run << 8, self.weights_gap, self.in_gap)
        return np.array(words, "<u2").tobytes()

    @property
    def rom(self) -> bytes:
        starts = [int(value) for value in self.bias]
        for index in reversed(range(len(starts))):
            place = index % self.in_a_byte
            following = starts[index + 1] if index + 1 < len(starts) and place + 1 < self.in_a_byte else 0
            starts[index] = starts[index] * 2 ** (self.bits * place) + following
        bias = b"".join((value % 2**24).to_bytes(3, "little") for value in starts)
        fields = self.weights + 2 ** (self.bits - 1)
        rows = [b"".join(self.joined(one) for one in row) + b"\x5a" * self.weights_gap for row in fields]
        return bias + b"\x5a" * self.skip + b"".join(rows)

    @property
    def in_a_byte(self) -> int:
        return 8 // self.bits

    def joined(self, fields: NDArray[np.int64]) -> bytes:
        """One input's weights."""
        groups = [fields[at : at + self.in_a_byte] for at in range(0, len(fields), self.in_a_byte)]
        return bytes(sum(int(f) << (self.bits * place) for place, f in enumerate(group)) for group in groups)

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
        size = -(-outputs // self.in_a_byte)
        once = 124 + 18 * outputs + 27 * rows + 2 * ends + self.finish
        return once + (rows * run - zero) * (11 + 2 * size + 6 * outputs) + 9 * zero

    @property
    def finish(self) -> int:
        """What taking the packed sums apart costs."""
        outputs = len(self.bias)
        if self.bits == 8:
            return 0
        differences = 3 * sum(1 for index in range(outputs - 1) if (index + 1) % self.in_a_byte)
        shifts = 3 * self.bits * sum(index % self.in_a_byte for index in range(outputs))
        return 3 * (self.bits - 1) - 5 + 3 * self.bits * (min(outputs, self.in_a_byte) - 1) + differences + shifts


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
        calls.append(Call(f"{KERNELS[patch.bits]}_{outputs}", (inputs_at, chip.room, at, sums_at), memory, wanted))
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


def random_patch(
    random: np.random.Generator, rows: int, run: int, outputs: int, density: float, bits: int = 8
) -> Patch:
    x = random.integers(0, 256, (rows, run)) * (random.random((rows, run)) < density)
    largest = 2 ** (bits - 1) - 1
    weights = random.integers(-largest, largest + 1, (rows, run, outputs))
    # The sums use the room that the kernel gives them; with 8 bits they may even wrap.
    room = 2**23 if bits == 8 else 2 ** (SUM_BITS[bits] - 1) - 1 - 255 * int(np.abs(weights).sum(axis=(0, 1)).max())
    bias = random.integers(-room, room, outputs)
    skip, weights_gap, in_gap = (int(number) for number in random.integers(0, 40, 3))
    return Patch(weights, bias, x.astype(np.uint8), skip, weights_gap * outputs, in_gap, bits)


@pytest.mark.parametrize("bits", KERNELS)
@pytest.mark.parametrize("outputs", range(1, 7))
def test_every_block_size(machine: Make, outputs: int, bits: int) -> None:
    random = np.random.default_rng(outputs)
    shapes = [(1, 1), (1, 255), (3, 3), (5, 40), (3, 36), (2, 64), (7, 7), (4, 1)]
    check(machine, [random_patch(random, *shape, outputs, 0.5, bits) for shape in shapes])


@pytest.mark.parametrize("bits", KERNELS)
@pytest.mark.parametrize("density", [0.0, 1.0])
def test_nothing_but_zeros_and_none_at_all(machine: Make, density: float, bits: int) -> None:
    random = np.random.default_rng(8)
    check(machine, [random_patch(random, 3, 20, outputs, density, bits) for outputs in (1, 4, 6)])


@pytest.mark.parametrize("bits", [4, 2])
def test_the_widest_sums_of_packed_weights(machine: Make, bits: int) -> None:
    """Sums at either end of what is allowed, in every place of a byte."""
    limit = 2 ** (SUM_BITS[bits] - 1)
    x, largest = np.full((1, 16), 255, np.uint8), 2 ** (bits - 1) - 1
    for sign, bias in ((1, limit - 1), (-1, -limit)):
        weights = np.full((1, 16, 6), sign * largest)
        check(machine, [Patch(weights, np.full(6, bias - sign * largest * 255 * 16), x, 0, 0, 0, bits)])


def test_the_largest_sum_of_inputs(machine: Make) -> None:
    """1,275 inputs of 255: their sum takes a third byte."""
    x = np.full((5, 255), 255, np.uint8)
    for weight in (127, -127, 0):
        check(machine, [Patch(np.full((5, 255, 1), weight), np.array([12345]), x, 0, 0, 0)])


@dataclass(frozen=True)
class Depth:
    """weights and inputs (rows, pixels, channels), bias (channels,); then gaps in bytes and what to skip."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    x: NDArray[np.uint8]
    skip: int
    weights_gap: int
    in_gap: int
    pixel_gap: int

    @property
    def description(self) -> bytes:
        """nn_avr_patch."""
        rows, pixels, _ = self.weights.shape
        words = (self.skip, rows | pixels << 8, self.weights_gap, self.in_gap, self.pixel_gap)
        return np.array(words, "<u2").tobytes()[:-1]

    @property
    def rom(self) -> bytes:
        bias = b"".join(int(value % 2**24).to_bytes(3, "little") for value in self.bias)
        rows = [row.astype(np.int8).tobytes() + b"\x5a" * self.weights_gap for row in self.weights]
        return bias + b"\x5a" * self.skip + b"".join(rows)

    @property
    def inputs(self) -> bytes:
        pixels = [[pixel.tobytes() + b"\xff" * self.pixel_gap for pixel in row] for row in self.x]
        return b"".join(b"".join(row) + b"\xff" * self.in_gap for row in pixels)

    @property
    def sums(self) -> list[int]:
        exact = self.bias + (self.x.astype(np.int64) * self.weights).sum(axis=(0, 1))
        return ((exact + 2**23) % 2**24 - 2**23).tolist()

    @property
    def cycles(self) -> int:
        """As the routine's header has it."""
        rows, pixels, channels = self.weights.shape
        return 98 + 15 * channels + 17 * rows + rows * pixels * (5 + 11 * channels)


def check_depth(make: Make, patches: list[Depth]) -> None:
    chip = make(b"".join(patch.rom for patch in patches))
    calls, at = [], chip.blob
    for patch in patches:
        length = 3 * len(patch.bias)
        inputs_at = chip.room + 9
        sums_at = inputs_at + len(patch.inputs)
        memory = (
            (chip.room, patch.description),
            (inputs_at, patch.inputs),
            (sums_at, b"\xa5" * (length + 4)),
        )
        arguments = (inputs_at, chip.room, at, sums_at)
        calls.append(Call(f"nn_avr_depth24_{len(patch.bias)}", arguments, memory, ((sums_at, length + 4),)))
        at += len(patch.rom)
    for patch, answer in zip(patches, chip.run(calls), strict=True):
        assert answer.memory[0][-4:].tolist() == [0xA5] * 4, "wrote past its sums"
        found = answer.memory[0][:-4].reshape(-1, 3).astype(np.int64) @ [1, 1 << 8, 1 << 16]
        assert ((found + 2**23) % 2**24 - 2**23).tolist() == patch.sums
        assert abs(answer.cycles - patch.cycles) <= SLACK_CYCLES
        assert answer.stack <= DEPTH_STACK + RETURN_ADDRESS_BYTES


@pytest.mark.parametrize("channels", range(1, 7))
def test_depthwise_sums(machine: Make, channels: int) -> None:
    random = np.random.default_rng(channels)
    patches = []
    for rows, pixels in ((1, 1), (1, 7), (2, 3), (3, 3), (3, 1), (5, 5), (5, 4)):
        x = random.integers(0, 256, (rows, pixels, channels)) * (random.random((rows, pixels, channels)) < 0.7)
        weights = random.integers(-128, 128, x.shape)
        bias = random.integers(-(2**23), 2**23, channels)  # and so some sums wrap
        gaps = (int(number) for number in random.integers(0, 12, 4))
        patches.append(Depth(weights, bias, x.astype(np.uint8), *gaps))
    check_depth(machine, patches)


def test_depthwise_products_at_their_ends(machine: Make) -> None:
    """Every sign that MULSU's carry has to say, zeros and bytes that are full among them."""
    ends = np.array([(w, x) for w in (-128, -127, -1, 0, 1, 127) for x in (0, 1, 127, 128, 255)])
    weights, x = ends[:, 0].reshape(5, 2, 3), ends[:, 1].reshape(5, 2, 3).astype(np.uint8)
    check_depth(machine, [Depth(weights, np.array([0, -(2**23), 2**23 - 1]), x, 3, 5, 7, 100)])
    single = [
        Depth(np.full((1, 1, 1), w), np.zeros(1, np.int64), np.full((1, 1, 1), v, np.uint8), 0, 0, 0, 0)
        for w, v in ends
    ]
    check_depth(machine, single)


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
