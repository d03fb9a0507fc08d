"""The pools in assembly: any window against NumPy, bit for bit and cycle for cycle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from avr_machine import Call, Machine
from numpy.typing import NDArray

Make = Callable[..., Machine]
SLACK_CYCLES = 2
RETURN_ADDRESS_BYTES = 2
STACK = {"max": 2, "mean": 5}
DIVIDES_EVENLY = 11
"""Up to this size every step of the division has its stated cycles."""


def expected(windows: NDArray[np.uint8], kind: str) -> NDArray[np.int64]:
    """(channels,) from (rows, pixels, channels)."""
    if kind == "max":
        return windows.max(axis=(0, 1)).astype(np.int64)
    pixels = windows.shape[0] ** 2
    return (windows.sum(axis=(0, 1), dtype=np.int64) + pixels // 2) // pixels


def cycles(size: int, found: NDArray[np.int64], kind: str) -> int:
    """As the routines' header has it."""
    rows, inputs, channels = size, size**2, len(found)
    if kind == "max":
        return 32 + channels * (9 + 5 * rows + 10 * inputs)
    ones = sum(int(mean).bit_count() for mean in found)
    if size == 16:
        return 51 + channels * (61 - 44 + 5 * rows + 9 * inputs)
    return 51 + channels * (61 + 5 * rows + 9 * inputs) + ones


def check(machine: Make, cases: list[tuple[NDArray[np.uint8], int]], kind: str) -> None:
    """Each case: (rows, pixels, channels), and what lies behind a row."""
    chip, calls = machine(), []
    for windows, gap in cases:
        size, _, channels = windows.shape
        description = bytes([channels, size, gap & 0xFF, gap >> 8])
        inputs = b"".join(row.tobytes() + b"\xff" * gap for row in windows)
        at = chip.room + 4
        out = at + len(inputs)
        memory = ((chip.room, description), (at, inputs), (out, b"\xa5" * (channels + 2)))
        calls.append(
            Call(f"nn_avr_window_{kind}", (at, chip.room, out), memory, ((out, channels + 2), (at, len(inputs))))
        )
    for (windows, _), call, answer in zip(cases, calls, chip.run(calls), strict=True):
        wanted = expected(windows, kind)
        assert answer.memory[0].tolist() == [*wanted.tolist(), 0xA5, 0xA5]
        assert answer.memory[1].tobytes() == call.memory[1][1], "changed its inputs"
        size, _, channels = windows.shape
        most = cycles(size, wanted, kind)
        least = most - (8 * channels if kind == "mean" and DIVIDES_EVENLY < size < 16 else 0)
        assert least - SLACK_CYCLES <= answer.cycles <= most + SLACK_CYCLES
        assert answer.stack <= STACK[kind] + RETURN_ADDRESS_BYTES


@pytest.mark.parametrize("kind", STACK)
def test_every_size(machine: Make, kind: str) -> None:
    random = np.random.default_rng(3)
    cases = []
    for size in range(1, 17):
        for channels in (1, 2, 5):
            windows = random.integers(0, 256, (size, size, channels)) * (random.random((size, size, channels)) < 0.6)
            room = 1480 - windows.size
            if room > 0:
                cases.append((windows.astype(np.uint8), int(random.integers(0, min(40, room // size + 1)))))
    check(machine, cases, kind)


@pytest.mark.parametrize("kind", STACK)
def test_many_channels_and_wide_gaps(machine: Make, kind: str) -> None:
    random = np.random.default_rng(4)
    shapes = [((1, 1, 255), 0), ((2, 2, 255), 60), ((2, 2, 7), 600), ((3, 3, 100), 90)]
    check(machine, [(random.integers(0, 256, shape).astype(np.uint8), gap) for shape, gap in shapes], kind)


@pytest.mark.parametrize("kind", STACK)
def test_nothing_but_zeros_and_nothing_but_the_largest(machine: Make, kind: str) -> None:
    check(
        machine, [(np.full((size, size, 2), v, np.uint8), 3) for size in range(1, 17) for v in (0, 1, 254, 255)], kind
    )


def test_halves_go_up(machine: Make) -> None:
    """Every sum around a half, for sizes whose square is even and odd."""
    cases = []
    for size in (2, 3, 4, 6, 12, 15):
        for over in (-1, 0, 1):
            flat = np.full(size**2, 100)
            flat[: (size**2 + 1) // 2 + over] += 1
            cases.append((flat.reshape(size, size, 1).astype(np.uint8), 0))
    check(machine, cases, "mean")
