"""The depthwise kernels in assembly: each block size against NumPy, bit for bit and cycle for cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from patch_bench import Make, Walk, check


@dataclass(frozen=True)
class Depth(Walk):
    """weights and x (rows, pixels, channels)."""

    kernel: ClassVar[str] = "nn_avr_depth24"
    stack: ClassVar[int] = 20

    @property
    def rom(self) -> bytes:
        return self.block(self.bias.tolist(), [row.astype(np.int8).tobytes() for row in self.weights])

    @property
    def inputs(self) -> bytes:
        pixels = [[pixel.tobytes() + b"\xff" * self.pixel_gap for pixel in row] for row in self.x]
        return b"".join(b"".join(row) + b"\xff" * self.in_gap for row in pixels)

    @property
    def exact(self) -> NDArray[np.int64]:
        return self.bias + (self.x.astype(np.int64) * self.weights).sum(axis=(0, 1))

    @property
    def cycles(self) -> int:
        rows, pixels, channels = self.weights.shape
        return 98 + 15 * channels + 17 * rows + rows * pixels * (5 + 11 * channels)


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
    check(machine, patches)


def test_depthwise_products_at_their_ends(machine: Make) -> None:
    """Every sign that MULSU's carry has to say, zeros and bytes that are full among them."""
    ends = np.array([(w, x) for w in (-128, -127, -1, 0, 1, 127) for x in (0, 1, 127, 128, 255)])
    weights, x = ends[:, 0].reshape(5, 2, 3), ends[:, 1].reshape(5, 2, 3).astype(np.uint8)
    check(machine, [Depth(weights, np.array([0, -(2**23), 2**23 - 1]), x, 3, 5, 7, 100)])
    single = [
        Depth(np.full((1, 1, 1), w), np.zeros(1, np.int64), np.full((1, 1, 1), v, np.uint8), 0, 0, 0, 0)
        for w, v in ends
    ]
    check(machine, single)
