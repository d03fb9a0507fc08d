"""Inputs in a net's own unit: the codes that they become, and shapes that are not the net's."""

from dataclasses import replace

import numpy as np
import pytest
from networks import network_of, random_network

from host.errors import InputError
from host.nn.encode import encode, encoded, takes
from host.nn.layers import Flatten
from host.nn.network import Scaling

FLAT = (Flatten(),)


def of_shape(*shape, scaling=None):
    return network_of(FLAT, shape=shape, classes=3, scaling=scaling)


def test_codes_are_taken_as_they_are_and_signed_ones_count_from_128():
    network = of_shape(1, 2, 3)
    codes = np.array([[[0, 1, 127], [128, 254, 255]]], np.uint8)
    assert encode(network, codes).tolist() == codes.tolist()
    signed = np.array([[[-128, -127, -1], [0, 126, 127]]], np.int8)
    assert encode(network, signed).tolist() == codes.tolist()


def test_floats_are_rounded_half_away_from_zero_and_held_to_a_byte():
    network = of_shape(1, 1, 8, scaling=Scaling(100, 2.0))
    values = np.array([[0.25, -0.25, 0.24999999, -0.24999997, 0.75, -0.75, 77.6, -3e38]], np.float32)
    need = [[[101, 99, 100, 100, 102, 98, 255, 0]]]
    assert encode(network, values).tolist() == encode(network, values.astype(np.float64)).tolist() == need
    assert encode(network, np.full((1, 8), 1e300)).tolist() == [[[255] * 8]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_what_the_scaling_makes_of_codes_is_made_back(dtype):
    """Halves of float16 have 11 bits: enough for every code."""
    network = of_shape(1, 16, 16)
    codes = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    values = (codes / 255).astype(dtype)
    assert np.array_equal(encode(network, values), codes)


def test_each_input_may_have_an_offset_of_its_own():
    offsets = np.array([3, 200, -7], np.int16)
    network = of_shape(1, 1, 3, scaling=Scaling(offsets, 1.0))
    assert encode(network, np.float32([[1, 1, 1], [-5, 90, 300]])).tolist() == [[[4, 201, 0]], [[0, 255, 255]]]


def test_channels_stand_last_in_files_and_first_in_maps():
    network = of_shape(2, 3, 4)
    values = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2), np.uint8)
    codes = encode(network, values)
    assert codes.shape == (5, 2, 3, 4)
    assert np.array_equal(codes[:, 1, 2, 3], values[:, 2, 3, 1])


def test_how_many_values_no_code_stands_for():
    network = of_shape(1, 1, 4, scaling=Scaling(100, 2.0))
    values = np.float32([[-50.2, -50.3, 77.7, 77.8], [0, 0, 0, 1e30]] * 300)  # codes up to half a step beyond are near
    found = encoded(network, values)
    assert found.cut == 3 / 8 and found.codes[:2].tolist() == [[[0, 0, 255, 255]], [[100, 100, 100, 255]]]
    assert encoded(network, found.codes).cut == encoded(network, found.codes.view(np.int8)).cut == 0
    assert encoded(network, values[:0]).cut == 0


def test_many_rows_are_encoded_as_one_by_one():
    network = of_shape(1, 2, 2)
    values = np.random.default_rng(0).random((600, 2, 2), np.float32)
    assert np.array_equal(encode(network, values), np.concatenate([encode(network, row[None]) for row in values]))


@pytest.mark.parametrize(
    ("net", "given", "is_taken"),
    [
        ((1, 5, 4), (5, 4), True),
        ((1, 5, 4), (5, 4, 1), True),
        ((1, 5, 4), (1, 5, 4), False),
        ((1, 5, 4), (20,), True),
        ((1, 5, 4), (4, 5), False),
        ((1, 5, 4), (21,), False),
        ((1, 1, 20), (5, 4), True),
        ((1, 1, 20), (20,), True),
        ((20, 1, 1), (20,), True),
        ((2, 5, 2), (5, 2, 2), True),
        ((2, 5, 3), (2, 5, 3), False),
        ((2, 5, 2), (20,), False),
        ((2, 1, 10), (1, 10, 2), True),
        ((2, 1, 10), (2, 10), False),
        ((1, 15, 20), (10, 30), True),
        ((1, 10, 30), (15, 20), False),
        ((1, 15, 20), (10, 31), False),
    ],
)
def test_which_shapes_a_net_takes(net, given, is_taken):
    network = of_shape(*net)
    assert takes(network, given) == is_taken
    values = np.zeros((2, *given), np.uint8)
    if is_taken:
        shape = encode(network, values).shape
        assert shape == ((2, *net) if net[0] > 1 else (2, *net[1:]))
    else:
        with pytest.raises(InputError, match=r"^f\.npz: inputs: found .* numbers each, need .* for this model; "):
            encode(network, values, "f.npz: inputs")


def test_what_is_no_number_is_refused_with_its_row():
    network = of_shape(1, 2, 2)
    values = np.zeros((700, 2, 2), np.float32)
    values[513, 1, 0] = np.nan
    with pytest.raises(InputError, match="in row 513, need finite"):
        encode(network, values)
    with pytest.raises(InputError, match="values of type int64, need uint8"):
        encode(network, np.zeros((1, 2, 2), np.int64))


def test_a_fixed_front_end_takes_pixels_alone():
    network = random_network(shape=(8, 8))
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    assert np.array_equal(encode(network, pixels), pixels)
    with pytest.raises(InputError, match="fixed front end"):
        encode(network, pixels / np.float32(255))


def test_an_offset_that_is_not_whole_is_added_before_rounding():
    network = of_shape(1, 1, 4, scaling=Scaling(100.25, 1.0))
    assert encode(network, np.float32([[0.2, 0.25, -0.75, -0.8]])).tolist() == [[[100, 101, 99, 99]]]


@pytest.mark.parametrize("scale", [12.712639, 0.10196079, 1 / 3, 0.0078125])
def test_floats_are_divided_by_the_scale_as_it_was_stored(scale):
    """Times its inverse some values next to a half would fall on the other side."""
    scale = np.float32(scale)
    network = of_shape(1, 16, 16, scaling=Scaling(95, float(1 / np.float64(scale))))
    random = np.random.default_rng(0)
    halves = (random.integers(-90, 150, (300, 16, 16)) + np.float32(0.5)) * scale
    values = np.nextafter(halves.astype(np.float32), random.choice([-np.inf, np.inf], halves.shape).astype(np.float32))
    exact = values / scale
    need = np.clip(np.sign(exact) * np.floor(np.abs(exact.astype(np.float64)) + 0.5) + 95, 0, 255)
    assert np.array_equal(encode(network, values), need)


def test_a_shared_offset_counts_in_codes():
    network = replace(of_shape(1, 1, 2), scaling=Scaling(33, 10.0))
    assert encode(network, np.float32([[-3.3, 0.0]])).tolist() == [[[0, 33]]]
