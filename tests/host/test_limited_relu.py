"""ReLU with a limit, the layer that docs/adding-a-layer.md was tried on: every implementation holds it, or says that it
does not."""

from dataclasses import replace

import definition
import numpy as np
import pytest
from networks import LIMITED, drawn_images, limited_network, network_of

from host.errors import InputError
from host.modelfile import file as model_file
from host.modelfile.seed_text import matrices
from host.nn.formats import WeightFormat
from host.nn.layers import Architecture, AveragePool2d, Conv2d, Dense, Flatten, ReLU, preconv_layers
from host.nn.network import float_scores
from host.nn.numpy.dense import ClippedRectifier
from host.nn.plain import from_plain, to_plain
from host.quantise.lower import lower
from host.quantise.reference import infer, op_inputs

INTEGERS = [fmt for fmt in WeightFormat if fmt.is_integer]
UNLIMITED = tuple(ReLU() if isinstance(layer, ReLU) else layer for layer in LIMITED)


def test_at_both_ends_no_gradient_passes():
    layer = ClippedRectifier((5, 1), np.dtype(np.float32), 6.0)
    x = np.array([[-1.0], [0.0], [2.5], [6.0], [9.0]], np.float32)
    assert layer.forward(x).ravel().tolist() == [0.0, 0.0, 2.5, 6.0, 6.0]
    assert layer.backward(np.ones((5, 1), np.float32)).ravel().tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_a_relu_without_one_describes_itself_as_before():
    architecture = Architecture((1, 4, 4), (Flatten(), Dense(3), ReLU(), Dense(3), ReLU(6), Dense(2)))
    described = to_plain(architecture)
    assert (described["layers"][2], described["layers"][4]) == ({"kind": "ReLU"}, {"kind": "ReLU", "limit": 6.0})
    assert from_plain(described) == architecture


@pytest.mark.parametrize("limit", [0, -1.0, float("inf"), float("nan")])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(InputError, match=r"architecture: ReLU: limit: found .*, need one above 0; leave it out"):
        ReLU(limit)


def test_the_model_file_keeps_it(tmp_path):
    network, images = network_of(LIMITED), drawn_images(5)
    model_file.save(network, tmp_path / "limited.h5")
    loaded = model_file.load(tmp_path / "limited.h5")
    assert loaded.architecture == network.architecture
    assert np.array_equal(float_scores(loaded, images), float_scores(network, images))


@pytest.mark.parametrize("fmt", INTEGERS)
@pytest.mark.parametrize("make", [lambda: network_of(LIMITED), limited_network], ids=["reached", "below the top"])
def test_the_reference_is_the_definition(make, fmt):
    graph, images = lower(make(), fmt), drawn_images(3)
    assert infer(graph, images).scores.tolist() == [definition.scores(graph, image) for image in images]


def test_the_limit_is_the_largest_code_that_stands_for_it():
    """Twice the range: half of the codes. What training has reached is the top itself, and costs nothing."""
    assert {op.codes.high for op in lower(network_of(LIMITED)).ops[:-1]} == {255}
    wide, images = lower(limited_network()), drawn_images(20)
    highs = [op.codes.high for op in wide.ops[:-1]]
    assert all(126 <= high <= 129 for high in highs)
    assert [int(values.max()) for values in op_inputs(wide, images)[1:]] == highs


@pytest.mark.parametrize("make", [lambda: network_of(LIMITED), limited_network], ids=["reached", "below the top"])
def test_rounding_costs_little_and_the_limit_is_not_forgotten(make):
    network, images = make(), drawn_images(40, seed=6)
    graph, exact = lower(network), float_scores(network, images)
    error = np.abs(infer(graph, images).scores * graph.score_step - exact).max()
    unlimited = network_of(UNLIMITED)
    assert np.array_equal(unlimited.parameters.flat, network.parameters.flat)
    assert error < 0.1 * np.abs(exact - float_scores(unlimited, images)).max()


def test_behind_the_front_end_one_multiplier_a_layer_holds_it_too():
    network = network_of((*preconv_layers(63), Flatten(), Dense(9), ReLU(0.1)))
    network = replace(network, output_max=tuple(2 * reach for reach in network.output_max))
    graph, images = lower(network, top=63), drawn_images(20)
    assert graph.ops[1].rows.requantiser.shared is not None
    assert int(op_inputs(graph, images)[2].max()) == graph.ops[1].codes.high < 40
    assert infer(graph, images).scores.tolist() == [definition.scores(graph, image) for image in images]


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, WeightFormat.FLOAT16])
def test_floats_refuse_it(fmt):
    with pytest.raises(InputError, match=f"{fmt.label}: layer 1: found a ReLU with a limit, need one without"):
        lower(network_of(LIMITED), fmt)


def test_it_is_refused_where_no_op_would_hold_it():
    layers = (Conv2d(4, 3), ReLU(), AveragePool2d(), ReLU(0.1), Flatten())
    with pytest.raises(InputError, match="layer 3: found ReLU with a limit behind a pool, need it right behind"):
        lower(network_of(layers))
    assert len(lower(network_of((*layers[:3], ReLU(50.0), Flatten()))).ops) == 3


def test_text_matrices_refuse_it():
    with pytest.raises(InputError, match="text: found ReLU among the layers, need dense layers alone"):
        matrices(network_of((Flatten(), Dense(4), ReLU(1.0))))
