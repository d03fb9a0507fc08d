"""The front end in assembly: every division it replaces, and whole images, on the simulated chip."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avr_machine import AVR, Byte, Call, Machine
from firmware_build import LIB, compile_c
from needed import need
from numpy.typing import NDArray

from host.data import load
from host.nn.preconv import preconv_features

Make = Callable[..., Machine]
GUARD = 8
"""Bytes behind every output that must stay as they are."""
STACK_BYTES = 24
RETURN_ADDRESS_BYTES = 2
PAIRS = 4080 * 4081 // 2 + 4080
"""Of a range 1..4080 and a difference 0..range."""


@pytest.mark.parametrize("levels", [63, 255])
def test_normalisation_without_division_is_exact_for_every_pair(cyclecount: Path, tmp_path: Path, levels: int) -> None:
    elf, out = tmp_path / "all.elf", tmp_path / "out"
    sources = [Path(__file__).parent / "avr_all_ranges.c", AVR / "nn_avr_normalize.S"]
    flags = ["-mmcu=atmega328p", "-O2", "-std=gnu99", f"-DTOP_LEVEL={levels}", f"-I{LIB / 'nn'}", f"-I{AVR}"]
    compile_c([need("avr-gcc", "gcc-avr avr-libc"), *flags, *sources, "-o", elf])
    command = [cyclecount, "--mcu", "atmega328p", "--elf", elf, "--out", out, "--max-cycles", "2000000000"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert np.frombuffer(out.read_bytes(), "<u4").tolist() == [PAIRS, 0]


def hard_images(side: int) -> NDArray[np.uint8]:
    """Noise of every contrast, nearly constant images, constants, single pixels at the rim, a chessboard, few dots."""
    random = np.random.default_rng(side)
    low, high = np.sort(random.integers(0, 256, (2, 100)), axis=0)
    noise = random.integers(low[:, None, None], high[:, None, None] + 1, (100, side, side))
    flat = np.repeat(random.integers(3, 253, 60), side * side).reshape(60, side, side)
    for image in flat[:50]:
        for y, x in random.integers(0, side, (3, 2)):
            image[y, x] += random.integers(-3, 4)
    rim = np.zeros((12, side, side), int)
    for image, (y, x) in zip(rim, [(y, x) for y in (0, 1, side // 2, side - 1) for x in (0, 1, side - 1)], strict=True):
        image[y, x] = 255
    board = np.indices((side, side)).sum(axis=0) % 2 * 255
    dots = (random.random((20, side, side)) < 0.05) * random.integers(1, 256, (20, side, side))
    extremes = np.stack([np.zeros_like(board), np.full_like(board, 255), board, 255 - board])
    return np.concatenate([noise, flat, rim, dots, extremes]).astype(np.uint8)


def calls(machine: Machine, images: NDArray[np.uint8], levels: int, in_place: bool) -> list[Call]:
    """One call for each image; what is wanted back is the features and a guard, and the image."""
    side = images.shape[1]
    count = side * side // 4
    image_at, pooled_at = machine.room, machine.room + side * side
    features_at = pooled_at if in_place else pooled_at + 2 * count + GUARD
    arguments = (image_at, Byte(levels), features_at, pooled_at)
    guards = bytes([0xA5] * (3 * count + 2 * GUARD))
    end = pooled_at + 2 * count if in_place else features_at + count
    wanted = ((features_at, count), (end, GUARD), (pooled_at + 2 * count, GUARD), (image_at, side * side))
    return [
        Call(f"nn_avr_preconv_{side}x{side}", arguments, ((image_at, image.tobytes()), (pooled_at, guards)), wanted)
        for image in images
    ]


@pytest.mark.parametrize("in_place", [False, True], ids=["apart", "in place"])
@pytest.mark.parametrize("levels", [63, 255])
@pytest.mark.parametrize("side", [16, 28])
def test_images_of_every_contrast_give_the_definitions_features(
    machine: Make, side: int, levels: int, in_place: bool
) -> None:
    chip, images = machine(), hard_images(side)
    for image, right, answer in zip(
        images, preconv_features(images, levels), chip.run(calls(chip, images, levels, in_place)), strict=True
    ):
        features, behind, behind_pooled, image_after = answer.memory
        assert np.array_equal(features, right)
        assert np.all(behind == 0xA5) and np.all(behind_pooled == 0xA5), "wrote past its memory"
        assert np.array_equal(image_after, image.ravel()), "changed its input"
        assert answer.stack == STACK_BYTES + RETURN_ADDRESS_BYTES


@pytest.mark.parametrize(
    ("name", "levels", "base", "per_feature", "mean", "most"),
    [
        ("usps", 63, 5240, 30.7, 6615, 7751),
        ("usps", 255, 5170, 31.0, 6615, 7751),
        ("mnist", 63, 14550, 39.5, 17370, 19520),
        ("mnist", 255, 14550, 39.5, 17370, 19520),
    ],
)
def test_real_digits_take_the_stated_cycles(
    machine: Make, real_data: Path, name: str, levels: int, base: float, per_feature: float, mean: float, most: float
) -> None:
    chip, images = machine(), load(name).test.images[:2007]
    answers = chip.run(calls(chip, images, levels, in_place=True))
    right = preconv_features(images, levels)
    assert np.array_equal([answer.memory[0] for answer in answers], right)
    cycles = np.array([answer.cycles for answer in answers])
    predicted = base + per_feature * np.count_nonzero(right, axis=1)
    assert abs(cycles.mean() - predicted.mean()) < 0.01 * predicted.mean()
    assert abs(cycles.mean() - mean) < 0.01 * mean
    assert cycles.max() <= most
