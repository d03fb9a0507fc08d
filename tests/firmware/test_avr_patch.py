"""The patch kernels in assembly: each block size and width of weights against NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from avr_blocks import PATCH_KERNELS, SUM_BITS, packed, patch_starts
from numpy.typing import NDArray
from patch_bench import Make, Walk, check

from host.compile.kernels.avr_patch import unpacking_cycles


@dataclass(frozen=True)
class Patch(Walk):
    """weights (rows, run, outputs), inputs (rows, run)."""

    bits: int = 8
    stack: ClassVar[int] = 27

    @property
    def kernel(self) -> str:
        return PATCH_KERNELS[self.bits]

    @property
    def rom(self) -> bytes:
        starts = patch_starts(self.bias.tolist(), self.bits)
        return self.block(starts, [b"".join(packed(one, self.bits) for one in row) for row in self.weights])

    @property
    def inputs(self) -> bytes:
        return b"".join(row.tobytes() + b"\xff" * self.in_gap for row in self.x)

    @property
    def exact(self) -> NDArray[np.int64]:
        return self.bias + np.einsum("ri,rio->o", self.x.astype(np.int64), self.weights)

    @property
    def cycles(self) -> int:
        rows, run, outputs = self.weights.shape
        zero, ends = int(np.count_nonzero(self.x == 0)), int(np.count_nonzero(self.x[:, -1] == 0))
        size = -(-outputs * self.bits // 8)
        once = 124 + 18 * outputs + 27 * rows + 2 * ends + unpacking_cycles(outputs, self.bits)
        return once + (rows * run - zero) * (11 + 2 * size + 6 * outputs) + 9 * zero


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
    return Patch(weights, bias, x.astype(np.uint8), skip, weights_gap * outputs, in_gap, bits=bits)


@pytest.mark.parametrize("bits", PATCH_KERNELS)
@pytest.mark.parametrize("outputs", range(1, 7))
def test_every_block_size(machine: Make, outputs: int, bits: int) -> None:
    random = np.random.default_rng(outputs)
    shapes = [(1, 1), (1, 255), (3, 3), (5, 40), (3, 36), (2, 64), (7, 7), (4, 1)]
    check(machine, [random_patch(random, *shape, outputs, 0.5, bits) for shape in shapes])


@pytest.mark.parametrize("bits", PATCH_KERNELS)
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
        check(machine, [Patch(weights, np.full(6, bias - sign * largest * 255 * 16), x, 0, 0, 0, bits=bits)])


def test_the_largest_sum_of_inputs(machine: Make) -> None:
    """1,275 inputs of 255: their sum takes a third byte."""
    x = np.full((5, 255), 255, np.uint8)
    for weight in (127, -127, 0):
        check(machine, [Patch(np.full((5, 255, 1), weight), np.array([12345]), x, 0, 0, 0)])
