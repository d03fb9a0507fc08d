"""The seed's text matrices: its exact form, read back and written again the same."""

from dataclasses import replace

import numpy as np
import pytest
from networks import random_network

from host.errors import InputError
from host.modelfile import seed_text as textfmt
from host.nn.dense_chain import split as layers_of
from host.nn.layers import Architecture, Flatten
from host.nn.parameters import empty


def test_each_number_is_followed_by_nul_and_newline():
    assert textfmt.to_text(np.array([[1.5, -0.00123]], np.float16)) == "1.5e+00\0\n-1.2e-03\0\n"


def test_a_net_without_dense_layers_has_no_matrices():
    architecture = Architecture((1, 2, 2), (Flatten(),))
    network = replace(random_network(), parameters=empty(architecture))
    with pytest.raises(InputError, match="text: found none among the layers, need dense layers alone"):
        textfmt.matrices(network)


def test_files_round_trip(tmp_path):
    network = random_network(offset=False)
    first, second = textfmt.write(network, tmp_path)
    assert (first.name, second.name) == ("W1_CNN.txt", "W2_CNN.txt")
    for path, layer in zip((first, second), layers_of(network), strict=True):
        numbers = path.read_bytes().decode("ascii").split("\0\n")
        assert numbers.pop() == ""
        matrix = np.array(numbers, float).astype(np.float16).reshape(len(layer.weights), layer.weights.shape[1] + 1)
        assert textfmt.to_text(matrix).encode() == path.read_bytes()
        np.testing.assert_allclose(matrix[:, :-1], layer.weights, rtol=0.06, atol=1e-7)
        np.testing.assert_allclose(matrix[:, -1], layer.bias, rtol=0.06, atol=1e-7)
