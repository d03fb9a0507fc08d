"""The vectorised front end against slow loops that read like seed 000's description."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from host.errors import InputError
from host.nn.preconv import convolve, preconv_features
from host.nn.windows import largest

GAUSSIAN = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])


def starts(length: int, size: int, stride: int = 1) -> range:
    return range(0, length - size + 1, stride)


def slow_convolve(image, kernel, padding):
    padded = np.pad(image, padding)
    (height, width), (kh, kw) = padded.shape, kernel.shape
    rows = []
    for y in starts(height, kh):
        row = []
        for x in starts(width, kw):
            row.append(sum(int(padded[y + dy, x + dx]) * int(kernel[dy, dx]) for dy in range(kh) for dx in range(kw)))
        rows.append(row)
    return np.array(rows)


def slow_pool(image, size, strides):
    rows = []
    for y in starts(image.shape[0], size[0], strides[0]):
        windows = [image[y : y + size[0], x : x + size[1]] for x in starts(image.shape[1], size[1], strides[1])]
        rows.append([np.max(window) for window in windows])
    return np.array(rows)


def slow_features(image, levels):
    pooled = slow_pool(slow_convolve(image, GAUSSIAN, 1), (2, 2), (2, 2))
    low, high = int(pooled.min()), int(pooled.max())
    if low == high:
        return [0] * pooled.size
    return [(int(v) - low) * levels // (high - low) for v in pooled.ravel()]


sides = st.integers(1, 9)
images = st.tuples(sides, sides).flatmap(lambda shape: hnp.arrays(np.uint8, shape))
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.int8, shape, elements=st.integers(-128, 127))
)


@given(images, kernels, st.integers(0, 3))
def test_convolve_equals_the_loops_for_any_shape(image, kernel, padding):
    assume(all(n + 2 * padding >= k for n, k in zip(image.shape, kernel.shape, strict=True)))
    found = convolve(image, kernel, padding)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, slow_convolve(image, kernel, padding))


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(images, pairs, pairs)
def test_pools_equal_the_loops_for_any_shape(image, size, strides):
    assume(size[0] <= image.shape[0] and size[1] <= image.shape[1])
    found = largest(image, size, strides)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, slow_pool(image, size, strides))


def test_a_kernel_is_not_flipped():
    image = np.zeros((3, 3), np.uint8)
    image[0, 2] = 1
    assert convolve(image, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]).item() == 3


def test_leading_axes_are_a_batch():
    batch = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 6), dtype=np.uint8)
    for operation in (lambda x: convolve(x, GAUSSIAN, 1), lambda x: largest(x, (2, 2), (2, 2))):
        np.testing.assert_array_equal(operation(batch)[1, 2], operation(batch[1, 2]))


def test_floats_keep_their_type():
    image = np.random.default_rng(0).random((5, 5), dtype=np.float32)
    assert convolve(image, (GAUSSIAN / 16).astype(np.float32)).dtype == image.dtype


def test_a_pool_leaves_its_input_alone():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    before = image.copy()
    largest(image, (2, 2), (2, 2))
    np.testing.assert_array_equal(image, before)


@given(
    st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)).flatmap(lambda s: hnp.arrays(np.uint8, s)),
    st.sampled_from([255, 63]),
)
def test_features_equal_the_loops_in_exact_integers(batch, levels):
    features = preconv_features(batch, levels)
    assert features.dtype == np.uint8
    np.testing.assert_array_equal(features, [slow_features(image, levels) for image in batch])


@pytest.mark.parametrize("levels", [255, 63])
def test_the_quotient_is_exact_for_every_span_and_rise(levels):
    from host.nn.preconv import _quantise_span

    for span in range(1, 4081):
        values = np.arange(span + 1, dtype=np.uint16)[None]  # contains its own minimum 0 and maximum `span`
        expected = np.arange(span + 1, dtype=np.int64) * levels // span
        np.testing.assert_array_equal(_quantise_span(values, levels)[0], expected)


def test_features_do_not_depend_on_how_images_are_chunked():
    batch = np.random.default_rng(1).integers(0, 256, (600, 16, 16), dtype=np.uint8)
    whole = preconv_features(batch)
    np.testing.assert_array_equal(whole, np.concatenate([preconv_features(batch[i : i + 1]) for i in range(600)]))


def test_a_constant_image_gives_zeros_and_no_images_give_no_rows():
    # The zero border darkens the edges, so only black is constant after the blur.
    assert not preconv_features(np.zeros((1, 16, 16), np.uint8)).any()
    assert preconv_features(np.zeros((0, 16, 16), np.uint8)).shape == (0, 64)


@pytest.mark.parametrize(
    ("images", "levels", "message"),
    [
        (np.zeros((1, 16, 16)), 255, "images: found float64"),
        (np.zeros((16, 16), np.uint8), 255, "images: found uint8"),
        (np.zeros((1, 1, 16), np.uint8), 255, "images: found uint8"),
        (np.zeros((1, 16, 16), np.uint8), 127, "levels: found 127"),
    ],
)
def test_unusable_images_or_levels_are_refused(images, levels, message):
    with pytest.raises(InputError, match=message):
        preconv_features(images, levels)
