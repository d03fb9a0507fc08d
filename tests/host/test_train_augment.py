"""Warps against a slow bilinear sampler, and what every warp promises."""

import math

import numpy as np
import pytest

from host.errors import InputError
from host.nn.preconv import preconv_features
from host.train.augment import warp as augment
from host.train.augment.prefetch import Copies, interleave
from host.train.augment.warp import WARPS, warp_images


def slow_sample(image, y, x):
    """Bilinear reading at one place, counted from one pixel outside; zeros beyond the edges."""

    def pixel(row, column):
        inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
        return float(image[row, column]) if inside else 0.0

    y, x = y - 1, x - 1
    row, column = math.floor(y), math.floor(x)
    fy, fx = y - row, x - column
    upper = pixel(row, column) * (1 - fx) + pixel(row, column + 1) * fx
    lower = pixel(row + 1, column) * (1 - fx) + pixel(row + 1, column + 1) * fx
    return upper * (1 - fy) + lower * fy


def test_sampling_equals_the_slow_reader_inside_and_outside():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 5, 7), dtype=np.uint8)
    y = rng.uniform(-4, 11, (3, 35)).astype(np.float32)
    x = rng.uniform(-4, 13, (3, 35)).astype(np.float32)
    expected = [[slow_sample(images[i], y[i, place], x[i, place]) for place in range(35)] for i in range(3)]
    found = augment._sample(images, y.copy(), x.copy()).reshape(3, 35)
    assert np.abs(found - np.array(expected)).max() <= 0.5 + 1e-3  # rounded to the nearest


def test_no_movement_gives_the_same_image():
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 9), dtype=np.uint8)
    still = augment.Warp(0, 0, 0, 0, 0)
    basis = augment._basis(6, 9, elastic=False)
    factors = augment._draw(4, still, len(basis), (6, 9), np.random.default_rng(0))
    np.testing.assert_array_equal(augment._sample(images, factors[0] @ basis, factors[1] @ basis), images)
    np.testing.assert_array_equal(warp_images(images, "none", np.random.default_rng(0)), images)


@pytest.mark.parametrize("name", sorted(WARPS))
@pytest.mark.parametrize("shape", [(16, 16), (28, 28), (9, 4)])
def test_warps_keep_shape_and_type_and_follow_the_seed(name, shape):
    images = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    before = images.copy()
    warped = warp_images(images, name, np.random.default_rng(5))
    assert (warped.shape, warped.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(warped, warp_images(images, name, np.random.default_rng(5)))
    if name != "none":
        assert (warped != warp_images(images, name, np.random.default_rng(6))).any()


@pytest.mark.parametrize(("name", "furthest"), [("mild", 2.5), ("affine", 3.0), ("elastic", 3.5)])
def test_a_warp_moves_ink_by_about_what_its_limits_say(name, furthest):
    images = np.zeros((200, 16, 16), np.uint8)
    images[:, 7:9, 7:9] = 255
    warped = warp_images(images, name, np.random.default_rng(1)).astype(float)
    rows = (warped.sum(axis=2) * np.arange(16)).sum(axis=1) / warped.sum(axis=(1, 2))
    assert 0.1 < np.abs(rows - 7.5).mean() < furthest / 2
    assert np.abs(rows - 7.5).max() < furthest


def test_an_unknown_warp_is_refused():
    with pytest.raises(InputError, match="augmentation: warp: found 'wild'"):
        warp_images(np.zeros((1, 16, 16), np.uint8), "wild", np.random.default_rng(0))


def test_copies_do_not_depend_on_how_many_there_are():
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16), dtype=np.uint8)
    with Copies(images, ["affine", "elastic"], (4, 2)) as few, Copies(images, ["affine"], (4, 2)) as one:
        np.testing.assert_array_equal(few.at(0), one.at(0))
        np.testing.assert_array_equal(few.at(2), few.at(0))
        assert [few.number(epoch) for epoch in range(4)] == [0, 1, 0, 1]
        assert (few.at(1) != few.at(0)).any()
    with Copies(images, ["affine"], (4, 2), preconv_features) as features, Copies(images, ["affine"], (4, 3)) as other:
        np.testing.assert_array_equal(features.at(0), preconv_features(one.at(0)))
        assert (other.at(0) != one.at(0)).any()


def test_without_copies_every_epoch_gets_the_images_themselves():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    with Copies(images, [], (4, 2)) as none:
        assert none.at(0) is images and none.number(5) == 0


def test_kinds_of_copies_take_turns():
    assert interleave([("a", 3), ("b", 2)], 4) == ["a", "b", "a", "b"]
    assert interleave([("a", 3), ("b", 1)], 9) == ["a", "b", "a", "a"]
