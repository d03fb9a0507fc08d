"""The vectorised front end against slow loops that read like seed 000's description."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from host.errors import InputError
from host.nn.preconv import convolve, maxpool, meanpool, normalize, preconv_features

GAUSSIAN = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])


def starts(length: int, size: int, stride: int) -> list[int]:
    """0, s, 2s, … while start < n − (k − s), as the seed counts; a start outside the image is of no use."""
    return [start for start in range(0, length - (size - stride), stride) if start < length]


def slow_convolve(image, kernel, stride, padding):
    padded = np.pad(image, padding)
    (height, width), (kh, kw) = padded.shape, kernel.shape
    rows = []
    for y in starts(height, kh, stride):
        row = []
        for x in starts(width, kw, stride):
            total = 0
            for dy in range(kh):
                for dx in range(kw):
                    if y + dy < height and x + dx < width:
                        total += int(padded[y + dy, x + dx]) * int(kernel[dy, dx])
            row.append(total)
        rows.append(row)
    return np.array(rows)


def slow_pool(image, size, stride, reduce):
    rows = []
    for y in starts(image.shape[0], size[0], stride):
        windows = [image[y : y + size[0], x : x + size[1]] for x in starts(image.shape[1], size[1], stride)]
        rows.append([reduce(window) for window in windows])
    return np.array(rows)


def slow_features(image, levels):
    pooled = slow_pool(slow_convolve(image, GAUSSIAN, 1, 1), (2, 2), 2, np.max)
    pooled = pooled[: image.shape[0] // 2, : image.shape[1] // 2]
    low, high = int(pooled.min()), int(pooled.max())
    if low == high:
        return [0] * pooled.size
    return [(int(v) - low) * levels // (high - low) for v in pooled.ravel()]


sides = st.integers(1, 9)
images = st.tuples(sides, sides).flatmap(lambda shape: hnp.arrays(np.uint8, shape))
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.int8, shape, elements=st.integers(-128, 127))
)


@given(images, kernels, st.integers(1, 4), st.integers(0, 3))
def test_convolve_equals_the_loops_for_any_shape(image, kernel, stride, padding):
    fits = all(n + 2 * padding >= k for n, k in zip(image.shape, kernel.shape, strict=True))
    if not fits:
        with pytest.raises(InputError, match="convolve: window"):
            convolve(image, kernel, stride, padding)
        return
    found = convolve(image, kernel, stride, padding)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, slow_convolve(image, kernel, stride, padding))


@given(images, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(1, 4))
def test_pools_equal_the_loops_for_any_shape(image, size, stride):
    if size[0] > image.shape[0] or size[1] > image.shape[1]:
        with pytest.raises(InputError, match="maxpool: window"):
            maxpool(image, size, stride)
        return
    largest = maxpool(image, size, stride)
    assert largest.dtype == np.uint8
    np.testing.assert_array_equal(largest, slow_pool(image, size, stride, np.max))
    np.testing.assert_allclose(meanpool(image, size, stride), slow_pool(image, size, stride, np.mean))


def test_a_kernel_is_not_flipped():
    image = np.zeros((3, 3), np.uint8)
    image[0, 2] = 1
    assert convolve(image, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]).item() == 3


def test_leading_axes_are_a_batch():
    batch = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 6), dtype=np.uint8)
    for operation in (
        lambda x: convolve(x, GAUSSIAN, 1, 1),
        lambda x: maxpool(x, 2, 2),
        lambda x: meanpool(x, 2, 2),
        normalize,
    ):
        np.testing.assert_array_equal(operation(batch)[1, 2], operation(batch[1, 2]))


def test_floats_keep_their_type():
    image = np.random.default_rng(0).random((5, 5), dtype=np.float32)
    kernel = (GAUSSIAN / 16).astype(np.float32)
    assert {convolve(image, kernel).dtype, meanpool(image, 2, 2).dtype, normalize(image).dtype} == {image.dtype}


def test_maxpool_leaves_its_input_alone():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    before = image.copy()
    maxpool(image, 2, 2)
    np.testing.assert_array_equal(image, before)


def test_normalize_spans_zero_to_one_and_survives_a_constant_image():
    image = np.array([[-100, 27], [27, 100]], np.int8)
    np.testing.assert_allclose(normalize(image), [[0, 127 / 200], [127 / 200, 1]])
    np.testing.assert_array_equal(normalize(np.full((2, 2), 7)), np.zeros((2, 2)))


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convolve(np.zeros(4), [[1]]), "convolve: image"),
        (lambda: convolve(np.zeros((4, 4)), [1, 2]), "convolve: kernel"),
        (lambda: convolve(np.zeros((4, 4)), [[1]], padding=-1), "convolve: padding"),
        (lambda: convolve(np.zeros((4, 4)), [[1]], stride=0), "convolve: window"),
        (lambda: maxpool(np.zeros((4, 4)), 0, 1), "maxpool: window"),
        (lambda: meanpool(np.zeros((4, 4)), 5, 1), "meanpool: window"),
    ],
)
def test_unusable_windows_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
