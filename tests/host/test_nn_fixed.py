"""What layers that are never trained make of images, against loops; and what an architecture says of them."""

import itertools

import numpy as np
import pytest
from networks import random_images, random_network

from host.errors import InputError
from host.nn.fixed import codes
from host.nn.layers import (
    Architecture,
    Conv2d,
    Dense,
    FixedConv2d,
    Flatten,
    MaxPool2d,
    MinMaxNormalise,
    ReLU,
    preconv_layers,
)
from host.nn.network import Scaling, float_scores
from host.nn.plain import from_plain, to_plain
from host.nn.preconv import preconv_features

TAIL = (Flatten(), Dense(3))


def convolved(kernel, padding, image):
    """One channel (H, W) of whole numbers, as a list of rows."""
    rows, columns = len(kernel), len(kernel[0])
    height, width = image.shape[0] + 2 * padding - rows + 1, image.shape[1] + 2 * padding - columns + 1
    out = np.zeros((height, width), np.int64)
    for y, x, i, j in itertools.product(range(height), range(width), range(rows), range(columns)):
        row, column = y + i - padding, x + j - padding
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            out[y, x] += kernel[i][j] * int(image[row, column])
    return out


@pytest.mark.parametrize("top", [255, 63, 31, 15])
@pytest.mark.parametrize("shape", [(8, 8), (9, 12), (7, 5)])
def test_the_front_end_is_its_layers_one_by_one(shape, top):
    images = random_images(3, 6, shape)
    found = codes(Architecture((1, *shape), (*preconv_layers(top), *TAIL)), images)
    assert found.dtype == np.uint8 and found.shape == (6, 1, shape[0] // 2, shape[1] // 2)
    for image, maps in zip(images, found, strict=True):
        blurred = convolved(((1, 2, 1), (2, 4, 2), (1, 2, 1)), 1, image)
        tall, wide = shape[0] // 2, shape[1] // 2
        pooled = blurred[: 2 * tall, : 2 * wide].reshape(tall, 2, wide, 2).max(axis=(1, 3))
        span = int(pooled.max() - pooled.min())
        expected = (pooled - pooled.min()) * top // span if span else np.zeros_like(pooled)
        assert np.array_equal(maps[0], expected)
    if top in (255, 63):
        assert np.array_equal(found.reshape(6, -1), preconv_features(images, top))


def test_each_channel_meets_the_one_kernel_and_the_normalisation_sees_them_all():
    images = np.stack([random_images(seed, 4, (6, 7)) for seed in (1, 2)], axis=1)
    kernel = ((-1, 0), (2, 5), (0, 1))
    found = codes(Architecture((2, 6, 7), (FixedConv2d(kernel), *TAIL)), images)
    assert found.dtype == np.int64 and found.shape == (4, 2, 4, 6)
    for image, maps in zip(images, found, strict=True):
        assert np.array_equal(maps, [convolved(kernel, 0, channel) for channel in image])
    layers = (FixedConv2d(kernel), MaxPool2d((3, 2), (1, 3)), MinMaxNormalise(99), *TAIL)
    stretched = codes(Architecture((2, 6, 7), layers), images)
    pooled = np.stack([found[:, :, :-2], found[:, :, 1:-1], found[:, :, 2:]]).max(axis=0)
    pooled = np.stack([pooled[..., [0, 3]], pooled[..., [1, 4]]]).max(axis=0)
    low, high = (edge(axis=(1, 2, 3), keepdims=True) for edge in (pooled.min, pooled.max))
    assert np.array_equal(stretched, (pooled - low) * 99 // np.maximum(high - low, 1))


def test_without_fixed_layers_pixels_are_the_codes():
    images = random_images(0, 3)
    assert np.array_equal(codes(Architecture((1, 8, 8), TAIL), images), images[:, None])


def test_how_many_layers_are_fixed():
    def count(*layers):
        return Architecture((1, 12, 12), (*layers, *TAIL)).fixed

    assert count(*preconv_layers(255)) == 3
    assert count(*preconv_layers(255), MaxPool2d()) == 3
    assert count(MaxPool2d(), FixedConv2d(((1,),))) == 2
    assert count(MaxPool2d(), Conv2d(2, 3)) == 0
    assert count(FixedConv2d(((1, -1),)), ReLU()) == 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Conv2d(2, 3), MinMaxNormalise(63)), "layer 1 MinMaxNormalise: found it behind layers that are trained"),
        ((ReLU(), FixedConv2d(((1,),))), "layer 1 FixedConv2d: found it behind"),
        ((FixedConv2d(((1, 2), (3,))),), r"layer 0 FixedConv2d: kernel: found rows of \[1, 2\] numbers"),
        ((FixedConv2d(()),), "layer 0 FixedConv2d: kernel"),
        ((FixedConv2d(((40000,),)),), "beyond 16 bits"),
        ((FixedConv2d(((1,),), padding=1),), "padding: found 1, need 0..0"),
        ((MinMaxNormalise(256),), "layer 0 MinMaxNormalise: top: found 256, need 1..255"),
        ((Conv2d(2, (3, 2), padding=(1, 2)),), "padding: found 2, need 0..1"),
    ],
)
def test_layers_that_cannot_be_are_refused(layers, message):
    with pytest.raises(InputError, match=message):
        Architecture((1, 8, 8), (*layers, *TAIL))


def test_sides_that_are_no_pair_are_refused():
    with pytest.raises(InputError, match=r"Conv2d: kernel: found \(1, 2, 3\)"):
        Conv2d(3, (1, 2, 3))


def test_what_one_number_says_is_kept_as_one():
    assert Conv2d(3, (5, 5), (1, 1), (2, 2, 2, 2)) == Conv2d(3, 5, 1, 2)
    assert Conv2d(3, (5, 3), padding=(2, 1, 2, 1)).padding == (2, 1)
    assert MaxPool2d((2, 2)) == MaxPool2d(2) and MaxPool2d((2, 3)).strides == (2, 3)
    layer = Conv2d(3, 5, 2, (0, 1, 2, 3))
    assert (layer.kernel_size, layer.strides, layer.pads) == ((5, 5), (2, 2), (0, 1, 2, 3))


def test_a_description_in_json_keeps_every_layer():
    layers = (*preconv_layers(63), Conv2d(4, (3, 2), (2, 1), (0, 1, 2, 1)), ReLU(), MaxPool2d((2, 1), 1), *TAIL)
    architecture = Architecture((1, 20, 20), layers)
    assert from_plain(to_plain(architecture)) == architecture
    assert to_plain(architecture)["layers"][0] == {
        "kind": "FixedConv2d",
        "kernel": [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
        "padding": 1,
    }
    assert Conv2d(4, 3, 1, 1) == from_plain(to_plain(Architecture((1, 8, 8), (Conv2d(4, 3, 1, 1), *TAIL)))).layers[0]


def test_each_input_has_its_own_offset():
    network = random_network(4)
    images = random_images(4)
    offset = network.scaling.offset
    features = preconv_features(images).astype(np.float64)
    hidden = np.maximum(
        (features - offset) @ network.parameters.of(4)["weights"].T + network.parameters.of(4)["bias"], 0
    )
    expected = hidden @ network.parameters.of(6)["weights"].T + network.parameters.of(6)["bias"]
    np.testing.assert_allclose(float_scores(network, images), expected, rtol=1e-4, atol=1e-4)
    assert Scaling(offset, 1.0) == network.scaling != Scaling(offset + 1, 1.0)
    assert Scaling() == Scaling(0, 255.0) != Scaling(np.zeros(1, np.int16), 255.0)
