"""The front end in C against its definition, written down slowly."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_arguments import pointer
from numpy.typing import NDArray

KERNEL = ((1, 2, 1), (2, 4, 2), (1, 2, 1))


def defined_features(image: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """docs/numerics.md, word for word."""
    height, width = image.shape
    padded = np.pad(image.astype(int), 1)
    convolved = np.zeros((height, width), int)
    for y in range(height):
        for x in range(width):
            convolved[y, x] = sum(KERNEL[j][i] * padded[y + j, x + i] for j in range(3) for i in range(3))
    pooled = [convolved[y : y + 2, x : x + 2].max() for y in range(0, height, 2) for x in range(0, width, 2)]
    low, high = min(pooled), max(pooled)
    if low == high:
        return np.zeros(len(pooled), np.uint8)
    return np.array([(v - low) * levels // (high - low) for v in pooled], np.uint8)


def features(core: ctypes.CDLL, image: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    height, width = image.shape
    count = height * width // 4
    guarded = np.full(count + 8, 0xA5, np.uint8)
    pooled = np.full(count + 8, 0xA5A5, np.uint16)
    before = image.copy()
    core.nn_preconv(
        pointer(image),
        height,
        width,
        levels,
        pointer(guarded),
        pointer(pooled),
    )
    assert np.all(guarded[count:] == 0xA5), "wrote past its features"
    assert np.all(pooled[count:] == 0xA5A5), "wrote past its scratch"
    assert np.array_equal(image, before), "changed its input"
    return guarded[:count]


@pytest.mark.parametrize("shape", [(4, 4), (4, 64), (64, 4), (6, 10), (16, 16), (28, 28), (64, 64)])
@pytest.mark.parametrize("levels", [255, 63])
def test_equals_the_definition_on_random_images(core: ctypes.CDLL, shape: tuple[int, int], levels: int) -> None:
    random = np.random.default_rng(sum(shape) + levels)
    for density in (0.02, 0.3, 1.0):
        image = (random.integers(0, 256, shape) * (random.random(shape) < density)).astype(np.uint8)
        assert np.array_equal(features(core, image, levels), defined_features(image, levels))


def test_the_scratch_may_be_the_features_own_memory(core: ctypes.CDLL) -> None:
    image = np.random.default_rng(3).integers(0, 256, (16, 16)).astype(np.uint8)
    shared = np.zeros(64, np.uint16)
    where = pointer(shared)
    core.nn_preconv(pointer(image), 16, 16, 255, where, where)
    assert np.array_equal(shared.view(np.uint8)[:64], defined_features(image, 255))


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_a_constant_image_gives_zeros(core: ctypes.CDLL, value: int) -> None:
    # The zero border darkens the outermost pixels only, and each of them shares its block with an inner one.
    image = np.full((16, 16), value, np.uint8)
    assert not features(core, image, 255).any()
    assert not defined_features(image, 255).any()


@pytest.mark.parametrize("place", [(0, 0), (0, 15), (15, 0), (15, 15), (0, 7), (8, 0), (15, 8), (7, 15)])
def test_one_bright_pixel_at_the_rim(core: ctypes.CDLL, place: tuple[int, int]) -> None:
    image = np.zeros((16, 16), np.uint8)
    image[place] = 255
    assert np.array_equal(features(core, image, 255), defined_features(image, 255))


def test_the_largest_sums_do_not_wrap(core: ctypes.CDLL) -> None:
    image = np.full((16, 16), 255, np.uint8)
    image[0, 0] = 0
    assert np.array_equal(features(core, image, 255), defined_features(image, 255))


@pytest.mark.parametrize("levels", [255, 63, 31, 15])
def test_normalisation_without_division_equals_division_for_every_pair(core: ctypes.CDLL, levels: int) -> None:
    assert core.shim_count_wrong_features(levels) == 0
